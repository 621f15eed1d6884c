"""The explorer in a real browser: draw on a known mark, and the matches lie on the same mark."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.browser.explorer_page import ExplorerPage

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("default")]


@pytest.fixture
def explorer(browser: Any, served: Any) -> Iterator[ExplorerPage]:
    """An open page; what went wrong in it fails the test."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    opened = ExplorerPage(page, served.url).open()
    yield opened
    page.close()
    assert not opened.troubles


@pytest.fixture
def painted(explorer: ExplorerPage, served: Any) -> ExplorerPage:
    """A page with the mark of the first picture painted, and its exact result."""
    explorer.paint_mark(served.marks["marks"]["bright/cross/00.png"])
    explorer.wait_status("^Exact")
    return explorer


def test_a_stroke_on_a_mark_finds_the_same_mark(painted: ExplorerPage, served: Any) -> None:
    assert "23 pictures searched" in painted.status
    assert "The painted picture is left out" in painted.status
    assert len(painted.matches()) == 12
    assert all("cross" in match for match in painted.matches()[:5])
    best, box = painted.first_match()
    width = (painted.page.locator(".matcheshead").bounding_box()["width"] - 5 * 12) / 6
    x0, y0, x1, y1 = (v * width / 224 for v in served.marks["marks"][best])
    middle = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    assert x0 - 6 <= middle[0] <= x1 + 6
    assert y0 - 6 <= middle[1] <= y1 + 6


_FIGURES = """() => Bokeh.documents.flatMap(doc => [...doc._all_models.values()])
  .filter(model => model.type === "Figure").map(model => model.id).sort()"""


def test_the_first_stroke_waits_for_no_figure(explorer: ExplorerPage, served: Any) -> None:
    page = explorer.page
    page.wait_for_function(f"({_FIGURES})().length === 4", timeout=60_000)  # canvas, layer, matches and domains
    before = page.evaluate(_FIGURES)
    assert not page.locator(".vfs-fades canvas").first.is_visible()
    assert not page.locator(".vfs-analysis").is_visible()
    explorer.paint_mark(served.marks["marks"]["bright/cross/00.png"])
    explorer.wait_status("^Exact")
    page.locator(".vfs-fades canvas").first.wait_for()
    assert len(explorer.matches()) == 12
    assert page.evaluate(_FIGURES) == before


def test_undo_redo_erase_and_clear_show_the_truth(painted: ExplorerPage) -> None:
    painted.wait_ink(0.02, 0.3)
    painted.page.wait_for_timeout(300)
    full, matches = painted.ink(), painted.matches()
    painted.page.keyboard.press("Control+z")
    painted.wait_status("^Nothing is painted")
    painted.wait_ink(0, 0.005)
    assert painted.strength_of_matches() == pytest.approx(0.3)  # they are of no drawing now
    painted.page.keyboard.press("Control+Shift+z")
    painted.wait_status("^Exact")
    assert painted.strength_of_matches() == 1
    assert painted.matches() == matches
    painted.wait_ink(full * 0.9, full * 1.1)
    painted.page.keyboard.press("e")
    painted.page.get_by_role("radio", name="Eraser", checked=True).wait_for()
    for y in range(10, 224, 24):
        painted.stroke((5, y), (219, y))
    painted.wait_status("^Nothing is painted")
    painted.page.keyboard.press("Control+z")
    painted.page.keyboard.press("Delete")
    painted.wait_status("^Nothing is painted")
    painted.page.locator('button[aria-label^="Clear the drawing"][disabled]').wait_for()


def test_another_layer_keeps_the_drawing(painted: ExplorerPage) -> None:
    before = painted.matches()
    painted.page.get_by_label("Layer").select_option("stage4")
    painted.wait_other_matches(before)
    assert painted.status.startswith("Exact")
    painted.wait_ink(0.02, 0.3)
    assert "of 49 cells" in painted.page.locator(".masktext").inner_text()


