"""The tools of the query column by mouse and by keyboard: what is not told by the strokes themselves."""

import base64
import io
import re
from typing import Any

import pytest
from PIL import Image

from tests.browser.explorer_page import ExplorerPage

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("default")]


def place(explorer: ExplorerPage, x: float, y: float) -> tuple[float, float]:
    """Where a share of the canvas lies on the page."""
    box = explorer.page.locator(".vfs-canvas").bounding_box()
    return box["x"] + x * box["width"], box["y"] + y * box["height"]


def touched(explorer: ExplorerPage, words: str) -> None:
    explorer.page.locator(".masktext").filter(has_text=re.compile(words)).wait_for()


def test_a_ring_as_wide_as_the_brush_follows_the_pointer(painted_once: ExplorerPage) -> None:
    page = painted_once.page
    ring, size = page.locator(".cursor"), page.get_by_role("slider")
    page.mouse.move(*place(painted_once, 0.5, 0.4))
    ring.wait_for()
    first, at = ring.bounding_box(), place(painted_once, 0.5, 0.4)
    assert first["x"] + first["width"] / 2 == pytest.approx(at[0], abs=1.5)
    assert first["y"] + first["height"] / 2 == pytest.approx(at[1], abs=1.5)
    width = page.locator(".vfs-canvas").bounding_box()["width"]
    assert first["width"] == pytest.approx(float(size.input_value()) * width / 224, abs=2)
    page.keyboard.press("]")
    page.wait_for_function(
        "([e, w]) => e.getBoundingClientRect().width > w + 2", arg=[ring.element_handle(), first["width"]]
    )
    wider = ring.bounding_box()["width"]
    page.keyboard.press("[")
    page.wait_for_function("([e, w]) => e.getBoundingClientRect().width < w - 2", arg=[ring.element_handle(), wider])
    before = size.input_value()
    size.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("([e, v]) => e.value !== v", arg=[size.element_handle(), before])
    page.keyboard.press("ArrowLeft")
    page.mouse.move(900, 300)
    ring.wait_for(state="hidden")


def test_buttons_undo_redo_and_clear(painted_once: ExplorerPage) -> None:
    page, before = painted_once.page, painted_once.matches()
    page.get_by_role("button", name="Clear the drawing").click()
    painted_once.wait_status("^Nothing is painted")
    page.get_by_role("button", name="Undo").click()
    painted_once.wait_status("^Exact")
    assert painted_once.matches() == before
    page.get_by_role("button", name="Undo").click()
    painted_once.wait_status("^Nothing is painted")
    page.get_by_role("button", name="Redo").click()
    painted_once.wait_status("^Exact")
    assert painted_once.matches() == before


def test_tools_and_what_a_stroke_does_by_mouse(painted_once: ExplorerPage) -> None:
    page = painted_once.page
    page.get_by_role("radio", name="Lasso").click()
    page.get_by_role("radio", name="Exclude").click()
    page.get_by_role("radio", name="Exclude", checked=True).wait_for()
    painted_once.stroke((10, 170), (60, 170), (60, 215), (10, 215))
    touched(painted_once, "excluded")
    page.get_by_role("radio", name="Exclude", checked=True).focus()
    page.keyboard.press("ArrowLeft")
    page.get_by_role("radio", name="Include", checked=True).wait_for()
    page.get_by_role("radio", name="Brush").click()
    page.keyboard.press("Control+z")
    painted_once.wait_status("^Exact")
    page.wait_for_function("e => !e.innerText.includes('excluded')", arg=page.locator(".masktext").element_handle())


def test_the_cells_are_shown_or_not(painted_once: ExplorerPage) -> None:
    page, grid = painted_once.page, painted_once.page.get_by_role("button", name="Grid")
    assert grid.get_attribute("aria-pressed") == "true"
    page.keyboard.press("g")
    page.locator('button.tog[aria-pressed="false"]', has_text="Grid").wait_for()
    grid.click()
    page.locator('button.tog[aria-pressed="true"]', has_text="Grid").wait_for()
    touched(painted_once, "of 196 cells touched")


