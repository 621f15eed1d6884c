"""The workers of a Dask cluster as one engine: each owns some rows of the layer, and a search is one call to each.

Only kernels go out and only scores and matches come back. A worker loads its rows when it is first asked for them, so a
worker that takes the place of a lost one, or does its work for it, needs nothing but the store.
"""

import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse

from vfs_panel.cores import use_cores
from vfs_panel.errors import QueryError, SearchCancelled, StoreError, VFSError
from vfs_panel.search.ask import Answer, Ask, Cancel, merge
from vfs_panel.search.codes import ScanType
from vfs_panel.search.devices import free_memory_mb, pick_device
from vfs_panel.search.plan import SHARE_OF_FREE, Plan, make_plan, make_tier
from vfs_panel.search.shard import Shard

if TYPE_CHECKING:
    from vfs_panel.features.store import FeatureStore
    from vfs_panel.search.backend import Step

CONNECT_S = 10.0
SHARE_OF_LIMIT = 0.6  # of a worker's memory limit that its shards may take; Dask ends workers that come near to it
_POLL_S = 0.005


@dataclass(frozen=True, slots=True)
class Part:
    """What a worker is to hold: some rows of a layer. Hashable, so that it is loaded once."""

    store: str
    layer: str
    rows: tuple[int, int]
    device: str
    memory_mb: float | None
    keep_mb: float | None
    scan: str
    on_host: int  # how many workers share the memory of one machine
    opened_from: tuple[Any, ...] = field(compare=False, repr=False)


_shards: dict[Part, Shard] = {}
_loading = threading.Lock()


def _prepare(part: Part) -> float | None:
    """Use as many cores as the worker was given, and return the memory that a part may take, in MB."""
    from distributed import get_worker

    worker = get_worker()
    use_cores(worker.state.nthreads)
    if part.memory_mb is not None:
        return part.memory_mb
    room = free_memory_mb(pick_device(part.device)) * SHARE_OF_FREE / part.on_host
    limit = worker.memory_manager.memory_limit
    return min(room, limit * SHARE_OF_LIMIT / 1e6) if limit else room


def _open(part: Part) -> "FeatureStore":
    from vfs_panel.features import open_store

    return open_store(*part.opened_from)


def plan_part(part: Part) -> Plan:
    """Say, on a worker, how it would hold a part."""
    store = _open(part)
    return make_plan(store, part.layer, slice(*part.rows), pick_device(part.device), _prepare(part), part.scan)


def load_part(part: Part) -> tuple[str, str, ScanType]:
    """Load a part, on a worker, if it is not there yet; return what it says of itself: words, reason, type."""
    with _loading:
        if part not in _shards:
            tier, plan = make_tier(
                _open(part), part.layer, slice(*part.rows), pick_device(part.device), _prepare(part), part.scan,
                part.keep_mb,
            )  # fmt: skip
            _shards[part] = Shard(tier, plan.reason)
    shard = _shards[part]
    return shard.tier.words, shard.reason, shard.tier.scan_type


def answer_part(part: Part, asks: Sequence[Ask]) -> list[Answer]:
    """Answer for a part, on a worker."""
    load_part(part)
    return _shards[part].answers(asks)


class Owner:
    """A part on its worker, as a Dask actor: a call goes straight to it, in a fifth of the time of a task.

    An actor is lost with its worker. The part is then a task for any other worker, and gets a new owner.
    """

    def __init__(self, part: Part) -> None:
        self._part = part
        self._about = load_part(part)

    def about(self) -> tuple[str, str, ScanType]:
        """Return what the part says of itself."""
        return self._about

    def answer(self, asks: Sequence[Ask]) -> list[Answer]:
        """Answer for the part."""
        return answer_part(self._part, asks)


def forget_parts(parts: Sequence[Part]) -> None:
    """Let go of parts, on a worker."""
    with _loading:
        for part in parts:
            _shards.pop(part, None)


