"""The agents' door: probes, claim, renew, finish, and an attempt's files. Bodies are the documents of :mod:`dynolab.spec.agents`.

Only the token that claimed an attempt is heard about it.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Coroutine
from importlib.metadata import version
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from dynolab import errors
from dynolab.errors import NotFound, SpecInvalid
from dynolab.hub.api.errors import answer
from dynolab.hub.scheduling.long_polls import CONNECTION, Connection
from dynolab.hub.usecases import bounds
from dynolab.hub.usecases.base import Account, Hub
from dynolab.hub.usecases.claim_attempt import Claim, ClaimedSource, claim_attempt
from dynolab.hub.usecases.end_attempt import finish_attempt
from dynolab.hub.usecases.join_machine import join_machine
from dynolab.hub.usecases.place_file import keep_placed_file, place_file, place_file_again
from dynolab.hub.usecases.read_blob import direct_address, read_blob
from dynolab.hub.usecases.renew_attempt import renew_attempt
from dynolab.hub.usecases.report_probe import report_probe
from dynolab.hub.usecases.revoke_token import revocation
from dynolab.hub.usecases.rotate_token import rotate_agent_token
from dynolab.hub.usecases.sign_in import sign_in
from dynolab.hub.usecases.store_file import COLUMNS, given_file, store_file
from dynolab.spec import codec, untrusted
from dynolab.spec.agents import (
    AGENT_PROTOCOL,
    OLDEST_AGENT_PROTOCOL,
    Assignment,
    Baseline,
    ClaimRequest,
    FileLate,
    FileLink,
    FileOffer,
    FileSent,
    LinkedSource,
    Outcome,
    ProbeReport,
    Renewal,
)
from dynolab.spec.duets import DuetTerms
from dynolab.spec.joining import AgentAccount, HubGreeting, JoinRequest, Rotated, RotateRequest

T = TypeVar("T")


async def greet(request: Request) -> Response:
    """``GET hub``: a :class:`HubGreeting`, for whoever asks."""
    return JSONResponse(codec.encode(HubGreeting(AGENT_PROTOCOL, version("dynolab"), OLDEST_AGENT_PROTOCOL)))


async def me(request: Request) -> Response:
    """``GET me``: an :class:`AgentAccount`."""
    agent = await sign_in(request.app.state.hub, request.headers.get("authorization", ""), kind="agent")
    return JSONResponse(codec.encode(AgentAccount(agent.email)))


async def join(request: Request) -> Response:
    """``POST join``: a :class:`JoinRequest`, and an :class:`AgentAccount` for it; needs no token but the one that is shown."""
    joined = await join_machine(request.app.state.hub, await _body(request, JoinRequest))
    return JSONResponse(codec.encode(joined))


async def rotate(request: Request) -> Response:
    """``POST rotate``: a :class:`RotateRequest`, and a :class:`Rotated` for it."""
    hub: Hub = request.app.state.hub
    agent = await sign_in(hub, request.headers.get("authorization", ""), kind="agent")
    until = await rotate_agent_token(hub, agent, (await _body(request, RotateRequest)).token_digest)
    return JSONResponse(codec.encode(Rotated("" if until is None else f"{until:%Y-%m-%dT%H:%M:%SZ}")))


class ClaimDoor:
    """``POST claim``: an :class:`Assignment`, or 204 when no job came in time. An ASGI application of its own: see :class:`~dynolab.hub.middleware.shortcut.Shortcut`.

    An agent that hangs up while it waits must not be given a job, nor one whose token is revoked: the wait is then broken off.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        hub: Hub = scope["app"].state.hub
        try:
            response = await self._answer(hub, scope, receive)
        except errors.Error as error:
            response = await answer(Request(scope, receive), error)
        await response(scope, receive, send)

    async def _answer(self, hub: Hub, scope: Scope, receive: Receive) -> Response:
        agent, asked, authorization = await self._asked(hub, Request(scope, receive))
        wait = _Wait(hub, authorization, scope[CONNECTION])
        found = await wait.broken_off(claim_attempt(hub, agent, asked), agent)
        if isinstance(found, int):
            return Response(status_code=found)
        return JSONResponse(codec.encode(_assignment(hub, found)))

    async def _asked(self, hub: Hub, request: Request) -> tuple[Account, ClaimRequest, str]:
        authorization = request.headers.get("authorization", "")
        try:
            return await sign_in(hub, authorization, kind="agent"), await _body(request, ClaimRequest), authorization
        except ClientDisconnect as gone:
            raise SpecInvalid("the sender hung up amid its question") from gone


