"""PyTorch: TorchScript as it stands, and exported programs compiled ahead of time by AOTInductor."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from dynolab.errors import Error, InferenceFailed, ModelNotSupported, OutOfMemory, PluginMissing, SpecInvalid
from dynolab.runtimes._elements import EXTRA, element_name, packed, unpacked
from dynolab.runtimes._numpy import np
from dynolab.runtimes.base import UNWATCHED, Array, LayerRecording, Runtime, Session, Target, Watch, check_units
from dynolab.runtimes.torch import aot, files
from dynolab.runtimes.torch import model_facts as facts
from dynolab.runtimes.torch.profiler import record
from dynolab.spec.measurements import ComputeUnit, RuntimeRow
from dynolab.spec.models import Description, ModelFormat
from dynolab.spec.options import Options
from dynolab.spec.tensors import TensorSpec

GROUP = "torch_options"
ARTIFACT = "model.pt2"
AOT = "AOTInductor"

_LOADING_MODULES = (
    "torch.profiler",
    "torch.export.pt2_archive._package",
    "torch.fx.experimental.validator",
    "torch._inductor.codecache",
    "torch._inductor.sizevars",
    "torch._inductor.package.package",
)
"""What ``torch.export.load`` and ``aoti_load_package`` import at their first call (torch 2.13)."""

Arguments = tuple[Sequence[Any], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model ready to be called: ``arrange`` makes the arguments of ``call`` from tensors by name."""

    call: Callable[..., Any]
    arrange: Callable[[Mapping[str, Any]], Arguments]
    inputs: tuple[TensorSpec, ...]
    executor: str


