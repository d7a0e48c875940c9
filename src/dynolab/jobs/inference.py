"""The inference job: a model's outputs for the inputs of a dataset, and its profile beside them if that is asked for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from dynolab.connections.local import own_folder
from dynolab.errors import ModelNotSupported, NotFound, SpecInvalid, WorkerCrashed
from dynolab.jobs import _campaigns as campaigns
from dynolab.jobs._datasets import h5
from dynolab.jobs._quantized_values import quantized, real
from dynolab.jobs.base import Context, JobType
from dynolab.measure import inputs
from dynolab.spec.jobs import InferenceSpec
from dynolab.spec.profiles import Profile


class InferenceJob(JobType[InferenceSpec, Profile | None]):
    """Infers every batch of the dataset on the device. The outputs' file is written where the spec says."""

    name = "inference"

    def validate(self, spec: InferenceSpec, *, here: bool = True) -> InferenceSpec:
        """As for a profile; whether the tensors fit the model shows when it runs."""
        if not spec.dataset.is_file():
            raise NotFound(f"there is no dataset {spec.dataset}")
        return replace(spec, model=campaigns.validate(spec.model, measures=spec.measures, here=here))

    def run(self, spec: InferenceSpec, context: Context) -> Profile | None:
        """The profile, measured with the first batch as input, or None where none was asked for."""
        tensors = h5.read(spec.dataset)
        if not tensors or not all(tensors.values()):
            raise SpecInvalid("the dataset holds no batch", hint="give each input at least one array")
        tensors, changed = quantized(tensors, spec.quantizations)
        if changed:
            told = f"real numbers are given for the integers of {', '.join(changed)}: they are quantised, and outputs are real again"
            context.progress({"event": "note", "text": told})
        with own_folder("batches-") as folder:
            batches = campaigns.Batches(_files(tensors, folder), folder)
            model = replace(spec.model, input_files=dict(batches.inputs[0]))
            carried = campaigns.carry_out(model, context, batches=batches, measures=spec.measures)
            outputs: dict[str, list[h5.Array]] = {}
            for files in carried.outputs:
                for output, path in files.items():
                    outputs.setdefault(output, []).append(_output(path))
            if not outputs:
                raise ModelNotSupported(
                    "the model puts out no tensor: there is nothing to bring back",
                    hint="a profile job measures it; export it with tensors as outputs to have them",
                )
            h5.write(spec.outputs, real(outputs, spec.quantizations) if changed else outputs)
        return carried.profile

    def summary(self, result: Profile | None) -> dict[str, Any]:
        return campaigns.summary(result) if result is not None else {}


def _output(path: Path) -> h5.Array:
    """One output. Raises :class:`WorkerCrashed` for a file that the worker's own code does not write."""
    try:
        return inputs.load_file(path)
    except SpecInvalid as error:
        raise WorkerCrashed(f"what a process of the model left cannot be read: {error.message}") from error


def _files(tensors: dict[str, list[h5.Array]], folder: Path) -> tuple[dict[str, Path], ...]:
    """The batches as .npy files."""
    count = len(next(iter(tensors.values())))
    batches = []
    for number in range(count):
        files = {name: folder / f"input-{number}-{index}.npy" for index, name in enumerate(tensors)}
        for name, path in files.items():
            np.save(path, tensors[name][number])
        batches.append(files)
    return tuple(batches)


plugin = InferenceJob()
