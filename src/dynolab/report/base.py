"""What a report is: one profile document, or several, as one text. Nothing is measured or decided here."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar, Protocol

from dynolab.errors import SpecInvalid
from dynolab.spec.facts import STAGE_TITLES, fact
from dynolab.spec.measurements import ComputeUnit, Layer
from dynolab.spec.profiles import LayerTable, Profile, Stage, TimeSummary
from dynolab.spec.show import show_bytes, show_time, show_time_range


class Report(ABC):
    """One format."""

    name: ClassVar[str]
    file_name: ClassVar[str]
    """What the file is called where the user names none."""
    description: ClassVar[str]
    """One line: what it is for."""
    several: ClassVar[bool] = False
    """Whether one document holds several profiles, side by side."""

    def fits(self, profile: Profile) -> bool:
        """Whether the profile has what the format tells; without it, the document has a heading and nothing else."""
        del profile  # most tell of every profile
        return True

    @abstractmethod
    def render(self, profiles: Sequence[Profile]) -> str:
        """The whole document as text. Raises :class:`SpecInvalid` for a number of profiles that the format cannot hold."""


class Say(Protocol):
    """Says English words in the page's language; what stands in braces is filled with ``values``."""

    def __call__(self, words: str, /, **values: object) -> str: ...


def plainly(words: str, /, **values: object) -> str:
    """The English words as they are."""
    return words.format(**values) if values else words


def only(profiles: Sequence[Profile], name: str) -> Profile:
    """The one profile that a single-profile format renders; raises :class:`SpecInvalid` for any other number."""
    if len(profiles) != 1:
        raise SpecInvalid(
            f"a {name} report holds one profile, {len(profiles)} were given", hint="render them one by one"
        )
    return profiles[0]


def some(profiles: Sequence[Profile], name: str) -> Sequence[Profile]:
    """The same profiles; raises :class:`SpecInvalid` when there are none."""
    if not profiles:
        raise SpecInvalid(f"a {name} report needs at least one profile, none was given")
    return profiles


