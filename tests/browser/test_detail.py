"""The large view of a match: by click and by keyboard."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser.explorer_page import ExplorerPage

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("default")]


@pytest.fixture
def painted(browser: Any, served: Any) -> Iterator[ExplorerPage]:
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    opened = ExplorerPage(page, served.url).open()
    opened.paint_mark(served.marks["marks"]["bright/cross/00.png"])
    opened.wait_status("^Exact")
    yield opened
    page.close()
    assert not opened.troubles


def head(painted: ExplorerPage, words: str) -> None:
    painted.page.locator(".detailtop").filter(has_text=words).wait_for()


def test_a_click_opens_a_match_and_says_why(painted: ExplorerPage) -> None:
    page, score = painted.page, painted.matches()[1].split(",")[0]
    painted.first_match()
    box = page.locator(".matcheshead").bounding_box()
    page.mouse.click(box["x"] + 250, box["y"] + 110)  # the second patch
    head(painted, "Match 2")
    head(painted, score)
    facts = page.locator(".matchfacts")
    facts.filter(has_text="2 of 23").wait_for()
    page.locator(".said").filter(has_text=f"exactly {score}").first.wait_for()
    heat = page.locator(".vfs-detail-left canvas").first
    heat.wait_for()
    at = heat.bounding_box()
    page.mouse.click(at["x"] + at["width"] * 0.3, at["y"] + at["height"] * 0.6)
    page.get_by_role("button", name="Back to the matched place").click()
    facts.filter(has_text="2 of 23").wait_for()
    page.get_by_role("radio", name="Heat map").click()
    page.get_by_role("button", name="Show in its domain").click()
    page.locator(".detailtop").wait_for(state="hidden")
    painted.wait_status("^Exact. 1[12] pictures")


def test_keys_go_through_the_matches_and_search_from_one(painted: ExplorerPage) -> None:
    page, before = painted.page, painted.matches()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    head(painted, "Match 1")
    page.keyboard.press("ArrowRight")
    head(painted, "Match 2")
    page.keyboard.press("Escape")
    page.locator(".detailtop").wait_for(state="hidden")
    page.keyboard.press("Enter")
    head(painted, "Match 2")
    page.keyboard.press("s")
    page.locator(".detailtop").wait_for(state="hidden")
    assert painted.wait_other_matches(before)
