"""Which cells are like one cell: its cosine with every cell of other pictures. Pure arrays: no store, no UI."""

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from vfs_panel.search.kernels import RELATIVE_FLOOR


def directions(features: ArrayLike) -> NDArray[np.float32]:
    """Return the features of cells at length 1, (n, y, x, channel): what `similar_cells` needs of many cells, once.

    A cell of almost no length has no direction but rounding: it is 0 in all channels. The limit is that of a search,
    `search.kernels.RELATIVE_FLOOR` of the root mean square length, here of these cells.

    Parameters
    ----------
    features : shape (n, channel, y, x), finite.
    """
    cells = np.ascontiguousarray(np.moveaxis(np.asarray(features), 1, 3), np.float32)
    norm2 = np.einsum("nyxc,nyxc->nyx", cells, cells)
    floor2 = RELATIVE_FLOOR**2 * float(norm2.mean(dtype=np.float64)) if norm2.size else 0.0
    inverse = np.divide(1, np.sqrt(norm2), out=np.zeros_like(norm2), where=norm2 > floor2)
    cells *= inverse[..., None]
    return cells


def similar_cells(cell: ArrayLike, others: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the cosine of one cell with each of many, (n, y, x); 0 where one of the two has no direction.

    It is the score that each of them would have if that cell alone, fully covered, were the painted region.

    Parameters
    ----------
    cell : shape (channel,), finite.
    others : shape (n, y, x, channel), from `directions`.
    """
    values = np.asarray(cell, np.float64)
    length = float(np.linalg.norm(values))
    if not length > 0:
        return np.zeros(others.shape[:3], np.float32)
    unit = (values / length).astype(np.float32)
    cosines: NDArray[np.float32] = others.reshape(-1, others.shape[3]) @ unit
    return np.clip(cosines, -1, 1).reshape(others.shape[:3])


def by_match(cosines: NDArray[np.float32], result: xr.Dataset, cell: tuple[int, int]) -> xr.DataArray:
    """Label the cosines of the matches of a search: DataArray (rank, y, x) with the coordinates rank and image_id.

    Parameters
    ----------
    cosines : shape (match, y, x), in the order of the result.
    result : of `RegionSearch.search`.
    cell : (row, column) of the query's cell, kept as `attrs["cell"]`.
    """
    return xr.DataArray(
        cosines,
        dims=("rank", "y", "x"),
        coords={"rank": result["rank"].values, "image_id": ("rank", result["image_id"].values)},
        name="similarity",
        attrs={"cell": cell},
    )


def best_match(similar: xr.DataArray) -> tuple[float, int]:
    """Return (cosine, rank) of the cell that is most alike, the better rank where several are."""
    best = similar.values.max((1, 2))
    at = int(np.argmax(best))
    return float(best[at]), int(similar["rank"].values[at])
