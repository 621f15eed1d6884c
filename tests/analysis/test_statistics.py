"""Effect sizes, intervals and tests are those of their definitions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu

from vfs_panel.analysis import statistics
from vfs_panel.analysis.statistics import compare_groups, groups_of, holm, in_words

scores_ = st.lists(st.integers(0, 6), min_size=8, max_size=40)


def by_pairs(own, other):
    return np.mean([1.0 if a > b else 0.5 if a == b else 0.0 for a in own for b in other])


@settings(max_examples=40, deadline=None)
@given(scores_, st.integers(0, 1000))
def test_auroc_is_the_share_of_pairs_won(values, seed):
    scores = np.array(values, float) / 7
    own = np.random.default_rng(seed).random(len(scores)) < 0.4
    found = compare_groups(scores, {"own": own, "rest": ~own}, resamples=20).table
    if own.sum() < 2 or (~own).sum() < 2:
        assert np.isnan(found.loc["own", "auroc"])
        return
    row = found.loc["own"]
    assert row["auroc"] == pytest.approx(by_pairs(scores[own], scores[~own]))
    assert row["delta"] == pytest.approx(2 * row["auroc"] - 1)
    assert row["auroc"] + found.loc["rest", "auroc"] == pytest.approx(1)
    assert row["low"] <= row["auroc"] <= row["high"]
    assert row["p"] == pytest.approx(mannwhitneyu(scores[own], scores[~own]).pvalue)
    assert (found["p_holm"] >= found["p"] - 1e-12).all()


def test_intervals_cover_and_p_values_are_even_where_nothing_differs():
    rng = np.random.default_rng(1)
    covered, small = 0, 0
    for trial in range(120):
        scores = rng.normal(size=120)
        own = np.arange(120) < 40
        row = compare_groups(scores, {"own": own}, resamples=200, seed=trial).table.loc["own"]
        covered += row["low"] <= 0.5 <= row["high"]
        small += row["p"] < 0.05
    assert covered >= 105
    assert small <= 14


def test_resampling_groups_widens_the_interval_where_they_are_alike():
    rng = np.random.default_rng(2)
    place = np.repeat(np.arange(12), 30)
    scores = rng.normal(size=12)[place] + rng.normal(size=360) * 0.1
    own = place < 6
    alone = compare_groups(scores, {"own": own}).table.loc["own"]
    together = compare_groups(scores, {"own": own}, units=place)
    row = together.table.loc["own"]
    assert together.units == 12
    assert row["high"] - row["low"] > 1.5 * (alone["high"] - alone["low"])


def test_holm_is_holm():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, np.nan, 0.9]).tolist()[0] == 1.0
    assert np.isnan(holm([0.5, np.nan, 0.9])[1])
    assert len(holm([])) == 0


def test_one_group_against_another_and_small_ones_untested():
    scores = np.array([0.9, 0.8, 0.7, 0.2, 0.1, 0.3, 0.5, np.nan])
    groups = groups_of(["a", "a", "a", "b", "b", "b", "c", "a"])
    found = compare_groups(scores, groups, against="b", resamples=50)
    assert "b" not in found.table.index
    assert found.table.loc["a", "auroc"] == 1
    assert (found.table.loc["a", "n"], found.table.loc["a", "n_other"]) == (3, 3)
    assert np.isnan(found.table.loc["c", "p"])
    assert found.tested == 1
    assert in_words(found, "c", column="label")[0] == "Label c: 1 against 3 pictures are too few to test."


def test_findings_may_overlap():
    scores = np.linspace(0, 1, 40)
    groups = {"mass": scores > 0.5, "fluid": (np.arange(40) % 2).astype(bool)}
    found = compare_groups(scores, groups, resamples=50).table
    assert found.loc["mass", "auroc"] == 1
    assert 0.4 < found.loc["fluid", "auroc"] < 0.6


def test_the_sentence_says_what_was_counted():
    scores = np.concatenate([np.linspace(0, 0.4, 60), np.linspace(0.3, 0.9, 40)])
    groups = groups_of(["sketch"] * 60 + ["photo"] * 40)
    found = compare_groups(scores, groups)
    sentence, caveat = in_words(found, "sketch", column="domain")
    assert "Pictures of domain sketch score lower than the others" in sentence
    assert "p < 0.001 after correction for 2 groups, n 60 against 40." in sentence
    assert "resamples pictures" in caveat
    same = compare_groups(np.tile([0.1, 0.2, 0.3], 20), groups_of(["a", "b"] * 30))
    assert "do not clearly score higher or lower" in in_words(same, "a", column="label")[0]


def test_a_large_set_is_sampled_and_says_so(monkeypatch):
    monkeypatch.setattr(statistics, "MOST_PICTURES", 500)
    rng = np.random.default_rng(0)
    found = compare_groups(rng.random(2000), groups_of(rng.choice(["a", "b"], 2000)), resamples=20)
    assert (found.pictures, found.sampled_from) == (500, 2000)
    assert "500 of 2,000" in in_words(found, "a", column="x")[1]
