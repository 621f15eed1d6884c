"""The same drawings searched under several networks: every picture's score for each.

Scores of two networks are on different scales, unless one is an edit of the other. What compares between others is
which pictures come first, and whether they are the right ones.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd
import xarray as xr

from vfs_panel.errors import QueryError
from vfs_panel.images.dataset import ImageDataset
from vfs_panel.search.engine import RegionSearch
from vfs_panel.search.mask import grid_mask
from vfs_panel.search.stroke import Stroke

Drawing = tuple[str, Iterable[Stroke]]
"""A picture's id, and what is painted on it."""


def scores_of(engine: RegionSearch, images: ImageDataset, drawings: Iterable[Drawing]) -> xr.DataArray:
    """Search for several drawings and return every picture's best score for each.

    Parameters
    ----------
    engine : the layer of the network that searches.
    images : the pictures that were painted on, for their sizes.
    drawings : each is searched by itself.

    Returns
    -------
    DataArray (drawing, image), NaN for the painted picture itself. Coordinates of each image are its domain and label,
    and of each drawing the picture that was painted on, painted, and its painted_domain and painted_label.
    """
    queries, painted = [], []
    for image, strokes in drawings:
        height, width = images.rgb(image).shape[:2]
        geometry = engine.spec.preprocessing.geometry(height, width)
        queries.append(engine.query(image, grid_mask(strokes, geometry, engine.spec.grid[1:])))
        painted.append(image)
    if not queries:
        raise QueryError("There is no drawing to search for.")
    results = engine.search_many(queries, k=1)
    ids = results[0]["image"].values
    at = pd.Index(ids).get_indexer(painted)
    coords = {"drawing": np.arange(len(queries)), "painted": ("drawing", np.array(painted)), "image": ids}
    for column in ("domain", "label"):
        values = results[0][f"image_{column}"].values.astype(str)
        coords |= {column: ("image", values), f"painted_{column}": ("drawing", values[at])}
    scores = np.stack([result["image_score"].values for result in results])
    return xr.DataArray(scores, dims=("drawing", "image"), coords=coords, name="score")


def best(scores: xr.DataArray, k: int) -> xr.DataArray:
    """Return which pictures are among the best k for each drawing, (drawing, image) of bool; of equals, the first."""
    order = np.argsort(-scores.fillna(-np.inf).values, axis=1, kind="stable")[:, :k]
    flags = np.zeros(scores.shape, bool)
    np.put_along_axis(flags, order, values=True, axis=1)
    return scores.copy(data=flags & np.isfinite(scores.values)).rename("best")
