"""Who answers: the shards of this process, one for each device, or the workers of a cluster."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol

from vfs_panel.errors import QueryError
from vfs_panel.search.ask import Answer, Ask, Cancel, merge
from vfs_panel.search.codes import ScanType
from vfs_panel.search.devices import pick_device
from vfs_panel.search.plan import make_tier
from vfs_panel.search.resident import ResidentTier
from vfs_panel.search.shard import Shard

if TYPE_CHECKING:
    from vfs_panel.features.store import FeatureStore

Step = tuple[float, Callable[[], list[Answer]]]


class Backend(Protocol):
    """Answers searches over all rows of a layer."""

    words: str
    reason: str
    device: str
    scan_type: ScanType
    holds: bool

    def answers(self, asks: Sequence[Ask], cancel: Cancel | None = None) -> list[Answer]:
        """Answer several searches in one pass."""
        ...

    def steps(self, asks: Sequence[Ask], cancel: Cancel | None = None) -> Iterator[Step]:
        """Yield how much is done, and a function that gives what is known by then."""
        ...

    def close(self) -> None:
        """Let go of the features."""
        ...


class LocalBackend:
    """Shards in this process: the rows are split among the devices."""

    def __init__(
        self,
        store: "FeatureStore",
        layer: str,
        *,
        device: str,
        memory_mb: float | None,
        scan: str,
        keep_mb: float | None = None,
    ) -> None:
        names = [name.strip() for name in device.split(",") if name.strip()]
        if not names:
            raise QueryError("No device is named; use auto, cpu, cuda or cuda:N.")
        devices = [pick_device(name) for name in names]
        n, share = store.n_images, -(-store.n_images // len(devices))
        made = [
            make_tier(store, layer, slice(min(i * share, n), min((i + 1) * share, n)), chosen, memory_mb, scan, keep_mb)
            for i, chosen in enumerate(devices)
        ]
        self._shards = [Shard(tier, plan.reason) for tier, plan in made]
        self.device = ",".join(map(str, devices))
        self.words = made[0][0].words if len(made) == 1 else "; ".join(tier.words for tier, _ in made)
        self.reason = made[0][1].reason
        self.scan_type = made[0][0].scan_type
        self.holds = all(isinstance(tier, ResidentTier) for tier, _ in made)

    def answers(self, asks: Sequence[Ask], cancel: Cancel | None = None) -> list[Answer]:
        """Answer several searches in one pass, all devices at once."""
        if len(self._shards) == 1:
            return self._shards[0].answers(asks, cancel)
        with ThreadPoolExecutor(len(self._shards), "vfs-device") as pool:
            found = list(
                pool.map(
                    lambda shard: shard.answers([ask.within(shard.tier.rows) for ask in asks], cancel), self._shards
                )
            )
        return [merge([answers[i] for answers in found], ask) for i, ask in enumerate(asks)]

    def steps(self, asks: Sequence[Ask], cancel: Cancel | None = None) -> Iterator[Step]:
        """Yield how much is done, and a function that gives what is known by then."""
        if len(self._shards) == 1:
            yield from self._shards[0].steps(asks, cancel)
        else:
            found = self.answers(asks, cancel)
            yield 1.0, lambda: found

    def close(self) -> None:
        """Let go of the features."""
        self._shards = []


def open_backend(
    store: "FeatureStore",
    layer: str,
    *,
    device: str,
    memory_mb: float | None,
    scan: str,
    scheduler: str | None,
    keep_mb: float | None = None,
) -> Backend:
    """Return what answers for a layer: the workers of `scheduler`, or this process.

    Raises
    ------
    StoreError, QueryError
        If a block is damaged, or the device or the cluster is not there.
    """
    if scheduler is None:
        return LocalBackend(store, layer, device=device, memory_mb=memory_mb, scan=scan, keep_mb=keep_mb)
    from vfs_panel.search.cluster import ClusterBackend

    return ClusterBackend(
        store, layer, device=device, memory_mb=memory_mb, scan=scan, scheduler=scheduler, keep_mb=keep_mb
    )
