"""The database: connections, transactions, and the schema brought up to date."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, PendingRollbackError
from sqlalchemy.exc import TimeoutError as NoConnection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.pool import QueuePool

from dynolab.errors import Conflict, Unavailable
from dynolab.hub.store.connecting import BEGIN, connect, engine, reason, refusal, told
from dynolab.hub.store.indexes import Index, make_concurrently
from dynolab.hub.store.prepared import driver
from dynolab.hub.store.statement_times import watch_statements
from dynolab.hub.telemetry import metrics

if TYPE_CHECKING:
    from alembic.config import Config

log = logging.getLogger(__name__)
MIGRATIONS = Path(__file__).parent / "migrations"
POOL_CONNECTIONS = 10
CONNECTION_LIFE_S = 600.0
"""A connection is replaced after so long: the database's process at its other end keeps what it learned of each statement,
10 MiB and more as the hours pass."""
POOL_WAIT_S = 25.0
"""How long a request waits for a connection: less than the 28 s after which the official client asks again."""
AWAY_S = 5.0
"""How long a request waits for a database that does not answer before it is told to come again: a restart takes less."""
AWAY_POLL_S = 0.05
TELL_EVERY_S = 10.0
"""How often the same reason why the database is away is logged at most."""
READ_ONLY = "25006"
FROM_DRIVER = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, ConnectionError)
"""What the driver itself raises; the third one, where a statement follows an end that it has not understood yet."""
MAKER = "schema_made_by"
"""The setting with the version of the schema, and that of the dynolab that made it."""
LOCK_WITHIN = "2s"
"""How long a migration waits for a table; whoever asks for that table waits behind it."""
UPGRADE_PAUSE_S, UPGRADE_PATIENCE_S = 0.5, 300.0
UPGRADE_LOCK = 0x64796E6F
"""The advisory lock that lets one replica alone upgrade the schema."""
MADE = "dynolab_made"
"""When (monotonic) the connection was made, in its ``info``."""
_told: dict[str, float] = {}
"""When (monotonic) a reason was logged last."""
COMMITTED = "dynolab_committed"
"""What is to be done once the transaction at hand is committed, in the connection's ``info``."""


