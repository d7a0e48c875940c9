"""What every sandbox keeps from a hostile model: tried from inside, by root's sandboxes and by an ordinary user's."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from dynolab import plugins
from dynolab.sandbox import base
from dynolab.sandbox.base import Sandbox
from dynolab.testing.waiting import until

DRIVER = Path(__file__).with_name("sandbox_driver.py")
ORDINARY_ID = 54_321
"""A user of the test's own, where the tests are root."""
TRY = """
import os, socket, ctypes, signal, sys, subprocess, tempfile
from pathlib import Path
def attempt(name, what):
    try:
        found = what()
    except (OSError, subprocess.SubprocessError) as error:
        print(name, "refused", type(error).__name__, flush=True)
    else:
        print(name, "done", found, flush=True)
"""


@dataclass
class Caller:
    """Who starts a confined process, and where."""

    means: str
    who: str
    folder: Path
    home: Path
    environment: dict[str, str] = field(default_factory=dict)

    def command(
        self, code: str, *, arguments: tuple[object, ...] = (), readable: tuple[Path, ...] = (), **more: Any
    ) -> list[str]:
        order = {
            "means": self.means, "code": TRY + code, "work": str(self.folder / "work"), "arguments": [str(one) for one in arguments],
            "readable": [str(path) for path in readable], "limits": {}, "kill_after_s": None, **more,
        }  # fmt: skip
        command = [sys.executable, "-P", str(DRIVER), json.dumps(order)]
        return command if self.who == "self" else as_ordinary(command)

    def run(self, code: str, **more: Any) -> tuple[int, str]:
        """Exit status and output of a confined program."""
        environment = {**os.environ, "HOME": str(self.home), **self.environment}
        done = subprocess.run(
            self.command(code, **more), capture_output=True, text=True, env=environment, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr
        answer = json.loads(done.stdout.splitlines()[-1])
        return answer["code"], answer["said"]

    def answers(self, code: str, **more: Any) -> dict[str, str]:
        """What came of each attempt of a program, by name."""
        status, said = self.run(code, **more)
        assert status == 0, said
        return {line.split()[0]: line.split(maxsplit=1)[1] for line in said.splitlines()}


def as_ordinary(command: list[str]) -> list[str]:
    """The command as a user without rights; Python is shown to it where it lies in root's own closed folder."""
    prefix, closed = Path(sys.base_prefix), Path("/root")
    show = ""
    if prefix.is_relative_to(closed):
        at, to = shlex.quote("/mnt/python"), shlex.quote(str(prefix))
        show = (
            f"mount -t tmpfs -o mode=755 none /mnt && mkdir {at} && mount --rbind {to} {at}"
            f" && mount -t tmpfs -o mode=755 none {closed} && mkdir -p {to} && mount --rbind {at} {to} && "
        )
    become = f"setpriv --reuid {ORDINARY_ID} --regid {ORDINARY_ID} --clear-groups -- "
    return ["unshare", "-m", "sh", "-c", f"{show}exec {become}{shlex.join(command)}"]


@cache
def ordinary_problem(name: str) -> str:
    """Why a means does not work for the ordinary user; empty: it does."""
    code = f"from dynolab.sandbox.base import problem\nprint(problem({name!r}) or '', end='')"
    asked = subprocess.run(as_ordinary([sys.executable, "-P", "-c", code]), capture_output=True, text=True, check=False)
    return asked.stdout or asked.stderr


@pytest.fixture(
    params=[(name, who) for name in plugins.names(base.PACKAGE) for who in ("self", "ordinary")], ids="-".join
)
def caller(request: pytest.FixtureRequest) -> Iterator[Caller]:
    name, who = request.param
    sandbox = plugins.load(base.PACKAGE, name)
    assert isinstance(sandbox, Sandbox)
    if who == "ordinary" and (os.geteuid() != 0 or not shutil.which("setpriv") or not shutil.which("unshare")):
        pytest.skip("only root, with util-linux, can also be somebody else")
    reason = base.problem(name)
    if reason is not None:
        pytest.skip(f"{name} does not work here: {reason}")
    if who == "ordinary" and ordinary_problem(name):
        pytest.skip(f"{name} does not work here for an ordinary user: {ordinary_problem(name)}")
    with tempfile.TemporaryDirectory(prefix="dynolab-test-") as folder:  # pytest's own are closed to others
        place = Path(folder)
        home = place / "home"
        home.mkdir()
        (home / "token").write_text("secret")
        if who == "ordinary":
            for path in (place, home, home / "token"):
                os.chown(path, ORDINARY_ID, ORDINARY_ID)
        yield Caller(name, who, place, home)


@pytest.fixture
def confined(caller: Caller) -> Caller:
    """The same, with a sandbox that is one."""
    sandbox = plugins.load(base.PACKAGE, caller.means)
    if isinstance(sandbox, Sandbox) and not sandbox.protects:
        pytest.skip(f"{caller.means} keeps nothing from anybody")
    return caller


def test_a_means_is_required_where_it_ought_to_work() -> None:
    required = os.environ.get("DYNOLAB_REQUIRED_SANDBOXES", "").split()
    assert {name: base.problem(name) for name in required if base.problem(name) is not None} == {}


def test_files_of_others_are_out_of_sight(confined: Caller) -> None:
    other = confined.folder / "other-job"
    other.mkdir(mode=0o755)
    (other / "model").write_text("theirs")
    code = """
for path in sys.argv[1:]:
    attempt(path, lambda: Path(path).read_bytes()[:10] if not Path(path).is_dir() else os.listdir(path))
"""
    paths = (confined.home / "token", confined.home, "/etc/passwd", "/etc/shadow", "/etc/hostname", other / "model", other, "/var/lib")  # fmt: skip
    answers = confined.answers(code, arguments=paths)
    assert [name for name, answer in answers.items() if not answer.startswith("refused")] == []
    assert len(answers) == len(paths)


def test_what_is_given_may_be_read_and_only_the_workspace_written(confined: Caller) -> None:
    model = confined.folder / "model.bin"
    model.write_text("weights")
    code = """
model = Path(sys.argv[1])
attempt("read", lambda: model.read_text())
attempt("write", lambda: model.write_text("x"))
attempt("append", lambda: open(model, "a"))
attempt("truncate", lambda: os.truncate(model, 0))
attempt("remove", lambda: model.unlink())
attempt("rename", lambda: model.rename("mine"))
attempt("link", lambda: os.link(model, "mine"))
attempt("close", lambda: model.chmod(0))
attempt("close-beside", lambda: model.parent.chmod(0o777))
attempt("age", lambda: os.utime(model))
attempt("beside", lambda: Path(model.parent, "new").write_text("x"))
attempt("python", lambda: Path(os.__file__).write_text("x"))
attempt("beside-python", lambda: Path(os.__file__).with_name("new.py").write_text("x"))
attempt("system", lambda: Path("/usr/new").write_text("x"))
attempt("kernel", lambda: Path("/proc/sys/kernel/core_pattern").write_text("x"))
attempt("workspace", lambda: Path("mine").write_text("x"))
attempt("temporary", lambda: tempfile.NamedTemporaryFile().write(b"x"))
attempt("home", lambda: Path.home().joinpath("x").write_text("x"))
"""
    before = confined.folder.stat().st_mode, model.stat().st_mode, model.stat().st_mtime_ns
    answers = confined.answers(code, arguments=(model,), readable=(model,))
    allowed = {name for name, answer in answers.items() if answer.startswith("done")}
    assert allowed - {"beside", "close-beside", "close", "age"} == {"read", "workspace", "temporary", "home"}
    assert not (confined.folder / "new").exists()  # it went to a folder in memory, if it was taken at all
    assert (confined.folder.stat().st_mode, model.stat().st_mode, model.stat().st_mtime_ns) == before
    assert model.read_text() == "weights"
    assert (confined.folder / "work" / "mine").read_text() == "x"
    assert not (confined.home / "x").exists()


def test_who_asks_for_its_own_folder_is_told_what_it_may(confined: Caller) -> None:
    """access(2) has an answer of its own: g++ asks it, and turns to ``/tmp`` unless its temporary folder is to be written.

    The folder above is its owner's alone, as a home is."""
    code = """
own = tempfile.gettempdir()
print(*(name for name in ("R_OK", "W_OK", "X_OK") if os.access(own, getattr(os, name))))
"""
    assert confined.folder.stat().st_mode & 0o777 == 0o700
    assert confined.run(code) == (0, "R_OK W_OK X_OK\n")


def test_root_of_a_container_without_cap_setpcap_reads_what_is_given(confined: Caller) -> None:
    """Below a closed folder, as another user: the one right that this takes is kept in another way there."""
    if os.geteuid() != 0 or confined.who != "self" or not shutil.which("setpriv"):
        pytest.skip("only root, with util-linux, can drop a capability")
    model = confined.folder / "model.bin"
    model.write_text("weights")
    model.chmod(0o600)
    command = confined.command("print(Path(sys.argv[1]).read_text())", arguments=(model,), readable=(model,))
    done = subprocess.run(["setpriv", "--bounding-set=-setpcap", *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {"code": 0, "said": "weights\n"}


def test_there_is_no_network(confined: Caller) -> None:
    code = """
attempt("tcp", lambda: socket.create_connection(("127.0.0.1", int(sys.argv[1])), 2))
attempt("tcp6", lambda: socket.create_connection(("::1", int(sys.argv[1])), 2))
try:
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", int(sys.argv[1])))  # to itself, at most
except OSError:
    pass
def abstract():
    with socket.socket(socket.AF_UNIX) as one:
        one.connect("\\0" + sys.argv[2])
attempt("abstract", abstract)
def named():
    with socket.socket(socket.AF_UNIX) as one:
        one.connect(sys.argv[3])
attempt("named", named)
attempt("vsock", lambda: socket.socket(40, socket.SOCK_STREAM))
attempt("raw", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP))
"""
    name, path = f"dynolab-test-{os.getpid()}", confined.folder / "hub.socket"
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.socket(type=socket.SOCK_DGRAM) as udp,
        socket.socket(socket.AF_UNIX) as quiet,
        socket.socket(socket.AF_UNIX) as told,
    ):
        for one, address in ((quiet, "\0" + name), (told, str(path))):
            one.bind(address)
            one.listen()
        path.chmod(0o777)
        udp.bind(server.getsockname())
        answers = confined.answers(code, arguments=(server.getsockname()[1], name, path))
        assert received(udp) == b""
    assert len(answers) == 6
    assert [name for name, answer in answers.items() if not answer.startswith("refused")] == []


def received(udp: socket.socket) -> bytes:
    """What came, if anything."""
    udp.setblocking(False)
    try:
        return udp.recv(10)
    except BlockingIOError:
        return b""


def test_other_processes_are_out_of_reach(confined: Caller) -> None:
    code = """
pid = int(sys.argv[1])
library = ctypes.CDLL(None, use_errno=True)
def call(name, *arguments):
    if getattr(library, name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), name)
for target in (pid, os.getppid()):
    attempt(f"ptrace-{target}", lambda: call("ptrace", 16, target, 0, 0))
    attempt(f"memory-{target}", lambda: open(f"/proc/{target}/mem", "rb"))
    attempt(f"environment-{target}", lambda: open(f"/proc/{target}/environ", "rb").read())
    attempt(f"files-{target}", lambda: os.listdir(f"/proc/{target}/root/home"))
attempt("kill", lambda: os.kill(pid, signal.SIGKILL))
attempt("kill-group", lambda: os.killpg(pid, signal.SIGKILL))
import resource
attempt("limits", lambda: resource.prlimit(pid, resource.RLIMIT_CPU, (0, 0)))
attempt("queue", lambda: signal.pidfd_send_signal(os.pidfd_open(pid), signal.SIGKILL))
"""
    with subprocess.Popen(["sleep", "600"], start_new_session=True) as victim:
        try:
            if confined.who == "ordinary":
                command = as_ordinary(["sleep", "600"])
                with subprocess.Popen(command, start_new_session=True) as own:
                    until(lambda: Path(f"/proc/{own.pid}/comm").read_text() == "sleep\n", "the ordinary user's process")
                    answers = confined.answers(code, arguments=(own.pid,))
                    assert own.poll() is None
                    own.kill()
            else:
                answers = confined.answers(code, arguments=(victim.pid,))
            assert victim.poll() is None
        finally:
            victim.kill()
    assert [name for name, answer in answers.items() if not answer.startswith("refused")] == []


def test_two_that_run_at_once_are_out_of_each_others_reach(confined: Caller) -> None:
    """Root's have a user each; an ordinary user's have its own, as all that it runs."""
    waits = confined.command("print(os.getuid(), flush=True)\nsignal.pause()", kill_after_s=60)
    environment = {**os.environ, "HOME": str(confined.home)}
    code = """
import resource
pid = int(sys.argv[1])
library = ctypes.CDLL(None, use_errno=True)
attempt("kill", lambda: os.kill(pid, signal.SIGKILL))
attempt("memory", lambda: open(f"/proc/{pid}/mem", "rb"))
attempt("environment", lambda: open(f"/proc/{pid}/environ", "rb").read())
attempt("files", lambda: [os.readlink(f"/proc/{pid}/fd/{one}") for one in os.listdir(f"/proc/{pid}/fd")])
attempt("limits", lambda: resource.prlimit(pid, resource.RLIMIT_CPU, (0, 0)))
attempt("priority", lambda: os.setpriority(os.PRIO_PROCESS, pid, 19))
def trace():
    if library.ptrace(16, pid, 0, 0) < 0:
        raise OSError(ctypes.get_errno(), "ptrace")
attempt("trace", trace)
def move():
    os.sched_setaffinity(pid, {min(os.sched_getaffinity(0))})
attempt("processors", move)
print("user", os.getuid())
"""
    second = Caller(confined.means, confined.who, confined.folder / "second", confined.home)
    second.folder.mkdir()
    if confined.who == "ordinary":
        os.chown(second.folder, ORDINARY_ID, ORDINARY_ID)
    with subprocess.Popen(waits, stdout=subprocess.PIPE, text=True, env=environment) as other:
        try:
            assert other.stdout is not None
            pid = json.loads(other.stdout.readline())["pid"]
            status = Path(f"/proc/{pid}/status").read_text()
            user = int(status.partition("Uid:")[2].split()[0])
            answers = second.answers(code, arguments=(pid,))
            assert Path(f"/proc/{pid}").exists()
        finally:
            other.kill()
    mine = int(answers.pop("user"))
    if os.geteuid() == 0 and confined.who == "self":
        assert mine != user
        assert {mine, user} <= set(range(60_706, 61_184))
    else:
        answers.pop("processors")  # Landlock has no rule for it, and a runtime asks for it for its threads
    assert [name for name, answer in answers.items() if not answer.startswith("refused")] == []


def test_dangerous_system_calls_are_refused(confined: Caller) -> None:
    sandbox = plugins.load(base.PACKAGE, confined.means)
    if isinstance(sandbox, Sandbox) and "system calls" not in sandbox.protects:
        pytest.skip("this kernel or machine has no filter of system calls")
    code = """
library = ctypes.CDLL(None, use_errno=True)
numbers = {"x86_64": dict(mount=165, unshare=272, bpf=321, keyctl=250, io_uring=425, userfaultfd=323, process_vm_readv=310),
           "aarch64": dict(mount=40, unshare=97, bpf=280, keyctl=219, io_uring=425, userfaultfd=282, process_vm_readv=270)}
for name, number in numbers[os.uname().machine].items():
    result = library.syscall(number, 0, 0, 0, 0, 0, 0)
    print(name, result, ctypes.get_errno())
import threading
thread = threading.Thread(target=print, args=("threads", "work"))
thread.start(); thread.join()
print("children", subprocess.run([sys.executable, "-I", "-S", "-c", "pass"]).returncode)
print("new-privileges", [line.split()[1] for line in open("/proc/self/status") if line.startswith("NoNewPrivs")])
print("capabilities", [int(line.split()[1], 16) & ~4 for line in open("/proc/self/status") if line.startswith(("CapPrm", "CapEff"))])
"""
    answers = confined.answers(code)
    assert (answers.pop("threads"), answers.pop("children")) == ("work", "0")
    assert (answers.pop("new-privileges"), answers.pop("capabilities")) == ("['1']", "[0, 0]")
    assert set(answers.values()) == {"-1 1"}  # EPERM


def test_no_sandbox_runs_as_root_or_with_secrets_in_its_environment(caller: Caller) -> None:
    caller.environment = {
        "DYNOLAB_AGENT_TOKEN": "secret",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "OMP_NUM_THREADS": "3",
        "OV_TOKEN": "secret",
    }
    code = """
print("user", os.getuid(), os.geteuid())
print("environment", "secret" in str(dict(os.environ)), os.environ.get("OMP_NUM_THREADS"), os.environ.get("ORT_DISABLE_TELEMETRY"))
print("home", Path.home().is_relative_to(Path.cwd()), Path(tempfile.gettempdir()).is_relative_to(Path.cwd()))
"""
    answers = caller.answers(code)
    assert answers["environment"] == "False 3 1"
    assert answers["home"] == "True True"
    if caller.means != "none":
        assert answers["user"].split()[0] != "0"


def test_limits_hold(caller: Caller) -> None:
    code = """
import errno
def fill():
    with open("large", "wb") as file:
        file.write(bytes(3 << 20))
        file.flush()
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
attempt("file", fill)
attempt("files", lambda: [os.dup(0) for _ in range(100)])
try:
    kept = bytearray(600 << 20)
    print("memory done", flush=True)
except MemoryError:
    print("memory refused", flush=True)
def bomb():
    children = []
    try:
        while len(children) < 1200:
            pid = os.fork()
            if pid == 0:
                signal.pause()
            children.append(pid)
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
attempt("processes", bomb)
"""
    limits = {"memory_bytes": 300 << 20, "processes": 200, "file_bytes": 1 << 20, "open_files": 64}
    answers = caller.answers(code, limits=limits)
    allowed = {name for name, answer in answers.items() if not answer.startswith("refused")}
    root = os.geteuid() == 0 and caller.who == "self"
    assert (
        allowed - ({"processes"} if root and caller.means == "none" else set()) == set()
    )  # root is never out of processes


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL])
def test_death_by_a_signal_is_told_as_such(caller: Caller, number: signal.Signals) -> None:
    assert caller.run(f"os.kill(os.getpid(), {int(number)})")[0] == -number


