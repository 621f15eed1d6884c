"""Exported pages in a real browser without a network: figures are drawn, the explorer is a still, nothing else runs."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.filterwarnings("default")]

HOSTILE = """
from IPython.display import HTML, Javascript, SVG, display
bad = "<img src=x onerror='window.broken=1'><script>window.broken=1</script><b>harmless</b>"
display(HTML(bad), Javascript("window.broken=1"))
display(SVG("<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9' onload='top.broken=1'><circle r='9'/></svg>"))
display({"application/vnd.vfs_panel.parts+json": [{"html": bad}, {"markdown": bad}]}, raw=True)
"""
FIGURES = """
import holoviews as hv, numpy as np, panel as pn
import vfs_panel as vfs
pn.extension(inline=True)
hv.extension("bokeh", inline=True)
"""
CURVE = "hv.Curve(np.arange(9) ** 2, 'time', 'height').opts(width=700, color='#272C35')"
PANEL = "pn.Column('Some words', hv.Points([(0, 1), (1, 0)]), pn.widgets.IntSlider())"
SCRIPTED = """
from bokeh.models import CustomJS
from bokeh.plotting import figure
made = figure(width=300, height=200)
made.scatter([1, 2], [2, 1])
made.js_on_event("tap", CustomJS(code="window.broken=1"))
made
"""
EXPLORER = """
explorer = vfs.explore({store!r}, images={pictures!r})
explorer.state.history.append(vfs.Stroke.box(20, 20, 50, 50))
explorer
"""
INK = """() => [...document.querySelectorAll('[data-figure]')].map(place => {
  const canvases = []
  const look = node => { for (const one of node.querySelectorAll('*')) { if (one.tagName === 'CANVAS') canvases.push(one); if (one.shadowRoot) look(one.shadowRoot) } }
  look(place)
  const seen = new Set()
  for (const canvas of canvases) {
    const { width, height } = canvas
    if (!width || !height) continue
    const bytes = canvas.getContext('2d').getImageData(0, 0, width, height).data
    for (let at = 0; at < bytes.length; at += 4) if (bytes[at + 3]) seen.add(bytes.slice(at, at + 3).join())
  }
  return [...seen]
})"""


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory, kept_store: Path, picture_folder: Path) -> Path:
    """A folder of one exported notebook and its index."""
    folder = tmp_path_factory.mktemp("gallery")
    notebook = new_notebook()
    explorer = EXPLORER.format(store=str(kept_store), pictures=str(picture_folder))
    sources = (FIGURES, CURVE, PANEL, SCRIPTED, HOSTILE, explorer, "print('state', explorer.state.result)")
    notebook.cells = [
        new_markdown_cell("# Every kind of output\n\n<img src=x onerror='window.broken=1'>Words."),
        *(new_code_cell(source.strip()) for source in sources),
    ]
    nbformat.write(notebook, folder / "kinds.ipynb")
    command = [sys.executable, "-m", "vfs_panel.cli", "export", "kinds.ipynb", "--out", "out"]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["out/kinds.html", "out/index.html"]
    return folder / "out"


class Opened:
    """A page without a network, and all that it complained of or asked for."""

    def __init__(self, browser: Any, *, width: int = 1000, dark: bool = False) -> None:
        scheme = "dark" if dark else "light"
        self.context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme, offline=True)
        self.page = self.context.new_page()
        self.troubles: list[str] = []
        self.page.on(
            "console", lambda said: self.troubles.append(said.text) if said.type in ("error", "warning") else None
        )
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.page.on("request", self._asked)

    def _asked(self, request: Any) -> None:
        if not request.url.startswith(("file:", "data:")):
            self.troubles.append(f"asked for {request.url}")

    def open(self, file: Path) -> Any:
        self.page.goto(file.as_uri())
        self.page.wait_for_selector("html[data-drawn]", state="attached")
        return self.page


@pytest.fixture
def opened(browser: Any) -> Iterator[Any]:
    made: list[Opened] = []

    def start(**how: Any) -> Opened:
        made.append(Opened(browser, **how))
        return made[-1]

    yield start
    for one in made:
        one.context.close()
        assert not one.troubles


@pytest.mark.parametrize("width", [390, 1000])
@pytest.mark.parametrize("dark", [False, True])
def test_figures_are_drawn_in_both_themes(gallery: Path, opened: Any, width: int, dark: bool) -> None:
    page = opened(width=width, dark=dark).open(gallery / "kinds.html")
    drawn = page.evaluate(INK)
    assert len(drawn) == 3
    assert all(len(colours) > 3 for colours in drawn)
    assert ("150,151,152" in drawn[0]) == dark  # the fourth domain's colour in the dark theme
    assert ("39,44,53" in drawn[0]) != dark
    assert page.evaluate("document.documentElement.scrollWidth") == width  # only figures and tables scroll


def test_the_theme_can_be_chosen(gallery: Path, opened: Any) -> None:
    page = opened().open(gallery / "kinds.html")
    page.get_by_role("button", name="Dark").click()
    page.wait_for_selector("html[data-drawn=dark]", state="attached")
    assert "150,151,152" in page.evaluate(INK)[0]
    page.get_by_role("button", name="Light").click()
    page.wait_for_selector("html[data-drawn=light]", state="attached")
    assert "39,44,53" in page.evaluate(INK)[0]


def test_the_explorer_is_a_still_of_what_is_painted(gallery: Path, opened: Any) -> None:
    page = opened().open(gallery / "kinds.html")
    assert page.get_by_text("The explorer needs a running kernel").count() == 1
    assert page.get_by_text("These controls need a running kernel").count() == 1
    matches = page.locator(".matches li")
    assert matches.count() == 11  # all pictures but the painted one
    assert matches.first.locator(".score").inner_text().startswith("1 0.")
    size = page.locator(".matches .query img").evaluate("one => [one.naturalWidth, one.naturalHeight]")
    assert max(size) == 448
    assert page.get_by_text("state None").count() == 1  # the session is as the notebook left it


def test_nothing_of_the_notebook_runs(gallery: Path, opened: Any) -> None:
    page = opened().open(gallery / "kinds.html")
    assert page.get_by_text("harmless").count() == 3
    canvas = page.locator("[data-figure]").nth(2)
    canvas.click(position={"x": 150, "y": 100})
    assert page.evaluate("window.broken") is None
    assert page.evaluate("document.querySelectorAll('script:not([nonce]):not([type])').length") == 0
    # The policy itself would stop what no cleaning had met; it is tried last, as it complains.
    watched = opened()
    other = watched.open(gallery / "kinds.html")
    other.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.broken=1\">')")
    other.wait_for_timeout(100)
    assert other.evaluate("window.broken") is None
    assert any("Content Security Policy" in said for said in watched.troubles)
    watched.troubles.clear()


def test_the_index_leads_to_the_page_and_back(gallery: Path, opened: Any) -> None:
    page = opened(width=390).open(gallery / "index.html")
    assert page.locator(".cards img").evaluate("one => one.naturalWidth") > 100
    page.get_by_role("link", name="Every kind of output").click()
    page.wait_for_selector("html[data-drawn]", state="attached")
    page.get_by_role("link", name="All notebooks").click()
    page.wait_for_selector(".cards")
