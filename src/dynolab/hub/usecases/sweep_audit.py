"""The audit log, in ranges of ids: what is an hour old is sealed, what is older than it is kept for goes, seal and all."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import delete, exists, func, select, text

from dynolab.hub.store.audit_digest import DIGEST, chained
from dynolab.hub.store.tables import audit, audit_seal
from dynolab.hub.usecases.base import Hub

AT_ONCE = 10_000
"""Rows of one range at most. All are of one day (UTC), so that a range goes a day late at most."""
SEAL_AFTER = timedelta(hours=1)
"""So old rows were committed, with all that have lower ids: the database ends transactions that do nothing for 15 s."""
SEAL_LOCK = 0x64796E73
SEAL = text(f"""
    WITH last AS (SELECT upto, chain FROM audit_seal ORDER BY upto DESC LIMIT 1),
    old AS (SELECT id FROM audit WHERE at < now() - CAST(:age AS interval) ORDER BY at DESC, id DESC LIMIT 1),
    next AS (
        SELECT id, CAST(at AT TIME ZONE 'UTC' AS date) AS day FROM audit
        WHERE id > coalesce((SELECT upto FROM last), 0) AND id <= (SELECT id FROM old) ORDER BY id LIMIT {AT_ONCE}
    ),
    other AS (SELECT min(id) AS id FROM next WHERE day <> (SELECT day FROM next ORDER BY id LIMIT 1)),
    chosen AS (SELECT id FROM next WHERE id < coalesce((SELECT id FROM other), 9223372036854775807)),
    sealed AS (SELECT max(a.id) AS upto, count(*) AS rows, {DIGEST} AS digest FROM audit a JOIN chosen USING (id))
    INSERT INTO audit_seal (upto, rows, digest, chain)
    SELECT upto, rows, digest, {chained("coalesce((SELECT chain FROM last), '')", "digest")} FROM sealed WHERE rows > 0
    RETURNING upto
""")


async def sweep_audit(hub: Hub) -> None:
    """One round; the database itself refuses to remove what is younger than 30 days."""
    while await _seal(hub):
        pass
    while await _removed(hub):
        pass


async def _seal(hub: Hub) -> bool:
    """Seal the next range; False: there is none, or another replica is at it."""
    async with hub.database.begin() as connection:
        if not await connection.scalar(select(func.pg_try_advisory_xact_lock(SEAL_LOCK))):
            return False
        return await connection.scalar(SEAL, {"age": SEAL_AFTER}) is not None


async def _removed(hub: Hub) -> bool:
    """Remove the oldest range, if all of it is old enough; whether it was."""
    kept = hub.limits.audit_kept
    if kept is None:
        return False
    async with hub.database.begin() as connection:
        if not await connection.scalar(select(func.pg_try_advisory_xact_lock(SEAL_LOCK))):
            return False
        oldest = await connection.scalar(select(func.min(audit_seal.c.upto)))
        if oldest is None:
            return False
        young = select(exists().where(audit.c.id <= oldest, audit.c.at >= func.now() - kept))
        if await connection.scalar(young):
            return False
        await connection.execute(delete(audit).where(audit.c.id <= oldest))
        await connection.execute(delete(audit_seal).where(audit_seal.c.upto == oldest))
    return True
