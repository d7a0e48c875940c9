"""Dataset files: what the official client writes is read, and a file that lies, leads elsewhere or swells is refused."""

from __future__ import annotations

import io
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("h5py", reason="h5py is not installed: pip install 'dynolab[datasets]'")

import h5py
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as shapes

from dynolab.errors import SpecInvalid, TooLarge
from dynolab.jobs._datasets import h5
from dynolab.jobs._datasets.h5_child import unpack

MIB = 1 << 20
Broken = Callable[[Any], None]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data.h5"


def _same(found: dict[str, list[Any]], expected: dict[str, list[Any]]) -> None:
    assert list(found) == list(expected)
    for name, batches in expected.items():
        assert [(it.dtype.str, it.shape) for it in found[name]] == [
            (it.dtype.newbyteorder("=").str, it.shape) for it in batches
        ]
        assert all(np.array_equal(*pair) for pair in zip(found[name], batches, strict=True))


def test_every_type_and_shape_comes_back_in_order(path: Path) -> None:
    random = np.random.default_rng(0)
    tensors: dict[str, list[Any]] = {dtype: [np.ones((2, 3), dtype)] * 2 for dtype in reversed(h5.DTYPES)}
    tensors["scalar"] = [np.array(7, np.int64), np.array(True)]
    tensors["no elements"] = [np.zeros((0, 3), np.float32)] * 2
    tensors["noise, which does not shrink"] = [random.integers(0, 255, (300, 900), np.uint8)] * 2
    tensors["big-endian"] = [np.arange(5, dtype=">i4"), np.arange(4, dtype=">f4")]
    tensors["slices"] = [np.arange(20, dtype=np.float32)[::3], np.ones((4, 5), np.float32).T]
    h5.write(path, tensors)
    _same(h5.read(path), tensors)


def test_a_file_is_written_into_memory_too(path: Path) -> None:
    place = io.BytesIO()
    h5.write(place, {"x": [np.ones(3, np.float32)]})
    path.write_bytes(place.getvalue())
    _same(unpack(path.name, path, MIB), {"x": [np.ones(3, np.float32)]})


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    tensors=st.dictionaries(
        st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1),
        st.lists(
            shapes.arrays(st.sampled_from(h5.DTYPES), shapes.array_shapes(min_dims=0, min_side=0)),
            min_size=2,
            max_size=2,
        ),
        min_size=1,
        max_size=12,
    )
)
def test_what_is_written_is_read(path: Path, tensors: dict[str, list[Any]]) -> None:
    h5.write(path, tensors)
    found = unpack(path.name, path, MIB)
    assert list(found) == list(tensors)
    for name, batches in tensors.items():
        for ours, theirs in zip(found[name], batches, strict=True):
            assert (ours.dtype, ours.shape, ours.tobytes()) == (theirs.dtype, theirs.shape, theirs.tobytes())


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({}, "it has none|has none"),
        ({"x": []}, "'x' 0"),
        ({"x": [np.ones(1, np.int8)], "y": [np.ones(1, np.int8)] * 2}, "'x' 1, 'y' 2"),
        ({"x": [np.array(["2026-01-01"], "datetime64[D]")]}, "'x' is of type datetime64"),
        ({"x": [np.array(["a", "b"], object)]}, "'x' is of type object"),
        ({"": [np.ones(1, np.int8)]}, "no name"),
        ({"a\0b": [np.ones(1, np.int8)]}, "no name"),
    ],
)
def test_what_the_format_cannot_hold_is_not_written(path: Path, tensors: dict[str, list[Any]], message: str) -> None:
    with pytest.raises(SpecInvalid, match=message) as caught:
        h5.write(path, tensors)
    assert caught.value.hint
    assert not path.exists()


def test_without_an_order_the_numbers_of_the_groups_are_the_order(path: Path) -> None:
    """As clients write what is no dict. HDF5 itself sorts the names: 0, 1, 10, 2."""
    tensors = {f"t{number}": [np.full(2, number, np.int8)] for number in range(12)}
    h5.write(path, tensors)
    with h5py.File(path, "a") as file:
        for group in file["data"].values():
            del group.attrs["order"]
    _same(unpack(path.name, path, MIB), tensors)


def test_the_order_goes_before_the_numbers_of_the_groups(path: Path) -> None:
    h5.write(path, {"b": [np.ones(1, np.int8)], "a": [np.zeros(1, np.int8)]})
    with h5py.File(path, "a") as file:
        file["data/0"].attrs["order"], file["data/1"].attrs["order"] = 1, 0
    assert list(unpack(path.name, path, MIB)) == ["a", "b"]


