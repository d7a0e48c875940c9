"""What lets a hub grow: statements that touch a bounded number of rows, whichever number there is, and idle agents that cost none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pgqueuer")

from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dynolab.hub.store.prepared import driver
from dynolab.hub.store.tables import attempt, device, job, share
from dynolab.hub.telemetry.metrics import REGISTRY
from dynolab.hub.usecases import free_blobs as freeing
from dynolab.hub.usecases.announce_device import note_seen
from dynolab.hub.usecases.base import Cursor
from dynolab.hub.usecases.claim_attempt import Claim, claim_attempt
from dynolab.hub.usecases.end_attempt import sweep_leases
from dynolab.hub.usecases.find_audit import AuditFilter, find_audit, page_of
from dynolab.hub.usecases.find_board_states import BoardFilter, find_board_states
from dynolab.hub.usecases.find_device_lines import find_device_lines
from dynolab.hub.usecases.find_jobs import JobFilter, find_jobs, page_ids, page_jobs
from dynolab.hub.usecases.free_blobs import free_blobs
from dynolab.hub.usecases.share_access import change_sharing
from dynolab.hub.usecases.sweep_queues import sweep_queues
from dynolab.spec.agents import AGENT_PROTOCOL, ClaimRequest
from dynolab.testing.bench import Bench, on_bench
from dynolab.testing.databases import OwnDatabase

Drill = Callable[[Bench], Awaitable[None]]
Run = Callable[..., None]
MANY = """INSERT INTO job (id, account_id, kind, name, model_id, device_name, device_os, state, created_at)
          SELECT 'j' || :prefix || 'x' || n, :account, CASE WHEN n % 500 = 0 THEN 'compile' ELSE 'profile' END, 'net ' || n, :model, 'phone', '1',
                 CASE WHEN n % 700 = 0 THEN 'failed' ELSE 'done' END, now() - n * interval '1 min' FROM generate_series(1, 20000) n"""


@pytest.fixture
def run(postgres: OwnDatabase, tmp_path: Path) -> Run:
    def carry_out(drill: Drill, **settings: object) -> None:
        on_bench(postgres, tmp_path, drill, **settings)

    return carry_out


@asynccontextmanager
async def listening(bench: Bench) -> AsyncIterator[None]:
    """The hub hears notices, as a running one does."""
    task = asyncio.create_task(bench.hub.wakeups.listen())
    while bench.hub.wakeups.revision is None:
        await asyncio.sleep(0.01)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def buffers(bench: Bench, statement: Any) -> int:
    """Pages that the database touches for it."""
    compiled = statement.compile(dialect=bench.hub.database._engine.dialect, compile_kwargs={"literal_binds": True})
    async with bench.hub.database.single() as connection:
        rows = await driver(connection).fetch(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT TEXT) {compiled}")
    plan = "\n".join(row[0] for row in rows)
    found = next(line for line in plan.splitlines() if "Buffers:" in line)
    return sum(int(part.partition("=")[2]) for part in found.split() if part.startswith(("hit=", "read=")))


def ids_of(bench: Bench, wanted: JobFilter, *, limit: int) -> Any:
    """The statement for the ids of a page of jobs."""
    found = page_ids(bench.user.given, wanted.shape(bench.user), limit=limit)
    return select(found.c.id).params(**bench.user.told, **wanted.told)


async def filled(bench: Bench) -> None:
    model = await bench.model()
    async with bench.hub.database.begin() as connection:
        await connection.execute(text(MANY), {"account": bench.user.id, "prefix": str(bench.user.id), "model": model})
    async with bench.hub.database.single() as connection:
        await driver(connection).execute("VACUUM ANALYZE job")


PAGES = (
    (JobFilter(), 200),
    (JobFilter(kinds=["compile"]), 250),
    (JobFilter(kinds=["link"]), 60),
    (JobFilter(states=["failed"]), 250),
    (JobFilter(project_id="none"), 60),
    (JobFilter(creator="nobody@example.org"), 60),
)
"""Filters, and how many pages of 8 kB they may touch: the table of 20,000 jobs has some 600."""


def test_a_page_of_jobs_touches_no_more_of_the_table_than_it_shows(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        await filled(bench)
        for wanted, most in PAGES:
            assert await buffers(bench, ids_of(bench, wanted, limit=51)) < most, wanted

    run(drill)


AUDIT = """
INSERT INTO audit (at, verb, outcome, account_id, who, kind, thing)
SELECT now() - make_interval(mins => 20000 - n),
       CASE WHEN n = 7 THEN 'account.close' WHEN n % 2 = 0 THEN 'session.open' ELSE 'token.make' END,
       CASE WHEN n % 1000 = 0 THEN 'refused' ELSE 'ok' END, :account,
       CASE WHEN n % 2 = 0 THEN 'half@example.org' ELSE 'p' || n % 1000 || '@example.org' END, 'token', 't' || n
