"""How sure is a mean? Bootstrap intervals of means over queries, whole units resampled together."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from vfs_panel.analysis.statistics import RESAMPLES


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and its 95 % interval.

    Attributes
    ----------
    mean : of all values.
    low, high : ends of the interval; NaN where there are fewer than two units.
    n : how many values.
    units : how many units were resampled: values, or what they were painted on.
    """

    mean: float
    low: float
    high: float
    n: int
    units: int

    def __str__(self) -> str:
        many = f"n {self.n:,}" if self.units == self.n else f"n {self.n:,} in {self.units:,} groups"
        return f"{self.mean:.2f} (95 % interval {self.low:.2f} to {self.high:.2f}, {many})".replace("-", "−")


def mean_interval(
    values: ArrayLike, *, units: ArrayLike | None = None, resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """Return the mean and the percentile interval of a bootstrap (Efron 1979).

    Parameters
    ----------
    values : one per query, such as whether its best match is right, or the difference of two scores of it; NaN is left
        out.
    units : of each value, what is resampled with it, such as the picture that was painted on; by default each alone.
    resamples, seed : of the bootstrap.
    """
    numbers = np.asarray(values, np.float64)
    known = np.isfinite(numbers)
    numbers = numbers[known]
    codes = np.arange(len(numbers)) if units is None else pd.factorize(np.asarray(units, object)[known])[0]
    n_units = int(codes.max()) + 1 if len(codes) else 0
    mean = float(numbers.mean()) if len(numbers) else np.nan
    if n_units < 2:
        return Interval(mean, np.nan, np.nan, len(numbers), n_units)
    total, count = np.bincount(codes, numbers), np.bincount(codes)
    drawn = np.random.default_rng(seed).integers(0, n_units, (resamples, n_units))
    low, high = np.percentile(total[drawn].sum(1) / count[drawn].sum(1), [2.5, 97.5])
    return Interval(mean, float(low), float(high), len(numbers), n_units)
