"""Does a group of pictures score higher? Effect size, interval and test of each group against others."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import mannwhitneyu

RESAMPLES = 1000
MOST_PICTURES = 50_000
"""More are sampled down: an interval needs no more, and a million would take minutes."""

_CHUNK_MB = 32.0


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Groups of pictures against others.

    Attributes
    ----------
    table : one row for each group, the highest AUROC first: n, n_other, median, auroc (the share of pairs in which a
        picture of the group scores higher than another one, ties counted half), low and high (its 95 % bootstrap
        interval), delta (Cliff's, 2 auroc - 1), p (Mann-Whitney, two-sided) and p_holm (corrected for the number of
        groups tested). NaN where a group or what it is held against has fewer than two pictures.
    tested : how many groups were tested.
    against : the group that all are held against; "" for all other pictures.
    pictures : how many were looked at.
    sampled_from : how many there are, if not all were looked at; else 0.
    units : how many units the interval resamples: pictures, or the values of a column.
    """

    table: pd.DataFrame
    tested: int
    against: str
    pictures: int
    sampled_from: int
    units: int


def groups_of(values: ArrayLike) -> dict[str, NDArray[np.bool_]]:
    """Return which pictures belong to each value of a column, in order of appearance."""
    codes, names = pd.factorize(np.asarray(values, object))
    return {str(name): codes == code for code, name in enumerate(names)}


def compare_groups(
    scores: ArrayLike,
    groups: Mapping[str, NDArray[np.bool_]],
    *,
    against: str = "",
    units: ArrayLike | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Comparison:
    """Hold each group's scores against those of all other pictures, or of one group.

    AUROC is Mann and Whitney's U over the number of pairs (Hanley & McNeil 1982), and Cliff's delta (1993) is
    2 AUROC - 1. Intervals are percentiles of a bootstrap (Efron 1979) that resamples pictures, or all pictures of a
    unit together. p values are corrected by Holm (1979), which needs no assumption on how groups depend on each other.

    Parameters
    ----------
    scores : of all pictures; NaN, not searched, is left out.
    groups : which pictures belong to each; they may overlap, as findings do.
    against : name of the group to hold all others against.
    units : of each picture, what is resampled with it, such as its location; by default each picture alone.
    resamples : of the bootstrap.
    seed : of the bootstrap, and of the sample of a large set.
    """
    values = np.asarray(scores, np.float64)
    rows = np.flatnonzero(np.isfinite(values))
    rng = np.random.default_rng(seed)
    sampled_from = 0
    if len(rows) > MOST_PICTURES:
        sampled_from = len(rows)
        rows = np.sort(rng.choice(rows, MOST_PICTURES, replace=False))
    rows = rows[np.argsort(values[rows], kind="stable")]
    values = values[rows]
    codes = np.arange(len(rows)) if units is None else pd.factorize(np.asarray(units, object)[rows])[0]
    members = {name: np.asarray(flags, bool)[rows] for name, flags in groups.items()}
    counts = _Resamples(codes, resamples, rng)
    found = []
    for name, own in members.items():
        other = members[against] & ~own if against and name != against else ~own
        found.append({"group": name, **_row(values, own, other, counts)})
    table = pd.DataFrame(found).set_index("group") if found else pd.DataFrame(columns=["auroc"])
    if against:
        table = table.drop(index=against, errors="ignore")
    table["p_holm"] = holm(table["p"]) if len(table) else []
    table = table.sort_values("auroc", ascending=False, kind="stable", na_position="last")
    tested = int(table["p"].notna().sum()) if len(table) else 0
    return Comparison(table, tested, against, len(rows), sampled_from, counts.units)


def holm(p: ArrayLike) -> NDArray[np.float64]:
    """Correct p values for their number (Holm 1979): the i-th smallest times (m - i), never below a smaller one's.

    NaN stays NaN and does not count.
    """
    values = np.asarray(p, np.float64)
    known = np.flatnonzero(np.isfinite(values))
    order = known[np.argsort(values[known], kind="stable")]
    corrected = np.full(len(values), np.nan)
    raised = values[order] * np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(raised), 1) if len(order) else raised
    return corrected


