"""Requirements: reading them, and deciding them no further than the numbers go."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynolab.errors import SpecInvalid
from dynolab.spec import facts
from dynolab.spec.measurements import Range
from dynolab.spec.profiles import ColdProof, Profile, TotalMemory, Trust, Verdict
from dynolab.spec.requirements import Outcome, decide, decide_all, parse
from dynolab.spec.stats import median_range
from dynolab.testing.sample import noisy_profile, sample_profile, unmeasured_profile

MET, NOT_MET, CANNOT_TELL = Outcome.MET, Outcome.NOT_MET, Outcome.CANNOT_TELL


def outcome(text: str, profile: Profile) -> Outcome:
    return decide(parse(text), profile).outcome


MB = 10**6
STEP = MB
"""What the readings of memory in these tests are exact to."""


def with_peak(*raw: Range) -> Profile:
    """The sample, each of its processes with such a peak of the inference."""
    profile = sample_profile()
    memory = profile.inference.memory
    assert memory is not None
    runs = tuple(replace(memory.runs[0], peak_raw=one) for one in raw)
    memory = replace(memory, peak=median_range(raw), runs=runs, resolution_bytes=STEP)
    stages = {
        stage.name.value: replace(stage, memory=replace(stage.memory, resolution_bytes=STEP))
        for stage in profile.stages
        if stage.memory is not None
    }
    return replace(profile, **{**stages, "inference": replace(profile.inference, memory=memory)})


def with_trust(profile: Profile, stage: str, trust: Trust) -> Profile:
    """The stage's verdict set, and that of its time, whose range is wide when it is noisy."""
    old, verdict = getattr(profile, stage), Verdict(trust, ("it was disturbed",))
    lower_ns = old.time.minimum_ns // 3 if trust is Trust.NOISY else old.time.lower_ns
    return replace(
        profile, **{stage: replace(old, verdict=verdict, time=replace(old.time, lower_ns=lower_ns, verdict=verdict))}
    )


def first_schema(profile: Profile) -> Profile:
    """The same as schema 1 had it: no ranges of times, verdicts on runs and stages alone."""
    stages = {}
    for stage in profile.stages:
        assert stage.time is not None
        assert stage.memory is not None
        runs = tuple(replace(run, verdict=stage.verdict, windows=()) for run in stage.timing_runs)
        time, memory = replace(stage.time, lower_ns=None, verdict=None), replace(stage.memory, verdict=None)
        stages[stage.name.value] = replace(stage, time=time, memory=memory, timing_runs=runs)
    return replace(profile, schema_version=1, **stages)


@pytest.mark.parametrize(
    ("text", "key", "limit"),
    [
        ("estimated_inference_time <= 33 ms", "estimated_inference_time", 33_000_000),
        ("inference_time<0.5s", "estimated_inference_time", 500_000_000),
        ("compile_time >= 250 us", "compile_time", 250_000),
        ("compile_time > 250 µs", "compile_time", 250_000),
        ("harness_floor <= 900 ns", "harness_floor", 900),
        ("process_total_peak <= 512 MB", "process_total_peak_range", 512_000_000),
        ("inference_memory_peak <= 512 MiB", "inference_memory_peak_range", 512 * 2**20),
        ("inference_memory_increase_range <= 1 GiB", "inference_memory_increase_range", 2**30),
        ("process_total_peak.upper <= 64 MB", "process_total_peak_range.upper", 64_000_000),
        ("inference_memory_peak_range.lower >= 1 kB", "inference_memory_peak_range.lower", 1000),
        ("layer_pass_overhead >= -5 %", "layer_pass_overhead", -0.05),
        ("model_size <= 4096 B", "model_size", 4096),
        ("npu_layer_share >= 90 %", "npu_layer_share", 0.9),
        ("npu_layer_share >= 0.9", "npu_layer_share", 0.9),
        ("layer_count <= 100", "layer_count", 100),
        ("iterations_per_second >= 30 /s", "iterations_per_second", 30),
        ("  iterations_per_second>=30 ", "iterations_per_second", 30),
    ],
)
def test_a_requirement_is_read(text: str, key: str, limit: float) -> None:
    requirement = parse(text)
    assert (requirement.key, requirement.limit) == (key, limit)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("estimated_inference_tim <= 33 ms", "no figure named 'estimated_inference_tim'", "estimated_inference_time"),
        ("estimated_inference_time 33 ms", "no comparison", "<=, <, >=, >"),
        ("estimated_inference_time == 33 ms", "'==' is no comparison", "<="),
        ("estimated_inference_time <=", "the limit is missing", "33 ms"),
        ("estimated_inference_time <= fast", "'fast' is no number", "33 ms"),
        ("estimated_inference_time <= 33", "33 needs a unit", "ns, us, µs, ms, s"),
        ("estimated_inference_time <= 33 MB", "'MB' is no unit", "ms"),
        ("process_total_peak <= 512 mb", "'mb' is no unit", "did you mean MB?"),
        ("process_total_peak <= 512 %", "'%' is no unit", "MiB"),
        ("layer_count <= 3 ms", "'ms' is no unit", "none"),
        ("estimated_inference_time <= 1e999999 ms", "is no unit", "ms"),
        ("inference_time < -1 ms", "never below 0", "33 ms"),
        ("process_total_peak.uper <= 1 MB", "no figure named 'process_total_peak.uper'", "process_total_peak.upper"),
        ("inference_time.upper <= 1 ms", "no figure named 'inference_time.upper'", "such as"),
        ("<= 33 ms", "no figure named ''", "such as"),
        ("", "no comparison", "<="),
    ],
)
def test_the_part_that_does_not_fit_is_named(text: str, message: str, hint: str) -> None:
    with pytest.raises(SpecInvalid) as caught:
        parse(text)
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("memory", "process_total_peak"),
        ("peak_memory", "process_total_peak"),
        ("RAM", "process_total_peak"),
        ("p95", "inference_time_p90 or inference_time_p99"),
        ("inference_time_p95", "inference_time_p90 or inference_time_p99"),
        ("p95_latency", "inference_time_p90 or inference_time_p99"),
        ("p99", "inference_time_p99"),
        ("latency", "estimated_inference_time"),
        ("mean-latency", "inference_time_median"),
        ("fps", "iterations_per_second"),
        ("load_time", "first_load_time or warm_load_time"),
        ("size", "model_size"),
    ],
)
def test_everyday_words_suggest_what_people_mean(name: str, meant: str) -> None:
    with pytest.raises(SpecInvalid) as caught:
        parse(f"{name} <= 200 MB")
    assert caught.value.hint == f"did you mean {meant}?"
    assert all(facts.find(key) for key in meant.split(" or "))


