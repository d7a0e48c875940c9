"""What tells two measurements apart besides their results, and what of it makes them unlike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from dynolab.spec import precision
from dynolab.spec.profiles import Profile


@dataclass(frozen=True, slots=True)
class Unlike:
    """One thing that must be the same for a difference to be the model's, and is not: what it is, and each side's own."""

    kind: str
    """``schema``, ``format``, ``device`` or ``precision``."""
    a: str
    b: str

    def sentence(self, names: tuple[str, str]) -> str:
        """In words: ``Not like for like: the device is board in main, and phone in branch``."""
        return f"Not like for like: the {self.kind} is {self.a} in {names[0]}, and {self.b} in {names[1]}."

    def refusal(self, baseline: str) -> str:
        """What is said where it is not compared."""
        return f"--baseline {baseline}: not like for like, its {self.kind} is {self.a}, and the model's {self.b}"


def unlike(a: Profile, b: Profile) -> tuple[Unlike, ...]:
    """What makes two profiles unlike: by schema, model format, device and precision."""
    sides = [_must_agree(profile) for profile in (a, b)]
    pairs = ((kind, sides[0][kind], sides[1][kind]) for kind in sides[0])
    return tuple(Unlike(kind, one, other) for kind, one, other in pairs if one and other and one != other)


def _must_agree(profile: Profile) -> dict[str, str | None]:
    return {
        "schema": str(profile.schema_version),
        "format": str(profile.model.format),
        "device": profile.device.name,
        "precision": precision.of_profile(profile),
    }


def differing(profiles: Sequence[Profile]) -> list[tuple[str, tuple[str, ...]]]:
    """What tells the measurements apart besides their results: a label, and each profile's own value (``none``: it has none)."""
    rows = [_circumstances(profile) for profile in profiles]
    labels = dict.fromkeys(chain.from_iterable(rows))
    found = ((label, tuple(row.get(label, "none") for row in rows)) for label in labels)
    return [(label, values) for label, values in found if len(set(values)) > 1]


def _circumstances(profile: Profile) -> dict[str, str]:
    """Under what a profile was measured, by label."""
    known = {
        "model": f"{profile.model.name} {profile.model.sha256[:12]}",
        "device": profile.device.name,
        "operating system": f"{profile.device.os} {profile.device.os_version}",
        "runtime": profile.runtime.name,
        "options": profile.request.options or "none",
        "dynolab": profile.dynolab_version,
        "schema": str(profile.schema_version),
        **{f"input {one.spec.name}": f"{one.spec.dtype} {one.spec.shape_text}, {one.source}" for one in profile.inputs},
        **{f"version of {name}": version for name, version in profile.runtime.versions.items()},
    }
    effective = {f"{key} in effect" if key in known else key: value for key, value in profile.runtime.effective.items()}
    return {**known, **effective}
