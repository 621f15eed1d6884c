import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vfs_panel.plots.groups import group_names, group_scores, hill, score_range, ticks, top_groups

from .conftest import make_result


@pytest.mark.parametrize("by", ["domain", "label", None])
def test_every_searched_picture_and_match_is_in_one_group(by: str | None) -> None:
    result = make_result(missing=3)
    groups = group_scores(result, by)
    assert sorted(np.concatenate([g.pictures for g in groups])) == list(range(3, 40))
    assert sorted(np.concatenate([g.ranks for g in groups])) == list(range(12))
    for group in groups:
        assert (np.diff(group.scores) <= 0).all()
        assert (group.scores == result["image_score"].values[group.pictures]).all()
        if by:
            assert set(result[f"image_{by}"].values[group.pictures]) == {group.name}
            assert set(result[by].values[group.ranks]) <= {group.name}


def test_groups_come_in_order_of_appearance() -> None:
    assert group_names(make_result(), "domain") == ("domain_0", "domain_1", "domain_2")
    assert [g.name for g in group_scores(make_result(), "domain")] == ["domain_0", "domain_1", "domain_2"]


def test_top_groups_keep_the_best_and_lose_nobody() -> None:
    groups = group_scores(make_result(n_images=200, labels=20), "label")
    top = top_groups(groups, 7)
    best = sorted((g.scores[0] for g in groups), reverse=True)
    assert [g.scores[0] for g in top[:7]] == best[:7]
    assert (len(top), top[-1].name) == (8, "other")
    assert sum(len(g.pictures) for g in top) == 199
    assert sum(len(g.ranks) for g in top) == 12
    assert (np.diff(top[-1].scores) <= 0).all()
    assert len(top_groups(groups[:5], 7)) == 5


def test_a_group_that_was_not_searched_comes_last() -> None:
    result = make_result(domains=2, missing=0)
    result["image_score"][0::2] = np.nan
    groups = group_scores(result, "domain")
    assert len(groups[0].scores) == 0
    assert [g.name for g in top_groups(groups, 7)] == ["domain_1", "domain_0"]


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=50), st.floats(-1, 0), st.floats(0.1, 1))
def test_axis_holds_scores_and_what_it_held(scores: list[float], low: float, high: float) -> None:
    result = make_result(n_images=len(scores), missing=0, k=1)
    result["image_score"] = ("image", np.array(scores))
    got = score_range(result, held=(low, high))
    assert got[0] <= min(*scores, low) + 0.005
    assert got[1] >= max(*scores, high) - 0.005
    alone = score_range(result)
    assert alone[0] < min(scores)
    assert alone[1] > max(scores)
    assert alone[0] == pytest.approx(round(alone[0] * 20) / 20)


def test_axis_without_scores() -> None:
    empty = make_result(missing=40, k=0)
    assert score_range(empty) == (0, 1)
    assert score_range(None, held=(0.1, 0.5)) == (0.1, 0.5)


@given(st.floats(-1, 0.5), st.floats(0.05, 2), st.integers(120, 1200))
def test_ticks_stand_apart_on_round_values(low: float, span: float, width_px: int) -> None:
    found = ticks(low, low + span, width_px=width_px)
    at = np.array([value for value, _ in found])
    assert ((at >= low - 0.02) & (at <= low + span + 0.02)).all()
    if len(at) > 1:
        assert np.diff(at).min() * width_px / span >= 43
    assert all(float(word.replace("−", "-")) == pytest.approx(value) for value, word in found)


def test_ticks_are_tenths_where_tenths_have_room() -> None:
    assert [word for _, word in ticks(0.05, 0.7, width_px=648)] == ["0.1", "0.2", "0.3", "0.4", "0.5", "0.6", "0.7"]
    assert [word for _, word in ticks(-0.2, 0.2, width_px=300)] == ["−0.2", "−0.1", "0.0", "0.1", "0.2"]


@given(st.lists(st.floats(0.3, 0.7), min_size=1, max_size=200))
def test_a_hill_holds_all_pictures(scores: list[float]) -> None:
    at = np.linspace(0, 1, 217)
    density = hill(scores, at)
    assert (density >= 0).all()
    assert density.sum() * (at[1] - at[0]) == pytest.approx(1, abs=0.02)
    mean = (density * at).sum() * (at[1] - at[0])
    assert mean == pytest.approx(np.mean(scores), abs=0.02)


def test_no_scores_no_hill() -> None:
    assert hill([], np.linspace(0, 1, 9)).tolist() == [0] * 9
