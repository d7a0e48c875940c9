"""What the JSON API's resources have in common: who asks, pages, file addresses."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Depends, Query, Request, Security
from fastapi.security import APIKeyHeader

from dynolab.errors import SpecInvalid
from dynolab.hub.api.schemas import Download, Upload
from dynolab.hub.usecases.base import Account, Hub
from dynolab.hub.usecases.begin_upload import Begun
from dynolab.hub.usecases.link_file import link_file
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


def cursor(text: str | None) -> tuple[datetime, str] | None:
    """The last row of the page before. Raises :class:`SpecInvalid` for what no page has given."""
    if text is None:
        return None
    try:
        instant, last_id = urlsafe_b64decode(text.encode("ascii")).decode("ascii").split()
        at = datetime.fromisoformat(instant).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise SpecInvalid(f"before={text[:100]!r} is no cursor", hint="take `next` of the page before") from error
    if "\x00" in last_id:
        raise SpecInvalid(f"before={text[:100]!r} is no cursor")
    return at, last_id


def next_page(rows: Sequence[Any], limit: int) -> tuple[Sequence[Any], str | None]:
    """The page, of which one row more than ``limit`` was asked for, and the cursor of the one after it."""
    if len(rows) <= limit:
        return rows, None
    last = rows[limit - 1]
    return rows[:limit], urlsafe_b64encode(f"{last.created_at.isoformat()} {last.id}".encode()).decode("ascii")


def upload(request: Request, begun: Begun, size: int) -> Upload:
    """The addresses of an upload's parts."""
    base = request.app.state.base_url(request)
    urls = [f"{base}files/parts/{token}" for token in begun.tokens]
    return Upload(upload_id=begun.id, part_bytes=begun.part_bytes or size, urls=urls)


async def download(request: Request, blob_id: str, name: str, ending: str) -> Download:
    """The address of a file."""
    hub = _hub(request)
    size = await blob_size(hub, blob_id)
    path, file = link_file(hub, blob_id, name, ending)
    return Download(url=request.app.state.base_url(request) + path, name=file, bytes=size)
