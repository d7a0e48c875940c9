"""What the hub's use cases keep to, each on a bench in this process: a mistake of one line in one of them fails here."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

pytest.importorskip("pgqueuer")

from sqlalchemy import Float, Text, cast, delete, func, select, text, update

from dynolab.errors import (
    Conflict,
    DependencyFailed,
    DeviceLost,
    Forbidden,
    LoadFailed,
    ModelInvalid,
    NotFound,
    SpecInvalid,
    StorageFull,
    TooLarge,
    Unauthorized,
)
from dynolab.hub.store.links import Link
from dynolab.hub.store.tables import attempt, dataset, device, job, model, setting, token, upload
from dynolab.hub.usecases.announce_device import announce_device
from dynolab.hub.usecases.begin_upload import begin_upload
from dynolab.hub.usecases.cancel_job import cancel_job
from dynolab.hub.usecases.claim_attempt import claim_attempt
from dynolab.hub.usecases.complete_upload import complete_upload
from dynolab.hub.usecases.create_model import create_model
from dynolab.hub.usecases.delete_job import delete_job
from dynolab.hub.usecases.delete_model import delete_model
from dynolab.hub.usecases.end_attempt import sweep_leases
from dynolab.hub.usecases.find_formats import find_formats
from dynolab.hub.usecases.find_jobs import find_job
from dynolab.hub.usecases.make_token import make_own_token
from dynolab.hub.usecases.read_blob import blob_size, read_all
from dynolab.hub.usecases.receive_file import receive_dataset, receive_model
from dynolab.hub.usecases.renew_attempt import renew_attempt
from dynolab.hub.usecases.rerun_job import rerun_job
from dynolab.hub.usecases.revoke_token import revoke_token
from dynolab.hub.usecases.share_access import change_sharing, shared_with, stop_sharing
from dynolab.hub.usecases.store_part import store_part
from dynolab.hub.usecases.sweep_deadlines import sweep_deadlines
from dynolab.spec.agents import AGENT_PROTOCOL, LIVE_LOG_BYTES, ClaimRequest, Outcome, Renewal
from dynolab.testing.bench import Bench, bytes_of, on_bench
from dynolab.testing.databases import OwnDatabase

Drill = Callable[[Bench], Awaitable[None]]
Run = Callable[..., None]
LOST = Outcome(error=DeviceLost("the board fell off the table").to_dict())
FAILED = Outcome(error=LoadFailed("the model is broken").to_dict())


@pytest.fixture
def run(postgres: OwnDatabase, tmp_path: Path) -> Run:
    def carry_out(drill: Drill, **settings: object) -> None:
        on_bench(postgres, tmp_path, drill, **settings)

    return carry_out


# ---- attempts --------------------------------------------------------------------------------------------------------


def test_a_job_that_is_tried_again_goes_before_those_that_stood_behind_it(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        made = await bench.model()
        first, second = await bench.submit(made), await bench.submit(made)
        await bench.run(update(job).where(job.c.id == second).values(priority=0))
        await bench.run(text("UPDATE pgqueuer SET priority = 0").execution_options())
        claimed = await bench.claimed()
        assert claimed.job_id == first
        await bench.finish(claimed, LOST)
        again = await bench.claimed()
        assert (again.job_id, again.number) == (first, 2)

    run(drill)


def test_what_the_device_fails_with_is_tried_three_times_and_what_the_model_fails_with_once(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        made = await bench.model()
        lost, failed = await bench.submit(made), await bench.submit(made)
        for number in (1, 2, 3):
            claimed = await bench.claimed()
            assert (claimed.job_id, claimed.number) == (lost, number)
            assert await bench.state(lost) == "preparing"
            await bench.finish(claimed, LOST)
        assert (await bench.row(job, lost)).failure["code"] == "DeviceLost"
        await bench.finish(await bench.claimed(), FAILED)
        assert (await bench.row(job, failed)).failure["code"] == "LoadFailed"
        assert [one.state for one in await bench.attempts(failed)] == ["failed"]
        assert await bench.claim() is None

    run(drill)


def test_a_renewal_without_progress_or_log_leaves_both_as_they_are(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        job_id = await bench.submit(await bench.model())
        claimed = await bench.claimed()
        before = (await bench.attempts(job_id))[0].renewed_at
        await renew_attempt(bench.hub, bench.agent, claimed.attempt_id, Renewal())
        assert await bench.state(job_id) == "preparing", "nothing is begun yet"
        await renew_attempt(bench.hub, bench.agent, claimed.attempt_id, Renewal({"stage": "compile"}, "x" * 100_000))
        await renew_attempt(bench.hub, bench.agent, claimed.attempt_id, Renewal())
        assert await bench.state(job_id) == "running"
        [now] = await bench.attempts(job_id)
        assert now.progress == {"stage": "compile"}
        assert now.renewed_at > before
        async with bench.hub.database.single() as connection:
            kept = text("SELECT length(text) FROM live_log WHERE attempt_id = :id")
            assert await connection.scalar(kept, {"id": claimed.attempt_id}) == LIVE_LOG_BYTES
        with pytest.raises(SpecInvalid, match="progress"):
            await renew_attempt(bench.hub, bench.agent, claimed.attempt_id, Renewal({"text": "x" * 20_000}))
        answer = await renew_attempt(bench.hub, bench.agent, claimed.attempt_id, Renewal())
        assert not answer.cancel
        await cancel_job(bench.hub, bench.user, job_id)
        assert (await renew_attempt(bench.hub, bench.agent, claimed.attempt_id, Renewal())).cancel
        await bench.finish(claimed)
        assert await bench.state(job_id) == "cancelled"
        with pytest.raises(Conflict, match="is over"):
            await renew_attempt(bench.hub, bench.agent, claimed.attempt_id, Renewal())

    run(drill)


def test_an_end_frees_its_board_and_no_other(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        made = await bench.model()
        await bench.submit(made)
        await bench.submit(made)
        first, second = await bench.claimed(1), await bench.claimed(2)
        assert (await bench.holder(1), await bench.holder(2)) == (first.attempt_id, second.attempt_id)
        await bench.finish(first)
        assert (await bench.holder(1), await bench.holder(2)) == (None, second.attempt_id)

    run(drill)


def test_a_late_end_does_not_free_the_board_that_another_attempt_holds(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        made = await bench.model()
        await bench.submit(made)
        await bench.submit(made)
        late, holding = await bench.claimed(1), await bench.claimed(2)
        board = device.c.id == f"{bench.name}-1"
        await bench.run(update(device).where(board).values(attempt_id=holding.attempt_id))
        await bench.finish(late)
        assert await bench.holder(1) == holding.attempt_id

    run(drill)


def test_an_end_that_is_said_twice_is_done_once_and_another_end_is_refused(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        job_id = await bench.submit(await bench.model())
        claimed = await bench.claimed()
        await bench.leave(claimed, "result", b"first")
        await bench.leave(claimed, "result", b"profile")
        await bench.leave(claimed, "output", b"tensors")
        await bench.finish(claimed, Outcome(summary={"estimated_inference_time_ns": 7}))
        await bench.finish(claimed, Outcome(summary={"estimated_inference_time_ns": 8}))
        with pytest.raises(Conflict):
            await bench.finish(claimed, FAILED)
        with pytest.raises(Conflict):
            await bench.leave(claimed, "log", b"late")
        row = await find_job(bench.hub, bench.user, job_id)
        assert row.summary == {"estimated_inference_time_ns": 7}
        assert await read_all(bench.hub, row.result_blob_id, 100) == b"profile"
        with pytest.raises(TooLarge):
            await read_all(bench.hub, row.result_blob_id, 6)
        outputs = await bench.row(dataset, row.output_dataset_id)
        assert outputs.account_id == bench.user.id
        assert await blob_size(bench.hub, outputs.blob_id) == 7
        assert row.finished_at is not None

    run(drill)


def test_a_board_that_asks_twice_at_once_is_given_one_job(run: Run, postgres: OwnDatabase) -> None:
    """As an agent does whose connection broke while it waited: the second question sees nothing of what the first was given."""

    async def drill(bench: Bench) -> None:
        made = await bench.model()
        jobs = [await bench.submit(made) for _ in range(2)]
        stand_still = select(device.c.id).where(device.c.id == bench.offer().id).with_for_update()
        async with bench.hub.database.begin() as connection:
            await connection.execute(stand_still)
            asked = [asyncio.create_task(bench.claim()) for _ in range(2)]
            while await asyncio.to_thread(postgres.waiting) < len(asked):
                await asyncio.sleep(0.01)
        found = [claim for claim in await asyncio.gather(*asked) if claim is not None]
        assert [claim.job_id for claim in found] == jobs[:1]
        assert await bench.state(jobs[1]) == "queued"
        await bench.finish(found[0])
        assert (await bench.claimed()).job_id == jobs[1]

    run(drill)


def test_a_cancelled_job_is_handed_out_to_nobody_and_leaves_the_queue(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        made = await bench.model()
        cancelled, marked, last = [await bench.submit(made) for _ in range(3)]
        await cancel_job(bench.hub, bench.user, cancelled)
        assert await bench.state(cancelled) == "cancelled"
        with pytest.raises(Conflict, match="over already"):
            await cancel_job(bench.hub, bench.user, cancelled)
        await bench.run(update(job).where(job.c.id == marked).values(cancelled_at=func.now()))
        assert (await bench.claimed()).job_id == last
        assert await bench.attempts(marked) == []
        async with bench.hub.database.single() as connection:
            waiting = text("SELECT count(*) FROM pgqueuer WHERE payload = convert_to(:id, 'UTF8')")
            for job_id in (cancelled, marked):
                assert await connection.scalar(waiting, {"id": job_id}) == 0

    run(drill)


def test_no_deadline_is_judged_before_the_time_away_is_known(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        job_id = await bench.submit(await bench.model(), deadline_s=0.05)
        await bench.claimed()
        await asyncio.sleep(0.2)
        await bench.run(delete(setting).where(setting.c.name == "leases_swept_at"))  # a test before may just have swept
        await sweep_deadlines(bench.hub)
        assert await bench.state(job_id) == "preparing", "the hub may have been away"
        await sweep_leases(bench.hub)
        await sweep_leases(bench.hub)
        for _ in range(20):
            await asyncio.sleep(0.05)
            await sweep_leases(bench.hub)
            await sweep_deadlines(bench.hub)
        assert (await bench.row(job, job_id)).failure["code"] == "WorkerTimeout"
        assert await bench.holder() is None
        [ended] = await bench.attempts(job_id)
        assert ended.failure["code"] == "WorkerTimeout"

    run(drill)


@pytest.mark.parametrize(("ran_s", "is_over"), [(1500, False), (1900, True)])
def test_a_deadline_counts_nothing_of_all_the_times_that_the_hub_was_away(run: Run, ran_s: int, is_over: bool) -> None:
    """1000 s are the bound; the hub was away for 400 s, and now for 300 s more."""

    async def drill(bench: Bench) -> None:
        job_id = await bench.submit(await bench.model(), deadline_s=1000)
        claimed = await bench.claimed()
        await sweep_leases(bench.hub)
        began = func.now() - timedelta(seconds=ran_s)
        lately = {"started_at": began, "away_s": 400, "renewed_at": func.now()}
        await bench.run(update(attempt).where(attempt.c.id == claimed.attempt_id).values(lately))
        swept = {"value": cast(func.extract("epoch", func.now()) - 300, Text)}
        await bench.run(update(setting).where(setting.c.name == "leases_swept_at").values(swept))
        await sweep_leases(bench.hub)
        await sweep_deadlines(bench.hub)
        assert await bench.state(job_id) == ("failed" if is_over else "preparing")

    run(drill)


@pytest.mark.parametrize("deadline_s", [0.5, 1000])
def test_a_deadline_is_neither_sooner_nor_later_for_a_clock_that_is_set_back(run: Run, deadline_s: float) -> None:
    async def drill(bench: Bench) -> None:
        job_id = await bench.submit(await bench.model(), deadline_s=deadline_s)
        claimed = await bench.claimed()
        await sweep_leases(bench.hub)
        hour = timedelta(hours=1)  # what happened until now did so by a clock that was an hour ahead
        ahead = {"started_at": attempt.c.started_at + hour, "renewed_at": attempt.c.renewed_at + hour}
        await bench.run(update(attempt).where(attempt.c.id == claimed.attempt_id).values(ahead))
        swept = {"value": cast(cast(setting.c.value, Float) + 3600, Text)}
        await bench.run(update(setting).where(setting.c.name.like("leases_%")).values(swept))
        for _ in range(20):
            await sweep_leases(bench.hub)
            await sweep_deadlines(bench.hub)
            await asyncio.sleep(0.05)
        assert await bench.state(job_id) == ("failed" if deadline_s < 1 else "preparing")

    run(drill)


def test_shapes_that_a_run_saw_are_kept_with_the_job_and_with_a_model_that_fixes_them(run: Run) -> None:
    from dynolab.spec.agents import Tensors
    from dynolab.spec.tensors import TensorSpec

    async def drill(bench: Bench) -> None:
        shown = Tensors((TensorSpec("x", "float32", (1, 3)),), (TensorSpec("y", "int8", (1,)),), fixed=True)
        hidden = Tensors((TensorSpec("x\0", "float32", (1, 3)),), (), fixed=True)
        open_ones = Tensors(shown.inputs, shown.outputs, fixed=False)
        for tensors, of_job, of_model in ((shown, True, True), (hidden, False, False), (open_ones, True, False)):
            made = await bench.model()
            job_id = await bench.submit(made)
            await bench.finish(await bench.claimed(), Outcome(tensors=tensors))
            assert ((await bench.row(job, job_id)).tensors is not None) == of_job
            kept = (await bench.row(model, made)).tensors
            assert (kept is not None) == of_model
            assert kept is None or kept["inputs"][0]["shape"] == [1, 3]

    run(drill)


# ---- devices ---------------------------------------------------------------------------------------------------------


def test_the_device_of_a_revoked_token_goes_to_another_token_of_the_same_account_only(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        mine = await bench.agent_of(bench.user)
        with pytest.raises(Forbidden):
            await bench.claim(agent=mine)
        await revoke_token(bench.hub, bench.user, bench.agent.token_id)
        anybody = await bench.agent_of(await bench.account())
        with pytest.raises(Forbidden):
            await bench.claim(agent=anybody)
        assert (await bench.row(device, f"{bench.name}-1")).token_id == bench.agent.token_id
        await bench.claim(agent=mine)
        assert (await bench.row(device, f"{bench.name}-1")).token_id == mine.token_id

    run(drill)


def test_one_revoked_token_of_an_account_opens_no_other_device(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        other = await bench.account()
        lost = await bench.agent_of(other)
        await announce_device(
            bench.hub, lost, replace(bench.offer(), id=f"{bench.name}-lost", name=f"{bench.name} other")
        )
        await revoke_token(bench.hub, other, lost.token_id)
        await bench.claim()
        again = await bench.agent_of(other)
        with pytest.raises(Forbidden):
            await bench.claim(agent=again)
        assert (await bench.row(device, f"{bench.name}-1")).token_id == bench.agent.token_id

    run(drill)


def test_what_a_device_says_anew_is_kept_and_what_is_wrong_is_refused(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        await announce_device(bench.hub, bench.agent, replace(bench.offer(), os="2.0", frameworks={"b": "1", "a": "2"}))
        row = await bench.row(device, f"{bench.name}-1")
        assert (row.os, [one["name"] for one in row.frameworks]) == ("2.0", ["a", "b"])
        for wrong in ({"id": ""}, {"name": ""}, {"attributes": ("a",)}, {"attributes": ("a:b:c",)}, {"os": "9" * 300}):
            with pytest.raises(SpecInvalid):
                await announce_device(bench.hub, bench.agent, replace(bench.offer(), **wrong))

    run(drill)


# ---- sharing ---------------------------------------------------------------------------------------------------------


def test_sharing_a_job_shares_its_model_data_and_outputs_and_ends_with_them(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        data = await bench.dataset()
        job_id = await bench.submit(await bench.model(), kind="inference", dataset_id=data)
        claimed = await bench.claimed()
        await bench.leave(claimed, "output", b"tensors")
        await bench.finish(claimed)
        row = await bench.row(job, job_id)
        friend = await bench.account()
        assert await change_sharing(bench.hub, bench.user, job, job_id, add=[friend.email]) == []
        for table, target in ((job, job_id), (model, row.model_id), (dataset, data), (dataset, row.output_dataset_id)):
            await shared_with(bench.hub, friend, table, target)  # else: there is none
        assert await shared_with(bench.hub, bench.user, job, job_id) == [friend.email]
        await stop_sharing(bench.hub, bench.user, job, job_id)
        for table, target in ((job, job_id), (model, row.model_id), (dataset, data), (dataset, row.output_dataset_id)):
            with pytest.raises(NotFound):
                await shared_with(bench.hub, friend, table, target)

    run(drill)


# ---- uploads ---------------------------------------------------------------------------------------------------------


def test_the_last_byte_fits_and_the_one_after_it_does_not(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        await bench.model(b"1234")
        targets = [
            (await create_model(bench.hub, bench.user, name="net", kind="onnx", is_directory=False))[0]
            for _ in range(4)
        ]
        with pytest.raises(StorageFull):
            await begin_upload(bench.hub, bench.user, model, targets[0], size=7)
        await begin_upload(bench.hub, bench.user, model, targets[1], size=6)
        for size in (1, 0, None):
            with pytest.raises(StorageFull):
                await begin_upload(bench.hub, bench.user, model, targets[2], size=size)

    async def kept(bench: Bench) -> None:
        async with bench.hub.database.single() as connection:
            used = await connection.scalar(text("SELECT coalesce(sum(bytes), 0) FROM blob"))
            used += await connection.scalar(
                text("SELECT coalesce(sum(coalesce(bytes, come_bytes)), 0) FROM upload WHERE completed_at IS NULL")
            )
        sizes.append(int(used))

    sizes: list[int] = []
    run(kept)
    run(drill, data_max_bytes=sizes[0] + 10)


def test_a_part_that_is_sent_again_takes_the_place_of_the_former(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        target, _ = await create_model(bench.hub, bench.user, name="net", kind="onnx", is_directory=False)
        begun = await begin_upload(bench.hub, bench.user, model, target, size=5)
        link = Link("part", begun.id, "", 0)
        first = await store_part(bench.hub, link, bytes_of(b"wrong"))
        second = await store_part(bench.hub, link, bytes_of(b"ri", b"ght"))
        assert await bench.hub.blobs.keys(f"uploads/{begun.id}") == [second.key] != [first.key]
        with pytest.raises(SpecInvalid, match="has the tag"):
            await complete_upload(bench.hub, bench.user, model, target, etags=[first.etag + "x"])
        with pytest.raises(SpecInvalid, match="2 tags"):
            await complete_upload(bench.hub, bench.user, model, target, etags=[second.etag] * 2)
        await complete_upload(bench.hub, bench.user, model, target, etags=[second.etag])
        await complete_upload(bench.hub, bench.user, model, target)
        assert await read_all(bench.hub, (await bench.row(model, target)).blob_id, 5) == b"right"
        with pytest.raises(Conflict, match="complete already"):
            await store_part(bench.hub, link, bytes_of(b"again"))
        assert await bench.hub.blobs.keys(f"uploads/{begun.id}") == [second.key]
        with pytest.raises(Conflict, match="bytes already"):
            await begin_upload(bench.hub, bench.user, model, target, size=5)

    run(drill)


def test_an_upload_is_complete_only_with_all_its_bytes(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        target, _ = await create_model(bench.hub, bench.user, name="net", kind="onnx", is_directory=False)
        with pytest.raises(Conflict, match="no upload"):
            await complete_upload(bench.hub, bench.user, model, target)
        begun = await begin_upload(bench.hub, bench.user, model, target, size=10)
        assert (len(begun.tokens), begun.part_bytes) == (3, 4)
        for number, content in ((0, b"012"), (2, b"8901"), (1, b"")):
            with pytest.raises(SpecInvalid):
                await store_part(bench.hub, Link("part", begun.id, "", number), bytes_of(content))
        await store_part(bench.hub, Link("part", begun.id, "", 0), bytes_of(b"0123"), length=4)
        await store_part(bench.hub, Link("part", begun.id, "", 2), bytes_of(b"89"))
        with pytest.raises(Conflict, match="6 bytes in 2 parts"):
            await complete_upload(bench.hub, bench.user, model, target, upload_id=begun.id)
        await store_part(bench.hub, Link("part", begun.id, "", 1), bytes_of(b"4567"))
        await bench.run(update(upload).where(upload.c.id == begun.id).values(bytes=11))
        with pytest.raises(Conflict, match="11 were announced"):
            await complete_upload(bench.hub, bench.user, model, target, upload_id=begun.id)
        await bench.run(update(upload).where(upload.c.id == begun.id).values(bytes=10))
        await complete_upload(bench.hub, bench.user, model, target, upload_id=begun.id)
        assert await read_all(bench.hub, (await bench.row(model, target)).blob_id, 10) == b"0123456789"
        other, _ = await create_model(bench.hub, bench.user, name="net", kind="onnx", is_directory=False)
        with pytest.raises(TooLarge):
            await begin_upload(bench.hub, bench.user, model, other, size=101)

    run(drill, part_bytes=4, model_max_bytes=100)


async def open_bytes(bench: Bench) -> int:
    """What counts against the bound of all bytes."""
    async with bench.hub.database.single() as connection:
        used = await connection.scalar(text("SELECT coalesce(sum(bytes), 0) FROM blob"))
        return int(
            used
            + await connection.scalar(text("SELECT coalesce(sum(bytes), 0) FROM upload WHERE completed_at IS NULL"))
        )


def test_bytes_without_an_announced_size_are_refused_as_soon_as_there_is_no_room_for_them(run: Run) -> None:
    sizes: list[int] = []

    async def kept(bench: Bench) -> None:
        sizes.append(await open_bytes(bench))

    async def drill(bench: Bench) -> None:
        target, _ = await create_model(bench.hub, bench.user, name="net", kind="onnx", is_directory=False)
        begun = await begin_upload(bench.hub, bench.user, model, target, size=None, verb="form")
        link, taken = Link("form", begun.id, ""), list[int]()

        async def chunks(*sizes: int) -> AsyncIterator[bytes]:
            for size in sizes:
                taken.append(size)
                yield bytes(size)

        with pytest.raises(StorageFull):
            await store_part(bench.hub, link, chunks(11, 1, 1))
        assert taken == [11], "it is told of the first bytes already"
        with pytest.raises(StorageFull):
            await store_part(bench.hub, link, chunks(1, 10))
        assert (await bench.row(upload, begun.id)).come_bytes == 0, "what broke off takes no room"
        stored = await store_part(bench.hub, link, chunks(1, 9))
        assert (stored.bytes, (await bench.row(upload, begun.id)).come_bytes) == (10, 10)

    run(kept)
    run(drill, data_max_bytes=sizes[0] + 10)


def test_a_file_that_comes_whole_is_there_afterwards_and_one_that_breaks_off_leaves_nothing(run: Run) -> None:
    async def broken(*chunks: bytes) -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk
        raise OSError("the sender hung up")

    async def drill(bench: Bench) -> None:
        hub, user = bench.hub, bench.user
        for table, receive, name in ((model, receive_model, "net.onnx"), (dataset, receive_dataset, "data.h5")):
            made = await receive(hub, user, name, bytes_of(b"12", b"345"))
            row = await bench.row(table, made)
            assert row.name == name.partition(".")[0]
            assert await read_all(hub, row.blob_id, 5) == b"12345"
            with pytest.raises(OSError, match="hung up"):
                await receive(hub, user, name, broken(b"12"))
            async with hub.database.single() as connection:
                mine = select(table.c.id).where(table.c.account_id == user.id, table.c.deleted_at.is_(None))
                assert (await connection.execute(mine)).scalars().all() == [made]

    run(drill)


def test_a_format_that_a_device_offers_is_taken_and_another_refused_by_name(run: Run) -> None:
    offered = ("runs:mine/foo", "ending:.fo1/foo", "ending:.onnx/foo", "ending:bad/foo", "ending:.x/<script>")

    async def drill(bench: Bench) -> None:
        hub, user = bench.hub, bench.user
        with pytest.raises(SpecInvalid, match="the model kind 'foo' is not known, and no device reads it") as refused:
            await create_model(hub, user, name="net", kind="foo", is_directory=False)
        assert "runtime is installed" in (refused.value.hint or "")
        with pytest.raises(ModelInvalid, match=r"net\.fo1 is no model by its name"):
            await receive_model(hub, user, "net.fo1", bytes_of(b"12"))
        offer = replace(bench.offer(), attributes=offered)
        assert await claim_attempt(hub, bench.agent, ClaimRequest(AGENT_PROTOCOL, offer)) is None
        assert (await find_formats(hub, user)).endings == {".fo1": "foo", ".onnx": "foo"}
        made = await receive_model(hub, user, "net.fo1", bytes_of(b"12"))
        assert (await bench.row(model, made)).kind == "foo"
        onnx = await receive_model(hub, user, "net.onnx", bytes_of(b"12"))
        assert (await bench.row(model, onnx)).kind == "onnx", "no device takes an ending of dynolab's own"
        await bench.submit(made)
        claimed = await claim_attempt(hub, bench.agent, ClaimRequest(AGENT_PROTOCOL, offer))
        assert claimed is not None
        assert (claimed.model.kind, claimed.model.file_name) == ("foo", "net.foo")

    run(drill, boards=0)


def test_an_account_has_only_so_many_open_uploads_and_tokens(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from dynolab.hub.usecases import begin_upload as uploads
    from dynolab.hub.usecases import make_token as tokens

    async def drill(bench: Bench) -> None:
        target, _ = await create_model(bench.hub, bench.user, name="net", kind="onnx", is_directory=False)
        for _ in range(3):
            begun = await begin_upload(bench.hub, bench.user, model, target, size=1)
        with pytest.raises(Conflict, match="3 uploads"):
            await begin_upload(bench.hub, bench.user, model, target, size=1)
        await store_part(bench.hub, Link("part", begun.id, "", 0), bytes_of(b"x"))
        await complete_upload(bench.hub, bench.user, model, target, upload_id=begun.id)
        other, _ = await create_model(bench.hub, bench.user, name="net", kind="onnx", is_directory=False)
        await begin_upload(bench.hub, bench.user, model, other, size=1)
        row, _ = await make_own_token(bench.hub, bench.user, kind="user", label="third")
        with pytest.raises(Conflict, match="3 tokens"):
            await make_own_token(bench.hub, bench.user, kind="user", label="fourth")
        await revoke_token(bench.hub, bench.user, row.id)
        await make_own_token(bench.hub, bench.user, kind="agent", label="fourth")

    monkeypatch.setattr(uploads, "OPEN_MOST", 3)
    monkeypatch.setattr(tokens, "TOKENS_MOST", 3)
    run(drill)


# ---- jobs that wait, run again, and are deleted ----------------------------------------------------------------------


def test_a_job_waits_for_all_that_it_was_told_to_and_fails_with_one_of_them(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        made = await bench.model()
        first, second = await bench.submit(made), await bench.submit(made)
        both = await bench.submit(made, waits_for=(first, second))
        after = await bench.submit(made, waits_for=(both,))
        await bench.finish(await bench.claimed())
        claimed = await bench.claimed()
        assert claimed.job_id == second
        assert await bench.claim(2) is None, "one of the two is not done yet"
        await bench.finish(claimed)
        claimed = await bench.claimed()
        assert claimed.job_id == both
        await bench.finish(claimed, FAILED)
        assert (await bench.row(job, after)).failure["code"] == "DependencyFailed"
        with pytest.raises(DependencyFailed):
            await bench.submit(made, waits_for=(both,))
        with pytest.raises(NotFound):
            await bench.submit(made, waits_for=("j" + "0" * 12,))

    run(drill)


def test_a_job_is_run_again_as_it_was_asked_for_and_deleted_when_it_is_over(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        made = await bench.model()
        asked = {"name": "one", "options": "--max_profiler_iterations 7", "priority": 3, "deadline_s": 60.0}
        first = await bench.submit(made, **asked, requirements=("inference_time <= 5 ms",), keeps_artifact=True)
        again, _ = await rerun_job(bench.hub, bench.user, first)
        old, new = await bench.row(job, first), await bench.row(job, again)
        for name in ("name", "options", "asked_priority", "deadline_s", "requirements", "keeps_artifact", "model_id",
                     "device_name", "device_os", "kind", "measures"):  # fmt: skip
            assert getattr(old, name) == getattr(new, name), name
        with pytest.raises(Conflict):
            await delete_job(bench.hub, bench.user, first)
        stranger = await bench.account()
        for verb in (rerun_job, delete_job, cancel_job):
            with pytest.raises(NotFound):
                await verb(bench.hub, stranger, first)
        await bench.finish(await bench.claimed())
        await delete_job(bench.hub, bench.user, first)
        with pytest.raises(NotFound):
            await find_job(bench.hub, bench.user, first)
        with pytest.raises(Conflict):
            await delete_model(bench.hub, bench.user, made)
        await bench.finish(await bench.claimed())
        await delete_model(bench.hub, bench.user, made)

    run(drill)


def test_the_same_key_stands_for_the_same_job(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        made = await bench.model()
        first = await bench.submit(made, idempotency_key="key")
        assert await bench.submit(made, idempotency_key="key") == first
        assert await bench.submit(made) != first
        with pytest.raises(Conflict):
            await bench.submit(made, idempotency_key="key", options="--max_profiler_iterations 7")

    run(drill)


# ---- tokens ----------------------------------------------------------------------------------------------------------


def test_a_revoked_token_and_one_of_the_other_kind_open_nothing(run: Run) -> None:
    from dynolab.hub.usecases.sign_in import sign_in

    async def drill(bench: Bench) -> None:
        row, secret = await make_own_token(bench.hub, bench.user, kind="user", label="laptop")
        assert (await sign_in(bench.hub, f"Bearer {secret}", kind="user")).id == bench.user.id
        for wrong in ("", secret, "Bearer ", f"Basic {secret}", f"Bearer {secret}x"):
            with pytest.raises(Unauthorized):
                await sign_in(bench.hub, wrong, kind="user")
        with pytest.raises(Unauthorized):
            await sign_in(bench.hub, f"Bearer {secret}", kind="agent")
        with pytest.raises(NotFound):
            await revoke_token(bench.hub, await bench.account(), row.id)
        assert (await bench.row(token, row.id)).used_at is not None
        await revoke_token(bench.hub, bench.user, row.id)
        with pytest.raises(Unauthorized):
            await sign_in(bench.hub, f"Bearer {secret}", kind="user")
        with pytest.raises(SpecInvalid):
            await make_own_token(bench.hub, bench.user, kind="admin", label="")

    run(drill)


def test_an_attempt_is_its_agents_alone(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        await bench.submit(await bench.model())
        claimed = await bench.claimed()
        other = await bench.agent_of(bench.user)
        with pytest.raises(NotFound):
            await renew_attempt(bench.hub, other, claimed.attempt_id, Renewal())
        with pytest.raises(NotFound):
            await renew_attempt(bench.hub, bench.agent, uuid.uuid4(), Renewal())

    run(drill)
