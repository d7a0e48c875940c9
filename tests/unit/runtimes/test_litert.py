"""LiteRT: against its own classic interpreter, on damaged and awkward models that are made here."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dynolab.errors import InferenceFailed, LoadFailed, ModelInvalid, ModelNotSupported, SpecInvalid
from dynolab.measure.protocol import Measure, RunKind
from dynolab.runtimes.base import Target
from dynolab.runtimes.litert import WEIGHT_CACHE, c_api, events, file_facts, plugin, schema
from dynolab.spec.measurements import StageName
from dynolab.spec.models import ModelFormat
from dynolab.testing.harness import Harness
from dynolab.testing.tflite import Part, write

EXAMPLES = Path(__file__).parents[3] / "examples" / "models"
SHARED = Path(__file__).parents[3].parent / "shared" / "models"
KWS = EXAMPLES / "mlperf_tiny_kws_int8.tflite"
ROCK_PAPER_SCISSORS = EXAMPLES / "rock_paper_scissors_float32.tflite"

pytestmark = pytest.mark.skipif(plugin.unavailable() is not None, reason=str(plugin.unavailable()))


def reshaping(path: Path, kind: str) -> Path:
    """[2, 3] to [3, 2] of any element type."""
    part = Part()
    source, sizes = part.tensor("x", kind, [2, 3]), part.tensor("sizes", "INT32", [2], value=np.array([3, 2], np.int32))
    part.outputs = [part.tensor("y", kind, [3, 2])]
    part.operator("RESHAPE", [source, sizes], [*part.outputs])
    part.inputs = [source]
    return write(path, part)


def adding(path: Path) -> Path:
    """``y = x + 1`` on [batch, 3], batch unbound."""
    part = Part()
    source = part.tensor("x", "FLOAT32", [1, 3], declared=[-1, 3])
    one = part.tensor("one", "FLOAT32", [1, 3], value=np.ones((1, 3), np.float32))
    part.outputs = [part.tensor("y", "FLOAT32", [1, 3], declared=[-1, 3])]
    part.operator("ADD", [source, one], [*part.outputs], table="AddOptions")
    part.inputs = [source]
    return write(path, part)


def random_inputs(specs: Sequence[Any]) -> dict[str, Any]:
    source, arrays = np.random.default_rng(7), {}
    for spec in specs:
        high = 2 if spec.dtype == "bool" else 100
        values = source.integers(0, high, spec.sizes) if spec.dtype != "float32" else source.random(spec.sizes)
        arrays[spec.name] = np.asarray(values).astype(np.dtype(spec.dtype))
    return arrays


def outputs_of(target: Target, inputs: dict[str, Any] | None = None, runs: int = 1) -> dict[str, Any]:
    session = plugin.load(target)
    session.bind(random_inputs(session.inputs) if inputs is None else inputs, {})
    run = session.runner()
    for _ in range(runs):
        run()
    found = session.fetch()
    session.close()
    return found


def classic(model: Path, inputs: dict[str, Any]) -> list[Any]:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(model))
    for detail, array in zip(interpreter.get_input_details(), inputs.values(), strict=True):
        interpreter.resize_tensor_input(detail["index"], array.shape)
    interpreter.allocate_tensors()
    for detail, array in zip(interpreter.get_input_details(), inputs.values(), strict=True):
        interpreter.set_tensor(detail["index"], array)
    interpreter.invoke()
    return [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]


def bound(target: Target) -> Target:
    """The target with 1 for every unbound dimension."""
    specs = plugin.describe(target).inputs
    return replace(target, shapes={spec.name: tuple(int(size or 1) for size in spec.shape) for spec in specs})


# ---- what a file says ------------------------------------------------------------------------------------------------


def test_facts_of_a_known_model(target: Callable[..., Target]) -> None:
    asked = bound(target(KWS))
    found = plugin.describe(asked)
    assert [(spec.name, spec.dtype, spec.shape) for spec in found.inputs] == [("input_1", "float32", (None, 50, 10, 1))]
    assert [(spec.name, spec.shape) for spec in found.outputs] == [("Identity", (None, 12))]
    assert found.parameters == 22_606
    assert found.parameter_bytes == 24_376
    assert found.precision == "int8 90%, int32 10%"
    assert found.operators == 15
    assert found.multiply_accumulates == 2_656_768  # MLPerf Tiny's DS-CNN: 2.7 M
    assert found.schema is not None
    assert found.schema.startswith("TFLite schema 3")


def test_macs_need_the_shapes_that_the_file_was_written_for(target: Callable[..., Target]) -> None:
    for shapes in ({}, {"input_1": (2, 50, 10, 1)}):
        found = plugin.describe(target(KWS, **shapes))
        assert found.multiply_accumulates is None
        assert found.unknown is not None
        assert "shapes" in found.unknown["multiply_accumulates"]


def test_names_are_the_signatures_in_the_graphs_order(tmp_path: Path, target: Callable[..., Target]) -> None:
    part = Part()
    first, second = part.tensor("p", "FLOAT32", [3]), part.tensor("q", "FLOAT32", [3])
    part.inputs, part.outputs = [first, second], [part.tensor("u", "FLOAT32", [3]), part.tensor("v", "FLOAT32", [3])]
    part.operator("ABS", [first], [part.outputs[0]])
    part.operator("NEG", [second], [part.outputs[1]])
    asked = target(write(tmp_path / "m.tflite", part, names=({1: "a", 0: "z"}, {3: "b", 2: "y"})))
    described, session = plugin.describe(asked), plugin.load(asked)
    assert [spec.name for spec in described.inputs] == [spec.name for spec in session.inputs] == ["z", "a"]
    assert [spec.name for spec in described.outputs] == [spec.name for spec in session.outputs] == ["y", "b"]
    session.close()
    found = outputs_of(asked, {"a": np.full(3, 5, np.float32), "z": np.full(3, -2, np.float32)})
    assert found["y"].tolist() == [2, 2, 2]
    assert found["b"].tolist() == [-5, -5, -5]


def test_a_name_that_is_there_twice_is_refused(tmp_path: Path, target: Callable[..., Target]) -> None:
    part = Part()
    part.inputs = [part.tensor("x", "FLOAT32", [3]), part.tensor("x", "FLOAT32", [3])]
    part.outputs = [part.tensor("y", "FLOAT32", [3])]
    part.operator("ADD", [*part.inputs], [*part.outputs], table="AddOptions")
    with pytest.raises(ModelNotSupported, match="share a name"):
        plugin.describe(target(write(tmp_path / "m.tflite", part)))


@pytest.mark.parametrize(
    ("code", "shapes", "expected"),
    [
        ("CONV_2D", ([1, 8, 8, 3], [16, 3, 3, 3], [1, 4, 4, 16]), 4 * 4 * 16 * 27),
        ("DEPTHWISE_CONV_2D", ([1, 8, 8, 3], [1, 5, 5, 6], [1, 8, 8, 6]), 8 * 8 * 6 * 25),
        ("FULLY_CONNECTED", ([4, 10], [7, 10], [4, 7]), 4 * 7 * 10),
        ("BATCH_MATMUL", ([2, 5, 6], [2, 6, 9], [2, 5, 9]), 2 * 5 * 6 * 9),
        ("BATCH_MATMUL", ([2, 6, 5], [2, 6, 9], [2, 5, 9]), 2 * 5 * 6 * 9),  # the first operand transposed
    ],
)
def test_multiply_accumulates(tmp_path: Path, code: str, shapes: tuple[list[int], ...], expected: int) -> None:
    part = Part()
    data, weights, out = (part.tensor(name, "FLOAT32", shape) for name, shape in zip("xwy", shapes, strict=True))
    part.inputs, part.outputs = [data, weights], [out]
    part.operator(code, [data, weights], [out])
    assert file_facts.describe(write(tmp_path / "m.tflite", part), {}).multiply_accumulates == expected


def test_multiply_accumulates_of_a_transposed_convolution(tmp_path: Path) -> None:
    part = Part()
    sizes = part.tensor("sizes", "INT32", [4], value=np.array([1, 8, 8, 2], np.int32))
    weights, data = part.tensor("w", "FLOAT32", [2, 3, 3, 5]), part.tensor("x", "FLOAT32", [1, 4, 4, 5])
    part.inputs, part.outputs = [data, weights], [part.tensor("y", "FLOAT32", [1, 8, 8, 2])]
    part.operator("TRANSPOSE_CONV", [sizes, weights, data], [*part.outputs])
    found = file_facts.describe(write(tmp_path / "m.tflite", part), {})
    assert found.multiply_accumulates == 4 * 4 * 5 * 3 * 3 * 2


@pytest.mark.parametrize(
    ("code", "shapes", "expected"),
    [
        ("RNN", {0: [2, 5], 1: [4, 5], 2: [4, 4], 3: [4]}, 2 * 4 * (5 + 4)),
        ("UNIDIRECTIONAL_SEQUENCE_RNN", {0: [2, 7, 5], 1: [4, 5], 2: [4, 4], 3: [4]}, 2 * 7 * 4 * (5 + 4)),
        ("SVDF", {0: [2, 5], 1: [6, 5], 2: [6, 9]}, 2 * 6 * (5 + 9)),
        ("LSTM", {0: [2, 5], 1: [2, 4], 2: [16, 9], 3: [16], 4: [2, 4]}, 2 * 16 * 9),  # the older form
        (
            "UNIDIRECTIONAL_SEQUENCE_LSTM",  # the input gate is left out (CIFG); a projection; peepholes do not count
            {
                0: [1, 7, 5],
                **{place: [8, 5] for place in (2, 3, 4)},
                **{place: [8, 3] for place in (6, 7, 8)},
                10: [8],
                16: [3, 8],
            },
            7 * (3 * 8 * 5 + 3 * 8 * 3 + 3 * 8),
        ),
    ],
)
def test_multiply_accumulates_of_recurrent_operators(
    tmp_path: Path, code: str, shapes: dict[int, list[int]], expected: int
) -> None:
    part = Part()
    places = {place: part.tensor(f"t{place}", "FLOAT32", shape) for place, shape in shapes.items()}
    part.inputs, part.outputs = [places[0]], [part.tensor("y", "FLOAT32", [1, 1])]
    part.operator(code, [places.get(place, -1) for place in range(max(shapes) + 1)], [*part.outputs])
    found = file_facts.describe(write(tmp_path / "m.tflite", part), {})
    assert (found.multiply_accumulates, found.unknown) == (expected, None)


@pytest.mark.parametrize("code", ["RFFT2D", "CONV_3D_TRANSPOSE", "STABLEHLO_DOT_GENERAL", "LSH_PROJECTION"])
def test_multiply_accumulates_of_what_nobody_counts_are_not_0(tmp_path: Path, code: str) -> None:
    part = Part()
    part.inputs, part.outputs = [part.tensor("x", "FLOAT32", [1, 4])], [part.tensor("y", "FLOAT32", [1, 4])]
    part.operator(code, [*part.inputs], [*part.outputs])
    found = file_facts.describe(write(tmp_path / "m.tflite", part), {})
    assert found.multiply_accumulates is None
    assert code in (found.unknown or {})["multiply_accumulates"]


# ---- damaged files ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"\0\0", "TFL3"),
        (b"\x08\0\0\0onnx" + bytes(100), "TFL3"),
        (b"\xff\xff\xff\x7fTFL3" + bytes(100), "past the end"),
        (KWS.read_bytes()[:30_000], "past the end"),
    ],
)
def test_what_is_no_sound_file_is_refused(
    tmp_path: Path, target: Callable[..., Target], content: bytes, said: str
) -> None:
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(content)
    with pytest.raises(ModelInvalid, match=said) as caught:
        plugin.describe(target(broken))
    assert "broken.tflite" in caught.value.message
    assert caught.value.hint


def test_a_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    whole, cut = KWS.read_bytes(), tmp_path / "cut.tflite"
    for length in random.Random(1).sample(range(len(whole) - 4096), 40):
        cut.write_bytes(whole[:length])
        with pytest.raises(ModelInvalid):
            schema.read(cut)


def test_no_damage_leads_to_any_other_error(tmp_path: Path) -> None:
    source, damaged = random.Random(2), tmp_path / "damaged.tflite"
    for _ in range(150):
        content = bytearray(KWS.read_bytes())
        for _ in range(source.choice((1, 4, 40))):
            near_an_end = source.choice((source.randrange(400), len(content) - 1 - source.randrange(12_000)))
            content[near_an_end] = source.choice((0, 1, 127, 255, source.randrange(256)))
        damaged.write_bytes(content)
        with suppress(ModelInvalid):
            schema.read(damaged)


def test_an_index_that_points_nowhere_is_refused(tmp_path: Path) -> None:
    part = Part()
    part.inputs, part.outputs = [part.tensor("x", "FLOAT32", [3])], [part.tensor("y", "FLOAT32", [3])]
    part.operator("ABS", [77], [1])
    with pytest.raises(ModelInvalid, match="ABS reads tensor 77 of 2"):
        schema.read(write(tmp_path / "m.tflite", part))


# ---- what LiteRT cannot run ------------------------------------------------------------------------------------------


def test_an_unresolved_custom_operator_is_named(tmp_path: Path, target: Callable[..., Target]) -> None:
    part = Part()
    part.inputs, part.outputs = [part.tensor("x", "FLOAT32", [3])], [part.tensor("y", "FLOAT32", [3])]
    part.operator("custom:Landmarks2TransformMatrix", [*part.inputs], [*part.outputs])
    asked = target(write(tmp_path / "m.tflite", part))
    with pytest.raises(ModelNotSupported, match="Landmarks2TransformMatrix"):
        plugin.describe(asked)
    with pytest.raises(LoadFailed, match="Landmarks2TransformMatrix"):  # the library's own words
        plugin.load(asked)


@pytest.mark.parametrize("kind", ["STRING", "RESOURCE", "INT4"])
def test_element_types_that_cannot_be_fed(tmp_path: Path, target: Callable[..., Target], kind: str) -> None:
    with pytest.raises(ModelNotSupported, match=f"'x' is a {kind.lower()} tensor"):
        plugin.describe(target(reshaping(tmp_path / "m.tflite", kind)))


def test_units_and_delegates_that_are_not_here(target: Callable[..., Target]) -> None:
    for call in (plugin.describe, plugin.load):
        with pytest.raises(ModelNotSupported, match="no NPU on this machine"):
            call(target(KWS, "--compute_unit npu"))
        with pytest.raises(ModelNotSupported, match="no delegate 'gpu' here \\(it has: xnnpack\\)"):
            call(target(KWS, "--tflite_delegates gpu"))


def test_a_shape_that_does_not_fit_fails_in_load(tmp_path: Path, target: Callable[..., Target]) -> None:
    with pytest.raises(LoadFailed, match="not compatible"):
        plugin.load(target(adding(tmp_path / "m.tflite"), x=(4, 4)))


def test_an_output_whose_shape_depends_on_values_fails_in_the_run(
    tmp_path: Path, target: Callable[..., Target]
) -> None:
    part = Part()
    part.inputs = [part.tensor("x", "BOOL", [4])]
    part.outputs = [part.tensor("y", "INT64", [4, 1], declared=[-1, 1])]
    part.operator("WHERE", [*part.inputs], [*part.outputs])
    with pytest.raises(InferenceFailed, match="output tensor"):
        outputs_of(target(write(tmp_path / "m.tflite", part)))


def test_inputs_must_be_what_was_loaded(tmp_path: Path, target: Callable[..., Target]) -> None:
    session = plugin.load(target(adding(tmp_path / "m.tflite")))
    for wrong in (np.zeros((2, 3), np.float32), np.zeros((1, 3), np.float64)):
        with pytest.raises(InferenceFailed, match="is float32"):
            session.bind({"x": wrong}, {})
    session.close()


# ---- sessions --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [KWS, ROCK_PAPER_SCISSORS], ids=lambda path: path.stem)
def test_outputs_are_the_classic_interpreters_bit_by_bit(model: Path, target: Callable[..., Target]) -> None:
    asked = bound(target(model))
    session = plugin.load(asked)
    inputs = random_inputs(session.inputs)
    session.close()
    found = outputs_of(asked, inputs)
    for mine, theirs in zip(found.values(), classic(model, inputs), strict=True):
        assert mine.dtype == theirs.dtype
        assert np.array_equal(mine, theirs)


@pytest.mark.parametrize(
    "kind",
    [
        "FLOAT32",
        "FLOAT16",
        "FLOAT64",
        "INT8",
        "UINT8",
        "INT16",
        "INT32",
        "INT64",
        "UINT32",
        "UINT64",
        "BOOL",
        "COMPLEX64",
    ],
)
def test_every_element_type_comes_through(tmp_path: Path, target: Callable[..., Target], kind: str) -> None:
    asked = target(reshaping(tmp_path / "m.tflite", kind))
    spec = plugin.describe(asked).inputs[0]
    assert spec.dtype == kind.lower()
    inputs = random_inputs([spec])
    found = outputs_of(asked, inputs)["y"]
    assert found.dtype == np.dtype(spec.dtype)
    assert np.array_equal(found, inputs["x"].reshape(3, 2))


def test_a_scalar_input(tmp_path: Path, target: Callable[..., Target]) -> None:
    part = Part()
    part.inputs = [part.tensor("x", "FLOAT32", []), part.tensor("v", "FLOAT32", [3])]
    part.outputs = [part.tensor("y", "FLOAT32", [3])]
    part.operator("MUL", [*part.inputs], [*part.outputs], table="MulOptions")
    inputs = {"x": np.array(3, np.float32), "v": np.ones(3, np.float32)}
    assert outputs_of(target(write(tmp_path / "m.tflite", part)), inputs)["y"].tolist() == [3, 3, 3]


def test_an_unbound_dimension_takes_the_size_given(tmp_path: Path, target: Callable[..., Target]) -> None:
    model = adding(tmp_path / "m.tflite")
    assert plugin.describe(target(model)).inputs[0].shape == (None, 3)
    asked = target(model, x=(4, 3))
    inputs = {"x": np.arange(12, dtype=np.float32).reshape(4, 3)}
    found = outputs_of(asked, inputs)["y"]
    assert np.array_equal(found, inputs["x"] + 1)
    recording = plugin.layers(asked, inputs, 2)
    assert [layer.type for layer in recording.iterations[0]] == ["ADD"]


def test_state_is_kept_between_runs(tmp_path: Path, target: Callable[..., Target]) -> None:
    main, start = Part(), Part()
    for part in (main, start):
        part.tensor("handle", "RESOURCE", [])
        part.operator("VAR_HANDLE", [], [0], table="VarHandleOptions", sharedName="sum", container="")
    zero = start.tensor("zero", "FLOAT32", [3], value=np.zeros(3, np.float32))
    start.operator("ASSIGN_VARIABLE", [0, zero], [])
    main.inputs = [main.tensor("x", "FLOAT32", [3])]
    kept = main.tensor("kept", "FLOAT32", [3])
    main.outputs = [main.tensor("y", "FLOAT32", [3])]
    main.operators.insert(0, ("CALL_ONCE", [], [], {"table": "CallOnceOptions", "initSubgraphIndex": 1}))
    main.operator("READ_VARIABLE", [0], [kept])
    main.operator("ADD", [main.inputs[0], kept], [*main.outputs], table="AddOptions")
    main.operator("ASSIGN_VARIABLE", [0, main.outputs[0]], [])
    asked = target(write(tmp_path / "m.tflite", main, start))
    assert outputs_of(asked, {"x": np.full(3, 2, np.float32)}, runs=5)["y"].tolist() == [10, 10, 10]


@pytest.mark.parametrize(("options", "threads"), [("", 1), ("-1", 1), ("1", 1), ("2", 2)])
def test_effective_threads(target: Callable[..., Target], options: str, threads: int) -> None:
    text = f"--tflite_options number_of_threads={options}" if options else ""
    session = plugin.load(target(KWS, f"--tflite_delegates xnnpack {text}"))
    effective = session.effective()
    session.close()
    assert effective["threads"].split()[0] == str(threads)
    assert effective["delegate"] == "XNNPACK"
    assert effective["fully_delegated"] == "false"  # its pooling and softmax are TFLite's own


def test_the_weight_cache_is_written_then_read(target: Callable[..., Target]) -> None:
    asked = target(ROCK_PAPER_SCISSORS)
    file = asked.cache_dir / WEIGHT_CACHE
    found = []
    for expected in ("written", "read"):
        session = plugin.load(asked)
        assert session.effective()["xnnpack_weight_cache"] == expected
        inputs = random_inputs(session.inputs)
        session.bind(inputs, {})
        session.runner()()
        found.append(session.fetch()["dense_1"])
        session.close()
    stamp = file.stat().st_mtime_ns
    plugin.layers(asked, inputs, 1)
    assert file.stat().st_mtime_ns == stamp  # the layer pass reads the same file
    file.write_bytes(file.read_bytes()[:1000])
    found.append(outputs_of(asked, inputs)["dense_1"])
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])


# ---- layers ----------------------------------------------------------------------------------------------------------


def test_layers_tell_who_ran_them_and_add_up(target: Callable[..., Target]) -> None:
    asked = bound(target(KWS))
    session = plugin.load(asked)
    inputs = random_inputs(session.inputs)
    session.bind(inputs, {})
    run, walls = session.runner(), []
    for _ in range(200):
        before = time.perf_counter_ns()
        run()
        walls.append(time.perf_counter_ns() - before)
    session.close()
    recording = plugin.layers(asked, inputs, 50)
    assert recording.resolution_ns == 1000
    assert len(recording.iterations) == 50
    total = min(sum(layer.time_ns for layer in layers) for layers in recording.iterations)
    assert min(walls) / 4 < total < min(walls) * 4
    layers = recording.iterations[0]
    assert [layer.type for layer in layers if layer.delegate is None] == ["AVERAGE_POOL_2D", "SOFTMAX"]
    assert sum(layer.type in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED") for layer in layers) == 10
    assert len({layer.name for layer in layers}) == len(layers)
    assert layers[-1].name == "Identity"
    assert layers[-1].output_bytes == 12 * 4
    assert recording.note is not None
    assert "3 partitions" in recording.note


def test_layers_need_a_release_that_was_tried(target: Callable[..., Target], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(c_api, "TRIED", frozenset({"1.0"}))
    with pytest.raises(ModelNotSupported, match="C API"):
        plugin.layers(target(KWS), {}, 1)


def test_a_loop_is_one_layer(tmp_path: Path, target: Callable[..., Target]) -> None:
    """What runs inside is in its time already: it would count twice."""
    main, condition, body = Part(), Part(), Part()
    for part in (condition, body):
        part.inputs = [part.tensor("count", "INT32", []), part.tensor("value", "FLOAT32", [1, 64])]
    limit = condition.tensor("limit", "INT32", [], value=np.array(3, np.int32))
    condition.outputs = [condition.tensor("more", "BOOL", [])]
    condition.operator("LESS", [condition.inputs[0], limit], [*condition.outputs], table="LessOptions")
    one = body.tensor("one", "INT32", [], value=np.array(1, np.int32))
    body.outputs = [body.tensor("next", "INT32", []), body.tensor("twice", "FLOAT32", [1, 64])]
    body.operator("ADD", [body.inputs[0], one], [body.outputs[0]], table="AddOptions")
    body.operator("ADD", [body.inputs[1], body.inputs[1]], [body.outputs[1]], table="AddOptions")
    main.inputs = [main.tensor("i", "INT32", []), main.tensor("x", "FLOAT32", [1, 64])]
    done, value = main.tensor("done", "INT32", []), main.tensor("value", "FLOAT32", [1, 64])
    main.outputs = [main.tensor("y", "FLOAT32", [1, 64])]
    main.operator(
        "WHILE", [*main.inputs], [done, value], table="WhileOptions", condSubgraphIndex=1, bodySubgraphIndex=2
    )
    main.operator("NEG", [value], [*main.outputs])
    asked = target(write(tmp_path / "m.tflite", main, condition, body))
    inputs = {"i": np.array(0, np.int32), "x": np.ones((1, 64), np.float32)}
    assert outputs_of(asked, inputs)["y"][0, 0] == -8
    assert [layer.type for layer in plugin.layers(asked, inputs, 2).iterations[0]] == ["WHILE", "NEG"]
    found = plugin.describe(asked)
    assert found.multiply_accumulates is None
    assert found.unknown is not None
    assert "WHILE" in found.unknown["multiply_accumulates"]


def graph_of(*names: str, filter_side: int = 3) -> schema.Graph:
    weights = schema.FileTensor("w", "float32", (8, filter_side, filter_side, 3), (), 0)
    operations = tuple(schema.Operation(name, False, (0, 0), (0,)) for name in names)
    return schema.Graph((weights,), (), (), operations)


@pytest.mark.parametrize(
    ("tags", "operators", "expected"),
    [
        (["Add (ND)", "Sigmoid (NC)"], ["ADD", "LOGISTIC"], [0, 1]),
        (["Add (ND)", "Clamp (NC)", "Add (ND)"], ["ADD", "ADD"], [0, None, 1]),
        (["Add (ND)", "Clamp (NC)"], ["ADD", "RELU"], [0, 1]),
        (["Convolution (NHWC, F32) IGEMM"], ["DEQUANTIZE", "PAD", "CONV_2D", "RELU"], [2]),
        (
            ["Static Reshape (NC)", "Static Reshape (NC)", "Fully Connected (NC, F32) GEMM"],
            ["RESHAPE", "FULLY_CONNECTED"],
            [0, None, 1],
        ),
        (["Fully Connected (NC, F32) GEMM"], ["CONV_2D"], None),  # not with a 3x3 kernel
        (["Add (ND)"], ["ADD", "ADD"], None),  # an operator that computes does not vanish
        (["Softmax (NC, F32)"], [], None),
        ([], ["DEQUANTIZE"], []),
    ],
)
def test_alignment(tags: list[str], operators: list[str], expected: list[int | None] | None) -> None:
    graph = graph_of(*operators)
    assert events.align(tags, graph, range(len(operators))) == expected


def test_a_pointwise_convolution_may_be_a_matrix_product() -> None:
    graph = graph_of("CONV_2D", filter_side=1)
    assert events.align(["Fully Connected (NC, F32) GEMM"], graph, [0]) == [0]


# ---- real models -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted(SHARED.glob("*.tflite")), ids=lambda path: path.stem)
def test_real_models(path: Path, tmp_path: Path, target: Callable[..., Target]) -> None:
    asked = target(Path(shutil.copy(path, tmp_path)))
    if path.stem == "face_landmark_with_attention":
        with pytest.raises(ModelNotSupported, match="Landmarks2TransformMatrix"):
            plugin.describe(asked)
        return
    asked = bound(asked)
    session = plugin.load(asked)
    inputs = random_inputs(session.inputs)
    session.close()
    for mine, theirs in zip(outputs_of(asked, inputs).values(), classic(path, inputs), strict=True):
        assert np.array_equal(mine, theirs)
    recording = plugin.layers(asked, inputs, 2)
    named = [layer for layer in recording.iterations[0] if "(" not in layer.name]
    assert len(named) > len(recording.iterations[0]) * 0.7


def two_signatures(path: Path) -> Path:
    parts = []
    for operator, size in (("TANH", 4), ("ABS", 6)):
        part = Part()
        x, y = part.tensor("x", "FLOAT32", [size]), part.tensor("y", "FLOAT32", [size])
        part.operator(operator, [x], [y])
        part.inputs, part.outputs = [x], [y]
        parts.append(part)
    return write(path, *parts, signatures=("encode", "decode"))


@pytest.mark.parametrize(("text", "size"), [("", 4), ("--tflite_options signature=decode", 6)])
def test_of_several_signatures_the_one_asked_for_runs(
    tmp_path: Path, target: Callable[..., Target], text: str, size: int
) -> None:
    given = target(two_signatures(tmp_path / "m.tflite"), text, x=(size,))
    assert plugin.describe(given).inputs[0].shape == (size,)
    session = plugin.load(given)
    session.bind({"x": np.full(size, -1, np.float32)}, {})
    session.runner()()
    assert np.allclose(session.fetch()["y"], np.full(size, 1.0 if text else np.tanh(-1)))
    notices = session.notices()
    session.close()
    assert [(one.level, "encode, decode" in one.text) for one in notices] == ([] if text else [("loud", True)])
    (layer,) = {layer.type for layer in plugin.layers(given, {"x": np.ones(size, np.float32)}, 2).iterations[0]}
    assert layer in (("ABS", "Abs", "Unary Elementwise") if text else ("TANH", "Tanh", "Unary Elementwise"))


def test_a_signature_that_is_not_there_is_refused_with_those_that_are(
    tmp_path: Path, target: Callable[..., Target]
) -> None:
    given = target(two_signatures(tmp_path / "m.tflite"), "--tflite_options signature=nothing")
    with pytest.raises(SpecInvalid, match="'nothing'") as caught:
        plugin.describe(given)
    assert "encode, decode" in str(caught.value.hint)


def where(path: Path) -> Path:
    """As many outputs as there are true values."""
    part = Part()
    x, y = part.tensor("x", "BOOL", [8]), part.tensor("y", "INT64", [0, 1], declared=[-1, 1])
    part.operator("WHERE", [x], [y], table="WhereOptions")
    part.inputs, part.outputs = [x], [y]
    return write(path, part)


def test_an_output_of_unknown_length_is_made_in_each_run(tmp_path: Path) -> None:
    made = Harness(tmp_path / "h", where(tmp_path / "m.tflite"), ModelFormat.TFLITE, "litert")
    made.inspect()
    assert made.inspection is not None
    assert [notice.level for notice in made.inspection.notices] == ["loud"]
    assert made.good(RunKind.INFERENCE, Measure.TIME).stages[StageName.INFERENCE].values_ns
    layers = made.good(RunKind.LAYERS).layer_pass
    assert layers is not None
    assert "unknown length" in (layers.reason or "")
    np.save(tmp_path / "x.npy", np.array([0, 1, 0, 0, 1, 1, 0, 0], np.bool_))
    result = made.good(RunKind.INFER, batches=({"x": str(tmp_path / "x.npy")},))
    assert np.load(result.outputs[0]["y"]).tolist() == [[1], [4], [5]]


def test_batches_of_other_lengths_are_inferred(tmp_path: Path) -> None:
    part = Part()
    x = part.tensor("x", "FLOAT32", [1, 1], declared=[-1, -1])
    y = part.tensor("y", "FLOAT32", [1, 1], declared=[-1, -1])
    part.operator("ABS", [x], [y])
    part.inputs, part.outputs = [x], [y]
    made = Harness(tmp_path / "h", write(tmp_path / "m.tflite", part), ModelFormat.TFLITE, "litert")
    made.inspect()
    batches = []
    for shape in ((1, 3), (2, 5), (2, 5), (1, 1)):
        batches.append({"x": str(tmp_path / f"{len(batches)}.npy")})
        np.save(batches[-1]["x"], np.full(shape, -2, np.float32))
    outputs = made.good(RunKind.INFER, batches=tuple(batches)).outputs
    assert [np.load(one["y"]).shape for one in outputs] == [(1, 3), (2, 5), (2, 5), (1, 1)]
    assert np.load(outputs[1]["y"]).tolist() == [[2.0] * 5] * 2
