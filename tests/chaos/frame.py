"""The frame of all drills: a hub under load, blows by a seed, then peace, ``dynolab hub check``, and one line of a table.

``script/chaos NAME --seed N --minutes M``. A drill is a module ``tests.chaos.drill_NAME`` with a docstring that says what befalls
it, and ``set_up(folder, stack)``, which gives a :class:`Scene`, or a ``play(outcome, folder)`` of its own. The seed draws what befalls whom, when and for how long; what a
request or job has come to by then is the machine's. The exit status is 1 when something does not hold.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

from dynolab.testing.waiting import until

from .devices import Blow
from .light_agents import figure_of
from .load import DEPENDENCY_FAILED, OVER, Load

POOL = "drill"
PEACEFUL = "soak"
"""The drill that is to befall nobody."""
LEASE_S = 4.0
ORPHAN_AGE_S = 4.0
"""Objects that nobody refers to are gone after two rounds of this: a drill waits for it."""
SETTINGS = {
    "DYNOLAB_LEASE_S": f"{LEASE_S:g}",
    "DYNOLAB_ORPHAN_AGE_S": f"{ORPHAN_AGE_S:g}",
    "DYNOLAB_POSTS_PER_S": "0",
}
PEACE_S = 240.0
"""Within which all jobs are over once nothing befalls anybody any more."""
FIRST_S = 120.0
STEP_S = 0.2


@dataclass
class Scene:
    """What a drill is played on."""

    url: Callable[[], str]
    """The hub's address, as the load reaches it."""
    token: str
    data: Path
    """Of a hub, for ``dynolab hub check``."""
    environment: Mapping[str, str]
    blows: Callable[[random.Random], Blow]
    every_s: float = 8.0
    """A blow about so often."""
    per_s: float = 3.0
    """Jobs that the load sends."""
    at_once: int = 1
    """Blows whose effect lasts at the same time, at most."""
    printed: Callable[[], str] = lambda: ""
    """All that hubs printed."""
    before_peace: Callable[[], None] = lambda: None
    """Makes good what outlasts a blow."""
    after: Callable[[], Sequence[str]] = tuple
    """What does not hold besides, once it is over."""
    figures: Callable[[], Mapping[str, object]] = dict


@dataclass
class Outcome:
    """What came of a drill."""

    name: str
    seed: int
    minutes: float
    states: Counter[str] = field(default_factory=Counter)
    acknowledged: int = 0
    lost: list[str] = field(default_factory=list)
    """Jobs that were acknowledged and are not there, or are done without the result of their own."""
    doubled: list[str] = field(default_factory=list)
    """Jobs that were done twice, and requests that made two jobs."""
    stuck: list[str] = field(default_factory=list)
    """Jobs that are not over although there is peace."""
    orphans: list[str] = field(default_factory=list)
    """Blobs and objects that belong to nobody."""
    wrong: list[str] = field(default_factory=list)
    """All else that does not hold."""
    blows: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    more: dict[str, object] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        return not (self.lost or self.doubled or self.stuck or self.orphans or self.wrong)

    @property
    def line(self) -> str:
        """A row of the table in docs/reliability.md."""
        machine = f"{os.cpu_count()} cores, {platform.system()} {platform.release().partition('-')[0]}"
        states = ", ".join(f"{count} {state}" for state, count in sorted(self.states.items()))
        blows = ", ".join(f"{kind} {count}" for kind, count in sorted(self.blows.items()))
        counts = (len(one) for one in (self.lost, self.doubled, self.stuck, self.orphans))
        cells = [
            f"`script/chaos {self.name} --seed {self.seed} --minutes {self.minutes:g}`",
            f"{datetime.now(UTC):%Y-%m-%d}, {machine}",
            f"{self.acknowledged} ({states})",
            *(str(count) for count in counts),
            blows,
        ]
        return f"| {' | '.join(cells)} |"

    @property
    def document(self) -> dict[str, object]:
        told = {"holds": self.holds, "lost": self.lost, "doubled": self.doubled, "stuck": self.stuck}
        told |= {"orphans": self.orphans, "wrong": self.wrong, "answers": dict(self.statuses), **self.more}
        return told


