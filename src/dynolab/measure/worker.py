"""One process is one run: reads ``request.json`` in the folder given, measures, writes ``result.json``.

Run as ``python -m dynolab.measure.worker FOLDER``, in a sandbox, which also sees to its end when its caller ends. Imports the
standard library and numpy only; the runtime's library comes in where its import is measured.
"""

from __future__ import annotations

import errno
import os
import resource
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from dynolab import errors
from dynolab.measure import inputs as inputs_module
from dynolab.measure import memory_readings, pagecache
from dynolab.measure.clock import loop, now_ns
from dynolab.measure.memory_growth import held_over
from dynolab.measure.protocol import (
    CANDIDATE_FILE,
    PROTOCOL_VERSION,
    REQUEST_FILE,
    RESULT_FILE,
    SCRATCH_FOLDER,
    UNFIT_CODE,
    VALUES_FILE,
    InputPlan,
    Inspection,
    LayerPass,
    Measure,
    RunKind,
    RunRequest,
    RunResult,
    StagePass,
    SustainedPass,
    read,
    write,
)
from dynolab.measure.timed_loop import LoopBudget, timed_loop
from dynolab.measure.warmup import WARMUP_MAX, warm_up
from dynolab.measure.window import Durations, Edges, Window
from dynolab.runtimes._elements import TEXT, element_name, plain
from dynolab.runtimes.base import Array, Runtime, Session, Target, runtime_named
from dynolab.spec import options as options_module
from dynolab.spec.measurements import LoopWindow, Notice, StageName
from dynolab.spec.models import FileFact, ModelFormat
from dynolab.spec.tensors import TensorSpec

FLOOR_ITERATIONS = 2_000


