"""What an Android device tells of itself in its properties (``getprop``). Pure but for :func:`properties`."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from dynolab.measure import emulation
from dynolab.measure.machine import is_name
from dynolab.spec.devices import DeviceFacts

GETPROP = "/system/bin/getprop"
_TIMEOUT_S = 10.0
_ROW = re.compile(r"^\[([^\]]+)\]: \[(.*?)\]$", re.MULTILINE | re.DOTALL)
_ABIS = {"arm64-v8a": "aarch64", "armeabi-v7a": "armv7l", "x86_64": "x86_64", "x86": "i686", "riscv64": "riscv64"}
"""Architectures by Android's ABIs (developer.android.com, NDK: Android ABIs)."""
_FORMS = {"tablet": "tablet", "automotive": "auto", "vr": "xr", "xr": "xr"}
"""AI Hub's words by those of ``ro.build.characteristics``; others, also a watch's and a television's: phone."""
_PARTS = {"qcs": "iot", "qcm": "iot", "sa": "auto"}
"""The same by how a part number of a development kit begins, whose properties call it a phone."""
_KIT_MAKERS = ("qualcomm", "qti", "thundercomm")
"""Who makes such kits; others build phones of these parts."""
_SOLD_AS = (
    "ro.product.marketname", "ro.product.odm.marketname", "ro.product.vendor.marketname", "ro.config.marketing_name",
    "ro.vendor.oplus.market.name", "ro.oppo.market.name", "ro.vivo.market.name", "ro.vendor.product.display",
)  # fmt: skip
"""Where makers write the name that a device is sold under; Android itself has none for it."""
_GALAXY = {
    "SM-G991": "Galaxy S21", "SM-G996": "Galaxy S21+", "SM-G998": "Galaxy S21 Ultra", "SM-S901": "Galaxy S22 5G",
    "SM-S906": "Galaxy S22+ 5G", "SM-S908": "Galaxy S22 Ultra 5G", "SM-S911": "Galaxy S23", "SM-S916": "Galaxy S23+",
    "SM-S918": "Galaxy S23 Ultra", "SM-S921": "Galaxy S24", "SM-S926": "Galaxy S24+", "SM-S928": "Galaxy S24 Ultra",
    "SM-S931": "Galaxy S25", "SM-S936": "Galaxy S25+", "SM-S938": "Galaxy S25 Ultra", "SM-A736": "Galaxy A73 5G",
    "SM-T870": "Galaxy Tab S7", "SM-X700": "Galaxy Tab S8",
}  # fmt: skip
"""Samsung's phones tell a model number alone, whose last letter is the market's; the names are those of AI Hub's list."""
_EMULATORS = ("ro.kernel.qemu", "ro.boot.qemu")


def properties() -> dict[str, str]:
    """The properties of the device that this runs on; none where it is no Android, or does not answer."""
    if not Path(GETPROP).exists():
        return {}
    try:
        told = subprocess.run(
            [GETPROP], capture_output=True, text=True, errors="replace", timeout=_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return {}
    return parse(told.stdout)


def parse(text: str) -> dict[str, str]:
    """The properties in the output of ``getprop``: ``[name]: [value]`` a line; a value may have several lines."""
    return {name: value.strip() for name, value in _ROW.findall(text.replace("\r\n", "\n"))}


def facts(told: Mapping[str, str], base: DeviceFacts) -> DeviceFacts:
    """The device by its properties; cores and memory are ``base``'s, read of the same device's ``/proc`` and ``/sys``."""
    maker = told.get("ro.product.manufacturer", "").strip()
    number = _soc(told)
    return replace(
        base,
        name=name(told) or base.name,
        os="Android",
        os_version=told.get("ro.build.version.release", ""),
        architecture=_ABIS.get(told.get("ro.product.cpu.abi", ""), base.architecture),
        attributes=base.attributes | _attributes(told),
        system="android",
        form=_form(told, number),
        maker=maker.lower(),
        soc=number,
        soc_maker=_soc_maker(told, number),
    )


def name(told: Mapping[str, str]) -> str | None:
    """Maker and model as the device is sold: ``Samsung Galaxy S24``, ``Google Pixel 8``; None: it does not tell."""
    model = told.get("ro.product.model", "").strip()
    maker = told.get("ro.product.manufacturer", "").strip()
    sold = next((told[key].strip() for key in _SOLD_AS if is_name(told.get(key, "").strip())), "")
    if maker.lower() == "samsung":
        sold = sold or _GALAXY.get(model[:7].upper(), "")
    shown = sold or (model if is_name(model) else "")
    if not shown:
        return None
    maker = maker.capitalize() if maker.islower() or (maker.isupper() and len(maker) > 4) else maker
    return shown if not maker or shown.lower().startswith(maker.lower()) else f"{maker} {shown}"


def emulated(told: Mapping[str, str]) -> str:
    """The same as :func:`dynolab.measure.emulation.emulation`, by the properties."""
    is_one = any(told.get(key) == "1" for key in _EMULATORS) or told.get("ro.hardware") in ("ranchu", "goldfish")
    return "emulated: it is Android's emulator" if is_one else emulation.NONE


def identity(told: Mapping[str, str]) -> str | None:
    """What tells this very device from all others: its serial number; None: it hides that."""
    found = (told.get(key, "").strip() for key in ("ro.serialno", "ro.boot.serialno"))
    return next((one for one in found if one and one.lower() not in ("unknown", "0123456789abcdef")), None)


def _soc(told: Mapping[str, str]) -> str:
    found = told.get("ro.soc.model", "") or told.get("ro.vendor.soc.model.part_name", "")
    return found.strip().lower() if is_name(found.strip()) else ""


def _soc_maker(told: Mapping[str, str], number: str) -> str:
    maker = told.get("ro.soc.manufacturer", "").strip().lower()
    return {"qti": "qualcomm", "mediatek inc.": "mediatek"}.get(maker, maker) if number else ""


def _form(told: Mapping[str, str], number: str) -> str:
    words = told.get("ro.build.characteristics", "").lower().split(",")
    known = next((_FORMS[word] for word in words if word in _FORMS), None)
    is_kit = told.get("ro.product.manufacturer", "").lower() in _KIT_MAKERS
    of_kit = next((form for start, form in _PARTS.items() if number.startswith(start)), "phone")
    return known or (of_kit if is_kit else "phone")


def _attributes(told: Mapping[str, str]) -> dict[str, str]:
    rows = {
        "model": "ro.product.model",
        "build": "ro.build.display.id",
        "security_patch": "ro.build.version.security_patch",
    }
    return {key: told[name] for key, name in rows.items() if told.get(name)}
