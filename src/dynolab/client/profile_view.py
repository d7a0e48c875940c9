"""Profiles that show themselves: as a table where they are printed, as a panel in a notebook."""

from __future__ import annotations

from dataclasses import fields

from dynolab.report import text
from dynolab.report.base import device_text, runtime_text, show_stage_time
from dynolab.report.html.fragment import fragment
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

    def _repr_html_(self) -> str:
        return fragment(self)


def as_view(profile: Profile) -> ProfileView:
    """The same profile, which shows itself."""
    return ProfileView(**{field.name: getattr(profile, field.name) for field in fields(profile)})