def test_text_of_a_fixed_length_names_a_tensor(path: Path) -> None:
    h5.write(path, {"x": [np.ones(1, np.int8)]})
    with h5py.File(path, "a") as file:
        file["data/0"].attrs["name"] = np.bytes_("größe".encode())
    assert list(unpack(path.name, path, MIB)) == ["größe"]


def _array(file: Any, **options: Any) -> Any:
    del file["data/1/batch_0"]
    return file["data/1"].create_dataset("batch_0", **options)


def _attribute(key: str, value: Any) -> Broken:
    def change(file: Any) -> None:
        file["data/1"].attrs[key] = value

    return change


def _chunk(content: bytes, **options: Any) -> Broken:
    def change(file: Any) -> None:
        array = _array(file, shape=(8,), chunks=(8,), dtype="f4", **options)
        array.id.write_direct_chunk((0,), content)

    return change


def _replaced(place: str, value: Any) -> Broken:
    def change(file: Any) -> None:
        del file[place]
        file[place] = value

    return change


def _without(place: str) -> Broken:
    def change(file: Any) -> None:
        del file[place]

    return change


def _moved(place: str, new: str) -> Broken:
    return lambda file: file.move(place, new)


def _external(file: Any) -> None:
    _array(file, shape=(8,), dtype="u1", external=[("/etc/hostname", 0, 8)])


def _virtual(file: Any) -> None:
    layout = h5py.VirtualLayout(shape=(8,), dtype="f4")
    layout[:] = h5py.VirtualSource("/elsewhere.h5", "x", shape=(8,))
    del file["data/1/batch_0"]
    file["data/1"].create_virtual_dataset("batch_0", layout)


def _resizable(file: Any) -> None:
    _array(file, shape=(1,), maxshape=(None,), chunks=(1 << 24,), dtype="f4", compression="gzip")[0] = 1


