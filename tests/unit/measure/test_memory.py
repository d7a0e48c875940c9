"""Memory ranges: the arithmetic on hostile readings, and known answers from real processes."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynolab.measure import memory
from dynolab.spec import stats
from dynolab.spec.measurements import MemoryEdge, Range, StageName
from dynolab.spec.models import ModelFormat
from dynolab.testing.harness import Harness

pytestmark = pytest.mark.skipif(memory.unavailable() is not None, reason=str(memory.unavailable()))

KIB, MIB = 1 << 10, 1 << 20
sizes = st.integers(min_value=0, max_value=1 << 40)
edges = st.builds(MemoryEdge, sizes, sizes, sizes, sizes, sizes, sizes, sizes, sizes)
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


def assert_close(found: Range, lower: int, upper: int) -> None:
    """Within the tolerance of measuring.md section 3."""
    for value, truth in ((found.lower, lower), (found.upper, upper)):
        tolerance = max(256 * KIB, memory.resolution_bytes(), truth // 100)
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


def test_a_child_process_counts(null_harness: MakeHarness) -> None:
    bare = null_harness(child_bytes=4096).memory(StageName.WARM_LOAD)[1]
    _, increase = null_harness(child_bytes=48 * MIB).memory(StageName.WARM_LOAD)
    assert_close(Range(increase.lower - bare.lower, increase.upper - bare.upper), 48 * MIB, 48 * MIB)


def test_what_the_first_inference_allocates_belongs_to_inference(null_harness: MakeHarness) -> None:
    harness = null_harness(inference_bytes=24 * MIB)
    _, load = harness.memory(StageName.WARM_LOAD)
    peak, inference = harness.memory(StageName.INFERENCE)
    assert load.upper <= 512 * KIB
    assert_close(inference, 24 * MIB, 24 * MIB)
    assert_close(peak, 24 * MIB, 24 * MIB)


HELD_MIB = 48
HOLD = """
import mmap, sys
size, path = int(sys.argv[1]) << 20, sys.argv[2]
if path:
    file = open(path, "rb")
    held = mmap.mmap(file.fileno(), size, prot=mmap.PROT_READ)
else:
    held = mmap.mmap(-1, size)
    held.write(b"x" * size)
total = sum(held[at] for at in range(0, size, 4096))
print(flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("kind", ["file", "shared"])
def test_what_a_child_maps_of_files_and_shares_counts_for_the_tree(kind: str, tmp_path: Path) -> None:
    path = file_of(tmp_path, HELD_MIB * MIB) if kind == "file" else ""
    command = [sys.executable, "-S", "-c", HOLD, str(HELD_MIB), path]
    before = memory.read_edge()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert child.pid in memory.descendants(os.getpid())
        after = memory.read_edge()
    grown = after.file_bytes - before.file_bytes if kind == "file" else after.shared_bytes - before.shared_bytes
    assert grown + MIB >= HELD_MIB * MIB
    assert grown <= (HELD_MIB + 16) * MIB, "the interpreter's own files, too"
    assert after.resident_bytes - before.resident_bytes >= HELD_MIB * MIB - MIB
    assert after.high_water_bytes - before.high_water_bytes >= HELD_MIB * MIB - MIB
