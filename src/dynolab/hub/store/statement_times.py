"""How long the statements of each connection take, whoever runs them: SQLAlchemy, or the driver below it."""

from __future__ import annotations

import time
from typing import Any

from asyncpg.connection import LoggedQuery
from sqlalchemy import event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.ext.asyncio import AsyncEngine

from dynolab import tracing
from dynolab.hub.telemetry.metrics import observe_statement, statement_kind

TEXT_MOST = 1000
"""Characters of a statement that its span tells: its values are not in it, but parameters."""
BEGUN = "dynolab_statement_begun"


def watch_statements(engine: AsyncEngine) -> None:
    """Have all statements of the engine's connections observed.

    The driver tells of those that it is given as they are. SQLAlchemy's are prepared first, of which it does not tell; but of
    several at once (``executemany``) it does.
    """

    def connected(connection: Any, record: object) -> None:
        connection.driver_connection.add_query_logger(_logged)

    def begin(connection: Any, cursor: object, statement: str, parameters: object, context: Any, many: bool) -> None:
        connection.info[BEGUN] = None if many else time.perf_counter()

    def end(connection: Any, cursor: object, statement: str, parameters: object, context: Any, many: bool) -> None:
        begun = connection.info.pop(BEGUN, None)
        if begun is not None:
            _observe(statement, time.perf_counter() - begun, failed=False)

    def fail(context: ExceptionContext) -> None:
        begun = None if context.connection is None else context.connection.info.pop(BEGUN, None)
        if begun is not None:
            _observe(context.statement or "", time.perf_counter() - begun, failed=True)

    event.listen(engine.sync_engine, "connect", connected)
    event.listen(engine.sync_engine, "before_cursor_execute", begin)
    event.listen(engine.sync_engine, "after_cursor_execute", end)
    event.listen(engine.sync_engine, "handle_error", fail)


def _logged(query: LoggedQuery) -> None:
    _observe(query.query, query.elapsed, failed=query.exception is not None)


def _observe(sql: str, elapsed_s: float, *, failed: bool) -> None:
    observe_statement(sql, elapsed_s, failed=failed)
    if tracing.is_on():
        kind = statement_kind(sql)
        told = {
            "db__system__name": "postgresql",
            "db__operation__name": kind.upper(),
            "db__query__text": sql[:TEXT_MOST],
        }
        tracing.record(
            f"database {kind}", elapsed_s, kind="client", **told, **({"error__type": "failed"} if failed else {})
        )