class TorchSession(Session):
    """A model that is called in inference mode with tensors in the caller's memory (or copies on its device)."""

    outputs = ()  # not known before a run
    takes_any_shape = True

    def __init__(self, loaded: Loaded, device: str) -> None:
        self.inputs = loaded.inputs
        self._loaded: Loaded | None = loaded
        self._device = device
        self._bound: Arguments = ((), {})
        self._last: Any = None
        self._mode: Any = None

    def bind(self, inputs: Mapping[str, Array], outputs: Mapping[str, TensorSpec]) -> None:
        """PyTorch makes the outputs itself, in each run."""
        assert self._loaded is not None
        arrays = {spec.name: np.require(inputs[spec.name], requirements=["C", "W"]) for spec in self.inputs}
        self.inputs = tuple(TensorSpec(name, array.dtype.name, array.shape) for name, array in arrays.items())
        self._bound = self._loaded.arrange({n: _tensor(a).to(self._device) for n, a in arrays.items()})

    def runner(self) -> Callable[[], object]:
        """Inference mode is entered here, once, and left in :meth:`close`; CUDA is waited for inside the call."""
        import torch

        assert self._loaded is not None
        if self._mode is None:
            self._mode = torch.inference_mode()
            self._mode.__enter__()
        call, (args, kwargs) = self._loaded.call, self._bound
        fence = partial(torch.cuda.synchronize, self._device) if self._device != "cpu" else None
        failures = (RuntimeError, torch.jit.Error)

        def run() -> None:
            try:
                self._last = call(*args, **kwargs)
                if fence is not None:
                    fence()
            except failures as error:
                raise _failure(error) from error

        return run

    def fetch(self) -> dict[str, Array]:
        return {f"output_{index}": _array(tensor) for index, tensor in enumerate(_tensors(self._last))}

    def effective(self) -> dict[str, str]:
        import torch

        found = {
            "device": self._device if self._device == "cpu" else torch.cuda.get_device_name(self._device),
            "executor": self._loaded.executor if self._loaded else "closed",
            "num_threads": str(torch.get_num_threads()),
            "num_interop_threads": str(torch.get_num_interop_threads()),
            "float32_matmul_precision": torch.get_float32_matmul_precision(),
            "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        }
        return found if self._device == "cpu" else {**found, "cuda": str(torch.version.cuda)}

    def accelerator_memory(self) -> dict[str, int]:
        """Of PyTorch's own CUDA allocator; the CUDA context and libraries come on top of that."""
        if self._device == "cpu":
            return {}
        from torch import cuda

        return {
            "cuda_allocated_bytes": cuda.memory_allocated(self._device),
            "cuda_reserved_bytes": cuda.memory_reserved(self._device),
            "cuda_max_allocated_bytes": cuda.max_memory_allocated(self._device),
        }

    def close(self) -> None:
        if self._mode is not None:
            self._mode.__exit__(None, None, None)
            self._mode = None
        self._loaded, self._bound, self._last = None, ((), {}), None


class Torch(Runtime):
    """TorchScript is loaded plainly (``torch.jit.load``, no freezing); an exported program from its artifact, if any.

    The CUDA path follows PyTorch's documentation and has not been run yet.
    """

    name = "torch"
    formats = (ModelFormat.TORCHSCRIPT, ModelFormat.EXPORTED_PROGRAM)
    distributions = ("torch",)
    units = (ComputeUnit.CPU, ComputeUnit.GPU)
    option_groups = (GROUP,)
    row = RuntimeRow(
        artifact=None,
        wiped="nothing: TorchScript keeps no cache",
        lazy="profiling and specialising of the graph in the first runs, which are warm-up",
    )
    rows: ClassVar[Mapping[ModelFormat, RuntimeRow]] = {
        ModelFormat.EXPORTED_PROGRAM: RuntimeRow(
            artifact="the AOTInductor package",
            wiped="nothing without the artifact; with it inductor's cache, where PyTorch compiles and keeps the programs "
            "that probe the CPU's vector instructions",
            lazy="what kernels allocate in the first run",
        )
    }

    def import_library(self) -> None:
        """With the modules that loading imports at its first call: they are the library's, not the model's."""
        with files.quiet():
            importlib.import_module("torch")
            for name in _LOADING_MODULES:
                with suppress(ModuleNotFoundError):  # these are PyTorch's own affair, and may move
                    importlib.import_module(name)

    def describe(self, target: Target) -> Description:
        if target.format == ModelFormat.TORCHSCRIPT:
            return facts.describe_torchscript(target.model, target.shapes, _input_types(target.options))
        return facts.describe_program(target.model, target.shapes)

    def load(self, target: Target) -> Session:
        device = _prepare(target.options)
        artifact = target.artifact_dir / ARTIFACT
        if target.format == ModelFormat.TORCHSCRIPT:
            return TorchSession(_torchscript(target, device), device)
        return TorchSession(_package(target, device) if artifact.exists() else _eager(target, device), device)

    def compile(self, target: Target) -> None:
        """AOTInductor, as :func:`aot.build <dynolab.runtimes.torch.aot.build>` does it."""
        device = _prepare(target.options)
        if (lacks := aot.compiler_missing()) is not None:
            reason, _, way_out = lacks.partition(": ")
            raise PluginMissing(reason, hint=way_out)
        tuned = bool(target.options.value(GROUP, "max_autotune"))
        package = target.artifact_dir / ARTIFACT
        aot.build(_program(target, device), package, target.cache_dir, target.model.name, max_autotune=tuned)

    def layers(
        self, target: Target, inputs: Mapping[str, Array], iterations: int, watch: Watch = UNWATCHED
    ) -> LayerRecording:
        """From PyTorch's profiler."""
        session = self.load(target)
        try:
            session.bind(inputs, {})
            effective = session.effective()
            compiled, on_gpu = effective["executor"] == AOT, "cuda" in effective
            return record(session.runner(), iterations, watch, on_gpu=on_gpu, compiled=compiled)
        finally:
            session.close()


def _prepare(options: Options) -> str:
    """The device to run on, with PyTorch's process-wide settings made. Raises for a device that is not here."""
    import torch

    device = _device(options)
    threads, others = options.value(GROUP, "num_threads"), options.value(GROUP, "num_interop_threads")
    precision = options.value(GROUP, "float32_matmul_precision")
    if threads is not None:
        torch.set_num_threads(int(threads))
    if others is not None and int(others) != torch.get_num_interop_threads():
        torch.set_num_interop_threads(int(others))  # may be set once in a process, before any work
    if precision is not None:
        torch.set_float32_matmul_precision(str(precision))
    return device


def _device(options: Options) -> str:
    """PyTorch's word for the device: the one named in the options, else the first unit asked for, else the CPU.

    CUDA is looked for only when it is asked for: that alone loads the driver.
    """
    named = str(options.value(GROUP, "device") or "")
    asked = options.compute_units
    if not named and not set(asked) - {ComputeUnit.CPU}:
        return "cpu"
    import torch

    offered = [ComputeUnit.CPU, *([ComputeUnit.GPU] if torch.cuda.is_available() else [])]
    units = check_units(options, offered, Torch.name)
    if not named:
        return "cpu" if units[0] is ComputeUnit.CPU else "cuda"
    unit = ComputeUnit.CPU if named == "cpu" else ComputeUnit.GPU
    if asked and unit not in asked:
        raise SpecInvalid(f"device={named} is a {unit}, and --compute_unit says {', '.join(asked)}")
    index = int(named.partition(":")[2] or 0)
    if unit not in offered or (unit is ComputeUnit.GPU and index >= torch.cuda.device_count()):
        raise ModelNotSupported(f"PyTorch finds no {named} on this machine", hint="it offers: " + ", ".join(offered))
    return named


def _input_types(options: Options) -> dict[str, str]:
    """Element types by input name, from ``input_types=ids:int64,mask:int64``."""
    text = str(options.group(GROUP).get("input_types", ""))
    return {name: dtype for name, _, dtype in (part.partition(":") for part in text.split(",") if part)}


def _torchscript(target: Target, device: str) -> Loaded:
    module = files.open_torchscript(target.model, device, known=bool(target.effective))
    wanted, types = facts.arguments(module), _input_types(target.options)

    def arrange(tensors: Mapping[str, Any]) -> Arguments:
        return [tensors[a.name].item() if a.kind in facts.SCALARS else tensors[a.name] for a in wanted], {}

    inputs = tuple(
        TensorSpec(a.name, facts.SCALARS.get(a.kind) or types.get(a.name, "float32"), target.shapes.get(a.name, ()))
        for a in wanted
    )
    return Loaded(module, arrange, inputs, "TorchScript")


def _program(target: Target, device: str) -> Any:
    """The exported program, moved to its device."""
    program = files.open_program(target.model, known=bool(target.effective))
    if device == "cpu":
        return program
    from torch.export.passes import move_to_device_pass

    return move_to_device_pass(program, device)


def _eager(target: Target, device: str) -> Loaded:
    """The program as a module: its operators are called one by one."""
    program = _program(target, device)
    inputs = tuple(
        TensorSpec(name, str(value.dtype).removeprefix("torch."), target.shapes.get(name, ()))
        for name, value in facts.user_tensors(program)
    )
    arrange = partial(facts.call_arguments, *facts.call_plan(program))
    with files.quiet():
        return Loaded(program.module(), arrange, inputs, "eager")


def _package(target: Target, device: str) -> Loaded:
    """The artifact of :meth:`Torch.compile`, called as its C++ interface is: a flat list of tensors, no Python trees."""
    index = int(device.partition(":")[2] or 0) if device != "cpu" else -1
    package, known = aot.open_package(target.artifact_dir / ARTIFACT, target.cache_dir, index)
    inputs = tuple(TensorSpec(name, dtype, target.shapes.get(name, ())) for name, dtype in known)
    return Loaded(
        package.loader.run, lambda tensors: (([tensors[name] for name, _ in known],), {}), inputs, "AOTInductor"
    )


def _failure(error: Exception) -> Error:
    """dynolab's error for one that PyTorch raised in an inference."""
    import torch

    reason = files.useful(error).removeprefix("RuntimeError: ")
    if isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error):
        return OutOfMemory(f"there was no memory left in an inference: {reason}")
    return InferenceFailed(f"the inference failed: {reason}")