_HIDDEN = {
    **dict.fromkeys([*range(0x20), *range(0x7F, 0xA0)]),
    **dict.fromkeys(
        [0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
    ),  # turn the reading direction round
    **dict.fromkeys(range(0xD800, 0xE000)),  # halves of a character that is none
}
_VISIBLE = {
    code: f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" for code in _HIDDEN if code not in (0x09, 0x0A)
}


def clean(text: str) -> str:
    """The text with everything that acts instead of being read (control characters, direction marks) spelled out.

    Names come from model files: an escape sequence in one must not reach the terminal. Line breaks and tabs stay.
    """
    return text if text.isascii() and text.isprintable() else text.translate(_VISIBLE)  # a page asks ten times a layer


def line(text: str) -> str:
    """The same on one line."""
    return clean(" ".join(text.split()) if any(mark in text for mark in "\n\r\t") else text)


def crop(text: str, width: int) -> str:
    """The text on one line and at most ``width`` characters long, its middle left out: a name's end tells most."""
    text = line(text)
    if len(text) <= width:
        return text
    head = (width - 1) // 4
    return f"{text[:head]}…{text[len(text) - (width - 1 - head) :]}"


def layer_name(text: str) -> str:
    """A layer's name on one line; of a fused one, whose parts stand between semicolons, the first part."""
    first, more, _ = line(text).partition(";")
    return f"{first}{more}…" if first and more else line(text)


def runtime_text(profile: Profile) -> str:
    """The runtime's name, and the version of the first of its distributions: ``onnxruntime 1.31.1``."""
    versions = list(profile.runtime.versions.values())
    return line(" ".join([profile.runtime.name, *versions[:1]]))


def device_text(profile: Profile) -> str:
    """Name, processor, cores, memory and system of the device."""
    device = profile.device
    cores = f"{device.cores} core{'s' if device.cores != 1 else ''}"
    memory = None if device.memory_bytes is None else f"{device.memory_bytes / 1e9:.1f} GB"
    system = f"{device.os} {device.os_version}".strip()
    parts = [device.name, device.processor if device.processor != device.name else None, cores, memory, system]
    return line(", ".join(part for part in parts if part))


def threads_text(profile: Profile) -> str | None:
    """How many threads were in effect, where the runtime tells: ``2 threads (one for each physical core)``."""
    known = threads(profile)
    if known is None:
        return None
    count, why = known
    if not count:
        return f"threads: {why}"
    return f"{count} thread{'' if count == '1' else 's'}" + (f" ({why})" if why else "")


def threads(profile: Profile) -> tuple[str, str] | None:
    """How many threads were in effect and why so many; no number where the runtime tells it in words of its own."""
    told = next((line(value) for key, value in profile.runtime.effective.items() if "threads" in key), None)
    if told is None:
        return None
    found = _THREADS.fullmatch(told)
    return ("", told) if found is None else (found["resolved"] or found["count"], found["why"] or "")


_THREADS = re.compile(r"(?P<count>\d+)(?: \((?P<why>[^():]+)(?:: (?P<resolved>\d+))?\))?")
"""A count, why it is that, and what a 0 stands for: ``4``, ``1 (the library's default)``, ``0 (one for each core: 2)``."""


def labels(profiles: Sequence[Profile]) -> list[str]:
    """A short name for each profile: the first kind of name that tells them all apart, numbered when none does."""
    kinds: list[Callable[[Profile], str]] = [
        lambda p: line(p.runtime.name),
        runtime_text,
        lambda p: line(p.model.name),
        lambda p: line(p.device.name),
        lambda p: f"{line(p.runtime.name)} on {line(p.device.name)}",
        lambda p: f"{line(p.model.name)}, {line(p.runtime.name)}",
        lambda p: f"{line(p.model.name)}, {show_bytes(p.model.file_bytes)}",
        lambda p: f"{line(p.runtime.name)} {line(p.request.options)}",
    ]
    for kind in kinds:
        found = [kind(profile) for profile in profiles]
        if len(set(found)) == len(found):
            return found
    return [f"{number}: {kinds[0](profile)}" for number, profile in enumerate(profiles, 1)]


def stage_title(stage: Stage) -> str:
    """The stage's name as people read it: ``First load``."""
    return STAGE_TITLES[stage.name]


_NUMBER = re.compile(r"\d+(?:\.\d+)?")


OTHER_KINDS = "other kinds of disturbance"
"""How a list of reasons ends that was cut."""


def condensed(reasons: Sequence[str], most: int) -> list[str]:
    """At most ``most`` reasons, and how many kinds there are beside them.

    Several runs of a stage give the same reason with other numbers, or at one edge of the pass and at both: of each kind
    the largest stands.
    """
    kinds: dict[str, str] = {}
    for reason in map(line, reasons):
        kind = _NUMBER.sub("#", reason).replace("before or after", "before and after")
        kinds[kind] = max(reason, kinds.get(kind, reason), key=_numbers)
    found = list(kinds.values())
    rest = len(found) - most
    if rest <= 1:
        return found
    return [*found[:most], f"{rest} {OTHER_KINDS}"]


def _numbers(reason: str) -> list[float]:
    return [float(number) for number in _NUMBER.findall(reason)]


def gaps(profile: Profile, keys: Sequence[str]) -> dict[str, list[str]]:
    """Why figures are missing: titles of the figures by reason, in order."""
    found: dict[str, list[str]] = {}
    for key in keys:
        reason = fact(key).reason(profile)
        if reason is not None:
            found.setdefault(line(reason), []).append(fact(key).title)
    return found


def is_fallback(profile: Profile, layer: Layer) -> bool:
    """Whether a layer ran elsewhere than on the unit that was asked for first."""
    asked: tuple[ComputeUnit, ...] = profile.runtime.requested_units
    return bool(asked) and layer.compute_unit is not asked[0]


def basis_text(table: LayerTable) -> str | None:
    """What the layers' times are of all iterations; None for a profile of before they were."""
    if table.calm_iterations is None or not table.layers:
        return None
    if not table.calm_iterations:
        return f"fastest of {table.iterations:,} iterations, too few of them calm"
    if table.calm_iterations == table.iterations:
        return f"medians of {table.iterations:,} calm iterations"
    return f"medians of {table.calm_iterations:,} calm iterations of {table.iterations:,}"


def ranked(layers: Sequence[Layer]) -> list[tuple[int, Layer]]:
    """The layers with their numbers (from 1, in order of execution), most time first."""
    return sorted(enumerate(layers, 1), key=lambda pair: (-pair[1].time_ns, pair[0]))


def show_stage_time(time: TimeSummary) -> str:
    """A stage's time as people read it: its range, or the minimum where a profile knows no range (schema 1)."""
    return show_time(time.minimum_ns) if time.lower_ns is None else show_time_range(time.lower_ns, time.minimum_ns)
