"""Sentences that were written in English are said in every language: taken from the code that writes them, not from copies."""

from __future__ import annotations

import ast
import errno
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path

import pytest

pytest.importorskip("fluent.runtime")

import dynolab
from dynolab import errors
from dynolab.agent import occupied
from dynolab.agent.cooling import Cooling
from dynolab.errors import Error, SpecInvalid
from dynolab.hub.pages import texts
from dynolab.hub.pages.job_form import JobForm
from dynolab.hub.pages.texts.sentences import LONGEST, SAID, Part, Pattern, patterns
from dynolab.hub.usecases.change_health import BY_HAND
from dynolab.hub.usecases.tell_format import format_inside, format_of
from dynolab.jobs._campaigns import beside
from dynolab.measure import figures, layer_table, verdict
from dynolab.measure.time_range import TimeRange
from dynolab.measure.verdict_rules import CONDITIONS, MEMORY_RULES, Pass, Rule
from dynolab.report.base import condensed
from dynolab.report.html.view import view
from dynolab.spec import board_health, compare, compare_layers, input_shapes, precision, requirements, tensors
from dynolab.spec import options as spec_options
from dynolab.spec.answers import Answer
from dynolab.spec.holding import Held, Holder, HolderKind
from dynolab.spec.measurements import ComputeUnit, StageName, Witnesses
from dynolab.spec.profiles import ColdProof, MemoryGrowth, Profile, Trust, Verdict
from dynolab.spec.tensors import TensorSpec
from dynolab.testing.sample import disturbed_table, noisy_profile, sample_profile

SOURCE = Path(dynolab.__file__).parent
OTHERS = sorted(file.stem for file in texts.FOLDER.glob("*.ftl") if file.stem != texts.DEFAULT)
KNOWN = list(patterns((texts.FOLDER / "en.ftl").read_text(encoding="utf-8")))
each_language = pytest.mark.parametrize("language", OTHERS)


def english(language: str, sentence: str) -> list[str]:
    """What stays English of a sentence."""
    return [part.text for part in texts.texts(language).stored(sentence) if part.english]


def said(language: str, sentence: str) -> str:
    return "".join(part.text for part in texts.texts(language).stored(sentence))


# ---- verdicts --------------------------------------------------------------------------------------------------------

_LOUD: Mapping[str, Witnesses] = {
    "quota_share": Witnesses(10**9, {"cpu_quota.periods": 70.0, "cpu_quota.throttled_periods": 65.0}, {}, {}, {}),
    "cooling_state": Witnesses(
        10**9,
        {},
        {"thermal.cooling_state": 2.0, "thermal.max_celsius": 80.0},
        {"thermal.cooling_state": 3.0, "thermal.max_celsius": 85.0},
        {},
    ),
    "gpu_held_back": Witnesses(
        10**9,
        {},
        {"nvidia.heat": 1.0, "nvidia.power_brake": 1.0},
        {"nvidia.heat": 1.0, "nvidia.power_brake": 1.0, "nvidia.busy_share": 0.9},
        {},
    ),
    "firmware_throttled": Witnesses(
        10**9, {}, {"thermal.firmware_throttled": 2.0}, {"thermal.firmware_throttled": 2.0}, {}
    ),
    "swap_bytes": Witnesses(10**9, {}, {"swap.own_bytes": 3e6}, {"swap.own_bytes": 4e6}, {}),
    "swap_pages": Witnesses(10**9, {"swap.pages_in": 900.0, "swap.pages_out": 900.0}, {}, {}, {}),
    "memory_stall_share": Witnesses(10**9, {"pressure.memory_some_us": 3e5}, {}, {}, {}),
    "disk_read_bytes": Witnesses(10**9, {"faults.read_bytes": 9e6}, {}, {}, {}),
}
"""For each rule, witnesses that make it speak. A new rule needs its own here, and then a text in every language."""
RULES = {**CONDITIONS, **MEMORY_RULES}


def reasons(name: str, rule: Rule) -> list[str]:
    """What a rule says of the witnesses that make it speak."""
    return [sign.reason for sign in rule(Pass(_LOUD[name], warm=True)) if sign.over]


