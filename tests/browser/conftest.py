"""One served explorer and one browser for all browser tests, and a page of its own for each."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.browser.chromium import find

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


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The real application in a process of its own, on a free port."""
    folder = tmp_path_factory.mktemp("served")
    log = (folder / "log.txt").open("w")
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("serve.py")), str(folder)],
        env=os.environ | {"VFS_CACHE_DIR": str(folder / "cache"), "VFS_CATALOG": str(folder / "none")},
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
    )
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    log.flush()
    assert url.startswith("http"), (folder / "log.txt").read_text()
    yield Served(url, json.loads((folder / "marks.json").read_text()), folder / "catalog")
    process.terminate()
    process.wait(20)
    process.stdout.close()
    log.close()
    # Tornado logs pages that are closed while something is sent; what counts is what passes through this project.
    said = (folder / "log.txt").read_text()
    assert "/vfs_panel/" not in said, said[-4000:]


@pytest.fixture(scope="session")
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
