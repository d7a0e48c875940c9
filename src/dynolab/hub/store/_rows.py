"""Rows of all tables, out of one database and into another, by COPY in its text form, which all versions read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import IO, BinaryIO, cast

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from dynolab.hub.store.prepared import driver

LEFT_OUT = {
    "alembic_version",
    "pgqueuer_log",
    "pgqueuer_statistics",
    "stored_bytes",
    "total_bytes",
    "upload",
    "upload_part",
    "session",
    "invitation",
}
"""What the restored schema says itself, what nobody reads, what triggers count anew, uploads under way, which are begun anew, and browsers that are
signed in: one that signed out meanwhile must not come back."""
TABLES = text("""
    SELECT c.relname, array_agg(a.attname::text ORDER BY a.attnum)
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r'
      AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
    GROUP BY c.relname ORDER BY c.relname
""")
REFERENCES = text("""
    SELECT conrelid::regclass::text, confrelid::regclass::text FROM pg_constraint
    WHERE contype = 'f' AND connamespace = current_schema()::regnamespace AND conrelid <> confrelid
""")
SEQUENCES = text("SELECT sequencename, last_value FROM pg_sequences WHERE schemaname = current_schema()")


@dataclass(frozen=True, slots=True)
class Table:
    """A table and those of its columns that are not computed."""

    name: str
    columns: tuple[str, ...]


async def tables(connection: AsyncConnection) -> list[Table]:
    """All tables whose rows are kept, those that others refer to first."""
    columns = {name: tuple(names) for name, names in await connection.execute(TABLES)}
    order: TopologicalSorter[str] = TopologicalSorter(dict.fromkeys(columns, ()))
    for name, referred in await connection.execute(REFERENCES):
        order.add(name, referred)
    return [Table(name, columns[name]) for name in order.static_order() if name not in LEFT_OUT]


async def sequences(connection: AsyncConnection) -> dict[str, int]:
    """The last value of every sequence that was used."""
    return {name: value for name, value in await connection.execute(SEQUENCES) if value is not None}


async def copy_out(connection: AsyncConnection, table: Table, target: IO[bytes]) -> int:
    """Write the rows; how many they were."""
    names = ", ".join(f'"{name}"' for name in table.columns)
    status = await driver(connection).copy_from_query(
        f'SELECT {names} FROM "{table.name}"', output=cast(BinaryIO, target)
    )
    return int(status.split()[-1])


async def copy_in(connection: AsyncConnection, name: str, columns: Sequence[str], source: IO[bytes]) -> int:
    """Add the rows; how many they were."""
    status = await driver(connection).copy_to_table(name, source=cast(BinaryIO, source), columns=list(columns))
    return int(status.split()[-1])


async def set_sequences(connection: AsyncConnection, values: dict[str, int]) -> None:
    """Have every sequence go on where it was."""
    for name, value in values.items():
        await connection.execute(
            text("SELECT setval(quote_ident(:name)::regclass, :value)"), {"name": name, "value": value}
        )
