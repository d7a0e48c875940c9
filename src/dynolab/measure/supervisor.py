"""Runs a whole campaign on the device: ``python -m dynolab.measure.supervisor FOLDER``.

Reads ``campaign.json``, spawns one worker process after the other, and leaves ``measured.json``. Progress goes to
standard output, one JSON object a line. Small on purpose: no runtime is ever loaded here.
"""

from __future__ import annotations

import json
import mmap
import shutil
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from dynolab import errors
from dynolab.measure import cage as cage_module
from dynolab.measure import environment, memory, pagecache, plan, process, verdict
from dynolab.measure.clock import now_ns
from dynolab.measure.protocol import (
    CAMPAIGN_FILE,
    CANDIDATE_FILE,
    MEASURED_FILE,
    PROTOCOL_VERSION,
    VALUES_FILE,
    Campaign,
    InputPlan,
    Inspection,
    Measure,
    Measured,
    RunKind,
    RunRequest,
    RunResult,
    read,
    write,
)
from dynolab.spec import options as options_module
from dynolab.spec.models import ModelFormat
from dynolab.spec.profiles import ColdProof, MemoryRun, Plan, Range, TimingRun
from dynolab.spec.tensors import TensorSpec

LOG_KEPT_BYTES = 20_000


def emit(**event: Any) -> None:
    """One line of progress."""
    print(json.dumps(event), flush=True)


