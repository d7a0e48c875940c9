"""Qualcomm's Hexagon NPU through ONNX Runtime's plug-in onnxruntime-qnn: models are built for a chipset, and run on its simulator for x86.

The plug-in holds Qualcomm's compiler, which runs on any x86 machine, and a simulator of the NPU, which gives numbers and no times.
"""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from signal import Signals
from typing import Any

from dynolab.errors import InferenceFailed, ModelNotSupported, WorkerTimeout
from dynolab.runtimes._numpy import np
from dynolab.runtimes.base import Array, install_command, installed_version
from dynolab.runtimes.onnxruntime.session import library, library_errors
from dynolab.spec.chipsets import Chipset
from dynolab.spec.untrusted import printable

DISTRIBUTION, EXTRA = "onnxruntime-qnn", "qnn"
PROVIDER = "QNNExecutionProvider"
REQUEST_FILE, INPUTS_FILE, OUTPUTS_FILE = "request.json", "inputs.npz", "outputs.npz"
_COMPATIBILITY = f"ep_compatibility_info.{PROVIDER}"
_SOC_FIELD = 5
"""Of what stands there, such as ``v2:6:2.51.0:5.51.0:0:43:0:0`` (onnxruntime-qnn 2.7)."""


def unavailable() -> str | None:
    """Why nothing is built for a Hexagon here, with the way out, or None. Imports nothing."""
    system, machine = platform.system(), platform.machine()
    if (system, machine) != ("Linux", "x86_64"):
        return f"Qualcomm's compiler and simulator are for x86_64 Linux, and this is {system} on {machine}"
    if installed_version(DISTRIBUTION) is None:
        return f"{DISTRIBUTION} is not installed: {install_command(EXTRA)}"
    return None


def libraries() -> Path:
    """The folder of Qualcomm's libraries."""
    import onnxruntime_qnn

    return Path(onnxruntime_qnn.LIB_DIR_FULL_PATH)


def sdk_version() -> str:
    """The version of Qualcomm's AI Runtime in the plug-in, such as ``2.51.0``."""
    from onnxruntime_qnn import build_and_package_info

    return str(build_and_package_info.qnn_version).removeprefix("v")


def open_session(
    model: Path | str | bytes,
    chipset: Chipset,
    entries: Mapping[str, str] | None = None,
    settings: Mapping[str, str] | None = None,
) -> Any:
    """A session of which every operator is the NPU's. ``entries`` are of ONNX Runtime's session, ``settings`` of the plug-in.

    Raises :class:`ModelNotSupported` with the operators that the NPU does not take: ONNX Runtime would compute them itself, and
    a plug-in that fails altogether would leave it the whole model, so neither is allowed, and the assignment is looked at.
    """
    asked = {"session.disable_cpu_ep_fallback": "1", **(entries or {})}
    try:
        session = _open(model, chipset, asked, settings or {})
    except library_errors() as error:
        raise _refusal(model, chipset, error) from error
    if others := set(assigned(session)) - {PROVIDER}:
        raise ModelNotSupported(f"a part of the model is assigned to {', '.join(sorted(others))}, and not to the NPU")
    return session


def assigned(session: Any) -> dict[str, Counter[str]]:
    """How many operators of each kind ONNX Runtime assigned to whom, as it tells itself. Raises :class:`ModelNotSupported` for none."""
    found: dict[str, Counter[str]] = {}
    for graph in session.get_provider_graph_assignment_info():
        found.setdefault(graph.ep_name, Counter()).update(node.op_type for node in graph.get_nodes())
    if not found:
        raise ModelNotSupported("the model has no operator that is assigned to anybody")
    return found


def built_for(model: Any, chipset: Chipset) -> str:
    """The version of Qualcomm's AI Runtime that built the graphs of an ONNX model that holds a context.

    Raises :class:`ModelNotSupported` where it was built for another chipset, or does not tell.
    """
    told = next((one.value for one in model.metadata_props if one.key == _COMPATIBILITY), "")
    parts = told.split(":")
    if len(parts) <= _SOC_FIELD or parts[_SOC_FIELD] != str(chipset.soc_model):
        raise ModelNotSupported(f"{chipset.told} was asked for, and what was built says of itself {told[:100]!r}")
    versions = {
        attribute.s.decode("utf-8", "replace")
        for node in model.graph.node
        for attribute in node.attribute
        if attribute.name == "ep_sdk_version"
    }
    return ", ".join(sorted(one.removeprefix("v") for one in versions)) or parts[2]