def _linked(file: Any) -> None:
    array = _array(file, data=np.zeros(MIB // 8, np.uint8), compression="gzip")
    for group in file["data"].values():
        group.attrs["batch_count"] = 9
        for number in range(9):
            group.pop(f"batch_{number}", None)
            group[f"batch_{number}"] = array


def _unix_time(file: Any) -> None:
    del file["data/1/batch_0"]
    h5py.h5d.create(file["data/1"].id, b"batch_0", h5py.h5t.UNIX_D32LE, h5py.h5s.create_simple((4,)))


REFUSED: dict[str, tuple[Broken, str]] = {
    "no data": (_without("data"), "/data is missing"),
    "empty data": (lambda file: (file.pop("data"), file.create_group("data")), "this one has none"),
    "data is an array": (_replaced("data", 1), "/data is a Dataset"),
    "tensor is an array": (_replaced("data/1", 1), "/data/1 is a Dataset"),
    "batch is a group": (lambda file: (file.pop("data/1/batch_0"), file.create_group("data/1/batch_0")), "is a Group"),
    "batch is a type": (_replaced("data/1/batch_0", np.dtype("f4")), "is a Datatype"),
    "gap in the groups": (_moved("data/1", "data/2"), r"\['0', '2'\], not \['0', '1'\]"),
    "named group": (_moved("data/1", "data/y"), r"\['0', 'y'\]"),
    "gap in the batches": (_moved("data/1/batch_0", "data/1/batch_1"), r"/data/1 holds \['batch_1'\]"),
    "no name": (lambda file: file["data/1"].attrs.pop("name"), "/data/1 has no attribute 'name'"),
    "name is a number": (_attribute("name", 3), "'name' of /data/1 is not one text"),
    "name is a list": (_attribute("name", ["y", "z"]), "'name' of /data/1 is not one text"),
    "name is null": (_attribute("name", h5py.Empty("S1")), "'name' of /data/1 is not one text"),
    "name is no UTF-8": (_attribute("name", np.bytes_(b"\xff")), "no UTF-8"),
    "name is empty": (_attribute("name", ""), "/data/1 has the name ''"),
    "name twice": (_attribute("name", "x"), "/data/1 has the name 'x'"),
    "no batch_count": (lambda file: file["data/1"].attrs.pop("batch_count"), "has no attribute 'batch_count'"),
    "batch_count too large": (_attribute("batch_count", 10**18), f"says batch_count={10**18} and holds 1"),
    "batch_count too small": (_attribute("batch_count", -1), "says batch_count=-1 and holds 1"),
    "batch_count is a fraction": (_attribute("batch_count", 1.0), "'batch_count' of /data/1 is not one whole number"),
    "batch_count is yes": (_attribute("batch_count", True), "'batch_count' of /data/1 is not one whole number"),
    "batches unequal": (
        lambda file: (
            file["data/1"].create_dataset("batch_1", data=1, dtype="i1"),
            file["data/1"].attrs.modify("batch_count", 2),
        ),
        "'x' 1, 'y' 2",
    ),
    "no batches": (
        lambda file: (
            file["data/0"].pop("batch_0"),
            file["data/1"].pop("batch_0"),
            [group.attrs.modify("batch_count", 0) for group in file["data"].values()],
        ),
        "'x' 0, 'y' 0",
    ),
    "order only once": (lambda file: file["data/0"].attrs.pop("order"), "/data/0 has no attribute 'order'"),
    "order with a gap": (_attribute("order", 2), r"'order' are \[0, 2\]"),
    "order twice": (_attribute("order", 0), r"'order' are \[0\]"),
    "longdouble": (
        _replaced("data/1/batch_0", np.ones(3, np.longdouble)),
        "/data/1/batch_0 is of type (float|longdouble)",
    ),
    "text": (_replaced("data/1/batch_0", "text"), "of type object"),
    "compound": (_replaced("data/1/batch_0", np.zeros(3, "f4,i4")), "of type void64"),
    "Unix time": (_unix_time, "No NumPy equivalent"),
    "null": (_replaced("data/1/batch_0", h5py.Empty("f4")), "null, virtual or external"),
    "soft link to an array": (_replaced("data/1/batch_0", h5py.SoftLink("/data/0/batch_0")), "SoftLink"),
    "soft link to nowhere": (_replaced("data", h5py.SoftLink("/elsewhere")), "/data is a link"),
    "external link": (_replaced("data/1", h5py.ExternalLink("/etc/x.h5", "/")), r"a link \(ExternalLink\)"),
    "external array": (_external, "null, virtual or external"),
    "virtual array": (_virtual, "null, virtual or external"),
    "1 TiB in no chunk": (lambda file: _array(file, shape=(1 << 40,), chunks=(MIB,), dtype="u1"), "holds 0"),
    "1 TiB in one chunk of many": (
        lambda file: _array(file, shape=(1 << 40,), chunks=(9,), dtype="u1").id.write_direct_chunk((0,), bytes(9)),
        "should hold 1099511627778 bytes and holds 9",
    ),
    "1 TiB without chunks": (lambda file: _array(file, shape=(1 << 40,), dtype="u1"), "holds 0"),
    "lzf": (lambda file: _array(file, data=np.ones(9, np.int8), compression="lzf"), r"the HDF5 filters \[32000\]"),
    "chunk that swells": (_chunk(zlib.compress(bytes(MIB)), compression="gzip"), "does not unpack to its 32 bytes"),
    "chunk too short": (_chunk(zlib.compress(bytes(31)), compression="gzip"), "does not unpack"),
    "chunk too short, not packed": (_chunk(bytes(31)), "does not unpack"),
    "chunk that is no gzip": (_chunk(b"no gzip", compression="gzip"), "does not unpack"),
    "chunk too long for anything": (_chunk(bytes(MIB), compression="gzip"), "does not unpack"),
    "chunk cut off": (_chunk(zlib.compress(bytes(32))[:-2], compression="gzip"), "is no HDF5 file or a broken one"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_of_another_form_is_refused(path: Path, name: str) -> None:
    change, message = REFUSED[name]
    h5.write(path, {"x": [np.ones((3, 4), np.float32)], "y": [np.ones(5, np.int64)]})
    with h5py.File(path, "a") as file:
        change(file)
    with pytest.raises(SpecInvalid, match=message) as caught:
        unpack(path.name, path, MIB)
    assert caught.value.hint


@pytest.mark.parametrize("change", [_resizable, _linked])
def test_a_file_that_unpacks_to_too_much_is_refused(path: Path, change: Broken) -> None:
    h5.write(path, {"x": [np.ones((3, 4), np.float32)], "y": [np.ones(5, np.int64)]})
    with h5py.File(path, "a") as file:
        change(file)
    with pytest.raises(TooLarge, match="unpacks to") as caught:
        unpack(path.name, path, MIB)
    assert str(MIB) in (caught.value.hint or "")


def test_filters_of_other_programs_that_write_gzip(path: Path) -> None:
    h5.write(path, {"x": [np.ones(1, np.int8)], "y": [np.ones(1, np.int8)]})
    values = np.arange(1000, dtype=np.int32).reshape(10, 100)
    with h5py.File(path, "a") as file:
        _array(file, data=values, chunks=(3, 33), compression="gzip", shuffle=True)
    assert np.array_equal(unpack(path.name, path, MIB)["y"][0], values)


def test_any_byte_but_zero_is_true(path: Path) -> None:
    h5.write(path, {"x": [np.ones(1, np.int8)], "y": [np.ones(1, np.int8)]})
    with h5py.File(path, "a") as file:
        _array(file, shape=(3,), chunks=(3,), dtype="?").id.write_direct_chunk((0,), bytes([0, 1, 7]))
    assert unpack(path.name, path, MIB)["y"][0].view(np.uint8).tolist() == [0, 1, 1]


@pytest.mark.parametrize("content", [b"", b"no HDF5", b"\x89HDF\r\n\x1a\n" + bytes(100)])
def test_what_is_no_hdf5_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(SpecInvalid, match=r"data\.h5 is no HDF5 file"):
        h5.read(path)


def test_a_file_cut_off_is_refused(path: Path) -> None:
    h5.write(path, {"x": [np.random.default_rng(0).standard_normal(9000, np.float32)]})
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(SpecInvalid, match=r"truncated|no HDF5"):
        unpack(path.name, path, MIB)


def test_a_file_that_is_not_there_is_no_broken_one(path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        h5.read(path)


def test_a_limit_reaches_the_process_that_reads(path: Path) -> None:
    h5.write(path, {"x": [np.ones(1000, np.int8)]})
    with pytest.raises(TooLarge, match="1000 bytes") as caught:
        h5.read(path, max_bytes=999)
    assert caught.value.hint == "give at most 999, or several datasets"


def test_a_file_on_which_hdf5_loops_for_ever_is_refused(path: Path) -> None:
    """The size of a text in the global heap: HDF5 2.0 does not come back from a wrong one."""
    h5.write(path, {"x": [np.ones(1, np.int8)]})
    content = bytearray(path.read_bytes())
    first_object = content.index(b"GCOL") + 16  # "Global Heap", HDF5 File Format Specification, III.E
    content[first_object + 8] = 0
    path.write_bytes(content)
    with pytest.raises(SpecInvalid, match=r"not read within 2 s|broken"):
        h5.read(path, max_s=2)


LEAVE = "import os, sys, pathlib; answer = pathlib.Path(sys.argv[-1], 'answer.json'); "


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("import os; os.kill(os.getpid(), 11)", "ended by SIGSEGV"),
        ("raise KeyError('ours')", "ended with KeyError: 'ours'"),
        ("import os; os._exit(3)", "ended with code 3"),
        ("", "gave no answer"),
        (LEAVE + "answer.write_text('[' * 100_000)", "nested"),
        (LEAVE + "answer.symlink_to('/etc/passwd')", "is a link"),
        (LEAVE + "os.truncate(os.open(answer, os.O_CREAT | os.O_RDWR), 1 << 30)", "gave no answer"),
        (LEAVE + """answer.write_text('{"answer": {"x": 3}}')""", "is not tuple"),
        (LEAVE + """answer.write_text('{"answer": {"x": ["../lock"]}}')""", "no array"),
        (LEAVE + """answer.write_text('{"error": {"code": "DeviceLost", "message": "gone"}}')""", "gone"),
    ],
)
def test_a_process_that_ends_without_a_good_answer_is_the_files_fault(
    path: Path, monkeypatch: pytest.MonkeyPatch, program: str, message: str
) -> None:
    path.touch()
    monkeypatch.setattr(h5, "_CHILD", ("-c", program))
    with pytest.raises(SpecInvalid, match=message):
        h5.read(path)


DAMAGE = """
import random, sys
from pathlib import Path
from dynolab.errors import UserError
from dynolab.jobs._datasets.h5_child import unpack
path = Path(sys.argv[1])
whole = path.read_bytes()
heap = range(whole.index(b"GCOL"), whole.index(b"GCOL") + 4096)  # the test above has that one
picks = random.Random(1)
for place in picks.sample([place for place, byte in enumerate(whole) if byte and place not in heap], 300):
    damaged = bytearray(whole)
    damaged[place] ^= 1 << picks.randrange(8)
    path.write_bytes(damaged)
    try:
        unpack(path.name, path, 1 << 20)
        print("read", flush=True)
    except UserError:
        print("refused", flush=True)
"""


def test_random_damage_is_refused_or_does_no_harm(path: Path) -> None:
    """No error but ours comes out. How HDF5 itself may end is left open, as it differs between its versions."""
    h5.write(path, {"x": [np.ones((3, 4), np.float32)] * 2, "y": [np.array(True)] * 2})
    child = subprocess.Popen(
        [sys.executable, "-c", DAMAGE, path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        out, log = child.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        child.kill()
        out, log = child.communicate()
    assert "Traceback" not in log, log
    assert set(out.split()) == {"read", "refused"}


def test_text_comes_back_as_it_was(tmp_path: Path) -> None:
    batches = [np.array([["grün"], [""]]), np.array(["ab", "日本"])]
    h5.write(tmp_path / "t.h5", {"label": batches})
    found = h5.read(tmp_path / "t.h5")["label"]
    assert [one.tolist() for one in found] == [one.tolist() for one in batches]
