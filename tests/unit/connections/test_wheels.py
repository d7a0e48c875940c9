"""Wheels for a device that is another machine: the right ones, once, or why there are none. The index is a folder of made ones."""

from __future__ import annotations

import os
import shutil
import time
import zipfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from dynolab.connections import _wheels
from dynolab.connections._wheels import DeviceSystem, requirements_of, wheels_for
from dynolab.errors import NotFound, PluginMissing, SpecInvalid

from ..wheel_index import own_index

PI = DeviceSystem("aarch64", (3, 11), ("glibc", "2.36"))
ANY = "py3-none-any"


class Index:
    """A folder of wheels that pip looks in, and the folder where dynolab keeps what it fetched."""

    def __init__(self, folder: Path, kept: Path, lock: Path) -> None:
        self.folder, self.kept, self.lock = folder, kept, lock

    def add(self, name: str, tag: str = ANY, *needs: str, version: str = "1.0", extras: tuple[str, ...] = ()) -> Path:
        path, info = self.folder / f"{name}-{version}-{tag}.whl", f"{name}-{version}.dist-info"
        headers = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
        headers += [f"Provides-Extra: {extra}" for extra in extras] + [f"Requires-Dist: {need}" for need in needs]
        files = {
            f"{name}.py": "",
            f"{info}/METADATA": "\n".join(headers) + "\n",
            f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: by hand\nRoot-Is-Purelib: true\nTag: {tag}\n",
        }
        record = "".join(f"{one},,\n" for one in (*files, f"{info}/RECORD"))
        with zipfile.ZipFile(path, "w") as packed:
            for one, text in {**files, f"{info}/RECORD": record}.items():
                packed.writestr(one, text)
        return path

    def pin(self, line: str) -> None:
        with self.lock.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")
        _wheels._lock_lines.cache_clear()

    @property
    def left(self) -> list[str]:
        return sorted(path.name for path in self.kept.rglob("*") if path.is_file() or path.name.startswith("new-"))


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    with own_index(tmp_path, monkeypatch) as (folder, lock):
        yield Index(folder, tmp_path / "cache" / "dynolab" / "wheels", lock)


def nothing(_text: str) -> None:
    pass


def names(system: DeviceSystem, *requirements: str) -> list[str]:
    return [one.path.name for one in wheels_for(system, requirements, nothing)]


def test_the_wheel_of_the_newest_glibc_that_the_device_has_and_what_it_depends_on(index: Index) -> None:
    for tag in ("manylinux_2_28_aarch64", "manylinux_2_17_aarch64", "manylinux_2_39_aarch64", "manylinux_2_28_x86_64"):
        index.add("engine", f"cp311-cp311-{tag}", "words>=1", version="1.0")
    index.add("words")
    told: list[str] = []
    found = wheels_for(PI, ["engine"], told.append)
    assert [one.path.name for one in found] == [
        "engine-1.0-cp311-cp311-manylinux_2_28_aarch64.whl",
        f"words-1.0-{ANY}.whl",
    ]
    assert [(one.name, one.version) for one in found] == [("engine", "1.0"), ("words", "1.0")]
    assert all(sha256(one.path.read_bytes()).hexdigest() == one.sha256 == one.path.parent.name for one in found)
    assert told == [f"fetching {one.path.name}" for one in found]


def test_the_same_question_needs_no_index_again_and_another_one_does(index: Index) -> None:
    index.add("engine", "cp311-cp311-manylinux_2_17_aarch64")
    first = wheels_for(PI, ["engine"], nothing)
    shutil.rmtree(index.folder)
    told: list[str] = []
    assert wheels_for(PI, ["engine"], told.append) == first
    assert told == []
    with pytest.raises(PluginMissing):
        wheels_for(DeviceSystem("aarch64", (3, 12), ("glibc", "2.36")), ["engine"], nothing)


def test_a_kept_file_that_went_is_fetched_again(index: Index) -> None:
    index.add("engine", "cp311-cp311-manylinux_2_17_aarch64")
    (first,) = wheels_for(PI, ["engine"], nothing)
    first.path.unlink()
    assert wheels_for(PI, ["engine"], nothing) == (first,)
    assert first.path.is_file()


