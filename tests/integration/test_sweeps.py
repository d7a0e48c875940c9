"""What the hub throws away by the clock, on a real PostgreSQL."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

pytest.importorskip("pgqueuer")

from sqlalchemy import insert, text

from dynolab.hub.app import open_hub
from dynolab.hub.settings import Settings
from dynolab.hub.store.blobs import Blobs
from dynolab.hub.store.tables import blob
from dynolab.hub.usecases.add_account import add_account, add_token
from dynolab.hub.usecases.announce_device import announce_device
from dynolab.hub.usecases.base import Hub
from dynolab.hub.usecases.check_runs_hub import OPERATOR
from dynolab.hub.usecases.find_board_states import BoardFilter, find_board_states
from dynolab.hub.usecases.sign_in import sign_in
from dynolab.hub.usecases.sweep_files import sweep_files
from dynolab.hub.usecases.sweep_objects import sweep_objects
from dynolab.spec.agents import DeviceOffer
from dynolab.testing.databases import Databases, OwnDatabase

AGE_S = 2.0


def test_only_what_two_looks_found_without_a_name_is_swept(postgres: OwnDatabase, tmp_path: Path) -> None:
    """An object is written before it is noted: what the first look finds may be on its way."""

    async def looked(hub: Hub) -> None:
        async def chunks() -> AsyncIterator[bytes]:
            yield b"bytes"

        noted, left, new = "attempts/a/result-1", "attempts/a/result-2", "attempts/b/log-1"
        for key in (noted, left):
            await hub.blobs.put(key, chunks())
        seen = []
        for _ in range(2):  # the second at once: no time has passed between them
            await sweep_objects(hub)
            seen.append(await hub.blobs.keys("attempts"))
        async with hub.database.begin() as connection:
            await connection.execute(insert(blob).values(id="b1", bytes=5, keys=[noted]))
        await asyncio.sleep(AGE_S)
        await hub.blobs.put(new, chunks())
        await sweep_objects(hub)
        seen.append(await hub.blobs.keys("attempts"))
        assert seen == [[noted, left], [noted, left], [noted, new]]

    async def opened() -> None:
        hub = await open_hub(Settings(tmp_path, orphan_age_s=AGE_S), postgres.url, postgres.dsn)
        await looked(hub)
        await hub.database.close()

    asyncio.run(opened())


def test_what_is_being_written_stays_whatever_its_time_says(tmp_path: Path) -> None:
    """The clock was set forward amid an upload: its file looks as if nobody had touched it for an hour."""
    blobs = Blobs(tmp_path)
    written, given_up = tmp_path / "uploads" / "00000-aa#1", tmp_path / "uploads" / "00001-bb#1"
    written.parent.mkdir()
    for path in (written, given_up):
        path.write_bytes(b"some")
        os.utime(path, (time.time() - 3700, time.time() - 3700))
    blobs.drop_unfinished(AGE_S)
    assert written.exists()
    assert given_up.exists()
    time.sleep(AGE_S)
    with written.open("ab") as file:
        file.write(b" more")
    blobs.drop_unfinished(AGE_S)
    assert written.exists()
    assert not given_up.exists()


def test_a_board_that_was_last_heard_of_at_a_time_to_come_is_away(postgres: OwnDatabase, tmp_path: Path) -> None:
    """The clock was set back since: such a board is not free for an hour."""

    async def states() -> dict[str, str]:
        hub = await open_hub(Settings(tmp_path), postgres.url, postgres.dsn)
        email = "clock@example.org"
        await add_account(hub, OPERATOR, email)
        agent = await sign_in(hub, f"token {await add_token(hub, email, 'agent')}", kind="agent")
        for name, ahead_s in (("here", 0), ("gone", 3600), ("before", -3600)):
            await announce_device(hub, agent, DeviceOffer(name, "clock", "1.0"))
            async with hub.database.begin() as connection:
                heard = text("UPDATE device SET seen_at = now() + :ahead * interval '1 second' WHERE id = :id")
                await connection.execute(heard, {"ahead": ahead_s, "id": name})
        found = await find_board_states(hub, agent, BoardFilter(text="clock"), limit=10)
        await hub.database.close()
        return {board.id: board.state for board in found}

    assert asyncio.run(states()) == {"here": "free", "gone": "away", "before": "away"}


@pytest.mark.parametrize("after", ["", "zzz"])
def test_files_are_swept_where_no_blob_is_left_to_look_at(databases: Databases, tmp_path: Path, after: str) -> None:
    """Of a new hub; and of one that has looked at all: the next sweep begins anew."""
    own = databases.new()

    async def swept() -> str:
        hub = await open_hub(Settings(tmp_path, orphan_age_s=AGE_S), own.url, own.dsn)
        try:
            hub.looked_at[blob.name] = after
            await sweep_files(hub)
            return hub.looked_at[blob.name]
        finally:
            await hub.database.close()

    assert asyncio.run(swept()) == ""
