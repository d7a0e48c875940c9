"""What the client makes of a hub that takes no more, or is away."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from dynolab import errors
from dynolab.client.http import HubApi
from dynolab.client.settings import ClientConfig

FULL = "acme.vision has 1 jobs that wait or run, of 1 at most"


class Clock:
    """Time that passes by sleeping alone."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("dynolab.client.http.time", made)
    return made


def api(answers: Iterator[httpx.Response | httpx.TransportError], told: list[str], url: str = "http://hub:1") -> HubApi:
    """One whose hub gives these answers in turn."""

    def answer(request: httpx.Request) -> httpx.Response:
        found = next(answers)
        if isinstance(found, httpx.TransportError):
            raise found
        return found

    made = HubApi(ClientConfig("token", url), tell=told.append)
    made._client.close()
    made._client = httpx.Client(base_url=made._client.base_url, transport=httpx.MockTransport(answer))
    return made


def refusal(after_s: int) -> httpx.Response:
    return httpx.Response(429, json=errors.RateLimited(FULL).to_dict(), headers={"Retry-After": str(after_s)})


def test_what_takes_no_more_is_tried_for_ten_minutes_and_told_once(clock: Clock) -> None:
    told: list[str] = []
    with pytest.raises(errors.RateLimited, match="of 1 at most"):
        api((refusal(20) for _ in range(100)), told).send("POST", "jobs", {}, patient=True)
    assert clock.now == 600
    assert told == [f"{FULL}; trying again every 20 s for up to 10 min, Ctrl-C ends it"]


def test_what_is_short_is_not_told(clock: Clock) -> None:
    told: list[str] = []
    answers = iter([refusal(1), refusal(1), httpx.Response(200, json={"id": "j1"})])
    assert api(answers, told).send("POST", "jobs", {}, patient=True) == {"id": "j1"}
    assert (clock.now, told) == (2, [])


def test_who_is_not_patient_is_refused_at_once(clock: Clock) -> None:
    told: list[str] = []
    with pytest.raises(errors.RateLimited):
        api(iter([refusal(20)]), told).send("POST", "jobs", {})
    assert (clock.now, told) == (0, [])


def refused() -> httpx.TransportError:
    return httpx.ConnectError("[Errno 111] Connection refused")


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_hub_that_answers_that_it_is_away_is_there(clock: Clock, status: int) -> None:
    answers = (httpx.Response(status, json=errors.Unavailable("the database went away").to_dict()) for _ in range(9))
    with pytest.raises(errors.Unavailable) as caught:
        api(answers, [], "http://127.0.0.1:8000").get("jobs")
    words = "it, its database or its store is away or starting"
    assert caught.value.message == f"the hub at http://127.0.0.1:8000 answered {status}: {words}; tried for 4 s"
    assert caught.value.hint == "try again in a moment; whoever runs the hub sees why with `dynolab hub check`"
    with pytest.raises(errors.Unavailable, match=f"the hub at http://127.0.0.1:8000 answered {status}: {words}$"):
        api(answers, [], "http://127.0.0.1:8000").send("POST", "jobs", {})
    with pytest.raises(errors.Unavailable, match=f"the hub at http://127.0.0.1:8000 answered {status}: {words}$"):
        list(api(answers, [], "http://127.0.0.1:8000").events("jobs/j1/events"))


@pytest.mark.parametrize(
    ("url", "starts"),
    [("http://127.0.0.1:8000", True), ("http://localhost", True), ("http://[::1]:8", True), ("http://hub.lan", False)],
)
def test_a_hub_may_be_started_here_where_nothing_answers_here(clock: Clock, url: str, starts: bool) -> None:
    with pytest.raises(errors.Unavailable, match=r"cannot be reached: .*Connection refused; tried for 4 s") as caught:
        api((refused() for _ in range(9)), [], url).get("jobs")
    assert ("`dynolab hub` starts one" in str(caught.value.hint)) is starts


def test_who_waits_is_told_of_an_outage_when_it_begins_and_when_it_is_over(clock: Clock) -> None:
    told: list[str] = []
    answers = iter([refused(), *(httpx.Response(503) for _ in range(7)), httpx.Response(200, json={"id": "j1"})])
    assert api(answers, told).awaited("jobs/j1", 60) == {"id": "j1"}
    words = "the hub at http://hub:1 answered 503: it, its database or its store is away or starting"
    assert told == [f"{words}; it is tried for up to 60 s", "the hub is back after 24 s"]


def test_a_hub_that_stays_away_is_given_up_after_what_was_said(clock: Clock) -> None:
    told: list[str] = []
    with pytest.raises(errors.Unavailable, match=r"Connection refused; tried for 6[0-4] s$"):
        api((refused() for _ in range(99)), told).awaited("jobs/j1", 60)
    assert len(told) == 1


def test_a_short_gap_is_not_told(clock: Clock) -> None:
    told: list[str] = []
    answers = iter([refused(), refused(), httpx.Response(200, json={})])
    assert api(answers, told).awaited("jobs/j1", 60) == {}
    assert told == []
