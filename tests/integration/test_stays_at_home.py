"""A hub that measures keeps to its folders, and speaks on loopback only. Netron in its pages: see the fixture ``visit`` of tests/web."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("pgqueuer")
pytest.importorskip("ai_edge_litert")

from dynolab.client.client import Client
from dynolab.client.devices import Device
from dynolab.client.settings import ClientConfig
from dynolab.testing.running_hub import running_hub
from dynolab.testing.waiting import until

MODEL = Path(__file__).parents[2] / "examples" / "models" / "mlperf_tiny_kws_int8.tflite"
LOOPBACK = re.compile("[0-9A-F]{6}7F|0{24}01000000|0{16}FFFF0000[0-9A-F]{6}7F")
"""127.0.0.0/8, ::1, and the former inside the latter's space, as /proc/net/tcp and tcp6 write them on this byte order."""
LISTENING = "0A"
INTERNET = ("tcp", "tcp6", "udp", "udp6", "raw", "raw6", "icmp", "icmp6")


def tree(pid: int) -> set[int]:
    """A process and all that came of it, in its session or out of it."""
    found, todo = set[int](), [pid]
    while todo:
        one = todo.pop()
        found.add(one)
        for path in Path(f"/proc/{one}/task").glob("*/children"):
            try:
                todo += [int(child) for child in path.read_text().split()]
            except OSError:  # it ended meanwhile
                continue
    return found


def open_files(pids: set[int]) -> Iterator[str]:
    for pid in pids:
        for link in Path(f"/proc/{pid}/fd").glob("*"):
            try:
                yield str(link.readlink())
            except OSError:  # it ended, or closed it
                continue


def outward(pids: set[int]) -> set[str]:
    """Sockets of these processes that lead out of this machine, or let somebody in."""
    own = {text[8:-1] for text in open_files(pids) if text.startswith("socket:[")}
    found = set()
    for kind in INTERNET:
        for row in Path(f"/proc/net/{kind}").read_text().splitlines()[1:]:
            _, local, remote, state, *_, inode = row.split()[:10]
            here, there = LOOPBACK.fullmatch(local.split(":")[0]), LOOPBACK.fullmatch(remote.split(":")[0])
            if inode in own and not (here and (there or state == LISTENING)):
                found.add(f"{kind} {local} {remote}")
    return found


def test_what_is_looked_for_is_seen() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:  # of no connection: it takes whatever comes
        probe.bind(("127.0.0.1", 0))
        assert outward({os.getpid()})
    assert os.getpid() in tree(os.getppid())


def test_a_hub_that_measures_speaks_on_loopback_only_and_keeps_to_its_folders(tmp_path: Path) -> None:
    home, temporary = tmp_path / "home", tmp_path / "tmp"
    for folder in (home, temporary):
        folder.mkdir()
    folders = {f"XDG_{name}_HOME": str(home / name.lower()) for name in ("CACHE", "CONFIG", "DATA", "STATE")}
    own = {"DYNOLAB_STATE": str(tmp_path / "state"), "DYNOLAB_WORKSPACE": str(tmp_path / "work")}
    environment = {**folders, **own, "HOME": str(home), "TMPDIR": str(temporary)}
    with running_hub(tmp_path / "data", environment=environment) as hub:
        client = Client(ClientConfig(hub.token, hub.url, verbose=False))
        device = until(client.get_devices, "this machine's agent")[0]
        job = client.submit_profile_job(MODEL, Device(device.name), options="--max_profiler_iterations 3 --repeats 1")
        seen, sockets = set[int](), set[str]()

        def looked_on() -> bool:
            pids = tree(hub.process.pid)
            seen.update(pids)
            sockets.update(outward(pids))
            return job.get_status().finished

        until(looked_on, "the job's end", within_s=300)
        assert job.get_status().success, job.get_status().message
        client.close()
    assert len(seen) > 3, "hub, database, agent and workers were looked at"
    assert sockets == set()
    assert list(home.rglob("*")) == []