def test_names_that_look_like_a_figure_still_suggest_it() -> None:
    with pytest.raises(SpecInvalid) as caught:
        parse("compile_memory_peek <= 200 MB")
    assert "compile_memory_peak" in (caught.value.hint or "")


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parse(text)
    except SpecInvalid:
        return


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("inference_memory_peak <= 60 MB", MET),
        ("inference_memory_peak <= 51 MB", MET),
        ("inference_memory_peak < 51 MB", CANNOT_TELL),
        ("inference_memory_peak <= 50 MB", CANNOT_TELL),
        ("inference_memory_peak <= 45 MB", CANNOT_TELL),
        ("inference_memory_peak <= 39 MB", CANNOT_TELL),
        ("inference_memory_peak < 39 MB", NOT_MET),
        ("inference_memory_peak <= 38 MB", NOT_MET),
        ("inference_memory_peak >= 39 MB", MET),
        ("inference_memory_peak > 39 MB", CANNOT_TELL),
        ("inference_memory_peak >= 45 MB", CANNOT_TELL),
        ("inference_memory_peak >= 52 MB", NOT_MET),
        ("inference_memory_peak.upper <= 51 MB", MET),
        ("inference_memory_peak.upper <= 50 MB", CANNOT_TELL),
        ("inference_memory_peak.upper <= 48 MB", NOT_MET),
        ("inference_memory_peak_range.lower <= 49 MB", MET),
        ("estimated_inference_peak_memory <= 51 MB", MET),
        ("estimated_inference_peak_memory <= 48 MB", NOT_MET),
    ],
)
def test_a_range_is_decided_by_both_its_ends_and_no_finer_than_it_was_read(text: str, expected: Outcome) -> None:
    assert outcome(text, with_peak(Range(40 * MB, 50 * MB))) is expected


@pytest.mark.parametrize(
    ("text", "expected", "words"),
    [
        (
            "inference_memory_peak <= 58 MB",
            CANNOT_TELL,
            "Its processes showed 36.0 MB to 60.0 MB, each exact to 1.00 MB.",
        ),
        (
            "inference_memory_peak.upper <= 52 MB",
            CANNOT_TELL,
            "showed 49.0 MB to 60.0 MB, each exact to 1.00 MB. More rep",
        ),
        ("inference_memory_peak <= 61 MB", MET, "required: at most 61 MB."),
        ("inference_memory_peak.lower <= 34 MB", NOT_MET, "required: at most 34 MB."),
        ("inference_memory_peak.lower <= 38 MB", CANNOT_TELL, "showed 36.0 MB to 41.0 MB"),
    ],
)
def test_every_process_has_to_keep_a_limit_of_memory(text: str, expected: Outcome, words: str) -> None:
    profile = with_peak(Range(40 * MB, 50 * MB), Range(36 * MB, 49 * MB), Range(41 * MB, 60 * MB))
    decision = decide(parse(text), profile)
    assert decision.outcome is expected
    assert words in decision.sentence


