"""Frozen dataclasses to JSON documents and back, driven by their type annotations alone."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from functools import cache
from itertools import repeat
from math import isfinite
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from dynolab.errors import Bug, SpecInvalid

T = TypeVar("T")


def encode(value: object, where: str = "document") -> Any:
    """A JSON-ready copy of ``value``: dataclasses become dicts, tuples lists, enums their values, paths strings.

    Raises :class:`Bug`, naming the place, for what JSON cannot say: another type, or a float that is not finite (what
    was not measured is None, with a reason).
    """
    try:
        return _encoded(value)
    except _Misfit as misfit:
        raise Bug(f"{where}{''.join(reversed(misfit.path))}: {misfit.told} has no place in a document") from None


def _encoded(value: Any) -> Any:
    kind: Any = type(value)
    if value is None or kind in _AS_THEY_ARE:
        return value
    if issubclass(kind, list | tuple):
        return [_at(item, "[", index, "]") for index, item in enumerate(value)]
    if (names := _names(kind)) is not None:
        return {name: _at(getattr(value, name), ".", name) for name in names}
    if issubclass(kind, Enum):
        return _encoded(value.value)
    if issubclass(kind, Path):
        return str(value)
    if issubclass(kind, Mapping):
        return {str(_encoded(key)): _at(item, ".", key) for key, item in value.items()}
    if issubclass(kind, float) and not isfinite(value):
        raise _Misfit(str(value))
    if issubclass(kind, str | int | float):
        return value
    raise _Misfit(f"{_short(value)} ({kind.__name__})")


_AS_THEY_ARE = frozenset((str, int, bool))


def _at(value: Any, *place: object) -> Any:
    """A part encoded; where it does not fit, its place is told."""
    try:
        return _encoded(value)
    except _Misfit as misfit:
        misfit.path.append("".join(map(str, place)))
        raise


@cache
def _names(kind: type) -> tuple[str, ...] | None:
    """The fields of a dataclass; None: it is none."""
    return tuple(field.name for field in fields(kind)) if is_dataclass(kind) else None


def decode(kind: type[T], document: object, where: str = "document") -> T:
    """The ``kind`` that :func:`encode` wrote.

    Unknown keys are ignored (a later minor version may add some). Raises :class:`SpecInvalid`, naming the place and the
    value, for a missing field or a value of another type.
    """
    try:
        return typing.cast(T, _decoder(typing.cast(Any, kind))(document))
    except _Misfit as misfit:
        place = where + "".join(reversed(misfit.path))
        raise SpecInvalid(f"{place}: {misfit.told}", hint=misfit.hint) from misfit.__cause__


class _Misfit(Exception):
    """What does not fit, and where: the innermost part of the place first. A good document costs no word of that."""

    def __init__(self, told: str, hint: str | None = None) -> None:
        self.told, self.hint, self.path = told, hint, list[str]()


_Decoder = Callable[[Any], Any]


@cache
def _decoder(kind: Any) -> _Decoder:
    """What decodes values of a type. Annotations are looked into once: a profile holds ten thousand layers."""
    origin = get_origin(kind)
    if kind is Any or kind is object:
        return lambda value: value
    if origin in (typing.Union, types.UnionType):
        return _union(get_args(kind))
    if origin is tuple:
        return _tuple(get_args(kind))
    if origin is list:
        items = _tuple((*get_args(kind), Ellipsis))
        return lambda value: list(items(value))
    if origin in (dict, Mapping):
        return _mapping(*get_args(kind))
    if origin is Literal:
        return _literal(get_args(kind))
    if is_dataclass(kind) and isinstance(kind, type):
        return _dataclass(kind)
    if kind is float:
        return _float
    return (
        _chosen(kind) if issubclass(kind, Enum | Path) or (issubclass(kind, str) and kind is not str) else _plain(kind)
    )


def _plain(kind: type) -> _Decoder:
    def decoded(value: Any) -> Any:
        if type(value) is kind or (isinstance(value, kind) and (kind is bool or not isinstance(value, bool))):
            return value
        raise _misfit(kind, value)

    return decoded


def _float(value: Any) -> float:
    with suppress(OverflowError):
        if isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value):
            return float(value)
    raise _misfit(float, value)


def _literal(values: tuple[Any, ...]) -> _Decoder:
    """One of some values."""

    def decoded(value: Any) -> Any:
        if not isinstance(value, str | int) or value not in values:
            told = ", ".join(map(str, values))
            raise _Misfit(f"{_short(value)} is none of {told}", f"one of: {told}")
        return value

    return decoded


def _chosen(kind: type) -> _Decoder:
    """One of an enum's values, a path, or a text of a form that its type checks."""

    def decoded(value: Any) -> Any:
        try:
            return kind(value)
        except (ValueError, TypeError) as error:
            raise _misfit(kind, value) from error

    return decoded


