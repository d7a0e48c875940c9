"""The profile document that a job left."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

from sqlalchemy import Row

from dynolab.errors import SpecInvalid
from dynolab.hub.usecases import bounds
from dynolab.hub.usecases.base import Hub
from dynolab.hub.usecases.read_blob import read_all
from dynolab.spec import codec, untrusted
from dynolab.spec.profiles import Profile

MEASURING = ("profile", "inference")
"""Kinds of jobs that leave a profile."""
Document = TypeVar("Document")


async def read_profile(hub: Hub, row: Row[Any]) -> Profile | None:
    """The profile of the job whose row this is, read beside the event loop; None where it left none.

    Raises :class:`SpecInvalid` for a document that is no profile: an agent may send what it likes;
    :class:`TooLarge` for one that takes too long to read.
    """
    return None if row.kind not in MEASURING else await read_document(hub, row, Profile, "profile")


async def read_document(hub: Hub, row: Row[Any], kind: type[Document], noun: str) -> Document | None:
    """What the job left, as a document of this kind. As :func:`read_profile`."""
    if row.state != "done" or row.result_blob_id is None:
        return None
    content = await read_all(hub, row.result_blob_id, bounds.PROFILE_BYTES)
    return await asyncio.to_thread(_decoded, content, kind, f"the {noun} of {row.id}")


def _decoded(content: bytes, kind: type[Document], what: str) -> Document:
    try:
        document = untrusted.load_document(content)
    except ValueError as error:
        raise SpecInvalid(f"{what} is not JSON: {error}") from error
    return codec.decode(kind, document, what)
