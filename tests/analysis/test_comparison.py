"""Comparing two rankings: laws, and equality with counting by hand."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata

from vfs_panel.analysis.comparison import Ranking, compare, moved


def ranking(scores: list[float], ids: list[str] | None = None) -> Ranking:
    names = ids or [f"p{i}" for i in range(len(scores))]
    order = np.argsort(-np.array(scores, float), kind="stable")
    return Ranking(pd.Index(np.array(names, object)[order]), order, np.array(scores, float)[order])


two = st.integers(1, 40).flatmap(
    lambda n: st.tuples(*[st.lists(st.integers(0, 12), min_size=n, max_size=n) for _ in range(2)])
)


@given(two)
def test_it_equals_counting_by_hand(pair: tuple[list[int], list[int]]) -> None:
    a, b = (ranking([float(v) for v in side]) for side in pair)
    found = compare(a, b, most_k=20)
    n = len(a)
    assert (found.n, found.most_k) == (n, min(20, n))
    for k in range(1, found.most_k + 1):
        assert found.in_both(k) == len(set(a.ids[:k]) & set(b.ids[:k]))
        assert found.overlap[k - 1] == found.in_both(k) / k
        assert found.chance[k - 1] == pytest.approx(k / n)
    for name, rank_a, rank_b in zip(found.ids, found.rank_a, found.rank_b, strict=True):
        assert (a.ids[rank_a - 1], b.ids[rank_b - 1]) == (name, name)
    ranks = [rankdata(side) for side in pair]
    if n >= 3 and all(len(set(side)) > 1 for side in pair):
        assert found.rho == pytest.approx(np.corrcoef(*ranks)[0, 1])
    else:
        assert np.isnan(found.rho)


@given(two)
def test_overlap_and_correlation_are_symmetric(pair: tuple[list[int], list[int]]) -> None:
    a, b = (ranking([float(v) for v in side]) for side in pair)
    there, back = compare(a, b), compare(b, a)
    assert np.array_equal(there.both, back.both)
    assert np.array_equal(there.chance, back.chance)
    np.testing.assert_allclose(there.rho, back.rho)


@given(st.lists(st.floats(-1, 1, allow_subnormal=False), min_size=3, max_size=50, unique=True))
def test_a_ranking_agrees_with_itself(scores: list[float]) -> None:
    same = compare(ranking(scores), ranking(scores))
    assert same.rho == pytest.approx(1)
    assert np.all(same.overlap == 1)
    turned = compare(ranking(scores), ranking([-score for score in scores]))
    assert turned.rho == pytest.approx(-1)


def test_random_orders_overlap_as_chance_says() -> None:
    rng = np.random.default_rng(0)
    ids = [f"p{i}" for i in range(20, 100)]  # 40 of them in common
    drawn = [
        compare(ranking(rng.random(60).tolist()), ranking(rng.random(80).tolist(), ids), most_k=50) for _ in range(400)
    ]
    mean = np.mean([one.overlap for one in drawn], axis=0)
    np.testing.assert_allclose(mean[9:], drawn[0].chance[9:], atol=0.03)


def test_sets_without_a_common_picture_share_nothing() -> None:
    found = compare(ranking([3, 2, 1]), ranking([1, 2, 3], ["x", "y", "z"]))
    assert (found.n, found.in_both(3), found.chance.tolist()) == (0, 0, [0, 0, 0])
    assert np.isnan(found.rho)
    assert compare(ranking([]), ranking([])).most_k == 0
    assert compare(ranking([]), ranking([])).in_both(10) == 0


def test_a_box_of_ranks_or_scores_holds_its_pictures() -> None:
    found = compare(ranking([0.9, 0.8, 0.7, 0.6]), ranking([0.1, 0.4, 0.3, 0.2]))
    assert found.ids[found.within((1, 3), (1, 2))].tolist() == ["p1", "p2"]
    assert found.ids[found.within((0.65, 1), (0.05, 0.35), by="score")].tolist() == ["p0", "p2"]
    assert len(found.within((5, 9), (1, 9))) == 0


def test_matches_come_first_and_pictures_that_were_not_searched_not_at_all() -> None:
    result = xr.Dataset(
        {
            "image_score": ("image", np.array([0.5, np.nan, 0.7, 0.71, 0.2], np.float32)),
            "image_id": ("rank", np.array(["c", "d", "c"])),  # the scan put d before c
        },
        coords={"image": list("abcde")},
    )
    found = Ranking.of(result)
    assert found.ids.tolist() == ["c", "d", "a", "e"]
    assert found.rows.tolist() == [2, 3, 0, 4]
    assert found.rank_of(["e", "b", "nowhere", "c"]).tolist() == [4, 0, 0, 1]
    assert Ranking.of(result.assign_attrs(unique="domain")).ids.tolist() == ["d", "c", "a", "e"]


def test_words_for_kept_lost_and_gained() -> None:
    assert moved(3, 10, word="lost", other="B") == "kept, 3 in B"
    assert moved(35, 10, word="lost", other="B") == "lost, 35 in B"
    assert moved(1083, 10, word="gained", other="A") == "gained, 1,083 in A"
    assert moved(0, 10, word="lost", other="B") == "not searched in B"
