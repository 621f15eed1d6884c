"""What a score is worth: how random regions of the same shape score in the same pictures."""

import math
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from scipy.stats import false_discovery_control

from vfs_panel.search.engine import RegionSearch
from vfs_panel.search.query import RegionQuery

PRODUCTS = 1.5e9  # multiplications spent on a sample, about half a second on two cores


@dataclass(frozen=True, slots=True, eq=False)
class Chance:
    """Scores of random regions.

    Attributes
    ----------
    scores : float32, ascending: the best score of each region in each picture but its own.
    n_regions, n_pictures : how many of each were drawn.
    """

    scores: NDArray[np.float32]
    n_regions: int
    n_pictures: int

    def level(self, share: float = 0.95) -> float:
        """Return the score that this share of all (region, picture) pairs stay below."""
        return float(np.quantile(self.scores, share))

    def higher(self, scores: ArrayLike) -> NDArray[np.intp]:
        """Count the (region, picture) pairs that score at least as high, for each score."""
        return len(self.scores) - np.searchsorted(self.scores, np.asarray(scores, np.float32), side="left")

    def p_value(self, scores: ArrayLike) -> NDArray[np.float64]:
        """Return (pairs at least as high + 1) / (pairs + 1) for each score, NaN for NaN.

        The one is added so that no p is 0 (North et al. 2002, Am. J. Hum. Genet. 71:439).
        """
        values = np.asarray(scores, np.float32)
        return np.where(np.isnan(values), np.nan, (self.higher(values) + 1) / (len(self.scores) + 1))

    def q_value(self, scores: ArrayLike) -> NDArray[np.float64]:
        """Return the false-discovery rate at which each score would count as found (Benjamini & Hochberg 1995).

        Parameters
        ----------
        scores : of all searched pictures; NaN, not searched, stays NaN and counts as no test.
        """
        p = np.atleast_1d(self.p_value(scores))
        q = np.full(p.shape, np.nan)
        known = np.isfinite(p)
        if known.any():
            q[known] = false_discovery_control(p[known])
        return q

    def p_words(self, score: float) -> str:
        """Say the p value of a score: "p 0.012", or "p < 0.0003" where no random region scores as high."""
        return f"p {'' if self.higher(score) else '< '}{float(self.p_value(score)):.2g}"

    def in_words(self, score: float) -> str:
        """Say how often chance does as well, and out of what."""
        n, higher = len(self.scores), int(self.higher(score))
        return (
            f"{f'{higher:,}' if higher else 'none'} of {n:,} scores this high, of {self.n_regions:,} random regions of "
            f"this shape at their best places in {self.n_pictures:,} pictures ({self.p_words(score)})"
        )

    def found_words(self, scores: ArrayLike, *, rate: float = 0.05) -> str:
        """Say how many pictures stand out from chance at a false-discovery rate, and why it may be none.

        Parameters
        ----------
        scores : of all searched pictures; NaN, not searched, is no test.
        rate : the share of those found that chance would account for.
        """
        q = self.q_value(scores)
        known, found, n = int(np.isfinite(q).sum()), int((q <= rate).sum()), len(self.scores)
        how = f"at a false-discovery rate of {rate:.0%} (Benjamini–Hochberg over all of them)."
        said = f"{found:,} of {known:,} pictures score above chance {how}"
        if found or not known:
            return said
        best = f"The best has {self.p_words(float(np.nanmax(np.asarray(scores, np.float64))))}."
        # So many pictures need the smallest p that the sample can show; one would need more of it.
        fewest = math.ceil(known / (rate * (n + 1)))
        if fewest > 1:
            few = f"fewer than {fewest:,} of {known:,} pictures"
            said = f"With {n:,} random scores, {few} cannot be told from chance {how}"
        return f"{said} {best}"

    def added_to(self, result: xr.Dataset) -> xr.Dataset:
        """Return a result with p and q of its matches, and q of every picture, and how they were counted."""
        q = self.q_value(result["image_score"].values)
        q_of = dict(zip(result["image"].values.tolist(), q.tolist(), strict=True))
        return result.assign(
            p=("rank", self.p_value(result["score"].values)),
            q=("rank", np.array([q_of.get(i, np.nan) for i in result["image_id"].values.tolist()])),
            image_q=("image", q),
        ).assign_attrs(chance_pairs=len(self.scores), chance_regions=self.n_regions, chance_pictures=self.n_pictures)


def chance(engine: RegionSearch, query: RegionQuery, *, products: float = PRODUCTS, seed: int = 0) -> Chance | None:
    """Draw random regions of the query's shape from the set and score each in random pictures of it.

    The sample is as large as `products` multiplications allow, in equal parts regions and pictures, at most 256 of
    each; the same seed draws the same sample. None if too little can be drawn for a level to mean anything.

    Parameters
    ----------
    engine : the layer that is searched.
    query : gives the region's shape (its mask); not its features.
    """
    rng = np.random.default_rng(seed)
    channels, height, width = engine.spec.grid
    h, w = query.mask.shape
    rows = engine.searchable_rows()
    per_pair = height * width * channels * query.n_cells
    side = int(np.clip(np.sqrt(products / per_pair), 4, 256))
    n_pictures = min(side, len(rows))
    n_regions = min(max(side, int(products / per_pair / max(n_pictures, 1))), 256)
    if n_pictures < 4:
        return None
    regions = [
        (int(row), int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1)))
        for row in rng.choice(rows, n_regions)
    ]
    pictures = np.sort(rng.choice(rows, n_pictures, replace=False))
    scores = engine.null_scores(query, regions, pictures)
    usable = np.sort(scores[np.isfinite(scores)])
    return Chance(usable, n_regions, n_pictures) if len(usable) >= 20 else None
