"""Models stay at home: a profile writes to its own folders only and speaks to nobody, told by the kernel's calls."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dynolab.plugins import load
from dynolab.runtimes.base import Runtime
from dynolab.sandbox._users import FOLDER, PLACES
from dynolab.testing import models

EXAMPLES = Path(__file__).parents[2] / "examples" / "models"
OPTIONS = "--max_profiler_iterations 3 --max_profiler_time 1"
TRACE = "trace=openat,open,creat,mkdir,mkdirat,rename,renameat,renameat2,unlink,unlinkat,rmdir,link,linkat,symlink,symlinkat,truncate,socket,connect,bind"
_CALL = re.compile(r"(?:\d+ +)?(\w+)\((.*)\) += (-?\d+)")
_PLACE = re.compile(r'(?:AT_FDCWD(?:<([^>]*)>)?|\d+<([^>]*)>)?(?:, )?"((?:[^"\\]|\\.)*)"')
_WRITES = ("O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC")
_KERNELS = ("/dev/null", "/dev/tty", "/proc/", "/sys/fs/cgroup/")
"""What is no file of anybody's: a process's own entries, and the group that it counts its memory in."""
_NAMES = "/var/run/nscd/socket"
"""Who asks for the name of an account, as of the one that measures here, is asked there by the C library first (nscd(8))."""
_USERS = tuple(place / FOLDER for place in PLACES)
"""Where root has an empty file for each user that it became: every process of the machine has to see which are taken."""
MAKERS: dict[str, tuple[str, str, Callable[[Path], Path]]] = {
    "onnxruntime": ("onnxruntime", "net.onnx", models.onnx_net),
    "openvino": ("openvino", "net.onnx", models.onnx_net),
    "torch": ("torch", "net.pt", models.torchscript),
    "null": ("null", "net.null", models.null),
    "litert": ("litert", "net.tflite", lambda path: Path(shutil.copy(EXAMPLES / "mlperf_tiny_kws_int8.tflite", path))),
}


def traced(command: list[str], environment: dict[str, str], log: Path) -> tuple[int, str]:
    """The exit code of a command whose calls are written down, and its output. Skips where nobody may look at them."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed")
    if subprocess.run([strace, "-o", os.devnull, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this system lets nobody trace a process")
    looking = [strace, "-f", "-qq", "-y", "-s", "4096", "--seccomp-bpf", "-e", TRACE, "-o", str(log)]
    answer = subprocess.run([*looking, *command], env=environment, capture_output=True, text=True, check=False)
    return answer.returncode, answer.stdout + answer.stderr


def written(log: Path, inside: Path) -> set[str]:
    """Files and folders outside of a folder that were made, changed or removed."""
    found = set()
    for line in log.read_text(errors="replace").splitlines():
        call = _CALL.match(line)
        if call is None or int(call[3]) < 0:
            continue
        name, arguments = call[1], call[2]
        if name in ("socket", "connect", "bind"):
            continue
        if name in ("open", "openat") and not any(flag in arguments for flag in _WRITES):
            continue
        for base, other, path in _PLACE.findall(arguments):
            place = os.path.normpath(Path(base or other or inside) / path)
            if not place.startswith(_KERNELS) and not any(map(Path(place).is_relative_to, (inside, *_USERS))):
                found.add(f"{name} {place}")
    return {one for one in found if "/__pycache__/" not in one and not one.endswith("/__pycache__")}


def spoken(log: Path) -> set[str]:
    """Sockets that were made, but for those between the ends of one pair, and those to the C library's cache of accounts' names.

    A stream within this machine speaks to nobody before it is connected, which is another call.
    """
    return {
        line.split("(", 1)[1].split(")")[0]
        for line in log.read_text(errors="replace").splitlines()
        if re.match(r"(?:\d+ +)?(?:socket|connect|bind)\(", line)
        and not re.search(r"socket\(AF_UNIX, SOCK_STREAM\b", line)
        and f'sun_path="{_NAMES}"' not in line
    }


def test_what_is_looked_for_is_seen(tmp_path: Path) -> None:
    inside, log = tmp_path / "inside", tmp_path / "calls"
    inside.mkdir()
    program = """if True:
        import os, socket, sys
        open("here", "w"), open(sys.argv[1] + "/opened", "w"), os.mkdir(sys.argv[1] + "/made")
        os.rename(sys.argv[1] + "/opened", "here")
        socket.socket().connect_ex(("127.0.0.1", 9))
    """
    outside = tmp_path / "outside"
    outside.mkdir()
    command = ["env", "-C", str(inside), sys.executable, "-c", program, str(outside)]
    code, text = traced(command, dict(os.environ), log)
    assert code == 0, text
    assert written(log, inside) == {
        f"openat {outside}/opened", f"mkdir {outside}/made", f"rename {outside}/opened",
    }  # fmt: skip
    assert any("AF_INET" in one for one in spoken(log))


@pytest.mark.slow
@pytest.mark.parametrize("name", MAKERS)
def test_a_profile_writes_to_its_folders_only_and_opens_no_socket(name: str, tmp_path: Path) -> None:
    wanted, file, make = MAKERS[name]
    runtime = load("dynolab.runtimes", wanted)
    assert isinstance(runtime, Runtime)
    if (reason := runtime.unavailable()) is not None:
        pytest.skip(reason)
    model = make(tmp_path / file)
    home, temporary = tmp_path / "home", tmp_path / "tmp"
    home.mkdir()
    temporary.mkdir()
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("XDG_", "ORT_", "DYNOLAB_"))}
    own = {f"DYNOLAB_{name.upper()}": str(tmp_path / name) for name in ("workspace", "state", "locks")}
    environment = {**kept, **own, "HOME": str(home), "TMPDIR": str(temporary), "DYNOLAB_SANDBOX": "none"}
    command = [sys.executable, "-m", "dynolab.cli.main", "profile", str(model), "-r", wanted, "--repeats", "1"]
    log = tmp_path / "calls"
    code, text = traced([*command, "--options", OPTIONS, "-o", str(tmp_path / "out")], environment, log)
    assert code == 0, text
    assert "inference" in text.lower()
    assert list(home.rglob("*")) == []
    assert written(log, tmp_path) == set()
    assert spoken(log) == set()
