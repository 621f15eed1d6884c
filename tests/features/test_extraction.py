"""Pictures become a store: exactly, once, and resumable after anything."""

import errno
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.features.small import PREPROCESSING, N, Net, make_pictures, run, same
from vfs_panel.cores import cores as counted
from vfs_panel.cores import use_cores
from vfs_panel.errors import ImageError, StoreError
from vfs_panel.features import extract, extraction, open_store, verify
from vfs_panel.features import writer as writing
from vfs_panel.features.layout import chunk_file
from vfs_panel.images.dataset import ImageDataset
from vfs_panel.images.preprocessing import Preprocessing
from vfs_panel.settings import settings


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.setenv("VFS_BLOCK_MB", "0.004")
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_pictures(tmp_path / "pictures")


def test_features_are_those_of_the_network(folder: Path, tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    store = run(folder, tmp_path / "s.zarr", batch_size=7, progress=lambda done, total: calls.append((done, total)))
    assert calls[-1] == (N, N)
    assert store.index["domain"].value_counts().to_dict() == {"day": 20, "night": 20}
    assert len(store.blocks("one")) > 3
    images, net = ImageDataset.from_folder(folder), Net().eval()
    for image_id in images.ids[::9]:
        x = torch.from_numpy(PREPROCESSING.array(images.rgb(image_id)))[None]
        with torch.inference_mode():
            expected = net.one(x)[0].numpy()
        np.testing.assert_allclose(store.feature("one", image_id), expected, atol=2e-3)
    assert store.spec("one").stride_px == (4, 4)
    assert verify(store.path).ok


def test_large_sets_know_what_a_cell_sees(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(folder, tmp_path / "small.zarr").spec("two").receptive_field_px is None
    monkeypatch.setattr(extraction, "FIELD_SHARE", 2.0)
    store = run(folder, tmp_path / "s.zarr")
    # A 3×3 convolution with stride 4, and another one on top: 3 + 2·4 pixels.
    assert store.spec("one").receptive_field_px == (3, 3)
    assert store.spec("two").receptive_field_px == (11, 11)


@pytest.mark.parametrize("cores", [1, 2])
def test_patterns_autocast_and_networks_side_by_side(folder: Path, tmp_path: Path, cores: int) -> None:
    before = counted()
    use_cores(cores)
    try:
        store = run(folder, tmp_path / "s.zarr", layers=["*"], autocast="bfloat16", batch_size=3)
    finally:
        use_cores(before)
    assert store.layers == ["one", "two"]
    assert store.spec("one").autocast == "bfloat16"
    images, net = ImageDataset.from_folder(folder), Net().eval()
    x = torch.from_numpy(PREPROCESSING.array(images.rgb(images.ids[7])))[None]
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        expected = net.one(x)[0].float().numpy()
    np.testing.assert_allclose(store.feature("one", images.ids[7]), expected, atol=2e-3)
    with pytest.raises(StoreError, match="autocast"):
        run(folder, tmp_path / "s.zarr")


def test_batches_and_blocks_make_no_difference(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a = run(folder, tmp_path / "a.zarr", batch_size=3)
    monkeypatch.setenv("VFS_BLOCK_MB", "100")
    settings.cache_clear()
    b = run(folder, tmp_path / "b.zarr", batch_size=32)
    assert len(b.blocks("one")) == 1
    np.testing.assert_allclose(
        a.read("two", slice(0, N)).astype(float), b.read("two", slice(0, N)).astype(float), atol=2e-3
    )


SCRIPT = """
import sys, time
sys.path.insert(0, {tests!r})
from tests.features.test_extraction import *
class Slow(Net):
    def forward(self, x):
        time.sleep(0.05)
        return super().forward(x)
import os
os.environ["VFS_BLOCK_MB"] = "0.004"
settings.cache_clear()
from vfs_panel.models import load_network
from dataclasses import replace
network = replace(load_network(Slow(), preprocessing=PREPROCESSING), name="Net")
print("started", flush=True)
extract(network, {folder!r}, layers=["one", "two"], out={out!r}, device="cpu", batch_size=2)
print("finished", flush=True)
"""


@pytest.mark.slow
def test_kill_9_and_again_is_the_same_as_unbroken(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "killed.zarr"
    script = SCRIPT.format(tests=str(Path(__file__).parents[2]), folder=str(folder), out=str(out))
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == b"started"
        deadline = time.monotonic() + 60
        committed = chunk_file(out, "two", "committed", 1, 1)
        while not committed.exists() and time.monotonic() < deadline:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    half = open_store(out)
    assert not half.complete("two")
    written = {
        file: file.stat().st_mtime_ns
        for block in half.blocks("two")
        for file in [chunk_file(out, "two", "features", block.start // half.blocks("two")[0].stop, 4)]
    }
    assert written
    store = run(folder, out, batch_size=2)  # as before: another batch size gives other last bits
    assert all(file.stat().st_mtime_ns == at for file, at in written.items()), "a block was written twice"
    assert verify(out).ok
    assert same(store, run(folder, tmp_path / "whole.zarr", batch_size=2))


def test_a_broken_picture_is_named_and_never_shifts_the_others(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = run(folder, tmp_path / "whole.zarr")
    victim = sorted(folder.rglob("*.png"))[5]
    victim.write_bytes(victim.read_bytes()[:600])  # the header is right, the pixels end early
    name = victim.relative_to(folder).as_posix()
    store = run(folder, tmp_path / "skip.zarr")
    assert name in caplog.text
    assert store.index.index[store.index["broken"]].tolist() == [name]
    assert verify(store.path).broken == (name,)
    others = [i for i in store.index.index if i != name]
    for image_id in others[::6]:
        np.testing.assert_allclose(store.feature("one", image_id), whole.feature("one", image_id), atol=2e-3)
    with pytest.raises(ImageError, match=name):
        run(folder, tmp_path / "stop.zarr", on_error="stop")


def test_a_full_disk_leaves_a_store_that_goes_on(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sync, calls = writing.sync, [0]

    def full(*files: Path) -> None:
        calls[0] += 1
        if calls[0] == 20:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(files[0]))
        sync(*files)

    monkeypatch.setattr(writing, "sync", full)
    with pytest.raises(StoreError, match="No space left"):
        run(folder, tmp_path / "s.zarr")
    monkeypatch.setattr(writing, "sync", sync)
    assert not open_store(tmp_path / "s.zarr").complete("two")
    assert same(run(folder, tmp_path / "s.zarr"), run(folder, tmp_path / "whole.zarr"))


TMPFS = """
set -e
mount -t tmpfs -o size={size}k none {mount}
{python} -c '{program}' first
mount -o remount,size=50m {mount}
{python} -c '{program}' again
"""
PROGRAM = """
import os, sys
sys.path.insert(0, "{tests}")
os.environ["VFS_BLOCK_MB"] = "0.02"
from tests.features.test_extraction import *
settings.cache_clear()
try:
    store = run(Path("{folder}"), Path("{mount}/s.zarr"))
    print("finished", verify(store.path).ok)
    np.save("{mount}/../two.npy", store.read("two", slice(0, N)))
except StoreError as error:
    print(len(open_store("{mount}/s.zarr").blocks("one")), "blocks.", error)
"""


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare")
def test_a_disk_that_is_really_full(folder: Path, tmp_path: Path) -> None:
    mount = tmp_path / "disk"
    mount.mkdir()
    if subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "none", mount], check=False).returncode:
        pytest.skip("may not mount a small disk here")
    program = PROGRAM.format(tests=Path(__file__).parents[2], folder=folder, mount=mount)
    script = TMPFS.format(size=180, mount=mount, python=sys.executable, program=program)
    # In a mount namespace of its own: nothing is left behind, however the test ends.
    done = subprocess.run(["unshare", "-m", "sh", "-c", script], capture_output=True, text=True, check=False)
    first, again = done.stdout.strip().splitlines()
    assert re.match(r"[1-9]\d* blocks\. No space left while writing .*goes on where it stopped", first), done.stderr
    assert again == "finished True"
    whole = run(folder, tmp_path / "whole.zarr")
    np.testing.assert_array_equal(np.load(tmp_path / "two.npy"), whole.read("two", slice(0, N)))


def test_a_layer_added_later_leaves_the_others_alone(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "s.zarr"
    run(folder, out, layers=["one"])
    files = {file: file.stat().st_mtime_ns for file in (out / "one" / "features").rglob("*")}
    store = run(folder, out, layers=["two"])
    assert store.layers == ["one", "two"]
    assert all(file.stat().st_mtime_ns == at for file, at in files.items())
    np.testing.assert_array_equal(
        store.read("two", slice(0, N)), run(folder, tmp_path / "w.zarr").read("two", slice(0, N))
    )


def test_other_networks_and_pictures_are_never_mixed_in(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "s.zarr"
    run(folder, out)
    other = Net()
    with torch.no_grad():
        other.one.weight += 1
    with pytest.raises(StoreError, match="weights sha256"):
        extract(other, folder, layers=["one"], out=out, preprocessing=PREPROCESSING, device="cpu")
    with pytest.raises(StoreError, match="preprocessing"):
        run(folder, out, preprocessing=Preprocessing(resize_px=None, crop_px=(16, 16)))
    with pytest.raises(StoreError, match="other pictures"):
        run(ImageDataset.from_folder(folder).subset(ImageDataset.from_folder(folder).ids[:5]), out)
    with pytest.raises(StoreError, match="float32"):
        run(folder, out, dtype="float32")
    (tmp_path / "mine").mkdir()
    with pytest.raises(StoreError, match="no feature store"):
        run(folder, tmp_path / "mine")
    assert verify(out).ok
    # A run that was refused does not keep the next one out.
    assert run(folder, out).complete("one")


def test_a_run_that_was_killed_while_it_made_a_layer_goes_on(folder: Path, tmp_path: Path) -> None:
    whole = run(folder, tmp_path / "whole.zarr")
    out = tmp_path / "s.zarr"
    run(folder, out, layers=["one"])
    group = out / "two"
    (group / "features").mkdir(parents=True)
    (group / "zarr.json").write_text((tmp_path / "whole.zarr" / "two" / "zarr.json").read_text())
    (group / "features" / "0.partial").write_bytes(b"half")
    assert same(run(folder, out), whole)


def test_a_damaged_commit_record_is_mended_by_the_same_run(folder: Path, tmp_path: Path) -> None:
    store = run(folder, tmp_path / "s.zarr")
    blocks = store.blocks("two")
    chunk_file(Path(store.path), "two", "committed", 1, 1).write_bytes(b"damaged")
    assert open_store(store.path).blocks("two") == [blocks[0], *blocks[2:]]
    assert any("commit record" in line for line in verify(store.path).bad)
    assert same(run(folder, tmp_path / "s.zarr"), store)
    assert verify(store.path).ok


def test_the_same_weights_by_another_way_are_the_same_network(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "s.zarr"
    run(folder, out, layers=["one"])
    torch.save(Net().state_dict(), tmp_path / "net.pth")
    assert run(folder, out, layers=["two"], weights=tmp_path / "net.pth").layers == ["one", "two"]


def test_pictures_of_several_sizes_need_one_size(tmp_path: Path) -> None:
    for i, size in enumerate([(20, 20), (24, 20)]):
        Image.new("RGB", size).save(tmp_path / f"{i}.png")
    with pytest.raises(ImageError, match="resizes or crops"):
        run(tmp_path, tmp_path / "s.zarr", preprocessing=Preprocessing(resize_px=None, crop_px=None), on_error="stop")


def test_overflow_of_float16_says_what_to_do(folder: Path, tmp_path: Path) -> None:
    net = Net()
    with torch.no_grad():
        net.two.bias += 1e6
    with pytest.raises(StoreError, match="--dtype float32"):
        extract(net, folder, layers=["two"], out=tmp_path / "s.zarr", preprocessing=PREPROCESSING, device="cpu")
