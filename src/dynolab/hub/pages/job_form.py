"""The form that submits jobs: its fields read, checked, and made into requests."""

from __future__ import annotations

import hashlib
import secrets
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import parse_qs, urlencode

from dynolab.errors import Error, SpecInvalid
from dynolab.hub.pages.option_fields import TEXT, Merged, field_values, merge
from dynolab.hub.pages.texts import refusal
from dynolab.hub.usecases.base import checked_name
from dynolab.hub.usecases.find_devices import OWNER, DeviceModel
from dynolab.hub.usecases.job_request import (
    KINDS as ALL_KINDS,
)
from dynolab.hub.usecases.job_request import (
    WAITS_MOST,
    Comparison,
    JobRequest,
    checked_deadline,
    checked_priority,
    checked_requirements,
    checked_terms,
)
from dynolab.spec import compile_options, link_options, quantize_options
from dynolab.spec.compiles import InputSpec, check_input_specs, parse_input_specs
from dynolab.spec.duets import DEFAULT_BUDGET_S, DuetTerms
from dynolab.spec.input_shapes import Shapes, check_shapes, parse_shapes
from dynolab.spec.options import parse as parse_options
from dynolab.spec.quantizes import ACTIVATIONS, WEIGHTS
from dynolab.spec.toolchain_support import MAKING

KINDS = ALL_KINDS
"""Of jobs that the form submits."""
MODEL_FILE, BASELINE_FILE, DATASET_FILE = "model_file", "baseline_file", "dataset_file"
COMING = "-"
"""Stands for a model or dataset whose file is yet to come, while the rest is checked."""
DEVICES_MOST = 50
OF_QUANTIZE_FIELDS = ("range_scheme",)
"""Options of quantize jobs that have fields of their own."""
Value = TypeVar("Value")


