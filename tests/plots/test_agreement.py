"""Overlap, scatter and layers: the figures below compared rows."""

from collections.abc import Callable
from typing import Any

import holoviews as hv
import numpy as np
import pandas as pd
import pytest

from vfs_panel.analysis.comparison import Comparison, Ranking, compare
from vfs_panel.plots.layers import LayerLine, layer_dots, layers_data, layers_height
from vfs_panel.plots.overlap import Curve, overlap, overlap_data
from vfs_panel.plots.scatter import MOST_POINTS, PairAxes, drawn_points, scatter, scatter_data
from vfs_panel.plots.theme import DARK


def found(n: int = 200, noise: float = 0.3, seed: int = 0) -> Comparison:
    rng = np.random.default_rng(seed)
    a = rng.random(n)
    sides = []
    for scores in (a, a + rng.normal(0, noise, n)):
        order = np.argsort(-scores)
        sides.append(Ranking(pd.Index(np.array([f"p{i}" for i in order], object)), order, scores[order]))
    return compare(*sides)


def about(pair: Comparison) -> tuple[list[str], list[str], list[str]]:
    domains = ["photo" if i % 2 else "sketch" for i in range(pair.n)]
    return ["cat"] * pair.n, domains, ["photo", "sketch"]


def test_the_curve_is_the_overlap_and_chance_is_below_it() -> None:
    pair = found()
    data = overlap_data([Curve("A", pair)], width_px=306)
    x, y = data["curve"]["xs"][0], data["curve"]["ys"][0]
    shares = (180 - y) / (180 - 12)
    np.testing.assert_allclose(shares, pair.overlap)
    assert (x[0], x[-1]) == (40, 226)
    chance = (180 - data["chance"]["ys"][0]) / (180 - 12)
    np.testing.assert_allclose(chance, np.arange(1, 101) / 200)
    assert f"{pair.in_both(100)} of 100" in data["number"]["text"]
    assert f"{pair.in_both(10)} of 10" in data["number"]["text"]
    assert data["word"]["text"] == ["chance"]
    assert data["k"]["text"] == ["1", "10", "50", "100"]


def test_names_at_the_lines_ends_stay_apart() -> None:
    pairs = [
        Curve(name, found(noise=noise, seed=i))
        for i, (name, noise) in enumerate(zip("ACD", (0.3, 0.3, 9), strict=True))
    ]
    data = overlap_data(pairs)
    rows = np.sort(np.concatenate([data["number"]["row"][data["number"]["col"] > 226], data["word"]["row"]]))
    assert len(rows) == 4
    assert np.diff(rows).min() >= 13
    assert rows.max() <= 180 + 8


@pytest.mark.parametrize("n", [1, 2, 5, 11, 60])
def test_small_sets_are_drawn(n: int, draw: Callable[[Any], Any]) -> None:
    pair = found(n)
    draw(overlap([Curve("A", pair)], theme=DARK))
    draw(scatter(pair, PairAxes.of(pair, width_px=306), about(pair)))
    draw(scatter(pair, PairAxes.of(pair, width_px=306, by="score"), about(pair), theme=DARK))
    assert overlap_data([Curve("A", pair)])["k"]["text"][-1] == str(n)


def test_points_are_at_their_ranks_on_log_axes() -> None:
    pair = found(1000)
    axes = PairAxes.of(pair, width_px=306)
    data = scatter_data(pair, axes, about(pair))
    assert len(data["points"]["col"]) + len(data["best"]["col"]) == 1000
    assert axes.x(1) == axes.left
    assert axes.y(1) == 22
    np.testing.assert_allclose(np.diff(axes.x([1, 10, 100, 1000])), (axes.right - axes.left) / 3)
    at = {i: (x, y) for part in ("points", "best") for i, x, y in
          zip(data[part]["image_id"], data[part]["col"], data[part]["row"], strict=True)}  # fmt: skip
    for i in (0, 7, 500):
        assert at[pair.ids[i]] == (pytest.approx(axes.x(pair.rank_a[i])), pytest.approx(axes.y(pair.rank_b[i])))
    box = data["box"]
    inside = [box["left"][0] - 0.1 <= x <= box["right"][0] + 0.1 and box["top"][0] - 0.1 <= y <= box["bottom"][0] + 0.1
              for x, y in at.values()]  # fmt: skip
    assert sum(inside) == pair.in_both(10)
    scores = scatter_data(pair, PairAxes.of(pair, width_px=306, by="score"), about(pair))
    assert scores["title"]["text"] == ["score in B", "score in A"]


