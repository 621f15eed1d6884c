from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import xarray as xr
from bokeh.core.property.vectorization import Field
from bokeh.models import BoxSelectTool
from hypothesis import given
from hypothesis import strategies as st

from vfs_panel.plots.scores import ScoreRows, scores, scores_data
from vfs_panel.plots.text import text_width
from vfs_panel.plots.theme import BLEED_PX, LIGHT

from .conftest import make_result


def layout(result: xr.Dataset, by: Any = "domain", **options: Any) -> ScoreRows:
    return ScoreRows.of(result, by=by, **{"width_px": 400, **options})


@pytest.mark.parametrize("by", ["domain", "label", None])
def test_bars_count_every_picture_once_on_one_scale(result: xr.Dataset, by: Any) -> None:
    rows = layout(result, by)
    bars = scores_data(result, rows)["bars"]
    heights = bars["bottom"] - bars["top"]
    count = np.array([int(words.split()[0]) for words in bars["what"]])
    assert count.sum() == 39
    assert heights == pytest.approx(count * rows.bar_px / count.max())
    assert set(bars["bottom"]) <= set(rows.base)


def test_bars_stand_at_their_scores(result: xr.Dataset) -> None:
    rows = layout(result, None)
    bars = scores_data(result, rows)["bars"]
    for left, right, title in zip(bars["left"], bars["right"], bars["title"], strict=True):
        low, high = (float(word) for word in title.split(" – "))
        assert (left - 0.5, right + 0.5) == pytest.approx(tuple(rows.to_px([low, high])))


def test_the_peak_of_each_row_is_printed(result: xr.Dataset) -> None:
    data = scores_data(result, layout(result))
    assert data["peak"]["text"][0].endswith(" pictures")
    assert all(words.isdigit() for words in data["peak"]["text"][1:])
    assert len(data["peak"]["text"]) == 3


def test_a_range_leaves_its_bins_strong_and_fades_the_others(result: xr.Dataset) -> None:
    rows = layout(result)
    data = scores_data(result, rows, chosen=(0.3, 0.42))
    for left, right, alpha in zip(*(data["bars"][name] for name in ("left", "right", "fill_alpha")), strict=True):
        start, end = rows.to_px([0.3, 0.42])
        assert (alpha == 1) == (start <= (left + right) / 2 <= end)
    assert data["range_text"]["text"] == ["0.30 – 0.42"]
    assert len(data["ends"]["left"]) == 2
    assert len(scores_data(result, rows)["ends"]["left"]) == 0


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_dragged_range_is_the_scores_under_it(a: float, b: float) -> None:
    rows = ScoreRows(width_px=400, by=None, rows=1, axis=(0.0, 0.8))
    got = rows.to_range((a * 400, b * 400))
    low, high = sorted((a * 0.8, b * 0.8))
    if got is None:
        assert high - low < 0.02
    else:
        assert got == pytest.approx((low, high), abs=0.0051)


def test_a_range_beyond_the_figure_ends_at_the_axis() -> None:
    rows = ScoreRows(width_px=400, by=None, rows=1, axis=(0.1, 0.7))
    assert rows.to_range((-50, 600)) == (0.1, 0.7)
    assert rows.to_range(None) is None
    assert rows.to_range((100, 101)) is None


def test_matches_are_under_their_row(result: xr.Dataset) -> None:
    rows = layout(result)
    dots = scores_data(result, rows)["matches"]
    assert len(dots["col"]) == 12
    assert sorted(dots["col"]) == pytest.approx(sorted(rows.to_px(result["score"].values)))
    assert set(dots["row"]) <= set(rows.base + 4.0)


def test_many_labels_share_the_last_row() -> None:
    result = make_result(n_images=300, labels=30)
    rows = layout(result, "label")
    assert rows.rows == 8
    assert scores_data(result, rows)["name"]["text"][-1] == "other labels"


def test_labels_take_no_domains_colour(result: xr.Dataset) -> None:
    data = scores_data(result, layout(result, "label"))
    assert set(data["bars"]["fill_color"]) == {LIGHT.other}


@pytest.mark.parametrize("width_px", [220, 260, 400, 656])
@pytest.mark.parametrize("row_px", [58, 122])
@pytest.mark.parametrize("chosen", [None, (0.3, 0.36), (0.74, 0.8)])
@pytest.mark.parametrize("chance", [0.15, 0.5, 0.78])
def test_words_stay_inside_and_apart(width_px: int, row_px: int, chosen: Any, chance: float) -> None:
    result = make_result()
    rows = layout(result, width_px=width_px, row_px=row_px)
    data = scores_data(result, rows, chosen=chosen, chance=chance)

    def span(name: str, i: int, size_px: float, align: float) -> tuple[float, float]:
        room = text_width(data[name]["text"][i], size_px, bold=name == "range_text")
        left = data[name]["col"][i] - align * room
        return left, left + room

    spans = [span("chance_text", i, 12, 0) for i in range(len(data["chance_text"]["text"]))]
    assert spans
    if chosen is not None:
        taken = span("range_text", 0, 12, 0.5)
        assert -0.01 <= taken[0] < taken[1] <= width_px + 0.01
        if len(spans) == 1:  # above the rows, where the range's words are
            assert spans[0][1] <= taken[0] or spans[0][0] >= taken[1]
    assert all(0 <= left < right <= width_px for left, right in spans)
    assert span("title", 0, 11.5, 1)[0] >= 0


def test_axis_only_widens() -> None:
    result = make_result()
    held = layout(result, held=(-0.3, 0.9)).axis
    assert held[0] == pytest.approx(-0.3)
    assert held[1] == pytest.approx(0.9)


@pytest.mark.parametrize("by", ["domain", "label", None])
@pytest.mark.parametrize(("k", "missing"), [(12, 1), (1, 0), (0, 40)])
def test_draws(draw: Callable[[Any], Any], by: Any, k: int, missing: int) -> None:
    result = make_result(k=k, missing=missing)
    rows = layout(result, by)
    figure = draw(scores(result, rows, chosen=(0.2, 0.3), chance=0.4))
    assert figure.height == rows.height_px + 2 * BLEED_PX
    assert isinstance(figure.toolbar.active_drag, BoxSelectTool)
    assert figure.toolbar.active_drag.renderers == []


def test_a_bar_under_the_pointer_keeps_its_colour(result: xr.Dataset, draw: Callable[[Any], Any]) -> None:
    element = scores(result, layout(result))
    (bars,) = [r for r, e in zip(draw(element).renderers, element, strict=True) if e.label == "bars"]
    assert bars.hover_glyph.fill_color == bars.glyph.fill_color == Field("fill_color")
