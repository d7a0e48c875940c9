"""Chipsets are found by whatever AI Hub calls them, and by a device's attributes."""

from __future__ import annotations

from itertools import chain

import pytest

from dynolab.errors import SpecInvalid
from dynolab.spec.chipsets import CHIPSETS, chipset_named, chipset_of


@pytest.mark.parametrize(
    "text", ["SM8550", " sm8550 ", "43", "soc-model:43", "v73", "hexagon:v73", "chipset:qualcomm-snapdragon-8gen2", "snapdragon-8gen2"]
)  # fmt: skip
def test_one_chipset_has_many_names(text: str) -> None:
    assert chipset_named(text).soc_model == 43


def test_no_name_or_number_stands_for_two() -> None:
    names = list(chain.from_iterable({one.name.lower(), *one.names} for one in CHIPSETS))
    assert len(names) == len(set(names))
    assert len({one.soc_model for one in CHIPSETS}) == len(CHIPSETS)
    assert all(chipset_named(name).name == one.name for one in CHIPSETS for name in (*one.names, str(one.soc_model)))


@pytest.mark.parametrize("text", ["", "v99", "exynos", "soc-model:1"])
def test_others_are_refused_with_those_that_there_are(text: str) -> None:
    with pytest.raises(SpecInvalid, match="there is no chipset") as caught:
        chipset_named(text)
    assert "sm8550 (43)" in (caught.value.hint or "")


def test_a_devices_number_counts_more_than_its_generation() -> None:
    assert chipset_of(["os:android", "hexagon:v73", "soc-model:60"]) == chipset_named("snapdragon-x-elite")
    assert chipset_of(["hexagon:v75"]) == chipset_named("sm8650")
    assert chipset_of(["os:linux", "format:compute"]) is None