def _tensors(value: Any) -> Iterator[Any]:
    """All tensors of a result, from nested tuples, lists and dicts in their order; anything else is left out."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            yield from _tensors(item)
    elif hasattr(value, "detach"):
        yield value


def _array(tensor: Any) -> Array:
    """A copy as an array; quantised values as the numbers that they stand for, a sparse tensor with its zeros."""
    import torch

    tensor = tensor.detach().cpu().resolve_conj().resolve_neg()
    if tensor.is_quantized:
        tensor = tensor.dequantize()
    if tensor.layout is not torch.strided:
        tensor = tensor.to_dense()
    if tensor.dtype is torch.complex32:  # of two halves, which numpy lacks
        tensor = tensor.to(torch.complex64)
    name = str(tensor.dtype).removeprefix("torch.")
    if name not in EXTRA:
        try:
            return np.array(tensor.numpy())
        except (TypeError, RuntimeError) as error:
            raise ModelNotSupported(
                f"an output is a tensor of {name} that only PyTorch knows: {files.useful(error)}",
                hint="convert it in the model, such as with .float()",
            ) from error
    return unpacked(tensor.contiguous().reshape(-1).view(torch.uint8).numpy(), name, tuple(tensor.shape))


def _tensor(array: Array) -> Any:
    """A tensor in the array's memory, or of its bytes where numpy does not have its type."""
    import torch

    name = element_name(array)
    if name not in EXTRA:
        return torch.from_numpy(array)
    return torch.from_numpy(packed(array).copy()).view(getattr(torch, name)).reshape(array.shape)


plugin = Torch()