def test_every_rule_is_made_to_speak() -> None:
    assert set(_LOUD) == RULES.keys()


@each_language
@pytest.mark.parametrize("name", sorted(RULES))
def test_every_rules_reason_is_said(language: str, name: str) -> None:
    found = reasons(name, RULES[name])
    assert found
    for reason in found:
        assert english(language, reason) == [], reason
        assert _figures(reason) == _figures(said(language, reason))


@each_language
def test_two_reasons_that_are_joined_are_said_one_after_the_other(language: str) -> None:
    spoken = [one for name, rule in RULES.items() for one in reasons(name, rule)[:1]]
    of_one, of_both = said(language, spoken[0]), said(language, f"{spoken[0]}; {spoken[0]}")
    join = of_both.removeprefix(of_one).removesuffix(of_one)
    assert 0 < len(join) <= len("; ")
    for one, other in product(spoken, spoken):
        assert said(language, f"{one}; {other}") == f"{said(language, one)}{join}{said(language, other)}"


def _figures(text: str) -> list[str]:
    """The figures of a text, in any order: a language may turn them round, and may not change them."""
    return sorted(re.findall(r"\d+(?:\.\d+)?", text))


def cold(resident: int | None) -> ColdProof:
    reason = "residency is not known" if resident is None else "mincore is not offered by this system's C library"
    return ColdProof(False, reason, resident, 10**7, None, None, None)


WIDE = TimeRange(
    2_400_000, 3_200_000, calm_windows=0, windows=20, slowdown=1.6, delay_share=0.0, calm_processes=0, gap=0.01
)


@each_language
def test_what_verdicts_say_of_whole_stages_is_said(language: str) -> None:
    found = [
        verdict.judge_conditions(Witnesses(0, {}, {}, {}, {})),
        verdict.judge_cold(cold(None)),
        verdict.judge_cold(cold(3 * 10**6)),
        *(verdict.judge_time(one) for one in (WIDE, replace(WIDE, delay_share=0.5), replace(WIDE, gap=None))),
        verdict.judge_time(replace(WIDE, calm_windows=3, slowdown=1.0)),
        verdict.judge_time(WIDE, record_on="2026-03-14"),
    ]
    for reason in (reason for one in found for reason in one.reasons):
        assert english(language, reason) == [], reason
        assert _figures(reason) == _figures(said(language, reason))
    kinds = [reason for name, rule in RULES.items() for reason in reasons(name, rule)]
    assert english(language, condensed(kinds, 3)[-1]) == []


# ---- what a profile tells beside its figures --------------------------------------------------------------------------


def sample_peak() -> int:
    memory = sample_profile().inference.memory
    assert memory is not None
    return memory.peak.upper


@each_language
def test_what_requirements_become_is_said(language: str) -> None:
    wanted = [
        f"{key} {sign} {limit}"
        for key, limit in (
            ("estimated_inference_time", "8 ms"),
            ("estimated_inference_time", "8.31 ms"),
            ("inference_time_median", "8.5 ms"),
            ("inference_memory_peak", "41 MB"),
            ("inference_memory_peak.upper", "41 MB"),
            ("inference_memory_peak.upper", f"{sample_peak()} B"),
            ("first_load_time", "1 ms"),
            ("iterations_per_second", "1000"),
            ("inference_time_p99", "1 s"),
            ("npu_layer_share", "90 %"),
        )
        for sign in ("<=", "<", ">=", ">")
    ]
    loud = reasons("quota_share", CONDITIONS["quota_share"])[0]
    profiles: list[Profile] = [sample_profile(), noisy_profile()]
    for trust in (Trust.NOISY, Trust.INVALID):
        for told in ((), (loud,)):
            judged = Verdict(trust, told)
            for ranged in (True, False):  # with and without ranges of times, as in schema 1
                disturbed = {}
                for name in ("inference", "first_load"):
                    stage = getattr(sample_profile(), name)
                    time = replace(stage.time, lower_ns=10**6 if ranged else None, verdict=judged if ranged else None)
                    memory = replace(stage.memory, verdict=None)
                    disturbed[name] = replace(stage, verdict=judged, timing_runs=(), time=time, memory=memory)
                profiles.append(sample_profile(**disturbed))
    warm = replace(sample_profile().first_load, cold=cold(None))
    profiles.append(sample_profile(first_load=warm))
    decided = [one for profile in profiles for one in requirements.decide_all(profile, wanted)]
    assert {one.outcome for one in decided} == set(requirements.Outcome)
    for sentence in {one.sentence for one in decided}:
        assert english(language, sentence) == [], sentence
        assert not re.search("[a-z.]$", said(language, sentence)), sentence


