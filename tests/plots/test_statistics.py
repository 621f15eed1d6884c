"""Rows of groups: what is drawn is what was found."""

import numpy as np
import pytest

from vfs_panel.analysis.statistics import compare_groups, groups_of
from vfs_panel.plots.statistics import StatisticRows, statistics, statistics_data
from vfs_panel.plots.text import text_width
from vfs_panel.plots.theme import DARK


@pytest.mark.parametrize("width", [992, 560, 358])
def test_estimates_lie_on_the_axis_and_small_groups_have_none(width):
    scores = np.concatenate([np.linspace(0, 0.4, 60), np.linspace(0.3, 0.9, 40), [0.5]])
    found = compare_groups(scores, groups_of(["sketch"] * 60 + ["photo"] * 40 + ["alone"]), resamples=50)
    rows = StatisticRows(width_px=width, n=3)
    data = statistics_data(found, rows, column="domain", chosen="sketch", colours={"photo": "#123456"}, theme=DARK)
    left, right = rows.plot
    shares = (np.asarray(data["estimate"]["col"]) - left) / (right - left)
    assert shares == pytest.approx(found.table["auroc"].dropna().to_numpy())
    assert data["estimate"]["fill_color"][0] == "#123456"
    assert "too few" in data["number"]["text"]
    assert data["chosen"]["top"] == [30.0 + 32 * list(found.table.index).index("sketch")]
    assert rows.row_at(10, 30 + 33) == 1
    assert rows.row_at(10, 5) is None
    places, room = data["tick"]["col"], [text_width(words, 11.5) for words in data["tick"]["text"]]
    gaps = np.diff(places) - (np.array(room[1:]) + room[:-1]) / 2
    assert gaps.min() > 4  # no word touches the next
    statistics(data, rows, theme=DARK)
