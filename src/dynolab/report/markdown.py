"""A summary in Markdown, for a pull request's comment."""

from __future__ import annotations

from collections.abc import Sequence

from dynolab.report._answer import Answer, Item, answer, without_why
from dynolab.report._markdown_text import plain
from dynolab.report._sustained import rows, sparkline
from dynolab.report.base import (
    Report,
    basis_text,
    condensed,
    device_text,
    gaps,
    labels,
    layer_name,
    line,
    ranked,
    runtime_text,
    show_stage_time,
    some,
    stage_title,
    threads_text,
)  # fmt: skip
from dynolab.spec import precision
from dynolab.spec.facts import fact
from dynolab.spec.measurements import StageName
from dynolab.spec.profiles import Profile, Stage, Trust
from dynolab.spec.requirements import Outcome
from dynolab.spec.show import show_range, show_share, show_stepped

TOP = 5
_SIGNS = {Outcome.MET: "✅", Outcome.NOT_MET: "❌", Outcome.CANNOT_TELL: "❔"}
_OTHERS = ("first_inference_time", "inference_memory_growth", "runtime_import_time", "runtime_import_memory_range",
           "inference_energy")  # fmt: skip


class MarkdownReport(Report):
    """The answer first, then the stages, the other figures, notices, and the heaviest layers folded away."""

    name = "markdown"
    file_name = "summary.md"
    description = "a summary for a pull request's comment"
    several = True

    def render(self, profiles: Sequence[Profile]) -> str:
        shown = some(profiles, self.name)
        names = [plain(label) for label in labels(shown)]
        answers = [answer(profile) for profile in shown]
        told = precision.first_word(shown, labels(shown))
        blocks = [] if told is None else [f"⚠️ **{plain(told, 400)}**"]
        blocks += [*_heading(shown), _strip(answers, names)]
        details = [_stages(shown, names), _others(shown, names)]
        if len(shown) == 1:
            blocks += [*_decided(answers[0]), *details, *_sustained(shown[0]), *_remarks(shown[0], answers[0])]
            blocks += _layers(shown[0])
            return "\n\n".join(blocks) + "\n"
        blocks += details
        for name, profile, found in zip(names, shown, answers, strict=True):
            alert = [] if found.alert is None else [f"⚠️ {plain(found.alert, 400)}"]
            parts = [*alert, *_decided(found), *_sustained(profile), *_remarks(profile, found)]
            blocks += [*([f"**{name}**"] if parts else []), *parts, *_layers(profile)]
        return "\n\n".join(blocks) + "\n"


def _heading(profiles: Sequence[Profile]) -> list[str]:
    models = list(dict.fromkeys(plain(profile.model.name) for profile in profiles))
    rows = []
    for profile in profiles:
        parts = [runtime_text(profile), device_text(profile), threads_text(profile)]
        rows.append(" · ".join(plain(part) for part in parts if part))
    return [f"### {' and '.join(models)}", "  \n".join(dict.fromkeys(rows))]


def _strip(answers: Sequence[Answer], names: Sequence[str]) -> str:
    """What stands first: a row per question, a column per profile, with what must be known beside the figures."""
    rows = []
    for items in zip(*(found.items for found in answers), strict=True):
        cells = [_cell(item, found) for item, found in zip(items, answers, strict=True)]
        rows.append([f"**{items[-1].title}**", *cells])
    return _table(["", *(names if len(names) > 1 else [""])], rows, 1 + len(names))


def _cell(item: Item, found: Answer) -> str:
    first = item is found.items[0]
    parts = [plain(item.text)]
    if item.trust is not None and (first or item.trust is not Trust.CLEAN):
        parts[0] += f", {item.trust}" if item.trust is Trust.CLEAN else f", **{item.trust}**"
    parts += [plain(found.why, 400)] if first and found.why else []
    parts += [plain(item.reason, 400)] if item.reason else []
    parts += [f"{'' if one.level == 'info' else '⚠️ '}{plain(one.text, 400)}" for one in item.notices]
    return "<br>".join(parts)


def _decided(found: Answer) -> list[str]:
    lines = [
        f"- {_SIGNS[one.outcome]} **{one.outcome}**: {plain(without_why(one.sentence, found.why), 400)}"
        for one in found.decisions
    ]
    return ["\n".join(lines)] if lines else []


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], left: int) -> str:
    """A table whose first ``left`` columns are words and whose others are figures."""
    rule = ["---" if column < left else "---:" for column in range(len(head))]
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, rule, *rows])


