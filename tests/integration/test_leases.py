"""Leases and deadlines while the database stands still amid somebody's transaction: on a real PostgreSQL, sweep by sweep.

A lock stands for the standstill: who was amid a transaction then waits, with the clock of its beginning in its hand.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

pytest.importorskip("pgqueuer")

from sqlalchemy import insert, select, text

from dynolab.errors import Conflict, DeviceLost
from dynolab.hub.app import open_hub
from dynolab.hub.settings import Settings
from dynolab.hub.store.prepared import driver
from dynolab.hub.store.tables import attempt, blob, job, model
from dynolab.hub.usecases import time_away
from dynolab.hub.usecases.add_account import add_account, add_token
from dynolab.hub.usecases.base import Account, Hub, new_id
from dynolab.hub.usecases.check_runs_hub import OPERATOR
from dynolab.hub.usecases.claim_attempt import Claim, claim_attempt
from dynolab.hub.usecases.end_attempt import finish_attempt, sweep_leases
from dynolab.hub.usecases.job_request import JobRequest
from dynolab.hub.usecases.renew_attempt import renew_attempt
from dynolab.hub.usecases.sign_in import sign_in
from dynolab.hub.usecases.submit_job import submit_job
from dynolab.hub.usecases.sweep_deadlines import sweep_deadlines
from dynolab.spec.agents import AGENT_PROTOCOL, ClaimRequest, DeviceOffer, Outcome, Renewal
from dynolab.testing.databases import OwnDatabase

AWAY_S, STILL_S = 1.0, 1.8
SHORT_S, LONG_S = 1.4, 60.0
PATIENCE_S = 30.0
"""For what comes by itself: on a slow host a sweep may take so long that it counts as time away, and it comes later."""
STUCK = """
    CREATE OR REPLACE FUNCTION stuck() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NULL; END $$;
    DROP TRIGGER IF EXISTS stuck ON attempt;
    CREATE CONSTRAINT TRIGGER stuck AFTER INSERT ON attempt DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION stuck();
"""
"""From then on the commit of a new attempt waits for a lock."""


class Bench:
    """A hub that sweeps when it is told to, and a user with a model and boards of one name."""

    def __init__(self, hub: Hub, user: Account, agent: Account, name: str) -> None:
        self.hub, self._user, self.agent, self.name = hub, user, agent, name
        self._alive: list[Claim] = []

    async def submit(self, deadline_s: float | None = None) -> str:
        asked = JobRequest("profile", self.name, device_name=self.name, device_os="", deadline_s=deadline_s)
        return (await submit_job(self.hub, self._user, asked))[0]

    async def claim(self, board: int = 1) -> Claim | None:
        offer = DeviceOffer(f"{self.name}-{board}", self.name, "1.0", ("framework:onnx",))
        return await claim_attempt(self.hub, self.agent, ClaimRequest(AGENT_PROTOCOL, offer))

    async def claimed(self, board: int = 1) -> Claim:
        found = await self.claim(board)
        assert found is not None
        return found

    async def keep_busy(self) -> None:
        """Somebody is always at work on another board, so that there are leases to sweep."""
        await self.submit()
        self._alive.append(await self.claimed(2))
        await self.sweep()

    async def sweep(self) -> None:
        for claimed in self._alive:
            await renew_attempt(self.hub, self.agent, claimed.attempt_id, Renewal())
        await sweep_leases(self.hub)
        await sweep_deadlines(self.hub)

    async def sweep_for(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            await asyncio.sleep(0.1)
            await self.sweep()

    async def sweep_until(self, seen: Callable[[], Awaitable[bool]]) -> None:
        until = time.monotonic() + PATIENCE_S
        while not await seen():
            assert time.monotonic() < until, "it does not come"
            await asyncio.sleep(0.1)
            await self.sweep()

    async def sweep_until_lost(self, job_id: str) -> None:
        async def lost() -> bool:
            return await self.states(job_id) == ["lost"]

        await self.sweep_until(lost)

    async def states(self, job_id: str) -> list[str]:
        """Of the job's attempts, from the first to the last."""
        found = select(attempt.c.state).where(attempt.c.job_id == job_id).order_by(attempt.c.number)
        async with self.hub.database.single() as connection:
            return list((await connection.execute(found)).scalars())

    @asynccontextmanager
    async def locked(self, statement: str) -> AsyncIterator[None]:
        """Whoever needs what the statement locks waits for the block's end."""
        async with self.hub.database.begin() as connection:
            await connection.execute(text(statement))
            yield

    async def amid_a_sweep(self) -> None:
        """The database stands still while a sweep is under way."""
        await self.sweep()
        async with self.locked("LOCK TABLE attempt IN ACCESS EXCLUSIVE MODE"):
            sweeping = asyncio.create_task(self.sweep())
            await asyncio.sleep(STILL_S)
        await sweeping

    async def claimed_amid(self) -> Claim:
        """A claim that was being committed when the database stood still, until the next sweep had found that out."""
        async with self.hub.database.begin() as connection:
            await driver(connection).execute(STUCK)
        async with self.locked("SELECT pg_advisory_xact_lock(1)"):
            claiming = asyncio.create_task(self.claimed())
            await asyncio.sleep(STILL_S)
            await self.sweep()
        return await claiming

    async def still_holds(self, claimed: Claim) -> None:
        """The job is that attempt's after one more sweep too, and ends with it."""
        await self.sweep()
        assert (await self.states(claimed.job_id))[claimed.number - 1 :] == ["running"]
        await finish_attempt(self.hub, self.agent, claimed.attempt_id, Outcome())
        assert (await self.states(claimed.job_id))[claimed.number - 1 :] == ["done"]

    async def deadline_still_runs(self, job_id: str) -> None:
        """It has not passed after one more sweep, but does in time."""
        await self.sweep()
        assert await self.states(job_id) == ["running"]

        async def timed_out() -> bool:
            async with self.hub.database.single() as connection:
                ended = select(job.c.failure["code"].astext).where(job.c.id == job_id)
                return await connection.scalar(ended) == "WorkerTimeout"

        await self.sweep_until(timed_out)


