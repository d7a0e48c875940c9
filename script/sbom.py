"""A bill of materials of a built wheel: CycloneDX 1.6 as JSON, with the locked versions of all that its extras bring.

script/sbom WHEEL [-o FILE]
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import sys
import uuid
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.parser import HeaderParser
from importlib import metadata
from pathlib import Path

from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, Property, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.model.license import LicenseExpression
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from licences import LOCKS, ROOT, RULES, Rules, checked, locked, normalised
from packageurl import PackageURL
from packaging.requirements import Requirement

LOCK = ROOT / "requirements" / "test.txt"
"""The one lock that has every extra's packages."""
NOT_OURS = frozenset({"test"})
"""Extras that nobody installs who uses dynolab."""


@dataclass(frozen=True)
class Locked:
    """A package as a lock has it: its version, and the SHA-256 of each of its files."""

    version: str
    sha256: tuple[str, ...]


@dataclass
class Reached:
    """What the wheel needs: by package the extras that bring it ('' is none), and the packages that it needs itself."""

    extras: dict[str, set[str]] = field(default_factory=dict)
    needs: dict[str, set[str]] = field(default_factory=dict)
    not_locked: set[str] = field(default_factory=set)


def read_lock(path: Path) -> dict[str, Locked]:
    """The lock's packages by their normalised names."""
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    found = {}
    for line in text.splitlines():
        if pinned := re.match(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;]+)", line):
            found[normalised(pinned[1])] = Locked(pinned[2], tuple(sorted(re.findall(r"sha256:(\w{64})", line))))
    return found


def wheel_metadata(wheel: Path) -> tuple[str, str, list[str], list[str]]:
    """The wheel's version, licence, extras and requirements."""
    with zipfile.ZipFile(wheel) as archive:
        [name] = [one for one in archive.namelist() if one.endswith(".dist-info/METADATA")]
        told = HeaderParser().parsestr(archive.read(name).decode("utf-8"))
    several = (told.get_all(name) or [] for name in ("Provides-Extra", "Requires-Dist"))
    extras, requires = several
    return told["Version"], told["License-Expression"], extras, requires


def reach(requires: Sequence[str], extras: Iterable[str], lock: dict[str, Locked]) -> Reached:
    """All that the wheel needs on this kind of system, by following the installed packages' metadata."""
    found = Reached()
    for extra in ("", *extras):
        todo, seen = [("dynolab", frozenset({extra}))], set()
        while todo:
            name, asked = todo.pop()
            if (name, asked) in seen:
                continue
            seen.add((name, asked))
            for need in needed(requires if name == "dynolab" else installed(name), asked):
                other = normalised(need.name)
                if other != "dynolab" and other not in lock:
                    found.not_locked.add(other)
                    continue
                if other != "dynolab":
                    found.extras.setdefault(other, set()).add(extra)
                    found.needs.setdefault(name, set()).add(other)
                todo.append((other, frozenset(need.extras) | ({""} if other != "dynolab" else set())))
    return found


def needed(requires: Sequence[str], extras: frozenset[str]) -> list[Requirement]:
    """The requirements that hold here with these extras."""
    found = [Requirement(one) for one in requires]
    return [
        one for one in found if one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in extras)
    ]


def installed(name: str) -> Sequence[str]:
    """What an installed package requires; of one that is not installed nothing is known."""
    try:
        return metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return []


def bill(wheel: Path) -> Bom:
    """The bill of materials. Raises SystemExit for a licence that is not known or not allowed."""
    version, licence, extras, requires = wheel_metadata(wheel)
    content = wheel.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    lock = read_lock(LOCK)
    reached = reach(requires, [one for one in extras if one not in NOT_OURS], lock)
    licences, wrong = checked(locked(LOCKS), Rules.read(RULES))
    if wrong:
        raise SystemExit("\n".join(wrong))
    root = Component(
        name="dynolab",
        version=version,
        type=ComponentType.APPLICATION,
        bom_ref=f"pkg:pypi/dynolab@{version}",
        purl=PackageURL("pypi", None, "dynolab", version),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)],
        licenses=[LicenseExpression(licence)],
        properties=[Property(name="dynolab:not-locked", value=one) for one in sorted(reached.not_locked)],
    )
    components = {name: component(name, lock[name], licences[name], extras) for name, extras in reached.extras.items()}
    told = " ".join([digest, *(f"{name}=={lock[name].version}" for name in sorted(components))])
    bom = Bom(components=components.values(), serial_number=uuid.uuid5(uuid.NAMESPACE_OID, told))
    bom.metadata.component = root
    bom.metadata.timestamp = datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH") or 0), UTC)
    for name, one in {"dynolab": root, **components}.items():
        bom.register_dependency(one, [components[other] for other in sorted(reached.needs.get(name, ()))])
    return bom


def component(name: str, locked: Locked, licence: str, extras: set[str]) -> Component:
    """A locked package. Its hashes are those of its files, one for each system and Python: they stand with its distribution."""
    purl = PackageURL("pypi", None, name, locked.version)
    return Component(
        name=name,
        version=locked.version,
        type=ComponentType.LIBRARY,
        bom_ref=str(purl),
        purl=purl,
        scope=ComponentScope.REQUIRED if "" in extras else ComponentScope.OPTIONAL,
        licenses=[LicenseExpression(licence)],
        properties=[Property(name="dynolab:extra", value=one) for one in sorted(extras) if one],
        external_references=[
            ExternalReference(
                type=ExternalReferenceType.DISTRIBUTION,
                url=XsUri(str(purl)),
                hashes=[HashType(alg=HashAlgorithm.SHA_256, content=one) for one in locked.sha256],
            )
        ],
    )


def main() -> int:
    """The exit code: 1 where what was made does not fit the schema."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("-o", "--output", type=Path)
    given = parser.parse_args()
    text = make_outputter(bill(given.wheel), OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(indent=1) + "\n"
    if error := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        sys.stderr.write(f"what was made does not fit the schema of CycloneDX 1.6: {error}\n")
        return 1
    if given.output is None:
        sys.stdout.write(text)
    else:
        given.output.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
