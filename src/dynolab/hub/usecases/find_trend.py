"""One model's or one device's profiles over time: a line for all that is comparable, with what changed from job to job."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from sqlalchemy import Row, select

from dynolab.errors import Error, NotFound
from dynolab.hub.store.prepared import Prepared
from dynolab.hub.store.tables import blob, job
from dynolab.hub.store.tables import model as model_table
from dynolab.hub.usecases import bounds
from dynolab.hub.usecases.access import Given
from dynolab.hub.usecases.base import Account, Cursor, Hub, TrendCache
from dynolab.hub.usecases.find_jobs import JobFilter, JobShape, page_ids, page_jobs
from dynolab.hub.usecases.find_models_and_datasets import find_model_or_dataset
from dynolab.hub.usecases.read_blob import read_all
from dynolab.spec import codec, untrusted
from dynolab.spec.compare import StageComparison, compare_stage, time_verdict
from dynolab.spec.likeness import differing
from dynolab.spec.measurements import StageName, Witnesses
from dynolab.spec.profiles import LayerTable, Profile, Stage, Trust

POINTS = 100
"""Jobs in a picture: more points lie on top of each other, and each is a document to be read."""
KEPT = 300
"""Profiles that are kept in memory between two looks, about 20 kB each."""
VALUES_MOST = 3000
"""Of a profile with more raw values than that nothing is kept."""
AT_ONCE = 8
"""Documents that are read at the same time."""
NAMES = ("the earlier job", "this job")
_NO_LAYERS = LayerTable((), "left out", None, None, 0, None)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which jobs: of a model (name or id), on a device (name), or both; ``stage`` is compared, None: nothing is."""

    model: str = ""
    device: str = ""
    stage: StageName | None = None


@dataclass(frozen=True, slots=True)
class Point:
    """One job of a line: the job that it is held against, and the answer; what else changed since then, in words.

    It is held against the last one before it whose verdict is clean, so that a noisy job hides no change; against the one
    just before it where there is none yet, and where no stage is compared.
    """

    row: Row[Any]
    profile: Profile
    since: Row[Any] | None
    earlier: Profile | None
    answer: StageComparison | None
    differing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """The comparable jobs, oldest first: same model name, device, runtime, options and input shapes."""

    model: str
    device: str
    device_os: str
    runtime: str
    options: str
    inputs: str
    """Element types and shapes, as they were fed."""
    points: tuple[Point, ...]
    overall: StageComparison | None
    """The first and the last clean job, compared: many small steps may add up."""


async def page_measured(
    hub: Hub, account: Account, wanted: Wanted, *, limit: int, cursor: Cursor | None = None
) -> list[Row[Any]]:
    """Jobs that left a profile, newest first. A model's id stands for its name."""
    name = wanted.model
    with suppress(NotFound):  # then it is a name
        name = (await find_model_or_dataset(hub, account, model_table, name)).name if name else ""
    found = JobFilter(measured=True, model_name=name, device_name=wanted.device)
    return await page_jobs(hub, account, found, limit=limit, cursor=cursor)


async def measured_names(hub: Hub, account: Account) -> list[tuple[str, str]]:
    """The names of models and devices that were measured lately, each pair once, the newest first."""
    async with hub.database.single() as connection:
        rows = await _names(account.given).all(connection, **account.told)
    return list(dict.fromkeys((row.name, row.device_name) for row in rows))


@cache
def _names(who: Given) -> Prepared:
    ids = page_ids(who, JobShape(frozenset({"measured"})), limit=POINTS)
    found = select(model_table.c.name, job.c.device_name).join(ids, ids.c.id == job.c.id)
    found = found.join(model_table, model_table.c.id == job.c.model_id)
    return Prepared(found.order_by(job.c.created_at.desc(), job.c.id))


async def find_lines(hub: Hub, rows: Sequence[Row[Any]], stage: StageName | None) -> tuple[list[Line], int]:
    """The lines that these jobs make, the one with the newest job first, and how many results could not be read."""
    limit = asyncio.Semaphore(AT_ONCE)
    taken = await _taken(hub, rows)

    async def read(row: Row[Any]) -> Profile | None:
        async with limit:
            return await _read(hub, row) if row.result_blob_id in taken else None

    profiles = await asyncio.gather(*map(read, rows))
    pairs = [(row, profile) for row, profile in zip(rows, profiles, strict=True) if profile is not None]
    return await asyncio.to_thread(_lines, hub.trends, pairs, stage), len(rows) - len(pairs)


async def _taken(hub: Hub, rows: Sequence[Row[Any]]) -> set[str]:
    """The results that one look reads: those that are known, and of the others as many bytes as it may take."""
    taken = {row.result_blob_id for row in rows if row.result_blob_id in hub.trends.profiles}
    unknown = [row.result_blob_id for row in rows if row.result_blob_id not in taken]
    if not unknown:
        return taken
    async with hub.database.single() as connection:
        found = (await connection.execute(select(blob.c.id, blob.c.bytes).where(blob.c.id.in_(unknown)))).all()
    left = bounds.TREND_BYTES
    for row in found:
        if row.bytes <= min(left, bounds.PROFILE_BYTES):
            taken.add(row.id)
            left -= row.bytes
    return taken