def test_a_zoomed_picture_is_moved_with_the_space_bar(painted_once: ExplorerPage) -> None:
    page = painted_once.leave().page
    page.locator(".vfs-canvas").hover()
    page.keyboard.press("+")
    page.keyboard.press("+")
    zoomed = page.get_by_role("button", name=re.compile("Shown at 225 %"))
    zoomed.wait_for()
    starts = """() => Bokeh.documents.flatMap(doc => [...doc._all_models.values()])
      .filter(model => model.type === "Figure").map(model => model.x_range.start)"""
    before = page.evaluate(starts)
    page.mouse.move(*place(painted_once, 0.5, 0.5))
    page.keyboard.down(" ")
    page.mouse.down()
    page.mouse.move(*place(painted_once, 0.3, 0.5), steps=4)
    page.mouse.up()
    page.keyboard.up(" ")
    moved = [now - then for now, then in zip(page.evaluate(starts), before, strict=True) if now != then]
    width = page.locator(".vfs-canvas").bounding_box()["width"]
    assert moved == [pytest.approx(0.2 * width / 2.25, abs=2)]
    assert painted_once.status.startswith("Exact"), "it was drawn on"
    zoomed.click()
    zoomed.wait_for(state="hidden")


def test_keys_are_listed(painted_once: ExplorerPage) -> None:
    page = painted_once.page
    page.get_by_role("button", name="Help and keys").click()
    sheet = page.get_by_role("dialog", name="How it works")
    assert "include or exclude" in sheet.inner_text()
    page.keyboard.press("Escape")
    sheet.wait_for(state="hidden")
    page.keyboard.press("?")
    sheet.wait_for()
    page.keyboard.press("?")
    sheet.wait_for(state="hidden")


def test_a_pasted_picture_is_painted_on(painted_once: ExplorerPage) -> None:
    page = painted_once.page
    buffer = io.BytesIO()
    Image.effect_noise((224, 224), 60).convert("RGB").save(buffer, "PNG")
    page.evaluate(
        """text => {
          const data = new DataTransfer(), bytes = Uint8Array.from(atob(text), c => c.charCodeAt(0))
          data.items.add(new File([bytes], "pasted.png", {type: "image/png"}))
          document.dispatchEvent(new ClipboardEvent("paste", {clipboardData: data, bubbles: true}))
        }""",
        base64.b64encode(buffer.getvalue()).decode(),
    )
    page.locator(".id").filter(has_text="pasted.png").wait_for()
    painted_once.wait_status("^(Ready|Nothing)")


def test_labels_full_of_html_are_text(browser: Any, served: Any) -> None:
    from tests.browser.serve import HTML

    page = browser.new_page(viewport={"width": 1440, "height": 900})
    explorer = ExplorerPage(page, served.url)
    page.goto(f"{served.url}?dataset=odd")
    page.wait_for_selector(".vfs-canvas canvas", timeout=60_000)
    explorer.wait_status("^Ready")
    page.locator(".ex").first.click()
    explorer.wait_status("^Exact")
    assert HTML in explorer.matches()[0]
    page.get_by_label("Label", exact=True).last.select_option(HTML)
    explorer.wait_status("^Exact. 3 pictures")
    head = page.locator(".matcheshead").bounding_box()
    page.mouse.move(head["x"] + 60, head["y"] + 110)
    page.locator(".bk-tooltip-content", has_text="<b>cross").first.wait_for()
    for tab in ("Scores", "Statistics", "Map", "Compare", "Domains"):
        page.get_by_role("tab", name=tab).click()
        page.wait_for_timeout(500)
    page.get_by_role("button", name="About this dataset").click()
    page.locator("dialog.aboutsheet[open]").wait_for()
    page.keyboard.press("Escape")
    explorer.leave()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.locator(".detailtop .sub", has_text="<b>cross").first.wait_for()
    page.wait_for_timeout(500)
    assert page.evaluate("window.hacked") is None
    assert page.locator('img[src="x"]').count() == 0
    page.close()
    assert not explorer.troubles
