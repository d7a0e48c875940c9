"""How long an answer is waited for: what was asked for with room to spare, so that an executor that hangs is found out."""

from __future__ import annotations

from dynolab.measure.orders import Cool, Idle, Run, Turns
from dynolab.spec.holding import Claim

SHORT_S = 900.0
"""For an order that has no length of its own. The slowest device that was seen, an emulated one, takes 20 s to import a runtime."""
RUN_S = 6 * 3600.0
"""For a process to compile and load a model where the user gave no time limit; what its loops are given comes on top."""
SLACK_S = 300.0
"""For starting, evicting files, killing, and a line that is taken up again."""


def bound_s(document: object) -> float:
    """Seconds within which the order with this document is answered by a device that is well."""
    if isinstance(document, Claim):
        return document.wait_s + SHORT_S
    if isinstance(document, Idle):
        return document.seconds + SHORT_S
    if isinstance(document, Cool):
        return document.within_s + SHORT_S
    if isinstance(document, Run):
        return _run_s(document) + SLACK_S
    if isinstance(document, Turns):
        # The first couples are made however long they take: each run's own limits are theirs.
        return document.within_ns / 1e9 + sum(map(_run_s, document.runs)) + SLACK_S
    return SHORT_S


def _run_s(run: Run) -> float:
    if run.timeout_s is not None:
        return run.timeout_s
    request = run.request
    return RUN_S + (request.time_limit_ns + request.sustained_ns + request.settle_within_ns) / 1e9
