"""Jobs that make one file of several models, each on a bench in this process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pgqueuer")

from sqlalchemy import insert, update

from dynolab.errors import Conflict, NotFound, SpecInvalid
from dynolab.hub.store.tables import job, model, pool, share, trust
from dynolab.hub.usecases.claim_attempt import claim_attempt
from dynolab.hub.usecases.delete_model import delete_model
from dynolab.hub.usecases.read_blob import read_all
from dynolab.hub.usecases.rerun_job import rerun_job
from dynolab.hub.usecases.share_access import stop_sharing
from dynolab.hub.usecases.store_file import given_file
from dynolab.spec.agents import AGENT_PROTOCOL, ClaimRequest, DeviceOffer
from dynolab.spec.toolchain_support import LINK, MAKES, TOOLCHAINS_ONLY
from dynolab.testing.bench import Bench, on_bench
from dynolab.testing.databases import OwnDatabase

Run = Callable[[Callable[[Bench], Awaitable[None]]], None]


@pytest.fixture
def run(postgres: OwnDatabase, tmp_path: Path) -> Run:
    return lambda drill: on_bench(postgres, tmp_path, drill)


def linker(bench: Bench) -> DeviceOffer:
    """A machine that links, and may have the models of others."""
    name = f"{bench.name} linker"
    return DeviceOffer(name, name, "1", (f"{MAKES}{LINK}/qnn_dlc", TOOLCHAINS_ONLY, "sandbox:test"))


def test_models_are_linked_in_the_order_that_was_asked_for(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        hub, asks = bench.hub, ClaimRequest(AGENT_PROTOCOL, linker(bench))
        assert await claim_attempt(hub, bench.agent, asks) is None
        models = [await bench.model(content) for content in (b"first", b"second", b"third")]
        await bench.run(update(model).where(model.c.id.in_(models)).values(kind="qnn_dlc"))
        first, *others = models
        job_id = await bench.submit(first, kind="link", linked_ids=tuple(reversed(others)), measures=False)
        claimed = await claim_attempt(hub, bench.agent, asks)
        assert claimed is not None
        assert [one.kind for one in claimed.linked] == ["qnn_dlc"] * 2
        blobs = [
            await given_file(hub, bench.agent, claimed.attempt_id, what) for what in ("model", "linked-0", "linked-1")
        ]
        assert [await read_all(hub, one, 100) for one in blobs] == [b"first", b"third", b"second"]
        for wrong in ("linked-2", "linked-", "linked-x"):
            with pytest.raises(NotFound):
                await given_file(hub, bench.agent, claimed.attempt_id, wrong)
        again, _ = await rerun_job(hub, bench.user, job_id)
        assert (await bench.row(job, again)).linked_ids == list(reversed(others))

    run(drill)


def test_models_of_several_kinds_are_not_linked(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        await claim_attempt(bench.hub, bench.agent, ClaimRequest(AGENT_PROTOCOL, linker(bench)))
        library, graph = await bench.model(), await bench.model()
        with pytest.raises(SpecInvalid, match="no toolchain links models of the kind onnx") as refused:
            await bench.submit(graph, kind="link", measures=False)
        assert refused.value.hint == "kinds that are: qnn_dlc"
        await bench.run(update(model).where(model.c.id == library).values(kind="qnn_dlc"))
        with pytest.raises(SpecInvalid, match="net is of the kind qnn_dlc, net of the kind onnx"):
            await bench.submit(library, kind="link", linked_ids=(graph,), measures=False)
        with pytest.raises(SpecInvalid, match="a job of kind profile takes no further models"):
            await bench.submit(library, linked_ids=(graph,))

    run(drill)


def test_a_link_job_fails_when_one_of_its_models_is_shared_no_more_and_keeps_them_until_it_is_over(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        hub, other = bench.hub, await bench.account()
        bench.offer = lambda board=1: DeviceOffer(f"{bench.name}-{board}", bench.name, "1.0", ("sandbox:test",))  # type: ignore[method-assign] # it takes jobs of others
        assert await bench.claim() is None
        await claim_attempt(hub, bench.agent, ClaimRequest(AGENT_PROTOCOL, linker(bench)))
        await bench.run(update(pool).where(pool.c.account_id == bench.user.id).values(is_open=True))
        await bench.run(insert(trust).values(account_id=other.id, owner_id=bench.user.id))
        models = [await bench.model(content) for content in (b"first", b"second", b"third")]
        await bench.run(update(model).where(model.c.id.in_(models)).values(kind="qnn_dlc"))
        first, second, third = models
        for target in models:
            await bench.run(insert(share).values(target_id=target, email=other.email, granted_by=bench.user.id))
        asked: dict[str, Any] = {"kind": "link", "measures": False}
        shared = await bench.submit(first, other, linked_ids=(second,), **asked)
        mine = await bench.submit(first, linked_ids=(third, second), **asked)
        await stop_sharing(hub, bench.user, model, second)
        assert [await bench.state(one) for one in (shared, mine)] == ["failed", "queued"]
        assert "its model is not shared any more" in (await bench.row(job, shared)).failure["message"]
        with pytest.raises(Conflict, match=mine):
            await delete_model(hub, bench.user, third)

    run(drill)
