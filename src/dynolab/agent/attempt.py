"""One attempt in a process of its own: ``python -m dynolab.agent.attempt FOLDER PARENT`` reads ``assignment.json`` there.

It leaves ``outcome.json``, and what the job made: ``result.json``, ``log.txt`` and others. Events of its progress go to standard
output, one JSON object a line.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import zipfile
from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dynolab import errors, formats
from dynolab.agent.turns import turn
from dynolab.connections.base import connect, this_machine
from dynolab.jobs._planned import counted
from dynolab.jobs.base import Asking, Context
from dynolab.jobs.compare import plugin as compare_job
from dynolab.jobs.profile import plugin as profile_job
from dynolab.measure import lifeline
from dynolab.measure.protocol import UNFIT_CODE
from dynolab.spec import codec, compile_options, untrusted
from dynolab.spec.agents import (
    BASELINE_FOLDER,
    COOL_FILE,
    LINKED,
    NOTES_FILE,
    OFFER_NULL,
    Assignment,
    MadeModel,
    Outcome,
    Tensors,
)
from dynolab.spec.chipsets import FOR_CHIPSET, chipset_of
from dynolab.spec.compiles import Compiled, CompileSpec, Side
from dynolab.spec.duets import Duet, DuetSpec
from dynolab.spec.jobs import InferenceSpec, ProfileSpec
from dynolab.spec.links import Linked, LinkSource, LinkSpec
from dynolab.spec.measurements import Notice
from dynolab.spec.models import ModelFormat
from dynolab.spec.profiles import Profile
from dynolab.spec.progress import describe
from dynolab.spec.quantizes import Quantized, QuantizeSpec, figures
from dynolab.spec.toolchain_support import LINKED_KIND, MAKING

if TYPE_CHECKING:
    from dynolab.jobs.compile import CompileJob
    from dynolab.jobs.inference import InferenceJob
    from dynolab.jobs.link import LinkJob
    from dynolab.jobs.quantize import QuantizeJob

ASSIGNMENT_FILE, OUTCOME_FILE = "assignment.json", "outcome.json"
RESULT_FILE, OUTPUT_FILE, ARTIFACT_FILE, LOG_FILE = "result.json", "output", "artifact.zip", "log.txt"
BOARD_WAIT_S = 10.0
"""For a board that somebody has meanwhile; then the job goes back, and the board's agent waits."""
ARTIFACT_FOLDER, MADE_FOLDER = "artifact", "made"


def carry_out(folder: Path, assignment: Assignment, address: str = "") -> Outcome:
    """The outcome; an error of the model, the user or the device is one. ``address`` leads to the device; empty: it is this one."""
    log = Narration(folder / LOG_FILE)
    log.say(f"job {assignment.job}, attempt {assignment.number}: {assignment.kind} {assignment.options}".rstrip())
    quiet = (
        assignment.kind == "inference" and not assignment.with_profile
    )  # nothing is measured: it waits for who measures
    compiles = assignment.kind in MAKING or quiet
    other = "measures" if compiles else "compiles"
    notes = _notes(folder)
    for note in notes:
        log.say(note.text)
    try:
        with ExitStack() as stack:
            if not address:  # what measures elsewhere is not disturbed by what compiles here
                stack.enter_context(
                    turn(compiles=compiles, waits=lambda: log.say(f"waits: another agent of this machine {other}"))
                )
            connection = stack.enter_context(closing(connect(address) if address else this_machine()))
            asking = Asking(f"job {assignment.job}", is_agent=True, wait_s=BOARD_WAIT_S, **_cool(folder))
            left = _run(folder, assignment, Context(connection, log.follow, asking))
    except errors.Error as raised:
        error = errors.unfit(raised) or raised
        log.say(f"failed: {error.message}" + (f" ({error.hint})" if error.hint else ""))
        log.add(str(error.details.get("log") or ""))
        return Outcome(error=error.to_dict())
    if isinstance(left, Profile):
        left = replace(left, notices=(*left.notices, *notes))
    if left is None:
        log.say("done")
        return Outcome()
    (folder / RESULT_FILE).write_text(json.dumps(codec.encode(left)), encoding="utf-8")
    if isinstance(left, Compiled):
        outcome, told = _made(folder, left, left.compiled, _compile_job().summary(left)), _said(left)
    elif isinstance(left, Quantized):
        outcome, told = _made(folder, left, left.quantized, _quantize_job().summary(left)), _said_of_quantized(left)
    elif isinstance(left, Linked):
        outcome, told = (
            _made_of_linked(folder, left),
            [*(one.text for one in left.notices), f"{left.entry}: {left.headline}"],
        )
    elif isinstance(left, Duet):
        outcome, told = Outcome(summary=compare_job.summary(left)), [left.headline]
    else:
        outcome = Outcome(summary=profile_job.summary(left), tensors=tensors(left))
        told = [f"{stage.name}: {'; '.join((stage.verdict.trust, *stage.verdict.reasons))}" for stage in left.stages]
    for line in told:
        log.say(line)
    _pack(folder, log)
    log.say("done")
    if isinstance(left, Profile | Duet):
        log.add(left.log)
    return outcome


