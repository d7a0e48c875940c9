"""What the hub's use cases tell of accounts, devices, names and places in a queue, each on a bench in this process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pgqueuer")

from sqlalchemy import Table, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from dynolab.errors import Conflict, Forbidden, NotFound, SpecInvalid, Unavailable
from dynolab.hub.store import database
from dynolab.hub.store.links import Link
from dynolab.hub.store.tables import account, attempt, dataset, device, job, model
from dynolab.hub.usecases.add_account import add_account
from dynolab.hub.usecases.base import Account
from dynolab.hub.usecases.begin_upload import begin_upload
from dynolab.hub.usecases.cancel_job import cancel_job
from dynolab.hub.usecases.change_pool import PoolChange, change_pool
from dynolab.hub.usecases.change_trust import stop_trusting, trust_owner
from dynolab.hub.usecases.check_runs_hub import OPERATOR
from dynolab.hub.usecases.claim_attempt import claim_attempt
from dynolab.hub.usecases.complete_upload import complete_upload
from dynolab.hub.usecases.create_model import create_model
from dynolab.hub.usecases.estimate_end import usual_seconds
from dynolab.hub.usecases.find_attempts import find_attempts
from dynolab.hub.usecases.find_devices import find_devices
from dynolab.hub.usecases.find_jobs import find_job
from dynolab.hub.usecases.find_recent_names import find_recent_names
from dynolab.hub.usecases.find_toolchain import find_toolchain
from dynolab.hub.usecases.rename import rename
from dynolab.hub.usecases.share_access import change_sharing
from dynolab.hub.usecases.sign_in import sign_in
from dynolab.hub.usecases.store_part import store_part
from dynolab.hub.usecases.sweep_toolchains import sweep_toolchains
from dynolab.spec.agents import AGENT_PROTOCOL, ClaimRequest, DeviceOffer
from dynolab.spec.toolchain_support import MAKES, TOOLCHAINS_ONLY
from dynolab.testing.bench import Bench, bytes_of, on_bench
from dynolab.testing.databases import OwnDatabase

Drill = Callable[[Bench], Awaitable[None]]
Run = Callable[..., None]


@pytest.fixture
def run(postgres: OwnDatabase, tmp_path: Path) -> Run:
    def carry_out(drill: Drill, **settings: object) -> None:
        on_bench(postgres, tmp_path, drill, **settings)

    return carry_out


# ---- accounts --------------------------------------------------------------------------------------------------------


def test_who_is_let_in_is_called_as_was_said_and_runs_the_hub_only_if_that_was_said_too(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        async def added(*asked: Any) -> tuple[str, bool]:
            known = await sign_in(bench.hub, f"token {await add_account(bench.hub, OPERATOR, *asked)}", kind="user")
            row = await bench.row(account, known.id)
            assert (row.email, row.is_admin) == (asked[0], known.is_admin)
            return row.name, row.is_admin

        at = f"{bench.name}.example.org"
        assert await added(f"ana@{at}") == ("ana", False)
        assert await added(f"bo@{at}", " Bo B. ") == ("Bo B.", False)
        assert await added(f"cy@{at}", "Cy", True) == ("Cy", True)
        for again in (f"ana@{at}", f"ANA@{at}"):
            with pytest.raises(Conflict):
                await added(again)
        for wrong in ("ana", f" dee@{at}", f"dee@{at}\n"):
            with pytest.raises(SpecInvalid, match="no e-mail address"):
                await added(wrong)

    run(drill)


# ---- devices ---------------------------------------------------------------------------------------------------------


def test_systems_are_chosen_by_their_version_or_by_an_interval(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        name = f"{bench.name} phone"
        for number, os in enumerate(("9", "10", "10.1", "11")):
            offer = DeviceOffer(f"{name} {number}", name, os, ("framework:onnx",))
            await claim_attempt(bench.hub, bench.agent, ClaimRequest(AGENT_PROTOCOL, offer))

        async def found(os: str, name: str = name) -> list[str]:
            return [one.os for one in await find_devices(bench.hub, bench.user, name=name, os=os)]

        for os, expected in (
            ("", ["11", "10.1", "10", "9"]),
            ("10", ["10"]),
            ("10.0", []),
            ("[10,11)", ["10.1", "10"]),
            ("[10, 11)", ["10.1", "10"]),
            ("[10,11]", ["11", "10.1", "10"]),
            ("[9,10.1)", ["10", "9"]),
            ("[10,)", ["11", "10.1", "10"]),
            ("[,10.1)", ["10", "9"]),
            ("[,)", ["11", "10.1", "10", "9"]),
            ("[12,13)", []),
        ):
            assert await found(os) == expected, os
        for wrong in ("[10", "[10;11]", "[a,b)"):
            with pytest.raises(SpecInvalid, match=r"is neither|is not"):
                await found(wrong)
            with pytest.raises(SpecInvalid, match=r"is neither|is not"):
                await found(wrong, f"{bench.name} whatever")  # it is as wrong where there is no device to look at

    run(drill)


async def compiles_at(bench: Bench, account_: Account) -> str | None:
    """The pool that the account's ONNX models are made of at this test's target; None: nobody makes it."""
    async with bench.hub.database.begin() as connection:
        try:
            return await find_toolchain(connection, account_, f"{bench.name}/onnx")
        except SpecInvalid:
            return None


def maker(bench: Bench, owner: Account, *attributes: str) -> DeviceOffer:
    """A machine of that owner's which makes the test's target."""
    name = f"{bench.name} {owner.email}"
    return DeviceOffer(name, name, "1", (f"{MAKES}{bench.name}/onnx", *attributes))


def test_models_are_compiled_where_both_sides_want_it_and_in_a_sandbox_or_by_their_owner(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        hub, user, owner = bench.hub, bench.user, await bench.account()
        agent = await bench.agent_of(owner)

        async def announced(*attributes: str) -> str:
            await claim_attempt(hub, agent, ClaimRequest(AGENT_PROTOCOL, maker(bench, owner, *attributes)))
            return str((await bench.row(device, maker(bench, owner).id)).pool_id)

        pool_id = await announced("sandbox:bubblewrap")
        assert [await compiles_at(bench, one) for one in (user, owner)] == [None, pool_id]
        await trust_owner(hub, user, owner.email)
        assert await compiles_at(bench, user) is None, "its owner lets nobody send"
        await change_pool(hub, owner, pool_id, PoolChange(let_send=(user.email,)))
        assert await compiles_at(bench, user) == pool_id
        await stop_trusting(hub, user, owner.email)
        assert await compiles_at(bench, user) is None, "it may not have the models"
        await trust_owner(hub, user, owner.email)
        await announced("sandbox:none")
        assert [await compiles_at(bench, one) for one in (user, owner)] == [None, pool_id]

    run(drill)


def test_a_model_is_compiled_by_a_machine_that_is_there_and_does_nothing_else_first(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        hub, user, other = bench.hub, bench.user, await bench.account()
        pools = {}
        for owner, agent in ((user, bench.agent), (other, await bench.agent_of(other))):
            offer = maker(bench, owner, "sandbox:bubblewrap")
            await claim_attempt(hub, agent, ClaimRequest(AGENT_PROTOCOL, offer))
            pools[owner.id] = (await bench.row(device, offer.id)).pool_id
        await change_pool(hub, other, pools[other.id], PoolChange(let_send=(user.email,)))
        await trust_owner(hub, user, other.email)
        mine, others = pools[user.id], pools[other.id]

        async def told(owner: Account, **values: object) -> str | None:
            await bench.run(update(device).where(device.c.id == maker(bench, owner).id).values(**values))
            return await compiles_at(bench, user)

        assert await compiles_at(bench, user) == mine, "the account's own"
        alone = [*maker(bench, other, "sandbox:bubblewrap").attributes, TOOLCHAINS_ONLY]
        assert await told(other, attributes=alone) == others, "no device is kept from measuring"
        assert await told(other, unfit="its disk is full") == mine
        assert await told(other, unfit="") == others
        assert await told(other, seen_at=func.now() - timedelta(days=1)) == mine
        assert await told(user, unfit="its disk is full") == others, "one of them, when none is there"

    run(drill)


def test_what_waits_for_a_machine_that_went_away_is_made_by_another(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        hub, user, other = bench.hub, bench.user, await bench.account()
        agents = {user.id: bench.agent, other.id: await bench.agent_of(other)}
        offers = {one.id: maker(bench, one, "sandbox:bubblewrap") for one in (user, other)}

        async def seen(owner: Account, ago: timedelta = timedelta()) -> str:
            if not ago:
                hub.announced.clear()
                await claim_attempt(hub, agents[owner.id], ClaimRequest(AGENT_PROTOCOL, offers[owner.id]))
            found = await bench.row(device, offers[owner.id].id)
            await bench.run(update(device).where(device.c.id == found.id).values(seen_at=func.now() - ago))
            return str(found.pool_id)

        own, others = await seen(user), await seen(other)
        await trust_owner(hub, user, other.email)
        await change_pool(hub, other, others, PoolChange(let_send=(user.email,)))
        made = await bench.model()
        jobs = [await bench.submit(made) for _ in range(3)]
        waits = {"toolchain": f"{bench.name}/onnx", "pool_id": own, "device_os": ""}
        await bench.run(update(job).where(job.c.id.in_(jobs[:2])).values(**waits))

        async def places() -> list[object]:
            await sweep_toolchains(hub)
            return [(await bench.row(job, one)).pool_id for one in jobs[:2]]

        assert await places() == [own] * 2, "its machine is there"
        await seen(user, timedelta(minutes=5))
        await seen(other, timedelta(minutes=5))
        assert await places() == [own] * 2, "no other is there"
        await bench.run(update(job).where(job.c.id == jobs[1]).values(state="running"))
        await seen(other)
        assert await places() == [others, own], "one runs"
        claimed = await claim_attempt(hub, agents[other.id], ClaimRequest(AGENT_PROTOCOL, offers[other.id]))
        assert claimed is not None
        assert claimed.job_id == jobs[0]
        assert (await bench.claimed()).job_id == jobs[2], "jobs for devices stay where they are"

    run(drill)


# ---- jobs ------------------------------------------------------------------------------------------------------------


def test_a_jobs_place_in_its_queue_is_told_while_it_waits(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        made = await bench.model()
        jobs = [await bench.submit(made, priority=priority) for priority in (0, 0, 5, 0)]

        async def places() -> list[int | None]:
            rows = [await find_job(bench.hub, bench.user, one) for one in jobs]
            return [(await find_attempts(bench.hub, row))[1] for row in rows]

        assert await places() == [2, 3, 1, 4]
        claimed = await bench.claimed()
        assert claimed.job_id == jobs[2]
        assert await places() == [1, 2, None, 3]
        await cancel_job(bench.hub, bench.user, jobs[0])
        assert await places() == [None, 1, None, 2]
        attempts, _ = await find_attempts(bench.hub, await find_job(bench.hub, bench.user, jobs[2]))
        assert [one.id for one in attempts] == [claimed.attempt_id]

    run(drill)


def test_how_long_such_jobs_usually_take_is_the_median_of_those_that_were_done(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        made, other = await bench.model(), await bench.model(b"another")

        async def usual(model_id: str, **asked: Any) -> float | None:
            job_id = await bench.submit(model_id, **asked)
            found = await usual_seconds(bench.hub, await find_job(bench.hub, bench.user, job_id))
            await cancel_job(bench.hub, bench.user, job_id)
            return found

        assert await usual(made) is None
        for took_s in (10, 20, 60):
            await bench.submit(made)
            claimed = await bench.claimed()
            await bench.finish(claimed)
            began = attempt.c.finished_at - timedelta(seconds=took_s)
            await bench.run(update(attempt).where(attempt.c.id == claimed.attempt_id).values(started_at=began))
        assert await usual(made) == pytest.approx(20)
        assert await usual(other) is None, "another model"
        assert await usual(made, options="--repeats 1") is None, "other options"

    run(drill)


def test_names_of_devices_models_and_creators_are_offered_once_each_in_the_alphabets_order(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        hub, user = bench.hub, bench.user
        nothing = await find_recent_names(hub, user)
        assert (nothing.devices, nothing.models, nothing.creators) == ([], [], [])
        models = [await bench.model() for _ in range(3)]
        for model_id, name in zip(models, ("zebra", "Apple", "mango"), strict=True):
            await rename(hub, user, model, model_id, name)
            jobs = [await bench.submit(model_id) for _ in range(2)]
        names = await find_recent_names(hub, user)
        assert (names.devices, names.models, names.creators) == (
            [bench.name],
            ["Apple", "mango", "zebra"],
            [user.email],
        )
        stranger = await bench.account()
        assert (await find_recent_names(hub, stranger)).models == []
        await change_sharing(hub, user, job, jobs[0], add=[stranger.email])
        assert (await find_recent_names(hub, stranger)).models == ["mango"]

    run(drill)


# ---- names and bytes -------------------------------------------------------------------------------------------------


def test_only_its_owner_gives_something_another_name(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        hub, stranger, friend = bench.hub, await bench.account(), await bench.account()
        model_id, data_id = await bench.model(), await bench.dataset()
        targets: list[tuple[Table, str]] = [(model, model_id), (dataset, data_id), (job, await bench.submit(model_id))]
        for table, target_id in targets:
            await change_sharing(hub, bench.user, table, target_id, add=[friend.email])
            before = (await bench.row(table, target_id)).name
            for account_, error in ((stranger, NotFound), (friend, Forbidden)):
                with pytest.raises(error):
                    await rename(hub, account_, table, target_id, "mine")
            assert (await bench.row(table, target_id)).name == before
            await rename(hub, bench.user, table, target_id, f"new {table.name}")
            assert (await bench.row(table, target_id)).name == f"new {table.name}"
            with pytest.raises(NotFound):
                await rename(hub, bench.user, table, "nothing", "name")

    run(drill)


def test_the_tags_of_parts_are_those_of_all_in_their_order_or_are_left_out(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        hub, user = bench.hub, bench.user

        async def uploaded() -> tuple[str, str, list[str]]:
            target, _ = await create_model(hub, user, name="net", kind="onnx", is_directory=False)
            begun = await begin_upload(hub, user, model, target, size=6)
            parts = enumerate((b"0123", b"45"))
            return (
                target,
                begun.id,
                [(await store_part(hub, Link("part", begun.id, "", n), bytes_of(c))).etag for n, c in parts],
            )

        target, upload_id, tags = await uploaded()
        for wrong in (tags[:1], tags[::-1], [*tags, tags[0]], [tags[0], "other"]):
            with pytest.raises(SpecInvalid, match="tag"):
                await complete_upload(hub, user, model, target, upload_id=upload_id, etags=wrong)
        assert (await bench.row(model, target)).blob_id is None
        await complete_upload(hub, user, model, target, upload_id=upload_id, etags=tags)
        assert (await bench.row(model, target)).blob_id is not None
        target, upload_id, tags = await uploaded()
        await complete_upload(hub, user, model, target, upload_id=upload_id, etags=[f'"{tag}"' for tag in tags])
        target, upload_id, _ = await uploaded()
        await complete_upload(hub, user, model, target, upload_id=upload_id, etags=[])
        assert (await bench.row(model, target)).blob_id is not None

    run(drill, part_bytes=4)


# ---- the database ----------------------------------------------------------------------------------------------------


def test_a_database_that_cannot_be_reached_is_waited_for_and_any_other_trouble_is_not(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, trouble = AsyncEngine.connect, list[Exception]()

    def connect(engine: AsyncEngine) -> AsyncConnection:
        if trouble:
            raise trouble.pop(0)
        return real(engine)

    async def drill(bench: Bench) -> None:
        async def asked() -> int:
            await bench.hub.database.close()  # those that are open
            async with bench.hub.database.single() as connection:
                return int(await connection.scalar(select(func.count()).select_from(account)))

        monkeypatch.setattr(AsyncEngine, "connect", connect)
        monkeypatch.setattr(database, "AWAY_POLL_S", 0.001)
        trouble.extend(ConnectionRefusedError() for _ in range(5))
        assert await asked() >= 1
        assert trouble == []
        trouble.extend([ValueError("a bug"), ConnectionRefusedError()])
        with pytest.raises(ValueError, match="a bug"):
            await asked()
        assert len(trouble) == 1, "said at once"
        trouble.extend(ConnectionRefusedError() for _ in range(100_000))
        monkeypatch.setattr(database, "AWAY_S", 0.05)
        with pytest.raises(Unavailable, match="does not answer"):
            await asked()
        trouble.clear()
        assert await asked() >= 1

    run(drill)
