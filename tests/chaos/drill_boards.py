"""Real agents, one of which reaches its board by ssh, measure while agents, links and boards are killed, stopped and cut."""

from __future__ import annotations

import hashlib
import io
import json
import random
import time
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx

from dynolab.hub.usecases.end_attempt import MAX_ATTEMPTS
from dynolab.testing.running_hub import RunningHub, running_hub
from dynolab.testing.waiting import until

from ..devices.sshd import sshd
from .devices import Blow, Device, SshBoard
from .frame import ORPHAN_AGE_S, SETTINGS, Outcome, hub_check, judge_check
from .links import Network

LEASE_S = 6.0
OPTIONS = "--repeats 1 --max_profiler_iterations 5"
POOL = "drill"
OVER = ("done", "failed", "cancelled")
PUSH_S = 300.0
"""More for the first word of a board that is reached by ssh: all that measures there is sent to it before."""
AFTER_S = 900.0
"""Within which the last jobs are over once no more are sent."""
WAITING = 2
"""Jobs that wait beside those that the devices have."""
PEACE_S = 120.0
"""Within which all is at rest once the last job has ended."""


@dataclass
class Result:
    """What befell whom, and what became of the jobs."""

    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By id, as the hub's API tells them."""
    sent: dict[str, str] = field(default_factory=dict)
    """The digest of each job's own model, by the job's id."""
    profiles: dict[str, dict[str, Any]] = field(default_factory=dict)
    blows: Counter[str] = field(default_factory=Counter)
    took_s: float = 0.0
    checked: dict[str, Any] = field(default_factory=dict)
    """What ``dynolab hub check`` said at the end."""
    wrong: list[str] = field(default_factory=list)
    """Whatever does not hold."""

    @property
    def attempts(self) -> list[dict[str, Any]]:
        return [one for job in self.jobs.values() for one in job["attempts"]]

    @property
    def figures(self) -> dict[str, object]:
        """In a few words."""
        states = Counter(job["state"] for job in self.jobs.values())
        tries = Counter(len(job["attempts"]) for job in self.jobs.values())
        return {
            "jobs": dict(states),
            "jobs by attempts": {str(key): tries[key] for key in sorted(tries)},
            "attempts": dict(Counter(one["state"] for one in self.attempts)),
            "blows": dict(sorted(self.blows.items())),
            "seconds": round(self.took_s),
            "wrong": self.wrong,
        }


class Api:
    """The hub's JSON API, as its first user."""

    def __init__(self, hub: RunningHub) -> None:
        headers = {"Authorization": f"Bearer {hub.token}"}
        self._http = httpx.Client(base_url=f"{hub.url}/api/hub/v1/", headers=headers, timeout=60)

    def ask(self, method: str, path: str, body: object = None, **query: str) -> Any:
        answer = self._http.request(method, path, json=body, params=query)
        assert answer.is_success, answer.text
        return answer.json()

    def submit(self, number: int) -> tuple[str, str]:
        """A job of a null model of its own; its id, and the model's digest."""
        content = json.dumps({"busy_ns": 20_000 + number}).encode()
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("net.null", content)
        model = self.ask("POST", "models", {"name": f"net {number}", "kind": "onnx", "is_directory": True})["id"]
        begun = self.ask("POST", f"models/{model}/uploads", {"size": len(packed.getvalue())})
        etags = [self._http.put(url, content=packed.getvalue()).headers["etag"] for url in begun["urls"]]
        self.ask("POST", f"models/{model}/uploads/{begun['upload_id']}/complete", {"etags": etags})
        device = {"name": POOL, "os": "", "attributes": []}
        asked = {"kind": "profile", "model_id": model, "name": f"job {number}", "device": device, "options": OPTIONS}
        return str(self.ask("POST", "jobs", asked)["id"]), hashlib.sha256(content).hexdigest()

    def close(self) -> None:
        self._http.close()


