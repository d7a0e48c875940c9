"""What a hub does all along ends when the hub does, also where a cancellation is lost."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from dynolab.hub import app


def test_a_task_that_loses_a_cancellation_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """``asyncio.wait_for`` of Python 3.11 gives its result, not CancelledError, to who is cancelled as what it waits for ends."""
    monkeypatch.setattr(app, "CANCEL_EVERY_S", 0.01)

    async def listens() -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        await asyncio.sleep(60)

    async def ended() -> list[bool]:
        tasks = [asyncio.create_task(listens()), asyncio.create_task(asyncio.sleep(0))]
        await asyncio.sleep(0.01)
        await app.end_tasks(tasks)
        return [one.done() for one in tasks]

    assert asyncio.run(asyncio.wait_for(ended(), 20)) == [True, True]