Run = Callable[[Callable[[Bench], Awaitable[None]], float], None]


@pytest.fixture
def run(postgres: OwnDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Carries a drill out on a bench of its own, with leases of so many seconds."""
    monkeypatch.setattr(time_away, "AWAY_S", AWAY_S)  # not its 2 s

    async def carry_out(drill: Callable[[Bench], Awaitable[None]], lease_s: float) -> None:
        hub = await open_hub(Settings(tmp_path, lease_s=lease_s), postgres.url, postgres.dsn)
        try:
            name = new_id("n")
            email = f"{name}@example.org"
            user = await sign_in(hub, f"token {await add_account(hub, OPERATOR, email)}", kind="user")
            agent = await sign_in(hub, f"token {await add_token(hub, email, 'agent')}", kind="agent")
            async with hub.database.begin() as connection:
                await connection.execute(insert(blob).values(id=name, bytes=1, keys=[name]))
                values = {"id": name, "account_id": user.id, "name": "net", "kind": "onnx", "blob_id": name}
                await connection.execute(insert(model).values(values))
            bench = Bench(hub, user, agent, name)
            for board in (1, 2):
                assert await bench.claim(board) is None
            await drill(bench)
        finally:
            await hub.database.close()

    return lambda drill, lease_s: asyncio.run(carry_out(drill, lease_s))


def test_no_lease_runs_out_because_the_database_stood_still_amid_a_sweep(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        await bench.submit()
        claimed = await bench.claimed()
        await bench.amid_a_sweep()
        await bench.still_holds(claimed)

    run(drill, SHORT_S)


def test_no_lease_runs_out_because_the_database_stood_still_amid_a_claim(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        await bench.keep_busy()
        await bench.submit()
        await bench.still_holds(await bench.claimed_amid())

    run(drill, SHORT_S)


def test_a_claim_that_had_to_wait_for_its_board_begins_its_lease_after_that(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        await bench.keep_busy()
        await bench.submit()
        async with bench.locked("SELECT 1 FROM device WHERE id LIKE '%-1' FOR UPDATE"):
            claiming = asyncio.create_task(bench.claimed())
            await bench.sweep_for(1.5 * SHORT_S)
        await bench.still_holds(await claiming)

    run(drill, SHORT_S)


def test_no_lease_runs_out_because_the_database_stood_still_amid_a_renewal(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        await bench.submit()
        claimed = await bench.claimed()
        await bench.sweep()
        async with bench.locked("LOCK TABLE live_log IN ACCESS EXCLUSIVE MODE"):
            renewing = asyncio.create_task(renew_attempt(bench.hub, bench.agent, claimed.attempt_id, Renewal()))
            await asyncio.sleep(STILL_S)
            await bench.sweep()
        await renewing
        await bench.still_holds(claimed)

    run(drill, SHORT_S)


def test_who_says_nothing_after_a_standstill_is_lost_a_lease_later_and_its_late_word_is_refused(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        job_id = await bench.submit()
        first = await bench.claimed()
        await bench.sweep()
        await asyncio.sleep(STILL_S)
        await bench.sweep()
        assert await bench.states(job_id) == ["running"]
        await bench.sweep_until_lost(job_id)
        second = await bench.claimed(2)  # its own board rests for a lease
        assert (second.job_id, second.number) == (job_id, 2)
        with pytest.raises(Conflict, match="is over"):
            await finish_attempt(bench.hub, bench.agent, first.attempt_id, Outcome())
        await bench.still_holds(second)

    run(drill, SHORT_S)


def test_a_claim_whose_answer_was_lost_holds_the_board_for_a_lease_and_then_the_job_comes_again(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        job_id = await bench.submit()
        await bench.claimed()  # nobody hears of it
        await bench.sweep()
        assert await bench.claim() is None, "somebody may be at work on the board"
        await bench.sweep_until_lost(job_id)
        second = await bench.claimed(2)  # its own board rests for a lease
        assert (second.job_id, second.number) == (job_id, 2)
        await bench.still_holds(second)

    run(drill, SHORT_S)


def test_no_deadline_passes_while_the_database_stands_still_amid_a_sweep(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        job_id = await bench.submit(SHORT_S)
        await bench.claimed()
        await bench.amid_a_sweep()
        await bench.deadline_still_runs(job_id)

    run(drill, LONG_S)


def test_no_deadline_passes_while_the_database_stands_still_amid_a_claim(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        await bench.keep_busy()
        job_id = await bench.submit(SHORT_S)
        await bench.claimed_amid()
        await bench.deadline_still_runs(job_id)

    run(drill, LONG_S)


def lines_of_attempts(caplog: pytest.LogCaptureFixture, job_id: str) -> list[str]:
    """What the hub's log has of a job's attempts; the module's other jobs are lost meanwhile too."""
    lines = [one.getMessage() for one in caplog.records if one.name.startswith("dynolab.hub")]
    return [one for one in lines if one.startswith(f"the job {job_id}: ")]


def test_the_log_has_a_line_of_each_attempt_that_is_lost_or_fails_for_the_device(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def drill(bench: Bench) -> None:
        await bench.keep_busy()
        job_id = await bench.submit()
        await bench.claimed()
        await bench.sweep_until_lost(job_id)
        for _ in range(2):
            error = DeviceLost("it fell\noff")
            await finish_attempt(bench.hub, bench.agent, (await bench.claimed(3)).attempt_id, Outcome(error.to_dict()))
        begin = f"the job {job_id}: attempt %d on the device '{bench.name}-%d' "
        assert lines_of_attempts(caplog, job_id) == [
            f"{begin % (1, 1)}is lost: nothing was heard of the device for 1.4 s; it waits for another try",
            f"{begin % (2, 3)}failed (DeviceLost); it waits for another try",
            f"{begin % (3, 3)}failed (DeviceLost); it has failed: no try is left",
        ]

    run(drill, SHORT_S)


def test_the_log_has_a_line_of_an_attempt_past_its_deadline(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    async def drill(bench: Bench) -> None:
        job_id = await bench.submit(SHORT_S)
        await bench.claimed()
        await bench.sweep_until_lost(job_id)
        why = "the attempt ran longer than the job's deadline of 1.4 s"
        line = f"the job {job_id}: attempt 1 on the device '{bench.name}-1' is lost: {why}; it has failed"
        assert lines_of_attempts(caplog, job_id) == [line]

    run(drill, LONG_S)
