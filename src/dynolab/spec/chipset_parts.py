"""Qualcomm's parts as AI Hub's list of devices tells of them: by the part number that a device itself names.

Facts from AI Hub's published list (its models package 0.65, ``devices_and_chipsets.yaml``); ``sm8750`` as its service told of
a device in 2026-08, ``sm8850`` as it did of one before. Several parts share a ``soc-model``, so nothing is looked up by that.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Part:
    """One part: what AI Hub calls it, and its NPU. ``names`` are values of ``chipset:``."""

    names: tuple[str, ...]
    hexagon: str
    soc_model: int
    computes_floats: bool
    """AI Hub's ``htp-supports-fp16``."""
    shares_weights: bool
    """AI Hub's ``htp-supports-weight-sharing``."""


PARTS: dict[str, Part] = {
    "qcm6690": Part(("qualcomm-qcm6690", "qcm6690", "qualcomm-dragonwing-q-6690"), "v73", 78, False, True),
    "qcs5121": Part(("qualcomm-qcs5121",), "v73", 60, True, True),
    "qcs6490": Part(("qualcomm-qcs6490", "qcs6490", "qualcomm-dragonwing-qcs6490"), "v68", 93, False, False),
    "qcs7181": Part(("qualcomm-qcs7181", "qualcomm-dragonwing-iq-x7181"), "v73", 60, True, True),
    "qcs7790": Part(("qualcomm-qcs7790", "qualcomm-dragonwing-q-7790"), "v73", 86, True, True),
    "qcs8275": Part(("qualcomm-qcs8275", "qcs8275", "qualcomm-dragonwing-iq-8275"), "v75", 82, True, True),
    "qcs8450": Part(("qualcomm-qcs8450",), "v69", 36, True, False),
    "qcs8550": Part(("qualcomm-qcs8550-proxy", "qualcomm-dragonwing-qcs8550-proxy"), "v73", 43, True, True),
    "qcs8750": Part(("qualcomm-qcs8750", "qualcomm-dragonwing-q-8750"), "v79", 69, True, True),
    "qcs9075": Part(("qualcomm-qcs9075", "qcs9075", "qualcomm-dragonwing-iq-9075"), "v73", 77, True, True),
    "sa7255p": Part(("qualcomm-sa7255p",), "v75", 67, True, True),
    "sa8255p": Part(("qualcomm-sa8255p",), "v73", 52, True, True),
    "sa8295p": Part(("qualcomm-sa8295p",), "v68", 39, True, True),
    "sa8650p": Part(("qualcomm-sa8650p",), "v73", 52, True, True),
    "sa8775p": Part(("qualcomm-sa8775p",), "v73", 52, True, True),
    "sc8340xp": Part(("qualcomm-snapdragon-x-plus-8-core", "sc8340xp"), "v73", 60, True, True),
    "sc8380xp": Part(("qualcomm-snapdragon-x-elite", "sc8380xp"), "v73", 60, True, True),
    "sc8480xp": Part(("qualcomm-snapdragon-x2-elite", "sc8480xp"), "v81", 88, True, True),
    "sdm670": Part(("qualcomm-snapdragon-670", "sdm670"), "v65", 6, False, False),
    "sdm845": Part(("qualcomm-snapdragon-845", "sdm845"), "v65", 1, False, False),
    "sm6150-ac": Part(("qualcomm-snapdragon-678", "sm6150-ac"), "v66", 16, False, False),
    "sm7250": Part(("qualcomm-snapdragon-765g", "sm7250"), "v66", 25, False, False),
    "sm7325": Part(("qualcomm-snapdragon-778g", "sm7325"), "v68", 35, False, True),
    "sm7750": Part(("qualcomm-snapdragon-7gen4", "sm7750"), "v73", 86, False, True),
    "sm8150": Part(("qualcomm-snapdragon-855", "sm8150"), "v66", 12, False, False),
    "sm8250-ab": Part(("qualcomm-snapdragon-865+", "sm8250-ab"), "v66", 21, False, False),
    "sm8350": Part(("qualcomm-snapdragon-888", "sm8350"), "v68", 30, False, False),
    "sm8450": Part(("qualcomm-snapdragon-8gen1", "sm8450"), "v69", 36, True, False),
    "sm8550": Part(("qualcomm-snapdragon-8gen2", "sm8550"), "v73", 43, True, True),
    "sm8650": Part(("qualcomm-snapdragon-8gen3", "sm8650"), "v75", 57, True, True),
    "sm8750": Part(("qualcomm-snapdragon-8-elite", "sm8750"), "v79", 69, True, True),
    "sm8750-ac": Part(("qualcomm-snapdragon-8-elite-for-galaxy", "sm8750-ac"), "v79", 69, True, True),
    "sm8850": Part(("qualcomm-snapdragon-8-elite-gen5", "sm8850"), "v81", 87, True, True),
    "sm8850-ad": Part(("qualcomm-snapdragon-8-elite-gen5-for-galaxy", "sm8850-ad"), "v81", 87, True, True),
    "sm8950": Part(("qualcomm-snapdragon-8-elite-gen6", "sm8950"), "v85", 113, True, True),
    "sm8975": Part(("qualcomm-snapdragon-8-elite-extreme-gen6", "sm8975"), "v85", 103, True, True),
}  # fmt: skip
"""By part number in small letters; what follows a hyphen is a bin of the part, which devices seldom name."""
FOR_GALAXY = {"sm8750": "sm8750-ac", "sm8850": "sm8850-ad"}
"""Bins that are made for one maker's phones alone: there the plain number means them."""
OTHER_NUMBERS = {"x1e80100": "sc8380xp", "qcm6490": "qcs6490"}
"""What Linux calls a part that AI Hub knows by another number (kernel: Documentation/devicetree/bindings/arm/qcom.yaml)."""


def part_of(number: str, maker: str) -> Part | None:
    """The part of a number such as ``SM8650``, in a device of this maker; None: it is none that AI Hub lists."""
    wanted = number.strip().lower()
    wanted = OTHER_NUMBERS.get(wanted, wanted)
    if maker.lower() == "samsung":
        wanted = FOR_GALAXY.get(wanted, wanted)
    return PARTS.get(wanted)
