"""Drills: the hub, its replicas, its database and its agents are killed, stopped and stalled; nothing that was said is lost."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

pytest.importorskip("pgqueuer")

from dynolab import errors
from dynolab.agent.http import HubDoor, Unreachable, again
from dynolab.hub.aihub.wire import public_api_pb2 as pb
from dynolab.hub.store import connecting
from dynolab.hub.store.postgres import Postgres, running
from dynolab.spec.agents import AGENT_PROTOCOL, Assignment, ClaimRequest, DeviceOffer, Outcome, Renewal
from dynolab.testing import known_runtimes
from dynolab.testing.running_hub import RunningHub, running_hub
from dynolab.testing.waiting import until

from .test_jobs import User

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux")
LEASE_S = 2.0
SHORT_LEASE = {"DYNOLAB_LEASE_S": str(LEASE_S)}
CROWD_LEASE = {"DYNOLAB_LEASE_S": "4"}
"""For 80 threads on few cores, which may well be late by a second."""
LONG = "--max_profiler_iterations 1000000"
"""Options of a job that does not end by itself while a test looks on."""
KWS = Path(__file__).parents[2] / "examples" / "models" / "mlperf_tiny_kws_int8.tflite"
DONE, FAILED, WAITING, RUNNING = (
    pb.JOB_STATE_DONE,
    pb.JOB_STATE_FAILED,
    pb.JOB_STATE_CREATED,
    pb.JOB_STATE_MEASURING_PERFORMANCE,
)
METRICS_TOKEN = "a-token-of-these-tests"
SLOTS_A_DOOR = 10
"""A door takes a while to open; threads may share it."""


OPEN: list[Callable[[], None]] = []


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """What a test opened is closed after it."""
    yield
    while OPEN:
        OPEN.pop()()


def user_of(hub: RunningHub, token: str | None = None) -> User:
    user = User(hub, token)
    OPEN.append(user.http.close)
    return user


def door_of(hub: RunningHub, token: str | None = None) -> HubDoor:
    door = HubDoor(hub.url, token or hub.agent_token)
    OPEN.append(door.close)
    return door


class Slots:
    """Agents of this test's own: threads that claim, work a while, renew, leave a result and finish."""

    def __init__(self, url: str, token: str, name: str, *, work_s: float, result: Path) -> None:
        self.taken: list[Assignment] = []
        self.finished: list[str] = []
        self.refused: list[str] = []
        self._url, self._token, self._name, self._work_s, self._result = url, token, name, work_s, result
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []
        self._doors: list[HubDoor] = []

    def add(self, count: int) -> None:
        for _ in range(count):
            number = len(self._threads)
            if number % SLOTS_A_DOOR == 0:
                self._doors.append(HubDoor(self._url, self._token))
            offer = DeviceOffer(id=f"{self._name}-{number}", name=self._name, os="1.0", attributes=("framework:onnx",))
            thread = threading.Thread(target=self._serve, args=(self._doors[-1], offer), daemon=True)
            self._threads.append(thread)
            thread.start()

    def close(self) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join(30)
        for door in self._doors:
            door.close()

    def _serve(self, door: HubDoor, offer: DeviceOffer) -> None:
        while not self._stopped.is_set():
            try:
                found = door.claim(ClaimRequest(AGENT_PROTOCOL, offer, 2.0))
            except (Unreachable, errors.DeviceLost):
                self._stopped.wait(0.2)
                continue
            if found is not None:
                self.taken.append(found)
                try:
                    self._work(door, found)
                    self.finished.append(found.job)
                except errors.Conflict:
                    self.refused.append(found.job)

    def _work(self, door: HubDoor, found: Assignment) -> None:
        until = time.monotonic() + self._work_s
        while (left_s := until - time.monotonic()) > 0:
            with suppress(Unreachable, errors.DeviceLost):
                door.renew(found.attempt, Renewal({"stage": "inference"}))
            time.sleep(min(left_s, LEASE_S / 3))
        door.store(found.attempt, "result", self._result)
        door.finish(found.attempt, Outcome(summary={"estimated_inference_time_ns": 1}))


