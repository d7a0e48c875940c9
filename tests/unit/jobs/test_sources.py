"""What a model is, read by a confined process: hostile files are refused with a reason, and do no harm."""

from __future__ import annotations

import os
import socket
import stat
import struct
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from dynolab.errors import Error, ModelInvalid, TooLarge
from dynolab.jobs import _confined as confined
from dynolab.jobs import _sources as sources
from dynolab.jobs._sources import open_source
from dynolab.sandbox.base import strongest
from dynolab.spec.models import ModelFormat

EXAMPLES = Path(__file__).parents[3] / "examples" / "models"
ONNX = EXAMPLES / "ch_ppocr_mobile_v2.0_cls_infer.onnx"
TFLITE = EXAMPLES / "mlperf_tiny_kws_int8.tflite"
SMALL = b"\x3a\x00"
"""An ONNX file with an empty graph."""


def zipped(path: Path, *entries: tuple[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return path


def graph_in_graph(depth: int) -> bytes:
    """Graphs as attributes of nodes of graphs, in protobuf's wire format."""

    def field(number: int, content: bytes) -> bytes:
        size, length = b"", len(content)
        while length > 0x7F:
            size, length = size + bytes([length & 0x7F | 0x80]), length >> 7
        return bytes([number << 3 | 2]) + size + bytes([length]) + content

    inner = b""
    for _ in range(depth):
        inner = field(1, field(5, field(6, inner) + field(1, b"g")))
    return field(7, inner)


def link(path: Path) -> Path:
    entry = zipfile.ZipInfo("model.onnx")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(entry, "/etc/passwd")
    return path


def bomb(path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("model.onnx", "w") as out:
        for _ in range(300):
            out.write(bytes(1 << 20))
    return path


def more_than_declared(path: Path) -> Path:
    """Two sizes in the file's list of entries say 10 bytes, its content is 10 MB."""
    zipped(path, ("model.onnx", bytes(10_000_000)))
    content = path.read_bytes()
    path.write_bytes(content.replace(struct.pack("<L", 10_000_000), struct.pack("<L", 10)))
    return path


def damaged(path: Path) -> Path:
    content = bytearray(zipped(path, ("model.onnx", os.urandom(1000))).read_bytes())
    content[60:200] = bytes(140)
    path.write_bytes(content)
    return path


HOSTILE: dict[str, tuple[Callable[[Path], Path], str]] = {
    "a link": (link, "holds the link"),
    "a bomb": (bomb, "refused as a zip bomb"),
    "more than declared": (more_than_declared, "more than it declares|not a whole zip file"),
    "damage": (damaged, "not a whole zip file"),
    "a way out": (lambda path: zipped(path, ("../../model.onnx", SMALL)), "leads outside"),
    "an absolute path": (lambda path: zipped(path, ("/tmp/model.onnx", SMALL)), "leads outside"),
    "a drive": (lambda path: zipped(path, ("C:\\model.onnx", SMALL)), "leads outside"),
    "deep folders": (lambda path: zipped(path, ("a/" * 1900 + "model.onnx", SMALL)), "not a whole zip|cannot be read"),
    "a long name": (lambda path: zipped(path, ("a" * 5000 + ".onnx", SMALL)), "cannot be read"),
    "file and folder": (lambda path: zipped(path, ("m.onnx", SMALL), ("m.onnx/m.onnx", SMALL)), "cannot be read"),
    "an entry that is the folder": (lambda path: zipped(path, (".", SMALL)), "cannot be read|not a whole zip|no model"),
    "a zip in a zip": (
        lambda path: zipped(path, ("inner.zip", zipped(path, ("m.onnx", SMALL)).read_bytes())),
        "no model",
    ),
    "too many files": (lambda path: zipped(path, *((str(n), b"") for n in range(10_001))), "10001 files"),
    "two models": (lambda path: zipped(path, ("a.onnx", SMALL), ("b.onnx", SMALL)), "holds 2 models"),
    "a TFLite model called ONNX": (lambda path: zipped(path, ("m.onnx", TFLITE.read_bytes())), "holds tflite"),
    "a TorchScript called ONNX": (
        lambda path: zipped(path, ("m.onnx", zipped(path, ("m/code/x", b""), ("m/data.pkl", b"")).read_bytes())),
        "holds torchscript",
    ),
    "no zip": (lambda path: Path(path.write_bytes(b"PK" * 500) and path), "not a whole zip file"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_zip_is_refused_and_leaves_nothing(tmp_path: Path, kind: str) -> None:
    make, words = HOSTILE[kind]
    path = make(tmp_path / "model.zip")
    with pytest.raises(ModelInvalid, match=words), open_source(path):
        pass
    assert list(Path(os.environ["DYNOLAB_WORKSPACE"]).glob("zip-*")) == []
    assert not (tmp_path / "model.onnx").exists()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("m.onnx", graph_in_graph(3000), "graphs inside graphs"),
        ("m.onnx", b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\x7f", "not a whole ONNX"),
        ("m.onnx", b"\x80" * 100, "not a whole ONNX"),
        ("m.onnx", b"{}", "not a whole ONNX"),
        ("m.onnx", b"PK\x03\x04" + bytes(100), "holds torchscript"),
        ("m.pt", b"PK\x03\x04" + bytes(100), "not a whole TorchScript"),
        ("m.tflite", b"\x1c\x00\x00\x00XXXX", "TFL3"),
        ("m.xml", b"<!DOCTYPE x [<!ENTITY a 'aaa'>]>" + b" " * 5000 + b"<net/>", "mark <net"),
        ("m.onnx", b"", "is empty"),
    ],
    ids=range(9),
)
def test_a_hostile_file_is_refused(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelInvalid, match=words), open_source(tmp_path / name):
        pass


@pytest.mark.parametrize("where", ["beside", "in a folder", "in a zip", "in a zip of macOS", "behind a link"])
def test_a_sound_model_is_told_wherever_it_lies(tmp_path: Path, where: str) -> None:
    folder = tmp_path / "net"
    folder.mkdir()
    path = folder / "m.onnx"
    path.write_bytes(ONNX.read_bytes())
    if where == "in a folder":
        path = folder
    elif where == "in a zip of macOS":
        extras = [("m/.DS_Store", b"x"), ("__MACOSX/m/._m.onnx", b"x"), ("m/._m.onnx", b"x")]
        path = zipped(tmp_path / "net.zip", ("m/m.onnx", path.read_bytes()), *extras)
    elif where == "in a zip":
        path = zipped(tmp_path / "net.zip", ("deep/er/m.onnx", path.read_bytes()))
    elif where == "behind a link":
        (tmp_path / "linked.onnx").symlink_to(path)
        path = tmp_path / "linked.onnx"
    with open_source(path) as source:
        assert source.format == ModelFormat.ONNX
        assert [file.bytes for file in source.files] == [ONNX.stat().st_size]
        assert (source.folder / source.entry).read_bytes() == ONNX.read_bytes()


def test_a_file_that_only_its_owner_may_read_is_read(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(ONNX.read_bytes())
    (tmp_path / "m.onnx").chmod(0o600)
    tmp_path.chmod(0o700)
    with open_source(tmp_path / "m.onnx") as source:
        assert source.format == ModelFormat.ONNX


ESCAPES = {
    "the home": "print(open(HOME + '/client.ini').read())",
    "the model's folder": "print(list(pathlib.Path(FOLDER).iterdir()))",
    "another file": "print(open(FOLDER + '/other').read())",
    "the network": "socket.create_connection(('127.0.0.1', PORT), 2)",
    "processes": "os.kill(PARENT, 9)",
}


@pytest.mark.parametrize("what", ESCAPES)
def test_whoever_reads_a_model_reaches_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """The parser itself is taken over here, as a hole in it would let a file do."""
    if not strongest().protects:
        pytest.skip("this system has no sandbox")
    home = tmp_path / "home"
    home.mkdir()
    for path in (tmp_path / "other", home / "client.ini"):
        path.write_text("very secret")
    monkeypatch.setenv("HOME", str(home))
    (tmp_path / "m.onnx").write_bytes(ONNX.read_bytes())
    with socket.create_server(("127.0.0.1", 0)) as server:
        known = {"HOME": str(home), "FOLDER": str(tmp_path), "PORT": server.getsockname()[1]}
        values = "; ".join(f"{name} = {value!r}" for name, value in {**known, "PARENT": os.getpid()}.items())
        program = f"import os, pathlib, socket, sys; {values}; {ESCAPES[what]}; print('reached')"
        monkeypatch.setattr(sources, "_CHILD", ("-c", program))
        with pytest.raises(ModelInvalid) as refused, open_source(tmp_path / "m.onnx"):
            pass
    assert "very secret" not in str(refused.value.details)
    assert "reached" not in str(refused.value.details)
    assert "Error" in refused.value.message


LIMITS = {
    "memory": ("x = bytearray(3 << 30)", "MemoryError"),
    "time": ("import time; time.sleep(60)", "not read within 2 s"),
    "a crash": ("import os; os.kill(os.getpid(), 11)", "SIGSEGV"),
    "processes": ("import os\nwhile True: os.fork()", "ended with|not read within"),
}


@pytest.mark.parametrize("what", LIMITS)
def test_whoever_reads_a_model_takes_no_more_than_it_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    (tmp_path / "m.onnx").write_bytes(ONNX.read_bytes())
    program, words = LIMITS[what]
    monkeypatch.setattr(sources, "_CHILD", ("-c", program))
    monkeypatch.setattr(sources, "READ_WITHIN_S", 2.0)
    monkeypatch.setattr(sources, "READ_BYTES_PER_S", 1 << 40)
    with pytest.raises(ModelInvalid, match=words), open_source(tmp_path / "m.onnx"):
        pass


def test_no_answer_is_taken_that_leads_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "m.zip").write_bytes(b"PK")
    answers = (
        '{"answer": {"format": "onnx", "entry": "../../x"}}',
        '{"answer": {"format": "onnx", "entry": "/etc/passwd"}}',
        '{"answer": {"format": "onnx", "entry": "link"}}',
        '{"answer": {"format": "onnx", "entry": "gone"}}',
        '{"answer": {"format": "other", "entry": "gone"}}',
        '{"answer": {"format": "onnx", "entry": "plain", "external": ["../../../lock"]}}',
        '{"answer": {"format": "onnx", "entry": "plain", "external": ["link"]}}',
    )
    for answer in answers:
        program = (
            "import os, sys, pathlib; p = pathlib.Path(sys.argv[-1]); (p / 'link').symlink_to('/etc/hostname'); "
            f"(p / 'plain').write_text('x'); (p / 'answer.json').write_text({answer!r})"
        )
        monkeypatch.setattr(sources, "_CHILD", ("-c", program))
        with pytest.raises(Error) as refused, open_source(tmp_path / "m.zip"):
            pass
        assert refused.value.blame == "user", answer


def test_lack_of_memory_is_no_fault_of_ours(tmp_path: Path) -> None:
    def lacking() -> None:
        raise MemoryError

    assert confined.answer(tmp_path, lacking, "m.onnx", ModelInvalid) == 0
    with pytest.raises(TooLarge, match=r"m\.onnx takes more memory"):
        confined._answered(tmp_path, "m.onnx", ModelInvalid)


def test_a_file_that_did_not_change_is_read_once_and_one_that_did_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    really = confined.ask

    def ask(program: Sequence[str], arguments: Sequence[str], *rest: Any, **limits: Any) -> Any:
        asked.append(arguments[0])
        return really(program, arguments, *rest, **limits)

    monkeypatch.setattr(confined, "ask", ask)
    model = tmp_path / "m.onnx"
    model.write_bytes(SMALL)
    for _ in range(2):
        with open_source(model) as source:
            assert source.format == ModelFormat.ONNX
    assert asked == ["m.onnx"]
    model.write_bytes(b"TFL3 is no ONNX")
    with pytest.raises(ModelInvalid), open_source(model):
        pass
    packed = zipped(tmp_path / "m.zip", ("m.onnx", SMALL))
    for _ in range(2):
        with open_source(packed) as source:
            assert (source.folder / source.entry).read_bytes() == SMALL
    assert asked == ["m.onnx", "m.onnx", "m.zip", "m.zip"]
