"""A board that says it is unfit is given no job, and everybody is told why: the API, the pages, the estimate."""

from __future__ import annotations

import re

import httpx
import pytest

pytest.importorskip("pgqueuer")

from dynolab.agent.http import HubDoor
from dynolab.spec.agents import AGENT_PROTOCOL, ClaimRequest, DeviceOffer
from dynolab.testing.running_hub import RunningHub

from .test_jobs import User

WHY = "disk full: 3 MB are free in /work, 100 MB are needed"
OFFER = DeviceOffer("sick-1", "sick", "1.0", ("framework:onnx",))


def ask(hub: RunningHub, path: str) -> dict[str, object]:
    token = {"Authorization": f"Bearer {hub.token}"}
    answer = httpx.get(f"{hub.url}/api/hub/v1/{path}", headers=token, timeout=30)
    assert answer.is_success, answer.text
    return dict(answer.json())


def page(hub: RunningHub, path: str) -> str:
    with httpx.Client(base_url=hub.url, headers={"Origin": hub.url}, timeout=30) as browser:
        assert browser.post("/sign-in", data={"token": hub.token}).status_code < 400
        return re.sub(r"<[^>]*>", "", browser.get(path).text).replace("\xa0", " ")


def test_an_unfit_board_gets_no_job_and_says_why_until_it_is_well(hub: RunningHub, door: HubDoor) -> None:
    user = User(hub)
    assert door.claim(ClaimRequest(AGENT_PROTOCOL, OFFER, 0.0, WHY)) is None
    job = user.submit(user.model(), "sick")
    assert door.claim(ClaimRequest(AGENT_PROTOCOL, OFFER, 0.0, WHY)) is None
    assert ask(hub, "devices/sick-1")["unfit"] == WHY
    [found] = ask(hub, "devices?name=sick")["devices"]  # type: ignore[misc]  # a list
    assert found["unfit"] == [WHY]
    assert ask(hub, f"jobs/{job}")["no_estimate"] == "no-board"
    shown = page(hub, "/devices/sick-1")
    assert "unfit" in shown
    assert WHY in shown
    given = door.claim(ClaimRequest(AGENT_PROTOCOL, OFFER))
    assert given is not None
    assert given.job == job
    assert ask(hub, "devices/sick-1")["unfit"] is None
    user.http.close()