@dataclass
class JobForm:
    """The form as it was sent: texts by field, and problems by the field that they stand beside."""

    texts: dict[str, list[str]] = field(default_factory=dict)
    problems: dict[str, Error] = field(default_factory=dict)

    def text(self, name: str, default: str = "") -> str:
        """The field's text, empty where it was left out."""
        return self.texts.get(name, [default])[-1]

    def leave_out(self, name: str, text: str | None = None) -> None:
        """As if the field had been empty; of a field with several texts: as if this one had not been among them."""
        kept = [one for one in self.texts.pop(name, []) if text is not None and one != text]
        if kept:
            self.texts[name] = kept

    @property
    def kind(self) -> str:
        """One of :data:`KINDS`."""
        found = self.text("kind", KINDS[0])
        return found if found in KINDS else KINDS[0]

    @property
    def has_device(self) -> bool:
        """Whether the job is for a device: what is quantised is quantised for all."""
        return self.kind != "quantize"

    @property
    def takes_dataset(self) -> bool:
        """Whether the job needs a dataset, to infer or to calibrate with."""
        return self.kind in ("inference", "quantize")

    @property
    def measures(self) -> bool:
        """Whether an inference job is to be measured as well; a form that was not filled in yet says so."""
        return "kind" not in self.texts or bool(self.text("measures"))

    @property
    def key(self) -> str:
        """What makes a form that is sent twice the same jobs."""
        return self.text("key") or secrets.token_urlsafe(12)

    @property
    def devices(self) -> list[str]:
        """The chosen device models, as :func:`device_value` writes them."""
        return list(dict.fromkeys(self.texts.get("device", [])))

    def options(self) -> Merged:
        """What fields and text ask for, together."""
        fields = field_values((name, texts[-1]) for name, texts in self.texts.items())
        return merge(fields, self.text(TEXT), self.text("was"))

    def check(self) -> None:
        """Note the problems that can be told without looking anything up."""
        if not self.text("model") and MODEL_FILE not in self.problems:
            self.problems[MODEL_FILE] = SpecInvalid("there is no model", hint="choose a file, or a model that is here")
        if self.has_device:
            self._check_devices()
        if self.takes_dataset and not self.text("dataset") and DATASET_FILE not in self.problems:
            self.problems[DATASET_FILE] = SpecInvalid(
                f"a job of kind {self.kind} needs a dataset",
                hint="choose an .h5 file, or a dataset that is here",
            )
        if self.kind == "compile":
            self._check_compile()
        elif self.kind == "quantize":
            self._check_quantize()
        elif self.kind == "link":
            self._noted("link_options", link_options.parse)
        else:
            self._check_run()
        self._noted("name", lambda text: checked_name(text, "job"))
        self._number("priority", _priority)
        self._number("deadline_s", _deadline)
        if len(self.waits_for) > WAITS_MOST:
            self.problems["waits_for"] = SpecInvalid(f"{len(self.waits_for)} jobs; {WAITS_MOST} is the most")

    def _check_devices(self) -> None:
        """Note that none, or too many, are chosen."""
        if not self.devices:
            self.problems["device"] = SpecInvalid("no device is chosen", hint="choose one or more")
        elif len(self.devices) > DEVICES_MOST:
            self.problems["device"] = SpecInvalid(f"{len(self.devices)} devices are chosen; {DEVICES_MOST} is the most")

    def _check_compile(self) -> None:
        """Note what is wrong with the fields of a job that compiles."""
        if not self.target:
            self.problems["target"] = SpecInvalid("no target is chosen", hint="choose what the model is compiled for")
        self._noted("compile_options", compile_options.parse)
        if self.target and "compile_options" not in self.problems:
            self._noted("output_names", lambda _: compile_options.parse(self._compile_options))
        self._noted("input_specs", lambda _: self._specs())

    def _check_quantize(self) -> None:
        """Note what is wrong with the fields of a job that quantises."""
        for name, given, taken in (
            ("weights", self.weights, WEIGHTS),
            ("activations", self.activations, ACTIVATIONS),
        ):
            if given not in taken:
                self.problems[name] = SpecInvalid(
                    f"{name} are not quantised to {given[:40]!r}", hint=f"{' or '.join(taken)} are known"
                )
        self._noted("quantize_options", quantize_options.parse)
        if "quantize_options" not in self.problems:
            self._noted("range_scheme", lambda _: quantize_options.parse(self._quantize_options))

    def _check_run(self) -> None:
        """Note what is wrong with the fields of a job that runs a model on a device."""
        if self.kind == "compare" and not self.text("baseline") and BASELINE_FILE not in self.problems:
            self.problems[BASELINE_FILE] = SpecInvalid(
                "a comparison needs a second model", hint="choose a file, or a model that is here"
            )
        self.problems |= self.options().problems
        if self.kind == "compare":
            self._noted("baseline_options", lambda _: parse_options(self._baseline_options))
            self._noted("budget", lambda _: self._terms())
        self._check_requirements()
        self._noted("input_shapes", lambda _: self._shapes())
        if self.kind == "inference" and not self.measures and self.text("requirements"):
            self.problems.setdefault(
                "requirements",
                SpecInvalid(
                    "a job that does not measure meets no requirement",
                    hint="leave them out, or have it measure as well",
                ),
            )

    def _check_requirements(self) -> None:
        """Note every line that cannot be read; where all can, whether there are too many."""
        wrong = []
        for line in self._lines("requirements"):
            try:
                checked_requirements([line])
            except SpecInvalid as error:
                wrong.append(error)
        if wrong:
            self.problems["requirements"] = joined_problems(wrong)
        else:
            self._noted("requirements", lambda _: self._requirements())

    def _lines(self, name: str) -> list[str]:
        return [line.strip() for line in self.text(name).splitlines() if line.strip()]

    def _shapes(self) -> Shapes:
        """One a line; an inference job has its dataset's, one that compiles has specs. Raises :class:`SpecInvalid`."""
        found = parse_shapes(self._lines("input_shapes")) if self.kind not in ("inference", *MAKING) else {}
        check_shapes(found)
        return found

    def _requirements(self) -> tuple[str, ...]:
        """One a line; what measures no single model has none. Raises :class:`SpecInvalid`."""
        if self.kind in ("compare", *MAKING):
            return ()
        return tuple(checked_requirements(self._lines("requirements")))

    def _comparison(self) -> Comparison | None:
        """What the model is compared with; None: nothing. Raises :class:`SpecInvalid`, and :class:`ValueError` for no number."""
        if self.kind != "compare":
            return None
        return Comparison(self.text("baseline"), self._baseline_options, self._terms())

    @property
    def linked(self) -> list[str]:
        """The ids of the models that are linked beside the first."""
        return [one for one in dict.fromkeys(self.texts.get("linked", [])) if one and one != self.text("model")]

    @property
    def target(self) -> str:
        """What the model is compiled for."""
        return self.text("target")

    @property
    def weights(self) -> str:
        """What weights are quantised to."""
        return self.text("weights") or WEIGHTS[0]

    @property
    def activations(self) -> str:
        """What activations are quantised to."""
        return self.text("activations") or ACTIVATIONS[0]

    @property
    def _quantize_options(self) -> str:
        """What the range scheme and the text ask for, together."""
        scheme = self.text("range_scheme")
        return " ".join(
            filter(None, [scheme and f"--range_scheme={shlex.quote(scheme)}", self.text("quantize_options").strip()])
        )

    @property
    def _compile_options(self) -> str:
        """What the target, the names of the outputs and the text ask for, together."""
        names = ",".join(self.text("output_names").replace(",", " ").split())
        words = [
            f"--target_runtime={shlex.quote(self.target)}",
            f"--output_names={shlex.quote(names)}" if names else "",
        ]
        return " ".join(filter(None, [*words, self.text("compile_options").strip()]))

    def _specs(self) -> dict[str, InputSpec]:
        """One a line. Raises :class:`SpecInvalid`."""
        found = parse_input_specs(self._lines("input_specs"))
        check_input_specs(found)
        return found

    @property
    def _baseline_options(self) -> str:
        """Those of side A: its own, or the job's."""
        return self.text("baseline_options") if self.text("other_options") else self.options().text

    def _terms(self) -> DuetTerms:
        """What is to be decided. Raises :class:`SpecInvalid`, and :class:`ValueError` for no number."""
        budget = self.text("budget")
        return checked_terms(DuetTerms(budget_s=float(budget) if budget else DEFAULT_BUDGET_S))

    @property
    def waits_for(self) -> tuple[str, ...]:
        """The ids of the jobs to wait for."""
        return tuple(dict.fromkeys(self.text("waits_for").replace(",", " ").split()))

    def _options_text(self) -> str:
        """The options of the job's kind, in AI Hub's grammar."""
        texts = {
            "compile": self._compile_options,
            "quantize": self._quantize_options,
            "link": self.text("link_options").strip(),
        }
        return texts[self.kind] if self.kind in texts else self.options().text

    def request(self, device: DeviceModel | None) -> JobRequest:
        """What a sound form asks of one device model; None: the job has none."""
        words = (self.key, self.text("model"), "" if device is None else device_value(device))
        quantizes = self.kind == "quantize"
        return JobRequest(
            kind=self.kind,
            model_id=self.text("model"),
            device_name="" if device is None else device.name,
            device_os="" if device is None else device.os,
            device_attributes=() if device is None else (*device.attributes, f"{OWNER}{device.owner}"),
            name=self.text("name"),
            options=self._options_text(),
            measures=self.kind == "profile" or (self.kind == "inference" and self.measures),
            input_shapes=self._shapes(),
            requirements=self._requirements(),
            keeps_artifact=self.kind in ("profile", "inference") and bool(self.text("keeps_artifact")),
            comparison=self._comparison(),
            input_specs=self._specs() if self.kind == "compile" else None,
            waits_for=self.waits_for,
            weights_dtype=self.weights if quantizes else "",
            activations_dtype=self.activations if quantizes else "",
            linked_ids=tuple(self.linked) if self.kind == "link" else (),
            dataset_id=self.text("dataset") if self.takes_dataset else None,
            idempotency_key=hashlib.sha256("\n".join(words).encode()).hexdigest(),
            priority=self._number("priority", _priority) or 0,
            deadline_s=self._number("deadline_s", _deadline),
        )

    def _number(self, name: str, read: Callable[[str], Value]) -> Value | None:
        """The field's number; None where it is empty, or none, which is noted."""
        return self._noted(name, read) if self.text(name) else None

    def _noted(self, name: str, read: Callable[[str], Value]) -> Value | None:
        try:
            return read(self.text(name))
        except SpecInvalid as error:
            self.problems[name] = error
        except ValueError:
            self.problems[name] = SpecInvalid(f"{self.text(name)[:100]!r} is no number")
        return None


def _priority(text: str) -> int:
    return checked_priority(int(text))


def _deadline(text: str) -> float:
    return checked_deadline(float(text))


def joined_problems(errors: Sequence[Error]) -> Error:
    """Several problems of one field, each on a line of its own."""
    return errors[0] if len(errors) == 1 else SpecInvalid("\n".join(map(refusal, errors)))


def device_value(device: DeviceModel) -> str:
    """A device model in one text, for a form's field."""
    attributes = (*device.attributes, f"{OWNER}{device.owner}")
    return urlencode({"name": device.name, "os": device.os, "attribute": attributes}, doseq=True)


def parse_device_value(value: str) -> Mapping[str, list[str]]:
    """What :func:`device_value` wrote: ``name``, ``os``, ``attribute``; anything else has no name."""
    return parse_qs(value, max_num_fields=200) if len(value) < 10_000 else {}
