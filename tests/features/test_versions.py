"""A store of an earlier schema version is read, checked, searched and gone on with."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from vfs_panel.errors import StoreError
from vfs_panel.features import FeatureStore, open_store, store_from_arrays, verify
from vfs_panel.features.deriving import convert
from vfs_panel.search import RegionQuery, RegionSearch

FIRST = Path(__file__).parent / "data" / "store_v1.zip"
"""Written by vfs_panel when its schema version was 1: 11 pictures p00 to p10, layers "one" (6×4×4) and "two.b" (8×2×2),
seeded noise, float16, in small blocks."""


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    with zipfile.ZipFile(FIRST) as archive:
        archive.extractall(tmp_path)
    return open_store(tmp_path / "store_v1.zarr")


def original() -> np.ndarray:
    return np.maximum(np.random.default_rng(0).standard_normal((11, 6, 4, 4)), 0).astype(np.float32)


def test_version_1_is_read_and_searched(store: FeatureStore) -> None:
    assert store.attrs["schema_version"] == 1
    assert verify(store.path).ok
    for i in range(11):
        np.testing.assert_array_equal(store.feature("one", f"p{i:02d}"), original()[i].astype(np.float16))
    spec = store.spec("one")
    assert (spec.compression, spec.quantisation, spec.autocast) == ("none", "none", "")
    query = RegionQuery.from_mask(store.feature("one", "p04"), np.ones((4, 4), np.float32))
    assert RegionSearch(store, "one").search(query, k=3, exclude_query=False)["image_id"].values[0] == "p04"
    assert store.findings is None
    assert store.versions("one") == {}


def test_version_1_becomes_2_when_it_is_written_anew(store: FeatureStore, tmp_path: Path) -> None:
    new = convert(store, out=tmp_path / "new.zarr")
    assert new.attrs["schema_version"] == 2
    assert new.index.equals(store.index)
    np.testing.assert_array_equal(new.read("one", slice(0, 11)), store.read("one", slice(0, 11)))


def test_a_later_version_is_refused(store: FeatureStore) -> None:
    file = Path(store.path) / "zarr.json"
    file.write_text(file.read_text().replace('"schema_version": 1', '"schema_version": 9'))
    with pytest.raises(StoreError, match=r"schema version 9; this program reads 1 and 2\. Update vfs_panel"):
        open_store(store.path)


def test_a_layer_joins_a_store_of_version_1(store: FeatureStore) -> None:
    index = store.index
    rng = np.random.default_rng(5)
    values = {name: rng.standard_normal((1, 3, 2, 2)).astype(np.float32) for name in index.index}
    order = [f"p{i:02d}" for i in range(11)]
    new = store_from_arrays(
        {"three": np.concatenate([values[name] for name in order])},
        out=store.path,
        image=order,
        dtype="int8",
        **{name: index.loc[order, name] for name in ("domain", "label", "split", "path")},
    )
    assert new.layers == ["one", "two.b", "three"]
    assert new.attrs["schema_version"] == 2
    assert verify(new.path).ok
    np.testing.assert_array_equal(new.feature("one", "p07"), store.feature("one", "p07"))
    np.testing.assert_allclose(new.feature("three", "p07"), values["p07"][0], atol=0.02)
