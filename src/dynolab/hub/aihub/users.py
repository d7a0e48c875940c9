"""Who is signed in, and signing in by password."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dynolab.errors import SpecInvalid
from dynolab.hub.aihub.replies import protobuf, who
from dynolab.hub.aihub.wire import public_api_pb2 as pb
from dynolab.hub.usecases.base import Hub
from dynolab.hub.usecases.log_in import log_in
from dynolab.spec import untrusted


async def me(request: Request) -> Response:
    """``GET users/auth/user/``."""
    _, account = await who(request)
    return protobuf(pb.User(id=account.id, email=account.email, first_name=account.name))


async def login(request: Request) -> Response:
    """``POST users/auth/login/``: JSON both ways, as nowhere else in this protocol; a wrong password is 400."""
    hub: Hub = request.app.state.hub
    try:
        asked = untrusted.load_document(await request.body())
    except ValueError as error:
        raise SpecInvalid(f"the body is no JSON: {error}") from error
    email, password = (asked.get(name) if isinstance(asked, dict) else None for name in ("email", "password"))
    if not isinstance(email, str) or not isinstance(password, str):
        raise SpecInvalid("the body needs an `email` and a `password`, both text")
    return JSONResponse({"key": await log_in(hub, email, password)})


routes = [Route("/users/auth/user/", me), Route("/users/auth/login/", login, methods=["POST"])]
