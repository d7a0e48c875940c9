"""What the ending of a file says of the model in it, and what is answered where it says nothing."""

from __future__ import annotations

import io
import zipfile

import pytest

pytest.importorskip("pgqueuer")

from dynolab.errors import ModelInvalid
from dynolab.hub.usecases.tell_format import WHOLE, format_inside, format_of
from dynolab.spec.models import ModelFormat


def zipped(*names: str) -> bytes:
    """A ZIP file of empty files of these names."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, b"")
    return file.getvalue()


def test_an_ending_that_is_none_is_answered_with_those_that_are() -> None:
    with pytest.raises(ModelInvalid) as refusal:
        format_of("notes.docx")
    hint = refusal.value.hint or ""
    told = hint.partition(": ")[2].split(", ")
    assert {".onnx", ".tflite", ".zip"} <= set(told)
    for ending in told:
        assert (format_of(f"net{ending.upper()}") is None) is (ending == ".zip")


@pytest.mark.parametrize("names", [(), ("notes.docx",), ("a.onnx", "b.tflite")])
def test_a_zip_file_without_one_format_is_answered_with_the_known_ones(names: tuple[str, ...]) -> None:
    content = zipped(*names)
    with pytest.raises(ModelInvalid, match="no model" if len(names) < 2 else "models of 2 formats") as refusal:
        format_inside("net.zip", content, len(content))
    assert set(WHOLE) <= set((refusal.value.hint or "").replace(",", "").split())


def test_the_end_of_a_zip_file_is_enough_to_tell() -> None:
    content = zipped("net/a.onnx", "net/readme.txt", "net/b.onnx")
    assert format_inside("net.zip", content, len(content)) == ModelFormat.ONNX
    before = 5 << 20
    with zipfile.ZipFile(whole := io.BytesIO(), "w") as archive:
        archive.writestr("net/weights.bin", bytes(before))
        archive.writestr("net/a.tflite", b"")
    assert format_inside("net.zip", whole.getvalue()[-300:], len(whole.getvalue())) == ModelFormat.TFLITE
