"""A hub is opened once its database and its store answer: after a power cut they may come up later than it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from dynolab.errors import Unavailable
from dynolab.hub.app import open_hub
from dynolab.hub.settings import Settings
from dynolab.hub.usecases.base import Hub

PAUSE_FIRST_S, PAUSE_MOST_S = 0.5, 10.0
TELL_FIRST_S, TELL_MOST_S = 60.0, 3600.0
"""After how long it is told again that the hub waits; each time twice as long."""


async def opened(settings: Settings, url: str, dsn: str, tell: Callable[[str], None]) -> Hub:
    """The hub's parts, as :func:`open_hub`, once what it needs answers; ``tell`` hears what is waited for, ever more rarely.

    Raises at once what no waiting mends, such as a database that refuses the password.
    """
    clock = asyncio.get_running_loop().time
    since, due, again_s, pause_s = clock(), 0.0, TELL_FIRST_S, PAUSE_FIRST_S
    while True:
        try:
            hub = await open_hub(settings, url, dsn, serves=True)
        except Unavailable as error:
            if clock() >= due:
                hint = f"\n  hint: {error.hint}" if error.hint and not due else ""
                tell(f"the hub waits to start, for {clock() - since:.0f} s now: {error}{hint}")
                due, again_s = clock() + again_s, min(2 * again_s, TELL_MOST_S)
        else:
            if due:
                tell(f"the hub waited for {clock() - since:.0f} s, and starts")
            return hub
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, PAUSE_MOST_S)
