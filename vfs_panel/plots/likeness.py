"""Likeness: heat over the cells of the matches, by how much each is like one cell of the query."""

import numpy as np
import xarray as xr
from bokeh.palettes import Viridis256
from numpy.typing import ArrayLike, NDArray

from vfs_panel.plots.detail import score_scale
from vfs_panel.plots.marks import Columns
from vfs_panel.plots.tiles import Tiles

_VIRIDIS = np.array([[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in Viridis256], np.uint8)
_LEAST, _MOST = 0.3, 0.9
NO_HEAT: Columns = {"col": [], "row": [], "dw": [], "dh": [], "image": []}


def heat_colours(values: ArrayLike, top: float) -> NDArray[np.uint32]:
    """Return cells as colours for Bokeh's `image_rgba`: viridis from 0 to `top`, stronger the higher the value.

    What is little alike is dimmed, so that the picture under it still shows.

    Parameters
    ----------
    values : shape (y, x); below 0 counts as 0, NaN is clear.
    top : upper end of the scale.
    """
    shares = np.clip(np.asarray(values, float) / top, 0, 1)
    known = np.isfinite(shares)
    shares = np.where(known, shares, 0)
    rgba = np.empty((*shares.shape, 4), np.uint8)
    rgba[..., :3] = _VIRIDIS[np.round(shares * 255).astype(int)]
    rgba[..., 3] = np.where(known, np.round(255 * (_LEAST + (_MOST - _LEAST) * shares)), 0)
    colours: NDArray[np.uint32] = rgba.view(np.uint32)[..., 0]
    return colours


def heat_columns(tiles: Tiles, ranks: ArrayLike, image_ids: list[str], similar: xr.DataArray | None) -> Columns:
    """Return the columns of an `images` mark: heat on each match that `similar` knows, on one scale for all.

    Parameters
    ----------
    tiles : where the matches are.
    ranks, image_ids : of each tile.
    similar : (rank, y, x) with the coordinate image_id, from `analysis.similarity.by_match`; None for no heat.
    """
    if similar is None:
        return NO_HEAT
    pairs = zip(similar["rank"].values.tolist(), similar["image_id"].values.tolist(), strict=True)
    at = {pair: n for n, pair in enumerate(pairs)}
    keys = list(zip(np.asarray(ranks, int).tolist(), image_ids, strict=True))
    known = np.array([key in at for key in keys], bool)
    top, lit = score_scale(similar.values), tiles.take(known)
    return {
        "col": lit.left,
        "row": lit.top,
        "dw": np.full(len(lit), lit.width),
        "dh": np.full(len(lit), lit.height),
        "image": [heat_colours(similar.values[at[key]], top) for key in keys if key in at],
    }
