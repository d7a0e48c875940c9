"""A board that is unfit or quarantined is given no job, and everybody is told why: API, pages, commands, the estimate."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import httpx
import pytest

pytest.importorskip("pgqueuer")

from dynolab.agent.http import HubDoor
from dynolab.spec.agents import AGENT_PROTOCOL, ClaimRequest, DeviceOffer, ProbeAnswer, ProbeReport
from dynolab.spec.board_health import Probe
from dynolab.testing.commands import Done, command
from dynolab.testing.running_hub import RunningHub
from dynolab.testing.waiting import until

from .test_jobs import User
from .test_kills import agent

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
    told = ask(hub, f"jobs/{job}")
    assert (told["no_estimate"], told["unwell"]) == ("unwell", [f"sick-1: unfit: {WHY}"])
    shown = page(hub, "/devices/sick-1")
    assert "unfit" in shown
    assert WHY in shown
    given = door.claim(ClaimRequest(AGENT_PROTOCOL, OFFER))
    assert given is not None
    assert given.job == job
    assert ask(hub, "devices/sick-1")["unfit"] is None
    user.http.close()


USUAL = {"slowest_core_ns": 100_000, "fastest_core_ns": 90_000, "memory_ns": 3_000_000}


def probed(door: HubDoor, offer: DeviceOffer, factor: float = 1.0) -> ProbeAnswer:
    figures = {name: round(value * factor) for name, value in USUAL.items()}
    return door.report_probe(ProbeReport(AGENT_PROTOCOL, offer, Probe(figures, 4, "kernel 1", 0.0, 48.0)))


def devices(hub: RunningHub, *arguments: str) -> Done:
    """What ``dynolab devices`` prints."""
    return command("devices", *arguments, environment={"DYNOLAB_CLIENT_INI": str(hub.ini), "COLUMNS": "240"})


def test_a_board_out_of_its_band_is_told_by_api_and_command_and_released_by_hand(
    hub: RunningHub, door: HubDoor
) -> None:
    offer = DeviceOffer("slow-1", "slow", "1.0", ("framework:onnx",))
    for _ in range(10):
        assert probed(door, offer).again_in_s == 120.0
    assert probed(door, offer).cool_celsius == 53.0
    assert probed(door, offer, 1.5).again_in_s == 15.0
    answer = probed(door, offer, 1.5)
    assert answer.state == "quarantined"
    why = "takes 1.50 times as long as usual; up to 1.10 is its own band"
    assert why in answer.why
    user = User(hub)
    job = user.submit(user.model(), "slow")
    assert door.claim(ClaimRequest(AGENT_PROTOCOL, offer)) is None
    waiting = ask(hub, f"jobs/{job}")
    assert waiting["no_estimate"] == "unwell"
    assert waiting["unwell"] == [f"slow-1: quarantined: {answer.why}"]
    board = ask(hub, "devices/slow-1")
    assert (board["health"], board["busy"], board["unfit"], board["why"]) == ("quarantined", False, None, answer.why)
    [model] = ask(hub, "devices?name=slow")["devices"]  # type: ignore[misc]  # a list
    assert model["quarantined"] == [answer.why]
    probes = ask(hub, "devices/slow-1/probes")
    assert probes["newest"]["verdict"] == "slow"  # type: ignore[index]  # an object
    assert probes["bands"]["memory_ns"]["middle_ns"] == pytest.approx(3e6)  # type: ignore[index]  # likewise
    assert [one["verdict"] for one in probes["out_of_band"]] == ["slow", "slow"]  # type: ignore[attr-defined]  # a list
    assert f"quarantined: {answer.why}" in devices(hub).stdout
    [line] = devices(hub, "boards", "slow").stdout.splitlines()[1:]
    assert line.split()[:4] == ["slow", "slow-1", "free", "quarantined"]
    assert why in line
    released = devices(hub, "release", "slow-1", "--relearn")
    assert released.stdout == "slow slow-1: probation (released by admin@localhost)\n", released.stderr
    assert probed(door, offer, 1.5).state == "probation", "its past does not count any more"
    given = door.claim(ClaimRequest(AGENT_PROTOCOL, offer))
    assert given is not None
    assert given.job == job
    put = devices(hub, "quarantine", "slow-1", "--reason", "its fan is loud")
    assert put.stdout == "slow slow-1: quarantined (its fan is loud)\n", put.stderr
    [told] = json.loads(devices(hub, "boards", "slow", "--json").stdout)
    assert (told["state"], told["health"], told["health_by"]) == ("busy", "quarantined", "admin@localhost")
    unknown = devices(hub, "quarantine", "nosuch")
    assert unknown.returncode == 2
    assert "there is no device 'nosuch'" in unknown.stderr
    user.http.close()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux")
def test_a_real_agent_probes_its_board_before_it_asks_for_a_job(hub: RunningHub, tmp_path: Path) -> None:
    with agent(hub, tmp_path, "probed"):
        until(lambda: bool(ask(hub, "boards?name=probed")["boards"]), "the board", within_s=120)
        [board] = ask(hub, "boards?name=probed")["boards"]  # type: ignore[misc]  # a list
        assert (board["state"], board["health"]) == ("free", "good")
        newest = ask(hub, f"devices/{board['id']}/probes")["newest"]
    assert newest["verdict"] == "learning"  # type: ignore[index]  # an object
    assert set(newest["figures"]) == set(USUAL)  # type: ignore[index]  # likewise
