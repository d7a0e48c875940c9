"""Known weaknesses of the locked packages, asked of a public database with pip-audit. A check that was not made is no pass.

script/audit [--osv-url URL] [LOCK ...]

Exit status: 0 nothing is known, 1 something is, 3 it could not be checked, or not all of it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from licences import ROOT
from sbom import read_lock

CANARY = "jinja2", "2.11.2"
"""A release with weaknesses that every database has known since 2021 (CVE-2020-28493): one that does not tell of it tells nothing."""
CLEAN, WEAK, NOT_CHECKED = 0, 1, 3
WITHIN_S = 600


def ask(pins: Iterable[tuple[str, str]], osv_url: str | None) -> list[dict[str, Any]]:
    """What pip-audit says of each of these versions. Raises RuntimeError with its reason when it does not."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pins.txt"
        path.write_text("".join(f"{name}=={version}\n" for name, version in pins), encoding="utf-8")
        command = [sys.executable, "-m", "pip_audit", "-r", str(path), "--no-deps", "--disable-pip", "-f", "json"]
        command += ["--progress-spinner", "off", *(["-s", "osv", "--osv-url", osv_url] if osv_url else [])]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=WITHIN_S)
        except subprocess.TimeoutExpired as error:
            raise RuntimeError(f"it did not answer within {WITHIN_S} s") from error
    try:
        return list(json.loads(done.stdout)["dependencies"])
    except (ValueError, KeyError) as error:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise RuntimeError(last) from error


def audit(pins: list[tuple[str, str]], osv_url: str | None) -> tuple[int, list[str]]:
    """The exit status, and what there is to say."""
    try:
        answers = ask([CANARY], osv_url)
        if not any(one.get("vulns") for one in answers):
            why = next((one["skip_reason"] for one in answers if "skip_reason" in one), "it knows of none")
            return NOT_CHECKED, [
                f"not checked: the database does not tell the weaknesses of {CANARY[0]} {CANARY[1]}: {why}"
            ]
        answers = ask(pins, osv_url)
    except RuntimeError as error:
        return NOT_CHECKED, [f"not checked: the database cannot be asked: {error}"]
    told = [f"not checked: {one['name']}: {one['skip_reason']}" for one in answers if "skip_reason" in one]
    asked = {one["name"].lower() for one in answers}
    told += [f"not checked: {name} {version}: no answer" for name, version in pins if name not in asked]
    weak = [
        f"{one['name']} {one['version']}: {', '.join([found['id'], *found['aliases']])};"
        f" mended in {', '.join(found['fix_versions']) or 'no release yet'}"
        for one in answers
        for found in one.get("vulns", [])
    ]
    return WEAK if weak else NOT_CHECKED if told else CLEAN, [*told, *weak]


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--osv-url", help="ask a database of the OSV protocol, such as https://api.osv.dev/v1/query")
    parser.add_argument("locks", nargs="*", type=Path, default=sorted((ROOT / "requirements").glob("*.txt")))
    given = parser.parse_args()
    pins = sorted({(name, one.version) for path in given.locks for name, one in read_lock(path).items()})
    status, told = audit(pins, given.osv_url)
    for line in told:
        sys.stderr.write(f"{line}\n")
    word = {CLEAN: "nothing is known", WEAK: "weaknesses are known", NOT_CHECKED: "NOT CHECKED"}[status]
    sys.stdout.write(f"{len(pins)} packages: {word}\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
