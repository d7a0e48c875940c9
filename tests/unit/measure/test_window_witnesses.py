"""Windows between two readings: which reading of the reference kernel is theirs."""

from __future__ import annotations

import pytest

from dynolab.measure.window_witnesses import WindowEdge, WindowWitnesses, between

MS = 1_000_000


def edge(kernel_ns: int, *, at_ms: int, threads: int = 1) -> WindowEdge:
    return WindowEdge(at_ms * MS, at_ms * MS, 0, 0, 0, None, kernel_ns, threads, "")


@pytest.mark.parametrize(("count", "kernel_ns"), [(100, 97), (8, 97), (7, 130), (1, 130)])
def test_the_fastest_of_many_may_have_been_beside_the_better_reading(count: int, kernel_ns: int) -> None:
    for kernels in ((97, 130), (130, 97)):
        before, after = (edge(one, at_ms=20 * at) for at, one in enumerate(kernels))
        assert between(before, after, count, None).kernel_ns == kernel_ns


def test_a_reading_on_fewer_threads_is_not_held_against_one_on_more() -> None:
    for count in (1, 100):
        seen = between(edge(97, at_ms=0), edge(130, at_ms=20, threads=2), count, None)
        assert (seen.kernel_ns, seen.kernel_threads) == (130, 2)


def test_there_are_no_more_threads_than_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0})
    witnesses = WindowWitnesses()
    assert witnesses.read(16).kernel_threads == 1
    witnesses.close()
