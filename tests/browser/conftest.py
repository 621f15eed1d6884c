"""One served explorer and one browser for all browser tests, and a page of its own for each."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.browser.chromium import find
from tests.browser.explorer_page import ExplorerPage

ARGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@dataclass
class Served:
    """A running explorer.

    Attributes
    ----------
    url : its address.
    marks : set -> picture id -> (x0, y0, x1, y1) of the mark.
    catalog : folder of the entries of its sets.
    """

    url: str
    marks: dict[str, dict[str, list[int]]]
    catalog: Path


@contextmanager
def serving(folder: Path, *, port: int = 0) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """Serve a folder in a process of its own until the block ends, or the process does; yields its address, and it."""
    said = folder / f"log{port or ''}.txt"
    with said.open("a") as log:
        process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("serve.py")), str(folder), str(port)],
            env=os.environ | {"VFS_CACHE_DIR": str(folder / "cache"), "VFS_CATALOG": str(folder / "none")},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        assert process.stdout is not None
        try:
            url = process.stdout.readline().strip()
            assert url.startswith("http"), said.read_text()
            yield url, process
        finally:
            process.terminate()
            process.wait(20)
            process.stdout.close()
    # Tornado logs pages that are closed while something is sent; what counts is what passes through this project.
    assert "/vfs_panel/" not in said.read_text(), said.read_text()[-4000:]


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The real application, on a free port."""
    folder = tmp_path_factory.mktemp("served")
    with serving(folder) as (url, _):
        yield Served(url, json.loads((folder / "marks.json").read_text()), folder / "catalog")


@pytest.fixture(scope="module")  # Playwright keeps an event loop running, in which other tests could not start theirs
def browser() -> Iterator[Any]:
    """A headless Chromium. Where there is none, tests are skipped; with CI=true they fail."""
    path = find()
    if path is None:
        if os.environ.get("CI") == "true":
            pytest.fail("There is no Chromium. Run: python tests/browser/chromium.py")
        pytest.skip("There is no Chromium. Run: python tests/browser/chromium.py")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=ARGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def painted_once(browser: Any, served: Served) -> Iterator[ExplorerPage]:
    """A page for all tests of a module, with a box over the mark of the first picture; each leaves it as it was."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    explorer = ExplorerPage(page, served.url).open()
    page.locator(".ex").first.click()
    explorer.wait_status("^Exact")
    page.wait_for_timeout(400)
    yield explorer
    page.close()
    assert not explorer.troubles
