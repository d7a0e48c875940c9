"""What script/mutate runs: a sample of mistakes, for each the tests that run its line, and a table of what they noticed.

Written here for want of a tool that fits: mutmut rewrites every function and follows tests in their own process only, while
ours start hubs and workers; cosmic-ray runs one command, the same for every mistake, which would be the whole suite.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import venv
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from mutate_lines import record
from mutate_mistakes import Mistake, mistakes
from mutate_verdicts import Verdicts, draw

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "out" / "mutate"
ROOMS = ("hub/usecases", "hub/store", "agent", "measure")
NOTICED = ("caught", "timed out")
PASSED_OVER = ("migrations", "__init__.py", "_postgres_child.py")
COPIED = ("src", "tests", "docs", "examples", "pyproject.toml", "README.md", "script")
TESTS_MOST, SECONDS_MOST = 25, 30.0
"""Of a first look; what survives it is looked at again with all the other tests that run the line."""
DEAREST_S, LIMIT_S, LIMIT_TIMES = 200.0, 60.0, 5.0
"""No test that takes longer is run; how long tests may take with a mistake, and how many times what they took without."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a mistake: ``caught``, ``timed out``, ``survived`` or ``not run`` (no test runs the line)."""

    mistake: Mistake
    outcome: str
    tests: int
    seconds: float
    by: str = ""
    """The test that failed, or the first of those that hang."""


class Known:
    """What :func:`mutate_lines.record` wrote."""

    def __init__(self, path: Path) -> None:
        document = json.loads(path.read_text(encoding="utf-8"))
        self._seconds: dict[str, float] = document["seconds"]
        self._lines: dict[str, dict[str, list[str]]] = document["lines"]

    def tests(self, mistake: Mistake) -> tuple[list[str], list[str]]:
        """Those of the first look, that run a line of it or most of its file; and the others that run a line of it.

        A line that is run when its module is loaded belongs to whichever test came first; the others use what it made.
        """
        lines = self._lines.get(str(mistake.path.relative_to(ROOT)), {})
        here = {one for line in range(mistake.line, mistake.last_line + 1) for one in lines.get(str(line), ())}
        noted = max((int(line) for line in lines if int(line) <= mistake.line), default=0)
        here = here or set(lines.get(str(noted), ()))  # a statement of several lines is noted at its first
        counts = Counter(one for tests in lines.values() for one in tests if one not in here)
        ordered = [*sorted(here, key=self._cost), *sorted(counts, key=lambda one: (-counts[one], self._cost(one)))]
        chosen, total_s = list[str](), 0.0
        for test in ordered if noted else ():
            if test in self._seconds and total_s + self._seconds[test] <= (SECONDS_MOST if chosen else DEAREST_S):
                chosen.append(test)
                total_s += self._seconds[test]
        chosen = chosen[:TESTS_MOST]
        return chosen, [test for test in ordered if test in here & self._seconds.keys() and test not in chosen]

    def limit_s(self, tests: list[str]) -> float:
        """How long the tests may take before they are said to hang: a machine may be busier than it was."""
        return LIMIT_S + LIMIT_TIMES * sum(map(self._cost, tests))

    def _cost(self, test: str) -> float:
        return self._seconds.get(test, DEAREST_S)


