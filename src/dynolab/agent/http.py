"""The agent's HTTP: the one file of this room that knows the library. Failures of the way are retried here."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import httpx

from dynolab import errors, tracing
from dynolab.agent.direct import DIRECT_LEAST_BYTES, AddressOver, DirectWay, StoreFailed
from dynolab.agent.outage import Outage
from dynolab.spec import codec
from dynolab.spec.agents import (
    AGENT_PROTOCOL,
    Assignment,
    ClaimRequest,
    FileLate,
    FileLink,
    FileOffer,
    FilePlaces,
    FileSent,
    Outcome,
    ProbeAnswer,
    ProbeReport,
    Renewal,
    RenewalAnswer,
)
from dynolab.spec.joining import AgentAccount, HubGreeting, JoinRequest, Rotated, RotateRequest

PATH = "/api/agent/v1"
CHUNK_BYTES = 1 << 20
RETRY_FIRST_S, RETRY_MOST_S = 0.2, 5.0
T = TypeVar("T")
Unreachable = httpx.TransportError
"""What a call raises when there is no hub at the other end, or none that answers in time."""
REFUSED: dict[int, type[errors.Error]] = {
    413: errors.TooLarge,
    415: errors.MediaTypeInvalid,
    422: errors.SpecInvalid,
    507: errors.StorageFull,
}
"""What is refused for good by its status alone: a proxy before the hub has words of its own for it."""


NOTHING_THERE = (httpx.codes.NOT_FOUND, httpx.codes.METHOD_NOT_ALLOWED)
"""A server answered, but no hub's."""
CLOCK_MOST = timedelta(days=1)
"""How far this machine's clock may be off the hub's: one that was never set says 1970, and certificates are not valid then."""


def greet(url: str) -> None:
    """Make sure that a hub is there, which speaks as we do.

    Raises :class:`~dynolab.errors.Unavailable` when it cannot be reached or is away, :class:`~dynolab.errors.DeviceUnfit` when this
    machine's clock is far off, :class:`~dynolab.errors.NotFound` for a server that is no hub, and
    :class:`~dynolab.errors.Conflict` for a hub of another version; each with the way out.
    """
    try:
        answer = httpx.get(f"{url.rstrip('/')}{PATH}/hub", timeout=httpx.Timeout(15, connect=5))
    except httpx.HTTPError as error:
        raise _unreached(url, error) from error
    if answer.is_server_error:
        raise errors.Unavailable(
            f"the hub {url} answered {answer.status_code} {answer.reason_phrase}: it, its database or its store is away or starting",
            hint="--wait-for-hub waits for it; whoever runs the hub sees why with `dynolab hub check`",
        )
    if answer.is_redirect:
        place = answer.headers.get("location", "").removesuffix(f"{PATH}/hub")
        raise errors.NotFound(f"{url} leads on to {place[:200]!r}", hint="name the hub's own address: --hub URL")
    _check_clock(answer.headers.get("date", ""))
    try:
        hub = codec.decode(HubGreeting, answer.json() if answer.is_success else None, "the answer")
    except (ValueError, errors.SpecInvalid) as error:
        what = f"it answered {answer.status_code} with {answer.headers.get('content-type', 'nothing')}"
        raise errors.NotFound(f"there is no hub of dynolab at {url}: {what}", hint="dynolab agent --hub URL") from error
    oldest = hub.protocol if hub.oldest is None else hub.oldest
    if not oldest <= AGENT_PROTOCOL <= hub.protocol:
        raise errors.Conflict(
            f"this agent is of dynolab {version('dynolab')} (protocol {AGENT_PROTOCOL}), the hub of {hub.version} "
            f"(protocol {hub.protocol})",
            hint="install the same version of dynolab on both; the hub's page /add-device has its own",
        )


