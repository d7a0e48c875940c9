"""What the second side of a duet is fed with: sizes and ranges of the first, as far as nobody chose others."""

from __future__ import annotations

from dynolab.measure.campaign_messages import Campaign
from dynolab.measure.duet import bound_to
from dynolab.measure.protocol import PROTOCOL_VERSION, InputPlan, InputWishes
from dynolab.spec.models import ModelFormat
from dynolab.spec.tensors import TensorSpec


def planned(name: str, *shape: int, file: str | None = None) -> InputPlan:
    return InputPlan(TensorSpec(name, "float32", shape), -1.0, 2.0, file)


def bound(wishes: InputWishes, *inputs: InputPlan) -> InputWishes:
    campaign = Campaign(PROTOCOL_VERSION, "w", "null", "m", ModelFormat.NULL, ("m",), "", wishes, 1, 1)
    made = bound_to(campaign, inputs)
    assert (made.model, made.repeats, made.options_text) == (campaign.model, campaign.repeats, campaign.options_text)
    return made.wishes


def test_sizes_and_ranges_that_were_found_bind_the_other_side() -> None:
    found = bound(InputWishes(), planned("x", 1, 3), planned("y", 7))
    assert found.shapes == {"x": (1, 3), "y": (7,)}
    assert found.ranges == {"x": (-1.0, 2.0), "y": (-1.0, 2.0)}
    assert found.files == {}


def test_what_was_asked_for_stays() -> None:
    asked = InputWishes(shapes={"x": (2, 3)}, ranges={"y": (0.0, 1.0)})
    found = bound(asked, planned("x", 1, 3), planned("y", 7))
    assert found.shapes == {"x": (2, 3), "y": (7,)}
    assert found.ranges == {"x": (-1.0, 2.0), "y": (0.0, 1.0)}


def test_a_file_brings_its_own_shape_and_has_no_range() -> None:
    found = bound(InputWishes(files={"x": "a.npy"}), planned("x", 1, 3, file="a.npy"), planned("y", 7))
    assert found.shapes == {"y": (7,)}
    assert found.ranges == {"y": (-1.0, 2.0)}
    assert found.files == {"x": "a.npy"}
