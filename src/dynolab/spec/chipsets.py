"""Qualcomm's chipsets with a Hexagon NPU, under the names and attributes that AI Hub's devices have."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from dynolab.errors import SpecInvalid

SOC_MODEL, HEXAGON, CHIPSET = "soc-model:", "hexagon:", "chipset:"
"""What AI Hub's attributes of a device begin with that tell its chipset."""


@dataclass(frozen=True, slots=True)
class Chipset:
    """One system on a chip as Qualcomm's compiler knows it; chips of several names may be one to it."""

    name: str
    soc_model: int
    """The compiler's number, as in AI Hub's attribute ``soc-model:N``."""
    hexagon: str
    """The NPU's generation, such as ``v73``."""
    names: tuple[str, ...]
    """As AI Hub's attributes ``chipset:`` call them."""
    computes_floats: bool = True
    """AI Hub's ``htp-supports-fp16``: float models run as float16; else the NPU is for quantised ones."""
    shares_weights: bool = True
    """AI Hub's ``htp-supports-weight-sharing``: several graphs in a binary hold common weights once."""

    @property
    def told(self) -> str:
        """The same in words."""
        return f"{self.name} (soc-model {self.soc_model}, Hexagon {self.hexagon})"


FOR_CHIPSET = ("precompiled_qnn_onnx", "qnn_context_binary", "qnn_dlc")
"""Targets that are made for one chipset."""
CHIPSETS = (
    Chipset("SM8550", 43, "v73", ("qualcomm-snapdragon-8gen2", "sm8550", "qualcomm-qcs8550-proxy")),
    Chipset("SM8650", 57, "v75", ("qualcomm-snapdragon-8gen3", "sm8650")),
    Chipset("SM8750", 69, "v79", ("qualcomm-snapdragon-8-elite-for-galaxy", "qualcomm-snapdragon-8-elite", "sm8750", "sm8750-ac", "qualcomm-qcs8750")),
    Chipset("SM8850", 87, "v81", ("qualcomm-snapdragon-8-elite-gen5-for-galaxy", "qualcomm-snapdragon-8-elite-gen5", "sm8850", "sm8850-ad")),
    Chipset("SM8950", 113, "v85", ("qualcomm-snapdragon-8-elite-gen6", "sm8950")),
    Chipset("SM8975", 103, "v85", ("qualcomm-snapdragon-8-elite-extreme-gen6", "sm8975")),
    Chipset("SM8450", 36, "v69", ("qualcomm-snapdragon-8gen1", "sm8450", "qualcomm-qcs8450"), shares_weights=False),
    Chipset("SM8350", 30, "v68", ("qualcomm-snapdragon-888", "sm8350"), computes_floats=False, shares_weights=False),
    Chipset("SM7325", 35, "v68", ("qualcomm-snapdragon-778g", "sm7325"), computes_floats=False),
    Chipset("SM7750", 86, "v73", ("qualcomm-snapdragon-7gen4", "sm7750", "qualcomm-qcs7790"), computes_floats=False),
    Chipset("SC8380XP", 60, "v73", ("qualcomm-snapdragon-x-elite", "sc8380xp", "qualcomm-snapdragon-x-plus-8-core", "sc8340xp",
                                    "qualcomm-qcs5121", "qualcomm-qcs7181")),
    Chipset("SC8480XP", 88, "v81", ("qualcomm-snapdragon-x2-elite", "sc8480xp")),
    Chipset("QCS6490", 93, "v68", ("qualcomm-qcs6490", "qcs6490"), computes_floats=False, shares_weights=False),
    Chipset("QCM6690", 78, "v73", ("qualcomm-qcm6690", "qcm6690"), computes_floats=False),
    Chipset("QCS8275", 82, "v75", ("qualcomm-qcs8275", "qcs8275")),
    Chipset("QCS9075", 77, "v73", ("qualcomm-qcs9075", "qcs9075")),
    Chipset("SA7255P", 67, "v75", ("qualcomm-sa7255p",)),
    Chipset("SA8255P", 52, "v73", ("qualcomm-sa8255p", "qualcomm-sa8650p", "qualcomm-sa8775p")),
    Chipset("SA8295P", 39, "v68", ("qualcomm-sa8295p",)),
)  # fmt: skip
"""Names and attributes: AI Hub's list of devices (its models package 0.65). The first of a generation stands for it."""


def chipset_named(text: str) -> Chipset:
    """The chipset of a name, a number or a generation, such as ``sm8550``, ``soc-model:43``, ``hexagon:v73`` or ``v73``.

    Raises :class:`SpecInvalid`, naming those that there are.
    """
    wanted = text.strip().lower()
    for start in (SOC_MODEL, HEXAGON, CHIPSET):
        wanted = wanted.removeprefix(start)
    for one in CHIPSETS:
        if (
            wanted in (str(one.soc_model), one.hexagon, one.name.lower(), *one.names)
            or f"qualcomm-{wanted}" in one.names
        ):
            return one
    known = ", ".join(f"{one.name.lower()} ({one.soc_model})" for one in CHIPSETS)
    raise SpecInvalid(
        f"there is no chipset {text.strip()[:100]!r} that Qualcomm's compiler is known to build for",
        hint=f"by name, number or generation (v73): {known}",
    )


def chipset_of(attributes: Iterable[str]) -> Chipset | None:
    """The chipset of a device by its attributes: its number, else its generation; None: it tells of no Hexagon.

    Raises as :func:`chipset_named` does.
    """
    told = list(attributes)
    for start in (SOC_MODEL, HEXAGON):
        for one in told:
            if one.startswith(start):
                return chipset_named(one)
    return None
