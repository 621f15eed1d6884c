"""Any column may stand in the domain's place, and groups without a match are named."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from vfs_panel.analysis.grouping import absent, numbered, regrouped


@pytest.fixture
def result() -> xr.Dataset:
    scores = np.array([0.9, 0.8, 0.3, 0.5, np.nan, 0.1], np.float32)
    ids = [f"p{i}" for i in range(6)]
    domains = ["a", "a", "b", "c", "d", "b"]
    return xr.Dataset(
        {"image_score": ("image", scores), "score": ("rank", scores[:2]), "image_id": ("rank", ids[:2]),
         "domain": ("rank", np.array(["a", "a"]))},
        coords={"image": ids, "image_domain": ("image", np.array(domains, object)), "rank": [1, 2]},
    )  # fmt: skip


def test_groups_without_a_match_come_with_their_best_and_its_rank(result: xr.Dataset) -> None:
    found = absent(result)
    assert [(group.name, group.rank) for group in found] == [("c", 3), ("b", 4)]
    assert found[1].best == pytest.approx(0.3)


def test_another_column_takes_the_domain_s_place(result: xr.Dataset) -> None:
    found = regrouped(result, ["x", "y", "x", "y", "x", "z"], most=9)
    assert found["domain"].values.tolist() == ["x", "y"]
    assert found["image_domain"].values.tolist() == ["x", "y", "x", "y", "x", "z"]
    assert result["domain"].values.tolist() == ["a", "a"], "the result itself stays as it is"


def test_rare_values_share_one_group(result: xr.Dataset) -> None:
    found = regrouped(result, ["x", "y", "x", "w", "x", "z"], most=2)
    assert set(found["image_domain"].values.tolist()) == {"x", "other"}


def test_groups_are_numbered_in_order_of_appearance_and_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.array(["b", "a", "b", None, "c"], object)
    codes, names = numbered(values)
    assert (codes.tolist(), names) == ([0, 1, 0, -1, 2], ("b", "a", "c"))
    with monkeypatch.context() as patch:
        patch.setattr(pd, "factorize", None)
        assert numbered(values)[0] is codes
    for number in range(40):  # whose places in memory are used again
        own = np.array([f"x{number}", "y"], object)
        assert numbered(own)[1] == (f"x{number}", "y")
    assert numbered(values)[1] == names
