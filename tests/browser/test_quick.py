"""A hand that is quicker than the page: no stroke is lost or cut short, whatever the page is busy with."""

import re
from typing import Any

import pytest

from tests.browser.explorer_page import ExplorerPage

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("default")]

_BUSY = """() => {
  window.busy = setInterval(() => { const start = performance.now(); while (performance.now() - start < 90); }, 100)
}"""


def corners(explorer: ExplorerPage) -> int:
    """How many cells are touched, once no more come."""
    before, same = -1, 0
    for _ in range(60):
        explorer.page.wait_for_timeout(400)
        words = explorer.page.locator(".masktext").inner_text()
        read = re.search(r"([0-9]+)\s+of 196 cells touched", words)
        found = int(read.group(1)) if read else 0
        same = same + 1 if found == before and explorer.status.startswith("Exact") else 0
        if same == 5:  # two seconds: a busy machine may take one for each stroke
            return found
        before = found
    raise AssertionError(explorer.status)


def test_strokes_right_after_one_another_are_all_there(browser: Any, served: Any) -> None:
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    explorer = ExplorerPage(page, served.url).open()
    box = page.locator(".vfs-canvas").bounding_box()
    lines = [
        ((0.1 + 0.25 * i, 0.1 + 0.2 * row), (0.22 + 0.25 * i, 0.14 + 0.2 * row)) for row in (0, 4) for i in range(4)
    ]

    def draw(pause_ms: int) -> None:
        for start, end in lines:
            page.mouse.move(box["x"] + start[0] * box["width"], box["y"] + start[1] * box["height"])
            page.mouse.down()
            page.mouse.move(box["x"] + end[0] * box["width"], box["y"] + end[1] * box["height"], steps=3)
            page.mouse.up()
            page.wait_for_timeout(pause_ms)

    def undone() -> int:
        """Take everything back, and count the steps."""
        steps, undo = 0, page.get_by_role("button", name="Undo")
        while undo.is_enabled():
            before = page.locator(".masktext").inner_text()
            page.keyboard.press("Control+z")
            page.wait_for_function(
                "([e, t]) => e.innerText !== t", arg=[page.locator(".masktext").element_handle(), before]
            )
            page.wait_for_timeout(100)
            steps += 1
        return steps

    draw(600)
    slowly = corners(explorer)
    assert undone() == len(lines)
    page.evaluate(_BUSY)
    draw(0)
    page.evaluate("clearInterval(window.busy)")
    assert corners(explorer) == slowly
    assert undone() == len(lines)
    page.close()
    assert not explorer.troubles
