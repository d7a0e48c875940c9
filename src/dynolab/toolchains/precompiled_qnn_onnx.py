"""The target ``precompiled_qnn_onnx``: an ONNX file with a graph that is built for one chipset, as ONNX Runtime loads it there."""

from __future__ import annotations

import zipfile
from pathlib import Path

from dynolab.spec.models import ModelFormat
from dynolab.toolchains import _qnn as qnn
from dynolab.toolchains.base import Order

FOLDER, MODEL_FILE, BINARY_FILE = "model.onnx", "model.onnx", "model.bin"
"""In the ZIP file, as AI Hub names them: its recipes look for these."""


class PrecompiledQnnOnnxToolchain(qnn.QnnToolchain):
    """A ZIP file of two, in a folder."""

    name = "precompiled_qnn_onnx"
    makes = ModelFormat.PRECOMPILED_QNN_ONNX

    def write(self, order: Order, source: Path, built: qnn.Built) -> str:
        """As the base says. The files carry no times, so that the same model gives the same bytes."""
        import onnx

        model = onnx.load(str(built.wrapper))
        for attribute in model.graph.node[0].attribute:
            if attribute.name == "ep_cache_context":
                attribute.s = BINARY_FILE.encode()
        target = order.folder / f"{Path(order.model.name).stem}.onnx.zip"
        with zipfile.ZipFile(target, "w") as archive:
            archive.writestr(zipfile.ZipInfo(f"{FOLDER}/{MODEL_FILE}"), model.SerializeToString())
            with (
                built.binary.open("rb") as binary,
                archive.open(zipfile.ZipInfo(f"{FOLDER}/{BINARY_FILE}"), "w", force_zip64=True) as packed,
            ):
                while block := binary.read(1 << 20):
                    packed.write(block)
        return target.name


plugin = PrecompiledQnnOnnxToolchain()