def _unreached(url: str, error: httpx.HTTPError) -> errors.Error:
    text = str(error) or type(error).__name__
    if "CERTIFICATE_VERIFY_FAILED" not in text:
        return errors.Unavailable(
            f"the hub {url} cannot be reached: {text}", hint="is it running there, and can this machine reach it?"
        )
    if "not yet valid" in text or "expired" in text:
        now = datetime.now(UTC)
        return errors.DeviceUnfit(
            f"the certificate of {url} is not valid at {now:%Y-%m-%d %H:%M} UTC, which this machine's clock says",
            hint="set the clock if it is wrong: timedatectl set-ntp true",
        )
    return errors.Unauthorized(
        f"the certificate of {url} is of an issuer that this machine does not know: {text}",
        hint="SSL_CERT_FILE names the certificate of an issuer of your own",
    )


def _check_clock(date: str) -> None:
    """Hold this machine's clock against an answer's ``Date``. Raises :class:`~dynolab.errors.DeviceUnfit`."""
    try:
        there = parsedate_to_datetime(date).astimezone(UTC)
    except ValueError:
        return
    here = datetime.now(UTC)
    if abs(here - there) > CLOCK_MOST:
        raise errors.DeviceUnfit(
            f"this machine's clock says {here:%Y-%m-%d %H:%M} UTC, the hub's {there:%Y-%m-%d %H:%M}",
            hint="set the one that is wrong: timedatectl set-ntp true",
        )


