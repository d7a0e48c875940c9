"""docs/ci.md, carried out: each step as it stands in the page, in a repository with a main branch and a change."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]


def blocks(section: str, language: str) -> list[str]:
    """The code of one language in a section of the page."""
    part = PAGE.split(f"\n## {section}\n")[1].split("\n## ")[0]
    return re.findall(rf"```{language}\n(.*?)```", part, flags=re.DOTALL)


def git(folder: Path, *arguments: str) -> None:
    settings = ("-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "init.defaultBranch=main")
    subprocess.run(["git", *settings, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder for PATH: dynolab and pytest as they are here, and a python whose pip notes what it is to install."""
    folder = tmp_path / "programs"
    folder.mkdir()
    pip = f'if [ "$1 $2 $3" = "-m pip install" ]; then echo "$4" >> "{folder}/installed"; exit; fi'
    plugin = (
        ""
        if any(one.name == "dynolab" for one in entry_points(group="pytest11"))
        else "-p dynolab.testing.pytest_plugin"
    )
    for name, body in (
        ("python", f'{pip}\nexec "{sys.executable}" "$@"'),
        ("dynolab", f'exec "{sys.executable}" -m dynolab.cli.main "$@"'),
        ("pytest", f'exec "{sys.executable}" -m pytest {plugin} -p no:randomly -p no:cacheprovider "$@"'),
    ):
        script = folder / name
        script.write_text(f"#!/bin/sh\n{body}\n")
        script.chmod(0o755)
    return folder


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A clone whose branch has the main branch's model; its remote is called origin."""
    pytest.importorskip("onnx", reason="the page's model is an ONNX file")
    pytest.importorskip("onnxruntime", reason="the page's model is an ONNX file")
    from dynolab.testing.models import onnx_net

    remote, clone = tmp_path / "remote", tmp_path / "clone"
    remote.mkdir()
    git(remote, "init", "--quiet")
    onnx_net(remote / "model.onnx", weight_bytes=1 << 20)
    git(remote, "add", ".")
    git(remote, "commit", "--quiet", "-m", "a model")
    git(tmp_path, "clone", "--quiet", str(remote), str(clone))
    git(clone, "switch", "--quiet", "-c", "change")
    return clone


def fatter(clone: Path) -> None:
    from dynolab.testing.models import onnx_net

    onnx_net(clone / "model.onnx", weight_bytes=60 << 20)


def carry_out(script: str, folder: Path, programs: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """What a runner does with a step: a shell that stops at the first error."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GITHUB_", "CI_", "PYTEST_"))}
    environment = {**kept, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", **more}
    command = [shutil.which("bash") or "sh", "-e", "-c", script]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=300
    )


def installed(programs: Path) -> None:
    """What is installed is this package, with extras that it has."""
    asked = (programs / "installed").read_text().split()
    assert asked
    for one in asked:
        found = re.fullmatch(r"dynolab\[([\w,]+)\]", one)
        assert found, one
        assert set(found[1].split(",")) <= set(EXTRAS)


def steps(workflow: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    (job,) = workflow["jobs"].values()
    yield from job["steps"]


@pytest.mark.slow
def test_the_steps_for_github_let_an_equal_model_pass(checkout: Path, programs: Path, tmp_path: Path) -> None:
    (source,) = blocks("GitHub", "yaml")
    summary = tmp_path / "summary.md"
    answers = {}
    for step in steps(yaml.safe_load(source)):
        if "run" in step:
            given = {"GITHUB_ACTIONS": "true", "GITHUB_BASE_REF": "main", "GITHUB_STEP_SUMMARY": str(summary)}
            answers[step["name"]] = carry_out(step["run"], checkout, programs, **given)
    gate = answers.pop("Gate")
    assert gate.returncode in (0, 3), gate.stdout + gate.stderr  # a machine may be too busy to tell; it is never beyond
    assert "title=dynolab gate::Inference time" in gate.stdout
    assert {name: one.returncode for name, one in answers.items()} == dict.fromkeys(answers, 0)
    assert "| Peak of the process |" in summary.read_text()
    installed(programs)


@pytest.mark.slow
def test_the_steps_for_gitlab_stop_a_fatter_model(checkout: Path, programs: Path) -> None:
    (source,) = blocks("GitLab", "yaml")
    (job,) = yaml.safe_load(source).values()
    fatter(checkout)
    answer = carry_out("\n".join(job["script"]), checkout, programs, CI_MERGE_REQUEST_TARGET_BRANCH_NAME="main")
    assert answer.returncode == 1, answer.stdout + answer.stderr
    assert answer.returncode != job["allow_failure"]["exit_codes"]
    (kept,) = job["artifacts"]["paths"]
    assert "❌ beyond" in (checkout / kept).read_text()
    root = ElementTree.parse(checkout / job["artifacts"]["reports"]["junit"]).getroot()
    beyond = [case.get("name") for case in root.iter("testcase") if case.find("failure") is not None]
    assert {"Inference time", "Peak of the process"} & set(beyond)  # a busy machine may be unable to tell of one
    installed(programs)


@pytest.mark.slow
def test_a_boards_profile_is_a_baseline(checkout: Path, programs: Path) -> None:
    measure, gate = blocks("A board of your own", "sh")
    first = carry_out(measure, checkout, programs)
    assert first.returncode == 0, first.stderr
    assert json.loads((checkout / "main" / "profile.json").read_text())["schema_version"] >= 2
    fatter(checkout)
    answer = carry_out(gate, checkout, programs)
    assert answer.returncode == 1, answer.stdout + answer.stderr
    told = " ".join(answer.stdout.split())
    assert re.search(r"(First load time|Inference time|Peak of the process) is at least", told), told


@pytest.mark.slow
def test_the_suite_of_the_page_keeps_a_baseline_and_passes(checkout: Path, programs: Path) -> None:
    (suite,), (lines,) = blocks("In pytest", "python"), blocks("In pytest", "sh")
    (checkout / "test_model.py").write_text(textwrap.dedent(suite))
    (checkout / "pytest.ini").write_text("[pytest]\n")
    answer = carry_out(lines, checkout, programs)
    assert answer.returncode == 0, answer.stdout
    assert len(list((checkout / "dynolab_baselines").iterdir())) == 1
