"""Quotas under two replicas, and retention: each on a bench in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pgqueuer")

from sqlalchemy import func, select, update

from dynolab.errors import Error, Forbidden, RateLimited, SpecInvalid, TooLarge
from dynolab.hub.app import open_hub
from dynolab.hub.settings import Settings
from dynolab.hub.store.links import Link
from dynolab.hub.store.tables import attempt, blob, dataset, device_use, job, model, stored_bytes
from dynolab.hub.usecases.base import Account, Hub
from dynolab.hub.usecases.begin_upload import begin_upload
from dynolab.hub.usecases.cancel_job import cancel_job
from dynolab.hub.usecases.change_organisation import create_organisation, create_project
from dynolab.hub.usecases.claim_attempt import Claim
from dynolab.hub.usecases.create_dataset import create_dataset
from dynolab.hub.usecases.create_model import create_model
from dynolab.hub.usecases.delete_job import delete_job
from dynolab.hub.usecases.delete_model import delete_model
from dynolab.hub.usecases.free_blobs import free_blobs
from dynolab.hub.usecases.job_request import JobRequest
from dynolab.hub.usecases.pin_job import find_end, pin_job
from dynolab.hub.usecases.quotas import Owner, read_usage, set_bounds, sweep_device_use, sweep_stored_bytes
from dynolab.hub.usecases.share_access import change_sharing
from dynolab.hub.usecases.store_file import store_file
from dynolab.hub.usecases.store_part import store_part
from dynolab.hub.usecases.submit_job import submit_job
from dynolab.hub.usecases.sweep_files import sweep_files
from dynolab.hub.usecases.sweep_retention import keep_for, sweep_retention
from dynolab.spec.agents import Outcome
from dynolab.testing.bench import Bench, bytes_of, on_bench
from dynolab.testing.databases import OwnDatabase

Drill = Callable[[Bench, Hub], Awaitable[None]]
Run = Callable[..., None]
RACERS = 12


@pytest.fixture
def run(postgres: OwnDatabase, tmp_path: Path) -> Run:
    """Runs a drill on a bench, with a second replica of its hub."""

    def carry_out(drill: Drill, **settings: object) -> None:
        async def both(bench: Bench) -> None:
            other = await open_hub(Settings(tmp_path, **settings), postgres.url, postgres.dsn)  # type: ignore[arg-type] - each fits
            try:
                await drill(bench, other)
            finally:
                await other.database.close()

        on_bench(postgres, tmp_path, both, **settings)

    return carry_out


async def project_of(bench: Bench) -> str:
    """A project whose owner is the bench's user."""
    operator = Account(0, "", "", "", is_admin=True)
    name = bench.name.lower()
    await create_organisation(bench.hub, operator, name, bench.user.email)
    return await create_project(bench.hub, bench.user, name, "vision")


async def racing(calls: list[Awaitable[Any]], refused: type[Error]) -> tuple[int, list[Error]]:
    """How many were let in, and what the others were told; anything else fails."""
    answers = await asyncio.gather(*calls, return_exceptions=True)
    told = [one for one in answers if isinstance(one, refused)]
    odd = [one for one in answers if isinstance(one, BaseException) and not isinstance(one, refused)]
    assert odd == []
    return len(answers) - len(told), told


