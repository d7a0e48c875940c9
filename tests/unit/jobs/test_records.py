"""What is remembered of a device between jobs."""

from __future__ import annotations

import zlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from dynolab.jobs import _records as records
from dynolab.measure.orders import Survey
from dynolab.measure.protocol import PROTOCOL_VERSION
from dynolab.measure.readings import reference_kernel
from dynolab.testing.sample import sample_profile

DEVICE = sample_profile().device
SURVEY = Survey(
    protocol=PROTOCOL_VERSION,
    device=DEVICE,
    environment={},
    identity="0123456789abcdef",
    kernel_identity="zlib 1.3",
    cores=4,
    readings=(),
    memory_reason=None,
    memory_resolution_bytes=4096,
    memory_method="",
    clock="2026-03-14T09:26:53+00:00",
    sandbox="none",
)
INTEGER = "reference_kernel.integer_ns"


@pytest.fixture(autouse=True)
def _own_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DYNOLAB_STATE", str(tmp_path))


def test_the_reference_is_a_low_percentile_and_not_the_record_of_all() -> None:
    device = records.key(SURVEY)
    assert records.best(device) == {}
    records.remember(device, {INTEGER: 95_000.0})
    records.remember(device, {INTEGER: 90_000.0, "inference_ns:x": 3.0})
    assert records.best(device) == {INTEGER: 90_000.0}
    for _ in range(18):
        records.remember(device, {INTEGER: 96_000.0})
    assert records.best(device) == {INTEGER: 95_000.0}


def test_of_a_model_the_second_best_counts_since_the_best_may_be_luck() -> None:
    device, today = records.key(SURVEY), datetime.now(UTC).date().isoformat()
    assert records.before(device, "inference_ns:x") is None
    for value, expected in ((5.0, 5.0), (3.0, 5.0), (4.0, 4.0), (9.0, 4.0)):
        records.remember(device, {"inference_ns:x": value})
        assert records.before(device, "inference_ns:x") == records.Before(expected, today)


def test_what_is_older_than_a_month_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    device = records.key(SURVEY)
    records.remember(device, {INTEGER: 80_000.0})
    later = datetime.now(UTC) + timedelta(days=records.KEPT_DAYS + 1)
    monkeypatch.setattr(records, "datetime", SimpleNamespace(now=lambda zone: later))
    assert records.best(device) == {}
    records.remember(device, {INTEGER: 90_000.0})
    assert records.best(device) == {INTEGER: 90_000.0}


def test_a_record_of_another_form_is_none(tmp_path: Path) -> None:
    device = records.key(SURVEY)
    path = tmp_path / "devices" / f"{device}.json"
    path.parent.mkdir()
    path.write_text('{"best": {"reference_kernel.integer_ns": 1.0}}')
    assert records.best(device) == {}
    records.remember(device, {INTEGER: 90_000.0})
    assert records.best(device) == {INTEGER: 90_000.0}


def test_another_device_has_records_of_its_own() -> None:
    assert records.key(SURVEY) == records.key(replace(SURVEY, clock="2027-01-01T00:00:00+00:00"))
    assert records.key(SURVEY) != records.key(replace(SURVEY, device=replace(DEVICE, processor="another")))
    assert records.key(SURVEY) != records.key(replace(SURVEY, identity="fedcba9876543210")), "a board of the same model"


def test_a_new_build_of_zlib_starts_new_records(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reference kernel is zlib's: its times say nothing about those of another build."""
    before = reference_kernel.identity()
    monkeypatch.setattr(zlib, "ZLIB_RUNTIME_VERSION", "1.3.2.zlib-ng")
    assert records.key(replace(SURVEY, kernel_identity=before)) != records.key(
        replace(SURVEY, kernel_identity=reference_kernel.identity())
    )