class HubDoor:
    """The hub as an agent sees it. Threads may share one."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._base = url.rstrip("/") + PATH
        hooks = {"request": [self._in_trace]}
        self._client = httpx.Client(timeout=httpx.Timeout(60, connect=5), event_hooks=hooks)
        self.use(token)
        self.rotation_is_due = False
        """Whether the hub says that the token is to be rotated."""
        self._given_up = threading.Event()
        self._outage = Outage()
        self._direct = DirectWay()

    def use(self, token: str) -> None:
        """Show another token from now on."""
        self._token = {"Authorization": f"Bearer {token}"} if token else {}

    def rotate(self, request: RotateRequest) -> Rotated:
        """Have the hub know the token that comes after this one. Raises what it refused with, and :data:`Unreachable`."""
        document = self._post("rotate", codec.encode(request))
        self.rotation_is_due = False
        return codec.decode(Rotated, document, "the hub's answer")

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _in_trace(self, request: httpx.Request) -> None:
        """Tell the hub, and nobody else, which trace the request belongs to."""
        if (place := tracing.place()) and str(request.url).startswith(self._base):
            request.headers[tracing.HEADER] = place

    def give_up(self) -> None:
        """From now on a call that fails is not tried again: it raises."""
        self._given_up.set()

    def check_token(self) -> None:
        """Raises :class:`~dynolab.errors.Unauthorized` for a token that the hub does not know or whose account was closed; tried until it answers."""
        try:
            self._again(self._me)
        except errors.Unauthorized as error:
            if error.details.get("reason") == "closed":
                raise
            hint = f"join again with a new join token, from {self._url}/add-device or `dynolab devices join-token`"
            raise errors.Unauthorized(f"the hub {self._url} does not know this agent's token", hint=hint) from error

    def join(self, request: JoinRequest) -> AgentAccount:
        """Whose agent this machine is now; tried until the hub answers. Raises what it refused with."""
        document = self._again(lambda: self._post("join", codec.encode(request)))
        return codec.decode(AgentAccount, document, "the hub's answer")

    def claim(self, request: ClaimRequest) -> Assignment | None:
        """A job, or None when none came in time. Raises what the hub refused with, and :data:`Unreachable`.

        Raises :class:`~dynolab.errors.NotFound` where a server answers that is no hub.
        """
        answer = self._asked("claim", codec.encode(request))
        return None if answer is None else codec.decode(Assignment, answer, "the hub's assignment")

    def report_probe(self, report: ProbeReport) -> ProbeAnswer:
        """What the hub makes of a probe. Raises what :meth:`claim` does."""
        answer = self._asked("probes", codec.encode(report))
        return codec.decode(ProbeAnswer, answer, "the hub's answer")

    def renew(self, attempt: str, renewal: Renewal) -> RenewalAnswer:
        """Start the lease anew. Raises :class:`~dynolab.errors.Conflict` when the attempt is over."""
        answer = self._post(f"attempts/{attempt}/renew", codec.encode(renewal))
        return codec.decode(RenewalAnswer, answer, "the hub's answer")

    def finish(self, attempt: str, outcome: Outcome) -> None:
        """Say how the attempt ended; tried until the hub answers. Raises what it refused with."""
        self._again(lambda: self._post(f"attempts/{attempt}/finish", codec.encode(outcome)))

    def fetch(self, attempt: str, what: str, link: FileLink, folder: Path) -> Path:
        """The attempt's ``model``, ``baseline``, ``dataset`` or ``linked-0``, in the folder.

        Raises :class:`~dynolab.errors.TransferFailed` when not all of it came.
        """
        url = f"{self._base}/files/{what}/{attempt}"
        if self._direct.is_open:
            try:
                return self._fetch(f"{url}?direct=1", link, folder)
            except (Unreachable, errors.DeviceLost, errors.TransferFailed, StoreFailed) as error:
                self._direct.failed(error)
        return self._again(lambda: self._fetch(url, link, folder))

    def store(self, attempt: str, what: str, path: Path) -> None:
        """Send a file that the attempt leaves: ``result``, ``output``, ``artifact`` or ``log``; tried until the hub answers.

        A long one goes to the store itself where the hub names it, and through the hub where that fails. Raises what it refused with.
        """
        if (
            path.stat().st_size >= DIRECT_LEAST_BYTES
            and self._direct.is_open
            and self._store_directly(attempt, what, path)
        ):
            return
        url = f"{self._base}/files/{what}/{attempt}"

        def chunks() -> Iterator[bytes]:
            with path.open("rb") as file:
                while chunk := file.read(CHUNK_BYTES):
                    yield chunk

        headers = {"Content-Length": str(path.stat().st_size), **self._token}

        def send() -> None:
            with self._told():
                _checked(self._client.put(url, content=chunks(), headers=headers))

        self._again(send)

    def _store_directly(self, attempt: str, what: str, path: Path) -> bool:
        """Whether the file went to the store itself. Raises what the hub refused with."""
        places = self._again(lambda: self._offer(attempt, FileOffer(what, path.stat().st_size)))
        if not places.urls:
            return False
        try:
            etags = self._send_parts(attempt, path, places)
        except (Unreachable, StoreFailed) as error:
            self._direct.failed(error)
            return False
        sent = codec.encode(FileSent(places.upload, tuple(etags)))
        self._again(lambda: self._post(f"attempts/{attempt}/uploads/complete", sent))
        return True

    def _offer(self, attempt: str, offered: FileOffer) -> FilePlaces:
        try:
            answer = self._post(f"attempts/{attempt}/uploads", codec.encode(offered))
        except errors.DeviceLost as error:
            if error.details.get("status") in NOTHING_THERE:  # a hub of before, which takes all files itself
                return FilePlaces()
            raise
        return codec.decode(FilePlaces, answer, "the hub's answer")

    def _send_parts(self, attempt: str, path: Path, places: FilePlaces) -> list[str]:
        """The tags of all parts; where an address has run out, others are asked for once. Raises as :meth:`_send_part`."""
        etags, urls, part, last = list[str](), places.urls, places.part_bytes, -1
        while (number := len(etags)) < len(urls):
            try:
                etags.append(self._send_part(path, urls[number], number * part, part))
            except AddressOver:
                if number == last:
                    raise
                last, urls = number, self._later(attempt, places).urls
        return etags

    def _later(self, attempt: str, places: FilePlaces) -> FilePlaces:
        """The same places by addresses that are good from now on. Raises :class:`StoreFailed` where the hub gives none."""
        asked = codec.encode(FileLate(places.upload))
        try:
            answer = self._post(f"attempts/{attempt}/uploads/addresses", asked)
        except (errors.DeviceLost, errors.NotFound) as error:  # a hub of before gives none
            raise StoreFailed(f"its address has run out, and the hub gives no other: {error}") from error
        return codec.decode(FilePlaces, answer, "the hub's answer")

    def _send_part(self, path: Path, url: str, start: int, most: int) -> str:
        """The tag that the store gave a part.

        Raises :data:`Unreachable`, :class:`AddressOver` where the address is good no more, and :class:`StoreFailed` for what else it refused.
        """
        length = min(most, path.stat().st_size - start)

        def chunks() -> Iterator[bytes]:
            with path.open("rb") as file:
                file.seek(start)
                left = length
                while left and (chunk := file.read(min(left, CHUNK_BYTES))):
                    left -= len(chunk)
                    yield chunk

        answer = self._client.put(url, content=chunks(), headers={"Content-Length": str(length)})
        if answer.status_code == httpx.codes.FORBIDDEN:
            raise AddressOver(f"it answered {answer.status_code}")
        if not answer.is_success or not answer.headers.get("etag"):
            raise StoreFailed(f"it answered {answer.status_code}")
        tag: str = answer.headers["etag"]
        return tag

    def _fetch(self, url: str, link: FileLink, folder: Path) -> Path:
        target = folder / Path(link.name).name
        with self._told(), self._client.stream("GET", url, headers=self._token, follow_redirects=True) as answer:
            if answer.history and not answer.is_success:
                raise StoreFailed(f"it answered {answer.status_code}")
            _checked(answer)
            with target.open("wb") as file:
                for chunk in answer.iter_bytes(CHUNK_BYTES):
                    file.write(chunk)
        if target.stat().st_size != link.bytes:
            raise errors.TransferFailed(f"{target.stat().st_size} of {link.bytes} bytes of {link.name} came")
        return target

    def _again(self, call: Callable[[], T]) -> T:
        return again(call, self._given_up)

    def _asked(self, path: str, document: Any) -> Any:
        """The answer of a hub that may be none."""
        try:
            return self._post(path, document)
        except errors.DeviceLost as error:
            if error.details.get("status") not in NOTHING_THERE:
                raise
            raise errors.NotFound(
                f"there is no hub of dynolab at {self._url}: {error}", hint="dynolab agent --hub URL"
            ) from error

    def _me(self) -> None:
        with self._told():
            _checked(self._client.get(f"{self._base}/me", headers=self._token))

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Tells when the hub goes away and comes back, by how the block ends."""
        try:
            yield
        except httpx.LocalProtocolError as error:  # what we say is no HTTP: asking again would not help
            raise errors.Bug(f"the hub cannot be asked: {error}") from error
        except (Unreachable, errors.DeviceLost) as error:
            if not self._given_up.is_set():
                self._outage.failed(error)
            raise
        self._outage.over()

    def _post(self, path: str, document: Any) -> Any:
        with self._told():
            answer = _checked(self._client.post(f"{self._base}/{path}", json=document, headers=self._token))
        self.rotation_is_due = _is_past(answer, "dynolab-token-rotate-after")
        return answer.json() if answer.status_code == httpx.codes.OK else None


