"""Matches, domains and scores by mouse and by keyboard, on one page."""

import re
from typing import Any

import pytest

from tests.browser.explorer_page import _SOURCES, ExplorerPage

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("default")]


def marks(explorer: ExplorerPage, column: str) -> list[dict[str, Any]]:
    """The data of the drawn marks that have a column."""
    return [found for found in explorer.page.evaluate(_SOURCES) if column in found]


def texts(explorer: ExplorerPage) -> str:
    """All words in the drawn figures."""
    return " | ".join(str(word) for found in marks(explorer, "text") for word in found["text"])


def tab(explorer: ExplorerPage, key: str, name: str) -> None:
    explorer.page.keyboard.press(key)
    explorer.page.get_by_role("tab", name=name, selected=True).wait_for()


def until(explorer: ExplorerPage, holds: Any) -> None:
    for _ in range(100):
        if holds():
            return
        explorer.page.wait_for_timeout(100)
    raise AssertionError("it did not come")


def patch(explorer: ExplorerPage, number: int) -> tuple[float, float]:
    """A place on the patch of that number, in the first row."""
    head = explorer.page.locator(".matcheshead").bounding_box()
    return head["x"] + 60 + (number - 1) * (head["width"] + 12) / 6, head["y"] + 110


def test_several_matches_of_one_picture(painted_once: ExplorerPage) -> None:
    page, before = painted_once.page, painted_once.matches()
    page.get_by_role("radio", name="Best per picture").focus()
    page.keyboard.press("ArrowRight")
    page.get_by_role("radio", name="Several", checked=True).wait_for()
    painted_once.wait_other_matches(before)

    def ids() -> list[str]:
        return max((c["image_id"] for c in marks(painted_once, "image_id") if "url" in c), key=len, default=[])

    until(painted_once, lambda: len(set(ids())) < len(ids()))
    page.get_by_role("radio", name="Best per picture").click()
    until(painted_once, lambda: painted_once.matches() == before)


def test_filters_by_mouse_and_by_keyboard(painted_once: ExplorerPage) -> None:
    page, before = painted_once.page, painted_once.matches()
    head = page.locator(".matcheshead")
    head.get_by_label("Domain", exact=True).select_option("dark")
    painted_once.wait_status("^Exact. 12 pictures")
    assert all(match.endswith("dark") for match in painted_once.matches())
    head.get_by_label("Label", exact=True).select_option("rings")
    painted_once.wait_status("^Exact. 6 pictures")
    head.get_by_label("Label", exact=True).focus()
    page.keyboard.press("Home")
    painted_once.wait_status("^Exact. 12 pictures")
    head.get_by_label("Domain", exact=True).focus()
    page.keyboard.press("Home")
    until(painted_once, lambda: painted_once.matches() == before)


def test_pointing_at_a_match_tells_of_it(painted_once: ExplorerPage) -> None:
    page = painted_once.page
    score = painted_once.matches()[1].split(",")[0]
    # Chance comes a little after the matches: then each says how unusual it is.
    until(painted_once, lambda: _told(painted_once, 2, re.compile(f"{score}.*cross", re.S)))
    until(painted_once, lambda: _told(painted_once, 2, re.compile(r"\bp\b.*0\.", re.S)))
    page.mouse.move(700, 880)


def _told(explorer: ExplorerPage, number: int, words: "re.Pattern[str]") -> bool:
    explorer.page.mouse.move(700, 880)
    explorer.page.mouse.move(*patch(explorer, number))
    explorer.page.wait_for_timeout(150)
    said = explorer.page.locator(".bk-Tooltip").all_inner_texts()
    return any(words.search(text) for text in said)


def test_the_large_view_goes_through_its_neighbours(painted_once: ExplorerPage) -> None:
    page = painted_once.page
    page.mouse.click(*patch(painted_once, 3))
    top = page.locator(".detailtop")
    top.filter(has_text="Match 3").wait_for()
    page.get_by_role("button", name="Next match").click()
    top.filter(has_text="Match 4").wait_for()
    page.get_by_role("button", name="Previous match").focus()
    page.keyboard.press("Enter")
    top.filter(has_text="Match 3").wait_for()
    page.locator(".matchfacts").filter(has_text="3 of 23").wait_for()
    film = page.locator(".vfs-detail-film canvas").first
    film.scroll_into_view_if_needed()
    box = film.bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.5 / 12, box["y"] + 40)  # the first of twelve
    top.filter(has_text="Match 1").wait_for()
    page.keyboard.press("Escape")
    top.wait_for(state="hidden")
    page.keyboard.press("Escape")


