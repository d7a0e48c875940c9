"""Who is signed in."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dynolab.hub.aihub.replies import protobuf, who
from dynolab.hub.aihub.wire import public_api_pb2 as pb


async def me(request: Request) -> Response:
    """``GET users/auth/user/``."""
    _, account = await who(request)
    return protobuf(pb.User(id=account.id, email=account.email, first_name=account.name))


routes = [Route("/users/auth/user/", me)]
