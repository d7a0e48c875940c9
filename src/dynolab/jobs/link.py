"""The link job: several models become graphs of one file for an NPU, in a confined process."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from dynolab.connections.local import own_folder
from dynolab.errors import ModelNotSupported, SpecInvalid
from dynolab.jobs import _link_child as child
from dynolab.jobs import _toolchain_jobs as toolchain_jobs
from dynolab.jobs._sources import ModelSource, check_format, open_source
from dynolab.jobs.base import Context, JobType
from dynolab.spec import codec, link_options, untrusted
from dynolab.spec.chipsets import chipset_named
from dynolab.spec.compile_options import parse
from dynolab.spec.compiles import Compiled, check_input_specs
from dynolab.spec.links import Linked, LinkSource, LinkSpec
from dynolab.spec.measurements import Notice
from dynolab.toolchains.base import toolchain_named

RESULT_FILE = "linked.json"
_COMPILED_FILE = "compiled.json"
_TARGET = "qnn_context_binary"
_MADE = (".bin", ".dlc")
"""Endings of what a compile job for an NPU makes, which its folder is named for instead."""
MODELS_MOST = 64
"""In one file; each is built twice."""


class LinkJob(JobType[LinkSpec, Linked]):
    """Links on this machine: no device is needed, and none is disturbed."""

    name = "link"

    def validate(self, spec: LinkSpec) -> LinkSpec:
        """With the models in place of folders that a compile job left.

        Raises :class:`SpecInvalid`, :class:`ModelNotSupported` and :class:`~dynolab.errors.Conflict`.
        """
        link_options.parse(spec.options)
        if not 1 <= len(spec.sources) <= MODELS_MOST:
            raise SpecInvalid(f"{len(spec.sources)} models are to be linked: 1 to {MODELS_MOST} can be")
        if not spec.chipset.strip():
            raise SpecInvalid("models are linked for one chipset, and none is named", hint="such as --chipset sm8550")
        chipset_named(spec.chipset)
        sources = tuple(map(_source, spec.sources))
        for one in sources:
            parse(one.options)
            check_input_specs(one.input_specs)
        toolchain_jobs.check(spec.folder, spec.timeout_s)
        return replace(spec, sources=sources)

    def run(self, spec: LinkSpec, context: Context) -> Linked:
        """The linked file's document, which lies beside it in the folder that was asked for."""
        toolchain = toolchain_named(_TARGET)
        with ExitStack() as held:
            opened = [held.enter_context(open_source(one.model)) for one in spec.sources]
            work = held.enter_context(own_folder("link-")) / "work"
            notices: list[Notice] = []
            for source, one in zip(opened, spec.sources, strict=True):
                check_format(source, one.formats)
                notices += toolchain.check(source.format, parse(one.options))
            context.progress({"event": "note", "text": f"{len(opened)} models for {spec.chipset}"})
            work.mkdir()
            pairs = zip(opened, spec.sources, strict=True)
            order = child.Wanted(
                graphs=tuple(_graph(source, one) for source, one in pairs),
                chipset=spec.chipset,
                options=spec.options,
                notices=(*dict.fromkeys(notices), *_told(spec.options)),
            )
            others = [(one.folder / file.path).resolve() for one in opened[1:] for file in one.files]
            bounds = toolchain_jobs.Bounds(spec.timeout_s, spec.memory_limit_bytes)
            late = f"the models are not linked within {spec.timeout_s:g} s"
            answer = toolchain_jobs.make(child.__name__, opened[0], order, work, bounds, late, others)
            made = codec.decode(Linked, answer, "what the toolchain made")
            toolchain_jobs.keep(work, made.entry, made.files, spec.folder, (RESULT_FILE, made))
        return made

    def summary(self, result: Linked) -> dict[str, Any]:
        return {
            "graphs": len(result.graphs),
            "link_time_ns": result.time_ns,
            "link_peak_bytes": result.peak_bytes,
            "file_bytes": result.file_bytes,
            "separate_bytes": result.separate_bytes,
        }


def link_models(spec: LinkSpec, context: Context) -> Linked:
    """Link models here. Raises a :class:`~dynolab.errors.UserError` that names what is wrong with one of them or the options."""
    return plugin.run(plugin.validate(spec), context)


def _graph(source: ModelSource, one: LinkSource) -> child.WantedGraph:
    return child.WantedGraph(
        name=source.name,
        model=str((source.folder / source.entry).resolve()),
        format=source.format,
        file_bytes=sum(file.bytes for file in source.files),
        options=one.options,
        input_specs=dict(one.input_specs),
    )


def _told(options: str) -> list[Notice]:
    """Of options without effect."""
    if "qnn_options" not in link_options.parse(options).given:
        return []
    text = "--qnn_options has no effect on links: ONNX Runtime names the graphs itself"
    return [Notice("info", "option-without-effect", text)]


def _source(one: LinkSource) -> LinkSource:
    """The model that a folder of a compile job was made of, which lies in it, or the same. Raises :class:`ModelNotSupported`."""
    is_made = one.model.suffix.lower() in _MADE
    folder = one.model.parent if is_made else one.model
    document = folder / _COMPILED_FILE
    if not is_made and not document.is_file():
        return one
    made = _compiled(document) if document.is_file() else None
    beside = [] if made is None else [file.path for file in made.beside if file.path.endswith(".onnx")]
    if made is None or not beside:
        raise ModelNotSupported(
            f"{one.model.name} cannot be linked: graphs are linked while they are built, and nothing reads one that is built",
            hint="hand in its source, or the folder that `dynolab compile` left for the target qnn_dlc",
        )
    return replace(one, model=folder / untrusted.relative_path(beside[0]), options="", input_specs={})


def _compiled(document: Path) -> Compiled:
    try:
        told = json.loads(document.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SpecInvalid(
            f"{document.name} is no document of a compile job: {error}", hint="compile the model again"
        ) from error
    return codec.decode(Compiled, told, str(document))


plugin = LinkJob()