class Copy:
    """A checkout of its own with a Python that finds it, so that nothing is changed in this one."""

    def __init__(self, number: int) -> None:
        self.place = FOLDER / f"copy{number}"
        shutil.rmtree(self.place, ignore_errors=True)
        self.place.mkdir(parents=True)
        for name in COPIED:
            source = ROOT / name
            copy = shutil.copytree if source.is_dir() else shutil.copy
            copy(source, self.place / name)
        venv.create(self.place / ".venv", with_pip=False, symlinks=True)
        self.python = self.place / ".venv" / "bin" / "python"
        [packages] = (self.place / ".venv" / "lib").glob("python*/site-packages")
        outer = [path for path in sys.path if path.endswith("site-packages")]
        lines = [str(self.place / "src"), *(f"import site; site.addsitedir({path!r})" for path in outer)]
        (packages / "copy.pth").write_text("\n".join(lines) + "\n")

    def answer(self, mistake: Mistake, known: Known, environment: dict[str, str], by: str | None) -> Answer:
        """Make it here, run the tests (first the one that noticed it the last time), and undo it.

        What they noticed counts if the same test passes without the mistake: on a busy machine some fail, or hang, anyway.
        """
        begun, (near, others) = time.monotonic(), known.tests(mistake)
        looks = [[by], near, others] if by else [near, others]
        looked = list[str]()
        for tests in looks:
            left = [test for test in tests if test not in looked]
            while left:
                outcome, failed = self._with(mistake, left, environment, known.limit_s(left))
                if outcome == "survived":
                    looked += left
                    break
                checked = [failed] if failed else left
                if self._run(checked, environment, known.limit_s(checked))[0] == "survived":
                    return Answer(mistake, outcome, len(looked) + len(left), time.monotonic() - begun, checked[0])
                left = [test for test in left if test not in checked]  # they fail, or hang, without the mistake, too
        return Answer(mistake, "survived" if looked else "not run", len(looked), time.monotonic() - begun)

    def _with(self, mistake: Mistake, tests: list[str], environment: dict[str, str], limit_s: float) -> tuple[str, str]:
        target = self.place / mistake.path.relative_to(ROOT)
        target.write_text(mistake.made(), encoding="utf-8")
        try:
            return self._run(tests, environment, limit_s)
        finally:
            shutil.copy(mistake.path, target)

    def _run(self, tests: list[str], environment: dict[str, str], limit_s: float) -> tuple[str, str]:
        """What became of it, and the name of the test that failed."""
        options = ("-x", "-q", "-rfE", "--tb=no", "-p", "no:randomly", "-p", "no:cacheprovider")
        command = [str(self.python), "-m", "pytest", *options, *tests]
        with (self.place / "pytest.log").open("w+b") as log:
            process = subprocess.Popen(
                command, cwd=self.place, env=environment, stdout=log, stderr=log, start_new_session=True
            )
            try:
                if process.wait(limit_s) == 0:
                    return "survived", ""
                log.seek(0)
                return "caught", _failed(log.read().decode(errors="replace"), tests)
            except subprocess.TimeoutExpired:
                return "timed out", ""
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
                    self._end_the_rest()

    def _end_the_rest(self) -> None:
        """End what tests that were cut short left: hubs have sessions of their own, and run with this copy's Python."""
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                if path.read_bytes().split(b"\0")[0] == os.fsencode(self.python):
                    os.kill(int(path.parent.name), signal.SIGKILL)


