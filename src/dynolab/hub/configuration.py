"""A hub's settings as they hold: the command line's before the environment's before the file's, and where each came from."""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from dynolab.errors import NotFound, SpecInvalid, Wrong
from dynolab.hub.setting_types import File, Text
from dynolab.hub.settings import SETTINGS, Setting, Settings

VARIABLE = "DYNOLAB_CONFIG"
FILE_MAX_BYTES = 1 << 18
PREFIX = "DYNOLAB_"
Check = Callable[[Settings], object]
NEAR = 0.84
"""How alike (difflib's ratio) a variable's name is to a setting's that it was meant to be; dynolab's other variables are less."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """Settings, where each came from (by name), and the file that was read, if one was named."""

    settings: Settings
    sources: Mapping[str, str]
    file: Path | None


@dataclass(frozen=True, slots=True)
class _Read:
    """A value that was given: as it was written, who gave it, and the value itself."""

    value: Any
    source: str


def load(config: Path | None = None, *, checks: Sequence[Check] = (), **given: object) -> Configuration:
    """The settings. ``config``: the file, else ``DYNOLAB_CONFIG`` names it; ``given``: the command line's, None where it has none.

    ``checks`` raise :class:`SpecInvalid` for settings that the command at hand could not use; one that is wrong by itself is as if
    it were not given there.

    Raises :class:`SpecInvalid`, which names each wrong value, its place and the way out, and :class:`NotFound` for no such file.
    """
    named = config or (Path(text) if (text := os.environ.get(VARIABLE)) else None)
    file = None if named is None else named.absolute()
    wrong = Wrong("settings", "`dynolab hub config` tells what holds, once they do")
    found: dict[str, _Read | None] = {} if file is None else dict(_from_file(file, wrong))
    found |= dict(_from_environment(wrong))
    for name, value in given.items():
        if value is not None:
            found[name] = None
            with wrong.noted():
                found[name] = _checked_option(name, value)
    values = {name: read.value for name, read in found.items() if read is not None}
    values["data"] = values["data"].absolute() if "data" in values else _usual_folder()
    settings = Settings(**values)
    every: list[Check] = [partial(_check_pairs, found.keys()), *checks]
    for check in every:
        with wrong.noted():
            check(settings)
    wrong.check()
    sources = {one.name: read.source if (read := found.get(one.name)) else "default" for one in SETTINGS}
    return Configuration(settings, sources, file)


def _check_pairs(given: Collection[str], settings: Settings) -> None:
    """Raises :class:`SpecInvalid` for a setting without the other that it needs. ``given``: names of all, also of the wrong."""
    wrong = Wrong("settings", "each needs another")
    with wrong.noted():
        if ("tls_certificate" in given) != ("tls_key" in given):
            raise SpecInvalid("HTTPS needs a certificate and its key", hint="--tls-certificate FILE --tls-key FILE")
    with wrong.noted():
        if settings.database_direct_url and "database_url" not in given:
            raise SpecInvalid(
                "database_direct_url stands alone",
                hint="database_url names the pooler; without one it is all that is needed",
            )
    wrong.check()


def described(configuration: Configuration) -> Iterator[tuple[Setting, str, str]]:
    """Every setting with its value, secrets masked, and where that came from."""
    for one in SETTINGS:
        yield one, one.shown(getattr(configuration.settings, one.name)), configuration.sources[one.name]


def _usual_folder() -> Path:
    import platformdirs

    return (platformdirs.user_data_path("dynolab") / "hub").absolute()


def _checked_option(name: str, value: object) -> _Read:
    setting = next(one for one in SETTINGS if one.name == name)
    option = str(setting.option).partition("/")[0]
    try:
        read = value if isinstance(value, Path) else setting.type.take(value)
    except ValueError as error:
        raise SpecInvalid(f"{option} {value}: {error}", hint=setting.type.hint) from error
    return _Read(read, f"command line ({option})")


def _from_environment(wrong: Wrong) -> Iterator[tuple[str, _Read | None]]:
    _check_spelling(wrong)
    for setting in SETTINGS:
        if text := os.environ.get(setting.variable, "").strip():
            read = None
            with wrong.noted():
                read = _Read(_read(setting, text), f"environment ({setting.variable})")
            yield setting.name, read


def _read(setting: Setting, text: str) -> Any:
    try:
        return setting.type.read(text)
    except ValueError as error:
        told = f"{setting.variable}={_written(setting, text)}: {error}"
        raise SpecInvalid(told, hint=setting.type.hint) from error


def _check_spelling(wrong: Wrong) -> None:
    """Variables that are a setting's but for a slip are wrong. Others of this prefix are not the hub's."""
    known = [one.variable.removeprefix(PREFIX) for one in SETTINGS]
    for variable in os.environ:
        name = variable.removeprefix(PREFIX)
        if not variable.startswith(PREFIX) or variable == VARIABLE or name in known:
            continue
        with wrong.noted():
            if near := difflib.get_close_matches(name, known, 1, NEAR):
                raise SpecInvalid(f"there is no setting {variable}", hint=f"did you mean {PREFIX}{near[0]}?")


def _written(setting: Setting, value: object) -> str:
    """A wrong value as it is told: without what is secret."""
    if not isinstance(value, str):
        return str(value)
    return repr(setting.type.show(value) if isinstance(setting.type, Text) else value)


def _from_file(path: Path, wrong: Wrong) -> Iterator[tuple[str, _Read | None]]:
    text = _text(path)
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SpecInvalid(
            f"{path} is no TOML: {error}", hint='one setting a line, such as: host = "0.0.0.0"'
        ) from error
    for name, value in document.items():
        place, read = f"{path}, line {_line(text, name)}", None
        with wrong.noted():
            read = _Read(_taken(path, place, name, value), f"file ({place})")
        yield name, read


def _taken(path: Path, place: str, name: str, value: object) -> Any:
    known = {one.name: one for one in SETTINGS}
    if name not in known:
        raise SpecInvalid(f"{place}: there is no setting {name!r}", hint=_near(name, known))
    setting = known[name]
    try:
        read = setting.type.take(value)
    except ValueError as error:
        raise SpecInvalid(f"{place}: {name} = {_written(setting, value)}: {error}", hint=setting.type.hint) from error
    return path.parent / read if isinstance(setting.type, File) else read


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > FILE_MAX_BYTES:
            raise SpecInvalid(f"{path} has more than {FILE_MAX_BYTES} bytes: it is no configuration file")
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise SpecInvalid(f"{path} is no TOML: it is not UTF-8") from error
    except OSError as error:
        hint = f"--config, or {VARIABLE}, names the hub's configuration file"
        raise NotFound(f"the configuration file {path} cannot be read: {error.strerror}", hint=hint) from error


def _near(name: str, known: Mapping[str, Setting]) -> str:
    near = difflib.get_close_matches(name.lower().removeprefix("dynolab_"), known, n=2)
    guess = f"did you mean {' or '.join(near)}? " if near else ""
    return f"{guess}dynolab hub config lists all settings"


def _line(text: str, name: str) -> int:
    """The line on which a top-level name of a TOML document is set: the first whose end the parser knows it at."""
    lines, begin = text.splitlines(keepends=True), 0
    for number in range(1, len(lines) + 1):
        try:
            document = tomllib.loads("".join(lines[:number]))
        except tomllib.TOMLDecodeError:
            continue  # amid a value of several lines
        if name in document:
            rest = (
                at for at, line in enumerate(lines[begin:number], begin + 1) if line.strip() and line.strip()[0] != "#"
            )
            return next(rest, number)
        begin = number
    return len(lines)
