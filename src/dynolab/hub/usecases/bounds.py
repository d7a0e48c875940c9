"""How much of anything is taken: texts, lists and documents that requests carry. All raise :class:`SpecInvalid`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sized
from dataclasses import replace
from typing import Any

from dynolab.errors import SpecInvalid, from_dict
from dynolab.spec.agents import DeviceOffer, Outcome, Renewal, Tensors
from dynolab.spec.board_health import FIGURES, Probe

SHORT, OPTIONS, DESCRIPTION = 256, 20_000, 2000
"""Characters: of names, ids, addresses and versions; of a job's options; of what a device says of itself."""
ATTRIBUTES = FRAMEWORKS = SHAPES = 100
DIMENSIONS = 64
"""NumPy's most."""
NS_MOST, CORES_MOST, CELSIUS = 10**13, 10**5, (-100.0, 300.0)
"""Of a probe: hours, more cores than any machine has, and temperatures that a sensor may tell."""
PROGRESS_BYTES, SUMMARY_BYTES, TENSORS_BYTES, ERROR_BYTES = 16 << 10, 16 << 10, 256 << 10, 64 << 10
"""Of an agent's documents as JSON: lists of hundreds of jobs show the first two, ours have some hundred bytes."""
PROFILE_BYTES, TREND_BYTES = 2 << 20, 16 << 20
"""Of the profile documents that are read for one page or answer: a third of a second of a core for 2 MiB, which is 8,000 layers.
A trend reads no layers; what it has read it keeps, so that the next look reads the others."""


def check_text(text: str, what: str, most: int = SHORT) -> None:
    """Refuse a text with more characters."""
    if len(text) > most:
        raise SpecInvalid(f"the field {what!r} has {len(text)} characters; {most} is the most")


def check_count(values: Sized, what: str, most: int) -> None:
    """Refuse a list of more."""
    if len(values) > most:
        raise SpecInvalid(f"the field {what!r} has {len(values)} entries; {most} is the most")


def check_texts(texts: Iterable[str], what: str, most: int) -> None:
    """Refuse more texts than that, and any that is no short one."""
    given = list(texts)
    check_count(given, what, most)
    for text in given:
        check_text(text, what)


def check_shapes(shapes: Mapping[str, Sized]) -> None:
    """Refuse shapes of more inputs or dimensions than any model has."""
    check_texts(shapes, "input_shapes", SHAPES)
    for shape in shapes.values():
        check_count(shape, "shape", DIMENSIONS)


def check_offer(offer: DeviceOffer) -> None:
    """Refuse what no device says of itself."""
    for text, what in ((offer.id, "id"), (offer.name, "name"), (offer.os, "os"), (offer.join, "join")):
        check_text(text, what)
    check_text(offer.agent_version, "agent_version")
    check_text(offer.instance, "instance")
    check_text(offer.description, "description", DESCRIPTION)
    check_texts(offer.attributes, "attributes", ATTRIBUTES)
    check_texts(offer.frameworks, "frameworks", FRAMEWORKS)
    for version in offer.frameworks.values():
        check_text(version, "frameworks")


def check_probe(probe: Probe) -> None:
    """Refuse what no probe shows."""
    check_text(probe.identity, "identity")
    if set(probe.figures) != set(FIGURES):
        raise SpecInvalid(
            f"a probe has the figures {', '.join(sorted(FIGURES))}; here are {sorted(probe.figures)[:10]}"
        )
    for name, value in probe.figures.items():
        _check_between(value, name, (1, NS_MOST))
    _check_between(probe.cores, "cores", (1, CORES_MOST))
    for name, told, ends in (("others_share", probe.others_share, (0, 1)), ("celsius", probe.celsius, CELSIUS)):
        if told is not None:
            _check_between(told, name, ends)


def _check_between(value: float, what: str, ends: tuple[float, float]) -> None:
    if not ends[0] <= value <= ends[1]:
        raise SpecInvalid(f"the field {what!r} is {value:g}; it lies between {ends[0]:g} and {ends[1]:g}")


def check_renewal(renewal: Renewal) -> None:
    """Refuse a progress that is none. The log's end is cut where it is kept."""
    _check_bytes(renewal.progress, "progress", PROGRESS_BYTES)


def checked_outcome(outcome: Outcome) -> Outcome:
    """The same; of an error that is too long its beginning, because the job has to end."""
    _check_bytes(outcome.summary, "summary", SUMMARY_BYTES)
    check_text(outcome.made.kind if outcome.made is not None else "", "kind")
    tensors = outcome.tensors or Tensors()
    count = len(tensors.inputs) + len(tensors.outputs)
    check_count(range(count), "tensors", TENSORS_BYTES // 64)
    for one in (*tensors.inputs, *tensors.outputs):
        check_text(one.name, "name", DESCRIPTION)
        check_count(one.shape, "shape", DIMENSIONS)
        check_texts((text for text in (one.dtype, *one.shape) if isinstance(text, str)), "shape", DIMENSIONS + 1)
    check_count(tensors.quantizations, "quantizations", TENSORS_BYTES // 64)
    for told in tensors.quantizations:
        check_text(told.name, "name", DESCRIPTION)
        check_text(told.dtype, "dtype")
    outcome = replace(outcome, summary=_figures(outcome.summary))
    if outcome.error is None:
        return outcome
    if _bytes(outcome.error) <= ERROR_BYTES:
        return replace(outcome, error=from_dict(outcome.error).to_dict())
    kept: dict[str, object] = {name: _begun(outcome.error.get(name)) for name in ("code", "message", "hint")}
    return Outcome(kept, outcome.summary, outcome.tensors)


def _figures(summary: Mapping[str, Any]) -> dict[str, Any]:
    """A summary without figures that are none, and without what is nested: lists and pages count with the rest."""
    return {name: value if _is_plain(name, value) else None for name, value in summary.items()}


def _is_plain(name: str, value: Any) -> bool:
    parts = value if isinstance(value, list) else list(value.values()) if isinstance(value, dict) else [value]
    if name.endswith(("_ns", "_bytes")):
        return all(one is None or (isinstance(one, int) and not isinstance(one, bool)) for one in parts)
    return not any(isinstance(one, dict | list) for one in parts)


def _begun(text: object) -> str | None:
    return text[:DESCRIPTION] if isinstance(text, str) else None


def _check_bytes(document: Any, what: str, most: int) -> None:
    size = _bytes(document)
    if size > most:
        raise SpecInvalid(f"the field {what!r} has {size} bytes as JSON; {most} is the most")


def _bytes(document: Any) -> int:
    return len(json.dumps(document))