class Drill:
    """One run of it in a folder of its own."""

    def __init__(
        self, folder: Path, *, lasts_s: float, devices: int, seed: int, every_s: float, by_ssh: int = 0
    ) -> None:
        """Blows fall for ``lasts_s`` seconds, about ``every_s`` one, on devices of which ``by_ssh`` are reached by ssh."""
        self._folder, self._lasts_s, self._count, self._by_ssh = folder, lasts_s, devices, by_ssh
        self._draw, self._every_s = random.Random(seed), every_s
        self.result = Result()

    def run(self) -> Result:
        """What came of it; :attr:`Result.wrong` says what does not hold."""
        settings = {**SETTINGS, "DYNOLAB_LEASE_S": str(LEASE_S)}
        with running_hub(self._folder / "hub", "--no-agent", environment=settings) as hub, ExitStack() as stack:
            api, network = Api(hub), Network(hub.url)
            stack.callback(api.close)
            stack.callback(network.close)
            devices = [self._device(number, hub, network, stack) for number in range(self._count)]
            for one in devices:
                stack.callback(one.end)
                stack.callback(one.link.mend)
            self._carry_out(api, devices)
            time.sleep(4 * ORPHAN_AGE_S)  # two rounds of the sweep of objects, and what it takes to start
            self.result.checked = hub_check(hub.data, hub.environment)
        return self.result

    def _device(self, number: int, hub: RunningHub, network: Network, stack: ExitStack) -> Device:
        folder, token = self._folder / f"device-{number}", hub.data / "agent.token"
        if number < self._by_ssh:
            return SshBoard(folder, network.link(), token, POOL, stack.enter_context(sshd()))
        return Device(folder, network.link(), token, POOL)

    def _carry_out(self, api: Api, devices: Sequence[Device]) -> None:
        start = time.monotonic()
        for one in devices:
            one.start()
        within_s = 60 + 20 * len(devices) + PUSH_S * self._by_ssh
        until(lambda: len(_boards(api)) == len(devices), "all devices", within_s)
        self._befall(api, devices)
        self.result.took_s = time.monotonic() - start
        self.result.jobs = {job_id: api.ask("GET", f"jobs/{job_id}") for job_id in self.result.sent}
        for job_id, job in self.result.jobs.items():
            if job["state"] == "done":
                self.result.profiles[job_id] = api.ask("GET", f"jobs/{job_id}/profile")
        self.result.wrong += [*broken(self.result), *self._rest(api, devices)]

    def _befall(self, api: Api, devices: Sequence[Device]) -> None:
        """Blows at random for as long as jobs are sent; what is under way then ends in peace."""
        until_s, under = time.monotonic() + self._lasts_s, list[tuple[float, Device, Blow]]()
        next_at = time.monotonic() + self._pause_s()
        while (now := time.monotonic()) < until_s + AFTER_S:
            open_ = _open(api, self.result.sent)
            for _ in range(len(devices) + WAITING - open_ if now < until_s else 0):
                job_id, digest = api.submit(len(self.result.sent))
                self.result.sent[job_id] = digest
            for at, device, blow in [one for one in under if one[0] <= now]:
                blow.undo()
                under.remove((at, device, blow))
            free = [one for one in devices if all(one is not other for _, other, _ in under)]
            for one in free:
                if not one.is_up():
                    self.result.wrong.append(f"an agent ended by itself: {one.log[-500:]}")
                    one.start()
            if next_at <= now < until_s and free:
                device = self._draw.choice(free)
                blow = device.blows(self._draw, LEASE_S)
                blow.strike()
                self.result.blows[blow.kind] += 1
                under.append((now + blow.lasts_s, device, blow))
                next_at = now + self._pause_s()
            if now >= until_s and not open_ and not under:
                break
            time.sleep(0.2)
        for _, _, blow in under:
            blow.undo()

    def _pause_s(self) -> float:
        return self._draw.expovariate(1 / self._every_s)

    def _rest(self, api: Api, devices: Sequence[Device]) -> Iterator[str]:
        """Once nothing befalls them any more: the devices are up and free, and nothing is left on them."""
        for what, holds in (
            ("every agent is up", lambda: all(one.is_up() for one in devices)),
            ("every board is free", lambda: all(one["state"] == "free" for one in _boards(api))),
            ("no job waits", lambda: all(one["queued"] == 0 for one in api.ask("GET", "devices")["devices"])),
            ("no folder is left on a device", lambda: not any(one.left() for one in devices)),
            ("no process is left on a device", lambda: all(len(one.processes()) == 1 for one in devices)),
        ):
            try:
                until(holds, what, PEACE_S)
            except AssertionError:
                yield f"not so after {PEACE_S:.0f} s: {what}: {[(one.left(), one.processes()) for one in devices]}"
        if len({one["id"] for one in _boards(api)}) != len(devices):
            yield "a device became another"


