"""Options in AI Hub's grammar: what is understood, what is refused and with which words."""

from __future__ import annotations

import shlex
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynolab.errors import SpecInvalid
from dynolab.spec.measurements import ComputeUnit
from dynolab.spec.option_grammar import Kind, KnownOption
from dynolab.spec.options import OPTIONS, Options, format_options, parse, without_effect

BUSY = settings(deadline=None)  # other tests run beside this one: a slow example is no mistake

GROUPS = [option.name for option in OPTIONS if option.kind is Kind.GROUP]


def test_an_empty_text_asks_for_the_defaults() -> None:
    assert parse("  ") == Options()
    assert (parse("").max_profiler_iterations, parse("").max_profiler_time_s) == (None, 600.0)


def test_the_options_of_a_typical_job_are_typed() -> None:
    options = parse(
        '--max_profiler_iterations 50 --max_profiler_time=1.5  --compute_unit cpu,gpu --onnx_options "execution_mode'
        '=PARALLEL;intra_op_num_threads=2;enable_memory_pattern=true" --qairt_version 2.45 --dequantize_outputs'
    )
    assert options.max_profiler_iterations == 50
    assert options.max_profiler_time_s == 1.5
    assert options.compute_units == (ComputeUnit.CPU, ComputeUnit.GPU)
    assert options.group("onnx_options") == {
        "execution_mode": "PARALLEL",
        "intra_op_num_threads": 2,
        "enable_memory_pattern": True,
    }
    assert options.plain == {"qairt_version": "2.45", "dequantize_outputs": True}
    assert options.group("tflite_options") == {}


@pytest.mark.parametrize(
    "text",
    [
        "--onnx_options intra_op_num_threads=2;allow_spinning=false",
        "--onnx_options=intra_op_num_threads=2;allow_spinning=false",
        "--onnx_options 'allow_spinning = False ; intra_op_num_threads = +2 ;'",
        "--onnx_options=\"allow_spinning=0; ;intra_op_num_threads=02\"",
    ],
)  # fmt: skip
def test_spelling_does_not_matter(text: str) -> None:
    assert parse(text) == parse('--onnx_options "intra_op_num_threads=2;allow_spinning=false"')
    assert parse(text).text == text


def test_words_are_taken_in_any_case_and_kept_in_the_tables() -> None:
    options = parse("--onnx_options graph_optimization_level=enable_basic --tflite_delegates QNN-GPU,xnnpack")
    assert options.group("onnx_options")["graph_optimization_level"] == "ENABLE_BASIC"
    assert options.listed("tflite_delegates") == ("qnn-gpu", "xnnpack")
    assert options.listed("onnx_execution_providers") == ()


def test_all_units_is_the_same_as_none_named() -> None:
    assert parse("--compute_unit ALL") == parse("")
    assert parse("--compute_unit gpu,cpu").compute_units != parse("--compute_unit cpu,gpu").compute_units


def test_a_boolean_takes_the_next_word_unless_that_is_an_option() -> None:
    assert parse("--runtime_debug false").plain == {"runtime_debug": False}
    assert parse("--runtime_debug --dequantize_outputs=0").plain == {"runtime_debug": True, "dequantize_outputs": False}


@pytest.mark.parametrize("device", ["cpu", "cuda", "cuda:1", "CUDA:12"])
def test_torch_takes_a_numbered_device(device: str) -> None:
    assert parse(f"--torch_options device={device}").group("torch_options") == {"device": device.lower()}


