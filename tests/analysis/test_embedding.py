"""Patches on a map: their features are those of the windows, and PCA is PCA."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from vfs_panel.analysis.embedding import best_rows, embed, has_umap, patch_features
from vfs_panel.features import store_from_arrays
from vfs_panel.search import RegionSearch


@pytest.fixture
def searched(tmp_path):
    features = np.random.default_rng(0).standard_normal((40, 8, 6, 6)).astype(np.float32)
    engine = RegionSearch(store_from_arrays({"l": features}, out=tmp_path / "s.zarr", image=range(40)), device="cpu")
    mask = np.zeros((6, 6), np.float32)
    mask[1:3, 2:5] = [[1, 0.5, 0.2], [0.7, 1, 0.1]]
    return features, engine, engine.search(engine.query("3", mask), k=5)


def test_features_are_the_masked_mean_of_the_best_window(searched):
    features, engine, result = searched
    rows = best_rows(result, engine)
    assert len(rows) == 39
    assert result["image"].values[rows[:5]].tolist() == result["image_id"].values.tolist()
    found = patch_features(engine, result, rows)
    mask = result["mask"].values
    for row, vector in zip(rows[:6], found, strict=False):
        y, x = int(result["image_y"][row]), int(result["image_x"][row])
        wanted = (features[row][:, y : y + 2, x : x + 3] * mask).sum((1, 2))
        assert vector == pytest.approx(wanted / np.linalg.norm(wanted), abs=1e-3)


def test_pca_is_that_of_scikit_learn_and_says_what_it_explains(searched):
    _, engine, result = searched
    rows = best_rows(result, engine)
    features = patch_features(engine, result, rows)
    found = embed(features, rows)
    pca = PCA(2).fit(features)
    assert np.abs(found.points) == pytest.approx(np.abs(pca.transform(features)), abs=1e-4)
    assert found.explained == pytest.approx(tuple(pca.explained_variance_ratio_), abs=1e-5)


@pytest.mark.slow
def test_umap_keeps_neighbours_together_and_repeats_itself():
    if not has_umap():
        pytest.skip("umap-learn is not installed")
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((2, 16)).astype(np.float32)
    features = np.repeat(centres, 20, 0) + rng.standard_normal((40, 16)).astype(np.float32) * 0.05
    found = embed(features, np.arange(40), method="umap")
    near, far = (np.linalg.norm(found.points[0] - found.points[part].mean(0)) for part in (slice(20), slice(20, 40)))
    assert near < far
    assert np.array_equal(found.points, embed(features, np.arange(40), method="umap").points)
