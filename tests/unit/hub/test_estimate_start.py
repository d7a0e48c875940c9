"""When a queued job begins."""

import pytest

pytest.importorskip("sqlalchemy")

from dynolab.hub.usecases.estimate_start import Estimate, begins_in


@pytest.mark.parametrize(
    ("took_s", "runs_s", "ahead", "expected"),
    [
        ([60.0], [], 0, Estimate(None, "no-board")),
        ([], [None], 0, Estimate(0)),
        ([], [None, 5.0], 1, Estimate(None, "no-history")),
        ([], [5.0], 0, Estimate(None, "no-history")),
        ([7.0, 9.0], [400.0], 0, Estimate(None, "overrun")),
        ([7.0, 9.0], [400.0, 2.0], 1, Estimate(10)),
        ([60.0], [15.0], 0, Estimate(40)),
        ([50.0, 60.0, 900.0], [0.0], 0, Estimate(60)),  # the median: one that hung says nothing of the others
        ([60.0], [100.0], 0, Estimate(0)),  # longer than any: it may end at any moment
        ([60.0], [600.0], 0, Estimate(None, "overrun")),
        ([60.0], [0.0], 1, Estimate(120)),
        ([60.0], [None, 0.0], 1, Estimate(60)),
        ([60.0], [10.0, 50.0], 1, Estimate(50)),
        ([60.0], [10.0, 50.0], 2, Estimate(70)),
        ([60.0], [0.0], 1000, Estimate(60_000)),
    ],
)
def test_each_job_goes_to_the_board_that_is_free_first(
    took_s: list[float], runs_s: list[float | None], ahead: int, expected: Estimate
) -> None:
    assert begins_in(took_s, runs_s, ahead) == expected
