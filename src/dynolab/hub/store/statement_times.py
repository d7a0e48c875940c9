"""How long the statements of each connection take, whoever runs them: SQLAlchemy, or the driver below it."""

from __future__ import annotations

import time
from typing import Any

from asyncpg.connection import LoggedQuery
from sqlalchemy import event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.ext.asyncio import AsyncEngine

from dynolab.hub.telemetry.metrics import observe_statement

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
            observe_statement(statement, time.perf_counter() - begun, failed=False)

    def fail(context: ExceptionContext) -> None:
        begun = None if context.connection is None else context.connection.info.pop(BEGUN, None)
        if begun is not None:
            observe_statement(context.statement or "", time.perf_counter() - begun, failed=True)

    event.listen(engine.sync_engine, "connect", connected)
    event.listen(engine.sync_engine, "before_cursor_execute", begin)
    event.listen(engine.sync_engine, "after_cursor_execute", end)
    event.listen(engine.sync_engine, "handle_error", fail)


def _logged(query: LoggedQuery) -> None:
    observe_statement(query.query, query.elapsed, failed=query.exception is not None)
