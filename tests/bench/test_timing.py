"""Contestants take turns, slow ones fewer, and each is warmed up first."""

import pytest

from vfs_panel.bench import timing
from vfs_panel.bench.timing import LEAST, TURNS, Times, in_turns


def test_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    now, order = [0.0], []

    def contestant(name: str, takes_s: float) -> timing.Call:
        def call() -> None:
            order.append(name)
            now[0] += takes_s

        return call

    monkeypatch.setattr(timing.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(timing.time, "sleep", lambda _: None)
    quick, slow = contestant("quick", 0.01), contestant("slow", 2.0)
    times = in_turns(
        {"slow": slow, "quick": quick},
        warm_ups={"slow": contestant("a part of slow", 0.1)},
        before={"quick": contestant("before", 5.0)},
    )
    assert order[:6] == ["a part of slow", "before", "quick", "slow", "before", "quick"]
    assert order.count("slow") == LEAST
    assert len(times["quick"].seconds) == LEAST * TURNS
    assert times["slow"].median_ms == pytest.approx(2000)
    assert times["quick"].high_ms == pytest.approx(10)  # what came before is not counted


def test_a_median_is_not_a_mean() -> None:
    times = Times((0.001, 0.002, 0.9))
    assert (times.low_ms, times.median_ms, times.high_ms) == pytest.approx((1, 2, 900))
