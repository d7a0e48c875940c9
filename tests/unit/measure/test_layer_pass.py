"""The layer pass: medians over calm iterations, what calm is, and when a fresh process tries again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynolab.errors import ModelNotSupported, WorkerCrashed
from dynolab.measure import layer_pass, layer_table, layer_times, layer_tries, plan
from dynolab.measure.layer_pass import WINDOW_ITERATIONS, CalmWatch
from dynolab.measure.layer_times import CALM_ENOUGH
from dynolab.measure.orders import Files
from dynolab.measure.protocol import LayerPass
from dynolab.measure.time_range import CALM_DELAY_SHARE, reference_name
from dynolab.measure.timed_loop import WINDOW_NS
from dynolab.measure.window_witnesses import WindowEdge
from dynolab.runtimes.base import LayerRecording
from dynolab.spec.measurements import ComputeUnit, Layer

CPU, GPU, NPU = ComputeUnit.CPU, ComputeUnit.GPU, ComputeUnit.NPU


def layer(name: str, time_ns: int, kind: str = "Conv", unit: ComputeUnit = CPU) -> Layer:
    return Layer(name, kind, unit, time_ns)


def rows(**times: Sequence[int]) -> list[list[Layer]]:
    """Iterations of layers that took so long in each."""
    return [[layer(name, ns) for name, ns in zip(times, row, strict=True)] for row in zip(*times.values(), strict=True)]


def recorded(calm: Sequence[bool], overlaps: Sequence[int] = (), **times: Sequence[int]) -> LayerPass:
    return layer_times.summed_up(LayerRecording(rows(**times), 1, overlaps_ns=overlaps), calm)


# ---- one time for each layer -----------------------------------------------------------------------------------------


def test_a_preemption_makes_no_hot_spot() -> None:
    found = layer_times.over_iterations(
        rows(small=[10, 10, 4_000, 11, 10], large=[100, 102, 101, 103, 100]), [True] * 5
    )
    assert {one.name: one.time_ns for one in found} == {"small": 10, "large": 101}
    assert {one.name: one.lower_ns for one in found} == {"small": 10, "large": 100}
    assert found[0].p90_ns == 4_000, "it is seen in the spread"


def test_calm_iterations_decide_and_the_fastest_is_of_all() -> None:
    calm = [False, *[True] * CALM_ENOUGH, False]
    (found,) = layer_times.over_iterations(rows(a=[9, *range(30, 30 + CALM_ENOUGH), 50]), calm)
    assert (found.time_ns, found.lower_ns, found.p10_ns, found.p90_ns) == (32, 9, 30, 34)
    (few,) = layer_times.over_iterations(rows(a=[9, *range(30, 30 + CALM_ENOUGH), 50]), [*calm[:-2], False, False])
    assert (few.time_ns, few.p90_ns) == (9, 50)


def test_where_none_is_calm_the_fastest_of_all_counts() -> None:
    """A scheduler that takes turns meets the same layer in most iterations."""
    small, large = layer_times.over_iterations(rows(small=[9, 4_000, 4_100], large=[60, 50, 55]), [False] * 3)
    assert (small.time_ns, small.p10_ns, small.p90_ns) == (9, 9, 4_100)
    assert large.time_ns == 50


def test_layers_are_matched_by_name_whatever_order_parallel_kernels_come_in() -> None:
    found = layer_times.over_iterations(
        [[layer("a", 1), layer("b", 20)], [layer("b", 22), layer("a", 3)], [layer("a", 2), layer("b", 24)]], [True] * 3
    )
    assert [(one.name, one.time_ns) for one in found] == [("a", 2), ("b", 22)]


def test_layers_of_one_name_are_matched_in_order() -> None:
    found = layer_times.over_iterations([[layer("a", 1), layer("a", 20)], [layer("a", 3), layer("a", 40)]], [True] * 2)
    assert [(one.name, one.time_ns) for one in found] == [("a", 2), ("a", 30)]


def test_a_layer_that_an_iteration_did_not_run_took_no_time_in_it() -> None:
    found = layer_times.over_iterations(
        [[layer("a", 5), layer("rare", 9)], [layer("a", 5)], [layer("a", 5)]], [True] * 3
    )
    assert {one.name: (one.time_ns, one.lower_ns) for one in found} == {"a": (5, 5), "rare": (0, 0)}


@given(st.lists(st.tuples(st.integers(0, 10**12), st.booleans()), min_size=1, max_size=60))
def test_the_ends_hold_the_median(seen: list[tuple[int, bool]]) -> None:
    times, calm = zip(*seen, strict=True)
    (found,) = layer_times.over_iterations(rows(a=times), calm)
    assert found.lower_ns is not None
    assert found.p10_ns is not None
    assert found.p90_ns is not None
    assert min(times) == found.lower_ns <= found.p10_ns <= found.p90_ns <= max(times)
    assert found.lower_ns <= found.time_ns <= max(times)


def test_iterations_without_layers_are_left_out_with_their_calm() -> None:
    found = layer_times.summed_up(
        LayerRecording([[], [layer("a", 7)], [], [layer("a", 3)]], 1), [True, False, True, True]
    )
    assert (found.iterations, found.calm, found.times_ns) == (2, (False, True), ((7,), (3,)))
    assert found.layers[0].time_ns == 3, "the fastest: one calm one is too few"


def test_an_iteration_that_nobody_watched_is_not_calm() -> None:
    assert recorded([True], a=[1, 2, 3]).calm == (True, False, False)


def test_no_layers_is_a_reason() -> None:
    assert layer_times.summed_up(LayerRecording([[], []], 1), [True, True]).reason == "the runtime recorded no layer"


def test_several_passes_count_together() -> None:
    found = layer_times.together(
        [recorded([False] * 2, a=[9, 8], b=[1, 1]), recorded([False, True], a=[7, 5], b=[1, 2])]
    )
    assert found.iterations == 4
    assert found.calm == (False, False, False, True)
    assert [(one.name, one.time_ns, one.lower_ns) for one in found.layers] == [("a", 5, 5), ("b", 1, 1)]
    assert found.times_ns == ((9, 1), (8, 1), (7, 1), (5, 2))


# ---- the table -------------------------------------------------------------------------------------------------------


def test_the_table_adds_up_medians_and_fastest_times() -> None:
    table = layer_table.table(recorded([True] * 3, a=[10, 12, 11], b=[50, 40, 60]), inference_ns=50)
    assert (table.total_ns, table.lower_sum_ns, table.calm_iterations) == (11 + 50, 10 + 40, 3)
    assert table.overhead == pytest.approx(61 / 50 - 1)
    assert not table.is_disturbed
    assert layer_table.notices(table) == []


def test_what_ran_side_by_side_is_no_overhead_and_bounds_nothing() -> None:
    table = layer_table.table(recorded([True] * 3, [50, 50, 0], a=[100] * 3, b=[50] * 3), inference_ns=100)
    assert (table.total_ns, table.overlap_ns, table.overhead, table.lower_sum_ns) == (150, 50, 0.0, None)


def test_a_disturbed_table_and_one_without_calm_say_so() -> None:
    table = layer_table.table(recorded([False] * 3, a=[126] * 3), inference_ns=100)
    assert table.is_disturbed
    codes = {notice.code: notice.text for notice in layer_table.notices(table)}
    assert "26.0 % more" in codes["layers-disturbed"]
    assert "all 3" in codes["layers-not-calm"]
    assert not layer_table.table(recorded([True], a=[125]), inference_ns=100).is_disturbed


# ---- calm windows ----------------------------------------------------------------------------------------------------


class Told:
    """Witnesses that tell, in order, how long threads waited so far, by a clock that stands still meanwhile."""

    def __init__(self, clock: SimpleNamespace, *delays_ns: int, kernel_ns: int = 100) -> None:
        self.clock, self.left, self.kernel_ns = clock, list(delays_ns), kernel_ns

    def read(self, threads: int) -> WindowEdge:
        delay_ns = self.left.pop(0) if self.left else None
        return WindowEdge(self.clock.ns, self.clock.ns, delay_ns, delay_ns, None, None, self.kernel_ns, threads, "")

    def close(self) -> None:
        pass


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    found = SimpleNamespace(ns=0)
    monkeypatch.setattr(layer_pass, "now_ns", lambda: found.ns)
    return found


def watched(monkeypatch: pytest.MonkeyPatch, told: Told, *lengths_ns: int) -> list[bool | None]:
    """Whether iterations of these lengths were calm."""
    monkeypatch.setattr(layer_pass, "WindowWitnesses", lambda: told)
    watch = CalmWatch({reference_name(1): 100.0})

    def run(length: int) -> int:
        told.clock.ns += length
        return length

    for length in lengths_ns:
        assert watch(lambda length=length: run(length)) == length  # type: ignore[misc] # bound at once
    watch.close()
    return watch.calm()


def test_each_window_is_judged_by_what_threads_waited_in_it(
    clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    most = int(CALM_DELAY_SHARE * WINDOW_NS)
    told = Told(clock, 5 * 10**9, 5 * 10**9 + most, 7 * 10**9, 7 * 10**9 + most + 1, 9 * 10**9, 9 * 10**9)
    assert watched(monkeypatch, told, *[WINDOW_NS // 4] * 10) == [
        *(None, True, True, True),
        *(None, False, False, False),
        *(None, True),
    ]
    assert not told.left, "two looks at each window, and none within"


def test_a_window_of_long_iterations_has_a_warm_up_too(clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told(clock, 0, 10**9, 10**9, 10**9)
    found = watched(monkeypatch, told, *[WINDOW_NS * 3] * (WINDOW_ITERATIONS + 2))
    assert found == [None, False, False, None, True]


def test_an_iteration_that_is_alone_in_its_window_is_none(
    clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert watched(monkeypatch, Told(clock, 0, 0), WINDOW_NS) == [True]


def test_a_warm_up_is_left_out() -> None:
    found = layer_times.summed_up(LayerRecording(rows(a=[9_000, 7, 8]), 1), [None, True, False])
    assert (found.calm, found.times_ns) == ((True, False), ((7,), (8,)))


def test_a_slow_cpu_is_not_calm(clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    assert watched(monkeypatch, Told(clock, 0, 0, kernel_ns=130), WINDOW_NS) == [False]
    assert watched(monkeypatch, Told(clock, 0, 0, kernel_ns=104), WINDOW_NS) == [True]


def test_what_cannot_be_read_is_held_against_nobody(clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    assert watched(monkeypatch, Told(clock), 10, 10) == [None, True]


def test_a_watch_that_saw_nothing_tells_nothing() -> None:
    watch = CalmWatch({})
    watch.close()
    assert watch.calm() == []


# ---- tries -----------------------------------------------------------------------------------------------------------


class Runner:
    """As much of a campaign's runner as the layer pass needs; each process finds what is next."""

    measured = SimpleNamespace(best={})

    fastest_ns = 1000

    is_parallel = False

    def __init__(
        self, *outcomes: LayerPass | Exception, taken_ns: int = 1_000, units: tuple[ComputeUnit, ...] = ()
    ) -> None:
        self.left = list(outcomes)
        self.taken_ns = taken_ns
        self.options = SimpleNamespace(compute_units=units)
        self.noted: dict[str, Any] = {}

    def tell(self, **event: object) -> None:
        return None

    def request(self, *_: object, **__: object) -> None:
        return None

    def spawn(self, _: object, files: Files) -> SimpleNamespace:
        assert files is Files.WARM
        found = self.left.pop(0)
        if isinstance(found, Exception):
            raise found
        return SimpleNamespace(result=SimpleNamespace(layer_pass=found), wall_ns=self.taken_ns)

    def note(self, **changes: Any) -> None:
        self.noted |= changes