class Database:
    """Connections to one PostgreSQL database, by SQLAlchemy's URL (``postgresql+asyncpg://...``)."""

    def __init__(self, url: str, *, direct_url: str | None = None) -> None:
        """``direct_url``: that ``url`` leads through a pooler, and where the database itself is."""
        self.url = url
        self._direct_url = direct_url
        self._engine = self._pool(POOL_CONNECTIONS)
        self._open: list[AsyncConnection] = []
        """Connections that nobody uses, and that are open as SQLAlchemy's still: to open and close one costs more than a statement."""
        self._free = asyncio.Semaphore(POOL_CONNECTIONS)
        """Who wants one of the pool waits here, first come, first served; in the pool's own line nobody stands."""
        self._apart = self._pool(1)
        """Whether the database answers is asked here: however many wait for one of the others, that is told at once."""

    def _pool(self, size: int) -> AsyncEngine:
        pooled = self._direct_url is not None
        made = engine(
            self.url,
            pooled=pooled,
            pool_size=size,
            max_overflow=0,
            pool_timeout=POOL_WAIT_S,
            pool_recycle=CONNECTION_LIFE_S,
        )
        watch_statements(made)
        return made

    @asynccontextmanager
    async def begin(self, first: str = "") -> AsyncIterator[AsyncConnection]:
        """A transaction: committed at the end, rolled back when an error leaves it.

        ``first``: a statement without parameters that goes with its BEGIN, such as one that waits for a lock.

        Raises :class:`Unavailable` when the database is away, or goes away amid it: whether a commit that was not
        answered took place is then not known.
        """
        async with self.single() as connection:
            below, ended = driver(connection), False
            committed: list[Callable[[], None]] = []
            connection.info[COMMITTED] = committed
            try:
                await below.execute("; ".join(filter(None, ("BEGIN" if self._direct_url is None else BEGIN, first))))
                yield connection
                await below.execute("COMMIT")
                ended = True
                for call in committed:
                    call()
            except BaseException:
                with suppress(*FROM_DRIVER):
                    await below.execute("ROLLBACK")
                    ended = True
                raise
            finally:
                connection.info.pop(COMMITTED, None)
                if not ended:  # lost, or cut off: nobody may go on with what it left open
                    await connection.invalidate()

    @asynccontextmanager
    async def single(self) -> AsyncIterator[AsyncConnection]:
        """A connection on which each statement is a transaction of its own: for those who need one only."""
        async with _lent(self._borrow, self._give_back) as connection:
            yield connection

    async def _borrow(self) -> AsyncConnection:
        if self._free.locked():
            async with asyncio.timeout(POOL_WAIT_S):
                await self._free.acquire()
        else:
            await self._free.acquire()
        try:
            while self._open:
                connection = self._open.pop()
                if not driver(connection).is_closed():
                    return connection
                await _drop(connection)
            connection = await _connect(self._engine)
            connection.info.setdefault(MADE, time.monotonic())
            return connection
        except BaseException:
            self._free.release()
            raise

    async def _give_back(self, connection: AsyncConnection) -> None:
        try:
            if connection.closed or connection.invalidated or connection.in_transaction() or _is_old(connection):
                await connection.close()
            else:
                self._open.append(connection)
        finally:
            self._free.release()

    async def upgrade(self, *, patience_s: float | None = None) -> str | None:
        """Bring the schema to the newest version; safe with several replicas at once.

        ``patience_s``: for how long a database that refuses connections is asked again, None: as for a request.

        The version that it had, where it was this one that brought it further; else None, also where there was none.

        Raises :class:`Conflict` when a newer dynolab has brought it further already.
        """
        direct = Database(self._direct_url) if self._direct_url is not None else self
        try:
            for one in (direct, self):
                with told(one.url, "DYNOLAB_DATABASE_URL" if one is self else "DYNOLAB_DATABASE_DIRECT_URL"):
                    await one.ready(patience_s)
            return await direct._upgrade_schema()
        finally:
            if direct is not self:
                await direct.close()

    async def _upgrade_schema(self) -> str | None:
        """One migration a transaction. Other replicas go on with the database meanwhile.

        A migration that does not get a table within :data:`LOCK_WITHIN` lets those go on who would wait behind it, and begins anew.
        """
        until = asyncio.get_running_loop().time() + UPGRADE_PATIENCE_S
        first, begun = None, False
        while True:
            try:
                is_newest, before = await self._migrate_once()
                first, begun = (first if begun else before), True
                if is_newest:
                    return None if first == newest() else first
            except _OthersMigrate:
                await asyncio.sleep(UPGRADE_PAUSE_S)
            except Exception as error:
                if not _is_taken(error):
                    raise
                if asyncio.get_running_loop().time() > until:
                    raise Unavailable(
                        f"the schema cannot be brought up to date: a transaction has kept a table for {UPGRADE_PATIENCE_S:.0f} s",
                        hint="end it: SELECT pid, state, query FROM pg_stat_activity WHERE xact_start < now() - interval '1 minute'",
                    ) from error
                await asyncio.sleep(UPGRADE_PAUSE_S)

    async def _migrate_once(self) -> tuple[bool, str | None]:
        """Carry out the next migration; whether there was none, and the version before. Raises :class:`_OthersMigrate` while another replica is at it.

        Nobody waits for the lock: an index that is made meanwhile would wait for whoever does.
        """
        await self._make_indexes()
        async with self.begin() as connection:
            await driver(connection).execute("SET LOCAL statement_timeout = 0")  # tables may be large
            if not await connection.scalar(text(f"SELECT pg_try_advisory_xact_lock({UPGRADE_LOCK})")):
                raise _OthersMigrate
            before = await known_version(connection)
            if before == newest():
                await _note_maker(connection)
                return True, before
            await driver(connection).execute(f"SET LOCAL lock_timeout = '{LOCK_WITHIN}'")
            await connection.run_sync(_upgrade)
            return False, before

    async def _make_indexes(self) -> None:
        """Those that the next migration wants, on a connection without a transaction."""
        async with self.single() as connection:
            version = await known_version(connection)
        indexes = () if version in (None, newest()) else await asyncio.to_thread(_next_indexes, str(version))
        if not indexes:
            return
        session = await connect(self.url)
        try:
            if not await session.fetchval(f"SELECT pg_try_advisory_lock({UPGRADE_LOCK})"):
                raise _OthersMigrate
            await make_concurrently(session, indexes)
        finally:
            await session.close()

    async def ready(self, patience_s: float | None = None) -> None:
        """Ask the database for something, on a connection kept for that; raises :class:`Unavailable` when it is not there."""
        async with _lent(partial(_connect, self._apart, patience_s), AsyncConnection.close) as connection:
            await connection.execute(text("SELECT 1"))

    def connections(self) -> tuple[int, int]:
        """How many connections of the pool are in use, and how many are idle."""
        pool = self._engine.pool
        assert isinstance(pool, QueuePool), "SQLAlchemy's own choice for this driver"
        return pool.checkedout() - len(self._open), pool.checkedin() + len(self._open)

    async def close(self) -> None:
        """Close all connections."""
        while self._open:
            await self._open.pop().close()
        await self._engine.dispose()
        await self._apart.dispose()


