"""Jobs that an account may see, newest first, with what belongs to them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Row, any_, bindparam, func, literal_column, select
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.sql import Select, Subquery

from dynolab.errors import NotFound
from dynolab.hub.store.prepared import Prepared
from dynolab.hub.store.tables import account as account_table
from dynolab.hub.store.tables import attempt, blob, dataset, dependency, job, model
from dynolab.hub.usecases.access import Given, readable
from dynolab.hub.usecases.base import Account, Cursor, Hub, job_uses, keyset_order, newest_first
from dynolab.hub.usecases.newest import Search, newest_ids
from dynolab.hub.usecases.offset_pages import offset_page
from dynolab.hub.usecases.place import look_in


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs: empty is all. ``states`` and ``kinds`` are the table's; ``creator`` is an e-mail address."""

    states: Collection[str] = ()
    kinds: Collection[str] = ()
    creator: str = ""
    project_id: str = ""
    """A label of the jobs' owners (see :class:`~dynolab.hub.usecases.place.Place`)."""
    in_project: str | None = None
    """The id of a project."""
    device_name: str = ""
    model_id: str = ""
    text: str = ""
    """A part of the job's name or id."""
    model_name: str = ""
    measured: bool = False
    """Only those that are over and left a profile."""
    dataset_id: str = ""
    """What it is given."""
    output_dataset_id: str = ""
    """What it made."""


_LAST_LOG = (
    select(attempt.c.log_blob_id)
    .where(attempt.c.job_id == job.c.id)
    .order_by(attempt.c.number.desc())
    .limit(1)
    .scalar_subquery()
)


_ARTIFACT_BYTES = select(blob.c.bytes).where(blob.c.id == job.c.artifact_blob_id).scalar_subquery()


_BASELINE = model.alias("baseline")
_BASELINE_NAME = select(_BASELINE.c.name).where(_BASELINE.c.id == job.c.baseline_id).scalar_subquery()
_LINKED = model.alias("linked")
_LINKED_ROWS = (
    select(func.jsonb_agg(func.jsonb_build_object("id", _LINKED.c.id, "name", _LINKED.c.name, "kind", _LINKED.c.kind)))
    .where(_LINKED.c.id == any_(job.c.linked_ids))
    .scalar_subquery()
)
_TARGET = model.alias("target")
_TARGET_ROW = {
    name: select(_TARGET.c[name]).where(_TARGET.c.id == job.c.target_model_id).scalar_subquery().label(f"target_{name}")
    for name in ("name", "kind", "is_directory", "created_at", "tensors", "blob_id")
}
_DATASET_NAME = select(dataset.c.name).where(dataset.c.id == job.c.dataset_id).scalar_subquery()
_OUTPUT_NAME = select(dataset.c.name).where(dataset.c.id == job.c.output_dataset_id).scalar_subquery()


_WAITS_FOR = (
    select(func.array_agg(aggregate_order_by(dependency.c.needed_id, dependency.c.needed_id)))
    .where(dependency.c.job_id == job.c.id)
    .scalar_subquery()
)


def _jobs() -> Select[Any]:
    """Rows of jobs with their owner (``email``), their model's facts (``model_*``) and the last attempt's log.

    Of jobs that make a model ``target_*`` are that one's facts. ``artifact_bytes`` is the size of what compile made, where that was kept; ``waits_for`` are the ids of the jobs that
    they wait or waited for; None: of none.
    """
    return (
        select(
            job,
            account_table.c.email,
            account_table.c.name.label("owner_name"),
            model.c.name.label("model_name"),
            model.c.kind.label("model_kind"),
            model.c.is_directory.label("model_is_directory"),
            model.c.created_at.label("model_created_at"),
            model.c.tensors.label("model_tensors"),
            _LAST_LOG.label("log_blob_id"),
            _ARTIFACT_BYTES.label("artifact_bytes"),
            _BASELINE_NAME.label("baseline_name"),
            _LINKED_ROWS.label("linked_rows"),
            *_TARGET_ROW.values(),
            _DATASET_NAME.label("dataset_name"),
            _OUTPUT_NAME.label("output_dataset_name"),
            _WAITS_FOR.label("waits_for"),
        )
        .join(account_table, account_table.c.id == job.c.account_id)
        .join(model, model.c.id == job.c.model_id)
    )


@dataclass(frozen=True, slots=True)
class LinkedRow:
    """A further model of a link job."""

    id: str
    name: str
    kind: str


def linked_models(row: Row[Any]) -> list[LinkedRow]:
    """Those of a row of :func:`_jobs`, in their order; none, where the job is of another kind."""
    found = {one["id"]: LinkedRow(**one) for one in row.linked_rows or []}
    return [found[one] for one in row.linked_ids or [] if one in found]


async def find_job(hub: Hub, account: Account, job_id: str) -> Any:
    """One job, as a row of :func:`_jobs`. Raises :class:`NotFound` for one that is not there, or another's."""
    async with hub.database.single() as connection:
        row = await _finding(account.given).one_or_none(connection, job=job_id, **account.told)
    if row is None:
        raise NotFound(f"there is no job {job_id!r}", hint="it may have been deleted, or belong to another")
    return row


