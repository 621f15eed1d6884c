"""Distribution: the best scores of all pictures in one figure, stacked, overlaid or cumulative by group."""

from collections.abc import Mapping

import holoviews as hv
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from vfs_panel.plots.groups import group_scores, ticks
from vfs_panel.plots.marks import Columns, Mark, overlay, text, texts, uprights
from vfs_panel.plots.scores import ScoreRows, select_range
from vfs_panel.plots.text import plain, text_width
from vfs_panel.plots.theme import LIGHT, Theme, domain_colours

SHAPES = {"rows": "Rows", "stacked": "Stacked", "overlaid": "Overlaid", "cumulative": "Cumulative"}
_TOP, _FOOT, _HEIGHT = 24, 296, 320


def distribution(columns: Mapping[str, Columns], rows: ScoreRows, *, theme: Theme = LIGHT) -> hv.Overlay:
    """Draw all groups' best scores over one axis.

    Parameters
    ----------
    columns : from `distribution_data`.
    rows : the axis; its rows are not used.
    theme : light or dark.

    Returns
    -------
    Overlay with a tool that selects a range of scores, as `scores` has.
    """
    marks = {
        "gridlines": Mark("segments", {"line_color": theme.grid}),
        "bars": Mark("rectangles", {"line_color": theme.bg, "line_width": 0.5}),
        "lines": Mark("paths", {"line_width": 2}),
        "range": Mark("rectangles", {"fill_color": theme.text, "fill_alpha": 0.07, "line_color": theme.text}),
        "chance": Mark("segments", {"line_color": theme.text2, "line_dash": "3 3"}),
        "foot": Mark("segments", {"line_color": theme.line2}),
        "dot": Mark("dots", {"size": 8, "line_alpha": 0}),
        "name": text(12, color=theme.text),
        "tick": text(11.5, align="center", color=theme.text3),
        "side": text(11.5, color=theme.text3),
        "chance_text": text(12, color=theme.text2),
        "hit": Mark("rectangles", {"fill_alpha": 0, "line_alpha": 0}),
    }
    return overlay(marks, columns, width_px=rows.width_px, height_px=_HEIGHT, **select_range(theme))


def distribution_data(
    result: xr.Dataset,
    rows: ScoreRows,
    *,
    shape: str,
    grouped: bool = True,
    chosen: tuple[float, float] | None = None,
    chance: float | None = None,
    theme: Theme = LIGHT,
) -> dict[str, Columns]:
    """Return the columns of `distribution`, for `Live.send`.

    Parameters
    ----------
    result : of `RegionSearch.search`; its domains are the groups.
    rows : the axis and the width of bins.
    shape : "stacked" and "overlaid" count pictures in bins; "cumulative" is the share of a group's pictures that score
        at least so high.
    grouped : whether groups are told apart.
    chosen : range of scores to mark.
    chance : score that 95 % of random regions stay below.
    theme : light or dark.
    """
    groups = group_scores(result, "domain" if grouped else None)
    groups = [group for group in groups if len(group.scores)]
    names = [group.name for group in groups]
    colours = domain_colours(names, theme) if grouped else dict.fromkeys(names, theme.other)
    counts = np.array([np.histogram(group.scores, rows.edges)[0] for group in groups]).reshape(len(groups), -1)
    most = int((counts.sum(0) if shape == "stacked" else counts).max(initial=1))
    x = rows.to_px(rows.edges)
    bars: Columns = {name: [] for name in ("left", "top", "right", "bottom", "fill_color", "fill_alpha")}
    lines: Columns = {"xs": [], "ys": [], "line_color": []}
    if shape == "stacked":
        bars = _stacked(counts, x, most, [colours[name] for name in names])
    else:
        for group, count in zip(groups, counts, strict=True):
            xs, ys = _steps(x, count, most) if shape == "overlaid" else _shares(group.scores, rows)
            lines["xs"].append(xs)
            lines["ys"].append(ys)
            lines["line_color"].append(colours[group.name])
    marks = ticks(*rows.axis, width_px=rows.width_px)
    at = rows.to_px([value for value, _ in marks])
    top_words = "100 %" if shape == "cumulative" else f"{most:,} pictures in one bin"
    placed, left = [], 0.0
    if grouped:
        room = text_width(top_words, 11.5) + 18
        for name in names:
            words = plain(name)
            placed.append((room + left, 12.0, words, colours[name]))
            left += text_width(words, 12) + 30
    return {
        "gridlines": uprights(at, _TOP, _FOOT),
        "bars": bars,
        "lines": lines,
        "range": _range(rows, chosen),
        "chance": uprights(rows.to_px([chance]) if chance is not None else [], _TOP - 4, _FOOT),
        "foot": {"left": [0], "top": [_FOOT], "right": [rows.width_px], "bottom": [_FOOT]},
        "dot": {"col": [x + 4 for x, *_ in placed], "row": [8.0] * len(placed), "fill_color": [c for *_, c in placed]},
        "name": texts([(x + 13, y, words) for x, y, words, _ in placed], 12),
        "tick": texts([(float(p), _FOOT + 16.0, w) for p, (_, w) in zip(at, marks, strict=True)
                       if 10 < p < rows.width_px - 10], 11.5),
        "side": texts([(0.0, 12.0, top_words)], 11.5),
        "chance_text": _chance_words(rows, chance),
        "hit": {"left": [0], "top": [0], "right": [rows.width_px], "bottom": [_HEIGHT]},
    }  # fmt: skip


def _stacked(counts: NDArray[np.int_], x: NDArray[np.float64], most: int, colours: list[str]) -> Columns:
    ends = _FOOT - np.cumsum(counts, 0) / most * (_FOOT - _TOP)
    starts = np.vstack([np.full(counts.shape[1], float(_FOOT)), ends[:-1]]) if len(counts) else ends
    row, bin_ = np.nonzero(counts)
    return {
        "left": x[bin_], "top": ends[row, bin_], "right": x[bin_ + 1], "bottom": starts[row, bin_],
        "fill_color": [colours[r] for r in row], "fill_alpha": np.full(len(row), 0.75),
    }  # fmt: skip


def _steps(
    x: NDArray[np.float64], count: NDArray[np.int_], most: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    y = _FOOT - count / most * (_FOOT - _TOP)
    return np.repeat(x, 2)[1:-1], np.repeat(y, 2)


def _shares(scores: NDArray[np.float64], rows: ScoreRows) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    at = np.linspace(*rows.axis, 240)
    least = np.sort(scores)
    share = 1 - np.searchsorted(least, at, side="left") / len(least)
    return rows.to_px(at), _FOOT - share * (_FOOT - _TOP)


def _range(rows: ScoreRows, chosen: tuple[float, float] | None) -> Columns:
    if chosen is None:
        return {"left": [], "top": [], "right": [], "bottom": []}
    left, right = rows.to_px(chosen)
    return {"left": [left], "top": [_TOP - 4], "right": [right], "bottom": [_FOOT]}


def _chance_words(rows: ScoreRows, chance: float | None) -> Columns:
    if chance is None or not rows.axis[0] <= chance <= rows.axis[1]:
        return texts([], 12)
    words = f"95 % of random regions below {chance:.2f}"
    x, wide = float(rows.to_px([chance])[0]), text_width(words, 12)
    return texts([(x + 6 if x + 6 + wide < rows.width_px else x - 6 - wide, _TOP + 10.0, words)], 12)
