"""Intervals of means hold what they should, and resample whole units."""

import numpy as np
import pytest

from vfs_panel.analysis.intervals import mean_interval


def test_mean_and_ends():
    values = np.random.default_rng(1).normal(3, 1, 400)
    found = mean_interval(values)
    assert found.mean == pytest.approx(values.mean())
    assert (found.n, found.units) == (400, 400)
    half = 1.96 * values.std() / 20  # what theory says of a normal mean
    assert found.high - found.mean == pytest.approx(half, rel=0.15)
    assert found.mean - found.low == pytest.approx(half, rel=0.15)
    assert mean_interval(values) == found


def test_it_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(2)
    inside = [f.low <= 0.3 <= f.high for f in (mean_interval(rng.random(60) < 0.3, resamples=300) for _ in range(200))]
    assert 0.88 <= np.mean(inside) <= 0.99


def test_units_are_resampled_together():
    """Ten copies of each value are worth no more than one."""
    values = np.random.default_rng(3).normal(0, 1, 30)
    alone, copied = mean_interval(values), mean_interval(np.repeat(values, 10), units=np.repeat(np.arange(30), 10))
    assert (copied.n, copied.units) == (300, 30)
    assert (copied.low, copied.high) == pytest.approx((alone.low, alone.high))
    assert mean_interval(np.repeat(values, 10)).high < alone.high


def test_units_of_different_sizes_keep_the_mean_of_all_values():
    found = mean_interval([0.0, 0.0, 0.0, 1.0], units=["a", "a", "a", "b"])
    assert found.mean == 0.25
    assert (found.low, found.high) == (0.0, 1.0)


def test_nan_is_left_out_and_too_few_have_no_interval():
    found = mean_interval([1.0, np.nan, 0.0, np.nan])
    assert (found.mean, found.n) == (0.5, 2)
    assert np.isnan(mean_interval([2.0]).low)
    assert mean_interval([2.0]).mean == 2.0
    assert np.isnan(mean_interval([]).mean)
    assert np.isnan(mean_interval([1.0, 2.0], units=["a", "a"]).high)


def test_it_is_said_in_words():
    assert mean_interval([-0.5, -0.5]).short == "−0.50 (−0.50 to −0.50)"
    assert str(mean_interval([-0.5, -0.5])) == "−0.50 (95 % interval −0.50 to −0.50, n 2)"
    assert str(mean_interval([1.0, 1.0, 1.0], units=["a", "b", "b"])).endswith("n 3 in 2 groups)")
