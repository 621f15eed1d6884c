"""Searches for pytest-benchmark: `pytest tests/benchmarks --benchmark-enable` times them, by default each runs once.

The full comparison, with larger sets, is `vfs-panel bench`.
"""

from collections.abc import Callable

import pytest
import torch

from vfs_panel.bench import regions, sets, truth
from vfs_panel.bench.contestants import Flat, Found, Ours, Reference, float_features
from vfs_panel.bench.sets import LAYER
from vfs_panel.features import FeatureStore

Benchmark = Callable[..., Found]
GRIDS = {"7x7": sets.Recipe(500, (128, 7, 7)), "13x13 sparse": sets.real_like(100, 128)}


@pytest.fixture(scope="module", params=GRIDS)
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    return sets.build(GRIDS[request.param], tmp_path_factory.mktemp("benchmark") / "set.zarr")


@pytest.fixture(scope="module", params=["float32", "bfloat16", "int8"])
def ours(request: pytest.FixtureRequest, store: FeatureStore) -> Ours:
    return Ours(store, "cpu", request.param)


@pytest.mark.parametrize("mask", regions.MASKS)
def test_exact(benchmark: Benchmark, ours: Ours, store: FeatureStore, mask: str) -> None:
    query = regions.query(store, LAYER, mask)
    found = benchmark(ours.search, query)
    assert truth.disagreement(found, truth.best_scores(store, query).plain, truth.EXACT_TOLERANCE) == ""


@pytest.mark.parametrize("mask", regions.MASKS)
def test_preview(benchmark: Benchmark, ours: Ours, store: FeatureStore, mask: str) -> None:
    query = regions.query(store, LAYER, mask)
    found = benchmark(ours.search, query, exact=False)
    assert truth.right_matches(found, truth.best_scores(store, query).plain) >= 18


@pytest.mark.parametrize("mask", regions.MASKS)
def test_visualfeaturesearch(benchmark: Benchmark, store: FeatureStore, mask: str) -> None:
    query = regions.query(store, LAYER, mask)
    reference = Reference(float_features(store, 100, torch.device("cpu")))
    reference.set_region(
        store.feature(LAYER, str(query.image_id)).to_numpy(), regions.mask(mask, store.spec(LAYER).grid[1:])
    )
    found = benchmark(reference)
    right = truth.best_scores(store, query).compatible[:100]
    assert truth.disagreement(found, right, truth.FLOAT32_TOLERANCE) == ""


def test_faiss(benchmark: Benchmark, store: FeatureStore) -> None:
    query = regions.query(store, LAYER, regions.ONE_CELL)
    flat = Flat(store)
    flat.set_region(query.features[:, 0, 0])
    found = benchmark(flat)
    assert truth.disagreement(found, truth.best_scores(store, query).plain, truth.FLOAT32_TOLERANCE) == ""
