"""What the JSON API's resources have in common: who asks, pages, file addresses."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Query, Request, Security
from fastapi.security import APIKeyHeader

from dynolab.hub.api.schemas import Download, Upload
from dynolab.hub.usecases.base import Account, Hub
from dynolab.hub.usecases.begin_upload import Begun
from dynolab.hub.usecases.open_link import link_file
from dynolab.hub.usecases.read_blob import blob_size
from dynolab.hub.usecases.sign_in import sign_in

PAGE, PAGE_MAX = 50, 200
_header = APIKeyHeader(
    name="Authorization", scheme_name="token", auto_error=False, description="`Bearer TOKEN` or `token TOKEN`."
)


def _hub(request: Request) -> Hub:
    hub: Hub = request.app.state.hub
    return hub


async def _signed_in(hub: TheHub, authorization: Annotated[str | None, Security(_header)]) -> Account:
    return await sign_in(hub, authorization or "", kind="user")


TheHub = Annotated[Hub, Depends(_hub)]
"""The hub's parts."""
Caller = Annotated[Account, Depends(_signed_in)]
"""Who asks; without a good token nobody gets any further."""
Limit = Annotated[int, Query(ge=1, le=PAGE_MAX, description="How many there are to be on the page.")]
Before = Annotated[str | None, Query(max_length=500, description="`next` of the page before this one.")]
Filter = Annotated[str, Query(max_length=256)]


def upload(request: Request, begun: Begun, size: int) -> Upload:
    """The addresses of an upload's parts."""
    urls = begun.addresses(request.app.state.base_url(request))
    return Upload(upload_id=begun.id, part_bytes=begun.part_bytes or size, urls=urls)


async def download(
    request: Request, account: Account, verb: str, target_id: str, blob_id: str, name: str, ending: str
) -> Download:
    """The address of a file; ``verb`` says what of the target it is (see :data:`~dynolab.hub.usecases.open_link.TABLES`)."""
    hub = _hub(request)
    size = await blob_size(hub, blob_id)
    path, file = link_file(hub, account, verb, target_id, name, ending)
    return Download(url=request.app.state.base_url(request) + path, name=file, bytes=size)
