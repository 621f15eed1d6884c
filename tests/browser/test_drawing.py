"""Every way to draw, by mouse, pen, finger and keyboard: one history, and the cells tell what was drawn."""

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.browser.explorer_page import ExplorerPage

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("default")]

_POINTERS = """([selector, kind, strokes]) => {
  const find = (node) => {
    for (const child of [...(node.shadowRoot?.children || []), ...node.children]) {
      if (child.classList?.contains(selector)) return child
      const found = find(child)
      if (found) return found
    }
    return null
  }
  const canvas = find(document.body), at = canvas.getBoundingClientRect()
  for (const [id, name, x, y, pressure] of strokes)
    canvas.dispatchEvent(new PointerEvent(name, {pointerId: id, pointerType: kind, pressure,
      bubbles: true, composed: true, isPrimary: id === 11, button: name === "pointermove" ? -1 : 0, buttons: 1,
      clientX: at.left + x * at.width, clientY: at.top + y * at.height}))
}"""


@pytest.fixture
def explorer(browser: Any, served: Any) -> Iterator[ExplorerPage]:
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    opened = ExplorerPage(page, served.url).open()
    yield opened
    page.close()
    assert not opened.troubles


def cells(explorer: ExplorerPage, *, other_than: int = 0) -> int:
    """Return how many cells are touched, once the exact result of the last stroke is there."""
    found = before = other_than
    for _ in range(60):
        explorer.page.wait_for_timeout(300)
        status = explorer.status
        words = explorer.page.locator(".masktext").inner_text().replace("\n", " ")
        read = re.search(r"([0-9]+) of 196 cells touched", words)
        before, found = found, int(read.group(1)) if read else 0
        # Twice the same: words and status come one after the other.
        if found != other_than and found == before and status.startswith("Exact" if found else "Nothing"):
            return found
    raise AssertionError(f"{found} cells are touched, as before: {explorer.status}")


def pointers(explorer: ExplorerPage, kind: str, *strokes: tuple[int, str, float, float, float]) -> None:
    explorer.page.evaluate(_POINTERS, ["vfs-canvas", kind, [list(stroke) for stroke in strokes]])


def press(explorer: ExplorerPage, *keys: str) -> None:
    for key in keys:
        explorer.page.keyboard.press(key)


def test_lasso_box_exclude_and_one_history(explorer: ExplorerPage) -> None:
    press(explorer, "l")
    explorer.stroke((20, 20), (100, 20), (100, 100), (20, 100))
    lasso = cells(explorer)
    assert 25 <= lasso <= 64
    press(explorer, "r")
    explorer.stroke((150, 150), (200, 200))
    both = cells(explorer, other_than=lasso)
    assert 9 <= both - lasso <= 36
    assert explorer.page.get_by_role("radiogroup", name="Parts that do not touch").is_visible()
    before = explorer.matches()
    press(explorer, "x")
    explorer.page.get_by_role("radio", name="Exclude", checked=True).wait_for()
    explorer.stroke((150, 30), (200, 80))
    explorer.page.locator(".masktext").filter(has_text="excluded").wait_for()
    assert explorer.wait_other_matches(before)
    press(explorer, "Control+z", "Control+z")
    assert cells(explorer, other_than=both) == lasso
    press(explorer, "x", "b")
    explorer.stroke((150, 150), (160, 160))  # Bokeh's own tool goes on in the same history
    more = cells(explorer, other_than=lasso)
    assert more > lasso
    press(explorer, "e")
    explorer.page.get_by_role("radio", name="Eraser", checked=True).wait_for()
    explorer.stroke((150, 150), (160, 160))
    assert cells(explorer, other_than=more) == lasso


def test_a_hand_that_rests_first_paints_all_the_same(explorer: ExplorerPage) -> None:
    page = explorer.page
    box, undo = page.locator(".vfs-canvas").bounding_box(), page.get_by_role("button", name="Undo")

    def at(x: float, y: float) -> tuple[float, float]:
        return box["x"] + x * box["width"], box["y"] + y * box["height"]

    page.mouse.move(*at(0.2, 0.2))
    page.mouse.down()
    page.wait_for_timeout(900)  # to Bokeh a "press" after a third of it, of which nothing could become a stroke
    page.mouse.move(*at(0.5, 0.2), steps=5)
    explorer.wait_status("^Preview")
    page.mouse.move(*at(0.5, 0.4), steps=5)
    page.mouse.up()
    stroke = cells(explorer)
    assert stroke >= 12
    page.mouse.move(*at(0.8, 0.8))
    page.mouse.down()
    page.wait_for_timeout(900)
    page.mouse.up()
    dot = cells(explorer, other_than=stroke)
    assert 1 <= dot - stroke <= 25
    page.mouse.click(*at(0.2, 0.7))
    page.mouse.click(*at(0.4, 0.9))  # to Bokeh a "doubletap", though elsewhere
    assert cells(explorer, other_than=dot) >= dot + 2
    page.mouse.dblclick(*at(0.8, 0.1))
    steps = 0
    while undo.is_enabled():
        press(explorer, "Control+z")
        page.wait_for_timeout(300)
        steps += 1
    assert steps == 5  # the double click is one dot


