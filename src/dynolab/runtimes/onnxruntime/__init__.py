"""ONNX Runtime: ``.onnx`` and ``.ort`` models on its CPU provider, and on CUDA and others where the installed package has them."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from dynolab.errors import LoadFailed, ModelInvalid, ModelNotSupported
from dynolab.runtimes.base import (
    UNWATCHED,
    Array,
    LayerRecording,
    Runtime,
    Session,
    Target,
    Watch,
    check_units,
    installed_version,
    warm_up_layers,
)
from dynolab.runtimes.onnxruntime import file_facts, trace
from dynolab.runtimes.onnxruntime.providers import UNIT_OF_PROVIDER
from dynolab.runtimes.onnxruntime.session import OnnxSession, library
from dynolab.spec.measurements import ComputeUnit, RuntimeRow
from dynolab.spec.models import Description, ModelFormat
from dynolab.spec.onnxfile import external_data

ARTIFACT = "optimized.onnx"
ARTIFACT_WEIGHTS = "optimized.bin"
OUTSIDE_FROM_BYTES = 1024
"""Smaller weights stay in the saved model: ONNX Runtime reads shapes and axes while it loads, and finds none outside (1.32)."""
LARGE_MODEL_BYTES = 1_000_000_000
"""From here on, or when the model does so itself, the artifact's weights go to a file of their own: one protobuf message
holds 2 GiB at most, and a model saved elsewhere would look for its external data in vain."""

PACKAGES = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-directml")
_SHORT_NAMES = {"qnn": "QNNExecutionProvider", "qnn-gpu": "QNNExecutionProvider", "directml": "DmlExecutionProvider"}
_SESSION_ENTRIES = {
    "allow_spinning": "session.intra_op.allow_spinning",
    "set_denormal_as_zero": "session.set_denormal_as_zero",
}


class OnnxRuntime(Runtime):
    """Compile: the offline-optimised model, then loaded with optimisation off."""

    name = "onnxruntime"
    formats = (ModelFormat.ONNX, ModelFormat.ORT)
    distributions = (*PACKAGES, "onnx")
    units = (ComputeUnit.CPU, ComputeUnit.GPU, ComputeUnit.NPU)
    option_groups = ("onnx_options", "onnx_execution_providers")
    described_by: ClassVar[Mapping[ModelFormat, tuple[str, ...]]] = {ModelFormat.ONNX: ("onnx",)}
    row = RuntimeRow(
        artifact="the offline-optimised model, loaded with optimisation off",
        wiped="nothing: the CPU provider keeps no cache",
        lazy="growth of the memory arena at the first inference",
    )
    rows: ClassVar[Mapping[ModelFormat, RuntimeRow]] = {
        ModelFormat.ORT: RuntimeRow(  # what is in it was optimised when it was made
            artifact=None,
            wiped="nothing: the CPU provider keeps no cache",
            lazy="growth of the memory arena at the first inference",
        )
    }

    def unavailable(self) -> str | None:
        """ONNX Runtime is published under several names; any of them will do."""
        if any(installed_version(name) for name in PACKAGES):
            return None
        return super().unavailable()

    def import_library(self) -> None:
        library().set_default_logger_severity(3)

    def describe(self, target: Target) -> Description:
        if target.format == ModelFormat.ORT:
            session = _open(target.model, _session_options(target), self._providers(target))
            return file_facts.describe_ort(session.get_inputs(), session.get_outputs())
        return file_facts.describe(target.model, target.shapes)

    def compile(self, target: Target) -> None:
        options = _session_options(target)
        options.optimized_model_filepath = str(target.artifact_dir / ARTIFACT)
        if _has_external_data(target.model) or target.model.stat().st_size > LARGE_MODEL_BYTES:
            name = "session.optimized_model_external_initializers"
            options.add_session_config_entry(f"{name}_file_name", ARTIFACT_WEIGHTS)
            options.add_session_config_entry(f"{name}_min_size_in_bytes", str(OUTSIDE_FROM_BYTES))
        _open(target.model, options, self._providers(target))

    def load(self, target: Target) -> Session:
        return self._load(target, profile_prefix=None)

    def _load(self, target: Target, profile_prefix: str | None) -> OnnxSession:
        options = _session_options(target)
        model = target.model
        artifact = target.artifact_dir / ARTIFACT
        if artifact.exists():
            model, options.graph_optimization_level = artifact, library().GraphOptimizationLevel.ORT_DISABLE_ALL
        if profile_prefix is not None:
            options.enable_profiling, options.profile_file_prefix = True, profile_prefix
        return OnnxSession(_open(model, options, self._providers(target)))

    def _providers(self, target: Target) -> list[Any]:
        """Providers for the requested units, CPU last where it is not excluded. A unit without one is an error."""
        present = library().get_available_providers()
        named = target.options.plain.get("onnx_execution_providers")
        if named:
            return [_named_provider(str(name).strip(), present) for name in str(named).split(",")] + [
                "CPUExecutionProvider"
            ]
        offered = list(dict.fromkeys(UNIT_OF_PROVIDER[name] for name in present if name in UNIT_OF_PROVIDER))
        offered.sort(key=lambda unit: unit is not ComputeUnit.CPU)
        wanted = check_units(target.options, offered, self.name) if target.options.compute_units else (ComputeUnit.CPU,)
        chosen: list[Any] = []
        for unit in wanted:
            name = next(name for name in present if UNIT_OF_PROVIDER.get(name) is unit)
            settings = {"device_id": int(target.options.group("onnx_options").get("device_id", 0))}
            chosen.append((name, settings) if name == "CUDAExecutionProvider" else name)
        return chosen

    def layers(
        self, target: Target, inputs: Mapping[str, Array], iterations: int, watch: Watch = UNWATCHED
    ) -> LayerRecording:
        """From ONNX Runtime's own profiling (a JSON trace with a clock step of 1 us).

        A session of its own comes first, for one run that counts the kernels: a loop may run any number. The warm-up of the
        other session is in its trace, and left out.
        """
        with tempfile.TemporaryDirectory() as folder:
            session, run = self._tracing(target, inputs, folder)
            run()
            kernels = sum(event.get("cat") == "Node" for event in trace.events(_ended(session)))
            session, run = self._tracing(target, inputs, folder)
            warm = warm_up_layers(run)
            for _ in range(max(1, min(iterations, trace.MOST_EVENTS // max(1, kernels) - warm))):
                watch(run)
            watch.close()
            found = list(trace.iterations(trace.events(_ended(session))))[warm:]
        rows, overlaps = [one.layers for one in found], [one.overlap_ns for one in found]
        repeated = kernels > max(map(len, rows), default=kernels)
        note = f"{kernels} kernels ran in one inference: the times of those in a loop are summed" if repeated else None
        return LayerRecording(rows, 1000, note, overlaps if any(overlaps) else ())

    def _tracing(
        self, target: Target, inputs: Mapping[str, Array], folder: str
    ) -> tuple[OnnxSession, Callable[[], object]]:
        """A session that writes a trace into the folder, and what runs it."""
        session = self._load(target, profile_prefix=str(Path(folder) / "trace"))
        session.bind(inputs, {})
        return session, session.runner()


def _ended(session: OnnxSession) -> Path:
    """The trace of a session that is closed now."""
    file = session.end_profiling()
    session.close()
    return file


def _has_external_data(model: Path) -> bool:
    """Whether weights lie outside the file. It is read only where other files lie beside it: the time counts as compilation's."""
    try:
        if all(path == model for path in model.parent.iterdir()):
            return False
    except PermissionError:  # a sandbox may show the files of the model, but not what else their folder holds
        pass
    with model.open("rb") as file:
        return bool(external_data(model.name, file))


