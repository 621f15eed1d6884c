"""The explorer as a test drives it: a real mouse on the canvas, and what a person would read."""

import io
import re
from typing import Any

import numpy as np
from PIL import Image

_SOURCES = """() => {
  const plain = value => value?.length === undefined || typeof value === "string" ? value : Array.from(value, plain)
  const found = []
  for (const doc of Bokeh.documents) for (const model of doc._all_models.values())
    if (model.type === "ColumnDataSource") found.push(
      Object.fromEntries(Object.entries(model.data).map(([name, column]) => [name, plain(column)])))
  return found
}"""


class ExplorerPage:
    """A page of the explorer in a browser.

    Attributes
    ----------
    page : Playwright's page.
    troubles : console errors, page errors and requests to other hosts, as they came.
    """

    def __init__(self, page: Any, url: str) -> None:
        self.page, self.url = page, url
        self.troubles: list[str] = []
        page.on("console", lambda m: self.troubles.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: self.troubles.append(str(error)))
        page.on("request", self._asked)

    def _asked(self, request: Any) -> None:
        if not request.url.startswith((self.url, "data:", "blob:", self.url.replace("http", "ws"))):
            self.troubles.append(f"asked {request.url}")

    def open(self, query: str = "") -> "ExplorerPage":
        """Open the page and wait until it can be used."""
        self.page.goto(self.url + query)
        self.page.wait_for_selector(".vfs-canvas canvas", timeout=60_000)
        self.wait_status("^Ready")
        self.page.wait_for_timeout(200)
        self.blank = self._canvas()
        return self

    def leave(self) -> "ExplorerPage":
        """Take the focus away from all fields and buttons, by a click on a heading."""
        self.page.locator(".querytop h2").click()
        return self

    @property
    def status(self) -> str:
        """The status line."""
        return str(self.page.locator(".says").inner_text())

    def wait_status(self, pattern: str, timeout_ms: int = 60_000) -> str:
        """Wait until the status line is like a pattern."""
        self.page.locator(".says").filter(has_text=re.compile(pattern)).wait_for(timeout=timeout_ms)
        return self.status

    def stroke(self, *points: tuple[float, float], side: float = 224) -> None:
        """Draw with the mouse through points of a square picture of this side."""
        box = self.page.locator(".vfs-canvas").bounding_box()
        scale = box["width"] / side
        places = [(box["x"] + x * scale, box["y"] + y * scale) for x, y in points]
        self.page.mouse.move(*places[0])
        self.page.mouse.down()
        for place in places[1:]:
            self.page.mouse.move(*place, steps=5)
        self.page.mouse.up()

    def paint_mark(self, mark: list[int]) -> None:
        """Paint over a mark."""
        x0, y0, x1, y1 = mark
        self.stroke((x0 + 14, y0 + 14), (x1 - 14, y0 + 20), (x0 + 14, (y0 + y1) / 2), (x1 - 14, y1 - 14))

    def matches(self) -> list[str]:
        """The matches as a screen reader hears them: score, label, domain."""
        return list(self.page.locator(".sr li").all_text_contents())

    def strength_of_matches(self) -> float:
        """How opaque the matches' figure is."""
        return float(self.page.locator(".vfs-fades").first.evaluate("box => getComputedStyle(box).opacity"))

    def wait_other_matches(self, before: list[str]) -> list[str]:
        """Wait until the matches are others."""
        for _ in range(300):
            now = self.matches()
            if now != before:
                return now
            self.page.wait_for_timeout(100)
        raise AssertionError(f"still {before}")

    def first_match(self) -> tuple[str, tuple[float, float, float, float]]:
        """The first match's picture, and the box round its outline in pixels of its patch, once it is drawn."""
        for _ in range(100):
            sources = self.page.evaluate(_SOURCES)
            tiles = next((c for c in sources if "url" in c and len(c.get("image_id", [])) > 5), None)
            if tiles:
                left, top, side = tiles["col"][0], tiles["row"][0], tiles["col"][1] - tiles["col"][0]
                paths = [zip(x, y, strict=True) for c in sources if "xs" in c
                         for x, y in zip(c["xs"], c["ys"], strict=True)
                         if isinstance(x, list) and len(x) > 40]  # fmt: skip
                # All outlines are one broken line; those of the first patch lie in its place.
                inside = [(x - left, y - top) for path in paths for x, y in path
                          if isinstance(x, int | float) and 0 <= x - left < side and 0 <= y - top < side]  # fmt: skip
                if inside:
                    xs, ys = zip(*inside, strict=True)
                    return tiles["image_id"][0], (min(xs), min(ys), max(xs), max(ys))
            self.page.wait_for_timeout(100)
        raise AssertionError("no matches are drawn")

    def wait_ink(self, least: float, most: float) -> None:
        """Wait until such a share of the canvas is inked."""
        for _ in range(100):
            share = self.ink()
            if least <= share <= most:
                return
            self.page.wait_for_timeout(100)
        raise AssertionError(f"{share:.3f} of the canvas is inked, expected {least:.3f} to {most:.3f}")

    def ink(self) -> float:
        """Return the share of the canvas, above its hint, that looks other than before the first stroke."""
        return float((np.abs(self._canvas() - self.blank).max(2) > 30).mean())

    def _canvas(self) -> Any:
        self.page.mouse.move(900, 880)  # away, so that the brush's ring is not in the picture
        shot = self.page.locator(".vfs-canvas").screenshot()
        rgb = np.asarray(Image.open(io.BytesIO(shot)).convert("RGB")).astype(int)
        return rgb[: int(len(rgb) * 0.88)]
