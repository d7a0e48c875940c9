"""The PyTorch plug-in: both formats against direct runs, hostile and broken files, shapes, devices and layers."""

from __future__ import annotations

import io
import os
import pickle
import shutil
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dynolab.errors import InferenceFailed, ModelInvalid, ModelNotSupported, PluginMissing, SpecInvalid
from dynolab.runtimes import torch as plug_in
from dynolab.runtimes.base import Target
from dynolab.runtimes.torch import Torch
from dynolab.spec import options

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'dynolab[torch]'")

# TorchScript is deprecated as a whole, and every call to make such a model for a test says so.
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")

runtime = Torch()


@pytest.fixture(autouse=True)
def _own_settings() -> Iterator[None]:
    threads, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    yield
    torch.set_num_threads(threads)
    torch.set_float32_matmul_precision(precision)
    assert not torch.is_inference_mode_enabled()


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.convolution = torch.nn.Conv2d(3, 8, 3)
        self.linear = torch.nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(torch.relu(self.convolution(x)).mean((2, 3)))


class Many(torch.nn.Module):
    def forward(self, x: torch.Tensor, times: int, plus: float, negate: bool, y: torch.Tensor | None = None) -> Any:
        result = x * times + plus
        return {"a": -result if negate else result, "b": (x, [x + 1])}