def _stages(profiles: Sequence[Profile], names: Sequence[str]) -> str:
    many = len(profiles) > 1
    rows = []
    for stages in zip(*(profile.stages for profile in profiles), strict=True):
        for name, stage in zip(names, stages, strict=True):
            title = stage_title(stage)
            rows.append([f"{title}, {name}" if many else title, _verdict(stage), *_figures(stage)])
    return _table(["Stage", "Verdict", "Time", "Memory peak", "Memory increase"], rows, 2)


def _verdict(stage: Stage) -> str:
    if stage.reason is not None:
        return "not measured"
    trust = stage.verdict.trust
    return trust.value if trust is Trust.CLEAN else f"**{trust.value}**"


def _figures(stage: Stage) -> list[str]:
    time, memory = stage.time, stage.memory
    ranges = ["-", "-"] if memory is None else [show_range(memory.peak), show_range(memory.increase)]
    return ["-" if time is None else show_stage_time(time), *ranges]


def _others(profiles: Sequence[Profile], names: Sequence[str]) -> str:
    rows = [[fact(key).title, *(fact(key).show(profile) for profile in profiles)] for key in _OTHERS]
    head = ["", *(names if len(profiles) > 1 else [""])]
    return _table(head, rows, 1)


def _sustained(profile: Profile) -> list[str]:
    """The curve as a line of blocks, the figures, and what is to be held against them."""
    found = profile.sustained
    if found is None:
        return [] if profile.sustained_reason is None else [f"- ⚠️ {plain(profile.sustained_reason, 400)}"]
    table = _table(["Sustained run", ""], [[plain(title), plain(text, 400)] for title, text in rows(found)], 2)
    trust = found.verdict.trust
    doubts = [f"- Sustained run is **{trust}**: {plain(reason, 400)}" for reason in found.verdict.reasons]
    return [table, f"`{sparkline(found)}`", *(["\n".join(doubts)] if doubts else [])]


def _remarks(profile: Profile, found: Answer) -> list[str]:
    """Notices and reasons of one profile, but those that stand beside a figure."""
    lines = []
    for stage in profile.stages:
        if stage.reason is None and stage.verdict.trust is not Trust.CLEAN:
            lines += _doubt(stage, found.reason if stage.name is StageName.INFERENCE else None)
    lines += [
        f"- {stage_title(stage)} was not measured: {plain(stage.reason)}" for stage in profile.stages if stage.reason
    ]
    lines += [f"- {', '.join(titles)}: {plain(reason)}" for reason, titles in gaps(profile, _OTHERS).items()]
    lines += [f"- ⚠️ {plain(notice.text, 400)}" for notice in found.notices if notice.level != "info"]
    return ["\n".join(lines)] if lines else []


def _doubt(stage: Stage, told: str | None) -> list[str]:
    """Why a stage is not clean; nothing where that was told before."""
    reasons = [reason for reason in stage.verdict.reasons if reason != told]
    if told is not None and not reasons:
        return []
    words = "; ".join(condensed(reasons, 2)) or "no reason was recorded"
    return [f"- {stage_title(stage)} is **{stage.verdict.trust}**: {plain(words, 400)}"]


def _layers(profile: Profile) -> list[str]:
    layers = profile.layers.layers
    if not layers:
        return []
    whole = sum(layer.time_ns for layer in layers) or 1
    rows = [
        [str(number), plain(layer_name(layer.name), 80), plain(layer.type, 40), layer.compute_unit.value,
         show_stepped(layer.time_ns, profile.layers.resolution_ns), show_share(layer.time_ns / whole)]
        for number, layer in ranked(layers)[:TOP]
    ]  # fmt: skip
    title = f"The heaviest {len(rows)} of {len(layers):,} layers" if len(rows) < len(layers) else "Layers"
    told = [basis_text(profile.layers), "disturbed" if profile.layers.is_disturbed else None]
    title = ", ".join([title, *filter(None, told)])
    table = _table(["#", "Layer", "Type", "Unit", "Time", "Share"], rows, 4)
    return [f"<details><summary>{line(title)}</summary>\n\n{table}\n\n</details>"]


plugin = MarkdownReport()