def carried_out(runner: Runner) -> LayerPass:
    layer_tries.carry_out(runner)  # type: ignore[arg-type] # as much of a Runner as is needed
    found = runner.noted["layer_pass"]
    assert isinstance(found, LayerPass)
    return found


@pytest.fixture(autouse=True)
def silent(capsys: pytest.CaptureFixture[str]) -> Iterator[None]:
    yield
    capsys.readouterr()


def test_a_calm_pass_is_not_repeated() -> None:
    runner = Runner(recorded([False, *[True] * CALM_ENOUGH], a=[3, *[4] * CALM_ENOUGH]), recorded([True], a=[9]))
    assert carried_out(runner).layers[0].time_ns == 4
    assert len(runner.left) == 1


def test_a_pass_without_calm_is_tried_again_up_to_a_bound() -> None:
    noisy = recorded([False, False], a=[3, 4])
    assert carried_out(Runner(noisy, recorded([True] * CALM_ENOUGH, a=[9] * CALM_ENOUGH))).layers[0].time_ns == 9
    runner = Runner(*[noisy] * 9)
    assert carried_out(runner).iterations == 2 * plan.LAYER_TRIES
    assert len(runner.left) == 9 - plan.LAYER_TRIES


def test_a_pass_on_several_threads_without_any_calm_is_not_tried_again() -> None:
    for calm, left in (([False, False], 1), ([False, True], 0)):
        runner = Runner(recorded(calm, a=[3, 4]), recorded([True], a=[9]))
        runner.is_parallel = True
        carried_out(runner)
        assert len(runner.left) == left


