"""Arrays of any library come in by parts: never whole, and each chunk of a file once."""

from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import torch
import xarray as xr
import zarr

from vfs_panel.errors import StoreError
from vfs_panel.features import store_from_arrays, verify
from vfs_panel.settings import settings

N, SHAPE = 60, (60, 4, 3, 5)
COLUMNS = {"image": [f"p{i:02d}" for i in range(N)], "domain": [str(i % 7) for i in range(N)]}


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.setenv("VFS_BLOCK_MB", "0.001")
    settings.cache_clear()
    yield
    settings.cache_clear()


def values() -> np.ndarray:
    return np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)


class Counted:
    """An array in chunks of 8 pictures that notes what was read; whole, it cannot be had."""

    chunks = (8, *SHAPE[1:])

    def __init__(self) -> None:
        self.shape, self.dtype, self.reads = SHAPE, np.dtype(np.float32), []  # type: ignore[var-annotated]

    def __getitem__(self, at: Any) -> np.ndarray:
        rows = at[0] if isinstance(at, tuple) else at
        start, stop, _ = rows.indices(N)
        self.reads.append((start, stop))
        return values()[start:stop]

    def __array__(self, *_: object, **__: object) -> np.ndarray:
        raise AssertionError("read whole")


def kinds(folder: Path) -> dict[str, Any]:
    zarr.create_array(str(folder / "z"), data=values(), chunks=(9, 2, 3, 5))
    map_ = np.lib.format.open_memmap(folder / "m.npy", "w+", np.float32, SHAPE)
    map_[:] = values()
    return {
        "zarr": zarr.open_array(str(folder / "z"), mode="r"),
        "memmap": map_,
        "dask": da.from_array(values(), chunks=(13, 4, 3, 5)),
        "xarray": xr.DataArray(values(), dims=("image", "channel", "y", "x")),
        "torch": torch.from_numpy(values()).requires_grad_(),
        "list": values().tolist(),
        "big-endian": values().astype(">f8"),
        "counted": Counted(),
    }


@pytest.mark.parametrize(
    "kind", ["zarr", "memmap", "dask", "xarray", "torch", "list", "big-endian", "counted"]
)  # fmt: skip
def test_every_kind_of_array(tmp_path: Path, kind: str) -> None:
    store = store_from_arrays({"a": kinds(tmp_path)[kind]}, out=tmp_path / "s", dtype="float32", **COLUMNS)
    assert len(store.blocks("a")) > 10
    order = np.argsort(store.index.index.to_numpy(str))
    assert (order != np.arange(N)).any()
    np.testing.assert_array_equal(store.read("a", slice(0, N))[order], values())


def test_each_chunk_is_read_once_while_memory_allows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lazy = Counted()
    store_from_arrays({"a": lazy}, out=tmp_path / "s", **COLUMNS)
    assert lazy.reads == [(start, min(start + 8, N)) for start in range(0, N, 8)]
    monkeypatch.setenv("VFS_MEMORY_MB", "0.003")  # of 12 pictures, in blocks of 8 ones
    settings.cache_clear()
    lazy = Counted()
    store_from_arrays({"a": lazy}, out=tmp_path / "t", **COLUMNS)
    assert all(stop - start <= 8 for start, stop in lazy.reads)
    assert len(lazy.reads) > 20


def test_bfloat16_is_widened(tmp_path: Path) -> None:
    given = torch.from_numpy(values()).bfloat16()
    store = store_from_arrays({"a": given}, out=tmp_path / "s", dtype="float32")
    np.testing.assert_array_equal(store.read("a", slice(0, N)), given.float().numpy())


@pytest.mark.parametrize("given", [np.full((2, 2, 2, 2), "x"), np.ones((2, 2, 2, 2), complex)])
def test_what_is_no_number_is_named(tmp_path: Path, given: np.ndarray) -> None:
    with pytest.raises(StoreError, match="Layer 'a' is of type"):
        store_from_arrays({"a": given}, out=tmp_path / "s")


def test_other_features_of_the_same_ids_are_not_mixed_in(tmp_path: Path) -> None:
    store_from_arrays({"a": values()}, out=tmp_path / "s", **COLUMNS)
    store_from_arrays({"a": values()}, out=tmp_path / "s", **COLUMNS)
    with pytest.raises(StoreError, match="holds other features of layer 'a' than this run has, of p00"):
        store_from_arrays({"a": values()[::-1]}, out=tmp_path / "s", **COLUMNS)


def test_a_block_of_zeros_is_written(tmp_path: Path) -> None:
    given = values()
    given[:40] = 0
    store = store_from_arrays({"a": given}, out=tmp_path / "s", image=COLUMNS["image"])
    np.testing.assert_array_equal(store.read("a", slice(0, 40)), 0)
    assert verify(store.path).ok
