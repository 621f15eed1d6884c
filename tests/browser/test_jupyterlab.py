"""The explorer in a cell of JupyterLab: drawn in by mouse, read by the kernel, with keys, theme and end of its own."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.lab import LabPage, LabServer, lab_server, write_notebook
from tests.browser.serve import draw_set

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.filterwarnings("default")]

SHOW, BEST, LEFT = 1, 2, 3
CELLS = (
    """import holoviews as hv
import panel as pn
import vfs_panel as vfs
pn.extension(inline=True)
hv.extension("bokeh", inline=True)""",
    """explorer = vfs.explore("marks.zarr")
explorer""",
    """result = explorer.state.result
"nothing" if result is None else str(result["image_id"].values[0]) + f" {result['score'].values[0]:.3f}" """,
    """from panel.io.state import state
f"{sum('vfs-root' in (getattr(view[0], 'css_classes', None) or ()) for view in state._views.values())} shown" """,
)


@pytest.fixture(scope="module")
def marks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Where the marks of twelve small pictures lie; with the folder of their store, in a notebook's reach."""
    from vfs_panel.features import extract

    folder = tmp_path_factory.mktemp("lab")
    drawn = draw_set(folder / "marks", 3, 1)
    (folder / "notebooks").mkdir()
    extract("vfs-demo", folder / "marks", layers=["stage3"], out=folder / "notebooks" / "marks.zarr")
    write_notebook(folder / "notebooks", CELLS)
    return {"folder": folder, "of": drawn}


@pytest.fixture(scope="module")
def server(marks: dict[str, Any]) -> Iterator[LabServer]:
    folder: Path = marks["folder"]
    with lab_server(folder) as running:
        yield running
    log = (folder / "lab.log").read_text()
    assert "Traceback" not in log, log[-4000:]


@pytest.fixture(scope="module")
def lab(browser: Any, server: LabServer) -> Iterator[LabPage]:
    """The notebook, run; what went wrong in it, or was asked of another host, fails the last test."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    opened = LabPage(page, server).open()
    opened.choose("Run", "Run All Cells")
    opened.page.wait_for_selector(".vfs-canvas canvas", timeout=60_000)
    opened.wait_status("^Ready")
    yield opened
    page.close()
    assert not opened.troubles


def test_the_kernel_knows_what_was_drawn(lab: LabPage, marks: dict[str, Any]) -> None:
    assert lab.value(BEST) == "nothing"
    lab.page.locator(".vfs-canvas").scroll_into_view_if_needed()
    lab.paint_mark(marks["of"]["bright/cross/00.png"])
    lab.wait_status("^Exact. 11 pictures")
    name, score = lab.value(BEST).split()
    assert "cross" in name
    assert f"{score}, cross, {name.split('/')[0]}" in lab.matches()[0]


def test_keys_go_to_what_was_clicked(lab: LabPage) -> None:
    page, cells, n = lab.page, lab.cells, len(CELLS)
    lab.command_mode(BEST)
    page.keyboard.press("b")  # Lab's keys do work
    page.wait_for_function("n => document.querySelectorAll('.jp-Notebook .jp-Cell').length === n", arg=n + 1)
    page.keyboard.press("d")
    page.keyboard.press("d")
    page.wait_for_function("n => document.querySelectorAll('.jp-Notebook .jp-Cell').length === n", arg=n)
    sources = cells.locator(".jp-InputArea-editor").all_inner_texts()
    # What takes no focus, and what does.
    for place in (".matcheshead h2", ".bar .brand", ".vfs-canvas"):
        page.locator(place).first.scroll_into_view_if_needed()
        page.locator(place).first.click(position={"x": 5, "y": 5})
        for key in ("b", "a", "x", "z", "c", "v", "m", "y", "1", "Enter", "Escape", "Shift+Enter", "l", "g", "g"):
            page.keyboard.press(key)
        page.get_by_role("radio", name="Lasso (L)").and_(page.locator("[aria-checked=true]")).wait_for()
        page.keyboard.press("b")
        page.get_by_role("radio", name="Brush (B)").and_(page.locator("[aria-checked=true]")).wait_for()
    assert cells.count() == n
    assert cells.locator(".jp-InputArea-editor").all_inner_texts() == sources
    # And what is written in a cell stays there.
    cells.nth(BEST).locator(".cm-content").click()
    page.keyboard.press("Control+End")
    page.keyboard.type("  # el?")
    page.wait_for_timeout(300)
    assert page.get_by_role("radio", name="Brush (B)").get_attribute("aria-checked") == "true"
    assert not page.locator(".keysheet").is_visible()
    assert cells.nth(BEST).locator(".cm-content").inner_text().endswith("# el?")


def test_it_is_as_dark_as_the_notebook(lab: LabPage) -> None:
    ground = "e => getComputedStyle(e).backgroundColor"
    assert lab.page.locator(".bar").evaluate(ground) == "rgb(255, 255, 255)"
    lab.page.evaluate("document.body.dataset.jpThemeLight = 'false'")  # as Lab does when its theme is changed
    lab.page.wait_for_selector(".vfs-root.dark", timeout=30_000)
    assert lab.page.locator(".bar").evaluate(ground) == "rgb(23, 27, 33)"
    lab.page.evaluate("document.body.dataset.jpThemeLight = 'true'")
    lab.page.wait_for_selector(".vfs-root:not(.dark)", timeout=30_000)


def test_a_second_run_takes_the_place_of_the_first(lab: LabPage) -> None:
    lab.run(SHOW)
    lab.wait_status("^Ready. 12 pictures")
    assert lab.page.locator(".vfs-root").count() == 1
    assert lab.value(LEFT) == "1 shown"
