"""What jobs that make a model of a model have in common: they ask a confined process, and keep the files that it leaves."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dynolab.errors import Conflict, Forbidden, ModelNotSupported, SpecInvalid
from dynolab.jobs import _confined as confined
from dynolab.jobs import _toolchain_child as child
from dynolab.jobs._sources import ModelSource
from dynolab.spec import codec, untrusted
from dynolab.spec.models import FileFact

SAID_MOST_BYTES = 1000


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of a process that makes a model."""

    timeout_s: float
    memory_limit_bytes: int | None


def check(folder: Path, timeout_s: float) -> None:
    """Raise :class:`SpecInvalid` and :class:`Conflict` for a folder or a time that will not do."""
    if not 0 < timeout_s < float("inf"):
        raise SpecInvalid(f"--timeout {timeout_s:g}: seconds above 0 are needed")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Conflict(f"{folder} is there already, and not an empty folder", hint="name another folder")


def make(
    module: str, source: ModelSource, order: Any, work: Path, bounds: Bounds, late: str, readable: Sequence[Path] = ()
) -> Any:
    """The answer of a module's process, which finds the order in ``work`` and leaves its files there.

    ``late``: what is said when the time is up. Raises what the process answers with.
    """
    return ask(module, source.name, order, work, bounds, late, readable=[*files_of(source), *readable])


def files_of(source: ModelSource) -> list[Path]:
    """All files of a model, as a confined process must see them."""
    return [(source.folder / file.path).resolve() for file in source.files]


def ask(
    module: str,
    name: str,
    order: Any,
    work: Path,
    bounds: Bounds,
    late: str,
    *,
    readable: Sequence[Path],
    progress: Callable[[str], None] | None = None,
) -> Any:
    """The same of what is called ``name``; ``progress`` hears what the process says of itself meanwhile."""
    (work / child.ORDER_FILE).write_text(json.dumps(codec.encode(order)), encoding="utf-8")
    with Path(os.devnull).open("rb") as nothing:
        return confined.ask(
            ("-P", "-m", module),
            [name],
            nothing,
            work,
            readable=readable,
            max_s=bounds.timeout_s,
            max_bytes=bounds.memory_limit_bytes or os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
            kind=ModelNotSupported,
            late=late,
            watch=None if progress is None else _listener(work, progress),
            hint="a longer --timeout or a larger --memory-limit, if the model is that large; else another export of it",
        )


def _listener(work: Path, progress: Callable[[str], None]) -> Callable[[], None]:
    """What passes on, once each, the lines that the process leaves; they are anybody's, like all that it writes."""
    said = ""

    def watch() -> None:
        nonlocal said
        with suppress(OSError, Forbidden):
            content = untrusted.read_bytes(work / child.SAID_FILE, inside=work, most=SAID_MOST_BYTES)
            text = untrusted.printable(content.decode("utf-8", "replace"))
            if text != said:
                said = text
                progress(text)

    return watch


def keep(work: Path, entry: str, files: Sequence[FileFact], target: Path, document: tuple[str, Any]) -> None:
    """Copy what the process left, which is anybody's, into the folder that was asked for: plain files, and those it named.

    ``document``: the name of a file beside them, and what it says.
    """
    folder = work / child.MADE_FOLDER
    found = {str(path.relative_to(folder)): path for path, _ in untrusted.files_in(folder)}
    named = [FileFact(name, path.stat().st_size) for name, path in sorted(found.items())]
    if entry not in found or named != sorted(files, key=lambda one: one.path):
        raise ModelNotSupported("the toolchain's process did not leave the files that it told of")
    target.mkdir(parents=True, exist_ok=True)
    for name, path in found.items():
        place = target / untrusted.relative_path(name)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)
    name, told = document
    (target / name).write_text(json.dumps(codec.encode(told), indent=1), encoding="utf-8")
