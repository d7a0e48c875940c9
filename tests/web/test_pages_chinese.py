"""The pages as somebody who reads Chinese meets them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dynolab.testing.sample import noisy_profile

Visit = Callable[..., Any]


@pytest.fixture(scope="module")
def noisy(seeded: Any) -> str:
    """The id of a job that is done, whose profile has all sorts of verdicts."""
    return str(seeded.done("Bench job", noisy_profile()))


def language(page: Any) -> Any:
    return page.locator("html").get_attribute("lang")


def test_the_browsers_language_is_spoken(noisy: str, visit: Visit) -> None:
    page = visit("/jobs/", locale="zh-CN")
    assert language(page) == "zh"
    page.get_by_role("heading", level=1, name="作业", exact=True).wait_for()
    row = page.get_by_role("row").filter(has_text="Bench job")
    for words in ("✓ 已完成", "性能分析", "8.31 ms", "有噪声"):
        assert words in row.inner_text()
    page.get_by_role("group", name="状态").get_by_label("失败").check()
    page.get_by_text("没有符合条件的作业。").wait_for()


def test_a_profile_is_read_in_chinese_and_what_was_stored_in_english(noisy: str, visit: Visit) -> None:
    page = visit(f"/jobs/{noisy}/", locale="zh-CN")
    assert language(page) == "zh"
    inference = page.get_by_role("region", name="推理", exact=True)
    for words in ("8.31 ms", "次迭代中的最小值", "内存峰值", "有噪声"):
        assert words in inference.inner_text()
    assert page.get_by_role("heading", name="四个阶段").is_visible()
    assert page.get_by_role("img", name="首次加载: ").first.get_attribute("aria-label").count("离散区间") == 1
    reason = inference.locator(".why").first
    assert reason.get_attribute("lang") == "en"
    page.get_by_label("筛选").fill("no such layer anywhere")
    page.get_by_text("没有符合条件的层").wait_for()
    page.get_by_label("筛选").fill("conv")
    page.get_by_role("status").filter(has_text="/ 68 层").wait_for()
    page.get_by_role("link", name="进程总峰值").hover()
    page.get_by_role("tooltip").get_by_text("一个进程从导入运行时之前起").wait_for()
    page.get_by_role("link", name="进程总峰值").click()
    page.wait_for_url("**/definitions#def-process_total")
    page.get_by_role("heading", level=1, name="术语定义", exact=True).wait_for()
    assert page.locator("#def-process_total dt").inner_text() == "进程总峰值"


def test_the_form_speaks_chinese_and_the_hubs_own_errors_are_marked(seeded: Any, visit: Visit) -> None:
    page = visit("/submit", locale="zh-CN")
    page.get_by_role("heading", level=1, name="提交作业", exact=True).wait_for()
    assert page.get_by_text("用哪些计算单元运行").count() == 1
    page.get_by_role("button", name="提交").click()
    page.get_by_text("什么都没有提交").wait_for()
    problem = page.locator("#problem-model_file")
    assert "there is no model" in problem.inner_text()
    assert problem.get_attribute("lang") == "en"


def test_compared_jobs_are_told_in_chinese(seeded: Any, noisy: str, visit: Visit) -> None:
    page = visit(f"/compare?job={noisy}&job={seeded.done('Bench twin')}", locale="zh-CN")
    page.get_by_role("heading", level=1, name="比较 2 个作业", exact=True).wait_for()
    assert page.get_by_role("heading", name="再次加载").is_visible()
    page.get_by_role("status").filter(has_text="68 层").wait_for()
    assert page.get_by_role("rowheader", name="推理内存峰值").first.is_visible()


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
