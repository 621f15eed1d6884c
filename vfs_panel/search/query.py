"""RegionQuery: a region's features and its soft mask, checked and cropped, ready for any engine."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import distance_transform_edt

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
    also, without, without_share : further regions; see `combine`.
    """

    features: NDArray[np.float32]
    mask: NDArray[np.float32]
    box: tuple[int, int, int, int]
    grid: tuple[int, int]
    image_id: str | None = None
    spec: "FeatureSpec | None" = None
    also: "tuple[RegionQuery, ...]" = ()
    without: "tuple[RegionQuery, ...]" = ()
    without_share: float = 1.0

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

    @classmethod
    def combine(
        cls,
        positive: Sequence["RegionQuery"],
        negative: Sequence["RegionQuery"] = (),
        *,
        negative_share: float = 1.0,
    ) -> "RegionQuery":
        """Make one query of several regions, each matched where it fits best.

        With s_r(d, w) the masked cosine of region r at window w of picture d, the score of a window w of the first
        region is

            S(d, w) = (s_1(d, w) + Σ_{r=2..P} max_v s_r(d, v)) / P - λ/N · Σ_{r=1..N} max(0, max_v s_r⁻(d, v))

        and that of a picture its best window's. So the mean of the positive regions' best cosines, lowered by what
        the picture holds of the negative regions, λ being `negative_share`: a picture that holds them wholly loses λ.
        It lies in [-1 - λ, 1]; the place of a match is that of the first region. For regions that must keep their
        places relative to each other, paint them into one mask instead: that is one region, scored as one window.

        Parameters
        ----------
        positive : regions to look for, at least one, of the same layer; they may come from several pictures.
        negative : regions to stay away from.
        negative_share : λ, at least 0.

        Raises
        ------
        QueryError
            If no region is positive, the share is negative or not finite, or regions are of different layers.
        """
        if not positive:
            raise QueryError("A query needs at least one region to look for; only regions to stay away from are given.")
        if not (np.isfinite(negative_share) and negative_share >= 0):
            raise QueryError(f"negative_share is {negative_share}; it must be a number of at least 0.")
        first, *others = (part for query in positive for part in (query, *query.also))
        negatives = [*negative, *(part for query in positive for part in query.without)]
        for other in (*others, *negatives):
            if other.features.shape[0] != first.features.shape[0]:
                raise QueryError(
                    f"Regions of one query must be of one layer; these have {first.features.shape[0]} and "
                    f"{other.features.shape[0]} channels."
                )
            if first.spec is not None and other.spec is not None:
                first.spec.check_same_source(other.spec)
        plain = [replace(q, also=(), without=()) for q in (first, *others)]
        return replace(
            plain[0],
            also=tuple(plain[1:]),
            without=tuple(replace(q, also=(), without=()) for q in negatives),
            without_share=float(negative_share),
        )

    def regions(self) -> "list[tuple[RegionQuery, float]]":
        """Return every region and what its score counts for in the sum, the first region first; see `combine`."""
        share = 1 / (1 + len(self.also))
        found = [(query, share) for query in (self, *self.also)]
        if self.without_share > 0:
            found += [(query, -self.without_share / len(self.without)) for query in self.without]
        return found


def cells_around(features: xr.DataArray | ArrayLike, mask: ArrayLike) -> NDArray[np.float32]:
    """Return the features of the cells that are not in a region, the nearest first: those that a pen may come to next.

    Parameters
    ----------
    features : shape (channel, y, x).
    mask : shape (y, x); the cells above 0 are the region.

    Returns
    -------
    Array of shape (cell, channel), without cells that cannot be searched for.
    """
    inside = np.asarray(mask) > 0
    distance = distance_transform_edt(~inside) if inside.any() else np.ones(inside.shape)
    order = np.argsort(distance, axis=None, kind="stable")[np.count_nonzero(inside) :]
    found = np.asarray(features, np.float32).reshape(-1, inside.size).T[order]
    return np.ascontiguousarray(found[np.isfinite(found).all(1)])
