"""Indexes of large tables: made before the migration that wants them, outside of a transaction, while others go on writing.

A migration names its own in ``INDEXES``, of columns and functions that are there before it, and calls :func:`make_missing`, which
finds them made unless somebody runs Alembic by hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg
import sqlalchemy as sa

TRIGRAMS = "gin_trgm_ops"
"""Of pg_trgm, which a server may lack: searching names then reads all of an account's rows."""
HAS_TRIGRAMS = "SELECT EXISTS (SELECT FROM pg_opclass WHERE opcname = 'gin_trgm_ops' AND pg_opclass_is_visible(oid))"
IS_WHOLE = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass($1)"


@dataclass(frozen=True, slots=True)
class Index:
    """An index: its columns, condition and further columns are SQL."""

    name: str
    table: str
    columns: str
    where: str = ""
    using: str = "btree"
    include: str = ""

    @property
    def needs_trigrams(self) -> bool:
        """Whether it can be only where pg_trgm is."""
        return TRIGRAMS in self.columns

    def statement(self, how: str = "") -> str:
        """The SQL that makes it, unless it is there."""
        include = f" INCLUDE ({self.include})" if self.include else ""
        where = f" WHERE {self.where}" if self.where else ""
        return f"CREATE INDEX {how} IF NOT EXISTS {self.name} ON {self.table} USING {self.using} ({self.columns}){include}{where}"


async def make_concurrently(connection: asyncpg.Connection, indexes: Sequence[Index]) -> None:
    """Make those that are not there, one after the other. One that an earlier try left half made is made anew.

    PostgreSQL reads the table twice, and waits each time for the transactions that began before; nobody waits for it.
    """
    await connection.execute("SET statement_timeout = 0; SET lock_timeout = 0")
    trigrams = await connection.fetchval(HAS_TRIGRAMS)
    for one in indexes:
        if one.needs_trigrams and not trigrams:
            continue
        if await connection.fetchval(IS_WHOLE, one.name) is False:
            await connection.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {one.name}")
        await connection.execute(one.statement("CONCURRENTLY"))


def make_missing(connection: sa.Connection, indexes: Sequence[Index]) -> None:
    """Make those that are not there in the transaction at hand."""
    trigrams = connection.scalar(sa.text(HAS_TRIGRAMS))
    for one in indexes:
        if trigrams or not one.needs_trigrams:
            connection.execute(sa.text(one.statement()))
