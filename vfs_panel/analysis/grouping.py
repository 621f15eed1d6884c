"""Grouping a result by any column of the store, and which groups the best matches leave out."""

from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike

OTHER = "other"


def regrouped(result: xr.Dataset, values: ArrayLike, *, most: int) -> xr.Dataset:
    """Return a result whose domains are the values of another column.

    Parameters
    ----------
    result : of `RegionSearch.search`.
    values : of each picture of the result's `image` dimension.
    most : groups kept: the frequent ones; all others share "other".
    """
    groups = pd.Series(np.asarray(values, object)).astype(str)
    counts = groups.value_counts()
    if len(counts) > most:
        groups = groups.where(groups.isin(counts.index[: most - 1]), OTHER)
    own = groups.to_numpy(object)
    of = pd.Series(own, index=result["image"].values)
    matched = of.reindex(result["image_id"].values).to_numpy(object)
    return result.assign_coords(image_domain=("image", own)).assign(domain=("rank", matched.astype(str)))


class Absent(NamedTuple):
    """A group without a match: its name, its best score, and the rank of that among all searched pictures."""

    name: str
    best: float
    rank: int


def absent(result: xr.Dataset) -> list[Absent]:
    """Return the domains of which no picture is among the matches, the best first; those not searched are left out."""
    scores = result["image_score"].values.astype(np.float64)
    domains = result["image_domain"].values.astype(str)
    there = set(result["domain"].values.astype(str).tolist())
    found = []
    for name in pd.unique(domains).tolist():
        own = scores[(domains == name) & np.isfinite(scores)]
        if name in there or not len(own):
            continue
        best = float(own.max())
        found.append(Absent(name, best, 1 + int((scores[np.isfinite(scores)] > best).sum())))
    return sorted(found, key=lambda group: -group.best)
