"""LiteRT: against its own classic interpreter, on damaged and awkward models that are made here."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dynolab.errors import InferenceFailed, LoadFailed, ModelInvalid, ModelNotSupported
from dynolab.runtimes.base import Target
from dynolab.runtimes.litert import WEIGHT_CACHE, c_api, events, file_facts, plugin, schema
from dynolab.spec.models import ModelFormat
from dynolab.spec.options import parse

EXAMPLES = Path(__file__).parents[3] / "examples" / "models"
SHARED = Path(__file__).parents[3].parent / "shared" / "models"
KWS = EXAMPLES / "mlperf_tiny_kws_int8.tflite"
ROCK_PAPER_SCISSORS = EXAMPLES / "rock_paper_scissors_float32.tflite"

pytestmark = pytest.mark.skipif(plugin.unavailable() is not None, reason=str(plugin.unavailable()))


@dataclass
class Part:
    """One graph of a model to make: tensors, operators, inputs and outputs, by number."""

    tensors: list[tuple[Any, ...]] = field(default_factory=list)
    operators: list[tuple[Any, ...]] = field(default_factory=list)
    inputs: Sequence[int] = ()
    outputs: Sequence[int] = ()

    def tensor(
        self, name: str, kind: str, shape: Sequence[int], *, declared: Sequence[int] | None = None, value: Any = None
    ) -> int:
        self.tensors.append((name, kind, list(shape), declared, value))
        return len(self.tensors) - 1

    def operator(self, code: str, inputs: list[int], outputs: list[int], **options: Any) -> None:
        """``code``: a builtin operator's name, or ``custom:Name``; options go to the table named by ``table``."""
        self.operators.append((code, inputs, outputs, options))