def test_a_crash_of_native_code_and_an_exit_code_are_told_as_they_are(caller: Caller) -> None:
    assert caller.run("ctypes.string_at(0)")[0] == -signal.SIGSEGV
    assert caller.run("ctypes.CDLL(None).abort()")[0] == -signal.SIGABRT
    assert caller.run("sys.exit(139)")[0] == 139


def test_nothing_is_left_of_it(caller: Caller) -> None:
    mark = mark_of_its_own()
    code = f"""
command = "import os,sys,time; os.setsid(); os.fork() and sys.exit(); time.sleep({mark})"
subprocess.Popen([sys.executable, "-c", command], start_new_session=True).wait()
"""
    assert caller.run(code)[0] == 0
    assert running(mark) == []
    assert caller.run(code + "\nsignal.pause()", kill_after_s=2)[0] == -signal.SIGKILL
    assert running(mark) == []


def test_it_dies_with_its_caller(caller: Caller) -> None:
    mark = mark_of_its_own()
    code = (
        f"import time\nsubprocess.Popen([sys.executable, '-c', 'import time; time.sleep({mark})'])\ntime.sleep({mark})"
    )
    environment = {**os.environ, "HOME": str(caller.home)}
    with subprocess.Popen(caller.command(code), stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        assert "pid" in json.loads(process.stdout.readline())
        until(lambda: len(running(mark)) >= 2, "it and its child")
        process.kill()
    until(lambda: not running(mark), "their end")


def mark_of_its_own() -> str:
    """Seconds that nobody else sleeps."""
    return f"{9 * 10**6 + uuid.uuid4().int % 10**6}.25"


def running(mark: str) -> list[str]:
    """Command lines of confined processes that bear the mark: those of the test's own callers do not count."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = path.read_text(errors="replace").replace("\0", " ")
        except OSError:
            continue
        if mark in text and DRIVER.name not in text and "_keeper" not in text:
            found.append(text)
    return found


def test_links_and_pipes_are_not_left_in_the_workspace(caller: Caller) -> None:
    code = """
attempt("link", lambda: os.symlink("/etc/passwd", "link"))
attempt("folder", lambda: os.symlink("/etc", "folder"))
attempt("pipe", lambda: os.mkfifo("pipe"))
Path("kept").write_text("x")
attempt("close", lambda: Path("kept").chmod(0))
Path("closed").mkdir()
Path("closed", "inner").write_text("x")
attempt("close-folder", lambda: Path("closed").chmod(0))
"""
    assert caller.run(code)[0] == 0
    left = {str(path.relative_to(caller.folder / "work")) for path in (caller.folder / "work").rglob("*")}
    assert left == {"kept", "closed", "closed/inner", "home", "tmp"}
    assert (caller.folder / "work" / "kept").read_text() == "x"


def test_the_pid_is_the_confined_process_s_own_here(caller: Caller) -> None:
    code = "attempt('x', lambda: Path('/proc/self/comm').write_text('hostile'))\nprint(os.getpid())\nsignal.pause()"
    environment = {**os.environ, "HOME": str(caller.home)}
    with subprocess.Popen(
        caller.command(code, kill_after_s=100), stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        pid = json.loads(process.stdout.readline())["pid"]
        until(lambda: Path(f"/proc/{pid}/comm").read_text() == "hostile\n", "its own name")
        process.kill()