@cache
def _finding(who: Given) -> Prepared:
    return Prepared(_jobs().where(job.c.id == bindparam("job"), readable(job, who)))


async def find_listed(hub: Hub, account: Account, job_ids: Sequence[str]) -> list[Row[Any]]:
    """Those of these jobs that the account may see, in this order."""
    wanted = _jobs().where(job.c.id.in_(job_ids), readable(job, account))
    async with hub.database.begin() as connection:
        found = {row.id: row for row in await connection.execute(wanted)}
    return [found[job_id] for job_id in job_ids if job_id in found]


async def find_jobs(
    hub: Hub, account: Account, wanted: JobFilter, *, limit: int, offset: int = 0
) -> tuple[list[Row[Any]], int]:
    """A page of jobs, and how many there are in all, as :func:`~dynolab.hub.usecases.offset_pages.offset_page` counts them."""

    def page(limit: int, offset: int, cursor: Cursor | None) -> Select[Any]:
        return _page(account, wanted, limit=limit, offset=offset, cursor=cursor)

    def ids(limit: int, cursor: Cursor | None) -> Subquery:
        return page_ids(account, wanted, limit=limit, cursor=cursor)

    return await offset_page(hub, account, wanted, page, ids, limit=limit, offset=offset)


async def narrow_to_model(hub: Hub, wanted: JobFilter, named: str) -> JobFilter:
    """The filter for jobs of a model: by its id, or by its name where no model has that id. Empty: any model."""
    if not named:
        return wanted
    async with hub.database.begin() as connection:
        known = await connection.scalar(select(model.c.id).where(model.c.id == named))
    return replace(wanted, model_id=named) if known else replace(wanted, model_name=named)


async def narrow_to_project(hub: Hub, account: Account, wanted: JobFilter, named: str) -> JobFilter:
    """The filter for jobs of a project, by its id or name; for another word, for those of that label. Empty: of any.

    Raises what :func:`~dynolab.hub.usecases.place.no_project` says, for a project that the account does not see.
    """
    if not named:
        return wanted
    known = await look_in(hub, account, named)
    return replace(wanted, project_id=named) if known is None else replace(wanted, in_project=known)


async def page_jobs(
    hub: Hub, account: Account, wanted: JobFilter, *, limit: int, cursor: Cursor | None = None
) -> list[Row[Any]]:
    """The rows beyond ``cursor``, newest first."""
    page = _page(account, wanted, limit=limit, cursor=cursor)
    async with hub.database.begin() as connection:
        return newest_first((await connection.execute(page)).all(), cursor)


def _page(
    account: Account,
    wanted: JobFilter,
    *,
    limit: int,
    offset: int = 0,
    cursor: Cursor | None = None,
) -> Select[Any]:
    """The page's rows in the order of :func:`~dynolab.hub.usecases.base.keyset_order`."""
    ids = page_ids(account, wanted, limit=limit, offset=offset, cursor=cursor)
    order = keyset_order(job.c.created_at, job.c.id, cursor)
    return _jobs().join(ids, ids.c.id == job.c.id).order_by(*order)


def page_ids(
    account: Account, wanted: JobFilter, *, limit: int, offset: int = 0, cursor: Cursor | None = None
) -> Subquery:
    """The ids of the page's rows."""
    search = Search(wanted.text, creator=wanted.creator, in_project=wanted.in_project)
    return newest_ids(job, account, _conditions(wanted), search, limit=limit, offset=offset, cursor=cursor)


def _conditions(wanted: JobFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.states:
        # Written out, or a plan for any state would not dare to use the index of those that are not done.
        states: BindParameter[str] = bindparam("states", list(wanted.states), expanding=True, literal_execute=True)
        conditions.append(job.c.state.in_(states))
    if wanted.kinds:
        kinds: BindParameter[str] = bindparam("kinds", list(wanted.kinds), expanding=True, literal_execute=True)
        conditions.append(job.c.kind.in_(kinds))  # likewise, for that of those that are no profile jobs
    if wanted.project_id:
        conditions += [job.c.project_id == wanted.project_id, job.c.project_id != literal_column("''")]
    if wanted.device_name:
        conditions.append(job.c.device_name == wanted.device_name)
    if wanted.model_id:
        conditions.append(job_uses(model, [wanted.model_id]))
    if wanted.dataset_id:
        conditions.append(job.c.dataset_id == wanted.dataset_id)
    if wanted.output_dataset_id:
        conditions.append(job.c.output_dataset_id == wanted.output_dataset_id)
    if wanted.model_name:
        conditions.append(job.c.model_id.in_(select(model.c.id).where(model.c.name == wanted.model_name)))
    if wanted.measured:
        conditions += [job.c.state == "done", job.c.measures, job.c.result_blob_id.is_not(None)]
    return conditions
