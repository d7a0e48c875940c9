"""The pages as somebody who reads Chinese meets them."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Any

import pytest

from dynolab.spec.agents import Outcome
from dynolab.testing.sample import noisy_profile

from .conftest import FIRST

Visit = Callable[..., Any]
PLAIN = {"java_script_enabled": False}


@pytest.fixture(scope="module")
def noisy(seeded: Any) -> str:
    """The id of a job that is done, whose profile has all sorts of verdicts."""
    return str(seeded.done("Bench job", noisy_profile()))


def plain(place: Any) -> str:
    """What a person reads, with spaces and punctuation of one width."""
    return unicodedata.normalize("NFKC", place.inner_text())


def language(page: Any) -> Any:
    return page.locator("html").get_attribute("lang")


def test_the_browsers_language_is_spoken(noisy: str, visit: Visit) -> None:
    page = visit("/jobs/?text=Bench+job", locale="zh-CN")
    assert language(page) == "zh"
    page.get_by_role("heading", level=1, name="作业", exact=True).wait_for()
    row = page.get_by_role("row").filter(has_text="Bench job")
    for words in ("✓ 已完成", "性能分析", "8.31 ms", "有噪声"):
        assert words in row.inner_text()
    page.get_by_role("group", name="状态").get_by_label("失败").check()
    page.get_by_text("没有符合条件的作业。").wait_for()


def test_a_profile_is_read_in_chinese_with_the_reasons_that_it_holds(noisy: str, visit: Visit) -> None:
    page = visit(f"/jobs/{noisy}/", locale="zh-CN")
    assert language(page) == "zh"
    inference = page.get_by_role("region", name="推理", exact=True)
    for words in ("8.31 ms", "次迭代中的最小值", "内存峰值", "有噪声"):
        assert words in inference.inner_text()
    assert page.get_by_role("heading", name="四个阶段").is_visible()
    answer = page.get_by_role("region", name="概览")
    for words in ("推理时间", "6.32 – 8.31 ms", "中位数、p90", "运行于", "(按时间)", "精度", "输入形状"):
        assert words in plain(answer)
    assert "范围较宽" in plain(answer)
    assert answer.locator("[lang=en]").count() == 0
    assert inference.locator("[lang=en]").count() == 0
    assert "68 层中有 3 层(占时间的 4.9 %)没有运行在 NPU 上" in plain(answer)
    decided = page.get_by_role("region", name="要求")
    assert "100 % 的迭代在限值以内" in plain(decided)
    page.goto(f"/jobs/{noisy}/?tab=memory")
    assert page.get_by_role("img", name="首次加载: ").first.get_attribute("aria-label").count("离散区间") == 1
    page.goto(f"/jobs/{noisy}/?tab=timing")
    assert "加载之前,模型文件的 23.6 MB 都不在页缓存中" in plain(page.locator("main"))
    page.goto(f"/jobs/{noisy}/?tab=layers")
    page.get_by_label("筛选").fill("no such layer anywhere")
    page.get_by_text("没有符合条件的层").wait_for()
    page.get_by_label("筛选").fill("conv")
    page.get_by_role("status").filter(has_text="/ 68 层").wait_for()
    page.goto(f"/jobs/{noisy}/")
    page.get_by_role("link", name="进程总峰值").hover()
    page.get_by_role("tooltip").get_by_text("一个进程从导入运行时之前").wait_for()
    page.get_by_role("link", name="进程总峰值").click()
    page.wait_for_url("**/definitions#def-process_total")
    page.get_by_role("heading", level=1, name="术语定义", exact=True).wait_for()
    assert page.locator("#def-process_total dt").inner_text() == "进程总峰值"


@pytest.mark.parametrize("browser", [{}, PLAIN], ids=["scripts", "plain"])
def test_a_refused_form_says_why_in_chinese(browser: dict[str, Any], seeded: Any, visit: Visit) -> None:
    page = visit("/submit", locale="zh-CN", **browser)
    page.get_by_role("heading", level=1, name="提交作业", exact=True).wait_for()
    assert page.get_by_text("用哪些计算单元运行").count() == 1
    page.get_by_label("全部选项的文本").fill("--max_profiler_iterations many")
    page.get_by_label("每行一条").fill("estimated_inference_tim <= 33 ms\ninference_memory_peak <= 3")
    page.get_by_role("button", name="提交").click()
    page.get_by_text("什么都没有提交").wait_for()
    problems = {name: plain(page.locator(f"#problem-{name}")) for name in ("model_file", "options", "requirements")}
    assert "没有模型(请选择一个文件,或这里已有的模型)" in problems["model_file"]
    assert "--max_profiler_iterations 不接受 'many'(它接受:整数,>= 1)" in problems["options"]
    assert "没有名为 'estimated_inference_tim' 的指标(您是不是想写 estimated_inference_time" in problems["requirements"]
    assert "限值 3 需要单位(可用的单位:B, kB, MB" in problems["requirements"]
    assert page.locator(".problem [lang=en], #problems [lang=en]").count() == 0


def test_what_scripts_tell_beside_fields_is_chinese(seeded: Any, visit: Visit) -> None:
    page = visit("/submit", locale="zh-CN")
    page.get_by_label("全部选项的文本").fill("--max_profiler_iteration 40")
    page.locator("#problem-options").get_by_text("没有选项 --max_profiler_iteration").wait_for()
    broken = {"name": "two.zip", "mimeType": "application/zip", "buffer": b"no archive" * 99}
    page.get_by_label("全部选项的文本").fill("")
    page.get_by_label("模型文件").set_input_files([broken])
    page.get_by_label("Bench Phone").check()
    page.get_by_role("button", name="提交").click()
    problem = page.locator("#problem-model_file")
    problem.get_by_text("two.zip 不是").wait_for()
    assert "two.zip 不是可以读取的 ZIP 文件:文件不是 zip 文件(请重新打包)" in plain(problem)
    assert problem.locator("[lang=en]").count() == 0


VENDOR = 'Graph <b>"x"</b> is not sorted; aborted'


def failed(seeded: Any, message: str, hint: str | None) -> str:
    """The id of a job that failed with these words."""
    job_id = seeded.submit("Torn job", **FIRST)
    given = seeded.take(seeded.door, job_id)
    seeded.door.finish(given.attempt, Outcome(error={"code": "LoadFailed", "message": message, "hint": hint}))
    return str(job_id)


def test_a_librarys_own_words_stay_english_and_are_marked(seeded: Any, visit: Visit) -> None:
    hint = "it may be truncated; download or export it again"
    job_id = failed(seeded, f"ONNX Runtime cannot load net.onnx: {VENDOR}", hint)
    page = visit(f"/jobs/{job_id}/", locale="zh-CN")
    why = page.get_by_role("region", name="失败原因")
    assert plain(why.locator("p").first) == f"ONNX Runtime 无法加载 net.onnx:{VENDOR}"
    assert why.locator("[lang=en]").all_inner_texts() == [VENDOR]
    assert plain(why.locator("p").nth(1)) == "它可能被截断了;请重新下载或导出"
    page = visit(f"/jobs/{failed(seeded, VENDOR, None)}/", locale="zh-CN")
    assert page.get_by_role("region", name="失败原因").locator("[lang=en]").all_inner_texts() == [VENDOR]


def test_a_megabyte_of_hostile_words_is_shown_as_text(seeded: Any, visit: Visit) -> None:
    words = (
        '<img src=x onerror=document.title="taken"> others used 1 of 2 cores (allowed 0.10); there is no model (x); '
    )
    job_id = failed(seeded, (words * 10_000)[:1_000_000], "it is " * 1000)
    page = visit(f"/jobs/{job_id}/", locale="zh-CN")
    why = page.get_by_role("region", name="失败原因")
    assert words in why.inner_text()
    assert page.title() != "taken"
    assert page.locator("main img[src=x]").count() == 0


def test_compared_jobs_are_told_in_chinese(seeded: Any, noisy: str, visit: Visit) -> None:
    page = visit(f"/compare?job={noisy}&job={seeded.done('Bench twin')}", locale="zh-CN")
    page.get_by_role("heading", level=1, name="比较 2 个作业", exact=True).wait_for()
    assert page.get_by_role("rowheader", name="推理内存峰值").first.is_visible()
    overview = page.url
    page.goto(f"{overview}&tab=layers")
    page.get_by_role("status").filter(has_text="68 层").wait_for()
    assert [text for text in page.locator("main [lang=en]").all_inner_texts() if " " in text] == []
    page.goto(f"{overview}&tab=stages")
    assert page.get_by_role("heading", name="再次加载").is_visible()
    assert page.get_by_text("没有给定 A/A 底线").is_visible()
    assert "A/A 底线 2.0 %" in plain(page.locator(".why").first)
    assert [text for text in page.locator("main [lang=en]").all_inner_texts() if " " in text] == []
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{overview}&job={noisy}&job={seeded.done('Bench triplet')}&job={seeded.done('Bench fourth')}")
    title = page.get_by_role("rowheader", name="首次加载", exact=True).first.get_by_role("link")
    assert title.bounding_box()["height"] < 30  # its four signs on one line


def test_another_language_can_be_chosen_and_is_kept(noisy: str, visit: Visit) -> None:
    page = visit("/jobs/", locale="en-GB")
    assert language(page) == "en"
    page.get_by_role("button", name="中文").click()
    page.get_by_role("heading", name="作业", level=1).wait_for()
    page.goto(f"/jobs/{noisy}/")
    assert language(page) == "zh"
    page.get_by_role("button", name="English").click()
    page.get_by_role("heading", name="The four stages").wait_for()
    assert language(page) == "en"
