from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from vfs_panel.plots.likeness import heat_colours
from vfs_panel.plots.live import Live
from vfs_panel.plots.matches import MatchGrid, matches, matches_data, similar_data

from .conftest import GRID, make_result, source_of

MATCHES = MatchGrid(width_px=992)


def similar_to(result: xr.Dataset) -> xr.DataArray:
    values = np.random.default_rng(1).uniform(-0.2, 0.84, (result.sizes["rank"], *GRID)).astype(np.float32)
    coords = {"rank": result["rank"].values, "image_id": ("rank", result["image_id"].values)}
    return xr.DataArray(values, dims=("rank", "y", "x"), coords=coords)


def test_colours_are_viridis_and_stronger_where_more_alike() -> None:
    colours = heat_colours([[0.0, 0.45, 0.9], [-0.5, 2.0, np.nan]], 0.9).view(np.uint8).reshape(2, 3, 4)
    assert colours[0, 0, :3].tolist() == [0x44, 0x01, 0x54]
    assert colours[0, 2, :3].tolist() == [0xFD, 0xE7, 0x24]
    assert colours[0, 0, 3] < colours[0, 1, 3] < colours[0, 2, 3]
    assert (colours[1, 0] == colours[0, 0]).all()
    assert (colours[1, 1] == colours[0, 2]).all()
    assert colours[1, 2, 3] == 0


@given(st.integers(0, 1000))
def test_a_higher_value_is_never_fainter(seed: int) -> None:
    values = np.sort(np.random.default_rng(seed).uniform(-1, 1, (1, 40)))
    alpha = heat_colours(values, 1.0).view(np.uint8).reshape(40, 4)[:, 3]
    assert (np.diff(alpha.astype(int)) >= 0).all()


def test_heat_lies_on_the_patches_it_is_of(result: xr.Dataset) -> None:
    similar, tiles = similar_to(result), MATCHES.tiles()
    heat = matches_data(result, {}, MATCHES, similar=similar)["heat"]
    assert heat["col"].tolist() == tiles.left[:12].tolist()
    assert (heat["dw"][0], heat["dh"][0]) == MATCHES.tile
    assert {image.shape for image in heat["image"]} == {GRID}
    assert (heat["image"][4] == heat_colours(similar.values[4], 0.9)).all()


def test_heat_follows_the_order_and_leaves_out_other_matches(result: xr.Dataset) -> None:
    similar = similar_to(result)
    turned = matches_data(result.isel(rank=slice(None, None, -1)), {}, MATCHES, similar=similar)["heat"]
    assert (turned["image"][0] == heat_colours(similar.values[11], 0.9)).all()
    other = make_result(seed=5)
    kept = np.flatnonzero(other["image_id"].values == result["image_id"].values)
    assert len(matches_data(other, {}, MATCHES, similar=similar)["heat"]["image"]) == len(kept)
    assert matches_data(result, {}, MATCHES)["heat"]["image"] == []
    assert matches_data(None, {}, MATCHES, similar=similar)["heat"]["image"] == []


@pytest.mark.parametrize("k", [1, 12, 30])
def test_heat_alone_is_that_of_the_whole_figure(k: int) -> None:
    result = make_result(k=k)
    similar = similar_to(result)
    alone, whole = similar_data(result, MATCHES, similar), matches_data(result, {}, MATCHES, similar=similar)["heat"]
    assert alone.keys() == whole.keys()
    assert all(np.array_equal(alone[name], whole[name]) for name in alone)
    assert similar_data(None, MATCHES, similar)["image"] == []


@pytest.mark.parametrize("before", [True, False])
def test_heat_comes_and_goes_in_a_drawn_figure(result: xr.Dataset, draw: Callable[[Any], Any], before: bool) -> None:
    similar = similar_to(result) if before else None
    live = Live(matches(result, {}, MATCHES, similar=similar))
    figure = draw(live.figure)
    source = source_of(figure, live.figure, "heat")
    assert len(source.data["image"]) == (12 if before else 0)
    for shown in (similar_to(result), None, similar_to(result)):
        live.send({"heat": similar_data(result, MATCHES, shown)})
        assert len(source.data["image"]) == len(source.data["col"]) == (0 if shown is None else 12)
    names = [each.label for each in live.figure]
    assert names.index("veil") < names.index("heat") < names.index("ring")
