"""Where the features lie during a search: as codes in the memory of a device, or on disk, streamed block by block."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vfs_panel.errors import QueryError, StoreError
from vfs_panel.search import scan
from vfs_panel.search.codes import ITEM_BYTES, Codes, Columns, ScanType, codes_bytes, empty_codes, encode
from vfs_panel.search.packing import PackedCodes, available, pack
from vfs_panel.search.scan import Best, Order
from vfs_panel.search.workers import spread

if TYPE_CHECKING:
    from vfs_panel.features.store import FeatureStore

SLAB_MB = 32.0  # of codes in one slab
GPU_REACH = 16.0  # a GPU's slabs against a core's
LOAD_MB = 8.0  # of float32 features that one thread turns into codes, or scans as they are, at a time
FEW = 3  # slabs with less than one in so many pictures left by a filter are gathered before they are multiplied


class Tier(Protocol):
    """Scans some rows of a layer, and gives their stored features. Rows are counted from `rows.start` here."""

    rows: slice
    grid: tuple[int, int, int]
    device: torch.device
    scan_type: ScanType
    rho: Tensor
    words: str

    def scan(
        self, columns: Columns, floors: list[float], *, count: int, compatible: bool, wanted: NDArray[np.bool_]
    ) -> Iterator[tuple[float, NDArray[np.intp], Best]]:
        """Yield the share that is done, pictures, and their best windows; all `wanted` ones in the end."""
        ...

    def floats(self, rows: NDArray[np.intp]) -> NDArray[np.floating]:
        """Return stored features (n, channel, y, x) of some pictures."""
        ...

    def norm2(self, rows: NDArray[np.intp]) -> Tensor:
        """Return the squared length of every cell of some pictures as the scan has it, (n, y, x), on the CPU."""
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


def free_memory_mb(device: torch.device) -> float:
    """Return how much memory may still be taken on a device, in MB; a guess of 4 GB where the system does not say."""
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0]) / 1e6
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            fields = dict(line.split(":", 1) for line in lines)
        return float(fields["MemAvailable"].split()[0]) * 1024 / 1e6
    except (OSError, KeyError, ValueError, IndexError):
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2e6  # half of all there is
    except (AttributeError, OSError, ValueError):
        return 4096.0


def device_words(device: torch.device) -> str:
    """Return where a search runs, as in "on the CPU (2 cores)"."""
    if device.type == "cuda":
        return f"on the GPU ({torch.cuda.get_device_name(device)})"
    return f"on the CPU ({torch.get_num_threads()} {'core' if torch.get_num_threads() == 1 else 'cores'})"


def size_words(n_bytes: float) -> str:
    """Return a size as people write it: 388 MB, 2.4 GB."""
    return f"{n_bytes / 1e9:.1f} GB" if n_bytes >= 1e9 else f"{max(n_bytes / 1e6, 1):.0f} MB"


def load(stored: NDArray[np.floating], device: torch.device) -> Tensor:
    """Bring stored features (n, channel, y, x) to float32 as the scan wants them: (y, x, n, channel)."""
    # Half precision is moved as it is and widened by torch: NumPy widens it at a tenth of the speed.
    return torch.from_numpy(stored).to(device).permute(2, 3, 0, 1).contiguous().to(torch.float32)


def cut(n: int, step: int) -> list[slice]:
    """Cut n pictures into parts of `step`."""
    return [slice(start, min(start + step, n)) for start in range(0, n, step)]


def slab_pictures(n: int, grid: tuple[int, int, int], scan_type: ScanType, device: torch.device) -> int:
    """Return how many pictures one slab holds: long rows for the product, and work for every core."""
    channels, height, width = grid
    largest = SLAB_MB * 1e6 / (channels * height * width * ITEM_BYTES[scan_type])
    if device.type != "cpu":
        return max(1, int(largest * GPU_REACH))
    return max(1, int(min(largest, max(16, -(-n // (4 * torch.get_num_threads()))))))


def spans_within(store: "FeatureStore", layer: str, rows: slice) -> list[slice]:
    """Return the rows of the committed blocks, as far as they lie within `rows`."""
    cut = [slice(max(span.start, rows.start), min(span.stop, rows.stop)) for span in store.blocks(layer)]
    return [span for span in cut if span.start < span.stop]


def check_finite(norm2: Tensor, first: int, ids: list[str]) -> None:
    """Refuse features that are no numbers, by the squared lengths (y, x, n) of their cells.

    Raises
    ------
    StoreError
        Naming the pictures.
    """
    bad = torch.nonzero(~torch.isfinite(norm2).flatten(0, 1).all(0))[:, 0].tolist()
    if bad:
        names = ", ".join(ids[first + i] for i in bad[:3]) + (f" and {len(bad) - 3} more" if len(bad) > 3 else "")
        raise StoreError(
            f"The features of {names} are NaN, infinite, or too large to square in float32. Extract them again."
        )


class ResidentTier:
    """All features of some rows in the memory of one device, as codes of one type, in slabs of pictures."""

    def __init__(
        self, store: "FeatureStore", layer: str, rows: slice, device: torch.device, scan_type: ScanType
    ) -> None:
        self._store, self._layer = store, layer
        self.rows, self.device, self.scan_type = rows, device, scan_type
        self.grid = store.spec(layer).grid
        self._step = slab_pictures(rows.stop - rows.start, self.grid, scan_type, device)
        # A slab is allocated on its own, so that no memory is ever held twice.
        self.slabs: list[Codes | PackedCodes] = [
            empty_codes(part.stop - part.start, self.grid, scan_type, device)
            for part in cut(rows.stop - rows.start, self._step)
        ]
        self._load()
        self._orders = self._time_orders()
        self.rho = torch.cat([slab.rho for slab in self.slabs]).cpu() if self.slabs else torch.zeros(0)
        kind = "features" if scan_type == "float32" else f"{scan_type} codes"
        size = size_words(sum(slab.nbytes for slab in self.slabs))
        self.words = f"{device_words(device)}, all {kind} in memory, {size}"

    def _load(self) -> None:
        ids = [str(i) for i in self._store.index.index]
        channels, height, width = self.grid
        step = max(1, int(LOAD_MB * 1e6 / (4 * channels * height * width)))
        for span in spans_within(self._store, self._layer, self.rows):
            stored = self._store.read(self._layer, span)
            first = span.start - self.rows.start
            # Cut at the slabs' ends too: each part goes into one slab.
            ends = {*range(0, len(stored), step), len(stored)}
            ends |= {e - first for e in range(0, first + len(stored), self._step) if e > first}
            edges = sorted(ends)

            def fill(part: slice, stored: NDArray[np.floating] = stored, first: int = first) -> None:
                slab, at = divmod(first + part.start, self._step)
                codes = self.slabs[slab]
                assert isinstance(codes, Codes)
                own = codes[at : at + part.stop - part.start]
                encode(load(stored[part], self.device), own)
                check_finite(own.norm2, self.rows.start + first + part.start, ids)

            for _ in spread(fill, [slice(a, b) for a, b in pairwise(edges)]):
                pass

    def _time_orders(self) -> dict[int, Order]:
        """Time both orders of the product on the first pictures, for a few numbers of painted cells."""
        if self.device.type != "cpu" or not self.slabs:
            return {1: "columns first"}
        first = self.slabs[0]
        assert isinstance(first, Codes)
        sample = first[: scan.timed_pictures(self.grid)].contiguous()
        if self.scan_type == "int8" and faster_packed(sample, self.grid):
            for number, slab in enumerate(self.slabs):
                assert isinstance(slab, Codes)
                self.slabs[number] = pack(slab)
            return {1: "columns first"}
        return {
            cells: min(scan.ORDERS, key=lambda order: scan.time_scan(sample, self.grid, cells, self.scan_type, order))
            for cells in scan.CELLS_TIMED
        }

    def order(self, columns: int) -> Order:
        """Return the order of the product that is fastest for so many columns."""
        return self._orders[min(self._orders, key=lambda cells: abs(np.log(cells / columns)))]

    def scan(
        self, columns: Columns, floors: list[float], *, count: int, compatible: bool, wanted: NDArray[np.bool_]
    ) -> Iterator[tuple[float, NDArray[np.intp], Best]]:
        """Yield the share that is done, pictures, and their best windows."""
        order = self.order(len(columns))
        steps = scan.make_steps(columns, self.grid, self._step)
        parts = [part for part in cut(self.rows.stop - self.rows.start, self._step) if wanted[part].any()]

        def task(part: slice) -> tuple[NDArray[np.intp], Best]:
            at = np.flatnonzero(wanted[part])
            slab = self.slabs[part.start // self._step]
            if FEW * len(at) < len(slab) and isinstance(slab, Codes):
                slab = slab[torch.from_numpy(at).to(self.device)]  # a filter left little of it
            else:
                at = np.arange(len(slab))
            best = scan.scan_slab(slab, columns, steps, floors, count=count, compatible=compatible, order=order)
            return at + part.start, best

        results = map(task, parts) if self.device.type == "cuda" else spread(task, parts)
        for number, (at, best) in enumerate(results, 1):
            yield number / len(parts), at, best

    def floats(self, rows: NDArray[np.intp]) -> NDArray[np.floating]:
        """Return stored features (n, channel, y, x): from memory if nothing was lost, else from the store."""
        if self.scan_type == "float32":
            found = [self.slabs[row // self._step].values[:, :, row % self._step].cpu() for row in rows.tolist()]
            features: NDArray[np.floating] = torch.stack(found).permute(0, 3, 1, 2).contiguous().numpy()
            return features
        return self._store.read_rows(self._layer, rows + self.rows.start)

    def norm2(self, rows: NDArray[np.intp]) -> Tensor:
        """Return the squared length of every cell of some pictures, (n, y, x)."""
        return torch.stack([self.slabs[row // self._step].norm2[:, :, row % self._step].cpu() for row in rows.tolist()])


class StreamedTier:
    """Features stay in the store; each block is read while the one before is scanned, in float32."""

    scan_type: ScanType = "float32"

    def __init__(self, store: "FeatureStore", layer: str, rows: slice, device: torch.device) -> None:
        self._store, self._layer = store, layer
        self.rows, self.device = rows, device
        self.grid = store.spec(layer).grid
        self._spans = spans_within(store, layer, rows)
        self._norm2 = torch.from_numpy(store.norm2(layer, rows)).permute(1, 2, 0).contiguous()
        check_finite(self._norm2, rows.start, [str(i) for i in store.index.index])
        self.rho = torch.zeros(rows.stop - rows.start)
        share = (rows.stop - rows.start) / max(store.n_images, 1)
        self.words = f"{device_words(device)}, features read from disk, {size_words(store.nbytes(layer) * share)}"

    def scan(
        self, columns: Columns, floors: list[float], *, count: int, compatible: bool, wanted: NDArray[np.bool_]
    ) -> Iterator[tuple[float, NDArray[np.intp], Best]]:
        """Yield the share that is done, pictures, and their best windows, as blocks come from the store."""
        channels, height, width = self.grid
        spans = [s for s in self._spans if wanted[s.start - self.rows.start : s.stop - self.rows.start].any()]
        weights = columns.weights
        step = max(1, int(LOAD_MB * 1e6 / (4 * channels * height * width)))
        with ThreadPoolExecutor(1, thread_name_prefix="vfs-read") as reader:
            coming = [reader.submit(self._store.read, self._layer, span) for span in spans[:1]]
            for number, span in enumerate(spans, 1):
                stored = coming.pop().result()
                if number < len(spans):
                    coming.append(reader.submit(self._store.read, self._layer, spans[number]))
                first = span.start - self.rows.start

                def task(part: slice, stored: NDArray[np.floating] = stored, first: int = first) -> Best:
                    raw = torch.from_numpy(stored[part]).to(self.device)
                    wide = raw.to(torch.float32).view(len(raw), channels, height * width)
                    # As stored, channel before cell: one product per picture, so that only products are turned around.
                    planes = (weights @ wide).permute(1, 2, 0).contiguous()
                    planes = planes.view(len(columns), height, width, len(raw))
                    norm2 = self._norm2[:, :, first + part.start : first + part.stop].to(self.device)
                    totals = scan.plane_sums(planes, columns)
                    return scan.best_of(totals, norm2, columns, floors, count=count, compatible=compatible)

                parts = cut(len(stored), step)
                for part, best in zip(parts, spread(task, parts), strict=True):
                    done = (number - 1 + part.stop / len(stored)) / len(spans)
                    yield done, np.arange(first + part.start, first + part.stop), best

    def floats(self, rows: NDArray[np.intp]) -> NDArray[np.floating]:
        """Return stored features (n, channel, y, x)."""
        return self._store.read_rows(self._layer, rows + self.rows.start)

    def norm2(self, rows: NDArray[np.intp]) -> Tensor:
        """Return the squared length of every cell of some pictures, (n, y, x)."""
        return self._norm2[:, :, torch.from_numpy(rows)].permute(2, 0, 1)


def faster_packed(codes: Codes, grid: tuple[int, int, int]) -> bool:
    """Return whether packing speeds up the scan of int8 codes, by a timing of about nine painted cells."""
    if not available():
        return False
    packed = scan.time_scan(pack(codes), grid, 9, "int8")
    return packed < min(scan.time_scan(codes, grid, 9, "int8", order) for order in scan.ORDERS)


def fastest_scan(codes: Codes, grid: tuple[int, int, int], cells: int, scan_type: ScanType) -> float:
    """Return the seconds per picture that one core takes for so many painted cells, in the way that suits it best."""
    ways = [scan.time_scan(codes, grid, cells, scan_type, order) for order in scan.ORDERS]
    if scan_type == "int8" and available():
        ways.append(scan.time_scan(pack(codes), grid, cells, scan_type))
    return min(ways)


def resident_bytes(store: "FeatureStore", layer: str, rows: slice, scan_type: ScanType) -> int:
    """Return the memory that a ResidentTier of these rows takes."""
    return codes_bytes(rows.stop - rows.start, store.spec(layer).grid, scan_type)


def sample_codes(store: "FeatureStore", layer: str, rows: slice, device: torch.device, scan_type: ScanType) -> Codes:
    """Return codes of a few pictures, for timing."""
    grid = store.spec(layer).grid
    span = spans_within(store, layer, rows)[0]
    span = slice(span.start, min(span.stop, span.start + scan.timed_pictures(grid)))
    features = load(store.read(layer, span), device)
    codes = empty_codes(features.shape[2], grid, scan_type, device)
    encode(features, codes)
    return codes