@pytest.mark.parametrize("by", ["rank", "score"])
def test_a_box_of_the_figure_gives_the_pictures_in_it(by: Any) -> None:
    pair = found(400)
    axes = PairAxes.of(pair, width_px=306, by=by)
    of_a, of_b = (pair.rank_a, pair.rank_b) if by == "rank" else (pair.score_a, pair.score_b)
    x, y = axes.x(of_a), axes.y(of_b)
    bounds = (60.0, 40.0, 170.0, 160.0)
    ranges = axes.ranges(bounds)
    assert ranges is not None
    shown = pair.within(*ranges, by=by)
    expected = np.flatnonzero((x >= 60) & (x <= 170) & (y >= 40) & (y <= 160))
    # Scores are rounded to three decimals: pictures at the very edge may fall either way.
    assert len(set(shown) ^ set(expected)) <= (0 if by == "rank" else 6)
    assert axes.ranges((60, 40, 61, 41)) is None
    assert axes.ranges(None) is None
    assert axes.ranges((float("nan"), 0, 1, 1)) is None


def test_of_very_many_pictures_the_best_and_a_share_of_the_rest_are_drawn() -> None:
    pair = found(20_000)
    drawn = drawn_points(pair)
    assert len(drawn) <= MOST_POINTS
    assert set(np.flatnonzero((pair.rank_a <= 100) | (pair.rank_b <= 100))) <= set(drawn)
    data = scatter_data(pair, PairAxes.of(pair, width_px=306), about(pair))
    assert data["note"]["text"] == [f"{len(drawn):,} of 20,000 drawn"]


def test_a_brush_and_the_picked_picture_are_marked() -> None:
    pair = found()
    axes = PairAxes.of(pair, width_px=306)
    data = scatter_data(pair, axes, about(pair), brushed=((1, 5), (2, 50)), picked=str(pair.ids[3]))
    assert data["brush"]["left"][0] == axes.x(1)
    assert data["brush"]["bottom"][0] == pytest.approx(axes.y(50))
    assert data["ring"]["col"][0] == pytest.approx(axes.x(pair.rank_a[3]))


def test_layers_have_their_correlation_and_count(draw: Callable[[Any], Any]) -> None:
    lines = [
        LayerLine(name="stage2", grid=(28, 28), rho=0.5, in_both=17),
        LayerLine(name="stage3", grid=(14, 14), rho=1.0, own=True, strong=True),
        LayerLine(name="stage4", grid=(7, 7)),
        LayerLine(name="a_very_long_name_of_a_layer.12.conv", grid=(7, 7), rho=float("nan"), in_both=0, strong=True),
    ]
    data = layers_data(lines, k=50)
    assert data["rho"]["text"] == ["0.50", "1.00"]
    assert data["number"]["text"] == ["17", "–", "–", "0"]
    left, half, right = data["gridlines"]["left"]
    assert data["dots"]["col"].tolist() == [pytest.approx(half)]
    assert data["own"]["col"].tolist() == [pytest.approx(right)]
    assert left == 96
    assert data["strong"]["text"][1].endswith("…")
    draw(layer_dots(lines, k=50, theme=DARK))
    low = layers_data([LayerLine(name="x", grid=(1, 1), rho=-0.4, in_both=1)], k=9)
    assert low["tick"]["text"] == ["−1", "0", "0.5", "1"]
    assert low["head"]["text"][0] == "in both top 9"
    assert layers_height(40) > layers_height(4)


def test_the_scatter_has_a_tool_that_tells_a_box(draw: Callable[[Any], Any]) -> None:
    pair = found()
    figure = scatter(pair, PairAxes.of(pair, width_px=306), about(pair))
    seen: list[Any] = []
    hv.streams.BoundsXY(source=list(figure)[-1]).add_subscriber(seen.append)
    drawn = draw(figure)
    assert type(drawn.toolbar.active_drag).__name__ == "BoxSelectTool"
