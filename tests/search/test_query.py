"""A query is checked before it is searched."""

import numpy as np
import pytest
import xarray as xr

from vfs_panel.errors import QueryError
from vfs_panel.search.query import RegionQuery

FEATURES = np.random.default_rng(0).random((4, 5, 6)).astype(np.float32) + 0.1


def mask(**cells: float) -> np.ndarray:
    weights = np.zeros((5, 6), np.float32)
    for place, weight in cells.items():
        weights[int(place[1]), int(place[2])] = weight
    return weights


def test_it_is_cropped_to_the_painted_cells() -> None:
    query = RegionQuery.from_mask(FEATURES, mask(c12=0.5, c33=1.0))
    assert query.box == (1, 2, 3, 2)
    assert query.features.shape == (4, 3, 2)
    assert query.n_cells == 2
    assert query.grid == (5, 6)


def test_a_cell_that_is_not_painted_takes_no_part() -> None:
    features = FEATURES.copy()
    features[:, 2, 2] = np.nan
    query = RegionQuery.from_mask(features, mask(c12=0.5, c33=1.0))
    assert np.isfinite(query.features).all()


def test_a_picture_of_a_store_brings_its_id() -> None:
    features = xr.DataArray(FEATURES, dims=("channel", "y", "x"), coords={"image": "cat/1.jpg"})
    assert RegionQuery.from_mask(features.transpose("y", "x", "channel"), mask(c00=1.0)).image_id == "cat/1.jpg"


@pytest.mark.parametrize(
    ("features", "weights", "message"),
    [
        (FEATURES, mask(), "Nothing is painted"),
        (FEATURES, np.ones((7, 7), np.float32), r"mask has shape \(7, 7\)"),
        (FEATURES[0], mask(c00=1.0), "expected \\(channel, y, x\\)"),
        (FEATURES, mask(c00=1.0) * 255, "divide an 8-bit mask"),
        (FEATURES, mask(c00=1.0) - 0.5, "outside"),
        (FEATURES * np.float32(np.nan), mask(c00=1.0), "NaN or infinite"),
        (FEATURES * 0, mask(c00=1.0), "features of 0 only"),
    ],
)
def test_what_makes_no_query_is_refused(features: np.ndarray, weights: np.ndarray, message: str) -> None:
    with pytest.raises(QueryError, match=message):
        RegionQuery.from_mask(features, weights)