def whole_ways(trust: Trust = Trust.CLEAN) -> Profile:
    """Cold ways that took 300 to 320 MB, warm ones that took 200."""
    memory = sample_profile().inference.memory
    assert memory is not None
    cold, warm = (
        tuple(replace(memory.runs[0], peak_raw=Range(lower * MB, (lower + 50) * MB)) for lower in lowers)
        for lowers in ((300, 310, 320), (200, 201, 202))
    )
    total = TotalMemory(Range(310 * MB, 360 * MB), cold, warm, Verdict(trust, ("swap",)))
    return replace(sample_profile(), process_total_peak=total.peak, process_total=total)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("process_total_peak <= 372 MB", MET),
        ("process_total_peak <= 365 MB", CANNOT_TELL),
        ("process_total_peak <= 290 MB", NOT_MET),
        ("process_total_peak.upper >= 340 MB", MET),
        ("runtime_import_memory <= 60 MB", MET),
        ("runtime_import_memory.upper <= 48.8 MB", CANNOT_TELL),
    ],
)
def test_figures_without_a_stage_are_no_more_certain(text: str, expected: Outcome) -> None:
    assert outcome(text, whole_ways()) is expected
    if text.startswith("process_total"):
        assert outcome(text, whole_ways(Trust.NOISY)) is CANNOT_TELL


@pytest.mark.parametrize(
    ("text", "calm", "busy"),
    [
        ("runtime_import_time <= 200 ms", MET, MET),
        ("runtime_import_time <= 183 ms", CANNOT_TELL, CANNOT_TELL),  # the two best differ by 2 ms
        ("runtime_import_time <= 100 ms", NOT_MET, CANNOT_TELL),
    ],
)
def test_a_time_without_witnesses_is_as_sure_as_what_was_measured_beside_it(
    text: str, calm: Outcome, busy: Outcome
) -> None:
    assert outcome(text, sample_profile()) is calm
    assert outcome(text, with_trust(sample_profile(), "warm_load", Trust.NOISY)) is busy


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("estimated_inference_time <= 33 ms", MET),
        ("estimated_inference_time <= 8.31 ms", CANNOT_TELL),
        ("estimated_inference_time <= 8 ms", CANNOT_TELL),
        ("estimated_inference_time <= 6.3 ms", NOT_MET),
        ("estimated_inference_time >= 8 ms", CANNOT_TELL),
        ("estimated_inference_time >= 6 ms", MET),
        ("estimated_inference_time >= 33 ms", NOT_MET),
        ("inference_time_p90 <= 33 ms", MET),
        ("inference_time_median <= 8 ms", NOT_MET),
        ("first_inference_time <= 33 ms", MET),
        ("inference_time_mad <= 33 ms", MET),
        ("iterations_per_second >= 30", MET),
        ("iterations_per_second >= 300", NOT_MET),
        ("inference_iterations >= 100", MET),
        ("inference_memory_peak <= 60 MB", MET),
        ("warm_load_time <= 33 ms", NOT_MET),
    ],
)
def test_a_time_is_decided_by_both_ends_of_its_range_and_what_was_seen_as_it_was(text: str, expected: Outcome) -> None:
    assert outcome(text, noisy_profile()) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("estimated_inference_time <= 33 ms", MET),
        ("estimated_inference_time <= 8 ms", CANNOT_TELL),
        ("estimated_inference_time >= 8 ms", CANNOT_TELL),
        ("inference_time_median <= 8 ms", CANNOT_TELL),
        ("iterations_per_second >= 300", CANNOT_TELL),
        ("inference_memory_peak <= 60 MB", MET),
    ],
)
def test_in_profiles_without_ranges_noise_only_adds(text: str, expected: Outcome) -> None:
    assert outcome(text, first_schema(noisy_profile())) is expected


@pytest.mark.parametrize("text", ["estimated_inference_time <= 33 ms", "estimated_inference_time >= 33 ms"])
def test_an_invalid_number_tells_nothing(text: str) -> None:
    decision = decide(parse(text), with_trust(sample_profile(), "inference", Trust.INVALID))
    assert decision.outcome is CANNOT_TELL
    assert "The stage is invalid: it was disturbed." in decision.sentence


def test_a_first_load_that_was_perhaps_warm_may_have_been_faster_than_a_cold_one() -> None:
    cold = ColdProof(False, "residency is not known", None, 10, 0, 0, "tmpfs")
    profile = sample_profile()
    profile = replace(profile, first_load=replace(profile.first_load, cold=cold))
    assert outcome("first_load_time <= 100 ms", profile) is NOT_MET
    assert outcome("first_load_time <= 900 ms", profile) is CANNOT_TELL


