"""Rows of the audit log that are older than they are kept for."""

from __future__ import annotations

from sqlalchemy import delete, func, select

from dynolab.hub.store.tables import audit
from dynolab.hub.usecases.base import Hub

AT_ONCE = 10_000


async def sweep_audit(hub: Hub) -> None:
    """Remove them, some at a time; the database itself refuses what is younger than 30 days."""
    kept = hub.limits.audit_kept
    if kept is None:
        return
    old = select(audit.c.id).where(audit.c.at < func.now() - kept).order_by(audit.c.at).limit(AT_ONCE)
    async with hub.database.single() as connection:
        await connection.execute(delete(audit).where(audit.c.id.in_(old)))
