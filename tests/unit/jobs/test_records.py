"""What is remembered of a device between jobs."""

from __future__ import annotations

import zlib
from dataclasses import replace
from pathlib import Path

import pytest

from dynolab.jobs import _records as records
from dynolab.testing.sample import sample_profile

DEVICE = sample_profile().device
INTEGER = "reference_kernel.integer_ns"


@pytest.fixture(autouse=True)
def _own_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DYNOLAB_STATE", str(tmp_path))


def test_the_smaller_value_is_kept() -> None:
    device = records.key(DEVICE)
    assert records.best(device) == {}
    records.remember(device, {INTEGER: 90_000.0})
    records.remember(device, {INTEGER: 95_000.0, "copy_ns": 3.0})
    assert records.best(device) == {INTEGER: 90_000.0, "copy_ns": 3.0}


def test_another_device_has_records_of_its_own() -> None:
    assert records.key(DEVICE) == records.key(replace(DEVICE))
    assert records.key(DEVICE) != records.key(replace(DEVICE, processor="another"))


def test_a_new_build_of_zlib_starts_new_records(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reference kernel is zlib's: its times say nothing about those of another build."""
    records.remember(records.key(DEVICE), {INTEGER: 90_000.0})
    with monkeypatch.context() as patch:
        patch.setattr(zlib, "ZLIB_RUNTIME_VERSION", "1.3.2.zlib-ng")
        assert records.best(records.key(DEVICE)) == {}
    assert records.best(records.key(DEVICE)) == {INTEGER: 90_000.0}
