"""HTTP to a hub: the one file of this room that knows the library."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import os
import re
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from dynolab import errors, tracing
from dynolab.client import token_end
from dynolab.client.progress import Counted
from dynolab.client.settings import ClientConfig
from dynolab.client.token_end import Ending

CHUNK_BYTES = 1 << 20
TRIES = 4
"""A hub that restarts is back within their few seconds; for one that is not there, nobody should wait longer."""
RETRY_FIRST_S, RETRY_MOST_S = 0.5, 4.0
AWAY = (httpx.codes.BAD_GATEWAY, httpx.codes.SERVICE_UNAVAILABLE, httpx.codes.GATEWAY_TIMEOUT)
"""What a hub answers whose database is away, and what stands before a hub that is away itself."""
LOOPBACK = re.compile(r"localhost|127\.[0-9.]+|::1")
RETRY_AFTER_S = 5.0
"""How long a hub that takes no more is left alone when it does not say for how long."""
PATIENCE_S = 600.0
"""How long a hub that takes no more is asked again."""
TELL_AFTER_S = 5.0
"""Who waits for longer than this is told for what."""
QUIET_MAX_S = 90.0
"""A stream of events says every 15 s that it is there."""


Tell = Callable[[str], None]
"""Told what is waited for, in a line."""
log = logging.getLogger(__name__)


class _Refused(Exception):
    """A part's address is good no more, or is not right; what was answered."""


