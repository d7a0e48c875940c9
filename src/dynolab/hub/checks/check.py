"""``dynolab hub check``: all that must hold of a hub, looked at while it runs or not, and changing nothing but for its row in the audit log.

The database is looked at in one transaction that sees it as it was at one instant, so that what a running hub changes
meanwhile is no fault. What is then looked for in the blob store and not found is asked for once more.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.pool import NullPool

from dynolab import errors
from dynolab.hub.checks import audit_rules, deployment_rules, file_rules, job_rules, people_rules, retention_rules
from dynolab.hub.checks.base import SHOWN_MOST, Checked, Finding, Problem, Replica, Rule
from dynolab.hub.checks.machine import clock, disks, versions
from dynolab.hub.checks.objects import ObjectChecks
from dynolab.hub.checks.schema import shape
from dynolab.hub.settings import Settings
from dynolab.hub.store.connecting import APPLICATION, engine, reason, told
from dynolab.hub.store.database import is_away, known_version, newest
from dynolab.hub.store.maintenance import database_urls
from dynolab.hub.store.prepared import driver
from dynolab.hub.usecases.audit import VERBS, note_command
from dynolab.hub.usecases.end_attempt import BUSY_MOST, MAX_ATTEMPTS
from dynolab.hub.usecases.find_board_states import AWAY_AFTER_S
from dynolab.hub.usecases.find_submitted import KEY_LIFE
from dynolab.hub.usecases.free_blobs import GRACE
from dynolab.hub.usecases.sweep_files import UPLOAD_LIFE
from dynolab.hub.usecases.sweep_sessions import JOIN_KEPT
from dynolab.spec.toolchain_support import MAKES, TOOLCHAINS_ONLY

Progress = Callable[[str, int, int], None]
"""Is told what is looked at, and how much of it is through, of how much (0: not known)."""
RULES = (
    *job_rules.RULES,
    *file_rules.RULES,
    *retention_rules.RULES,
    *people_rules.RULES,
    *audit_rules.RULES,
    *deployment_rules.RULES,
)
COUNTED = ("job", "attempt", "device", "model", "dataset", "blob")
NO_HUB = "a running hub sees to it, and none is connected to the database"
SESSION = "SET application_name = 'dynolab check'; SET default_transaction_read_only = on"
"""Of the check's own connections: they are no hub's."""
_REPLICAS = text("""
    SELECT application_name, min(backend_start) AS since FROM pg_stat_activity
    WHERE datname = current_database() AND application_name LIKE :name || '%' GROUP BY application_name
""")


def check(settings: Settings, progress: Progress, *, digests: bool = False) -> Checked:
    """What was found of the hub of these settings; ``digests``: all bytes are read, and compared with what is known of them.

    Raises :class:`NotFound` where no hub has been, :class:`Conflict` for a database of another version, and
    :class:`Unavailable` for one that does not answer.
    """
    with database_urls(settings) as (url, _):
        try:
            with told(url, "DYNOLAB_DATABASE_DIRECT_URL" if settings.database_direct_url else "DYNOLAB_DATABASE_URL"):
                return asyncio.run(_check(settings, url, progress, digests))
        except Exception as error:
            if is_away(error):
                hint = "is it running, and is its address right? `dynolab hub config` tells which settings hold"
                raise errors.Unavailable(f"the database cannot be read: {reason(error)}", hint=hint) from error
            raise


async def _check(settings: Settings, url: str, progress: Progress, digests: bool) -> Checked:
    began = time.monotonic()
    async with snapshot(url) as connection:
        await _check_version(connection, settings)
        at: datetime = (await connection.execute(text("SELECT now()"))).scalar_one()
        skew = await clock(connection)
        replicas = await _replicas(connection)
        findings = [skew, versions(replicas), await shape(connection)]
        findings += await database_findings(connection, parameters(settings, replicas, at), progress)
        findings += disks(settings)
        objects = ObjectChecks(settings, connection, lambda: snapshot(url), progress)
        findings += await objects.findings(up_s=up_s(replicas, at), digests=digests)
        counts = {name: await _count(connection, name) for name in COUNTED} | objects.counts
    found = Checked(at, tuple(findings), counts, tuple(replicas), round(time.monotonic() - began, 3))
    told = {
        "digests": digests,
        "wrong": [one.name for one in found.of("wrong")],
        "to_look_at": len(found.of("warning")),
    }
    await note_command(url, "hub.check", **told)
    return found


@asynccontextmanager
async def snapshot(url: str) -> AsyncIterator[AsyncConnection]:
    """A connection that sees the database as it is now until the block ends, and cannot change it."""
    opened = engine(url, level="REPEATABLE READ", bounded=False, poolclass=NullPool)
    try:
        async with opened.connect() as connection:
            await driver(connection).execute(SESSION)
            yield connection
    finally:
        await opened.dispose()


async def _check_version(connection: AsyncConnection, settings: Settings) -> None:
    """Raises :class:`NotFound`, and :class:`Conflict` for a schema of another version than this program's."""
    found = await known_version(connection)
    if found is None:
        place = "of DYNOLAB_DATABASE_URL" if settings.database_url else f"in {settings.data}"
        raise errors.NotFound(f"the database {place} is no hub's", hint="start the hub once before")
    if found != newest():
        raise errors.Conflict(
            f"the hub's database has the schema {found}; this dynolab checks {newest()}",
            hint="start the hub with this version, which brings the database up to date; or check with the hub's own",
        )


