"""The compile job: a model becomes the one that a runtime or device takes, in a confined process, and is compared with its source."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from dynolab.connections.local import own_folder
from dynolab.errors import Conflict, ModelNotSupported, SpecInvalid
from dynolab.jobs import _compile_child as child
from dynolab.jobs import _confined as confined
from dynolab.jobs._sources import ModelSource, check_format, open_source
from dynolab.jobs.base import Context, JobType
from dynolab.spec import codec, untrusted
from dynolab.spec.compile_options import parse
from dynolab.spec.compiles import Compiled, CompileSpec, check_input_specs
from dynolab.spec.models import FileFact
from dynolab.toolchains.base import toolchain_named

RESULT_FILE = "compiled.json"
_CHILD = ("-P", "-m", "dynolab.jobs._compile_child")


class CompileJob(JobType[CompileSpec, Compiled]):
    """Compiles on this machine: no device is needed, and none is disturbed."""

    name = "compile"

    def validate(self, spec: CompileSpec) -> CompileSpec:
        """The same. Raises :class:`SpecInvalid`, :class:`~dynolab.errors.NotFound` and :class:`Conflict`."""
        toolchain_named(parse(spec.options).target)
        check_input_specs(spec.input_specs)
        if not 0 < spec.timeout_s < float("inf"):
            raise SpecInvalid(f"--timeout {spec.timeout_s:g}: seconds above 0 are needed")
        if spec.folder.exists() and (not spec.folder.is_dir() or any(spec.folder.iterdir())):
            raise Conflict(f"{spec.folder} is there already, and not an empty folder", hint="name another folder")
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
            )
            work = folder / "work"
            work.mkdir()
            (work / child.ORDER_FILE).write_text(json.dumps(codec.encode(order)), encoding="utf-8")
            made = self._compiled(source, spec, work, [own.folder] if own else [])
            self._keep(made, work / child.MADE_FOLDER, spec.folder)
        return made

    def summary(self, result: Compiled) -> dict[str, Any]:
        worst = result.worst
        return {
            "target": result.target,
            "compile_time_ns": result.time_ns,
            "compile_peak_bytes": result.peak_bytes,
            "file_bytes": result.compiled.file_bytes,
            "max_abs_error": None if worst is None else worst.max_abs_error,
            "psnr_db": None if worst is None else worst.psnr_db,
        }

    def _compiled(self, source: ModelSource, spec: CompileSpec, work: Path, tools: Sequence[Path]) -> Compiled:
        files = [(source.folder / file.path).resolve() for file in source.files]
        with Path(os.devnull).open("rb") as nothing:
            answer = confined.ask(
                _CHILD,
                [source.name],
                nothing,
                work,
                readable=[*files, *tools],
                max_s=spec.timeout_s,
                max_bytes=spec.memory_limit_bytes or os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
                kind=ModelNotSupported,
                late=f"{source.name} is not compiled within {spec.timeout_s:g} s",
                hint="a longer --timeout or a larger --memory-limit, if the model is that large; else another export of it",
            )
        return codec.decode(Compiled, answer, "what the toolchain made")

    def _keep(self, made: Compiled, folder: Path, target: Path) -> None:
        """Copy what the process left, which is anybody's, into the folder that was asked for: plain files, and those it named."""
        found = {str(path.relative_to(folder)): path for path, _ in untrusted.files_in(folder)}
        named = tuple(FileFact(name, path.stat().st_size) for name, path in sorted(found.items()))
        if made.entry not in found or named != made.files:
            raise ModelNotSupported("the toolchain's process did not leave the files that it told of")
        target.mkdir(parents=True, exist_ok=True)
        for name, path in found.items():
            place = target / untrusted.relative_path(name)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)
        (target / RESULT_FILE).write_text(json.dumps(codec.encode(made), indent=1), encoding="utf-8")


def compile_model(spec: CompileSpec, context: Context) -> Compiled:
    """Compile a model here. Raises a :class:`~dynolab.errors.UserError` that names what is wrong with it or its options."""
    return plugin.run(plugin.validate(spec), context)


def _note(context: Context, text: str) -> None:
    context.progress({"event": "note", "text": text})


plugin = CompileJob()
