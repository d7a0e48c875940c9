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
from dynolab.hub.usecases.base import Account
from dynolab.hub.usecases.claim_attempt import claim_attempt
from dynolab.hub.usecases.delete_model import delete_model
from dynolab.hub.usecases.read_blob import read_all
from dynolab.hub.usecases.rerun_job import rerun_job
from dynolab.hub.usecases.share_access import stop_sharing
from dynolab.hub.usecases.store_file import given_file
from dynolab.spec.agents import AGENT_PROTOCOL, ClaimRequest, DeviceOffer, MadeModel, Outcome
from dynolab.spec.compiles import InputSpec
from dynolab.spec.toolchain_support import LINK, MAKES, TOOLCHAINS_ONLY
from dynolab.testing.bench import Bench, on_bench
from dynolab.testing.databases import OwnDatabase

Run = Callable[[Callable[[Bench], Awaitable[None]]], None]


@pytest.fixture
def run(postgres: OwnDatabase, tmp_path: Path) -> Run:
    return lambda drill: on_bench(postgres, tmp_path, drill)


def linker(bench: Bench) -> ClaimRequest:
    """A machine that compiles for QNN and links, and may have the models of others, asks for a job."""
    name, makes = f"{bench.name} linker", ("qnn_dlc/onnx", "onnx/onnx", f"{LINK}/qnn_dlc")
    attributes = (*(f"{MAKES}{one}" for one in makes), TOOLCHAINS_ONLY, "sandbox:test")
    return ClaimRequest(AGENT_PROTOCOL, DeviceOffer(name, name, "1", attributes))


def phone_of(bench: Bench) -> str:
    """The name of a device with an NPU."""
    return f"{bench.name} phone"


async def ask(bench: Bench, model_id: str, account: Account | None = None, **changes: Any) -> str:
    """A job for that device."""
    return await bench.submit(model_id, account, **{"device_name": phone_of(bench), "measures": False, **changes})


async def begin(bench: Bench) -> None:
    """The linker, and a device with an NPU, are known."""
    phone = DeviceOffer(f"{bench.name} phone", phone_of(bench), "1.0", ("sandbox:test", "soc-model:43"))
    assert await claim_attempt(bench.hub, bench.agent, ClaimRequest(AGENT_PROTOCOL, phone)) is None
    assert await claim_attempt(bench.hub, bench.agent, linker(bench)) is None


async def compiled(bench: Bench, content: bytes, target: str = "qnn_dlc", *, over: bool = True) -> str:
    """The id of what a compile job makes of a model with this content."""
    source = await bench.model(content)
    specs = {content.decode(): InputSpec((1, 3), "float32")}
    job_id = await ask(bench, source, kind="compile", options=f"--target_runtime {target}", input_specs=specs)
    if over:
        claimed = await claim_attempt(bench.hub, bench.agent, linker(bench))
        assert claimed is not None
        assert claimed.job_id == job_id
        assert "soc-model:43" in claimed.made_for
        await bench.leave(claimed, "output", b"made of " + content)
        await bench.finish(claimed, Outcome(made=MadeModel(target, is_directory=False)))
    return str((await bench.row(job, job_id)).target_model_id)