FROM generate_series(1, 20000) n
"""
LONG_AGO = datetime.now(UTC) - timedelta(days=13)
AUDITED = (
    AuditFilter(),
    AuditFilter(who="half@example.org"),
    AuditFilter(who="p7@example.org"),
    AuditFilter(who="nobody@example.org"),
    AuditFilter(who="half@example.org", verb="account.close"),
    AuditFilter(verb="account.close"),
    AuditFilter(verb="token"),
    AuditFilter(verb="organisation"),
    AuditFilter(outcome="refused"),
    AuditFilter(thing="t7"),
    AuditFilter(until=LONG_AGO),
    AuditFilter(verb="session.open", since=LONG_AGO, until=LONG_AGO + timedelta(days=1)),
)


def test_a_page_of_the_audit_log_touches_no_more_of_it_than_it_shows(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        async with bench.hub.database.begin() as connection:
            await connection.execute(text(AUDIT), {"account": bench.user.id})
        async with bench.hub.database.single() as connection:
            await driver(connection).execute("VACUUM ANALYZE audit")
        admin = replace(bench.user, is_admin=True)
        for wanted in AUDITED:
            assert await buffers(bench, page_of(wanted, 51)) < 130, wanted
            first = await find_audit(bench.hub, admin, wanted, limit=40)
            assert first == sorted(first, key=lambda row: (row.at, row.id), reverse=True), wanted
            if len(first) == 40:
                at = Cursor(first[19].at, str(first[19].id))
                beyond = await find_audit(bench.hub, admin, wanted, limit=20, cursor=at)
                back = await find_audit(bench.hub, admin, wanted, limit=5, cursor=replace(at, newer=True))
                assert [row.id for row in beyond] == [row.id for row in first[20:]], wanted
                assert [row.id for row in back] == [row.id for row in first[14:19]], wanted

    run(drill)


def test_more_jobs_than_are_counted_are_told_to_be_that_many(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        await filled(bench)
        rows, total = await find_jobs(bench.hub, bench.user, JobFilter(), limit=10, offset=50)
        assert ([row.id for row in rows][:2], total) == ([f"j{bench.user.id}x51", f"j{bench.user.id}x52"], 10_050)
        rows, total = await find_jobs(bench.hub, bench.user, JobFilter(states=["failed"]), limit=20, offset=20)
        assert (len(rows), total) == (8, 28)

    run(drill)


FOUND_BY_TEXT = (
    ("net 19999", [19999]),
    ("模", [15000]),
    ("模型 七", [15000]),
    ("SSE ß", [15001]),
    ("nothing like it", []),
    ("无", []),
    ("zq", []),  # two letters, of which no index knows, and beyond those that are looked through for such
    ("net", list(range(1, 61))),
)
"""Texts, and the first 60 jobs of 20,000 that have them."""


def test_a_text_is_found_however_old_what_has_it_and_whatever_its_letters(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        await filled(bench)
        async with bench.hub.database.begin() as connection:
            for number, name in ((15000, "模型 七"), (15001, "STRASSE ß"), (15002, "zq")):
                named = update(job).where(job.c.id == f"j{bench.user.id}x{number}").values(name=name)
                await connection.execute(named)
        other = await bench.account()
        await change_sharing(bench.hub, bench.user, job, f"j{bench.user.id}x15000", add=[other.email])
        for sought, numbers in FOUND_BY_TEXT:
            wanted = JobFilter(text=sought)
            rows = await page_jobs(bench.hub, bench.user, wanted, limit=60)
            assert [row.id for row in rows] == [f"j{bench.user.id}x{number}" for number in numbers], sought
            if sought != "zq":
                assert await buffers(bench, ids_of(bench, wanted, limit=51)) < 350, sought
        seen = await page_jobs(bench.hub, other, JobFilter(text="型"), limit=60)
        assert [row.id for row in seen] == [f"j{bench.user.id}x15000"]

    run(drill)


def test_the_first_rows_with_a_text_are_the_same_from_both_ways_to_find_them(run: Run) -> None:
    """Of a text that half of all rows have, a page is found at once; more of them than that are found by the index.

    What others share is as old as can be: the first of that are no page's first.
    """

    async def drill(bench: Bench) -> None:
        await filled(bench)
        other = await bench.account()
        async with bench.hub.database.begin() as connection:
            moved = "UPDATE job SET account_id = :to WHERE account_id = :of AND name BETWEEN 'net 15000' AND 'net 15400' AND length(name) = 9"
            await connection.execute(text(moved), {"to": other.id, "of": bench.user.id})
            shared = "INSERT INTO share (target_id, email, granted_by) SELECT id, :email, account_id FROM job WHERE account_id = :to"
            await connection.execute(text(shared), {"to": other.id, "email": bench.user.email})
        mine = job.c.account_id.in_([bench.user.id, other.id])
        for sought, limit in (("net 1", 51), ("net 15", 51), ("net 1", 3000), ("99", 400), ("net 12", 51)):
            found = ids_of(bench, JobFilter(text=sought), limit=limit)
            whole = select(job.c.id).where(mine, job.c.name.contains(sought))
            whole = whole.order_by(job.c.created_at.desc(), job.c.id)
            async with bench.hub.database.single() as connection:
                rows = list((await connection.execute(found)).scalars())
                expected = list((await connection.execute(whole.limit(limit))).scalars())
            numbers = {one: int(one.partition("x")[2]) for one in expected}
            newest = [one for one in expected if numbers[one] <= 10_000 or 15_000 <= numbers[one] <= 15_400]
            assert sorted(rows) == sorted(expected if len(sought) > 2 else newest), sought

    run(drill)


def test_a_page_by_offset_begins_where_the_one_before_it_ended(run: Run) -> None:
    """As long as that is remembered: what came since shifts nothing. Near the beginning an offset means what it says."""

    async def drill(bench: Bench) -> None:
        await filled(bench)

        async def page(offset: int) -> tuple[str, int]:
            rows, total = await find_jobs(bench.hub, bench.user, JobFilter(), limit=10, offset=offset)
            return rows[0].id.partition("x")[2], total

        assert [await page(at) for at in (10, 5000)] == [("11", 10_010), ("5001", 15_000)]
        async with bench.hub.database.begin() as connection:
            newer = "INSERT INTO job (id, account_id, kind, name, model_id, device_name, device_os, state) "
            newer += "SELECT 'jnewer', account_id, kind, name, model_id, device_name, device_os, state FROM job WHERE id = :one"
            await connection.execute(text(newer), {"one": f"j{bench.user.id}x1"})
        assert [await page(at) for at in (10, 5010, 5000)] == [("10", 10_010), ("5011", 15_010), ("5001", 15_000)]
        bench.hub.page_ends.clear()
        assert await page(5000) == ("5000", 15_000)

    run(drill)


def test_what_is_shared_stands_in_ones_list_by_when_it_was_made(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        await filled(bench)
        other = await bench.account()
        names = [f"j{bench.user.id}x{number}" for number in (30, 10, 20)]
        for name in names:
            await change_sharing(bench.hub, bench.user, job, name, add=[other.email])
        rows = await page_jobs(bench.hub, other, JobFilter(), limit=2)
        assert [row.id for row in rows] == names[1:]
        async with bench.hub.database.single() as connection:
            same = (
                select(func.count())
                .join(job, job.c.id == share.c.target_id)
                .where(share.c.target_id.in_(names), share.c.target_at == job.c.created_at)
            )
            assert await connection.scalar(same) == 3

    run(drill)


def counted_uses(bench: Bench) -> list[None]:
    """One for each use of the database from now on."""
    uses, lend = list[None](), bench.hub.database.single

    def counted() -> AbstractAsyncContextManager[AsyncConnection]:
        uses.append(None)
        return lend()

    bench.hub.database.single = counted  # type: ignore[method-assign]  # listened to
    return uses


async def waited(bench: Bench, board: int) -> Claim | None:
    """What a board gets that waits a moment for a job; who does not wait at all has the database asked."""
    return await claim_attempt(bench.hub, bench.agent, ClaimRequest(AGENT_PROTOCOL, bench.offer(board), 0.01))


def test_an_idle_agent_asks_the_database_nothing_until_a_notice_comes(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        model = await bench.model()
        async with listening(bench):
            asked = ClaimRequest(AGENT_PROTOCOL, bench.offer(), 0.01)
            assert await claim_attempt(bench.hub, bench.agent, asked) is None
            uses = counted_uses(bench)
            for _ in range(5):
                assert await claim_attempt(bench.hub, bench.agent, asked) is None
            assert uses == []
            job_id = await bench.submit(model)
            found = await claim_attempt(bench.hub, bench.agent, replace(asked, wait_s=20.0))
            assert found is not None
            assert found.job_id == job_id

    run(drill)


def test_what_one_board_found_of_a_queue_holds_for_all_and_so_does_the_claim_of_its_last_entry(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        first, second = [await bench.submit(model) for model in [await bench.model()] * 2]
        async with listening(bench):
            looks = counted_uses(bench)
            claimed = await bench.claimed(1)
            assert claimed.job_id == first
            last = await bench.claimed(2)
            assert last.job_id == second
            assert len(looks) == 2
            await bench.finish(claimed)
            await bench.finish(last)
            looks.clear()
            for board in (1, 2):
                assert await waited(bench, board) is None
            assert looks == []
            third = await bench.submit(await bench.model())
            while bench.hub.wakeups.are_empty(bench.hub.announced[bench.offer().id].board.queues):
                await asyncio.sleep(0.01)
            assert (await bench.claimed(1)).job_id == third

    run(drill)


def test_an_entry_that_somebody_locked_and_left_is_dispatched_at_once(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        job_id = await bench.submit(await bench.model())
        asked = ClaimRequest(AGENT_PROTOCOL, bench.offer(), 20.0)
        async with listening(bench):
            with suppress(asyncio.CancelledError):
                async with bench.hub.database.begin() as connection:
                    await connection.execute(text("SELECT id FROM pgqueuer FOR UPDATE"))
                    assert await bench.claim(2) is None
                    waiting = asyncio.create_task(claim_attempt(bench.hub, bench.agent, asked))
                    while not REGISTRY.get_sample_value("dynolab_agents_waiting"):  # it has looked, and waits
                        await asyncio.sleep(0.01)
                    assert not bench.hub.wakeups.are_empty(bench.hub.announced[bench.offer().id].board.queues)
                    raise asyncio.CancelledError  # rolled back
            found = await asyncio.wait_for(waiting, 15.0)
        assert found is not None
        assert found.job_id == job_id

    run(drill)


def test_a_job_whose_notice_was_lost_is_found_by_the_sweep_of_queues(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        await bench.claim()
        known = bench.hub.announced[bench.offer().id]
        job_id = await bench.submit(await bench.model())
        bench.hub.wakeups._heard_since = 0  # as if all was heard, and no notice had come
        bench.hub.wakeups.found_empty(known.board.queues, bench.hub.wakeups.notices)
        assert await waited(bench, 1) is None
        await sweep_queues(bench.hub)
        assert (await bench.claimed()).job_id == job_id

    run(drill)


def test_devices_that_were_heard_of_are_noted_together_and_those_that_changed_elsewhere_forgotten(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        for board in (1, 2, 3):
            await bench.claim(board)
        names = [bench.offer(board).id for board in (1, 2, 3)]
        async with bench.hub.database.begin() as connection:
            await connection.execute(update(device).values(seen_at=func.now() - text("interval '1 hour'")))
            await connection.execute(
                update(device).where(device.c.id == names[1]).values(said="something else", unfit="no disk")
            )
        bench.hub.seen.update(names)
        await note_seen(bench.hub)
        _, states = await find_device_lines(bench.hub, bench.user, text=bench.name)
        assert states == {"free": 2, "away": 1}
        assert names[1] not in bench.hub.announced
        await bench.claim(2)
        assert (await bench.row(device, names[1])).unfit == ""

    run(drill)


def test_no_index_holds_what_a_heartbeat_changes(run: Run) -> None:
    """So it is a heap-only tuple; `tests/benchmarks/hub_growth.py` counts them."""

    async def drill(bench: Bench) -> None:
        indexes = text("SELECT string_agg(indexdef, ' ') FROM pg_indexes WHERE tablename = :name")
        async with bench.hub.database.single() as connection:
            for table, columns in (("attempt", ("renewed_at", "progress")), ("device", ("seen_at", "attempt_id"))):
                found = str(await connection.scalar(indexes, {"name": table}))
                assert [one for one in columns if one in found] == []

    run(drill)


def test_one_replica_sweeps_leases_at_a_time_and_the_next_takes_over(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        await bench.claim()
        await bench.submit(await bench.model())
        claimed = await bench.claimed()
        await sweep_leases(bench.hub)
        own = set(bench.hub.swept)
        assert own
        bench.hub.swept.clear()
        bench.hub.swept.add(1.0)  # as another replica's, which swept long ago
        async with bench.hub.database.begin() as connection:
            await connection.execute(update(attempt).values(renewed_at=func.now() - text("interval '1 hour'")))
        await sweep_leases(bench.hub)
        assert bench.hub.swept == {1.0}, "another has swept just now"
        bench.hub.swept.update(own)
        await sweep_leases(bench.hub)
        assert bench.hub.swept.isdisjoint(own)
        assert claimed.job_id

    run(drill)


def test_blobs_are_swept_a_window_at_a_time_and_all_in_turn(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    async def drill(bench: Bench) -> None:
        async with bench.hub.database.begin() as connection:
            made = """INSERT INTO blob (id, bytes, keys, created_at) SELECT 'bwindow' || n, 1, ARRAY['attempts/none/' || n],
                      now() - interval '2 h' FROM generate_series(1, 9) n"""
            await connection.execute(text(made))
        freed = [await free_blobs(bench.hub) for _ in range(100)]
        assert sum(freed) >= 9
        assert max(freed) <= 2
        async with bench.hub.database.single() as connection:
            assert await connection.scalar(text("SELECT count(*) FROM blob WHERE id LIKE 'bwindow%'")) == 0

    monkeypatch.setattr(freeing, "LOOKED_AT", 2)
    run(drill)


def test_boards_come_in_pages_and_in_lines(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        for board in range(5):
            await bench.claim(board)
        wanted, seen, after = BoardFilter(name=bench.name), list[str](), ("", "")
        while found := await find_board_states(bench.hub, bench.user, wanted, limit=2, after=after):
            seen += [one.id for one in found]
            after = found[-1].name, found[-1].id
        assert seen == sorted(bench.offer(board).id for board in range(5))
        [line], states = await find_device_lines(bench.hub, bench.user, text=bench.name)
        assert (line.name, line.os, states.total()) == (bench.name, "1.0", 5)
        few = await find_board_states(bench.hub, bench.user, wanted, limit=9, of_each_model=3)
        assert len(few) == 3

    run(drill)


def test_the_queue_keeps_no_log_and_notifies_nobody_else(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        heard: list[str] = []
        async with bench.hub.database.single() as connection:
            await driver(connection).add_listener("ch_pgqueuer", lambda *told: heard.append(told[3]))
            await bench.claim()
            job_id = await bench.submit(await bench.model())
            await bench.finish(await bench.claimed())
            assert await connection.scalar(text("SELECT count(*) FROM pgqueuer_log")) == 0
            left = text("SELECT count(*) FROM pgqueuer WHERE payload = convert_to(:id, 'UTF8')")
            assert await connection.scalar(left, {"id": job_id}) == 0
            assert heard == []

    run(drill)
