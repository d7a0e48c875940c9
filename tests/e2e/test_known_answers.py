"""Known answers of real runtimes: memory that must be there, because the weights are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import dynolab
from dynolab.measure import memory, memory_readings, pagecache
from dynolab.measure.protocol import Measure, RunKind
from dynolab.spec import facts
from dynolab.spec.measurements import StageName
from dynolab.spec.models import ModelFormat
from dynolab.testing import models, tflite
from dynolab.testing.harness import Harness

pytestmark = pytest.mark.skipif(memory_readings.unavailable() is not None, reason=str(memory_readings.unavailable()))

HUGE_PAGE_BYTES = 2 << 20
"""What one look into a mapped file brings in at most: a huge page, where the file system keeps the file in such."""
LIBRARY_BYTES = 16 << 20
"""A runtime's own code and tables, which a load or a first inference brings in beside the weights."""
SMALLEST_LOAD_BYTES = 6 << 20
"""What a session is by itself: 1.5 MB of ONNX Runtime, 3.8 MB of OpenVINO."""
SIZES = [pytest.param(40 << 20, id="40MB"), pytest.param(200 << 20, id="200MB", marks=pytest.mark.slow)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("external", [None, "weights.data"])
@pytest.mark.parametrize("compiled", [False, True])
def test_onnxruntime_holds_the_weights(tmp_path: Path, size: int, external: str | None, compiled: bool) -> None:
    """Weights inside the file, beside it, and in the compiled artifact: the lower end is at least their size."""
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    model = models.onnx_net(tmp_path / "net.onnx", weight_bytes=size, external=external)
    harness = Harness(tmp_path / "harness", model, ModelFormat.ONNX, "onnxruntime")
    harness.inspect()
    if compiled:
        harness.good(RunKind.COMPILE)
    peak, increase = harness.memory(StageName.WARM_LOAD)
    assert increase.lower >= size * 0.99
    assert increase.upper <= size * 2.5 + (64 << 20)
    assert peak.upper >= increase.upper
    inference_peak, inference = harness.memory(StageName.INFERENCE)
    assert inference.lower <= size * 0.1 + (16 << 20), "the weights belong to the load"
    assert inference_peak.upper < size


@pytest.mark.parametrize("size", SIZES)
def test_openvino_holds_the_weights(tmp_path: Path, size: int) -> None:
    pytest.importorskip("openvino")
    pytest.importorskip("onnx")
    model = models.onnx_net(tmp_path / "net.onnx", weight_bytes=size)
    harness = Harness(tmp_path / "harness", model, ModelFormat.ONNX, "openvino")
    harness.inspect()
    _, increase = harness.memory(StageName.FIRST_LOAD)
    assert increase.upper >= size * 0.49, "bf16 halves them at most"


def litert_harness(folder: Path, maker: Callable[..., Path], size: int) -> Harness:
    """An inspected model of so many bytes of weights, mapped from a file that the system may drop."""
    pytest.importorskip("ai_edge_litert")
    model = maker(folder / "net.tflite", weight_bytes=size)
    if pagecache.file_system(model) == "tmpfs":
        pytest.skip("the temporary folder is tmpfs: only swap could take its pages")
    harness = Harness(folder / "harness", model, ModelFormat.TFLITE, "litert")
    harness.inspect()
    return harness


@pytest.mark.parametrize("size", SIZES)
def test_litert_maps_the_weights_and_an_inference_brings_them_in(tmp_path: Path, size: int) -> None:
    """Weights that nothing packs stay in the file: no part of the lower end, all of the upper one."""
    harness = litert_harness(tmp_path, tflite.column, size)
    _, load = harness.memory(StageName.FIRST_LOAD)
    assert load.upper <= LIBRARY_BYTES, "a load maps the file and reads its tables"
    _, inference = harness.memory(StageName.INFERENCE)
    assert inference.lower <= size * 0.01 + (1 << 20)
    # What stands beside the tables at either end of the file came in with the load.
    assert inference.upper - inference.lower >= size - 2 * HUGE_PAGE_BYTES
    assert inference.upper <= size + LIBRARY_BYTES


@pytest.mark.parametrize("size", SIZES)
def test_litert_reads_the_mapped_weights_to_pack_them(tmp_path: Path, size: int) -> None:
    """XNNPACK packs them in the first load, into memory and the cache's file; later loads map that file."""
    harness = litert_harness(tmp_path, tflite.product, size)
    harness.wipe()
    peak, increase = harness.memory(StageName.FIRST_LOAD)
    assert peak.upper - peak.lower >= size * 0.99, "the mapped weights, which are let go when they are packed"
    assert increase.lower >= size * 0.99, "the packed weights"
    assert increase.upper - increase.lower <= LIBRARY_BYTES
    _, warm = harness.memory(StageName.WARM_LOAD)
    assert warm.upper <= LIBRARY_BYTES
    _, inference = harness.memory(StageName.INFERENCE)
    assert inference.lower <= size * 0.01 + (1 << 20)
    assert inference.upper - inference.lower >= size * 0.99, "the packed weights, mapped from the cache's file"


def repeating(path: Path, count: int) -> Path:
    """A model of no weights that writes its one input so many times."""
    import onnx
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        [helper.make_node("Expand", ["x", "count"], ["y"])],
        "repeating",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [count])],
        [helper.make_tensor("count", TensorProto.INT64, [1], [count])],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), str(path))
    return path


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_libraries_are_no_part_of_a_stage_and_an_output_counts_once(tmp_path: Path, runtime: str) -> None:
    """A model of no size loads in next to nothing, whatever its runtime's libraries take, and writes into memory that is there or not."""
    pytest.importorskip("onnx")
    pytest.importorskip(runtime)
    size = 64 << 20
    model = repeating(tmp_path / "repeat.onnx", size // 4)
    harness = Harness(tmp_path / "harness", model, ModelFormat.ONNX, runtime)
    harness.inspect()
    _, load = harness.memory(StageName.WARM_LOAD)
    assert load.upper <= SMALLEST_LOAD_BYTES
    seen = harness.good(RunKind.INFERENCE, Measure.MEMORY).stages
    load_edges, edges = seen[StageName.WARM_LOAD].edges, seen[StageName.INFERENCE].edges
    assert load_edges[1].library_bytes - load_edges[0].library_bytes > load.upper, "the libraries were told apart"
    peak, increase = memory.ranges(*edges, [])
    bound = seen[StageName.INFERENCE].io_bytes - 4
    assert bound == (size if runtime == "onnxruntime" else 0), "OpenVINO keeps its outputs in memory of its own"
    for found in (peak, increase):
        assert abs(found.upper + bound - size) <= 1 << 20, "an output counts once"


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_the_whole_process_needs_what_its_worst_load_needs(tmp_path: Path, runtime: str) -> None:
    """OpenVINO compiles in its first load, and imports its cache in later ones: an app is killed by the worse of them."""
    pytest.importorskip("onnx")
    pytest.importorskip(runtime)
    model = models.onnx_net(tmp_path / "net.onnx", weight_bytes=40 << 20)
    profile = dynolab.profile(model, runtime=runtime, options="--max_profiler_iterations 10", repeats=1)
    total = profile.process_total
    assert total is not None
    assert profile.process_total_peak == total.peak
    assert len(total.cold) == len(total.warm) == 1
    loads = [stage.memory.peak.upper for stage in (profile.first_load, profile.warm_load) if stage.memory is not None]
    assert total.peak.upper >= max(loads)
    assert total.peak.upper >= max(run.peak_raw.upper for run in (*total.cold, *total.warm))


@pytest.mark.parametrize(("leak", "options"), [(4_096, ""), (0, ""), (4_096, "--max_profiler_iterations 400")])
def test_a_leak_is_a_figure(tmp_path: Path, leak: int, options: str) -> None:
    """Bytes that each inference keeps; the interpreter keeps some for each object of them."""
    model = tmp_path / "leaks.null"
    model.write_text(f'{{"leak_bytes": {leak}}}')
    profile = dynolab.profile(model, options=options, repeats=1)
    found = facts.fact("inference_memory_growth").value(profile)
    told = [notice.level for notice in profile.notices if notice.code == "memory-growth"]
    assert isinstance(found, int)
    assert abs(found - 1000 * leak) <= 0.05 * 1000 * leak
    assert told == (["loud"] if leak else [])


def test_a_slow_model_has_no_growth_and_says_why(tmp_path: Path) -> None:
    model = tmp_path / "slow.null"
    model.write_text('{"busy_ns": 6000000}')
    profile = dynolab.profile(model, options="--max_profiler_iterations 30", repeats=1)
    assert facts.fact("inference_memory_growth").value(profile) is None
    assert "--max_profiler_iterations 400" in str(facts.fact("inference_memory_growth").reason(profile))
