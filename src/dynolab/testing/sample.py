"""Made-up profiles for tests and demonstrations of reports: full, empty, hostile, large. Nothing here was measured."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from random import Random
from typing import Any

from dynolab.errors import Bug
from dynolab.measure.sustained import Around, judge
from dynolab.spec.devices import DeviceFacts
from dynolab.spec.energy import EnergySummary, SensorEnergy
from dynolab.spec.measurements import (
    ComputeUnit,
    Layer,
    LoopWindow,
    MemoryEdge,
    Notice,
    Range,
    RuntimeRow,
    StageName,
    SustainedWindow,
    Witnesses,
)
from dynolab.spec.models import FileFact, ModelFacts, ModelFormat
from dynolab.spec.profiles import (
    SCHEMA_VERSION,
    ColdProof,
    ImportCost,
    LayerTable,
    MemoryGrowth,
    MemoryRun,
    MemorySummary,
    Plan,
    Profile,
    Request,
    RuntimeFacts,
    Stage,
    Tensor,
    TimeSummary,
    TimingRun,
    Trust,
    Verdict,
)
from dynolab.spec.stats import median_range, spread, summarise
from dynolab.spec.tensors import TensorSpec

MB = 10**6
MS = 10**6
"""Nanoseconds."""
CLEAN = Verdict(Trust.CLEAN)
NO_STAGE = "made up: nothing was measured"
HOSTILE = '<script>document.title="taken"</script><img src=x onerror=alert(1)> & "quoted" \x00\x1b[31mred\u202e'
"""Markup, a NUL, a terminal's escape sequence and a mark that turns the reading direction round."""


def sample_profile(**changes: Any) -> Profile:
    """A full and plausible profile of a model that does not exist; ``changes`` replace fields of the profile."""
    profile = _sample()
    return replace(profile, **{"environment": dict(profile.environment), **changes})


@cache
def _sample() -> Profile:
    random = Random(7)
    return Profile(
        schema_version=SCHEMA_VERSION,
        dynolab_version="0.1.0",
        created_at="2026-03-14T09:26:53Z",
        request=_request(),
        plan=_plan(),
        device=_device(),
        environment={"python": "3.11.7", "libc": "glibc 2.36", "governor": "performance", "container": "none"},
        model=_model(),
        runtime=_runtime(),
        inputs=(Tensor(TensorSpec("image", "float32", (1, 3, 224, 224)), "random uniform [0, 1), seed 20250"),),
        outputs=(Tensor(TensorSpec("scores", "float32", (1, 1000)), "the model"),),
        compile=_compile(random),
        first_load=_first_load(random),
        warm_load=_warm_load(random),
        inference=_inference(random),
        layers=layer_table(68),
        runtime_import=ImportCost(184 * MS, Range(21_300_000, 48_700_000), (191 * MS, 184 * MS, 186 * MS)),
        first_inference_ns=21_400_000,
        process_total_peak=Range(214_600_000, 268_900_000),
        process_total_reason=None,
        harness_floor_ns=412,
        wall_ns=38_200_000_000,
        work_ns=33_900_000_000,
        notices=_notices(),
        log=_LOG,
        energy=_energy(),
    )


def sustained_profile(**changes: Any) -> Profile:
    """A profile with a sustained run of ten minutes on a board that throttles after three: it tells clock and temperature."""
    random = Random(11)
    windows = []
    for second in range(600):
        heat = min(1.0, second / 180)
        slow = 1.0 if second < 180 else 1.25
        median_ns = int(9_600_000 * slow * (1 + random.random() * 0.02))
        windows.append(
            SustainedWindow(
                at_ns=second * 10**9,
                wall_ns=10**9,
                count=10**9 // median_ns,
                minimum_ns=int(median_ns * 0.985),
                median_ns=median_ns,
                delay_ns=random.randrange(400_000),
                throttled_ns=0,
                stolen_ns=0,
                others_ns=random.randrange(20_000_000),
                kernel_ns=int(101_000 * slow),
                clock_hz=2.4e9 / slow,
                celsius=46 + 38 * heat,
                held_back=0.0 if second < 180 else 3.0,
                throttle_events=0,
            )
        )
    around = Around(600.0, {"reference_kernel.integer_ns": 100_000.0}, is_shared=False, inference_ns=9_400_000)
    return replace(sample_profile(), sustained=judge(windows, around), **changes)