class HubApi:
    """The hub's JSON API. Reading is tried again while the hub cannot be reached; what changes something is not."""

    def __init__(self, config: ClientConfig, token_ends: Ending = token_end.warn, tell: Tell = log.warning) -> None:
        """``token_ends`` is told with each answer that the token ends soon, ``tell`` what is waited for."""
        if not config.api_token.isascii() or not config.api_token.isprintable():
            raise errors.SpecInvalid("the API token holds characters that no token has", hint="copy it once more")
        self.url, self._pages, self._token_ends = config.api_url, config.pages, token_ends
        self._tell = tell
        headers = {"Authorization": f"Bearer {config.api_token}"}
        self._client = httpx.Client(
            base_url=f"{self.url}/api/hub/v1/",
            headers=headers,
            timeout=httpx.Timeout(60, connect=5),
            event_hooks={"request": [_trace], "response": [self._look_at_token]},
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def sign_in(self, token: str) -> None:
        """Use another token from now on."""
        self._client.headers["Authorization"] = f"Bearer {token}"

    def _look_at_token(self, answer: httpx.Response) -> None:
        if (found := token_end.ending(answer.headers)) is not None:
            self._token_ends(self._pages, *found)

    def get(self, path: str, **query: Any) -> Any:
        """The reply's document."""
        wanted = {name: value for name, value in query.items() if value is not None}
        return self._again(lambda: self._checked(self._client.get(path, params=wanted))).json()

    def awaited(self, path: str, away_most_s: float) -> Any:
        """As :meth:`get`, for who waits: a hub may be away for ``away_most_s`` seconds; that it is, and is back, is told."""
        return self._again(lambda: self._checked(self._client.get(path)), away_most_s).json()

    def text(self, path: str, away_most_s: float = 0.0) -> str:
        """The reply as text; ``away_most_s`` as for :meth:`awaited`."""
        found: httpx.Response = self._again(lambda: self._checked(self._client.get(path)), away_most_s)
        return found.text

    def send(self, method: str, path: str, document: Any = None, *, patient: bool = False, **headers: str) -> Any:
        """Have something changed; the reply's document, or None where it has none.

        Where the hub says that it takes no more for now, a ``patient`` call is tried again when it says so, for up to
        :data:`PATIENCE_S`, which is told once; else that is raised, as :class:`~dynolab.errors.RateLimited`.
        """
        began, is_told = time.monotonic(), False
        while True:
            try:
                answer = self._checked(self._client.request(method, path, json=document, headers=headers))
            except (httpx.TransportError, errors.Unavailable) as error:
                raise self._away(error) from error
            except errors.RateLimited as error:
                pause_s = float(str(error.details.get("retry_after_s", RETRY_AFTER_S)))
                waited_s = time.monotonic() - began + pause_s
                if not patient or waited_s > PATIENCE_S:
                    raise
                if waited_s >= TELL_AFTER_S and not is_told:
                    is_told = True
                    again = f"trying again every {pause_s:g} s for up to {PATIENCE_S / 60:g} min, Ctrl-C ends it"
                    self._tell(f"{error.message}; {again}")
                time.sleep(pause_s)
                continue
            return answer.json() if answer.content else None

    def events(self, path: str, within_s: float | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
        """Server-sent events as they come, name and document; ``alive`` where the hub only says that it is there.

        Ends early, without an error, when nothing was heard for ``within_s``.
        """
        name = ""
        read_s = QUIET_MAX_S if within_s is None else min(QUIET_MAX_S, within_s)
        try:
            with self._client.stream("GET", path, timeout=httpx.Timeout(read_s, connect=5)) as answer:
                self._checked(answer)
                for line in answer.iter_lines():
                    key, _, value = line.partition(": ")
                    if key == "event":
                        name = value
                    elif key == "data":
                        yield name, json.loads(value)
                    elif line.startswith(":"):
                        yield "alive", {}
        except httpx.ReadTimeout as error:
            if within_s is None or within_s > QUIET_MAX_S:
                raise self._away(error) from error
        except (httpx.TransportError, errors.Unavailable) as error:
            raise self._away(error) from error

    def upload(
        self, path: Path, urls: list[str], part_bytes: int, counted: Counted, *, renewed: Callable[[], list[str]]
    ) -> list[str]:
        """Send a file in parts; their tags. A part that breaks off, or comes as other bytes than it went, is sent again.

        ``renewed`` gives other addresses of the same parts, where one has run out.
        """
        etags = list[str]()
        while len(etags) < len(urls):
            number = len(etags)
            place = number * part_bytes, part_bytes
            try:
                etags.append(self._again(partial(self._part, path, urls[number], place, counted)))
            except _Refused:
                urls = renewed()
                etags.append(self._again(partial(self._once_more, path, urls[number], place, counted)))
        return etags

    def _once_more(self, path: Path, url: str, place: tuple[int, int], counted: Counted) -> str:
        """As :meth:`_part`, to an address that was made just now. Raises :class:`~dynolab.errors.Forbidden` where it is refused."""
        try:
            return self._part(path, url, place, counted)
        except _Refused as error:
            raise errors.Forbidden(
                f"{httpx.URL(url).host} takes no part of {path.name} at the address that the hub has just given: {error}",
                hint="the clocks of the hub and of its store may differ, or the hub's keys for the store be good no more",
            ) from error

    def download(self, url: str, target: Path, size: int, counted: Counted) -> None:
        """Fetch a file; it is there whole or not at all."""
        self._again(lambda: self._fetch(url, target, size, counted))

    def _part(self, path: Path, url: str, place: tuple[int, int], counted: Counted) -> str:
        start, most = place
        size = path.stat().st_size
        length = max(0, min(most, size - start))

        def chunks() -> Iterator[bytes]:
            with path.open("rb") as file:
                file.seek(start)
                left = length
                while left and (chunk := file.read(min(left, CHUNK_BYTES))):
                    left -= len(chunk)
                    yield chunk
                    counted(start + length - left, size)

        headers = {"Content-Length": str(length), "Content-Digest": _digest(path, start, length)}
        try:
            answer = httpx.put(url, content=chunks(), headers=headers, timeout=60)
            if answer.status_code in (httpx.codes.FORBIDDEN, httpx.codes.NOT_FOUND):
                told = re.search("<Code>([^<]*)", answer.text)
                raise _Refused(f"{answer.status_code} {told[1] if told else answer.reason_phrase}")
            self._checked(answer)
        except errors.SpecInvalid as error:
            if "digest" in error.details:
                raise errors.TransferFailed(
                    f"other bytes of {path.name} came to the hub than went: {error.message}",
                    hint="something on the way alters them: a proxy, or failing memory",
                ) from error
            raise
        return answer.headers["etag"].strip('"')

    def _fetch(self, url: str, target: Path, size: int, counted: Counted) -> None:
        halfway = target.with_name(f"{target.name}.{os.getpid()}.partial")
        try:
            with httpx.stream("GET", url, timeout=60, follow_redirects=True) as answer:
                self._checked(answer)
                with halfway.open("wb") as file:
                    for chunk in answer.iter_bytes(CHUNK_BYTES):
                        file.write(chunk)
                        counted(file.tell(), size)
            halfway.replace(target)
        finally:
            halfway.unlink(missing_ok=True)

    def _again(self, call: Callable[[], Any], away_most_s: float = 0.0) -> Any:
        began, tries, is_told = time.monotonic(), 0, False
        while True:
            try:
                found = call()
            except (httpx.TransportError, errors.Unavailable, errors.TransferFailed) as error:
                tries += 1
                away_s = time.monotonic() - began
                if tries >= TRIES and away_s >= away_most_s:
                    if isinstance(error, errors.TransferFailed):
                        raise
                    raise self._away(error, away_s) from error
                if tries >= TRIES and not is_told:
                    is_told = True
                    self._tell(f"{self._away(error).message}; it is tried for up to {away_most_s:g} s")
                time.sleep(min(RETRY_FIRST_S * 2 ** (tries - 1), RETRY_MOST_S))
                continue
            if is_told:
                self._tell(f"the hub is back after {time.monotonic() - began:.0f} s")
            return found

    def _away(self, error: Exception, tried_s: float = 0.0) -> errors.Unavailable:
        """What is told of a hub that is away, or answers so; ``tried_s``: for how long it was asked again, if it was."""
        tried = f"; tried for {tried_s:.0f} s" if tried_s >= 1 else ""
        if isinstance(error, errors.Unavailable):
            return errors.Unavailable(
                f"the hub at {self.url} {error.message}: it, its database or its store is away or starting{tried}",
                hint="try again in a moment; whoever runs the hub sees why with `dynolab hub check`",
            )
        starts = LOOPBACK.fullmatch(httpx.URL(self.url).host) is not None
        return errors.Unavailable(
            f"the hub at {self.url} cannot be reached: {str(error) or type(error).__name__}{tried}",
            hint="is it running? `dynolab hub` starts one"
            if starts
            else "is it running there, and can this machine reach it? `dynolab login` changes the address",
        )

    def _checked(self, answer: httpx.Response) -> httpx.Response:
        """The reply, if it is a good one; else the error that it holds."""
        if answer.is_success:
            return answer
        answer.read()
        if answer.status_code in AWAY:
            raise errors.Unavailable(f"answered {answer.status_code}")
        try:
            document = answer.json()
        except ValueError:
            document = {}
        if isinstance(document, dict) and "code" in document:
            error = errors.from_dict(document)
            if (after := answer.headers.get("retry-after", "")).isdigit():
                error.details["retry_after_s"] = int(after)
            raise error
        raise errors.NotFound(
            f"{answer.request.url} answered {answer.status_code}: is a hub of dynolab there?",
            hint=f"the configured address is {self.url}",
        )


def _trace(request: httpx.Request) -> None:
    """What the caller's OpenTelemetry traces goes on at the hub, and with the job."""
    if place := tracing.callers_place():
        request.headers[tracing.HEADER] = place


def _digest(path: Path, start: int, length: int) -> str:
    """``Content-Digest`` (RFC 9530) of a part of a file: the hub then takes no other bytes for it."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        file.seek(start)
        while length and (chunk := file.read(min(length, CHUNK_BYTES))):
            length -= len(chunk)
            found.update(chunk)
    return f"sha-256=:{base64.b64encode(found.digest()).decode('ascii')}:"