@contextmanager
def slots(url: str, hub: RunningHub, name: str, tmp_path: Path, count: int, work_s: float) -> Iterator[Slots]:
    result = tmp_path / "profile.json"
    result.write_bytes(b'{"canned": "' + b"x" * 100_000 + b'"}')
    made = Slots(url, hub.agent_token, name, work_s=work_s, result=result)
    made.add(count)
    try:
        yield made
    finally:
        made.close()


def announced(user: User, name: str) -> None:
    until(lambda: name.encode() in user.http.get("devices/").content, f"the device {name}")


def eighty_jobs(user: User, door: HubDoor, name: str) -> list[str]:
    offer = DeviceOffer(id=f"{name}-first", name=name, os="1.0", attributes=("framework:onnx",))
    assert door.claim(ClaimRequest(AGENT_PROTOCOL, offer)) is None
    model_id = user.model()
    return [user.submit(model_id, name) for _ in range(80)]


def each_once(made: Slots, jobs: list[str], redelivered: int = 0) -> None:
    """Every job was finished, and none twice; at most some were handed out again, unfinished."""
    assert Counter(made.finished) == Counter(jobs)
    assert sum(one.number > 1 for one in made.taken) <= redelivered


def processes(below: int) -> set[int]:
    """A process and all that descend from it."""
    parents: dict[int, int] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(status.parent.name)] = int(status.read_text().rpartition(")")[2].split()[1])
    found = {below}
    while more := {one for one, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def alive(pids: set[int]) -> set[int]:
    """Those that still run; a zombie does not."""
    running = set()
    for pid in pids:
        with suppress(OSError):
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
                running.add(pid)
    return running


def postmaster(hub: RunningHub) -> int:
    return int((hub.data / "postgres" / "postmaster.pid").read_text().split()[0])


def signal_all(pids: set[int], number: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


@contextmanager
def stalled(server: int) -> Iterator[None]:
    """A database server stands still, all of it: first the one that starts the others, so that none comes after."""
    signal_all({server}, signal.SIGSTOP)
    stopped = {server}
    try:
        until(lambda: state(server) == "T", "the postmaster's standstill")
        stopped = processes(server)
        signal_all(stopped, signal.SIGSTOP)
        until(lambda: all(state(one) in ("T", "Z", None) for one in stopped), "the standstill")
        assert processes(server) <= stopped, "a backend was started meanwhile"
        yield
    finally:
        signal_all(stopped, signal.SIGCONT)


def state(pid: int) -> str | None:
    """A process's state as proc(5) has it, ``T`` for one that is stopped; None for one that is gone."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return None


def port_of(hub: RunningHub) -> int:
    return int(hub.url.rpartition(":")[2])


@pytest.mark.slow
def test_a_hub_that_is_killed_with_80_jobs_ends_all_of_them_once(tmp_path: Path) -> None:
    data = tmp_path / "hub"
    with running_hub(data, "--no-agent", environment=CROWD_LEASE) as hub:
        user = user_of(hub)
        jobs = eighty_jobs(user, door_of(hub), "eighty")
        with slots(hub.url, hub, "eighty", tmp_path, 40, work_s=3) as made:
            until(lambda: len(made.taken) == 40, "40 running jobs")
            hub.process.kill()
            hub.process.wait()
            made.add(40)  # while there is no hub
            with running_hub(data, "--no-agent", port=port_of(hub), environment=CROWD_LEASE):
                until(lambda: len(made.finished) >= 80, "80 jobs", within_s=120)
                each_once(made, jobs)
                assert not made.refused
                assert {user.state(job) for job in jobs} == {DONE}


def boards(hub: RunningHub, name: str) -> list[Any]:
    headers = {"Authorization": f"Bearer {hub.token}"}
    found = httpx.get(f"{hub.url}/api/hub/v1/boards", params={"name": name}, headers=headers, timeout=30)
    return list(found.json()["boards"])


class Balancer:
    """A port in front of several hubs: each connection goes to the first that takes it."""

    def __init__(self, ports: list[int]) -> None:
        self._ports = ports
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._pairs: dict[socket.socket, socket.socket] = {}
        self._closed = False
        self._thread = threading.Thread(target=self._carry, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._closed = True
        self._thread.join()
        for one in (self._listening, *self._pairs):
            one.close()

    def _carry(self) -> None:
        turn = 0
        while not self._closed:
            for ready in select.select([self._listening, *self._pairs], [], [], 0.1)[0]:
                if ready is self._listening:
                    turn += 1
                    self._open(self._listening.accept()[0], self._ports[turn % len(self._ports) :] + self._ports)
                elif ready in self._pairs:
                    self._pass_on(ready)

    def _open(self, near: socket.socket, ports: list[int]) -> None:
        for port in ports:
            with suppress(OSError):
                far = socket.create_connection(("127.0.0.1", port))
                self._pairs[near], self._pairs[far] = far, near
                return
        near.close()

    def _pass_on(self, one: socket.socket) -> None:
        other = self._pairs[one]
        try:
            if content := one.recv(1 << 16):
                other.sendall(content)
                return
        except OSError:
            pass
        for end in (one, other):
            self._pairs.pop(end).close()


@pytest.mark.slow
def test_a_replica_that_is_killed_with_80_jobs_is_not_missed(tmp_path: Path) -> None:
    server = Postgres.start(tmp_path / "postgres")
    environment = {**CROWD_LEASE, "DYNOLAB_DATABASE_URL": server.dsn, "DYNOLAB_BLOBS_URL": f"file://{tmp_path}/blobs"}
    (tmp_path / "blobs").mkdir()
    try:
        with (
            running_hub(tmp_path / "one", "--no-agent", environment=environment) as one,
            running_hub(tmp_path / "two", "--no-agent", environment=environment) as two,
        ):
            balancer, user = Balancer([port_of(one), port_of(two)]), user_of(two, one.token)
            jobs = eighty_jobs(user, door_of(two, one.agent_token), "pair")
            with slots(balancer.url, one, "pair", tmp_path, 40, work_s=3) as made:
                until(lambda: len(made.taken) == 40, "40 running jobs")
                one.process.kill()
                one.process.wait()
                made.add(40)
                until(lambda: len(made.finished) >= 80, "80 jobs", within_s=120)
                # A claim whose answer the dead replica took with it comes again when its lease has run out.
                each_once(made, jobs, redelivered=5)
                assert not made.refused
                assert {user.state(job) for job in jobs} == {DONE}
            balancer.close()
    finally:
        server.stop()


class Load:
    """Submits jobs without a pause; what was acknowledged, and every status that came."""

    def __init__(self, hub: RunningHub, name: str) -> None:
        self.acknowledged: list[str] = []
        self.statuses: Counter[int] = Counter()
        self.without_retry_after = 0
        self._user = user_of(hub)
        asked = pb.InferenceJob(name="job", is_profiling_on=True)
        asked.model.model_id, asked.device.name = self._user.model(), name
        self._body = pb.Job(inference_job=asked).SerializeToString()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._submit, daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._stopped.set()
        self._thread.join(60)

    def _submit(self) -> None:
        while not self._stopped.is_set():
            answer = self._user.http.post("jobs/", content=self._body)
            self.statuses[answer.status_code] += 1
            if answer.is_success:
                self.acknowledged.append(pb.CreateUpdateResponse.FromString(answer.content).id)
            elif answer.status_code == 503 and "retry-after" not in answer.headers:
                self.without_retry_after += 1
            time.sleep(0.02)


@pytest.mark.slow
def test_a_database_that_is_killed_under_load_comes_back_with_all_that_was_acknowledged(tmp_path: Path) -> None:
    with (
        running_hub(tmp_path / "hub", "--no-agent", environment=SHORT_LEASE) as hub,
        slots(hub.url, hub, "crash", tmp_path, 8, work_s=0.1) as made,
    ):
        user = user_of(hub)
        announced(user, "crash")
        load = Load(hub, "crash")
        until(lambda: len(made.finished) > 10, "some jobs")
        for _ in range(2):
            server = postmaster(hub)
            finished = len(made.finished)
            signal_all(processes(server), signal.SIGKILL)
            until(lambda before=finished: len(made.finished) > before + 10, "jobs after the crash")  # type: ignore[misc]
        load.end()
        until(lambda: len(set(made.finished + made.refused)) >= len(load.acknowledged), "the acknowledged jobs", 120)
        assert {user.state(job) for job in load.acknowledged} == {DONE}
        assert max(Counter(made.finished).values()) == 1
        assert set(load.statuses) <= {200, 201, 503}, load.statuses
        assert load.without_retry_after == 0
        printed = "".join(hub.lines)
        assert printed.count("the database ended") == 2
        assert "Traceback" not in printed


@pytest.mark.slow
def test_a_database_that_stalls_loses_nothing_and_wakes_everybody_when_it_is_back(tmp_path: Path) -> None:
    with (
        running_hub(tmp_path / "hub", "--no-agent", environment=SHORT_LEASE) as hub,
        slots(hub.url, hub, "stall", tmp_path, 8, work_s=1) as made,
    ):
        user = user_of(hub)
        announced(user, "stall")
        load = Load(hub, "stall")
        until(lambda: len(made.finished) > 4, "some jobs")
        with stalled(postmaster(hub)):
            time.sleep(5)
        finished = len(made.finished)
        until(lambda: len(made.finished) > finished + 8, "jobs after the stall")
        load.end()
        until(lambda: len(made.finished) >= len(load.acknowledged), "the acknowledged jobs", 120)
        each_once(made, load.acknowledged)
        assert set(load.statuses) <= {200, 201, 503}, load.statuses
        assert load.without_retry_after == 0
        assert "Traceback" not in "".join(hub.lines)


def test_a_listening_connection_that_is_lost_is_made_again_at_once(tmp_path: Path) -> None:
    """An agent that waits hears of a job although the database was restarted under it."""
    environment = {**SHORT_LEASE, "DYNOLAB_METRICS_TOKEN": METRICS_TOKEN}
    with running_hub(tmp_path / "hub", "--no-agent", environment=environment) as hub:
        user, door = user_of(hub), door_of(hub)
        offer = DeviceOffer(id="one", name="listen", os="1.0", attributes=("framework:onnx",))
        assert door.claim(ClaimRequest(AGENT_PROTOCOL, offer)) is None
        model_id = user.model()
        first = until(lambda: listeners(hub), "the connection that listens")
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(door.claim, ClaimRequest(AGENT_PROTOCOL, offer, 25.0))
            until(lambda: "dynolab_agents_waiting 1.0" in metrics(hub), "the agent's waiting")
            signal_all(processes(postmaster(hub)), signal.SIGKILL)
            until(lambda: listeners(hub) - first, "another one")
            job_id = again(lambda: user.submit(model_id, "listen"))
            found = waiting.result()
        assert found is not None
        assert found.job == job_id


def metrics(hub: RunningHub) -> str:
    return httpx.get(f"{hub.url}/metrics", headers={"Authorization": f"Bearer {METRICS_TOKEN}"}, timeout=30).text


def listeners(hub: RunningHub) -> set[int]:
    """The backends of connections that listen; none while the database is away."""

    async def asked() -> set[int]:
        connection = await asyncpg.connect(connecting.plain(str(running(hub.data / "postgres"))))
        try:
            found = await connection.fetch("SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
        finally:
            await connection.close()
        return {row["pid"] for row in found}

    with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return asyncio.run(asked())
    return set()


@contextmanager
def agent(hub: RunningHub, state: Path, name: str) -> Iterator[subprocess.Popen[bytes]]:
    """A real agent, of a device of its own."""
    token = hub.data / "agent.token"
    command = [sys.executable, "-m", "dynolab.cli.main", "agent", "--hub", hub.url, "--token-file", str(token)]
    environment = {**os.environ, "DYNOLAB_STATE": str(known_runtimes.give(state))}
    process = subprocess.Popen([*command, "--name", name], env=environment, start_new_session=True)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(20)


@pytest.mark.slow
def test_an_agent_that_is_killed_takes_its_processes_along_and_another_has_the_job(tmp_path: Path) -> None:
    with (
        running_hub(tmp_path / "hub", "--no-agent", environment=SHORT_LEASE) as hub,
        agent(hub, tmp_path / "a", "twins") as first,
    ):
        user = user_of(hub)
        announced(user, "twins")
        job_id = user.submit(user.model(KWS.read_bytes(), pb.MODEL_TYPE_TFLITE), "twins", LONG)
        until(lambda: user.state(job_id) == RUNNING and len(processes(first.pid)) >= 4, "the job's processes")
        with agent(hub, tmp_path / "b", "twins") as second:
            until(lambda: len(boards(hub, "twins")) == 2, "the second agent")
            doomed = processes(first.pid)
            assert len(doomed) >= 3
            first.kill()
            first.wait()
            until(lambda: not alive(doomed), "the end of the first agent's processes")
            until(lambda: len(processes(second.pid)) > 1, "the second agent's turn")


@pytest.mark.slow
def test_ctrl_c_on_a_hub_amid_a_job_ends_everything_and_the_job_waits_again(tmp_path: Path) -> None:
    data = tmp_path / "hub"
    with running_hub(data) as hub:
        user = user_of(hub)
        devices = until(lambda: pb.DeviceList.FromString(user.http.get("devices/").content).devices, "the device")
        job_id = user.submit(user.model(KWS.read_bytes(), pb.MODEL_TYPE_TFLITE), devices[0].name, LONG)
        until(lambda: user.state(job_id) == RUNNING, "the job")
        running = processes(hub.process.pid)
        assert len(running) > 4
        assert hub.end() == 0
        until(lambda: not alive(running), "the end of all processes")
        assert "Traceback" not in "".join(hub.lines)
    with running_hub(data, "--no-agent", port=port_of(hub)) as later:
        assert user_of(later).state(job_id) == WAITING


def test_cancelled_jobs_end_whether_they_wait_or_run(tmp_path: Path) -> None:
    with running_hub(tmp_path / "hub", "--no-agent", environment=SHORT_LEASE) as hub:
        user, door = user_of(hub), door_of(hub)
        offer = DeviceOffer(id="one", name="cancel", os="1.0", attributes=("framework:onnx",))
        assert door.claim(ClaimRequest(AGENT_PROTOCOL, offer)) is None
        model_id = user.model()
        running, waiting, later = (user.submit(model_id, "cancel") for _ in range(3))
        found = door.claim(ClaimRequest(AGENT_PROTOCOL, offer, 10.0))
        assert found is not None
        assert found.job == running
        assert not door.renew(found.attempt, Renewal({"stage": "compile"})).cancel

        def cancel(job_id: str) -> int:
            token = {"Authorization": f"Bearer {hub.token}"}
            return httpx.post(f"{hub.url}/api/hub/v1/jobs/{job_id}/cancel", headers=token, timeout=30).status_code

        assert cancel(waiting) < 300
        assert user.state(waiting) == FAILED
        assert cancel(running) < 300
        assert door.renew(found.attempt, Renewal()).cancel, "its agent is told with the next renewal"
        door.finish(found.attempt, Outcome(error=errors.Conflict("the job was cancelled").to_dict()))
        assert user.state(running) == FAILED
        door.finish(found.attempt, Outcome(error=errors.Conflict("the job was cancelled").to_dict()))  # said twice
        following = door.claim(ClaimRequest(AGENT_PROTOCOL, offer, 10.0))
        assert following is not None
        assert following.job == later, "what was cancelled while it waited is handed to nobody"
        # One whose agent is lost before it heard of it ends with the lease.
        assert cancel(later) < 300
        until(lambda: user.state(later) == FAILED, "the end of the lease")
