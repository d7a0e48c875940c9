"""Which errors say that the database is away: requests that meet them are answered 503 and sent again."""

from __future__ import annotations

import asyncio

import pytest

pytest.importorskip("pgqueuer")

import asyncpg

from dynolab.errors import Unavailable
from dynolab.hub.store import database
from dynolab.hub.store.database import Database, is_away


@pytest.mark.parametrize(
    ("error", "away"),
    [
        (asyncpg.InternalClientError("got result for unknown protocol state 3"), True),
        (asyncpg.InterfaceError("cannot call Connection.fetch(): the underlying connection is closed"), True),
        (asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation"), True),
        (asyncpg.CannotConnectNowError("the database system is starting up"), True),
        (ConnectionRefusedError(), True),
        (asyncpg.InterfaceError("cannot perform operation: another operation is in progress"), False),
        (asyncpg.UniqueViolationError("duplicate key"), False),
        (ValueError("closed"), False),
    ],
)
def test_an_error_says_that_the_database_is_away(error: Exception, away: bool) -> None:
    assert is_away(error) is away


async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """What a server does whose disk is full: it ends a connection that begins, with an internal error."""
    words = b"SFATAL\0VFATAL\0CXX000\0Mcould not write init file\0\0"
    while length := await reader.read(4):
        if (await reader.readexactly(int.from_bytes(length) - 4))[:4] == b"\x04\xd2\x16\x2f":
            writer.write(b"N")  # no TLS, go on without
            continue
        writer.write(b"E" + (len(words) + 4).to_bytes(4) + words)
        break
    writer.close()
    await writer.wait_closed()


def test_a_server_that_gives_no_connection_is_away_whatever_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "AWAY_S", 0.2)

    async def ask() -> None:
        async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            asked = Database(f"postgresql+asyncpg://somebody@127.0.0.1:{port}/hub")
            with pytest.raises(Unavailable, match="does not answer"):
                async with asked.single():
                    pass
            await asked.close()

    asyncio.run(ask())