@pytest.mark.parametrize(
    ("text", "named", "hinted"),
    [
        ("--max_profiler_iteration 3", "--max_profiler_iteration", "--max_profiler_iterations"),
        ("--xyzzy 3", "--xyzzy", "--compute_unit"),
        ("--intra_op_num_threads 3", "--intra_op_num_threads", "--onnx_options"),
        ("--onnx_options intra_op_threads=3", "intra_op_threads", "intra_op_num_threads"),
        ("--openvino_options zzz=3", "zzz", "performance_hint"),
        ("--onnx_options execution_mode=SIDEWAYS", "SIDEWAYS", "PARALLEL"),
        ("--onnx_options enable_memory_pattern=maybe", "maybe", "true or false"),
        ("--onnx_options intra_op_num_threads=two", "two", "integer"),
        ("--onnx_options intra_op_num_threads=1_0", "1_0", "integer"),
        ("--onnx_options intra_op_num_threads=-1", "-1", ">= 0"),
        ("--onnx_options device_id", "device_id", "device_id=..."),
        ("--onnx_options device_id=", "device_id", "device_id=..."),
        ("--onnx_options device_id=1;device_id=1", "device_id is given twice", "once"),
        ("--onnx_options ;", "--onnx_options has no value", "key=value"),
        ("--onnx_options --runtime_debug", "--onnx_options has no value", "key=value"),
        ("--max_profiler_iterations", "--max_profiler_iterations has no value", ">= 1"),
        ("--max_profiler_iterations=", "--max_profiler_iterations has no value", ">= 1"),
        ("--max_profiler_iterations 0", "'0'", ">= 1"),
        ("--max_profiler_iterations 2.5", "'2.5'", "integer"),
        ("--max_profiler_time 0", "'0'", "> 0"),
        ("--max_profiler_time nan", "'nan'", "number"),
        ("--max_profiler_time inf", "'inf'", "number"),
        ("--max_profiler_time 1e999", "'1e999'", "number"),
        ("--runtime_debug --runtime_debug", "--runtime_debug is given twice", "once"),
        ("--onnx_options device_id=1 --onnx_options device_id=1", "--onnx_options is given twice", "once"),
        ("--compute_unit tpu", "'tpu'", "npu"),
        ("--compute_unit cpu,,gpu", "''", "npu"),
        ("--compute_unit cpu,CPU", "cpu twice", "once"),
        ("--compute_unit cpu,all", "cpu,all", ""),
        ("--tflite_delegates qnn,coreml", "'coreml'", "xnnpack"),
        ("--torch_options device=cuda:x", "cuda:x", "cuda:N"),
        ("--torch_options device=cuda:\u0661", "cuda:\u0661", "cuda:N"),
        ("--runtime_debug perhaps", "'perhaps'", "true or false"),
        ("8 --runtime_debug", "'8'", "--"),
        ("--onnx_options device_id=1 allow_spinning=1", "'allow_spinning=1'", "quotes"),
        ('--onnx_options "device_id=1', '--onnx_options "device_id=1', "quotes"),
    ],
)  # fmt: skip
def test_a_refusal_names_the_text_and_the_way_out(text: str, named: str, hinted: str) -> None:
    with pytest.raises(SpecInvalid) as refused:
        parse(text)
    assert named in refused.value.message
    assert hinted in (refused.value.hint or "")


def test_the_table_agrees_with_the_options_it_describes() -> None:
    defaults = {option.path: option.default for option in OPTIONS}
    assert defaults["max_profiler_iterations"] == Options().max_profiler_iterations
    assert defaults["max_profiler_time"] == Options().max_profiler_time_s
    assert defaults["repeats"] == Options().repeats
    assert len(defaults) == len(OPTIONS)
    assert {option.group for option in OPTIONS} == {None, *GROUPS}


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.path)
def test_every_default_in_the_table_is_a_value_that_the_option_takes(option: KnownOption) -> None:
    assert option.text.endswith(".")
    for default in {option.hub_default, option.default} - {None}:
        text = str(default).lower() if isinstance(default, bool) else str(default)
        options = parse(f"--{option.name} {text}" if option.group is None else f"--{option.group} {option.name}={text}")
        if option.group is not None:
            assert options.group(option.group) == {option.name: default}
            assert options.value(option.group, option.name) == default


def test_a_value_that_was_not_given_is_dynolabs_default() -> None:
    options = parse("--onnx_options intra_op_num_threads=4")
    assert options.value("onnx_options", "intra_op_num_threads") == 4
    assert options.value("onnx_options", "execution_mode") == "SEQUENTIAL"
    assert options.value("openvino_options", "inference_precision") is None


def test_options_of_another_runtime_or_vendor_are_named_as_unused() -> None:
    options = parse(
        "--qnn_options context_priority=HIGH --qairt_version 2.45 --compute_unit cpu --max_profiler_time 5"
        " --onnx_options device_id=1;qnn_htp_performance_mode=burst --onnx_execution_providers cpu"
        " --tflite_options number_of_threads=2;release_dynamic_tensors=true"
    )
    assert set(options.unused_by({"onnx_options", "onnx_execution_providers"})) == {
        "qairt_version",
        "qnn_options",
        "onnx_options.qnn_htp_performance_mode",
        "tflite_options",
    }
    assert set(options.unused_by(["tflite_options.number_of_threads", "qnn_options", "qairt_version", "qnn"])) == {
        "tflite_options.release_dynamic_tensors",
        "onnx_options",
        "onnx_execution_providers",
    }
    everything = {"qairt_version", "onnx_execution_providers", "qnn", *GROUPS}
    assert options.unused_by(everything) == ()


