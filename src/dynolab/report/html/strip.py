"""The answer first, worked out for a page: figures with their definitions and verdicts, decisions. No markup."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass

from dynolab.errors import SpecInvalid
from dynolab.report._answer import Item, answer, without_why
from dynolab.report.base import Say
from dynolab.report.html.tables import Badge
from dynolab.spec.measurements import Notice
from dynolab.spec.profiles import Profile
from dynolab.spec.requirements import Decision, parse
from dynolab.spec.show import show_share

_WITH_LAYERS = ("layers-disturbed", "layers-not-calm")
"""Codes of notices that the part on layers tells in its own words."""


@dataclass(frozen=True, slots=True)
class StripItem:
    """A figure or fact; ``loud`` and ``quiet`` are the English sentences that must be known beside it."""

    title: str
    anchor: str | None
    text: str
    reason: str | None
    badge: Badge | None
    doubtful: bool
    loud: list[str]
    quiet: list[str]


@dataclass(frozen=True, slots=True)
class DecisionView:
    """A requirement as it was written, its figure's name apart (``key``, which ``anchor`` defines), and what became of it."""

    badge: Badge
    key: str
    limit: str
    anchor: str | None
    """None: the figure is not known here."""
    figure: str
    within: str | None
    """The share of the iterations within the limit, in words."""
    why: str


@dataclass(frozen=True, slots=True)
class Strip:
    """What a page says of a profile before anything else; ``notices`` are those that stand beside none of it."""

    alert: str | None
    items: list[StripItem]
    why: str | None
    told: str | None
    """The reason in ``why``, which no card tells again."""
    decisions: list[DecisionView]
    notices: tuple[Notice, ...]


def strip(profile: Profile, say: Say) -> Strip:
    """The strip of one profile."""
    found = answer(profile, say)
    return Strip(
        alert=found.alert,
        items=[_item(item) for item in found.items],
        why=found.why,
        told=found.reason,
        decisions=[_decision(one, found.why, say) for one in found.decisions],
        notices=tuple(one for one in found.notices if one.code not in _WITH_LAYERS),
    )


def _item(item: Item) -> StripItem:
    return StripItem(
        title=item.title,
        anchor=item.anchor,
        text=_dashed(item.text),
        reason=item.reason,
        badge=None if item.trust is None else Badge(item.trust.value),
        doubtful=item.doubtful,
        loud=[notice.text for notice in item.notices if notice.level != "info"],
        quiet=[notice.text for notice in item.notices if notice.level == "info"],
    )


def _decision(made: Decision, why: str | None, say: Say) -> DecisionView:
    key = re.split(r"[\s<>=!]", made.text, maxsplit=1)[0]
    anchor = None
    with suppress(SpecInvalid):  # a profile of another version
        anchor = parse(made.text).fact.anchor
    share = None if made.within is None else show_share(made.within)
    return DecisionView(
        badge=Badge(made.outcome.value),
        key=key,
        limit=made.text.removeprefix(key),
        anchor=anchor,
        figure=_dashed(made.figure),
        within=None if share is None else say("{share} of the iterations within the limit", share=share),
        why=without_why(made.why, why),
    )


def _dashed(text: str) -> str:
    return text.replace(" - ", " – ")
