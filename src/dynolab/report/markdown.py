"""A summary in Markdown, for a pull request's comment."""

from __future__ import annotations

from collections.abc import Sequence

from dynolab.report.base import (
    Report,
    basis_text,
    condensed,
    crop,
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
from dynolab.spec.profiles import Profile, Stage, Trust
from dynolab.spec.requirements import Outcome, decide_all
from dynolab.spec.show import show_range, show_share, show_stepped

TOP = 5
_SIGNS = {Outcome.MET: "✅", Outcome.NOT_MET: "❌", Outcome.CANNOT_TELL: "❔"}
_OTHERS = ("first_inference_time", "process_total_peak_range", "runtime_import_time", "runtime_import_memory_range")
_MARKS = str.maketrans({mark: f"\\{mark}" for mark in "\\`*_{}[]#|~"} | {"<": "&lt;", ">": "&gt;", "&": "&amp;",
                                                                             "@": "&#64;"})  # fmt: skip


class MarkdownReport(Report):
    """One table of stages, one of the other figures, decisions, notices, and the heaviest layers folded away."""

    name = "markdown"
    file_name = "summary.md"
    description = "a summary for a pull request's comment"
    several = True

    def render(self, profiles: Sequence[Profile]) -> str:
        shown = some(profiles, self.name)
        names = [plain(label) for label in labels(shown)]
        told = precision.first_word(shown, labels(shown))
        first = [] if told is None else [f"⚠️ **{plain(told, 400)}**"]
        blocks = [*first, *_heading(shown), *_stages(shown, names), *_others(shown, names)]
        for name, profile in zip(names, shown, strict=True):
            blocks += _remarks(profile, name if len(shown) > 1 else None)
        return "\n\n".join(blocks) + "\n"


def plain(text: str, width: int = 200) -> str:
    """The text as Markdown that reads as the text itself: no markup, no mention, no second line."""
    return crop(text, width).translate(_MARKS)


def _heading(profiles: Sequence[Profile]) -> list[str]:
    models = list(dict.fromkeys(plain(profile.model.name) for profile in profiles))
    rows = []
    for profile in profiles:
        parts = [runtime_text(profile), device_text(profile), threads_text(profile)]
        rows.append(" · ".join(plain(part) for part in parts if part))
    return [f"### {' and '.join(models)}", "  \n".join(dict.fromkeys(rows))]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], left: int) -> str:
    """A table whose first ``left`` columns are words and whose others are figures."""
    rule = ["---" if column < left else "---:" for column in range(len(head))]
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, rule, *rows])


def _stages(profiles: Sequence[Profile], names: Sequence[str]) -> list[str]:
    many = len(profiles) > 1
    rows = []
    for stages in zip(*(profile.stages for profile in profiles), strict=True):
        for name, stage in zip(names, stages, strict=True):
            title = stage_title(stage)
            rows.append([f"{title}, {name}" if many else title, _verdict(stage), *_figures(stage)])
    return [_table(["Stage", "Verdict", "Time", "Memory peak", "Memory increase"], rows, 2)]


def _verdict(stage: Stage) -> str:
    if stage.reason is not None:
        return "not measured"
    trust = stage.verdict.trust
    return trust.value if trust is Trust.CLEAN else f"**{trust.value}**"


def _figures(stage: Stage) -> list[str]:
    time, memory = stage.time, stage.memory
    ranges = ["-", "-"] if memory is None else [show_range(memory.peak), show_range(memory.increase)]
    return ["-" if time is None else show_stage_time(time), *ranges]


def _others(profiles: Sequence[Profile], names: Sequence[str]) -> list[str]:
    rows = [[fact(key).title, *(fact(key).show(profile) for profile in profiles)] for key in _OTHERS]
    head = ["", *(names if len(profiles) > 1 else [""])]
    return [_table(head, rows, 1)]


def _remarks(profile: Profile, name: str | None) -> list[str]:
    """Decisions, notices and reasons of one profile, and its heaviest layers."""
    lines = [f"- {_SIGNS[d.outcome]} **{d.outcome}**: {plain(d.sentence, 400)}" for d in decide_all(profile)]
    for stage in profile.stages:
        if stage.reason is None and stage.verdict.trust is not Trust.CLEAN:
            reasons = "; ".join(condensed(stage.verdict.reasons, 2)) or "no reason was recorded"
            lines.append(f"- {stage_title(stage)} is **{stage.verdict.trust}**: {plain(reasons, 400)}")
    lines += [
        f"- {stage_title(stage)} was not measured: {plain(stage.reason)}" for stage in profile.stages if stage.reason
    ]
    lines += [f"- {', '.join(titles)}: {plain(reason)}" for reason, titles in gaps(profile, _OTHERS).items()]
    for notice in profile.notices:
        if notice.level != "info" and (name is not None or notice.code != precision.CODE):  # alone, it stands first
            lines.append(f"- ⚠️ {plain(notice.text, 400)}")
    head = [f"**{name}**"] if name and lines else []
    return [*head, *(["\n".join(lines)] if lines else []), *_layers(profile)]


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
