"""A machine becomes an agent of a hub: once with a join token, from then on with what it keeps."""

from __future__ import annotations

import hashlib
import logging
import secrets
import shlex
import time
from collections.abc import Sequence

from dynolab import errors
from dynolab.agent import rotation, state
from dynolab.agent.http import HubDoor, greet
from dynolab.agent.outage import Outage
from dynolab.agent.state import Membership
from dynolab.agent.unit import program
from dynolab.spec.agents import AGENT_PROTOCOL
from dynolab.spec.joining import AGENT_PREFIX, JOIN_PREFIX, JoinRequest

SECRET_BYTES = 20
WAIT_FIRST_S, WAIT_MOST_S = 1.0, 30.0
log = logging.getLogger(__name__)


def address(url: str, join_token: str) -> str:
    """The address of the hub to serve; ``url`` empty: of the hub that this machine joined.

    Raises :class:`~dynolab.errors.SpecInvalid` where nothing here opens a hub.
    """
    kept = state.load(state.file())
    if kept is not None and url in ("", kept.hub):
        return kept.hub
    if url and join_token:
        return url
    raise errors.SpecInvalid(
        f"this machine has not joined {url or 'a hub'} yet",
        hint=f"the page /add-device of {'that' if url else 'a'} hub has the line to type, and so has `dynolab devices join-token`",
    )


def membership(url: str, join_token: str, device_id: str, name: str, *, options: Sequence[str] = ()) -> Membership:
    """What this machine serves the hub with: what it keeps, or else what the join token gives it.

    ``options`` are those that the command has to be given again.

    A join token is left alone where what is kept still opens the hub. Raises what the hub refuses with.
    """
    kept = state.load(state.file())
    if kept is not None and kept.hub == url:
        try:
            HubDoor(url, kept.token).check_token()
        except errors.Unauthorized:
            if (following := rotation.following(kept)) is not None:
                return following
            if not join_token:
                raise
            log.info("the token that is kept here opens %s no more: joining anew", url)
        else:
            if join_token:
                log.info("this machine has joined %s before: the join token is left as it is", url)
            return kept
    return join(url, join_token, device_id, name, options)


def join(url: str, join_token: str, device_id: str, name: str, options: Sequence[str]) -> Membership:
    """Join the hub, and keep what it knows this machine by. Asked again after an answer was lost, it goes on from there."""
    if not join_token.startswith(JOIN_PREFIX):
        raise errors.SpecInvalid(
            f"a join token begins with {JOIN_PREFIX}, and {join_token[:4]!r}... does not",
            hint="an agent's own token goes into a file: --token-file FILE",
        )
    asked = state.load(state.asked_file())
    if asked is None or asked.hub != url:
        asked = Membership(url, AGENT_PREFIX + secrets.token_urlsafe(SECRET_BYTES))
        state.save(state.asked_file(), asked)
    digest = hashlib.sha256(asked.token.encode()).hexdigest()
    told = HubDoor(url, "").join(JoinRequest(AGENT_PROTOCOL, join_token, digest, device_id, name))
    joined = Membership(url, asked.token, told.name)
    state.save(state.file(), joined)
    state.asked_file().unlink(missing_ok=True)
    again = shlex.join([str(program()), "agent", "--wait-for-hub", *options])
    log.info(
        "joined %s as an agent of %s; to start it again: %s (%s keeps the rest)", url, told.account, again, state.file()
    )
    return joined


def wait_for_hub(url: str) -> None:
    """Until the hub answers and this machine's clock is right; told once, and then ever more rarely. Raises as :func:`greet`."""
    outage, pause_s = Outage(), WAIT_FIRST_S
    while True:
        try:
            greet(url)
        except (errors.Unavailable, errors.DeviceUnfit) as error:
            outage.failed(error)
        else:
            return outage.over()
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, WAIT_MOST_S)