def test_a_group_is_named_for_its_keys_where_the_runtime_reads_others() -> None:
    options = parse("--tflite_options release_dynamic_tensors=true")
    assert options.unused_by(["tflite_options.number_of_threads"]) == ("tflite_options.release_dynamic_tensors",)
    assert options.unused_by(["onnx_options"]) == ("tflite_options",)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("tflite_options.enable_fallback", "is accepted for compatibility with AI Hub and has no effect: no runtime"),
        ("runtime_debug", "is accepted for compatibility with AI Hub and has no effect: no runtime"),
        ("qnn_options", "is accepted for compatibility with AI Hub and has no effect: it needs qnn"),
        (
            "onnx_options.qnn_htp_performance_mode",
            "is accepted for compatibility with AI Hub and has no effect: it needs",
        ),
        ("onnx_options", "has no effect on runtime litert"),
    ],
)
def test_why_an_option_has_no_effect(name: str, said: str) -> None:
    assert without_effect(name, "litert").startswith(f"{name} {said}")


def test_an_option_without_effect_has_no_default() -> None:
    assert not [option.path for option in OPTIONS if option.idle and option.default is not None]


# ---- round trip ------------------------------------------------------------------------------------------------------

_FREE_WORDS = (
    st.text(string.ascii_letters + string.digits + "'\" $-_.=é*", min_size=1, max_size=12)
    .map(str.strip)
    .filter(lambda word: "." not in word)
)
"""Words without dots: those that look like a path or a library are refused."""


def _values(option: KnownOption) -> st.SearchStrategy[int | float | bool | str]:
    low = int(option.minimum) if option.minimum is not None else -1000
    if option.kind is Kind.BOOLEAN:
        return st.booleans()
    if option.kind is Kind.INTEGER:
        return st.integers(low, 10**17)
    if option.kind is Kind.NUMBER:
        return st.floats(0, 1e300, exclude_min=True)
    if option.kind is Kind.WORDS:
        return st.lists(st.sampled_from(option.allowed), min_size=1, unique=True).map(",".join)
    if option.pattern is not None:
        return st.from_regex(option.pattern, fullmatch=True, alphabet=string.printable)
    return st.sampled_from(option.allowed) if option.allowed else _FREE_WORDS.filter(bool)


def _some(options: list[KnownOption], min_size: int) -> st.SearchStrategy[dict[str, int | float | bool | str]]:
    chosen = st.lists(st.sampled_from(options), min_size=min_size, max_size=5, unique=True)
    return chosen.flatmap(lambda few: st.fixed_dictionaries({option.name: _values(option) for option in few}))


_PLAIN = [
    option
    for option in OPTIONS
    if option.group is None and option.kind is not Kind.GROUP and option.name not in
    ("compute_unit", "max_profiler_iterations", "max_profiler_time", "repeats", "sustained")
]  # fmt: skip
_OPTIONS = st.builds(
    Options,
    compute_units=st.lists(st.sampled_from(ComputeUnit), unique=True).map(tuple),
    max_profiler_iterations=st.integers(1, 10**9),
    max_profiler_time_s=st.floats(0, 1e300, exclude_min=True),
    repeats=st.integers(1, 10**6),
    sustained_s=st.none() | st.integers(1, 10**8).map(lambda thousandths: thousandths / 1000),
    groups=st.lists(st.sampled_from(GROUPS), unique=True, max_size=3).flatmap(
        lambda names: st.fixed_dictionaries(
            {name: _some([option for option in OPTIONS if option.group == name], 1) for name in names}
        )
    ),
    plain=_some(_PLAIN, 0),
)


@BUSY
@given(_OPTIONS)
def test_written_options_read_back_equal_and_unchanged(options: Options) -> None:
    text = format_options(options)
    assert parse(text) == options
    assert format_options(parse(text)) == text


def test_the_canonical_text_leaves_defaults_out_and_follows_the_table() -> None:
    assert format_options(Options()) == ""
    first = '--tflite_options "release_dynamic_tensors=1;number_of_threads=2" --max_profiler_iterations 100'
    second = "--compute_unit npu,cpu --max_profiler_time 2.50 --runtime_debug"
    assert format_options(parse(f"{first} {second}")) == (
        "--compute_unit npu,cpu --max_profiler_iterations 100 --max_profiler_time 2.5 --runtime_debug true"
        " --tflite_options 'number_of_threads=2;release_dynamic_tensors=true'"
    )  # fmt: skip