@each_language
def test_what_comparisons_say_is_said(language: str) -> None:
    def slower(factor: float, trust: Trust = Trust.CLEAN, spread: float = 0.0) -> Profile:
        base = sample_profile().inference
        runs = tuple(
            replace(one, values_ns=tuple(int(ns * (factor + spread * at)) for ns in one.values_ns))
            for at, one in enumerate(base.timing_runs)
        )
        reasons_ = (reasons("quota_share", CONDITIONS["quota_share"])[0], "residency is not known")
        judged = Verdict(trust, reasons_ if trust is not Trust.CLEAN else ())
        time = base.time
        assert time is not None
        times = replace(
            time,
            minimum_ns=int(factor * time.minimum_ns),
            lower_ns=int(factor * (time.lower_ns or 0) * (0.5 if spread else 1)),
            verdict=judged,
        )
        return sample_profile(inference=replace(base, timing_runs=runs, verdict=judged, time=times))

    def of_schema_1(profile: Profile, runs: int) -> Profile:
        stage = profile.inference
        assert stage.time is not None
        bare = replace(stage.time, lower_ns=None, verdict=None)
        return replace(profile, inference=replace(stage, time=bare, timing_runs=stage.timing_runs[:runs]))

    sides = [
        slower(1), slower(1.3), slower(0.7), slower(1.3, Trust.NOISY), slower(1, Trust.INVALID), slower(1, spread=0.4),
        slower(1, Trust.NOISY, spread=0.4), of_schema_1(slower(1), 1), of_schema_1(slower(0.4), 1), of_schema_1(slower(1), 3),
        sample_profile(inference=replace(sample_profile().inference, timing_runs=(), time=None, time_reason=None)),
    ]  # fmt: skip
    floors = dict.fromkeys(StageName, 0.02)
    several = {StageName.COMPILE: 0.02}
    answers = set()
    for one, other in (
        [(sides[0], side) for side in sides] + [(side, sides[0]) for side in sides] + [(sides[6], sides[6])]
    ):
        for given in (None, several, floors):
            found = compare.compare(one, other, given)
            answers |= {stage.answer for stage in found.stages}
            notes = [found.layers.note, compare_layers.LAYERS_DISTURBED]
            for sentence in [found.basis, *notes, *(stage.sentence for stage in found.stages)]:
                assert english(language, sentence) == [], sentence
    assert answers == set(Answer)


def first_sentences(profile: Profile) -> list[str]:
    """What the strip that stands first says in sentences."""
    found = view(profile, "", 1, many=False).answer
    sentences = [found.alert, found.why, *(one.why for one in found.decisions), *(item.reason for item in found.items)]
    sentences += [text for item in found.items for text in (*item.loud, *item.quiet)]
    return [one for one in sentences if one]


