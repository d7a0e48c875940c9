"""Drills: the wall clock of the hub, of its database, or of both is set back or forward amid jobs; nothing is lost."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

pytest.importorskip("pgqueuer")

from dynolab.hub.store.postgres import Postgres
from dynolab.spec.agents import AGENT_PROTOCOL, ClaimRequest, DeviceOffer
from dynolab.testing.clocks import WallClock, compiler, wall_clock
from dynolab.testing.running_hub import RunningHub, running_hub
from dynolab.testing.waiting import until

from .test_kills import (
    DONE,
    closed,  # noqa: F401 - a fixture, for what these tests open too
    door_of,
    slots,
    user_of,
)

pytestmark = [
    pytest.mark.skipif(compiler() is None, reason="needs a C compiler, for a clock that can be set"),
    pytest.mark.slow,
]
HOUR_S = 3600
LEASE_S = 3
STEPS = {"back": -HOUR_S, "forward": HOUR_S}


@contextmanager
def hub_with(clock: WallClock, whose: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningHub]:
    """A hub of which ``whose`` wall clock can be set: its own, its database's, or both."""
    environment = {"DYNOLAB_LEASE_S": str(LEASE_S), **(clock.environment if whose != "database" else {})}
    with ExitStack() as stack:
        if whose != "both":
            with monkeypatch.context() as patch:
                for name, value in (clock.environment if whose == "database" else {}).items():
                    patch.setenv(name, value)
                server = Postgres.start(tmp_path / "postgres")
            stack.callback(server.stop)
            environment["DYNOLAB_DATABASE_URL"] = server.dsn
        yield stack.enter_context(running_hub(tmp_path / "hub", "--no-agent", environment=environment))


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("whose", ["hub", "database", "both"])
def test_a_clock_that_is_set_amid_jobs_loses_none(
    whose: str, step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of twelve jobs some have run, some run, one's agent is lost, and the rest wait when the clock is set."""
    with wall_clock() as clock, hub_with(clock, whose, tmp_path, monkeypatch) as hub:
        user, door = user_of(hub), door_of(hub)
        lost = ClaimRequest(AGENT_PROTOCOL, DeviceOffer("lost-1", "clock", "1.0", ("framework:onnx",)))
        assert door.claim(lost) is None
        model = user.model()
        jobs = [user.submit(model, "clock") for _ in range(12)]
        abandoned = door.claim(lost)
        assert abandoned is not None
        with slots(hub.url, hub, "clock", tmp_path, 2, work_s=1) as made:
            until(lambda: len(made.finished) >= 2, "some jobs")
            clock.set(STEPS[step])
            until(lambda: len(made.finished) >= 12, "all jobs", within_s=120)
            assert Counter(made.finished) == Counter(jobs)
            assert not made.refused
            assert [one.job for one in made.taken if one.number > 1] == [abandoned.job], "only that job comes again"
        assert {user.state(job) for job in jobs} == {DONE}
        assert "Traceback" not in "".join(hub.lines)
        assert_new_work_goes_on(hub, tmp_path)


def assert_new_work_goes_on(hub: RunningHub, tmp_path: Path) -> None:
    """With the clock as it is by now: a job is sent, taken, and its board is told to be there."""
    user, door = user_of(hub), door_of(hub)
    offer = DeviceOffer("late-1", "late", "1.0", ("framework:onnx",))
    assert door.claim(ClaimRequest(AGENT_PROTOCOL, offer)) is None
    job = user.submit(user.model(), "late")
    found = door.claim(ClaimRequest(AGENT_PROTOCOL, offer, 5.0))
    assert found is not None
    assert found.job == job
    assert door.fetch(found.attempt, "model", found.model, tmp_path).exists()


@pytest.mark.parametrize("step", STEPS)
def test_a_deadline_is_a_time_that_passes_not_one_on_a_clock(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with wall_clock() as clock, hub_with(clock, "both", tmp_path, monkeypatch) as hub:
        user, door = user_of(hub), door_of(hub)
        offer = DeviceOffer("late-1", "late", "1.0", ("framework:onnx",))
        assert door.claim(ClaimRequest(AGENT_PROTOCOL, offer)) is None
        user.model()
        asked = {"model_id": newest_model(hub), "device": {"name": "late"}, "deadline_s": 8}
        answer = httpx.post(f"{hub.url}/api/hub/v1/jobs", headers=token(hub), json=asked, timeout=30)
        assert answer.is_success, answer.text
        start = time.monotonic()  # before its time begins
        with slots(hub.url, hub, "late", tmp_path, 1, work_s=120) as made:
            until(lambda: made.taken, "the job")
            time.sleep(2)
            clock.set(STEPS[step])
            until(lambda: ended(hub, answer.json()["id"]), "the deadline")
            assert time.monotonic() - start >= 8


def token(hub: RunningHub) -> dict[str, str]:
    return {"Authorization": f"Bearer {hub.token}"}


def newest_model(hub: RunningHub) -> str:
    found = httpx.get(f"{hub.url}/api/hub/v1/models", headers=token(hub), timeout=30)
    return str(found.json()["models"][0]["id"])


def ended(hub: RunningHub, job: str) -> bool:
    found = httpx.get(f"{hub.url}/api/hub/v1/jobs/{job}", headers=token(hub), timeout=30).json()
    if found["state"] != "failed":
        return False
    assert "deadline" in json.dumps(found), found
    return True
