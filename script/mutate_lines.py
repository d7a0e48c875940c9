"""Which test runs which line: recorded once with coverage.py, and a pytest plugin that tells it the test at hand."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

NEAREST = (
    "tests/unit/hub",
    "tests/unit/agent",
    "tests/unit/measure",
    "tests/unit/test_own_folder.py",
    "tests/integration/test_use_cases.py",
    "tests/integration/test_use_cases_lists.py",
    "tests/integration/test_use_cases_ends.py",
    "tests/integration/test_use_cases_people.py",
    "tests/integration/test_leases.py",
    "tests/integration/test_sessions.py",
    "tests/integration/test_sweeps.py",
    "tests/integration/test_prepared.py",
    "tests/integration/test_migrations.py",
    "tests/integration/test_accounts.py",
    "tests/integration/test_blob_stores.py",
    "tests/integration/test_postgres.py",
    "tests/integration/test_private_files.py",
    "tests/integration/test_backup.py",
    "tests/integration/test_agent_refused.py",
    "tests/integration/test_access.py",
    "tests/integration/test_pools.py",
    "tests/integration/test_job_rules.py",
    "tests/integration/test_api.py",
)
"""Tests of the rooms: most run what they test in their own process, where each line is known to belong to one test."""
FAR = ("--deselect=tests/unit/hub/test_sentences.py", "-m", "not slow")
SETTINGS = """[run]
source_pkgs = dynolab
data_file = {folder}/lines
parallel = true
sigterm = true
context = ${{MUTATE_TEST-}}
"""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """What this process runs from now on is this test's; what its children run is its module's, whose fixtures start them."""
    import coverage

    os.environ["MUTATE_TEST"] = item.nodeid.partition("::")[0]
    running = coverage.Coverage.current()
    if running is not None:
        running.switch_context(item.nodeid)
    return (yield)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """How long each test took, one line of JSON for each of its phases."""
    seconds = os.environ.get("MUTATE_SECONDS")
    if seconds and "PYTEST_XDIST_WORKER" not in os.environ:
        with Path(seconds).open("a", encoding="utf-8") as file:
            file.write(json.dumps([report.nodeid, report.duration, report.outcome]) + "\n")


def record(root: Path, folder: Path, alone: Sequence[str] = ()) -> None:
    """Run the nearest tests and write ``tests.json``: seconds by test, and tests by file and line.

    ``alone``: these tests, of which what is known so far is forgotten; what is known of the others stays.
    """
    import coverage

    from dynolab.testing.databases import shared_server

    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("lines*"):
        old.unlink()
    settings = folder / "coveragerc"
    settings.write_text(SETTINGS.format(folder=folder))
    (folder / "sitecustomize.py").write_text("import coverage; coverage.process_startup()\n")
    (folder / "seconds").unlink(missing_ok=True)
    paths = (str(folder), str(root / "script"), str(Path(coverage.__file__).parents[1]))
    more = {
        "COVERAGE_PROCESS_START": str(settings),
        "PYTHONPATH": ":".join(paths),
        "MUTATE_SECONDS": str(folder / "seconds"),
    }
    nearest = alone or [one for one in NEAREST if (root / one).exists()]
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "mutate_lines",
        "-p",
        "no:randomly",
        "-n",
        "2",
        "--dist",
        "loadfile",
        *FAR,
        *nearest,
    ]
    with shared_server(folder / "postgres") as server:
        subprocess.run(command, cwd=root, env={**os.environ, **server, **more}, check=False)
    _write(folder, alone)


def _write(folder: Path, alone: Sequence[str]) -> None:
    import coverage

    document = folder / "tests.json"
    known = (
        json.loads(document.read_text(encoding="utf-8"))
        if alone and document.exists()
        else {"seconds": {}, "lines": {}}
    )
    again = tuple(one.rstrip("/") for one in alone)

    def stays(test: str) -> bool:
        return not any(test == one or test.startswith((f"{one}/", f"{one}::")) for one in again)

    joined = coverage.CoverageData(basename=str(folder / "joined"))
    for part in folder.glob("lines.*"):
        read = coverage.CoverageData(basename=str(part))
        read.read()
        joined.update(read)
    lines: dict[str, dict[str, list[str]]] = {
        name: {line: [one for one in tests if stays(one)] for line, tests in of_file.items()}
        for name, of_file in known["lines"].items()
    }
    for path in joined.measured_files():
        of_file = lines.setdefault("src/dynolab/" + path.rpartition("/dynolab/")[2], {})
        for line, tests in joined.contexts_by_lineno(path).items():
            of_file.setdefault(str(line), []).extend(one for one in tests if one)
    seconds: dict[str, float] = defaultdict(float)
    good: dict[str, bool] = defaultdict(lambda: True)
    for text in (folder / "seconds").read_text(encoding="utf-8").splitlines():
        test, took_s, outcome = json.loads(text)
        seconds[test] += took_s
        good[test] &= outcome == "passed"
    kept = {test: took_s for test, took_s in known["seconds"].items() if stays(test)}
    kept |= {test: took_s for test, took_s in seconds.items() if good[test]}
    for test, took_s in list(seconds.items()):
        module = test.partition("::")[0]
        if all(good[one] for one in seconds if one.startswith(f"{module}::")):
            kept[module] = kept.get(module, 0.0) + took_s
    document.write_text(json.dumps({"seconds": kept, "lines": lines}))
