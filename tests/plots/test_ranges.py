from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import xarray as xr

from vfs_panel.plots.ranges import RangeRows, in_range, ranges, ranges_data
from vfs_panel.plots.text import text_width
from vfs_panel.plots.theme import BLEED_PX

from .conftest import make_result

ROWS = RangeRows(width_px=568, rows=3)


@pytest.mark.parametrize("by", ["domain", "label", None])
def test_in_range_finds_just_the_pictures_in_it(result: xr.Dataset, by: Any) -> None:
    found = np.concatenate([group.pictures for group in in_range(result, 0.3, 0.5, by=by)])
    scores = result["image_score"].values
    assert sorted(found) == np.flatnonzero((scores >= 0.3) & (scores <= 0.5)).tolist()
    for group in in_range(result, 0.3, 0.5, by=by):
        assert (np.diff(group.scores) <= 0).all()


def test_rows_show_the_highest_of_each_group() -> None:
    result = make_result(n_images=120)
    data = ranges_data(result, {}, ROWS, chosen=(0.2, 0.7), by="domain")
    groups = in_range(result, 0.2, 0.7, by="domain")
    shown = [i for group in groups for i in result["image"].values[group.pictures[: ROWS.columns]]]
    assert data["patches"]["image_id"] == shown
    assert data["score"]["text"] == [f"{s:.3f}" for group in groups for s in group.scores[: ROWS.columns]]
    assert data["all"]["text"] == [f"Show all {len(group.pictures)}" for group in groups]
    assert data["note"]["text"][0] == f"{len(groups[0].pictures)} in the range, the 6 highest"


def test_a_group_that_fits_needs_no_link(result: xr.Dataset) -> None:
    data = ranges_data(result, {}, ROWS, chosen=(0.3, 0.301), by="domain")
    assert data["all"]["text"] == ["", "", ""]
    assert len(data["underline"]["left"]) == 0
    assert data["note"]["text"][0].endswith(" in the range")


@pytest.mark.parametrize("width_px", [250, 372, 568])
def test_headings_do_not_run_into_one_another(width_px: int) -> None:
    rows = RangeRows(width_px=width_px, rows=3)
    data = ranges_data(make_result(n_images=300), {}, rows, chosen=(0.1, 0.8), by="domain")
    for i in range(3):
        name_end = data["name"]["col"][i] + text_width(data["name"]["text"][i], 13, bold=True)
        note_end = data["note"]["col"][i] + text_width(data["note"]["text"][i], 12)
        assert name_end <= data["note"]["col"][i]
        assert note_end <= width_px - text_width(data["all"]["text"][i], 12)


def test_a_point_finds_its_row_and_picture() -> None:
    tiles = ROWS.tiles([6, 6, 6])
    for i, (left, top) in enumerate(zip(tiles.left, tiles.top, strict=True)):
        assert ROWS.row_at(left + 40, top + 40) == (i // 6, i % 6)
    assert ROWS.row_at(550, ROWS.tops()[1] + 5) == (1, None)
    assert ROWS.row_at(tiles.left[1] - 4, tiles.top[0] + 5) is None
    assert ROWS.row_at(40, 5) is None
    assert ROWS.row_at(40, ROWS.height_px + 5) is None
    assert ROWS.row_at(None, None) is None


def test_pictures_stay_in_their_row() -> None:
    for row_px in (86, 122):
        rows = RangeRows(width_px=372, rows=2, row_px=row_px)
        tiles = rows.tiles([rows.columns, rows.columns])
        assert (tiles.left + tiles.width).max() <= 372
        assert (tiles.top[: rows.columns] + tiles.height + 16 <= rows.tops()[1]).all()


@pytest.mark.parametrize("chosen", [(0.2, 0.6), (0.0, 0.01)])
def test_draws(result: xr.Dataset, draw: Callable[[Any], Any], chosen: tuple[float, float]) -> None:
    figure = draw(ranges(result, {}, ROWS, chosen=chosen, by="domain"))
    assert figure.height == ROWS.height_px + 2 * BLEED_PX
