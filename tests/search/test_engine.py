"""Exact search over a store, in memory and from disk."""

from pathlib import Path

import numpy as np
import pytest
import torch

from vfs_panel.errors import QueryError
from vfs_panel.features import FeatureStore, store_from_arrays
from vfs_panel.search import RegionQuery, RegionSearch, kernels, result

N, SHAPE = 40, (12, 6, 7)  # pictures; channel, y, x


@pytest.fixture(scope="module")
def features() -> np.ndarray:
    values = np.random.default_rng(3).standard_normal((N, *SHAPE)).astype(np.float32)
    values[7] = values[3]  # two pictures alike: a tie
    return values


@pytest.fixture(scope="module")
def store(features: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    return store_from_arrays(
        {"layer": features},
        out=tmp_path_factory.mktemp("engine") / "store.zarr",
        image=[f"p{i:02d}" for i in range(N)],
        domain=[f"d{i % 4}" for i in range(N)],
        label=[f"l{i % 5}" for i in range(N)],
        dtype="float32",
    )


@pytest.fixture(scope="module")
def engine(store: FeatureStore) -> RegionSearch:
    return RegionSearch(store, "layer", device="cpu")


@pytest.fixture(scope="module")
def weights() -> np.ndarray:
    values = np.zeros(SHAPE[1:], np.float32)
    values[1:3, 2:5] = [[1.0, 0.5, 0.25], [1.0, 1.0, 0.0]]
    return values


@pytest.fixture(scope="module")
def query(engine: RegionSearch, weights: np.ndarray) -> RegionQuery:
    return engine.query("p03", weights)


def all_scores(store: FeatureStore, features: np.ndarray, query: RegionQuery) -> dict[str, np.ndarray]:
    stored = torch.from_numpy(features).permute(0, 2, 3, 1).contiguous()
    kernel = kernels.make_kernel(torch.from_numpy(query.features), torch.from_numpy(query.mask))
    scores = kernels.region_cosine(stored, kernels.cell_norm2(stored), kernel).numpy()
    return {f"p{i:02d}": s for i, s in enumerate(scores)}


def test_the_best_come_first_and_the_painted_picture_is_left_out_by_identity(
    engine: RegionSearch, features: np.ndarray, query: RegionQuery
) -> None:
    scores = {k: v.max() for k, v in all_scores(engine.store, features, query).items() if k != "p03"}
    expected = sorted(scores, key=lambda i: (-scores[i], list(engine.store.index.index).index(i)))[:10]
    found = engine.search(query, k=10)
    assert found["image_id"].values.tolist() == expected
    assert found["image_id"].values[0] == "p07"  # its twin stays, though it scores 1 as the query would
    assert float(found["score"][0]) == pytest.approx(1, abs=1e-6)
    assert (int(found["y"][0]), int(found["x"][0])) == (1, 2)
    assert np.isnan(float(found["image_score"].sel(image="p03")))
    assert found.attrs["n_searched"] == N - 1


def test_the_picture_itself_wins_where_it_is_kept(engine: RegionSearch, query: RegionQuery) -> None:
    found = engine.search(query, k=2, exclude_query=False)
    assert found["image_id"].values.tolist() == ["p07", "p03"]  # equal scores: in the store's order, l2 before l3
    np.testing.assert_allclose(found["score"], 1, atol=1e-6)


def test_from_disk_is_the_same_as_from_memory(engine: RegionSearch, store: FeatureStore, query: RegionQuery) -> None:
    streamed = RegionSearch(store, "layer", device="cpu", memory_mb=0.001)
    assert "from disk" in streamed.tier
    assert "in memory" in engine.tier
    a, b = engine.search(query, k=15, per_image=2), streamed.search(query, k=15, per_image=2)
    assert a.drop_vars("mask").equals(b.drop_vars("mask"))
    assert (engine.heat_map(query, "p11") == streamed.heat_map(query, "p11")).all()


def test_one_per_domain(engine: RegionSearch, query: RegionQuery) -> None:
    found = engine.search(query, k=10, unique="domain")
    every = engine.search(query, k=N)
    assert sorted(found["domain"].values.tolist()) == ["d0", "d1", "d2", "d3"]
    for rank in range(4):
        of_domain = every["score"].values[every["domain"].values == found["domain"].values[rank]]
        assert float(found["score"][rank]) == of_domain.max()


def test_several_per_picture(engine: RegionSearch, features: np.ndarray, query: RegionQuery) -> None:
    found = engine.search(query, k=N * 3, per_image=3)
    for image in ("p00", "p20"):
        mine = np.flatnonzero(found["image_id"].values == image)
        places = found[["y", "x"]].isel(rank=mine)
        assert len(set(zip(places["y"].values.tolist(), places["x"].values.tolist(), strict=True))) == len(mine)
        scores = all_scores(engine.store, features, query)[image]
        assert float(found["score"][mine[0]]) == pytest.approx(float(scores.max()), abs=1e-6)
    assert (np.diff(found["score"].values) <= 0).all()


def test_a_filter_keeps_to_its_pictures(engine: RegionSearch, query: RegionQuery) -> None:
    only = (engine.store.index["domain"] == "d2").to_numpy()
    found = engine.search(query, k=30, where=only)
    assert set(found["domain"].values.tolist()) == {"d2"}
    assert found.sizes["rank"] == only.sum()


def test_the_heat_map_holds_the_best(engine: RegionSearch, query: RegionQuery) -> None:
    found = engine.search(query, k=3)
    heat = engine.heat_map(query, str(found["image_id"].values[1]))
    assert float(heat.max()) == pytest.approx(float(found["score"][1]), abs=1e-6)
    assert float(heat[int(found["y"][1]), int(found["x"][1])]) == float(heat.max())


def test_the_result_says_where_it_came_from(engine: RegionSearch, query: RegionQuery, tmp_path: Path) -> None:
    found = engine.search(query, k=3)
    for name in ("network", "weights_sha256", "layer", "preprocessing", "store", "query_image", "mask_box", "grid"):
        assert name in found.attrs
    assert found.attrs["mask_box"] == "1,2,2,3"
    assert result.table(found).loc[1, "image_id"] == "p07"
    assert '"image_id": "p07"' in result.to_json(found)
    assert result.to_csv(found).splitlines()[0].startswith("rank,score,image_id")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"k": 0}, "k is 0"),
        ({"per_image": 0}, "per_image is 0"),
        ({"unique": "colour"}, "unique is 'colour'"),
        ({"where": np.zeros(N, bool)}, "filters leave none"),
        ({"where": np.ones(3, bool)}, "one value per picture"),
    ],
)
def test_options_that_make_no_search(
    engine: RegionSearch, query: RegionQuery, options: dict[str, object], message: str
) -> None:
    with pytest.raises(QueryError, match=message):
        engine.search(query, **options)  # type: ignore[arg-type]