@pytest.mark.parametrize(("python", "extra"), [((3, 11), ["backport"]), ((3, 13), ["forward"])])
def test_markers_are_those_of_the_device_not_of_this_python(
    index: Index, python: tuple[int, int], extra: list[str]
) -> None:
    needs = (
        'backport ; python_version < "3.12"',
        'forward ; python_version > "3.12"',
        'other ; sys_platform == "win32"',
        'intel ; platform_machine == "x86_64"',
        'arm ; platform_machine == "aarch64"',
    )
    index.add("engine", ANY, *needs)
    for name in ("backport", "forward", "arm"):
        index.add(name)
    found = wheels_for(DeviceSystem("aarch64", python, ("glibc", "2.31")), ["engine"], nothing)
    assert [one.name for one in found] == sorted(["arm", "engine", *extra])


def test_extras_are_followed_also_those_asked_for_later_and_circles_end(index: Index) -> None:
    index.add("engine", ANY, "words", 'fast ; extra == "speed"', extras=("speed",))
    index.add("words", ANY, "engine[speed]")
    index.add("fast")
    assert names(PI, "engine") == [f"{one}-1.0-{ANY}.whl" for one in ("engine", "fast", "words")]


def test_what_is_locked_comes_in_the_locked_version_by_its_hash(index: Index) -> None:
    old, _ = index.add("engine", ANY, "words", version="1.0"), index.add("engine", version="2.0")
    index.add("words")
    index.pin(f"engine==1.0 ; sys_platform == 'linux' \\\n    --hash=sha256:{sha256(old.read_bytes()).hexdigest()}")
    index.pin("engine==2.0 ; sys_platform == 'win32' \\\n    --hash=sha256:00")
    assert names(PI, "engine>=1") == [f"engine-1.0-{ANY}.whl", f"words-1.0-{ANY}.whl"]


def test_another_file_than_the_locked_one_is_refused_and_nothing_is_kept(index: Index) -> None:
    index.add("engine")
    index.pin(f"engine==1.0 --hash=sha256:{'0' * 64}")
    with pytest.raises(
        PluginMissing, match=r"wheels for aarch64, Python 3\.11, glibc 2\.36 cannot be fetched: pip says: .*HASH"
    ):
        wheels_for(PI, ["engine"], nothing)
    assert index.left == []


def test_a_lock_that_does_not_fit_what_is_asked_for_is_told(index: Index) -> None:
    old = index.add("engine")
    index.pin(f"engine==1.0 --hash=sha256:{sha256(old.read_bytes()).hexdigest()}")
    with pytest.raises(PluginMissing, match=r"engine>=2 is needed, and engine-1\.0-py3-none-any\.whl is what fits"):
        wheels_for(PI, ["engine>=2"], nothing)


@pytest.mark.parametrize("libc", [("", ""), ("musl", "1.2.5"), ("glibc", "")])
def test_another_c_library_is_refused_before_pip_is_asked(index: Index, libc: tuple[str, str]) -> None:
    index.add("engine")
    with pytest.raises(PluginMissing, match=r"need glibc as the device's C library.*\(aarch64, Python 3\.11\)") as told:
        wheels_for(DeviceSystem("aarch64", (3, 11), libc), ["engine"], nothing)
    assert "Debian" in (told.value.hint or "")
    assert index.left == []


def test_an_architecture_without_wheels(index: Index) -> None:
    architecture = "riscv64"
    index.add("words")
    for machine in ("aarch64", "x86_64"):
        index.add("engine", f"cp311-cp311-manylinux_2_17_{machine}")
        index.add("engine", f"cp313-cp313-manylinux_2_17_{machine}")
    system = DeviceSystem(architecture, (3, 11), ("glibc", "2.36"))
    with pytest.raises(PluginMissing, match=f"no wheel of engine for {architecture}, Python 3.11, glibc 2.36") as told:
        wheels_for(system, ["engine", "words"], nothing)
    assert f"engine is not offered for {architecture}: a system of 64 bits" in (told.value.hint or "")
    assert index.left == []


def test_a_glibc_that_is_too_old_and_which_would_do(index: Index) -> None:
    index.add("engine", "cp311-cp311-manylinux_2_27_aarch64.manylinux_2_28_aarch64")
    with pytest.raises(PluginMissing, match=r"no wheel of engine for aarch64, Python 3\.11, glibc 2\.26") as told:
        wheels_for(DeviceSystem("aarch64", (3, 11), ("glibc", "2.26")), ["engine"], nothing)
    assert (told.value.hint or "").startswith("engine needs glibc 2.27 or newer: ")


