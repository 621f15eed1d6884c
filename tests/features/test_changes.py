"""Scattered rows, and a store that changes under an open reader: what was committed, or an error, nothing else."""

import os
import pickle
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st

from vfs_panel.errors import StoreError
from vfs_panel.features import FeatureStore, open_store, store_from_arrays
from vfs_panel.features.layout import chunk_file
from vfs_panel.settings import settings

N, LAYER = 30, "a"


def make(out: Path, seed: int, name: str = "p") -> FeatureStore:
    values = np.random.default_rng(seed).standard_normal((N, 8, 4, 5)).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VFS_BLOCK_MB", "0.002")
        settings.cache_clear()
        made = store_from_arrays({LAYER: values}, out=out, image=[f"{name}{i}" for i in range(N)])
    settings.cache_clear()
    return made


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return make(tmp_path / "s.zarr", 0)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    return make(tmp_path_factory.mktemp("kept") / "s.zarr", 0)


def file(store: FeatureStore, block: int) -> Path:
    return chunk_file(Path(store.path), LAYER, "features", block, 4)


@given(rows=st.lists(st.integers(0, N - 1), max_size=40), checked=st.booleans())
@settings_of_hypothesis(max_examples=60, deadline=None)
def test_rows_are_those_of_a_slice(kept: FeatureStore, rows: list[int], checked: bool) -> None:
    store = open_store(kept.path)
    everything = kept.read(LAYER, slice(0, N))
    if checked:
        store.read(LAYER, slice(0, N))
    found = store.read_rows(LAYER, np.array(rows, int))
    assert found.dtype == np.float16
    np.testing.assert_array_equal(found, everything[rows])


@pytest.mark.parametrize("bad", [[-1, 3], [0, N]])
def test_rows_that_are_not_there(kept: FeatureStore, bad: list[int]) -> None:
    with pytest.raises(StoreError, match="has rows 0 to 29"):
        kept.read_rows(LAYER, np.array(bad))


def test_a_compressed_store_gives_rows_by_whole_blocks(kept: FeatureStore, tmp_path: Path) -> None:
    """Any codec that zarr knows is read: here the arrays of a store are written again with zstd."""
    shutil.copytree(kept.path, tmp_path / "z.zarr")
    group = zarr.open_group(str(tmp_path / "z.zarr"), mode="r+", use_consolidated=False)[LAYER]
    values, old = group["features"][:], group["features"]
    group.create_array(
        "features", data=values, chunks=old.chunks, overwrite=True, compressors=[zarr.codecs.ZstdCodec(level=1)],
        dimension_names=("image", "channel", "y", "x"),
    )  # fmt: skip
    store = open_store(tmp_path / "z.zarr")
    assert (kept.rows_alone(LAYER), store.rows_alone(LAYER)) == (True, False)
    np.testing.assert_array_equal(store.read_rows(LAYER, np.array([29, 1, 7])), values[[29, 1, 7]])
    np.testing.assert_array_equal(store.read(LAYER, slice(4, 25)), values[4:25])
    file(store, 1).unlink()
    with pytest.raises(StoreError, match="changed since it was opened"):
        store.read_rows(LAYER, np.array([store.blocks(LAYER)[1].start]))
    with pytest.raises(StoreError, match=r"block 1 .* is missing"):
        open_store(store.path).read(LAYER, slice(0, N))


def partial(store: FeatureStore, way: str, block: int = 1) -> np.ndarray:
    start = store.blocks(LAYER)[block].start
    if way == "slice":
        return store.read(LAYER, slice(start, start + 1))
    return store.read_rows(LAYER, np.array([start]))


def rewrite(path: Path) -> None:
    path.write_bytes(path.read_bytes()[::-1])


def replace(path: Path) -> None:
    path.with_name("new").write_bytes(path.read_bytes()[::-1])
    os.replace(path.with_name("new"), path)


def shorten(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


@pytest.mark.parametrize("way", ["slice", "rows"])
@pytest.mark.parametrize("change", [rewrite, replace, shorten, Path.unlink])
def test_a_file_that_changes_under_a_reader(store: FeatureStore, change: object, way: str) -> None:
    before = store.read(LAYER, slice(0, N))
    np.testing.assert_array_equal(partial(store, way)[0], before[store.blocks(LAYER)[1].start])
    change(file(store, 1))  # type: ignore[operator]
    for _ in range(2):
        with pytest.raises(StoreError, match=r"has changed since it was opened; open it again\. Block 1 .*p\d+ to p"):
            partial(store, way)
        with pytest.raises(StoreError, match="has changed since it was opened"):
            store.read(LAYER, slice(0, N))
    np.testing.assert_array_equal(partial(store, way, block=2)[0], before[store.blocks(LAYER)[2].start])
    with pytest.raises(StoreError, match="block 1 of layer 'a' "):
        partial(open_store(store.path), way)


def test_a_file_that_is_copied_over_itself_is_still_good(store: FeatureStore) -> None:
    before = store.read(LAYER, slice(0, N))
    data = file(store, 1).read_bytes()
    file(store, 1).unlink()
    file(store, 1).write_bytes(data)
    np.testing.assert_array_equal(partial(store, "rows")[0], before[store.blocks(LAYER)[1].start])


def test_another_store_in_the_same_place_is_noticed_at_the_first_touch(store: FeatureStore, tmp_path: Path) -> None:
    store.blocks(LAYER)
    shutil.rmtree(store.path)
    other = make(tmp_path / "s.zarr", 1)
    with pytest.raises(StoreError, match="has changed since it was opened; open it again"):
        store.read(LAYER, slice(0, N))
    assert len(other.read(LAYER, slice(0, N))) == N
    shutil.rmtree(store.path)
    with pytest.raises(StoreError, match="has changed since it was opened; open it again"):
        other.read_rows(LAYER, np.array([3]))


def test_ids_of_another_store_are_never_taken_for_this_ones(store: FeatureStore, tmp_path: Path) -> None:
    store.read(LAYER, slice(0, N))  # all but the ids
    shutil.rmtree(store.path)
    other = make(tmp_path / "s.zarr", 1, "other")
    with pytest.raises(StoreError, match="has changed since it was opened; open it again"):
        _ = store.index
    assert other.index.index[0].startswith("other")


def test_many_threads_read_one_store(kept: FeatureStore) -> None:
    store = open_store(kept.path)
    everything = kept.read(LAYER, slice(0, N))
    start = threading.Barrier(8)

    def task(seed: int) -> bool:
        rows = np.random.default_rng(seed).integers(0, N, 50)
        start.wait()
        return all(np.array_equal(store.read_rows(LAYER, rows[:n]), everything[rows[:n]]) for n in range(0, 50, 7))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(task, range(8)))


def test_a_store_can_be_sent_to_another_process(kept: FeatureStore) -> None:
    kept.read(LAYER, slice(0, 3))
    again = pickle.loads(pickle.dumps(kept))
    np.testing.assert_array_equal(again.read(LAYER, slice(0, N)), kept.read(LAYER, slice(0, N)))
