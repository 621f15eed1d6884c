"""One extraction by all workers of a Dask cluster: each runs the ordinary one, and claims block after block.

So nothing but the job goes out and nothing comes back, workers may come and go, and a block of a lost one is made by
another. The store's folder and the pictures must lie under the same path for all of them.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from vfs_panel.cores import use_cores
from vfs_panel.errors import StoreError, VFSError
from vfs_panel.features.files import first_words
from vfs_panel.features.store import FeatureStore

CONNECT_S = 10.0
_LOOK_S = 0.5
_GRACE_S = 5.0  # for a lost worker to be started again, or to answer again
Progress = Callable[[int, int], None]


def on_cluster(scheduler: str, job: Callable[[], object], path: Path, progress: Progress | None = None) -> None:
    """Have every worker of a cluster run an extraction to its end.

    Parameters
    ----------
    scheduler : its address, such as "tcp://host:8786".
    job : calls `extract` without a scheduler; can be pickled.
    path : the store that it writes.
    progress : called with (pictures done, pictures in all).

    Raises
    ------
    StoreError
        If Dask is not installed, nobody answers at the address, there are no workers, or all were lost.
    VFSError
        What a worker met.
    """
    try:
        from distributed import Client
    except ImportError:
        raise StoreError("Extracting on a cluster needs Dask: pip install 'vfs_panel[cluster]'") from None
    host = urlparse(scheduler)
    with suppress(ValueError):
        host.port  # noqa: B018 - raises for what is no port
    try:
        client = Client(scheduler, timeout=CONNECT_S, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        raise StoreError(
            f"The scheduler {scheduler} does not answer ({type(error).__name__}). Start it, or correct the address."
        ) from None
    with client:
        _follow(client, scheduler, job, path, progress)


def _follow(client: Any, scheduler: str, job: Callable[[], object], path: Path, progress: Progress | None) -> None:
    """Give the job to every worker, also to those that come later, until the store is whole."""
    given: dict[str, Any] = {}
    problems: list[BaseException] = []
    others: list[BaseException] = []
    alone_since = time.monotonic()
    while True:
        workers = set(client.scheduler_info(n_workers=-1)["workers"])
        for worker in workers - set(given):
            given[worker] = client.submit(_work, job, workers=[worker], allow_other_workers=False, pure=False)
        at_work = [w for w, future in given.items() if w in workers and not future.done()]
        for worker, future in given.items():
            if future.status == "error" and worker in workers:
                error = future.exception()
                (problems if isinstance(error, VFSError) else others).append(error)
        _tell(path, progress)
        if at_work:
            alone_since = time.monotonic()
        ended = problems or others or any(future.status == "finished" for future in given.values())
        if not at_work and (ended or not given or time.monotonic() - alone_since > _GRACE_S):
            break
        time.sleep(_LOOK_S)
    if not _whole(path):
        if problems:
            raise problems[0]
        if not given:
            raise StoreError(f"The cluster at {scheduler} has no workers. Start some: dask worker {scheduler}")
        if others:
            raise StoreError(
                f"A worker of {scheduler} stopped: {type(others[0]).__name__}: {first_words(others[0])}. What is "
                "written is kept: the same command goes on where it was."
            ) from others[0]
        raise StoreError(
            f"All workers of {scheduler} were lost before {path} was done. What is written is kept: start workers and "
            "run the same command again."
        )


def _work(job: Callable[[], object]) -> None:
    from distributed import get_worker

    use_cores(get_worker().state.nthreads)
    job()


def _whole(path: Path) -> bool:
    with suppress(StoreError):
        store = FeatureStore(path)
        return all(map(store.complete, store.layers))
    return False


def _tell(path: Path, progress: Progress | None) -> None:
    if progress is None:
        return
    with suppress(StoreError):  # there may be none yet
        store = FeatureStore(path)
        done = min(sum(span.stop - span.start for span in store.blocks(layer)) for layer in store.layers)
        progress(done, store.n_images)
