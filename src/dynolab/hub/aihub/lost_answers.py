"""Telling a submission that is sent again from a second one that says the same: the official client names neither.

It sends a POST again when the answer does not come within 28 s, or is a 503. What it sends again is what it sent before, to
the byte, and it has hung up on the first by then. Somebody who wants the same job twice is still waiting for, or has been
given, the first answer. So only what was not answered is taken for the same. This is known to the replica that did not
answer, as long as it runs; an answer that was sent and did not arrive is not known to anybody.
"""

from __future__ import annotations

import hashlib
import time
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from starlette.requests import Request

from dynolab.errors import Unavailable

LOST_FOR_S = 120.0
"""How long something unanswered is remembered; the client comes again within 10 s."""
Sent = tuple[int, str]
"""An account's id, and the digest of path and body."""


@dataclass(eq=False, slots=True)
class _Submission:
    request: Request
    key: str
    lost_at_s: float | None = None

    async def is_lost(self) -> bool:
        """Whether its sender knows nothing of its outcome, nor ever will."""
        return self.lost_at_s is not None or await self.request.is_disconnected()


class Submissions:
    """Those that are not answered: they run now, or their answer was lost."""

    def __init__(self) -> None:
        self._open: dict[Sent, list[_Submission]] = defaultdict(list)

    @asynccontextmanager
    async def key(self, request: Request, account_id: int, body: bytes) -> AsyncIterator[str]:
        """A key of idempotency for the block that carries out a submission: that of the lost one which it repeats, or new."""
        self._forget()
        sent = account_id, hashlib.sha256(request.url.path.encode() + b"\0" + body).hexdigest()
        mine = _Submission(request, await self._taken_over(sent) or f"not sent by the client: {uuid.uuid4().hex}")
        self._open[sent].append(mine)
        lost = False
        try:
            yield mine.key
            lost = await request.is_disconnected()
        except Unavailable:
            lost = True
            raise
        finally:
            if mine in self._open[sent]:  # else it was taken over
                if lost:
                    mine.lost_at_s = time.monotonic()
                else:
                    self._open[sent].remove(mine)
            if not self._open[sent]:
                del self._open[sent]

    async def _taken_over(self, sent: Sent) -> str | None:
        for one in list(self._open.get(sent, ())):
            if await one.is_lost() and one in self._open.get(sent, ()):
                self._open[sent].remove(one)
                return one.key
        return None

    def _forget(self) -> None:
        before = time.monotonic() - LOST_FOR_S
        for sent, found in list(self._open.items()):
            found[:] = [one for one in found if one.lost_at_s is None or one.lost_at_s > before]
            if not found:
                del self._open[sent]


def submissions(request: Request) -> Submissions:
    """Those of the hub that the request came to."""
    state = request.app.state
    if not hasattr(state, "submissions"):
        state.submissions = Submissions()
    found: Submissions = state.submissions
    return found
