"""AI Hub's functions that make a model of another: compile, quantize and link jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from dynolab.client.datasets import Dataset, DatasetEntries
from dynolab.client.devices import Device
from dynolab.client.jobs import Job
from dynolab.client.models import Model
from dynolab.client.quantize_jobs import QuantizeDtype
from dynolab.client.submissions import Submissions, more_asked
from dynolab.errors import ModelNotSupported, SpecInvalid
from dynolab.spec import compile_options, quantize_options
from dynolab.spec.compiles import InputSpec, check_input_specs
from dynolab.spec.quantizes import check_widths

LINK_HINT = "profile the models one by one"


InputSpecs = Mapping[str, Sequence[int] | tuple[Sequence[int], str]]
"""Shapes by input name, or pairs of shape and element type, as AI Hub's client takes them."""


def _refuse(what: str, hint: str) -> NoReturn:
    raise ModelNotSupported(f"this hub {what} no models yet", hint=hint)


def _specs(given: InputSpecs | None) -> list[dict[str, Any]]:
    """Input specs as the hub takes them. Raises :class:`SpecInvalid` for what is none."""
    found = {}
    for name, value in (given or {}).items():
        pair: Any = value if len(value) == 2 and isinstance(value[1], str) else (value, "float32")
        try:
            found[name] = InputSpec(tuple(map(int, pair[0])), pair[1])
        except (TypeError, ValueError) as error:
            hint = 'such as {"image": (1, 3, 224, 224)} or {"ids": ((1, 128), "int32")}'
            raise SpecInvalid(f"input {name!r}: {value!r} is no shape", hint=hint) from error
    check_input_specs(found)
    return [{"name": name, "shape": list(one.shape), "dtype": one.dtype} for name, one in found.items()]


class Toolchains(Submissions):
    """The part of the client that asks for models to be made."""

    def submit_compile_job(
        self,
        model: Any,
        device: Device | list[Device],
        name: str | None = None,
        input_specs: InputSpecs | None = None,
        options: str = "",
        single_compile: bool = True,
        calibration_data: Any = None,
        retry: bool = True,
        project: str | None = None,
        *,
        priority: int = 0,
        waits_for: Sequence[Job | str] = (),
        deadline_s: float | None = None,
    ) -> Any:
        """Compile a model for a device: a :class:`CompileJob`; for several, one for all of them, or one each.

        ``model``: a file, a folder, a model at the hub, or one in memory: ONNX, TorchScript, or an exported program.
        ``input_specs``: shapes by input name, such as ``{"image": (1, 3, 224, 224)}``, or pairs of shape and element type.
        ``options``: what it is compiled for and how, such as ``--target_runtime onnx``. With ``single_compile`` the model
        is compiled once, for the first of the devices: no toolchain here makes another model for another of them.
        """
        if calibration_data is not None:
            raise ModelNotSupported(
                "this hub's compile jobs take no calibration data", hint="quantise first: submit_quantize_job"
            )
        devices = device if isinstance(device, list) else [device]
        if not devices or not all(isinstance(one, Device) for one in devices):
            raise SpecInvalid(f"{device!r} is no device", hint="dynolab.Device(NAME), or one of get_devices()")
        compile_options.parse(options)
        specs = _specs(input_specs)
        for one in devices:
            self.check_there(one)
        more = more_asked(priority, waits_for, deadline_s)
        asked = {"kind": "compile", "name": name or "", "options": options, "input_specs": specs, **more}
        asked["project_id"] = self._in(project)
        found = self._submit_to(model, devices[:1] if single_compile else devices, asked, retry)
        return found if isinstance(device, list) and not single_compile else found[0]

    def submit_quantize_job(
        self,
        model: Any,
        calibration_data: Dataset | DatasetEntries | str,
        weights_dtype: QuantizeDtype = QuantizeDtype.INT8,
        activations_dtype: QuantizeDtype = QuantizeDtype.INT8,
        name: str | None = None,
        options: str = "",
        project: str | None = None,
        *,
        priority: int = 0,
        waits_for: Sequence[Job | str] = (),
        deadline_s: float | None = None,
    ) -> Any:
        """Quantise an ONNX model: a :class:`QuantizeJob`. It needs no device.

        ``calibration_data``: batches by input name, a dataset at the hub, or its id; the ranges of activations are taken
        from them. ``options``: such as ``--range_scheme min_max``.
        """
        widths = [str(one.name).lower() for one in (weights_dtype, activations_dtype)]
        check_widths(*widths)
        quantize_options.parse(options)
        data = self.dataset_of(calibration_data)
        source = model if isinstance(model, Model) else self.upload_model(model)
        asked = {"kind": "quantize", "name": name or "", "options": options, "project_id": self._in(project)}
        asked |= {"weights_dtype": widths[0], "activations_dtype": widths[1], "dataset_id": data.dataset_id}
        more = more_asked(priority, waits_for, deadline_s)
        return self._submitted({**asked, "model_id": source.model_id, **more}, retry=True)

    def submit_link_job(
        self, models: Any, device: Any, name: str | None = None, options: str = "", project: str | None = None
    ) -> NoReturn:
        """Link several models into one."""
        _refuse("links", LINK_HINT)

    def submit_compile_and_profile_jobs(
        self,
        model: Any,
        device: Device | list[Device],
        name: str | None = None,
        input_specs: InputSpecs | None = None,
        compile_options: str = "",
        profile_options: str = "",
        single_compile: bool = True,
        calibration_data: Any = None,
        retry: bool = True,
        project: str | None = None,
    ) -> Any:
        """Compile a model and profile what comes of it: the two jobs; on several devices, a list of such pairs.

        The profile job waits at the hub until the model is there, and fails with the compile job.
        """
        devices = device if isinstance(device, list) else [device]
        compiled = self.submit_compile_job(
            model, devices, name, input_specs, compile_options, single_compile, calibration_data, retry, project
        )
        compiled = compiled if isinstance(compiled, list) else [compiled] * len(devices)
        found = [
            (job, self.submit_profile_job(job.target_model, one, name, profile_options, retry, project))
            for job, one in zip(compiled, devices, strict=True)
        ]
        return found if isinstance(device, list) else found[0]

    def submit_compile_and_link_jobs(
        self,
        models: Any,
        device: Any,
        name: str | None = None,
        input_specs: Any = None,
        graph_names: list[str] | None = None,
        compile_options: str | list[str] = "",
        link_options: str = "",
        retry: bool = True,
        embed_in_onnx: bool = False,
        project: str | None = None,
    ) -> NoReturn:
        """Compile several models and link the outcomes."""
        _refuse("links", LINK_HINT)
