"""RegionQuery: a region's features and its soft mask, checked and cropped, ready for any engine."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from vfs_panel.errors import QueryError

if TYPE_CHECKING:
    from vfs_panel.features.spec import FeatureSpec


@dataclass(frozen=True, slots=True, eq=False)
class RegionQuery:
    """What is searched for.

    Attributes
    ----------
    features : float32, shape (channel, h, w): the features inside the mask's bounding box.
    mask : float32, shape (h, w): weights in [0, 1] of those cells.
    box : (y, x, h, w): where the bounding box lies on the picture's feature grid.
    grid : (rows, columns) of that grid.
    image_id : the picture of the set that was painted on, left out of its own results; None for another picture.
    spec : what made the features; an engine refuses features of another network, layer or preprocessing. None skips
        that check, for features from elsewhere.
    """

    features: NDArray[np.float32]
    mask: NDArray[np.float32]
    box: tuple[int, int, int, int]
    grid: tuple[int, int]
    image_id: str | None = None
    spec: "FeatureSpec | None" = None

    @classmethod
    def from_mask(
        cls,
        features: xr.DataArray | ArrayLike,
        mask: xr.DataArray | ArrayLike,
        *,
        image_id: str | None = None,
        spec: "FeatureSpec | None" = None,
    ) -> "RegionQuery":
        """Make a query from a picture's features and a mask on the same grid.

        Parameters
        ----------
        features : shape (channel, y, x). A DataArray of one picture out of a store brings its id along.
        mask : shape (y, x), weights in [0, 1]; the cells above 0 are the region.
        image_id : the picture's id in the searched set, if it is in it.
        spec : what made the features.

        Raises
        ------
        QueryError
            If shapes do not fit, the mask is empty or outside [0, 1], or the region's features are all zero or
            not finite.
        """
        if image_id is None and isinstance(features, xr.DataArray) and "image" in features.coords:
            value = features.coords["image"]
            image_id = str(value.item()) if value.ndim == 0 else None
        if isinstance(features, xr.DataArray) and set(features.dims) == {"channel", "y", "x"}:
            features = features.transpose("channel", "y", "x")
        values, weights = np.asarray(features, np.float32), np.asarray(mask, np.float32)
        if values.ndim != 3:
            raise QueryError(f"Query features have shape {values.shape}; expected (channel, y, x) of one picture.")
        if weights.shape != values.shape[1:]:
            raise QueryError(
                f"The mask has shape {weights.shape}, the features' grid is {values.shape[1:]} (y, x); "
                "bring the mask to the grid, for example with vfs_panel.search.mask.to_grid."
            )
        if not np.isfinite(weights).all() or weights.min() < 0 or weights.max() > 1:
            raise QueryError("The mask has weights outside [0, 1]; divide an 8-bit mask by 255.")
        rows, cols = np.nonzero(weights)
        if len(rows) == 0:
            raise QueryError("Nothing is painted: the mask has no cell above 0. Paint a part of the picture.")
        y0, x0 = int(rows.min()), int(cols.min())
        h, w = int(rows.max()) - y0 + 1, int(cols.max()) - x0 + 1
        inside, weights_inside = values[:, y0 : y0 + h, x0 : x0 + w], weights[y0 : y0 + h, x0 : x0 + w]
        painted = inside[:, weights_inside > 0]
        if not np.isfinite(painted).all():
            raise QueryError("The painted cells have features that are NaN or infinite; extract them again in float32.")
        if not painted.any():
            raise QueryError(
                "The painted cells have features of 0 only: the layer sees nothing there. Paint elsewhere."
            )
        # A cell that is not painted takes no part, whatever it holds: NaN × 0 would be NaN.
        inside = np.where(weights_inside > 0, inside, np.float32(0))
        return cls(
            features=np.ascontiguousarray(inside),
            mask=np.ascontiguousarray(weights_inside),
            box=(y0, x0, h, w),
            grid=(values.shape[1], values.shape[2]),
            image_id=image_id,
            spec=spec,
        )

    @property
    def n_cells(self) -> int:
        """How many cells the region touches."""
        return int((self.mask > 0).sum())
