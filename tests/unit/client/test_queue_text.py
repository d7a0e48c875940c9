"""What a job waits for, in words."""

from __future__ import annotations

from typing import Any

import pytest

from dynolab.client.queue_text import ordinal, queue_text
from dynolab.client.results import status

THIRD = {"kind": "profile", "state": "queued", "queue_position": 3, "waits_for": [], "failure": None}


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"estimated_start_s": 120}, "3rd in the queue, begins in about 2 min"),
        ({"estimated_start_s": 0, "queue_position": 1}, "next in the queue, begins in a few seconds"),
        ({"estimated_start_s": 40}, "3rd in the queue, begins in about 40 s"),
        ({"estimated_start_s": 7800}, "3rd in the queue, begins in about 2 h 10 min"),
        ({"no_estimate": "no-board", "estimated_start_s": None}, "3rd in the queue, no such device is there now"),
        ({"no_estimate": "overrun"}, "3rd in the queue, what runs there now takes far longer than the last jobs did"),
        ({"no_estimate": "no-history"}, "3rd in the queue, nothing has run on the device yet"),
        ({}, "3rd in the queue"),  # an older hub's
        ({"queue_position": None, "waits_for": ["ja", "jb"], "no_estimate": "waits"}, "waits for ja and jb"),
        ({"queue_position": None}, None),
        ({"state": "running", "queue_position": None}, None),
    ],
)
def test_a_job_tells_its_place_and_when_it_begins(more: dict[str, Any], told: str | None) -> None:
    document = {**THIRD, **more}
    assert queue_text(document) == told
    assert status(document).message == told
    assert not status(document).finished


def test_places_are_counted() -> None:
    assert [ordinal(one) for one in (2, 4, 11, 12, 13, 21, 22, 103, 111, 1002)] == [
        *("2nd", "4th", "11th", "12th", "13th", "21st", "22nd", "103rd", "111th", "1,002nd")
    ]
