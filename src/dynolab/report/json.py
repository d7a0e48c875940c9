"""The profile document itself, as JSON: what every other format is rendered from, and the one that is read back."""

from __future__ import annotations

import json
from collections.abc import Sequence

from dynolab.errors import Bug, SpecInvalid
from dynolab.report.base import Report, only
from dynolab.spec.codec import decode, encode
from dynolab.spec.profiles import READABLE_VERSIONS, Profile


class JsonReport(Report):
    """The whole document. Characters outside ASCII are escaped, so that any file name survives."""

    name = "json"
    file_name = "profile.json"
    description = "the whole document: raw values, readings, verdicts, layers, log"

    def render(self, profiles: Sequence[Profile]) -> str:
        document = encode(only(profiles, self.name))
        try:
            return json.dumps(document, indent=1, allow_nan=False) + "\n"
        except ValueError as error:
            raise Bug("the profile holds a number that is not finite") from error


def load(text: str) -> Profile:
    """The profile that a JSON report holds; unknown keys are ignored.

    Raises :class:`SpecInvalid`, naming the place, for text that is no JSON, no profile, or of another schema version.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SpecInvalid(
            f"this is not JSON: {error}", hint="a profile document is what the json report writes"
        ) from error
    if not isinstance(document, dict) or "schema_version" not in document:
        raise SpecInvalid("this JSON is no profile document: it has no schema_version")
    version = document["schema_version"]
    if version not in READABLE_VERSIONS:
        writer = document.get("dynolab_version", "an unknown version")
        raise SpecInvalid(
            f"this profile has schema_version {version!r}, this dynolab reads {' and '.join(map(str, READABLE_VERSIONS))}",
            hint=f"it was written by dynolab {writer}: read it with that version, or measure again",
        )
    return decode(Profile, document, "profile")


plugin = JsonReport()