def test_a_python_without_wheels_and_one_that_has_them(index: Index) -> None:
    index.add("engine", "cp312-cp312-manylinux_2_17_aarch64")
    with pytest.raises(PluginMissing, match=r"no wheel of engine for aarch64, Python 3\.14") as told:
        wheels_for(DeviceSystem("aarch64", (3, 14), ("glibc", "2.41")), ["engine"], nothing)
    assert told.value.hint == "there is one for Python 3.12: install that on the device"


def test_a_python_that_dynolab_does_not_run_on(index: Index) -> None:
    with pytest.raises(PluginMissing, match=r"the device has Python 3\.9, and dynolab needs Python >=3\.11"):
        wheels_for(DeviceSystem("aarch64", (3, 9), ("glibc", "2.31")), ["engine"], nothing)


def test_what_no_index_has_is_not_blamed_on_the_device(index: Index) -> None:
    with pytest.raises(PluginMissing, match="no wheel of engine>=3 for aarch64") as told:
        wheels_for(PI, ["engine>=3"], nothing)
    assert told.value.hint == "no index that pip asks here has it: `pip download engine` tells more"


def test_an_index_that_does_not_answer_is_told_as_that(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")  # the port "discard", where nothing listens
    with pytest.raises(PluginMissing, match="cannot be fetched: no package index answers") as told:
        wheels_for(PI, ["engine"], nothing)
    assert "PIP_INDEX_URL" in (told.value.hint or "")


def test_what_is_no_requirement_is_a_mistake_of_who_asks(index: Index) -> None:
    with pytest.raises(SpecInvalid, match="is no requirement"):
        wheels_for(PI, ["engine >"], nothing)


def test_a_folder_that_a_killed_process_fetched_into_goes_and_a_fresh_one_stays(index: Index) -> None:
    index.add("engine")
    old, fresh = index.kept / "new-old", index.kept / "new-fresh"
    for folder in (old, fresh):
        folder.mkdir(parents=True)
    long_ago = time.time() - _wheels.LEFT_S - 1
    os.utime(old, (long_ago, long_ago))
    wheels_for(PI, ["engine"], nothing)
    assert (old.exists(), fresh.exists()) == (False, True)


def test_wheels_that_were_used_least_lately_go(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("first", "second", "third"):
        index.add(name)
    told: list[str] = []
    (first,) = wheels_for(PI, ["first"], told.append)
    (second,) = wheels_for(PI, ["second"], told.append)
    for one in (first, second):
        os.utime(one.path.parent, (time.time() - 86_400,) * 2)
    assert wheels_for(PI, ["second"], told.append) == (second,), "which is a use"
    monkeypatch.setenv("DYNOLAB_CACHE_BYTES", "5000")
    (third,) = wheels_for(PI, ["third"], told.append)
    assert [one.path.exists() for one in (first, second, third)] == [False, True, True]
    assert wheels_for(PI, ["first"], told.append) == (first,), "it is fetched again"


def test_a_bound_that_is_no_number_is_said(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    index.add("one")
    monkeypatch.setenv("DYNOLAB_CACHE_BYTES", "many")
    with pytest.raises(SpecInvalid, match="DYNOLAB_CACHE_BYTES='many' is no number of bytes"):
        wheels_for(PI, ["one"], print)


def test_what_dynolab_asks_for_comes_from_its_own_metadata() -> None:
    plain = requirements_of(PI)
    assert any(one.startswith("numpy") for one in plain)
    assert not any(";" in one for one in plain), "markers are evaluated"
    litert = requirements_of(PI, ["litert"], base=False)
    assert [one.split("<")[0].split(">")[0] for one in litert] == ["ai-edge-litert"]
    assert requirements_of(PI, ["litert"]) == tuple(sorted({*plain, *litert}))
    intel = DeviceSystem("x86_64", (3, 11), ("glibc", "2.36"))
    npu = [any(one.startswith("onnxruntime-qnn") for one in requirements_of(x, ["qnn"])) for x in (PI, intel)]
    assert npu == [False, True], "a marker of the architecture"
    with pytest.raises(NotFound, match="no extra 'tflite'"):
        requirements_of(PI, ["tflite"])


def test_every_version_that_is_locked_is_within_what_dynolab_asks_for() -> None:
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    locked = {
        canonicalize_name(one.name): one
        for one in map(Requirement, (x.split(" --hash")[0] for x in _wheels._lock(PI).values()))
    }
    extras = ["onnxruntime", "litert", "openvino", "mnn", "ncnn", "datasets"]
    for asked in map(Requirement, requirements_of(PI, extras)):
        (version,) = locked[canonicalize_name(asked.name)].specifier
        assert asked.specifier.contains(version.version), asked
