"""A search on a Dask cluster is the local one, and outlives its workers."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from vfs_panel.errors import QueryError, StoreError
from vfs_panel.features import FeatureStore, store_from_arrays
from vfs_panel.search import RegionQuery, RegionSearch, cluster
from vfs_panel.settings import settings

distributed = pytest.importorskip("distributed")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # sockets of workers that were killed
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
N = 200


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    rng = np.random.default_rng(0)
    features = np.maximum(rng.normal(size=(N, 24, 5, 5)), 0).astype(np.float32)
    features[150:160] = features[20]  # ties that lie with different workers
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VFS_BLOCK_MB", "0.05")  # some ten blocks, so that every worker gets some
        settings.cache_clear()
        made = store_from_arrays(
            {"layer": features}, out=tmp_path_factory.mktemp("cluster") / "s.zarr",
            image=[f"p{i:03d}" for i in range(N)], domain=[f"d{i // 50}" for i in range(N)],
            label=[f"l{i % 7}" for i in range(N)], dtype="float32",
        )  # fmt: skip
    settings.cache_clear()
    assert len(made.blocks("layer")) > 6
    return made


@pytest.fixture(scope="module")
def running() -> Iterator["distributed.LocalCluster"]:
    with distributed.LocalCluster(
        n_workers=3, threads_per_worker=1, processes=True, dashboard_address=":0", memory_limit="2GiB", silence_logs=50
    ) as found:
        yield found


@pytest.fixture(scope="module")
def engine(store: FeatureStore, running: "distributed.LocalCluster") -> Iterator[RegionSearch]:
    found = RegionSearch(store, device="cpu", scan="int8", scheduler=running.scheduler_address)
    yield found
    found.close()


@pytest.fixture(scope="module")
def query(store: FeatureStore) -> RegionQuery:
    mask = np.zeros((5, 5), np.float32)
    mask[1:4, 1:3] = [[1, 0.5], [1, 1], [0, 0.2]]
    return RegionQuery.from_mask(store.feature("layer", "p020"), mask, spec=store.spec("layer"))


def same(a: object, b: object) -> None:
    for name in ("score", "image_id", "y", "x", "image_score", "image_y", "image_x"):
        np.testing.assert_array_equal(a[name], b[name])  # type: ignore[index]


def test_results_are_the_local_ones(engine: RegionSearch, store: FeatureStore, query: RegionQuery) -> None:
    assert "3 workers" in engine.tier
    assert engine.scan == "int8"
    local = RegionSearch(store, device="cpu", scan="int8")
    where = np.arange(N) % 3 != 1
    for options in ({"k": 30}, {"k": 3, "unique": "domain"}, {"k": 20, "per_image": 2}, {"where": where}):
        same(engine.search(query, **options), local.search(query, **options))
    both = RegionQuery.combine([query], [engine.query("p003", query_mask())])
    same(engine.search(both), local.search(both))
    for a, b in zip(engine.search_many([query, both]), local.search_many([query, both]), strict=True):
        same(a, b)
    *_, last = engine.progressive(query)
    same(last, local.search(query))


def query_mask() -> np.ndarray:
    mask = np.zeros((5, 5), np.float32)
    mask[0, 0] = 1
    return mask


def test_a_worker_killed_during_a_search(
    engine: RegionSearch, running: "distributed.LocalCluster", query: RegionQuery
) -> None:
    before = engine.search(query, k=15)
    with distributed.Client(running.scheduler_address, set_as_default=False) as client:
        pids = client.run(os.getpid)
        victim = sorted(pids)[1]
        os.kill(pids[victim], signal.SIGSTOP)  # so that the search is under way for sure
        found: list[object] = []
        thread = threading.Thread(target=lambda: found.append(engine.search(query, k=15)))
        thread.start()
        time.sleep(0.5)
        assert thread.is_alive()
        os.kill(pids[victim], signal.SIGKILL)
        thread.join(60)
        assert found, "the search never came back"
        same(found[0], before)
        client.wait_for_workers(3, timeout=60)  # a new one has come, and loads its rows when it is asked
    same(engine.search(query, k=15), before)


def test_what_goes_wrong_on_a_worker_is_said(store: FeatureStore, running: "distributed.LocalCluster") -> None:
    class Elsewhere(FeatureStore):
        """The same store, in a folder that the workers' machine does not see."""

        @property
        def opened_from(self) -> tuple[str, None]:
            return "/nowhere/s.zarr", None

    with pytest.raises(StoreError, match=r"no store at /nowhere/s\.zarr"):
        RegionSearch(Elsewhere(store.path), device="cpu", scheduler=running.scheduler_address)
    with pytest.raises(QueryError, match="not here: 0 CUDA"):
        RegionSearch(store, device="cuda:7", scheduler=running.scheduler_address)


def test_nobody_at_the_address(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "CONNECT_S", 0.5)
    with pytest.raises(QueryError, match=r"127\.0\.0\.1:9 does not answer"):
        RegionSearch(store, device="cpu", scheduler="tcp://127.0.0.1:9")


def test_a_cluster_that_is_gone_and_comes_back(
    store: FeatureStore, query: RegionQuery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "CONNECT_S", 3)
    options = {
        "n_workers": 1, "threads_per_worker": 1, "processes": False, "protocol": "tcp", "dashboard_address": ":0",
        "silence_logs": 50,
    }  # fmt: skip
    first = distributed.LocalCluster(**options, scheduler_port=0)
    port = int(first.scheduler_address.rsplit(":", 1)[1])
    engine = RegionSearch(store, device="cpu", scan="int8", scheduler=first.scheduler_address)
    before = engine.search(query, k=5)
    first.close()
    with pytest.raises(QueryError, match=r"does not answer|no workers left"):
        engine.search(query, k=5)
    with distributed.LocalCluster(**options, scheduler_port=port):
        same(engine.search(query, k=5), before)
