"""Two searches for the same drawing -> how far they agree: shared best matches, rank correlation, gained and lost.

Scores of two layers are on different scales, so all of it is about ranks; scores are only carried along.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray
from scipy.stats import spearmanr

MOST_K = 100


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """The pictures that a search scored, best first; ranks count from 1.

    Attributes
    ----------
    ids : of the pictures.
    rows : their places along `image` of the result.
    scores : the best score of each, float64.
    """

    ids: pd.Index
    rows: NDArray[np.intp]
    scores: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def of(cls, result: xr.Dataset) -> "Ranking":
        """Rank a result of `RegionSearch.search`: its matches as they stand, then the other pictures by their score.

        Matches come first as their scores are exact, while those of other pictures may be the scan's. A result whose
        matches are the best of each domain is ranked by score alone. Equal scores keep the dataset's order.
        """
        scores = result["image_score"].values.astype(np.float64)
        ids = pd.Index(result["image"].values.astype(object))
        order = np.argsort(-scores, kind="stable")[: int(np.isfinite(scores).sum())]
        if not result.attrs.get("unique"):
            first = ids.get_indexer(pd.unique(result["image_id"].values))
            first = first[(first >= 0) & np.isfinite(scores[first])]
            order = np.concatenate([first, order[~np.isin(order, first)]])
        return cls(ids[order], order, scores[order])

    def rank_of(self, ids: Iterable[str]) -> NDArray[np.int_]:
        """Return the rank of each picture, 0 where it was not searched."""
        return np.asarray(self.ids.get_indexer(pd.Index(list(ids), dtype=object)) + 1, int)


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """How far two rankings agree.

    Attributes
    ----------
    ids : pictures that both searched, in the order of A.
    rank_a, rank_b : of those pictures, each among all that its own side searched.
    score_a, score_b : likewise.
    n_a, n_b : how many pictures each side searched.
    rho : Spearman's rank correlation over `ids`; NaN for fewer than three pictures, or if one side gives all the same.
    both : how many of A's best k are among B's best k, for k = 1, 2, …
    """

    ids: NDArray[np.object_]
    rank_a: NDArray[np.int_]
    rank_b: NDArray[np.int_]
    score_a: NDArray[np.float64]
    score_b: NDArray[np.float64]
    n_a: int
    n_b: int
    rho: float
    both: NDArray[np.int_]

    @property
    def n(self) -> int:
        """How many pictures both searched."""
        return len(self.ids)

    @property
    def most_k(self) -> int:
        """The largest k of the curve."""
        return len(self.both)

    @property
    def overlap(self) -> NDArray[np.float64]:
        """Share of A's best k that are among B's best k, for k = 1, 2, …"""
        return self.both / np.arange(1, self.most_k + 1)

    @property
    def chance(self) -> NDArray[np.float64]:
        """Expected overlap of two orders drawn at random: n·k / (n_a·n_b), which is k/n where both searched the same.

        Each of the n common pictures is among A's best k with probability k/n_a and, independently, among B's with
        k/n_b: the mean of the hypergeometric distribution.
        """
        return np.asarray(self.n * np.arange(1, self.most_k + 1) / max(self.n_a * self.n_b, 1))

    def in_both(self, k: int) -> int:
        """Return how many of the best k are the same pictures; beyond the curve, at its end."""
        return int(self.both[min(k, self.most_k) - 1]) if k > 0 and self.most_k else 0

    def within(self, a: tuple[float, float], b: tuple[float, float], *, by: str = "rank") -> NDArray[np.intp]:
        """Return places in `ids`, best of A first, whose ranks (or, `by` "score", scores) lie in both ranges."""
        of_a, of_b = (self.rank_a, self.rank_b) if by == "rank" else (self.score_a, self.score_b)
        inside = (a[0] <= of_a) & (of_a <= a[1]) & (b[0] <= of_b) & (of_b <= b[1])
        return np.flatnonzero(inside)


def compare(a: Ranking, b: Ranking, *, most_k: int = MOST_K) -> Comparison:
    """Compare two rankings, by the ids of their pictures.

    Parameters
    ----------
    a, b : of the same drawing under two layers, networks or datasets. Pictures are the same if their ids are.
    most_k : how far the curve of overlap goes; never further than the shorter ranking.
    """
    other = b.rank_of(a.ids)
    here = np.flatnonzero(other)
    rank_a, rank_b = here + 1, other[here]
    score_a, score_b = a.scores[here], b.scores[rank_b - 1]
    length = min(most_k, len(a), len(b))
    # A picture is in both lists from the larger of its two ranks on.
    since = np.bincount(np.minimum(np.maximum(rank_a, rank_b), length + 1), minlength=length + 2)
    return Comparison(
        ids=a.ids.to_numpy(object)[here], rank_a=rank_a, rank_b=rank_b, score_a=score_a, score_b=score_b,
        n_a=len(a), n_b=len(b), rho=_spearman(score_a, score_b), both=np.cumsum(since[1 : length + 1]),
    )  # fmt: skip


def _spearman(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    if len(a) < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(spearmanr(a, b).statistic)


def moved(rank: int, k: int, *, word: str, other: str) -> str:
    """Say where a match of the best k is on the other side: "kept, 3 in B", "lost, 35 in B", "gained, 83 in A".

    Parameters
    ----------
    rank : on the other side, 0 if it was not searched there.
    k : how many best matches are compared.
    word : for one that is not among the other side's best k: "lost" in A's row, "gained" in B's.
    other : name of the other side.
    """
    if not rank:
        return f"not searched in {other}"
    return f"{'kept' if rank <= k else word}, {rank:,} in {other}"


def matches_at(result: xr.Dataset, ranking: Ranking, ranks: NDArray[np.int_]) -> xr.Dataset:
    """Return a result whose matches are the pictures of these ranks, each by its best window.

    Parameters
    ----------
    result : of `RegionSearch.search`.
    ranking : of the result.
    ranks : from 1; they become the coordinate `rank`.
    """
    at = ranking.rows[np.asarray(ranks, int) - 1]
    columns = {"score": "image_score", "y": "image_y", "x": "image_x", "label": "image_label", "domain": "image_domain"}
    kept = result.drop_dims("rank")
    found = {
        name: ("rank", kept[column].values[at] if column in kept.variables else np.full(len(at), ""))
        for name, column in columns.items()
    }
    found["image_id"] = ("rank", kept["image"].values[at])
    return kept.assign(found).assign_coords(rank=np.asarray(ranks, int))