class _OthersMigrate(Exception):
    """Another replica brings the schema up to date."""


def after_commit(connection: AsyncConnection, call: Callable[[], None]) -> None:
    """Do something once the transaction at hand is committed; without one, at once. For what counts what was done."""
    committed = connection.info.get(COMMITTED)
    if committed is None:
        call()
    else:
        committed.append(call)


@asynccontextmanager
async def _lent(
    borrow: Callable[[], Awaitable[AsyncConnection]], give_back: Callable[[AsyncConnection], Awaitable[None]]
) -> AsyncIterator[AsyncConnection]:
    """A connection that stands, until the block ends. What tells that the database is away becomes :class:`Unavailable`."""
    begun = time.perf_counter()
    try:
        connection = await borrow()
        metrics.CONNECTION_SECONDS.observe(time.perf_counter() - begun)
    except Exception as error:
        if _gives_none(error) or refusal(error) is not None:
            _tell(error)
            raise Unavailable(f"the database does not answer ({type(error).__name__})", hint="ask again") from error
        raise
    below = driver(connection)
    try:
        yield connection
    except (DBAPIError, PendingRollbackError, *FROM_DRIVER) as error:
        if getattr(getattr(error, "orig", error), "sqlstate", None) == READ_ONLY:
            await connection.invalidate()  # another may lead to the server that writes
        if is_away(error) or below.is_closed():
            _tell(error)
            raise Unavailable("the database went away, or had no time", hint="ask again") from error
        raise
    finally:
        await give_back(connection)


def _tell(error: Exception) -> None:
    """Log why the database is away, for whoever runs the hub: who asked is told no more than that. Not for each of many requests."""
    why, now = reason(error), time.monotonic()
    if now - _told.get(why, -TELL_EVERY_S) >= TELL_EVERY_S:
        for one in [one for one, at_s in _told.items() if now - at_s >= TELL_EVERY_S]:
            del _told[one]
        _told[why] = now
        log.warning("the database: %s", why)


async def _connect(engine: AsyncEngine, patience_s: float | None = None) -> AsyncConnection:
    """A connection of the pool; those that were lost while they lay there are replaced, for a while with patience."""
    until = asyncio.get_running_loop().time() + (AWAY_S if patience_s is None else patience_s)
    while True:
        try:
            connection = await engine.connect()
        except Exception as error:
            late = asyncio.get_running_loop().time() > until
            hopeless = isinstance(error, NoConnection) or refusal(error) is not None or not _gives_none(error)
            if late or hopeless:
                raise
            await asyncio.sleep(AWAY_POLL_S)
            continue
        if not driver(connection).is_closed():
            return connection
        await _drop(connection)


def _is_old(connection: AsyncConnection) -> bool:
    """Whether the pool is to replace it when it is asked for the next time."""
    return time.monotonic() - float(connection.info[MADE]) > CONNECTION_LIFE_S


async def _drop(connection: AsyncConnection) -> None:
    """Have a connection replaced: it is known without asking that it is lost, as the driver saw the other end hang up."""
    await connection.invalidate()
    await connection.close()


