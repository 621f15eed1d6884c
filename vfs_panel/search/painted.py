"""A region painted on a picture -> the query for it, in one call; and back to the grid, to be drawn."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vfs_panel.search.mask import grid_mask
from vfs_panel.search.query import RegionQuery
from vfs_panel.search.stroke import Stroke

if TYPE_CHECKING:
    from vfs_panel.images.dataset import ImageDataset
    from vfs_panel.models import Extractor
    from vfs_panel.search.engine import RegionSearch


def painted_query(
    engine: "RegionSearch",
    images: "ImageDataset",
    image_id: str,
    *strokes: Stroke,
    extractor: "Extractor | None" = None,
) -> RegionQuery:
    """Return the query for what is painted on a picture.

    Parameters
    ----------
    engine : gives the layer.
    images : the set that the picture is of, by default one of those that are searched.
    image_id : the picture that is painted on.
    strokes : in pixels of the picture, in the order in which they were painted.
    extractor : of the engine's network and layer, for a picture that is not among those that are searched.

    Raises
    ------
    ImageError, StoreError
        If there is no such picture among the images, or in the store.
    QueryError
        If nothing is painted, or the features there are all zero.
    """
    picture = images.rgb(image_id)
    mask = grid_mask(strokes, engine.spec.preprocessing.geometry(*picture.shape[:2]), engine.spec.grid[1:])
    if extractor is None:
        return engine.query(image_id, mask)
    return RegionQuery.from_mask(extractor.features(picture, engine.layer), mask, spec=engine.spec)


def box_of_shares(
    images: "ImageDataset", image_id: str, left: float, top: float, right: float, bottom: float
) -> Stroke:
    """Return a rectangle given in shares of a picture's width and height: 0.25, 0.25, 0.75, 0.75 is its middle."""
    height, width = images.rgb(image_id).shape[:2]
    return Stroke.box(left * width, top * height, right * width, bottom * height)


def on_grid(query: RegionQuery) -> NDArray[np.float32]:
    """Return the weights of a query's first region on the whole grid (y, x), for `plots.query.layer_view`."""
    y, x, height, width = query.box
    mask = np.zeros(query.grid, np.float32)
    mask[y : y + height, x : x + width] = query.mask
    return mask
