"""Percentages: with their sign, or refused with what was meant."""

from __future__ import annotations

import pytest

from dynolab.errors import SpecInvalid
from dynolab.spec.percent import read_percent


@pytest.mark.parametrize(
    ("text", "share"), [("10%", 0.1), (" 2.5 % ", 0.025), ("0%", 0), (".5%", 0.005), ("150%", 1.5)]
)
def test_a_percentage_is_a_share(text: str, share: float) -> None:
    assert read_percent(text, "--floor") == pytest.approx(share)


@pytest.mark.parametrize(
    ("text", "words", "hint"),
    [
        ("0.1", "--floor 0.1: a percentage without its sign", "--floor 0.1% or 10%"),
        ("10", "--floor 10: a percentage without its sign", "--floor 10%"),
        ("-5%", "'-5%': no percentage", "10% is a tenth"),
        ("-5", "--floor -5: no percentage from 0 on", "10% is a tenth"),
        ("nan", "--floor nan: no percentage from 0 on", "10% is a tenth"),
        ("ten%", "'ten%': no percentage", "10% is a tenth"),
        ("", "'': no percentage", "10% is a tenth"),
        ("1000000%", "no percentage", "10% is a tenth"),
        ("٣%", "no percentage", "10% is a tenth"),
    ],
)
def test_what_is_no_percentage_is_refused_with_the_way_out(text: str, words: str, hint: str) -> None:
    with pytest.raises(SpecInvalid) as caught:
        read_percent(text, "--floor")
    assert words in caught.value.message
    assert hint in str(caught.value.hint)
