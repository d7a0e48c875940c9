"""What lists, sessions, passwords, pools and sweeps keep to, each on a bench in this process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest

pytest.importorskip("pgqueuer")

from sqlalchemy import func, text, update

from dynolab.errors import Conflict, Forbidden, NotFound, SpecInvalid, TooLarge, Unauthorized
from dynolab.hub.store.links import Link, _Signer
from dynolab.hub.store.tables import dataset, device, job, model, session, upload
from dynolab.hub.usecases.base import Cursor
from dynolab.hub.usecases.begin_upload import begin_upload
from dynolab.hub.usecases.change_pool import PoolChange, change_pool
from dynolab.hub.usecases.check_password import PASSWORD_MOST, check_password
from dynolab.hub.usecases.create_model import create_model, file_name
from dynolab.hub.usecases.cursors import cut_page, decode_cursor, encode_cursor
from dynolab.hub.usecases.delete_dataset import delete_dataset
from dynolab.hub.usecases.end_session import end_other_sessions, end_session, sign_out
from dynolab.hub.usecases.find_jobs import JobFilter, find_jobs, page_jobs
from dynolab.hub.usecases.find_models_and_datasets import (
    ModelOrDatasetFilter,
    find_model_or_dataset,
    list_models_or_datasets,
    page_models_or_datasets,
)
from dynolab.hub.usecases.find_sessions import find_sessions
from dynolab.hub.usecases.find_tokens import find_tokens
from dynolab.hub.usecases.free_blobs import free_blobs
from dynolab.hub.usecases.invite_user import invite_user
from dynolab.hub.usecases.log_in import log_in
from dynolab.hub.usecases.make_token import make_own_token
from dynolab.hub.usecases.open_link import open_read, sign_link
from dynolab.hub.usecases.open_session import open_by_invitation, open_by_password, open_by_token
from dynolab.hub.usecases.read_blob import read_all
from dynolab.hub.usecases.read_session import read_session
from dynolab.hub.usecases.rename import rename
from dynolab.hub.usecases.revoke_token import revoke_token
from dynolab.hub.usecases.set_password import change_password, set_password
from dynolab.hub.usecases.store_part import store_part
from dynolab.hub.usecases.sweep_files import sweep_files
from dynolab.hub.usecases.sweep_sessions import sweep_sessions
from dynolab.spec.agents import Outcome
from dynolab.testing.bench import Bench, bytes_of, on_bench
from dynolab.testing.databases import OwnDatabase

Drill = Callable[[Bench], Awaitable[None]]
Run = Callable[..., None]
PASSWORD = "correct horse battery"


@pytest.fixture
def run(postgres: OwnDatabase, tmp_path: Path) -> Run:
    def carry_out(drill: Drill, **settings: object) -> None:
        on_bench(postgres, tmp_path, drill, **settings)

    return carry_out


# ---- lists -----------------------------------------------------------------------------------------------------------


def test_pages_of_jobs_follow_each_other_both_ways_and_filters_narrow_them(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        hub, user = bench.hub, bench.user
        made, other = await bench.model(), await bench.model()
        ids = [await bench.submit(made if number % 2 else other, name=f"job {number}") for number in range(5)]
        newest = list(reversed(ids))
        rows = await page_jobs(hub, user, JobFilter(), limit=3)
        page, following = cut_page(rows, 2)
        assert [row.id for row in page] == newest[:2]
        assert following is not None
        rest = await page_jobs(hub, user, JobFilter(), limit=9, cursor=decode_cursor(following))
        assert [row.id for row in rest] == newest[2:]
        assert cut_page(rest, 3) == (rest, None)
        back = await page_jobs(
            hub, user, JobFilter(), limit=2, cursor=decode_cursor(encode_cursor(rest[1]), newer=True)
        )
        assert [row.id for row in back] == newest[1:3]
        assert isinstance(decode_cursor(following), Cursor)
        for wrong in ("", "no cursor", following[:-3]):
            with pytest.raises(SpecInvalid):
                decode_cursor(wrong)
        for wanted, expected in (
            (JobFilter(model_id=made), [ids[3], ids[1]]),
            (JobFilter(states=("done",)), []),
            (JobFilter(states=("queued",), kinds=("profile",)), newest),
            (JobFilter(kinds=("inference",)), []),
            (JobFilter(text="OB 3"), [ids[3]]),
            (JobFilter(text=ids[2][2:9]), [ids[2]]),
            (JobFilter(text="%"), []),
            (JobFilter(creator=user.email), newest),
            (JobFilter(creator="nobody"), []),
            (JobFilter(device_name="elsewhere"), []),
            (JobFilter(project_id="p"), []),
            (JobFilter(measured=True), []),
        ):
            found, count = await find_jobs(hub, user, wanted, limit=10)
            assert ([row.id for row in found], count) == (expected, len(expected)), wanted
        found, count = await find_jobs(hub, user, JobFilter(), limit=2, offset=1)
        assert ([row.id for row in found], count) == (newest[1:3], 5)
        assert await page_jobs(hub, await bench.account(), JobFilter(), limit=9) == []

    run(drill)


def test_jobs_of_several_states_come_in_one_order_on_every_page(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        hub, user, made = bench.hub, bench.user, await bench.model()
        ids = [await bench.submit(made, name=f"job {number}") for number in range(8)]
        states = ("failed", "cancelled", "queued", "failed", "done", "cancelled", "running", "failed")
        for one, state in zip(ids, states, strict=True):
            await bench.run(update(job).where(job.c.id == one).values(state=state))
        newest, told = list(reversed(ids)), dict(zip(ids, states, strict=True))
        for asked in (
            ("failed", "cancelled"),
            ("failed", "done", "queued"),
            ("failed", "cancelled", "running", "done"),
        ):
            wanted, expected = JobFilter(states=asked), [one for one in newest if told[one] in asked]
            found, count = await find_jobs(hub, user, wanted, limit=10)
            assert ([row.id for row in found], count) == (expected, len(expected)), asked
            found, _ = await find_jobs(hub, user, wanted, limit=2, offset=2)
            assert [row.id for row in found] == expected[2:4]
            cursor = decode_cursor(encode_cursor(found[0]))
            assert [row.id for row in await page_jobs(hub, user, wanted, limit=2, cursor=cursor)] == expected[3:5]
            back = decode_cursor(encode_cursor(found[0]), newer=True)
            assert [row.id for row in await page_jobs(hub, user, wanted, limit=2, cursor=back)] == expected[:2]
            found, _ = await find_jobs(hub, user, JobFilter(states=asked, text="job 0"), limit=10)
            assert [row.id for row in found] == [ids[0]]

    run(drill)


def test_jobs_of_one_instant_come_in_one_order_on_every_page(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        hub, user, made = bench.hub, bench.user, await bench.model()
        ids = sorted([await bench.submit(made) for _ in range(6)])
        await bench.run(update(job).where(job.c.id.in_(ids[1:5])).values(created_at=func.now() - timedelta(hours=1)))
        await bench.run(update(job).where(job.c.id == ids[5]).values(created_at=func.now() - timedelta(hours=2)))
        whole = await page_jobs(hub, user, JobFilter(), limit=9)
        assert [row.id for row in whole] == ids
        for number, row in enumerate(whole):
            after = await page_jobs(hub, user, JobFilter(), limit=9, cursor=decode_cursor(encode_cursor(row)))
            before = await page_jobs(
                hub, user, JobFilter(), limit=9, cursor=decode_cursor(encode_cursor(row), newer=True)
            )
            assert [one.id for one in before] == ids[:number]
            assert [one.id for one in after] == ids[number + 1 :]

    run(drill)


def test_lists_of_models_show_ones_own_and_what_is_searched_for(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        hub, user = bench.hub, bench.user
        ids = [await bench.model(b"x" * (number + 1)) for number in range(3)]
        await rename(hub, user, model, ids[1], " Resnet ")
        assert (await find_model_or_dataset(hub, user, model, ids[1])).name == "Resnet"
        assert [row.size_bytes for row in await page_models_or_datasets(hub, user, model, limit=9)] == [3, 2, 1]
        for wanted, expected in (
            (ModelOrDatasetFilter(name="resNET"), [ids[1]]),
            (ModelOrDatasetFilter(text=ids[0]), [ids[0]]),
            (ModelOrDatasetFilter(kind="tflite"), []),
            (ModelOrDatasetFilter(creator=user.email), list(reversed(ids))),
        ):
            assert [row.id for row in await page_models_or_datasets(hub, user, model, wanted, limit=9)] == expected, (
                wanted
            )
        rows, count = await list_models_or_datasets(hub, user, model, limit=1, offset=1)
        assert ([row.id for row in rows], count) == ([ids[1]], 3)
        stranger = await bench.account()
        assert await page_models_or_datasets(hub, stranger, model, limit=9) == []
        with pytest.raises(NotFound):
            await find_model_or_dataset(hub, stranger, model, ids[0])
        for name in ("a/b", "x" * 257, "line\n"):
            if name.strip() != "line":
                with pytest.raises(SpecInvalid):
                    await rename(hub, user, model, ids[0], name)
        with pytest.raises(SpecInvalid, match="not known"):
            await create_model(hub, user, name="", kind="word", is_directory=False)

    run(drill)


def test_a_models_file_is_called_safely() -> None:
    assert file_name("a/../b c.onnx", "onnx", False) == "a_.._b_c.onnx"
    assert file_name("...", "tflite", False) == "model.tflite"
    assert file_name("net", "onnx", True) == "net.zip"


# ---- sessions and passwords ------------------------------------------------------------------------------------------


def test_a_browser_is_signed_in_until_it_is_signed_out_or_its_token_revoked(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        hub, user = bench.hub, bench.user
        row, secret = await make_own_token(hub, user, kind="user", label="laptop")
        first, second, third = [await open_by_token(hub, secret, f"browser {number}") for number in range(3)]
        found = await read_session(hub, first)
        assert (found.id, found.token_id) == (user.id, row.id)
        listed = await find_sessions(hub, found)
        assert (listed[0].id, len(listed), {one.way for one in listed}) == (found.session_id, 3, {"token"})
        await sign_out(hub, second)
        await sign_out(hub, "nobody's")
        with pytest.raises(Unauthorized):
            await read_session(hub, second)
        with pytest.raises(NotFound):
            await end_session(hub, await bench.account(), found.session_id)
        await end_other_sessions(hub, found)
        with pytest.raises(Unauthorized):
            await read_session(hub, third)
        await read_session(hub, first)
        await bench.run(update(session).where(session.c.id == found.session_id).values(expires_at=func.now()))
        with pytest.raises(Unauthorized):
            await read_session(hub, first)
        fourth = await open_by_token(hub, secret, "browser")
        await sweep_sessions(hub)
        assert [one.id for one in await find_sessions(hub, user)] == [(await read_session(hub, fourth)).session_id]
        await revoke_token(hub, user, row.id)
        with pytest.raises(Unauthorized):
            await read_session(hub, fourth)
        with pytest.raises(Unauthorized):
            await open_by_token(hub, secret, "browser")

    run(drill)


def test_an_invitation_signs_in_once_and_in_time(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        hub, user = bench.hub, bench.user
        assert await invite_user(hub, "nobody@example.org") is None
        good, late = [await invite_user(hub, user.email) for _ in range(2)]
        assert good is not None
        assert late is not None
        found = await read_session(hub, await open_by_invitation(hub, good, "browser"))
        assert (found.id, found.token_id) == (user.id, "")
        with pytest.raises(Unauthorized):
            await open_by_invitation(hub, good, "browser")
        await bench.run(text("UPDATE invitation SET expires_at = now() - interval '1 s'"))
        with pytest.raises(Unauthorized):
            await open_by_invitation(hub, late, "browser")

    run(drill)


def test_a_password_signs_in_until_it_is_changed_and_others_sessions_end_with_that(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        hub, user = bench.hub, bench.user
        for wrong in ("short", "x" * (PASSWORD_MOST + 1)):
            with pytest.raises(SpecInvalid, match="characters"):
                await change_password(hub, user, wrong, current=None)
        with pytest.raises(SpecInvalid, match="is wrong"):
            await check_password(hub, user.email, PASSWORD)
        await change_password(hub, user, PASSWORD, current=None)
        assert (await check_password(hub, f" {user.email} ", PASSWORD)).account_id == user.id
        for email, password in ((user.email, PASSWORD + "x"), ("nobody@example.org", PASSWORD), ("x" * 2000, PASSWORD)):
            with pytest.raises(SpecInvalid, match="is wrong"):
                await check_password(hub, email, password)
        secret = await log_in(hub, user.email, PASSWORD)
        assert (await read_session(hub, await open_by_token(hub, secret, "a"))).id == user.id
        mine, other = [await open_by_password(hub, user.email, PASSWORD, "b") for _ in range(2)]
        with pytest.raises(Forbidden):
            await change_password(hub, user, "another pass phrase", current="wrong")
        await change_password(hub, await read_session(hub, mine), "another pass phrase", current=PASSWORD)
        await read_session(hub, mine)
        with pytest.raises(Unauthorized):
            await read_session(hub, other)
        await set_password(hub, user.email, PASSWORD)
        with pytest.raises(Unauthorized):
            await read_session(hub, mine)
        with pytest.raises(NotFound):
            await set_password(hub, "nobody@example.org", PASSWORD)
        await change_password(hub, user, None, current=PASSWORD)
        with pytest.raises(SpecInvalid):
            await check_password(hub, user.email, PASSWORD)

    run(drill)


def test_of_tokens_by_password_the_unused_go_and_tokens_are_listed_newest_first(run: Run) -> None:
    from dynolab.hub.usecases import log_in as module

    async def drill(bench: Bench) -> None:
        hub, user = bench.hub, bench.user
        await set_password(hub, user.email, PASSWORD)
        await log_in(hub, user.email, PASSWORD)
        await bench.run(text("UPDATE token SET created_at = now() - interval '91 days' WHERE by_password"))
        for _ in range(3):
            await log_in(hub, user.email, PASSWORD)
        assert len([one for one in await find_tokens(hub, user) if one.label == module.LABEL]) == 3
        labels = [(await make_own_token(hub, user, kind="user", label=f"{number}"))[0] for number in range(3)]
        await revoke_token(hub, user, labels[1].id)
        assert [one.label for one in await find_tokens(hub, user)][:3] == ["2", "1", "0"]

    run(drill)


# ---- pools -----------------------------------------------------------------------------------------------------------


def test_a_pool_is_its_owners_and_grants_come_and_go(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        hub, owner = bench.hub, bench.user
        pool_id = (await bench.row(device, f"{bench.name}-1")).pool_id
        friend = await bench.account()
        with pytest.raises((NotFound, Forbidden)):
            await change_pool(hub, friend, pool_id, PoolChange(is_open=True))
        for change in (PoolChange(let_send=("no address",)), PoolChange(remove=("no address",))):
            with pytest.raises(SpecInvalid):
                await change_pool(hub, owner, pool_id, change)
        await change_pool(hub, owner, pool_id, PoolChange(let_send=(friend.email,), let_join=(friend.email,)))
        async with hub.database.single() as connection:
            grants = text("SELECT what FROM pool_grant WHERE pool_id = :id ORDER BY what")
            assert list((await connection.execute(grants, {"id": pool_id})).scalars()) == ["join", "send"]
        await change_pool(hub, owner, pool_id, PoolChange(remove=(friend.email,)))
        async with hub.database.single() as connection:
            assert list((await connection.execute(grants, {"id": pool_id})).scalars()) == []

    run(drill)


# ---- links -----------------------------------------------------------------------------------------------------------


def test_an_address_of_a_file_is_its_holders_and_for_that_file(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        hub, user = bench.hub, bench.user
        made = await bench.model(b"content")
        address = sign_link(hub, user, "model", made)
        assert await read_all(hub, await open_read(hub, address), 100) == b"content"
        stranger = await bench.account()
        for wrong in (sign_link(hub, stranger, "model", made), address + "x", sign_link(hub, user, "model", "m0")):
            with pytest.raises(NotFound):
                await open_read(hub, wrong)
        now_s = _Signer.now_s()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_Signer, "now_s", lambda: now_s + 14 * 60)
            await open_read(hub, address)
            patch.setattr(_Signer, "now_s", lambda: now_s + 16 * 60)
            with pytest.raises(NotFound):
                await open_read(hub, address)
        await revoke_token(hub, user, user.token_id)
        with pytest.raises(NotFound):
            await open_read(hub, address)

    run(drill)


# ---- sweeps ----------------------------------------------------------------------------------------------------------


def test_what_nobody_needs_goes_and_what_somebody_needs_stays(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        hub, user = bench.hub, bench.user
        kept, used, expired = await bench.model(b"kept"), await bench.dataset(b"used"), await bench.dataset(b"expired")
        half, _ = await create_model(hub, user, name="half", kind="onnx", is_directory=False)
        begun = await begin_upload(hub, user, model, half, size=4)
        await store_part(hub, Link("part", begun.id, "", 0), bytes_of(b"half"))
        waiting = await bench.submit(kept, kind="inference", dataset_id=used)
        past = func.now() - timedelta(days=2)
        for target in (used, expired):
            await bench.run(update(dataset).where(dataset.c.id == target).values(expires_at=past))
        gone = (await bench.row(dataset, expired)).blob_id
        await bench.run(update(upload).values(created_at=past))
        await sweep_files(hub)
        assert await hub.blobs.keys(f"uploads/{begun.id}") == []
        assert await read_all(hub, (await bench.row(model, kept)).blob_id, 9) == b"kept"
        assert await read_all(hub, (await bench.row(dataset, used)).blob_id, 9) == b"used"
        with pytest.raises(NotFound):
            await read_all(hub, gone, 9)
        with pytest.raises(NotFound):
            await find_model_or_dataset(hub, user, dataset, expired)
        assert (await bench.claimed()).job_id == waiting

    run(drill)


def test_a_dataset_in_use_is_not_deleted_and_a_blob_that_is_named_is_not_freed(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        hub, user = bench.hub, bench.user
        data = await bench.dataset(b"data")
        await bench.submit(await bench.model(), kind="inference", dataset_id=data)
        with pytest.raises(Conflict):
            await delete_dataset(hub, user, data)
        blob_id = (await bench.row(dataset, data)).blob_id
        assert await free_blobs(hub, [blob_id]) == 0
        claimed = await bench.claimed()
        await bench.leave(claimed, "result", b"first")
        replaced = (await bench.attempts(claimed.job_id))[0].result_blob_id
        await bench.leave(claimed, "result", b"second")
        assert await free_blobs(hub, [replaced]) == 1
        await bench.finish(claimed, Outcome())
        await delete_dataset(hub, user, data)
        with pytest.raises(NotFound):
            await read_all(hub, blob_id, 9)
        with pytest.raises(TooLarge):
            await read_all(hub, (await bench.row(job, claimed.job_id)).result_blob_id, 5)
        async with hub.database.single() as connection:
            assert await connection.scalar(text("SELECT count(*) FROM blob WHERE id = :id"), {"id": blob_id}) == 0

    run(drill)
