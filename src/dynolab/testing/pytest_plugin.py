"""dynolab in pytest: the fixture ``dynolab_gate`` holds a model to a baseline that is kept beside the test."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from dynolab.spec.gate import Gate
    from dynolab.spec.profiles import Profile

FOLDER = "dynolab_baselines"
"""Beside the test's file; it belongs under version control."""
Held = Callable[..., "Gate | None"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds ``--dynolab-update``."""
    group = parser.getgroup("dynolab", "what models cost")
    group.addoption(
        "--dynolab-update",
        action="store_true",
        help="measure anew, and keep the profiles as the baselines of dynolab_gate",
    )


@pytest.fixture
def dynolab_gate(request: pytest.FixtureRequest) -> Held:
    """Holds a model to its baseline: ``dynolab_gate("m.onnx", max_slower="10%", max_memory="10%")``.

    The model is profiled. The test fails where it costs more than the baseline and what is allowed, where that cannot be
    told (unless ``on_unknown="pass"``), and where there is no baseline. ``stages`` are those whose time is held; other
    arguments are those of ``dynolab.profile``. With ``--dynolab-update`` the profile becomes the baseline.
    """

    def hold(
        model: str | Path,
        *,
        max_slower: str | None = None,
        max_memory: str | None = None,
        stages: Sequence[str] = ("inference",),
        on_unknown: str = "fail",
        **profiled: Any,
    ) -> Gate | None:
        from dynolab import UserError, profile

        place = _place(request, Path(model))
        try:
            limits = _limits(max_slower, max_memory, stages)
            if request.config.getoption("--dynolab-update"):
                _keep(profile(model, **profiled), place)
                return None
            baseline = _kept(place)
            found = _held(baseline, profile(model, **profiled), limits, place)
        except UserError as error:
            pytest.fail(f"{error.message}\n{error.hint or ''}".rstrip(), pytrace=False)
        return _decided(found, on_unknown)

    return hold


def _place(request: pytest.FixtureRequest, model: Path) -> Path:
    """Where the baseline of this test and model is kept."""
    words = re.sub(r"[^A-Za-z0-9._-]+", "_", f"{request.path.stem}-{request.node.name}-{model.name}")
    return request.path.parent / FOLDER / f"{words}.json"


def _limits(max_slower: str | None, max_memory: str | None, stages: Sequence[str]) -> Any:
    from dynolab.errors import SpecInvalid
    from dynolab.spec.gate import Limits
    from dynolab.spec.measurements import StageName
    from dynolab.spec.percent import read_percent

    unknown = [name for name in stages if name not in set(StageName)]
    if unknown:
        raise SpecInvalid(f"stages: there is no stage {unknown[0]!r}", hint=f"one of {', '.join(StageName)}")
    slower = None if max_slower is None else read_percent(max_slower, "max_slower")
    memory = None if max_memory is None else read_percent(max_memory, "max_memory")
    return Limits(slower, memory, tuple(map(StageName, stages)))


def _keep(found: Profile, place: Path) -> None:
    from dynolab.report import json

    place.parent.mkdir(exist_ok=True)
    place.write_text(json.plugin.render([found]), encoding="utf-8")


def _kept(place: Path) -> Profile:
    from dynolab.errors import NotFound
    from dynolab.report import json

    if not place.exists():
        raise NotFound(f"there is no baseline {place}", hint="pytest --dynolab-update measures it and keeps it there")
    return json.load(place.read_text(encoding="utf-8"))


def _held(baseline: Profile, measured: Profile, limits: Any, place: Path) -> Gate:
    from dynolab.spec import gate

    for profile, name in ((baseline, str(place)), (measured, measured.model.name)):
        gate.check_measured(profile, name, limits)
    return gate.hold(baseline, measured, limits, names=(place.name, measured.model.name))


def _decided(found: Gate, on_unknown: str) -> Gate:
    """The gate, where it lets the model pass; else the test fails with its sentences."""
    from dynolab.spec.gate import Outcome

    allowed = {Outcome.WITHIN, Outcome.CANNOT_TELL} if on_unknown == "pass" else {Outcome.WITHIN}
    if found.outcome not in allowed:
        told = "\n".join(one.sentence for one in found.checks if one.outcome is not Outcome.WITHIN)
        pytest.fail(
            f"{found.outcome}: {told}\npytest --dynolab-update takes the model as the new baseline", pytrace=False
        )
    return found
