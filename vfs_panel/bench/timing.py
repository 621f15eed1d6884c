"""Timing of contestants in turns, so that whatever else the machine does hits all of them alike."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Call = Callable[[], object]
LEAST = 5  # times that each contestant is timed
TURNS = 3  # of the quick ones in each round, whose times scatter more
QUICK_S = 0.5
PAUSE_S = 0.01  # for the threads of the contestant before to fall asleep


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds that each call of a contestant took."""

    seconds: tuple[float, ...]

    @property
    def median_ms(self) -> float:
        """Median in milliseconds."""
        return statistics.median(self.seconds) * 1e3

    @property
    def low_ms(self) -> float:
        """The quickest call, in milliseconds."""
        return min(self.seconds) * 1e3

    @property
    def high_ms(self) -> float:
        """The slowest call, in milliseconds."""
        return max(self.seconds) * 1e3


def timed(call: Call, before: Call | None = None) -> float:
    """Return the seconds that one call took; `before` is called first and does not count."""
    if before is not None:
        before()
    time.sleep(PAUSE_S)
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def in_turns(
    calls: Mapping[str, Call],
    *,
    rounds: int = LEAST,
    warm_ups: Mapping[str, Call] | None = None,
    before: Mapping[str, Call] | None = None,
) -> dict[str, Times]:
    """Time contestants in turns: a warm-up of each, then rounds of all, the quick ones several times in each.

    Parameters
    ----------
    calls : contestants.
    rounds : how often a slow contestant is timed; quick ones TURNS times as often.
    warm_ups : what to call instead, once, where a whole call would take long.
    before : called before each call of a contestant, untimed, as to empty a cache.
    """
    warm_ups, before = warm_ups or {}, before or {}
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    quick = []
    for name, call in calls.items():
        if timed(warm_ups.get(name, call), before.get(name)) < QUICK_S and name not in warm_ups:
            quick.append(name)
    for _ in range(rounds):
        for turn in range(TURNS):
            for name, call in calls.items():
                if turn == 0 or name in quick:
                    seconds[name].append(timed(call, before.get(name)))
    return {name: Times(tuple(values)) for name, values in seconds.items()}
