"""Jobs that are followed, and jobs that are withdrawn, each on a bench in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

pytest.importorskip("pgqueuer")

from sqlalchemy import delete, insert, update

from dynolab.errors import LoadFailed, RateLimited
from dynolab.hub.scheduling.followers import WATCHED_MOST
from dynolab.hub.store.tables import attempt, job, pool, share, trust
from dynolab.hub.usecases.delete_job import delete_job
from dynolab.hub.usecases.follow_job import Moment, follow_job
from dynolab.hub.usecases.renew_attempt import renew_attempt
from dynolab.hub.usecases.withdraw_jobs import withdraw_jobs
from dynolab.spec.agents import DeviceOffer, Outcome, Renewal
from dynolab.testing.bench import Bench, on_bench
from dynolab.testing.databases import OwnDatabase

Run = Callable[[Callable[[Bench], Awaitable[None]]], None]


@pytest.fixture
def run(postgres: OwnDatabase, tmp_path: Path) -> Run:
    return lambda drill: on_bench(postgres, tmp_path, drill)


def test_one_account_follows_no_more_jobs_than_leave_room_for_others(run: Run) -> None:
    """Every stream is a connection that stays: who may not have more is told so, and gets one when another ends."""

    async def drill(bench: Bench) -> None:
        hub, who = bench.hub, bench.user
        job_id = await bench.submit(await bench.model())
        async with AsyncExitStack() as streams:
            for _ in range(WATCHED_MOST - 1):
                await streams.enter_async_context(follow_job(hub, who, job_id))
            hub.followers.check(who.id)
            async with follow_job(hub, who, job_id):
                with pytest.raises(RateLimited) as caught:
                    hub.followers.check(who.id)
                assert caught.value.details == {"retry_after_s": 15}
                hub.followers.check(who.id + 1)
            hub.followers.check(who.id)

    run(drill)


def test_who_follows_a_job_sees_every_step_of_it_and_its_end(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        hub = bench.hub
        job_id = await bench.submit(await bench.model())
        async with follow_job(hub, bench.user, job_id) as watcher:

            async def next_one() -> Moment:
                watcher.changed.clear()
                await asyncio.wait_for(watcher.changed.wait(), 20)
                assert isinstance(watcher.seen, Moment)
                return watcher.seen

            assert watcher.seen == Moment("queued", 0, None, None, None, over=False)
            first = await bench.claimed()
            assert await next_one() == Moment("preparing", 1, None, None, None, over=False)
            await renew_attempt(hub, bench.agent, first.attempt_id, Renewal({"stage": "compile"}))
            seen = await next_one()
            assert (seen.state, seen.progress) == ("running", {"stage": "compile"})
            await bench.run(update(attempt).where(attempt.c.id == first.attempt_id).values(state="lost"))
            await bench.run(
                insert(attempt).values(
                    id=job_uuid(1),
                    job_id=job_id,
                    number=2,
                    state="running",
                    device_id=f"{bench.name}-2",
                    progress={"stage": "warm_load"},
                )
            )
            assert (await next_one()).progress == {"stage": "warm_load"}, "that of the last attempt"
            await bench.run(update(attempt).where(attempt.c.id == job_uuid(1)).values(state="lost", number=0))
            await bench.run(update(attempt).where(attempt.c.id == first.attempt_id).values(state="running"))
            assert (await next_one()).progress == {"stage": "compile"}
            await bench.finish(first, Outcome(LoadFailed("it does not load").to_dict(), {"x": 1}))
            seen = await next_one()
            assert (seen.state, seen.over, seen.failure["code"]) == ("failed", True, "LoadFailed")
            watcher.changed.clear()
            await delete_job(hub, bench.user, job_id)
            await asyncio.wait_for(watcher.changed.wait(), 20)
            assert watcher.seen is None

    run(drill)


def job_uuid(number: int) -> str:
    return f"00000000-0000-0000-0000-{number:012d}"


LOST = {
    "model": "its model is not shared any more, or was deleted",
    "dataset": "its dataset is not shared any more, or was deleted",
    "pool": "the device does not take its owner's jobs any more",
    "trust": "the device may not receive its owner's models any more",
}


@pytest.mark.parametrize("what", LOST)
def test_jobs_without_access_any_more_are_withdrawn_and_no_others(run: Run, what: str) -> None:
    async def drill(bench: Bench) -> None:
        hub, other = bench.hub, await bench.account()
        bench.offer = lambda board=1: DeviceOffer(f"{bench.name}-{board}", bench.name, "1.0", ("sandbox:test",))  # type: ignore[method-assign] # it takes jobs of others
        assert await bench.claim() is None
        model_id, data = await bench.model(), await bench.dataset()
        for target in (model_id, data):
            await bench.run(insert(share).values(target_id=target, email=other.email, granted_by=bench.user.id))
        await bench.run(update(pool).where(pool.c.account_id == bench.user.id).values(is_open=True))
        await bench.run(insert(trust).values(account_id=other.id, owner_id=bench.user.id))
        asked = {"kind": "inference", "dataset_id": data}
        done = await bench.submit(model_id, other, **asked)
        await bench.finish(await bench.claimed())
        running = await bench.submit(model_id, other, **asked)
        claimed = await bench.claimed()
        queued = [await bench.submit(model_id, other, **asked) for _ in range(2)]
        elsewhere, mine = await bench.submit(model_id, other, **asked), await bench.submit(model_id, **asked)
        access = {
            "model": delete(share).where(share.c.target_id == model_id),
            "dataset": delete(share).where(share.c.target_id == data),
            "pool": update(pool).where(pool.c.account_id == bench.user.id).values(is_open=False),
            "trust": delete(trust).where(trust.c.account_id == other.id),
        }
        await bench.run(access[what])
        async with hub.database.begin() as connection:
            await withdraw_jobs(hub, connection, job.c.id != elsewhere)
        assert [await bench.state(one) for one in (running, *queued)] == ["failed"] * 3
        assert [await bench.state(one) for one in (done, elsewhere, mine)] == ["done", "queued", "queued"]
        for one in (running, *queued):
            failure = (await bench.row(job, one)).failure
            assert failure["code"] == "Forbidden"
            assert LOST[what] in failure["message"]
        assert (await bench.row(attempt, claimed.attempt_id)).state == "lost"
        assert await bench.holder() is None, "the board is free"
        if what in ("pool", "trust"):
            found = await bench.claimed()
            assert found.job_id in (mine, elsewhere)

    run(drill)
