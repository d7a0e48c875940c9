"""Outputs of two inference jobs, held against each other: the answer, each output's errors, how they lie."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dynolab.hub.pages.compare import OFFERED, address, chosen_ids
from dynolab.hub.pages.jobs import line
from dynolab.hub.pages.rendering import HEADERS, page
from dynolab.hub.pages.sessions import current_account
from dynolab.hub.usecases.compare_outputs import compare_outputs, find_on_same_inputs, find_with_outputs
from dynolab.report.html.outputs import outputs_view
from dynolab.spec import codec

PATH = "/compare/outputs"


def outputs_address(job_ids: Sequence[str], path: str = PATH) -> str:
    """The address of a comparison of outputs."""
    return address(job_ids, path)


async def show(request: Request) -> Response:
    """``GET /compare/outputs?job=A&job=B``: B's outputs against A's; with one job, those to compare it with."""
    hub, account = await current_account(request)
    ids = chosen_ids(request)
    if len(ids) < 2:
        rows = await find_with_outputs(hub, account, ids)
        others = await find_on_same_inputs(hub, account, rows[0], limit=OFFERED) if rows else []
        shown: dict[str, Any] = {"chosen": [line(row) for row in rows], "others": [line(row) for row in others]}
        data = (rows[0].dataset_id, rows[0].dataset_name) if rows else None
        return await page(request, "compare_outputs_choose.html.j2", account, **shown, data=data)
    rows, found = await compare_outputs(hub, account, ids)
    a, b = rows
    return await page(
        request,
        "compare_outputs.html.j2",
        account,
        sides=[(letter, line(row), row) for letter, row in zip("AB", rows, strict=True)],
        seen=outputs_view(found),
        other_data=a.dataset_id != b.dataset_id,
        turned=outputs_address([b.id, a.id]),
        download=outputs_address([a.id, b.id], f"{PATH}/json"),
        profiles=address([a.id, b.id]) if a.measures and b.measures else None,
    )


async def document(request: Request) -> Response:
    """``GET /compare/outputs/json``: the same as a file."""
    hub, account = await current_account(request)
    _, found = await compare_outputs(hub, account, chosen_ids(request))
    headers = {"Content-Disposition": 'attachment; filename="compared_outputs.json"', **HEADERS}
    content = json.dumps(codec.encode(found), indent=1) + "\n"
    return Response(content, headers=headers, media_type="application/octet-stream")


routes = [Route(PATH, show), Route(f"{PATH}/json", document)]
