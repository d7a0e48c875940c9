"""What a worker says that it found, held against what it was asked: the model may have written it in the worker's place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from math import isfinite
from pathlib import Path

from dynolab import errors
from dynolab.measure.protocol import RESULT_FILE, Measure, RunKind, RunRequest, RunResult, StagePass, read_untrusted
from dynolab.spec import untrusted
from dynolab.spec.measurements import MemoryEdge, StageName
from dynolab.spec.tensors import TensorSpec

MESSAGE_MAX, HINT_MAX, LOG_MAX = 4_000, 1_000, 20_000
CORE_MAX = 20
SUSTAINED_WINDOWS_MOST = 10_000
TOLD = (errors.UserError, errors.WorkerError, errors.PluginMissing, errors.Bug, errors.DeviceUnfit)
"""What a worker can fail with. That the device is unfit is believed only once a trial says so, too (see ``process``); its other
troubles, which have a job tried again elsewhere, are for others to tell."""
_STAGES = {
    RunKind.COMPILE: (StageName.COMPILE,),
    RunKind.FIRST_LOAD: (StageName.FIRST_LOAD,),
    RunKind.INFERENCE: (StageName.WARM_LOAD, StageName.INFERENCE),
    RunKind.SUSTAINED: (StageName.WARM_LOAD,),
    RunKind.TURNS: (StageName.WARM_LOAD,),
}
_MOST_ELEMENTS = 2**62


def read_result(folder: Path, request: RunRequest) -> RunResult:
    """The result in a run's folder, complete for the kind of run, its paths inside that folder.

    Raises ``FileNotFoundError`` when there is none, and :class:`~dynolab.errors.WorkerCrashed` for one that no worker of ours
    writes.
    """
    result = read_untrusted(RunResult, folder / RESULT_FILE, inside=folder)
    if result.error is not None:
        return RunResult(result.protocol, error=_told(result.error))
    try:
        wrong = next(_wrong(result, request, folder), None)
    except errors.Error as error:
        wrong = error.message
    if wrong is not None:
        raise errors.WorkerCrashed(
            f"what a process of the model left is no result of {request.kind.value.replace('_', ' ')}: {wrong}",
            hint="the model, or a library that it makes the runtime load, wrote over it",
        )
    return result


def _told(document: dict[str, object]) -> dict[str, object]:
    """The error, of a kind that a worker can fail with, and no longer than is read."""
    error = errors.from_dict(document)
    if not isinstance(error, TOLD):
        error = errors.WorkerCrashed(f"the worker ended with {error.code}: {error.message}", hint=error.hint)
    log = error.details.get("log")
    return type(error)(
        error.message[:MESSAGE_MAX],
        hint=error.hint and error.hint[:HINT_MAX],
        details={"log": log[-LOG_MAX:]} if isinstance(log, str) else {},
    ).to_dict()


def _wrong(result: RunResult, request: RunRequest, folder: Path) -> Iterator[str]:
    """What is wrong with it, in words."""
    if (result.import_ns is None) is not (request.kind in (RunKind.TOTAL, RunKind.DESCRIBE)) or (
        result.import_ns or 0
    ) < 0:
        yield "the time of the import"
    if request.measure is Measure.MEMORY and request.kind is not RunKind.TOTAL:
        yield from _edges(result.import_edges, 3)
    if (result.total is None) is (request.kind is RunKind.TOTAL):
        yield "the whole way"
    if result.total is not None:
        yield from _edges(result.total.edges, 3)
        if result.total.witnesses is None:
            yield "no witnesses of the whole way"
    if request.kind is RunKind.INSPECT:
        yield from _inspection(result)
    if request.kind is RunKind.DESCRIBE and result.description is None:
        yield "no description"
    if request.kind is RunKind.LAYERS:
        yield from _layers(result)
    if request.kind is RunKind.SUSTAINED:
        yield from _sustained(result)
    if request.kind is RunKind.FIRST_LOAD and result.residency is None:
        yield "no residency"
    if request.kind is RunKind.INFER:
        yield from _outputs(result, request, folder)
    if set(result.stages) != set(_STAGES.get(request.kind, ())):
        yield f"the stages {', '.join(sorted(result.stages)) or 'none'}"
    for name, stage in result.stages.items():
        yield from _stage(name, stage, request)


def _inspection(result: RunResult) -> Iterator[str]:
    found = result.inspection
    if found is None or result.floor_ns is None or result.floor_ns <= 0:
        yield "no inspection"
        return
    yield from _tensors([item.spec for item in found.inputs], "input")
    yield from _tensors(found.outputs, "output")
    counts = ("parameters", "parameter_bytes", "operators", "multiply_accumulates")
    yield from (f"{name} below 0" for name in counts if (getattr(found.description, name) or 0) < 0)


def _tensors(specs: Iterable[TensorSpec], what: str) -> Iterator[str]:
    names = set()
    for spec in specs:
        if spec.name in names:
            yield f"two {what}s of one name"
        names.add(spec.name)
        elements = 1
        for size in spec.sizes:
            elements *= max(1, size)
            if size < 0 or elements > _MOST_ELEMENTS:
                yield f"the shape of an {what}"
                return


def _layers(result: RunResult) -> Iterator[str]:
    found = result.layer_pass
    if found is None or not (found.layers or found.reason):
        yield "no layers and no reason"
        return
    figures = [
        (one.time_ns, one.output_bytes, one.cycles, one.lower_ns, one.p10_ns, one.p90_ns) for one in found.layers
    ]
    if any(value is not None and value < 0 for row in (*figures, *found.times_ns, found.overlaps_ns) for value in row):
        yield "a layer's figures below 0"
    counts = {len(found.times_ns), len(found.calm), len(found.overlaps_ns) or found.iterations}
    if found.layers and (counts != {found.iterations} or any(len(row) != len(found.layers) for row in found.times_ns)):
        yield "times of other layers or iterations"


def _sustained(result: RunResult) -> Iterator[str]:
    found = result.sustained
    if found is None or not 1 <= len(found.windows) <= SUSTAINED_WINDOWS_MOST:
        yield "no windows, or too many"
        return
    for before, after in pairwise(found.windows):
        if after.at_ns < before.at_ns + before.wall_ns:
            yield "windows in another order than they were made"
            return
    for window in found.windows:
        counted = (
            window.delay_ns,
            window.throttled_ns,
            window.stolen_ns,
            window.others_ns,
            window.kernel_ns,
            window.throttle_events,
        )
        told = (window.clock_hz, window.celsius, window.held_back)
        sound = (
            window.at_ns >= 0 and window.wall_ns > 0 and window.count > 0 and 0 < window.minimum_ns <= window.median_ns
        )
        if not sound or min(one or 0 for one in counted) < 0 or len(window.core) > CORE_MAX:
            yield "the figures of a window"
            return
        if not all(one is None or isfinite(one) for one in told):
            yield "the readings of a window"
            return


def _outputs(result: RunResult, request: RunRequest, folder: Path) -> Iterator[str]:
    if len(result.outputs) != len(request.batches):
        yield f"outputs of {len(result.outputs)} batches instead of {len(request.batches)}"
    if len({tuple(files) for files in result.outputs}) > 1:
        yield "other outputs from batch to batch"
    for path in (Path(path) for files in result.outputs for path in files.values()):
        if path.parent != folder:
            yield f"an output at {str(path)[:200]!r}"


def _stage(name: str, stage: StagePass, request: RunRequest) -> Iterator[str]:
    if stage.witnesses is None:
        yield f"no witnesses of {name}"
    if request.measure is Measure.MEMORY:
        yield from _edges(stage.edges, 3)
    most = request.room if name == StageName.INFERENCE else 1
    if not 1 <= len(stage.values_ns) <= most or min(stage.values_ns) <= 0:
        yield f"the times of {name}"
    if min((*stage.warmup_ns, stage.first_ns or 0, stage.io_bytes, *stage.accelerator.values())) < 0:
        yield f"figures of {name} below 0"
    if name == StageName.INFERENCE:
        yield from _windows(stage)
    for file in stage.files:
        untrusted.relative_path(file.path)
        if file.bytes < 0:
            yield f"the size of {file.path[:200]!r}"


def _windows(stage: StagePass) -> Iterator[str]:
    counts = [window.count for window in stage.windows]
    if min(counts, default=0) < 1 or sum(counts) != len(stage.values_ns):
        yield f"windows of {sum(counts)} iterations instead of {len(stage.values_ns)}"
    for window in stage.windows:
        told = (window.warmup_ns, window.cpu_ns, window.delay_ns, window.throttled_ns, window.kernel_ns)
        if min(window.wall_ns, *(value or 0 for value in told)) < 0 or len(window.core) > CORE_MAX:
            yield "the witnesses of a window"


def _edges(edges: tuple[MemoryEdge, ...], count: int) -> Iterator[str]:
    if len(edges) != count:
        yield f"{len(edges)} readings of memory instead of {count}"
        return
    if list(edges) != sorted(edges, key=lambda edge: edge.at_ns):
        yield "readings of memory in another order than they were made"
    for edge in edges:
        if min(getattr(edge, name) for name in MemoryEdge.__dataclass_fields__) < 0:
            yield "a reading of memory below 0"
