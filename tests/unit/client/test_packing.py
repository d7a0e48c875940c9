"""What a client packs: files of several, and formats that the hub's devices alone know."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from dynolab.client.packing import packed
from dynolab.errors import ModelInvalid, NotFound

TOLD = {".foo": "foo"}
"""What a hub's devices tell of endings."""


@pytest.mark.parametrize(
    ("entry", "other", "kind"), [("net.xml", "net.bin", "openvino_ir"), ("net.param", "net.bin", "ncnn")]
)
def test_a_format_of_several_files_goes_as_one(tmp_path: Path, entry: str, other: str, kind: str) -> None:
    (tmp_path / entry).write_text("one")
    with pytest.raises(NotFound, match=f"there is no {other} beside"), packed(tmp_path / entry):
        pass
    (tmp_path / other).write_text("two")
    with packed(tmp_path / entry) as (file, found, is_directory):
        assert (found, is_directory) == (kind, True)
        assert sorted(zipfile.ZipFile(file).namelist()) == [f"net/{other}", f"net/{entry}"]


def test_a_format_that_is_not_declared_here_goes_where_a_device_reads_it(tmp_path: Path) -> None:
    (tmp_path / "net.foo").write_text("foo")
    with packed(tmp_path / "net.foo", lambda: TOLD) as (file, kind, is_directory):
        assert (file, kind, is_directory) == (tmp_path / "net.foo", "foo", False)
    with packed(tmp_path, lambda: TOLD) as (_, kind, is_directory):
        assert (kind, is_directory) == ("foo", True)
    with pytest.raises(ModelInvalid, match=r"net\.foo holds no model") as refused, packed(tmp_path / "net.foo"):
        pass
    assert ".onnx" in (refused.value.hint or "")


def test_the_hub_is_not_asked_for_a_format_of_dynolabs_own(tmp_path: Path) -> None:
    def asked() -> dict[str, str]:
        raise AssertionError("asked")

    (tmp_path / "net.onnx").write_text("onnx")
    with packed(tmp_path / "net.onnx", asked) as (_, kind, _):
        assert kind == "onnx"
