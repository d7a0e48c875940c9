"""What is kept for the next time is bounded: what was used least lately goes first, and never what is in use."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dynolab import eviction
from dynolab.eviction import evict_device, use, use_models

MB = 1 << 20
DAY = 86_400.0


def make_old(path: Path, age_s: float) -> None:
    then = time.time() - age_s
    os.utime(path, (then, then))


def item(root: Path, kind: str, name: str, *, mb: int = 1, age_s: float = DAY, mark: str = "") -> Path:
    folder = root / kind / name
    folder.mkdir(parents=True)
    (folder / "content").write_bytes(b"\1" * (mb * MB))
    if mark:
        (folder / mark).touch()
    for one in (folder / mark, folder):
        make_old(one, age_s)
    return folder


def model(root: Path, name: str, **more: float) -> Path:
    return item(root, "models", name, mark=".complete", **more)  # type: ignore[arg-type]  # mb is a whole number


def environment(root: Path, name: str, *wheels: Path, age_s: float = DAY, python: str = "/usr/bin") -> Path:
    folder = item(root, "envs", name, mark="complete", age_s=age_s)
    site = folder / "lib" / "python3.11" / "site-packages"
    site.mkdir(parents=True)
    (site / "dynolab.pth").write_text("".join(f"{one}\n" for one in wheels))
    (folder / "pyvenv.cfg").write_text(f"home = {python}\n")
    return folder


def left(root: Path) -> set[str]:
    return {one.name for kind in ("envs", "models", "wheels", "python") for one in (root / kind).glob("*")}


def test_nothing_goes_as_long_as_there_is_room(tmp_path: Path) -> None:
    model(tmp_path, "old")
    assert evict_device(tmp_path, most_bytes=10 * MB, free_bytes=0) == 0
    assert left(tmp_path) == {"old"}


def test_what_was_used_least_lately_goes_first_and_no_more_than_is_needed(tmp_path: Path) -> None:
    for name, days in (("a", 3), ("b", 1), ("c", 2)):
        model(tmp_path, name, age_s=days * DAY)
    removed = evict_device(tmp_path, most_bytes=int(1.5 * MB), free_bytes=0)
    assert left(tmp_path) == {"b"}
    assert 2 * MB <= removed < 2.2 * MB


def test_what_somebody_uses_or_is_about_to_use_stays(tmp_path: Path) -> None:
    used, just, wanted = (model(tmp_path, "used"), model(tmp_path, "just", age_s=5), model(tmp_path, "wanted"))
    model(tmp_path, "other")
    locked = use(used)
    assert locked is not None
    evict_device(tmp_path, most_bytes=0, free_bytes=0, keep=["wanted"])
    assert left(tmp_path) == {used.name, just.name, wanted.name}
    os.close(locked)
    evict_device(tmp_path, most_bytes=0, free_bytes=0, keep=["wanted"])
    assert left(tmp_path) == {"just", "wanted"}


def test_wheels_and_pythons_go_with_the_last_environment_that_names_them(tmp_path: Path) -> None:
    wheels = [item(tmp_path, "wheels", name * 8) for name in "abc"]
    python = item(tmp_path, "python", "p" * 16)
    environment(tmp_path, "old", wheels[0], wheels[1], age_s=2 * DAY, python=str(python / "bin"))
    environment(tmp_path, "new", wheels[1], wheels[2])
    evict_device(tmp_path, most_bytes=5 * MB + MB // 2, free_bytes=0)
    assert left(tmp_path) == {"old", "new", *(one.name for one in wheels), python.name} - {"old"}, "one was enough"
    evict_device(tmp_path, most_bytes=3 * MB + MB // 2, free_bytes=0)
    assert left(tmp_path) == {"new", wheels[1].name, wheels[2].name}
    evict_device(tmp_path, most_bytes=0, free_bytes=0)
    assert left(tmp_path) == set()


def test_the_disks_free_space_counts_too(tmp_path: Path) -> None:
    model(tmp_path, "a")
    model(tmp_path, "b", age_s=5)
    evict_device(tmp_path, most_bytes=1 << 60, free_bytes=1 << 60)
    assert left(tmp_path) == {"b"}, "what can go went, and no more can be done"


def test_a_time_in_the_future_tells_nothing(tmp_path: Path) -> None:
    """A board's clock was years ahead when it was used, and is right now: it would stay for years."""
    model(tmp_path, "of another time", age_s=-400 * DAY)
    evict_device(tmp_path, most_bytes=0, free_bytes=0)
    assert left(tmp_path) == set()


def test_what_transfers_left_goes_after_a_day(tmp_path: Path) -> None:
    for name, age_s in (("x.zip", 2 * DAY), ("y.zip", DAY / 2)):
        (tmp_path / "wheels").mkdir(exist_ok=True)
        (tmp_path / "wheels" / name).touch()
        make_old(tmp_path / "wheels" / name, age_s)
    evict_device(tmp_path, most_bytes=1 << 60, free_bytes=0)
    assert left(tmp_path) == {"y.zip"}


def test_a_models_folder_is_in_use_by_any_of_its_files(tmp_path: Path) -> None:
    folder = model(tmp_path, "deep")
    (folder / "a" / "b").mkdir(parents=True)
    locked = use_models([str(folder / "a" / "b" / "weights")])
    assert len(locked) == 1
    evict_device(tmp_path, most_bytes=0, free_bytes=0)
    assert left(tmp_path) == {"deep"}
    os.close(locked[0])


def test_a_device_with_nothing_of_ours_runs_it_from_its_text(tmp_path: Path) -> None:
    model(tmp_path, "a")
    source = Path(eviction.__file__).read_text(encoding="utf-8")
    command = [sys.executable, "-I", "-S", "-c", source, str(tmp_path), "0", "0"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith('{"removed": 10')
    assert left(tmp_path) == set()


@pytest.mark.parametrize("kind", ["envs", "models", "wheels", "python"])
def test_no_link_is_followed_out_of_the_folder(tmp_path: Path, kind: str) -> None:
    outside = model(tmp_path / "elsewhere", "precious")
    (tmp_path / "root" / kind).mkdir(parents=True)
    (tmp_path / "root" / kind / "link").symlink_to(outside.parent)
    evict_device(tmp_path / "root", most_bytes=0, free_bytes=1 << 60)
    assert (outside / "content").exists()
