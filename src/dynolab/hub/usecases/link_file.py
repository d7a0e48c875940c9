"""Where the bytes of a model, dataset or log are to be had."""

from __future__ import annotations

import re

from dynolab.hub.store.links import Link
from dynolab.hub.usecases.base import Hub

_ODD = re.compile(r"[^A-Za-z0-9_-]+")


def link_file(hub: Hub, blob_id: str, name: str, ending: str) -> tuple[str, str]:
    """The address of a blob below the hub's own, good for a day and without a token, and the file's name in it.

    The name has no dot or slash of its own: clients build paths from it.
    """
    file = (_ODD.sub("_", name).strip("_") or "file") + ending
    return f"files/blobs/{hub.links.sign(Link('read', blob_id))}/{file}", file
