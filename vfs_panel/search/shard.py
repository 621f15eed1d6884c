"""A shard: some rows of a layer, scanned and then scored exactly where it matters."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from vfs_panel.cores import cores
from vfs_panel.errors import SearchCancelled
from vfs_panel.search.ask import Answer, Ask, Cancel, first_of_groups, ranked
from vfs_panel.search.codes import Columns, make_columns
from vfs_panel.search.devices import memory_said
from vfs_panel.search.exact import exact_windows
from vfs_panel.search.kernels import best_windows
from vfs_panel.search.precision import full_precision
from vfs_panel.search.tiers import Tier
from vfs_panel.search.workers import spread

Places = tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.int32]]  # scores, y and x of windows
RESCORE_MB = 8.0  # of float64 features that one thread scores again at a time


@dataclass(slots=True, eq=False)
class _Scanned:
    """Best windows of the shard's pictures under every kernel of every ask: (kernel, n, count)."""

    score: NDArray[np.float32]
    y: NDArray[np.int32]
    x: NDArray[np.int32]


@dataclass(slots=True, eq=False)
class _Estimate:
    """What the scan knows of an ask's pictures: score (n, count) within slack (n,), and where."""

    score: NDArray[np.float32]
    slack: NDArray[np.float64]
    y: NDArray[np.int32]
    x: NDArray[np.int32]
    allowed: NDArray[np.bool_]


