"""The job that an idempotency key stands for."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from dynolab.errors import Conflict
from dynolab.hub.store.prepared import Prepared
from dynolab.hub.store.tables import dependency, job, model
from dynolab.hub.usecases.base import Account
from dynolab.hub.usecases.job_request import JobRequest, checked_requirements, plain_shapes
from dynolab.hub.usecases.made_models import specs_for_row
from dynolab.hub.usecases.place import Place

KEY_LIFE = timedelta(days=1)
"""How long an idempotency key stands for its job."""


def _of_key() -> Prepared:
    """The newest job that the ``account`` submitted with this ``key``."""
    mine = job.c.account_id == bindparam("account"), job.c.idempotency_key == bindparam("key")
    found = select(job).where(*mine, job.c.created_at > func.now() - KEY_LIFE)
    return Prepared(found.order_by(job.c.created_at.desc()).limit(1))


_OF_KEY = _of_key()


def locking(account: Account, request: JobRequest) -> str:
    """A statement that has requests of one key wait for each other until their transaction ends, to go with its BEGIN; empty: there is no key."""
    if request.idempotency_key is None:
        return ""
    text = f"{account.id} {request.idempotency_key}".encode().hex()  # so that nothing in it is part of the statement
    return f"SELECT pg_advisory_xact_lock(hashtextextended(convert_from('\\x{text}', 'UTF8'), 0))"


async def find_submitted(connection: AsyncConnection, place: Place, request: JobRequest) -> tuple[str, datetime] | None:
    """The job that the request's key stands for already, in a transaction that began with :func:`locking`."""
    key, account = request.idempotency_key, place.account
    if key is None:
        return None
    row = await _OF_KEY.one_or_none(connection, account=account.id, key=key)
    if row is None:
        return None
    compared = None if request.comparison is None else request.comparison.document()
    baseline_id = None if request.comparison is None else request.comparison.baseline_id
    asked = (
        *(request.kind, request.model_id, request.dataset_id, request.options.strip(), baseline_id, compared),
        *(specs_for_row(request.input_specs), request.weights_dtype or None, request.activations_dtype or None),
        list(request.linked_ids) or None,
        place.in_project,
    )
    needed = select(dependency.c.needed_id).where(dependency.c.job_id == row.id)
    required = checked_requirements(request.requirements)
    terms = (request.priority, request.deadline_s, plain_shapes(request.input_shapes), required, request.keeps_artifact)
    before = (row.asked_priority, row.deadline_s, row.input_shapes, row.requirements, row.keeps_artifact)
    waited_for = set((await connection.execute(needed)).scalars())
    makers = select(model.c.producer_id).where(
        model.c.id.in_([row.model_id, row.baseline_id, *(row.linked_ids or [])])
    )  # waited for unasked
    unasked = set((await connection.execute(makers)).scalars())
    made = (
        *(row.kind, row.model_id, row.dataset_id, row.options, row.baseline_id, row.comparison),
        *(row.input_specs, row.weights_dtype, row.activations_dtype, row.linked_ids),
        row.in_project,
    )
    if (asked, terms, set(request.waits_for) - unasked) != (made, before, waited_for - unasked):
        raise Conflict(
            f"the idempotency key {key!r} stands for another request, which made the job {row.id}",
            hint="a new request needs a new key",
        )
    return row.id, row.created_at
