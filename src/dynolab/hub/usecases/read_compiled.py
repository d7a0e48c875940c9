"""What a job that compiles tells of the model that it made."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row

from dynolab.hub.usecases.base import Hub
from dynolab.hub.usecases.read_profile import read_document
from dynolab.spec.compiles import Compiled


async def read_compiled(hub: Hub, row: Row[Any]) -> Compiled | None:
    """The document of the job whose row this is; None: it is of another kind, or left none.

    Raises what :func:`~dynolab.hub.usecases.read_profile.read_profile` does.
    """
    return await read_document(hub, row, Compiled, "compiled model") if row.kind == "compile" else None
