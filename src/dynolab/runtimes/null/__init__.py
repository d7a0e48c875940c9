"""The null runtime: a model that does nothing, or a known amount of known things. It shows the harness's own cost.

A ``.null`` file is a JSON object; all keys are optional and name what the *load* does: keep ``anonymous_bytes``, map
and touch ``file_bytes`` of ``file`` (beside the model), touch ``spike_bytes`` more for ``spike_ms`` and unmap them, ``freed_bytes`` taken
from the heap and freed, ``lazy_free_bytes`` given back with MADV_FREE, ``threads`` that share the anonymous part. With
``child``, one of :data:`CHILDREN`, another process lives as long as the session: it keeps ``child_bytes``, has held
``child_held_bytes`` before the load ends, and has the same file mapped with ``child_maps_file``; a ``forked`` one has all of the
session's memory in common, ``shared_bytes`` among it. ``busy_ns`` is spent in each inference, ``slower_times`` that from ``slower_after_s`` after the load on, ``inference_bytes`` are kept
from the first one on, ``leak_bytes`` from each. ``crash`` kills the process by that signal and ``sleep_s`` waits, both in the stage that ``at``
names (load or inference).
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

from dynolab.errors import ModelInvalid
from dynolab.runtimes._numpy import np
from dynolab.runtimes.base import (
    UNWATCHED,
    Array,
    LayerRecording,
    Runtime,
    Session,
    Target,
    Watch,
    check_units,
    warm_up_layers,
    zeros,
)
from dynolab.runtimes.null.memory import CHILDREN, MADV_FREE, ChildOrder, map_file, touch
from dynolab.spec.measurements import ComputeUnit, Layer, RuntimeRow
from dynolab.spec.models import Description, ModelFormat
from dynolab.spec.tensors import TensorSpec


@dataclass(frozen=True, slots=True)
class NullModel:
    """What a ``.null`` file says (bytes, milliseconds, nanoseconds, seconds by name)."""

    shape: tuple[int | None, ...] = (1,)
    anonymous_bytes: int = 0
    file: str | None = None
    file_bytes: int = 0
    spike_bytes: int = 0
    spike_ms: float = 1.0
    freed_bytes: int = 0
    lazy_free_bytes: int = 0
    shared_bytes: int = 0
    child: str | None = None
    child_bytes: int = 0
    child_held_bytes: int = 0
    child_maps_file: bool = False
    threads: int = 1
    busy_ns: int = 0
    slower_after_s: float = 0.0
    slower_times: int = 1
    inference_bytes: int = 0
    leak_bytes: int = 0
    crash: int = 0
    sleep_s: float = 0.0
    at: str = "load"


def read_model(path: Path) -> NullModel:
    """The model in a ``.null`` file. Raises :class:`ModelInvalid` for a file that is none."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        known = {field.name for field in fields(NullModel)}
        if not isinstance(document, dict) or set(document) - known:
            raise ValueError(f"keys must be among {', '.join(sorted(known))}")
        for name, value in document.items():
            _check(name, value)
        if "shape" in document:
            document["shape"] = tuple(document["shape"])
        if document.get("file") is not None:
            document["file"] = str(path.parent / document["file"])
        return NullModel(**document)
    except (ValueError, RecursionError) as error:
        raise ModelInvalid(f"{path.name} is not a null model: {error}") from error


_MOST = 2**62
"""More than any amount of bytes or time; what is larger does not fit the system's own integers."""


