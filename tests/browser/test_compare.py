"""Compare in a real browser: the numbers on the page are those of the pure functions; by mouse and by keyboard."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser.explorer_page import _SOURCES, ExplorerPage
from vfs_panel.analysis.comparison import Ranking, compare
from vfs_panel.catalog import Catalog
from vfs_panel.search import RegionQuery, RegionSearch, Stroke
from vfs_panel.search.mask import paint, to_grid
from vfs_panel.settings import settings

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("default")]
PICTURE = "bright/cross/00.png"


@pytest.fixture
def page(browser: Any, served: Any) -> Iterator[Any]:
    """A page with a box over the mark of the first picture, and the compare tab open by its key."""
    tab = browser.new_page(viewport={"width": 1440, "height": 900})
    explorer = ExplorerPage(tab, served.url).open()
    tab.locator(".ex").first.click()
    explorer.wait_status("^Exact")
    tab.keyboard.press("3")
    tab.locator(".fact").filter(has_text="rank correlation").wait_for()
    yield tab
    tab.close()
    assert not explorer.troubles


def fact(page: Any, words: str) -> str:
    """The number of a heading."""
    return str(page.locator(".fact", has_text=words).locator("b").inner_text())


def rows(page: Any) -> list[list[str]]:
    """Pictures of the rows of matches, as they are drawn."""
    found = page.evaluate(_SOURCES)
    return [c["image_id"] for c in found if "url" in c and "image_id" in c]


@pytest.fixture
def served_cache(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stores are looked for where the served explorer has its own."""
    monkeypatch.setenv("VFS_CACHE_DIR", str(served.catalog.parent / "cache"))
    settings.cache_clear()


def searched(served: Any, layer: str) -> Ranking:
    """Search the box in the plainest way."""
    entry = Catalog.open(served.catalog)["marks"]
    store = entry.store()
    engine = RegionSearch(store, layer)
    geometry = store.preprocessing.geometry(224, 224)
    stroke = Stroke.box(*(float(v) for v in served.marks["marks"][PICTURE]))
    mask = to_grid(paint((stroke,), geometry), engine.spec.grid[1:])
    query = RegionQuery.from_mask(store.feature(layer, PICTURE), mask, image_id=PICTURE, spec=engine.spec)
    return Ranking.of(engine.search(query, k=100))


@pytest.mark.usefixtures("served_cache")
def test_the_numbers_are_those_of_the_pure_functions(page: Any, served: Any) -> None:
    a, b = searched(served, "stage4"), searched(served, "stage3")
    expected = compare(a, b)
    assert page.get_by_label("Layer of A").input_value() == "stage4"
    assert fact(page, "in both top tens") == f"{expected.in_both(10)} of 10"
    assert fact(page, "rank correlation, 23 pictures") == f"ρ {expected.rho:.2f}"
    assert [list(a.ids[:10]), list(b.ids[:10])] == rows(page)[-2:]
    # Each match tells where it is on the other side: those of B that A has not are gained.
    gained = [column for found in page.evaluate(_SOURCES) for column in found.get("what", []) if "gained, " in column]
    assert len(gained) == 10 - expected.in_both(10)
    # The same layer on both sides agrees with itself.
    page.get_by_label("Layer of A").select_option("stage3")
    page.locator(".fact b").filter(has_text="10 of 10").wait_for()
    page.locator(".fact b").filter(has_text="ρ 1.00").wait_for()


def test_a_box_over_the_points_shows_their_pictures(page: Any) -> None:
    page.locator(".brush").scroll_into_view_if_needed()
    points = page.locator(".vfs-fact").nth(1).locator("canvas").first.bounding_box()
    page.mouse.move(points["x"] + 20, points["y"] + 10)
    page.mouse.down()
    page.mouse.move(points["x"] + points["width"] - 4, points["y"] + 190, steps=6)
    page.mouse.up()
    page.locator(".brush .sub").filter(has_text=re.compile("^23 of 23 pictures in the box; 1 to 10")).wait_for()
    page.get_by_role("button", name="Next").click()
    page.locator(".brush .sub").filter(has_text="11 to 20").wait_for()
    page.get_by_role("button", name="Clear box").click()
    page.locator(".brush .sub").filter(has_text="Drag over the points").wait_for()
    page.get_by_label("Rank in A, from").focus()
    for value in ("1", "5", "1", "23"):
        page.keyboard.type(value)
        page.keyboard.press("Tab")
    page.locator(".brush .sub").filter(has_text=re.compile("^5 of 23 pictures in the box")).wait_for()
    page.get_by_role("radio", name="Ranks").focus()
    page.keyboard.press("ArrowRight")
    page.get_by_label("Score in B, to").wait_for()
    page.locator(".brush .sub").filter(has_text="Drag over the points").wait_for()
    # A click on a match of A tells where it is, one on a match of B opens it.
    page.locator(".vfs-work").evaluate("e => e.scrollTo(0, 0)")
    page.wait_for_timeout(300)
    head = page.get_by_role("group", name="Row A").bounding_box()
    page.mouse.click(head["x"] + 40, head["y"] + head["height"] + 40)
    page.locator('[aria-label="Chosen picture"]').filter(has_text="rank 1, ").wait_for()
    page.mouse.click(head["x"] + 40, head["y"] + head["height"] + 250)
    page.get_by_role("group", name="Row A").wait_for(state="hidden")


def test_rows_of_layers_and_datasets_come_and_go(page: Any) -> None:
    page.get_by_role("button", name="Add a layer or network").click()
    page.get_by_label("Layer of C").wait_for()
    page.get_by_role("radiogroup", name="Row that is compared with B").get_by_role("radio", name="C").click()
    page.get_by_label("Rank in C, from").wait_for()
    page.get_by_role("button", name="Add a layer or network").focus()
    page.keyboard.press("Enter")
    page.get_by_label("Layer of D").wait_for()
    page.get_by_role("button", name="Add a layer or network").wait_for(state="hidden")  # four are the most
    page.get_by_role("button", name="Take row D away").click()
    page.get_by_role("button", name="Take row C away").click()
    page.get_by_label("Rank in A, from").wait_for()
    assert page.get_by_label("Layer of C").count() == 0 or not page.get_by_label("Layer of C").is_visible()
    page.get_by_role("group", name="Row A").get_by_role("button", name="Use this layer").click()
    page.locator(".bar").get_by_label("Layer", exact=True).locator("option:checked", has_text="stage4").wait_for(
        state="attached"
    )
    assert page.get_by_label("Layer of A").input_value() == "stage3"

    page.get_by_label("Dataset of A").select_option("other")
    page.locator(".note").filter(has_text="Another dataset").first.wait_for()
    page.get_by_role("button", name="Back to matches").focus()
    page.keyboard.press("Enter")
    page.locator(".matcheshead h2").wait_for()
    page.keyboard.press("3")
    page.locator(".note").filter(has_text="Another dataset").first.wait_for()
