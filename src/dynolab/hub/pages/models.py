"""Models: the list, and a page for each."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row

from dynolab.hub.pages.jobs import line
from dynolab.hub.pages.models_and_datasets import Collection, routes_of, uses
from dynolab.hub.pages.option_fields import RUNTIMES
from dynolab.hub.store.tables import model as model_table
from dynolab.hub.usecases.base import Account, Hub
from dynolab.hub.usecases.create_model import ending_of
from dynolab.hub.usecases.delete_model import delete_model
from dynolab.hub.usecases.find_jobs import JobFilter, find_listed
from dynolab.hub.usecases.find_models_and_datasets import find_kinds
from dynolab.hub.usecases.find_tensors import find_model_tensors
from dynolab.hub.usecases.find_toolchain import find_offered
from dynolab.spec.toolchain_support import LINK, MAKES, QUANTIZE, compiled_from, toolchain


async def _details(hub: Hub, account: Account, row: Row[Any]) -> dict[str, Any]:
    """What it takes and gives, the job that made it, whether toolchains take it, and the jobs that used it."""
    producer = next(iter(await find_listed(hub, account, [row.producer_id])), None)
    offered = await find_offered(hub, account)
    sources = {kind for kinds in compiled_from(offered).values() for kind in kinds}
    is_float = producer is None or producer.kind != "quantize"
    return {
        "producer": line(producer) if producer is not None else None,
        "making": row.blob_id is None and producer is not None and producer.finished_at is None,
        "can_compile": row.kind in sources,
        "can_quantize": is_float and f"{MAKES}{toolchain(QUANTIZE, row.kind)}" in offered,
        "can_link": f"{MAKES}{toolchain(LINK, row.kind)}" in offered,
        "tensors": await find_model_tensors(hub, account, row),
        "uses": await uses(hub, account, JobFilter(model_id=row.id)),
    }


def _ending(row: Row[Any]) -> str:
    return ending_of(row.kind) + (".zip" if row.is_directory else "")


async def _kinds(hub: Hub, account: Account) -> set[str]:
    """Formats that are run, and those of the models that are here all the same."""
    return {kind for _, formats in RUNTIMES.values() for kind in formats} | await find_kinds(hub, account)


routes = routes_of(Collection(model_table, _details, _ending, delete_model, _kinds))