def test_what_was_not_measured_cannot_be_told_and_says_why() -> None:
    decision = decide(parse("compile_time <= 1 s"), unmeasured_profile())
    assert decision.outcome is CANNOT_TELL
    told = "Compile time was not measured: made up: nothing was measured. Running it again will not change that."
    assert decision.sentence == told
    assert not decision.again
    ended = decide(parse("process_total_peak.upper <= 1 GB"), unmeasured_profile())
    assert ended.sentence.startswith("Process total peak, upper end was not measured: made up")


@pytest.mark.parametrize(
    ("text", "again", "words"),
    [
        ("inference_memory_peak <= 45 MB", False, "To limit one end: inference_memory_peak.upper"),
        ("estimated_inference_time <= 8 ms", True, "A run on a calmer device may tell."),
    ],
)
def test_what_cannot_be_told_says_whether_to_run_it_again(text: str, again: bool, words: str) -> None:
    profile = replace(with_peak(Range(40 * MB, 50 * MB)), inference=noisy_profile().inference)
    profile = replace(
        profile, inference=replace(profile.inference, memory=with_peak(Range(40 * MB, 50 * MB)).inference.memory)
    )
    decision = decide(parse(text), profile)
    assert decision.outcome is CANNOT_TELL
    assert decision.again is again
    assert words in decision.sentence
    assert ("will not change that" in decision.sentence) is not again


def test_a_place_that_is_never_cold_stays_so() -> None:
    cold = ColdProof(False, "all of it was resident", 10, 10, 0, 0, "tmpfs")
    profile = with_trust(sample_profile(), "first_load", Trust.INVALID)
    profile = replace(profile, first_load=replace(profile.first_load, cold=cold))
    assert not decide(parse("first_load_time <= 1 ms"), profile).again


def test_sentences_hold_the_numbers() -> None:
    decision = decide(parse("estimated_inference_time <= 33 ms"), sample_profile())
    time = "Inference time is 8.10 - 8.31 ms; required: at most {}."
    assert decision.sentence == f"{time.format('33 ms')} 100 % of the iterations were within it here."
    close = decide(parse("estimated_inference_time <= 8.31 ms"), sample_profile())
    assert close.outcome is CANNOT_TELL
    assert close.sentence.startswith(f"{time.format('8.31 ms')} 0 % of the iterations were within it here.")
    old = decide(parse("estimated_inference_time <= 8.31 ms"), first_schema(sample_profile()))
    assert old.outcome is NOT_MET
    assert "8.31 ms (8,310,043 ns)" in old.sentence


def test_a_share_of_exactly_the_limit_meets_it() -> None:
    profile = sample_profile()
    layers = profile.layers.layers
    ten = tuple(replace(layer, compute_unit=layers[0].compute_unit) for layer in layers[:7]) + tuple(
        replace(layer, compute_unit=layers[-1].compute_unit) for layer in layers[:3]
    )
    profile = replace(profile, layers=replace(profile.layers, layers=ten))
    assert outcome("npu_layer_share >= 70 %", profile) is MET
    assert outcome("npu_layer_share > 70 %", profile) is NOT_MET


def test_a_profile_with_a_requirement_of_another_version_is_still_decided() -> None:
    profile = sample_profile()
    profile = replace(profile, request=replace(profile.request, requirements=("joules <= 3 J", "warm_load_time < 1 s")))
    assert [decision.outcome for decision in decide_all(profile)] == [CANNOT_TELL, MET]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("inference_energy <= 96 mJ", MET),
        ("energy <= 0.0956 J", MET),
        ("inference_energy <= 91 mJ", NOT_MET),
        ("inference_energy <= 94 mJ", CANNOT_TELL),
        ("inference_energy >= 80000 uJ", MET),
        ("inference_power <= 25 W", MET),
        ("idle_power <= 3000 mW", NOT_MET),
    ],
)
def test_a_limit_on_energy_is_held_against_its_uncertainty(text: str, told: Outcome) -> None:
    """It is 93.4 ± 2.1 mJ."""
    assert outcome(text, sample_profile()) is told


def test_the_uncertainty_of_an_energy_is_said_where_it_decides() -> None:
    decision = decide(parse("inference_energy <= 94 mJ"), sample_profile())
    assert decision.figure == "93.4 ± 2.10 mJ"
    assert "It may be off by 2.10 mJ either way." in decision.sentence
    assert outcome("inference_energy <= 94 mJ", unmeasured_profile()) is CANNOT_TELL