def _notes(folder: Path) -> tuple[Notice, ...]:
    """What the agent has to say of the device."""
    path = folder / NOTES_FILE
    if not path.exists():
        return ()
    told = json.loads(path.read_text(encoding="utf-8"))
    return tuple(Notice("warning", code, text) for code, text in told.items())


def _cool(folder: Path) -> dict[str, float]:
    """How hot the board may be, and how long it may take to cool down, where the agent knows that."""
    path = folder / COOL_FILE
    return (
        {name: float(told) for name, told in json.loads(path.read_text(encoding="utf-8")).items()}
        if path.exists()
        else {}
    )


def _made(folder: Path, left: Compiled | Quantized, side: Side, summary: dict[str, Any]) -> Outcome:
    """The outcome of a job that made a model, which becomes the attempt's output: its one file, or a zip file of several."""
    made, output = folder / MADE_FOLDER, folder / OUTPUT_FILE
    files = [one.path for one in left.files]
    if files == [left.entry]:
        (made / left.entry).rename(output)
    else:
        with zipfile.ZipFile(output, "w") as archive:
            for name in files:
                archive.write(made / name, f"{Path(left.name).stem}/{name}")
    return Outcome(
        summary=summary,
        tensors=Tensors(
            left.inputs,
            left.outputs,
            fixed=True,
            # What is quantised here takes and gives real numbers all the same.
            quantizations=left.quantizations if isinstance(left, Compiled) else (),
        ),
        made=MadeModel(side.format, is_directory=len(files) > 1 or left.entry.endswith(".zip")),
    )


def _made_of_linked(folder: Path, left: Linked) -> Outcome:
    """The outcome of a job that linked, whose one file becomes the attempt's output."""
    (folder / MADE_FOLDER / left.entry).rename(folder / OUTPUT_FILE)
    first = left.graphs[0]
    return Outcome(
        summary=_link_job().summary(left),
        tensors=Tensors(first.inputs, first.outputs, fixed=True) if len(left.graphs) == 1 else None,
        made=MadeModel(LINKED_KIND, is_directory=False),
    )


def _said(left: Compiled) -> list[str]:
    """What the log says of a compiled model: its notices, and how its numbers stand to its source's."""
    return [*(one.text for one in left.notices), f"{left.entry}: {left.headline}"]


def _pack(folder: Path, log: Narration) -> None:
    """What compile made, if it was to be kept, in one file. A disk that has no room for it spoils no measurement."""
    kept = folder / ARTIFACT_FOLDER
    files = [path for path, _ in untrusted.files_in(kept)]
    if not files:
        return
    packed = folder / ARTIFACT_FILE
    try:
        with zipfile.ZipFile(packed, "w") as archive:
            for path in files:
                archive.write(path, path.relative_to(kept))
    except OSError as error:
        packed.unlink(missing_ok=True)
        log.say(f"the compiled artifact is not kept: {error.strerror}")


