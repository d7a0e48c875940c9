"""The page cache: put out, counted, read in again."""

from __future__ import annotations

from pathlib import Path

import pytest

from dynolab.measure import pagecache

SIZE = 8 << 20


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "weights.bin"
    path.write_bytes(b"w" * SIZE)
    if pagecache.file_system(path) == "tmpfs":
        pytest.skip("the temporary folder is tmpfs, which keeps its pages")
    return path


def test_evicted_pages_are_gone_and_come_back(file: Path) -> None:
    pagecache.evict(file, inside=file.parent)
    assert pagecache.residency([file]).resident_bytes == 0
    file.read_bytes()
    assert pagecache.residency([file]).resident_bytes == SIZE


def test_tmpfs_keeps_its_pages_and_says_so() -> None:
    if not Path("/dev/shm").is_dir():
        pytest.skip("there is no /dev/shm")
    path = Path("/dev/shm/dynolab-test-pagecache")
    try:
        path.write_bytes(b"w" * SIZE)
        pagecache.evict(path, inside=path.parent)
        assert pagecache.residency([path]).resident_bytes == SIZE
        assert pagecache.file_system(path) == "tmpfs"
    finally:
        path.unlink(missing_ok=True)


def test_an_empty_file_counts_nothing(tmp_path: Path) -> None:
    path = tmp_path / "empty"
    path.touch()
    found = pagecache.residency([path])
    assert (found.resident_bytes, found.total_bytes) == (0, 0)


@pytest.mark.parametrize("owner", ["me", "another"])
@pytest.mark.parametrize("writable", [True, False])
def test_of_anothers_file_that_may_not_be_written_the_kernel_tells_nothing(
    owner: str, writable: bool, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uid = file.stat().st_uid
    monkeypatch.setattr(pagecache.os, "geteuid", lambda: uid if owner == "me" else uid + 1)
    monkeypatch.setattr(pagecache.os, "access", lambda path, mode: writable)
    found = pagecache.residency([file])
    assert found.total_bytes == SIZE
    assert (found.resident_bytes is None) == (owner == "another" and not writable)
