"""What PyTorch's own formats let a model do: read and write files by an operator, and call functions by name."""

from __future__ import annotations

import json
import warnings
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

from dynolab.measure.protocol import InputWishes, RunKind
from dynolab.sandbox.base import strongest
from dynolab.spec.models import ModelFormat
from dynolab.testing.harness import Harness

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("torch") is None, reason="torch is not installed"),  # to import it takes 2 s
    pytest.mark.skipif(not strongest().protects, reason="this system has no sandbox"),
]
TOKEN = "the-token-of-the-agent"


def source(path: str, *, shared: bool) -> str:
    """A scripted module whose output is the content of a file, or which makes one."""
    return f"""
def forward(self, x):
    return torch.from_file({path!r}, {shared}, {len(TOKEN)}, dtype=torch.uint8).sum() + x
"""


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(TOKEN, encoding="utf-8")
    tmp_path.chmod(0o755)
    path.chmod(0o644)
    return path


def inspected(tmp_path: Path, model: Path, kind: ModelFormat) -> dict[str, object] | None:
    """The error of a first run on a model."""
    wishes = InputWishes(shapes={"x": (1,)}) if kind == ModelFormat.TORCHSCRIPT else InputWishes()
    harness = Harness(tmp_path / "work", model, kind, "torch", wishes=wishes)
    return harness.run(RunKind.INSPECT).result.error


@pytest.mark.parametrize("shared", [False, True], ids=["reads", "writes"])
def test_torchscript_that_opens_a_file_finds_none(tmp_path: Path, secret: Path, shared: bool) -> None:
    import torch

    place = tmp_path / "made" if shared else secret
    (tmp_path / "model").mkdir()
    model = tmp_path / "model" / "net.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch 2.13 gives up TorchScript; its files stay
        module = type(f"Opens{shared}", (torch.jit.ScriptModule,), {})()
        module.define(source(str(place), shared=shared))
        torch.jit.save(module, str(model))
        if not shared:
            assert torch.jit.load(str(model))(torch.zeros(1)).item() == sum(TOKEN.encode()), "it would read it here"
    error = inspected(tmp_path, model, ModelFormat.TORCHSCRIPT)
    assert error is not None
    assert error["code"] == "InferenceFailed"
    assert str(place) in str(error["message"])
    assert not (tmp_path / "made").exists()


def node(target: str, arguments: list[dict[str, object]]) -> dict[str, object]:
    """A call that takes the place of another in a serialised program."""
    inputs = [{"name": "", "arg": argument, "kind": 1} for argument in arguments]
    return {"target": target, "inputs": inputs}


@pytest.mark.parametrize(
    "target", ["torch.os.system", "torch.ops.aten.from_file.default", "torch.serialization.os.remove"]
)
def test_a_program_that_names_another_function_does_no_harm(tmp_path: Path, secret: Path, target: str) -> None:
    from dynolab.testing.models import exported_program

    sound = exported_program(tmp_path / "sound.pt2")
    made = tmp_path / "made"
    text = f"cp {secret} {made}" if target.endswith("system") else str(secret)
    (tmp_path / "model").mkdir()
    model = tmp_path / "model" / "net.pt2"
    with zipfile.ZipFile(sound) as old, zipfile.ZipFile(model, "w", zipfile.ZIP_STORED) as new:
        for name in old.namelist():
            content = old.read(name)
            if name.endswith("models/model.json"):
                document = json.loads(content)
                relu = document["graph_module"]["graph"]["nodes"][1]
                relu.update(node(target, [{"as_string": text}]))
                content = json.dumps(document).encode()
            new.writestr(name, content)
    error = inspected(tmp_path, model, ModelFormat.EXPORTED_PROGRAM)
    assert error is not None
    assert error["code"] in ("ModelInvalid", "InferenceFailed"), error
    assert not made.exists()
    assert secret.exists()
