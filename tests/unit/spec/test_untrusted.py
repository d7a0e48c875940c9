"""What a model's process left is opened without following links, and read within bounds."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynolab.errors import Forbidden, WorkerCrashed
from dynolab.spec import untrusted


def test_a_file_in_a_folder_is_opened(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "x").write_text("content")
    with untrusted.open_file(tmp_path / "a" / "b" / "x", inside=tmp_path) as file:
        assert file.read() == b"content"
    with pytest.raises(FileNotFoundError):
        untrusted.open_file(tmp_path / "a" / "gone", inside=tmp_path)


def test_links_pipes_folders_and_ways_out_are_not_opened(tmp_path: Path) -> None:
    place, outside = tmp_path / "place", tmp_path / "outside"
    place.mkdir()
    outside.mkdir()
    (outside / "secret").write_text("secret")
    (place / "link").symlink_to(outside / "secret")
    (place / "folder").symlink_to(outside)
    (place / "loop").symlink_to(place / "loop")
    os.mkfifo(place / "pipe")
    (place / "plain").mkdir()
    names = ("link", "folder/secret", "folder", "loop", "pipe", "plain", "../outside/secret", "plain/../link", "")
    for name in names:
        with pytest.raises(Forbidden):
            untrusted.open_file(place / name, inside=place)
    with pytest.raises(Forbidden, match="lies outside"):
        untrusted.open_file(outside / "secret", inside=place)
    assert untrusted.files_in(place) == []


def test_files_are_listed_with_their_sizes_and_no_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "y").write_bytes(b"123")
    (tmp_path / "a").write_bytes(b"1")
    (tmp_path / "b" / "up").symlink_to(tmp_path)
    assert untrusted.files_in(tmp_path) == [(tmp_path / "a", 1), (tmp_path / "b" / "y", 3)]


def test_no_more_is_read_than_may_be(tmp_path: Path) -> None:
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(1 << 40)  # a hole
    with pytest.raises(Forbidden, match="more than 10 bytes"):
        untrusted.read_bytes(tmp_path / "huge", inside=tmp_path, most=10)
    with pytest.raises(WorkerCrashed, match=r"huge.*more than"):
        untrusted.read_document(tmp_path / "huge", inside=tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 500 + b"1" + b"}" * 500,
        b"[" * 80 + b"]" * 80,
        b"[" + b"[]," * 2_000_001 + b"1]",
        b"9" * 5000,
        str(2**63).encode(),
        b"1e999",
        b"-1e999",
        b"NaN",
        b"-Infinity",
        b"\xff",
        b"",
        b"{",
    ],
    ids=range(14),
)
def test_documents_that_no_honest_program_writes(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "result.json").write_bytes(content)
    with pytest.raises(WorkerCrashed, match=r"cannot be read: result\.json"):
        untrusted.read_document(tmp_path / "result.json", inside=tmp_path)


_TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc")))
_LEAVES = (
    st.none() | st.booleans() | st.integers(-(2**63) + 1, 2**63 - 1) | st.floats(allow_nan=False, width=32) | _TEXTS
)


@given(
    st.recursive(
        _LEAVES.filter(lambda x: x not in (float("inf"), -float("inf"))),
        lambda inner: st.lists(inner) | st.dictionaries(_TEXTS, inner),
    )
)
def test_every_honest_document_is_read(document: object) -> None:
    assert untrusted.load_document(json.dumps(document).encode()) == document


@pytest.mark.parametrize("text", ["/etc/passwd", "../x", "a/../../b", "", ".", "a\0b", "a\\..\\b"])
def test_paths_that_lead_out(text: str) -> None:
    with pytest.raises(Forbidden):
        untrusted.relative_path(text)


def nest(folder: Path, depth: int) -> None:
    """Folders in folders: their whole path is longer than a path may be."""
    folder.mkdir()
    at = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("deep", dir_fd=at)
        below = os.open("deep", os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=at))
    os.close(at)


def test_the_deepest_folder_is_listed_and_removed(tmp_path: Path) -> None:
    nest(tmp_path / "job", 1200)
    assert untrusted.files_in(tmp_path / "job") == [], "no path reaches that file"
    untrusted.remove(tmp_path / "job")
    assert list(tmp_path.iterdir()) == []


def test_what_nobody_may_write_to_is_removed_and_links_are_not_followed(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").touch()
    job = tmp_path / "job"
    (job / "a" / "b" / "c").mkdir(parents=True)
    (job / "a" / "b" / "c" / "file").touch()
    (job / "a" / "link").symlink_to(kept)
    for folder in (job / "a" / "b" / "c", job / "a" / "b", job / "a", job):
        folder.chmod(0)
    untrusted.remove(job)
    (tmp_path / "link").symlink_to(kept)
    untrusted.remove(tmp_path / "link")
    untrusted.remove(tmp_path / "gone")
    assert list(tmp_path.iterdir()) == [kept]
    assert (kept / "file").exists()


def test_too_many_files_are_not_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(untrusted, "FILES_MAX", 3)
    for name in "abcd":
        (tmp_path / name).touch()
    with pytest.raises(Forbidden, match="more than 3 files"):
        untrusted.files_in(tmp_path)


def test_what_a_terminal_would_obey_is_taken_out_of_texts() -> None:
    said = {"\x1b[31mred\x1b[0m": ["a\x1b]0;title\x07b", "\ud800", "two\nlines\tand \x9b more", "größer, 更大"]}
    read = {"red": ["a\ufffd]0;title\ufffdb", "\ufffd", "two\nlines\tand \ufffd more", "größer, 更大"]}
    assert untrusted.load_document(json.dumps(said).encode()) == read
    raw = b'"' + "a\x9b\x7fb".encode() + b'"'
    assert untrusted.load_document(raw) == "a\ufffd\ufffdb"
