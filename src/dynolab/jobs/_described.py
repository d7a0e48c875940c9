"""Describes a model on this machine for a device that need not have what reading the file takes."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from dynolab import errors
from dynolab.connections.base import ModelFiles, Session, this_machine
from dynolab.jobs._sources import ModelSource
from dynolab.measure.campaign import Describe
from dynolab.measure.device import Device
from dynolab.measure.orders import ARTIFACT_FOLDER, CACHE_FOLDER, Place, Run
from dynolab.measure.protocol import PROTOCOL_VERSION, InputWishes, Measure, RunKind, RunRequest
from dynolab.runtimes.base import Runtime, install_command
from dynolab.spec.jobs import ProfileSpec
from dynolab.spec.models import Description


@contextmanager
def described_here(spec: ProfileSpec, source: ModelSource, runtime: Runtime) -> Iterator[Describe | None]:
    """Describes the model, each time in a confined process; None where only the runtime itself can, on the device.

    Raises :class:`~dynolab.errors.PluginMissing` where this machine lacks what reading such a file takes.
    """
    needed = runtime.described_by.get(source.format)
    if needed is None:
        yield None
        return
    if lacks := [name for name in needed if importlib.util.find_spec(name) is None]:
        raise errors.PluginMissing(
            f"{source.format} files are read on this machine, which lacks {', '.join(lacks)}",
            hint=install_command(runtime.name),
        )
    with this_machine().session([runtime.name], lambda text: None) as session:
        yield _Describer(spec, source, runtime, session)


class _Describer:
    """A place with the model's files; each call is a process."""

    def __init__(self, spec: ProfileSpec, source: ModelSource, runtime: Runtime, session: Session) -> None:
        self._spec, self._source, self._runtime = spec, source, runtime
        self._folder, self._device = session.workspace, Device(session, lambda event: None)
        model = ModelFiles(source.folder, tuple(file.path for file in source.files), source.sha256)
        self._files = session.push_model(model, session.workspace)
        inputs = {name: f"{self._folder}/inputs/{index}.npy" for index, name in enumerate(spec.input_files)}
        for name, path in spec.input_files.items():
            session.push(path, inputs[name])
        self._wishes = InputWishes(dict(spec.input_shapes), dict(spec.input_ranges), inputs)
        self._device.prepare(Place("", self._files, tuple(inputs.values()), spec.memory_limit_bytes))

    def __call__(self, shapes: Mapping[str, tuple[int, ...]] | None = None) -> Description:
        wishes = self._wishes if shapes is None else InputWishes(dict(shapes))
        request = RunRequest(
            protocol=PROTOCOL_VERSION,
            kind=RunKind.DESCRIBE,
            measure=Measure.NOTHING,
            runtime=self._runtime.name,
            model=self._files[0],
            format=self._source.format,
            artifact_dir=f"{self._folder}/{ARTIFACT_FOLDER}",
            cache_dir=f"{self._folder}/{CACHE_FOLDER}",
            options_text=self._spec.options,
            seed=self._spec.seed,
            wishes=wishes,
            files=self._files,
        )
        result = self._device.run(Run("", request, timeout_s=self._spec.timeout_s)).result
        if result.error is not None:
            raise errors.from_dict(result.error)
        if result.description is None:
            raise errors.Bug("a description left none")
        return result.description
