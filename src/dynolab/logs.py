"""Log lines: as text with their time, or for programs one JSON object each, with the ids of trace, job and attempt that it is about."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import UTC, datetime

from dynolab import errors, tracing

VARIABLE = "DYNOLAB_LOG_FORMAT"
FORMATS = ("text", "json")
TIME = "%Y-%m-%dT%H:%M:%SZ"
_about: ContextVar[dict[str, str]] = ContextVar("about", default={})  # noqa: B039 - never changed, only replaced


@contextmanager
def about(**ids: str) -> Iterator[None]:
    """What is logged in this block is about these: ``job_id``, ``attempt_id``."""
    token = _about.set({**_about.get(), **ids})
    try:
        yield
    finally:
        _about.reset(token)


class JsonLines(logging.Formatter):
    """Each record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **tracing.ids(),
            **_about.get(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class TimedLines(logging.Formatter):
    """Each record as a line of text, with the time (UTC) in front."""

    def format(self, record: logging.LogRecord) -> str:
        return f"{datetime.fromtimestamp(record.created, UTC).strftime(TIME)} {super().format(record)}"


def needs_times() -> bool:
    """Whether lines of text on standard error need a time of their own: a terminal has none, systemd's journal keeps them itself."""
    with suppress(OSError, ValueError):
        found = os.fstat(sys.stderr.fileno())
        if os.environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}":
            return False
    return not sys.stderr.isatty()


def timed(text: str) -> str:
    """The text with the time (UTC) in front, where lines need it."""
    return f"{datetime.now(UTC).strftime(TIME)} {text}" if needs_times() else text


def chosen() -> str:
    """The format that ``DYNOLAB_LOG_FORMAT`` asks for. Raises :class:`SpecInvalid`."""
    found = os.environ.get(VARIABLE) or "text"
    if found not in FORMATS:
        raise errors.SpecInvalid(f"{VARIABLE}={found!r} is no format of logs", hint=" or ".join(FORMATS))
    return found


def configure(form: str, *, level: int, text: str) -> None:
    """Have all loggers write to standard error: in JSON, or in this process's own ``text`` form, with times where lines need them."""
    logging.basicConfig(level=level, format=text)
    if form == "json" or needs_times():
        for handler in logging.getLogger().handlers:
            handler.setFormatter(JsonLines() if form == "json" else TimedLines(text))
