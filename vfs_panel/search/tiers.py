"""What every tier is: the features of some rows, as a scan meets them; see `resident` and `streamed`."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vfs_panel.errors import StoreError
from vfs_panel.search.codes import Columns, ScanType
from vfs_panel.search.scan import Best

if TYPE_CHECKING:
    from vfs_panel.features.store import FeatureStore

LOAD_MB = 8.0  # of float32 features that one thread turns into codes, or scans as they are, at a time


class Tier(Protocol):
    """Scans some rows of a layer, and gives their stored features. Rows are counted from `rows.start` here."""

    rows: slice
    grid: tuple[int, int, int]
    device: torch.device
    scan_type: ScanType
    rho: Tensor
    words: str

    @property
    def scaled(self) -> bool:
        """Whether `scan` wants the columns scaled."""
        ...

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
        """Yield the share that is done, pictures, and their best windows; all `wanted` ones in the end.

        Parameters
        ----------
        columns : of the tier's type, scaled if it says so.
        floors, count, compatible : as in `scan.best_of`.
        ahead : None for a search that stands alone. In a row of previews, cells (cell, channel) that the next ones
            will likely have: a tier may keep their products, and those of the columns.
        """
        ...

    def floats(self, rows: NDArray[np.intp]) -> NDArray[np.floating]:
        """Return stored features (n, channel, y, x) of some pictures."""
        ...

    def norm2(self, rows: NDArray[np.intp]) -> Tensor:
        """Return the squared length of every cell of some pictures as the scan has it, (n, y, x), on the CPU."""
        ...


def load(stored: NDArray[np.floating], device: torch.device) -> Tensor:
    """Bring stored features (n, channel, y, x) to float32 as the scan wants them: (y, x, n, channel)."""
    # Half precision is moved as it is and widened by torch: NumPy widens it at a tenth of the speed.
    return torch.from_numpy(stored).to(device).permute(2, 3, 0, 1).contiguous().to(torch.float32)


def cut(n: int, step: int) -> list[slice]:
    """Cut n pictures into parts of `step`."""
    return [slice(start, min(start + step, n)) for start in range(0, n, step)]


def spans_within(store: "FeatureStore", layer: str, rows: slice) -> list[slice]:
    """Return the rows of the committed blocks, as far as they lie within `rows`."""
    cut = [slice(max(span.start, rows.start), min(span.stop, rows.stop)) for span in store.blocks(layer)]
    return [span for span in cut if span.start < span.stop]


def check_finite(norm2: Tensor, first: int, store: "FeatureStore") -> None:
    """Refuse features that are no numbers, by the squared lengths (y, x, n) of their cells.

    Raises
    ------
    StoreError
        Naming the pictures.
    """
    bad = torch.nonzero(~torch.isfinite(norm2).flatten(0, 1).all(0))[:, 0].tolist()
    if bad:
        names = ", ".join(store.pictures_index[first + i] for i in bad[:3]) + (
            f" and {len(bad) - 3} more" if len(bad) > 3 else ""
        )
        raise StoreError(
            f"The features of {names} are NaN, infinite, or too large to square in float32. Extract them again."
        )