def test_a_value_that_looks_like_an_option_is_written_so_that_it_is_none() -> None:
    options = Options(plain={"qairt_version": "--runtime_debug"})
    assert parse(format_options(options)) == options


@pytest.mark.parametrize(
    "options",
    [
        Options(groups={"onnx_options": {}}),
        Options(groups={"onnx_options": {"device_id": "first"}}),
        Options(groups={"qnn_options": {"context_enable_graphs": "a;b"}}),
        Options(groups={"unheard_of": {"a": 1}}),
        Options(plain={"qairt_version": " 2.45"}),
        Options(plain={"compute_unit": "cpu"}),
        Options(max_profiler_iterations=0),
        Options(compute_units=(ComputeUnit.CPU, ComputeUnit.CPU)),
    ],
)
def test_options_that_no_text_can_say_are_refused(options: Options) -> None:
    with pytest.raises(SpecInvalid):
        format_options(options)


@BUSY
@given(st.text())
def test_any_text_is_understood_or_refused_as_invalid(text: str) -> None:
    try:
        options = parse(text)
    except SpecInvalid as refusal:
        assert refusal.message  # noqa: PT017 - most texts are refused, and either outcome is right
    else:
        assert parse(format_options(options)) == options


@BUSY
@given(st.lists(st.sampled_from(["--onnx_options", "--compute_unit", "--runtime_debug", "=", "device_id=1", "cpu", ";",
                                 "--max_profiler_time", "1", "true", "--", ""])))  # fmt: skip
def test_any_order_of_known_words_is_understood_or_refused_as_invalid(words: list[str]) -> None:
    try:
        options = parse(shlex.join(words))
    except SpecInvalid:
        return
    assert parse(format_options(options)) == options


PLACES = (
    "custom_op_library=/tmp/evil.so", "session.optimized_model_filepath=/root/x", "optimized_model_filepath=x.onnx",
    "profile_file_prefix=/etc/cron.d/x", "session.model_external_initializers_file_folder_path=/", "register_custom_ops=x",
    "ep.context_file_path=/root/.ssh/id", "ep.context_enable=1", "log_file=x", "backend_path=libevil.so",
    "profiling_file_path=/root/x", "skel_library_dir=/tmp", "extensions=libevil.so", "CACHE_DIR=/root", "cache_dir=/root",
    "plugins_xml_file=x", "dump_graphs_dir=/root", "trt_engine_cache_path=/root", "trt_extra_plugin_lib_paths=libevil.so",
    "ep_library_path=libevil.so", "model_location=x", "session.use_ort_model_bytes_directly=1",
)  # fmt: skip


def test_no_key_names_a_file_or_a_library() -> None:
    for text in (f'--{group} "{place}"' for group in GROUPS for place in PLACES):
        with pytest.raises(SpecInvalid, match="names a file or a library of the device, which no job may"):
            parse(text)


FREE = [option for option in OPTIONS if option.kind is Kind.WORD and not option.allowed and not option.pattern]


def test_no_word_names_a_file_or_a_library() -> None:
    values = ("/etc/passwd", "../x", "lib/evil", "evil.so", "evil.so.1", "C:\\evil", "evil.DLL", "a.py")
    for option, value in ((option, value) for option in FREE for value in values):
        text = f"{option.name}={value}" if option.group else value
        with pytest.raises(SpecInvalid, match="names a file or a library of the device, which no job may"):
            parse(f"--{option.group or option.name} '{text}'")


def test_every_known_key_can_still_be_given() -> None:
    for option in FREE:
        text = f"{option.name}=some.word-1" if option.group else "some.word-1"
        parse(f"--{option.group or option.name} '{text}'")


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("10m", 600), ("1.5h", 5400), ("0.5M", 30), ("2.5", 2.5)]
)
def test_a_length_of_time_is_read_in_its_unit(text: str, seconds: float) -> None:
    assert parse(f"--sustained {text}").sustained_s == seconds


@pytest.mark.parametrize("text", ["soon", "10min", "-5s", "1e3", "m", "''", "10m30s"])
def test_what_is_no_length_of_time_is_refused(text: str) -> None:
    with pytest.raises(SpecInvalid, match="--sustained"):
        parse(f"--sustained {text}")
