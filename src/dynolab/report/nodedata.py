"""Node data for Model Explorer: the time of each layer, laid over the model's graph.

The schema is ``GraphNodeData`` of ``model_explorer/node_data_builder.py`` (ai-edge-model-explorer 0.1.34); a file with
``results`` at its top belongs to the graph that is shown. Open with
``model-explorer MODEL --node_data_paths nodedata.json``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from dynolab.report.base import Report, only
from dynolab.spec.layer_names import node_names
from dynolab.spec.measurements import Layer
from dynolab.spec.profiles import Profile

_GRADIENT = [{"stop": 0, "bgColor": "#ffffff"}, {"stop": 0.5, "bgColor": "#f6c667"}, {"stop": 1, "bgColor": "#d9480f"}]
_RESERVED = "results"  # as a node's key, Model Explorer would take the file for one that holds several graphs


class NodeDataReport(Report):
    """Microseconds by node. Model Explorer finds one by its id or by the name of a tensor that it puts out, and passes over others.

    The model's file is not at hand: a layer stands under every name that its nodes may bear in it.
    """

    name = "nodedata"
    file_name = "nodedata.json"
    description = "layer times for Model Explorer's graph view"

    def render(self, profiles: Sequence[Profile]) -> str:
        profile = only(profiles, self.name)
        document: dict[str, Any] = {
            "name": f"{profile.runtime.name} time (µs)" + (", disturbed" if profile.layers.is_disturbed else ""),
            "results": {name: {"value": ns / 1000} for name, ns in _by_node(profile.layers.layers).items()},
        }
        if not profile.layers.is_disturbed:  # else Model Explorer shows the figures, and colours nothing by them
            document["gradient"] = _GRADIENT
        return json.dumps(document, indent=1) + "\n"


def _by_node(layers: Sequence[Layer]) -> dict[str, int]:
    """Time in ns by name; layers of one node (a loop's body, a split operator) are summed."""
    found: dict[str, int] = {}
    for layer in layers:
        names = {name: None for group in node_names(layer.name, layer.type) for name in group if name != _RESERVED}
        for name in names:
            found[name] = found.get(name, 0) + layer.time_ns
    return found


plugin = NodeDataReport()