class Supervisor:
    """One campaign, in the order of measuring.md: inspection, then time, then memory, then layers."""

    def __init__(self, folder: Path, campaign: Campaign) -> None:
        self.folder = folder
        self.campaign = campaign
        self.options = options_module.parse(campaign.options_text)
        self.started_ns = now_ns()
        self.deadline_ns = None if campaign.timeout_s is None else self.started_ns + int(campaign.timeout_s * 1e9)
        self.cage = cage_module.make(campaign.memory_limit_bytes)
        self.artifact_dir, self.cache_dir = folder / "artifact", folder / "cache"
        self.runs = 0
        self.inspection: Inspection | None = None
        self.logs: list[str] = []
        self.measured = Measured(
            protocol=PROTOCOL_VERSION,
            error=None,
            log="",
            wall_ns=0,
            work_ns=0,
            device=environment.device_facts(),
            environment=environment.environment(),
            best=dict(campaign.best),
            memory_reason=memory.unavailable(),
            memory_resolution_bytes=memory.resolution_bytes(),
        )

    def note(self, **changes: Any) -> None:
        """Add to what was measured."""
        self.measured = replace(self.measured, **changes)

    def carry_out(self) -> Measured:
        """Measure; an error of the model or the user ends the campaign and is part of what was measured."""
        for folder in (self.artifact_dir, self.cache_dir):
            folder.mkdir()
        try:
            self.inspect()
            self.time_stages()
            self.memory_stages()
            self.layers()
            self.total()
            self.floor()
        except errors.Error as error:
            self.note(error=error.to_dict())
        finally:
            self.cage.close()
        self.note(wall_ns=now_ns() - self.started_ns, log="".join(self.logs)[-LOG_KEPT_BYTES:])
        return self.measured

    # -- one run ------------------------------------------------------------------------------------------------

    def request(self, kind: RunKind, measure: Measure, **changes: Any) -> RunRequest:
        """A request of this campaign; inputs and outputs as the inspection found them."""
        found, campaign = self.inspection, self.campaign
        request = RunRequest(
            protocol=PROTOCOL_VERSION,
            kind=kind,
            measure=measure,
            runtime=campaign.runtime,
            model=campaign.model,
            format=campaign.format,
            artifact_dir=str(self.artifact_dir),
            cache_dir=str(self.cache_dir),
            options_text=campaign.options_text,
            seed=campaign.seed,
            inputs=found.inputs if found else (),
            outputs=found.outputs if found else (),
            wishes=campaign.wishes,
            time_limit_ns=int(self.options.max_profiler_time_s * 1e9),
            memory_limit_bytes=campaign.memory_limit_bytes if self.cage.watches else None,
            cold_files=(*campaign.files, *self._artifact_files()),
        )
        return replace(request, **changes)

    def _artifact_files(self) -> list[str]:
        return [str(path) for path in sorted(self.artifact_dir.rglob("*")) if path.is_file()]

    def spawn(self, request: RunRequest, on_look: Callable[[], None] | None = None) -> process.Outcome:
        """One run; raises the error of the model, if there is one."""
        self.runs += 1
        folder = self.folder / "runs" / f"{self.runs:03d}"
        outcome = process.run(folder, request, deadline_ns=self.deadline_ns, cage=self.cage, on_look=on_look)
        self.note(work_ns=self.measured.work_ns + outcome.wall_ns)
        if outcome.log:
            self.logs.append(f"--- {request.kind} ({request.measure}), run {self.runs}\n{outcome.log.rstrip()}\n")
        if outcome.result.error is not None:
            raise errors.from_dict(outcome.result.error)
        self._learn(outcome.result)
        return outcome

    def _learn(self, result: RunResult) -> None:
        """Keep what any run tells: versions, import times, the best reference readings of this device."""
        if result.versions:
            self.note(versions=result.versions)
        if result.import_ns is not None:
            self.note(import_times_ns=(*self.measured.import_times_ns, result.import_ns))
        if result.effective:
            self.note(effective=result.effective)
        if result.witnesses is not None:
            self.note(best=verdict.better(self.measured.best, result.witnesses))

    # -- inspection ---------------------------------------------------------------------------------------------

    def inspect(self) -> None:
        """Describe the model and find inputs that it accepts; a native crash on one candidate leads to the next."""
        emit(event="stage", stage="inspect", text="reading the model and finding inputs that it accepts")
        candidate = 0
        while True:
            request = self.request(RunKind.INSPECT, Measure.NOTHING, first_candidate=candidate)
            try:
                found = self.spawn(request).result.inspection
                break
            except errors.WorkerCrashed:
                marker = self.folder / "runs" / f"{self.runs:03d}" / CANDIDATE_FILE
                if not marker.exists() or int(marker.read_text()) + 1 >= plan.CANDIDATE_TRIES:
                    raise
                candidate = int(marker.read_text()) + 1
        if found is None:
            raise errors.Bug("the inspection left no outcome")
        self.inspection = found
        self.note(inspection=found)
        for note in found.notes:
            emit(event="note", text=note)

    # -- time ---------------------------------------------------------------------------------------------------

    def time_stages(self) -> None:
        """The timing passes: compile, then cold and warm loads in pairs, then the loop's processes."""
        if self.inspection is not None and self.inspection.compiles:
            self._time_compile()
        for index in range(self.campaign.repeats):
            self._time(RunKind.FIRST_LOAD, index, self._make_cold)
            self._time(RunKind.WARM_LOAD, index, self._make_warm)
        self._time_inference()
        self._note_plan()

    def _time_compile(self) -> None:
        self._time(RunKind.COMPILE, 0, self._wipe)
        first = self.measured.timing[RunKind.COMPILE][0].values_ns[0]
        for index in range(1, plan.compile_runs(first, self.campaign.repeats)):
            self._time(RunKind.COMPILE, index, self._wipe)

    def _time_inference(self) -> None:
        limit_ns = int(self.options.max_profiler_time_s * 1e9)
        processes = plan.timing_processes(self.options, self.campaign.repeats)
        self._spent_ns = 0
        for index, iterations in enumerate(processes):
            left = max(1, (limit_ns - self._spent_ns) // (len(processes) - index))
            self._time(RunKind.INFERENCE, index, self._make_warm, iterations=iterations, time_limit_ns=left)

    def _time(self, kind: RunKind, index: int, prepare: Callable[[], None], **changes: Any) -> None:
        """One process of a timing pass, tried again while its witnesses call it noisy."""
        tries: list[TimingRun] = []
        for attempt in range(1, plan.MAX_TRIES + 1):
            prepare()
            emit(event="stage", stage=kind, text="time", process=index + 1, attempt=attempt)
            request = self.request(kind, Measure.TIME, **changes)
            result = self.spawn(request, self._progress(kind, request)).result
            tries.append(self._timing_run(kind, result, index, attempt))
            self._note_load(kind, result)
            if tries[-1].verdict.trust == "clean" or not self._time_left_for_another(kind, tries, changes):
                break
        best = verdict.best_try([run.verdict for run in tries])
        chosen = tuple(replace(run, chosen=number == best) for number, run in enumerate(tries))
        self.note(timing={**self.measured.timing, kind: (*self.measured.timing.get(kind, ()), *chosen)})

    def _time_left_for_another(self, kind: RunKind, tries: Sequence[TimingRun], changes: dict[str, Any]) -> bool:
        """Retries of the loop count against its time budget; a long compilation is never repeated."""
        last = tries[-1]
        used = sum(last.values_ns) + sum(last.warmup_ns)
        if kind is RunKind.INFERENCE:
            self._spent_ns += used
            return self._spent_ns + used < int(self.options.max_profiler_time_s * 1e9)
        return used < plan.SHORT_COMPILE_NS

    def _timing_run(self, kind: RunKind, result: RunResult, index: int, attempt: int) -> TimingRun:
        if result.witnesses is None:
            raise errors.Bug("a timing run left no witnesses")
        judged = verdict.judge_timing(
            result.witnesses,
            best=self.measured.best,
            warm=kind in (RunKind.WARM_LOAD, RunKind.INFERENCE),
        )
        return TimingRun(
            process=index,
            attempt=attempt,
            chosen=False,
            values_ns=result.values_ns,
            warmup_ns=result.warmup_ns,
            first_ns=result.first_ns,
            witnesses=result.witnesses,
            verdict=judged,
        )

    def _note_load(self, kind: RunKind, result: RunResult) -> None:
        """What a load shows besides its time: cold or not, the files that it left, accelerator memory."""
        self.note(files={**self.measured.files, kind: result.files or self.measured.files.get(kind, ())})
        if result.accelerator:
            self.note(accelerator={**self.measured.accelerator, kind: result.accelerator})
        if kind is RunKind.FIRST_LOAD and result.residency is not None and result.witnesses is not None:
            proof = cold_proof(result, pagecache.file_system(Path(self.campaign.model)))
            self.note(cold=(*self.measured.cold, proof))

    def _progress(self, kind: RunKind, request: RunRequest) -> Callable[[], None] | None:
        if kind is not RunKind.INFERENCE:
            return None
        path = self.folder / "runs" / f"{self.runs + 1:03d}" / VALUES_FILE

        def look() -> None:
            count, minimum = look_into(path)
            if count:
                emit(event="iteration", count=count, of=request.iterations, minimum_ns=minimum)

        return look

    def _note_plan(self) -> None:
        timing = {kind: len({run.process for run in runs}) for kind, runs in self.measured.timing.items()}
        repeats = 0 if self.measured.memory_reason else self.campaign.repeats
        compiles = self.inspection is not None and self.inspection.compiles
        memory_runs = {str(kind): repeats for kind in (*plan.LOADS, RunKind.INFERENCE)}
        memory_runs[RunKind.COMPILE] = int(bool(repeats and compiles))
        self.note(
            plan=Plan(
                timing_runs={str(kind): count for kind, count in timing.items()},
                memory_runs=memory_runs,
                layer_iterations=plan.layer_iterations(self._fastest_ns()),
                max_iterations=self.options.max_profiler_iterations,
                max_time_s=self.options.max_profiler_time_s,
                memory_limit_method=self.cage.method,
            )
        )

    def _fastest_ns(self) -> int:
        runs = self.measured.timing[RunKind.INFERENCE]
        return min(min(run.values_ns) for run in runs if run.chosen)

    # -- caches and files ---------------------------------------------------------------------------------------

    def _wipe(self) -> None:
        """Empty the artifact's and the caches' folders."""
        for folder in (self.artifact_dir, self.cache_dir):
            shutil.rmtree(folder)
            folder.mkdir()

    def _make_cold(self) -> None:
        """Wipe the runtime's caches; put the files of model and artifact out of the page cache."""
        shutil.rmtree(self.cache_dir)
        self.cache_dir.mkdir()
        for path in (*self.campaign.files, *self._artifact_files()):
            pagecache.evict(Path(path))

    def _make_warm(self) -> None:
        """Have all files in the page cache, as a load that just happened leaves them."""
        cached = [path for path in self.cache_dir.rglob("*") if path.is_file()]
        for path in (*map(Path, self.campaign.files), *map(Path, self._artifact_files()), *cached):
            with path.open("rb") as file:
                while file.read(1 << 22):
                    pass

    # -- memory -------------------------------------------------------------------------------------------------

    def memory_stages(self) -> None:
        """The memory passes, in processes of their own."""
        if self.measured.memory_reason is not None or self.measured.plan is None:
            return
        count = self.measured.plan.memory_runs
        artifact = self._keep_artifact()
        for index in range(count[RunKind.COMPILE]):
            self._memory(RunKind.COMPILE, index, self._wipe)
        self._restore_artifact(artifact)
        for index in range(count[RunKind.FIRST_LOAD]):
            self._memory(RunKind.FIRST_LOAD, index, self._make_cold)
            self._memory(RunKind.WARM_LOAD, index, self._make_warm)
        for index in range(count[RunKind.INFERENCE]):
            self._memory(RunKind.INFERENCE, index, self._make_warm, iterations=plan.MEMORY_ITERATIONS)

    def _keep_artifact(self) -> Path:
        kept = self.folder / "artifact.kept"
        self.artifact_dir.rename(kept)
        self.artifact_dir.mkdir()
        return kept

    def _restore_artifact(self, kept: Path) -> None:
        shutil.rmtree(self.artifact_dir)
        kept.rename(self.artifact_dir)

    def _memory(self, kind: RunKind, index: int, prepare: Callable[[], None], **changes: Any) -> None:
        prepare()
        emit(event="stage", stage=kind, text="memory", process=index + 1, attempt=1)
        outcome = self.spawn(self.request(kind, Measure.MEMORY, **changes))
        run = memory_run(outcome, index)
        if index == 0 and kind is RunKind.WARM_LOAD:
            before, after, released = outcome.result.import_edges
            inside = memory.within(outcome.samples, before, after)
            _, increase = memory.ranges(before, after, released, inside)
            self.note(import_memory=increase)
        self.note(memory={**self.measured.memory, kind: (*self.measured.memory.get(kind, ()), run)})

    def total(self) -> None:
        """The one plain figure: the peak of a whole app's way through, in one process."""
        if self.measured.memory_reason is not None:
            return
        emit(event="stage", stage="total", text="memory")
        self._make_warm()
        request = self.request(RunKind.TOTAL, Measure.MEMORY, iterations=plan.MEMORY_ITERATIONS)
        outcome = self.spawn(request)
        start, end, released = outcome.result.edges
        peak, _ = memory.ranges(start, end, released, memory.within(outcome.samples, start, end))
        self.note(total_peak=Range(max(0, peak.lower), max(0, peak.upper)))

    # -- layers and floor ---------------------------------------------------------------------------------------

    def layers(self) -> None:
        """The layer pass."""
        emit(event="stage", stage="layers", text="time of each layer")
        self._make_warm()
        iterations = plan.layer_iterations(self._fastest_ns())
        result = self.spawn(self.request(RunKind.LAYERS, Measure.NOTHING, iterations=iterations)).result
        self.note(
            layers=result.layers,
            layer_iterations=result.layer_iterations,
            layer_resolution_ns=result.layer_resolution_ns,
            layer_note=result.layer_note,
            layers_reason=result.layers_reason,
        )

    def floor(self) -> None:
        """What the harness itself costs: the same loop around a model that does nothing."""
        emit(event="stage", stage="floor", text="the harness's own cost")
        model = self.folder / "floor.null"
        model.write_text("{}", encoding="utf-8")
        spec = TensorSpec("x", "float32", (1,))
        request = self.request(
            RunKind.INFERENCE,
            Measure.TIME,
            runtime="null",
            model=str(model),
            format=ModelFormat.NULL,
            options_text="",
            inputs=(InputPlan(spec, 0.0, 1.0),),
            outputs=(),
            iterations=plan.FLOOR_ITERATIONS,
        )
        folder = self.folder / "runs" / "floor"
        outcome = process.run(folder, request, deadline_ns=self.deadline_ns, cage=self.cage)
        self.note(work_ns=self.measured.work_ns + outcome.wall_ns)
        if outcome.result.error is not None:
            raise errors.from_dict(outcome.result.error)
        self.note(floor_ns=min(outcome.result.values_ns))


def memory_run(outcome: process.Outcome, index: int) -> MemoryRun:
    """The raw ends of one memory pass, from the worker's edges and the supervisor's samples joined by time."""
    result = outcome.result
    start, end, released = result.edges
    if result.witnesses is None:
        raise errors.Bug("a memory run left no witnesses")
    inside = memory.within(outcome.samples, start, end)
    peak, increase = memory.ranges(start, end, released, inside)
    return MemoryRun(
        process=index,
        start=start,
        end=end,
        released=released,
        samples=len(inside),
        largest_file_bytes=memory.largest_file_bytes([start, end, released, *inside]),
        peak_raw=peak,
        increase_raw=increase,
        io_bytes=result.io_bytes,
        witnesses=result.witnesses,
        verdict=verdict.judge_memory(result.witnesses),
    )


def cold_proof(result: RunResult, file_system: str | None) -> ColdProof:
    """What one first load shows of its coldness: residency just before it, blocks read and major faults in it."""
    found, grown = result.residency, result.witnesses.grown if result.witnesses else {}
    assert found is not None
    resident, total = found.resident_bytes, found.total_bytes
    blocks = grown.get("faults.read_bytes")
    faults = grown.get("faults.major")
    if resident is None:
        reason = found.reason or "residency is not known"
    elif resident:
        reason = f"{resident} of {total} bytes of the model's files could not be put out of the page cache"
    else:
        reason = f"none of {total} bytes of the model's files was in the page cache just before the load"
    return ColdProof(
        proven=resident == 0,
        reason=reason + (f" (file system {file_system})" if file_system else ""),
        resident_before_bytes=resident,
        total_bytes=total,
        blocks_read_bytes=None if blocks is None else int(blocks),
        major_faults=None if faults is None else int(faults),
        file_system=file_system,
    )


def look_into(path: Path) -> tuple[int, int]:
    """Iterations done and the smallest so far, from a loop that is still running; (0, 0) before it began."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as view:
            with memoryview(view) as plain, plain.cast("q") as values:
                done = [value for value in values.tolist() if value]
    except (OSError, ValueError):
        return 0, 0
    return len(done), min(done, default=0)


def main(arguments: list[str]) -> int:
    """Carry out the campaign in the folder given; a terminate signal ends it and its workers."""
    folder = Path(arguments[0])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    campaign = read(Campaign, folder / CAMPAIGN_FILE)
    write(Supervisor(folder, campaign).carry_out(), folder / MEASURED_FILE)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
