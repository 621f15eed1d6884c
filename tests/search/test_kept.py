"""Products that previews keep: the same results as without them, sooner."""

import threading
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.search import brute
from vfs_panel.errors import QueryError, SearchCancelled
from vfs_panel.features import FeatureStore, store_from_arrays
from vfs_panel.search import RegionQuery, RegionSearch, kept, resident, scan
from vfs_panel.search.kept import KeptProducts
from vfs_panel.search.query import cells_around

N, CHANNELS, GRID = 90, 24, (5, 6)
FEATURES = np.maximum(np.random.default_rng(3).normal(size=(N, CHANNELS, *GRID)), 0).astype(np.float32)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    path = tmp_path_factory.mktemp("kept") / "s.zarr"
    names = [f"p{i:02d}" for i in range(N)]
    return store_from_arrays(
        {"layer": FEATURES},
        out=path,
        image=names,
        domain=[f"d{i % 3}" for i in range(N)],
        dtype="float32",
    )


def order(store: FeatureStore) -> list[int]:
    return [int(name[1:]) for name in store.pictures_index]


def engine_of(store: FeatureStore, type_: str = "int8", *, columns: int | None = None, slab: int = 16) -> RegionSearch:
    """An engine with several slabs and chunks, and room for so many columns; None for plenty, 0 for none."""
    keep_mb = None if columns is None else columns * 4 * N * GRID[0] * GRID[1] / 1e6
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resident, "slab_pictures", lambda *_: slab)
        patch.setattr(resident, "WEIGHED", 20)
        return RegionSearch(store, device="cpu", scan=type_, keep_mb=keep_mb)


def stroke(rng: np.random.Generator, steps: int) -> list[np.ndarray]:
    """Masks of a stroke that grows: cells come in, and those that are in get more of the brush."""
    mask, masks = np.zeros(GRID, np.float32), []
    y, x = int(rng.integers(GRID[0])), int(rng.integers(GRID[1]))
    for _ in range(steps):
        mask = np.minimum(mask * rng.uniform(1, 1.3, GRID), 1).astype(np.float32)
        mask[y, x] = max(float(mask[y, x]), float(rng.uniform(0.1, 1)))
        y = int(np.clip(y + rng.integers(-1, 2), 0, GRID[0] - 1))
        x = int(np.clip(x + rng.integers(-1, 2), 0, GRID[1] - 1))
        masks.append(mask.copy())
    return masks


@given(
    seed=st.integers(0, 10_000),
    type_=st.sampled_from(["int8", "bfloat16", "float16", "float32"]),
    columns=st.sampled_from([0, 3, 8, 20, None]),
    per_image=st.sampled_from([1, 2]),
    ahead=st.booleans(),
)
@settings(max_examples=25, suppress_health_check=list(HealthCheck), derandomize=True)
def test_previews_under_a_pen_are_those_of_a_scan(
    store: FeatureStore, seed: int, type_: str, columns: int | None, per_image: int, ahead: bool
) -> None:
    rng, engine, rows = np.random.default_rng(seed), engine_of(store, type_, columns=columns), order(store)
    features = FEATURES[rows]
    for number, mask in enumerate(stroke(rng, 8)):
        own = rows.index(seed % N)
        query = RegionQuery.from_mask(features[own], mask)
        true = brute.all_windows(features, query.features, query.mask).reshape(N, -1).max(1)
        soon = cells_around(features[own], mask) if ahead else None
        preview = engine.search(query, k=9, per_image=per_image, exact=False, ahead=soon)
        assert np.abs(preview["image_score"].values - true).max() <= preview.attrs["bound"] + 3e-7
        assert (np.diff(preview["score"].values) <= 0).all()
        if number % 3 == 2:
            exact = engine.search(query, k=9)
            np.testing.assert_allclose(exact["score"], np.sort(true)[::-1][:9], rtol=0, atol=3e-7)


