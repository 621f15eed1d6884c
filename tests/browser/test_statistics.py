"""The statistics tab: by keyboard and by mouse."""

import re
from typing import Any

import pytest

from tests.browser.explorer_page import ExplorerPage

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("default")]


def test_a_label_that_holds_the_mark_scores_higher(browser: Any, served: Any) -> None:
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    opened = ExplorerPage(page, served.url).open()
    opened.paint_mark(served.marks["marks"]["bright/cross/00.png"])
    opened.wait_status("^Exact")
    page.keyboard.press("4")
    page.get_by_role("tab", name="Statistics", selected=True).wait_for()
    page.get_by_role("group", name="Statistics").get_by_label("Groups").select_option("label")
    said = page.locator(".said h3").filter(has_text="label cross score higher")
    said.wait_for()
    told = said.inner_text()
    assert "n 11 against 12" in told
    assert re.search(r"95 % interval \d+ % to \d+ %; Cliff’s delta [+−][01]\.\d\d", told), told
    assert "after correction for 2 groups" in told
    group = page.get_by_role("group", name="Statistics")
    group.focus()
    page.keyboard.press("ArrowDown")
    page.locator(".said h3").filter(has_text="label rings score lower").wait_for()
    box = page.locator(".vfs-tab-statistics canvas").first.bounding_box()
    page.mouse.click(box["x"] + 300, box["y"] + 50)
    said.wait_for()
    page.get_by_label("Interval resamples").select_option("domain")
    page.locator(".said p").filter(has_text="2 values of domain").wait_for()
    # By keyboard: which groups, and against which.
    against = group.get_by_label("Against")
    against.focus()
    page.keyboard.press("End")
    page.locator(".said h3").filter(has_text="cross score higher than those of rings").wait_for()
    group.get_by_label("Groups").focus()
    page.keyboard.press("Home")
    page.locator(".said h3").filter(has_text="domain").wait_for()
    page.close()
    assert not opened.troubles
