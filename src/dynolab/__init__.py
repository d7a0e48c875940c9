"""dynolab: what a model costs on a real device."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dynolab.errors import Error, UserError
    from dynolab.jobs.profile import profile
    from dynolab.spec.profiles import Profile

_HOMES = {
    "Error": "dynolab.errors",
    "Profile": "dynolab.spec.profiles",
    "UserError": "dynolab.errors",
    "profile": "dynolab.jobs.profile",
}

__all__ = ["Error", "Profile", "UserError", "profile"]


def __getattr__(name: str) -> Any:
    """A public name, imported when it is first used: ``import dynolab`` itself stays light."""
    if name not in _HOMES:
        raise AttributeError(f"module 'dynolab' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