class Shard:
    """Answers for the rows of one tier. Read-only once made: any number of threads may ask at once.

    The exact answer is found best first. Every scanned score is within a certified bound of the truth (see `codes`),
    so pictures are scored again in float64, those that could be highest first, until no other picture's upper bound
    reaches the k-th exact score. No picture of the true top k can be lost, ties included.
    """

    def __init__(self, tier: Tier, reason: str = "") -> None:
        self.tier, self.reason = tier, reason

    def answers(self, asks: Sequence[Ask], cancel: Cancel | None = None) -> list[Answer]:
        """Answer several searches in one pass over the features; they are about the shard's own rows.

        Raises
        ------
        SearchCancelled
            If `cancel` was set; looked at between slices of the scan.
        """
        for _, known in self.steps(asks, cancel):
            final = known
        return final()

    def steps(
        self, asks: Sequence[Ask], cancel: Cancel | None = None
    ) -> Iterator[tuple[float, Callable[[], list[Answer]]]]:
        """Yield how much is done, and a function that gives what is known by then; last 1.0 and the final answers."""
        with full_precision(), memory_said("the search"):
            yield from self._steps(asks, cancel)

    def _steps(self, asks: Sequence[Ask], cancel: Cancel | None) -> Iterator[tuple[float, Callable[[], list[Answer]]]]:
        kernels = [kernel for ask in asks for kernel in ask.kernels]
        floors = [floor for ask in asks for floor in ask.floors]
        columns = make_columns(kernels, self.tier.scan_type, self.tier.device, scaled=self.tier.scaled)
        wanted = np.any([ask.allowed for ask in asks], axis=0)
        count = max([ask.per_image for ask in asks if not ask.exact], default=1)
        shape = (len(kernels), len(wanted), count)
        y, x = np.full(shape, -1, np.int32), np.full(shape, -1, np.int32)
        scanned = _Scanned(np.full(shape, -np.inf, np.float32), y, x)
        compatible = asks[0].compatible
        soon = [ask.ahead for ask in asks if ask.ahead is not None]
        ahead = torch.cat(soon) if soon else None
        for done, at, best in self.tier.scan(
            columns, floors, count=count, compatible=compatible, wanted=wanted, ahead=ahead
        ):
            if cancel is not None and cancel.is_set():
                raise SearchCancelled("The search was cancelled.")
            scanned.score[:, at] = best.score.cpu()
            scanned.y[:, at], scanned.x[:, at] = best.row.cpu(), best.col.cpu()
            if done < 1:
                yield done, lambda: [self._preview(ask, self._estimate(ask, asks, columns, scanned)) for ask in asks]
        found = []
        for ask in asks:
            estimate = self._estimate(ask, asks, columns, scanned)
            found.append(self._certified(ask, estimate, cancel) if ask.exact else self._preview(ask, estimate))
        yield 1.0, lambda: found

    def _estimate(self, ask: Ask, asks: Sequence[Ask], columns: Columns, scanned: _Scanned) -> _Estimate:
        """Add up the regions of an ask: its first region's windows, and the best window of each further region."""
        first = sum(len(other.kernels) for other in asks[: asks.index(ask)])
        rho = self.tier.rho
        score = scanned.score[first] * np.float32(ask.shares[0])
        slack = ask.shares[0] * columns.error(first, rho).double().numpy()
        for number, share in enumerate(ask.shares[1:], first + 1):
            score += np.float32(share) * other_region(scanned.score[number, :, :1], share)
            slack += abs(share) * columns.error(number, rho).double().numpy()
        allowed = ask.allowed
        score[~allowed] = -np.inf
        # Codes that overflowed: nothing is known, so the picture is scored anew.
        score[~np.isfinite(score[:, 0]) & (scanned.y[first, :, 0] >= 0) & allowed, 0] = np.inf
        return _Estimate(score, slack, scanned.y[first], scanned.x[first], allowed)

    def _preview(self, ask: Ask, estimate: _Estimate) -> Answer:
        score = estimate.score[:, : ask.per_image]  # fewer while an exact search is under way: its scan looks for one
        score = np.where(np.isposinf(score), np.float32(-1), score)
        rows, places = ranked(score, ask.k, ask.groups)
        matches = score[rows, places], estimate.y[rows, places], estimate.x[rows, places]
        estimate.score[np.isposinf(estimate.score)] = np.nan
        return self._answer(ask, estimate, rows, places, matches, rescored=0)

    def _certified(self, ask: Ask, estimate: _Estimate, cancel: Cancel | None) -> Answer:
        n = len(estimate.allowed)
        groups = ask.groups
        upper = np.where(estimate.allowed, estimate.score[:, 0] + estimate.slack, -np.inf)
        score = np.full((n, ask.per_image), -np.inf, np.float32)
        y, x = np.full((n, ask.per_image), -1, np.int32), np.full((n, ask.per_image), -1, np.int32)
        left = estimate.allowed.copy()
        batch = max(32, 2 * ask.k)
        # Before anything is scored: k pictures reach the k-th lower bound, so what cannot reach it is out.
        lower = np.where(np.isfinite(upper), estimate.score[:, 0] - estimate.slack, -np.inf)
        known = lower[:, None] if groups is None else score
        while True:
            at = np.flatnonzero(left & (upper >= _to_beat(known, ask.k, groups)))
            if not len(at):
                break
            if groups is not None and not np.isfinite(score[:, 0]).any():
                at = at[np.argsort(-upper[at], kind="stable")]
                at = at[first_of_groups(groups[at])]  # one of every group first: that is what sets the bar
            if len(at) > batch:
                at = at[np.argpartition(-upper[at], batch)[:batch]]
            at = np.sort(at)
            batch *= 2
            if cancel is not None and cancel.is_set():
                raise SearchCancelled("The search was cancelled.")
            score[at], y[at], x[at] = self._exact(ask, at)
            left[at] = False
            known = score
        rows, places = ranked(score, ask.k, groups)
        matches = score[rows, places], y[rows, places], x[rows, places]
        unknown = np.isposinf(estimate.score[:, 0])  # so all of these were scored
        estimate.score[unknown], estimate.y[unknown], estimate.x[unknown] = (
            score[unknown, :1],
            y[unknown, :1],
            x[unknown, :1],
        )
        estimate.slack[unknown] = 0
        rescored = int(estimate.allowed.sum() - left.sum())
        return self._answer(ask, estimate, rows, places, matches, rescored=rescored)

    def _exact(self, ask: Ask, at: NDArray[np.intp]) -> Places:
        """Score pictures exactly: score, y and x of their best windows, each (n, per_image)."""
        channels, height, width = self.tier.grid
        step = max(1, int(RESCORE_MB * 1e6 / (8 * channels * height * width)))
        step = min(step, max(1, -(-len(at) // cores())))  # work for every core

        def score(part: slice) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
            rows = at[part]
            features, norm2 = self.tier.floats(rows), self.tier.norm2(rows)

            def region(number: int) -> torch.Tensor:
                return exact_windows(
                    features, norm2, ask.kernels[number], floor=ask.floors[number], compatible=ask.compatible
                )

            scores = region(0) * ask.shares[0]
            for number, share in enumerate(ask.shares[1:], 1):
                others = region(number).flatten(1).amax(1).numpy()
                scores += torch.from_numpy(share * other_region(others, share))[:, None, None]
            return best_windows(scores, ask.per_image, ask.kernels[0].size)

        found = list(spread(score, [slice(i, min(i + step, len(at))) for i in range(0, len(at), step)]))
        best, y, x = (torch.cat([part[i] for part in found]).numpy() for i in range(3))
        return best, y.astype(np.int32), x.astype(np.int32)

    def _answer(
        self,
        ask: Ask,
        estimate: _Estimate,
        rows: NDArray[np.intp],
        places: NDArray[np.intp],
        matches: Places,
        rescored: int,
    ) -> Answer:
        slack = estimate.slack[estimate.allowed]
        return Answer(
            rows=self.tier.rows,
            score=estimate.score[:, 0],
            y=estimate.y[:, 0],
            x=estimate.x[:, 0],
            match_row=rows + self.tier.rows.start,
            match_place=places,
            match_score=matches[0],
            match_y=matches[1],
            match_x=matches[2],
            rescored=rescored,
            bound=float(slack.max()) if len(slack) else 0.0,
        )


def other_region(score: NDArray[np.float32], share: float) -> NDArray[np.float32]:
    """Return what a further region adds: a region to stay away from only where it is alike, never where it is not."""
    return np.maximum(score, np.float32(0)) if share < 0 else score


def _to_beat(score: NDArray[np.float32], k: int, groups: NDArray[np.intp] | None) -> NDArray[np.float32] | np.float32:
    """Return what a picture's score must reach to change the result: one number, or one per picture with groups."""
    if groups is None:
        flat = score.ravel()
        return np.partition(flat, len(flat) - k)[len(flat) - k] if len(flat) >= k else np.float32(-np.inf)
    if not len(groups):
        return np.float32(-np.inf)
    best = np.full(int(groups.max()) + 1, -np.inf, np.float32)
    np.maximum.at(best, groups, score[:, 0])
    bar = np.partition(best, len(best) - k)[len(best) - k] if len(best) >= k else np.float32(-np.inf)
    return np.maximum(best[groups], bar)
