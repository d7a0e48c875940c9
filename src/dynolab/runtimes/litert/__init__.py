"""LiteRT: ``.tflite`` models on the CPU, by the API that apps use (CompiledModel) with XNNPACK."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from math import prod
from pathlib import Path
from typing import Any

from dynolab.errors import InferenceFailed, LoadFailed, ModelNotSupported, PluginMissing, SpecInvalid
from dynolab.runtimes._elements import packed, unpacked
from dynolab.runtimes._numpy import np
from dynolab.runtimes.base import (
    UNWATCHED,
    Array,
    LayerRecording,
    Runtime,
    Session,
    Target,
    Watch,
    check_units,
    install_command,
    pip_command,
    warm_up_layers,
)
from dynolab.runtimes.litert import c_api, events, file_facts, schema
from dynolab.runtimes.litert.interpreter import API, InterpreterSession
from dynolab.spec.measurements import ComputeUnit, Notice, RuntimeRow
from dynolab.spec.models import Description, ModelFormat
from dynolab.spec.options import Options
from dynolab.spec.tensors import TensorSpec

WEIGHT_CACHE = "xnnpack_weights.bin"
DELEGATES = ("xnnpack",)
LIBRARY_DEFAULT = 0  # CpuOptions.num_threads: "the LiteRT runtime will decide", which is 1 in 2.3.0
_NAMELESS = "unknown"


class LiteRtSession(Session):
    """A CompiledModel with all its tensors allocated; :meth:`bind` adds a buffer for each input and output."""

    def __init__(self, model: Any, target: Target, threads: int, stamp: Stamp) -> None:
        """``threads``: that work in an inference; ``stamp``: of the weight cache before the load."""
        self._model, self._target, self._threads, self._stamp = model, target, threads, stamp
        named = signature_of(target.options)
        self._index = 0 if named is None else _index(model, named)
        self._key = str(model.get_signature_by_index(self._index)["key"])
        self._fed: list[Any] = []
        self._filled: list[Any] = []
        self.inputs = self._specs(model.get_input_tensor_details(self._key))
        for index, spec in enumerate(self.inputs):
            if target.shapes.get(spec.name, spec.shape) != spec.shape:
                model.resize_input_tensor(index, list(target.shapes[spec.name]), self._index)
        self.inputs = self._specs(model.get_input_tensor_details(self._key))
        # Asking for the outputs' shapes makes LiteRT allocate all tensors, which it else does in the first inference.
        self.outputs = self._specs(model.get_output_tensor_details(self._key))

    def _specs(self, details: Mapping[str, Mapping[str, Any]]) -> tuple[TensorSpec, ...]:
        return tuple(TensorSpec(name, str(item["dtype"]), tuple(item["shape"])) for name, item in details.items())

    def _with_types(self) -> None:
        """LiteRT 2.3.0 has no name for complex64 and uint64. The file has: it is read here, where no load is measured."""
        if all(spec.dtype != _NAMELESS for spec in (*self.inputs, *self.outputs)):
            return
        file = self._file()
        tensors = file.main.tensors
        kinds = {name: tensors[place].dtype for name, place in zip(file.input_names, file.main.inputs, strict=True)}
        self.inputs = tuple(replace(spec, dtype=kinds[spec.name]) for spec in self.inputs)
        kinds = {name: tensors[place].dtype for name, place in zip(file.output_names, file.main.outputs, strict=True)}
        self.outputs = tuple(replace(spec, dtype=kinds[spec.name]) for spec in self.outputs)

    def _file(self) -> schema.TfliteFile:
        return schema.read(self._target.model, signature_of(self._target.options))

    def bind(self, inputs: Mapping[str, Array], outputs: Mapping[str, TensorSpec]) -> None:
        """LiteRT's own buffers, which it uses in place. Written as bytes: ``TensorBuffer`` knows few element types."""
        self._with_types()
        self._fed, self._filled = (
            self._model.create_input_buffers(self._index),
            self._model.create_output_buffers(self._index),
        )
        for spec, buffer in zip(self.inputs, self._fed, strict=True):
            array = np.asarray(inputs[spec.name], order="C")
            if array.shape != spec.shape or array.dtype.name != spec.dtype:
                given = f"{array.dtype.name} {list(array.shape)}"
                raise InferenceFailed(f"input {spec.name!r} is {spec.dtype} {spec.shape_text}, it was given {given}")
            buffer.write(packed(array))
        for spec, buffer in zip(self.outputs, self._filled, strict=True):
            buffer.write(np.zeros(spec.bytes or 0, np.uint8))  # LiteRT allocates it, nobody has touched it yet
        self.bound_output_bytes = sum(spec.bytes or 0 for spec in self.outputs)

    def runner(self) -> Callable[[], object]:
        """The call under ``CompiledModel.run_by_index``, without the two lists that it makes anew each time."""
        call, index = self._model._model.RunByIndex, self._index
        fed, filled = [buffer.capsule for buffer in self._fed], [buffer.capsule for buffer in self._filled]

        def run() -> None:
            try:
                call(index, fed, filled)
            except RuntimeError as error:
                raise InferenceFailed(f"LiteRT could not run the model: {_words(error)}") from error

        return run

    def fetch(self) -> dict[str, Array]:
        found = {}
        for spec, buffer in zip(self.outputs, self._filled, strict=True):
            content = buffer.read(spec.bytes or 0, np.uint8)
            found[spec.name] = unpacked(content, spec.dtype, spec.sizes)
        return found

    def notices(self) -> tuple[Notice, ...]:
        names = self._file().signatures
        if len(names) < 2 or signature_of(self._target.options) is not None:
            return ()
        text = f"the file has {len(names)} signatures ({', '.join(names)}), and {self._key} was measured"
        return (Notice("loud", "several-signatures", f"{text}: --tflite_options signature=NAME takes another"),)

    def effective(self) -> dict[str, str]:
        stamp = _stamp(self._target.cache_dir / WEIGHT_CACHE)
        asked = _threads(self._target.options)
        threads = self._threads if _running_threads() else asked or 1
        whose = "as asked" if asked else "the library's default"
        return {
            "api": "CompiledModel",
            "threads": f"{threads} ({whose})",
            "delegate": "XNNPACK",
            "fully_delegated": str(self._model.is_fully_accelerated()).lower(),
            "precision": "as in the file (no XNNPACK flag is set)",
            "xnnpack_weight_cache": "none" if stamp is None else "read" if stamp == self._stamp else "written",
            "signature": self._key,
        }

    def close(self) -> None:
        for buffer in (*self._fed, *self._filled):
            buffer.destroy()
        self._fed, self._filled = [], []
        self._model.close()


