"""The same drawings searched under several networks: every picture's score for each, and how far a mean can be trusted.

Scores of two networks are on different scales, unless one is an edit of the other. What compares between others is
which pictures come first, and whether they are the right ones.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike

from vfs_panel.errors import QueryError
from vfs_panel.images.dataset import ImageDataset
from vfs_panel.search.engine import RegionSearch
from vfs_panel.search.mask import grid_mask
from vfs_panel.search.stroke import Stroke

RESAMPLES = 2000

Drawing = tuple[str, Iterable[Stroke]]
"""A picture's id, and what is painted on it."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and the 95 % interval of it; `str` writes it as "0.18 (0.15 to 0.21)".

    Attributes
    ----------
    mean : of all values.
    low, high : percentiles of the bootstrap; NaN where there are fewer than two units.
    n : how many values there are.
    """

    mean: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        """Return the mean and its interval in words."""
        return f"{self.mean:.2f} ({self.low:.2f} to {self.high:.2f})".replace("-", "−")


def mean_interval(
    values: ArrayLike, *, units: ArrayLike | None = None, resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """Return the mean of some values with its 95 % interval, percentiles of a bootstrap (Efron 1979).

    Parameters
    ----------
    values : numbers; NaN is left out.
    units : of each value, what is resampled with it, such as the picture that several drawings were made on; by default
        each value alone.
    resamples, seed : of the bootstrap.

    Raises
    ------
    QueryError
        If there is no value.
    """
    numbers = np.asarray(values, np.float64).ravel()
    known = np.isfinite(numbers)
    if not known.any():
        raise QueryError("There is no value to take a mean of.")
    labels = np.arange(len(numbers)) if units is None else np.asarray(units, object).ravel()
    codes, names = pd.factorize(labels[known])
    numbers = numbers[known]
    if len(names) < 2:
        return Interval(float(numbers.mean()), np.nan, np.nan, len(numbers))
    sums, counts = np.bincount(codes, numbers), np.bincount(codes)
    drawn = np.random.default_rng(seed).integers(0, len(names), (resamples, len(names)))
    low, high = np.percentile(sums[drawn].sum(1) / counts[drawn].sum(1), [2.5, 97.5])
    return Interval(float(numbers.mean()), float(low), float(high), len(numbers))


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