def _is_past(answer: httpx.Response, header: str) -> bool:
    """Whether an instant that the hub tells is past by its own clock; False where it tells none."""
    try:
        told = datetime.fromisoformat(answer.headers.get(header, ""))
        return told <= parsedate_to_datetime(answer.headers.get("date", "")).astimezone(UTC)
    except (ValueError, TypeError):
        return False


def _checked(answer: httpx.Response) -> httpx.Response:
    """The answer, if it is a good one; else the error that it holds."""
    if answer.is_success:
        return answer
    answer.read()
    try:
        document = answer.json()
    except ValueError:
        document = {}
    told = isinstance(document, dict) and "code" in document
    if kind := REFUSED.get(answer.status_code):
        raise errors.from_dict(document) if told else kind(f"it answered {answer.status_code} {answer.reason_phrase}")
    if answer.is_server_error or answer.status_code == httpx.codes.TOO_MANY_REQUESTS or not told:
        text = f"it answered {answer.status_code} to {answer.request.url.path}"
        raise errors.DeviceLost(text, details={"status": answer.status_code})
    raise errors.from_dict(document)


def again(call: Callable[[], T], given_up: threading.Event | None = None) -> T:
    """The outcome of a call that is tried again, ever more slowly, as long as the hub cannot be reached.

    Once ``given_up`` is set, the call's own error is raised.
    """
    pause_s, given_up = RETRY_FIRST_S, given_up or threading.Event()
    while True:
        try:
            return call()
        except (Unreachable, errors.DeviceLost):
            if given_up.wait(pause_s):
                raise
            pause_s = min(2 * pause_s, RETRY_MOST_S)
