"""Random regions give the level of chance."""

from pathlib import Path

import numpy as np
import pytest

from vfs_panel.analysis.chance import Chance, chance
from vfs_panel.features import store_from_arrays
from vfs_panel.search import RegionSearch


@pytest.fixture
def engine(tmp_path: Path) -> RegionSearch:
    features = np.random.default_rng(0).standard_normal((30, 8, 6, 6)).astype(np.float32)
    return RegionSearch(store_from_arrays({"layer": features}, out=tmp_path / "s.zarr", image=range(30)), device="cpu")


def test_scores_are_those_of_a_search(engine: RegionSearch) -> None:
    weights = np.zeros((6, 6), np.float32)
    weights[1:3, 1:3] = [[1, 0.5], [0.2, 1]]
    shifted = np.zeros((6, 6), np.float32)
    shifted[3:5, 2:4] = weights[1:3, 1:3]
    query, other = engine.query("0", weights), engine.query("5", shifted)
    rows = engine.searchable_rows()
    row = list(engine.store.index.index).index("5")
    null = engine.null_scores(query, [(row, 3, 2)], rows)[0]
    np.testing.assert_allclose(null, engine.search(other, k=1)["image_score"].values, atol=1e-6)


def test_level_and_p_value(engine: RegionSearch) -> None:
    weights = np.zeros((6, 6), np.float32)
    weights[2:4, 2:4] = 1
    found = chance(engine, engine.query("3", weights))
    assert found is not None
    assert (found.scores >= found.level(0.95)).mean() == pytest.approx(0.05, abs=0.01)
    assert found.p_value(2.0) == 1 / (len(found.scores) + 1)
    assert found.p_value(-2.0) == 1
    again = chance(engine, engine.query("9", weights))
    assert again is not None
    assert again.level() == found.level()  # the same shape draws the same sample


def test_words_count_what_was_drawn_and_no_p_is_nothing(engine: RegionSearch) -> None:
    weights = np.zeros((6, 6), np.float32)
    weights[2:4, 2:4] = 1
    found = chance(engine, engine.query("3", weights))
    assert found is not None
    n = len(found.scores)
    assert found.in_words(2.0).startswith(f"none of {n:,} scores this high, of {found.n_regions:,} random regions")
    assert f"(p < {1 / (n + 1):.2g})" in found.in_words(2.0)
    assert found.in_words(float(found.scores[-2])).startswith("2 of ")
    assert found.p_words(float(found.scores[-2])) == f"p {3 / (n + 1):.2g}"
    said = found.found_words([2.0, 1.9, float(found.scores[0]), np.nan])
    assert said.startswith("2 of 3 pictures score above chance at a false-discovery rate of 5%")
    assert said.endswith("(Benjamini–Hochberg over all of them).")


def test_words_say_when_the_sample_is_too_small() -> None:
    """With 99 random scores the smallest p is 0.01: 200 of 999 pictures must have it for a rate of 5 %."""
    found = Chance(np.linspace(0, 0.5, 99, dtype=np.float32), n_regions=11, n_pictures=9)
    many = np.full(1000, 0.1)
    many[:2] = 0.9, np.nan
    assert found.found_words(many) == (
        "With 99 random scores, fewer than 200 of 999 pictures cannot be told from chance at a false-discovery rate of "
        "5% (Benjamini–Hochberg over all of them). The best has p < 0.01."
    )
    many[:201] = 0.9
    assert found.found_words(many).startswith("201 of 1,000 pictures score above chance")
    many[:201] = np.where(np.arange(201) < 199, 0.9, 0.1)
    assert found.found_words(many).startswith("With 99 random scores, fewer than 200 of 1,000")
    assert found.found_words([0.4]).startswith("0 of 1 pictures score above chance")
    assert found.found_words([np.nan]).startswith("0 of 0 pictures")


def test_false_discovery_rates_are_benjamini_and_hochberg_s(engine: RegionSearch) -> None:
    weights = np.zeros((6, 6), np.float32)
    weights[2:4, 2:4] = 1
    query = engine.query("3", weights)
    found = chance(engine, query)
    assert found is not None
    result = found.added_to(engine.search(query, k=5))
    p, q = found.p_value(result["image_score"].values), result["image_q"].values
    known = np.isfinite(p)
    assert np.isnan(q[~known]).all()
    assert (q[known] >= p[known] - 1e-12).all()
    order = np.argsort(p[known])
    raw = p[known][order] * known.sum() / np.arange(1, known.sum() + 1)
    expected = np.minimum(np.minimum.accumulate(raw[::-1])[::-1], 1)
    np.testing.assert_allclose(q[known][order], expected)
    at = dict(zip(result["image"].values, q, strict=True))
    assert result["q"].values.tolist() == [at[i] for i in result["image_id"].values]
