"""Which version of the official client asks: some replies depend on it."""

from __future__ import annotations

import re

from starlette.requests import Request

Version = tuple[int, int]
MERGED_JOBS: Version = (0, 56)
"""From here on a profile job is an inference job with ``is_profiling_on``; older clients know profile jobs only."""
TOLD_NOT_FOUND: Version = (0, 48)
"""From here on a client shows the text of an answer 404; older ones show its number."""
SEEDED_TARGETS: Version = (0, 53)
"""From here on a client wants to know a job's target model before it is made; older ones take it for made."""


def client_version(request: Request) -> Version:
    """Major and minor of ``Client-Version`` (0.45 and later) or ``User-Agent``; (0, 0) when neither tells."""
    text = request.headers.get("client-version") or request.headers.get("user-agent", "")
    found = re.search(r"(\d+)\.(\d+)", text if "/" not in text or "qai_hub" in text else "")
    return (int(found[1]), int(found[2])) if found else (0, 0)
