"""Memory ranges: the arithmetic on hostile readings, and known answers from real processes."""

from __future__ import annotations

import json
import mmap
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynolab.measure import memory, memory_readings
from dynolab.runtimes.null.memory import CHILDREN
from dynolab.spec import stats
from dynolab.spec.measurements import MemoryEdge, Range, StageName
from dynolab.spec.models import ModelFormat
from dynolab.testing.harness import Harness

pytestmark = pytest.mark.skipif(memory_readings.unavailable() is not None, reason=str(memory_readings.unavailable()))

KIB, MIB = 1 << 10, 1 << 20
sizes = st.integers(min_value=0, max_value=1 << 40)
edges = st.builds(MemoryEdge, *[sizes] * len(fields(MemoryEdge)))
MakeHarness = Callable[..., Harness]


@given(start=edges, end=edges, released=edges, samples=st.lists(edges, max_size=5))
def test_hostile_readings_keep_the_order_of_the_ends(
    start: MemoryEdge, end: MemoryEdge, released: MemoryEdge, samples: list[MemoryEdge]
) -> None:
    peak, increase = memory.ranges(start, end, released, samples)
    assert peak.lower <= peak.upper
    assert increase.lower <= increase.upper
    assert increase.lower <= peak.lower
    assert increase.upper <= peak.upper


@given(st.lists(st.tuples(edges, edges, edges), min_size=1, max_size=5))
def test_medians_over_repeats_keep_it_too(runs: list[tuple[MemoryEdge, MemoryEdge, MemoryEdge]]) -> None:
    pairs = [memory.ranges(*run, []) for run in runs]
    peak = stats.median_range([pair[0] for pair in pairs])
    increase = stats.median_range([pair[1] for pair in pairs])
    assert 0 <= increase.lower <= increase.upper <= peak.upper
    assert 0 <= increase.lower <= peak.lower <= peak.upper


@given(st.integers(0, 1 << 40), st.integers(0, 1 << 40), st.integers(0, 1 << 40))
def test_what_was_swapped_out_counts_as_what_is_resident_does(kept: int, file: int, swapped: int) -> None:
    swapped = min(swapped, kept)

    def edge(anonymous: int, file: int, swap: int) -> MemoryEdge:
        resident = anonymous + file
        return MemoryEdge(0, resident, anonymous, file, 0, swap, 0, resident)

    nothing, end = edge(0, 0, 0), edge(kept - swapped, file, swapped)
    _, increase = memory.ranges(nothing, end, end, [])
    assert increase == Range(kept, kept + file)
    peak, increase = memory.ranges(end, nothing, nothing, [end])
    assert (increase.lower, peak.upper) == (-kept, 0)


def assert_close(found: Range, lower: int, upper: int, *, readings: int = 1) -> None:
    """Within the tolerance of measuring.md section 3, for each of the readings that ``found`` comes from."""
    for value, truth in ((found.lower, lower), (found.upper, upper)):
        tolerance = readings * max(256 * KIB, memory_readings.resolution_bytes(), truth // 100)
        assert abs(value - truth) <= tolerance, f"{found} should be [{lower}, {upper}]"


def file_of(folder: Path, size: int) -> str:
    path = folder / "weights.bin"
    with path.open("wb") as file:
        block = bytes(range(256)) * 4096
        for _ in range(0, size, len(block)):
            file.write(block)
        file.truncate(size)
    return str(path)


def known_answer(make: MakeHarness, folder: Path, seed: int, largest: int) -> None:
    source = random.Random(seed)
    kept, mapped, spike = (int(2 ** source.uniform(20, largest)) // 4096 * 4096 for _ in range(3))
    harness = make(
        anonymous_bytes=kept,
        file=file_of(folder, mapped),
        file_bytes=mapped,
        spike_bytes=spike,
        threads=source.choice([1, 2]),
    )
    peak, increase = harness.memory(StageName.WARM_LOAD)
    assert_close(increase, kept, kept + mapped)
    assert_close(peak, kept + spike, kept + mapped + spike)


@pytest.mark.parametrize("seed", range(5))
def test_known_answers(null_harness: MakeHarness, tmp_path: Path, seed: int) -> None:
    known_answer(null_harness, tmp_path, seed, largest=26)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 120))
def test_known_answers_up_to_half_a_gigabyte(null_harness: MakeHarness, tmp_path: Path, seed: int) -> None:
    known_answer(null_harness, tmp_path, seed, largest=29)