def test_the_agent_is_given_what_the_models_were_made_of_in_the_order_that_was_asked_for(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        hub = bench.hub
        await begin(bench)
        first, *others = [await compiled(bench, content) for content in (b"first", b"second", b"third")]
        job_id = await ask(bench, first, kind="link", linked_ids=tuple(reversed(others)))
        claimed = await claim_attempt(hub, bench.agent, linker(bench))
        assert claimed is not None
        assert claimed.job_id == job_id
        blobs = [await given_file(hub, bench.agent, claimed.attempt_id, f"linked-{number}") for number in range(3)]
        assert [await read_all(hub, one, 100) for one in blobs] == [b"first", b"third", b"second"]
        assert [list(one.input_specs) for one in claimed.linked] == [["first"], ["third"], ["second"]]
        assert {one.options for one in claimed.linked} == {"--target_runtime qnn_dlc"}
        for wrong in ("linked-3", "linked-", "linked-x"):
            with pytest.raises(NotFound):
                await given_file(hub, bench.agent, claimed.attempt_id, wrong)
        again, _ = await rerun_job(hub, bench.user, job_id)
        assert (await bench.row(job, again)).linked_ids == list(reversed(others))

    run(drill)


def test_a_link_waits_for_what_is_still_compiled(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        await begin(bench)
        seeded = await compiled(bench, b"early", over=False)
        linking = await ask(bench, seeded, kind="link")
        assert (await bench.row(job, linking)).queue_entry is None
        claimed = await claim_attempt(bench.hub, bench.agent, linker(bench))
        assert claimed is not None
        await bench.leave(claimed, "output", b"made")
        await bench.finish(claimed, Outcome(made=MadeModel("qnn_dlc", is_directory=False)))
        then = await claim_attempt(bench.hub, bench.agent, linker(bench))
        assert then is not None
        assert then.job_id == linking

    run(drill)


def test_what_cannot_be_linked_is_refused_by_name(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        await begin(bench)
        dlc, graph, uploaded = await compiled(bench, b"one"), await compiled(bench, b"two", "onnx"), await bench.model()
        await bench.run(update(model).where(model.c.id == uploaded).values(kind="qnn_dlc"))
        asked: dict[str, Any] = {"kind": "link"}
        with pytest.raises(SpecInvalid, match="no toolchain links models of the kind onnx") as refused:
            await ask(bench, graph, **asked)
        assert refused.value.hint == "kinds that are: qnn_dlc"
        with pytest.raises(SpecInvalid, match=r"is of the kind qnn_dlc, .* of the kind onnx"):
            await ask(bench, dlc, linked_ids=(graph,), **asked)
        with pytest.raises(SpecInvalid, match="net was not made by a compile job of this hub"):
            await ask(bench, dlc, linked_ids=(uploaded,), **asked)
        with pytest.raises(SpecInvalid, match="a job of kind profile takes no further models"):
            await ask(bench, dlc, linked_ids=(dlc,))
        plain = DeviceOffer(f"{bench.name} pc", f"{bench.name} pc", "1.0", ("sandbox:test",))
        await claim_attempt(bench.hub, bench.agent, ClaimRequest(AGENT_PROTOCOL, plain))
        for more in (asked, {**asked, "kind": "compile", "options": "--target_runtime qnn_dlc"}):
            with pytest.raises(SpecInvalid, match="tells of no Hexagon NPU"):
                await ask(bench, dlc, device_name=plain.name, **more)

    run(drill)


@pytest.mark.parametrize("lost", ["linked", "source"])
def test_a_link_job_fails_when_a_model_of_it_or_what_that_was_made_of_is_shared_no_more(run: Run, lost: str) -> None:
    async def drill(bench: Bench) -> None:
        hub, other = bench.hub, await bench.account()
        await begin(bench)
        await bench.run(update(pool).where(pool.c.account_id == bench.user.id).values(is_open=True))
        await bench.run(insert(trust).values(account_id=other.id, owner_id=bench.user.id))
        first, second = await compiled(bench, b"first"), await compiled(bench, b"second")
        sources = [
            (await bench.row(job, (await bench.row(model, one)).producer_id)).model_id for one in (first, second)
        ]
        asked: dict[str, Any] = {"kind": "link", "linked_ids": (second,)}

        async def let(*targets: str) -> None:
            for target in targets:
                await bench.run(insert(share).values(target_id=target, email=other.email, granted_by=bench.user.id))

        await let(first, second, sources[0])
        with pytest.raises(NotFound, match="made of was deleted, or is not shared with you"):
            await ask(bench, first, other, **asked)
        await let(sources[1])
        theirs, mine = await ask(bench, first, other, **asked), await ask(bench, first, **asked)
        target = {"linked": second, "source": sources[1]}[lost]
        await stop_sharing(hub, bench.user, model, target)
        assert [await bench.state(one) for one in (theirs, mine)] == ["failed", "queued"]
        assert "its model is not shared any more" in (await bench.row(job, theirs)).failure["message"]
        with pytest.raises(Conflict, match=mine):
            await delete_model(hub, bench.user, target)

    run(drill)
