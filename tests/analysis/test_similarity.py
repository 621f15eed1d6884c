"""The cosine of one cell with many equals brute force, and the score of a region of that cell alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vfs_panel.analysis.similarity import best_match, by_match, directions, similar_cells
from vfs_panel.features import open_store, store_from_arrays
from vfs_panel.search import RegionSearch


def features(seed, n=3, channels=5, rows=4, columns=6):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n, channels, rows, columns)).astype(np.float32)
    values[rng.random(values.shape) < 0.2] = 0
    return values


@given(seed=st.integers(0, 10_000), scale=st.sampled_from([1e-3, 1.0, 1e4]))
def test_it_is_the_cosine_of_two_cells(seed, scale):
    values = features(seed)
    cell = np.random.default_rng(seed + 1).normal(size=5)
    found = similar_cells(cell * scale, directions(values / scale))
    for n, y, x in np.ndindex(found.shape):
        other = values[n, :, y, x].astype(float)
        length = np.linalg.norm(other)
        expected = other @ cell / length / np.linalg.norm(cell) if length else 0
        assert found[n, y, x] == pytest.approx(expected, abs=1e-6)
    assert np.abs(found).max() <= 1


def test_a_cell_is_like_itself_and_nothing_is_like_an_empty_cell():
    values = np.abs(features(3)) + 0.1
    values[1, :, 2, 2] = 0
    values[2, :, 0, 0] = 1e-30  # rounding, no direction
    others = directions(values)
    assert others.shape == (3, 4, 6, 5)
    found = similar_cells(values[0, :, 1, 4], others)
    assert found[0, 1, 4] == pytest.approx(1, abs=1e-6)
    assert found[1, 2, 2] == found[2, 0, 0] == 0
    assert not similar_cells(np.zeros(5), others).any()
    assert directions(np.zeros((2, 5, 3, 3))).shape == (2, 3, 3, 5)


@pytest.fixture(scope="module", params=["float32", "int8"])
def engine(request, tmp_path_factory):
    out = tmp_path_factory.mktemp("cells") / "f.zarr"
    ids = [f"p{n}" for n in range(8)]
    store_from_arrays({"a": np.abs(features(7, n=8))}, out=out, image=ids, dtype=request.param)
    return RegionSearch(open_store(out), "a")


@settings(max_examples=10, deadline=None)
@given(row=st.integers(0, 3), column=st.integers(0, 5))
def test_it_is_the_score_of_a_region_of_one_cell(engine, row, column):
    mask = np.zeros((4, 6), np.float32)
    mask[row, column] = 1
    store, query = engine.store, engine.query("p0", mask)
    result = engine.search(query, k=4)
    ids = result["image_id"].values.tolist()
    others = directions(store.read_rows("a", np.array([store.row(i) for i in ids])))
    similar = by_match(similar_cells(store.feature("a", "p0").values[:, row, column], others), result, (row, column))
    for n, image_id in enumerate(ids):
        assert similar.values[n] == pytest.approx(engine.heat_map(query, image_id).values, abs=2e-6)
    assert best_match(similar) == (pytest.approx(float(result["score"][0]), abs=2e-6), 1)
    assert similar["image_id"].values.tolist() == ids
