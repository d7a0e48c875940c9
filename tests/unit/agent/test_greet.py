"""What an agent finds at the address that it was given, before anything else; and how it tells of a hub that is away."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise

import httpx
import pytest

from dynolab import errors
from dynolab.agent import joining
from dynolab.agent.http import HubDoor, greet
from dynolab.agent.outage import TELL_FIRST_S, TELL_MOST_S, Outage
from dynolab.spec.agents import AGENT_PROTOCOL
from dynolab.spec.joining import JoinRequest

HUB = b'{"protocol": %d, "version": "9.9"}' % AGENT_PROTOCOL


class Server(ThreadingHTTPServer):
    """Answers everything alike; of several answers, one after the other, and the last from then on."""

    def __init__(self, *answers: tuple[int, bytes, dict[str, str]]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = list(answers)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        status, body, headers = self.server.answers[0]
        if len(self.server.answers) > 1:
            self.server.answers.pop(0)
        self.send_response_only(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def answering(*answers: tuple[int, bytes, dict[str, str]]) -> Iterator[str]:
    with Server(*answers) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server.url
        finally:
            server.shutdown()
            thread.join()


def dated(ahead: timedelta) -> dict[str, str]:
    return {"Date": format_datetime(datetime.now(UTC) + ahead, usegmt=True)}


def test_a_hub_of_this_protocol_is_good_whatever_its_date_says_within_a_day() -> None:
    for headers in ({}, dated(timedelta(hours=-2)), dated(timedelta(hours=23)), {"Date": "yesterday"}):
        with answering((200, HUB, headers)) as url:
            greet(url)


@pytest.mark.parametrize(
    ("status", "body", "headers", "kind", "told"),
    [
        (404, b"<h1>no</h1>", {"Content-Type": "text/html"}, errors.NotFound, "no hub of dynolab at .*404 with text/html"),
        (200, b"<h1>hello</h1>", {"Content-Type": "text/html"}, errors.NotFound, "answered 200 with text/html"),
        (200, b'{"status": "ok"}', {}, errors.NotFound, "no hub of dynolab"),
        (200, b"[]", {}, errors.NotFound, "no hub of dynolab"),
        (401, b"{}", {}, errors.NotFound, "answered 401"),
        (301, b"", {"Location": "https://hub.example/api/agent/v1/hub"}, errors.NotFound, "leads on to 'https://hub.example'"),
        (502, b"", {}, errors.Unavailable, "answered 502 Bad Gateway: it, its database or its store is away"),
        (200, b'{"protocol": 1, "version": "0.0.1"}', {}, errors.Conflict, r"the hub of 0\.0\.1 \(protocol 1\)"),
        (200, HUB, dated(timedelta(days=-9000)), errors.DeviceUnfit, "this machine's clock says .*, the hub's 2"),
        (200, HUB, dated(timedelta(days=2)), errors.DeviceUnfit, "this machine's clock says"),
    ],
)  # fmt: skip
def test_what_is_no_hub_for_us_is_told_with_the_way_out(
    status: int, body: bytes, headers: dict[str, str], kind: type[errors.Error], told: str
) -> None:
    with answering((status, body, headers)) as url, pytest.raises(kind, match=told) as found:
        greet(url)
    assert found.value.hint
    assert found.value.exit_code == 2


def test_nobody_there_and_no_such_name() -> None:
    for url in ("http://127.0.0.1:9", "http://nowhere.invalid"):
        with pytest.raises(errors.Unavailable, match=f"the hub {url} cannot be reached: ") as told:
            greet(url)
        assert told.value.hint


def test_a_certificate_says_whether_the_clock_or_the_issuer_is_in_the_way() -> None:
    from dynolab.agent.http import _unreached

    early = httpx.ConnectError(
        "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate is not yet valid"
    )
    assert isinstance(_unreached("https://hub", early), errors.DeviceUnfit)
    assert "timedatectl" in (_unreached("https://hub", early).hint or "")
    own = httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate")
    assert "SSL_CERT_FILE" in (_unreached("https://hub", own).hint or "")


def test_who_waits_for_a_hub_is_let_in_when_it_is_there_and_refused_when_it_is_none(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(joining.time, "sleep", pauses.append)
    away, unset = (503, b"", {}), (200, HUB, dated(timedelta(days=-9000)))
    with caplog.at_level(logging.INFO), answering(*[away] * 8, unset, (200, HUB, {})) as url:
        joining.wait_for_hub(url)
    assert pauses == [1, 2, 4, 8, 16, 30, 30, 30, 30]
    told = [one.levelname for one in caplog.records if one.name.startswith("dynolab")]
    assert told == ["WARNING", "INFO"], "once that it is away, once that it is back"
    with answering(away, (200, b"<h1>hello</h1>", {})) as url, pytest.raises(errors.NotFound):
        joining.wait_for_hub(url)


def test_an_outage_is_told_once_then_ever_more_rarely_and_once_when_it_is_over(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = [0.0]
    outage = Outage(lambda: now[0])
    with caplog.at_level(logging.INFO):
        outage.over()
        for second in range(8 * 3600):
            now[0] = float(second)
            outage.failed(OSError("refused"))
        outage.over()
        outage.over()
    told = [one.getMessage() for one in caplog.records]
    assert "cannot be reached (refused)" in told[0]
    minutes = [int(text.partition("away for ")[2].partition(" ")[0]) for text in told[1:-1]]
    assert minutes[:6] == [1, 3, 7, 15, 31, 63]
    gaps = [later - sooner for sooner, later in pairwise(minutes)]
    assert max(gaps) * 60 == TELL_MOST_S
    assert minutes[0] * 60 == TELL_FIRST_S
    assert told[-1] == f"the hub is back after {8 * 3600 - 1} s"
    caplog.clear()
    outage.failed(OSError("again"))
    assert len(caplog.records) == 1, "another outage is told at once"


def test_what_cannot_be_said_in_http_is_a_mistake_of_ours_and_not_tried_again() -> None:
    with answering((200, HUB, {})) as url:
        door = HubDoor(url, "dla_\nx")
        with pytest.raises(errors.Bug, match="cannot be asked"):
            door.join(JoinRequest(AGENT_PROTOCOL, "dlj_x", "0" * 64, "a", "b"))
        door.close()