class _Wait:
    """A wait that its own task makes, and that is broken off when the asker hangs up or is not who it was any more.

    For as long as an agent waits there are this and the task that waits.
    """

    __slots__ = ("_authorization", "_connection", "_hub", "_looking", "_task", "_why")

    def __init__(self, hub: Hub, authorization: str, connection: Connection) -> None:
        self._hub, self._authorization, self._connection = hub, authorization, connection
        self._task = asyncio.current_task()
        self._why: errors.Error | int | None = None
        self._looking: asyncio.Task[None] | None = None

    async def broken_off(self, claiming: Coroutine[Any, Any, Claim | None], agent: Account) -> Claim | int:
        """What was claimed, or the status where nothing is: 204, or 499 where nobody is there to hear of it. Raises :class:`Unauthorized`."""
        found: Claim | None = None
        self._connection.call_when_lost(self._gone)
        try:
            with self._hub.wakeups.calling(revocation(agent.token_id), self._look_again):
                found = await claiming
            self._connection.call_when_lost(None)
            if self._why is not None:
                await asyncio.sleep(0)  # it was broken off at this very moment: that is to be raised here
        except asyncio.CancelledError:
            if self._why is None or self._task is None:
                raise
            self._task.uncancel()
        finally:
            self._connection.call_when_lost(None)
            if self._looking is not None:
                self._looking.cancel()
        if isinstance(self._why, errors.Error):
            raise self._why
        return self._why or found or 204

    def _gone(self) -> None:
        self._break_off(499)

    def _look_again(self) -> None:
        """Some token was revoked: whether it was this agent's is asked."""
        self._looking = asyncio.create_task(self._is_known())

    async def _is_known(self) -> None:
        try:
            await sign_in(self._hub, self._authorization, kind="agent")
        except errors.Error as error:
            self._break_off(error)

    def _break_off(self, why: errors.Error | int) -> None:
        self._why = why
        if self._task is not None:
            self._task.cancel()


async def probes(request: Request) -> Response:
    """``POST probes``: a :class:`ProbeAnswer`; the device is announced by it, too."""
    hub: Hub = request.app.state.hub
    agent = await sign_in(hub, request.headers.get("authorization", ""), kind="agent")
    answer = await report_probe(hub, agent, await _body(request, ProbeReport))
    return JSONResponse(codec.encode(answer))


async def renew(request: Request) -> Response:
    """``POST attempts/ID/renew``: a :class:`RenewalAnswer`; 409 when the attempt is over."""
    hub: Hub = request.app.state.hub
    agent = await sign_in(hub, request.headers.get("authorization", ""), kind="agent")
    answer = await renew_attempt(hub, agent, _attempt(request), await _body(request, Renewal))
    return JSONResponse(codec.encode(answer))


async def finish(request: Request) -> Response:
    """``POST attempts/ID/finish``: 204; 409 when the attempt is over."""
    hub: Hub = request.app.state.hub
    agent = await sign_in(hub, request.headers.get("authorization", ""), kind="agent")
    outcome = bounds.checked_outcome(await _body(request, Outcome))
    await finish_attempt(hub, agent, _attempt(request), outcome)
    return Response(status_code=204)


async def offer(request: Request) -> Response:
    """``POST attempts/ID/uploads``: a :class:`FileOffer`, and :class:`FilePlaces` for it."""
    hub: Hub = request.app.state.hub
    agent = await sign_in(hub, request.headers.get("authorization", ""), kind="agent")
    asked = await _body(request, FileOffer)
    _check_left(asked.what)
    places = await place_file(hub, agent, _attempt(request), asked)
    return JSONResponse(codec.encode(places))


async def late(request: Request) -> Response:
    """``POST attempts/ID/uploads/addresses``: a :class:`FileLate`, and :class:`FilePlaces` with addresses that are good from now on."""
    hub: Hub = request.app.state.hub
    agent = await sign_in(hub, request.headers.get("authorization", ""), kind="agent")
    places = await place_file_again(hub, agent, _attempt(request), await _body(request, FileLate))
    return JSONResponse(codec.encode(places))


async def sent(request: Request) -> Response:
    """``POST attempts/ID/uploads/complete``: a :class:`FileSent`; 204."""
    hub: Hub = request.app.state.hub
    agent = await sign_in(hub, request.headers.get("authorization", ""), kind="agent")
    await keep_placed_file(hub, agent, _attempt(request), await _body(request, FileSent))
    return Response(status_code=204)


