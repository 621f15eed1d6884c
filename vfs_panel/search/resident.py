"""ResidentTier: features as codes in the memory of a device."""

import logging
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vfs_panel.cores import cores
from vfs_panel.search import scan
from vfs_panel.search.codes import (
    ITEM_BYTES,
    Codes,
    Columns,
    ScanType,
    codes_bytes,
    empty_codes,
    encode,
    make_columns,
    scaled_columns,
)
from vfs_panel.search.devices import device_words
from vfs_panel.search.kept import KeptProducts, keys_of
from vfs_panel.search.kernels import make_kernel
from vfs_panel.search.packing import PackedCodes, pack
from vfs_panel.search.scan import Best, Order
from vfs_panel.search.tiers import check_finite, cut, load, spans_within
from vfs_panel.search.timing import CELLS_TIMED, faster_packed, time_scan, timed_pictures
from vfs_panel.search.windows import weighted_sums, windows_of, windows_rows
from vfs_panel.search.workers import spread
from vfs_panel.words import size_words

if TYPE_CHECKING:
    from vfs_panel.features.store import FeatureStore

logger = logging.getLogger(__name__)

ENCODE_MB = 2.0  # of float32 features that one thread turns into codes at a time: what it takes meanwhile stays taken
SLAB_MB = 36.0  # of codes in one slab; more than the 32 MiB up to which glibc keeps what is freed
GPU_REACH = 64.0  # a GPU's slabs against a core's: waiting for one costs as much as a pass over a small one
FUSED_TESTED, FUSED_AGREES = 256, 1e-3  # pictures that the fused kernel is tested on, and how near it must come
WEIGHED = 16_384  # pictures whose kept products one thread weighs at a time: so many sums stay in a core's cache
ROWS_MOST = 4_000_000  # of kept products that the windows of one scan sum: their numbers alone are 48 MB
PASS_COLUMNS = 48  # of new cells in one pass over the codes, those that are likely needed soon included
FEW = 3  # slabs with less than one in so many pictures left by a filter are gathered before they are multiplied


