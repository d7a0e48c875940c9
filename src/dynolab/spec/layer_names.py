"""Which nodes of a model's file a layer is made of, by its name: runtimes put marks of their own on the names they found."""

from __future__ import annotations

import re

_BEFORE = "fused "
_MADE = re.compile(r"(_nchwc|_token_\d+|/\w+Fusion/?|/duplicated| #\d+)$")
"""What ONNX Runtime puts behind the name of what it made a layer of; dynolab numbers layers that share a name."""
_NUMBERED = re.compile(r"(_token_| #)\d+$")


def node_names(name: str, kind: str) -> list[tuple[str, ...]]:
    """Under which names the nodes of a layer called ``name``, of type ``kind``, may be found in the file; the surest first.

    A node bears its own name, and those of the tensors that it puts out. The first group of which the file has any is
    right; several names in a group are several nodes that were fused.
    """
    groups: list[tuple[str, ...]] = [(name,)]
    parts = tuple(dict.fromkeys(part for part in name.split(",") if part))  # OpenVINO lists all that it fused
    if len(parts) > 1:
        groups.append(parts)
    rest = name
    while (shorter := _without_mark(rest)) != rest:
        if _NUMBERED.search(rest) and shorter == kind:  # Reshape_token_3 is one more Reshape, of no node's name
            break
        rest = shorter
        groups.append((rest,))
    return groups


def lasting_name(name: str, kind: str) -> str:
    """What a layer called ``name``, of type ``kind``, can be matched by from one profile to another.

    Where a runtime made a name up, of the kind and a number, that is the kind alone: ONNX Runtime numbers what it adds in
    another order each time that it optimises the same model (ReorderOutput_token_214), but runs it in the same order.
    """
    return kind if _NUMBERED.sub("", name) == kind else name


def _without_mark(name: str) -> str:
    return _MADE.sub("", name) if _MADE.search(name) else name.removeprefix(_BEFORE)