def test_heap_freed_before_the_end_is_no_increase(null_harness: MakeHarness) -> None:
    peak, increase = null_harness(freed_bytes=64 * MIB).memory(StageName.WARM_LOAD)
    assert increase.lower <= 256 * KIB
    assert peak.lower >= 64 * MIB * 0.98


def test_a_file_on_tmpfs_cannot_be_taken_back(tmp_path: Path) -> None:
    if not Path("/dev/shm").is_dir():
        pytest.skip("there is no /dev/shm")
    with tempfile.TemporaryDirectory(prefix="dynolab-test-", dir="/dev/shm") as folder:
        Path(folder, "weights").write_bytes(b"1" * (32 * MIB))
        model = Path(folder, "model.null")
        model.write_text(json.dumps({"file": "weights", "file_bytes": 32 * MIB}), encoding="utf-8")
        harness = Harness(tmp_path, model, ModelFormat.NULL, "null")
        harness.inspect()
        _, increase = harness.memory(StageName.WARM_LOAD)
    assert_close(increase, 32 * MIB, 32 * MIB)


SIZE = 64 * MIB
TREES: dict[str, tuple[dict[str, object], Range]] = {
    "a child's own memory": ({"child": "started", "child_bytes": SIZE}, Range(SIZE, SIZE)),
    "a child whose parent ended": ({"child": "orphaned", "child_bytes": SIZE}, Range(SIZE, SIZE)),
    "a file that a child maps too": ({"child": "started", "child_maps_file": True, "file_bytes": SIZE}, Range(0, SIZE)),
    "a file in a copy of the process": ({"child": "forked", "file_bytes": SIZE}, Range(0, SIZE)),
    "shared with a child": ({"child": "forked", "shared_bytes": SIZE}, Range(SIZE, SIZE)),
    "a copy of the process": ({"child": "forked", "anonymous_bytes": SIZE}, Range(SIZE, SIZE)),
    "a copy that has more": (
        {"child": "forked", "anonymous_bytes": SIZE, "child_bytes": SIZE},
        Range(2 * SIZE, 2 * SIZE),
    ),
}


@pytest.fixture(scope="module")
def of_children_alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Range, Range]]:
    """Peak and increase of a load that starts a child of each kind, and nothing else."""
    found = {}
    for kind in CHILDREN:
        folder = tmp_path_factory.mktemp(kind)
        model = folder / "model.null"
        model.write_text(json.dumps({"child": kind}), encoding="utf-8")
        harness = Harness(folder / "harness", model, ModelFormat.NULL, "null")
        harness.inspect()
        found[kind] = harness.memory(StageName.WARM_LOAD)
    return found


@pytest.mark.parametrize("case", TREES)
def test_a_process_tree_counts_each_page_once(
    null_harness: MakeHarness, tmp_path: Path, of_children_alone: dict[str, tuple[Range, Range]], case: str
) -> None:
    said, truth = TREES[case]
    file = {"file": file_of(tmp_path, SIZE)} if "file_bytes" in said else {}
    peak, increase = null_harness(**said, **file).memory(StageName.WARM_LOAD)
    bare_peak, bare = of_children_alone[str(said["child"])]
    for seen, less in ((increase, bare), (peak, bare_peak)):
        found = Range(seen.lower - less.lower, seen.upper - less.upper)
        assert_close(found, truth.lower, truth.upper, readings=2)


@pytest.mark.parametrize("kind", CHILDREN)
def test_a_child_s_past_belongs_to_the_stage_that_it_was_in(
    null_harness: MakeHarness, of_children_alone: dict[str, tuple[Range, Range]], kind: str
) -> None:
    harness = null_harness(child=kind, child_held_bytes=SIZE)
    peak, increase = harness.memory(StageName.WARM_LOAD)
    bare_peak, bare = of_children_alone[kind]
    assert_close(Range(increase.lower - bare.lower, increase.upper - bare.upper), 0, 0, readings=2)
    assert abs(peak.upper - bare_peak.upper - SIZE) <= 2 * memory_readings.resolution_bytes(), (
        "two peaks, each so exact"
    )
    for later in harness.memory(StageName.INFERENCE):
        assert_close(later, 0, 0)


def test_memory_given_back_lazily_is_the_system_s_and_still_there(null_harness: MakeHarness) -> None:
    harness = null_harness(lazy_free_bytes=SIZE)
    peak, increase = harness.memory(StageName.WARM_LOAD)
    assert_close(increase, 0, SIZE)
    assert peak.lower <= peak.upper
    assert_close(Range(0, peak.upper), 0, SIZE)
    for later in harness.memory(StageName.INFERENCE):
        assert_close(later, 0, 0)


