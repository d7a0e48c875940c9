"""AI Hub's functions that make a model of another: compile, quantize and link jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dynolab.client.datasets import Dataset, DatasetEntries
from dynolab.client.devices import Device
from dynolab.client.jobs import Job
from dynolab.client.quantize_jobs import QuantizeDtype
from dynolab.client.submissions import Submissions, more_asked
from dynolab.errors import ModelNotSupported, SpecInvalid
from dynolab.spec import compile_options, link_options, quantize_options
from dynolab.spec.compiles import InputSpec, check_input_specs
from dynolab.spec.quantizes import check_widths

InputSpecs = Mapping[str, Sequence[int] | tuple[Sequence[int], str]]
"""Shapes by input name, or pairs of shape and element type, as AI Hub's client takes them."""


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
        devices = _devices(device)
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
        data = self.dataset_of(calibration_data, project)
        source = self._at_hub(model, self._in(project))
        asked = {"kind": "quantize", "name": name or "", "options": options, "project_id": self._in(project)}
        asked |= {"weights_dtype": widths[0], "activations_dtype": widths[1], "dataset_id": data.dataset_id}
        more = more_asked(priority, waits_for, deadline_s)
        return self._submitted({**asked, "model_id": source.model_id, **more}, retry=True)

    def submit_link_job(
        self,
        models: Any,
        device: Device | list[Device],
        name: str | None = None,
        options: str = "",
        project: str | None = None,
        *,
        priority: int = 0,
        waits_for: Sequence[Job | str] = (),
        deadline_s: float | None = None,
    ) -> Any:
        """Link compiled models into one file for a device, each a graph of it: a :class:`LinkJob`; for several, a list of them.

        ``models``: one or more, each a file or a model at the hub, such as what compile jobs for ``qnn_dlc`` make or are to make.
        """
        several = models if isinstance(models, list) else [models]
        if not several:
            raise SpecInvalid("a link job takes at least one model", hint="name what is to be linked")
        link_options.parse(options)
        devices = _devices(device)
        for one in devices:
            self.check_there(one)
        first, *others = [self._at_hub(one, self._in(project)) for one in several]
        asked: dict[str, Any] = {
            "kind": "link",
            "name": name or "",
            "options": options,
            "project_id": self._in(project),
        }
        asked |= {"linked_ids": [one.model_id for one in others], **more_asked(priority, waits_for, deadline_s)}
        found = self._submit_to(first, devices, asked, retry=True)
        return found if isinstance(device, list) else found[0]

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
        device: Device | list[Device],
        name: str | None = None,
        input_specs: InputSpecs | list[InputSpecs | None] | None = None,
        graph_names: list[str] | None = None,
        compile_options: str | list[str] = "",
        link_options: str = "",
        retry: bool = True,
        embed_in_onnx: bool = False,
        project: str | None = None,
    ) -> Any:
        """Compile models for ``qnn_dlc`` and link the outcomes: the compile jobs and the link job; on several devices, a list of such pairs.

        ``models``: one or several; one that is named twice is compiled twice, such as for other ``input_specs``. Specs, options and
        ``graph_names``, by which a program asks for a graph of the file, stand beside the models, in the same order; one text of
        options is for all. The link job waits at the hub until the models are there, and fails with a compile job.
        """
        if embed_in_onnx:
            raise ModelNotSupported(
                "this hub puts no context binary into an ONNX file", hint="compile for precompiled_qnn_onnx instead"
            )
        several = models if isinstance(models, list) else [models]
        if len(several) > 1 and graph_names is None:
            raise SpecInvalid(f"{len(several)} models and no graph_names", hint="give each graph a name of its own")
        columns: dict[str, list[Any]] = {
            "input_specs": input_specs if isinstance(input_specs, list) else [input_specs] * len(several),
            "graph_names": graph_names or [""] * len(several),
            "compile_options": compile_options
            if isinstance(compile_options, list)
            else [compile_options] * len(several),
        }
        for what, column in columns.items():
            if len(column) != len(several):
                raise SpecInvalid(f"{len(column)} {what} for {len(several)} models", hint="one for each model")
        if graph_names and len(set(graph_names)) < len(graph_names):
            raise SpecInvalid(
                f"graph_names {graph_names} names a graph twice", hint="give each graph a name of its own"
            )
        uploaded = {id(one): self._at_hub(one, self._in(project)) for one in several}
        found = []
        for one in _devices(device):
            rows = zip(several, *columns.values(), strict=True)
            jobs = [
                self.submit_compile_job(
                    uploaded[id(model)], one, name, specs, _for_graph(options, graph), retry=retry, project=project
                )
                for model, specs, graph, options in rows
            ]
            targets = [job.target_model for job in jobs]
            found.append((jobs, self.submit_link_job(targets, one, name, link_options, project)))
        return found if isinstance(device, list) else found[0]


def _devices(device: Device | list[Device]) -> list[Device]:
    """All of them. Raises :class:`SpecInvalid`."""
    devices = device if isinstance(device, list) else [device]
    if not devices or not all(isinstance(one, Device) for one in devices):
        raise SpecInvalid(f"{device!r} is no device", hint="dynolab.Device(NAME), or one of get_devices()")
    return devices


def _for_graph(options: str, graph: str) -> str:
    """A compile job's options for a graph of that name in what is linked."""
    named = f"--qnn_options context_enable_graphs={graph}" if graph else ""
    return " ".join(filter(None, [options.strip(), named, "--target_runtime qnn_dlc"]))
