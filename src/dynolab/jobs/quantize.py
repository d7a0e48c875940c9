"""The quantize job: a float model becomes one of integers, calibrated with data, in a confined process, and is compared with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dynolab.connections.local import own_folder
from dynolab.errors import NotFound
from dynolab.jobs import _quantize_child as child
from dynolab.jobs import _samples as samples
from dynolab.jobs import _toolchain_jobs as toolchain_jobs
from dynolab.jobs._sources import check_format, open_source
from dynolab.jobs.base import Context, JobType
from dynolab.spec import codec
from dynolab.spec.quantize_options import parse
from dynolab.spec.quantizes import Quantized, QuantizeSpec, check_widths
from dynolab.toolchains._quantizers.base import quantizer_of

RESULT_FILE = "quantized.json"


class QuantizeJob(JobType[QuantizeSpec, Quantized]):
    """Quantises on this machine: no device is needed, and none is disturbed."""

    name = "quantize"

    def validate(self, spec: QuantizeSpec) -> QuantizeSpec:
        """The same. Raises :class:`SpecInvalid`, :class:`NotFound` and :class:`~dynolab.errors.Conflict`."""
        parse(spec.options)
        check_widths(spec.weights, spec.activations)
        if not spec.data.exists():
            raise NotFound(f"there are no calibration data at {spec.data}", hint=samples.WAY_OUT)
        toolchain_jobs.check(spec.folder, spec.timeout_s)
        return spec

    def run(self, spec: QuantizeSpec, context: Context) -> Quantized:
        """The quantised model's document, which lies beside its files in the folder that was asked for."""
        options = parse(spec.options)
        with open_source(spec.model) as source, own_folder("quantize-") as folder:
            check_format(source, spec.formats)
            quantizer_of(source.format).check(spec.weights, spec.activations, options)
            context.progress({"event": "note", "text": f"{source.format} to {spec.weights}/{spec.activations}"})
            work, unpacked = folder / "work", folder / "work" / "data"
            unpacked.mkdir(parents=True)
            files = samples.find(spec.data, unpacked)
            order = child.Wanted(
                name=source.name,
                model=str((source.folder / source.entry).resolve()),
                format=source.format,
                file_bytes=sum(file.bytes for file in source.files),
                weights=spec.weights,
                activations=spec.activations,
                options=spec.options,
                data=files,
            )
            bounds = toolchain_jobs.Bounds(spec.timeout_s, spec.memory_limit_bytes)
            late = f"{source.name} is not quantised within {spec.timeout_s:g} s"
            readable = [Path(file.path) for file in files if file.path is not None]
            answer = toolchain_jobs.make(child.__name__, source, order, work, bounds, late, readable)
            made = codec.decode(Quantized, answer, "what the quantizer made")
            toolchain_jobs.keep(work, made.entry, made.files, spec.folder, (RESULT_FILE, made))
        return made

    def summary(self, result: Quantized) -> dict[str, Any]:
        accuracy = result.accuracy
        worst = accuracy.worst if accuracy is not None else None
        return {
            "weights": result.weights,
            "activations": result.activations,
            "quantize_time_ns": result.time_ns,
            "quantize_peak_bytes": result.peak_bytes,
            "file_bytes": result.quantized.file_bytes,
            "psnr_db": None if worst is None else worst.psnr_db,
            "agreement": None if accuracy is None else accuracy.agreement,
        }


def quantize_model(spec: QuantizeSpec, context: Context) -> Quantized:
    """Quantise a model here. Raises a :class:`~dynolab.errors.UserError` that names what is wrong with it, its data or its options."""
    return plugin.run(plugin.validate(spec), context)


plugin = QuantizeJob()
