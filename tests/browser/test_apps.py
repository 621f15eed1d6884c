"""Both apps under `panel serve`, in one process: each opens, is drawn in, and shows what it is for."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.explorer_page import ExplorerPage
from tests.browser.serve import ENTRY, answers, draw_set
from vfs_panel.cli.serving import free_port

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.filterwarnings("default")]
APPS = Path(__file__).parents[2] / "apps"
ADDRESS = "http://localhost:{}/"


@pytest.fixture(scope="module")
def apps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, list[int]]]:
    """The address of both apps, on a user's own catalog of twelve pictures; and where the first picture's mark lies."""
    folder = tmp_path_factory.mktemp("apps")
    marks = draw_set(folder / "marks", 3, 1)
    mark = marks["bright/cross/00.png"]
    (folder / "catalog").mkdir()
    box = ", ".join(map(str, mark))
    entry = ENTRY.format(title="Marks", folder=folder / "marks", box=box, image="bright/cross/00.png")
    (folder / "catalog" / "marks.yml").write_text(entry)
    environment = os.environ | {"VFS_CACHE_DIR": str(folder / "cache"), "VFS_CATALOG": str(folder / "catalog")}
    build = [sys.executable, "-m", "vfs_panel.cli", "catalog", "build", "marks"]
    subprocess.run(build, env=environment, check=True, capture_output=True)
    port = free_port(0, "localhost")
    with (folder / "log.txt").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "panel", "serve", *map(str, sorted(APPS.glob("*.py"))), f"--port={port}"],
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            end = time.monotonic() + 60
            while process.poll() is None and time.monotonic() < end and not answers(ADDRESS.format(port)):
                time.sleep(0.1)
            assert answers(ADDRESS.format(port)), (folder / "log.txt").read_text()[-4000:]
            yield ADDRESS.format(port), mark
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(20)
    said = (folder / "log.txt").read_text()
    assert "Traceback" not in said, said[-4000:]


@pytest.mark.parametrize("app", ["explore", "compare"])
def test_an_app_is_served_and_drawn_in(browser: Any, apps: tuple[str, list[int]], app: str) -> None:
    url, mark = apps
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    explorer = ExplorerPage(page, url).open(f"{app}?dataset=marks")
    assert page.title() == {"explore": "vfs_panel", "compare": "vfs_panel: compare"}[app]
    explorer.paint_mark(mark)
    explorer.wait_status("^Exact. 11 pictures")
    tab = page.locator("[role=tab][aria-selected=true]")
    if app == "compare":
        assert tab.inner_text() == "Compare"
        page.locator(".fact").filter(has_text=re.compile("rank correlation")).wait_for()
    else:
        assert tab.inner_text() == "Domains"
        assert "cross" in explorer.matches()[0]
    page.close()
    assert not explorer.troubles
