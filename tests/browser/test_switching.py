"""Data sets in a real browser: switched between two searches, offered, built, followed, cancelled, mended."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.explorer_page import ExplorerPage

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("default")]

ENTRY = """\
title: "{title}"
description: Pictures of coarse noise.
licence: CC0
pictures: {{source: folder, path: {folder}}}
networks: [{{name: vfs-demo, layers: [stage4]}}]
"""
Serve = Callable[..., str]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """`vfs-panel serve` on a folder of entries, in a process of its own; settings by keyword."""
    programs = []

    def start(catalog: Path, **settings: str) -> str:
        log = (tmp_path / "log.txt").open("a")
        program = subprocess.Popen(
            [sys.executable, "-m", "vfs_panel.cli", "serve", str(catalog), "--port", "0"],
            env=os.environ | {"VFS_CACHE_DIR": str(tmp_path / "cache")} | settings,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        programs.append((program, log))
        assert program.stdout is not None
        line = program.stdout.readline()
        assert "http" in line, (tmp_path / "log.txt").read_text()
        return line.split(" at ")[1].split(" ")[0]

    yield start
    for program, log in programs:
        program.terminate()
        program.wait(20)
        assert program.stdout is not None
        program.stdout.close()
        log.close()
    if programs:
        assert "Traceback" not in (tmp_path / "log.txt").read_text(), (tmp_path / "log.txt").read_text()[-4000:]


def new_page(browser: Any, url: str) -> ExplorerPage:
    return ExplorerPage(browser.new_page(viewport={"width": 1440, "height": 900}), url)


def choose(explorer: ExplorerPage, name: str) -> None:
    explorer.page.get_by_label("Dataset", exact=True).select_option(name)


def option(explorer: ExplorerPage, words: str) -> Any:
    field = explorer.page.get_by_label("Dataset", exact=True)
    return field.locator("option").filter(has_text=words)


def press(explorer: ExplorerPage, name: str) -> None:
    explorer.page.locator(".offerpanel").get_by_role("button", name=name, exact=True).click()


def test_a_set_is_switched_between_two_searches(browser: Any, served: Any) -> None:
    explorer = new_page(browser, served.url).open("?theme=dark&k=6")
    explorer.paint_mark(served.marks["marks"]["bright/cross/00.png"])
    explorer.wait_status("^Exact. 23 pictures")
    before = explorer.matches()
    assert len(before) == 6
    explorer.page.get_by_role("tab", name="Scores").click()
    picture = explorer.page.locator(".strip img").first.get_attribute("src")
    choose(explorer, "other")
    explorer.wait_status("^Ready. 12 pictures")
    assert explorer.page.locator(".strip img").first.get_attribute("src") != picture  # same id, other picture
    assert explorer.page.locator(".vfs-root.dark").count() == 1
    explorer.paint_mark(served.marks["other"]["bright/cross/00.png"])
    explorer.wait_status("^Exact. 11 pictures")
    assert len(explorer.wait_other_matches(before)) == 6
    explorer.page.get_by_role("tab", name="Scores", selected=True).wait_for()
    choose(explorer, "marks")
    explorer.wait_status("^Ready. 24 pictures")
    explorer.paint_mark(served.marks["marks"]["bright/cross/00.png"])
    explorer.wait_status("^Exact. 23 pictures")
    explorer.page.close()
    assert not explorer.troubles


def test_what_is_not_built_is_built_from_the_page(
    browser: Any, serve: Serve, picture_folder: Path, tmp_path: Path
) -> None:
    catalog = tmp_path / "catalog"
    catalog.mkdir()
    (catalog / "first.yml").write_text(ENTRY.format(title="First", folder=picture_folder))
    (catalog / "empty.yml").write_text(ENTRY.format(title="Empty <i>one</i>", folder=tmp_path / "empty"))
    (tmp_path / "empty").mkdir()
    url = serve(catalog)
    mine, theirs = new_page(browser, url), new_page(browser, url)
    for explorer in (mine, theirs):
        explorer.page.goto(url)
    mine.page.get_by_role("heading", name="Empty <i>one</i>").wait_for(timeout=60_000)
    # An error is said, and mended.
    press(mine, "Build")
    mine.page.get_by_role("alert").filter(has_text="no picture").wait_for(timeout=60_000)
    shutil.copytree(picture_folder, tmp_path / "empty", dirs_exist_ok=True)
    press(mine, "Try again")
    # Both pages see the same build, and its end.
    for explorer in (mine, theirs):
        bar = explorer.page.locator(".offerpanel").get_by_role("progressbar")
        bar.wait_for(timeout=60_000)
    for explorer in (mine, theirs):
        explorer.page.locator(".offerpanel .head").filter(has_text="is built").wait_for(timeout=60_000)
    press(mine, "Open")
    mine.wait_status("^Ready. 12 pictures")
    mine.blank = mine._canvas()
    mine.stroke((60, 60), (120, 110))
    mine.wait_status("^Exact. 11 pictures")
    before = mine.matches()
    # Another is built beside the search, and offered to the one who asked for it alone.
    choose(mine, "first")
    press(mine, "Build")
    press(mine, "Back to Empty <i>one</i>")
    mine.wait_status("^Exact. 11 pictures")
    assert mine.matches() == before
    mine.page.locator(".buildline").filter(has_text="First is built").wait_for(timeout=60_000)
    theirs.page.locator("option:text-is('First')").wait_for(state="attached")
    assert not theirs.page.locator(".buildline").is_visible()
    mine.page.locator(".buildline").get_by_role("button", name="Open").click()
    mine.wait_status("^Ready. 12 pictures")
    assert mine.page.get_by_label("Dataset", exact=True).input_value() == "first"
    for explorer in (mine, theirs):
        explorer.page.close()
        assert not explorer.troubles


def test_a_build_is_cancelled_by_its_owner_and_by_others_who_are_sure(
    browser: Any, serve: Serve, picture_folder: Path, tmp_path: Path
) -> None:
    catalog = tmp_path / "catalog"
    catalog.mkdir()
    for copy in range(20):
        shutil.copytree(picture_folder, tmp_path / "many" / str(copy))
    (catalog / "many.yml").write_text(ENTRY.format(title="Many", folder=tmp_path / "many"))
    url = serve(catalog, VFS_BLOCK_MB="0.05", VFS_BATCH_SIZE="1")
    mine, theirs = new_page(browser, url), new_page(browser, url)
    for explorer in (mine, theirs):
        explorer.page.goto(url)
        explorer.page.get_by_role("heading", name="Many").wait_for(timeout=60_000)
    press(mine, "Build")
    press(theirs, "Cancel")
    press(theirs, "Let it go on")
    press(mine, "Cancel")
    for explorer in (mine, theirs):
        explorer.page.get_by_text("The build was stopped. What is done is kept").wait_for(timeout=60_000)
    press(mine, "Go on building")
    press(theirs, "Cancel")
    press(theirs, "Stop it")
    for explorer in (mine, theirs):
        explorer.page.get_by_text("The build was stopped. What is done is kept").wait_for(timeout=60_000)
        explorer.page.close()
        assert not explorer.troubles


def test_a_shared_server_says_the_command_and_a_reload_sees_new_entries(
    browser: Any, serve: Serve, picture_folder: Path, tmp_path: Path
) -> None:
    catalog = tmp_path / "catalog"
    catalog.mkdir()
    url = serve(catalog, VFS_BUILDS="off")
    explorer = new_page(browser, url)
    explorer.page.goto(url)
    explorer.page.get_by_role("heading", name="The catalog is empty").wait_for(timeout=60_000)
    (catalog / "first.yml").write_text(ENTRY.format(title="First", folder=picture_folder))
    explorer.page.reload()
    explorer.page.get_by_role("heading", name="First").wait_for(timeout=60_000)
    explorer.page.get_by_text("Nothing is built from this page").wait_for()
    assert "vfs-panel catalog build first" in explorer.page.locator(".terminal code").inner_text()
    panel = explorer.page.locator(".offerpanel")
    assert panel.get_by_role("button", name="Build", exact=True).count() == 0
    from tests.browser.test_access import findings

    assert not findings(explorer.page)
    explorer.page.close()
    assert not explorer.troubles
