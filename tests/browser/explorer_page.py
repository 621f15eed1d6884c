"""The explorer as a test drives it: a real mouse on the canvas, and what a person would read."""

import re
from typing import Any


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

    def wait_other_matches(self, before: list[str]) -> list[str]:
        """Wait until the matches are others."""
        for _ in range(300):
            now = self.matches()
            if now != before:
                return now
            self.page.wait_for_timeout(100)
        raise AssertionError(f"still {before}")

    def columns(self, column: str) -> list[Any]:
        """Read a column of the figures' data that the browser holds, of every source that has it."""
        return list(self.page.evaluate(
            """column => { const found = []
              for (const doc of Bokeh.documents) for (const model of doc._all_models.values())
                if (model.type === "ColumnDataSource" && model.data[column]?.length) found.push(
                  Object.fromEntries(Object.entries(model.data).map(([k, v]) => [k, Array.from(v)])))
              return found }""",
            column,
        ))  # fmt: skip

    def ink(self) -> float:
        """How much of the canvas's figure is orange, from 0 to 1, on the screen."""
        import io

        import numpy as np
        from PIL import Image

        shot = self.page.locator(".vfs-canvas").screenshot()
        rgb = np.asarray(Image.open(io.BytesIO(shot)).convert("RGB")).astype(int)
        orange = (rgb[..., 0] - rgb[..., 2] > 60) & (rgb[..., 0] > rgb[..., 1] + 20) & (rgb[..., 1] > 40)
        return float(orange.mean())
