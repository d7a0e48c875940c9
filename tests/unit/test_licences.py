"""Every locked package has a licence that is known and allowed; what has none, or another, is found."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("license_expression")

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "script" / "licences.py"
if not SCRIPT.exists():
    pytest.skip("not a checkout", allow_module_level=True)
RULES = 'allowed = ["MIT", "Apache-2.0"]\n'
HAND = (ROOT / "THIRD_PARTY.md").read_text(encoding="utf-8").partition("## Every locked package")[0]


def load() -> Any:
    spec = importlib.util.spec_from_file_location("licences", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["licences"] = module
    spec.loader.exec_module(module)
    return module


licences = load()


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def asked(folder: Path, lock: str, rules: str = RULES) -> subprocess.CompletedProcess[str]:
    """The script's answer to a lock and rules of one's own, with a page that has today's table of them."""
    (folder / "own.txt").write_text(lock, encoding="utf-8")
    (folder / "rules.toml").write_text(rules, encoding="utf-8")
    (folder / "page.md").write_text("# Third\n", encoding="utf-8")
    given = ["--rules", folder / "rules.toml", "--page", folder / "page.md", folder / "own.txt"]
    run("--write", *given)
    return run(*given)


def test_every_locked_package_has_an_allowed_licence_and_a_row() -> None:
    done = run()
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("lock", "rules", "reason"),
    [
        ("nobody-knows-this==1.0\n", RULES, "no licence is known"),
        ("certifi==1\n", RULES, "MPL-2.0 is not among the licences"),
        ("tqdm==1\n", RULES, "MPL-2.0 AND MIT is not among"),
        (
            "rich==1\n",
            RULES + '[stated]\nrich = {licence = "Apache-2.0", source = "a guess"}\n',
            "its metadata say MIT",
        ),
        ("rich==1\n", RULES + '[exceptions]\nrich = "it is ours"\n', "is allowed anyway"),
        ("rich==1\n", RULES + '[stated]\nother = {licence = "MIT", source = "x"}\n', "no lock has it"),
    ],
)
def test_what_is_wrong_is_found_and_named(tmp_path: Path, lock: str, rules: str, reason: str) -> None:
    done = asked(tmp_path, lock, rules)
    assert done.returncode == 1
    assert reason in done.stderr


@pytest.mark.parametrize(
    "rules",
    [RULES + '[exceptions]\ncertifi = "its files are unchanged"\n', 'allowed = ["MPL-2.0"]\n'],
)
def test_what_is_allowed_or_excepted_passes(tmp_path: Path, rules: str) -> None:
    done = asked(tmp_path, "certifi==1\n", rules)
    assert (done.returncode, done.stderr) == (0, "")
    page = (tmp_path / "page.md").read_text(encoding="utf-8")
    assert "| certifi | MPL-2.0 | its metadata |" in page


def test_a_table_that_is_not_todays_is_found(tmp_path: Path) -> None:
    asked(tmp_path, "rich==1\n")
    (tmp_path / "own.txt").write_text("rich==1\nclick==1\n", encoding="utf-8")
    (tmp_path / "rules.toml").write_text('allowed = ["MIT", "BSD-3-Clause"]\n', encoding="utf-8")
    done = run("--rules", tmp_path / "rules.toml", "--page", tmp_path / "page.md", tmp_path / "own.txt")
    assert done.returncode == 1
    assert "script/licences --write" in done.stderr


@pytest.mark.parametrize(
    ("expression", "allowed"),
    [
        ("MIT", True),
        ("MIT OR GPL-3.0-only", True),
        ("MIT AND GPL-3.0-only", False),
        ("GPL-3.0-only WITH GCC-exception-3.1", False),
        ("(MIT OR EPL-2.0) AND Apache-2.0", True),
        ("LicenseRef-Own", False),
    ],
)
def test_an_expression_is_met_by_all_of_and_and_one_of_or(expression: str, allowed: bool) -> None:
    assert licences.is_allowed(expression, frozenset({"MIT", "Apache-2.0"})) is allowed


def test_every_direct_dependency_has_a_row_with_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = project["project"]["optional-dependencies"].values()
    groups = project["dependency-groups"].values()
    wanted = [*project["project"]["dependencies"], *(one for several in (*extras, *groups) for one in several)]
    names = {licences.normalised(re.split(r"[<>=\[ ;]", one)[0]) for one in wanted} - {"dynolab"}
    rows = {licences.normalised(name) for name in re.findall(r"^\| ([\w.-]+) \|.*\|.*\|", HAND, re.MULTILINE)}
    assert names - rows == set()