def count_products(patch: pytest.MonkeyPatch) -> list[int]:
    """Count the columns that are multiplied with a row of cells."""
    counts: list[int] = []
    multiply = scan.products

    def counted(codes: Any, step: scan.Step, order: scan.Order) -> torch.Tensor:
        counts.append(len(step.weights))
        return multiply(codes, step, order)

    patch.setattr(scan, "products", counted)
    return counts


def test_cells_that_are_known_are_not_multiplied_again(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = engine_of(store)
    counts = count_products(monkeypatch)
    mask = np.zeros(GRID, np.float32)
    mask[1:3, 1:3] = 0.4
    query = engine.query("p07", mask)
    engine.search(query, exact=False)
    assert set(counts) == {4}
    counts.clear()
    mask[1, 1] = 0.9  # more of a cell: the same product
    engine.search(engine.query("p07", mask), exact=False)
    engine.search(engine.query("p07", mask))
    assert not counts
    mask[3, 1] = 0.2
    engine.search(engine.query("p07", mask), exact=False)
    assert set(counts) == {1}
    counts.clear()
    engine.search(engine.query("p08", mask))  # of an exact search alone nothing is kept
    engine.search(engine.query("p08", mask))
    assert len(counts) == 2 * 6 * GRID[0]


def test_cells_around_are_multiplied_along(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = engine_of(store)
    counts = count_products(monkeypatch)
    features = store.feature("layer", "p07").values
    mask = np.zeros(GRID, np.float32)
    mask[2, 2] = 1
    around = cells_around(features, mask)
    assert around.shape == (GRID[0] * GRID[1] - 1, CHANNELS)
    np.testing.assert_array_equal(np.sort(around[:4], 0), np.sort(features[:, [1, 2, 2, 3], [2, 1, 3, 2]].T, 0))
    engine.search(engine.query("p07", mask), exact=False, ahead=around)
    assert set(counts) == {30}  # all of the grid: fewer than a pass may take
    counts.clear()
    for moved in stroke(np.random.default_rng(0), 10):
        engine.search(engine.query("p07", moved), exact=False, ahead=cells_around(features, moved))
    assert not counts
    with pytest.raises(QueryError, match=r"ahead has shape \(5, 3\)"):
        engine.search(engine.query("p07", mask), exact=False, ahead=np.ones((5, 3)))


def test_a_pass_takes_no_more_columns_than_it_may(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resident, "PASS_COLUMNS", 6)
    engine, counts = engine_of(store), count_products(monkeypatch)
    mask = np.zeros(GRID, np.float32)
    mask[2, 2:4] = 1
    around = cells_around(store.feature("layer", "p07").values, mask)
    engine.search(engine.query("p07", mask), exact=False, ahead=around)
    assert set(counts) == {6}


def test_a_search_of_too_many_windows_is_scanned(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, counts = engine_of(store), count_products(monkeypatch)
    mask = np.zeros(GRID, np.float32)
    mask[:2, :2] = 1  # 4 × 5 windows of 4 cells
    query = engine.query("p07", mask)
    for most, kept_then in ((79, False), (80, True)):
        monkeypatch.setattr(resident, "ROWS_MOST", most)
        engine.search(query, exact=False)
        counts.clear()
        engine.search(query, exact=False)
        assert (not counts) == kept_then


def test_what_is_only_likely_pushes_out_nothing_in_use(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, counts = engine_of(store, columns=10), count_products(monkeypatch)
    mask = np.zeros(GRID, np.float32)
    mask[2, 2:4] = 1
    for number, seen in (("p07", {10}), ("p08", {2})):  # all room, then what is needed
        around = cells_around(store.feature("layer", number).values, mask)
        counts.clear()
        engine.search(engine.query(number, mask), exact=False, ahead=around)
        assert set(counts) == seen
    monkeypatch.setattr(kept, "IDLE_S", -1.0)
    counts.clear()
    engine.search(
        engine.query("p09", mask), exact=False, ahead=cells_around(store.feature("layer", "p09").values, mask)
    )
    assert set(counts) == {10}


def test_what_was_used_longest_ago_makes_way() -> None:
    room = KeptProducts((1, 1), 10, 10, 3 * 4 * 10)
    assert (len(room), room.spare()) == (3, 3)
    first = room.take([b"a", b"b", b"c"], [])
    assert sorted(first) == [0, 1, 2]
    assert room.missing([b"d", b"a", b"d", b"e"]) == [0, 3]
    assert room.take([b"d"], [b"a"]) == [first[1]]  # b goes: a is needed beside it
    assert room.missing([b"a", b"b", b"c", b"d"]) == [1]
    assert room.spare() == 0
    room.drop([b"c"])
    assert room.spare() == 1
    assert room.take([b"e"], []) == [first[2]]


def test_no_memory_is_taken_that_may_not_be(store: FeatureStore) -> None:
    codes = resident.resident_bytes(store, "layer", slice(0, N), "int8") / 1e6
    engine = RegionSearch(store, device="cpu", scan="int8", memory_mb=codes * 1.01)
    assert len(engine._backend._shards[0].tier._kept) == 0  # type: ignore[attr-defined]
    assert len(engine_of(store)._backend._shards[0].tier._kept) > 1000  # type: ignore[attr-defined]


def test_a_stopped_preview_leaves_nothing_half_done(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = engine_of(store)
    mask = np.zeros(GRID, np.float32)
    mask[1:4, 1:4] = 0.5
    query = engine.query("p07", mask)
    stop = threading.Event()
    with monkeypatch.context() as patch:
        multiply = scan.products

        def stopping(*args: Any) -> torch.Tensor:
            stop.set()
            return multiply(*args)

        patch.setattr(scan, "products", stopping)
        with pytest.raises(SearchCancelled):
            engine.search(query, exact=False, cancel=stop)
    expected = engine_of(store, columns=0).search(query, exact=False)
    np.testing.assert_allclose(engine.search(query, exact=False)["image_score"], expected["image_score"], atol=1e-6)


def test_searches_in_several_threads_do_not_disturb_each_other(store: FeatureStore) -> None:
    engine = engine_of(store, columns=12)
    plain, rng = engine_of(store, columns=0), np.random.default_rng(5)
    asked = [(f"p{i:02d}", mask) for i in range(6) for mask in stroke(rng, 6)]
    expected = [plain.search(plain.query(name, mask), exact=False)["image_score"].values for name, mask in asked]
    wrong: list[str] = []

    def draw(part: slice) -> None:
        for (name, mask), scores in zip(asked[part], expected[part], strict=True):
            for found in (
                engine.search(engine.query(name, mask), exact=False),
                *engine.progressive(engine.query(name, mask), every_s=9, exact=False),
            ):
                same = np.allclose(found["image_score"].values, scores, atol=1e-6, equal_nan=True)
                wrong.extend([] if same else [name])

    threads = [threading.Thread(target=draw, args=(slice(6 * i, 6 * i + 6),)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_several_regions_and_the_original_s_scores_come_out_the_same(store: FeatureStore) -> None:
    engine, plain = engine_of(store), engine_of(store, columns=0)
    masks = [np.zeros(GRID, np.float32) for _ in range(3)]
    masks[0][1:4, 2:5], masks[1][0, 0], masks[2][3:, 4:] = 0.7, 1.0, 0.4
    first, second, away = (engine.query(f"p{i:02d}", mask) for i, mask in enumerate(masks))
    query = RegionQuery.combine([first, second], [away])
    for exact in (False, True):  # the preview keeps what the exact search then weighs
        for compatible in (False, True):
            options: dict[str, Any] = {"k": 7, "exact": exact, "compatible": compatible, "per_image": 2}
            found, expected = engine.search(query, **options), plain.search(query, **options)
            for name in ("score", "image_score"):
                np.testing.assert_allclose(found[name], expected[name], rtol=0, atol=1e-6)
            for name in ("image_id", "y", "x", "image_y", "image_x"):
                np.testing.assert_array_equal(found[name], expected[name])
