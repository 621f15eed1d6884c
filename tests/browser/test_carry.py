"""Share and Export in a browser: links, files, sessions and the collection."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.browser.explorer_page import ExplorerPage

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("default")]


@pytest.fixture
def painted(browser: Any, served: Any) -> Iterator[ExplorerPage]:
    context = browser.new_context(viewport={"width": 1440, "height": 900}, accept_downloads=True)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = context.new_page()
    opened = ExplorerPage(page, served.url).open()
    opened.paint_mark(served.marks["marks"]["bright/cross/00.png"])
    opened.wait_status("^Exact")
    page.wait_for_timeout(400)
    yield opened
    context.close()
    assert not opened.troubles


def export(painted: ExplorerPage, name: str) -> None:
    painted.page.get_by_role("button", name="Files of what you see").click()
    painted.page.get_by_role("menuitem", name=name).click()


def file_of(painted: ExplorerPage, name: str, folder: Path) -> Path:
    with painted.page.expect_download() as found:
        export(painted, name)
    path = folder / found.value.suggested_filename
    found.value.save_as(path)
    return path


def test_a_reload_and_a_link_bring_everything_back(painted: ExplorerPage) -> None:
    page, before = painted.page, painted.matches()
    page.get_by_role("tab", name="Scores").click()
    page.wait_for_timeout(500)
    page.get_by_role("button", name="Copy a link").click()
    page.locator(".carrysaid").filter(has_text="Link copied").wait_for()
    link = page.evaluate("navigator.clipboard.readText()")
    assert "view=" in link
    page.reload()
    page.wait_for_selector(".vfs-canvas canvas", timeout=60_000)
    painted.wait_status("^Exact")
    assert painted.matches() == before
    page.get_by_role("tab", name="Scores", selected=True).wait_for()
    other = page.context.new_page()
    theirs = ExplorerPage(other, painted.url)
    other.goto(link)
    other.wait_for_selector(".vfs-canvas canvas", timeout=60_000)
    theirs.wait_status("^Exact")
    assert theirs.matches() == before
    other.goto(painted.url + "?view=" + "0" * 20)
    theirs.wait_status("not on this server any more")
    assert not theirs.troubles


def test_files_hold_what_is_seen(painted: ExplorerPage, tmp_path: Path) -> None:
    scores = [float(match.split(",")[0]) for match in painted.matches()]
    table = pd.read_csv(file_of(painted, "Matches as CSV", tmp_path))
    assert table["score"].round(3).tolist() == pytest.approx(scores, abs=1e-3)
    for name, start in (("Figure as PDF", b"%PDF"), ("Figure as PNG", b"\x89PNG"), ("Figure as SVG", b"<?xml"),
                        ("Matches as Parquet", b"PAR1"), ("All scores as NetCDF", b"CDF")):  # fmt: skip
        assert file_of(painted, name, tmp_path).read_bytes().startswith(start), name
    export(painted, "Copy as Python")
    painted.page.locator(".carrysaid").filter(has_text="The code is copied").wait_for()
    assert "engine.search(query" in painted.page.evaluate("navigator.clipboard.readText()")


def test_a_saved_session_opens_again(painted: ExplorerPage, tmp_path: Path) -> None:
    page, before = painted.page, painted.matches()
    path = file_of(painted, "Save session", tmp_path)
    assert json.loads(path.read_text())["strokes"]
    page.keyboard.press("Delete")
    painted.wait_status("^Nothing is painted")
    page.get_by_label("Session file").set_input_files(path)
    painted.wait_status("^Exact")
    assert painted.matches() == before
    bad = tmp_path / "bad.json"
    bad.write_text('{"version": 1, "k": "<img src=x onerror=alert(1)>"}')
    page.get_by_label("Session file").set_input_files(bad)
    painted.wait_status("no session that can be opened")


def test_the_collection_keeps_queries_with_notes(painted: ExplorerPage) -> None:
    page, before = painted.page, painted.matches()
    page.get_by_role("button", name="Files of what you see").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    sheet = page.get_by_role("dialog", name="Collection")
    sheet.get_by_role("button", name="Save this query").click()
    sheet.get_by_label("Note").fill("<b>half</b> of them have one")
    sheet.get_by_label("Title").fill("The mark")
    page.keyboard.press("Escape")
    page.keyboard.press("Delete")
    painted.wait_status("^Nothing is painted")
    page.reload()
    page.wait_for_selector(".vfs-canvas canvas", timeout=60_000)
    painted.wait_status("^(Ready|Nothing)")
    export(painted, "Collection")
    assert sheet.get_by_label("Note").input_value() == "<b>half</b> of them have one"
    sheet.get_by_role("button", name="Open", exact=True).click()
    painted.wait_status("^Exact")
    assert painted.matches() == before
    export(painted, "Collection")
    sheet.get_by_role("button", name="Delete").click()
    sheet.get_by_text("Nothing is saved yet.").wait_for()
