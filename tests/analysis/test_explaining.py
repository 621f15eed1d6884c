"""The parts of a score sum to it, and the map of a picture holds it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vfs_panel.analysis.explaining import explain
from vfs_panel.features import open_store
from vfs_panel.search import RegionSearch


@pytest.fixture(scope="module")
def engine(kept_store):
    return RegionSearch(open_store(kept_store), "stage3")


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), h=st.integers(1, 4), w=st.integers(1, 4))
def test_cells_and_channels_sum_to_the_score(engine, seed, h, w):
    rng = np.random.default_rng(seed)
    mask = np.zeros(engine.spec.grid[1:], np.float32)
    y, x = rng.integers(0, mask.shape[0] - h), rng.integers(0, mask.shape[1] - w)
    mask[y : y + h, x : x + w] = rng.random((h, w)) * 0.9 + 0.1
    ids = list(engine.store.index.index)
    query = engine.query(ids[0], mask)
    result = engine.search(query, k=3)
    row = result.isel(rank=int(rng.integers(3)))
    found = explain(engine, query, str(row["image_id"].item()), int(row["y"]), int(row["x"]))
    assert found.score == pytest.approx(float(row["score"]), abs=2e-6)
    assert found.cells.sum() == pytest.approx(found.score, abs=1e-5)
    assert found.channels.sum() == pytest.approx(found.score, abs=1e-5)
    assert found.shares().sum() == pytest.approx(1, abs=1e-4)
    assert np.nanmax(found.scores) == pytest.approx(found.score, abs=2e-6)
    assert found.cells.shape == (h, w)
    if found.elsewhere is not None:
        score, other_y, other_x = found.elsewhere
        assert score <= found.score + 1e-6
        assert abs(other_y - found.y) >= (h + 1) // 2 or abs(other_x - found.x) >= (w + 1) // 2


def test_its_own_picture_scores_one_and_no_channel_is_most_of_it(engine):
    ids = list(engine.store.index.index)
    mask = np.zeros(engine.spec.grid[1:], np.float32)
    mask[3:6, 4:7] = 1
    found = explain(engine, engine.query(ids[0], mask), ids[0], 3, 4)
    assert found.score == pytest.approx(1, abs=1e-5)
    top = found.top_channels(6)
    assert [share for _, share in top] == sorted((share for _, share in top), reverse=True)
