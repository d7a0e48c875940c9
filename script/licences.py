"""The licence of every locked package, held against an allowlist and against THIRD_PARTY.md.

script/licences [--write]
"""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from license_expression import ExpressionError, get_spdx_licensing

ROOT = Path(__file__).resolve().parents[1]
RULES = ROOT / "requirements" / "licences.toml"
PAGE = ROOT / "THIRD_PARTY.md"
HEADING = "## Every locked package"
LOCKS = (
    *sorted(ROOT.glob("requirements/*.txt")),
    ROOT / "requirements" / "torch.in",
    *sorted(ROOT.glob("src/dynolab/*/locks/*.txt")),
)
SPDX = get_spdx_licensing()
CLASSIFIERS = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "LicenseRef-BSD",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
"""Trove classifiers that name one licence; by SPDX."""
SPELLINGS = {
    "bsd 2-clause license": "BSD-2-Clause",
    "bsd 3-clause license": "BSD-3-Clause",
    "3-clause bsd license": "BSD-3-Clause",
    "bsd-3": "BSD-3-Clause",
    "apache 2.0": "Apache-2.0",
}
"""How the free field `License` says it."""


@dataclass(frozen=True)
class Rules:
    """What is allowed, and what is said beside packages' own metadata."""

    allowed: frozenset[str]
    exceptions: Mapping[str, str]
    stated: Mapping[str, Mapping[str, str]]

    @classmethod
    def read(cls, path: Path) -> Rules:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
        return cls(frozenset(document["allowed"]), document.get("exceptions", {}), document.get("stated", {}))


def locked(paths: Iterable[Path]) -> dict[str, set[str]]:
    """The files in which each package is locked, by its normalised name."""
    found: dict[str, set[str]] = {}
    for path in paths:
        for line in path.read_text(encoding="utf-8").splitlines():
            if name := re.match(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?==", line):
                found.setdefault(normalised(name[1]), set()).add(path.name)
    return found


def normalised(name: str) -> str:
    """A package's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def licence_of(name: str) -> str | None:
    """What the installed package's metadata say, as an SPDX expression; None: nothing that can be read, or not installed."""
    try:
        told = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return None
    if expression := told.get("License-Expression"):
        return str(expression)
    free = str(told.get("License") or "").strip()
    free = SPELLINGS.get(free.lower(), free)
    if free and "\n" not in free and is_spdx(free):
        return free
    names = [one.rpartition(" :: ")[2] for one in told.get_all("Classifier") or [] if one.startswith("License ::")]
    known = [CLASSIFIERS[one] for one in names if one in CLASSIFIERS]
    return " OR ".join(sorted(known)) if known and len(known) == len(names) else None


def is_spdx(text: str) -> bool:
    """Whether a text is an expression of licences that SPDX lists."""
    try:
        return not SPDX.validate(text).errors
    except ExpressionError:
        return False


def is_allowed(expression: str, allowed: frozenset[str]) -> bool:
    """Whether an expression can be met with licences that are allowed: all of ``AND``, one of ``OR``."""
    return _met(SPDX.parse(expression), allowed)


def _met(part: object, allowed: frozenset[str]) -> bool:
    if isinstance(part, SPDX.AND):
        return all(_met(one, allowed) for one in part.args)
    if isinstance(part, SPDX.OR):
        return any(_met(one, allowed) for one in part.args)
    return str(part) in allowed


def checked(packages: Mapping[str, set[str]], rules: Rules) -> tuple[dict[str, str], list[str]]:
    """The licence of each package, and what is wrong."""
    found: dict[str, str] = {}
    wrong = []
    for name, files in sorted(packages.items()):
        where = ", ".join(sorted(files))
        said, own = rules.stated.get(name), licence_of(name)
        if said is not None and own not in (None, said["licence"]) and not said.get("adds"):
            wrong.append(f"{name}: its metadata say {own}, {RULES.name} states {said['licence']}")
        licence = own if said is None else said["licence"]
        if licence is None:
            wrong.append(f"{name} ({where}): no licence is known; read its licence file and state it in {RULES.name}")
            continue
        found[name] = licence
        if not is_allowed(licence, rules.allowed) and name not in rules.exceptions:
            wrong.append(f"{name} ({where}): {licence} is not among the licences that {RULES.name} allows")
    for name in sorted((rules.stated.keys() | rules.exceptions.keys()) - packages.keys()):
        wrong.append(f"{name}: {RULES.name} tells of it, and no lock has it")
    for name in sorted(rules.exceptions.keys() & found.keys()):
        if is_allowed(found[name], rules.allowed):
            wrong.append(f"{name}: {found[name]} is allowed anyway; take it out of [exceptions] in {RULES.name}")
    return found, wrong


TOLD = (
    "What the locks in `requirements/` and in the package bring, dependencies of dependencies too, for whatever system, and to build"
    " and test. `script/licences --write` writes this table, and the tests check it: a package whose licence is not known, or not"
    " allowed by [the rules](requirements/licences.toml), fails there."
)


def table(licences: Mapping[str, str], rules: Rules) -> str:
    """The section of THIRD_PARTY.md with all of them."""
    lines = [
        HEADING,
        "",
        TOLD,
        "",
        "| package | licence (SPDX) | said by |",
        "|---|---|---|",
    ]
    for name, licence in licences.items():
        said = rules.stated.get(name, {}).get("source", "its metadata")
        lines.append(f"| {name} | {licence} | {said} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """The exit code: 0 when nothing is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the table into THIRD_PARTY.md")
    parser.add_argument("--rules", type=Path, default=RULES)
    parser.add_argument("--page", type=Path, default=PAGE)
    parser.add_argument("locks", nargs="*", type=Path, default=LOCKS)
    given = parser.parse_args()
    rules = Rules.read(given.rules)
    licences, wrong = checked(locked(given.locks), rules)
    page = given.page.read_text(encoding="utf-8")
    before, _, _ = page.partition(HEADING)
    wanted = before.rstrip() + "\n\n" + table(licences, rules)
    if given.write:
        given.page.write_text(wanted, encoding="utf-8")
    elif page != wanted:
        wrong.append(f"{given.page.name}: its table of all packages is not today's; script/licences --write")
    for one in wrong:
        sys.stderr.write(f"{one}\n")
    sys.stdout.write(f"{len(licences)} packages, {len(wrong)} problems\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
