"""What a board without internet is given: everything for its system, and a script that asks nobody. The index is a folder."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from hashlib import sha256
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from dynolab import own_wheel
from dynolab.agent import bundle
from dynolab.agent.bundle import Order
from dynolab.connections import _wheels
from dynolab.errors import Conflict, NotFound, PluginMissing, SpecInvalid

from ..wheel_index import own_index

HERE = (3, sys.version_info[1])
EXAMPLES = Path(__file__).parents[3] / "examples" / "models"


def repacked(name: str, folder: Path) -> None:
    """A distribution that is installed here, as the wheel that it came from."""
    own = metadata.distribution(name)
    wheel = own.read_text("WHEEL") or ""
    tag = re.findall(r"^Tag: (\S+)", wheel, re.MULTILINE)[0]
    with zipfile.ZipFile(folder / f"{re.sub('[-.]+', '_', own.name)}-{own.version}-{tag}.whl", "w") as archive:
        for file in own.files or ():
            if not str(file).startswith("..") and file.suffix != ".pyc" and file.name not in ("INSTALLER", "REQUESTED"):
                archive.write(str(file.locate()), str(file))


def needed(*names: str) -> set[str]:
    """The distributions that these need here."""
    found, more = set[str](), list(names)
    while more:
        name = more.pop()
        if name not in found:
            found.add(name)
            wanted = [Requirement(line) for line in metadata.requires(name) or ()]
            more += [one.name for one in wanted if one.marker is None or one.marker.evaluate({"extra": ""})]
    return found


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What dynolab's base needs, with pip, as wheels."""
    folder = tmp_path_factory.mktemp("index")
    for name in needed("dynolab", "h5py", "packaging", "pip") - {"dynolab"}:
        repacked(name, folder)
    return folder


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An index of our own."""
    with own_index(tmp_path, monkeypatch) as (folder, _):
        yield folder


def stand_in(folder: Path, name: str, version: str, tag: str) -> None:
    """A wheel with metadata alone."""
    name = re.sub("[-.]+", "_", name)
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{version}-{tag}.whl", "w") as archive:
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n")
        archive.writestr(f"{info}/RECORD", f"{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")


@pytest.fixture
def arm(index: Path) -> Path:
    """An index for aarch64, whose wheels hold nothing, with some for other machines in between."""
    compiled = {"numpy", "h5py", "ai-edge-litert", "onnxruntime", "onnx", "ml-dtypes"}
    system = Order("aarch64", (3, 11), "2.28", ("litert", "onnxruntime")).system
    for line in (*_wheels.requirements_of(system, ["litert", "onnxruntime", "datasets"]), "pip"):
        one = Requirement(line)
        version = next((str(own.version) for own in one.specifier if own.operator == ">="), "1.0")
        tags = ["py3-none-any"]
        if one.name in compiled:
            tags = [f"cp311-cp311-manylinux_2_28_{machine}" for machine in ("aarch64", "x86_64")]
        for tag in tags:
            stand_in(index, one.name, version, tag)
    return index


def ignore(_text: str) -> None:
    pass


def test_a_bundle_for_another_architecture_holds_wheels_of_that_alone(arm: Path, tmp_path: Path) -> None:
    order = Order("arm64", (3, 11), "2.28", ("onnxruntime", "litert"), "http://192.168.1.10:8000")
    assert order.name.endswith("-aarch64-python3.11"), "by the name that wheels have for it"
    size = bundle.make(order, tmp_path / "out.tar.gz", ignore)
    assert size == (tmp_path / "out.tar.gz").stat().st_size
    with tarfile.open(tmp_path / "out.tar.gz") as archive:
        assert {one.name.split("/")[0] for one in archive} == {order.name}
        assert {(one.uid, one.uname) for one in archive} == {(0, "root")}, "nobody of this machine's"
        archive.extractall(tmp_path, filter="data")
    folder = tmp_path / order.name
    assert sorted(path.name for path in folder.iterdir()) == ["README.txt", "install.sh", "requirements.txt", "wheels"]
    wheels = sorted((folder / "wheels").iterdir())
    machines = {path.name.rpartition("-")[2].removesuffix(".whl") for path in wheels}
    assert machines == {"any", "manylinux_2_28_aarch64"}
    assert (folder / "wheels" / own_wheel.file_name()).read_bytes() == own_wheel.content()
    named = dict(
        re.findall(r"^(\S+)==\S+ --hash=sha256:(\w+)$", (folder / "requirements.txt").read_text(), re.MULTILINE)
    )
    digests = {sha256(path.read_bytes()).hexdigest() for path in wheels if not path.name.startswith("pip-")}
    assert set(named.values()) == digests, "each file by its hash, and pip besides"
    assert {"dynolab", "numpy", "onnxruntime", "ai-edge-litert", "h5py"} <= named.keys()
    readme = (folder / "README.txt").read_text()
    assert "aarch64, Python 3.11, glibc 2.28 or newer" in readme
    assert "dynolab agent --hub http://192.168.1.10:8000 --join-token TOKEN" in readme


@pytest.mark.skipif(platform.machine() == "aarch64", reason="its own bundle would install here")
def test_a_board_of_another_kind_is_told_and_nothing_is_left(arm: Path, tmp_path: Path) -> None:
    order = Order("aarch64", (3, 11), "2.28", ("litert",))
    bundle.make(order, tmp_path / "out", ignore)
    environment = {"HOME": str(tmp_path / "home"), "PATH": os.environ["PATH"], "PYTHON": sys.executable}
    command = ["sh", str(tmp_path / "out" / "install.sh")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "this folder is for aarch64, Python 3.11 and glibc 2.28 or newer, and here is " in done.stderr
    assert f"dynolab agent bundle --arch {platform.machine()}" in done.stderr
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    ("order", "kind", "told"),
    [
        (Order("aarch64", (3, 11), "2.28", ("tflite",)), NotFound, "no runtime named 'tflite'"),
        (Order("aarch64", (3, 11), "2.28", ("null",)), SpecInvalid, "the runtime null is no part of a bundle"),
        (Order("riscv64", (3, 11), "2.28", ("litert",)), PluginMissing, "no wheel of .* for riscv64"),
        (Order("aarch64", (3, 11), "2.27", ("litert",)), PluginMissing, "for aarch64, Python 3.11, glibc 2.27"),
        (Order("aarch64", (3, 10), "2.28", ("litert",)), PluginMissing, "Python 3.10, and dynolab needs"),
    ],
)
def test_what_cannot_be_bundled_leaves_nothing(
    arm: Path, tmp_path: Path, order: Order, kind: type[Exception], told: str
) -> None:
    place = tmp_path / "place"
    place.mkdir()
    with pytest.raises(kind, match=told):
        bundle.make(order, place / "out.tar.gz", ignore)
    assert list(place.iterdir()) == []


def test_what_is_there_already_stays(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    order = Order("aarch64", (3, 11), "2.28", ("litert",))
    with pytest.raises(Conflict, match="is there already"):
        bundle.make(order, tmp_path / "out", ignore)
    with pytest.raises(NotFound, match="no folder"):
        bundle.make(order, tmp_path / "nowhere" / "out", ignore)


def unplugged() -> list[str]:
    """What a command is put after to run without any network, where this user may do that."""
    prefix = ["unshare", "--net", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    able = (
        shutil.which("unshare") and subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode == 0
    )
    return prefix if able else []


def test_a_bundle_installs_without_network_pip_settings_or_home(index: Path, installed: Path, tmp_path: Path) -> None:
    for wheel in installed.iterdir():
        (index / wheel.name).symlink_to(wheel)
    glibc = platform.libc_ver()[1]
    order = Order(platform.machine(), HERE, glibc, ())
    bundle.make(order, tmp_path / "out", ignore)
    home = tmp_path / "home"
    home.mkdir()
    environment = {"HOME": str(home), "PATH": os.defpath, "PYTHON": sys.executable, "PIP_REQUIRE_VIRTUALENV": "no"}
    environment |= {"PIP_INDEX_URL": "http://127.0.0.1:9/", "PIP_TARGET": str(tmp_path / "elsewhere")}

    def run(*command: object) -> subprocess.CompletedProcess[str]:
        whole = [*unplugged(), *map(str, command)]
        return subprocess.run(whole, env=environment, capture_output=True, text=True, check=False, timeout=300)

    broken = tmp_path / "broken"
    shutil.copytree(tmp_path / "out", broken)
    victim = next((broken / "wheels").glob("click-*"))
    with zipfile.ZipFile(victim, "a") as archive:
        archive.writestr("click/more.py", "")
    done = run("sh", broken / "install.sh")
    assert done.returncode != 0
    assert "DO NOT MATCH THE HASHES" in done.stderr
    assert "nothing was installed" in done.stderr
    assert not (home / "dynolab").exists()

    done = run("sh", tmp_path / "out" / "install.sh")
    assert done.returncode == 0, done.stderr
    assert f"{home}/dynolab/bin/dynolab agent --hub URL --join-token TOKEN" in done.stderr
    assert not (tmp_path / "elsewhere").exists()
    program = home / "dynolab" / "bin" / "dynolab"
    assert run(program, "--version").stdout == f"dynolab {metadata.version('dynolab')}\n"
    assert "No module named pip" in run(home / "dynolab" / "bin" / "python", "-m", "pip").stderr, (
        "it stays in its wheel"
    )
    assert "ExecStart=" in run(program, "agent", "unit").stdout
    done = run("sh", tmp_path / "out" / "install.sh")
    assert done.returncode == 2
    assert "is there already" in done.stderr
    assert program.exists()


@pytest.mark.slow  # fetches some 80 MB from the index that pip is set up for
def test_a_bundle_of_the_real_wheels_profiles_a_model_without_network(tmp_path: Path) -> None:
    order = Order(platform.machine(), HERE, "2.28", ("onnxruntime", "litert"))
    bundle.make(order, tmp_path / "out", ignore)
    home = tmp_path / "home"
    home.mkdir()
    environment = {"HOME": str(home), "PATH": os.defpath, "PYTHON": sys.executable}
    install = [*unplugged(), "sh", str(tmp_path / "out" / "install.sh")]
    subprocess.run(install, env=environment, check=True, timeout=300)
    for model in ("mlperf_tiny_kws_int8.tflite", "ch_ppocr_mobile_v2.0_cls_infer.onnx"):
        profile = [str(home / "dynolab" / "bin" / "dynolab"), "profile", str(EXAMPLES / model)]
        profile += ["--options", "--max_profiler_iterations 5 --repeats 1"]
        done = subprocess.run(
            [*unplugged(), *profile], env=environment, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow  # asks the index that pip is set up for; fetches some 70 MB
def test_every_real_wheel_for_a_raspberry_pi_is_one_for_it(tmp_path: Path) -> None:
    bundle.make(Order("aarch64", (3, 11), "2.28", ("onnxruntime", "litert")), tmp_path / "out", ignore)
    for path in (tmp_path / "out" / "wheels").iterdir():
        python, abi, platforms = path.stem.split("-")[-3:]
        assert platforms == "any" or all(one.endswith("_aarch64") for one in platforms.split(".")), path.name
        oldest = [int(minor) for minor in re.findall(r"manylinux_2_(\d+)_", platforms)]
        assert not oldest or min(oldest) <= 28 or "manylinux2014" in platforms, path.name
        assert re.search("py3|cp311|cp3(?:8|9|10|11).*abi3", f"{python}-{abi}"), path.name
