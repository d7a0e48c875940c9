"""Job states as the official client knows them: each kind of job has its own, and any other crashes its ``wait()``."""

from __future__ import annotations

from collections.abc import Collection

from dynolab.hub.aihub.versions import MERGED_JOBS, Version

CREATED, DONE, FAILED = 1, 10, 30
PROVISIONING_DEVICE, MEASURING_PERFORMANCE, RUNNING_INFERENCE = 60, 70, 80
_FIXED = {"queued": CREATED, "preparing": PROVISIONING_DEVICE, "done": DONE, "failed": FAILED, "cancelled": FAILED}


def state_number(state: str, *, profiles: bool, version: Version) -> int:
    """The JobState of one of our states.

    ``profiles``: the job is shown as one that measures. Clients before 0.56 know an inference job as running only.
    """
    if state != "running":
        return _FIXED[state]
    return MEASURING_PERFORMANCE if profiles else RUNNING_INFERENCE


def our_states(numbers: Collection[int]) -> set[str]:
    """Our states that the client means by JobState numbers (in its filters)."""
    found = {state for state, number in _FIXED.items() if number in numbers}
    running = {MEASURING_PERFORMANCE, RUNNING_INFERENCE} & set(numbers)
    return found | ({"running"} if running else set())


def shown_as_profile(kind: str, version: Version) -> bool:
    """Whether a client of this version is shown a job as ``profile_job``: before 0.56 there were such."""
    return kind == "profile" and version < MERGED_JOBS