def _failed(log: str, tests: list[str]) -> str:
    """Of those that were asked for, the one that failed: itself, a part of it, or all of its module, which could not be read."""
    named = re.findall(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", log, re.MULTILINE)
    fits = (
        test
        for one in named
        for test in tests
        if one == test or one.startswith((f"{test}::", f"{test}[")) or test.startswith(f"{one}::")
    )
    return next(fits, tests[0])


def candidates(changed: str | None) -> dict[str, Mistake]:
    """All mistakes of the rooms by name; ``changed``: of the files that are not as in that commit."""
    found = [path for room in ROOMS for path in sorted((ROOT / "src" / "dynolab" / room).rglob("*.py"))]
    if changed is not None:
        named = subprocess.run(
            ["git", "diff", "--name-only", changed], cwd=ROOT, capture_output=True, text=True, check=True
        )
        found = [path for path in found if str(path.relative_to(ROOT)) in named.stdout.splitlines()]
    kept = [path for path in found if not any(part in PASSED_OVER for part in path.parts)]
    named_so, found_so = Counter[str](), dict[str, Mistake]()
    for one in (one for path in kept for one in mistakes(path)):
        name = f"{one.path.relative_to(ROOT / 'src' / 'dynolab')} {one.told}"
        named_so[name] += 1  # the same words twice in a file: the second is another mistake
        found_so[f"{name} {named_so[name]}"] = one
    return found_so


def table(answers: list[Answer], asked: str) -> str:
    """Markdown: how many of each room were caught, and every one that was not."""
    lines = [
        f"`{asked}`",
        "",
        "| room | mistakes | caught | timed out | survived | no test runs it |",
        "|---|---|---|---|---|---|",
    ]
    for room in (*ROOMS, "all"):
        of_room = [one for one in answers if room == "all" or f"dynolab/{room}/" in str(one.mistake.path)]
        counts = [
            sum(one.outcome == kind for one in of_room) for kind in ("caught", "timed out", "survived", "not run")
        ]
        lines.append(f"| {room} | {len(of_room)} | {' | '.join(map(str, counts))} |")
    left = [one for one in answers if one.outcome in ("survived", "not run")]
    lines += ["", "| not caught | mistake |", "|---|---|"] if left else []
    lines += [
        f"| {one.mistake.path.relative_to(ROOT / 'src' / 'dynolab')}:{one.mistake.line} | {one.mistake.told} |"
        for one in left
    ]
    return "\n".join(lines) + "\n"


def place(mistake: Mistake) -> str:
    """File and line, and what is made there."""
    return f"{mistake.path.relative_to(ROOT / 'src' / 'dynolab')}:{mistake.line}  {mistake.told}"


def answers(chosen: dict[str, Mistake], known: Known, verdicts: Verdicts, at_once: int) -> list[Answer]:
    """One for each, in as many copies as may be looked at at once; written as they come."""
    from dynolab.testing.databases import shared_server

    copies: SimpleQueue[Copy] = SimpleQueue()
    for number in range(at_once):
        copies.put(Copy(number))

    def one(name: str, mistake: Mistake) -> Answer:
        by = verdicts.noticed_by(name)
        if before := verdicts.outcome(name, mistake.path):
            found = Answer(mistake, before, 0, 0.0, by or "")
        else:
            copy = copies.get()
            try:
                found = copy.answer(mistake, known, environment, by)
            finally:
                copies.put(copy)
            if found.outcome in NOTICED:
                verdicts.keep(name, mistake.path, found.outcome, found.by)
        told = f"{found.outcome:9} {found.tests:3} tests {found.seconds:5.0f} s  {place(mistake)}  {found.by}"
        sys.stdout.write(told.rstrip() + "\n")
        sys.stdout.flush()
        return found

    with shared_server(FOLDER / "postgres") as more, ThreadPoolExecutor(at_once) as pool:
        environment = {**os.environ, **more}
        return list(pool.map(one, chosen.keys(), chosen.values()))


def main() -> int:
    """Exit status 1 when fewer than 90 % were noticed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=10)
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--changed", metavar="COMMIT")
    parser.add_argument("--within", metavar="TEXT", default="", help="of these alone whose file's name has it")
    parser.add_argument("--list", action="store_true", help="name the mistakes and make none")
    parser.add_argument(
        "--record", nargs="*", metavar="TESTS", help="which test runs which line: of all tests anew, or of these alone"
    )
    parser.add_argument("--anew", action="store_true", help="look again at what was noticed before")
    parser.add_argument("--at-once", type=int, default=2)
    asked = parser.parse_args()
    chosen = draw(candidates(asked.changed), asked.seed, asked.count)
    chosen = {name: one for name, one in chosen.items() if asked.within in str(one.path)}
    if asked.list:
        sys.stdout.writelines(f"{place(one)}\n" for one in sorted(chosen.values(), key=lambda one: str(one.path)))
        return 0
    if asked.record is not None or not (FOLDER / "tests.json").exists():
        record(ROOT, FOLDER, asked.record or [])
    verdicts = Verdicts(FOLDER / "verdicts", ROOT)
    if asked.anew:
        verdicts.forget()
    found = answers(chosen, Known(FOLDER / "tests.json"), verdicts, asked.at_once)
    within = f" --within {asked.within}" if asked.within else ""
    written = table(found, f"script/mutate --seed {asked.seed} --count {asked.count}{within}")
    (FOLDER / "table.md").write_text(written, encoding="utf-8")
    sys.stdout.write(written)
    return int(sum(one.outcome in NOTICED for one in found) < 0.9 * len(found))


if __name__ == "__main__":
    sys.exit(main())
