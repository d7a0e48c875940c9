"""The profile job: four stages of a model on a device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dynolab.connections.base import this_machine
from dynolab.errors import Bug
from dynolab.jobs import _arguments as arguments
from dynolab.jobs import _campaigns as campaigns
from dynolab.jobs.base import Context, JobType, Progress
from dynolab.spec.jobs import DEFAULT_SEED, ProfileSpec
from dynolab.spec.profiles import Profile


class ProfileJob(JobType[ProfileSpec, Profile]):
    """Runs a campaign on the device and makes the profile document of what it measured."""

    name = "profile"

    def validate(self, spec: ProfileSpec, *, here: bool = True) -> ProfileSpec:
        """``here``: it is to run on this machine, which then needs the runtime."""
        return campaigns.validate(spec, here=here)

    def run(self, spec: ProfileSpec, context: Context) -> Profile:
        profile = campaigns.carry_out(spec, context).profile
        if profile is None:
            raise Bug("a campaign that was to measure left no profile")
        return profile

    def summary(self, result: Profile) -> dict[str, Any]:
        return campaigns.summary(result)


def profile(
    model: str | Path,
    *,
    runtime: str | None = None,
    options: str = "",
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    input_ranges: Mapping[str, tuple[float, float]] | None = None,
    input_files: Mapping[str, str | Path] | None = None,
    repeats: int | None = None,
    seed: int = DEFAULT_SEED,
    timeout_s: float | None = None,
    memory_limit_bytes: int | None = None,
    requirements: str | Sequence[str] = (),
    artifact: str | Path | None = None,
    progress: Progress | None = None,
) -> Profile:
    """Profile a model file on this machine: the Python form of ``dynolab profile``.

    ``options`` is text in AI Hub's grammar. ``repeats`` are fresh processes for each load and memory pass; None: 3, or what
    the options say. ``artifact`` is a folder for what compile makes; without it that is not kept.
    ``progress`` receives events (see :data:`dynolab.jobs.base.Progress`).
    Raises :class:`dynolab.errors.UserError` for what cannot work and :class:`dynolab.errors.WorkerError` when the model
    fails; nothing is left behind in either case.
    """
    spec = ProfileSpec(
        model=Path(model),
        runtime=runtime,
        options=options,
        input_shapes=arguments.shapes(input_shapes),
        input_ranges=arguments.ranges(input_ranges),
        input_files=arguments.paths(input_files),
        repeats=repeats,
        seed=seed,
        timeout_s=timeout_s,
        memory_limit_bytes=memory_limit_bytes,
        requirements=arguments.texts(requirements),
        artifact=None if artifact is None else Path(artifact),
    )
    return plugin.run(spec, Context(this_machine(), progress or (lambda _: None)))


plugin = ProfileJob()