def simulate(model: Path, chipset: Chipset, inputs: Mapping[str, Array], folder: Path, max_s: float) -> list[Array]:
    """The outputs, in order, by the simulator, in a process of its own that is ended after ``max_s``.

    ``folder`` is empty or absent. Raises :class:`WorkerTimeout`, :class:`InferenceFailed` and :class:`ModelNotSupported`.
    """
    folder.mkdir(exist_ok=True)
    (folder / REQUEST_FILE).write_text(json.dumps({"model": str(model), "soc_model": chipset.soc_model}))
    fed: dict[str, Any] = dict(inputs)
    np.savez(folder / INPUTS_FILE, **fed)
    command = [sys.executable, "-P", "-m", "dynolab.runtimes._htp_program", str(folder)]
    with (folder / "log.txt").open("wb") as said:
        try:
            code = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, timeout=max_s).returncode
        except subprocess.TimeoutExpired as error:
            raise WorkerTimeout(f"the simulator takes more than {max_s:.0f} s for one inference") from error
    if code:
        lines = printable((folder / "log.txt").read_text(encoding="utf-8", errors="replace")).strip().splitlines()
        ends = f"by {Signals(-code).name}" if code < 0 else f"with {(lines or [f'code {code}'])[-1][:400]}"
        raise InferenceFailed(f"the simulator ends {ends}")
    with np.load(folder / OUTPUTS_FILE, allow_pickle=False) as found:
        return [found[f"output_{number}"] for number in range(len(found.files))]


def _open(model: Path | str | bytes, chipset: Chipset, entries: Mapping[str, str], settings: Mapping[str, str]) -> Any:
    """``enable_fallback=0``: else a plug-in that fails is replaced by ONNX Runtime's own processor, which only a print tells."""
    ort = library()
    ort.set_default_logger_severity(4)
    options = ort.SessionOptions()
    options.log_severity_level = 4
    for name, value in {"session.record_ep_graph_assignment_info": "1", **entries}.items():
        options.add_session_config_entry(name, value)
    given = {"backend_path": str(libraries() / "libQnnHtp.so"), "soc_model": str(chipset.soc_model), **settings}
    options.add_provider_for_devices(_devices(ort), {"offload_graph_io_quantization": "0", **given})
    return ort.InferenceSession(model if isinstance(model, bytes) else str(model), options, enable_fallback=0)


def _devices(ort: Any) -> list[Any]:
    """The plug-in's device, registered first if need be. Only this way: no ordinary session finds an NPU here."""
    if not (found := [one for one in ort.get_ep_devices() if one.ep_name == PROVIDER]):
        import onnxruntime_qnn

        ort.register_execution_provider_library(PROVIDER, onnxruntime_qnn.get_library_path())
        found = [one for one in ort.get_ep_devices() if one.ep_name == PROVIDER]
    return found


def _refusal(model: Path | str | bytes, chipset: Chipset, error: Exception) -> ModelNotSupported:
    """Which operators are left over, if it is that; else the library's reason."""
    hint = None if chipset.computes_floats else "its NPU is for quantised models: `dynolab quantize` makes one"
    failures: tuple[type[Exception], ...] = (*library_errors(), ModelNotSupported)
    try:
        found = assigned(_open(model, chipset, {}, {}))
    except failures:
        found = {}
    every = sum(sum(one.values()) for one in found.values())
    left = sum((one for name, one in found.items() if name != PROVIDER), Counter[str]())
    if left:
        kinds = ", ".join(name if count == 1 else f"{name} ({count})" for name, count in left.most_common())
        return ModelNotSupported(
            f"the NPU of {chipset.told} does not take {left.total()} of the {every} operators: {kinds[:400]}", hint=hint
        )
    reason = (printable(str(error)).partition(" FAIL : ")[2] or printable(str(error))).partition(". ")[0]
    return ModelNotSupported(f"the model cannot be built for {chipset.told}: {reason.strip()[:400]}", hint=hint)