def test_a_query_of_another_layer_is_refused(engine: RegionSearch) -> None:
    with pytest.raises(QueryError, match="3 channels"):
        engine.search(RegionQuery.from_mask(np.ones((3, 2, 2)), np.ones((2, 2))))
    with pytest.raises(QueryError, match="smaller region"):
        engine.search(RegionQuery.from_mask(np.ones((12, 9, 9)), np.ones((9, 9))))


def test_an_unknown_device_is_refused(store: FeatureStore) -> None:
    with pytest.raises(QueryError, match="not known"):
        RegionSearch(store, "layer", device="abacus")
    if not torch.cuda.is_available():
        with pytest.raises(QueryError, match="not here"):
            RegionSearch(store, "layer", device="cuda")


def test_scale_of_the_features_does_not_matter(tmp_path: Path, features: np.ndarray, weights: np.ndarray) -> None:
    found = []
    for scale in (1.0, 1e-4, 1e4):
        store = store_from_arrays(
            {"layer": features * np.float32(scale)}, out=tmp_path / f"{scale}.zarr",
            image=[f"p{i:02d}" for i in range(N)],
            dtype="float32",
        )  # fmt: skip
        small = RegionSearch(store, "layer", device="cpu")
        found.append(small.search(small.query("p03", weights), k=N)["score"].values)
    np.testing.assert_allclose(found[1], found[0], atol=1e-6)
    np.testing.assert_allclose(found[2], found[0], atol=1e-6)
