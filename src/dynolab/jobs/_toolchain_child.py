"""What the confined processes that make models of models have in common: where they write, and what they tell of it."""

from __future__ import annotations

import json
import resource
from collections.abc import Callable
from pathlib import Path
from time import monotonic_ns
from typing import Any, TypeVar

from dynolab.errors import Error, ModelNotSupported, UserError
from dynolab.jobs import _confined as confined
from dynolab.spec import codec
from dynolab.spec.models import FileFact

ORDER_FILE, SAID_FILE, MADE_FOLDER, SCRATCH_FOLDER = "order.json", "said.txt", "made", "scratch"
Wanted = TypeVar("Wanted")


def folders(work: Path) -> tuple[Path, Path]:
    """An empty folder for the model that is made, and one for what is left on the way."""
    made, scratch = work / MADE_FOLDER, work / SCRATCH_FOLDER
    for place in (made, scratch):
        place.mkdir()
    return made, scratch


def files(made: Path) -> tuple[FileFact, ...]:
    """All files of the model that was made."""
    found = sorted(path for path in made.rglob("*") if path.is_file())
    return tuple(FileFact(str(path.relative_to(made)), path.stat().st_size) for path in found)


def spent(begun_ns: int) -> tuple[int, int]:
    """Wall time since then, and the most memory in bytes that this process held resident, or one that it started and that ended."""
    held = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return monotonic_ns() - begun_ns, max(held) * 1024


def say(work: Path, text: str) -> None:
    """Leave a line of what is done now, for whoever waits."""
    partial = work / f"{SAID_FILE}.partial"
    partial.write_text(text, encoding="utf-8")
    partial.replace(work / SAID_FILE)


def compared(work: Callable[[], Any]) -> tuple[Any, str | None]:
    """What a comparison of numbers gives, or None and why there is none: the model is made already."""
    try:
        return work(), None
    except MemoryError:
        return None, "both models at once take more memory than this process may use"
    except Exception as error:  # noqa: BLE001 - the model is made: why its numbers are not known is an answer, too
        reason = error.message if isinstance(error, Error) else f"{type(error).__name__}: {error}"
        return None, reason.strip().splitlines()[0][:400] if reason.strip() else "no reason"


def main(
    arguments: list[str],
    kind: type[Wanted],
    make: Callable[[Path, Wanted], Any],
    broken: type[UserError] = ModelNotSupported,
) -> int:
    """``NAME FOLDER``: make what the folder's order says; the answer, a document of spec, goes there as well."""
    name, folder = arguments[0], Path(arguments[1])
    wanted = codec.decode(kind, json.loads((folder / ORDER_FILE).read_text(encoding="utf-8")))
    return confined.answer(folder, lambda: codec.encode(make(folder, wanted)), name, broken)
