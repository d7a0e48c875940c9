"""The target ``qnn_context_binary``: a graph that is built for one chipset, as QNN's own API loads it."""

from __future__ import annotations

import shutil
from pathlib import Path

from dynolab.spec.models import ModelFormat
from dynolab.toolchains import _qnn as qnn
from dynolab.toolchains.base import Order


class QnnContextBinaryToolchain(qnn.QnnToolchain):
    """ONNX Runtime writes the binary beside an ONNX file that names it; the simulator loads it through that."""

    name = "qnn_context_binary"
    makes = ModelFormat.QNN_CONTEXT_BINARY

    def write(self, order: Order, source: Path, built: qnn.Built) -> str:
        """As the base says."""
        target = order.folder / f"{Path(order.model.name).stem}.bin"
        shutil.copyfile(built.binary, target)
        qnn.keep_source(order, source)
        return target.name


plugin = QnnContextBinaryToolchain()
