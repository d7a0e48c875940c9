"""Statements that are run for every job: written in SQLAlchemy's Core, compiled once, and run by the driver itself.

SQLAlchemy keys and adapts a statement anew with each call, which costs four times what the driver needs. What is run here
takes part in the same transaction as what an :class:`AsyncConnection` runs by its own methods.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Sequence
from typing import Any, cast

import asyncpg
from sqlalchemy import ARRAY, BindParameter, Float, Select
from sqlalchemy.dialects.postgresql.asyncpg import PGCompiler_asyncpg, dialect
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.types import TypeEngine

Convert = Callable[[Any], Any]


class _Compiler(PGCompiler_asyncpg):
    """Writes constants into the statement itself: a plan that is made once for all values can then use partial indexes, too."""

    def visit_bindparam(self, bindparam: BindParameter[Any], *given: Any, **how: Any) -> str:
        if bindparam.unique:  # without a name of its own, so that no call gives its value
            how["literal_binds"] = True
        return str(super().visit_bindparam(bindparam, *given, **how))  # type: ignore[no-untyped-call]  # it has no types


_DIALECT = dialect()  # type: ignore[no-untyped-call]  # its constructor has no types
_DIALECT.statement_compiler = _Compiler


def driver(connection: AsyncConnection) -> asyncpg.Connection[Any]:
    """The driver's connection below one of SQLAlchemy's."""
    below = connection.sync_connection
    assert below is not None, "the connection is open"
    return cast("asyncpg.Connection[Any]", below.connection.driver_connection)


class Prepared:
    """A statement whose ``bindparam`` are given by name with each call. Rows have their columns' names as attributes."""

    def __init__(self, statement: Select[Any] | UpdateBase) -> None:
        compiled = statement.compile(dialect=_DIALECT)
        self.sql = compiled.string
        binds = [compiled.binds[name] for name in compiled.positiontup or ()]
        self._fixed = {bind.key: bind.value for bind in binds if not bind.required}
        self._arguments = [(bind.key, _into(bind.type)) for bind in binds]
        columns = statement.exported_columns
        self._row: Any = namedtuple("Row", [str(name) for name, _ in columns.items()])  # type: ignore[misc]  # known later
        converts = ((at, _out_of(column.type)) for at, column in enumerate(columns))
        self._out_of = [(at, convert) for at, convert in converts if convert is not None]

    async def all(self, connection: AsyncConnection, **values: object) -> list[Any]:
        """All rows."""
        found = await driver(connection).fetch(self.sql, *self._bound(values))
        return [self._made(record) for record in found]

    async def one_or_none(self, connection: AsyncConnection, **values: object) -> Any:
        """The first row, or None where there is none."""
        found = await driver(connection).fetchrow(self.sql, *self._bound(values))
        return None if found is None else self._made(found)

    async def scalar(self, connection: AsyncConnection, **values: object) -> Any:
        """The first row's first value, or None where there is no row."""
        row = await self.one_or_none(connection, **values)
        return None if row is None else row[0]

    async def execute(self, connection: AsyncConnection, **values: object) -> None:
        """Run a statement that gives no rows."""
        await driver(connection).fetch(self.sql, *self._bound(values))

    def _bound(self, values: dict[str, object]) -> list[object]:
        given = self._fixed | values
        return [given[name] if convert is None else convert(given[name]) for name, convert in self._arguments]

    def _made(self, record: Sequence[Any]) -> Any:
        if not self._out_of:
            return self._row._make(record)
        values = list(record)
        for at, convert in self._out_of:
            values[at] = convert(values[at])
        return self._row._make(values)


def _into(kind: TypeEngine[Any]) -> Convert | None:
    return kind.dialect_impl(_DIALECT).bind_processor(_DIALECT)


def _out_of(kind: TypeEngine[Any]) -> Convert | None:
    if isinstance(kind, Float):
        return None  # SQLAlchemy tells it from NUMERIC by the column of an answer; the driver makes a float of it
    if isinstance(kind, ARRAY) and _out_of(kind.item_type) is None:
        return None  # SQLAlchemy copies it, item by item; the driver has made a list of it
    return kind.dialect_impl(_DIALECT).result_processor(_DIALECT, None)
