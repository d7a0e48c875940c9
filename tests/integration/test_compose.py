"""deploy/compose/compose.yaml, started by hand: two replicas through a balancer; one killed, one stopped short, one replaced, under load."""

from __future__ import annotations

import configparser
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

pytest.importorskip("pgqueuer")
pytest.importorskip("ministack")
pytest.importorskip("yaml")

from dynolab import errors
from dynolab.agent.http import HubDoor, Unreachable
from dynolab.spec.agents import AGENT_PROTOCOL, ClaimRequest, DeviceOffer, Outcome
from dynolab.testing.waiting import until

from .compose_by_hand import FOLDER, Deployment, Missing, deployed

JOBS = 40
WITHIN_S = 120.0


@pytest.fixture(scope="module")
def deployment() -> Iterator[Deployment]:
    folder = Path(tempfile.mkdtemp(prefix="dynolab-compose-"))
    try:
        with deployed(folder) as found:
            yield found
    except Missing as error:
        pytest.skip(str(error))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Person:
    """Whoever has the token of the client.ini of the replica that started first; goes through the balancer."""

    def __init__(self, deployment: Deployment) -> None:
        data = min(deployment.folder.glob("hub-?-data/**/client.ini")).parent
        parser = configparser.ConfigParser(interpolation=None)
        parser.read(data / "client.ini", encoding="utf-8")
        self.token = parser["api"]["api_token"]
        self.agent_token = (data / "agent.token").read_text(encoding="utf-8").strip()
        self.url = deployment.url
        self.http = httpx.Client(timeout=30)

    def ask(self, method: str, path: str, *statuses: int, **more: Any) -> Any:
        """The answer; tried again as long as nobody answers, by which nothing is done twice: jobs have a key."""
        headers = {"Authorization": f"Bearer {self.token}", **more.pop("headers", {})}

        def answered() -> httpx.Response | None:
            try:
                answer = self.http.request(method, f"{self.url}/api/hub/v1{path}", headers=headers, **more)
            except httpx.TransportError:
                return None
            if answer.status_code in (statuses or (200,)):
                return answer
            assert answer.status_code in (502, 503, 504), (answer.status_code, answer.text)
            return None

        answer = until(answered, f"an answer to {method} {path}", WITHIN_S, 0.2)
        return answer.json() if answer.content else None

    def model(self, content: bytes) -> str:
        target = self.ask("POST", "/models", 201, json={"name": "net", "kind": "onnx"})["id"]
        begun = self.ask("POST", f"/models/{target}/uploads", 201, json={"size": len(content)})
        etag = self.http.put(begun["urls"][0], content=content).headers["etag"]
        self.ask("POST", f"/models/{target}/uploads/{begun['upload_id']}/complete", json={"etags": [etag]})
        return str(target)


class Board(threading.Thread):
    """An agent of the test's own, through the balancer: claims, leaves a result, finishes, until it is stopped."""

    def __init__(self, person: Person, name: str) -> None:
        super().__init__(daemon=True)
        self.finished, self._stop_asked = list[str](), threading.Event()
        self._door = HubDoor(person.url, person.agent_token)
        self._offer = DeviceOffer(id=f"{name}-{id(self)}", name=name, os="1")
        self.start()

    def run(self) -> None:
        while not self._stop_asked.is_set():
            try:
                found = self._door.claim(ClaimRequest(AGENT_PROTOCOL, self._offer, 5.0))
            except (Unreachable, errors.DeviceLost, errors.RateLimited):
                self._stop_asked.wait(0.2)
                continue
            if found is None:
                continue
            with tempfile.TemporaryDirectory() as folder:
                try:
                    self._door.fetch(found.attempt, "model", found.model, Path(folder))
                    for what in ("result", "log"):
                        (Path(folder) / what).write_bytes(b'{"stages": []}')
                        self._door.store(found.attempt, what, Path(folder) / what)
                    self._door.finish(found.attempt, Outcome(summary={"estimated_inference_time_ns": 1}))
                    self.finished.append(found.job)
                except errors.Conflict:
                    continue  # another has it now

    def close(self) -> None:
        self._stop_asked.set()
        self.join(30)
        self._door.close()


