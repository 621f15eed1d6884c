"""What a kernel hands over instead of scripts: data that can be drawn, and words for what is alive."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import holoviews as hv
import panel as pn
import pytest
from bokeh.models import CustomJS
from bokeh.plotting import figure

from vfs_panel.app.explorer import explore
from vfs_panel.gallery.figures import clean_figure, names_in
from vfs_panel.gallery.kernel import parts_of
from vfs_panel.plots.theme import LIGHT
from vfs_panel.search import Stroke


@pytest.fixture(autouse=True)
def bokeh_backend() -> Iterator[None]:
    hv.Store.set_current_backend("bokeh")
    yield
    hv.Store.set_current_backend("bokeh")


def kinds(parts: Any) -> list[str]:
    return [kind for part in parts for kind in part]


@pytest.mark.parametrize(
    "thing",
    [
        hv.Curve([1, 2, 3]),
        hv.Curve([1, 2]) * hv.Points([(0, 1)]),
        hv.Curve([1, 2]) + hv.Histogram(([0, 1, 2], [3, 4])),
        hv.HoloMap({1: hv.Curve([1, 2]), 2: hv.Curve([2, 1])}),
        hv.DynamicMap(lambda x_range, y_range: hv.Curve([1, 2]), streams=[hv.streams.RangeXY()]),
    ],
    ids=lambda thing: type(thing).__name__,
)
def test_figures_of_holoviews_are_data_in_the_page_s_colours(thing: Any) -> None:
    (part,) = parts_of(thing) or [{}]
    item = clean_figure(json.loads(json.dumps(part["figure"])))
    assert item is not None
    assert "Figure" in names_in(item)
    assert LIGHT.text2 in json.dumps(item)


def test_scripts_of_a_figure_are_not_handed_over() -> None:
    made = figure(width=300, height=200)
    made.scatter([1], [2])
    made.js_on_event("tap", CustomJS(code="alert(1)"))
    made.x_range.js_on_change("start", CustomJS(code="alert(1)"))
    (part,) = parts_of(made) or [{}]
    assert "alert" not in json.dumps(part)
    assert clean_figure(part["figure"]) is not None


def test_a_table_is_a_table() -> None:
    (part,) = parts_of(hv.Table([(1, "x")], "a", "b")) or [{}]
    assert "<td>x</td>" in part["html"]


def test_what_matplotlib_draws_stays_a_picture() -> None:
    hv.extension("matplotlib")
    assert parts_of(hv.Curve([1, 2])) is None


def test_panel_objects_give_what_is_in_them() -> None:
    slider, curve = pn.widgets.IntSlider(), hv.Curve([1, 2])
    assert kinds(parts_of(pn.Column("# Words", curve))) == ["markdown", "figure"]
    assert kinds(parts_of(pn.Row(pn.pane.HTML("<b>x</b>"), pn.Column(slider, curve)))) == ["html", "figure", "live"]
    assert kinds(parts_of(slider)) == ["live"]


@pytest.mark.parametrize("thing", [1, "text", None, [hv.Curve([1])], {"a": 1}])
def test_everything_else_is_shown_as_ever(thing: Any) -> None:
    assert parts_of(thing) is None


def test_an_explorer_is_its_matches_and_stays_as_it_is(kept_store: Path, picture_folder: Path) -> None:
    explorer = explore(str(kept_store), images=str(picture_folder))
    assert parts_of(explorer) == [{"live": "unpainted"}]
    explorer.state.history.append(Stroke.box(20, 20, 50, 50))
    live, still = parts_of(explorer) or []
    assert live == {"live": "explorer"}
    matches = still["matches"]["matches"]
    assert [match["rank"] for match in matches] == list(range(1, 12))
    assert {match["domain"] for match in matches} == {"photo", "sketch"}
    assert still["matches"]["query"]["name"] == explorer.state.picture
    assert explorer.state.result is None