class _Resamples:
    """How often each picture is drawn in each resample, in chunks that fit into memory."""

    def __init__(self, codes: NDArray[np.intp], resamples: int, rng: np.random.Generator) -> None:
        self.units = int(codes.max()) + 1 if len(codes) else 0
        self._codes, self._resamples, self._seed = codes, resamples, int(rng.integers(2**32))

    def __iter__(self):  # type: ignore[no-untyped-def]
        rng = np.random.default_rng(self._seed)  # every group sees the same resamples
        step = max(1, int(_CHUNK_MB * 1e6 / 4 / max(len(self._codes), 1)))
        for start in range(0, self._resamples, step):
            n = min(step, self._resamples - start)
            drawn = rng.integers(0, self.units, (n, self.units))
            times = np.stack([np.bincount(row, minlength=self.units) for row in drawn]).astype(np.float32)
            yield times[:, self._codes]


def _row(
    values: NDArray[np.float64], own: NDArray[np.bool_], other: NDArray[np.bool_], counts: _Resamples
) -> dict[str, float]:
    """Return one group's statistics; `values` ascend."""
    n, n_other = int(own.sum()), int(other.sum())
    row: dict[str, float] = {
        "n": n, "n_other": n_other, "median": float(np.median(values[own])) if n else np.nan, "auroc": np.nan,
        "low": np.nan, "high": np.nan, "delta": np.nan, "p": np.nan,
    }  # fmt: skip
    if n < 2 or n_other < 2:
        return row
    test = mannwhitneyu(values[own], values[other])
    auroc = float(test.statistic) / (n * n_other)
    low, high = _interval(values, own, other, counts)
    return row | {
        "auroc": auroc, "low": min(low, auroc), "high": max(high, auroc), "delta": 2 * auroc - 1,
        "p": float(test.pvalue),
    }  # fmt: skip


def _interval(
    values: NDArray[np.float64], own: NDArray[np.bool_], other: NDArray[np.bool_], counts: _Resamples
) -> tuple[float, float]:
    starts = np.flatnonzero(np.diff(values, prepend=np.nan) != 0)  # of equal scores
    ties = len(starts) < len(values)
    found = []
    for times in counts:
        mine, theirs = times * own, times * other
        if ties:
            mine, theirs = (np.add.reduceat(part, starts, axis=1) for part in (mine, theirs))
        below = np.cumsum(theirs, 1, dtype=np.float64) - theirs / 2
        pairs = mine.sum(1, dtype=np.float64) * theirs.sum(1, dtype=np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            found.append((mine * below).sum(1) / pairs)  # NaN where a resample has none of one side
    aurocs = np.concatenate(found)
    low, high = np.nanpercentile(aurocs, [2.5, 97.5])
    return float(low), float(high)


def in_words(comparison: Comparison, group: str, *, column: str, resampled: str = "") -> tuple[str, str]:
    """Say what was found of one group, and what it does not say.

    Parameters
    ----------
    comparison : from `compare_groups`.
    group : one of its rows.
    column : what the groups are values of, such as "domain".
    resampled : the column whose values were resampled; "" for pictures.

    Returns
    -------
    A sentence, and its caveat.
    """
    row = {str(name): float(value) for name, value in comparison.table.loc[[group]].iloc[0].items()}
    n, n_other = int(row["n"]), int(row["n_other"])
    others = f"those of {comparison.against}" if comparison.against else "the others"
    name = f"{column} {group}".strip()
    if not np.isfinite(row["auroc"]):
        few = f"{n:,} against {n_other:,} pictures are too few"
        return f"{name[0].upper()}{name[1:]}: {few} to test.", ""
    p, level = float(row["p_holm"]), 0.05
    higher = "higher" if row["auroc"] > 0.5 else "lower"
    differs = f"score {higher} than {others}" if p < level else f"do not clearly score higher or lower than {others}"
    p_words = "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
    corrected = f" after correction for {comparison.tested} groups" if comparison.tested > 1 else ""
    beats = f"a random one of them beats a random one of {others} in {_percent(row['auroc'])} of pairs"
    interval = f"95 % interval {_percent(row['low'])} to {_percent(row['high'])}; Cliff’s delta {_signed(row['delta'])}"
    counted = f"n {n:,} against {n_other:,}"
    sentence = f"Pictures of {name} {differs}: {beats} ({interval}), {p_words}{corrected}, {counted}."
    unit = f"the {comparison.units:,} values of {resampled}" if resampled else "pictures, as if each stood for itself"
    caveat = (
        "One drawing on one picture, in one layer: another may say otherwise. Pictures of one group may be alike for "
        f"reasons other than what you painted. The interval resamples {unit}; the p value takes pictures as "
        "independent."
    )
    if comparison.sampled_from:
        caveat += f" A sample of {comparison.pictures:,} of {comparison.sampled_from:,} pictures was looked at."
    return sentence, caveat


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")