@each_language
def test_what_a_profile_holds_in_words_is_said(language: str) -> None:
    shown = view(sample_profile(), "sample", 1, many=False)
    sentences = [*(notice.text for notice in sample_profile().notices), shown.loads.why, *shown.loads.explanations]
    sentences += [why for table in shown.witnesses for _, why in table.unavailable]
    noisy = replace(noisy_profile(), request=replace(noisy_profile().request, requirements=("inference_time <= 7 ms",)))
    sentences += [noisy.inference.verdict.reasons[0], *first_sentences(noisy), *first_sentences(sample_profile())]
    silent = replace(sample_profile().runtime, effective={}, requested_units=())
    bare = replace(sample_profile().model, precision=None)
    table = replace(sample_profile().layers, layers=(), reason="there was no layer pass")
    sentences += first_sentences(sample_profile(runtime=silent, model=bare, layers=table, inputs=()))
    sentences.append("memory of 2 of the model's processes could not be read, and is missing in these figures")
    growth = MemoryGrowth(400, (10**6, 2 * 10**6, 3 * 10**6, 4 * 10**6))
    sentences += [figures.leak(growth), *(figures.no_growth(done) for done in (0, 100))]
    layers = sample_profile().layers
    sentences += [one.text for one in figures._fallbacks(layers, (ComputeUnit.NPU,))]
    sentences += [one.text for one in layer_table.notices(disturbed_table())]
    kinds = ("bfloat16", "float16", None)
    told = [tuple(replace(layer, precision=kind) for layer in layers.layers) for kind in kinds]
    effective = {"inference_precision": "bf16"}
    sentences += [
        one.text for each in told for one in precision.notices("float32", effective, replace(layers, layers=each), "")
    ]
    _, notes = tensors.bind(
        [TensorSpec(f"x{rank}", "float32", ("", "n", "width", "")[:rank]) for rank in (2, 3, 4)], {}
    )
    for sentence in [*filter(None, sentences), *notes]:
        assert english(language, sentence) in ([], ["/proc/pressure/cpu"]), sentence


@each_language
def test_what_is_said_of_a_boards_health_is_said(language: str) -> None:
    figures_ = dict.fromkeys(board_health.FIGURES, 100)
    usual = board_health.Probe(figures_, 4, "kernel 1", 0.0, 40.0)
    shown = [
        replace(usual, figures={**figures_, name: 200}, others_share=share) for name in figures_ for share in (0.0, 0.5)
    ]
    shown += [replace(usual, cores=2), replace(shown[0], cores=2)]
    sentences = [board_health.judge(one, [usual] * 20).why for one in shown]
    sentences.append(board_health.judge(usual, []).why)
    for ratio in (1.01, 0.99):
        for name in figures_:
            told = board_health.drift([(day, {**figures_, name: 100 * ratio**day}) for day in range(20)])
            assert told is not None
            sentences.append(told.text)
    cooling = Cooling(read=lambda: 70.0, now=lambda: 0.0)
    sentences += [cooling.unfit(50.0), cooling.begin(50.0), BY_HAND]
    holder = Holder("ada@laptop", "profile of kws.tflite", HolderKind.PERSON, "pi", 60.0)
    sentences += [occupied.told([holder]), *(one.text for one in beside(Held(True, (holder,))))]
    sentences += [f"board-1: quarantined: {sentences[0]}", f"board-1: unfit: {errors.TROUBLE[errno.ENOSPC]}"]
    sentences.append(f"the device was on probation: {sentences[0]}")
    reasons_ = (
        "the device is unfit: its disk is full",
        "nothing was heard of the device for 15 s",
        "its agent was lost",
    )
    sentences.append("no attempt ended well: " + "; ".join(f"{at} of 3: {why}" for at, why in enumerate(reasons_, 1)))
    for sentence in sentences:
        assert english(language, sentence) == [], sentence


# ---- errors ----------------------------------------------------------------------------------------------------------


def refused(call: Callable[[], object]) -> Error:
    with pytest.raises(Error) as caught:
        call()
    return caught.value


def wrong_options() -> Iterator[Error]:
    for text in (
        "--compute_unit cpu --compute_unit cpu", "'", "nothing", "--onnx_options", "--compute_unit", "--nothing 1",
        "--execution_mode SEQUENTIAL", "--compute_units cpu", "--onnx_options x=1", "--onnx_options execution_mode",
        "--onnx_options execution_mode=SEQUENTIAL;execution_mode=PARALLEL", "--onnx_options ;", "--compute_unit car",
        "--compute_unit cpu,car", "--compute_unit cpu,cpu", "--compute_unit all,cpu", "--max_profiler_iterations many",
        "--max_profiler_iterations 0", "--max_profiler_time 0", "--quantize_io maybe", "--onnx_options execution_mode=x",
    ):  # fmt: skip
        try:
            spec_options.parse(text)
        except SpecInvalid as error:
            yield error