def _check(name: str, value: object) -> None:
    """Raise ValueError for a value that the key cannot have."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    if name == "shape":
        fits = isinstance(value, list) and all(
            size is None or (type(size) is int and 0 < size < _MOST) for size in value
        )
        wanted = "a list of sizes above 0, null for an open one"
    elif name == "file":
        fits, wanted = value is None or isinstance(value, str), "a path, seen from the model's folder"
    elif name == "child":
        fits, wanted = value is None or value in CHILDREN, f"one of {', '.join(CHILDREN)}"
    elif name == "child_maps_file":
        fits, wanted = isinstance(value, bool), "true or false"
    elif name == "at":
        fits, wanted = value in ("load", "inference"), '"load" or "inference"'
    elif name in ("sleep_s", "spike_ms", "slower_after_s"):
        fits, wanted = (whole or isinstance(value, float)) and 0 <= value < _LONGEST, "a number from 0 on"  # type: ignore[operator] # a number
    elif name == "crash":
        fits, wanted = value == 0 or (whole and value in list(signal.Signals)), "the number of a signal"
    else:
        least = 1 if name in ("threads", "slower_times") else 0
        fits, wanted = whole and least <= value < _MOST, f"a whole number from {least} on"  # type: ignore[operator] # a number
    if not fits:
        raise ValueError(f"{name} is {json.dumps(value)[:100]}, it must be {wanted}")


_LONGEST = 1e6
"""Seconds or milliseconds that it may wait."""


def _happen(model: NullModel, place: str) -> None:
    """Sleep or die, if the model says so for this place."""
    if model.at != place:
        return
    if model.sleep_s:
        time.sleep(model.sleep_s)
    if model.crash:
        sys.stderr.write("null model: about to crash\n")
        os.kill(os.getpid(), model.crash)


class NullSession(Session):
    """Holds what the model told it to hold."""

    def __init__(self, model: NullModel, shape: tuple[int, ...]) -> None:
        self.inputs = (TensorSpec("x", "float32", shape),)
        self.outputs = (TensorSpec("y", "float32", shape),)
        self._model = model
        self._kept: list[Any] = []
        self._grown: object = None
        self._result: Array = np.zeros(shape, np.float32)
        self._end_child: Callable[[], None] = _nothing
        _happen(model, "load")
        self._hold()
        self._loaded_ns = time.perf_counter_ns()

    def _hold(self) -> None:
        model = self._model
        share = model.anonymous_bytes // model.threads
        with ThreadPoolExecutor(model.threads) as pool:
            self._kept += pool.map(touch, [share] * model.threads)
        self._kept.append(map_file(model.file, model.file_bytes))
        self._kept.append(touch(model.lazy_free_bytes, then=MADV_FREE))
        shared = touch(model.shared_bytes, shared=True)
        self._kept.append(shared)
        if model.child is not None:
            mapped = (model.file or "", model.file_bytes) if model.child_maps_file else ("", 0)
            self._end_child = CHILDREN[model.child](
                ChildOrder(model.child_bytes, model.child_held_bytes, *mapped), shared
            )
        if model.freed_bytes:
            heap = [b"\1" * (64 * 1024 + step % 2) for step in range(model.freed_bytes // (64 * 1024))]
            del heap
        spike = touch(model.spike_bytes)
        if spike is not None:
            time.sleep(model.spike_ms / 1000)
            spike.close()

    def bind(self, inputs: Mapping[str, Array], outputs: Mapping[str, TensorSpec]) -> None:
        self._result = inputs["x"]

    def runner(self) -> Callable[[], object]:
        model = self._model
        if model.at == "inference" and (model.crash or model.sleep_s):
            return lambda: _happen(model, "inference")
        if model.leak_bytes:
            return self._leak
        if model.inference_bytes:
            return self._grow_once
        if model.slower_times > 1:
            return self._busy_and_slower
        if model.busy_ns:
            return self._busy
        return _nothing

    def _busy(self) -> None:
        _spend(self._model.busy_ns)

    def _busy_and_slower(self) -> None:
        is_late = time.perf_counter_ns() - self._loaded_ns >= self._model.slower_after_s * 1e9
        _spend(self._model.busy_ns * (self._model.slower_times if is_late else 1))

    def _grow_once(self) -> None:
        if self._grown is None:
            self._grown = touch(self._model.inference_bytes)

    def _leak(self) -> None:
        self._kept.append(b"\1" * self._model.leak_bytes)

    def fetch(self) -> dict[str, Array]:
        return {"y": self._result}

    def effective(self) -> dict[str, str]:
        return {"threads": "1"}

    def close(self) -> None:
        self._end_child()
        self._kept.clear()


def _spend(busy_ns: int) -> None:
    end = time.perf_counter_ns() + busy_ns
    while time.perf_counter_ns() < end:
        pass


def _nothing() -> None:
    return None


class Null(Runtime):
    """Runs ``.null`` models."""

    name: ClassVar[str] = "null"
    formats = (ModelFormat.NULL,)
    distributions = ("dynolab",)
    units = (ComputeUnit.CPU,)
    row = RuntimeRow(artifact=None, wiped="nothing: there are no caches", lazy="nothing")

    def import_library(self) -> None:
        return None

    def describe(self, target: Target) -> Description:
        model = read_model(target.model)
        return Description(
            inputs=(TensorSpec("x", "float32", model.shape),), outputs=(TensorSpec("y", "float32", model.shape),)
        )

    def load(self, target: Target) -> Session:
        check_units(target.options, self.units, self.name)
        return NullSession(read_model(target.model), target.shapes["x"])

    def layers(
        self, target: Target, inputs: Mapping[str, Array], iterations: int, watch: Watch = UNWATCHED
    ) -> LayerRecording:
        session = self.load(target)
        session.bind(inputs, {})
        run, passes = session.runner(), []
        warm_up_layers(run)
        for _ in range(iterations):
            taken = watch(lambda: _timed(run))
            passes.append(
                [Layer("nothing", "Null", ComputeUnit.CPU, taken, output_bytes=zeros(session.outputs[0]).nbytes)]
            )
        watch.close()
        session.close()
        return LayerRecording(passes, resolution_ns=1)


def _timed(run: Callable[[], object]) -> int:
    """Duration of a run in ns."""
    start = time.perf_counter_ns()
    run()
    return time.perf_counter_ns() - start


plugin = Null()
