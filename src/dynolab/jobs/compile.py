"""The compile job: a model becomes the one that a runtime or device takes, in a confined process, and is compared with its source."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from dynolab.connections.local import own_folder
from dynolab.errors import SpecInvalid
from dynolab.jobs import _compile_child as child
from dynolab.jobs import _toolchain_jobs as toolchain_jobs
from dynolab.jobs._sources import check_format, open_source
from dynolab.jobs.base import Context, JobType
from dynolab.spec import codec
from dynolab.spec.chipsets import chipset_named
from dynolab.spec.compile_options import parse
from dynolab.spec.compiles import Compiled, CompileSpec, check_input_specs
from dynolab.toolchains.base import Toolchain, toolchain_named

RESULT_FILE = "compiled.json"


class CompileJob(JobType[CompileSpec, Compiled]):
    """Compiles on this machine: no device is needed, and none is disturbed."""

    name = "compile"

    def validate(self, spec: CompileSpec) -> CompileSpec:
        """The same. Raises :class:`SpecInvalid`, :class:`~dynolab.errors.NotFound` and :class:`Conflict`."""
        _check_chipset(toolchain_named(parse(spec.options).target), spec.chipset)
        check_input_specs(spec.input_specs)
        toolchain_jobs.check(spec.folder, spec.timeout_s)
        return spec

    def run(self, spec: CompileSpec, context: Context) -> Compiled:
        """The compiled model's document, which lies beside its files in the folder that was asked for."""
        options = parse(spec.options)
        toolchain = toolchain_named(options.target)
        with open_source(spec.model) as source, own_folder("compile-") as folder, ExitStack() as held:
            check_format(source, spec.formats)
            notices = toolchain.check(source.format, options)
            own = toolchain.environment(source.format)
            python = None if own is None else held.enter_context(own.in_use(lambda text: _note(context, text)))
            _note(context, f"{toolchain.name} from {source.format}")
            order = child.Wanted(
                name=source.name,
                model=str((source.folder / source.entry).resolve()),
                format=source.format,
                file_bytes=sum(file.bytes for file in source.files),
                options=spec.options,
                input_specs=dict(spec.input_specs),
                seed=spec.seed,
                notices=notices,
                python=None if python is None else str(python),
                chipset=spec.chipset,
                timeout_s=spec.timeout_s,
            )
            work = folder / "work"
            work.mkdir()
            bounds = toolchain_jobs.Bounds(spec.timeout_s, spec.memory_limit_bytes)
            late = f"{source.name} is not compiled within {spec.timeout_s:g} s"
            tools = [] if own is None else [own.folder]
            answer = toolchain_jobs.make(child.__name__, source, order, work, bounds, late, tools)
            made = codec.decode(Compiled, answer, "what the toolchain made")
            files = (*made.files, *made.beside)
            toolchain_jobs.keep(work, made.entry, files, spec.folder, (RESULT_FILE, made))
        return made

    def summary(self, result: Compiled) -> dict[str, Any]:
        return {
            "target": result.target,
            "compile_time_ns": result.time_ns,
            "compile_peak_bytes": result.peak_bytes,
            "file_bytes": result.compiled.file_bytes,
            "max_abs_error": result.largest_error,
            "psnr_db": result.lowest_psnr_db,
        }


def compile_model(spec: CompileSpec, context: Context) -> Compiled:
    """Compile a model here. Raises a :class:`~dynolab.errors.UserError` that names what is wrong with it or its options."""
    return plugin.run(plugin.validate(spec), context)


def _check_chipset(toolchain: Toolchain, text: str) -> None:
    """Raise :class:`SpecInvalid` where the target needs a chipset and none is named, or has no use for the one that is."""
    if toolchain.for_chipset and not text.strip():
        raise SpecInvalid(
            f"the target {toolchain.name} is made for one chipset, and none is named",
            hint="such as --chipset sm8550, or v73 for a Hexagon of that generation",
        )
    if text and not toolchain.for_chipset:
        raise SpecInvalid(f"the target {toolchain.name} is the same for every chipset", hint="leave --chipset out")
    if text:
        chipset_named(text)


def _note(context: Context, text: str) -> None:
    context.progress({"event": "note", "text": text})


plugin = CompileJob()
