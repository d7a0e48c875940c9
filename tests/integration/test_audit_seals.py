"""The audit log beyond its rows: sealed, kept as long as it should be, and with one row for the many that are left out."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pgqueuer")

import asyncpg
from sqlalchemy import func, insert, select, text

from dynolab.errors import Error, RateLimited
from dynolab.hub.app import open_hub
from dynolab.hub.checks.check import check
from dynolab.hub.settings import Settings
from dynolab.hub.store.tables import audit, audit_seal
from dynolab.hub.usecases import sign_in_throttle
from dynolab.hub.usecases.audit import note_command, sweep_refusals
from dynolab.hub.usecases.base import Hub
from dynolab.hub.usecases.open_session import open_by_password
from dynolab.hub.usecases.sweep_audit import sweep_audit
from dynolab.testing.bench import Bench, on_bench
from dynolab.testing.databases import OwnDatabase

LONG_AGO = timedelta(days=40)


async def read(hub: Hub, statement: Any) -> list[Any]:
    async with hub.database.single() as connection:
        return list((await connection.execute(statement)).all())


async def written(bench: Bench, *ages: timedelta) -> None:
    """The log has these rows alone, as it would if they had been written then."""
    for statement in (
        "ALTER TABLE audit DISABLE TRIGGER USER",
        "DELETE FROM audit",
        "DELETE FROM audit_seal",
        "ALTER TABLE audit ENABLE TRIGGER USER",
    ):
        await bench.run(text(statement))
    for age in ages:
        told = {"at": func.now() - age, "verb": "hub.check", "kind": "hub", "who": "operator", "details": {"n": 1}}
        await bench.run(insert(audit).values(told))


def audit_findings(settings: Settings) -> dict[str, Any]:
    return {one.name: one for one in check(settings, lambda *_: None).findings if one.name.startswith("audit-")}


def test_a_young_hub_has_nothing_to_remove(postgres: OwnDatabase, tmp_path: Path) -> None:
    async def drill(bench: Bench) -> None:
        await written(bench, timedelta(0))
        await sweep_audit(bench.hub)
        assert await read(bench.hub, select(func.count()).select_from(audit_seal)) == [(0,)]

    on_bench(postgres, tmp_path, drill, audit_days=1.0)


def test_old_rows_are_sealed_once_and_go_with_their_seal_when_they_are_too_old(
    postgres: OwnDatabase, tmp_path: Path
) -> None:
    async def drill(bench: Bench) -> None:
        await written(
            bench, LONG_AGO, LONG_AGO, timedelta(days=39), timedelta(days=3), timedelta(hours=2), timedelta(0)
        )
        other = await open_hub(Settings(tmp_path), postgres.url, postgres.dsn)
        young = (await read(bench.hub, select(func.count()).where(audit.c.at > func.now() - timedelta(hours=1))))[0][0]
        try:
            await asyncio.gather(sweep_audit(bench.hub), sweep_audit(other))
        finally:
            await other.database.close()
        await sweep_audit(bench.hub)  # the first may have found the other at it
        left = await read(bench.hub, select(audit.c.at).order_by(audit.c.at))
        assert min(one.at for one in left) > datetime.now(UTC) - timedelta(days=30), "what is older is gone"
        seals = await read(bench.hub, select(audit_seal).order_by(audit_seal.c.upto))
        assert sum(one.rows for one in seals) + young == len(left)
        assert len(seals) >= 2, "no range has rows of two days"
        await sweep_audit(bench.hub)
        assert await read(bench.hub, select(audit_seal).order_by(audit_seal.c.upto)) == seals

    on_bench(postgres, tmp_path, drill, audit_days=1.0)  # 30 at least
    found = audit_findings(Settings(tmp_path, database_url=postgres.dsn, audit_days=30.0))
    assert {name: one.problems for name, one in found.items() if not one.ok} == {}


def test_a_row_that_is_altered_past_the_triggers_is_found(postgres: OwnDatabase, tmp_path: Path) -> None:
    async def drill(bench: Bench) -> int:
        await written(bench, timedelta(days=2), timedelta(days=2), timedelta(days=2))
        await sweep_audit(bench.hub)
        [(one,)] = await read(bench.hub, select(func.max(audit.c.id)))
        async with bench.hub.database.begin() as connection:
            await connection.execute(text("ALTER TABLE audit DISABLE TRIGGER audit_is_kept"))
            await connection.execute(text(f"UPDATE audit SET who = 'ana@example.org' WHERE id = {one}"))
            await connection.execute(text("ALTER TABLE audit ENABLE TRIGGER audit_is_kept"))
        return int(one)

    altered = on_bench(postgres, tmp_path, drill)
    found = audit_findings(Settings(tmp_path, database_url=postgres.dsn))["audit-log-is-whole"]
    assert [one.why for one in found.problems] == ["one is another than was sealed"]
    assert str(altered) in found.problems[0].what


def test_tries_to_sign_in_beyond_the_limit_leave_one_row(postgres: OwnDatabase, tmp_path: Path) -> None:
    async def drill(bench: Bench) -> None:
        told = sign_in_throttle.address.set("192.0.2.7")
        try:
            refused = [await _tried(bench.hub) for _ in range(40)]
        finally:
            sign_in_throttle.address.reset(told)
        beyond = sum(isinstance(one, RateLimited) for one in refused)
        assert 0 < beyond < 40
        seen = select(audit).where(audit.c.who == "hub").order_by(audit.c.id)
        before = await read(bench.hub, seen)
        await sweep_refusals(bench.hub)
        await sweep_refusals(bench.hub)
        [row] = (await read(bench.hub, seen))[len(before) :]
        assert (row.verb, row.outcome) == ("session.open", "refused")
        assert row.details == {
            "why": "RateLimited", "times": beyond, "addresses": 1, "most": [f"192.0.2.7: {beyond}"],
        }  # fmt: skip

    on_bench(postgres, tmp_path, drill)


async def _tried(hub: Hub) -> Error | None:
    try:
        await open_by_password(hub, "ana@example.org", "wrong", "")
    except Error as error:
        return error
    return None


def test_addresses_beyond_a_thousand_count_together() -> None:
    left_out = sign_in_throttle.LeftOut()
    for number in range(1500):
        left_out.count(f"192.0.2.{number}")
    counts = left_out.taken()
    assert (len(counts), counts[""], sum(counts.values())) == (1001, 500, 1500)
    assert left_out.taken() == {}
    left_out.put_back(counts)
    assert left_out.taken() == counts


def test_a_database_that_takes_no_row_is_no_error(
    postgres: OwnDatabase, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    on_bench(postgres, tmp_path, _nothing)
    for_all = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I {}', current_database()); END $$"
    asyncio.run(_carried_out(postgres, for_all.format("SET default_transaction_read_only = on")))
    try:
        asyncio.run(note_command(postgres.url, "hub.check"))
    finally:
        back = for_all.format("RESET default_transaction_read_only")
        asyncio.run(_carried_out(postgres, "SET default_transaction_read_only = off", back))
    assert "the audit log has no row of this (hub.check)" in caplog.text
    assert "read-only transaction" in caplog.text


async def _nothing(bench: Bench) -> None:
    return None


async def _carried_out(postgres: OwnDatabase, *statements: str) -> None:
    connection = await asyncpg.connect(postgres.dsn)
    try:
        for one in statements:
            await connection.execute(one)
    finally:
        await connection.close()
