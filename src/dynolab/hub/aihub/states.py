"""Job states as the official client knows them: each kind of job has its own, and any other crashes its ``wait()``."""

from __future__ import annotations

from collections.abc import Collection

from dynolab.hub.aihub.versions import MERGED_JOBS, Version
from dynolab.hub.aihub.wire import public_api_pb2 as pb

_FIXED = {
    "queued": pb.JOB_STATE_CREATED,
    "preparing": pb.JOB_STATE_PROVISIONING_DEVICE,
    "done": pb.JOB_STATE_DONE,
    "failed": pb.JOB_STATE_FAILED,
    "cancelled": pb.JOB_STATE_FAILED,
}
_MAKING = {
    "compile": pb.JOB_STATE_OPTIMIZING_MODEL,
    "quantize": pb.JOB_STATE_QUANTIZING_MODEL,
    "link": pb.JOB_STATE_LINKING_MODELS,
}
"""While somebody has it, of the kinds that make a model."""
_HELD = ("preparing", "running")
_RUNNING = {True: pb.JOB_STATE_MEASURING_PERFORMANCE, False: pb.JOB_STATE_RUNNING_INFERENCE}


def state_number(kind: str, state: str, *, measures: bool) -> pb.JobState:
    """The JobState of one of our states; a running job makes a model, measures, or infers only."""
    if kind in _MAKING and state in _HELD:
        return _MAKING[kind]
    return _RUNNING[measures] if state == "running" else _FIXED[state]


def our_states(numbers: Collection[int]) -> set[str]:
    """Our states that the client means by JobState numbers (in its filters)."""
    found = {state for state, number in _FIXED.items() if number in numbers}
    if set(_MAKING.values()) & set(numbers):
        found |= set(_HELD)
    return found | ({"running"} if set(_RUNNING.values()) & set(numbers) else set())


def shown_as_profile(kind: str, version: Version) -> bool:
    """Whether a client of this version is shown a job as ``profile_job``: before 0.56 there were such."""
    return kind == "profile" and version < MERGED_JOBS


def shown_as(kind: str, version: Version) -> str:
    """The field of the protocol's Job that a client of this version is shown a job of our kind in."""
    return "profile_job" if shown_as_profile(kind, version) else f"{'inference' if kind == 'profile' else kind}_job"
