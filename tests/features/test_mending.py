"""Every flipped bit is found, named with its pictures, and mended from pictures and network; nothing else changes."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.features.small import Net, files_of, make_pictures, run
from vfs_panel.errors import NetworkError, StoreError, VFSError
from vfs_panel.features import open_store, verify
from vfs_panel.features.layout import chunk_file
from vfs_panel.features.mending import repair
from vfs_panel.images.preprocessing import Preprocessing


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pictures and their int8 store `s.zarr`. Not to be changed."""
    folder = tmp_path_factory.mktemp("made")
    make_pictures(folder / "pictures")
    with pytest.MonkeyPatch.context() as patch:
        from vfs_panel.settings import settings

        patch.setenv("VFS_BLOCK_MB", "0.0025")
        settings.cache_clear()
        run(folder / "pictures", folder / "s.zarr", dtype="int8")
    settings.cache_clear()
    return folder


@pytest.fixture
def store(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made / "s.zarr", tmp_path / "s.zarr"))


def flip(file: Path, bit: int) -> None:
    data = bytearray(file.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    file.write_bytes(bytes(data))


def found(store: Path) -> bool:
    try:
        return not verify(store).ok
    except VFSError:
        return True


def test_thirty_bits_in_thirty_places_are_found(store: Path) -> None:
    chance = random.Random(0)
    files = sorted(f for f in store.rglob("*") if f.is_file())
    # Every kind of file is hit, and the largest ones most often.
    kinds = {f.relative_to(store).parts[:2]: f for f in files}
    places = [*kinds.values(), *chance.choices(files, [f.stat().st_size for f in files], k=30)]
    missed = []
    for file in places:
        bit = chance.randrange(file.stat().st_size * 8)
        flip(file, bit)
        if not found(store):
            missed.append(f"{file.relative_to(store)} bit {bit}")
        flip(file, bit)
    assert len(places) >= 45
    assert not missed
    assert verify(store).ok


def test_every_bit_of_the_metadata_counts(store: Path) -> None:
    """All of a small file, and bits of the root's spread over its length."""
    for file, step in ((store / "one" / "y" / "zarr.json", 29), (store / "zarr.json", 9973)):
        for bit in range(0, file.stat().st_size * 8, step):
            before = file.read_bytes()
            flip(file, bit)
            assert found(store), f"{file.name} bit {bit}: {before[bit // 8 - 10 : bit // 8 + 10]!r}"
            file.write_bytes(before)


def test_blocks_are_named_and_mended_and_nothing_else_is_touched(store: Path, made: Path) -> None:
    before = files_of(store)
    flip(chunk_file(store, "one", "features", 1, 4), 77)
    chunk_file(store, "two", "features", 0, 4).unlink()
    flip(chunk_file(store, "two", "norm2", 1, 3), 5)
    chunk_file(store, "one", "scale", 3, 3).write_bytes(b"short")
    report = verify(store)
    assert {(p.layer, p.block) for p in report.problems} == {("one", 1), ("two", 0), ("two", 1), ("one", 3)}
    ids = open_store(store).index.index
    assert all(any(str(i) in p.text for i in ids) for p in report.problems)
    touched = {f: f.stat().st_mtime_ns for f in (store / "one" / "features" / "c" / "2").rglob("*")}
    calls: list[tuple[int, int]] = []
    assert repair(store, model=Net(), progress=lambda done, total: calls.append((done, total))).ok
    assert calls[-1] == (40, 40)
    assert calls[0][0] > 0, "all was computed again"
    assert files_of(store) == before
    assert touched == {f: f.stat().st_mtime_ns for f in touched}


def test_metadata_axes_and_index_are_mended(store: Path, made: Path) -> None:
    before = files_of(store)
    flip(store / "one" / "features" / "zarr.json", 8 * 40)
    (store / "domain" / "zarr.json").unlink()
    flip(store / "two" / "x" / "c" / "0", 11)
    flip(store / "label" / "c" / "0", 3)
    assert found(store)
    assert repair(store, model=Net()).ok
    now = files_of(store)
    assert {f for f in before if now.get(f) != before[f]} <= {f for f in before if f.endswith("zarr.json")}
    assert open_store(store).index.equals(open_store(made / "s.zarr").index)


def test_axes_of_cells_that_are_no_whole_pixels_are_mended_to_the_bit(tmp_path: Path) -> None:
    odd = Preprocessing(resize_px=None, crop_px=(38, 38))
    store = Path(run(make_pictures(tmp_path / "p", range(2)), tmp_path / "s.zarr", preprocessing=odd).path)
    before = files_of(store)
    flip(store / "one" / "y" / "c" / "0", 11)
    assert repair(store, model=Net()).ok
    assert files_of(store) == before


@pytest.mark.parametrize("damage", ["flipped quote", "flipped hash", "cut", "gone", "emptied"])
def test_the_root_is_mended_from_a_layer(store: Path, damage: str) -> None:
    before, file = files_of(store), store / "zarr.json"
    text = file.read_text()
    if damage == "gone":
        file.unlink()
    elif damage == "flipped quote":
        flip(file, 8 * text.index('"attributes"'))
    elif damage == "flipped hash":
        flip(file, 8 * (text.index('"weights_sha256": "') + 25))
    else:
        file.write_text(text[:700] if damage == "cut" else "{}")
    flip(chunk_file(store, "two", "committed", 1, 1), 7)
    flip(chunk_file(store, "one", "features", 1, 4), 77)
    layer = store / "one" / "zarr.json"
    flip(layer, 8 * layer.read_text().index('"dtype"') + 80)
    with pytest.raises(StoreError, match=r"no feature store|cannot be mended"):
        repair(store, model=Net())  # what the layer was is known nowhere
    layer.write_bytes(before["one/zarr.json"])
    assert repair(store, model=Net()).ok
    assert files_of(store) == before


def test_another_network_or_other_pictures_mend_nothing(store: Path, tmp_path: Path) -> None:
    flip(chunk_file(store, "one", "features", 1, 4), 77)
    damaged = files_of(store)
    net = Net()
    with torch.no_grad():
        net.one.weight += 1
    with pytest.raises(NetworkError, match="was made by Net with weights"):
        repair(store, model=net)
    assert files_of(store) == damaged
    flip(store / "image" / "c" / "0", 300)
    with pytest.raises(StoreError, match="has other pictures"):
        repair(store, model=Net(), images=make_pictures(tmp_path / "other", range(50, 60)))


def test_a_block_of_broken_pictures_only_is_no_lost_one(tmp_path: Path, block_mb: Callable[[float], None]) -> None:
    block_mb(0.0001)  # a picture each
    folder = make_pictures(tmp_path / "pictures", range(6))
    victim = sorted(folder.rglob("*.png"))[2]
    victim.write_bytes(victim.read_bytes()[:600])
    store = run(folder, tmp_path / "s.zarr")
    assert verify(store.path).ok
    assert len(verify(store.path).broken) == 1
    np.testing.assert_array_equal(store.norm2("one").reshape(6, -1).any(1), ~store.index["broken"].to_numpy(bool))
