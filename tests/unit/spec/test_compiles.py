"""What a compile job's document says of its numbers, and how input specs are typed."""

from __future__ import annotations

import pytest

from dynolab.errors import SpecInvalid
from dynolab.spec.compiles import InputSpec, Numbers, OutputCheck, check_input_specs, parse_input_specs
from dynolab.testing.sample_compiled import CLOSE, EQUAL, POOR, sample_compiled

ODD = OutputCheck("odd", None, None, "it holds no numbers")


@pytest.mark.parametrize(
    ("checks", "numbers", "headline"),
    [
        (EQUAL, Numbers.EQUAL, "the same numbers, bit by bit"),
        (CLOSE, Numbers.CLOSE, "numbers within 3.4e-05 of the source's (98.8 dB)"),
        (POOR, Numbers.POOR, "numbers within 0.31 of the source's (17.2 dB)"),
        ((*EQUAL, ODD), Numbers.EQUAL, "the same numbers, bit by bit; not compared: odd"),
        ((*CLOSE, ODD), Numbers.CLOSE, "numbers within 3.4e-05 of the source's (98.8 dB); not compared: odd"),
        ((ODD,), Numbers.NOT_COMPARED, "its numbers were not compared: it holds no numbers"),
        ((), Numbers.NOT_COMPARED, "its numbers were not compared: it has no outputs"),
    ],
)
def test_the_headline_says_how_the_numbers_stand(
    checks: tuple[OutputCheck, ...], numbers: Numbers, headline: str
) -> None:
    made = sample_compiled(checks)
    assert (made.numbers, made.headline) == (numbers, headline)


def test_no_output_is_further_off_than_the_headline_says() -> None:
    """The output with the largest error need not be that with the lowest PSNR."""
    made = sample_compiled((OutputCheck("large", 100.0, 60.0), OutputCheck("small", 0.01, 50.0)))
    assert made.headline == "numbers within 1e+02 of the source's (50.0 dB)"


def test_why_nothing_was_compared_goes_before_what_was() -> None:
    made = sample_compiled(CLOSE, "no time")
    assert (made.numbers, made.headline) == (Numbers.NOT_COMPARED, "its numbers were not compared: no time")


def test_input_specs_are_typed_with_or_without_a_type() -> None:
    found = parse_input_specs(["image=1,3,8,8", "ids=1,4 : int64", "a=b=2"])
    assert found == {"image": InputSpec((1, 3, 8, 8)), "ids": InputSpec((1, 4), "int64"), "a=b": InputSpec((2,))}


@pytest.mark.parametrize("text", ["image", "image=", "image=a,b", "image=1,2:float33", "image=0,2", "image=1;2"])
def test_wrong_input_specs_are_refused_by_name(text: str) -> None:
    with pytest.raises(SpecInvalid, match="image"):
        check_input_specs(parse_input_specs([text]))
