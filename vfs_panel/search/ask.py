"""What a shard is asked and what it answers: plain arrays that can be sent to another process."""

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from vfs_panel.search.kernels import Kernel


class Cancel(Protocol):
    """What stops a search: as much of a threading.Event as a search looks at."""

    def is_set(self) -> bool:
        """Whether it is to stop."""
        ...


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Ask:
    """One search, without anything of stores or pictures.

    Attributes
    ----------
    kernels : the query's regions, its first region first, then further positive and negative ones; on the CPU.
    shares : what each region's score counts for in the sum; negative for regions to stay away from.
    floors : windows of a magnitude not above this score 0, per kernel.
    allowed : bool per picture: search only these.
    groups : int per picture: only the best match of each group; None for no groups.
    k, per_image, compatible, exact : as in `RegionSearch.search`.
    ahead : None for a search that stands alone; of one in a row of previews, cells that the next ones will likely have
        too: Tensor, shape (cell, channel), float64.
    """

    kernels: tuple[Kernel, ...]
    shares: tuple[float, ...]
    floors: tuple[float, ...]
    allowed: NDArray[np.bool_]
    groups: NDArray[np.intp] | None = None
    k: int = 20
    per_image: int = 1
    compatible: bool = False
    exact: bool = True
    ahead: Tensor | None = None

    def within(self, rows: slice) -> "Ask":
        """Return the same search among some rows of the pictures."""
        return replace(self, allowed=self.allowed[rows], groups=None if self.groups is None else self.groups[rows])


@dataclass(slots=True, eq=False, kw_only=True)
class Answer:
    """What some rows of the store hold.

    Attributes
    ----------
    rows : the rows of the store that this is about.
    score, y, x : the best window of each of these pictures, as scanned: within `bound` of the truth.
    match_row, match_place : row of the store of each match, best first, and which of its windows it is.
    match_score, match_y, match_x : of each match; exact if `Ask.exact`.
    rescored : how many pictures were scored again in float64.
    bound : certified largest error of `score`.
    """

    rows: slice
    score: NDArray[np.float32]
    y: NDArray[np.int32]
    x: NDArray[np.int32]
    match_row: NDArray[np.intp]
    match_place: NDArray[np.intp]
    match_score: NDArray[np.float32]
    match_y: NDArray[np.int32]
    match_x: NDArray[np.int32]
    rescored: int
    bound: float


def merge(answers: list[Answer], ask: Ask) -> Answer:
    """Put the answers of shards together, in the order of their rows; the same as one shard of all rows would give."""
    answers = sorted(answers, key=lambda answer: answer.rows.start)
    if len(answers) == 1:
        return answers[0]
    parts = {
        name: np.concatenate([getattr(answer, name) for answer in answers])
        for name in ("score", "y", "x", "match_row", "match_place", "match_score", "match_y", "match_x")
    }
    order = np.lexsort((parts["match_place"], parts["match_row"], -parts["match_score"]))
    if ask.groups is not None:
        order = order[first_of_groups(ask.groups[parts["match_row"][order]])]
    order = order[: ask.k]
    for name in parts:
        if name.startswith("match_"):
            parts[name] = parts[name][order]
    return Answer(
        rows=slice(answers[0].rows.start, answers[-1].rows.stop),
        rescored=sum(answer.rescored for answer in answers),
        bound=max(answer.bound for answer in answers),
        **parts,
    )


def first_of_groups(groups: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the places, ascending, at which each group comes first."""
    return np.sort(np.unique(groups, return_index=True)[1])


def ranked(
    scores: NDArray[np.float32], k: int, groups: NDArray[np.intp] | None
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Order windows (picture, place) by score, then by picture and place; keep k, or the best of each group.

    Parameters
    ----------
    scores : shape (picture, place); -inf where there is none.
    groups : group of each picture, or None.

    Returns
    -------
    Picture and place of each, best first.
    """
    flat = scores.ravel()
    found = int(np.isfinite(flat).sum())
    if groups is None and found > k:
        # Only what reaches the k-th score needs sorting; ties with it stay in, so that their order decides.
        threshold = np.partition(flat, len(flat) - k)[len(flat) - k]
        candidates = np.flatnonzero(flat >= threshold)
    else:
        candidates = np.flatnonzero(np.isfinite(flat))
    order = candidates[np.argsort(-flat[candidates], kind="stable")]
    images, places = np.divmod(order, scores.shape[1])
    if groups is not None:
        first = first_of_groups(groups[images])
        images, places = images[first], places[first]
    return images[:k], places[:k]