class Run:
    """One request carried out: a method for each kind of run, which imports what only it needs before anything is measured."""

    def __init__(self, folder: Path, request: RunRequest) -> None:
        self.folder = folder
        self.request = request
        self.options = options_module.parse(request.options_text)
        self.runtime: Runtime = runtime_named(request.runtime)
        self.result = RunResult(PROTOCOL_VERSION)
        (folder / SCRATCH_FOLDER).mkdir(exist_ok=True)
        told = (request.model, *request.files, request.artifact_dir, request.cache_dir)
        self.apart = memory_readings.software([folder, *map(Path, told)])

    def note(self, **changes: Any) -> None:
        """Add to the result."""
        self.result = replace(self.result, **changes)

    def target(self, **changes: Any) -> Target:
        """The request's target, with all input shapes bound."""
        request = self.request
        target = Target(
            model=Path(request.model),
            format=request.format,
            artifact_dir=Path(request.artifact_dir),
            cache_dir=Path(request.cache_dir),
            options=self.options,
            scratch_dir=self.folder / SCRATCH_FOLDER,
            shapes={item.spec.name: item.spec.sizes for item in request.inputs},
            effective=request.effective,
        )
        return replace(target, **changes)

    def carry_out(self) -> RunResult:
        """Import the runtime, do what the kind says, hand over the result."""
        memory_readings.adopt_orphans()
        if self.request.kind is RunKind.TOTAL:
            self.total()
        elif self.request.kind is RunKind.DESCRIBE:
            self.note(description=self.runtime.describe(self._as_wished()))
        else:
            self.import_library()
            steps: Mapping[RunKind, Callable[[], None]] = {
                RunKind.INSPECT: self.inspect,
                RunKind.COMPILE: self.compile,
                RunKind.FIRST_LOAD: self.first_load,
                RunKind.INFERENCE: self.inference,
                RunKind.SUSTAINED: self.sustained,
                RunKind.TURNS: self.turns,
                RunKind.INFER: self.infer,
                RunKind.LAYERS: self.layers,
            }
            steps[self.request.kind]()
        return self.result

    def import_library(self) -> None:
        """Import the vendor's library, with its time, and its memory in a memory pass."""
        reads_memory, edges = self.request.measure is Measure.MEMORY, Edges(self.apart)
        if reads_memory:
            edges.open()
        before = now_ns()
        self.runtime.import_library()
        self.note(import_ns=now_ns() - before)
        if reads_memory:
            edges.end()
            edges.release()
        self.note(import_edges=tuple(edges.seen))

    def inspect(self) -> None:
        """Read the model, bind its shapes, and find inputs that it accepts by running it once on each candidate."""
        self.note(versions=self.runtime.versions(), floor_ns=self.floor(), uncompiled=uncompiled())
        description = self.request.description or self.runtime.describe(self._as_wished())
        problems: list[errors.Error] = []
        tried: set[object] = set()
        for index, candidate in inputs_module.candidates(self.request.first_candidate):
            (self.folder / CANDIDATE_FILE).write_text(str(index))
            plans, notes = inputs_module.plan(description.inputs, self.request.wishes, candidate)
            if plans in tried:
                continue
            tried.add(plans)
            target = self.target(shapes={item.spec.name: item.spec.sizes for item in plans})
            try:
                outputs, effective, told = self._try(target, inputs_module.make(plans, self.request.seed))
            except (errors.LoadFailed, errors.InferenceFailed) as error:
                problems.append(_with_a_way_out(error, plans))
                continue
            facts = self.request.description or self.runtime.describe(target)
            compiles = self.runtime.compiles(target)
            inspection = Inspection(facts, plans, outputs, tuple(notes), compiles, told)
            self.note(inspection=inspection, effective=effective)
            return
        raise problems[0]

    def _as_wished(self) -> Target:
        """The target with the shapes that the user said."""
        return self.target(shapes=inputs_module.wished_shapes(self.request.wishes))

    def _try(
        self, target: Target, arrays: Mapping[str, Array]
    ) -> tuple[tuple[TensorSpec, ...], dict[str, str], tuple[Notice, ...]]:
        session = self.runtime.load(target)
        try:
            session.bind(arrays, {})
            first_inference(session.runner())
            outputs = session.fetch()
            specs = tuple(TensorSpec(name, element_name(array), array.shape) for name, array in outputs.items())
            return specs, session.effective(), session.notices()
        finally:
            session.close()

    def compile(self) -> None:
        """The compile stage: ends when the artifact is on disk and the compiler's objects are released."""
        target = self.target()
        window = self._open()
        before = now_ns()
        self.runtime.compile(target)
        taken = now_ns() - before
        window.close()
        self._note_stage(StageName.COMPILE, window, values_ns=(taken,), files=files_in(target.artifact_dir))

    def first_load(self) -> None:
        """A cold load, and nothing after it."""
        session, _ = self._load(StageName.FIRST_LOAD)
        session.close()

    def inference(self) -> None:
        """A warm load; then first inference, warm-up, and the tight loop: nothing else happens in between those."""
        session, arrays = self._load(StageName.WARM_LOAD)
        session.bind(arrays, {spec.name: spec for spec in self.request.outputs})
        run = session.runner()
        with self._durations() as (durations, warmup):
            window = self._open()
            deadline = now_ns() + self.request.time_limit_ns
            first_ns = first_inference(run)
            warmed = warm_up(run, warmup, self.request.time_limit_ns)
            windows = self._loop(run, durations, deadline, expected_ns=warmup[warmed - 1])
            window.close()
            held = held_over(run, self.request.growth_iterations, now_ns() + self.request.time_limit_ns)
            self._note_stage(
                StageName.INFERENCE,
                window,
                values_ns=tuple(durations[: sum(one.count for one in windows)]),
                windows=tuple(windows),
                warmup_ns=tuple(warmup[:warmed]),
                first_ns=first_ns,
                accelerator=session.accelerator_memory(),
                bound_bytes=session.bound_output_bytes,
                held_bytes=held,
            )
        self.note(effective=session.effective())
        session.close()

    def sustained(self) -> None:
        """A warm load, first inference and warm-up; then the loop without a pause, for as long as is asked for."""
        from dynolab.measure.sustained_loop import SustainedLength, sustained_loop

        request = self.request
        session, arrays = self._load(StageName.WARM_LOAD)
        session.bind(arrays, {spec.name: spec for spec in request.outputs})
        run = session.runner()
        with self._durations() as (told, warmup):
            window = self._open()
            first_inference(run)
            warmed = warm_up(run, warmup, request.time_limit_ns)
            length = SustainedLength(request.sustained_ns, request.sustained_ns // request.iterations)

            def tell(number: int, median_ns: int) -> None:
                if number < request.iterations:
                    told[number] = median_ns

            windows, unavailable = sustained_loop(run, length, warmup[warmed - 1], request.readings, tell)
            window.close()
        self.note(sustained=SustainedPass(tuple(windows), unavailable), effective=session.effective())
        session.close()

    def turns(self) -> None:
        """A warm load, first inference and warm-up; then a window of the loop for each turn, until there are no more."""
        from dynolab.measure import turns

        session, arrays = self._load(StageName.WARM_LOAD)
        session.bind(arrays, {spec.name: spec for spec in self.request.outputs})
        run = session.runner()
        warmup = memoryview(bytearray(WARMUP_MAX * 8)).cast("q")
        window = self._open()
        first_inference(run)
        warmed = warm_up(run, warmup, self.request.time_limit_ns)
        turns.take(run, warmup[warmed - 1])
        window.close()
        self.note(effective=session.effective())
        session.close()

    def _loop(
        self, run: Callable[[], object], durations: memoryview, deadline_ns: int, *, expected_ns: int
    ) -> list[LoopWindow]:
        """The tight loop: in windows where times are what is measured, else in one piece."""
        request = self.request
        if request.measure is Measure.TIME:
            budget = LoopBudget(request.iterations, request.room, request.settle_within_ns, deadline_ns)
            return timed_loop(run, durations, budget, expected_ns, request.best)
        before = now_ns()
        count = loop(run, durations, request.iterations, deadline_ns)
        return [LoopWindow(count, now_ns() - before)]

    def _load(self, stage: StageName) -> tuple[Session, dict[str, Array]]:
        """A session that is ready to infer, loaded in a window of its own, and the inputs, allocated before it."""
        target = self.target()
        arrays = inputs_module.make(self.request.inputs, self.request.seed)
        if stage is StageName.FIRST_LOAD:
            self.note(residency=pagecache.residency(Path(file) for file in self.request.cold_files))
        window = self._open()
        before = now_ns()
        session = self.runtime.load(target)
        taken = now_ns() - before
        window.close()
        accelerator = session.accelerator_memory()
        self._note_stage(stage, window, values_ns=(taken,), files=files_in(target.cache_dir), accelerator=accelerator)
        self.note(effective=session.effective())
        return session, arrays

    def _open(self) -> Window:
        window = Window(self.request.measure, self.request.readings, self.apart)
        window.open()
        return window

    def _note_stage(self, stage: StageName, window: Window, *, bound_bytes: int = 0, **found: Any) -> None:
        """What was read of one stage; the bytes of its inputs, and of outputs bound before it, are stored apart."""
        inputs = sum(item.spec.bytes or 0 for item in self.request.inputs)
        seen = StagePass(edges=window.edges, witnesses=window.witnesses, io_bytes=inputs + bound_bytes, **found)
        self.note(stages={**self.result.stages, stage: seen})

    def _durations(self) -> Durations:
        return Durations(self.folder / VALUES_FILE, self.request.room)

    def infer(self) -> None:
        """One inference for each batch of the request; its outputs go to files of this run's folder."""
        session, loaded = None, None
        kept = []
        names = {item.spec.name for item in self.request.inputs}
        for number, files in enumerate(self.request.batches):
            if files.keys() != names:
                raise errors.SpecInvalid(
                    f"batch {number} has the tensors {', '.join(sorted(files))}; the model's inputs are {', '.join(sorted(names))}"
                )
            plans = tuple(replace(item, file=files[item.spec.name]) for item in self.request.inputs)
            arrays = inputs_module.make(plans, self.request.seed)
            shapes = {name: array.shape for name, array in arrays.items()}
            if session is None or (shapes != loaded and not session.takes_any_shape):
                if session is not None:
                    session.close()
                session, loaded = self.runtime.load(self._for_values(number, shapes)), shapes
            session.bind(arrays, {})
            first_inference(session.runner())
            kept.append(
                {name: self._keep(array, f"{number}-{i}") for i, (name, array) in enumerate(session.fetch().items())}
            )
        if session is not None:
            self.note(outputs=tuple(kept), effective=session.effective())
            session.close()

    def _for_values(self, number: int, shapes: Mapping[str, tuple[int, ...]]) -> Target:
        """The target of a load whose outputs are asked for: with caches of its own where the runtime's change values."""
        if self.runtime.cached_values:
            return self.target(shapes=shapes)
        place = self.folder / f"cache-{number}"
        place.mkdir()
        return self.target(shapes=shapes, cache_dir=place)

    def _keep(self, array: Array, name: str) -> str:
        path = self.folder / f"output-{name}.npy"
        np.save(path, plain(array))
        return str(path)

    def layers(self) -> None:
        """The layer pass: a time of each layer in every iteration, and which of them were calm."""
        from dynolab.measure.layer_pass import CalmWatch
        from dynolab.measure.layer_times import summed_up

        arrays = inputs_module.make(self.request.inputs, self.request.seed)
        watch, window = CalmWatch(self.request.best), self._open()
        try:
            recording = self.runtime.layers(self.target(), arrays, self.request.iterations, watch)
        except errors.ModelNotSupported as error:
            self.note(layer_pass=LayerPass(reason=error.message))
            return
        watch.close()
        window.close()
        self.note(layer_pass=replace(summed_up(recording, watch.calm()), witnesses=window.witnesses))

    def floor(self) -> int:
        """What the harness itself costs, in ns: the smallest iteration of the loop around a model that does nothing."""
        model = self.folder / "floor.null"
        model.write_text("{}", encoding="utf-8")
        null = runtime_named("null")
        spec = TensorSpec("x", "float32", (1,))
        options = options_module.parse("")  # the user's are not for this model: they may ask for another unit
        shapes = {spec.name: spec.sizes}
        session = null.load(self.target(model=model, format=ModelFormat.NULL, options=options, shapes=shapes))
        session.bind(inputs_module.make((InputPlan(spec, 0.0, 1.0),), self.request.seed), {})
        durations = memoryview(bytearray(FLOOR_ITERATIONS * 8)).cast("q")
        loop(session.runner(), durations, FLOOR_ITERATIONS, now_ns() + self.request.time_limit_ns)
        session.close()
        return min(durations)

    def total(self) -> None:
        """One process from before the runtime's import to the end of the loop, as an app would go through it."""
        arrays = inputs_module.make(self.request.inputs, self.request.seed)
        window = self._open()
        self.runtime.import_library()
        session = self.runtime.load(self.target())
        session.bind(arrays, {spec.name: spec for spec in self.request.outputs})
        run = session.runner()
        first_inference(run)
        with self._durations() as (durations, _):
            loop(run, durations, self.request.iterations, now_ns() + self.request.time_limit_ns)
            window.close()
        self.note(total=StagePass(edges=window.edges, witnesses=window.witnesses))
        session.close()


def _with_a_way_out(error: errors.Error, plans: Sequence[InputPlan]) -> errors.Error:
    """The error of a model that took no inputs that were made up: with a hint to give it others."""
    made_up = sorted((item.spec for item in plans if item.file is None), key=lambda spec: spec.dtype != TEXT)
    if isinstance(error, errors.InferenceFailed) and error.hint is None and made_up:
        error.hint = f"the values were made up; give some that the model takes: --input-file {made_up[0].name}=FILE.npy"
    return error


def first_inference(run: Callable[[], object]) -> int:
    """Duration in ns of the first call. A failure inside the runtime becomes :class:`InferenceFailed`."""
    before = now_ns()
    try:
        run()
    except errors.Error:
        raise
    except (RuntimeError, ValueError, TypeError, OSError, MemoryError) as error:
        raise as_inference_error(error) from error
    return now_ns() - before


def as_inference_error(error: Exception) -> errors.Error:
    """dynolab's error for one that a vendor's library raised in an inference."""
    if isinstance(error, MemoryError):
        return errors.OutOfMemory("there was no memory left in an inference")
    text = str(error).strip().splitlines()
    return errors.InferenceFailed(f"the inference failed: {text[0] if text else type(error).__name__}")


def uncompiled() -> int:
    """How many of the modules that were imported have no bytecode kept: a confined process cannot keep it for the next."""
    places = (getattr(module, "__cached__", None) for module in list(sys.modules.values()))
    # Some modules answer to any name, such as torch.ops.
    return sum(not os.access(place, os.R_OK) for place in places if isinstance(place, str) and place)


def files_in(folder: Path) -> tuple[FileFact, ...]:
    """The files below a folder with their sizes, by path."""
    found = [path for path in folder.rglob("*") if path.is_file()]
    return tuple(FileFact(str(path.relative_to(folder)), path.stat().st_size) for path in sorted(found))


def limit_memory(limit_bytes: int | None) -> None:
    """Bound what this process may allocate (setrlimit(2), RLIMIT_DATA: private writable memory)."""
    if limit_bytes is not None:
        resource.setrlimit(resource.RLIMIT_DATA, (limit_bytes, limit_bytes))


def main(arguments: list[str]) -> int:
    """Carry out the request in the folder given; errors of the model or the user are results."""
    folder = Path(arguments[0])
    result = RunResult(PROTOCOL_VERSION)
    try:
        request = read(RunRequest, folder / REQUEST_FILE)
        limit_memory(request.memory_limit_bytes)
        result = Run(folder, request).carry_out()
    except errors.Error as error:
        result = RunResult(PROTOCOL_VERSION, error=error.to_dict())
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] == "dynolab":
            raise
        missing = errors.PluginMissing(f"the device has no {error.name}", hint="`dynolab runtimes` there tells more")
        result = RunResult(PROTOCOL_VERSION, error=missing.to_dict())
    except (MemoryError, OSError) as error:
        if isinstance(error, MemoryError) or error.errno == errno.ENOMEM:
            lack: errors.Error | None = errors.OutOfMemory(f"there was no memory left: {error}")
        else:
            lack = errors.unfit(error)
        if lack is None:
            raise
        result = RunResult(PROTOCOL_VERSION, error=lack.to_dict())
    try:
        write(result, folder / RESULT_FILE)
    except OSError as error:
        if errors.unfit(error) is None:
            raise
        os._exit(UNFIT_CODE)  # there is no room to say more
    sys.stdout.flush()
    os._exit(0)  # no library's exit handlers: they are not what is measured, and some hang


if __name__ == "__main__":
    main(sys.argv[1:])