def parameters(settings: Settings, replicas: Sequence[Replica], at: datetime) -> dict[str, object]:
    """What the hub's settings and its own limits say, by the names that rules use."""
    return {
        "lease_s": settings.lease_s,
        "run_s": settings.run_s,
        "orphan_age_s": settings.orphan_age_s,
        "data_max_bytes": settings.data_max_bytes,
        "max_attempts": MAX_ATTEMPTS,
        "busy_most": BUSY_MOST,
        "idle_s": AWAY_AFTER_S,
        "upload_life_s": UPLOAD_LIFE.total_seconds(),
        "blob_grace_s": GRACE.total_seconds(),
        "key_life_s": KEY_LIFE.total_seconds(),
        "join_kept_s": JOIN_KEPT.total_seconds(),
        "toolchains_only": TOOLCHAINS_ONLY,
        "makes": MAKES,
        "up_s": up_s(replicas, at),
        "audit_verbs": list(VERBS),
        "audit_kept_s": settings.audit_days and max(settings.audit_days, 30.0) * 86400,
        "dataset_life_days": settings.dataset_life_days,
    }


def up_s(replicas: Sequence[Replica], at: datetime) -> float:
    """For how long a hub has been there at least, in seconds; below 0: none is there."""
    return max(((at - one.since).total_seconds() for one in replicas), default=-1.0)


async def database_findings(
    connection: AsyncConnection, terms: dict[str, object], progress: Progress = lambda *_: None
) -> list[Finding]:
    """What the rules find; those that a running hub would see to are left out where none runs."""
    found = []
    for number, rule in enumerate(RULES):
        progress(rule.name, number, len(RULES))
        found.append(await _finding(connection, rule, terms))
    return found


async def _finding(connection: AsyncConnection, rule: Rule, terms: dict[str, object]) -> Finding:
    finding = Finding(rule.name, rule.holds, rule.hint, grade=rule.grade)
    if rule.needs_hub and float(str(terms["up_s"])) < 0:
        return replace(finding, skipped=NO_HUB)
    asked = text(f"SELECT one.*, count(*) OVER () FROM ({rule.query}) AS one (what, why, since) LIMIT {SHOWN_MOST}")
    used = {name: terms[name] for name in asked._bindparams}
    rows = (await connection.execute(asked.bindparams(**used))).all()
    problems = tuple(Problem(what, why or "", since) for what, why, since, _ in rows)
    return replace(finding, problems=problems, count=rows[0][3] if rows else 0)


async def _replicas(connection: AsyncConnection) -> list[Replica]:
    rows = (await connection.execute(_REPLICAS, {"name": f"{APPLICATION} "})).all()
    return sorted(_named(rows), key=lambda one: one.since)


def _named(rows: Sequence[Any]) -> Iterator[Replica]:
    for row in rows:
        version, _, name = row.application_name.removeprefix(f"{APPLICATION} ").partition(" ")
        yield Replica(name, version, row.since.astimezone(UTC))


async def _count(connection: AsyncConnection, table: str) -> int:
    return int((await connection.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one())