def play(name: str, *, seed: int, minutes: float, folder: Path) -> Outcome:
    """One drill in a folder of its own."""
    outcome = Outcome(name, seed, minutes)
    module = import_module(f"tests.chaos.drill_{name}")
    if hasattr(module, "play"):
        module.play(outcome, folder)
    else:
        _play(module, outcome, folder)
    if not outcome.blows and name != PEACEFUL:
        outcome.wrong.append("nothing befell it: give it more --minutes")
    return outcome


def _play(module: Any, outcome: Outcome, folder: Path) -> None:
    draw = random.Random(outcome.seed)
    with ExitStack() as stack:
        scene: Scene = module.set_up(folder, stack)
        load = Load(scene.url, scene.token, POOL, per_s=scene.per_s)
        stack.callback(load.close)
        load.start()
        until(lambda: len(load.acknowledged) >= 3 or bool(load.failed), "the first jobs", FIRST_S)
        _befall(scene, draw, outcome, outcome.minutes * 60)
        load.stop()
        outcome.wrong += [f"the load ended: {load.failed}"] if load.failed else []
        jobs = _settled(load, outcome)
        time.sleep(4 * ORPHAN_AGE_S)  # two rounds of the sweep of objects, and what it takes to start
        judge(load, jobs, outcome)
        judge_check(hub_check(scene.data, scene.environment), outcome)
        outcome.wrong += [*scene.after()]
        outcome.more |= scene.figures()
        if "Traceback" in scene.printed():
            outcome.wrong.append("a hub printed a traceback: " + scene.printed().partition("Traceback")[2][-1500:])


def _befall(scene: Scene, draw: random.Random, outcome: Outcome, for_s: float) -> None:
    """Blows until the time is over; then all is made good again."""
    end, under = time.monotonic() + for_s, list[tuple[float, Blow]]()
    next_at = time.monotonic() + draw.expovariate(1 / scene.every_s)
    try:
        while (now := time.monotonic()) < end:
            for at, blow in [one for one in under if one[0] <= now]:
                blow.undo()
                under.remove((at, blow))
            if now >= next_at and len(under) < scene.at_once:
                blow = scene.blows(draw)
                say(f"{blow.kind} for {blow.lasts_s:.1f} s")
                blow.strike()
                outcome.blows[blow.kind] += 1
                under.append((time.monotonic() + blow.lasts_s, blow))
                next_at = time.monotonic() + draw.expovariate(1 / scene.every_s)
            time.sleep(STEP_S)
    finally:
        for _, blow in under:
            blow.undo()
        scene.before_peace()


def _settled(load: Load, outcome: Outcome) -> dict[str, dict[str, Any]]:
    """The jobs as the hub tells them, once they are over or patience is; those that were deleted are gone."""
    end, jobs = time.monotonic() + PEACE_S, dict[str, dict[str, Any]]()
    say(f"{len(load.acknowledged)} jobs were acknowledged; now there is peace")
    open_ = list(load.acknowledged)
    while open_ and time.monotonic() < end:
        for job_id in list(open_):
            try:
                job = load.ask("GET", f"jobs/{job_id}")
            except AssertionError as error:
                if job_id not in load.deleted:
                    outcome.lost.append(f"{job_id}: {error}")
                open_.remove(job_id)
                continue
            jobs[job_id] = job
            if job["state"] in OVER:
                open_.remove(job_id)
        if open_:
            time.sleep(1.0)
    return jobs


