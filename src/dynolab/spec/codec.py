"""Frozen dataclasses to JSON documents and back, driven by their type annotations alone."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from functools import cache
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from dynolab.errors import Bug, SpecInvalid

T = TypeVar("T")


def encode(value: object, where: str = "document") -> Any:
    """A JSON-ready copy of ``value``: dataclasses become dicts, tuples lists, enums their values, paths strings.

    Raises :class:`Bug`, naming the place, for what JSON cannot say: another type, or a float that is not finite (what
    was not measured is None, with a reason).
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: encode(getattr(value, field.name), f"{where}.{field.name}") for field in fields(value)}
    if isinstance(value, Enum):
        return encode(value.value, where)
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {str(encode(key, where)): encode(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [encode(item, f"{where}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, float) and not isfinite(value):
        raise Bug(f"{where}: {value} has no place in a document")
    if value is None or isinstance(value, str | int | float):
        return value
    raise Bug(f"{where}: {_short(value)} ({type(value).__name__}) has no place in a document")


def decode(kind: type[T], document: object, where: str = "document") -> T:
    """The ``kind`` that :func:`encode` wrote.

    Unknown keys are ignored (a later minor version may add some). Raises :class:`SpecInvalid`, naming the place and the
    value, for a missing field or a value of another type.
    """
    return typing.cast(T, _decode(kind, document, where))


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _decode(kind: Any, value: Any, where: str) -> Any:
    origin = get_origin(kind)
    if kind is Any or kind is object:
        return value
    if origin in (typing.Union, types.UnionType):
        return _decode_union(get_args(kind), value, where)
    if origin is tuple:
        return _decode_tuple(get_args(kind), value, where)
    if origin is list:
        return list(_decode_tuple((*get_args(kind), Ellipsis), value, where))
    if origin in (dict, Mapping):
        return _decode_mapping(get_args(kind), value, where)
    if is_dataclass(kind) and isinstance(kind, type):
        return _decode_dataclass(kind, value, where)
    return _decode_plain(kind, value, where)


def _decode_plain(kind: type, value: Any, where: str) -> Any:
    try:
        if issubclass(kind, Enum | Path):
            return kind(value)
        if kind is float and isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value):
            return float(value)
    except (ValueError, TypeError, OverflowError) as error:
        raise _misfit(kind, value, where) from error
    if kind is float or not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise _misfit(kind, value, where)
    return value


def _decode_mapping(kinds: tuple[Any, ...], value: Any, where: str) -> dict[Any, Any]:
    if not isinstance(value, dict):
        raise _misfit(dict, value, where)
    return {
        _decode(kinds[0], key, f"{where}, a key"): _decode(kinds[1], item, f"{where}.{key}")
        for key, item in value.items()
    }


def _decode_union(kinds: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and type(None) in kinds:
        return None
    reasons = []
    for kind in kinds:
        if kind is not type(None):
            try:
                return _decode(kind, value, where)
            except SpecInvalid as error:
                reasons.append(error)
    raise reasons[0] if len(reasons) == 1 else _misfit(kinds, value, where)


def _decode_tuple(kinds: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise _misfit(tuple, value, where)
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        kinds = (kinds[0],) * len(value)
    if len(kinds) != len(value):
        raise SpecInvalid(f"{where}: {len(kinds)} values are needed, {len(value)} were given")
    pairs = enumerate(zip(kinds, value, strict=True))
    return tuple(_decode(kind, item, f"{where}[{index}]") for index, (kind, item) in pairs)


def _decode_dataclass(kind: type, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise _misfit(kind, value, where)
    hints, arguments = _hints(kind), {}
    for field in fields(kind):
        if field.name in value:
            arguments[field.name] = _decode(hints[field.name], value[field.name], f"{where}.{field.name}")
        elif field.default is MISSING and field.default_factory is MISSING:
            raise SpecInvalid(f"{where}: the field {field.name!r} is missing")
    return kind(**arguments)


def _misfit(kind: Any, value: Any, where: str) -> SpecInvalid:
    kinds = kind if isinstance(kind, tuple) else (kind,)
    named = " or ".join("null" if one is type(None) else getattr(one, "__name__", str(one)) for one in kinds)
    values = [str(one.value) for one in kind] if isinstance(kind, type) and issubclass(kind, Enum) else []
    hint = f"one of: {', '.join(values)}" if values else None
    return SpecInvalid(f"{where}: {_short(value)} is not {named}", hint=hint)


def _short(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
