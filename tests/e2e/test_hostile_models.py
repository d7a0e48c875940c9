"""Hostile models on a real hub with a real agent: each spoils its own job at most, and says why it failed.

A model's own code is what stands in its file: the runtime ``hostile`` below, which the agent finds as it finds any plug-in,
runs it in the worker, as a hole in a vendor's parser would let a file do.
"""

from __future__ import annotations

import json
import py_compile
import re
import shutil
import socket
import textwrap
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dynolab.agent.turns import LOCK_FILE
from dynolab.measure import room
from dynolab.measure.executor import memory_limit
from dynolab.measure.protocol import PROTOCOL_VERSION, RunKind
from dynolab.sandbox.base import strongest
from dynolab.spec.models import ModelFormat
from dynolab.testing.harness import Harness
from dynolab.testing.waiting import until

if TYPE_CHECKING:
    from dynolab.client.client import Client
    from dynolab.client.inference_jobs import ProfileJob
    from dynolab.testing.databases import Databases
    from dynolab.testing.running_hub import RunningHub

pytest.importorskip("pgqueuer")
pytestmark = pytest.mark.skipif(not strongest().protects, reason="this system has no sandbox")

RUNTIME = """
import os, sys
from pathlib import Path
import numpy as np
from dynolab.errors import *
from dynolab.runtimes.base import Runtime, Session
from dynolab.spec.measurements import ComputeUnit, RuntimeRow
from dynolab.spec.models import Description, ModelFormat
from dynolab.spec.tensors import TensorSpec

SPECS = (TensorSpec("x", "float32", (1,)),)

def obey(stage, target):
    code = target.model.read_bytes().partition(b"#HOSTILE\\n")[2]
    exec(code, {**globals(), "stage": stage, "target": target, "folder": Path.cwd()})

class Loaded(Session):
    inputs = outputs = SPECS
    def bind(self, inputs, outputs): self.held = inputs["x"]
    def runner(self): return lambda: None
    def fetch(self): return {"x": self.held}
    def effective(self): return {}

class Hostile(Runtime):
    name, formats, distributions, units = "hostile", (ModelFormat.ONNX,), ("dynolab",), (ComputeUnit.CPU,)
    row = RuntimeRow(artifact="a file", wiped="nothing", lazy="nothing")
    def import_library(self): pass
    def describe(self, target):
        obey("describe", target)
        return Description(inputs=SPECS, outputs=SPECS)
    def load(self, target):
        obey("load", target)
        return Loaded()
    def compile(self, target):
        obey("compile", target)
        (target.artifact_dir / "compiled").write_bytes(b"compiled")

plugin = Hostile()
"""


def hostile(path: Path, code: str) -> Path:
    """An ONNX file with an empty graph, whose text of documentation is code."""
    text = b"#HOSTILE\n" + textwrap.dedent(code).encode()
    size, length = b"", len(text)
    while length > 0x7F:
        size, length = size + bytes([length & 0x7F | 0x80]), length >> 7
    path.write_bytes(b"\x3a\x00\x32" + size + bytes([length]) + text)  # ModelProto: graph is 7, doc_string is 6
    return path


@dataclass
class Lab:
    """A hub with an agent, and what a model must not reach."""

    hub: RunningHub
    client: Client
    folder: Path
    agent: int
    secrets: dict[str, str]

    def submit(self, code: str, options: str = "", **more: object) -> ProfileJob:
        """A job on a model with that code."""
        model = hostile(self.folder / "net.onnx", code)
        fast = "--runtime hostile --repeats 1 --max_profiler_iterations 1"
        job = self.client.submit_profile_job(
            model,
            self.client.get_devices()[0],
            options=f"{fast} {options}",
            **more,  # type: ignore[arg-type] # passed on
        )
        assert not isinstance(job, list)
        return job

    def failed(self, code: str) -> tuple[str, str]:
        """The code and the message of the error that a job on such a model ends with, and what else was told of it."""
        return self.ended(self.submit(code))

    def ended(self, job: ProfileJob) -> tuple[str, str]:
        """The same of a job; nothing of it told a secret, and the agent lives."""
        state = job.wait()
        told = json.dumps([state.message, job.log()])
        for what, secret in self.secrets.items():
            assert secret not in told, what
        assert Path(f"/proc/{self.agent}").exists(), "the agent lives"
        assert not state.success, state
        failure = job.document["failure"]
        return failure["code"], failure["message"]


