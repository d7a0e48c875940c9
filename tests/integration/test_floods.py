"""What strangers may cost a hub: sign-ins and tokens that nobody knows, from one address and from many."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

pytest.importorskip("pgqueuer")

from argon2 import PasswordHasher

from dynolab.spec import codec
from dynolab.spec.agents import AGENT_PROTOCOL, ClaimRequest, DeviceOffer
from dynolab.testing.running_hub import RunningHub

ENVIRONMENT = {"DYNOLAB_TRUSTED_PROXIES": "127.0.0.1", "DYNOLAB_POSTS_PER_S": "0"}
PASSWORD = "correct horse battery"


@pytest.fixture
def client(hub: RunningHub) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {hub.token}"}
    with httpx.Client(base_url=hub.url, headers=headers, timeout=60) as found:
        yield found


def password_check_s() -> float:
    """Processor time of one."""
    spent_s = []
    for _ in range(3):
        before = time.process_time()
        PasswordHasher().hash(PASSWORD)
        spent_s.append(time.process_time() - before)
    return min(spent_s)


def cpu_s(hub: RunningHub) -> float:
    """Processor time of the hub so far."""
    fields = Path(f"/proc/{hub.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def flood(hub: RunningHub, count: int, door: str, *, addresses: int) -> list[httpx.Response]:
    """So many sign-ins at once, each with another name."""
    async with httpx.AsyncClient(base_url=hub.url, timeout=60, limits=httpx.Limits(max_connections=count)) as client:

        async def one(number: int) -> httpx.Response:
            headers = {"X-Forwarded-For": f"192.0.2.{number % addresses}", "Sec-Fetch-Site": "same-origin"}
            asked = {"email": f"nobody{number}@example.org", "password": "wrong wrong"}
            if door == "/sign-in":
                return await client.post(door, data=asked, headers=headers)
            return await client.post(door, json=asked, headers=headers)

        return await asyncio.gather(*map(one, range(count)))


@pytest.mark.parametrize(("door", "addresses"), [("/sign-in", 90), ("/api/v1/users/auth/login/", 1)])
def test_ninety_strangers_who_sign_in_at_once_cost_little(
    hub: RunningHub, client: httpx.Client, door: str, addresses: int
) -> None:
    client.get("/sign-in").raise_for_status()  # the pages are made now
    check_s, before = password_check_s(), cpu_s(hub)
    found = asyncio.run(flood(hub, 90, door, addresses=addresses))
    refused = [answer for answer in found if answer.status_code == 429]
    assert len(refused) >= 60
    assert all(int(answer.headers["Retry-After"]) >= 1 for answer in refused)
    assert cpu_s(hub) - before < 45 * check_s, "half of what all of them would take"


def test_an_honest_one_gets_in_while_strangers_try(hub: RunningHub, client: httpx.Client) -> None:
    client.put("/api/hub/v1/account/password", json={"password": PASSWORD}).raise_for_status()
    email = client.get("/api/hub/v1/me").json()["email"]
    honest = {"email": email, "password": PASSWORD}

    async def meanwhile() -> None:
        flooding = asyncio.create_task(flood(hub, 60, "/api/v1/users/auth/login/", addresses=1))
        await asyncio.sleep(0.1)
        async with httpx.AsyncClient(base_url=hub.url, timeout=60) as other:
            headers, status = {"X-Forwarded-For": "198.51.100.7"}, 429
            while status == 429:
                alone = flooding.done()
                status = (await other.post("/api/v1/users/auth/login/", json=honest, headers=headers)).status_code
                assert not (alone and status == 429), "it is sent away while others are at it, and no longer"
                await asyncio.sleep(0.5)
        assert status == 200
        await flooding

    asyncio.run(meanwhile())
    client.put("/api/hub/v1/account/password", json={"password": None, "current": PASSWORD}).raise_for_status()


def claim_at_once(hub: RunningHub, count: int) -> list[httpx.Response]:
    """So many boards ask for a job at once, each a new one."""
    headers, limits = {"Authorization": f"Bearer {hub.agent_token}"}, httpx.Limits(max_connections=count)

    async def all_of_them() -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=hub.url, headers=headers, timeout=120, limits=limits) as agents:

            async def one(number: int) -> httpx.Response:
                board = DeviceOffer(id=f"flood-{number}", name="flood", os="1")
                document = codec.encode(ClaimRequest(AGENT_PROTOCOL, board, 0.0))
                return await agents.post("/api/agent/v1/claim", json=document)

            return await asyncio.gather(*map(one, range(count)))

    return asyncio.run(all_of_them())


def ask_again_and_again(hub: RunningHub, path: str, over: threading.Event) -> list[tuple[int, float]]:
    """Statuses, and how long each took, until ``over`` is set."""
    found = []
    while not over.is_set():
        begun = time.monotonic()
        with closing(HTTPConnection(urlsplit(hub.url).netloc, timeout=60)) as line:
            line.request("GET", path, headers={"Authorization": f"Bearer {hub.token}"})
            found.append((line.getresponse().status, time.monotonic() - begun))
        time.sleep(0.1)
    return found


def test_a_hub_that_a_fleet_asks_for_jobs_all_at_once_is_well_and_serves_others(hub: RunningHub) -> None:
    assert httpx.get(f"{hub.url}/healthz").status_code == 200
    over = threading.Event()
    with ThreadPoolExecutor(2) as pool:
        asking = [pool.submit(ask_again_and_again, hub, path, over) for path in ("/healthz", "/api/hub/v1/models")]
        answers = claim_at_once(hub, 300)
        over.set()
        health, others = (one.result() for one in asking)
    assert {status for status, _ in health} == {200}, health
    assert {status for status, _ in others} == {200}, others
    assert len(health) > 4, "the first may wait for the lines of all of them, the next ones do not"
    assert len(others) > 4, "the same"
    assert {answer.status_code for answer in answers} <= {204, 429}
    assert all(int(answer.headers["Retry-After"]) >= 1 for answer in answers if answer.status_code == 429)
    assert len([answer for answer in answers if answer.status_code == 204]) > 150


@pytest.mark.parametrize("door", ["/api/hub/v1/me", "/api/v1/users/auth/user/", "/jobs/", "/welcome/{secret}"])
def test_tokens_cookies_and_links_that_nobody_knows_are_bounded_for_each_address(
    hub: RunningHub, client: httpx.Client, door: str
) -> None:
    place = {"X-Forwarded-For": f"203.0.113.{len(door)}"}
    assert client.get("/api/hub/v1/me", headers=place).status_code == 200

    def ask(number: int) -> httpx.Response:
        secret = f"dl_{number}"
        headers = {**place, "Authorization": f"Bearer {secret}", "Cookie": f"dynolab_session={secret}"}
        return client.get(door.format(secret=secret), headers=headers)

    begun = time.monotonic()
    statuses = [ask(number).status_code for number in range(400)]
    fitting = 200 + 21 * (time.monotonic() - begun)  # 20 a second come back meanwhile
    twice = door == "/welcome/{secret}"  # the link, and then the cookie
    assert 200 / (1 + twice) <= len([one for one in statuses if one != 429]) <= fitting + 1
    if statuses[-1] == 429:
        last = ask(1000)
        assert last.status_code != 429 or int(last.headers["Retry-After"]) >= 1
    assert client.get("/api/hub/v1/me", headers=place).status_code == 200, "who is known is not held up"
    others = {"X-Forwarded-For": "203.0.113.200", "Authorization": "Bearer dl_nobody"}
    assert client.get("/api/hub/v1/me", headers=others).status_code == 401
