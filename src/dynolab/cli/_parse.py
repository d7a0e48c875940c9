"""Values of the command line's options: NAME=VALUE pairs and sizes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from dynolab.errors import SpecInvalid
from dynolab.spec.compiles import InputSpec, parse_input_specs
from dynolab.spec.input_shapes import parse_pairs
from dynolab.spec.options import seconds_of

_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


def ranges(texts: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Low and high by input name, of texts such as ``x=0,255``."""
    found = {}
    for name, value in parse_pairs(texts, "--input-range", "--input-range x=0,255").items():
        try:
            low, high = (float(part) for part in value.split(","))
        except ValueError as error:
            raise SpecInvalid(
                f"--input-range {name}={value}: two numbers are needed", hint="such as x=0,255"
            ) from error
        found[name] = (low, high)
    return found


def specs(texts: Sequence[str]) -> dict[str, InputSpec]:
    """Shape and element type by input name, of texts such as ``image=1,3,224,224`` and ``ids=1,128:int64``."""
    return parse_input_specs(texts, "--input-specs")


def files(texts: Sequence[str]) -> dict[str, Path]:
    """Files by input name, of texts such as ``x=x.npy``."""
    return {name: Path(value) for name, value in parse_pairs(texts, "--input-file", "--input-file x=x.npy").items()}


def size(text: str) -> int:
    """Bytes of a text such as ``512MB`` or ``1.5 GiB``."""
    match = re.fullmatch(r"\s*([0-9.]+)\s*([A-Za-z]*)\s*", text)
    try:
        if match is None:
            raise ValueError(text)
        return int(float(match[1]) * _UNITS[match[2].upper()])
    except (ValueError, KeyError) as error:
        raise SpecInvalid(f"{text!r} is not a size", hint="such as 512MB or 2GiB") from error


def wait(text: str | None) -> float | None:
    """Seconds of ``--wait``, such as ``30m``; None: nothing was said. Raises :class:`SpecInvalid`."""
    found = None if text is None else seconds_of(text)
    if text is not None and found is None:
        raise SpecInvalid(f"--wait {text[:100]!r} is no length of time", hint="such as 90s, 30m or 2h")
    return found
