"""Exact search over a store, in memory and from disk."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
import zarr

from vfs_panel.errors import OutOfMemoryError, QueryError, SearchCancelled, StoreError
from vfs_panel.features import FeatureStore, layout, open_store, store_from_arrays
from vfs_panel.search import RegionQuery, RegionSearch, kernels, resident, result, shard, tiers
from vfs_panel.search.ask import Answer, Ask, Cancel
from vfs_panel.search.together import MOST, Together

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
    for name in ("score", "image_id", "y", "x"):
        np.testing.assert_array_equal(a[name], b[name])
    np.testing.assert_allclose(a["image_score"], b["image_score"], atol=a.attrs["bound"] + b.attrs["bound"])
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


def test_a_filter_by_columns_of_the_index(engine: RegionSearch, query: RegionQuery) -> None:
    found = engine.search(query, k=N, where={"domain": ["d1", "d2"], "label": "l0"})
    assert set(found["domain"].values) == {"d1", "d2"}
    assert set(found["label"].values) == {"l0"}
    with pytest.raises(QueryError, match=r"no column 'colour'; it has .*domain"):
        engine.search(query, where={"colour": "red"})
    with pytest.raises(QueryError, match=r"No picture has domain 'd9'; there is, for example, d0, d1"):
        engine.search(query, where={"domain": ["d1", "d9"]})


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


@pytest.mark.parametrize("scan", ["float32", "bfloat16", "int8"])
def test_every_way_to_hold_features_gives_the_same_matches(
    engine: RegionSearch, store: FeatureStore, query: RegionQuery, scan: str
) -> None:
    other = RegionSearch(store, "layer", device="cpu,cpu,cpu", scan=scan)  # three shards
    assert other.scan == scan
    for options in ({"k": 15, "per_image": 2}, {"k": 9, "unique": "label"}, {"k": 500}, {"compatible": True}):
        a, b = engine.search(query, **options), other.search(query, **options)
        for name in ("score", "image_id", "y", "x", "label"):
            np.testing.assert_array_equal(a[name], b[name])


def test_several_queries_in_one_pass_are_each_on_their_own(engine: RegionSearch, weights: np.ndarray) -> None:
    queries = [engine.query(f"p{i:02d}", np.roll(weights, i % 3, 1)) for i in range(6)]
    together = engine.search_many(queries, k=7)
    for query, found in zip(queries, together, strict=True):
        alone = engine.search(query, k=7)
        for name in ("score", "image_id", "y", "x"):
            np.testing.assert_array_equal(found[name], alone[name])
        np.testing.assert_allclose(found["image_score"], alone["image_score"], atol=1e-6)
    assert engine.search_many([]) == []


def test_threads_that_ask_at_once_share_a_pass(store: FeatureStore, weights: np.ndarray) -> None:
    engine = RegionSearch(store, "layer", device="cpu")
    passes: list[int] = []
    answers = engine._backend.answers

    def counted(asks: list[Ask], cancel: Cancel | None) -> list[Answer]:
        passes.append(len(asks))
        time.sleep(0.05)
        return answers(asks, cancel)

    engine._together = Together(counted)
    queries = [engine.query(f"p{i:02d}", weights) for i in range(12)]
    with ThreadPoolExecutor(12) as pool:
        found = list(pool.map(lambda query: engine.search(query, k=5), queries))
    assert sum(passes) == 12
    assert len(passes) <= 4  # the first one goes alone, the others wait for it
    for query, result_ in zip(queries, found, strict=True):
        np.testing.assert_array_equal(result_["image_id"], engine.search(query, k=5)["image_id"])


def test_searches_of_two_kinds_and_of_more_than_one_pass_all_come_back() -> None:
    sizes: list[int] = []

    def answers(asks: list[Ask], _: Cancel | None) -> list[Answer]:
        assert len({ask.compatible for ask in asks}) == 1
        sizes.append(len(asks))
        time.sleep(0.02)
        return [f"answer {ask.k}" for ask in asks]  # type: ignore[misc]

    together = Together(answers)
    allowed = np.ones(1, bool)
    asks = [Ask(kernels=(), shares=(), floors=(), allowed=allowed, k=k, compatible=k % 3 == 0) for k in range(40)]
    with ThreadPoolExecutor(40) as pool:
        found = list(pool.map(together.answer, asks, timeout=20))
    assert found == [f"answer {k}" for k in range(40)]
    assert max(sizes) <= MOST


def test_one_bad_search_does_not_spoil_those_beside_it() -> None:
    def answers(asks: list[Ask], _: Cancel | None) -> list[Answer]:
        if any(ask.k == 13 for ask in asks):
            raise StoreError("block 3 is damaged")
        time.sleep(0.02)
        return [f"answer {ask.k}" for ask in asks]  # type: ignore[misc]

    together = Together(answers)
    allowed = np.ones(1, bool)
    asks = [Ask(kernels=(), shares=(), floors=(), allowed=allowed, k=k) for k in range(10, 16)]
    with ThreadPoolExecutor(6) as pool:
        futures = [pool.submit(together.answer, ask) for ask in asks]
        for ask, future in zip(asks, futures, strict=True):
            if ask.k == 13:
                with pytest.raises(StoreError, match="block 3"):
                    future.result()
            else:
                assert future.result() == f"answer {ask.k}"


def test_progress_ends_with_the_result(
    store: FeatureStore, engine: RegionSearch, query: RegionQuery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiers, "LOAD_MB", 0.02)  # some ten pictures at a time
    for memory_mb in (None, 0.001):
        other = RegionSearch(store, "layer", device="cpu", memory_mb=memory_mb)
        steps = list(other.progressive(query, every_s=0, k=5))
        progress = [float(step.attrs["progress"]) for step in steps]
        assert progress == sorted(progress)
        assert (progress[-1], len(steps) > 1) == (1.0, True)
        assert [int(step.attrs["exact"]) for step in steps] == [0] * (len(steps) - 1) + [1]
        known = [int(np.isfinite(step["image_score"]).sum()) for step in steps]
        assert known == sorted(known)
        assert known[0] < N - 1
        np.testing.assert_array_equal(steps[-1]["image_id"], engine.search(query, k=5)["image_id"])


def test_a_search_can_be_stopped(store: FeatureStore, query: RegionQuery) -> None:
    engine = RegionSearch(store, "layer", device="cpu")
    cancel = threading.Event()
    steps = engine.progressive(query, every_s=0, cancel=cancel)
    next(steps)
    cancel.set()
    with pytest.raises(SearchCancelled):
        list(steps)
    assert engine.search(query, k=3).sizes["rank"] == 3  # and the engine goes on
    steps = engine.progressive(query, every_s=0)
    next(steps)
    steps.close()
    with pytest.raises(SearchCancelled):  # on several devices, too
        list(RegionSearch(store, "layer", device="cpu,cpu").progressive(query, cancel=cancel))


def test_a_filter_that_leaves_little_reads_only_that(
    engine: RegionSearch, store: FeatureStore, query: RegionQuery
) -> None:
    few = np.zeros(N, bool)
    few[[1, 17, 30]] = True
    found = engine.search(query, where=few)
    every = engine.search(query, k=N)
    assert sorted(found["image_id"].values) == sorted(store.index.index[few & (store.index.index != "p03")])
    for rank in range(found.sizes["rank"]):
        at = every["image_id"].values.tolist().index(found["image_id"].values[rank])
        assert float(found["score"][rank]) == float(every["score"][at])


def test_contributions_add_up_to_the_score(engine: RegionSearch, query: RegionQuery) -> None:
    found = engine.search(query, k=4)
    for rank in range(4):
        image, y, x = str(found["image_id"].values[rank]), int(found["y"][rank]), int(found["x"][rank])
        parts = engine.contributions(query, image, y, x)
        assert parts.dims == ("y", "x", "channel")
        assert float(parts.sum()) == pytest.approx(float(found["score"][rank]), abs=1e-6)
        assert (parts.sum("channel").values[query.mask == 0] == 0).all()
        assert parts["y"].values.tolist() == list(range(y, y + query.mask.shape[0]))
    with pytest.raises(QueryError, match="does not lie on the grid"):
        engine.contributions(query, image, 6, 0)
    with pytest.raises(QueryError, match="not in the store"):
        engine.contributions(query, "nobody", 0, 0)


def test_features_that_are_no_numbers_are_named(tmp_path: Path, features: np.ndarray) -> None:
    names = [f"p{i:02d}" for i in range(N)]
    store_from_arrays({"layer": features}, out=tmp_path / "s.zarr", image=names, dtype="float32")
    group = zarr.open_group(tmp_path / "s.zarr")["layer"]  # as another program might leave it: ours refuses to
    values = group["features"][:]
    values[11, 3, 2, 2], values[13, 0, 0, 0] = np.nan, np.inf
    group["features"][:] = values
    group["norm2"][:] = (values * values).sum(1)
    group["committed"][:] = layout.block_crc(values)
    store = open_store(tmp_path / "s.zarr")
    for memory_mb in (None, 0.001):
        with pytest.raises(StoreError, match=r"p11.*NaN, infinite"):
            RegionSearch(store, device="cpu", memory_mb=memory_mb)


def test_what_does_not_fit_says_so(store: FeatureStore) -> None:
    floats = N * 12 * 6 * 7 * 4 / 1e6
    assert RegionSearch(store, device="cpu", scan="float32").tier.endswith("all features in memory, 1 MB")
    small = RegionSearch(store, device="cpu", memory_mb=floats * 0.95)
    assert small.scan in ("bfloat16", "int8")
    assert "codes in memory" in small.tier
    smaller = RegionSearch(store, device="cpu", memory_mb=floats * 0.5)
    assert (smaller.scan, smaller.choice) == ("int8", "float32 would need 1 MB")
    none = RegionSearch(store, device="cpu", memory_mb=floats * 0.1)
    assert "read from disk" in none.tier
    assert "in memory they would need 1 MB" in none.choice
    with pytest.raises(QueryError, match="scan is 'int4'"):
        RegionSearch(store, device="cpu", scan="int4")


def test_no_memory_after_all_is_no_end(
    store: FeatureStore, query: RegionQuery, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(resident, "empty_codes", full)
    engine = RegionSearch(store, "layer", device="cpu", scan="int8")
    assert "read from disk" in engine.tier
    assert "no memory for int8" in engine.choice
    assert engine.search(query, k=2)["image_id"].values[0] == "p07"


def test_a_search_that_runs_out_of_memory_says_so_and_the_engine_goes_on(
    store: FeatureStore, query: RegionQuery, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = RegionSearch(store, "layer", device="cpu")
    for error in (MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 9 bytes")):
        with monkeypatch.context() as patch:
            patch.setattr(shard, "exact_windows", _raising(error))
            with pytest.raises(OutOfMemoryError, match=r"not enough memory for the search.*VFS_MEMORY_MB"):
                engine.search(query)
    with monkeypatch.context() as patch:  # anything else is a bug and stays one
        patch.setattr(shard, "exact_windows", _raising(RuntimeError("shapes do not agree")))
        with pytest.raises(RuntimeError, match="shapes"):
            engine.search(query)
    assert engine.search(query, k=2)["image_id"].values[0] == "p07"


def _raising(error: Exception) -> Callable[..., None]:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


def test_a_store_that_changes_under_the_engine(tmp_path: Path, features: np.ndarray, weights: np.ndarray) -> None:
    names = [f"p{i:02d}" for i in range(N)]
    store = store_from_arrays({"layer": features}, out=tmp_path / "s.zarr", image=names, dtype="float32")
    engine = RegionSearch(store, device="cpu", scan="int8")
    query = engine.query("p03", weights)
    before = engine.search(query, k=3)
    file = next((tmp_path / "s.zarr" / "layer" / "features" / "c").rglob("0"))
    while file.is_dir():
        file = next(file.iterdir())
    kept = file.read_bytes()
    other = bytearray(kept)
    other[1000] ^= 255
    file.write_bytes(bytes(other))
    with pytest.raises(StoreError, match="changed since it was opened; open it again"):
        engine.search(query, k=3)
    file.write_bytes(kept)
    np.testing.assert_array_equal(engine.search(query, k=3)["image_id"], before["image_id"])


def test_a_pass_stops_when_nobody_waits_for_it() -> None:
    """One search is stopped; of two in one pass, only both together."""
    begun, stopped = threading.Event(), []

    def answers(asks: list[Ask], cancel: Cancel | None) -> list[Answer]:
        begun.set()
        for _ in range(20 if cancel is None else 400):
            time.sleep(0.005)
            if cancel is not None and cancel.is_set():
                stopped.append(len(asks))
                raise SearchCancelled("The search was cancelled.")
        return [f"answer {ask.k}" for ask in asks]  # type: ignore[misc]

    together = Together(answers)
    one, two, three = (Ask(kernels=(), shares=(), floors=(), allowed=np.ones(1, bool), k=k) for k in (1, 2, 3))
    first, second = threading.Event(), threading.Event()
    with ThreadPoolExecutor(3) as pool:
        alone = pool.submit(together.answer, one, first)
        assert begun.wait(5)
        with_others = [pool.submit(together.answer, two, second), pool.submit(together.answer, three)]
        while len(together._waiting) < 2:
            time.sleep(0.001)
        first.set()
        with pytest.raises(SearchCancelled):
            alone.result()
        second.set()
        assert [future.result() for future in with_others] == ["answer 2", "answer 3"]
    assert stopped == [1]


def test_a_search_is_stopped(store: FeatureStore, weights: np.ndarray) -> None:
    engine, cancel = RegionSearch(store, "layer", device="cpu"), threading.Event()
    cancel.set()
    with pytest.raises(SearchCancelled):
        engine.search(engine.query("p00", weights), cancel=cancel)
