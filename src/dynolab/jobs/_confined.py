"""A file of anybody's is read by a confined process: how it is asked, and how it answers."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from signal import Signals
from time import monotonic
from typing import TYPE_CHECKING, Any, BinaryIO

from dynolab.errors import DeviceLost, DeviceUnfit, Error, TooLarge, UserError, WorkerCrashed, from_dict, unfit
from dynolab.measure import deaths, room
from dynolab.spec import untrusted

if TYPE_CHECKING:
    from dynolab.sandbox.base import Confined

ANSWER_FILE = "answer.json"
FILE_MAX_BYTES = 64 << 30
LOG_BYTES = 4_000
WATCH_EVERY_S = 0.25


def ask(
    program: Sequence[str],
    arguments: Sequence[str],
    file: BinaryIO | int,
    folder: Path,
    *,
    readable: Sequence[Path] = (),
    max_s: float,
    max_bytes: int,
    kind: type[UserError],
    hint: str,
    late: str | None = None,
    watch: Callable[[], None] | None = None,
) -> Any:
    """What a program of Python's makes of the file, in a process that reaches nothing but that, the folder and ``readable``.

    ``max_s`` and ``max_bytes`` bound its time and memory; ``late`` is what is said of one that took longer. ``watch`` is called
    now and then while it works. Raises what it answers with, and ``kind`` when it does not answer: then the file is such that
    its process crashes, hangs or takes all memory.
    """
    from dynolab.sandbox.base import Confinement, Limits, confine_python, strongest

    command = [sys.executable, *program, *arguments, str(folder)]
    limits = Limits(memory_bytes=max_bytes, file_bytes=FILE_MAX_BYTES)
    confinement = Confinement(writable=(folder,), readable=(*confine_python(), *readable), limits=limits)
    with tempfile.TemporaryFile() as said:
        process = strongest().start(command, confinement, stdin=file, stderr=said, stdout=said)
        try:
            code = _ended(process, max_s, watch)
        finally:
            process.kill()
        said.seek(max(0, said.seek(0, 2) - LOG_BYTES))
        log = untrusted.printable(said.read().decode("utf-8", "replace"))
    name = Path(arguments[0]).name
    if code is None:
        raise kind(late or f"{name} is not read within {max_s:g} s", hint=hint)
    if code and (
        trouble := room.trouble(folder) or deaths.from_outside(code, f"the process that works on {name}", log=log)
    ):
        raise trouble
    if code < 0:
        raise kind(f"the process that works on {name} ended by {Signals(-code).name}", hint=hint, details={"log": log})
    if code:
        last = (log.strip().splitlines() or [f"code {code}"])[-1]
        raise kind(f"the process that works on {name} ended with {last[:400]}", hint=hint, details={"log": log})
    return _answered(folder, name, kind)


def _ended(process: Confined, max_s: float, watch: Callable[[], None] | None) -> int | None:
    """The code that it ends with, or None when the time is over."""
    if watch is None:
        return process.wait(max_s)
    end = monotonic() + max_s
    while (left := end - monotonic()) > 0:
        if (code := process.wait(min(left, WATCH_EVERY_S))) is not None:
            return code
        watch()
    return None


def _answered(folder: Path, name: str, kind: type[UserError]) -> Any:
    try:
        document = untrusted.read_document(folder / ANSWER_FILE, inside=folder)
        if "error" not in document:
            return document["answer"]
        told = from_dict(document["error"])
    except (WorkerCrashed, OSError, TypeError, KeyError, AttributeError) as error:
        raise kind(f"the process that works on {name} gave no answer ({error})") from error
    if isinstance(told, DeviceUnfit):
        raise room.trouble(folder) or DeviceLost(told.message)
    raise told if isinstance(told, UserError) else kind(told.message, hint=told.hint)


def answer(folder: Path, work: Callable[[], Any], name: str, kind: type[UserError]) -> int:
    """Do the work and leave what came of it; for the process that was asked."""
    document: dict[str, object]
    try:
        document = {"answer": work()}
    except MemoryError:
        document = {"error": TooLarge(f"{name} takes more memory than the process that works on it may use").to_dict()}
    except Error as error:
        document = {"error": error.to_dict()}
    except OSError as error:
        document = {"error": (unfit(error) or kind(f"{name} cannot be read here: {error.strerror}")).to_dict()}
    (folder / ANSWER_FILE).write_text(json.dumps(document), encoding="utf-8")
    return 0
