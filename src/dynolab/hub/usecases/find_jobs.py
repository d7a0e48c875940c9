"""Jobs that an account may see, newest first, with what belongs to them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import Any, Literal

from sqlalchemy import ColumnElement, Text, any_, bindparam, func, literal_column, select
from sqlalchemy.dialects.postgresql import ARRAY, aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql import Select, Subquery

from dynolab.errors import NotFound
from dynolab.hub.store.prepared import Prepared
from dynolab.hub.store.tables import account as account_table
from dynolab.hub.store.tables import attempt, blob, dataset, dependency, job, model
from dynolab.hub.usecases.access import Given, readable
from dynolab.hub.usecases.base import Account, Cursor, Hub, job_uses, keyset_order, newest_first
from dynolab.hub.usecases.newest import ANYTHING, KEPT, OFFSET, Most, Search, Sought, given_cursor, newest_ids, told_of
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

    @property
    def _search(self) -> Search:
        return Search(self.text, creator=self.creator, in_project=self.in_project)

    def shape(self, account: Account) -> JobShape:
        """What statements for these jobs differ by."""
        named = frozenset(name for name in _CONDITIONS if getattr(self, name))
        return JobShape(named, tuple(sorted(self.states)), tuple(sorted(self.kinds)), self._search.sought(account))

    @property
    def told(self) -> dict[str, object]:
        """What such a statement is given with each call."""
        return {**{f"wanted_{name}": getattr(self, name) for name in _CONDITIONS}, **self._search.told}


@dataclass(frozen=True, slots=True)
class JobShape:
    """What statements for some jobs differ by; ``named`` are the fields of :class:`JobFilter` that a condition stands for."""

    named: frozenset[str] = frozenset()
    states: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    sought: Sought = ANYTHING


_MODEL = Prepared(select(model.c.id).where(model.c.id == bindparam("named")))
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


Columns = Literal["all", "summary"]
"""Of a job: all that :func:`_jobs` has, or what a line of a long list tells."""


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


def _summaries() -> Select[Any]:
    """Some columns of the same, and of ``summary`` two figures."""
    told = ("id", "account_id", "kind", "name", "project_id", "device_name", "device_os", "device_attributes")
    more = ("measures", "state", "created_at", "started_at", "finished_at", "updated_at")
    named: list[Any] = [part for name in FIGURES for part in (name, job.c.summary[name])]
    summary = func.jsonb_build_object(*named)
    owner = account_table.c.email, account_table.c.name.label("owner_name")
    columns = *(job.c[name] for name in (*told, *more)), *owner, _TARGET_ROW["kind"], summary.label("summary")
    return select(*columns).join(account_table, account_table.c.id == job.c.account_id)


ARMS_MOST = 3
"""States whose jobs are read each for itself: those of several are in no index in order."""
FIGURES = ("estimated_inference_time_ns", "inference_memory_peak_bytes")
"""Of a job's summary, in a line of a long list."""


@dataclass(frozen=True, slots=True)
class LinkedRow:
    """A further model of a link job."""

    id: str
    name: str
    kind: str


def linked_models(row: Any) -> list[LinkedRow]:
    """Those of a row of :func:`_jobs`, in their order; none, where the job is of another kind."""
    found = {one["id"]: LinkedRow(**one) for one in row.linked_rows or []}
    return [found[one] for one in row.linked_ids or [] if one in found]


async def find_job(hub: Hub, account: Account, job_id: str) -> Any:
    """One job, as a row of :func:`_jobs`. Raises :class:`NotFound` for one that is not there, or another's."""
    async with hub.database.single() as connection:
        row = await _looking(account.given).one_or_none(connection, ids=[job_id], **account.told)
    if row is None:
        raise NotFound(f"there is no job {job_id!r}", hint="it may have been deleted, or belong to another")
    return row


async def find_listed(hub: Hub, account: Account, job_ids: Sequence[str]) -> list[Any]:
    """Those of these jobs that the account may see, in this order."""
    async with hub.database.single() as connection:
        rows = await _looking(account.given).all(connection, ids=list(job_ids), **account.told)
    found = {row.id: row for row in rows}
    return [found[job_id] for job_id in job_ids if job_id in found]


@cache
def _looking(who: Given) -> Prepared:
    return Prepared(_jobs().where(job.c.id == any_(bindparam("ids", type_=ARRAY(Text))), readable(job, who)))