@pytest.fixture
def no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes that other tests of this process have left to serve them do not count."""
    every = memory_readings.descendants
    others = set(every(os.getpid()))
    monkeypatch.setattr(memory_readings, "descendants", lambda pid: [one for one in every(pid) if one not in others])


@pytest.mark.usefixtures("no_others")
def test_a_child_that_may_not_be_read_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process of somebody else's is one that its parent may not read."""
    read = memory_readings._read

    def forbidden(pid: int | str, name: str) -> dict[str, int]:
        if pid != os.getpid():
            raise PermissionError(13, "Permission denied")
        return read(pid, name)

    with subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert child.pid in memory_readings.descendants(os.getpid())
        monkeypatch.setattr(memory_readings, "_read", forbidden)
        assert memory_readings.read_edge().unread_processes == 1


@pytest.mark.usefixtures("no_others")
@pytest.mark.parametrize("ended", [FileNotFoundError(2, "No such file"), LookupError("ended"), ValueError("cut short")])
def test_a_child_that_ends_while_it_is_read_is_left_out_and_the_others_are_not(
    monkeypatch: pytest.MonkeyPatch, ended: Exception
) -> None:
    read, gone, shut = memory_readings._read, 10**8, 10**8 + 1

    def answered(pid: int | str, name: str) -> dict[str, int]:
        if pid == gone:
            raise ended
        if pid == shut:
            raise PermissionError(13, "Permission denied")
        return read(pid, name)

    alone = memory_readings.read_edge()
    monkeypatch.setattr(memory_readings, "_read", answered)
    holds = [sys.executable, "-S", "-c", f"held = b'x' * {32 * MIB}; print(flush=True); input()"]
    with subprocess.Popen(holds, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        for children in ([gone, child.pid, shut], [shut, child.pid, gone], [gone, shut, child.pid]):
            monkeypatch.setattr(memory_readings, "descendants", lambda _, found=children: found)
            found = memory_readings.read_edge()
            assert found.unread_processes == 1
            assert found.anonymous_bytes - alone.anonymous_bytes > 24 * MIB, "the one that lives, wherever it stands"


def test_software_is_told_from_the_model_by_its_place(tmp_path: Path) -> None:
    model = Path(sys.prefix, "share", "model.onnx")
    software = memory_readings.software([model, tmp_path])
    assert software.has(os.path.realpath(json.__file__))
    assert not software.has(str(model.resolve()))
    assert not software.has(str(tmp_path.resolve() / "cache" / "kernels.so"))
    assert not software.has("/dev/shm/weights")
    assert not software.has("/usrlocal/lib.so")


@pytest.mark.usefixtures("no_others")
@pytest.mark.parametrize(("place", "written", "library"), [("lib", 0, 8), ("lib", 2, 6), ("model", 0, 0)])
def test_file_pages_of_software_are_told_apart_as_long_as_nobody_wrote_to_them(
    tmp_path: Path, place: str, written: int, library: int
) -> None:
    """Sizes in MiB."""
    (tmp_path / place).mkdir()
    path, apart = tmp_path / place / "library.so", memory_readings.Software((str(tmp_path / "lib"),))
    path.write_bytes(b"x" * (8 * MIB))
    before = memory_readings.read_edge(apart=apart)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY) as pages:
        assert sum(pages[::4096]) == ord("x") * (8 * MIB // 4096)
        for at in range(0, written * MIB, 4096):
            pages[at] = 0
        after = memory_readings.read_edge(apart=apart)
    grown = [getattr(after, name) - getattr(before, name) for name in ("library_bytes", "file_bytes", "resident_bytes")]
    for found, truth in zip(grown, (library * MIB, (8 - written) * MIB, 8 * MIB), strict=True):
        assert abs(found - truth) <= MIB, grown


def test_what_the_first_inference_allocates_belongs_to_inference(null_harness: MakeHarness) -> None:
    harness = null_harness(inference_bytes=24 * MIB)
    _, load = harness.memory(StageName.WARM_LOAD)
    peak, inference = harness.memory(StageName.INFERENCE)
    assert load.upper <= 512 * KIB
    assert_close(inference, 24 * MIB, 24 * MIB)
    assert_close(peak, 24 * MIB, 24 * MIB)
