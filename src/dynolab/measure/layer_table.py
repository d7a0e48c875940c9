"""The table of layers of a profile, and what a reader must know of it. Pure."""

from __future__ import annotations

from dynolab.measure import layer_times
from dynolab.measure.protocol import LayerPass
from dynolab.spec.measurements import DISTURBED_FROM, Notice
from dynolab.spec.profiles import LayerTable
from dynolab.spec.show import show_share


def table(found: LayerPass | None, inference_ns: int | None) -> LayerTable:
    """The layers of a pass held against the inference's minimum, where there is one."""
    if found is None or found.reason is not None:
        return LayerTable((), found.reason if found else "there was no layer pass", None, None, 0, None)
    total, overlap = sum(layer.time_ns for layer in found.layers), layer_times.overlap(found)
    fastest = [layer.lower_ns for layer in found.layers if layer.lower_ns is not None]
    is_bound = len(fastest) == len(found.layers) and not any(found.overlaps_ns)
    return LayerTable(
        layers=found.layers,
        reason=None,
        total_ns=total,
        overhead=(total - overlap) / inference_ns - 1 if inference_ns else None,
        iterations=found.iterations,
        resolution_ns=found.resolution_ns,
        note=found.note,
        calm_iterations=sum(found.calm) if layer_times.are_enough(found.calm) else 0,
        overlap_ns=overlap,
        lower_sum_ns=sum(fastest) if is_bound else None,
    )


def notices(layers: LayerTable) -> list[Notice]:
    """That no iteration was calm, or that the whole table blames nobody."""
    found = []
    if layers.layers and layers.calm_iterations == 0:
        text = f"too few iterations of the layer pass were calm: the times of layers are the fastest of all {layers.iterations}"
        found.append(Notice("warning", "layers-not-calm", text))
    if layers.is_disturbed and layers.overhead is not None:
        text = (
            f"the layers add up to {show_share(layers.overhead)} more than an inference takes "
            f"(allowed {show_share(DISTURBED_FROM)}): watching or other work disturbed them, and their times blame nobody"
        )
        found.append(Notice("warning", "layers-disturbed", text))
    return found
