"""The regions that are searched for: five masks, from one cell to the whole grid."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from vfs_panel.features.store import FeatureStore
    from vfs_panel.search.query import RegionQuery

_SOFT = np.array([0.4, 1.0, 0.4], np.float32)
_WINDOWS = {
    "1×1": np.ones((1, 1), np.float32),
    "2×2": np.ones((2, 2), np.float32),
    "3×3 soft": np.outer(_SOFT, _SOFT),
    "5×5": np.ones((5, 5), np.float32),
}
ONE_CELL, SOFT, FULL = "1×1", "3×3 soft", "full"
MASKS = (*_WINDOWS, FULL)


def mask(name: str, grid: tuple[int, int]) -> NDArray[np.float32]:
    """Return a mask's weights on a grid (y, x): the window in the middle, all of the grid for "full"."""
    if name == FULL:
        return np.ones(grid, np.float32)
    window = _WINDOWS[name]
    weights = np.zeros(grid, np.float32)
    y, x = (grid[0] - window.shape[0]) // 2, (grid[1] - window.shape[1]) // 2
    weights[y : y + window.shape[0], x : x + window.shape[1]] = window
    return weights


def query(store: "FeatureStore", layer: str, name: str) -> "RegionQuery":
    """Return the query of a mask: painted on a picture in the middle of the first block's rows."""
    from vfs_panel.search.query import RegionQuery

    spec = store.spec(layer)
    image_id = str(store.index.index[min(250, store.n_images // 2)])
    return RegionQuery.from_mask(
        store.feature(layer, image_id), mask(name, spec.grid[1:]), image_id=image_id, spec=spec
    )
