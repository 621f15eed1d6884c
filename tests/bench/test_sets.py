"""Synthetic sets are sound stores, the same every time, with neighbours to find; repeated blocks take no room."""

import shutil
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest

from vfs_panel.bench import sets
from vfs_panel.bench.sets import LAYER, Recipe
from vfs_panel.errors import BenchError
from vfs_panel.features import FeatureStore, open_store, verify
from vfs_panel.settings import settings


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VFS_BLOCK_MB", "0.1")
    settings.cache_clear()


def test_a_set_is_a_sound_store(tiny_set: FeatureStore) -> None:
    assert tiny_set.n_images == 90
    assert tiny_set.spec(LAYER).grid == (16, 7, 7)
    assert verify(tiny_set.path).ok


def test_the_same_every_time(tmp_path: Path, tiny_set: FeatureStore) -> None:
    again = sets.build(Recipe(90, (16, 7, 7)), tmp_path / "again.zarr")
    assert np.array_equal(again.read(LAYER, slice(None)), tiny_set.read(LAYER, slice(None)))


@pytest.mark.parametrize(("recipe", "share"), [(Recipe(200, (64, 7, 7)), 0.5), (sets.real_like(60, 64), 0.1)])
def test_as_sparse_as_said(tmp_path: Path, recipe: Recipe, share: float) -> None:
    features = sets.build(recipe, tmp_path / "set.zarr").read(LAYER, slice(None))
    assert features.min() == 0
    assert (features > 0).mean() == pytest.approx(share, rel=0.15)
    assert f"{share:.0%}" in recipe.made


def test_pictures_of_a_group_are_alike_and_none_are_the_same(tmp_path: Path, small_blocks: None) -> None:
    store = sets.build(Recipe(120, (32, 7, 7)), tmp_path / "set.zarr")
    assert len(store.blocks(LAYER)) > 3
    flat = store.read(LAYER, slice(None)).reshape(120, -1).astype(np.float64)
    flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    cosine = flat @ flat.T
    group = np.arange(120) // sets.SCENE
    same = (group[:, None] == group) & ~np.eye(120, dtype=bool)
    # Blocks end within groups: a block makes its groups anew, so a few of them are two.
    assert cosine[same].mean() > cosine[group[:, None] != group].mean() + 0.05
    assert cosine[~np.eye(120, dtype=bool)].max() < 0.999


def test_repeated_blocks_are_links(tmp_path: Path, small_blocks: None) -> None:
    base = sets.build(Recipe(100, (16, 7, 7)), tmp_path / "base.zarr")
    rows = base.blocks(LAYER)[0].stop
    whole = 100 // rows * rows
    store = sets.repeated(base, 730, tmp_path / "many.zarr")
    features = store.read(LAYER, slice(None))
    expected = np.resize(base.read(LAYER, slice(0, whole)), (730, 16, 7, 7))
    assert np.array_equal(features, expected)
    assert np.array_equal(store.norm2(LAYER), np.resize(base.norm2(LAYER)[:whole], (730, 7, 7)))
    assert verify(store.path).ok
    files = sets.feature_files(store)
    assert files[0].samefile(sets.feature_files(base)[0])
    assert len({file.stat().st_ino for file in files}) < len(files)


def test_too_little_space_is_said_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**12, 10**12 - 10**9, 10**9))
    with pytest.raises(BenchError, match=r"writes 2\.5 GB to .* has 1\.0 GB free\. Free .*--folder.*--size small"):
        sets.build(Recipe(50_000), tmp_path / "set.zarr")
    assert not list(tmp_path.iterdir())


def test_the_folder_is_removed_whatever_happens(tmp_path: Path) -> None:
    def stopped() -> None:
        with sets.temporary_folder(tmp_path) as folder:
            sets.build(Recipe(20, (16, 7, 7)), folder / "set.zarr")
            assert open_store(folder / "set.zarr").n_images == 20
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="--folder"), sets.temporary_folder(tmp_path / "none"):
        pass
