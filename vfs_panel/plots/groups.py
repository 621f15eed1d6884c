"""Groups of searched pictures by domain or label: their scores, hills and axes. Pure numpy, no drawing."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import gaussian_filter1d

from vfs_panel.analysis.grouping import numbered

By = Literal["domain", "label"]


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """The pictures of one domain or label.

    Attributes
    ----------
    name : as in the dataset.
    pictures : rows of the result's `image` dimension, those searched, best score first; equal scores keep the
        dataset's order.
    scores : of those pictures.
    ranks : rows of the result's `rank` dimension that are of this group.
    """

    name: str
    pictures: NDArray[np.intp]
    scores: NDArray[np.float64]
    ranks: NDArray[np.intp]


def group_names(result: xr.Dataset, by: By) -> tuple[str, ...]:
    """Return the domains or labels of a result's pictures, in order of appearance."""
    return numbered(result[f"image_{by}"].values)[1]


def group_scores(result: xr.Dataset, by: By | None) -> list[Group]:
    """Group the pictures of a search result, in order of appearance; `by` None makes one group."""
    scores = result["image_score"].values.astype(np.float64)
    order = np.argsort(-scores, kind="stable")  # NaN, not searched, comes last
    order = order[: int(np.isfinite(scores).sum())]
    if by is None:
        return [Group("all pictures", order, scores[order], np.arange(result.sizes["rank"]))]
    codes, names = numbered(result[f"image_{by}"].values)
    matched, ordered = result[by].values, codes[order]
    groups = []
    for code, name in enumerate(names):
        pictures = order[ordered == code]
        groups.append(Group(name, pictures, scores[pictures], np.flatnonzero(matched == name)))
    return groups


def best_pictures(result: xr.Dataset) -> list[str]:
    """Return the ids of the best picture of each domain that was searched."""
    ids = result["image"].values
    return [str(ids[group.pictures[0]]) for group in group_scores(result, "domain") if len(group.pictures)]


def top_groups(groups: list[Group], n: int, *, other: str = "other") -> list[Group]:
    """Keep the `n` groups with the best scores, in that order, and put all others into one more at the end."""
    order = sorted(range(len(groups)), key=lambda i: -groups[i].scores[0] if len(groups[i].scores) else np.inf)
    kept, rest = [groups[i] for i in order[:n]], [groups[i] for i in order[n:]]
    if not rest:
        return kept
    pictures = np.concatenate([group.pictures for group in rest])
    scores = np.concatenate([group.scores for group in rest])
    down = np.lexsort((pictures, -scores))
    ranks = np.sort(np.concatenate([group.ranks for group in rest]))
    return [*kept, Group(other, pictures[down], scores[down], ranks)]


def score_range(result: xr.Dataset | None, *, held: tuple[float, float] | None = None) -> tuple[float, float]:
    """Return the range of a score axis: round numbers that hold every score with a little room.

    Parameters
    ----------
    result : of a search; None or without scores gives `held`, or 0 to 1.
    held : a range that must stay inside, so that an axis only ever widens within a session.
    """
    scores = np.empty(0) if result is None else result["image_score"].values.astype(np.float64)
    scores = scores[np.isfinite(scores)]
    if not len(scores):
        return held or (0.0, 1.0)
    low = np.floor((scores.min() - 0.02) / 0.05) * 0.05
    high = np.ceil((scores.max() + 0.02) / 0.1) * 0.1
    if held is not None:
        low, high = min(low, held[0]), max(high, held[1])
    return round(float(low), 2), round(float(high), 2)


def ticks(low: float, high: float, *, width_px: float, room_px: float = 44) -> list[tuple[float, str]]:
    """Return round values and how they are written, as many as stand `room_px` apart on an axis of `width_px`."""
    # Two decimals are wider and calm nothing: only where tenths would leave hardly a tick.
    room = {0.01: 2 * room_px, 0.02: 2 * room_px, 0.05: 2 * room_px}
    steps = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
    step = next((s for s in steps if s * width_px >= room.get(s, room_px) * (high - low)), 1.0)
    decimals = 2 if step < 0.1 else 1
    at = np.arange(np.ceil(low / step - 0.01), np.floor(high / step + 0.01) + 1) * step
    return [(float(v), f"{v + 0.0:.{decimals}f}".replace("-", "−")) for v in np.round(at, 2)]


def hill(scores: ArrayLike, at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Estimate the density of scores with a Gaussian kernel of Silverman's width (1986, eq. 3.31).

    Parameters
    ----------
    scores : values, any number.
    at : equally spaced points.

    Returns
    -------
    Density at each point, in units of 1 / score; 0 everywhere if there are no scores.
    """
    values = np.asarray(scores, np.float64)
    if not len(values):
        return np.zeros(len(at))
    step = float(at[1] - at[0])
    quartiles = np.percentile(values, [25, 75])
    spread = min(values.std(), (quartiles[1] - quartiles[0]) / 1.34) or values.std()
    # Not thinner than three points, or a single score would be a needle whose height depends on the screen.
    width = max(0.9 * spread * len(values) ** -0.2, 3 * step)
    # Each score is shared between its two neighbours, so that the hill does not jump from point to point.
    place = np.clip((values - at[0]) / step, 0, len(at) - 1)
    below = np.minimum(place.astype(int), len(at) - 2)
    share = place - below
    counts = np.bincount(below, 1 - share, len(at)) + np.bincount(below + 1, share, len(at))
    return np.asarray(gaussian_filter1d(counts, width / step, mode="constant") / (len(values) * step))
