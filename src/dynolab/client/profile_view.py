"""Profiles that show themselves: as a table where they are printed, as a panel in a notebook."""

from __future__ import annotations

from dataclasses import fields

from dynolab.report import text
from dynolab.report.base import device_text, runtime_text, show_stage_time
from dynolab.report.html.fragment import fragment
from dynolab.spec import requirements
from dynolab.spec.profiles import Profile


class ProfileView(Profile):
    """A profile document; ``print`` shows what the command line does."""

    __slots__ = ()

    def __str__(self) -> str:
        return text.plugin.render([self])

    def __repr__(self) -> str:
        time = self.inference.time
        figure = f"inference {show_stage_time(time)}" if time else "inference not measured"
        verdict = self.inference.verdict.trust.value
        return f"<Profile {self.model.name!r} on {runtime_text(self)}, {device_text(self)}: {figure}, {verdict}>"

    def assert_time(self, limit: str, stage: str = "inference") -> ProfileView:
        """This profile, if the time of a stage is within a limit such as ``< 10 ms``.

        Raises :class:`AssertionError` with the figures where it is not, and where it cannot be told.
        """
        key = "estimated_inference_time" if stage == "inference" else f"{stage}_time"
        return self._assert(f"{key} {limit}")

    def assert_memory(self, limit: str, stage: str | None = None) -> ProfileView:
        """This profile, if the peak of the whole process, or of one stage, is within a limit such as ``< 200 MB``.

        Raises :class:`AssertionError` as :meth:`assert_time` does.
        """
        return self._assert(f"{'process_total_peak' if stage is None else f'{stage}_memory_peak'} {limit}")

    def _assert(self, text: str) -> ProfileView:
        decision = requirements.decide(requirements.parse(text), self)
        if decision.outcome is not requirements.Outcome.MET:
            raise AssertionError(f"{decision.outcome}: {decision.sentence}")
        return self

    def _repr_html_(self) -> str:
        return fragment(self)


def as_view(profile: Profile) -> ProfileView:
    """The same profile, which shows itself."""
    return ProfileView(**{field.name: getattr(profile, field.name) for field in fields(profile)})
