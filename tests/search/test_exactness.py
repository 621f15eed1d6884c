"""Whatever the scan reads, no member of the true top k is lost, and every score is within its certified bound."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.search import brute
from vfs_panel.features import store_from_arrays
from vfs_panel.search import RegionQuery, RegionSearch, packing, resident

KINDS = ("normal", "sparse", "constant", "zero", "huge", "tiny", "ties", "one hot", "mixed sizes", "near")
_numbers = itertools.count()


def features_of(kind: str, n: int, channels: int, grid: tuple[int, int], seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n, channels, *grid)).astype(np.float32)
    if kind == "sparse":
        values = np.maximum(values - 1, 0)
    elif kind == "constant":
        values[:] = 0.37
    elif kind == "zero":
        values[rng.random(n) < 0.8] = 0
    elif kind == "huge":
        values *= np.float32(1e16)
    elif kind == "tiny":
        values *= np.float32(1e-13)
    elif kind == "ties":
        values = values[rng.integers(0, min(n, 3), n)]
    elif kind == "one hot":
        values = (rng.random(values.shape) < 1 / channels).astype(np.float32)
    elif kind == "mixed sizes":
        values *= (10.0 ** rng.uniform(-4, 4, (n, 1, *grid))).astype(np.float32)
    elif kind == "near":  # scores closer together than any code can tell apart
        values = values[:1] + np.float32(1e-4) * values
    return values


@st.composite
def cases(draw: st.DrawFn) -> dict[str, object]:
    grid = draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    h, w = draw(st.integers(1, grid[0])), draw(st.integers(1, grid[1]))
    return {
        "kind": draw(st.sampled_from(KINDS)),
        "n": draw(st.integers(1, 60)),
        "channels": draw(st.sampled_from([1, 3, 16, 33])),
        "grid": grid,
        "size": (h, w),
        "seed": draw(st.integers(0, 10_000)),
        "k": draw(st.integers(1, 25)),
        "per_image": draw(st.sampled_from([1, 1, 2, 3])),
        "unique": draw(st.booleans()),
        "share": draw(st.sampled_from([1.0, 0.7, 0.1])),
        "dtype": draw(st.sampled_from(["float32", "float16"])),
        "slab": draw(st.sampled_from([1, 7, 1000])),
    }


@pytest.mark.parametrize("scan", ["float32", "bfloat16", "float16", "int8", "int8 packed", "streamed"])
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(case=cases())
def test_no_match_is_ever_lost(
    scan: str, case: dict, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    if scan == "int8 packed" and not packing.available():
        pytest.skip("this PyTorch does not pack")
    n, grid, (h, w) = case["n"], case["grid"], case["size"]
    dtype = "float32" if case["kind"] in ("huge", "tiny") else case["dtype"]
    features = features_of(case["kind"], n, case["channels"], grid, case["seed"]).astype(dtype).astype(np.float32)
    rng = np.random.default_rng(case["seed"] + 1)
    mask = np.where(rng.random((h, w)) < case["share"], rng.uniform(0.01, 1, (h, w)), 0).astype(np.float32)
    own = int(rng.integers(n))
    y0, x0 = int(rng.integers(grid[0] - h + 1)), int(rng.integers(grid[1] - w + 1))
    whole = np.zeros(grid, np.float32)
    whole[y0 : y0 + h, x0 : x0 + w] = mask
    if not (features[own] * whole).any():
        return
    out = tmp_path_factory.getbasetemp() / f"exact{next(_numbers)}.zarr"
    domains = [f"d{i}" for i in rng.integers(0, 4, n)]
    store = store_from_arrays(
        {"layer": features}, out=out, image=[f"p{i}" for i in range(n)], domain=domains, dtype=dtype
    )
    order = [int(i[1:]) for i in store.index.index]  # a store keeps its pictures by domain
    features, domains, own = features[order], [domains[i] for i in order], order.index(own)
    with monkeypatch.context() as patch:
        patch.setattr(resident, "slab_pictures", lambda *_: case["slab"])
        patch.setattr(resident, "faster_packed", lambda *_: scan == "int8 packed")
        engine = (
            RegionSearch(store, device="cpu", memory_mb=1e-6)
            if scan == "streamed"
            else RegionSearch(store, device="cpu", scan=scan.split(maxsplit=1)[0])
        )
    assert engine.scan == ("float32" if scan == "streamed" else scan.split(maxsplit=1)[0])
    query = engine.query(f"p{order[own]}", whole)
    qh, qw = query.box[2:]
    scores = brute.all_windows(features, query.features, query.mask)
    allowed = rng.random(n) < 0.8
    allowed[own] = True
    groups = np.unique(domains, return_inverse=True)[1] if case["unique"] else None
    # Where windows of one picture tie but for rounding, it decides which of them leaves out the others.
    distinct = case["kind"] in ("normal", "sparse", "mixed sizes") and case["channels"] >= 16
    per_image = case["per_image"] if distinct and not case["unique"] else 1
    expected = brute.matches(scores, case["k"] + 1, per_image, (qh, qw), allowed, groups)
    # Clear where rounding cannot turn the order around.
    clear = np.diff([m[0] for m in expected], append=-9) < -1e-6
    expected = expected[: case["k"]]
    options = {"per_image": per_image, "unique": "domain" if case["unique"] else None, "where": allowed}
    true = scores.reshape(n, -1).max(1)
    for after_preview in (False, True):  # whose products are kept, and weighed then
        if after_preview:
            engine.search(query, k=case["k"], exact=False, exclude_query=False, **options)
        found = engine.search(query, k=case["k"], exclude_query=False, **options)
        got = found["score"].values
        assert len(got) == len(expected)
        np.testing.assert_allclose(got, [m[0] for m in expected], rtol=0, atol=3e-7)
        names = [order.index(int(i[1:])) for i in found["image_id"].values]
        for rank, match in enumerate(expected):
            if clear[rank] and (rank == 0 or clear[rank - 1]):
                assert names[rank] == match[1]
        known = np.isfinite(found["image_score"].values)
        assert known.tolist() == allowed.tolist()
        assert np.abs(found["image_score"].values - true)[known].max() <= found.attrs["bound"] + 3e-7


def test_equal_scores_come_in_the_order_of_the_store(tmp_path: Path) -> None:
    features = np.ones((50, 8, 3, 3), np.float32)
    store = store_from_arrays({"layer": features}, out=tmp_path / "s.zarr", image=[f"p{i:02d}" for i in range(50)])
    for scan in ("float32", "bfloat16", "int8"):
        engine = RegionSearch(store, device="cpu", scan=scan)
        query = RegionQuery.from_mask(features[0], np.eye(3, dtype=np.float32), spec=engine.spec)
        found = engine.search(query, k=12)
        assert found["image_id"].values.tolist() == [f"p{i:02d}" for i in range(12)]
        assert set(zip(found["y"].values.tolist(), found["x"].values.tolist(), strict=True)) == {(0, 0)}
        np.testing.assert_array_equal(found["score"], np.float32(1))


def test_few_are_scored_again_and_a_preview_scores_none(tmp_path: Path) -> None:
    features = features_of("sparse", 400, 64, (4, 4), 0)
    store = store_from_arrays({"layer": features}, out=tmp_path / "s.zarr", image=[f"p{i}" for i in range(400)])
    engine = RegionSearch(store, device="cpu", scan="int8")
    query = engine.query("p7", np.pad(np.ones((2, 2), np.float32), 1))
    exact, preview = engine.search(query, k=10), engine.search(query, k=10, exact=False)
    assert (exact.attrs["exact"], preview.attrs["exact"]) == (1, 0)
    assert 10 <= exact.attrs["rescored"] < 200
    assert preview.attrs["rescored"] == 0
    assert 0 < exact.attrs["bound"] < 0.1
    np.testing.assert_allclose(preview["score"], exact["score"], atol=2 * exact.attrs["bound"])
    assert exact.attrs["scan"] == "int8"