def _gives_none(error: BaseException) -> bool:
    """Whether an error of connecting says that there is no connection now: none of our statements is asked yet.

    A server whose disk is full, for one, reports an internal error (XX000): it cannot write what a new process of its own wants.
    """
    return is_away(error) or getattr(getattr(error, "orig", error), "sqlstate", None) is not None


def is_away(error: BaseException | None) -> bool:
    """Whether an error says that the database cannot be reached, or undid a transaction that may be tried again.

    By SQLSTATE (Appendix A of PostgreSQL's manual): 08 connection exceptions, 53 too few resources, 57 shut down, not up
    yet or out of time, 58 its machine's disks, 40 rolled back because of others; and 25006, a standby that was not promoted yet,
    or a server that was set to take no writes. The driver's own errors have none: a connection that is closed, or
    whose end came in the middle of an answer, which it then does not understand.
    """
    if isinstance(error, DBAPIError):
        if error.connection_invalidated:
            return True
        error = error.orig
    state = str(getattr(error, "sqlstate", None) or "")
    lost = isinstance(error, OSError | NoConnection | PendingRollbackError | asyncpg.InternalClientError)
    lost = lost or (isinstance(error, asyncpg.InterfaceError) and "closed" in str(error))
    return lost or state == READ_ONLY or state.startswith(("08", "53", "57", "58", "40"))


def _is_taken(error: BaseException) -> bool:
    """Whether a lock was not to be had in time (SQLSTATE 55P03)."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return getattr(cause, "sqlstate", None) == "55P03"


def known() -> set[str]:
    """The versions of the schema that this dynolab knows: the numbers that its migrations' files begin with."""
    return {path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py")}


@cache
def newest() -> str:
    """The newest of them: the one that no other comes after. Their numbers are names, and tell no order."""
    texts = [path.read_text(encoding="utf-8") for path in (MIGRATIONS / "versions").glob("[0-9]*.py")]
    before = {found[1] for text in texts if (found := re.search(r'^down_revision = "(\w+)"', text, re.MULTILINE))}
    return max(known() - before)


async def _note_maker(connection: AsyncConnection) -> None:
    """Note which dynolab brought the schema to its version, for an older one that meets it later."""
    noted = "INSERT INTO setting (name, value) VALUES (:name, :value) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
    value = f"{newest()} {version('dynolab')}"
    await connection.execute(text(f"{noted} WHERE setting.value <> excluded.value"), {"name": MAKER, "value": value})


async def _too_new(connection: AsyncConnection, found: str) -> Conflict:
    """The error of a schema that a newer dynolab has made, which it names if that was noted."""
    noted = await connection.scalar(text("SELECT value FROM setting WHERE name = :name"), {"name": MAKER})
    schema, _, maker = str(noted or "").partition(" ")
    needed = f"dynolab {maker}" if schema == found else "a newer dynolab"
    return Conflict(
        f"the hub's database has the schema {found}, made by {needed}: "
        f"this is dynolab {version('dynolab')}, which knows schemas up to {newest()}",
        hint=f"install {needed} or newer; or restore a backup that was made before the update into a new folder",
    )


async def known_version(connection: AsyncConnection) -> str | None:
    """The version of the schema that is there, or None where there is none yet. Raises :class:`Conflict` for a newer one."""
    if await connection.scalar(text("SELECT to_regclass('alembic_version')")) is None:
        return None
    found: str | None = await connection.scalar(text("SELECT version_num FROM alembic_version"))
    if found is not None and found not in known():
        raise await _too_new(connection, found)
    return found


def configuration(connection: Connection) -> Config:
    """Alembic's configuration for these migrations, over a connection that is open already."""
    from alembic.config import Config  # with its templates, several MB that a hub with a new schema need not carry

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _next_indexes(version: str) -> Sequence[Index]:
    """``INDEXES`` of the migration that follows this version."""
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory(str(MIGRATIONS))
    following = next((one for one in scripts.walk_revisions() if one.down_revision == version), None)
    return () if following is None else getattr(following.module, "INDEXES", ())


def _upgrade(connection: Connection) -> None:
    from alembic import command

    command.upgrade(configuration(connection), "+1")