async def find_jobs(
    hub: Hub, account: Account, wanted: JobFilter, *, limit: int, offset: int = 0, columns: Columns = "all"
) -> tuple[list[Any], int]:
    """A page of jobs, and how many there are in all, as :func:`~dynolab.hub.usecases.offset_pages.offset_page` counts them."""
    shape, told = wanted.shape(account), {**account.told, **wanted.told}

    async def page(connection: AsyncConnection, limit: int, offset: int, cursor: Cursor | None) -> list[Any]:
        newer = None if cursor is None else cursor.newer
        paging = _paging(account.given, shape, limit, bool(offset), newer, columns)
        return await paging.all(connection, offset=offset, **told, **told_of(cursor))

    async def count(connection: AsyncConnection, most: int | None, offset: int, cursor: Cursor | None) -> int:
        counting = _counting(account.given, shape, most, cursor is not None)
        return int(await counting.scalar(connection, offset=offset, **told, **told_of(cursor)))

    return await offset_page(hub, account, wanted, page, count, limit=limit, offset=offset)


async def narrow_to_model(hub: Hub, wanted: JobFilter, named: str) -> JobFilter:
    """The filter for jobs of a model: by its id, or by its name where no model has that id. Empty: any model."""
    if not named:
        return wanted
    async with hub.database.single() as connection:
        known = await _MODEL.scalar(connection, named=named)
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
) -> list[Any]:
    """The rows beyond ``cursor``, newest first."""
    newer = None if cursor is None else cursor.newer
    paging = _paging(account.given, wanted.shape(account), limit, False, newer, "all")
    async with hub.database.single() as connection:
        rows = await paging.all(connection, **account.told, **wanted.told, **told_of(cursor))
    return newest_first(rows, cursor)


@lru_cache(KEPT)
def _paging(
    who: Given, shape: JobShape, limit: int, has_offset: bool, newer: bool | None, columns: Columns
) -> Prepared:
    """The page's rows in the order of :func:`~dynolab.hub.usecases.base.keyset_order`."""
    cursor = given_cursor(newer)
    ids = page_ids(who, shape, limit=limit, has_offset=has_offset, cursor=cursor)
    rows = _jobs() if columns == "all" else _summaries()
    return Prepared(rows.join(ids, ids.c.id == job.c.id).order_by(*keyset_order(job.c.created_at, job.c.id, cursor)))


@lru_cache(KEPT)
def _counting(who: Given, shape: JobShape, most: int | None, is_after: bool) -> Prepared:
    """How many there are, ``most`` of those after a cursor, or as many as an offset passes over."""
    cursor = given_cursor(False if is_after else None)
    ids = page_ids(who, shape, limit=OFFSET if most is None else most, cursor=cursor, in_order=False)
    return Prepared(select(func.count().label("jobs")).select_from(ids))


def page_ids(
    who: Given,
    shape: JobShape,
    *,
    limit: Most,
    has_offset: bool = False,
    cursor: Cursor | None = None,
    in_order: bool = True,
) -> Subquery:
    """The ids of the page's rows, in a statement that is given :attr:`JobFilter.told`."""
    conditions = [condition for name in _CONDITIONS if name in shape.named for condition in _CONDITIONS[name]]
    # Written out, or a plan for any state would not dare to use the index of those that are not done.
    apart = 1 < len(shape.states) <= ARMS_MOST
    arms = [job.c.state == one for one in shape.states] if apart else []
    conditions += [job.c.state.in_(shape.states)] if shape.states and not apart else []
    conditions += [job.c.kind.in_(shape.kinds)] if shape.kinds else []  # likewise: of those that are no profile jobs
    page = {"has_offset": has_offset, "in_order": in_order}
    return newest_ids(job, who, conditions, shape.sought, limit=limit, cursor=cursor, arms=arms, **page)


def _conditions() -> dict[str, list[ColumnElement[bool]]]:
    """By the field of :class:`JobFilter` that is not empty."""
    fields = ("project_id", "device_name", "model_id", "dataset_id", "output_dataset_id", "model_name")
    told = {name: bindparam(f"wanted_{name}", type_=Text) for name in fields}
    return {
        "project_id": [job.c.project_id == told["project_id"], job.c.project_id != literal_column("''")],
        "device_name": [job.c.device_name == told["device_name"]],
        "model_id": [job_uses(model, [told["model_id"]])],
        "dataset_id": [job.c.dataset_id == told["dataset_id"]],
        "output_dataset_id": [job.c.output_dataset_id == told["output_dataset_id"]],
        "model_name": [job.c.model_id.in_(select(model.c.id).where(model.c.name == told["model_name"]))],
        "measured": [job.c.state == "done", job.c.measures, job.c.result_blob_id.is_not(None)],
    }


_CONDITIONS = _conditions()
