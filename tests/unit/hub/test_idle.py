"""What a hub and an agent that nobody asks for anything do not carry."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("modules", "not_needed"),
    [
        # The JSON API and the pages are made with the first request for them, the schema's history when it is old.
        ("dynolab.hub.launch", {"alembic", "fastapi", "h5py", "jinja2", "numpy"}),
        # What this machine offers is found out, and jobs are carried out, in processes of their own.
        ("dynolab.cli.agent, dynolab.agent.http, dynolab.agent.loop, dynolab.agent.offer", {"numpy", "onnxruntime"}),
    ],
)
def test_it_does_not_import_what_it_may_never_need(modules: str, not_needed: set[str]) -> None:
    code = f"import sys, {modules}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not_needed.isdisjoint(done.stdout.split())