class Tokens(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = torch.nn.Embedding(10, 4)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.table(ids)


@pytest.fixture
def traced(tmp_path: Path) -> Path:
    torch.jit.save(torch.jit.trace(Net().eval(), torch.zeros(1, 3, 16, 16)), tmp_path / "net.pt")
    return tmp_path / "net.pt"


@pytest.fixture
def scripted(tmp_path: Path) -> Path:
    class Typed(torch.nn.Module):
        def forward(self, x: torch.Tensor, times: int, plus: float, negate: bool, y: torch.Tensor | None = None) -> Any:
            result = x * times + plus
            return -result if negate else result, (x, [x + 1])

    torch.jit.save(torch.jit.script(Typed()), tmp_path / "scripted.pt")
    return tmp_path / "scripted.pt"


@pytest.fixture
def program(tmp_path: Path) -> Path:
    batch = torch.export.Dim("batch")
    exported = torch.export.export(Net().eval(), (torch.zeros(2, 3, 16, 16),), dynamic_shapes={"x": {0: batch}})
    torch.export.save(exported, tmp_path / "net.pt2")
    return tmp_path / "net.pt2"


def run(asked: Target, **values: Any) -> dict[str, Any]:
    session = runtime.load(asked)
    try:
        session.bind(values, {})
        session.runner()()
        return session.fetch()
    finally:
        session.close()


def image(*shape: int) -> Any:
    return np.random.default_rng(3).random(shape, np.float32)


# ---- TorchScript -----------------------------------------------------------------------------------------------------


def test_a_traced_model_brings_its_shapes(traced: Path, target: Callable[..., Target]) -> None:
    found = runtime.describe(target(traced))
    assert [(spec.name, spec.dtype, spec.shape) for spec in found.inputs] == [("x", "float32", (1, 3, 16, 16))]
    assert found.parameters == 8 * 3 * 9 + 8 + 8 * 4 + 4
    assert found.parameter_bytes == found.parameters * 4
    assert found.precision == "float32"
    assert runtime.describe(target(traced, x=(2, 3, 8, 8))).inputs[0].shape == (2, 3, 8, 8)
    assert not runtime.compiles(target(traced))


def test_a_traced_model_brings_its_element_types(tmp_path: Path, target: Callable[..., Target]) -> None:
    path = tmp_path / "tokens.pt"
    torch.jit.save(torch.jit.trace(Tokens(), torch.zeros(1, 7, dtype=torch.int64)), path)
    (ids,) = runtime.describe(target(path)).inputs
    assert (ids.dtype, ids.shape) == ("int64", (1, 7))


def test_outputs_of_torchscript_equal_a_direct_run(traced: Path, target: Callable[..., Target]) -> None:
    x = image(1, 3, 16, 16)
    direct = torch.jit.load(traced)(torch.from_numpy(x)).detach()
    np.testing.assert_allclose(run(target(traced), x=x)["output_0"], direct, rtol=1e-5)


def test_shapes_that_nothing_tells_have_to_be_given(scripted: Path, target: Callable[..., Target]) -> None:
    with pytest.raises(SpecInvalid, match=r"inputs: x$") as caught:
        runtime.describe(target(scripted))
    assert "--input-shape x=" in str(caught.value.hint)
    inputs = runtime.describe(target(scripted, x=(2, 5))).inputs
    assert [(spec.name, spec.dtype, spec.shape) for spec in inputs] == [
        ("x", "float32", (2, 5)),
        ("times", "int64", ()),
        ("plus", "float64", ()),
        ("negate", "bool", ()),
    ]


def test_single_numbers_are_fed_as_such_and_results_are_flattened(
    scripted: Path, target: Callable[..., Target]
) -> None:
    x = image(2, 5)
    found = run(target(scripted, x=(2, 5)), x=x, times=np.array(3), plus=np.array(0.5), negate=np.array(True))
    assert list(found) == ["output_0", "output_1", "output_2"]
    np.testing.assert_allclose(found["output_0"], -(x * 3 + 0.5), rtol=1e-6)
    np.testing.assert_allclose(found["output_2"], x + 1)


def test_an_element_type_can_be_given(tmp_path: Path, target: Callable[..., Target]) -> None:
    torch.jit.save(torch.jit.script(Tokens()), tmp_path / "tokens.pt")
    asked = target(tmp_path / "tokens.pt", ids=(1, 4))
    typed = options.Options(groups={"torch_options": {"input_types": "ids:int64"}})
    asked = Target(
        asked.model, asked.format, asked.artifact_dir, asked.cache_dir, typed, asked.scratch_dir, asked.shapes
    )
    assert runtime.describe(asked).inputs[0].dtype == "int64"
    assert run(asked, ids=np.zeros((1, 4), np.int64))["output_0"].shape == (1, 4, 4)


def test_an_input_that_is_no_tensor_is_refused(tmp_path: Path, target: Callable[..., Target]) -> None:
    class Listed(torch.nn.Module):
        def forward(self, xs: list[torch.Tensor]) -> torch.Tensor:
            return xs[0]

    torch.jit.save(torch.jit.script(Listed()), tmp_path / "listed.pt")
    with pytest.raises(ModelNotSupported, match="xs"):
        runtime.describe(target(tmp_path / "listed.pt"))


def test_a_failed_inference_tells_the_reason(traced: Path, target: Callable[..., Target]) -> None:
    with pytest.raises(InferenceFailed, match="channels"):
        run(target(traced), x=image(1, 5, 16, 16))


def test_inference_mode_lasts_from_the_runner_to_the_end(traced: Path, target: Callable[..., Target]) -> None:
    session = runtime.load(target(traced))
    x = image(1, 3, 16, 16)
    session.bind({"x": x}, {})
    assert not torch.is_inference_mode_enabled()
    step = session.runner()
    session.runner()
    assert torch.is_inference_mode_enabled()
    step()
    first = session.fetch()["output_0"]
    x[...] = 0  # the tensor is the caller's memory
    step()
    assert np.abs(session.fetch()["output_0"] - first).max() > 1e-6
    session.close()
    assert not torch.is_inference_mode_enabled()


def test_operators_that_the_model_starts_on_another_thread_are_layers(
    tmp_path: Path, target: Callable[..., Target]
) -> None:
    path = tmp_path / "fork.pt"
    torch.jit.script(Forking()).save(str(path))
    recording = runtime.layers(target(path), {"x": image(300, 300)}, 5)
    kinds = [sorted(layer.type for layer in layers) for layers in recording.iterations]
    assert kinds == [["aten::add", "aten::mm", "aten::mm", "aten::relu"]] * 5
    times = [layer.time_ns for layers in recording.iterations for layer in layers if layer.type == "aten::mm"]
    assert min(times) > 0
    assert len(recording.overlaps_ns) in (0, 5)


class Branch(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.mm(x, x).relu()


class Forking(torch.nn.Module):
    """Two products, one of them on another thread."""

    def __init__(self) -> None:
        super().__init__()
        self.branch = Branch()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        other = torch.jit.fork(self.branch, x)
        return torch.mm(x, x) + torch.jit.wait(other)


def test_layers_are_the_operators_of_each_iteration(traced: Path, target: Callable[..., Target]) -> None:
    recording = runtime.layers(target(traced), {"x": image(1, 3, 16, 16)}, 3)
    assert len(recording.iterations) == 3
    assert len({tuple(layer.name for layer in layers) for layers in recording.iterations}) == 1
    types = [layer.type for layer in recording.iterations[0]]
    assert {"aten::linear", "aten::relu", "aten::mean"} <= set(types)
    assert all(layer.time_ns > 0 for layers in recording.iterations for layer in layers)


def test_silero(target: Callable[..., Target], real_model: Callable[[str], Path]) -> None:
    path = real_model("silero_vad.jit")
    with pytest.raises(SpecInvalid, match=r"inputs: x$"):
        runtime.describe(target(path))
    asked = target(path, x=(1, 512))
    assert [spec.name for spec in runtime.describe(asked).inputs] == ["x", "sr"]
    assert run(asked, x=image(1, 512), sr=np.array(16000))["output_0"].shape == (1, 1)


# ---- exported programs -----------------------------------------------------------------------------------------------


def test_a_program_tells_its_inputs_and_facts(program: Path, target: Callable[..., Target]) -> None:
    found = runtime.describe(target(program))
    (x,) = found.inputs
    assert isinstance(x.shape[0], str)
    assert x.shape[1:] == (3, 16, 16)
    assert found.outputs[0].shape == (x.shape[0], 4)
    assert found.multiply_accumulates is None
    bound = runtime.describe(target(program, x=(1, 3, 16, 16)))
    assert bound.multiply_accumulates == 8 * 14 * 14 * 27 + 8 * 4
    assert bound.parameters == 8 * 3 * 9 + 8 + 8 * 4 + 4
    assert (bound.producer or "").startswith("torch ")
    assert (bound.schema or "").startswith("export schema ")


class Recurrent(torch.nn.Module):
    def __init__(self, kind: str) -> None:
        super().__init__()
        self.inner = getattr(torch.nn, kind)(5, 4, bidirectional=kind == "LSTM", batch_first=True)

    def forward(self, x: Any) -> Any:
        return self.inner(x)[0]


class Attention(torch.nn.Module):
    def forward(self, x: Any) -> Any:
        return torch.nn.functional.scaled_dot_product_attention(x, x, x)


class Product(torch.nn.Module):
    def __init__(self, equation: str, *sizes: int) -> None:
        super().__init__()
        self.equation, self.weights = equation, torch.nn.Parameter(torch.ones(sizes))

    def forward(self, x: Any) -> Any:
        return torch.einsum(self.equation, x, self.weights)


class Spectrum(torch.nn.Module):
    def forward(self, x: Any) -> Any:
        return torch.fft.rfft(x).abs()


def described(folder: Path, target: Callable[..., Target], module: Any, *shape: int) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of recurrent layers, how they keep their weights
        torch.export.save(torch.export.export(module.eval(), (torch.ones(shape),)), folder / "m.pt2")
    return runtime.describe(target(folder / "m.pt2", x=shape))


@pytest.mark.parametrize(
    ("made", "shape", "expected"),
    [
        (lambda: Recurrent("LSTM"), (2, 7, 5), 2 * 2 * 7 * 16 * (5 + 4)),
        (lambda: Recurrent("GRU"), (2, 7, 5), 2 * 7 * 12 * (5 + 4)),
        (Attention, (1, 2, 7, 8), 2 * 7 * 7 * (8 + 8)),
        (lambda: Product("bsi,ij->bsj", 5, 3), (2, 7, 5), 2 * 7 * 5 * 3),
        (lambda: Product("bi,i->b", 5), (2, 5), 2 * 5),
    ],
    ids=["lstm", "gru", "attention", "einsum", "vector"],
)
def test_products_inside_of_operators_are_counted(
    tmp_path: Path, target: Callable[..., Target], made: Callable[[], Any], shape: tuple[int, ...], expected: int
) -> None:
    found = described(tmp_path, target, made(), *shape)
    assert found.unknown is None
    assert found.multiply_accumulates == expected


def test_what_nobody_counts_is_none_with_the_reason(tmp_path: Path, target: Callable[..., Target]) -> None:
    found = described(tmp_path, target, Spectrum(), 1, 64)
    assert found.multiply_accumulates is None
    assert "fft" in (found.unknown or {})["multiply_accumulates"]


def test_outputs_of_a_program_equal_a_direct_run(program: Path, target: Callable[..., Target]) -> None:
    x = image(1, 3, 16, 16)
    direct = torch.export.load(program).module()(torch.from_numpy(x)).detach()
    np.testing.assert_allclose(run(target(program, x=(1, 3, 16, 16)), x=x)["output_0"], direct, rtol=1e-5)


def test_constants_and_keywords_of_a_program_are_kept(tmp_path: Path, target: Callable[..., Target]) -> None:
    exported = torch.export.export(Many(), (torch.ones(2, 2), 3, 0.5), {"negate": True, "y": None})
    torch.export.save(exported, tmp_path / "many.pt2")
    asked = target(tmp_path / "many.pt2", x=(2, 2))
    assert [spec.name for spec in runtime.describe(asked).inputs] == ["x"]
    x = image(2, 2)
    found = run(asked, x=x)
    np.testing.assert_allclose(found["output_0"], -(x * 3 + 0.5), rtol=1e-6)
    assert list(found) == ["output_0", "output_1", "output_2"]


def test_sizes_that_are_tied_come_from_the_example(tmp_path: Path, target: Callable[..., Target]) -> None:
    class Tied(torch.nn.Module):
        def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return x + y[::2]

    half = torch.export.Dim("half", min=2)
    shapes = {"x": {0: half}, "y": {0: 2 * half}}
    exported = torch.export.export(Tied(), (torch.ones(3), torch.ones(6)), dynamic_shapes=shapes)
    torch.export.save(exported, tmp_path / "tied.pt2")
    inputs = runtime.describe(target(tmp_path / "tied.pt2")).inputs
    assert [spec.shape for spec in inputs] == [(3,), (6,)]
    other = runtime.describe(target(tmp_path / "tied.pt2", x=(4,), y=(8,))).inputs
    assert [spec.shape for spec in other] == [(4,), (8,)]


def test_compiling_needs_a_compiler(
    program: Path, target: Callable[..., Target], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert runtime.compiles(target(program))
    with pytest.raises(PluginMissing, match=r"C\+\+ compiler"):
        runtime.compile(target(program))


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="there is no g++")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_program_is_compiled_and_its_artifact_loaded(program: Path, target: Callable[..., Target]) -> None:
    asked = target(program, x=(1, 3, 16, 16))
    x = image(1, 3, 16, 16)
    eager = run(asked, x=x)["output_0"]
    runtime.compile(asked)
    assert [path.name for path in asked.artifact_dir.iterdir()] == ["model.pt2"]
    shutil.rmtree(asked.cache_dir)
    asked.cache_dir.mkdir()
    session = runtime.load(asked)
    assert session.effective()["executor"] == "AOTInductor"
    assert [(spec.name, spec.dtype, spec.shape) for spec in session.inputs] == [("x", "float32", (1, 3, 16, 16))]
    session.close()
    np.testing.assert_allclose(run(asked, x=x)["output_0"], eager, rtol=1e-4, atol=1e-5)
    recording = runtime.layers(asked, {"x": x}, 2)
    assert [layers[-1].name for layers in recording.iterations] == ["compiled kernels"] * 2
    assert "one layer" in (recording.note or "")


# ---- files that are broken or mean harm ------------------------------------------------------------------------------


class Harm:
    """What unpickling this would do: leave a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.mark}",)


def repack(source: Path, copy: Path, ending: str, content: bytes, *, add: str | None = None) -> Path:
    """The archive with one entry's content replaced, or one entry added."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(copy, "w", zipfile.ZIP_STORED) as new:
        names = old.namelist()
        assert add is not None or any(name.endswith(ending) for name in names)
        for name in names:
            new.writestr(name, content if name.endswith(ending) and add is None else old.read(name))
        if add is not None:
            new.writestr(f"{names[0].split('/')[0]}/{add}", content)
    return copy


def saved(harm: Harm, *, archive: bool) -> bytes:
    buffer = io.BytesIO()
    torch.save(harm, buffer, _use_new_zipfile_serialization=archive)
    return buffer.getvalue()


@pytest.mark.parametrize("name", ["evil.pt", "evil.pt2"])
@pytest.mark.parametrize("kind", ["pickle", "torch.save", "torch.save of old"])
def test_a_pickle_is_refused_unopened(tmp_path: Path, target: Callable[..., Target], name: str, kind: str) -> None:
    harm = Harm(tmp_path / "harmed")
    path = tmp_path / name
    path.write_bytes(pickle.dumps(harm) if kind == "pickle" else saved(harm, archive=kind == "torch.save"))
    for act in (runtime.describe, runtime.load):
        with pytest.raises(ModelInvalid, match="not opened") as caught:
            act(target(path))
        assert "save it with" in str(caught.value.hint)
    assert not harm.mark.exists()


@pytest.mark.parametrize("entry", ["/data.pkl", "/constants.pkl", "/traced_inputs.pkl"])
def test_a_pickle_inside_torchscript_does_no_harm(
    tmp_path: Path, traced: Path, target: Callable[..., Target], entry: str
) -> None:
    harm = Harm(tmp_path / "harmed")
    path = repack(traced, tmp_path / "evil.pt", entry, pickle.dumps(harm, protocol=2))
    with pytest.raises((ModelInvalid, SpecInvalid)):
        runtime.describe(target(path))
    assert not harm.mark.exists()


def test_a_pickle_inside_a_program_does_no_harm(tmp_path: Path, program: Path, target: Callable[..., Target]) -> None:
    harm = Harm(tmp_path / "harmed")
    path = repack(program, tmp_path / "evil.pt2", "/sample_inputs/model.pt", saved(harm, archive=True))
    for act in (runtime.describe, runtime.load):
        with pytest.raises(ModelInvalid, match="pickled objects"):
            act(target(path))
    assert not harm.mark.exists()


def test_native_code_inside_a_program_is_not_loaded(
    tmp_path: Path, program: Path, target: Callable[..., Target]
) -> None:
    path = repack(program, tmp_path / "evil.pt2", "", b"\x7fELF", add="data/aotinductor/model/x.wrapper.so")
    with pytest.raises(ModelInvalid, match="native code"):
        runtime.load(target(path))


@pytest.mark.parametrize("kind", ["empty", "garbage", "half", "other"])
@pytest.mark.parametrize("suffix", [".pt", ".pt2"])
def test_a_broken_file_is_named(
    tmp_path: Path, traced: Path, program: Path, target: Callable[..., Target], kind: str, suffix: str
) -> None:
    good, other = (traced, program) if suffix == ".pt" else (program, traced)
    content = good.read_bytes()
    broken = {"empty": b"", "garbage": b"\x17no\xff" * 99, "half": content[: len(content) // 2]}
    path = tmp_path / f"broken{suffix}"
    path.write_bytes(broken.get(kind, other.read_bytes()))
    for act in (runtime.describe, runtime.load):
        with pytest.raises(ModelInvalid, match=f"broken{suffix}"):
            act(target(path))


# ---- devices and options ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["--compute_unit npu", "--compute_unit gpu", "--torch_options device=cuda:1"])
def test_a_device_that_is_not_there_is_an_error(
    traced: Path, target: Callable[..., Target], monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ModelNotSupported, match=r"NPU|GPU|cuda:1"):
        runtime.load(target(traced, text))


@pytest.mark.parametrize(
    ("text", "device"),
    [
        ("", "cpu"),
        ("--compute_unit cpu", "cpu"),
        ("--compute_unit gpu,cpu", "cuda"),
        ("--compute_unit cpu,gpu", "cpu"),
        ("--torch_options device=cuda:1", "cuda:1"),
        ("--torch_options device=cpu --compute_unit gpu,cpu", "cpu"),
    ],
)
def test_the_device_that_is_asked_for_is_chosen(monkeypatch: pytest.MonkeyPatch, text: str, device: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert plug_in._device(options.parse(text)) == device


def test_devices_that_contradict_each_other_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises(SpecInvalid, match="GPU"):
        plug_in._device(options.parse("--torch_options device=cpu --compute_unit gpu"))


def test_options_reach_pytorch_and_are_read_back(traced: Path, target: Callable[..., Target]) -> None:
    asked = target(traced, '--torch_options "num_threads=1;float32_matmul_precision=medium"')
    effective = runtime.load(asked).effective()
    assert effective["num_threads"] == "1"
    assert effective["float32_matmul_precision"] == "medium"
    assert effective["device"] == "cpu"
    assert effective["executor"] == "TorchScript"


def test_bfloat16_comes_back_as_it_is(tmp_path: Path, target: Callable[..., Target]) -> None:
    class Half(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.to(torch.bfloat16)

    torch.jit.save(torch.jit.trace(Half(), torch.ones(3)), tmp_path / "half.pt")
    found = run(target(tmp_path / "half.pt"), x=np.ones(3, np.float32))["output_0"]
    assert found.dtype.name == "bfloat16"
    np.testing.assert_array_equal(found.astype(np.float32), np.ones(3))


class Quantised(torch.nn.Module):
    def forward(self, x: Any) -> Any:
        return torch.quantize_per_tensor(x, 0.5, 0, torch.quint8)


class Sparse(torch.nn.Module):
    def forward(self, x: Any) -> Any:
        return x.to_sparse()


class Conjugate(torch.nn.Module):
    def forward(self, x: Any) -> Any:
        return torch.fft.fft(x).conj()


class Rows(torch.nn.Module):
    def forward(self, x: Any) -> Any:
        return x.reshape(2, 2).to_sparse_csr()


class Channels(torch.nn.Module):
    def forward(self, x: Any) -> Any:
        scales, zeros = torch.tensor([0.5, 1.0]), torch.tensor([0, 0])
        return torch.quantize_per_channel(x.reshape(2, 2), scales, zeros, 0, torch.qint8)


class Halves(torch.nn.Module):
    def forward(self, x: Any) -> Any:
        return torch.view_as_complex(x.reshape(2, 2).half())


class Brain(torch.nn.Module):
    def forward(self, x: Any) -> Any:
        return x.to(torch.bfloat16)


@pytest.mark.parametrize(
    ("module", "dtype", "expected"),
    [
        (Quantised(), "float32", [0.0, 1.5, 0.0, 2.0]),
        (Sparse(), "float32", [0.0, 1.5, 0.0, 2.0]),
        (Conjugate(), "complex64", [3.5, -0.5j, -3.5, 0.5j]),
        (Brain(), "bfloat16", [0.0, 1.5, 0.0, 2.0]),
        (Rows(), "float32", [[0.0, 1.5], [0.0, 2.0]]),
        (Channels(), "float32", [[0.0, 1.5], [0.0, 2.0]]),
        (Halves(), "complex64", [1.5j, 2.0j]),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, torch.nn.Module) else "",
)
@pytest.mark.filterwarnings("ignore")  # PyTorch's own, of quantised tensors and halves
def test_outputs_that_are_no_plain_arrays(
    tmp_path: Path, target: Callable[..., Target], module: Any, dtype: str, expected: list[Any]
) -> None:
    values = torch.tensor([0.0, 1.5, 0.0, 2.0])
    torch.jit.save(torch.jit.trace(module, (values,), check_trace=False), str(tmp_path / "m.pt"))
    session = runtime.load(target(tmp_path / "m.pt", x=(4,)))
    session.bind({"x": values.numpy()}, {})
    session.runner()()
    (found,) = session.fetch().values()
    session.close()
    assert found.dtype.name == dtype
    assert np.allclose(found.astype(complex), expected)


class Mixed(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> tuple[dict[str, list[torch.Tensor]], str, torch.Tensor | None, int]:
        return {"a": [x, x + 1]}, "text", None, 3


def test_what_is_no_tensor_of_a_result_is_left_out(tmp_path: Path, target: Callable[..., Target]) -> None:
    torch.jit.save(torch.jit.script(Mixed()), str(tmp_path / "m.pt"))
    found = run(target(tmp_path / "m.pt", x=(2,)), x=np.ones(2, np.float32))
    assert {name: array.tolist() for name, array in found.items()} == {"output_0": [1.0, 1.0], "output_1": [2.0, 2.0]}
