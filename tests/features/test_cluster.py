"""The workers of a Dask cluster share one extraction, and may be lost."""

import os
import signal
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.features.small import PREPROCESSING, Net, files_of, make_pictures, run
from vfs_panel.errors import ImageError, StoreError
from vfs_panel.features import extract, open_store, verify
from vfs_panel.features.sharing import on_cluster

distributed = pytest.importorskip("distributed")
pytestmark = pytest.mark.usefixtures("small_blocks")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, env={"VFS_BLOCK_MB": "0.004"}
    ) as made:
        yield made


def slowly(network: type, seconds: float) -> Any:
    """A network that takes its time; of a class that the workers need not know."""

    class Slow(network):  # type: ignore[misc]
        def forward(self, x: Any) -> Any:
            time.sleep(seconds)
            return super().forward(x)

    return Slow()


def test_workers_share_it_and_one_may_die(cluster: Any, tmp_path: Path) -> None:
    folder, out = make_pictures(tmp_path / "pictures"), tmp_path / "s.zarr"
    seen: list[int] = []
    killed: list[int] = []

    def watching(done: int, total: int) -> None:
        seen.append(done)
        if not killed and 0 < done < total:
            victim = next(iter(cluster.workers.values()))
            killed.append(victim.pid)
            os.kill(victim.pid, signal.SIGKILL)

    store = extract(
        slowly(Net, 0.15), folder, layers=["one", "two"], preprocessing=PREPROCESSING, out=out, device="cpu",
        batch_size=2, scheduler=cluster.scheduler_address, progress=watching,
    )  # fmt: skip
    assert killed, "it was done before a worker could be lost"
    assert seen[-1] == store.n_images
    assert verify(out).ok
    whole = run(folder, tmp_path / "whole.zarr", batch_size=2)
    for layer in ("one", "two"):
        assert (store.norm2(layer) == whole.norm2(layer)).all()


def test_what_a_worker_meets_is_said(cluster: Any, tmp_path: Path) -> None:
    folder = make_pictures(tmp_path / "pictures", range(4))
    next(folder.rglob("*.png")).write_bytes(b"\x89PNG\r\n\x1a\n" + b"x" * 200)
    share = partial(
        extract, Net(), layers=["one"], preprocessing=PREPROCESSING, out=tmp_path / "s.zarr", device="cpu",
        scheduler=cluster.scheduler_address,
    )  # fmt: skip
    from vfs_panel.images.dataset import ImageDataset

    images = ImageDataset.from_folder(make_pictures(tmp_path / "good", range(4)))
    (tmp_path / "good" / "day" / "cat" / "00.png").write_bytes(b"gone")
    with pytest.raises(ImageError, match=r"00\.png"):
        share(images, on_error="stop")
    assert share(images).index["broken"].sum() == 1  # the same store goes on


def test_what_nobody_foresaw_on_a_worker_is_no_lost_worker(cluster: Any, tmp_path: Path) -> None:
    def job() -> None:
        raise RuntimeError("a driver is gone\nwith details")

    with pytest.raises(StoreError, match=r"stopped: RuntimeError: a driver is gone\. What is written is kept"):
        on_cluster(cluster.scheduler_address, job, tmp_path / "s.zarr")


def test_nobody_at_the_address(tmp_path: Path) -> None:
    folder = make_pictures(tmp_path / "pictures", range(4))
    with pytest.raises(StoreError, match="does not answer"):
        run(folder, tmp_path / "s.zarr", scheduler="tcp://127.0.0.1:9")
    with pytest.raises(StoreError, match="by one process"):
        run(folder, tmp_path / "s.zarr", scheduler="tcp://127.0.0.1:9", append=True)
    assert not (tmp_path / "s.zarr").exists()
    assert files_of(tmp_path / "s.zarr") == {}
    with pytest.raises(StoreError):
        open_store(tmp_path / "s.zarr")