def test_a_long_pass_is_not_tried_again() -> None:
    runner = Runner(*[recorded([False], a=[3])] * 3, taken_ns=plan.LAYER_TRIES_NS // 2 + 1)
    assert carried_out(runner).iterations == 1


def test_a_runtime_without_layers_is_asked_once() -> None:
    runner = Runner(LayerPass(reason="it tells none"), recorded([True], a=[1]))
    found = carried_out(runner)
    assert (found.reason, found.iterations) == ("it tells none", 0)


def test_a_recording_without_a_layer_says_so_and_counts_no_iteration() -> None:
    found = recorded([True])
    assert (found.layers, found.iterations, found.times_ns) == ((), 0, ())
    assert "recorded no layer" in str(found.reason)


def test_a_failed_layer_pass_costs_that_pass_alone() -> None:
    crash = WorkerCrashed("the runtime crashed in layers: its process died by SIGSEGV")
    found = carried_out(Runner(crash))
    assert not found.layers
    assert "SIGSEGV" in str(found.reason)
    assert carried_out(Runner(recorded([False], a=[3]), crash)).layers[0].time_ns == 3, "what was found stays"


def test_a_fallback_that_the_request_excludes_is_an_error() -> None:
    mixed = [layer("conv1", 1, unit=GPU), layer("conv1", 1)]
    with pytest.raises(ModelNotSupported, match=r"1 of 2 layers ran on the CPU.*conv1"):
        layer_tries.check_units(mixed, (GPU,))
    layer_tries.check_units(mixed, (GPU, CPU))
    layer_tries.check_units(mixed, ())
