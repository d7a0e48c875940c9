"""What kind of machine this is, by the name that people know: from the device tree, the SoC driver and DMI. Pure over a tree."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from dynolab.measure import emulation
from dynolab.spec.chipset_parts import OTHER_NUMBERS, PARTS

_DMI = "sys/class/dmi/id"
_FILLER = re.compile(
    r"(to be filled.*|system (product|manufacturer|version).*|default string|product name|none|null|n/?a|oem|o\.e\.m\.?|unknown"
    r"|not (specified|applicable|available)|invalid|empty|undefined|x+|0+|1234567890?|type1.*|\$\(.*|\.+|-+)",
    re.IGNORECASE,
)
"""What makers leave in DMI's fields instead of a name."""
_MADE_UP = re.compile(
    r"[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}|(?=.*[0-9])[0-9a-f]{10,}|localhost.*", re.IGNORECASE
)
"""UUIDs, hashes (a container's host name is one) and the name that every host has for itself: nobody knows a machine by these."""
_COMPANY = re.compile(
    r"[, ]+(inc|corp|corporation|co|ltd|llc|gmbh|computers?|technolog(?:y|ies))\b\.?,?", re.IGNORECASE
)
_MAKERS = {
    "brcm": "broadcom", "fsl": "nxp", "qcom": "qualcomm", "ti": "texas-instruments", "st": "st", "raspberrypi": "raspberrypi",
}  # fmt: skip
"""Prefixes of the device tree whose maker is known by another name (kernel: Documentation/devicetree/bindings/vendor-prefixes.yaml)."""
_SOC = re.compile(r"(?:sm|sdm|sa|qcs|qcm|sc|x1[ep])\d[0-9a-z]*")
_FORMS = {"handset": "phone", "tablet": "tablet", "laptop": "compute", "convertible": "compute", "desktop": "compute",
          "server": "compute"}  # fmt: skip
"""AI Hub's words for the device tree's ``chassis-type`` (Devicetree Specification 0.4, section 3.2); others, and boards: iot."""


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine as its firmware describes it; empty: it does not tell."""

    name: str
    maker: str = ""
    form: str = "compute"
    soc: str = ""
    soc_maker: str = ""


def machine(root: Path, architecture: str) -> Machine:
    """By the device tree (ARM boards), else by DMI (PCs). An emulated or nameless virtual one is called after what makes it."""
    virtual = emulation.hypervisor(root)
    soc, soc_maker = _soc(root)
    if virtual is not None:
        return Machine(f"{virtual} virtual machine ({architecture})")
    tree = _tree_text(root, "model")
    if tree:
        maker = _tree_list(root)[0].partition(",")[0] if _tree_list(root) else ""
        form = _FORMS.get(_tree_text(root, "chassis-type"), "iot")
        return Machine(_without_revision(_COMPANY.sub("", tree)), _MAKERS.get(maker, maker), form, soc, soc_maker)
    name, maker = _dmi(root)
    return Machine(name, maker, "compute", soc, soc_maker)


def is_name(text: str) -> bool:
    """Whether people may know a machine by this text: it is no filler, no UUID and no hash."""
    return bool(text) and _FILLER.fullmatch(text) is None and _MADE_UP.fullmatch(text) is None


def _without_revision(name: str) -> str:
    """Boards of one model are one pool: ``Raspberry Pi 5 Model B Rev 1.0`` and 1.1 are the same to whoever measures."""
    return re.sub(r"\s+rev(ision)?\.?\s*[0-9.]+\w?$", "", name, flags=re.IGNORECASE)


def _dmi(root: Path) -> tuple[str, str]:
    """Name and maker by DMI's system, else by its board; both without filler."""
    for maker_field, *name_fields in (
        ("sys_vendor", "product_name", "product_version"),
        ("board_vendor", "board_name"),
    ):
        maker = _company(_field(root, maker_field))
        told = [_field(root, one) for one in name_fields]
        if maker.lower() == "lenovo":
            told.reverse()  # its product_name is a number, and product_version what it is sold as
        name = next((one for one in told if one), "")
        if name and name_fields[0] != "product_name" and not maker:
            maker = _company(_field(root, "sys_vendor"))
        if name:
            has_maker = name.lower().startswith(maker.lower()) if maker else True
            return name if has_maker else f"{maker} {name}", maker
    return _company(_field(root, "sys_vendor")), _company(_field(root, "sys_vendor"))


def _field(root: Path, name: str) -> str:
    found = _text(root / _DMI / name)
    return " ".join(found.split()) if is_name(found) else ""


def _company(name: str) -> str:
    """A company's name as people say it: ``LENOVO`` is ``Lenovo``, ``Dell Inc.`` ``Dell``."""
    short = _COMPANY.sub("", name).strip(" ,.") or name
    return short.capitalize() if short.isupper() and len(short) > 4 else short


def _soc(root: Path) -> tuple[str, str]:
    """Part number and maker of the system on a chip, in small letters.

    Source: ``/sys/devices/soc0`` (kernel: Documentation/ABI/testing/sysfs-devices-soc), where it names one that AI Hub lists;
    else the device tree's ``compatible``, whose last entry is the SoC's.
    """
    listed = _tree_list(root)
    told = [_text(root / f"sys/devices/soc0/{name}").lower() for name in ("machine", "soc_id")]
    words = [*told, *(one.partition(",")[2] for one in listed)]
    for word in (found for text in words for found in _SOC.findall(text)):
        if word in PARTS or word in OTHER_NUMBERS:
            return OTHER_NUMBERS.get(word, word), "qualcomm"
    maker, _, number = listed[-1].partition(",") if len(listed) > 1 else ("", "", "")
    return number, _MAKERS.get(maker, maker) if number else ""


def _tree_list(root: Path) -> list[str]:
    """The device tree's ``compatible``, from the board to the SoC."""
    return [one for one in _tree_text(root, "compatible").split("\0") if one]


def _tree_text(root: Path, name: str) -> str:
    return _text(root / "proc/device-tree" / name) or _text(root / "sys/firmware/devicetree/base" / name)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip("\0 \n\t")
    except OSError:
        return ""
