"""Grouping a result by any column of the store, and which groups the best matches leave out."""

from collections import OrderedDict
from threading import Lock
from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike, NDArray

OTHER = "other"
_NUMBERED = 16  # arrays whose groups are remembered: those of a few open layers, by domain and label

_numbered: "OrderedDict[int, tuple[NDArray[np.object_], NDArray[np.intp], tuple[str, ...]]]" = OrderedDict()
_lock = Lock()


def numbered(values: NDArray[np.object_]) -> tuple[NDArray[np.intp], tuple[str, ...]]:
    """Return each value's number among the different ones, and these in order of appearance; -1 for a missing value.

    All results of an engine have the same array of domains, so what was found for it is remembered.
    """
    with _lock:
        known = _numbered.get(id(values))
        if known is not None and known[0] is values:
            _numbered.move_to_end(id(values))
            return known[1], known[2]
    codes, names = pd.factorize(values)
    found = codes, tuple(str(name) for name in names)
    with _lock:
        _numbered[id(values)] = (values, *found)
        while len(_numbered) > _NUMBERED:
            _numbered.popitem(last=False)
    return found


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
    codes, names = numbered(result["image_domain"].values)
    there = set(result["domain"].values.astype(str).tolist())
    searched = np.isfinite(scores)
    found = []
    for code, name in enumerate(names):
        if name in there or not len(own := scores[(codes == code) & searched]):
            continue
        best = float(own.max())
        found.append(Absent(name, best, 1 + int((scores[searched] > best).sum())))
    return sorted(found, key=lambda group: -group.best)