def test_another_dataset_starts_anew(painted: ExplorerPage) -> None:
    painted.page.get_by_label("Dataset", exact=True).select_option("other")
    painted.wait_status("^Ready. 12 pictures")
    painted.page.locator(".tour").wait_for()
    painted.page.locator(".ex").first.click()
    painted.wait_status("^Exact")
    assert "cross" in painted.matches()[0]


def test_an_upload_is_searched_and_a_bad_one_keeps_the_drawing(painted: ExplorerPage, tmp_path: Path) -> None:
    bad = tmp_path / "board.heic"
    bad.write_bytes(b"no picture at all")
    painted.page.get_by_label("Picture file").set_input_files(bad)
    painted.page.locator(".uploaderr").filter(has_text="board.heic could not be read.").wait_for()
    painted.wait_ink(0.02, 0.3)
    good = tmp_path / "mine.png"
    Image.effect_noise((224, 224), 60).convert("RGB").save(good)
    painted.page.get_by_label("Picture file").set_input_files(good)
    painted.page.locator(".id").filter(has_text="mine.png").wait_for()
    painted.stroke((80, 80), (140, 140))
    painted.wait_status("^Exact. 24 pictures searched")


def test_k_mode_and_filter_of_the_matches(painted: ExplorerPage) -> None:
    before = painted.matches()
    painted.page.locator(".matcheshead").get_by_label("Show").fill("6")
    painted.page.keyboard.press("Enter")
    assert len(painted.wait_other_matches(before)) == 6
    painted.page.get_by_role("radio", name="Best per domain").click()
    painted.wait_other_matches(before[:6])
    assert sorted(match.split(", ")[-1] for match in painted.matches()) == ["bright", "dark"]


def test_a_query_without_a_mouse(explorer: ExplorerPage) -> None:
    page = explorer.page
    page.get_by_role("button", name="Box by numbers").focus()
    page.keyboard.press("Enter")
    for value in ("40", "40", "120", "120"):
        page.keyboard.type(value)
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    explorer.wait_status("^Exact")
    assert "of 196 cells touched" in page.locator(".masktext").inner_text()
    page.get_by_role("button", name="Grid").focus()
    page.keyboard.press("ArrowRight")
    page.locator(".selectedbar").filter(has_text="Match 1").wait_for()
    before = explorer.matches()
    page.keyboard.press("s")
    explorer.wait_other_matches(before)


def test_scores_show_the_patches_of_a_range(painted: ExplorerPage) -> None:
    painted.page.get_by_role("tab", name="Scores").click()
    canvas = painted.page.locator(".vfs-scores canvas").first
    canvas.wait_for()
    box = canvas.bounding_box()
    painted.page.mouse.move(box["x"] + 40, box["y"] + 60)
    painted.page.mouse.down()
    painted.page.mouse.move(box["x"] + box["width"] - 20, box["y"] + 60, steps=6)
    painted.page.mouse.up()
    painted.page.locator(".ctl").filter(has_text="of 23 pictures").wait_for()
    painted.page.get_by_role("button", name="Clear range").click()
    painted.page.locator(".ctl").filter(has_text="Drag over the bars").wait_for()


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (1024, 768)])
def test_dark_and_narrow_pages_fit_and_are_drawn(browser: Any, served: Any, width: int, height: int) -> None:
    page = browser.new_page(viewport={"width": width, "height": height})
    explorer = ExplorerPage(page, served.url).open("?theme=dark")
    explorer.paint_mark(served.marks["marks"]["bright/cross/00.png"])
    explorer.wait_status("^Exact")
    page.wait_for_timeout(500)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator(".bar").evaluate("e => getComputedStyle(e).backgroundColor") == "rgb(23, 27, 33)"
    for selector in (".vfs-canvas canvas", ".vfs-work canvas", ".vfs-cells canvas"):
        drawn = page.locator(selector).evaluate_all(
            "all => all.filter(c => c.width && c.height && new Uint32Array("
            "c.getContext('2d').getImageData(0, 0, c.width, c.height).data.buffer).some(v => v)).length"
        )
        assert drawn > 0, selector
    page.close()
    assert not explorer.troubles