def judge(load: Load, jobs: Mapping[str, dict[str, Any]], outcome: Outcome) -> None:
    """Put what became of the jobs into the outcome's columns."""
    outcome.acknowledged, outcome.statuses = len(load.acknowledged), load.statuses
    if load.without_retry_after:
        outcome.wrong.append(f"{load.without_retry_after} answers 503 without Retry-After")
    outcome.wrong += [f"{job_id} was deleted, and is there" for job_id in load.deleted & set(jobs)]
    outcome.states["deleted"] += len(load.deleted)
    for job_id, job in jobs.items():
        outcome.states[job["state"]] += 1
        if job["state"] not in OVER:
            outcome.stuck.append(f"{job_id} is {job['state']}")
        if (count := sum(one["state"] == "done" for one in job["attempts"])) > 1:
            outcome.doubled.append(f"{job_id} was done {count} times")
        if why := _not_rightly(load, job_id, job, jobs):
            outcome.lost.append(f"{job_id} is {job['state']}: {why}")
    keys = Counter(job["name"] for job in jobs.values())
    outcome.doubled += [f"{key} was made {count} times" for key, count in keys.items() if count > 1]
    waited = sorted(load.waited_s)
    outcome.more |= {
        "acknowledged_within_s": {
            "median": round(waited[len(waited) // 2], 3),
            "p99": round(waited[int(len(waited) * 0.99)], 3),
            "most": round(waited[-1], 3),
        }
    }


def hub_check(data: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    """What ``dynolab hub check`` says of the hub of these settings. Raises :class:`AssertionError` where it cannot be made."""
    command = [sys.executable, "-m", "dynolab.cli.main", "hub", "check", "--data", str(data), "--digests", "--json"]
    whole = {**os.environ, **environment}
    done = subprocess.run(command, env=whole, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode in (0, 1), done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _not_rightly(load: Load, job_id: str, job: Mapping[str, Any], jobs: Mapping[str, dict[str, Any]]) -> str:
    """Why a job did not end as it should have; empty: it did, or has not ended."""
    told = (job.get("summary") or {}).get("estimated_inference_time_ns")
    if job["state"] == "done" and told != figure_of(job_id):
        return f"its figure is {told}, not {figure_of(job_id)}"
    if job["state"] == "cancelled" and job_id not in load.cancelled:
        return "nobody asked for that"
    if job["state"] == "failed":
        failure, needed = job["failure"], jobs.get(load.needed.get(job_id, ""), {}).get("state")
        rightly = needed in ("failed", "cancelled") if failure["code"] == DEPENDENCY_FAILED else False
        if not rightly and len(failure["details"].get("attempts", [])) != 3:
            return f"not for three lost attempts: {failure['message']}"
    return ""


def judge_check(found: Mapping[str, Any], outcome: Outcome) -> None:
    """Put what was found into the outcome's columns."""
    for one in found["checks"]:
        told = [f"{one['name']}: {two['what']}: {two['why']}" for two in one["problems"]]
        if one["name"] in ("blob-has-an-owner", "object-has-an-owner", "no-writing-was-cut-short"):
            outcome.orphans += told
        elif one["name"] == "one-job-an-idempotency-key":
            outcome.doubled += told
        elif one["state"] == "wrong":
            outcome.wrong += told
    counts = Counter(one["state"] for one in found["checks"])
    warnings = [one["name"] for one in found["checks"] if one["state"] == "warning"]
    outcome.more |= {"check": dict(counts), "warnings": warnings, "counts": found["counts"]}


def say(text: str) -> None:
    sys.stderr.write(f"{datetime.now(UTC):%H:%M:%S} {text}\n")
    sys.stderr.flush()


@contextmanager
def own_folder(given: str) -> Iterator[Path]:
    """The folder that was named, or one that goes at the end."""
    if given:
        Path(given).mkdir(parents=True)
        yield Path(given)
        return
    with tempfile.TemporaryDirectory(prefix="dynolab-drill-", ignore_cleanup_errors=True) as made:
        yield Path(made)


def names() -> list[str]:
    """Of all drills."""
    return sorted(path.stem.removeprefix("drill_") for path in Path(__file__).parent.glob("drill_*.py"))


def main() -> int:
    """Play one and print its line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=names())
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--folder", default="", help="A new folder, kept with all logs.")
    asked = parser.parse_args()
    with own_folder(asked.folder) as folder:
        found = play(asked.name, seed=asked.seed, minutes=asked.minutes, folder=folder)
    sys.stdout.write(f"{json.dumps(found.document, indent=1)}\n{found.line}\n")
    return 0 if found.holds else 1


if __name__ == "__main__":
    sys.exit(main())
