"""Queues in which a job waits although somebody waits for one: the notice of it was lost, or whoever heard it had no success."""

from __future__ import annotations

from dynolab.hub.usecases.base import Hub


async def sweep_queues(hub: Hub) -> None:
    """Have one of those who wait look again, for each queue that is not empty.

    So agents that found their queues empty need not look by themselves as long as no notice comes.
    """
    async with hub.database.single() as connection:
        hub.wakeups.wake(await hub.queue.waiting(connection))
