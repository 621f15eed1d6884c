"""The map: the lasso keeps the matches to what it holds, by mouse and by keyboard."""

import re
from typing import Any

import pytest

from tests.browser.explorer_page import ExplorerPage

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("default")]


def test_a_lasso_and_the_nearest_keep_the_matches_to_some(browser: Any, served: Any) -> None:
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    opened = ExplorerPage(page, served.url).open()
    opened.paint_mark(served.marks["marks"]["bright/cross/00.png"])
    opened.wait_status("^Exact")
    page.keyboard.press("5")
    page.locator(".said").filter(has_text="principal components").wait_for()
    before = opened.matches()
    canvas = page.locator(".vfs-tab-map canvas").first
    canvas.wait_for()
    box = canvas.bounding_box()
    corners = [(0.02, 0.02), (0.5, 0.02), (0.5, 0.98), (0.02, 0.98), (0.02, 0.1)]
    page.mouse.move(*[box[k] + v * box[s] for k, v, s in zip("xy", corners[0], ("width", "height"), strict=True)])
    page.mouse.down()
    page.wait_for_timeout(400)  # a hand that rests first
    for corner in corners[1:]:
        page.mouse.move(
            *[box[k] + v * box[s] for k, v, s in zip("xy", corner, ("width", "height"), strict=True)], steps=8
        )
    page.mouse.up()
    chip = page.get_by_role("button", name=re.compile("pictures chosen here: show all again"))
    chip.wait_for()
    some = int(re.search(r"the ([0-9]+) pictures", chip.inner_text()).group(1))
    assert 0 < some < 23
    opened.wait_status(f"^Exact. {some} picture")
    chip.click()
    opened.wait_status("^Exact. 23 pictures")
    assert opened.matches() == before
    page.get_by_role("button", name="Grid").focus()
    page.keyboard.press("ArrowRight")
    page.get_by_role("button", name=re.compile("nearest to the selected")).click()
    chip.wait_for()
    page.get_by_label("Colour by").select_option("label")
    page.get_by_role("radio", name="UMAP").click()
    page.locator(".said").filter(has_text="UMAP of the features").wait_for(timeout=60_000)
    page.close()
    assert not opened.troubles
