"""Which devices a name, a family or a version of the system fits."""

from __future__ import annotations

import pytest

from dynolab.errors import SpecInvalid
from dynolab.spec.device_wishes import family, is_member, wanted_versions

S22, S24, PIXEL = "Samsung Galaxy S22", "Samsung Galaxy S24", "Google Pixel 3"


@pytest.mark.parametrize(
    ("name", "begins"),
    [
        (f"{S24} (Family)", S24), ("Raspberry Pi 5 (Family)", "Raspberry Pi 5"), (S24, None), ("", None), (" (Family)", None),
        ("(Family)", None), ("The (Family) board", None),
    ],
)  # fmt: skip
def test_a_family_is_named_as_ai_hub_names_one(name: str, begins: str | None) -> None:
    assert family(name) == begins


@pytest.mark.parametrize(
    ("begins", "name", "member"),
    [
        (S24, "Samsung Galaxy S24", True), (S24, "Samsung Galaxy S24+", True), (S24, "Samsung Galaxy S24 Ultra", True),
        (S22, "Samsung Galaxy S22+ 5G", True), (S22, "Samsung Galaxy S22 Ultra 5G", True),
        (PIXEL, "Google Pixel 3a", True), (PIXEL, "Google Pixel 3a XL", True), (PIXEL, "Google Pixel 3 XL", True),
        ("Raspberry Pi 5", "Raspberry Pi 5 Model B", True),
        (S24, "Samsung Galaxy S241", False), (S24, "Samsung Galaxy S2", False), (PIXEL, "Google Pixel 30", False),
        (PIXEL, "Google Pixel 3abc", False), (S24, "My Samsung Galaxy S24", False),
    ],
)  # fmt: skip
def test_members_bear_the_familys_name_and_a_word_more(begins: str, name: str, member: bool) -> None:
    assert is_member(name, begins) is member


@pytest.mark.parametrize(
    ("actual", "wanted", "fits"),
    [
        ("14", "14", True), ("14.0", "14", False), ("22.04", "22.4", True), ("14", "[14,15)", True), ("15", "[14,15)", False),
        ("14.9", "[14,15)", True), ("13", "[14,15)", False), ("13", "[13,14]", True), ("14", "[13,14]", True),
        ("14.1", "[13,14]", True), ("15", "[13,14]", False), ("12.9", "[13,14]", False), ("99", "[14,)", True),
        ("13", "[14,)", False), ("1", "[,15)", True), ("15", "[,15]", True), ("16", "[,15]", False), ("14", "[ 13 , 15 )", True),
        ("7", "[,)", True), ("7", "", True), ("", "14", False), ("rolling", "rolling", True), ("rolling", "[1,)", False),
    ],
)  # fmt: skip
def test_versions_and_intervals_of_them(actual: str, wanted: str, fits: bool) -> None:
    assert wanted_versions(wanted)(actual) is fits


@pytest.mark.parametrize("wanted", ["[", "[14", "[14,15", "[14;15)", "[a,b)", "[14,15)x"])
def test_an_interval_that_is_none_is_refused_with_those_that_are(wanted: str) -> None:
    with pytest.raises(SpecInvalid, match="is neither") as caught:
        wanted_versions(wanted)
    assert "[13,14]" in (caught.value.hint or "")
