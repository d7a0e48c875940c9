"""Models sent by the hub's API alone: nobody looks at them before they are there, which dynolab's own client does."""

from __future__ import annotations

from pathlib import Path

import httpx

from dynolab.client.client import Client
from dynolab.client.models import Model


def unchecked(client: Client, file: Path, kind: str, *, is_directory: bool = False) -> Model:
    """A model of these bytes, called what the file is called."""
    content = file.read_bytes()
    made = client.api.send("POST", "models", {"name": file.stem, "kind": kind, "is_directory": is_directory})["id"]
    begun = client.api.send("POST", f"models/{made}/uploads", {"size": len(content)})
    size = begun["part_bytes"]
    parts = [content[at : at + size] for at in range(0, len(content), size)]
    etags = [
        httpx.put(url, content=part, timeout=30).headers["etag"] for url, part in zip(begun["urls"], parts, strict=True)
    ]
    client.api.send("POST", f"models/{made}/uploads/{begun['upload_id']}/complete", {"etags": etags})
    return client.get_model(made)
