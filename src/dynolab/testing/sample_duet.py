"""A duet's document, made up."""

from __future__ import annotations

from dynolab.spec.answers import Answer
from dynolab.spec.duets import KIND, SCHEMA_VERSION, Duet, DuetPair, DuetSide, MemoryDuet, Ratio, StageDuet
from dynolab.spec.measurements import Range, StageName
from dynolab.testing.sample import sample_profile


def sample_duet(answer: Answer = Answer.CHANGED, *differences: str) -> Duet:
    """The document of two models that took turns."""
    profile = sample_profile()
    side = DuetSide(profile.model, "onnxruntime", "", {}, {}, profile.inputs, profile.outputs)
    ratio = Ratio(1.123, 1.109, 1.138) if answer is Answer.CHANGED else Ratio(1.0, 0.99, 1.01)
    sentence = "B is 12.3 % slower (10.9 - 13.8 %)" if answer is Answer.CHANGED else "B is as fast as A"

    def stage(name: StageName) -> StageDuet:
        if name is not StageName.INFERENCE:
            return StageDuet(name, Answer.CANNOT_TELL, "B cannot be told from A", None, "no", None, None, None, None)
        return StageDuet(name, answer, sentence, ratio, None, 1_000_000, 1_123_000, 1_100_000, 1_200_000)

    memory = MemoryDuet(
        None, "peak", Answer.CHANGED, "10.0 MB more", Range(50_000_000, 60_000_000), Range(60_000_000, 70_000_000),
        Ratio(1.2, 1.19, 1.21), Ratio(1.167, 1.16, 1.17), (), (),
    )  # fmt: skip
    return Duet(
        SCHEMA_VERSION, KIND, "0.1", "2026-01-01T00:00:00+00:00", side, side, profile.device, {"sandbox": "none"}, differences,
        0.02, None, 0.95, 60.0, (StageName.INFERENCE,), tuple(map(stage, StageName)), (memory,), None, (DuetPair("a", ()),) * 5,
        21.3, 33.0, 1,
    )  # fmt: skip
