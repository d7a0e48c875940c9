"""Which jobs make a line of a trend, and what each of them is held against."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("pgqueuer")

from dynolab.hub.usecases import find_trend
from dynolab.hub.usecases.base import TrendCache
from dynolab.hub.usecases.find_trend import Line
from dynolab.spec import codec
from dynolab.spec.answers import Answer
from dynolab.spec.measurements import StageName
from dynolab.spec.profiles import Profile, Trust, Verdict
from dynolab.testing.sample import noisy_profile, sample_profile

BEGUN = datetime(2026, 3, 14, tzinfo=UTC)
MINUTES = iter(range(10_000))


def job(profile: Profile, **told: Any) -> Any:
    """A job that left this profile, a minute after the one before."""
    number = next(MINUTES)
    known = {"model_name": "net", "device_name": "board", "device_os": "1"}
    row = {"id": f"j{number}", "result_blob_id": f"b{number}", "created_at": BEGUN + timedelta(minutes=number)}
    return SimpleNamespace(**{**row, **known, **told}), profile


def slower(profile: Profile, times: float) -> Profile:
    """The same with an inference that takes so many times as long."""
    stage = profile.inference
    assert stage.time is not None
    runs = tuple(replace(run, values_ns=tuple(int(ns * times) for ns in run.values_ns)) for run in stage.timing_runs)
    ends = [int(times * ns) for ns in (stage.time.lower_ns or 0, stage.time.minimum_ns)]
    time = replace(stage.time, lower_ns=ends[0], minimum_ns=ends[1])
    return replace(profile, inference=replace(stage, timing_runs=runs, time=time))


def lines(*pairs: Any, stage: StageName | None = StageName.INFERENCE, recent: TrendCache | None = None) -> list[Line]:
    return find_trend._lines(recent or TrendCache(), pairs, stage)


def test_jobs_of_one_kind_make_a_line_from_the_oldest_to_the_newest() -> None:
    base = sample_profile()
    first, second = job(base), job(base)
    others = [
        job(base, model_name="other"),
        job(base, device_name="other"),
        job(base, device_os="2"),
        job(replace(base, runtime=replace(base.runtime, name="other"))),
        job(replace(base, request=replace(base.request, options="--other"))),
        job(replace(base, inputs=base.inputs * 2)),
    ]
    found = lines(second, *others, first)
    assert [[point.row for point in line.points] for line in found] == [
        [first[0], second[0]],
        *([one[0]] for one in others),
    ]
    line = found[0]
    assert (line.model, line.device, line.device_os, line.runtime) == ("net", "board", "1", base.runtime.name)
    assert (line.options, line.inputs) == (base.request.options, "float32 [1, 3, 224, 224]")


def test_each_job_is_held_against_the_last_clean_one_before_it() -> None:
    clean, noisy = sample_profile(), noisy_profile()
    pairs = [job(noisy), job(noisy), job(clean), job(noisy), job(slower(clean, 2)), job(clean)]
    rows = [row for row, _ in pairs]
    [line] = lines(*pairs)
    assert [point.since for point in line.points] == [None, rows[0], rows[1], rows[2], rows[2], rows[4]]
    assert [point.earlier for point in line.points] == [None, noisy, noisy, clean, clean, pairs[4][1]]
    assert line.points[0].answer is None
    fifth, last = line.points[4].answer, line.points[5].answer
    assert fifth is not None
    assert last is not None
    assert (fifth.answer, fifth.direction, last.direction) == (Answer.CHANGED, 1, -1)


def test_where_no_stage_is_compared_each_is_held_against_the_one_just_before() -> None:
    pairs = [job(sample_profile()), job(noisy_profile()), job(sample_profile())]
    [line] = lines(*pairs, stage=None)
    assert [point.since for point in line.points] == [None, pairs[0][0], pairs[1][0]]
    assert [point.answer for point in line.points] == [None, None, None]
    assert line.overall is None


def test_the_first_and_the_last_of_three_clean_jobs_are_compared_as_well() -> None:
    base = sample_profile()
    pairs = [job(noisy_profile()), job(base), job(slower(base, 1.01)), job(slower(base, 1.5)), job(noisy_profile())]
    [line] = lines(*pairs)
    assert line.overall is not None
    assert line.overall.direction == 1
    recent = TrendCache()
    lines(*pairs, recent=recent)
    assert (pairs[1][0].result_blob_id, pairs[3][0].result_blob_id, "inference") in recent.answers
    assert lines(*pairs[:3])[0].overall is None, "two clean ones have that answer already"


def test_only_what_was_timed_and_is_clean_counts_as_such() -> None:
    base = sample_profile()
    untimed = replace(base, inference=replace(base.inference, time=None))
    assert base.inference.time is not None
    invalid = replace(
        base,
        inference=replace(base.inference, time=replace(base.inference.time, verdict=Verdict(Trust.INVALID))),
    )
    assert [find_trend._is_clean(one, StageName.INFERENCE) for one in (base, untimed, invalid, noisy_profile())] == [
        True, False, False, False,
    ]  # fmt: skip
    assert find_trend._is_clean(untimed, StageName.COMPILE), "each stage by itself"


def test_an_answer_is_worked_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs, recent, asked = [job(sample_profile()), job(sample_profile())], TrendCache(), []
    real = find_trend.compare_stage

    def counted(*stages: Any, **more: Any) -> Any:
        asked.append(stages)
        return real(*stages, **more)

    monkeypatch.setattr(find_trend, "compare_stage", counted)
    [line] = lines(*pairs, recent=recent)
    assert lines(*pairs, recent=recent) == [line]
    assert asked == [(pairs[0][1].inference, pairs[1][1].inference)], "the earlier one first"


def test_what_else_changed_is_told() -> None:
    base = sample_profile()
    changed = replace(base, dynolab_version="0.2.0")
    [line] = lines(job(base), job(changed))
    assert line.points[0].differing == ()
    assert line.points[1].differing == ("dynolab: 0.1.0 → 0.2.0",)


class Blobs:
    """A database that tells the sizes of those blobs that are asked for."""

    def __init__(self, sizes: dict[str, int]) -> None:
        self._sizes = sizes

    @asynccontextmanager
    async def single(self) -> AsyncIterator[Any]:
        yield self

    async def execute(self, statement: Any) -> Any:
        [asked] = statement.compile().params.values()
        return SimpleNamespace(all=lambda: [SimpleNamespace(id=one, bytes=self._sizes[one]) for one in asked])


def looked_at(monkeypatch: pytest.MonkeyPatch, sizes: list[int], recent: TrendCache) -> tuple[int, int]:
    """Of jobs with results of such sizes: how many one look draws, and how many it cannot."""
    content = json.dumps(codec.encode(sample_profile())).encode()

    async def read_all(hub: Any, key: str, most: int) -> bytes:
        return content

    monkeypatch.setattr(find_trend, "read_all", read_all)
    known = {f"b{number}": size for number, size in enumerate(sizes)}
    rows = [job(sample_profile(), result_blob_id=one)[0] for one in known]
    hub: Any = SimpleNamespace(trends=recent, database=Blobs(known))
    lines, missing = asyncio.run(find_trend.find_lines(hub, rows, None))
    return sum(len(line.points) for line in lines), missing


def test_one_look_reads_so_many_bytes_and_the_next_one_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    recent, sizes = TrendCache(), [2 << 20] * 18
    assert [looked_at(monkeypatch, sizes, recent) for _ in range(3)] == [(8, 10), (16, 2), (18, 0)]
    assert looked_at(monkeypatch, [2 << 20, (2 << 20) + 1, 1], TrendCache()) == (2, 1)


def test_only_so_many_profiles_are_kept_and_none_with_many_values(monkeypatch: pytest.MonkeyPatch) -> None:
    recent, count = TrendCache(), sum(len(run.values_ns) for one in sample_profile().stages for run in one.timing_runs)
    monkeypatch.setattr(find_trend, "KEPT", 3)
    monkeypatch.setattr(find_trend, "VALUES_MOST", count)
    kept = []
    for sizes in ([1], [1] * 3, [1] * 4):
        assert looked_at(monkeypatch, sizes, recent) == (len(sizes), 0)
        kept.append(len(recent.profiles))
    assert kept == [1, 3, 1]
    monkeypatch.setattr(find_trend, "VALUES_MOST", count - 1)
    recent = TrendCache()
    assert looked_at(monkeypatch, [1], recent) == (1, 0)
    assert not recent.profiles
