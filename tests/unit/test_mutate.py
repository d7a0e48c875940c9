"""script/mutate: which mistakes it makes, that its draw stays, and which of its verdicts are still believed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

SCRIPTS = Path(__file__).parents[2] / "script"
SOURCE = '''
def larger(a: "list[int]", b=1):
    """What is said is left alone."""
    if a and not b < 2:
        log("nothing")
        raise ValueError(b + 1)
    total += 12
    return list(zip(a, b, strict=True))
'''


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    before = set(sys.modules)
    yield
    for name in [name for name in set(sys.modules) - before if name.startswith("mutate")]:
        del sys.modules[name]


@pytest.fixture
def made(scripts: None, tmp_path: Path) -> list[Any]:
    """The mistakes of the source above."""
    from mutate_mistakes import mistakes

    (tmp_path / "one.py").write_text(SOURCE)
    return list(mistakes(tmp_path / "one.py"))


def test_each_mistake_changes_one_thing_and_leaves_alone_what_only_talks_or_checks(made: list[Any]) -> None:
    assert [one.told for one in made] == [
        "`1` becomes `2`",
        "`a and not b < 2` becomes `(a or not b < 2)`",
        "`a and not b < 2` becomes `(not b < 2)`",
        "`a and not b < 2` becomes `(a)`",
        "`not b < 2` becomes `(b < 2)`",
        "`b < 2` becomes `(b <= 2)`",
        "`2` becomes `3`",
        "`total += 12` becomes `pass`",
        "`12` becomes `120`",
        "`return list(zip(a, b, strict=True))` becomes `return None`",
    ]
    for one in made:
        assert compile(one.made(), "one.py", "exec")
        before, after = SOURCE.splitlines(), one.made().splitlines()
        assert [number for number, pair in enumerate(zip(before, after, strict=True), 1) if len(set(pair)) > 1] == [
            one.line
        ]


def test_a_draw_stays_as_others_come_and_go_and_another_seed_draws_others(scripts: None) -> None:
    from mutate_verdicts import draw

    named = {f"file {number}": number for number in range(500)}
    drawn = list(draw(named, 10, 60))
    assert len(drawn) == 60
    assert list(draw(dict(reversed(named.items())), 10, 60)) == drawn
    assert list(draw({name: 0 for name in named if name in drawn}, 10, 60)) == drawn
    rest = {name: 0 for name in named if name != drawn[7]} | {"file new": 0}
    assert len(set(draw(rest, 10, 60)) & set(drawn)) >= 58
    assert set(draw(named, 11, 60)) != set(drawn)
    assert list(draw(named, 10, 5)) == drawn[:5]


def test_a_verdict_is_believed_until_the_file_or_the_tests_change(scripts: None, tmp_path: Path) -> None:
    from mutate_verdicts import Verdicts

    source, test = tmp_path / "one.py", tmp_path / "test_one.py"
    source.write_text("a = 1\n")
    test.write_text("assert True\n")
    kept = tmp_path / "verdicts"
    assert Verdicts(kept, tmp_path).outcome("one 1", source) is None
    Verdicts(kept, tmp_path).keep("one 1", source, "caught", "test_one.py::test_it")
    again = Verdicts(kept, tmp_path)
    assert (again.outcome("one 1", source), again.outcome("one 2", source)) == ("caught", None)
    for path, old in ((source, "a = 1\n"), (test, "assert True\n")):
        path.write_text("b = 2\n")
        assert Verdicts(kept, tmp_path).outcome("one 1", source) is None
        assert Verdicts(kept, tmp_path).noticed_by("one 1") == "test_one.py::test_it", "it is tried first"
        path.write_text(old)
        assert Verdicts(kept, tmp_path).outcome("one 1", source) == "caught"
    again.forget()
    assert Verdicts(kept, tmp_path).noticed_by("one 1") is None
