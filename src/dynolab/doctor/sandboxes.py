"""The check of what confines a model."""

from __future__ import annotations

from pathlib import Path

from dynolab.doctor.base import Place
from dynolab.sandbox import base as sandbox
from dynolab.spec.findings import Finding


def confinement(place: Place) -> list[Finding]:
    """What confines a model here. It is tried, so a recorded device has no answer."""
    if place.root != Path("/"):
        return []
    used = sandbox.strongest()
    better = [one for one in sandbox.all_by_strength() if one.rank > used.rank]
    reasons = "; ".join(f"{one.name}: {sandbox.problem(one.name) or 'works, and is not chosen'}" for one in better)
    found = sandbox.told(used) + (f"; stronger ones: {reasons}" if better else "")
    if not used.protects:
        cost = "NO SANDBOX: whoever wrote a model may read, write and send whatever you may"
        return [Finding("sandbox", "problem", found, cost, f"sudo {sandbox.INSTALL}")]
    if better:
        cost = "a stronger one could be had"
        return [Finding("sandbox", "warning", found, cost, f"sudo {sandbox.INSTALL}")]
    return [Finding("sandbox", "ok", found)]
