"""StreamedTier: features stay in the store, and are read block by block at each search."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vfs_panel.search import scan, tiers
from vfs_panel.search.codes import Columns, ScanType
from vfs_panel.search.devices import device_words
from vfs_panel.search.scan import Best
from vfs_panel.search.tiers import check_finite, cut, spans_within
from vfs_panel.search.workers import spread
from vfs_panel.words import size_words

if TYPE_CHECKING:
    from vfs_panel.features.store import FeatureStore


class StreamedTier:
    """Features stay in the store; each block is read while the one before is scanned, in float32."""

    scan_type: ScanType = "float32"

    def __init__(self, store: "FeatureStore", layer: str, rows: slice, device: torch.device) -> None:
        self._store, self._layer = store, layer
        self.rows, self.device = rows, device
        self.grid = store.spec(layer).grid
        self._spans = spans_within(store, layer, rows)
        self._norm2 = torch.from_numpy(store.norm2(layer, rows)).permute(1, 2, 0).contiguous()
        check_finite(self._norm2, rows.start, store)
        self.rho = torch.zeros(rows.stop - rows.start)
        share = (rows.stop - rows.start) / max(store.n_images, 1)
        self.words = f"{device_words(device)}, features read from disk, {size_words(store.nbytes(layer) * share)}"

    @property
    def scaled(self) -> bool:
        """Whether `scan` wants the columns scaled."""
        return False

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
        """Yield the share that is done, pictures, and their best windows, as blocks come from the store."""
        del ahead  # what is not held because memory is short is not kept either
        channels, height, width = self.grid
        spans = [s for s in self._spans if wanted[s.start - self.rows.start : s.stop - self.rows.start].any()]
        weights, magnitudes = columns.weights, scan.make_magnitudes(columns, self.grid)
        step = max(1, int(tiers.LOAD_MB * 1e6 / (4 * channels * height * width)))
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
                    totals = scan.plane_sums(list(planes), columns)
                    sizes = scan.window_magnitudes(norm2, columns, magnitudes)
                    return scan.best_of(totals, sizes, columns, floors, count=count, compatible=compatible)

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
