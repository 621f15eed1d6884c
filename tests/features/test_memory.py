"""Features in memory alone are those that a store on disk would have, and are searched alike."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from tests.features.small import PREPROCESSING, Net, make_pictures, run
from vfs_panel.errors import LayerError, StoreError
from vfs_panel.features import features_in_memory
from vfs_panel.images.dataset import ImageDataset
from vfs_panel.models import load_network
from vfs_panel.search import RegionQuery, RegionSearch

pytestmark = pytest.mark.usefixtures("small_blocks")


@pytest.mark.parametrize("dtype", ["float16", "int8"])
def test_it_is_the_store_without_a_disk(tmp_path: Path, dtype: str) -> None:
    folder = make_pictures(tmp_path / "pictures")
    victim = sorted(folder.rglob("*.png"))[5]
    victim.write_bytes(victim.read_bytes()[:600])
    disk = run(folder, tmp_path / "s.zarr", dtype=dtype)
    before = sorted(tmp_path.rglob("*"))
    network = load_network(Net(), preprocessing=PREPROCESSING)
    calls: list[tuple[int, int]] = []
    memory = features_in_memory(
        network, ImageDataset.from_folder(folder), ["o*", "two"], dtype=dtype, device="cpu",
        progress=lambda done, total: calls.append((done, total)),
    )  # fmt: skip
    assert sorted(tmp_path.rglob("*")) == before
    assert calls[-1] == (40, 40)
    assert memory.layers == ["one", "two"]
    assert memory.index[disk.index.columns].equals(disk.index)
    rows = np.array([7, 1, 30])
    for layer in memory.layers:
        np.testing.assert_array_equal(memory.read(layer, slice(3, 20)), disk.read(layer, slice(3, 20)))
        np.testing.assert_array_equal(memory.read_rows(layer, rows), disk.read_rows(layer, rows))
        np.testing.assert_array_equal(memory.norm2(layer), disk.norm2(layer))
        np.testing.assert_array_equal(memory.features(layer).values, disk.features(layer).values)
    mask = np.ones(memory.spec("one").grid[1:], np.float32)
    mask[3:] = 0
    image = str(disk.index.index[2])
    found = [
        RegionSearch(store, "one", scan=scan).search(
            RegionQuery.from_mask(store.feature("one", image), mask, image_id=image), k=6
        )
        for store, scan in ((disk, "auto"), (memory, "auto"), (memory, "stored"))
    ]
    for other in found[1:]:
        assert other["image_id"].values.tolist() == found[0]["image_id"].values.tolist()
        np.testing.assert_allclose(other["score"], found[0]["score"], atol=1e-9)
    again = pickle.loads(pickle.dumps(memory))
    np.testing.assert_array_equal(again.read("two", slice(0, 5)), memory.read("two", slice(0, 5)))
    with pytest.raises(LayerError, match=r"two\.b"):
        memory.spec("two.b")
    with pytest.raises(StoreError, match="in this program's memory"):
        _ = memory.opened_from
