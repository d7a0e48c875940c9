"""What the status of a finished job says to the official client, which knows SUCCESS and one line of text."""

from typing import Any

import pytest

from dynolab.hub.aihub.jobs import status_message
from dynolab.jobs.profile import plugin
from dynolab.spec.profiles import Profile
from dynolab.testing.sample import noisy_profile, sample_profile, unmeasured_profile

WIDE = "WARNING: noisy, the range is wide, the device was not quiet"
COUNTS = "requirements: 3 met, 1 not met"


@pytest.mark.parametrize(
    ("profile", "told"),
    [
        (sample_profile(), f"inference 8.10 - 8.31 ms; {COUNTS}"),
        (noisy_profile(), f"inference 6.32 - 8.31 ms; {WIDE}; {COUNTS}"),
        (unmeasured_profile(), None),
    ],
)
def test_the_range_and_its_warning(profile: Profile, told: str | None) -> None:
    assert status_message(plugin.summary(profile)) == told


@pytest.mark.parametrize(
    ("summary", "told"),
    [
        ({"estimated_inference_time_ns": 8_310_000}, "inference 8.31 ms"),
        ({"estimated_inference_time_ns": 8_310_000, "estimated_inference_time_lower_ns": 9_000_000}, "inference 8.31 ms"),
        ({"estimated_inference_time_ns": 8_310_000, "inference_time_verdict": "invalid"},
         "inference 8.31 ms; WARNING: invalid, do not use this number, a condition of the measurement was broken"),
        ({"estimated_inference_time_ns": 8_310_000, "inference_time_verdict": ["noisy"], "requirements": {"met": "all"}},
         "inference 8.31 ms"),
        ({"estimated_inference_time_ns": "soon"}, None),
        (None, None),
        ([], None),
    ],
)  # fmt: skip
def test_an_agent_may_have_sent_what_it_likes(summary: Any, told: str | None) -> None:
    assert status_message(summary) == told
