"""A server that goes and comes back under an open page; and two tabs of one person."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.browser.conftest import serving
from tests.browser.explorer_page import ExplorerPage
from vfs_panel.cli.serving import free_port

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("default")]


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    yield page
    page.close()


def test_a_restarted_server_finds_the_drawing_again(page: Any, served: Any, tmp_path: Path) -> None:
    folder, port = served.catalog.parent, free_port(0, "localhost")
    with serving(folder, port=port) as (url, process):
        explorer = ExplorerPage(page, url).open()
        explorer.paint_mark(served.marks["marks"]["bright/cross/00.png"])
        explorer.wait_status("^Exact")
        page.locator(".matcheshead").get_by_label("Show").fill("6")
        page.keyboard.press("Enter")
        page.wait_for_function("new URLSearchParams(location.search).get('k') === '6'")
        page.locator(".sr li").nth(6).wait_for(state="detached")
        before = explorer.matches()
        assert len(before) == 6
        process.kill()
        process.wait(20)
        assert explorer.wait_status("^Reconnecting") == "Reconnecting. Your drawing is kept."
        # It takes no strokes and no keys meanwhile.
        inked = explorer.ink()
        explorer.stroke((20, 200), (200, 200))
        page.keyboard.press("Delete")
        page.keyboard.press("ArrowRight")
        page.wait_for_timeout(300)
        assert explorer.ink() == pytest.approx(inked, abs=0.003)
        assert explorer.status.startswith("Reconnecting")
    # A page that is lost holds what it has; another server on the same port gives it a new session.
    with serving(folder, port=port) as (_, process):
        explorer.wait_status("^Exact")
        assert explorer.matches() == before
        page.get_by_role("button", name="Undo").wait_for()
        picture = tmp_path / "mine.png"
        Image.effect_noise((224, 224), 60).convert("RGB").save(picture)
        page.get_by_label("Picture file").set_input_files(picture)
        page.locator(".id").filter(has_text="mine.png").wait_for()
        explorer.stroke((80, 80), (140, 140))
        explorer.wait_status("^Exact. 24 pictures")
        process.kill()
        process.wait(20)
        explorer.wait_status("^Reconnecting. An uploaded picture is not kept")
    with serving(folder, port=port):
        explorer.wait_status("your uploaded picture and its drawing")
        page.wait_for_function("new URLSearchParams(location.search).has('picture')")  # the new page is ready
        explorer.paint_mark(served.marks["marks"]["bright/cross/00.png"])
        explorer.wait_status("^Exact")


def test_two_tabs_of_one_person_do_not_disturb_each_other(browser: Any, served: Any) -> None:
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    mark = served.marks["marks"]
    one, two = (ExplorerPage(context.new_page(), served.url).open() for _ in range(2))
    one.page.bring_to_front()  # a page behind another hears of the mouse once a second
    one.paint_mark(mark["bright/cross/00.png"])
    one.wait_status("^Exact")
    mine, address = one.matches(), one.page.url
    assert two.status.startswith("Ready")
    assert not two.matches()
    two.page.locator(".strip").get_by_role("option", name="dark/rings").first.click()
    two.page.locator(".id").filter(has_text="dark / rings").wait_for()
    chosen = "".join(two.page.locator(".id").inner_text().split(" "))
    two.page.keyboard.press("d")
    two.page.keyboard.press("l")
    # Both draw at once: the one's pen is down while the other's is.
    one.page.bring_to_front()
    box = one.page.locator(".vfs-canvas").bounding_box()
    one.page.mouse.move(box["x"] + 30, box["y"] + 30)
    one.page.mouse.down()
    one.page.mouse.move(box["x"] + 90, box["y"] + 40, steps=3)
    x0, y0, x1, y1 = mark[chosen]
    two.page.bring_to_front()
    two.stroke((x0, y0), (x1, y0), (x1, y1), (x0, y1))
    two.wait_status("^Exact")
    theirs = two.matches()
    assert all("rings" in match for match in theirs[:5])
    one.page.bring_to_front()
    one.page.mouse.move(box["x"] + 120, box["y"] + 60, steps=3)
    one.page.mouse.up()
    assert one.wait_other_matches(mine)
    one.page.keyboard.press("Control+z")
    for _ in range(50):
        if one.matches() == mine and one.page.url == address:
            break
        one.page.wait_for_timeout(100)
    assert one.matches() == mine
    assert one.page.url == address
    assert two.matches() == theirs
    assert one.page.locator(".id").inner_text() != two.page.locator(".id").inner_text()
    one.page.get_by_role("radio", name="Brush", checked=True).wait_for()
    two.page.get_by_role("radio", name="Lasso", checked=True).wait_for()
    assert not one.troubles + two.troubles
    context.close()
