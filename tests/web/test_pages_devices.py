"""The pages of devices in a real Chromium."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest

pytest.importorskip("pgqueuer")

from sqlalchemy import func, insert

from dynolab.agent.http import HubDoor
from dynolab.hub.store.database import Database
from dynolab.hub.store.tables import probe
from dynolab.spec.agents import AGENT_PROTOCOL, ClaimRequest, DeviceOffer, Outcome, ProbeReport
from dynolab.spec.board_health import Probe
from dynolab.testing.databases import OwnDatabase

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


USUAL = {"slowest_core_ns": 100_000, "fastest_core_ns": 90_000, "memory_ns": 3_000_000}


def probed(door: HubDoor, offer: DeviceOffer, factor: float = 1.0, count: int = 1) -> None:
    """Probes of a board, so many times as slow as usual."""
    figures = {name: round(value * factor) for name, value in USUAL.items()}
    for _ in range(count):
        door.report_probe(ProbeReport(AGENT_PROTOCOL, offer, Probe(figures, 4, "kernel 1", 0.0, 48.0)))


def test_a_board_out_of_its_band_is_quarantined_with_the_reason_and_comes_back(
    seeded: Any, visit: Visit, door: HubDoor
) -> None:
    offer = DeviceOffer("slow-1", "Slow <board>", "1", ("framework:onnx",))
    probed(door, offer, count=12)
    page = visit("/devices/slow-1")
    health = page.get_by_role("region", name="Health")
    assert "✓ good" in health.inner_text()
    assert health.get_by_role("img").count() == len(USUAL)
    device = {"name": "Slow <board>", "os": "1", "attributes": []}
    probed(door, offer, 1.5)
    health.get_by_text("is being probed again").wait_for()
    probed(door, offer, 1.5)
    health.get_by_text("quarantined", exact=False).first.wait_for()
    assert "takes 1.50 times as long as usual; up to 1.10 is its own band" in health.inner_text()
    assert "○ free" in page.get_by_role("main").inner_text(), "whether it is free is another matter"
    waiting = seeded.submit("Held up", device=device)
    job = visit(f"/jobs/{waiting}/")
    job.get_by_text("none of its boards accepts jobs now").wait_for()
    assert "slow-1: quarantined: " in job.get_by_role("main").inner_text()
    probed(door, offer, count=3)
    health.get_by_text("on probation", exact=False).first.wait_for()
    given = door.claim(ClaimRequest(AGENT_PROTOCOL, offer, 10.0))
    assert given is not None
    assert given.job == waiting
    probed(door, offer, count=3)
    health.get_by_text("✓ good").wait_for()


def test_an_owner_quarantines_and_releases_a_board_by_hand(seeded: Any, visit: Visit, door: HubDoor) -> None:
    offer = DeviceOffer("hand-1", "Hand", "1", ("framework:onnx",))
    door.claim(ClaimRequest(AGENT_PROTOCOL, offer, 0.0))
    page = visit("/devices/hand-1", viewport={"width": 390, "height": 800})
    by_hand = page.get_by_role("region", name="Quarantine by hand")
    by_hand.get_by_label("Why").fill("its fan is <loud>")
    by_hand.get_by_role("button", name="Quarantine").click()
    page.get_by_text("“hand-1” is quarantined").wait_for()
    health = page.get_by_role("region", name="Health").inner_text()
    assert "its fan is <loud>" in health
    assert "By admin@localhost" in health
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    stranger = visit("/devices/hand-1", token=seeded.account("passer-by@example.org"))
    assert "its fan is <loud>" in stranger.get_by_role("region", name="Health").inner_text()
    assert stranger.get_by_role("button", name="Release").count() == 0
    by_hand.get_by_label("learn its usual speed anew").check()
    by_hand.get_by_role("button", name="Release").click()
    page.get_by_text("learns its usual speed anew").first.wait_for()
    assert "on probation" in page.get_by_role("region", name="Health").inner_text()


def test_a_slow_change_over_days_is_a_notice_on_the_boards_page(
    visit: Visit, door: HubDoor, postgres: OwnDatabase
) -> None:
    offer = DeviceOffer("drift-1", "Drift", "1", ("framework:onnx",))
    door.claim(ClaimRequest(AGENT_PROTOCOL, offer, 0.0))
    days = [(14 - day, {name: round(value * 1.007**day) for name, value in USUAL.items()}) for day in range(14)]
    had(postgres, "drift-1", days)
    probed(door, offer, 1.1)
    page = visit("/devices/drift-1")
    health = page.get_by_role("region", name="Health").inner_text()
    assert "✓ good" in health
    assert re.search(r"Slow change: .* slower within 14 days", health)
    page.goto("/devices/")
    assert "slower within 14 days" in page.get_by_role("region", name="Drift 1").inner_text()


def had(database: OwnDatabase, device_id: str, days: Sequence[tuple[int, dict[str, int]]]) -> None:
    """Probes that came so many days ago, which no agent can tell."""

    async def carry_out() -> None:
        opened = Database(database.url)
        async with opened.begin() as connection:
            for ago, figures in days:
                values = {"device_id": device_id, "identity": "kernel 1", "figures": figures, "cores": 4}
                at = func.now() - func.make_interval(0, 0, 0, ago)
                await connection.execute(insert(probe).values(**values, verdict="good", at=at))
        await opened.close()

    with ThreadPoolExecutor(1) as pool:  # the browser's loop runs in this thread
        pool.submit(asyncio.run, carry_out()).result()
