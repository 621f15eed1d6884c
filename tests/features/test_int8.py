"""int8: what is lost is known, what is stored is what is searched, and it is a quarter of the size."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from vfs_panel.errors import StoreError
from vfs_panel.features import open_store, store_from_arrays, verify
from vfs_panel.features.layout import chunk_file
from vfs_panel.features.packing import pack, unpack
from vfs_panel.search import RegionQuery, RegionSearch

finite = st.floats(-1e4, 1e4, width=32) | st.sampled_from([0.0, 1e-38, 1e-31, 3e-30, 1e30, -1e30])


@given(hnp.arrays(np.float32, (2, 5, 2, 3), elements=finite))
@settings_of_hypothesis(max_examples=150, deadline=None)
def test_rounding_takes_half_a_step_at_most(values: np.ndarray) -> None:
    packed = pack(torch.from_numpy(values), "int8", ["a", "b"], "layer")
    back = unpack(packed["features"], packed["scale"]).astype(np.float64)
    step = np.abs(values).max(1, keepdims=True).astype(np.float64) / 127
    assert (np.abs(back - values) <= step * 0.5001 + 1e-30).all()
    norm2 = (back**2).sum(1)
    kept = norm2 < 3e38  # squares of larger ones have no room in float32
    np.testing.assert_allclose(packed["norm2"][kept], norm2[kept], rtol=1e-4, atol=1e-35)
    length = np.sqrt((values.astype(np.float64) ** 2).sum(1))
    lost = np.sqrt(((back - values) ** 2).sum(1)) / np.where(length > 0, length, 1)
    known = (length > 1e-18) & (length < 1e18)  # float32 squares neither under- nor overflow there
    np.testing.assert_allclose(packed["lost"][known].astype(float), lost[known], rtol=2e-3, atol=1e-4)


def test_it_reads_as_float32_and_verifies(tmp_path: Path, small_blocks: None) -> None:
    values = np.random.default_rng(0).standard_normal((30, 16, 4, 5)).astype(np.float32)
    store = store_from_arrays({"a": values}, out=tmp_path / "s.zarr", dtype="int8")
    assert len(store.blocks("a")) > 2
    read = store.read("a", slice(0, 30))
    assert read.dtype == np.float32
    assert np.abs(read - values).max() < np.abs(values).max() / 200
    np.testing.assert_array_equal(store.read_rows("a", np.array([17, 3, 29])), read[[17, 3, 29]])
    np.testing.assert_array_equal(store.features("a").values, read)
    np.testing.assert_array_equal(store.feature("a", "7"), read[7])
    assert 0 < store.lost("a").max() < 0.02
    assert store.spec("a").to_attrs()["quantisation"] == "int8, one scale per cell"
    assert verify(store.path).ok
    chunk_file(Path(store.path), "a", "scale", 1, 3).unlink()
    with pytest.raises(StoreError, match="has lost its scales"):
        open_store(store.path).read("a", slice(0, 30))


@pytest.mark.parametrize("scan", ["auto", "stored"])
def test_a_search_finds_what_is_stored(tmp_path: Path, small_blocks: None, scan: str) -> None:
    rng = np.random.default_rng(1)
    values = np.maximum(rng.standard_normal((60, 16, 5, 5)), 0).astype(np.float32)
    store = store_from_arrays({"a": values}, out=tmp_path / "s.zarr", dtype="int8")
    as_stored = store_from_arrays({"a": store.read("a", slice(0, 60))}, out=tmp_path / "f.zarr", dtype="float32")
    mask = rng.random((5, 5)).astype(np.float32)
    mask[3:] = 0
    found = []
    for one, how in ((store, scan), (as_stored, "float32")):
        query = RegionQuery.from_mask(one.feature("a", "3"), mask, image_id="3")
        found.append(RegionSearch(one, "a", scan=how).search(query, k=12))
    assert found[0]["image_id"].values.tolist() == found[1]["image_id"].values.tolist()
    np.testing.assert_allclose(found[0]["score"], found[1]["score"], atol=1e-6)


def test_it_is_a_quarter_of_float32_and_compressed_less(tmp_path: Path, block_mb: Callable[[float], None]) -> None:
    block_mb(2)
    values = np.random.default_rng(0).standard_normal((96, 512, 7, 7)).astype(np.float32)
    relu = np.maximum(values - 0.5, 0)

    def size(name: str, features: np.ndarray, **options: str) -> int:
        store = store_from_arrays({"a": features}, out=tmp_path / name, **options)  # type: ignore[arg-type]
        assert verify(store.path).ok
        return sum(f.stat().st_size for f in Path(store.path).rglob("*") if f.is_file())

    whole = size("float32", relu, dtype="float32")
    assert size("int8", relu, dtype="int8") <= 0.27 * whole
    assert size("packed", relu, dtype="int8", compression="zstd") < 0.2 * whole