def unmeasured_profile(**changes: Any) -> Profile:
    """A profile of which every part that may be missing is missing, each with its reason."""
    stages = {
        name.value: Stage(name, NO_STAGE, None, NO_STAGE, (), None, NO_STAGE, Verdict(Trust.INVALID, (NO_STAGE,)))
        for name in StageName
    }
    bare: dict[str, Any] = {
        **stages,
        "layers": LayerTable((), NO_STAGE, None, None, 0, None),
        "environment": {},
        "inputs": (),
        "outputs": (),
        "runtime_import": None,
        "first_inference_ns": None,
        "process_total_peak": None,
        "process_total_reason": NO_STAGE,
        "harness_floor_ns": None,
        "wall_ns": 0,
        "work_ns": 0,
        "notices": (),
        "log": "",
        "energy": EnergySummary(None, None, "", None, None, NO_STAGE, unavailable={"rapl": NO_STAGE}),
    }
    return sample_profile(**{**bare, **changes})


def _energy() -> EnergySummary:
    """A CPU that tells its energy, beside a board whose monitor stopped answering and a battery that charges."""
    cpu = SensorEnergy("rapl", "RAPL (package-0)", 3.12, 21.4, 0.0934, 0.0021, (0.0921, 0.0934, 0.0963))
    board = SensorEnergy("board", "power monitor (VDD_IN)", None, None, None, None, reason="it stopped answering")
    return EnergySummary(
        joules=cpu.joules,
        uncertainty_joules=cpu.uncertainty_joules,
        source=cpu.told,
        idle_watts=cpu.idle_watts,
        loop_watts=cpu.loop_watts,
        reason=None,
        sensors=(cpu, board),
        unavailable={
            "battery": "the battery does not power the device (BAT0: Charging), so its gauge tells nothing of it"
        },
    )


def hostile_profile(**changes: Any) -> Profile:
    """A profile whose names carry markup, control characters and 5,000 letters without a break."""
    base = sample_profile()
    layers = tuple(
        replace(layer, name=f"{HOSTILE}{number}", type="<b>Conv</b>|*`" if number else "x" * 5000)
        for number, layer in enumerate(base.layers.layers[:20])
    )
    bad: dict[str, Any] = {
        "model": replace(base.model, name=HOSTILE + "n" * 5000),
        "device": replace(base.device, name="</title><h1>" + HOSTILE),
        "runtime": replace(base.runtime, effective={HOSTILE: HOSTILE, "intra_op_num_threads": "</td>"}),
        "environment": {"</script>": HOSTILE},
        "layers": replace(base.layers, layers=layers),
        "notices": (Notice("loud", "X", HOSTILE),),
        "log": f"{HOSTILE}\n</pre>\n--><!--",
    }
    return replace(base, **{**bad, **changes})


def noisy_profile(**changes: Any) -> Profile:
    """The sample with an inference stage that other processes disturbed."""
    base = sample_profile()
    time = base.inference.time
    if time is None:
        raise Bug("the sample has an inference time")
    reason = "its threads waited for a CPU, 6.2 % of the time"
    noisy = Verdict(Trust.NOISY, (reason,), {"range_width": 0.24, "delay_share": 0.062})
    time = replace(time, lower_ns=int(0.76 * time.minimum_ns), verdict=noisy)
    return replace(base, inference=replace(base.inference, time=time, verdict=noisy), **changes)


def layer_table(count: int, seed: int = 11) -> LayerTable:
    """A table of ``count`` layers, blocks of convolutions on an NPU with a few that fell back to the CPU."""
    random = Random(seed)
    rough = [_layer(number, count, random) for number in range(count)]
    scale = 8_617_000 / sum(layer.time_ns for layer in rough)
    layers = tuple(_with_spread(replace(layer, time_ns=int(layer.time_ns * scale))) for layer in rough)
    total, fastest = sum(layer.time_ns for layer in layers), sum(layer.lower_ns or 0 for layer in layers)
    note = "times of fused operators stand at the first of them"
    return LayerTable(layers, None, total, 0.037, 20, 1000, note, calm_iterations=18, lower_sum_ns=fastest)


def disturbed_table(count: int = 9) -> LayerTable:
    """A table of a pass without calm, whose layers add up to too much."""
    return replace(layer_table(count), overhead=0.612, calm_iterations=0)


def _with_spread(layer: Layer) -> Layer:
    ns = layer.time_ns
    return replace(layer, lower_ns=int(ns * 0.96), p10_ns=int(ns * 0.98), p90_ns=int(ns * 1.07))


# ---- parts ----------------------------------------------------------------------------------------------------------