class LiteRt(Runtime):
    """Nothing to compile on a CPU; XNNPACK keeps the weights that it packed in a file, for the next load."""

    name = "litert"
    formats = (ModelFormat.TFLITE,)
    distributions = ("ai-edge-litert",)
    units = (ComputeUnit.CPU,)
    option_groups = ("tflite_options.number_of_threads", "tflite_options.signature", "tflite_delegates")
    row = RuntimeRow(
        artifact=None,
        wiped="XNNPACK's weight cache: the file with the packed weights",
        lazy="first touch of the mapped packed weights and of the tensors' memory; one-time initialisers (CALL_ONCE)",
    )

    def import_library(self) -> None:
        """Import the library and make its environment, which loads the accelerators' libraries."""
        try:
            _environment()
        except ModuleNotFoundError as error:
            raise PluginMissing(f"the module {error.name} is missing", hint=install_command("litert")) from error

    def describe(self, target: Target) -> Description:
        self._check(target.options)
        return file_facts.describe(target.model, target.shapes, signature_of(target.options))

    def load(self, target: Target) -> Session:
        self._check(target.options)
        from ai_edge_litert.compiled_model import CompiledModel, CpuOptions
        from ai_edge_litert.compiled_model import Options as ModelOptions

        cache_file, options = target.cache_dir / WEIGHT_CACHE, target.options
        cpu = CpuOptions(num_threads=_threads(options), xnnpack_weight_cache_path=str(cache_file))
        stamp, threads, signature = _stamp(cache_file), _running_threads(), signature_of(options)
        try:
            if target.effective.get("api") == API:
                return InterpreterSession(target, signature, _threads(options))
            model = CompiledModel.from_file(
                str(target.model), environment=_environment(), options=ModelOptions(cpu_options=cpu)
            )
            threads = _running_threads() - threads + 1  # those that the load brought, and the caller's own
            session = LiteRtSession(model, target, threads, stamp)
            if all(prod(spec.sizes) for spec in session.outputs):
                return session
            session.close()
            return InterpreterSession(target, signature, _threads(options))
        except (RuntimeError, ValueError) as error:
            why = _words(error) + _explanation(target)
            raise LoadFailed(f"LiteRT could not load {target.model.name}: {why}") from error

    def _check(self, options: Options) -> None:
        check_units(options, self.units, self.name)
        for delegate in options.listed("tflite_delegates"):
            if delegate not in DELEGATES:
                raise ModelNotSupported(
                    f"LiteRT has no delegate {delegate!r} here (it has: {', '.join(DELEGATES)})",
                    hint="leave --tflite_delegates out, or give xnnpack",
                )

    def layers(
        self, target: Target, inputs: Mapping[str, Array], iterations: int, watch: Watch = UNWATCHED
    ) -> LayerRecording:
        """From the profiler of LiteRT's C API, which counts whole microseconds; threads and cache as in :meth:`load`."""
        self._check(target.options)
        if target.effective.get("api") == API:
            raise ModelNotSupported(
                "times of layers come from LiteRT's C API, which runs no model with an output of unknown length"
            )
        version = self.versions().get(self.distributions[0])
        if version not in c_api.TRIED:
            tried = ", ".join(sorted(c_api.TRIED))
            raise ModelNotSupported(
                f"times of layers come from LiteRT's C API, whose layout changes between releases: "
                f"tried with {tried}, here is {version}",
                hint=pip_command(f"ai-edge-litert=={tried.split(', ')[-1]}"),
            )
        file = schema.read(target.model, signature_of(target.options))
        arrays = {name: inputs[name] for name in file.input_names}
        cache_file = target.cache_dir / WEIGHT_CACHE
        threads, signature = _threads(target.options), file.signature_index
        with c_api.profiled(target.model, threads=threads, weight_cache=cache_file, signature=signature) as model:
            model.bind(list(arrays.values()))
            warm_up_layers(model.run)
            runs = [watch(model.record) for _ in range(iterations)]
            watch.close()
        sized = file_facts.shapes_hold(file, {name: array.shape for name, array in arrays.items()})
        return events.recording(runs, file.main, sized=sized)