def _session_options(target: Target) -> Any:
    """ONNX Runtime's SessionOptions for a target: what was asked for, else ONNX Runtime's own defaults."""
    options, asked = library().SessionOptions(), target.options.group("onnx_options")
    options.log_severity_level = 3
    options.intra_op_num_threads = int(asked.get("intra_op_num_threads", 0))
    options.inter_op_num_threads = int(asked.get("inter_op_num_threads", 0))
    options.enable_mem_pattern = bool(asked.get("enable_memory_pattern", True))
    options.enable_cpu_mem_arena = bool(asked.get("enable_cpu_memory_arena", True))
    level, mode = (
        str(asked.get("graph_optimization_level", "ENABLE_ALL")),
        str(asked.get("execution_mode", "SEQUENTIAL")),
    )
    options.graph_optimization_level = getattr(library().GraphOptimizationLevel, f"ORT_{level.removeprefix('ORT_')}")
    options.execution_mode = getattr(library().ExecutionMode, f"ORT_{mode.removeprefix('ORT_')}")
    for name, entry in _SESSION_ENTRIES.items():
        if name in asked:
            options.add_session_config_entry(entry, "1" if asked[name] else "0")
    if target.options.compute_units and ComputeUnit.CPU not in target.options.compute_units:
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    return options


def _open(model: Path, options: Any, providers: list[Any]) -> Any:
    """An InferenceSession; the library's refusals become dynolab's errors."""
    inference_session = library().InferenceSession
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    try:
        session = inference_session(str(model), options, providers=providers)
    except (state.InvalidProtobuf, state.InvalidGraph, state.NoSuchFile) as error:
        raise ModelInvalid(f"ONNX Runtime cannot read {model.name}: {_first_line(error)}") from error
    except state.NotImplemented as error:
        raise ModelNotSupported(f"ONNX Runtime lacks an operator of {model.name}: {_first_line(error)}") from error
    except (state.Fail, state.InvalidArgument, state.RuntimeException, state.EPFail, ValueError, RuntimeError) as error:
        text = _first_line(error)
        if "custom op" in text or "is not a registered" in text:
            raise ModelNotSupported(f"ONNX Runtime lacks an operator of {model.name}: {text}") from error
        raise LoadFailed(f"ONNX Runtime cannot load {model.name}: {text}") from error
    wanted = [name if isinstance(name, str) else name[0] for name in providers]
    missing = [name for name in wanted if name not in session.get_providers()]
    if missing:
        raise ModelNotSupported(
            f"ONNX Runtime could not start {', '.join(missing)} and fell back to {', '.join(session.get_providers())}",
            hint="its log (above) says why; --compute_unit cpu runs on the CPU",
        )
    return session


_NOISE = re.compile(r"\[ONNXRuntimeError\] : \d+ : [A-Z_]+ : |Load model from \S* failed:|Fatal error: ")
"""What ONNX Runtime says in front of its reasons; the path is one of this run's own."""


def _first_line(error: Exception) -> str:
    lines = _NOISE.sub("", str(error)).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _named_provider(name: str, present: Iterable[str]) -> str:
    full = _SHORT_NAMES.get(name, name)
    known = list(present)
    for provider in known:
        if provider.lower() in (full.lower(), f"{full}ExecutionProvider".lower()):
            return provider
    raise ModelNotSupported(f"this ONNX Runtime has no execution provider {name!r}", hint=f"it has: {', '.join(known)}")


plugin = OnnxRuntime()