def _request() -> Request:
    wanted = (
        "estimated_inference_time <= 33 ms", "inference_memory_peak <= 42 MB", "warm_load_time < 80 ms",
        "npu_layer_share >= 90 %",
    )  # fmt: skip
    options = "--compute_unit npu,cpu --max_profiler_iterations 120"
    return Request("sample.onnx", "onnxruntime", options, {}, {}, {}, 3, 20250, None, None, wanted)


def _plan() -> Plan:
    runs = {"compile": 3, "first_load": 3, "warm_load": 3, "inference": 3}
    return Plan(runs, dict.fromkeys(runs, 3), 20, 120, 600.0)


def _device() -> DeviceFacts:
    return DeviceFacts(
        "Example board (made up)", "Linux", "6.18", "6.18.0-example", "aarch64", "Octa-core 2.8 GHz", 8, 8_000_000_000,
        4096, ("Example NPU v3",), {"vendor": "nobody"},
    )  # fmt: skip


def _model() -> ModelFacts:
    return ModelFacts(
        "sample (made up)", ModelFormat.ONNX, "0" * 64, 14_214_336, (FileFact("sample.onnx", 14_214_336),), 3_504_872,
        14_019_488, "opset 17", "float32", 68, 300_774_272, "nobody",
    )  # fmt: skip


def _runtime() -> RuntimeFacts:
    return RuntimeFacts(
        "onnxruntime",
        {"onnxruntime": "1.31.1"},
        RuntimeRow("the provider's context file", "the context file's cache", "arena growth at first inference"),
        {
            "providers": "ExampleExecutionProvider, CPUExecutionProvider",
            "intra_op_num_threads": "4",
            "execution_mode": "SEQUENTIAL",
            "graph_optimization_level": "ENABLE_ALL",
            "enable_cpu_memory_arena": "false",
            "precision": "float16",
        },
        (ComputeUnit.NPU, ComputeUnit.CPU),
    )


def _notices() -> tuple[Notice, ...]:
    return (
        Notice("loud", "fallback", "3 of 68 layers (4.9 % of the time) ran on another unit than NPU"),
        Notice("info", "negative-memory", "warm_load: memory shrank below the stage's start; shown as 0, kept raw"),
    )


_LOG = """\
10:26:31 worker 1 compile: artifact sample_ctx.onnx (9.4 MB) written
10:26:48 worker 9 inference: warm-up settled after 6 iterations
10:26:51 worker 12 layers: 20 iterations recorded
"""


def _witnesses(random: Random, wall_ns: int) -> Witnesses:
    return Witnesses(
        wall_ns,
        {
            "run_queue.delay_ns": float(int(wall_ns * random.uniform(0.0005, 0.004))),
            "context_switches.involuntary": float(random.randint(0, 4)),
            "faults.major": 0.0,
            "steal.stolen_ns": 0.0,
        },
        {"clock.max_hz": 2.8e9, "thermal.max_celsius": round(random.uniform(41, 44), 1)},
        {"clock.max_hz": 2.8e9, "thermal.max_celsius": round(random.uniform(43, 47), 1)},
        {"pressure": "/proc/pressure/cpu: No such file or directory"},
    )


def _timing(random: Random, process: int, values: list[int], warmup: list[int], first: int | None) -> TimingRun:
    witnesses = _witnesses(random, sum(values) + sum(warmup))
    windows = (LoopWindow(len(values), sum(values), cpu_ns=sum(values), delay_ns=0, kernel_ns=96_000),)
    return TimingRun(process, 1, True, tuple(values), tuple(warmup), first, witnesses, CLEAN, windows)


def _edge(at_ns: int, anonymous: int, file: int, high: int) -> MemoryEdge:
    return MemoryEdge(at_ns, anonymous + file, anonymous, file, 0, 0, 0, high)


def _memory_run(random: Random, process: int, grown: tuple[int, int, int, int]) -> MemoryRun:
    """``grown``: bytes of kept anonymous, kept file-backed, untrimmed slack and passing memory of the stage."""
    anonymous, file, slack, passing = (int(part * random.uniform(0.99, 1.01)) for part in grown)
    anon0, file0, at = 31_400_000, 24_900_000, 5_000_000_000
    start = _edge(at, anon0, file0, anon0 + file0)
    high = anon0 + file0 + anonymous + file + slack + passing
    end = _edge(at + 400 * MS, anon0 + anonymous + slack, file0 + file, high)
    released = _edge(at + 410 * MS, anon0 + anonymous, file0 + file, high)
    peak = Range(anonymous + slack + passing, anonymous + file + slack + passing)
    increase = Range(anonymous, anonymous + file + slack)
    return MemoryRun(process, start, end, released, 41, file0 + file, peak, increase, 606_112,
                     _witnesses(random, 410 * MS), CLEAN)  # fmt: skip