def _boards(api: Api) -> list[dict[str, Any]]:
    return list(api.ask("GET", "boards", name=POOL)["boards"])


def _open(api: Api, jobs: dict[str, str]) -> int:
    """How many are not over yet."""
    count = 0
    for state in ("queued", "preparing", "running"):
        found = api.ask("GET", "jobs", state=state, limit="100")["jobs"]
        count += sum(one["id"] in jobs for one in found)
    return count


# ---- what must hold --------------------------------------------------------------------------------------------------


def broken(result: Result) -> Iterator[str]:
    """Whatever does not hold of the jobs: none lost, none twice, none another's."""
    for job_id, job in result.jobs.items():
        attempts = job["attempts"]
        numbers = [one["number"] for one in attempts]
        ends = Counter(one["state"] for one in attempts)
        if job["state"] not in OVER:
            yield f"{job_id} is lost: it is {job['state']}"
        if numbers != list(range(1, len(numbers) + 1)) or len(numbers) > MAX_ATTEMPTS:
            yield f"{job_id} has the attempts {numbers}"
        if ends["running"] or ends["done"] != (job["state"] == "done"):
            yield f"{job_id} is {job['state']}, and its attempts are {dict(ends)}"
        if job["state"] == "done" and (wrong := _not_its_own(result, job_id)):
            yield wrong
        if job["state"] == "failed" and not _has_all_reasons(job):
            yield f"{job_id} failed without the reasons of its {len(attempts)} attempts: {job['failure']}"
    yield from _at_once(result)


def _not_its_own(result: Result, job_id: str) -> str:
    """What is wrong with the result of a job that is done; empty: it is the one of its own model."""
    profile = result.profiles.get(job_id)
    if profile is None:
        return f"{job_id} is done and has no result"
    found = profile["model"]["sha256"]
    return "" if found == result.sent[job_id] else f"{job_id} has the result of another's model: {found}"


def _has_all_reasons(job: dict[str, Any]) -> bool:
    """Whether it was tried as often as may be, each time the device was to blame, and all of that is told."""
    told = job["failure"]["details"].get("attempts", [])
    return [one["number"] for one in told] == list(range(1, MAX_ATTEMPTS + 1)) and all(one["message"] for one in told)


def _at_once(result: Result) -> Iterator[str]:
    """Attempts that a device had at the same time."""
    by_device: dict[str, list[tuple[datetime, datetime]]] = {}
    for one in result.attempts:
        if one["finished_at"] is not None:
            span = datetime.fromisoformat(one["started_at"]), datetime.fromisoformat(one["finished_at"])
            by_device.setdefault(one["device_id"], []).append(span)
    for device, spans in by_device.items():
        for (_, ended), (began, _) in pairwise(sorted(spans)):
            if began < ended:
                yield f"the device {device} had two attempts at once, at {began}"


# ---- in the frame ----------------------------------------------------------------------------------------------------

SHORT, LONG = (4, 12.0), (10, 15.0)
"""Devices, and about how often a blow falls, in seconds: of a drill below five minutes, and of one from there on."""


def play(outcome: Outcome, folder: Path) -> None:
    """Jobs without end for these minutes, over devices of which one is reached by ssh."""
    devices, every_s = SHORT if outcome.minutes < 5 else LONG
    drill = Drill(folder, lasts_s=outcome.minutes * 60, devices=devices, seed=outcome.seed, every_s=every_s, by_ssh=1)
    found = drill.run()
    outcome.acknowledged, outcome.blows = len(found.sent), found.blows
    outcome.states = Counter(job["state"] for job in found.jobs.values())
    for text in found.wrong:
        kind = next((kind for mark, kind in KINDS.items() if mark in text), outcome.wrong)
        (kind if isinstance(kind, list) else getattr(outcome, kind)).append(text)
    judge_check(found.checked, outcome)
    outcome.more |= {"attempts": dict(Counter(one["state"] for one in found.attempts)), "seconds": round(found.took_s)}


KINDS = {"is lost": "stuck", "has no result": "lost", "another's model": "lost", "is left": "orphans"}
"""In which column of the table a text of :func:`broken` counts, by a part of it."""
