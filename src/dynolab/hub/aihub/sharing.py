"""Sharing of jobs, models and datasets by e-mail address."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dynolab.errors import NotFound
from dynolab.hub.aihub.replies import body, protobuf, who
from dynolab.hub.aihub.wire import public_api_pb2 as pb
from dynolab.hub.store.tables import dataset, job, model
from dynolab.hub.usecases.share_access import change_sharing, shared_with, stop_sharing

TABLES = {"jobs": job, "models": model, "datasets": dataset}


async def sharing(request: Request) -> Response:
    """``GET``, ``PATCH``, ``DELETE`` ``{jobs|models|datasets}/ID/shared_access/``."""
    hub, account = await who(request)
    table, target_id = TABLES.get(request.path_params["kind"]), request.path_params["id"]
    if table is None:
        raise NotFound(f"{request.path_params['kind']} cannot be shared")
    if request.method == "PATCH":
        asked = await body(request, pb.SharedAccessChange())
        await change_sharing(hub, account, table, target_id, add=asked.add_email, remove=asked.remove_email)
    elif request.method == "DELETE":
        await stop_sharing(hub, account, table, target_id)
    else:
        return protobuf(pb.SharedAccess(email=await shared_with(hub, account, table, target_id)))
    return protobuf(pb.CreateUpdateResponse(id=target_id))


routes = [Route("/{kind}/{id}/shared_access/", sharing, methods=["GET", "PATCH", "DELETE"])]
