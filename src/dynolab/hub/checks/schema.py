"""Whether the database's tables are those that this dynolab knows: one that was changed by hand, or restored in part, is not."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from dynolab.hub.checks.base import SHOWN_MOST, Finding, Problem
from dynolab.hub.store.tables import metadata

_COLUMNS = text("""
    SELECT c.relname, a.attname, a.attnotnull FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
""")
_INDEXES = text("""
    SELECT relname FROM pg_class JOIN pg_index ON indexrelid = pg_class.oid
    WHERE relnamespace = current_schema()::regnamespace AND indisvalid
""")
"""One that was left half made is none."""


async def shape(connection: AsyncConnection) -> Finding:
    """Tables, columns and indexes that are missing, and columns that may be empty and must not be."""
    columns = {(table, name): must for table, name, must in await connection.execute(_COLUMNS)}
    indexes = set((await connection.execute(_INDEXES)).scalars())
    found = tuple(_missing(columns, indexes))
    return Finding(
        "schema-is-whole",
        "the database has the tables, columns and indexes of its version",
        "restore a backup into a new database; a missing index alone: make it again as the migrations do",
        found[:SHOWN_MOST],
        len(found),
    )


def _missing(columns: dict[tuple[str, str], bool], indexes: set[str]) -> Iterator[Problem]:
    for table in metadata.sorted_tables:
        if not any(name == table.name for name, _ in columns):
            yield Problem(f"table {table.name}", "it is not there")
            continue
        for column in table.columns:
            must = columns.get((table.name, column.name))
            if must is None:
                yield Problem(f"column {table.name}.{column.name}", "it is not there")
            elif not must and not column.nullable:
                yield Problem(f"column {table.name}.{column.name}", "it may be empty")
        for index in table.indexes:
            if index.name not in indexes:
                yield Problem(f"index {index.name}", "it is not there")