async def _read(hub: Hub, row: Row[Any]) -> Profile | None:
    """The slim profile of a job; None for a document that is none: an agent may send what it likes."""
    key = row.result_blob_id
    if key in hub.trends.profiles:
        return hub.trends.profiles[key]
    try:
        profile = await asyncio.to_thread(_slim, await read_all(hub, key, bounds.PROFILE_BYTES), row.id)
    except (Error, ValueError):
        return None
    if sum(len(run.values_ns) for stage in profile.stages for run in stage.timing_runs) <= VALUES_MOST:
        if len(hub.trends.profiles) >= KEPT:
            hub.trends.profiles.clear()
            hub.trends.answers.clear()
        hub.trends.profiles[key] = profile
    return profile


def _slim(content: bytes, job_id: str) -> Profile:
    """The profile without what no trend is drawn from: layers, log, readings, the tries that were not chosen."""
    document = untrusted.load_document(content)
    if isinstance(document, dict):
        document = document | {"layers": codec.encode(_NO_LAYERS), "log": "", "environment": {}}
    profile = codec.decode(Profile, document, f"the profile of {job_id}")
    return replace(
        profile,
        compile=_slim_stage(profile.compile),
        first_load=_slim_stage(profile.first_load),
        warm_load=_slim_stage(profile.warm_load),
        inference=_slim_stage(profile.inference),
    )


def _slim_stage(stage: Stage) -> Stage:
    nothing = Witnesses(0)
    runs = tuple(replace(run, warmup_ns=(), witnesses=nothing) for run in stage.timing_runs if run.chosen)
    memory = stage.memory
    if memory is not None:
        memory = replace(memory, runs=tuple(replace(run, witnesses=nothing) for run in memory.runs))
    return replace(stage, timing_runs=runs, memory=memory)


# ---- lines ----------------------------------------------------------------------------------------------------------

_Pair = tuple[Row[Any], Profile]


def _lines(recent: TrendCache, pairs: Sequence[_Pair], stage: StageName | None) -> list[Line]:
    groups: dict[tuple[object, ...], list[_Pair]] = {}
    for row, profile in pairs:
        place = (row.model_name, row.device_name, row.device_os)
        key = (*place, profile.runtime.name, profile.request.options, _inputs(profile))
        groups.setdefault(key, []).append((row, profile))
    return [_line(recent, sorted(group, key=lambda pair: pair[0].created_at), stage) for group in groups.values()]


def _inputs(profile: Profile) -> str:
    """What a model was fed with; the names do not matter, a new export may give others."""
    return ", ".join(f"{one.spec.dtype} {one.spec.shape_text}" for one in profile.inputs)


def _line(recent: TrendCache, pairs: Sequence[_Pair], stage: StageName | None) -> Line:
    points: list[Point] = []
    last: _Pair | None = None
    for row, profile in pairs:
        answer = None if last is None or stage is None else _answer(recent, last, (row, profile), stage)
        since, earlier = last or (None, None)
        changed = () if earlier is None else tuple(_said(earlier, profile))
        points.append(Point(row, profile, since, earlier, answer, changed))
        if last is None or stage is None or _is_clean(profile, stage) or not _is_clean(last[1], stage):
            last = row, profile
    row, profile = pairs[-1]
    return Line(
        model=row.model_name,
        device=row.device_name,
        device_os=row.device_os,
        runtime=profile.runtime.name,
        options=profile.request.options,
        inputs=_inputs(profile),
        points=tuple(points),
        overall=_overall(recent, pairs, stage),
    )


def _said(before: Profile, now: Profile) -> list[str]:
    return [f"{label}: {one} → {other}" for label, (one, other) in differing([before, now])]


def _overall(recent: TrendCache, pairs: Sequence[_Pair], stage: StageName | None) -> StageComparison | None:
    found = [pair for pair in pairs if stage is not None and _is_clean(pair[1], stage)]
    if stage is None or len(found) < 3:
        return None
    return _answer(recent, found[0], found[-1], stage)


def _is_clean(profile: Profile, name: StageName) -> bool:
    stage: Stage = getattr(profile, name.value)
    return stage.time is not None and time_verdict(stage).trust is Trust.CLEAN


def _answer(recent: TrendCache, before: _Pair, now: _Pair, stage: StageName) -> StageComparison:
    key = (before[0].result_blob_id, now[0].result_blob_id, stage.value)
    found = recent.answers.get(key)
    if found is None:
        old, new = (getattr(profile, stage.value) for _, profile in (before, now))
        found = recent.answers[key] = compare_stage(old, new, names=NAMES)
    return found