def wrong_requirements() -> Iterator[Error]:
    for text in (
        "", "inference_time", "inference_time = 3 ms", "nothing <= 3", "inference_tim <= 3 ms", "inference_time <= ",
        "inference_time <= much", "inference_time <= 3", "inference_time <= 3 MB", "inference_time <= 3 MS",
        "inference_time <= -3 ms", "inference_memory_peak.middle <= 3 MB",
    ):  # fmt: skip
        yield refused(partial(requirements.parse, text))


def wrong_shapes() -> Iterator[Error]:
    for texts_ in (["x"], ["x=1", "x=2"], ["x=a"]):
        yield refused(partial(input_shapes.parse_shapes, texts_))
    for size in (-1, 1 << 70):
        yield refused(partial(input_shapes.check_shapes, {"x": (size,)}))
    declared = [TensorSpec("x", "float32", ("n", 3)), TensorSpec("y", "float32", ("n", 3))]
    for asked in ({"z": (1,)}, {"x": (1, 2)}, {"x": (1, 3), "y": (2, 3)}):
        yield refused(partial(tensors.bind, declared, asked))


def wrong_forms() -> Iterator[Error]:
    for fields in (
        {}, {"kind": "inference", "device": [str(at) for at in range(60)]},
        {"kind": "inference", "requirements": "inference_time <= 1 ms", "model": "m", "device": "d"},
        {"priority": "much", "deadline_s": "-1", "name": "a/b", "waits_for": " ".join(map(str, range(200)))},
        {"priority": "99999", "deadline_s": "soon", "name": "n" * 300, "options": "--nothing", "input_shapes": "x"},
        {"requirements": "a <= 1\nb", "option.compute_unit": "car"},
    ):  # fmt: skip
        form = JobForm({name: [value] if isinstance(value, str) else value for name, value in fields.items()})
        form.check()
        yield from form.problems.values()


def wrong_files() -> Iterator[Error]:
    for name in ("model.xml", "model.doc"):
        yield refused(partial(format_of, name))
    yield refused(lambda: format_inside("a.zip", b"abc", 3))


@each_language
@pytest.mark.parametrize("kind", [wrong_options, wrong_requirements, wrong_shapes, wrong_forms, wrong_files])
def test_what_is_wrong_with_what_somebody_typed_is_said(language: str, kind: Callable[[], Iterator[Error]]) -> None:
    found = list(kind())
    assert len(found) > 2
    for error in found:
        told = texts.texts(language).told(error)
        assert [part.text for part in told if part.english] == [], texts.refusal(error)
        assert texts.texts("en").told(error) == (Part(texts.refusal(error)),)


# ---- all that the code can raise -------------------------------------------------------------------------------------

ROOMS = (
    "agent/attempt.py", "agent/loop.py", "agent/probing.py", "connections/local.py", "hub/pages", "hub/usecases", "jobs", "measure", "runtimes",
    "spec/compiles.py", "spec/input_shapes.py", "spec/option_grammar.py", "spec/options.py", "spec/requirements.py", "spec/onnxfile.py", "spec/tensors.py",
    "spec/toolchain_support.py",
)  # fmt: skip
"""Where errors are raised that a page can show."""
NOT_TOLD = {"Bug", "PluginMissing", "Unavailable"}
"""Of our own mistakes, a page tells that there was one; the others' words come from elsewhere."""
FILL = "7"
FILLS = {
    "table.name": "model",
    "field": "model",
    "what": "model",
    "verb": "rename",
    "act": "rename",
    "option.takes": "integer",
    "group.takes": "integer",
}
"""What stands for values that are words."""


