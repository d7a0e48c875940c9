"""The document of a link job, made up."""

from __future__ import annotations

from dynolab.spec.compiles import Npu
from dynolab.spec.links import LINKED_SCHEMA, Linked, LinkedGraph
from dynolab.spec.measurements import Notice
from dynolab.spec.models import FileFact
from dynolab.spec.tensors import TensorSpec

UNVERIFIED = Notice(
    "warning",
    "not-run",
    "nothing here loads a file of several graphs: that it runs was not verified, only what it was built from",
)


def sample_linked() -> Linked:
    """Two graphs of a model for two widths of text, which share their weights."""
    graphs = tuple(
        LinkedGraph(
            name=name,
            source=f"{name}.onnx",
            inputs=(TensorSpec("x", "float32", (1, 3, 48, width)),),
            outputs=(TensorSpec("classes", "float32", (1, 2)),),
            operators=operators,
        )
        for name, width, operators in (("narrow", 192, 179), ("wide", 320, 181))
    )
    return Linked(
        schema=LINKED_SCHEMA,
        entry="linked.bin",
        files=(FileFact("linked.bin", 679_936),),
        graphs=graphs,
        npu=Npu("SM8550", 43, "v73", ("narrow", "wide"), 360, "2.51.0"),
        file_bytes=679_936,
        tools={"onnx": "1.23.2", "onnxruntime": "1.32.0", "onnxruntime-qnn": "2.7.0"},
        options="",
        time_ns=1_400_000_000,
        peak_bytes=310_000_000,
        separate_bytes=1_146_880,
        notices=(UNVERIFIED,),
    )
