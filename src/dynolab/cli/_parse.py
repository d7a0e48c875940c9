"""Values of the command line's options: NAME=VALUE pairs and sizes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from dynolab.errors import SpecInvalid

_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


def _pairs(texts: Sequence[str], option: str, example: str) -> dict[str, str]:
    """Name and value of each text; the value begins after the last ``=``, since names may hold one."""
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.rpartition("=")
        if not equals or not name or not value:
            raise SpecInvalid(f"{option} {text!r} is not NAME=VALUE", hint=f"such as {option} {example}")
        if name in found:
            raise SpecInvalid(f"{option} names {name!r} twice")
        found[name] = value
    return found


def shapes(texts: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Shapes by input name, of texts such as ``x=1,3,224,224`` (a scalar: ``x=()``)."""
    found = {}
    for name, value in _pairs(texts, "--input-shape", "x=1,3,224,224").items():
        try:
            sizes = [] if value == "()" else [int(part) for part in re.split("[,x]", value.strip("[]()"))]
        except ValueError as error:
            raise SpecInvalid(
                f"--input-shape {name}={value}: sizes are whole numbers", hint="such as --input-shape x=1,3,224,224"
            ) from error
        found[name] = tuple(sizes)
    return found


def ranges(texts: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Low and high by input name, of texts such as ``x=0,255``."""
    found = {}
    for name, value in _pairs(texts, "--input-range", "x=0,255").items():
        try:
            low, high = (float(part) for part in value.split(","))
        except ValueError as error:
            raise SpecInvalid(
                f"--input-range {name}={value}: two numbers are needed", hint="such as x=0,255"
            ) from error
        found[name] = (low, high)
    return found


def files(texts: Sequence[str]) -> dict[str, Path]:
    """Files by input name, of texts such as ``x=x.npy``."""
    return {name: Path(value) for name, value in _pairs(texts, "--input-file", "x=x.npy").items()}


def size(text: str) -> int:
    """Bytes of a text such as ``512MB`` or ``1.5 GiB``."""
    match = re.fullmatch(r"\s*([0-9.]+)\s*([A-Za-z]*)\s*", text)
    try:
        if match is None:
            raise ValueError(text)
        return int(float(match[1]) * _UNITS[match[2].upper()])
    except (ValueError, KeyError) as error:
        raise SpecInvalid(f"{text!r} is not a size", hint="such as 512MB or 2GiB") from error