def written(node: ast.expr) -> list[str]:
    """The texts that an expression can be, with a figure in the place of each value."""
    if isinstance(node, ast.Constant):
        return [str(node.value)]
    if isinstance(node, ast.JoinedStr):
        return ["".join(parts) for parts in product(*map(written, node.values))]
    if isinstance(node, ast.FormattedValue):
        value = FILLS.get(ast.unparse(node.value).removeprefix("collection."), FILL)
        chosen = written(node.value) if isinstance(node.value, ast.IfExp) else [value]
        return [f"'{FILL}'" if node.conversion == ord("r") else one for one in chosen]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return ["".join(parts) for parts in product(written(node.left), written(node.right))]
    if isinstance(node, ast.IfExp):
        return [*written(node.body), *written(node.orelse)]
    return [FILL]


def raised() -> dict[str, str]:
    """Every message and hint of an error in the rooms, and where it is."""
    names = {name for name, one in vars(errors).items() if isinstance(one, type) and issubclass(one, Error)} - NOT_TOLD
    found = {}
    for room in ROOMS:
        place = SOURCE / room
        for path in [place] if place.is_file() else sorted(place.rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                called = node.func if isinstance(node, ast.Call) else None
                name = called.id if isinstance(called, ast.Name) else getattr(called, "attr", "")
                if isinstance(node, ast.Call) and name in names:
                    told = [*node.args[:1], *(one.value for one in node.keywords if one.arg == "hint")]
                    texts_ = (text for one in told for text in written(one))
                    found |= {
                        OF_FILES.sub("no model", OF_SHAPES.sub("input shape ", text)): f"{path.name}:{node.lineno}"
                        for text in texts_
                    }
    return {text: where for text, where in found.items() if len(re.findall("[a-z]{2,}", text)) > 1}


OF_SHAPES = re.compile(r"^model (?='7' is not NAME|names '7' twice|7=7: sizes|7: the size)")
OF_FILES = re.compile("(?<=^7 holds )model$")
"""What else is called ``what``: in :mod:`dynolab.spec.input_shapes`, and in ``tell_format``."""


@each_language
def test_every_error_that_a_page_can_show_is_said(language: str) -> None:
    found = raised()
    assert len(found) > 350
    unknown = {
        text: where
        for text, where in found.items()
        if [one for one in english(language, text) if not re.fullmatch(r"[\W\d]+", one)]
    }
    assert unknown == {}


# ---- texts -----------------------------------------------------------------------------------------------------------


def test_no_sentence_is_kept_that_nobody_says() -> None:
    """Each English pattern's own words stand in one file of the code, among its strings."""
    files = [
        {word for text in strings(path) for word in re.findall("[A-Za-z]{3,}", text)} for path in SOURCE.rglob("*.py")
    ]
    own = {one.key: set(re.findall("[A-Za-z]{3,}", " ".join(one.fixed))) - OF_OTHERS for one in KNOWN}
    assert {key for key, words in own.items() if not any(words <= file for file in files)} - PYTHONS == set()


def strings(path: Path) -> set[str]:
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


OF_OTHERS = {"model", "dataset", "job", "rename", "delete", "cancel", "invalid", "noisy", "partitions"}
"""Words that come into sentences from elsewhere: names of tables, verbs, verdicts, plurals."""
PYTHONS = {
    f"sentence-{key}"
    for key in (
        "file-is-not-a-zip-file", "no-closing-quotation", "no-escaped-character", "no-space-left-on-device",
        "no-such-file-or-directory", "permission-denied", "read-only-file-system",
    )
}  # fmt: skip
"""What Python and the system say, often enough to be said as well."""


def test_patterns_can_be_told_apart() -> None:
    assert all(word for one in KNOWN for word in one.fixed[1:-1]), "two values with nothing between them"
    shapes = [(one.fixed, tuple(name.startswith(SAID) for name in one.names)) for one in KNOWN]
    assert len(set(shapes)) == len(shapes)


# ---- what somebody else wrote ----------------------------------------------------------------------------------------

VENDOR = "Protobuf parsing failed; the graph (3 nodes) is not valid. Aborted"


@each_language
@pytest.mark.parametrize(
    "text", [VENDOR, "", " ", "\n", ".", "; ", "it is", "7", "<b>there is no model</b>", "\ufdd0 is no number"]
)
def test_what_is_not_known_stays_as_it_is(language: str, text: str) -> None:
    parts = texts.texts(language).stored(text)
    assert "".join(part.text for part in parts) == text
    assert all(part.english for part in parts if part.text.strip())


@each_language
def test_a_librarys_own_words_stay_as_they_are_inside_ours(language: str) -> None:
    parts = texts.texts(language).stored(f"ONNX Runtime cannot load model.onnx: {VENDOR}")
    assert [part.text for part in parts if part.english] == [VENDOR]
    assert "model.onnx" in parts[0].text


@each_language
def test_names_and_figures_stay_as_they_were_stored(language: str) -> None:
    text = said(language, "no device matches 'done; failed. it is (none)' 1,234,567.50")
    assert "no device matches" not in text or text == "no device matches 'done; failed. it is (none)' 1,234,567.50"
    assert "1,234,567.50" in said(language, "others used 1,234,567.50 of 2 cores (allowed 0.10)")


@each_language
@pytest.mark.parametrize(
    "text",
    [
        "a" * 10**6, "a; " * 3000, "x. y (z) " * 1000, "(" * 9000, ": " * 4000, "others used " * 800,
        "others used 1 of 2 cores (allowed 0.10); " * 200, "there is no model (x); " * 400, "of \n" * 2400,
        "the inference failed: " * 400, "\n" * 9000,
    ],
)  # fmt: skip
def test_hostile_texts_are_bounded(language: str, text: str) -> None:
    began = time.thread_time()
    parts = texts.Texts(language).stored(text)
    assert time.thread_time() - began < 3
    assert len(text) <= LONGEST or parts == (Part(text, True),)


def test_a_pattern_finds_its_values_from_left_to_right() -> None:
    pattern = Pattern("sentence-x", ("a ", " of ", "."), ("one", "other"))
    assert list(pattern.values("a b of c of d.")) == [{"one": "b", "other": "c of d"}]
    assert [found["one"] for found in pattern.values("a b of c of d.", places=5)] == ["b", "b of c"]
    assert [*pattern.values("a  of c."), *pattern.values("a b of c"), *pattern.values("a .")] == []
    twice = Pattern("sentence-y", ("", " or ", ""), ("one", "one"))
    assert list(twice.values("x or x")) == [{"one": "x"}]
    assert list(twice.values("x or y")) == []


ENERGY = [
    "the device is emulated: a machine of QEMU that shows no KVM; its times are no real device's",
    "the device is emulated: its CPU calls itself QEMU TCG CPU; its times are no real device's",
    "the device is emulated: programs for aarch64 run on another kind of CPU; its times are no real device's",
    "the device is emulated: it is Android's emulator; its times are no real device's",
    "it does not stand out from idle: 5.30 W while the model ran, 5.25 W before and after it, which is 1 J an inference, and as uncertain as 1.25 mJ",
    "RAPL is there, but only root may read it (CVE-2020-8694): /sys/class/powercap/intel-rapl:0/energy_uj",
    "the CPU shows no energy counters (no package below /sys/class/powercap); the board has no power monitor (none below /sys/class/hwmon); there is no NVIDIA driver; there is no battery",
    "this virtual machine shows no power sensor",
    "this container shows no power sensor",
    "this device shows no power sensor",
    "the battery does not power the device (BAT0: Charging), so its gauge tells nothing of it",
    "the loop was too short, or an inference too long, to read the sensor inside it",
    "it told 1 values in 2.5 s, too few for this loop",
    "the energy pass failed: the time limit was reached in inference; the worker was killed",
]


@pytest.mark.parametrize("text", ENERGY)
@each_language
def test_why_there_is_no_energy_and_no_clean_time_is_said(language: str, text: str) -> None:
    assert [one for one in english(language, text) if not re.fullmatch(r"[\W\d]+", one)] == []
