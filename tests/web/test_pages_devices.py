"""The pages of devices in a real Chromium."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from dynolab.agent.http import HubDoor
from dynolab.spec.agents import AGENT_PROTOCOL, ClaimRequest, DeviceOffer, Outcome

Visit = Callable[..., Any]
BOARD = DeviceOffer(
    "rack-3/board 7",
    "Pi <5>",
    "6.12",
    ("os:linux", "chipset:bcm2712"),
    "Cortex-A76, 4 cores",
    {"onnxruntime": "1.32.0"},
)


@pytest.fixture
def door(seeded: Any) -> Iterator[HubDoor]:
    opened = HubDoor(seeded.url, seeded.hub.agent_token)
    yield opened
    opened.close()


def claim(door: HubDoor, wait_s: float = 0.0) -> Any:
    return door.claim(ClaimRequest(AGENT_PROTOCOL, BOARD, wait_s))


def test_a_device_is_seen_free_then_busy_then_with_its_history(seeded: Any, visit: Visit, door: HubDoor) -> None:
    claim(door)
    page = visit("/devices/")
    card = page.get_by_role("region", name="Pi <5> 6.12")
    for words in ("○ free", "empty", "onnxruntime 1.32.0", "Cortex-A76, 4 cores"):
        assert words in card.inner_text()
    card.get_by_text("Attributes").click()
    assert card.get_by_text("chipset:bcm2712").is_visible()
    page.evaluate("window.before = true")
    device = {"name": "Pi <5>", "os": "6.12", "attributes": []}
    job_id = seeded.submit("Hard work", device=device)
    given = claim(door, 10.0)
    card.get_by_text("busy").wait_for()
    card.get_by_role("link", name="Hard work").wait_for()
    waiting = seeded.submit("Next one", device=device)
    card.get_by_text("1 job", exact=True).wait_for()
    assert page.evaluate("window.before") is True
    card.get_by_role("link", name="rack-3/board 7").click()
    page.get_by_role("heading", name="busy").wait_for()
    page.get_by_role("heading", level=1, name="Pi <5> rack-3/board 7", exact=True).wait_for()
    door.finish(given.attempt, Outcome(error={"code": "LoadFailed", "message": "torn <b>file</b>", "hint": None}))
    page.get_by_role("heading", name="free").wait_for()
    row = page.get_by_role("row").filter(has_text="Hard work")
    assert "failed" in row.inner_text()
    assert "torn <b>file</b>" in row.inner_text()
    assert row.get_by_role("link").get_attribute("href") == f"/jobs/{job_id}/"
    seeded.api("POST", f"jobs/{waiting}/cancel")
    page.get_by_role("link", name="Jobs on this device").click()
    page.get_by_role("link", name="Next one").wait_for()
    assert page.get_by_label("Device").input_value() == "Pi <5>"


def test_another_accounts_job_stays_its_secret(seeded: Any, visit: Visit, door: HubDoor) -> None:
    claim(door)
    token = seeded.account("curious@example.org")
    seeded.submit("Secret work", device={"name": "Pi <5>", "os": "6.12", "attributes": []})
    given = claim(door, 10.0)
    page = visit("/devices/rack-3/board%207", token=token)
    assert page.get_by_role("heading", name="busy").is_visible()
    assert page.get_by_text("another account").count() == page.get_by_role("row").count()  # now, and each before
    text = {"code": "LoadFailed", "message": "secret.onnx is torn", "hint": None}
    door.finish(given.attempt, Outcome(error=text))
    page.get_by_role("heading", name="free").wait_for()
    assert "ecret" not in page.content()


def test_a_model_of_devices_lists_its_boards(seeded: Any, visit: Visit, door: HubDoor) -> None:
    claim(door)
    page = visit("/devices")
    page.wait_for_url("**/devices/")
    page.get_by_label("Search").fill("BCM27")
    page.get_by_role("heading", name="Bench Phone").wait_for(state="detached")
    page.get_by_role("link", name="Pi <5>", exact=True).click()
    page.get_by_role("heading", level=1, name="Pi <5>", exact=True).wait_for()
    boards = page.get_by_role("region", name="Boards of Pi <5>").inner_text()
    assert "rack-3/board 7" in boards
    assert "free" in boards
    assert page.get_by_role("link", name="Submit a job").last.get_attribute("href") == "/submit?device=Pi+%3C5%3E"


def test_a_device_that_is_not_there(visit: Visit) -> None:
    page = visit("/devices/nosuch")
    page.get_by_role("heading", level=1, name="Not found", exact=True).wait_for()
    assert "there is no device 'nosuch'" in page.get_by_role("alert").inner_text()
    page.goto("/devices/?text=nosuch")
    assert page.get_by_text("No device matches.").is_visible()


def test_lists_and_forms_fit_a_phone(visit: Visit) -> None:
    page = visit("/devices/", viewport={"width": 390, "height": 800})
    for path in ("/devices/", "/devices/bench-1", "/devices/Bench%20Phone", "/models/", "/datasets/", "/account/"):
        page.goto(path)
        assert page.get_by_role("heading", level=1).is_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path


def test_an_owner_lets_others_in_and_they_choose_whose_devices_get_their_models(seeded: Any, visit: Visit) -> None:
    owner, guest = (seeded.account(f"{name}@example.org") for name in ("pool-owner", "pool-guest"))
    asked = {"headers": {"Authorization": f"Bearer {owner}"}}
    secret = seeded.http.post(f"{seeded.url}/api/hub/v1/tokens", json={"kind": "agent"}, **asked).json()["secret"]
    offer = DeviceOffer("lab-1", "Lab", "1", ("sandbox:test",))
    with closing(HubDoor(seeded.url, secret)) as door:
        door.claim(ClaimRequest(AGENT_PROTOCOL, offer, 0.0))
    page = visit("/devices/Lab", token=owner)
    access = page.get_by_role("region", name="Access to devices of pool-owner@example.org")
    assert "Only you" in access.inner_text()
    access.get_by_label("E-mail").fill("pool-guest@example.org")
    access.get_by_role("button", name="Grant access").click()
    page.get_by_text("pool-guest@example.org may submit jobs to “Lab”.").wait_for()
    other = visit("/devices/", token=guest)
    assert other.get_by_role("region", name="Lab 1").count() == 0
    other.get_by_text("Lab of pool-owner@example.org is available to you.").wait_for()
    other.get_by_role("button", name="Allow it to receive my models").click()
    other.get_by_text("Devices of pool-owner@example.org may receive your models.").wait_for()
    assert "pool-owner@example.org" in other.get_by_role("region", name="Lab 1").inner_text()
    other.goto("/account/")
    trusted = other.get_by_role("region", name="Devices that may receive my models")
    trusted.get_by_role("button", name="Stop").click()
    other.get_by_text("Devices of pool-owner@example.org may no longer receive your models.").wait_for()
    assert other.get_by_role("region", name="Devices that may receive my models").get_by_role("button").count() == 0
    access.get_by_role("button", name="Remove").click()
    page.get_by_text("pool-guest@example.org may no longer use “Lab”.").wait_for()
    access.get_by_role("button", name="Open to everyone").click()
    page.get_by_text("Everyone with an account may submit jobs to “Lab”.").wait_for()
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