def _mapping(key_kind: Any, item_kind: Any) -> _Decoder:
    of_key, of_item = _decoder(key_kind), _decoder(item_kind)

    def decoded(value: Any) -> dict[Any, Any]:
        if not isinstance(value, dict):
            raise _misfit(dict, value)
        found, place = {}, ""
        try:
            for key, item in value.items():
                place = ", a key"
                known = of_key(key)
                place = f".{key}"
                found[known] = of_item(item)
        except _Misfit as misfit:
            misfit.path.append(place)
            raise
        return found

    return decoded


def _union(kinds: tuple[Any, ...]) -> _Decoder:
    decoders = [_decoder(kind) for kind in kinds if kind is not type(None)]
    may_be_none = len(decoders) < len(kinds)

    def decoded(value: Any) -> Any:
        if value is None and may_be_none:
            return None
        misfits = []
        for each in decoders:
            try:
                return each(value)
            except _Misfit as misfit:
                misfits.append(misfit)
        raise misfits[0] if len(misfits) == 1 else _misfit(kinds, value)

    return decoded


def _tuple(kinds: tuple[Any, ...]) -> _Decoder:
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        each = _decoder(kinds[0])
        return lambda value: _items(value, repeat(each))
    decoders = [_decoder(kind) for kind in kinds]

    def decoded(value: Any) -> tuple[Any, ...]:
        if isinstance(value, list | tuple) and len(value) != len(decoders):
            raise _Misfit(f"{len(decoders)} values are needed, {len(value)} were given")
        return _items(value, decoders)

    return decoded


def _items(value: Any, decoders: Iterable[_Decoder]) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise _misfit(tuple, value)
    found: list[Any] = []
    try:
        found.extend(each(item) for each, item in zip(decoders, value, strict=False))
    except _Misfit as misfit:
        misfit.path.append(f"[{len(found)}]")
        raise
    return tuple(found)


def _dataclass(kind: type) -> _Decoder:
    @cache
    def parts() -> list[tuple[str, _Decoder, bool]]:
        hints = get_type_hints(kind)
        return [
            (one.name, _decoder(hints[one.name]), one.default is MISSING and one.default_factory is MISSING)
            for one in fields(kind)
        ]

    def decoded(value: Any) -> Any:
        if not isinstance(value, dict):
            raise _misfit(kind, value)
        arguments = {}
        for name, decoder, is_needed in parts():
            if name in value:
                try:
                    arguments[name] = decoder(value[name])
                except _Misfit as misfit:
                    misfit.path.append(f".{name}")
                    raise
            elif is_needed:
                raise _Misfit(f"the field {name!r} is missing")
        return kind(**arguments)

    return decoded


def _misfit(kind: Any, value: Any) -> _Misfit:
    kinds = kind if isinstance(kind, tuple) else (kind,)
    named = " or ".join("null" if one is type(None) else getattr(one, "__name__", str(one)) for one in kinds)
    values = [str(one.value) for one in kind] if isinstance(kind, type) and issubclass(kind, Enum) else []
    return _Misfit(f"{_short(value)} is not {named}", f"one of: {', '.join(values)}" if values else None)


def _short(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
