"""A query of several regions: the mean of what is looked for, less what is to be kept away from."""

from pathlib import Path

import numpy as np
import pytest

from tests.search import brute
from vfs_panel.errors import QueryError
from vfs_panel.features import store_from_arrays
from vfs_panel.search import RegionQuery, RegionSearch

N = 30


@pytest.fixture(scope="module")
def features() -> np.ndarray:
    return np.maximum(np.random.default_rng(5).normal(size=(N, 16, 5, 5)), 0).astype(np.float32)


@pytest.fixture(scope="module", params=["float32", "int8"])
def engine(
    request: pytest.FixtureRequest, features: np.ndarray, tmp_path_factory: pytest.TempPathFactory
) -> RegionSearch:
    out = tmp_path_factory.mktemp("compound") / "s.zarr"
    store = store_from_arrays({"layer": features}, out=out, image=[f"p{i:02d}" for i in range(N)], dtype="float32")
    return RegionSearch(store, device="cpu", scan=request.param)


def region(engine: RegionSearch, image: str, y: int, x: int, h: int = 2, w: int = 2) -> RegionQuery:
    mask = np.zeros((5, 5), np.float32)
    mask[y : y + h, x : x + w] = 1
    return engine.query(image, mask)


def windows(features: np.ndarray, query: RegionQuery) -> np.ndarray:
    return brute.all_windows(features, query.features, query.mask)


def test_the_score_is_the_one_that_is_documented(engine: RegionSearch, features: np.ndarray) -> None:
    a, b, c = region(engine, "p01", 0, 0), region(engine, "p02", 2, 1, 3, 1), region(engine, "p09", 1, 3, 1, 2)
    query = RegionQuery.combine([a, b], [c], negative_share=0.5)
    best_b = windows(features, b).reshape(N, -1).max(1)
    worst_c = np.maximum(windows(features, c).reshape(N, -1).max(1), 0)
    expected = (windows(features, a) + best_b[:, None, None]) / 2 - 0.5 * worst_c[:, None, None]
    allowed = np.ones(N, bool)
    allowed[[1, 2]] = False  # the pictures that were painted to be looked for, not the one to stay away from
    wanted = brute.matches(expected.astype(np.float32), 12, 2, (2, 2), allowed, None)
    found = engine.search(query, k=12, per_image=2)
    np.testing.assert_allclose(found["score"], [m[0] for m in wanted], atol=1e-6)
    assert found["image_id"].values.tolist() == [f"p{m[1]:02d}" for m in wanted]
    assert list(zip(found["y"].values.tolist(), found["x"].values.tolist(), strict=True)) == [m[2:] for m in wanted]
    error = np.abs(found["image_score"].values - expected.reshape(N, -1).max(1))[allowed]
    assert error.max() <= found.attrs["bound"] + 1e-6


def test_what_is_to_be_stayed_away_from_goes_down(engine: RegionSearch) -> None:
    a = region(engine, "p01", 0, 0)
    best = engine.search(a, k=1)
    y, x = int(best["y"][0]), int(best["x"][0])
    away = region(engine, str(best["image_id"].values[0]), y, x)
    found = engine.search(RegionQuery.combine([a], [away]), k=N)
    assert found["image_id"].values[0] != best["image_id"].values[0]
    ranks = found["image_id"].values.tolist()
    assert ranks.index(best["image_id"].values[0]) > N // 2
    same = engine.search(RegionQuery.combine([a], [away], negative_share=0), k=3)
    np.testing.assert_array_equal(same["score"], engine.search(a, k=3)["score"])


def test_combining_twice_is_combining_once(engine: RegionSearch) -> None:
    a, b, c = (region(engine, "p01", y, 0) for y in range(3))
    nested = RegionQuery.combine([RegionQuery.combine([a, b]), c])
    assert [share for _, share in nested.regions()] == [pytest.approx(1 / 3)] * 3
    flat = RegionQuery.combine([a, b, c])
    np.testing.assert_array_equal(engine.search(nested, k=4)["score"], engine.search(flat, k=4)["score"])


def test_what_makes_no_query_is_refused(engine: RegionSearch) -> None:
    a = region(engine, "p01", 0, 0)
    with pytest.raises(QueryError, match="at least one region to look for"):
        RegionQuery.combine([], [a])
    with pytest.raises(QueryError, match="negative_share is -1"):
        RegionQuery.combine([a], [a], negative_share=-1)
    with pytest.raises(QueryError, match="of one layer"):
        RegionQuery.combine([a, RegionQuery.from_mask(np.ones((3, 2, 2)), np.ones((2, 2)))])


def test_regions_of_two_networks_make_no_query(engine: RegionSearch, features: np.ndarray, tmp_path: Path) -> None:
    names = [f"p{i:02d}" for i in range(N)]
    store = store_from_arrays(
        {"layer": features}, out=tmp_path / "o.zarr", image=names, network="another", dtype="float32"
    )
    mask = np.zeros((5, 5), np.float32)
    mask[1, 1] = 1
    other = RegionQuery.from_mask(store.feature("layer", "p03"), mask, spec=store.spec("layer"))
    with pytest.raises(QueryError, match="another"):
        RegionQuery.combine([region(engine, "p01", 0, 0), other])
    with pytest.raises(QueryError, match="another"):
        engine.search(other)
    assert engine.search(region(engine, "p01", 0, 0), k=2).sizes["rank"] == 2  # and the engine goes on
