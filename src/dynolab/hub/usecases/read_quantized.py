"""What a job that quantises tells of the model that it made."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row

from dynolab.hub.usecases.base import Hub
from dynolab.hub.usecases.read_profile import read_document
from dynolab.spec.quantizes import Quantized


async def read_quantized(hub: Hub, row: Row[Any]) -> Quantized | None:
    """The document of the job whose row this is; None: it is of another kind, or left none.

    Raises what :func:`~dynolab.hub.usecases.read_profile.read_profile` does.
    """
    return await read_document(hub, row, Quantized, "quantised model") if row.kind == "quantize" else None
