"""The agent's settings from the environment, looked at before anything is begun: all that is wrong is told at once."""

from __future__ import annotations

from collections.abc import Callable

from dynolab import logs
from dynolab.agent import cooling, health, probing
from dynolab.agent.seconds import seconds
from dynolab.errors import Wrong

CHECKS: tuple[Callable[[], object], ...] = (
    logs.chosen,
    lambda: seconds(probing.EVERY, probing.EVERY_S),
    lambda: seconds(cooling.WITHIN, cooling.WITHIN_S),
    health.least_free,
)


def check(*more: Callable[[], object]) -> None:
    """``more``: what the command was given. Raises :class:`~dynolab.errors.SpecInvalid`, which names each with its way out."""
    wrong = Wrong("settings", "`dynolab agent --help` names the options")
    for one in (*CHECKS, *more):
        with wrong.noted():
            one()
    wrong.check()