class ClusterBackend:
    """Answers with the workers of a Dask scheduler.

    Parameters
    ----------
    scheduler : its address, such as "tcp://host:8786".
    device, memory_mb, keep_mb, scan : for each worker, as of `RegionSearch`.

    Raises
    ------
    QueryError
        If Dask is not installed, nobody answers at the address, or there are no workers.
    StoreError
        If a worker does not reach the store, or a block of it is damaged.
    """

    def __init__(
        self,
        store: "FeatureStore",
        layer: str,
        *,
        device: str,
        memory_mb: float | None,
        keep_mb: float | None,
        scan: str,
        scheduler: str,
    ) -> None:
        try:
            import distributed  # noqa: F401
        except ImportError:
            raise QueryError("Searching on a cluster needs Dask: pip install 'vfs_panel[cluster]'") from None
        self._store, self._layer, self._address = store, layer, scheduler
        self._options = device, memory_mb, keep_mb
        self._client: Any = None
        self._lock = threading.Lock()
        self._parts: list[Part] = []
        self._owners: dict[Part, Any] = {}  # futures of actors
        self.scan_type: ScanType = "float32"
        self.holds = True  # or its workers read; either way a search is one call that cannot be followed
        self.device = scheduler
        with self._reached() as client:
            workers = self._workers(client)
            if not workers:
                raise QueryError(f"The cluster at {scheduler} has no workers. Start some: dask worker {scheduler}")
            self._parts = self._cut(workers, scan)
            if scan == "auto":  # one worker's choice for all: the same codes everywhere, the same scores
                plan: Plan = client.submit(plan_part, self._parts[0], pure=False).result()
                self._parts = self._cut(workers, plan.scan_type or "auto")
            self._appoint(client, workers)
            with client.as_current():  # an actor looks for its client there
                about = [owner.result().about() for owner in self._owners.values()]
            loaded = [found.result() for found in about]
        words, self.reason, self.scan_type = loaded[0]
        count = len(self._parts)
        each = words.partition(", ")[2]  # without the device
        self.words = f"on {count} {'worker' if count == 1 else 'workers'} of {scheduler}, each: {each}"

    def _cut(self, workers: list[str], scan: str) -> list[Part]:
        """Give every worker a share of the store's blocks, in order."""
        device, memory_mb, keep_mb = self._options
        blocks = self._store.blocks(self._layer)
        share = -(-len(blocks) // len(workers)) or 1
        starts = [blocks[i].start for i in range(share, len(blocks), share)]
        edges = [0, *starts, self._store.n_images]
        hosts = Counter(urlparse(worker).hostname for worker in workers)
        path, opened_from = self._store.path, self._store.opened_from
        return [
            Part(path, self._layer, (a, b), device, memory_mb, keep_mb, scan, max(hosts.values()), opened_from)
            for a, b in pairwise(edges)
        ]

    def _workers(self, client: Any) -> list[str]:
        return sorted(client.nthreads())

    @contextmanager
    def _reached(self) -> Iterator[Any]:
        """Give a connected client; say in words what goes wrong with the cluster, and connect anew the next time."""
        from distributed import Client, KilledWorker
        from distributed.comm import CommClosedError

        with self._lock:
            if self._client is None:
                try:
                    self._client = Client(self._address, timeout=CONNECT_S, set_as_default=False, name="vfs_panel")
                except (OSError, TimeoutError, ValueError) as error:
                    raise self._gone(error) from None
            client = self._client
        try:
            yield client
        except KilledWorker:
            raise QueryError(
                f"Workers of the cluster at {self._address} were lost again and again during the search; their memory "
                "may be too small. Give them more, or set VFS_MEMORY_MB."
            ) from None
        except (CommClosedError, OSError, TimeoutError, RuntimeError) as error:
            self._drop()
            raise self._gone(error) from None
        except Exception as error:
            if type(error).__name__ not in ("FutureCancelledError", "CancelledError", "FuturesCancelledError"):
                raise
            self._drop()
            raise self._gone(error) from None

    def _gone(self, error: BaseException) -> QueryError:
        return QueryError(
            f"The cluster at {self._address} does not answer ({type(error).__name__}). Start it, or correct "
            "VFS_SCHEDULER; the next search tries again."
        )

    def _drop(self) -> None:
        with self._lock:
            client, self._client = self._client, None
            self._owners = {}
        if client is not None:
            threading.Thread(target=client.close, kwargs={"timeout": 2}, daemon=True).start()

    def steps(self, asks: Sequence[Ask], cancel: Cancel | None = None) -> "Iterator[Step]":
        """Yield the answers once all workers have given them."""
        found = self.answers(asks, cancel)
        yield 1.0, lambda: found

    def answers(self, asks: Sequence[Ask], cancel: Cancel | None = None) -> list[Answer]:
        """Answer several searches with one call to each worker."""
        with self._reached() as client:
            workers = self._workers(client)
            if not workers:
                raise QueryError(f"The cluster at {self._address} has no workers left; the next search tries again.")
            self._appoint(client, workers)
            within = [[ask.within(slice(*part.rows)) for ask in asks] for part in self._parts]
            try:
                calls = [self._call(client, part, mine) for part, mine in zip(self._parts, within, strict=True)]
                while cancel is not None and not all(call.done() for call in calls):
                    if cancel.is_set():
                        raise SearchCancelled("The search was cancelled.")
                    time.sleep(_POLL_S)
                found = [
                    self._result(client, part, mine, call)
                    for part, mine, call in zip(self._parts, within, calls, strict=True)
                ]
            except StoreError as error:
                raise StoreError(f"On a worker: {error}") from None
        return [merge([answers[i] for answers in found], ask) for i, ask in enumerate(asks)]

    def _appoint(self, client: Any, workers: list[str]) -> None:
        """Give every part that has none an owner; it is asked once it has loaded its rows."""
        for number, part in enumerate(self._parts):
            if part not in self._owners:
                self._owners[part] = client.submit(
                    Owner,
                    part,
                    actor=True,
                    workers=[workers[number % len(workers)]],
                    allow_other_workers=True,
                    pure=False,
                )

    def _call(self, client: Any, part: Part, asks: list[Ask]) -> Any:
        """Ask the owner of a part, or any worker while there is none that is ready."""
        owner = self._owners.get(part)
        if owner is not None and owner.status == "finished":
            with suppress(RuntimeError), client.as_current():  # its worker was lost since
                return owner.result().answer(asks)
            self._owners.pop(part, None)
        return self._task(client, part, asks)

    def _task(self, client: Any, part: Part, asks: list[Ask]) -> Any:
        return client.submit(answer_part, part, asks, pure=False, priority=10)

    def _result(self, client: Any, part: Part, asks: list[Ask], call: Any) -> list[Answer]:
        """Return what a call gave; if its worker was lost meanwhile, what another one gives."""
        found: list[Answer]
        try:
            found = call.result()
        except VFSError:
            raise
        except Exception:  # how the loss of a worker shows depends on the moment
            self._owners.pop(part, None)
            found = self._task(client, part, asks).result()
        return found

    def close(self) -> None:
        """Let the workers forget their rows, and leave the cluster."""
        with self._lock:
            client, self._client = self._client, None
            self._owners = {}
        if client is not None:
            try:
                client.run(forget_parts, self._parts)
            finally:
                client.close()
