"""New pictures join a store; the old ones stay as they are, and searchable, until all are in."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.features.small import PREPROCESSING, N, Net, make_pictures, run
from vfs_panel.errors import StoreError
from vfs_panel.features import extract, open_store, verify
from vfs_panel.features.appending import staging_of
from vfs_panel.features.layout import chunk_file

pytestmark = pytest.mark.usefixtures("small_blocks")


def test_only_the_new_pictures_are_computed(tmp_path: Path) -> None:
    folder = make_pictures(tmp_path / "pictures", range(26))
    store = run(folder, tmp_path / "s.zarr", batch_size=4)
    before = {i: store.feature("two", i).values for i in store.index.index}
    inode = chunk_file(Path(store.path), "one", "features", 0, 4).stat().st_ino
    make_pictures(folder)
    seen: list[str] = []

    from vfs_panel.images.dataset import ImageDataset

    images = ImageDataset.from_folder(folder)
    rgb = images.rgb
    images.rgb = lambda i: (seen.append(i), rgb(i))[1]  # type: ignore[method-assign]
    grown = run(images, tmp_path / "s.zarr", append=True, batch_size=4)
    assert len(grown.index) == N
    assert grown.index.index[:26].tolist() == list(before)
    assert set(seen) == set(grown.index.index[26:]), "old pictures were read again"
    for image_id, values in before.items():
        np.testing.assert_array_equal(grown.feature("two", image_id), values)
    whole = run(folder, tmp_path / "whole.zarr")
    for image_id in grown.index.index[26:]:
        np.testing.assert_allclose(grown.feature("two", image_id), whole.feature("two", image_id), atol=2e-3)
    assert verify(grown.path).ok
    assert chunk_file(Path(grown.path), "one", "features", 0, 4).stat().st_ino == inode, "a full block was copied"
    assert not [f for f in tmp_path.iterdir() if f.name.startswith(".")]
    assert len(run(folder, tmp_path / "s.zarr", append=True).index) == N  # again: nothing to do


def test_a_kill_leaves_the_old_store_and_the_run_goes_on(tmp_path: Path) -> None:
    folder, out = make_pictures(tmp_path / "pictures", range(20)), tmp_path / "s.zarr"
    run(folder, out)
    make_pictures(folder)
    script = (
        "import time\nfrom pathlib import Path\nfrom tests.features.small import *\n"
        "class Slow(Net):\n    def forward(self, x):\n        time.sleep(0.05)\n        return super().forward(x)\n"
        f"extract(Slow(), Path({str(folder)!r}), layers=[], out={str(out)!r}, preprocessing=PREPROCESSING, append=True,"
        " device='cpu', batch_size=2)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script], cwd=Path(__file__).parents[2])
    # A block beyond the last full old one is being made.
    last = len(open_store(out).blocks("one")) + 1
    while not chunk_file(staging_of(out), "one", "committed", last, 1).exists():
        assert process.poll() is None
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert open_store(out).n_images == 20
    assert verify(out).ok
    grown = extract(Net(), folder, layers=[], out=out, preprocessing=PREPROCESSING, append=True, device="cpu")
    assert grown.n_images == N
    assert verify(out).ok


def test_what_cannot_be_added_is_refused_and_nothing_is_lost(tmp_path: Path) -> None:
    folder = make_pictures(tmp_path / "pictures", range(20))
    store = run(folder, tmp_path / "s.zarr")
    other = make_pictures(tmp_path / "other", range(10, 24))
    with pytest.raises(StoreError, match="Put the new ones there"):
        run(other, tmp_path / "s.zarr", append=True)
    make_pictures(folder)
    import torch

    net = Net()
    with torch.no_grad():
        net.one.weight += 1
    with pytest.raises(StoreError, match=r"cannot be added.*weights"):
        extract(net, folder, layers=[], out=store.path, preprocessing=PREPROCESSING, append=True, device="cpu")
    with pytest.raises(StoreError, match="autocast"):
        run(folder, tmp_path / "s.zarr", append=True, autocast="bfloat16")
    assert open_store(store.path).n_images == 20
    assert verify(store.path).ok
    with pytest.raises(StoreError, match="There is no store"):
        run(folder, tmp_path / "none.zarr", append=True)
