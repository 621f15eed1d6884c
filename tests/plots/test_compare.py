from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import xarray as xr

from vfs_panel.plots.compare import RankedRow, RankGrid, ranked, ranked_data
from vfs_panel.plots.theme import DARK

from .conftest import make_result


@pytest.fixture
def pair() -> tuple[RankedRow, RankedRow]:
    a, b = make_result(seed=1), make_result(seed=2)
    other_a, other_b = [3, 12, 1, 0, 40, 11, 13, 10, 2, 9], [3, 9, 1, 20, 21, 22, 23, 24, 10, 8]
    return (
        RankedRow(result=a, urls={}, other=other_a, moved=[f"{rank} in B" for rank in other_a]),
        RankedRow(result=b, urls={}, other=other_b, moved=[f"{rank} in A" for rank in other_b]),
    )


def test_each_row_has_its_ten_best_in_their_order(pair: tuple[RankedRow, RankedRow]) -> None:
    grid = RankGrid.of(992, (1.0, 1.0))
    data = ranked_data(pair, grid)
    for number, row in enumerate(pair):
        assert data[f"patches{number}"]["image_id"] == row.result["image_id"].values[:10].tolist()
    assert data["rank"]["text"] == [str(rank) for rank in range(1, 11)] * 2
    assert data["score"]["text"][0] == f"{float(pair[0].result['score'][0]):.3f}"
    kept = [f"{rank} in B" for rank in pair[0].other if 0 < rank <= 10]
    assert data["kept"]["text"][: len(kept)] == kept
    assert len(data["kept"]["text"]) + len(data["moved"]["text"]) == 20


def test_lines_join_a_kept_picture_with_its_place_below(pair: tuple[RankedRow, RankedRow]) -> None:
    grid = RankGrid.of(992, (1.0, 1.0))
    xs, ys = (np.split(v[0], np.flatnonzero(np.isnan(v[0]))) for v in ranked_data(pair, grid)["links"].values())
    lines = [(x[~np.isnan(x)], y[~np.isnan(y)]) for x, y in zip(xs, ys, strict=True) if (~np.isnan(x)).any()]
    middle = grid.tiles(0).left + grid.tile(0)[0] / 2
    joined = [(place, rank - 1) for place, rank in enumerate(pair[0].other) if 1 <= rank <= 10]
    assert [(x[0], x[-1]) for x, _ in lines] == [(middle[a], middle[b]) for a, b in joined]
    for _, y in lines:
        assert grid.top(1) - 36 < y.min() < y.max() < grid.top(1)
        assert np.all(np.diff(y) >= 0)
    one = ranked_data(pair[:1], RankGrid.of(992, (1.0,)))
    assert one["links"] == {"xs": [], "ys": []}


def test_a_tap_finds_its_row_and_place() -> None:
    grid = RankGrid.of(992, (1.0, 1.5))
    for row in (0, 1):
        tiles = grid.tiles(row)
        for place in (0, 4, 9):
            assert grid.place_at(tiles.left[place] + 3, tiles.top[place] + 3) == (row, place)
            assert grid.place_at(tiles.left[place] + 3, tiles.top[place] + tiles.height + 60) == (row, place)
    assert grid.place_at(5, grid.top(1) - 10) is None
    assert grid.place_at(None, 3) is None
    assert grid.place_at(float("nan"), 3) is None
    assert [RankGrid.of(width, (1.0,)).columns for width in (992, 656, 320)] == [10, 6, 3]


def test_the_picked_picture_is_framed_wherever_it_is(pair: tuple[RankedRow, RankedRow]) -> None:
    same = (pair[0], RankedRow(result=pair[0].result, urls={}))
    picked = str(pair[0].result["image_id"].values[4])
    data = ranked_data(same, RankGrid.of(992, (1.0, 1.0)), picked=picked)
    assert len(data["picked"]["left"]) == 2
    assert len(ranked_data(same, RankGrid.of(992, (1.0, 1.0)))["picked"]["left"]) == 0


@pytest.mark.parametrize("k", [0, 3, 12])
def test_it_draws_few_and_no_matches(k: int, draw: Callable[[Any], Any]) -> None:
    rows = [RankedRow(result=make_result(k=k, missing=40 - k if k < 3 else 1), urls={})] * 2
    figure = draw(ranked(rows, RankGrid.of(656, (1.0, 1.0)), theme=DARK))
    assert figure.width == 656 + 8


def test_a_result_without_labels_is_drawn(draw: Callable[[Any], Any], result: xr.Dataset) -> None:
    result["label"] = ("rank", np.full(result.sizes["rank"], ""))
    draw(ranked([RankedRow(result=result, urls={})], RankGrid.of(992, (1.0,))))