@cache
def _environment() -> Any:
    """The one environment of this process; CompiledModel is imported with it."""
    from ai_edge_litert.compiled_model import Environment

    return Environment.create()


def _index(model: Any, signature: str) -> int:
    """Raises :class:`~dynolab.errors.SpecInvalid` for a signature that the model does not have."""
    names = [str(model.get_signature_by_index(index)["key"]) for index in range(model.get_num_signatures())]
    if signature not in names:
        raise SpecInvalid(
            f"the model has no signature named {signature!r}", hint=f"its signatures are: {', '.join(names)}"
        )
    return names.index(signature)


def signature_of(options: Options) -> str | None:
    """The signature that was asked for; None: the file's first."""
    named = options.group("tflite_options").get("signature")
    return None if named is None else str(named)


def _threads(options: Options) -> int:
    """The number for CpuOptions: what was asked for, or its word for the library's own choice."""
    return max(int(options.group("tflite_options").get("number_of_threads", LIBRARY_DEFAULT)), LIBRARY_DEFAULT)


def _running_threads() -> int:
    """Threads of this process; 0 where the system does not tell."""
    try:
        return Path("/proc/self/task").stat().st_nlink - 2  # a folder has a link from each folder in it
    except OSError:
        return 0


Stamp = tuple[int, int] | None


def _stamp(file: Path) -> Stamp:
    """What changes when a file is written; None when there is none."""
    try:
        found = file.stat()
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_size


def _words(error: Exception) -> str:
    """The library's message in one line, without the lines that only name its source files."""
    lines = [line.strip(" └\t") for line in str(error).splitlines()]
    telling = [line for line in lines if line and not line.startswith("ERROR: [")]
    return "; ".join(telling or lines)


def _explanation(target: Target) -> str:
    """What the classic interpreter says to the same file and shapes: CompiledModel tells its log only."""
    from ai_edge_litert.interpreter import Interpreter

    try:
        interpreter = Interpreter(str(target.model))
        for detail, shape in zip(interpreter.get_input_details(), target.shapes.values(), strict=False):
            interpreter.resize_tensor_input(detail["index"], shape)
        interpreter.allocate_tensors()
    except (RuntimeError, ValueError) as error:
        return f" ({_words(error)})"
    return ""


plugin = LiteRt()