def tensors(profile: Profile) -> Tensors:
    """What the model was fed with and gave. ``fixed``: as far as this run tells, the model takes no other shapes."""
    asked = profile.request
    chosen = (
        any(notice.code == "default-shape" for notice in profile.notices) or asked.input_shapes or asked.input_files
    )
    inputs, outputs = (tuple(one.spec for one in side) for side in (profile.inputs, profile.outputs))
    return Tensors(inputs, outputs, fixed=not chosen)


def _said_of_quantized(left: Quantized) -> list[str]:
    """Likewise of a quantised model and the float one."""
    numbers = left.check_reason or "its numbers were not compared" if left.accuracy is None else figures(left.accuracy)
    return [*(one.text for one in left.notices), f"{left.entry}: {numbers}"]


def _run(
    folder: Path, assignment: Assignment, context: Context
) -> Profile | Duet | Compiled | Quantized | Linked | None:
    """The job of the assignment's kind; one that infers or makes a model leaves that in the folder."""
    if assignment.kind == "compile":
        return _compile(folder, assignment, context)
    if assignment.kind == "link":
        return _link(folder, assignment, context)
    if assignment.kind == "quantize" and assignment.dataset is not None:
        return _quantize(folder, assignment, assignment.dataset.name, context)
    model = ProfileSpec(
        model=_placed(folder / assignment.model.name, assignment.model_kind),
        options=assignment.options,
        input_shapes=assignment.input_shapes,
        requirements=assignment.requirements,
        artifact=folder / ARTIFACT_FOLDER if assignment.keeps_artifact else None,
        formats=_formats(assignment.model_kind),
    )
    if assignment.kind == "compare" and assignment.baseline is not None:
        base = assignment.baseline
        a = replace(
            model,
            model=_placed(folder / BASELINE_FOLDER / base.model.name, base.model_kind),
            options=base.options,
            formats=_formats(base.model_kind),
        )
        return compare_job.run(
            compare_job.validate(DuetSpec(a, model, base.terms), here=context.connection.is_here), context
        )
    context = replace(context, progress=counted(context.progress, model))
    if assignment.kind == "profile":
        return profile_job.run(profile_job.validate(model, here=context.connection.is_here), context)
    if assignment.kind != "inference" or assignment.dataset is None:
        raise errors.SpecInvalid(f"this agent carries out no jobs of kind {assignment.kind!r}")
    inference_job = _inference_job()
    spec = InferenceSpec(
        model=model,
        dataset=folder / assignment.dataset.name,
        outputs=folder / OUTPUT_FILE,
        measures=assignment.with_profile,
        quantizations=assignment.quantizations,
    )
    return inference_job.run(inference_job.validate(spec, here=context.connection.is_here), context)


def _compile(folder: Path, assignment: Assignment, context: Context) -> Compiled:
    job = _compile_job()
    spec = CompileSpec(
        model=folder / assignment.model.name,
        folder=folder / MADE_FOLDER,
        options=assignment.options,
        input_specs=assignment.input_specs or {},
        chipset=_chipset(assignment) if compile_options.parse(assignment.options).target in FOR_CHIPSET else "",
        formats=_formats(assignment.model_kind),
    )
    return job.run(job.validate(spec), context)


def _quantize(folder: Path, assignment: Assignment, data: str, context: Context) -> Quantized:
    job = _quantize_job()
    spec = QuantizeSpec(
        model=folder / assignment.model.name,
        data=folder / data,
        folder=folder / MADE_FOLDER,
        weights=assignment.weights_dtype,
        activations=assignment.activations_dtype,
        options=assignment.options,
        formats=_formats(assignment.model_kind),
    )
    return job.run(job.validate(spec), context)


def _placed(model: Path, kind: str) -> Path:
    """The model's file, renamed where the hub, which may not know the format, gave it an ending that is none of it here."""
    declared = formats.by_name(kind)
    known = () if declared is None else (*declared.endings, *declared.only_named)
    if declared is None or model.suffix.lower() in (formats.ARCHIVE, *known):
        return model
    return model.rename(model.with_suffix(known[0]))


