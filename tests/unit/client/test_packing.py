"""What a client packs: files of several, and formats that the hub's devices alone know."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from dynolab.client.packing import packed
from dynolab.errors import ModelInvalid

TOLD = {".foo": "foo"}
"""What a hub's devices tell of endings."""


SMALL = b"\x3a\x00"
"""An ONNX file with an empty graph."""


def field(number: int, *parts: bytes) -> bytes:
    """In protobuf's wire format."""
    content = b"".join(parts)
    return bytes([number << 3 | 2, len(content)]) + content


def with_weights_in(location: str) -> bytes:
    """An ONNX file with one tensor, whose values lie in another file."""
    return field(7, field(5, field(13, field(1, b"location"), field(2, location.encode()))))


@pytest.mark.parametrize(
    ("entry", "content", "other", "kind"),
    [
        ("net.xml", b"<net/>", "net.bin", "openvino_ir"),
        ("net.param", b"7767517\n", "net.bin", "ncnn"),
        ("net.onnx", with_weights_in("weights/net.data"), "weights/net.data", "onnx"),
    ],
)
def test_a_model_of_several_files_goes_as_one(
    tmp_path: Path, entry: str, content: bytes, other: str, kind: str
) -> None:
    (tmp_path / entry).write_bytes(content)
    (tmp_path / "another.onnx").write_bytes(SMALL)
    with pytest.raises(ModelInvalid, match=f"{other}.*not there|{other} is missing beside"), packed(tmp_path / entry):
        pass
    (tmp_path / other).parent.mkdir(exist_ok=True)
    (tmp_path / other).write_text("two")
    with packed(tmp_path / entry) as (file, found, is_directory):
        assert (found, is_directory) == (kind, True)
        assert sorted(zipfile.ZipFile(file).namelist()) == sorted([f"net/{other}", f"net/{entry}"])


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("net.onnx", b"", r"net\.onnx is empty"),
        ("net.onnx", b"<html>404 Not Found</html>", r"net\.onnx is not a whole ONNX file"),
        ("net.onnx", b"hi\n", r"a field at byte 3 runs past the end of the file"),
        ("net.tflite", SMALL, r"net\.tflite does not hold the mark TFL3"),
        ("net.onnx", b"\x1c\0\0\0TFL3", r"net\.onnx is named like onnx, but holds tflite"),
        ("net.pt", b"\x80\x02", r"net\.pt is not a whole TorchScript or exported program"),
        ("net.onnx", with_weights_in("../../etc/passwd"), "outside its folder"),
    ],
)
def test_what_is_no_model_is_refused_before_it_goes(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    for path in (tmp_path / name, tmp_path):
        with pytest.raises(ModelInvalid, match=said) as refused, packed(path):
            pass
        assert refused.value.exit_code == 2


def test_a_folder_of_two_models_is_refused_as_its_device_would(tmp_path: Path) -> None:
    for name in ("one.onnx", "two.onnx"):
        (tmp_path / name).write_bytes(SMALL)
    with pytest.raises(ModelInvalid, match=r"holds 2 models: one\.onnx, two\.onnx"), packed(tmp_path):
        pass


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "net.onnx").write_bytes(SMALL)
    monkeypatch.setattr(Path, "open", denied)  # root reads all
    with (
        pytest.raises(ModelInvalid, match=r"net\.onnx cannot be read: Permission denied"),
        packed(tmp_path / "net.onnx"),
    ):
        pass


def test_a_format_that_is_not_declared_here_goes_where_a_device_reads_it(tmp_path: Path) -> None:
    (tmp_path / "net.foo").write_text("foo")
    with packed(tmp_path / "net.foo", lambda: TOLD) as (file, kind, is_directory):
        assert (file, kind, is_directory) == (tmp_path / "net.foo", "foo", False)
    with packed(tmp_path, lambda: TOLD) as (_, kind, is_directory):
        assert (kind, is_directory) == ("foo", True)
    with pytest.raises(ModelInvalid, match=r"net\.foo holds no model") as refused, packed(tmp_path / "net.foo"):
        pass
    assert ".onnx" in (refused.value.hint or "")


def test_an_ending_of_many_is_a_devices_own_format_first(tmp_path: Path) -> None:
    (tmp_path / "net.bin").write_bytes(b"context")
    with packed(tmp_path / "net.bin", lambda: {".bin": "foo"}) as (_, kind, _):
        assert kind == "foo"
    with packed(tmp_path / "net.bin") as (_, kind, _):
        assert kind == "qnn_context_binary", "as `dynolab profile` takes it"


def test_the_hub_is_not_asked_for_a_format_of_dynolabs_own(tmp_path: Path) -> None:
    def asked() -> dict[str, str]:
        raise AssertionError("asked")

    (tmp_path / "net.onnx").write_bytes(SMALL)
    with packed(tmp_path / "net.onnx", asked) as (_, kind, _):
        assert kind == "onnx"
