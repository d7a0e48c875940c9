"""What a job is asked to do, and what can be told of that without a look at models, data or devices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from dynolab.errors import SpecInvalid
from dynolab.hub.usecases import bounds
from dynolab.spec import codec, compile_options, link_options, quantize_options, requirements
from dynolab.spec import options as options_module
from dynolab.spec.compiles import InputSpec, check_input_specs
from dynolab.spec.duets import DuetTerms
from dynolab.spec.input_shapes import Shapes, check_shapes
from dynolab.spec.quantizes import check_widths
from dynolab.spec.toolchain_support import MAKING

PRIORITY_MOST = 10
"""Owners may ask for -10 to 10."""
DEADLINE_MOST_S = 24 * 3600
BUDGET_MOST_S = 1800
"""Of a comparison: well within the hub's own bound of a run."""
WAITS_MOST = 100
REQUIREMENTS_MOST = 50
LINKED_MOST = 50


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a job's model is compared with: the baseline, which is side A, its options, and what is to be decided."""

    baseline_id: str
    options: str
    terms: DuetTerms

    @classmethod
    def of_row(cls, row: Any) -> Comparison | None:
        """That of a job's row; None: it compares nothing."""
        if row.baseline_id is None:
            return None
        return cls(row.baseline_id, row.comparison["options"], codec.decode(DuetTerms, row.comparison["terms"]))

    def document(self) -> dict[str, Any]:
        """As the job's row keeps it, beside the baseline's id."""
        return {"options": self.options.strip(), "terms": codec.encode(self.terms)}

    def check(self) -> None:
        """Raise :class:`SpecInvalid` for options that nobody knows, or terms that nothing can be decided by."""
        bounds.check_text(self.options, "options", bounds.OPTIONS)
        bounds.check_text(self.baseline_id, "model_id")
        options_module.check_sustained(options_module.parse(self.options), measures=False)
        checked_terms(self.terms)


@dataclass(frozen=True, slots=True)
class JobRequest:
    """What a job is to do.

    ``kind``: ``profile``, ``inference`` (with a dataset), ``compare`` (with another model), ``compile``, ``quantize`` (with a
    dataset to calibrate by, and without a device) or ``link`` (with further models).
    """

    kind: str
    model_id: str
    device_name: str
    device_os: str
    device_attributes: tuple[str, ...] = ()
    name: str = ""
    options: str = ""
    measures: bool = True
    dataset_id: str | None = None
    project_id: str = ""
    idempotency_key: str | None = None
    """The same key of the same account within a day stands for the same job."""
    priority: int = 0
    """-10 to 10; the higher goes first."""
    deadline_s: float | None = None
    """How long an attempt may run; None: the hub's own bound (:attr:`Limits.run_s`)."""
    input_shapes: Shapes = field(default_factory=dict)
    """Of inputs whose dimensions the model leaves open; a dataset has its own."""
    requirements: tuple[str, ...] = ()
    """Limits that the profile is held against, such as ``estimated_inference_time <= 33 ms``."""
    keeps_artifact: bool = False
    """Whether what compile makes is left, too."""
    waits_for: tuple[str, ...] = ()
    """Jobs that must be done before this one is queued; if one of them is not to be, this one fails."""
    comparison: Comparison | None = None
    """Of a job that compares."""
    input_specs: Mapping[str, InputSpec] | None = None
    """Of a job that compiles: shapes and element types of inputs, in their order."""
    weights_dtype: str = ""
    activations_dtype: str = ""
    """Of a job that quantises."""
    linked_ids: tuple[str, ...] = ()
    """Of a job that links: models beside the first, in their order; none, where the one is to be a file of its own."""


def check_request(request: JobRequest) -> None:
    """Raises :class:`SpecInvalid` for what no job of its kind can be asked."""
    check_bounds(request)
    check_shapes(request.input_shapes)
    check_kind(request)
    if request.input_shapes and request.dataset_id is not None:
        raise SpecInvalid("input shapes and a dataset are given", hint="a dataset has shapes of its own")
    required = checked_requirements(request.requirements)
    if required and not request.measures:
        raise SpecInvalid(f"{required[0]!r} is required of a job that does not measure", hint="have it measure as well")
    checked_priority(request.priority)
    if request.deadline_s is not None:
        checked_deadline(request.deadline_s)


KINDS = ("profile", "inference", "compare", "compile", "quantize", "link")
"""Of jobs, in the order that they are listed in."""
_WIDTHS, _OF_RUNS = ("weights_dtype", "activations_dtype"), ("requirements", "keeps_artifact")
NOT_TAKEN = {
    "compare": ("dataset_id", *_OF_RUNS, "input_specs", "linked_ids", *_WIDTHS),
    "compile": ("dataset_id", *_OF_RUNS, "input_shapes", "comparison", "linked_ids", *_WIDTHS),
    "quantize": (*_OF_RUNS, "input_shapes", "comparison", "input_specs", "linked_ids"),
    "link": ("dataset_id", *_OF_RUNS, "input_shapes", "comparison", "input_specs", *_WIDTHS),
    "inference": ("comparison", "input_specs", "linked_ids", *_WIDTHS),
    "profile": ("comparison", "input_specs", "linked_ids", *_WIDTHS),
}
"""What jobs of a kind cannot be given."""
NOUNS = {"dataset_id": "dataset", "keeps_artifact": "artifact", "linked_ids": "further models"}
"""How these are called; the others by their names in words."""


