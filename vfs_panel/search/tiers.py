"""Where the features lie during a search: resident in memory, or streamed from the store block by block."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from torch import Tensor

from vfs_panel.errors import QueryError, StoreError
from vfs_panel.search.kernels import cell_norm2

if TYPE_CHECKING:
    from vfs_panel.features.store import FeatureStore

SCAN_MB = 24.0  # one scanned block, in MB of float32: large enough for a full-speed product, small beside the set


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Some pictures of the set, ready to scan: `rows` of the store, features (n, y, x, channel), norm2 (n, y, x)."""

    rows: slice
    features: Tensor
    norm2: Tensor


class Tier(Protocol):
    """Gives an engine its blocks, always in the store's order."""

    words: str

    def blocks(self) -> Iterator[Block]:
        """Yield every committed block once."""
        ...

    def picture(self, row: int) -> Block:
        """Return a block of one picture."""
        ...


def pick_device(device: str) -> torch.device:
    """Return the torch device for "auto" (CUDA if there is one), "cpu", "cuda" or "cuda:N".

    Raises
    ------
    QueryError
        If there is no such device here.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError:
        raise QueryError(f"Device {device!r} is not known; use auto, cpu, cuda or cuda:N.") from None
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        raise QueryError(f"Device {device!r} is not here: {torch.cuda.device_count()} CUDA devices found. Use cpu.")
    return chosen


def free_memory_mb() -> float:
    """Return how much memory a process may still take, in MB; a guess of 4 GB where the system does not say."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            fields = dict(line.split(":", 1) for line in lines)
        return float(fields["MemAvailable"].split()[0]) / 1024
    except (OSError, KeyError, ValueError, IndexError):
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**21  # half of all there is
    except (AttributeError, OSError, ValueError):
        return 4096.0


def _device_words(device: torch.device) -> str:
    if device.type == "cuda":
        return f"on the GPU ({torch.cuda.get_device_name(device)})"
    return f"on the CPU ({torch.get_num_threads()} {'core' if torch.get_num_threads() == 1 else 'cores'})"


def size_words(n_bytes: float) -> str:
    """Return a size as people write it: 388 MB, 2.4 GB."""
    return f"{n_bytes / 1e9:.1f} GB" if n_bytes >= 1e9 else f"{max(n_bytes / 1e6, 1):.0f} MB"


def _load(store: "FeatureStore", layer: str, rows: slice, device: torch.device) -> Tensor:
    """Read stored features and bring them to float32, channel last, shape (n, y, x, channel)."""
    stored = torch.from_numpy(np.ascontiguousarray(store.read(layer, rows)))
    # Half precision is moved as it is and widened by torch: NumPy widens it at a tenth of the speed.
    return stored.to(device).permute(0, 2, 3, 1).to(torch.float32, memory_format=torch.contiguous_format).contiguous()


def _checked_norm2(features: Tensor, rows: slice, ids: list[str]) -> Tensor:
    norm2 = cell_norm2(features)
    bad = torch.nonzero(~torch.isfinite(norm2).flatten(1).all(1))[:, 0].tolist()
    if bad:
        names = ", ".join(ids[rows.start + i] for i in bad[:3]) + (f" and {len(bad) - 3} more" if len(bad) > 3 else "")
        raise StoreError(
            f"The features of {names} are NaN, infinite, or too large to square in float32. Extract them again."
        )
    return norm2


class ResidentTier:
    """All features in the memory of one device, as float32."""

    def __init__(self, store: "FeatureStore", layer: str, device: torch.device) -> None:
        channels, height, width = store.spec(layer).grid
        per_picture = 4 * channels * height * width
        self._step = max(1, int(SCAN_MB * 1e6 / per_picture))
        self.features = torch.empty(store.n_images, height, width, channels, device=device)
        self.norm2 = torch.zeros(store.n_images, height, width, device=device)
        self._spans = store.blocks(layer)
        ids = [str(i) for i in store.index.index]
        for rows in self._spans:
            self.features[rows] = _load(store, layer, rows, device)
            self.norm2[rows] = _checked_norm2(self.features[rows], rows, ids)
        total = size_words(self.features.nbytes + self.norm2.nbytes)
        self.words = f"{_device_words(device)}, all features in memory, {total}"

    def blocks(self) -> Iterator[Block]:
        """Yield views of the features; nothing is copied."""
        for span in self._spans:
            for start in range(span.start, span.stop, self._step):
                rows = slice(start, min(start + self._step, span.stop))
                yield Block(rows, self.features[rows], self.norm2[rows])

    def picture(self, row: int) -> Block:
        """Return a block of one picture."""
        rows = slice(row, row + 1)
        return Block(rows, self.features[rows], self.norm2[rows])


class StreamedTier:
    """Features stay on disk; each block is read while the one before is scanned."""

    def __init__(self, store: "FeatureStore", layer: str, device: torch.device) -> None:
        self._store, self._layer, self._device = store, layer, device
        self._spans = store.blocks(layer)
        self._ids = [str(i) for i in store.index.index]
        self.words = f"{_device_words(device)}, features read from disk, {size_words(store.nbytes(layer))}"

    def _read(self, rows: slice) -> Block:
        features = _load(self._store, self._layer, rows, self._device)
        return Block(rows, features, _checked_norm2(features, rows, self._ids))

    def blocks(self) -> Iterator[Block]:
        """Yield blocks as they come from the disk, one read ahead."""
        with ThreadPoolExecutor(1, thread_name_prefix="vfs-read") as reader:
            ahead = None
            for rows in self._spans:
                coming = reader.submit(self._read, rows)
                if ahead is not None:
                    yield ahead.result()
                ahead = coming
            if ahead is not None:
                yield ahead.result()

    def picture(self, row: int) -> Block:
        """Return a block of one picture."""
        return self._read(slice(row, row + 1))


def pick_tier(store: "FeatureStore", layer: str, device: torch.device, memory_mb: float | None) -> Tier:
    """Keep the features in memory if they fit in `memory_mb` (by default half of what is free), else stream them."""
    channels, height, width = store.spec(layer).grid
    need_mb = store.n_images * height * width * (channels + 1) * 4 / 1e6
    if memory_mb is not None:
        room_mb = memory_mb
    elif device.type == "cuda":
        room_mb = torch.cuda.mem_get_info(device)[0] / 2e6
    else:
        room_mb = free_memory_mb() / 2
    return ResidentTier(store, layer, device) if need_mb <= room_mb else StreamedTier(store, layer, device)