def write(path: Path, *parts: Part, names: tuple[dict[int, str], dict[int, str]] | None = None) -> Path:
    """A .tflite file, made with the schema that LiteRT brings; ``names``: a signature's, by tensor."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT()
    model.version, model.description, model.buffers, model.operatorCodes = 3, "made by a test", [schema.BufferT()], []
    codes: dict[str, int] = {}

    def made_tensor(name: str, kind: str, shape: list[int], declared: Sequence[int] | None, value: Any) -> Any:
        tensor = schema.TensorT()
        tensor.name, tensor.type, tensor.shape, tensor.buffer = name, getattr(schema.TensorType, kind), shape, 0
        tensor.shapeSignature = None if declared is None else list(declared)
        if value is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(value.tobytes(), np.uint8)
            model.buffers.append(buffer)
            tensor.buffer = len(model.buffers) - 1
        return tensor

    def made_code(name: str) -> Any:
        code = schema.OperatorCodeT()
        custom = name.partition(":")[2]
        code.builtinCode = schema.BuiltinOperator.CUSTOM if custom else getattr(schema.BuiltinOperator, name)
        code.deprecatedBuiltinCode, code.customCode, code.version = min(code.builtinCode, 127), custom or None, 1
        return code

    def made_operator(code: str, inputs: list[int], outputs: list[int], options: dict[str, Any]) -> Any:
        if code not in codes:
            codes[code] = len(codes)
            model.operatorCodes.append(made_code(code))
        operator = schema.OperatorT()
        operator.opcodeIndex, operator.inputs, operator.outputs = codes[code], inputs, outputs
        if options:
            table = options.pop("table")
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, table)
            operator.builtinOptions = getattr(schema, f"{table}T")()
            for name, value in options.items():
                setattr(operator.builtinOptions, name, value)
        return operator

    def made_part(part: Part) -> Any:
        graph = schema.SubGraphT()
        graph.tensors = [made_tensor(*tensor) for tensor in part.tensors]
        graph.operators = [made_operator(*operator) for operator in part.operators]
        graph.inputs, graph.outputs = list(part.inputs), list(part.outputs)
        return graph

    def made_map(tensor: int, name: str) -> Any:
        item = schema.TensorMapT()
        item.tensorIndex, item.name = tensor, name
        return item

    model.subgraphs = [made_part(part) for part in parts]
    if names is not None:
        signature = schema.SignatureDefT()
        signature.signatureKey, signature.subgraphIndex = "serve", 0
        signature.inputs, signature.outputs = ([made_map(*item) for item in side.items()] for side in names)
        model.signatureDefs = [signature]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    return path


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


@pytest.fixture
def targeted(tmp_path: Path) -> Callable[..., Target]:
    """A target in a folder of its own, with an empty cache."""

    def make(model: Path, options: str = "", **shapes: tuple[int, ...]) -> Target:
        folders = [tmp_path / name for name in ("artifact", "cache")]
        for folder in folders:
            folder.mkdir(exist_ok=True)
        return Target(model, ModelFormat.TFLITE, *folders, parse(options), shapes)

    return make


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


def test_facts_of_a_known_model(targeted: Callable[..., Target]) -> None:
    target = bound(targeted(KWS))
    found = plugin.describe(target)
    assert [(spec.name, spec.dtype, spec.shape) for spec in found.inputs] == [("input_1", "float32", (None, 50, 10, 1))]
    assert [(spec.name, spec.shape) for spec in found.outputs] == [("Identity", (None, 12))]
    assert found.parameters == 22_606
    assert found.parameter_bytes == 24_376
    assert found.precision == "int8 90%, int32 10%"
    assert found.operators == 15
    assert found.multiply_accumulates == 2_656_768  # MLPerf Tiny's DS-CNN: 2.7 M
    assert found.schema is not None
    assert found.schema.startswith("TFLite schema 3")


def test_macs_need_the_shapes_that_the_file_was_written_for(targeted: Callable[..., Target]) -> None:
    for shapes in ({}, {"input_1": (2, 50, 10, 1)}):
        found = plugin.describe(targeted(KWS, **shapes))
        assert found.multiply_accumulates is None
        assert found.unknown is not None
        assert "shapes" in found.unknown["multiply_accumulates"]


def test_names_are_the_signatures_in_the_graphs_order(tmp_path: Path, targeted: Callable[..., Target]) -> None:
    part = Part()
    first, second = part.tensor("p", "FLOAT32", [3]), part.tensor("q", "FLOAT32", [3])
    part.inputs, part.outputs = [first, second], [part.tensor("u", "FLOAT32", [3]), part.tensor("v", "FLOAT32", [3])]
    part.operator("ABS", [first], [part.outputs[0]])
    part.operator("NEG", [second], [part.outputs[1]])
    target = targeted(write(tmp_path / "m.tflite", part, names=({1: "a", 0: "z"}, {3: "b", 2: "y"})))
    described, session = plugin.describe(target), plugin.load(target)
    assert [spec.name for spec in described.inputs] == [spec.name for spec in session.inputs] == ["z", "a"]
    assert [spec.name for spec in described.outputs] == [spec.name for spec in session.outputs] == ["y", "b"]
    session.close()
    found = outputs_of(target, {"a": np.full(3, 5, np.float32), "z": np.full(3, -2, np.float32)})
    assert found["y"].tolist() == [2, 2, 2]
    assert found["b"].tolist() == [-5, -5, -5]


def test_a_name_that_is_there_twice_is_refused(tmp_path: Path, targeted: Callable[..., Target]) -> None:
    part = Part()
    part.inputs = [part.tensor("x", "FLOAT32", [3]), part.tensor("x", "FLOAT32", [3])]
    part.outputs = [part.tensor("y", "FLOAT32", [3])]
    part.operator("ADD", [*part.inputs], [*part.outputs], table="AddOptions")
    with pytest.raises(ModelNotSupported, match="share a name"):
        plugin.describe(targeted(write(tmp_path / "m.tflite", part)))


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
    tmp_path: Path, targeted: Callable[..., Target], content: bytes, said: str
) -> None:
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(content)
    with pytest.raises(ModelInvalid, match=said) as caught:
        plugin.describe(targeted(broken))
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


def test_an_unresolved_custom_operator_is_named(tmp_path: Path, targeted: Callable[..., Target]) -> None:
    part = Part()
    part.inputs, part.outputs = [part.tensor("x", "FLOAT32", [3])], [part.tensor("y", "FLOAT32", [3])]
    part.operator("custom:Landmarks2TransformMatrix", [*part.inputs], [*part.outputs])
    target = targeted(write(tmp_path / "m.tflite", part))
    with pytest.raises(ModelNotSupported, match="Landmarks2TransformMatrix"):
        plugin.describe(target)
    with pytest.raises(LoadFailed, match="Landmarks2TransformMatrix"):  # the library's own words
        plugin.load(target)


@pytest.mark.parametrize("kind", ["STRING", "RESOURCE", "INT4"])
def test_element_types_that_cannot_be_fed(tmp_path: Path, targeted: Callable[..., Target], kind: str) -> None:
    with pytest.raises(ModelNotSupported, match=f"'x' is a {kind.lower()} tensor"):
        plugin.describe(targeted(reshaping(tmp_path / "m.tflite", kind)))


def test_units_and_delegates_that_are_not_here(targeted: Callable[..., Target]) -> None:
    for call in (plugin.describe, plugin.load):
        with pytest.raises(ModelNotSupported, match="no NPU on this machine"):
            call(targeted(KWS, "--compute_unit npu"))
        with pytest.raises(ModelNotSupported, match="no delegate 'gpu' here \\(it has: xnnpack\\)"):
            call(targeted(KWS, "--tflite_delegates gpu"))


def test_a_shape_that_does_not_fit_fails_in_load(tmp_path: Path, targeted: Callable[..., Target]) -> None:
    with pytest.raises(LoadFailed, match="not compatible"):
        plugin.load(targeted(adding(tmp_path / "m.tflite"), x=(4, 4)))


def test_an_output_whose_shape_depends_on_values_fails_in_the_run(
    tmp_path: Path, targeted: Callable[..., Target]
) -> None:
    part = Part()
    part.inputs = [part.tensor("x", "BOOL", [4])]
    part.outputs = [part.tensor("y", "INT64", [4, 1], declared=[-1, 1])]
    part.operator("WHERE", [*part.inputs], [*part.outputs])
    with pytest.raises(InferenceFailed, match="output tensor"):
        outputs_of(targeted(write(tmp_path / "m.tflite", part)))


def test_inputs_must_be_what_was_loaded(tmp_path: Path, targeted: Callable[..., Target]) -> None:
    session = plugin.load(targeted(adding(tmp_path / "m.tflite")))
    for wrong in (np.zeros((2, 3), np.float32), np.zeros((1, 3), np.float64)):
        with pytest.raises(InferenceFailed, match="is float32"):
            session.bind({"x": wrong}, {})
    session.close()


# ---- sessions --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [KWS, ROCK_PAPER_SCISSORS], ids=lambda path: path.stem)
def test_outputs_are_the_classic_interpreters_bit_by_bit(model: Path, targeted: Callable[..., Target]) -> None:
    target = bound(targeted(model))
    session = plugin.load(target)
    inputs = random_inputs(session.inputs)
    session.close()
    found = outputs_of(target, inputs)
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
def test_every_element_type_comes_through(tmp_path: Path, targeted: Callable[..., Target], kind: str) -> None:
    target = targeted(reshaping(tmp_path / "m.tflite", kind))
    spec = plugin.describe(target).inputs[0]
    assert spec.dtype == kind.lower()
    inputs = random_inputs([spec])
    found = outputs_of(target, inputs)["y"]
    assert found.dtype == np.dtype(spec.dtype)
    assert np.array_equal(found, inputs["x"].reshape(3, 2))


def test_a_scalar_input(tmp_path: Path, targeted: Callable[..., Target]) -> None:
    part = Part()
    part.inputs = [part.tensor("x", "FLOAT32", []), part.tensor("v", "FLOAT32", [3])]
    part.outputs = [part.tensor("y", "FLOAT32", [3])]
    part.operator("MUL", [*part.inputs], [*part.outputs], table="MulOptions")
    inputs = {"x": np.array(3, np.float32), "v": np.ones(3, np.float32)}
    assert outputs_of(targeted(write(tmp_path / "m.tflite", part)), inputs)["y"].tolist() == [3, 3, 3]


def test_an_unbound_dimension_takes_the_size_given(tmp_path: Path, targeted: Callable[..., Target]) -> None:
    model = adding(tmp_path / "m.tflite")
    assert plugin.describe(targeted(model)).inputs[0].shape == (None, 3)
    target = targeted(model, x=(4, 3))
    inputs = {"x": np.arange(12, dtype=np.float32).reshape(4, 3)}
    found = outputs_of(target, inputs)["y"]
    assert np.array_equal(found, inputs["x"] + 1)
    recording = plugin.layers(target, inputs, 2)
    assert [layer.type for layer in recording.iterations[0]] == ["ADD"]


def test_state_is_kept_between_runs(tmp_path: Path, targeted: Callable[..., Target]) -> None:
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
    target = targeted(write(tmp_path / "m.tflite", main, start))
    assert outputs_of(target, {"x": np.full(3, 2, np.float32)}, runs=5)["y"].tolist() == [10, 10, 10]


@pytest.mark.parametrize(("options", "threads"), [("", 1), ("-1", 1), ("1", 1), ("2", 2)])
def test_effective_threads(targeted: Callable[..., Target], options: str, threads: int) -> None:
    text = f"--tflite_options number_of_threads={options}" if options else ""
    session = plugin.load(targeted(KWS, f"--tflite_delegates xnnpack {text}"))
    effective = session.effective()
    session.close()
    assert effective["threads"].split()[0] == str(threads)
    assert effective["delegate"] == "XNNPACK"
    assert effective["fully_delegated"] == "false"  # its pooling and softmax are TFLite's own


def test_the_weight_cache_is_written_then_read(targeted: Callable[..., Target]) -> None:
    target = targeted(ROCK_PAPER_SCISSORS)
    file = target.cache_dir / WEIGHT_CACHE
    found = []
    for expected in ("written", "read"):
        session = plugin.load(target)
        assert session.effective()["xnnpack_weight_cache"] == expected
        inputs = random_inputs(session.inputs)
        session.bind(inputs, {})
        session.runner()()
        found.append(session.fetch()["dense_1"])
        session.close()
    stamp = file.stat().st_mtime_ns
    plugin.layers(target, inputs, 1)
    assert file.stat().st_mtime_ns == stamp  # the layer pass reads the same file
    file.write_bytes(file.read_bytes()[:1000])
    found.append(outputs_of(target, inputs)["dense_1"])
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])


# ---- layers ----------------------------------------------------------------------------------------------------------


def test_layers_tell_who_ran_them_and_add_up(targeted: Callable[..., Target]) -> None:
    target = bound(targeted(KWS))
    session = plugin.load(target)
    inputs = random_inputs(session.inputs)
    session.bind(inputs, {})
    run, walls = session.runner(), []
    for _ in range(200):
        before = time.perf_counter_ns()
        run()
        walls.append(time.perf_counter_ns() - before)
    session.close()
    recording = plugin.layers(target, inputs, 50)
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


def test_layers_need_a_release_that_was_tried(targeted: Callable[..., Target], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(c_api, "TRIED", frozenset({"1.0"}))
    with pytest.raises(ModelNotSupported, match="C API"):
        plugin.layers(targeted(KWS), {}, 1)


def test_a_loop_is_one_layer(tmp_path: Path, targeted: Callable[..., Target]) -> None:
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
    target = targeted(write(tmp_path / "m.tflite", main, condition, body))
    inputs = {"i": np.array(0, np.int32), "x": np.ones((1, 64), np.float32)}
    assert outputs_of(target, inputs)["y"][0, 0] == -8
    assert [layer.type for layer in plugin.layers(target, inputs, 2).iterations[0]] == ["WHILE", "NEG"]
    found = plugin.describe(target)
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
def test_real_models(path: Path, tmp_path: Path, targeted: Callable[..., Target]) -> None:
    target = targeted(Path(shutil.copy(path, tmp_path)))
    if path.stem == "face_landmark_with_attention":
        with pytest.raises(ModelNotSupported, match="Landmarks2TransformMatrix"):
            plugin.describe(target)
        return
    target = bound(target)
    session = plugin.load(target)
    inputs = random_inputs(session.inputs)
    session.close()
    for mine, theirs in zip(outputs_of(target, inputs).values(), classic(path, inputs), strict=True):
        assert np.array_equal(mine, theirs)
    recording = plugin.layers(target, inputs, 2)
    named = [layer for layer in recording.iterations[0] if "(" not in layer.name]
    assert len(named) > len(recording.iterations[0]) * 0.7
