import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from bokeh.core.property.vectorization import Field, Value

from vfs_panel.plots.marks import Mark, overlay, text, texts, tooltip
from vfs_panel.plots.theme import FONT, LIGHT, Theme

from .conftest import source_of

ZERO = np.empty(0)
COLUMNS: dict[str, dict[str, Any]] = {
    "rectangles": {"left": [0.0], "top": [0.0], "right": [9.0], "bottom": [9.0], "fill_color": ["#ff0000"]},
    "texts": {"col": [0.0], "row": [0.0], "text": ["a"]},
    "dots": {"col": [0.0], "row": [0.0], "fill_color": ["#ff0000"], "line_color": ["#00ff00"]},
    "paths": {"xs": [np.arange(3.0)], "ys": [np.arange(3.0)]},
    "areas": {"xs": [[[np.arange(3.0)]]], "ys": [[[np.array([0.0, 5, 0])]]], "fill_color": ["#ff0000"]},
    "segments": {"left": [0.0], "top": [0.0], "right": [9.0], "bottom": [9.0], "line_color": ["#ff0000"]},
    "patches": {"col": [0.0], "row": [0.0], "url": ["data:,"]},
}


@pytest.mark.parametrize("empty", [False, True])
@pytest.mark.parametrize("kind", COLUMNS)
def test_each_mark_has_its_columns_under_their_own_names(draw: Callable[[Any], Any], kind: Any, empty: bool) -> None:
    columns = {name: column[:0] if empty else column for name, column in COLUMNS[kind].items()}
    element = overlay({"mark": Mark(kind)}, {"mark": columns}, width_px=50, height_px=40)
    figure = draw(element)
    glyph, data = figure.renderers[0].glyph, source_of(figure, element, "mark").data
    assert {name: list(column) for name, column in data.items()} == {n: list(c) for n, c in columns.items()}
    fields = {spec.field for spec in glyph.properties_with_values().values() if isinstance(spec, Field)}
    assert set(columns) <= fields


def test_a_column_of_one_colour_stays_a_column(draw: Callable[[Any], Any]) -> None:
    columns = {"mark": {"col": [0.0, 1.0], "row": [0.0, 1.0], "fill_color": ["#ff0000", "#ff0000"]}}
    figure = draw(overlay({"mark": Mark("dots")}, columns, width_px=50, height_px=40))
    assert figure.renderers[0].glyph.fill_color == Field("fill_color")


def test_texts_are_set_in_the_design_font(draw: Callable[[Any], Any]) -> None:
    columns = {"mark": texts([(0, 10, "a"), (0, 20, "0.5")], 12)}
    figure = draw(overlay({"mark": text(12, bold=True, color="#000000")}, columns, width_px=50, height_px=40))
    assert figure.renderers[0].glyph.text_font == Value(FONT)


def test_baselines() -> None:
    rows = texts([(0, 10, "0.642"), (0, 10, "−0.5"), (0, 10, "giraffe"), (0, 10, "12 pictures")], 10)["row"]
    assert rows == pytest.approx([10, 10, 12.2, 12.2])


def test_tooltips_show_columns_as_text(draw: Callable[[Any], Any]) -> None:
    words = tooltip(LIGHT, "<b>@title</b>", "@what")
    mark = Mark("rectangles", tooltip=words)
    columns = {**COLUMNS["rectangles"], "title": ["<img src=x onerror=alert(1)>"], "what": ["b"]}
    figure = draw(overlay({"hit": mark}, {"hit": columns}, width_px=50, height_px=40))
    (hover,) = figure.toolbar.tools
    assert "@{title}" in hover.tooltips
    assert "{safe}" not in hover.tooltips  # Bokeh escapes what has no such mark
    assert not hover.show_arrow


def test_a_mark_that_is_empty_at_first_has_its_colours_as_a_list(draw: Callable[[Any], Any]) -> None:
    columns = {"col": ZERO, "row": ZERO, "fill_color": [], "title": []}
    element = overlay({"dot": Mark("dots", tooltip="@title")}, {"dot": columns}, width_px=50, height_px=40)
    figure = draw(element)
    assert isinstance(source_of(figure, element, "dot").data["fill_color"], list)  # a page refuses colours as numbers


def test_themes_are_values() -> None:
    assert isinstance(LIGHT, Theme)
    with pytest.raises(AttributeError):
        LIGHT.text = "#000000"  # type: ignore[misc]


def test_importing_plots_prints_nothing_and_takes_no_backend_away() -> None:
    code = (
        "import holoviews as hv; hv.extension('bokeh', logo=False);"
        "import vfs_panel.plots.matches; assert hv.Store.current_backend == 'bokeh'"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == ""