def descendants(pid: int) -> list[int]:
    """All processes below one."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == pid:
                found += [int(stat.parent.name), *descendants(int(stat.parent.name))]
    return found


@pytest.fixture(scope="module")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the runtime ``hostile`` as an outside distribution."""
    folder = tmp_path_factory.mktemp("plugins")
    folder.chmod(0o755)
    (folder / "hostile_runtime.py").write_text(RUNTIME, encoding="utf-8")
    # Else the agent, whose files are closed to others, would leave bytecode there that no confined process may read.
    py_compile.compile(str(folder / "hostile_runtime.py"), doraise=True)
    (folder / "__pycache__").chmod(0o755)
    for path in (folder / "__pycache__").iterdir():
        path.chmod(0o644)
    about = folder / "hostile_runtime-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: hostile-runtime\nVersion: 1\n", encoding="utf-8")
    (about / "entry_points.txt").write_text("[dynolab.runtimes]\nhostile = hostile_runtime:plugin\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def lab(databases: Databases, plugins: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    from dynolab.client.client import Client
    from dynolab.client.settings import ClientConfig
    from dynolab.testing.running_hub import running_hub

    folder = tmp_path_factory.mktemp("lab")
    state, home, work = folder / "state", folder / "home", folder / "work"
    for place in (state, home, work):
        place.mkdir()
    environment = {
        "DYNOLAB_DATABASE_URL": databases.new().dsn,
        "DYNOLAB_STATE": str(state),
        "DYNOLAB_WORKSPACE": str(work),
        "HOME": str(home),
        "PYTHONPATH": str(plugins),
        "AWS_SECRET_ACCESS_KEY": "the-cloud-key",
        "SOMEBODYS_PASSWORD": "the-password",
    }
    (home / "notes.txt").write_text("the-notes", encoding="utf-8")
    with running_hub(folder / "hub", environment=environment) as hub:
        client = Client(ClientConfig(hub.token, hub.url, verbose=False))
        until(client.get_devices, "this machine's agent")
        [agent] = [
            pid for pid in descendants(hub.process.pid) if b"\0agent\0" in Path(f"/proc/{pid}/cmdline").read_bytes()
        ]
        secrets = {
            "the user's token": hub.token,
            "the agent's token": hub.agent_token,
            "the database's address": environment["DYNOLAB_DATABASE_URL"],
            "the cloud's key": "the-cloud-key",
            "a password": "the-password",
            "a file of the home": "the-notes",
        }
        yield Lab(hub, client, folder, agent, secrets)
        client.close()


ESCAPES = """
    import ctypes, os, signal, socket, sys
    from pathlib import Path
    if stage != "describe":
        raise ModelInvalid("too late")
    libc = ctypes.CDLL(None, use_errno=True)

    def done(result):
        if result < 0:
            raise OSError(ctypes.get_errno(), "refused")

    def other_jobs():
        others = [path for path in Path(WORK).iterdir() if not Path.cwd().is_relative_to(path)]
        others += [path for path in Path(WORK).glob("*/*") if "campaign" in path.name or "assignment" in path.name]
        if not others:
            raise OSError("none in sight")

    def environment():
        text = str(os.environ) + "".join(p.read_text() for p in Path("/proc").glob("[0-9]*/environ") if os.access(p, os.R_OK))
        if not any(one in text for one in ("the-cloud-key", "the-password", "postgres")):
            raise OSError("none in sight")

    def signalled(pid):
        # 1 is the first process of a namespace, or the system's own
        os.kill(pid, signal.SIGTERM if pid > 1 else 0)
        if pid == os.getppid() or pid == 1:
            raise OSError("its own namespace")

    def in_the_way():
        with socket.socket(socket.AF_UNIX) as one:
            one.connect("\\0dynolab-hostile")

    def datagram():
        # It may go, into a network of the model's own: whether it came is for its receiver to say
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", DATAGRAMS))
        raise OSError("sent")

    attempts = {
        "client.ini": lambda: Path(DATA, "client.ini").read_text(),
        "agent.token": lambda: Path(DATA, "agent.token").read_text(),
        "hub's data": lambda: os.listdir(DATA),
        "home": lambda: Path(HOME, "notes.txt").read_text(),
        "state": lambda: os.listdir(STATE),
        "state, written": lambda: Path(STATE, "device-id").write_text("mine"),
        "shadow": lambda: Path("/etc/shadow").read_text(),
        "other jobs": other_jobs,
        "environment": environment,
        "agent's memory": lambda: open(f"/proc/{AGENT}/mem", "rb").read(1),
        "agent's files": lambda: os.listdir(f"/proc/{AGENT}/fd"),
        "the hub over TCP": lambda: socket.create_connection(("127.0.0.1", PORT), 3).close(),
        "the net": lambda: socket.create_connection(("1.1.1.1", 53), 3).close(),
        "a datagram": datagram,
        "an abstract socket": in_the_way,
        "kill the agent": lambda: signalled(AGENT),
        "kill the executor": lambda: signalled(os.getppid()),
        "trace the agent": lambda: done(libc.ptrace(16, AGENT, 0, 0)),
        "trace the parent": lambda: done(libc.ptrace(16, os.getppid(), 0, 0)),
        "become root": lambda: os.setuid(0),
        "mount": lambda: done(libc.mount(b"none", b"/tmp", b"tmpfs", 0, None)),
        "a raw packet": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW),
        "write over the model": lambda: target.model.write_bytes(b"other"),
        "write into dynolab": lambda: Path(sys.modules["dynolab"].__file__).open("a"),
        "write into the system": lambda: Path("/usr/lib/hostile").write_text("x"),
        "write beside the run": lambda: Path(folder.parent.parent, "campaign.json").write_text("x"),
        "cgroups": lambda: os.mkdir("/sys/fs/cgroup/hostile"),
        "kernel settings": lambda: Path("/proc/sys/kernel/core_pattern").write_text("x"),
        "devices": lambda: open("/dev/sda", "rb") if Path("/dev/sda").exists() else open("/dev/vda", "rb"),
    }
    reached = []
    for what, attempt in attempts.items():
        try:
            attempt()
            reached.append(what)
        except (OSError, ctypes.ArgumentError):
            pass
    raise ModelInvalid("tried " + str(len(attempts)) + ", reached: " + ", ".join(reached))
"""


def test_a_model_reaches_nothing_of_the_device_or_of_others(lab: Lab) -> None:
    with (
        socket.socket(socket.AF_UNIX) as server,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
    ):
        server.bind("\0dynolab-hostile")
        server.listen()
        datagrams.bind(("127.0.0.1", 0))
        datagrams.setblocking(False)
        values = {
            "DATA": str(lab.hub.data), "HOME": str(lab.folder / "home"), "STATE": str(lab.folder / "state"),
            "WORK": str(lab.folder / "work"), "AGENT": lab.agent, "PORT": int(lab.hub.url.rpartition(":")[2]),
            "DATAGRAMS": datagrams.getsockname()[1],
        }  # fmt: skip
        known = "".join(f"    {name} = {value!r}\n" for name, value in values.items())
        assert lab.failed("\n" + known + ESCAPES) == ("ModelInvalid", "tried 29, reached: ")
        with pytest.raises(BlockingIOError):
            datagrams.recv(10)
    environment = Path(f"/proc/{lab.agent}/environ").read_text(encoding="utf-8")
    assert not [what for what, secret in lab.secrets.items() if secret in environment]


WORKERS = {
    "a native crash": ("os.kill(os.getpid(), 11)", "WorkerCrashed", "SIGSEGV"),
    "the end of all in sight": (
        """
        try:
            os.kill(-1, 9)
        except ProcessLookupError:
            pass
        raise ModelInvalid("nobody else")
        """,
        "ModelInvalid",
        "nobody else",
    ),
    "an exit": ("os._exit(0)", "WorkerCrashed", "left no result"),
    "another exit": ("os._exit(77)", "WorkerCrashed", "left no result"),
    "an error of Python's": ("raise ZeroDivisionError('hostile')", "WorkerCrashed", "left no result"),
    "processes without end": (
        """
        import time
        while True:
            try:
                if os.fork() == 0:
                    time.sleep(60)
            except OSError:
                raise ModelInvalid("no more processes") from None
        """,
        "ModelInvalid",
        "no more processes",
    ),
    "a result of 1 GB": (
        "os.truncate(os.open('result.json', os.O_CREAT | os.O_RDWR), 1 << 30); os._exit(0)",
        "WorkerCrashed",
        "more than",
    ),
    "a deep result": ("leave('[' * 100_000)", "WorkerCrashed", "nested"),
    "a result of too many parts": ("leave('[' + '[],' * 3_000_000 + '0]')", "WorkerCrashed", "more than 2000000"),
    "a result that is no text": (
        "Path('result.json').write_bytes(os.urandom(1000)); os._exit(0)",
        "WorkerCrashed",
        "read",
    ),
    "a result of another kind": ("leave('{\"protocol\": PROTOCOL}')", "WorkerCrashed", "no result of inspect"),
    "a number past all bounds": (
        "leave('{\"protocol\": PROTOCOL, \"import_ns\": ' + '9' * 4000 + '}')",
        "WorkerCrashed",
        "63 bits",
    ),
    "orders to a terminal": (
        """leave('{"protocol": PROTOCOL, "error": {"code": "LoadFailed", "message": "\\\\u001b]0;x"}}')""",
        "LoadFailed",
        "\N{REPLACEMENT CHARACTER}]0;x",
    ),
    "orders to a terminal in the log": (
        "print('\\x1b]0;x', flush=True); os._exit(0)",
        "WorkerCrashed",
        "left no result",
    ),
    "another device's trouble": (
        """leave('{"protocol": PROTOCOL, "error": {"code": "DeviceLost", "message": "try elsewhere"}}')""",
        "WorkerCrashed",
        "the worker ended with DeviceLost: try elsewhere",
    ),
    "a result that is a link": (
        "Path('result.json').symlink_to(TOKEN); os._exit(0)",
        "WorkerCrashed",
        "left no result",
    ),
    "a result that is a second name": (
        "os.link(target.model, 'result.json'); os._exit(0)",
        "WorkerCrashed|Bug",
        "left no result",
    ),
    "a result that is a pipe": ("os.mkfifo('result.json'); os._exit(0)", "WorkerCrashed", "left no result"),
    "a result that is a folder": ("Path('result.json').mkdir(); os._exit(0)", "WorkerCrashed", "cannot be read"),
    "a log that is a link": (
        "Path('log.txt').unlink(); Path('log.txt').symlink_to(TOKEN); os._exit(0)",
        "WorkerCrashed",
        "left no result",
    ),
    "a log of 1 GB": ("os.truncate(1, 1 << 30); os._exit(0)", "WorkerCrashed", "left no result"),
    "a candidate that is a link": (
        "Path('candidate').unlink(missing_ok=True); Path('candidate').symlink_to(TOKEN); os._exit(0)",
        "WorkerCrashed",
        "left no result",
    ),
    "folders closed to all": (
        "os.makedirs('a/b/c'); os.chmod('a/b', 0); os.chmod('a', 0); os._exit(0)",
        "WorkerCrashed",
        "",
    ),
    "the deepest folder": (
        """
        for place in (Path("."), target.cache_dir, target.artifact_dir):
            at = os.open(place, os.O_RDONLY)
            for _ in range(1500):
                os.mkdir("d", dir_fd=at)
                at, above = os.open("d", os.O_RDONLY, dir_fd=at), at
                os.close(above)
        os._exit(0)
        """,
        "WorkerCrashed",
        "left no result",
    ),
}


@pytest.fixture
def harness(plugins: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Harness:
    """For a model that is to be written first."""
    monkeypatch.setenv("PYTHONPATH", str(plugins))
    monkeypatch.syspath_prepend(str(plugins))
    (tmp_path / "model").mkdir()
    return Harness(tmp_path / "work", tmp_path / "model" / "net.onnx", ModelFormat.ONNX, "hostile")


QUICK = (
    "a native crash", "an exit", "a result of 1 GB", "a deep result", "another device's trouble", "a result that is a link",
    "a log that is a link", "orders to a terminal",
)  # fmt: skip
"""Of each kind one; the others are as quick, but many."""


@pytest.mark.parametrize(
    "what", [what if what in QUICK else pytest.param(what, marks=pytest.mark.slow) for what in WORKERS]
)
def test_a_worker_that_is_taken_over_fails_with_the_reason(what: str, harness: Harness, tmp_path: Path) -> None:
    """One run, as a campaign makes it; and where it leaves folders that are hard to use, another after it."""
    code, kind, words = WORKERS[what]
    (tmp_path / "token").write_text("the-token", encoding="utf-8")
    before = f"""
        TOKEN = {str(tmp_path / "token")!r}
        def leave(text):
            Path("result.json").write_text(text.replace("PROTOCOL", "{PROTOCOL_VERSION}"))
            os._exit(0)
    """
    hostile(harness.model, textwrap.dedent(before) + textwrap.dedent(code))
    outcome = harness.run(RunKind.INSPECT)
    error = outcome.result.error or {}
    assert re.fullmatch(kind, str(error.get("code"))), error
    assert words in str(error["message"])
    assert "the-token" not in str(error) + outcome.log
    assert "\x1b" not in outcome.log
    if "folder" in what:
        hostile(harness.model, "")
        assert harness.run(RunKind.INSPECT).result.error is None


@pytest.mark.slow
def test_memory_that_its_processes_share_out_is_bounded(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_limit, "MemoryLimit", lambda: memory_limit.make(400_000_000))
    hostile(
        harness.model,
        """
        import time
        for _ in range(8):
            if os.fork() == 0:
                break
        held = bytearray(150_000_000)
        time.sleep(10)
        os._exit(0)
        """,
    )
    error = harness.run(RunKind.INSPECT, memory_limit_bytes=400_000_000).result.error
    assert error is not None
    assert error["code"] == "OutOfMemory"


@pytest.mark.slow
def test_a_disk_is_not_filled(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is said to be smaller than it is."""
    kept = shutil.disk_usage(harness.folder).free - (400 << 20)
    monkeypatch.setattr(room, "free_bytes", lambda folder: shutil.disk_usage(folder).free - kept)
    hostile(
        harness.model,
        """
        import time
        os.makedirs("/".join("d" * 400))
        with open("filler", "wb") as file:
            for _ in range(500):
                file.write(bytes(1 << 20))
                file.flush()
                time.sleep(0.004)  # a fast disk would be full before anybody looks
        time.sleep(10)
        """,
    )
    error = harness.run(RunKind.INSPECT).result.error
    assert error is not None
    assert "the worker filled the device's disk" in str(error["message"])


def test_a_null_model_that_was_said_to_be_onnx_is_refused(lab: Lab) -> None:
    """The client would not send it, so it is sent past the client."""
    path = lab.folder / "sleeps.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model.null", json.dumps({"sleep_s": 10**6}))
    asked = {"name": "sleeps", "kind": "onnx", "is_directory": True}
    made = lab.client.api.send("POST", "models", asked)
    lab.client._upload(f"models/{made['id']}", path, "sleeps")
    job = lab.client.submit_profile_job(lab.client.get_model(made["id"]), lab.client.get_devices()[0])
    assert not isinstance(job, list)
    kind, message = lab.ended(job)
    assert kind == "ModelInvalid"
    assert "was said to be onnx, and holds a model of the format null" in message


@pytest.mark.slow
def test_the_agent_carries_out_the_next_job(lab: Lab) -> None:
    """It leaves links, folders and a process behind, and is otherwise a job like any other."""
    job = lab.submit(
        """
        import subprocess
        if stage == "compile":
            for name in ("client.ini", "agent.token"):
                (target.artifact_dir / name).symlink_to(Path("/", name))
            (target.artifact_dir / "up").symlink_to("/")
            os.mkfifo(target.cache_dir / "pipe")
            subprocess.Popen(["/bin/sleep", "3600"], start_new_session=True)
        """,
        keep_artifact=True,
    )
    state = job.wait()
    assert state.success, (state, job.log())
    packed = job.download_artifact(lab.folder)
    assert packed is not None
    with zipfile.ZipFile(packed) as archive:
        assert archive.namelist() == ["compiled"]
    assert [path.name for path in (lab.folder / "work").iterdir()] == [LOCK_FILE], "what is kept over all jobs"
    commands = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert b"/bin/sleep\x003600\0" not in commands
    assert Path(f"/proc/{lab.agent}").exists()
