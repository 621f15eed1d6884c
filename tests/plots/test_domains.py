from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import xarray as xr

from vfs_panel.plots.domains import DomainRows, domains, domains_data
from vfs_panel.plots.text import text_width
from vfs_panel.plots.theme import BLEED_PX, DARK, LIGHT

from .conftest import make_result


def test_each_domain_has_its_row(result: xr.Dataset) -> None:
    rows = DomainRows.of(result, width_px=992)
    data = domains_data(result, {}, rows, axis=(0, 1))
    left, right = rows.plot
    scores = result["image_score"].values
    for i, name in enumerate(rows.names):
        own = scores[(result["image_domain"].values == name) & np.isfinite(scores)]
        assert data["name"]["text"][i] == name.replace("_", " ")
        assert data["count"]["text"][i] == f"{len(own)} pictures"
        assert data["best_score"]["text"][i] == f"{own.max():.3f}"
        assert data["best"]["col"][i] == pytest.approx(left + own.max() * (right - left))
        assert data["median"]["col"][i] == pytest.approx(left + np.median(own) * (right - left))
        assert data["patches"]["image_id"][i] == str(result["image"].values[np.nanargmax(np.where(
            result["image_domain"].values == name, scores, np.nan
        ))])  # fmt: skip
        assert data["number"]["text"][i] == str(int((result["domain"].values == name).sum()))


def test_matches_are_dots_on_their_domains_line(result: xr.Dataset) -> None:
    rows = DomainRows.of(result, width_px=992)
    data = domains_data(result, {}, rows)["matches"]
    base = dict(zip(rows.names, rows.base, strict=True))
    by_id = dict(zip(result["image_id"].values.tolist(), result["domain"].values.tolist(), strict=True))
    assert len(data["col"]) == 12
    assert [base[by_id[i]] for i in data["image_id"]] == data["row"].tolist()
    assert data["title"][-1].startswith("Match 1,")


def test_hills_stand_on_their_line_and_share_one_scale(result: xr.Dataset) -> None:
    rows = DomainRows.of(result, width_px=992)
    data = domains_data(result, {}, rows)["hills"]
    heights = [base - np.min(ys[0][0]) for base, ys in zip(rows.base, data["ys"], strict=True)]
    assert max(heights) == pytest.approx(rows.row.base - 4)
    assert all(np.max(ys[0][0]) == base for base, ys in zip(rows.base, data["ys"], strict=True))


def test_chance_has_a_line_a_column_and_words(result: xr.Dataset) -> None:
    rows = DomainRows.of(result, width_px=992, with_chance=True)
    data = domains_data(result, {}, rows, chance=0.5)
    assert data["chance_text"]["text"] == ["95 % of random regions score below 0.50"]
    assert data["column"]["text"][-1] == "above 0.50"
    above = int((result["image_score"].values > 0.5).sum())
    numbers = [int(n) for n in data["number"]["text"]]
    assert (sum(numbers[0::2]), sum(numbers[1::2])) == (12, above)
    without = domains_data(result, {}, rows)
    assert len(without["chance"]["left"]) == len(without["chance_text"]["text"]) == 0


@pytest.mark.parametrize("chance", [-0.5, 2.0])
def test_chance_off_the_axis_has_no_line_but_an_arrow(result: xr.Dataset, chance: float) -> None:
    rows = DomainRows.of(result, width_px=992, with_chance=True)
    data = domains_data(result, {}, rows, chance=chance)
    assert len(data["chance"]["left"]) == 0
    (words,) = data["chance_text"]["text"]
    assert words.endswith(" →") if chance > 1 else words.startswith("← ")
    assert f"above {chance:.2f}" in list(data["column"]["text"]), "its column has no heading"
    left, _ = rows.plot
    (at,) = data["chance_text"]["col"]
    assert left <= at
    assert at + text_width(words, 12) <= rows.columns[0] - text_width("in top 12", 11.5)


@pytest.mark.parametrize("chance", [0.12, 0.4, 0.78])
@pytest.mark.parametrize("width_px", [656, 992, 1400])
def test_words_of_chance_stay_clear_of_the_columns(result: xr.Dataset, chance: float, width_px: int) -> None:
    rows = DomainRows.of(result, width_px=width_px, with_chance=True)
    words = domains_data(result, {}, rows, chance=chance)["chance_text"]
    end = words["col"][0] + text_width(words["text"][0], 12)
    assert end <= rows.columns[0] - text_width("in top 12", 11.5)


@pytest.mark.parametrize("n", [1, 4, 5, 6, 12, 13, 40])
@pytest.mark.parametrize("width_px", [656, 992])
def test_rows_do_not_overlap_and_fill_the_figure(n: int, width_px: int) -> None:
    result = make_result(domains=n, n_images=120)
    rows = DomainRows.of(result, width_px=width_px)
    assert len(rows.names) == n
    thumbs = rows.thumbs()
    assert (np.diff(thumbs.top) >= thumbs.height + 4).all()
    assert rows.height_px == rows.base[-1] + 22
    for row, name in enumerate(rows.names):
        assert rows.name_at(10, thumbs.top[row] + 3) == name
    assert rows.name_at(10, 3) is None
    assert rows.name_at(10, rows.height_px + 30) is None
    assert rows.name_at(None, None) is None


def test_a_name_that_is_too_long_is_cut() -> None:
    result = make_result(domains=1)
    long = result.assign_coords(image_domain=("image", np.full(40, "a domain with a name that never ends")))
    rows = DomainRows.of(long, width_px=992)
    name = domains_data(long, {}, rows)["name"]["text"][0]
    assert name.endswith("…")
    assert 13 + text_width(name, 13, bold=True) <= rows.thumb_left


def test_a_domain_that_was_not_searched_says_so() -> None:
    result = make_result(domains=2, missing=0, k=3)
    result["image_score"][0::2] = np.nan
    result["image_y"][0::2] = result["image_x"][0::2] = -1
    rows = DomainRows.of(result, width_px=992)
    data = domains_data(result, {}, rows)
    assert data["count"]["text"] == ["not searched", "20 pictures"]
    assert len(data["best"]["col"]) == len(data["patches"]["url"]) == len(data["median"]["col"]) == 1


def test_layout_matches_the_design() -> None:
    rows = DomainRows(width_px=992, names=("photo", "art_painting", "cartoon", "sketch"), with_chance=True)
    assert rows.plot == (188, 836)
    assert rows.columns == (914, 990)
    assert rows.base.tolist() == [72, 126, 180, 234]
    assert rows.height_px == 256
    narrow = DomainRows(width_px=656, names=rows.names, with_chance=True)
    assert narrow.plot == (168, 520)
    assert narrow.base.tolist() == [61, 104, 147, 190]
    assert narrow.height_px == 212


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda theme: theme.name)
@pytest.mark.parametrize(("n", "k", "missing"), [(1, 1, 0), (3, 0, 40), (12, 5, 1), (40, 12, 1)])
def test_draws(draw: Callable[[Any], Any], theme: Any, n: int, k: int, missing: int) -> None:
    result = make_result(domains=n, k=k, missing=missing)
    rows = DomainRows.of(result, width_px=992, with_chance=True)
    figure = draw(domains(result, {}, rows, theme=theme, chance=0.5))
    assert figure.height == rows.height_px + 2 * BLEED_PX
