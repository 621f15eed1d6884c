"""Several processes make one store, any of them may be killed, and the store is that of an unbroken run."""

import multiprocessing
import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.features.small import Net, files_of, make_pictures, run
from vfs_panel.cores import use_cores
from vfs_panel.features import extract, open_store, verify
from vfs_panel.features.writer import StoreWriter
from vfs_panel.settings import settings

pytestmark = pytest.mark.usefixtures("small_blocks")


class Slow(Net):
    """Takes a while, as a real one does."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        time.sleep(0.01)
        return super().forward(x)


def work(folder: Path, out: Path, log: Path | None = None) -> None:
    """Extract in a process of its own, and note which blocks it wrote."""
    os.environ["VFS_BLOCK_MB"] = "0.004"
    settings.cache_clear()
    use_cores(2)
    write = StoreWriter.write_block

    def noting(self: StoreWriter, block: int, packed: Any) -> None:
        write(self, block, packed)
        if log is not None:
            with log.open("a") as file:
                file.write(f"{os.getpid()} {block}\n")

    StoreWriter.write_block = noting  # type: ignore[method-assign]
    run_slow(folder, out)


def run_slow(folder: Path, out: Path) -> None:
    from tests.features.small import PREPROCESSING

    extract(Slow(), folder, layers=["one", "two"], preprocessing=PREPROCESSING, out=out, device="cpu", batch_size=2)


@pytest.fixture(scope="module")
def processes() -> Any:
    """Processes that start at once: the libraries are loaded in the one they come from."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.features.test_sharing"])
    return context


def test_each_block_is_written_by_one_of_them(tmp_path: Path, processes: Any) -> None:
    folder, log = make_pictures(tmp_path / "pictures"), tmp_path / "log"
    workers = [processes.Process(target=work, args=(folder, tmp_path / "s.zarr", log)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
        assert worker.exitcode == 0
    who, blocks = zip(*(line.split() for line in log.read_text().splitlines()), strict=True)
    store = open_store(tmp_path / "s.zarr")
    assert sorted(map(int, blocks)) == list(range(len(store.blocks("one"))))
    assert len(set(who)) > 1, "one did all the work"
    run_slow(folder, tmp_path / "whole.zarr")
    assert files_of(tmp_path / "s.zarr") == files_of(tmp_path / "whole.zarr")
    assert not list(tmp_path.glob(".*")), "locks are left"


@pytest.mark.slow
def test_twenty_kills_leave_the_store_of_an_unbroken_run(tmp_path: Path, processes: Any) -> None:
    folder, out, log = make_pictures(tmp_path / "pictures"), tmp_path / "s.zarr", tmp_path / "log"
    chance, killed = random.Random(0), 0
    while killed < 20:
        worker = processes.Process(target=work, args=(folder, out, log))
        worker.start()
        deadline = time.monotonic() + chance.uniform(0.02, 0.8)
        while time.monotonic() < deadline and worker.is_alive():
            time.sleep(0.001)
        if not worker.is_alive():
            worker.join()
            assert worker.exitcode == 0
            # It was done before its time: take a third of the store away again, as if that had never been.
            store = open_store(out)
            with StoreWriter(
                out, store.index.drop(columns="broken"), {n: store.spec(n) for n in store.layers}, block_rows=1
            ) as writer:
                for block in range(0, len(writer.blocks), 3):
                    writer.take_back("one", block)
            continue
        os.kill(worker.pid, signal.SIGKILL)
        worker.join()
        killed += 1
    worker = processes.Process(target=work, args=(folder, out, log))
    worker.start()
    worker.join(120)
    assert worker.exitcode == 0
    assert verify(out).ok
    run_slow(folder, tmp_path / "whole.zarr")
    assert files_of(out) == files_of(tmp_path / "whole.zarr")


def test_a_block_of_a_process_that_died_is_made_by_another(tmp_path: Path, processes: Any) -> None:
    folder, out = make_pictures(tmp_path / "pictures"), tmp_path / "s.zarr"
    first = processes.Process(target=work, args=(folder, out))
    first.start()
    while not (out / "one" / "committed" / "c" / "1").exists():
        time.sleep(0.002)
    os.kill(first.pid, signal.SIGSTOP)  # it holds its claims and does nothing
    second = processes.Process(target=work, args=(folder, out))
    second.start()
    second.join(4)
    assert second.is_alive(), "it did not wait for the other's blocks"
    os.kill(first.pid, signal.SIGKILL)
    second.join(60)
    assert second.exitcode == 0
    assert verify(out).ok


def test_a_run_that_has_nothing_to_do_leaves_every_byte(tmp_path: Path) -> None:
    folder = make_pictures(tmp_path / "pictures")
    run(folder, tmp_path / "s.zarr")
    before = files_of(tmp_path / "s.zarr")
    run(folder, tmp_path / "s.zarr")
    assert files_of(tmp_path / "s.zarr") == before
