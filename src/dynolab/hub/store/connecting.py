"""How connections to the database are made: with its address's own words (TLS, several servers), directly or through a pooler.

A pooler in transaction mode (PgBouncer) hands each transaction to another of the server's sessions. So nothing of a session
may outlast a transaction: no prepared statement, no setting, no lock, no LISTEN. What needs a session goes by the direct address.
"""

from __future__ import annotations

import os
import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from dynolab import errors
from dynolab.hub.setting_types import without_password

APPLICATION = "dynolab hub"
BOUNDS = {"statement_timeout": "25s", "idle_in_transaction_session_timeout": "15s"}
SESSION = {
    **BOUNDS,
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}
"""What the server keeps to for each connection, so that the locks of a hub that froze or was cut off are free again."""
BEGIN = "; ".join(["BEGIN", *(f"SET LOCAL {name} = '{value}'" for name, value in BOUNDS.items())])
"""The same for one transaction through a pooler, which refuses such settings with a connection, and keeps the server's alive itself."""
STATEMENT_S = 25.0
"""How long a statement that is a transaction of its own may take through a pooler."""


def own_name() -> str:
    """What this process calls itself, of which PostgreSQL keeps 63 bytes. `dynolab hub check` tells replicas and their versions by it."""
    return f"{APPLICATION} {version('dynolab')} {socket.gethostname()[:24]}:{os.getpid()}"


def plain(url: str) -> str:
    """The address as the driver reads it, of SQLAlchemy's form of it."""
    return url.replace("+asyncpg", "", 1)


def engine(
    url: str, *, pooled: bool = False, level: str = "AUTOCOMMIT", bounded: bool = True, **more: Any
) -> AsyncEngine:
    """Connections to SQLAlchemy's URL. The driver reads the address, not SQLAlchemy, which knows neither ``sslmode`` nor several hosts.

    AUTOCOMMIT: SQLAlchemy sends no BEGIN, transactions are the driver's, so that prepared statements take part in them.
    ``bounded``: whether statements and pauses within transactions may last as long as the hub's do, and no longer.
    """
    named = {"application_name": own_name()}
    arguments: dict[str, Any] = {
        "dsn": plain(url),
        "server_settings": named | SESSION if bounded else named,
    }
    if pooled:
        arguments |= {
            "server_settings": named,
            "statement_cache_size": 0,
            "prepared_statement_cache_size": 0,
            "prepared_statement_name_func": str,  # no name: the driver then prepares and runs a statement in one go
            "command_timeout": STATEMENT_S,
        }
    return create_async_engine("postgresql+asyncpg://", isolation_level=level, connect_args=arguments, **more)


async def connect(url: str) -> asyncpg.Connection[Any]:
    """One connection of the driver's own, for what needs a session."""
    return await asyncpg.connect(plain(url))


@contextmanager
def told(url: str, setting: str) -> Iterator[None]:
    """What goes wrong with the database of this address becomes an error with its reason, as whoever runs a hub wants to know it.

    ``setting``: where the address stands, for hints. Raises :class:`Unavailable` only for what waiting may mend.
    """
    try:
        yield
    except Exception as error:
        cause = error.__cause__ or error
        if (refused := refusal(cause, setting)) is not None:
            raise refused from error
        if not isinstance(error, errors.Unavailable):
            raise
        raise errors.Unavailable(
            f"the database {without_password(plain(url))} does not answer: {reason(cause)}",
            hint="is it up, and is its address right? `dynolab hub config` tells which settings hold",
        ) from error


def refusal(error: BaseException | None, setting: str = "DYNOLAB_DATABASE_URL") -> errors.Error | None:
    """The error of a database that will not have this hub, by what was said; None: it is another kind of error.

    SQLSTATEs: Appendix A of PostgreSQL's manual.
    """
    error = _driver_error(error)
    if isinstance(error, ssl.SSLError):
        hint = f"sslrootcert in {setting} names the issuer's certificate; verify-full wants the name in the address"
        return errors.Forbidden(f"the database's certificate is not taken: {_said(error)}", hint=hint)
    if isinstance(error, asyncpg.ClientConfigurationError):
        hint = f"sslmode, sslrootcert, sslcert and sslkey in {setting}: as libpq has them"
        return errors.SpecInvalid(f"the database's address cannot be used: {_said(error)}", hint=hint)
    if isinstance(error, ConnectionError) and "SSL" in str(error):
        return errors.Forbidden(
            f"the database speaks no TLS: {_said(error)}", hint=f"turn it on there, or change sslmode in {setting}"
        )
    state, said = str(getattr(error, "sqlstate", None) or ""), _said(error)
    if "startup parameter" in said:
        hint = "through a pooler: name the database itself, too, with DYNOLAB_DATABASE_DIRECT_URL"
        return errors.SpecInvalid(f"this is a pooler, not the database: {said}", hint=hint)
    pooler = state == "08P01"  # PgBouncer refuses by a protocol violation, and tells why in words alone
    if state.startswith("28") or (pooler and re.search("authentication failed|no such user", said)):
        return errors.Forbidden(f"the database refuses this hub: {said}", hint=f"user and password stand in {setting}")
    if state == "3D000" or (pooler and "no such database" in said):
        return errors.NotFound(
            f"the database server has no such database: {said}", hint="make it first: CREATE DATABASE"
        )
    return None


def reason(error: BaseException | None) -> str:
    """What the driver said, in a line."""
    error = _driver_error(error)
    return _said(error) or type(error).__name__


def _driver_error(error: BaseException | None) -> BaseException | None:
    if isinstance(error, DBAPIError):
        return error.orig.__cause__ if error.orig is not None and error.orig.__cause__ is not None else error.orig
    return error


def _said(error: BaseException | None) -> str:
    return str(error).strip().partition("\n")[0] if error is not None else ""