def test_escape_drops_a_stroke_under_way(explorer: ExplorerPage) -> None:
    press(explorer, "l")
    box = explorer.page.locator(".vfs-canvas").bounding_box()
    explorer.page.mouse.move(box["x"] + 60, box["y"] + 60)
    explorer.page.mouse.down()
    explorer.page.mouse.move(box["x"] + 160, box["y"] + 60, steps=4)
    explorer.page.mouse.move(box["x"] + 160, box["y"] + 160, steps=4)
    explorer.wait_status("^(Preview|Exact)")  # it is searched while it is drawn
    press(explorer, "Escape")
    explorer.page.mouse.up()
    explorer.page.locator('button[aria-label^="Undo"][disabled]').wait_for()
    explorer.page.locator(".masktext").filter(has_text="No cells yet").wait_for()


def test_zoom_keeps_the_paint_under_the_pointer(explorer: ExplorerPage) -> None:
    page = explorer.page
    box = page.locator(".vfs-canvas").bounding_box()
    whole = _shot(explorer)
    page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + box["width"] * 0.25)
    page.mouse.wheel(0, -433)  # twice as large, about this point
    zoomed = page.get_by_role("button", name=re.compile("Shown at 200 %"))
    zoomed.wait_for()
    page.wait_for_timeout(300)
    near = _shot(explorer)
    explorer.stroke((112, 112))
    assert cells(explorer) > 0
    middle = _changed(near, _shot(explorer))
    assert middle == pytest.approx((0.5, 0.5), abs=0.03)
    press(explorer, "0")
    zoomed.wait_for(state="hidden")
    page.wait_for_timeout(300)
    middle = _changed(whole, _shot(explorer))
    assert middle == pytest.approx((0.375, 0.375), abs=0.03)  # halfway between that point and the middle


def _shot(explorer: ExplorerPage) -> Any:
    """Return the upper part of the canvas, above its hints, as an array."""
    explorer.page.mouse.move(900, 880)
    explorer.page.wait_for_timeout(300)
    png = explorer.page.locator(".vfs-canvas").screenshot()
    rgb = np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)
    return rgb[: int(len(rgb) * 0.85)]


def _changed(before: Any, after: Any) -> tuple[float, float]:
    """Return the middle of what changed between two shots, as shares of the canvas's side."""
    rows, columns = np.nonzero(np.abs(after - before).max(2) > 30)
    left = columns > after.shape[1] * 0.05  # the label of the zoom lies at the right end, at the top
    kept = left & ~((rows < 40) & (columns > after.shape[1] * 0.75))
    return float(np.median(columns[kept])) / after.shape[1], float(np.median(rows[kept])) / after.shape[1]


def test_a_pen_paints_by_its_pressure_and_a_finger_by_touch(explorer: ExplorerPage) -> None:
    def line(kind: str, pressure: float) -> int:
        path = [(11, "pointermove", 0.3 + 0.05 * i, 0.5, pressure) for i in range(1, 7)]
        pointers(explorer, kind, (11, "pointerdown", 0.3, 0.5, pressure), *path, (11, "pointerup", 0.6, 0.5, 0))
        found = cells(explorer)
        press(explorer, "Control+z")
        explorer.wait_status("^(Ready|Nothing)")
        return found

    hard, soft, finger = line("pen", 1.0), line("pen", 0.3), line("touch", 0.5)
    assert 0 < soft < hard
    assert finger == hard


def test_two_fingers_zoom_and_paint_nothing(explorer: ExplorerPage) -> None:
    pointers(
        explorer, "touch", (11, "pointerdown", 0.4, 0.5, 0.5), (12, "pointerdown", 0.6, 0.5, 0.5),
        (11, "pointermove", 0.2, 0.5, 0.5), (12, "pointermove", 0.8, 0.5, 0.5),
        (11, "pointerup", 0.2, 0.5, 0), (12, "pointerup", 0.8, 0.5, 0),
    )  # fmt: skip
    explorer.page.get_by_role("button", name=re.compile("Shown at 300 %")).wait_for()
    assert explorer.status.startswith("Ready")


def test_a_real_touch_paints(browser: Any, served: Any) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page = context.new_page()
    opened = ExplorerPage(page, served.url)
    page.goto(served.url)
    page.wait_for_selector(".vfs-canvas canvas", timeout=60_000)
    opened.wait_status("^Ready")
    box = page.locator(".vfs-canvas").bounding_box()
    page.touchscreen.tap(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.5)
    opened.wait_status("^Exact")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    context.close()
    assert not opened.troubles


def test_a_dropped_picture_and_a_mask_from_a_file(explorer: ExplorerPage, tmp_path: Path) -> None:
    page = explorer.page
    buffer = io.BytesIO()
    Image.effect_noise((224, 224), 60).convert("RGB").save(buffer, "PNG")
    page.locator(".strip").evaluate(
        """(target, bytes) => {
          const data = new DataTransfer()
          data.items.add(new File([new Uint8Array(bytes)], "dropped.png", {type: "image/png"}))
          for (const name of ["dragenter", "dragover", "drop"])
            target.dispatchEvent(new DragEvent(name, {dataTransfer: data, bubbles: true, composed: true,
              cancelable: true}))
        }""",
        list(buffer.getvalue()),
    )
    page.locator(".id").filter(has_text="dropped.png").wait_for()
    cover = np.zeros((224, 224), np.uint8)
    cover[64:128, 64:128] = 255
    mask = tmp_path / "mask.png"
    Image.fromarray(cover).save(mask)
    page.get_by_role("button", name="Box by numbers").click()
    page.get_by_label("Mask file").set_input_files(mask)
    assert 16 <= cells(explorer) <= 36
    press(explorer, "Control+z")
    explorer.page.locator(".masktext").filter(has_text="No cells yet").wait_for()
