"""Why a place matched: its score taken apart by cell and channel, and how all other places of the picture score."""

from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from vfs_panel.search.engine import RegionSearch
from vfs_panel.search.query import RegionQuery


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """One place of one picture under a query's first region.

    Attributes
    ----------
    image_id : the picture.
    y, x : top left cell of the window.
    score : of the window.
    scores : float32, shape (rows, columns): of every window of the picture, by its top left cell.
    cells : float32, shape (h, w): what each cell of the window adds to the score; they sum to it.
    channels : float32, shape (channel,): what each channel adds; they sum to it too.
    elsewhere : (score, y, x) of the best window that overlaps this one by less than half on some axis, None if the
        picture has no room for one.
    """

    image_id: str
    y: int
    x: int
    score: float
    scores: NDArray[np.float32]
    cells: NDArray[np.float32]
    channels: NDArray[np.float32]
    elsewhere: tuple[float, int, int] | None

    def shares(self) -> NDArray[np.float32]:
        """Return what each cell adds as a share of the score, summing to 1; all 0 for a score of 0."""
        total = float(self.cells.sum())
        return np.asarray(self.cells / total if total else np.zeros_like(self.cells), np.float32)

    def top_channels(self, n: int = 6) -> list[tuple[int, float]]:
        """Return (channel, share of the score) of the channels that add most."""
        total = float(self.channels.sum())
        order = np.argsort(-self.channels, kind="stable")[:n]
        return [(int(c), float(self.channels[c] / total) if total else 0.0) for c in order.tolist()]


def explain(engine: RegionSearch, query: RegionQuery, image_id: str, y: int, x: int) -> Explanation:
    """Take the score of one place apart; see `RegionSearch.contributions` for the formula.

    Parameters
    ----------
    engine : the layer that was searched.
    query : its first region is explained.
    image_id : a picture of the store.
    y, x : top left cell of the window.

    Raises
    ------
    QueryError
        If the picture is not in the store, or the window does not lie on its grid.
    """
    parts: xr.DataArray = engine.contributions(query, image_id, y, x)
    scores = engine.heat_map(query, image_id).values
    values = parts.values.astype(np.float64)
    h, w = query.mask.shape
    rows, columns = np.indices(scores.shape)
    apart = (np.abs(rows - y) >= (h + 1) // 2) | (np.abs(columns - x) >= (w + 1) // 2)
    elsewhere = None
    if apart.any():
        at = int(np.argmax(np.where(apart, scores, -np.inf)))
        elsewhere = (float(scores.flat[at]), *(int(v) for v in np.unravel_index(at, scores.shape)))
    return Explanation(
        image_id=image_id,
        y=y,
        x=x,
        score=float(scores[y, x]),
        scores=np.asarray(scores, np.float32),
        cells=values.sum(2).astype(np.float32),
        channels=values.sum((0, 1)).astype(np.float32),
        elsewhere=elsewhere,  # type: ignore[arg-type]
    )