@pytest.mark.parametrize("in_project", [False, True])
def test_racing_submitters_at_two_replicas_take_what_there_is_and_no_more(run: Run, in_project: bool) -> None:
    async def drill(bench: Bench, other: Hub) -> None:
        place = await project_of(bench) if in_project else None
        await set_bounds(bench.hub, Owner(bench.user.id, place), most_jobs=3)
        asked = JobRequest("profile", await bench.model(), bench.name, "", project_id=place or "")
        hubs = [bench.hub, other] * (RACERS // 2)
        count, told = await racing([submit_job(hub, bench.user, asked) for hub in hubs], RateLimited)
        assert (count, len(told)) == (3, RACERS - 3)
        assert "3 jobs that wait or run, of 3 at most" in told[0].message
        assert told[0].retry_after_s == 20
        assert "administrator" in str(told[0].hint)
        usage = await read_usage(bench.hub, bench.user, place)
        assert (usage.jobs, usage.bounds.jobs) == (3, 3)
        if in_project:  # what is in the personal space does not count there
            await submit_job(bench.hub, bench.user, replace(asked, project_id=""))
        async with bench.hub.database.single() as connection:
            first = await connection.scalar(select(job.c.id).where(Owner(bench.user.id, place).of(job)).limit(1))
        await cancel_job(bench.hub, bench.user, str(first))
        await submit_job(other, bench.user, asked)
        with pytest.raises(RateLimited):
            await submit_job(bench.hub, bench.user, asked)

    run(drill)


@pytest.mark.parametrize("in_project", [False, True])
def test_racing_uploads_at_two_replicas_take_what_there_is_and_no_more(run: Run, in_project: bool) -> None:
    async def drill(bench: Bench, other: Hub) -> None:
        place = await project_of(bench) if in_project else None
        owner, named = Owner(bench.user.id, place), {"project_id": place or ""}
        made = [
            (await create_model(bench.hub, bench.user, name="m", kind="onnx", is_directory=False, **named))[0]
            for _ in range(RACERS)
        ]
        data, *_ = await create_dataset(bench.hub, bench.user, name="d", **named)
        await set_bounds(bench.hub, owner, most_bytes=1000)
        hubs = [bench.hub, other] * (RACERS // 2)
        calls = [begin_upload(hub, bench.user, model, one, size=300) for hub, one in zip(hubs, made, strict=True)]
        count, told = await racing(list(calls), TooLarge)
        assert count == 3
        assert "keeps 900 of at most 1000 bytes" in told[0].message
        assert (await read_usage(bench.hub, bench.user, place)).bytes == 900
        with pytest.raises(TooLarge):
            await begin_upload(bench.hub, bench.user, dataset, data, size=101)
        begun = await begin_upload(bench.hub, bench.user, dataset, data, size=None, verb="form")
        with pytest.raises(TooLarge):  # of an unknown size: as soon as too many have come
            await store_part(bench.hub, Link("form", begun.id, ""), bytes_of(b"x" * 101))
        await store_part(bench.hub, Link("form", begun.id, ""), bytes_of(b"x" * 100))
        assert (await read_usage(bench.hub, bench.user, place)).bytes == 1000
        for one in made:
            await delete_model(bench.hub, bench.user, one)
        assert (await read_usage(bench.hub, bench.user, place)).bytes == 100

    run(drill)


def test_the_settings_bound_whoever_has_no_bound_of_its_own(run: Run) -> None:
    async def drill(bench: Bench, other: Hub) -> None:
        first = await bench.model(b"x" * 60)
        with pytest.raises(TooLarge, match="keeps 60 of at most 100 bytes"):
            await bench.model(b"x" * 41)
        await bench.submit(first)
        with pytest.raises(RateLimited):
            await bench.submit(first)
        await set_bounds(bench.hub, Owner(bench.user.id), most_bytes=200, most_jobs=2)
        await bench.model(b"x" * 41)
        await bench.submit(first)

    run(drill, quota_bytes=100, quota_jobs=1)


@pytest.mark.parametrize("in_project", [False, True])
def test_what_jobs_leave_counts_is_kept_and_bounds_what_comes_next(run: Run, in_project: bool) -> None:
    async def drill(bench: Bench, other: Hub) -> None:
        place = await project_of(bench) if in_project else None
        owner, named = Owner(bench.user.id, place), place or ""
        used = await bench.model(b"m" * 100)  # in the personal space
        own = 0 if in_project else 100
        await set_bounds(bench.hub, owner, most_bytes=own + 30)
        first, second = [await bench.submit(used, project_id=named) for _ in range(2)]
        for board in (1, 2):
            claimed = await bench.claimed(board)
            await bench.leave(claimed, "result", b"r" * 5)
            await bench.leave(claimed, "result", b"r" * 10)  # another in its place
            await bench.leave(claimed, "log", b"l" * 20)
            await bench.finish(claimed)
        await free_blobs(bench.hub)
        usage = await read_usage(other, bench.user, place)
        assert (usage.bytes, usage.bytes_of_jobs) == (own + 70, 70), "what was replaced is not gone yet"
        await bench.run(update(blob).values(created_at=func.now() - timedelta(hours=2)))
        await free_blobs(bench.hub)
        usage = await read_usage(other, bench.user, place)
        assert (usage.bytes, usage.bytes_of_jobs) == (own + 60, 60), "what was left is kept, and counts"
        with pytest.raises(
            TooLarge, match=f"keeps {own + 60} of at most {own + 30} bytes, 60 of them left by jobs: no job"
        ):
            await bench.submit(used, project_id=named)
        data, *_ = await create_dataset(bench.hub, bench.user, name="d", project_id=named)
        with pytest.raises(TooLarge, match="60 of them left by jobs") as refused:
            await begin_upload(other, bench.user, dataset, data, size=1)
        assert "delete jobs" in str(refused.value.hint)
        await asyncio.gather(sweep_stored_bytes(bench.hub), sweep_stored_bytes(other))
        assert (await read_usage(bench.hub, bench.user, place)).bytes == own + 60
        await delete_job(bench.hub, bench.user, first)
        assert (await read_usage(bench.hub, bench.user, place)).bytes == own + 30
        await delete_job(bench.hub, bench.user, second)
        await bench.submit(used, project_id=named)
        async with bench.hub.database.single() as connection:
            sums = [one.bytes for one in await connection.execute(select(stored_bytes).where(owner.of(stored_bytes)))]
        assert sum(sums) == own

    run(drill)


def test_two_jobs_that_end_at_two_replicas_are_both_counted(run: Run) -> None:
    async def drill(bench: Bench, other: Hub) -> None:
        used = await bench.model(b"m")
        claims = []
        for board in (1, 2):
            await bench.submit(used)
            claims.append(await bench.claimed(board))

        async def leave(hub: Hub, claimed: Claim) -> None:
            for verb in ("result", "artifact", "log"):
                await store_file(hub, bench.agent, claimed.attempt_id, verb, bytes_of(b"x" * 1000))

        sweeps = [sweep_stored_bytes(hub) for hub in (bench.hub, other)]
        await asyncio.gather(leave(bench.hub, claims[0]), leave(other, claims[1]), *sweeps)
        assert (await read_usage(other, bench.user)).bytes == 6001

    run(drill)


def test_blobs_of_before_they_were_counted_are_found(run: Run) -> None:
    async def drill(bench: Bench, other: Hub) -> None:
        used = await bench.model(b"m" * 7)
        await finished(bench, used)
        before = await read_usage(bench.hub, bench.user)
        assert before.bytes == 7 + len("resultlogoutput")
        assert before.bytes_of_jobs == len("resultlog"), "outputs are datasets"
        await bench.run(update(blob).values(account_id=None))
        assert (await read_usage(bench.hub, bench.user)).bytes == 0
        await asyncio.gather(sweep_stored_bytes(bench.hub), sweep_stored_bytes(other))
        await sweep_stored_bytes(bench.hub)
        assert await read_usage(bench.hub, bench.user) == before

    run(drill)


def test_device_minutes_are_counted_when_attempts_end_and_bound_what_is_submitted(run: Run) -> None:
    async def drill(bench: Bench, other: Hub) -> None:
        used = await bench.model()
        ended, lost = await bench.submit(used), await bench.submit(used)
        claimed, second = await bench.claimed(1), await bench.claimed(2)
        for one, minutes in ((claimed, 7), (second, 4)):
            began = func.now() - timedelta(minutes=minutes)
            await bench.run(update(attempt).where(attempt.c.id == one.attempt_id).values(started_at=began))
        await set_bounds(bench.hub, Owner(bench.user.id), most_minutes=10)
        await bench.finish(claimed if claimed.job_id == ended else second)
        assert 4 <= (await read_usage(bench.hub, bench.user)).minutes < 8
        await bench.submit(used)  # there is some left
        await delete_of(bench, lost)
        usage = await read_usage(bench.hub, bench.user)
        assert usage.minutes == pytest.approx(11, abs=0.5)
        with pytest.raises(Forbidden, match=r"has used 11\.\d of its 10 device minutes of this month"):
            await bench.submit(used)
        await asyncio.gather(sweep_device_use(bench.hub), sweep_device_use(other))
        await sweep_device_use(other)
        async with bench.hub.database.single() as connection:
            mine = select(func.count()).where(device_use.c.account_id == bench.user.id)
            assert await connection.scalar(mine) == 1
        assert (await read_usage(bench.hub, bench.user)).minutes == pytest.approx(usage.minutes)
        last_month = func.date_trunc("month", func.now()) - timedelta(days=3)
        await bench.run(update(device_use).values(month=last_month))
        await bench.submit(used)

    run(drill)


async def delete_of(bench: Bench, job_id: str) -> None:
    """Have the attempt of a job lost: its model is taken away."""
    from dynolab.hub.usecases.end_attempt import lose_attempts

    async with bench.hub.database.begin() as connection:
        await lose_attempts(bench.hub, connection, job_id)


# ---- retention -------------------------------------------------------------------------------------------------------


async def finished(bench: Bench, used: str, **more: Any) -> str:
    """A job that is over, with a result, a log, and an output dataset."""
    made = await bench.submit(used, **more)
    claimed = await bench.claimed()
    for verb in ("result", "log", "output"):
        await bench.leave(claimed, verb, verb.encode())
    await bench.finish(claimed, Outcome(summary={"estimated_inference_time_ns": 7}))
    return made


async def aged(bench: Bench, days: int) -> None:
    """All that the user has becomes older."""
    for table in (job, dataset):
        values: dict[str, Any] = {"created_at": table.c.created_at - timedelta(days=days)}
        if table is job:
            values["finished_at"] = table.c.finished_at - timedelta(days=days)
        await bench.run(update(table).where(table.c.account_id == bench.user.id).values(values))


@pytest.mark.parametrize("in_project", [False, True])
def test_retention_takes_results_and_datasets_and_leaves_what_is_pinned_shared_or_young(
    run: Run, in_project: bool
) -> None:
    async def drill(bench: Bench, other: Hub) -> None:
        place = await project_of(bench) if in_project else ""
        used = await bench.model()
        old, pinned, shared = [await finished(bench, used, project_id=place) for _ in range(3)]
        outside = await finished(bench, used, project_id="" if in_project else await project_of(bench))
        permanent, *_ = await create_dataset(bench.hub, bench.user, name="kept", permanent=True, project_id=place)
        await pin_job(bench.hub, bench.user, pinned, True)
        await change_sharing(bench.hub, bench.user, job, shared, add=["friend@example.org"])
        await aged(bench, 9)
        young = await finished(bench, used, project_id=place)
        blobs = {one: await left(bench, one) for one in (old, pinned, shared, young, outside)}
        assert [len(one) for one in blobs.values()] == [3] * 5
        for days in (10, None):
            await keep_for(bench.hub, bench.user, days, project_named=place)
            await sweep_retention(bench.hub)
        assert {one: await left(bench, one) for one in blobs} == blobs, "nothing is old enough, or is to go"
        await keep_for(bench.hub, bench.user, 8, project_named=place)
        assert await find_end(bench.hub, await bench.row(job, old)) is not None, "it is told before"
        await asyncio.gather(sweep_retention(bench.hub), sweep_retention(other))
        await sweep_files(bench.hub)
        row = await bench.row(job, old)
        assert (row.state, row.summary, row.result_blob_id) == ("done", {"estimated_inference_time_ns": 7}, None)
        assert row.cleared_at is not None
        assert await left(bench, old) == {}
        for one in (pinned, shared, young, outside):
            assert await left(bench, one) == blobs[one]
            assert (await bench.row(job, one)).cleared_at is None
        gone = {one: (await output(bench, one)).deleted_at is not None for one in (old, pinned, shared, young)}
        assert gone == {old: True, pinned: False, shared: False, young: False}
        assert (await bench.row(dataset, permanent)).deleted_at is None
        assert (await bench.row(model, used)).blob_id is not None

    run(drill)


async def left(bench: Bench, job_id: str) -> dict[str, str]:
    """The blobs of what the job's attempts left, and its result's."""
    [one] = await bench.attempts(job_id)
    row = await bench.row(job, job_id)
    found = {"result": row.result_blob_id, "its result": one.result_blob_id, "log": one.log_blob_id}
    return {name: blob_id for name, blob_id in found.items() if blob_id is not None}


async def output(bench: Bench, job_id: str) -> Any:
    return await bench.row(dataset, (await bench.row(job, job_id)).output_dataset_id)


def test_who_sets_retention_and_for_how_long(run: Run) -> None:
    async def drill(bench: Bench, other: Hub) -> None:
        for days in (0, -1, 3651):
            with pytest.raises(SpecInvalid, match="1 to 3650 are taken"):
                await keep_for(bench.hub, bench.user, days)
        bound = replace(bench.user, project_id=await project_of(bench), is_bound=True)
        with pytest.raises(Forbidden):
            await keep_for(bench.hub, bound, 3)

    run(drill)


def test_a_job_that_is_not_over_keeps_all(run: Run) -> None:
    async def drill(bench: Bench, other: Hub) -> None:
        waiting = await bench.submit(await bench.model(), kind="inference", dataset_id=await bench.dataset())
        await aged(bench, 9)
        await keep_for(bench.hub, bench.user, 8)
        await sweep_retention(bench.hub)
        await sweep_files(bench.hub)
        row = await bench.row(job, waiting)
        assert (row.state, row.cleared_at) == ("queued", None)
        assert (await bench.row(dataset, row.dataset_id)).deleted_at is None

    run(drill)