def carried_out(deployment: Deployment, disturb: Any) -> None:
    """Jobs are submitted and done through the balancer while something is disturbed: each of them ends well, once."""
    person, name = Person(deployment), f"board-{time.monotonic_ns()}"
    model = person.model(os.urandom(300_000))
    boards = [Board(person, name) for _ in range(3)]
    try:
        until(lambda: name in {one["name"] for one in person.ask("GET", "/devices")["devices"]}, "a board", WITHIN_S)
        disturbing = threading.Thread(target=disturb)
        disturbing.start()
        jobs = []
        for number in range(JOBS):
            asked = {"model_id": model, "device": {"name": name}}
            key = {"Idempotency-Key": f"{name}-{number}"}
            jobs.append(person.ask("POST", "/jobs", 200, 201, json=asked, headers=key)["id"])
            time.sleep(0.1)  # the load goes on for as long as the disturbance takes
        disturbing.join(WITHIN_S)
        assert not disturbing.is_alive()
        assert len(set(jobs)) == JOBS
        until(lambda: all(person.ask("GET", f"/jobs/{job}")["state"] == "done" for job in jobs), "the jobs", WITHIN_S)
        finished = [job for board in boards for job in board.finished]
        assert len(finished) == len(set(finished)), "none was finished twice"
    finally:
        for board in boards:
            board.close()
        person.http.close()


def test_a_replica_is_killed_and_comes_back(deployment: Deployment) -> None:
    def disturb() -> None:
        deployment.kill("hub-1")
        deployment.start("hub-1")
        deployment.await_health("hub-1")

    carried_out(deployment, disturb)


@pytest.mark.slow
def test_a_pulled_plug(deployment: Deployment) -> None:
    """A replica that answers nothing any more, with all its connections open, until it is taken away."""

    def disturb() -> None:
        deployment.kill("hub-2", signal.SIGSTOP)
        time.sleep(5)  # for as long nobody knows that it will not come back
        deployment.kill("hub-2", signal.SIGKILL)
        deployment.start("hub-2")
        deployment.await_health("hub-2")

    carried_out(deployment, disturb)


@pytest.mark.slow
def test_a_rolling_restart_fails_no_request(deployment: Deployment) -> None:
    """Each replica in turn is told to end and started again; whoever asks through the balancer sees no failure at all."""
    answers, stop = list[Any](), threading.Event()
    person = Person(deployment)
    headers = {"Authorization": f"Bearer {person.token}"}

    def ask() -> None:
        with httpx.Client(timeout=30) as http:
            while not stop.is_set():
                try:
                    answers.append(http.get(f"{deployment.url}/api/hub/v1/me", headers=headers).status_code)
                except httpx.TransportError as error:
                    answers.append(repr(error))
                stop.wait(0.05)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for name in ("hub-1", "hub-2"):
            deployment.kill(name, signal.SIGTERM)
            deployment.start(name)
            deployment.await_health(name)
    finally:
        stop.set()
        asking.join(WITHIN_S)
        person.http.close()
    assert len(answers) > 50
    assert set(answers) == {200}


@pytest.mark.slow
def test_the_database_and_the_pooler_are_killed_and_come_back(deployment: Deployment) -> None:
    def disturb() -> None:
        for name in ("pgbouncer", "postgres"):
            deployment.kill(name)
            time.sleep(1)
            deployment.start(name)

    carried_out(deployment, disturb)


def test_the_systemd_unit_is_one_that_systemd_takes(tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not here: apt-get install systemd")
    text = (FOLDER.parent / "systemd" / "dynolab-hub.service").read_text(encoding="utf-8")
    unit = tmp_path / "dynolab-hub.service"
    unit.write_text(text.replace("/opt/dynolab/bin/dynolab", "/bin/true"), encoding="utf-8")
    done = subprocess.run([program, "verify", str(unit)], capture_output=True, text=True, check=False)
    told = [line for line in done.stderr.splitlines() if "dynolab-hub" in line]
    assert (done.returncode, told) == (0, []), done.stderr