async def give(request: Request) -> Response:
    """``GET files/WHAT/ID``: the attempt's ``model``, ``baseline``, ``dataset`` or ``linked-0``; ``?direct=1``: or 307 to where it is."""
    hub: Hub = request.app.state.hub
    agent = await sign_in(hub, request.headers.get("authorization", ""), kind="agent")
    blob_id = await given_file(hub, agent, _attempt(request), request.path_params["what"])
    if request.query_params.get("direct") and (address := await direct_address(hub, blob_id, "file")) is not None:
        return RedirectResponse(address, 307, {"Cache-Control": "no-store"})
    size, chunks = await read_blob(hub, blob_id)
    headers = {"Content-Length": str(size), "X-Content-Type-Options": "nosniff"}
    return StreamingResponse(chunks, media_type="application/octet-stream", headers=headers)


async def take(request: Request) -> Response:
    """``PUT files/WHAT/ID``: what the attempt leaves: ``result``, ``output``, ``artifact`` or ``log``."""
    hub: Hub = request.app.state.hub
    agent = await sign_in(hub, request.headers.get("authorization", ""), kind="agent")
    what = request.path_params["what"]
    _check_left(what)
    length = request.headers.get("content-length", "")
    size = int(length) if length.isdecimal() else None
    await store_file(hub, agent, _attempt(request), what, request.stream(), size=size)
    return Response(status_code=204)


def _check_left(what: str) -> None:
    """Raises :class:`NotFound` for what no attempt leaves."""
    if what not in COLUMNS:
        raise NotFound(f"an attempt leaves no {what}")


def _attempt(request: Request) -> uuid.UUID:
    try:
        return uuid.UUID(request.path_params["attempt"])
    except ValueError as error:
        raise NotFound(f"{request.path_params['attempt']!r} is no attempt") from error


async def _body(request: Request, kind: type[T]) -> T:
    try:
        document = untrusted.load_document(await request.body())
    except ValueError as error:
        raise SpecInvalid(f"the body is no JSON that is taken: {error}") from error
    return codec.decode(kind, document, kind.__name__)


def _assignment(hub: Hub, found: Claim) -> Assignment:
    return Assignment(
        protocol=AGENT_PROTOCOL,
        attempt=str(found.attempt_id),
        number=found.number,
        job=found.job_id,
        kind=found.kind,
        options=found.options,
        lease_s=hub.limits.lease_s,
        model=FileLink(found.model.file_name, found.model.bytes),
        model_kind=found.model.kind,
        dataset=None if found.dataset_bytes is None else FileLink("dataset.h5", found.dataset_bytes),
        with_profile=found.measures,
        input_shapes=found.input_shapes,
        requirements=found.requirements,
        keeps_artifact=found.keeps_artifact,
        baseline=_baseline(found),
        input_specs=found.input_specs,
        weights_dtype=found.weights_dtype,
        activations_dtype=found.activations_dtype,
        linked=tuple(map(_linked, found.linked)),
        made_for=found.made_for,
        traceparent=found.traceparent,
        quantizations=found.quantizations,
    )


def _linked(one: ClaimedSource) -> LinkedSource:
    return LinkedSource(FileLink(one.model.file_name, one.model.bytes), one.model.kind, one.options, one.input_specs)


def _baseline(found: Claim) -> Baseline | None:
    if found.baseline is None or found.comparison is None:
        return None
    return Baseline(
        model=FileLink(found.baseline.file_name, found.baseline.bytes),
        model_kind=found.baseline.kind,
        options=found.comparison["options"],
        terms=codec.decode(DuetTerms, found.comparison["terms"]),
    )


routes = [
    Route("/claim", ClaimDoor(), methods=["POST"]),
    Route(
        "/files/{what}/{attempt}", take, methods=["PUT"]
    ),  # of each job, so before others: they are tried in their order
    Route("/files/{what}/{attempt}", give),
    Route("/attempts/{attempt}/finish", finish, methods=["POST"]),
    Route("/attempts/{attempt}/renew", renew, methods=["POST"]),
    Route("/attempts/{attempt}/uploads", offer, methods=["POST"]),
    Route("/attempts/{attempt}/uploads/addresses", late, methods=["POST"]),
    Route("/attempts/{attempt}/uploads/complete", sent, methods=["POST"]),
    Route("/probes", probes, methods=["POST"]),
    Route("/hub", greet),
    Route("/me", me),
    Route("/join", join, methods=["POST"]),
    Route("/rotate", rotate, methods=["POST"]),
]
