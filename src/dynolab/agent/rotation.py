"""An agent rotates its own token before it ends, and keeps the next one before it shows it to the hub."""

from __future__ import annotations

import hashlib
import logging
import secrets
import time
from contextlib import closing
from pathlib import Path

from dynolab import errors, private_files
from dynolab.agent import state
from dynolab.agent.http import HubDoor
from dynolab.agent.state import Membership
from dynolab.spec.joining import AGENT_PREFIX, RotateRequest

SECRET_BYTES = 20
AGAIN_S = 3600.0
"""How long nothing is tried after it could not be done."""
log = logging.getLogger(__name__)


class TokenKeeper:
    """Where an agent's token is kept: a file of its own, what the machine joined with, or neither (the environment)."""

    def __init__(self, member: Membership, file: Path | None, *, joined: bool) -> None:
        """``file``: the token's own; ``joined``: it is in :func:`state.file`."""
        self._member, self._file = member, file
        self._place = file or (state.file() if joined else None)

    @property
    def is_kept(self) -> bool:
        """Whether a next token can be kept at all."""
        return self._place is not None

    @property
    def next_file(self) -> Path | None:
        """Of the next token, until the hub is known to know it."""
        return None if self._place is None else self._place.with_name(f"{self._place.name}.next")

    def now(self) -> str:
        """The token as it is kept now."""
        if self._file is not None:
            return self._file.read_text(encoding="utf-8").strip()
        kept = state.load(self._place) if self._place is not None else None
        return self._member.token if kept is None else kept.token

    def next(self) -> str:
        """The token that comes next, which is kept from now on. Raises OSError where it cannot be."""
        place = self.next_file
        assert place is not None
        if place.exists():
            return place.read_text(encoding="utf-8").strip()
        made = AGENT_PREFIX + secrets.token_urlsafe(SECRET_BYTES)
        private_files.write(place, made)
        return made

    def advance(self, token: str) -> None:
        """The next token is the token. Raises OSError."""
        place = self.next_file
        assert self._place is not None
        assert place is not None
        if self._file is not None:
            private_files.write(self._file, token)
        else:
            kept = state.load(self._place) or self._member
            state.save(self._place, Membership(kept.hub, token, kept.name))
        place.unlink(missing_ok=True)


class Rotation:
    """Rotates the token of an agent between two jobs, when the hub says that it is time."""

    def __init__(self, door: HubDoor, keeper: TokenKeeper, *, is_child: bool = False) -> None:
        """``is_child``: another process of ours rotates the token, and starts this one anew with the next."""
        self._door, self._keeper, self._is_child = door, keeper, is_child
        self._not_before_s = 0.0

    def resume(self) -> None:
        """Go on where an earlier process was interrupted: the hub may know the next token already, or even that one alone."""
        place = self._keeper.next_file
        if place is None or not place.exists():
            return
        try:
            self._rotate()
        except errors.Unauthorized:
            token = self._keeper.next()
            self._door.use(token)
            self._door.check_token()
            self._keeper.advance(token)

    def keep(self) -> None:
        """Rotate if that is due. What cannot be done now is logged, and tried again in an hour."""
        if not self._door.rotation_is_due or time.monotonic() < self._not_before_s:
            return
        if self._is_child:
            log.info("the token was rotated, or is about to be: this process is started anew with the next")
            raise SystemExit(0)
        try:
            if not self._keeper.is_kept:
                raise errors.SpecInvalid("it comes from the environment, where no next one can be kept")
            self._rotate()
        except (errors.UserError, OSError) as error:
            self._not_before_s = time.monotonic() + AGAIN_S
            log.warning("the token ends before long and cannot be rotated: %s", error)

    def _rotate(self) -> None:
        token = self._keeper.next()
        told = self._door.rotate(RotateRequest(hashlib.sha256(token.encode()).hexdigest()))
        self._keeper.advance(token)
        self._door.use(token)
        log.info("the token was rotated%s", f"; it is good until {told.expires_at}" if told.expires_at else "")


def following(kept: Membership) -> Membership | None:
    """What a machine that joined serves the hub with, where it was interrupted after the hub knew its next token; None: it was not."""
    keeper = TokenKeeper(kept, None, joined=True)
    place = keeper.next_file
    if place is None or not place.exists():
        return None
    token = keeper.next()
    try:
        with closing(HubDoor(kept.hub, token)) as door:
            door.check_token()
    except errors.Unauthorized:
        return None
    keeper.advance(token)
    return Membership(kept.hub, token, kept.name)
