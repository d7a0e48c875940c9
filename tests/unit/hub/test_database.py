"""Which errors say that the database is away: requests that meet them are answered 503 and sent again."""

from __future__ import annotations

import pytest

pytest.importorskip("pgqueuer")

import asyncpg

from dynolab.hub.store.database import is_away


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
