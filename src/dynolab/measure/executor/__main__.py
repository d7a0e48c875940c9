"""``python -m dynolab.measure.executor WORKSPACE [SANDBOX ...]``: orders on standard input, answers on standard output, to the end.

Sandboxes are those that whoever starts it on the same machine has found to work.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dynolab import errors
from dynolab.measure import lifeline
from dynolab.measure.clock import now_ns
from dynolab.measure.executor.verbs import Executor
from dynolab.measure.orders import Verb, document_of, line_of
from dynolab.sandbox import base as sandbox


def say(document: Mapping[str, Any]) -> None:
    """One line out."""
    sys.stdout.write(line_of(document) + "\n")
    sys.stdout.flush()


def serve(workspace: Path) -> None:
    """Carry out orders until the last, or until nobody gives any more."""
    executor, done = Executor(workspace, say), 0
    try:
        for line in sys.stdin:
            order = document_of(line.rstrip("\n"))
            # A line that was lost on the way is sent again, and so may be one that was not.
            if order is None or order.get("order", 0) <= done:
                continue
            done = order["order"]
            if order["verb"] == Verb.CLOSE:
                break
            say(_answered(executor, order) | {"answer": done, "at_ns": now_ns()})
    finally:
        executor.close()


def _answered(executor: Executor, order: Mapping[str, Any]) -> dict[str, Any]:
    """The answer, or the error in its place; of the system's errors, those that tell of an unfit device."""
    try:
        return {"value": executor.carry_out(str(order["verb"]), order.get("with"))}
    except errors.Error as error:
        return {"error": (errors.unfit(error) or error).to_dict()}
    except (OSError, MemoryError) as error:
        unfit = errors.unfit(error)
        if unfit is None:
            raise
        return {"error": unfit.to_dict()}


def main(arguments: list[str]) -> int:
    """A terminate signal ends it and its workers; so does the end of who started it."""
    lifeline.hold(os.getppid())
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    sandbox.expect(arguments[1:])
    serve(Path(arguments[0]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
