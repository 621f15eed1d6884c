"""All scores in one figure: counts and shares are those of the pictures."""

import numpy as np
import pytest
import xarray as xr

from vfs_panel.plots.distribution import SHAPES, distribution, distribution_data
from vfs_panel.plots.scores import ScoreRows
from vfs_panel.plots.theme import DARK


@pytest.fixture
def searched() -> xr.Dataset:
    rng = np.random.default_rng(0)
    scores = np.concatenate([rng.normal(0.3, 0.08, 120), rng.normal(0.6, 0.08, 60), [np.nan]]).astype(np.float32)
    domains = np.array(["photo"] * 120 + ["sketch"] * 61, object)
    ids = [str(i) for i in range(181)]
    order = np.argsort(-np.nan_to_num(scores, nan=-9))[:12]
    ranked = {
        "score": ("rank", scores[order]),
        "domain": ("rank", domains[order].astype(str)),
        "image_id": ("rank", np.array(ids)[order]),
    }
    names = {"image_domain": ("image", domains), "image_label": ("image", domains)}
    coords = {"image": ids, **names, "rank": range(1, 13)}
    return xr.Dataset({"image_score": ("image", scores), **ranked}, coords=coords)


def rows_of(result: xr.Dataset) -> ScoreRows:
    return ScoreRows.of(result, by="domain", width_px=600)


def test_stacked_bars_hold_every_picture(searched: xr.Dataset) -> None:
    rows = rows_of(searched)
    bars = distribution_data(searched, rows, shape="stacked")["bars"]
    heights = np.asarray(bars["bottom"]) - bars["top"]
    counts = np.histogram(searched["image_score"].values, rows.edges)[0]
    per_picture = heights.sum() / 180
    assert per_picture == pytest.approx((296 - 24) / counts.max())
    assert len(set(bars["fill_color"])) == 2


def test_cumulative_lines_fall_from_all_to_none(searched: xr.Dataset) -> None:
    lines = distribution_data(searched, rows_of(searched), shape="cumulative")["lines"]
    for ys in lines["ys"]:
        assert ys[0] == pytest.approx(24)
        assert ys[-1] == pytest.approx(296)
        assert (np.diff(ys) >= -1e-9).all()


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape != "rows"])
@pytest.mark.parametrize("grouped", [True, False])
def test_every_shape_is_drawn_with_range_and_chance(searched: xr.Dataset, shape: str, grouped: bool) -> None:
    rows = rows_of(searched)
    columns = distribution_data(searched, rows, shape=shape, grouped=grouped, chosen=(0.2, 0.4), chance=0.5, theme=DARK)
    assert len(columns["name"]["text"]) == (2 if grouped else 0)
    assert columns["range"]["left"] == pytest.approx(rows.to_px([0.2]))
    assert columns["chance_text"]["text"] == ["95 % of random regions below 0.50"]
    distribution(columns, rows, theme=DARK)
