"""The target ``qnn_dlc``: Qualcomm's container of a graph before it is built; a device, or a link, builds it."""

from __future__ import annotations

import shutil
from contextlib import chdir
from pathlib import Path

from dynolab.errors import ModelNotSupported
from dynolab.runtimes import _htp as htp
from dynolab.spec.chipsets import Chipset
from dynolab.spec.models import ModelFormat
from dynolab.toolchains import _qnn as qnn
from dynolab.toolchains.base import Made, Order

_FOLDER = "dlc"


class QnnDlcToolchain(qnn.QnnToolchain):
    """The plug-in writes the container of what it builds, so that the chipset is known to take every operator."""

    name = "qnn_dlc"
    makes = ModelFormat.QNN_DLC
    simulated_text = (
        "the numbers are a simulator's: nothing here loads a DLC: the graph that was written into it was run on Qualcomm's for "
        "x86; how close a device comes to it is not known"
    )

    def build(self, source: Path, chipset: Chipset) -> qnn.Built:
        """As the base says."""
        settings = {
            "dump_qnn_ir_dlc": "1",
            "dump_qnn_ir_dlc_dir": _FOLDER,
            "qnn_ir_backend_path": str(htp.libraries() / "libQnnIr.so"),
        }
        with chdir(source.parent):
            session = htp.open_session(source.name, chipset, settings=settings)
            operators = sum(one.total() for one in htp.assigned(session).values())
        found = sorted((source.parent / _FOLDER).glob("*.dlc"))
        if len(found) != 1:
            raise ModelNotSupported(
                f"the NPU of {chipset.told} takes the model in {len(found)} parts, and not as one graph"
            )
        return qnn.Built(source, found[0], (found[0].stem,), operators, htp.sdk_version())

    def write(self, order: Order, source: Path, built: qnn.Built) -> str:
        """As the base says."""
        target = order.folder / f"{Path(order.model.name).stem}.dlc"
        shutil.copyfile(built.binary, target)
        qnn.keep_source(order, source)
        return target.name

    def simulated(self, order: Order, made: Made) -> Path:
        """As the base says: the ONNX file, from which the same graph is built again."""
        return order.folder / qnn.SOURCE_FOLDER / next((order.folder / qnn.SOURCE_FOLDER).glob("*.onnx")).name


plugin = QnnDlcToolchain()
