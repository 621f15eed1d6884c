"""Take the README's pictures anew: `python -m tests.browser.take_pictures [NAME …] [--out FOLDER]`.

Each is a page of 1440 × 900 pixels on the embedded sets (`narrow` 1024 × 768), drawn by the same strokes every time, so
that a change of a picture is a change of the app. What a run measures (milliseconds) is replaced by a fixed word of the
status line. The first run prepares the demo sets in VFS_CACHE_DIR, which takes a minute.

Colours are rounded to as many bits as keep a file below `MOST_BYTES`: six or seven of eight, which no eye tells apart.
"""

import argparse
import io
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.browser.chromium import find
from tests.browser.conftest import ARGS
from tests.browser.explorer_page import ExplorerPage
from tests.browser.serve import answers
from vfs_panel.cli.serving import free_port

OUT = Path(__file__).parents[2] / ".github" / "pictures"
SIZE, NARROW = {"width": 1440, "height": 900}, {"width": 1024, "height": 768}
MOST_BYTES = 700_000
QUIET_MS = 3000  # until chance and tabs are there and pictures are decoded
EYE = ((46.0, 84.0), (60.0, 78.0), (74.0, 86.0), (60.0, 92.0), (48.0, 86.0))  # the cat's left eye, in pixels of 224


def explorer(page: ExplorerPage) -> None:
    """A painted region and its matches."""


def match(page: ExplorerPage) -> None:
    """The third match, large."""
    for key in ("ArrowRight", "ArrowRight", "ArrowRight", "Enter"):
        page.page.keyboard.press(key)
    page.page.locator(".bigscore, .vfs-detail canvas").first.wait_for()


def compare(page: ExplorerPage) -> None:
    """Two layers, held against each other."""
    page.page.keyboard.press("3")
    page.page.locator(".fact").filter(has_text="rank correlation").wait_for(timeout=90_000)


def scores(page: ExplorerPage) -> None:
    """The scores of all pictures, by domain."""
    page.page.keyboard.press("2")
    page.page.locator(".vfs-scores canvas").first.wait_for()


def statistics(page: ExplorerPage) -> None:
    """Groups, held against each other."""
    page.page.keyboard.press("4")


def chart(page: ExplorerPage) -> None:
    """The matched patches, by likeness."""
    page.page.keyboard.press("5")


PICTURES: dict[str, tuple[Callable[[ExplorerPage], None], dict[str, int], str]] = {
    "explorer": (explorer, SIZE, ""),
    "match": (match, SIZE, ""),
    "compare": (compare, SIZE, ""),
    "scores": (scores, SIZE, ""),
    "statistics": (statistics, SIZE, ""),
    "map": (chart, SIZE, ""),
    "dark": (explorer, SIZE, "&theme=dark"),
    "narrow": (explorer, NARROW, ""),
}
"""By file name: what is done once the matches are there, the window, and what is added to the address."""

_STEADY = """() => {
  const walk = root => root.querySelectorAll("*").forEach(node => {
    if (node.classList.contains("says")) node.querySelectorAll("span").forEach(said => {
      said.textContent = said.textContent.replace(/ in [\\d.,]+ m?s\\b/, "")
    })
    if (node.shadowRoot) walk(node.shadowRoot)
  })
  walk(document)
}"""


@contextmanager
def served() -> Iterator[str]:
    """Prepare the embedded sets and serve them, as `vfs-panel demo` does."""
    port = free_port(0, "localhost")
    demo = [sys.executable, "-m", "vfs_panel.cli", "demo", "--no-show", "--port", str(port)]
    process = subprocess.Popen(demo, env=os.environ | {"VFS_CATALOG": os.devnull})
    try:
        while not answers(url := f"http://localhost:{port}/"):
            if process.poll() is not None:
                raise SystemExit("The demo could not be served.")
            time.sleep(0.3)
        yield url
    finally:
        process.terminate()
        process.wait(30)


def take(browser: Any, url: str, name: str) -> Image.Image:
    """Take one picture."""
    act, window, more = PICTURES[name]
    page = browser.new_page(viewport=window, reduced_motion="reduce")
    opened = ExplorerPage(page, url).open(f"?dataset=photos&network=vfs-demo&layer=stage4&picture=photo/cat/00{more}")
    opened.stroke(*EYE)
    opened.wait_status("^Exact")
    page.wait_for_timeout(QUIET_MS)
    act(opened)
    page.mouse.move(2, window["height"] - 2)  # off the canvas: no ring of the brush
    page.wait_for_timeout(QUIET_MS)
    page.evaluate(_STEADY)
    shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    page.close()
    if opened.troubles:
        raise SystemExit(f"{name}: {opened.troubles}")
    return shot


def compressed(shot: Image.Image) -> bytes:
    """Return a PNG with as many bits a colour as fit."""
    rgb = np.asarray(shot).astype(np.int16)
    for dropped in range(6):
        step = 1 << dropped
        coarse = np.minimum((rgb + step // 2) // step * step, 255).astype(np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(coarse).save(buffer, "PNG", optimize=True)
        if buffer.tell() <= MOST_BYTES:
            break
    return buffer.getvalue()


def main() -> int:
    """Take the pictures that are named, or all."""
    parser = argparse.ArgumentParser(description="Take the README's pictures anew.")
    parser.add_argument("names", nargs="*", choices=[*PICTURES, []], help="which; all by default")
    parser.add_argument("--out", type=Path, default=OUT, help="folder for the PNGs")
    given = parser.parse_args()
    chromium = find()
    if chromium is None:
        print("There is no Chromium. Run: python tests/browser/chromium.py", file=sys.stderr)
        return 1
    given.out.mkdir(parents=True, exist_ok=True)
    from playwright.sync_api import sync_playwright

    with served() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=[*ARGS, "--force-color-profile=srgb"])
        for name in given.names or PICTURES:
            data = compressed(take(browser, url, name))
            (given.out / f"{name}.png").write_bytes(data)
            print(f"{name}.png: {len(data) / 1000:,.0f} kB")
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