def _memory(random: Random, *grown_mb: float) -> MemorySummary:
    anonymous, file, slack, passing = (int(part * MB) for part in grown_mb)
    runs = tuple(_memory_run(random, process, (anonymous, file, slack, passing)) for process in (1, 2, 3))
    peaks, increases = [run.peak_raw for run in runs], [run.increase_raw for run in runs]
    extents = spread(peaks, increases)
    return MemorySummary(median_range(peaks), median_range(increases), extents, 262_144,
                         "/proc: VmHWM after clear_refs, smaps_rollup at the edges", runs, CLEAN)  # fmt: skip


def _loaded(random: Random, name: StageName, base_ns: int, grown_mb: tuple[float, ...], **more: Any) -> Stage:
    values = [int(base_ns * (1 + random.expovariate(40))) for _ in range(3)]
    runs = tuple(_timing(random, process, [value], [], None) for process, value in enumerate(values, 1))
    summary = _ranged(summarise([[value] for value in values], raised_by="--repeats"))
    return Stage(name, None, summary, None, runs, _memory(random, *grown_mb), None, CLEAN, **more)


def _ranged(summary: TimeSummary) -> TimeSummary:
    """With a narrow range."""
    return replace(summary, lower_ns=int(0.975 * summary.minimum_ns), verdict=CLEAN)


def _compile(random: Random) -> Stage:
    files = (FileFact("sample_ctx.onnx", 9_412_608),)
    return _loaded(random, StageName.COMPILE, 2_310 * MS, (1.2, 6.8, 14.5, 96.0), files_written=files)


def _first_load(random: Random) -> Stage:
    cold = ColdProof(True, "none of 23626944 bytes of the model's files was in the page cache just before the load", 0, 23_626_944, 23_486_464, 412,
                     "ext4")  # fmt: skip
    files = (FileFact("npu/graph_0.bin", 6_291_456), FileFact("npu/index.json", 2_114))
    text = "The first load left npu/graph_0.bin (6.3 MB), npu/index.json (2.1 kB) in the cache for the warm load."
    return _loaded(random, StageName.FIRST_LOAD, 612 * MS, (32.4, 14.1, 8.2, 21.0), cold=cold, files_written=files,
                   explanation=text)  # fmt: skip


def _warm_load(random: Random) -> Stage:
    text = "The first load read 23.5 MB from the disk."
    return _loaded(random, StageName.WARM_LOAD, 92 * MS, (31.6, 13.8, 2.1, 3.4), explanation=text)


def _inference(random: Random) -> Stage:
    runs, first = [], 21_400_000
    for process in (1, 2, 3):
        warmup = [int(8_310_000 * (1 + 1.4 / (turn + 1))) for turn in range(6)]
        values = [int(8_310_000 * (1 + random.expovariate(45))) for _ in range(40)]
        values[17] = int(values[17] * random.uniform(1.2, 2.6))
        runs.append(_timing(random, process, values, warmup, first + process * 90_000))
    summary = _ranged(summarise([run.values_ns for run in runs]))
    memory = replace(_memory(random, 5.6, 0.9, 3.1, 31.7), growth=MemoryGrowth(400, (40_000_000,) * 4))
    return Stage(StageName.INFERENCE, None, summary, None, tuple(runs), memory, None, CLEAN,
                 accelerator={"npu_allocated_bytes": 18_874_368})  # fmt: skip


_KINDS = (("Conv", 1.0), ("Clip", 0.08), ("DepthwiseConv", 0.55), ("Clip", 0.07), ("Conv", 0.8), ("Add", 0.05))


def _layer(number: int, count: int, random: Random) -> Layer:
    kind, weight = _KINDS[number % len(_KINDS)]
    if number == count - 1:
        kind, weight = "Softmax", 0.12
    fallback = number == count - 1 or number % 30 == 29
    unit, delegate = (ComputeUnit.CPU, "CPU") if fallback else (ComputeUnit.NPU, "Example")
    side = max(7, 112 >> (number * 5 // max(count, 1)))
    time_ns = int(280_000 * weight * random.uniform(0.5, 1.5))
    name = f"/features/block_{number // 6}/{kind.lower()}_{number % 6}/{kind}"
    return Layer(name, kind, unit, time_ns, time_ns * 2, side * side * 32 * 4, f"{delegate}ExecutionProvider")