def _formats(kind: str) -> tuple[str, ...]:
    """What a model may be that was said to be of a kind: AI Hub's client calls what is built for an NPU `onnx`, too."""
    built = [ModelFormat.PRECOMPILED_QNN_ONNX] if kind == ModelFormat.ONNX else []
    return (kind, *built, *([ModelFormat.NULL] if os.environ.get(OFFER_NULL) == "1" else []))


def _link(folder: Path, assignment: Assignment, context: Context) -> Linked:
    job = _link_job()
    sources = tuple(
        LinkSource(
            folder / f"{LINKED}{number}" / one.model.name, one.options, one.input_specs, _formats(one.model_kind)
        )
        for number, one in enumerate(assignment.linked)
    )
    spec = LinkSpec(sources, folder=folder / MADE_FOLDER, chipset=_chipset(assignment), options=assignment.options)
    return job.run(job.validate(spec), context)


def _chipset(assignment: Assignment) -> str:
    """That of the device that a model is made for; empty: it tells of none."""
    found = chipset_of(assignment.made_for)
    return "" if found is None else found.name


def _compile_job() -> CompileJob:
    """The job type, whose toolchains a device's agent need not have."""
    from dynolab.jobs.compile import plugin

    return plugin


def _quantize_job() -> QuantizeJob:
    """Likewise. Raises :class:`~dynolab.errors.PluginMissing`."""
    try:
        from dynolab.jobs.quantize import plugin
    except ModuleNotFoundError as error:
        raise errors.PluginMissing(
            f"quantize jobs need {error.name}, which this agent does not have",
            hint="on its machine: pip install 'dynolab[compile,datasets]'",
        ) from error
    return plugin


def _link_job() -> LinkJob:
    """Likewise."""
    from dynolab.jobs.link import plugin

    return plugin


def _inference_job() -> InferenceJob:
    """The job type, which needs a library that profile jobs do not. Raises :class:`~dynolab.errors.PluginMissing`."""
    try:
        from dynolab.jobs.inference import plugin
    except ModuleNotFoundError as error:
        raise errors.PluginMissing(
            f"inference jobs need {error.name}, which the device does not have",
            hint="on that machine: pip install 'dynolab[datasets]'",
        ) from error
    return plugin


class Narration:
    """The attempt's log: what happened when, in words; events go to standard output as well."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def say(self, text: str) -> None:
        """One line, with the time (UTC)."""
        self.add(f"{datetime.now(UTC).strftime('%H:%M:%S')} {text}")

    def add(self, text: str) -> None:
        """Text as it is."""
        if text:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(text.rstrip("\n") + "\n")

    def follow(self, event: Mapping[str, Any]) -> None:
        """An event of the job's progress."""
        sys.stdout.write(json.dumps(event) + "\n")
        sys.stdout.flush()
        if event["event"] in ("stage", "duet"):
            self.say(describe(event))
        elif event["event"] == "note":
            self.say(event["text"])


def main(folder: Path, parent: int, address: str = "") -> None:
    """Carry out the assignment in the folder; a terminate signal ends it and its workers, and so does the parent's end."""
    lifeline.hold(parent)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    assignment = codec.decode(Assignment, json.loads((folder / ASSIGNMENT_FILE).read_text(encoding="utf-8")))
    try:
        outcome = carry_out(folder, assignment, address)
        partial = folder / (OUTCOME_FILE + ".partial")
        partial.write_text(json.dumps(codec.encode(outcome)), encoding="utf-8")
        partial.replace(folder / OUTCOME_FILE)
    except (OSError, MemoryError) as error:
        unfit = errors.unfit(error)
        if unfit is None and folder.exists():
            raise
        unfit = unfit or errors.DeviceUnfit(f"the device is unfit: the attempt's folder {folder} is gone")
        sys.stdout.write(
            json.dumps({"event": "unfit", "error": unfit.to_dict()}) + "\n"
        )  # for a file there may be no room
        sys.stdout.flush()
        sys.exit(UNFIT_CODE)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:4])