def check_kind(request: JobRequest) -> None:
    """Raises :class:`SpecInvalid` for what a job of its kind needs and lacks, or cannot have, and for options nobody knows."""
    if request.kind == "inference" and request.dataset_id is None:
        raise SpecInvalid("a job of kind inference needs a dataset")
    if request.kind == "quantize":
        check_widths(request.weights_dtype, request.activations_dtype)
        if request.dataset_id is None:
            raise SpecInvalid(
                "a job of kind quantize needs a dataset",
                hint="its samples are what the ranges of activations are taken from",
            )
    if request.kind == "compare" and request.comparison is None:
        raise SpecInvalid("a job of kind compare needs a model to compare with", hint="name it as the baseline")
    given = next((name for name in NOT_TAKEN[request.kind] if getattr(request, name)), None)
    if given is not None:
        noun = NOUNS.get(given, given.replace("_", " "))
        raise SpecInvalid(f"a job of kind {request.kind} takes no {noun}", hint="leave it out, or choose another kind")
    if request.comparison is not None:
        request.comparison.check()
    if request.kind == "compile":
        compile_options.parse(request.options)
        check_input_specs(request.input_specs or {})
    elif request.kind == "quantize":
        quantize_options.parse(request.options)
    elif request.kind == "link":
        link_options.parse(request.options)
    else:
        options = options_module.parse(request.options)
        options_module.check_sustained(options, measures=request.measures and request.kind != "compare")
        if options.sustained_s is not None and request.deadline_s is not None:
            _check_time(options.sustained_s, request.deadline_s)


def _check_time(sustained_s: float, deadline_s: float) -> None:
    """Raises :class:`SpecInvalid` for a deadline that a sustained run never meets."""
    if deadline_s <= sustained_s:
        raise SpecInvalid(
            f"a deadline of {deadline_s:g} s ends before the sustained run of {sustained_s:g} s is over",
            hint="allow more, or leave the deadline out: the hub then adds the run to its own",
        )


def with_time(request: JobRequest, run_s: float) -> JobRequest:
    """The request with a deadline of its own where the hub's, ``run_s``, leaves no room for the sustained run that it asks for."""
    if request.deadline_s is not None or request.kind in MAKING:
        return request
    sustained_s = options_module.parse(request.options).sustained_s
    return request if sustained_s is None else replace(request, deadline_s=min(DEADLINE_MOST_S, run_s + sustained_s))


def check_bounds(request: JobRequest) -> None:
    """Raises :class:`SpecInvalid` before anything is looked into."""
    bounds.check_text(request.options, "options", bounds.OPTIONS)
    for text, what in ((request.model_id, "model_id"), (request.project_id, "project_id")):
        bounds.check_text(text, what)
    bounds.check_text(request.dataset_id or "", "dataset_id")
    bounds.check_shapes(request.input_shapes)
    bounds.check_shapes({name: one.shape for name, one in (request.input_specs or {}).items()})
    bounds.check_texts(request.requirements, "requirements", REQUIREMENTS_MOST)
    if len(request.waits_for) > WAITS_MOST:
        raise SpecInvalid(f"the job waits for {len(request.waits_for)} jobs; {WAITS_MOST} is the most")
    bounds.check_texts(request.waits_for, "waits_for", WAITS_MOST)
    bounds.check_texts(request.linked_ids, "linked_ids", LINKED_MOST)


def checked_terms(terms: DuetTerms) -> DuetTerms:
    """The same. Raises :class:`SpecInvalid`."""
    terms.check()
    if terms.budget_s > BUDGET_MOST_S:
        raise SpecInvalid(f"a budget of {terms.budget_s:g} s: at most {BUDGET_MOST_S} s are taken")
    return terms


def checked_requirements(texts: Sequence[str]) -> list[str]:
    """The same requirements, each once. Raises :class:`SpecInvalid` for one that cannot be read, or too many."""
    if len(texts) > REQUIREMENTS_MOST:
        raise SpecInvalid(f"{len(texts)} requirements; {REQUIREMENTS_MOST} is the most")
    return list(dict.fromkeys(requirements.parse(" ".join(text.split())).text for text in texts))


def checked_priority(priority: int) -> int:
    """The same. Raises :class:`SpecInvalid`."""
    if abs(priority) > PRIORITY_MOST:
        raise SpecInvalid(f"priority {priority} is not in -{PRIORITY_MOST} to {PRIORITY_MOST}")
    return priority


def checked_deadline(deadline_s: float) -> float:
    """The same. Raises :class:`SpecInvalid`."""
    if not 0 < deadline_s <= DEADLINE_MOST_S:
        raise SpecInvalid(f"a deadline of {deadline_s:g} s: more than 0 and at most {DEADLINE_MOST_S} s are taken")
    return deadline_s


def widths(request: JobRequest) -> str:
    """What a model is quantised to, in the field's short form, such as ``w8a16``."""
    return f"w{request.weights_dtype.removeprefix('int')}a{request.activations_dtype.removeprefix('int')}"


def plain_shapes(shapes: Shapes) -> dict[str, list[int]]:
    """Shapes as a job's row keeps them."""
    return {name: list(shape) for name, shape in shapes.items()}
