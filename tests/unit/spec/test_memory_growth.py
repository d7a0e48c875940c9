"""Growth of memory: a leak is told from an arena that grew once, and from an allocator's noise."""

from __future__ import annotations

import pytest

from dynolab.spec.profiles import GROWTH_NOISE_BYTES, MemoryGrowth

MB = 10**6


@pytest.mark.parametrize(
    ("held", "per_thousand", "steady"),
    [
        ((40 * MB, 43 * MB, 46 * MB, 49 * MB), 30 * MB, False),
        ((40 * MB, 49 * MB, 49 * MB, 49 * MB), 30 * MB, True),
        ((49 * MB, 46 * MB, 43 * MB, 40 * MB), -30 * MB, True),
        ((40 * MB, 40 * MB + 1, 40 * MB + 2, 40 * MB + GROWTH_NOISE_BYTES), 0, True),
        ((40 * MB, 40 * MB + 1, 40 * MB + 2, 40 * MB + GROWTH_NOISE_BYTES + 1), 436_910, False),
        ((), 0, True),
    ],
    ids=["leaks", "grew once", "shrank", "noise", "beyond noise", "no readings"],
)
def test_growth_is_what_every_quarter_adds(held: tuple[int, ...], per_thousand: int, steady: bool) -> None:
    growth = MemoryGrowth(400, held)
    assert (growth.per_thousand_bytes, growth.is_steady) == (per_thousand, steady)
