"""What a score is worth: how random regions of the same shape score in the same pictures."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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

    def p_value(self, score: float) -> float:
        """Return (pairs at least as high + 1) / (pairs + 1), the share of chance with the usual correction."""
        higher = len(self.scores) - int(np.searchsorted(self.scores, score, side="left"))
        return (higher + 1) / (len(self.scores) + 1)


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