def test_nothing_moves_while_the_large_view_comes(painted_once: ExplorerPage) -> None:
    page = painted_once.page
    page.evaluate("""() => {
      window.places = []
      const look = root => { for (const node of root.querySelectorAll("*")) {
        if (node.classList.contains("vfs-detail-left") && node.shadowRoot) window.heatBox = node
        if (node.classList.contains("detailtop")) window.headBox = node
        if (node.shadowRoot) look(node.shadowRoot) } }
      const watch = () => { look(document)
        if (window.headBox?.checkVisibility()) {
          const head = window.headBox.getBoundingClientRect(), left = window.heatBox.getBoundingClientRect()
          window.places.push([head.top, head.height, left.top, left.left, left.width].map(Math.round).join())
        }
        if (window.places.length < 400) requestAnimationFrame(watch) }
      watch() }""")
    page.mouse.click(*patch(painted_once, 2))
    page.locator(".matchfacts").filter(has_text="2 of 23").wait_for()
    page.wait_for_timeout(300)
    seen = page.evaluate("() => { const all = window.places; window.places = Array(400); return all }")
    places = [place for i, place in enumerate(seen) if i == 0 or place != seen[i - 1]]
    # The first frame or two lay the view out; from then on head and picture stay where they are.
    assert len(places) <= 3, places
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")


def test_domains_by_any_column_as_hills_violins_and_boxes(painted_once: ExplorerPage) -> None:
    page = painted_once.page
    tab(painted_once, "1", "Domains")
    page.locator(".vfs-analysis").get_by_role("button", name=re.compile("^Enlarge")).click()
    page.get_by_label("Rows", exact=True).select_option("label")
    until(painted_once, lambda: "Label" in texts(painted_once))
    page.get_by_role("radio", name="Violin").click()
    note = page.locator(".vfs-analysis").get_by_text(re.compile("the best score of every picture"))
    note.filter(has_text="Violin").wait_for()
    page.get_by_role("radio", name="Violin", checked=True).focus()
    page.keyboard.press("ArrowRight")
    page.get_by_text(re.compile("Line: 90 % of the pictures")).wait_for()
    page.get_by_role("radio", name="Hill").click()
    page.get_by_label("Rows", exact=True).select_option("domain")
    page.locator(".vfs-analysis").get_by_role("button", name=re.compile("^(Shrink|Back|Give)")).click()


def test_a_domain_without_a_match_is_named(painted_once: ExplorerPage) -> None:
    page, before = painted_once.page, painted_once.matches()
    many = page.get_by_label("Show, number of matches")
    many.fill("2")
    many.press("Enter")
    painted_once.wait_other_matches(before)
    page.get_by_text(re.compile(r"No match in dark \(best 0\.[0-9]{3}, rank [0-9]+\)")).wait_for()
    many.fill("12")
    many.press("Enter")
    until(painted_once, lambda: painted_once.matches() == before)


def test_scores_in_every_form(painted_once: ExplorerPage) -> None:
    page = painted_once.page
    tab(painted_once, "2", "Scores")
    page.locator(".vfs-scores canvas").first.wait_for()
    # The painted picture itself: left out, and where it would rank.
    page.locator(".said").filter(has_text="which would be rank").wait_for()
    for name in ("Stacked", "Overlaid", "Cumulative"):
        page.get_by_role("radio", name=name).click()
        page.get_by_role("radio", name=name, checked=True).wait_for()
        page.wait_for_timeout(200)
        drawn = page.locator(".vfs-scores canvas").first.evaluate(
            "c => new Uint32Array(c.getContext('2d').getImageData(0, 0, c.width, c.height).data.buffer).some(v => v)"
        )
        assert drawn, name
    page.locator(".vfs-tab-scores, .vfs-analysis").first.get_by_label("Groups").select_option("label")
    until(painted_once, lambda: "rings" in texts(painted_once))
    page.get_by_role("radio", name="Cumulative", checked=True).focus()
    page.keyboard.press("ArrowRight")  # round to the first
    page.get_by_role("radio", name="Rows", checked=True).wait_for()
    # A range by numbers.
    page.get_by_label("Range of scores, from").fill("0.5")
    page.get_by_label("Range of scores, to").fill("1")
    page.keyboard.press("Enter")
    page.locator(".ctl").filter(has_text=re.compile("11\\s+of 23 pictures")).wait_for()
    page.get_by_role("button", name="Clear range").focus()
    page.keyboard.press("Enter")
    page.locator(".ctl").filter(has_text="Drag over the bars").wait_for()
    # Chance: what was found in all, and the dashed line with its words, once it is worked out.
    page.locator(".said").filter(
        has_text=re.compile("of 23 pictures score above chance at a false-discovery")
    ).wait_for()
    until(painted_once, lambda: re.search("random|chance", texts(painted_once), re.I))
    tab(painted_once, "1", "Domains")


def test_a_match_is_searched_from_by_a_click(painted_once: ExplorerPage) -> None:
    page, before = painted_once.page, painted_once.matches()
    page.mouse.click(*patch(painted_once, 2))
    page.locator(".detailtop").filter(has_text="Match 2").wait_for()
    page.get_by_role("button", name="Search from here").last.click()
    page.locator(".detailtop").wait_for(state="hidden")
    assert painted_once.wait_other_matches(before)
    painted_once.wait_status("^Exact")
