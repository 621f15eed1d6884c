"""Choosing what the matches show, and being led through the page."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser.explorer_page import ExplorerPage

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("default")]


@pytest.fixture
def explorer(browser: Any, served: Any) -> Iterator[ExplorerPage]:
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    opened = ExplorerPage(page, served.url).open()
    yield opened
    page.close()
    assert not opened.troubles


@pytest.fixture
def painted(explorer: ExplorerPage, served: Any) -> ExplorerPage:
    explorer.paint_mark(served.marks["marks"]["bright/cross/00.png"])
    explorer.wait_status("^Exact")
    return explorer


def test_any_number_of_matches_up_to_a_hundred(painted: ExplorerPage) -> None:
    page, before = painted.page, painted.matches()
    many = page.get_by_label("Show, number of matches")
    many.fill("7")
    many.press("Enter")
    assert painted.wait_other_matches(before) == before[:7]
    many.fill("1000")
    many.press("Enter")
    page.wait_for_function("e => e.value === '7'", arg=many.element_handle())


def test_best_per_label_and_sorting_by_keyboard(painted: ExplorerPage) -> None:
    page, before = painted.page, painted.matches()
    page.get_by_role("button", name="Sort, and filter").focus()
    page.keyboard.press("Enter")
    page.get_by_label("Best per", exact=True).select_option("label")
    assert sorted(match.split(", ")[1] for match in painted.wait_other_matches(before)) == ["cross", "rings"]
    page.get_by_label("Sort by").select_option("domain")
    page.keyboard.press("Escape")
    page.locator(".morematches").wait_for(state="hidden")
    assert page.evaluate("() => { let a = document.activeElement; while (a.shadowRoot?.activeElement) "
                         "a = a.shadowRoot.activeElement; return a.title }").startswith("Sort, and filter")  # fmt: skip


def test_the_tour_has_four_steps_and_paints_if_nobody_did(explorer: ExplorerPage) -> None:
    page = explorer.page
    page.get_by_role("button", name="Take the tour").first.click()
    card = page.get_by_role("dialog", name="Tour")
    for step in range(1, 5):
        card.filter(has_text=f"Step {step} of 4").wait_for()
        page.keyboard.press("Enter")
    card.wait_for(state="hidden")
    explorer.wait_status("^Exact")
    assert explorer.matches()


def test_about_says_what_made_the_features(explorer: ExplorerPage) -> None:
    explorer.page.get_by_role("button", name="About this dataset").click()
    about = explorer.page.get_by_role("dialog", name="About this dataset")
    assert "24 pictures" in about.inner_text()
    assert "weights sha256" in about.inner_text()
    explorer.page.keyboard.press("Escape")
    about.wait_for(state="hidden")
