"""Checks what a profile is asked for, wherever it comes from: the command line, Python, a document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf, isfinite
from numbers import Real
from operator import index
from os import PathLike
from pathlib import Path
from typing import SupportsIndex

from dynolab.errors import NotFound, SpecInvalid
from dynolab.measure import inputs
from dynolab.spec import input_shapes, requirements
from dynolab.spec import options as options_module
from dynolab.spec.jobs import ProfileSpec

MEMORY_LIMIT_MIN_BYTES = 64 * 10**6
"""Python, numpy and dynolab themselves take about half of this."""


def check(spec: ProfileSpec) -> None:
    """Raise :class:`SpecInvalid` or :class:`NotFound` for what cannot be carried out; the model is not looked at."""
    for what, text in (("options", spec.options), ("runtime", spec.runtime or "")):
        if not isinstance(text, str):
            raise SpecInvalid(f"{what} {text!r}: a text is needed")
    sustained_s = options_module.parse(spec.options).sustained_s
    for text in spec.requirements:
        requirements.parse(str(text))
    _check_numbers(spec)
    if sustained_s is not None and spec.timeout_s is not None and spec.timeout_s <= sustained_s:
        raise SpecInvalid(
            f"--timeout {spec.timeout_s:g} ends before the sustained run of {sustained_s:g} s is over",
            hint="raise --timeout: the four stages come first",
        )
    input_shapes.check_shapes(spec.input_shapes, "--input-shape")
    check_ranges(spec.input_ranges)
    for name, path in spec.input_files.items():
        if not Path(path).is_file():
            raise NotFound(f"there is no file {path} for input {name!r}")
        inputs.check_npy(Path(path))


def _check_numbers(spec: ProfileSpec) -> None:
    if spec.repeats is not None and _whole("--repeats", spec.repeats) < 1:
        raise SpecInvalid(f"--repeats {spec.repeats}: at least 1 is needed")
    if _whole("--seed", spec.seed) < 0:
        raise SpecInvalid(f"--seed {spec.seed}: 0 or more is needed")
    if spec.timeout_s is not None and not 0 < _number("--timeout", spec.timeout_s) < inf:
        raise SpecInvalid(f"--timeout {spec.timeout_s:g}: seconds above 0 are needed")
    if spec.memory_limit_bytes is None:
        return
    if _whole("--memory-limit", spec.memory_limit_bytes) < MEMORY_LIMIT_MIN_BYTES:
        raise SpecInvalid(
            f"--memory-limit {spec.memory_limit_bytes} bytes: not even an empty worker fits",
            hint=f"at least {MEMORY_LIMIT_MIN_BYTES // 10**6} MB",
        )


def _whole(name: str, value: object) -> int:
    if type(value) is not int:
        raise SpecInvalid(f"{name} {value!r}: a whole number is needed")
    return value


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise SpecInvalid(f"{name} {value!r}: a number is needed")
    return float(value)


def check_ranges(given: Mapping[str, Sequence[float]]) -> None:
    """Raise :class:`SpecInvalid` for ends that are no range."""
    for name, ends in given.items():
        _check_range(name, ends)


def _check_range(name: str, ends: Sequence[float]) -> None:
    low, high = ends
    if not isfinite(low) or not isfinite(high) or not isfinite(high - low):
        raise SpecInvalid(
            f"--input-range {name}={low:g},{high:g}: both ends must be finite numbers, and so must their distance",
            hint=f"such as {name}=0,255",
        )
    if low > high:
        raise SpecInvalid(f"--input-range {name}={low:g},{high:g}: the low end is above the high end")


def shapes(given: Mapping[str, object] | None) -> dict[str, tuple[int, ...]]:
    """Input shapes as a spec holds them. Raises :class:`SpecInvalid` for what is none, such as a text."""
    found = {}
    for name, shape in (given or {}).items():
        sizes = () if isinstance(shape, str) or not isinstance(shape, Sequence) else tuple(shape)
        if (not sizes and shape != ()) or not all(isinstance(size, SupportsIndex) for size in sizes):
            hint = f'such as {{"{name}": (1, 3, 224, 224)}}'
            raise SpecInvalid(f"the shape of input {name!r} is {shape!r}: whole numbers are needed", hint=hint)
        found[name] = tuple(map(index, sizes))
    return found


def ranges(given: Mapping[str, object] | None) -> dict[str, tuple[float, float]]:
    """Input ranges as a spec holds them. Raises :class:`SpecInvalid` for what is no pair of numbers."""
    found = {}
    for name, ends in (given or {}).items():
        if isinstance(ends, str) or not isinstance(ends, Sequence) or len(ends) != 2:
            hint = f'such as {{"{name}": (0, 255)}}'
            raise SpecInvalid(f"the range of input {name!r} is {ends!r}: two numbers are needed", hint=hint)
        what = f"the range of input {name!r}:"
        found[name] = (_number(what, ends[0]), _number(what, ends[1]))
    return found


def paths(given: Mapping[str, object] | None) -> dict[str, Path]:
    """Input files as a spec holds them. Raises :class:`SpecInvalid` for what is no path."""
    found = {}
    for name, path in (given or {}).items():
        if not isinstance(path, str | PathLike):
            raise SpecInvalid(f"the file of input {name!r} is {path!r}: a path is needed")
        found[name] = Path(path)
    return found


def texts(given: str | Sequence[str]) -> tuple[str, ...]:
    """One text or several, as several."""
    return (given,) if isinstance(given, str) else tuple(given)
