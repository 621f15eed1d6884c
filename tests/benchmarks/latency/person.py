"""One person before a real Chromium: what is painted when."""

from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.latency.server import SIDE

HERE = Path(__file__).parent
SIZE = {"width": 1440, "height": 900}


class Person:
    """A page that is drawn on by pointer events dispatched in it: a driver's own mouse takes 50 ms a step."""

    def __init__(self, browser: Any, url: str) -> None:
        self.page = browser.new_page(viewport=SIZE)
        self.page.goto(url)
        self.page.locator(".says").filter(has_text="Ready").wait_for(timeout=60_000)
        self.page.wait_for_selector(".vfs-canvas canvas")
        self.page.wait_for_timeout(1000)
        self.page.evaluate((HERE / "page.js").read_text())
        self.page.evaluate("vfsLatency.watch()")
        box = self.page.locator(".vfs-canvas").bounding_box()
        self._place = {"left": box["x"], "top": box["y"], "size": box["width"], "side": SIDE}

    def stroke(self, seconds: float, number: int) -> dict[str, Any]:
        """Draw, and wait for the exact result."""
        said = {**self._place, "seconds": seconds, "wave": 0.6 * number}
        return dict(self.page.evaluate("o => vfsLatency.stroke(o)", said))

    def warm(self) -> None:
        """Draw until there is a result: it is the first that draws the figures, and a new page may miss a stroke."""
        for number in range(5):
            if self.stroke(0.6, number)["painted"]:
                self.clear()
                return
        raise AssertionError("nothing that is drawn on the page has a result")

    def steps(self, count: int, number: int, pause_ms: int = 250) -> dict[str, Any]:
        """Move the pen a little, rest, and again; each number begins elsewhere."""
        said = {**self._place, "count": count, "pause": pause_ms, "high": 0.3 + 0.04 * (number % 10)}
        return dict(self.page.evaluate("o => vfsLatency.steps(o)", said))

    def clear(self) -> None:
        """Take the drawing away and let the page come to rest."""
        self.page.wait_for_timeout(700)
        self.page.keyboard.press("Delete")
        self.page.locator(".says").filter(has_text="Nothing is painted").wait_for(timeout=30_000)
        self.page.wait_for_timeout(200)


def move_to_paint(drawn: dict[str, Any]) -> list[float]:
    """Return, for each move of the pen, the ms until a result that has this move in it was painted."""
    shown = [(p["x"], p["at"]) for p in drawn["painted"]]
    waits = []
    for move in drawn["moves"]:
        with_it = [at for x, at in shown if x >= move["x"] - 0.5 and at > move["at"]]
        if with_it:
            waits.append(min(with_it) - move["at"])
    return waits


def up_to_exact(drawn: dict[str, Any]) -> float:
    """Return the ms from the pen going up to the exact result being painted; NaN if it never was."""
    found = [p["at"] for p in drawn["painted"] if p["exact"] and p["said"] > drawn["up"]]
    return min(found) - drawn["up"] if found else float("nan")


def opening(context: Any, url: str) -> float:
    """Open a page and return the ms from the request until it can be used."""
    page = context.new_page()
    page.add_init_script((HERE / "opening.js").read_text())
    page.goto(url)
    page.wait_for_function("window.vfsUsable", timeout=60_000)
    took = float(page.evaluate("window.vfsUsable"))
    page.close()
    return took


def spread(values: list[float]) -> dict[str, float]:
    """Return n, median and 95th percentile."""
    if not values:
        return {"n": 0, "p50": float("nan"), "p95": float("nan")}
    return {"n": len(values), "p50": float(np.percentile(values, 50)), "p95": float(np.percentile(values, 95))}