def slab_pictures(n: int, grid: tuple[int, int, int], scan_type: ScanType, device: torch.device) -> int:
    """Return how many pictures one slab holds: long rows for the product, and work for every core."""
    channels, height, width = grid
    largest = SLAB_MB * 1e6 / (channels * height * width * ITEM_BYTES[scan_type])
    if device.type != "cpu":
        return max(1, int(largest * GPU_REACH))
    return max(1, int(min(largest, max(16, -(-n // (2 * cores()))))))


class ResidentTier:
    """All features of some rows in the memory of one device, as codes of one type, in slabs of pictures."""

    def __init__(
        self,
        store: "FeatureStore",
        layer: str,
        rows: slice,
        device: torch.device,
        scan_type: ScanType,
        *,
        kept_bytes: float = 0,
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
        self._fused = self._test_fused()
        self._orders = self._time_orders()
        self.rho = torch.cat([slab.rho for slab in self.slabs]).cpu() if self.slabs else torch.zeros(0)
        self._kept = self._room(kept_bytes)
        kind = "features" if scan_type == "float32" else f"{scan_type} codes"
        size = size_words(sum(slab.nbytes for slab in self.slabs))
        self.words = f"{device_words(device)}, all {kind} in memory, {size}"

    def _load(self) -> None:
        channels, height, width = self.grid
        step = max(1, int(ENCODE_MB * 1e6 / (4 * channels * height * width)))
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
                check_finite(own.norm2, self.rows.start + first + part.start, self._store)

            for _ in spread(fill, [slice(a, b) for a, b in pairwise(edges)]):
                pass

    def _room(self, most_bytes: float) -> KeptProducts:
        """Return room for products, in chunks of whole slabs that all cores share."""
        n = self.rows.stop - self.rows.start
        rounds = -(-n // (cores() * WEIGHED))
        step = -(-n // (max(1, rounds) * cores() * self._step)) * self._step
        return KeptProducts(self.grid[1:], n, max(1, step), most_bytes if self.device.type == "cpu" else 0)

    def _test_fused(self) -> bool:
        """Return whether the fused kernel runs here and agrees with the plain path, its oracle, on some pictures."""
        if self.device.type != "cuda" or not self.slabs:
            return False
        from vfs_panel.search import fused

        if not fused.available(self.device):
            return False
        first = self.slabs[0]
        assert isinstance(first, Codes)
        sample = first[: min(len(first), FUSED_TESTED)].contiguous()
        channels, height, width = self.grid
        h, w = min(3, height), min(3, width)
        generator = torch.Generator().manual_seed(0)
        kernel = make_kernel(torch.rand(channels, h, w, generator=generator), torch.ones(h, w))
        columns = make_columns([kernel], self.scan_type, self.device)
        plan = scan.make_plan(columns, self.grid, len(sample))
        plain = scan.scan_slab(
            sample, columns, plan, [0.0], count=1, compatible=False, order="columns first"
        )  # fmt: skip
        try:
            best = self._best_fused(sample, columns, [0.0], compatible=False)
        except Exception:  # a compiler, a driver or a GPU that it does not know: the plain path does it
            logger.warning(
                "The fused kernel does not run on %s; searches use PyTorch's own.", self.device, exc_info=True
            )
            return False
        agrees = torch.allclose(best.score, plain.score, rtol=0, atol=FUSED_AGREES, equal_nan=True)
        if not agrees:
            logger.warning("The fused kernel does not agree with PyTorch on %s and is not used.", self.device)
        return agrees

    def _best_fused(self, codes: Codes, columns: Columns, floors: list[float], *, compatible: bool) -> Best:
        from vfs_panel.search.fused import fused_best

        scale = None if codes.scale is None else codes.scale.permute(2, 0, 1)
        score, at = fused_best(
            codes.values.permute(2, 0, 1, 3), scale, codes.norm2.permute(2, 0, 1), columns, floors,
            compatible=compatible,
        )  # fmt: skip
        across = torch.tensor([self.grid[2] - w + 1 for _, w in columns.sizes], device=at.device)[:, None]
        return Best(score[..., None], (at // across)[..., None], (at % across)[..., None])

    def _time_orders(self) -> dict[int, Order]:
        """Time both orders of the product on the first pictures, for a few numbers of painted cells."""
        if self.device.type != "cpu" or not self.slabs:
            return {1: "columns first"}
        first = self.slabs[0]
        assert isinstance(first, Codes)
        # A whole slab: what packing saves shows where rows are long.
        if self.scan_type == "int8" and faster_packed(first, self.grid):
            for number, slab in enumerate(self.slabs):
                assert isinstance(slab, Codes)
                self.slabs[number] = pack(slab)
            return {1: "columns first"}
        sample = first[: timed_pictures(self.grid)].contiguous()
        return {
            cells: min(scan.ORDERS, key=lambda order: time_scan(sample, self.grid, cells, self.scan_type, order))
            for cells in CELLS_TIMED
        }

    def order(self, columns: int) -> Order:
        """Return the order of the product that is fastest for so many columns."""
        return self._orders[min(self._orders, key=lambda cells: abs(np.log(cells / columns)))]

    @property
    def scaled(self) -> bool:
        """Whether `scan` wants the columns scaled: so that products can be kept."""
        return len(self._kept) > 0 and not self._fused

    def scan(
        self,
        columns: Columns,
        floors: list[float],
        *,
        count: int,
        compatible: bool,
        wanted: NDArray[np.bool_],
        ahead: Tensor | None = None,
    ) -> Iterator[tuple[float, NDArray[np.intp], Best]]:
        """Yield the share that is done, pictures, and their best windows."""
        if self.scaled and FEW * wanted.sum() >= len(wanted):
            with self._kept.using() as may:
                new = self._new_columns(columns, ahead) if may else None
                if new is not None:
                    yield from self._weigh(columns, new, floors, count=count, compatible=compatible)
                    return
        order = self.order(len(columns))
        plan = scan.make_plan(columns, self.grid, self._step)
        parts = [part for part in cut(self.rows.stop - self.rows.start, self._step) if wanted[part].any()]

        def task(part: slice) -> tuple[NDArray[np.intp], Best]:
            at = np.flatnonzero(wanted[part])
            slab = self.slabs[part.start // self._step]
            if FEW * len(at) < len(slab) and isinstance(slab, Codes):
                slab = slab[torch.from_numpy(at).to(self.device)]  # a filter left little of it
            else:
                at = np.arange(len(slab))
            if self._fused and count == 1 and isinstance(slab, Codes):
                return at + part.start, self._best_fused(slab.contiguous(), columns, floors, compatible=compatible)
            best = scan.scan_slab(slab, columns, plan, floors, count=count, compatible=compatible, order=order)
            return at + part.start, best

        results = map(task, parts) if self.device.type == "cuda" else spread(task, parts)
        for number, (at, best) in enumerate(results, 1):
            yield number / len(parts), at, best

    def _new_columns(self, columns: Columns, ahead: Tensor | None) -> Tensor | None:
        """Return the columns that are to be multiplied before all are kept; None if this search had better not."""
        if windows_rows(columns, self.grid[1:]) > ROWS_MOST:
            return None
        keys = keys_of(columns.weights)
        missing = self._kept.missing(keys)
        if missing and (ahead is None or len(set(keys)) > len(self._kept)):
            return None
        new = columns.weights[missing]
        # What is only likely to be needed pushes out nothing that somebody is using.
        spare = min(self._kept.spare(), len(self._kept) - len(set(keys)) + len(missing))
        room = min(PASS_COLUMNS, spare) - len(missing)
        if ahead is None or not missing or room <= 0:
            return new
        # To read all codes is most of the work: a few columns more cost little then.
        soon, _ = scaled_columns(ahead, self.scan_type)
        soon = soon[self._kept.missing(keys_of(soon))]
        known = {keys[number] for number in missing}
        soon = soon[[number for number, key in enumerate(keys_of(soon)) if key not in known][:room]]
        return torch.cat([new, soon])

    def _weigh(
        self, columns: Columns, new: Tensor, floors: list[float], *, count: int, compatible: bool
    ) -> Iterator[tuple[float, NDArray[np.intp], Best]]:
        """Scan as `scan` does, by products that are kept, after multiplying and keeping those of `new` columns."""
        _, height, width = self.grid
        keys, new_keys = keys_of(columns.weights), keys_of(new)
        filled = torch.tensor(self._kept.take(new_keys, keys), dtype=torch.int64)
        assert columns.scale is not None
        first = [place * height * width for place in self._kept.places(keys)]
        sums = windows_of(columns, (height, width), columns.scale, first)
        squares = windows_of(columns, (height, width), columns.weights2)
        steps = [scan.whole_step(y, new) for y in range(height)] if len(new) else []
        order = self.order(max(1, len(new)))
        spans = self._kept.spans

        def task(part: slice) -> Best:
            kept, span = self._kept.chunks[part.start], spans[part.start]
            slabs = [self.slabs[at // self._step] for at in range(span.start, span.stop, self._step)]
            for number, slab in enumerate(slabs):
                own = slice(number * self._step, number * self._step + len(slab))
                for step in steps:
                    kept[filled, step.y, :, own] = scan.products(slab, step, order)
            norm2 = torch.cat([slab.norm2 for slab in slabs], 2).flatten(0, 1)
            totals = weighted_sums(kept.flatten(0, 2), sums)
            magnitudes = [square.sqrt_() for square in weighted_sums(norm2, squares)]
            return scan.best_of(totals, magnitudes, columns, floors, count=count, compatible=compatible)

        whole = False
        try:
            for number, best in enumerate(spread(task, [slice(i, i + 1) for i in range(len(spans))]), 1):
                whole = number == len(spans)
                yield number / len(spans), np.arange(spans[number - 1].start, spans[number - 1].stop), best
        finally:
            if not whole:
                self._kept.drop(new_keys)

    def floats(self, rows: NDArray[np.intp]) -> NDArray[np.floating]:
        """Return stored features (n, channel, y, x): from memory if nothing was lost, else from the store."""
        if self.scan_type == "int8" or bool(self.rho.any()):
            return self._store.read_rows(self._layer, rows + self.rows.start)
        kept = self._gathered(rows, lambda slab: slab.values if isinstance(slab, Codes) else slab.norm2)
        features: NDArray[np.floating] = kept.to(torch.float32).permute(2, 3, 0, 1).contiguous().numpy()
        return features

    def norm2(self, rows: NDArray[np.intp]) -> Tensor:
        """Return the squared length of every cell of some pictures, (n, y, x)."""
        return self._gathered(rows, lambda slab: slab.norm2).permute(2, 0, 1)

    def _gathered(self, rows: NDArray[np.intp], part: Callable[[Codes | PackedCodes], Tensor]) -> Tensor:
        """Return some pictures (axis 2) of an array of the slabs, on the CPU, with one copy from each slab."""
        slabs, at = np.divmod(rows, self._step)
        order = np.argsort(slabs, kind="stable")
        found = [
            part(self.slabs[slab])[:, :, torch.from_numpy(at[order][slabs[order] == slab]).to(self.device)].cpu()
            for slab in np.unique(slabs).tolist()
        ]
        return torch.cat(found, 2)[:, :, torch.from_numpy(np.argsort(order))]


def resident_bytes(store: "FeatureStore", layer: str, rows: slice, scan_type: ScanType) -> int:
    """Return the memory that a ResidentTier of these rows takes."""
    return codes_bytes(rows.stop - rows.start, store.spec(layer).grid, scan_type)
