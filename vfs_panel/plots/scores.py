"""Scores: histograms of every picture's best score, by domain or label, on one axis and one count scale."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import holoviews as hv
import numpy as np
import xarray as xr
from bokeh.models import BoxSelectTool
from numpy.typing import ArrayLike, NDArray

from vfs_panel.plots.groups import By, Group, group_scores, score_range, ticks, top_groups
from vfs_panel.plots.marks import Columns, Mark, overlay, text, texts, tooltip, uprights
from vfs_panel.plots.text import count_text, fit, plain, text_width
from vfs_panel.plots.theme import LIGHT, Theme, domain_colours, undress

MAX_LABELS = 7
"""Labels that get a row of their own; the others share one more."""

_TOP = 22  # px, under the words of the range


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreRows:
    """How the figure of histograms is laid out, in CSS pixels.

    Attributes
    ----------
    width_px : of the content; the figure is `theme.BLEED_PX` larger on every side.
    by : a row for every domain or label, or None for all pictures together.
    rows : how many histograms.
    axis : range of scores.
    row_px : from one histogram's line to the next.
    bin_width : of the histograms, in score.
    names : whether rows carry their name; not where it stands beside them.
    """

    width_px: int
    by: By | None
    rows: int
    axis: tuple[float, float]
    row_px: int = 122
    bin_width: float = 0.02
    names: bool = True

    @classmethod
    def of(
        cls,
        result: xr.Dataset,
        *,
        by: By | None,
        width_px: int,
        held: tuple[float, float] | None = None,
        row_px: int = 122,
        bin_width: float = 0.02,
        names: bool = True,
    ) -> "ScoreRows":
        """Lay out a result's histograms; `held` is an axis that must stay inside, see `groups.score_range`."""
        low, high = score_range(result, held=held)
        start, end = np.floor(low / bin_width + 1e-6) * bin_width, np.ceil(high / bin_width - 1e-6) * bin_width
        return cls(
            width_px=width_px, by=by, rows=len(score_groups(result, by)), axis=(round(start, 6), round(end, 6)),
            row_px=row_px, bin_width=bin_width, names=names,
        )  # fmt: skip

    @property
    def base(self) -> NDArray[np.int_]:
        """The line that each histogram stands on."""
        return _TOP + self.row_px * np.arange(1, self.rows + 1) - 10

    @property
    def bar_px(self) -> float:
        """Height of the highest bar of all."""
        return max(8.0, self.row_px - 34.0)

    @property
    def height_px(self) -> int:
        """Height of the content."""
        return int(self.base[-1]) + 44

    @property
    def edges(self) -> NDArray[np.float64]:
        """Edges of the bins, in score."""
        n = round((self.axis[1] - self.axis[0]) / self.bin_width)
        return np.asarray(np.round(self.axis[0] + np.arange(n + 1) * self.bin_width, 6), np.float64)

    def to_px(self, scores: ArrayLike) -> NDArray[np.float64]:
        """Return where scores are on the axis."""
        low, high = self.axis
        return np.asarray((np.asarray(scores, np.float64) - low) * (self.width_px / (high - low)))

    def to_range(self, bounds: tuple[float, float] | None) -> tuple[float, float] | None:
        """Return the range of scores between two columns of the figure, as hv.streams.BoundsX gives them.

        Rounded to two decimals; None for no bounds or less than half a bin.
        """
        if bounds is None:
            return None
        low, high = self.axis
        ends = low + np.clip(np.sort(np.asarray(bounds, float)), 0, self.width_px) * ((high - low) / self.width_px)
        start, end = (round(float(v), 2) for v in ends)
        return (start, end) if end - start >= self.bin_width / 2 else None


def score_groups(result: xr.Dataset, by: By | None) -> list[Group]:
    """Return the rows of the histograms: domains in order; the labels with the best scores, then the others."""
    groups = group_scores(result, by)
    return top_groups(groups, MAX_LABELS, other="other labels") if by == "label" else groups


def row_colours(groups: list[Group], by: By | None, theme: Theme) -> list[str]:
    """Return a colour per row: domains have theirs, labels and "all together" are grey."""
    if by == "domain":
        colours = domain_colours((group.name for group in groups), theme)
        return [colours[group.name] for group in groups]
    return [theme.other] * len(groups)


def scores(
    result: xr.Dataset,
    rows: ScoreRows,
    *,
    theme: Theme = LIGHT,
    background: str | None = None,
    chosen: tuple[float, float] | None = None,
    chance: float | None = None,
) -> hv.Overlay:
    """Draw histograms of every picture's best score, one row per domain or label; matches are dots under the line.

    Parameters
    ----------
    result : of `RegionSearch.search`.
    rows : layout, axis and grouping.
    theme : light or dark.
    background : what is behind the figure; the theme's page colour by default.
    chosen : range of scores to mark; its bins stay strong and the others fade.
    chance : score that 95 % of random regions stay below; None draws no line.

    Returns
    -------
    Overlay in CSS pixels, y down, with a tool that selects a range of columns; `rows.to_range` makes it scores.
    """
    return overlay(
        _marks(theme, background or theme.bg),
        scores_data(result, rows, theme=theme, chosen=chosen, chance=chance),
        width_px=rows.width_px,
        height_px=rows.height_px,
        **select_range(theme),
    )


def select_range(theme: Theme) -> dict[str, Any]:
    """Return the options of a figure in which a range can be dragged over, as hv.streams.BoundsX tells it."""
    return {"hooks": [undress, partial(_add_selection, theme=theme)]}


def _add_selection(plot: Any, _element: Any, *, theme: Theme) -> None:
    """Add a tool that only tells the range: a mark shows it, and the bars keep their strength."""
    figure = plot.state
    if any(isinstance(tool, BoxSelectTool) for tool in figure.tools):
        return
    tool = BoxSelectTool(dimensions="width", renderers=[])
    tool.overlay.update(fill_color=theme.text, fill_alpha=0.06, line_color=theme.text, line_width=1.5, line_dash=[])
    figure.add_tools(tool)
    figure.toolbar.active_drag = tool


def _marks(theme: Theme, background: str) -> dict[str, Mark]:
    return {
        "gridlines": Mark("segments", {"line_color": theme.grid}),
        "bars": Mark("rectangles", {"line_alpha": 0, "hover_fill_alpha": 1}, tooltip(theme, "<b>@title</b>", "@what")),
        "base": Mark("segments", {"line_color": theme.line2}),
        "chance": Mark("segments", {"line_color": theme.text2, "line_dash": "3 3"}),
        "matches": Mark("dots", {"size": 5.2, "fill_color": theme.match, "line_color": background, "line_width": 0.8}),
        "peak": text(11.5, align="center", color=theme.text3),
        "range": Mark("rectangles", {"fill_color": theme.text, "fill_alpha": 0.06, "line_alpha": 0}),
        "ends": Mark("segments", {"line_color": theme.text, "line_width": 1.5}),
        "range_text": text(12, align="center", bold=True, color=theme.text),
        "dot": Mark("dots", {"size": 8, "line_alpha": 0}),
        "name": text(13, align="right", bold=True, color=theme.text),
        "count": text(11.5, align="right", color=theme.text3),
        "tick": text(11.5, align="center", color=theme.text3),
        "title": text(11.5, align="right", color=theme.text3),
        "chance_text": text(12, color=theme.text2),
    }


def scores_data(
    result: xr.Dataset,
    rows: ScoreRows,
    *,
    theme: Theme = LIGHT,
    chosen: tuple[float, float] | None = None,
    chance: float | None = None,
) -> dict[str, Columns]:
    """Return the columns of the marks of `scores`, for `Live.send`; parameters as there."""
    groups = score_groups(result, rows.by)[: rows.rows]
    colours = row_colours(groups, rows.by, theme)
    return {
        **_axis_columns(rows, chance, chosen),
        **_bar_columns(rows, groups, colours, chosen),
        **_range_columns(rows, chosen),
        **_match_columns(rows, groups, result),
        **_name_columns(rows, groups, colours),
    }


def _axis_columns(rows: ScoreRows, chance: float | None, chosen: tuple[float, float] | None) -> dict[str, Columns]:
    bottom = float(rows.base[-1])
    # A number at the very edge would be cut; its line is the edge itself.
    marks = ticks(*rows.axis, width_px=rows.width_px, room_px=36)
    at = rows.to_px([v for v, _ in marks])
    inner = [(x, word) for x, (_, word) in zip(at, marks, strict=True) if 10 <= x <= rows.width_px - 10]
    title = f"best score of a picture, bins of {rows.bin_width:g}"
    more = f"{title}; all rows on one scale"
    title = more if rows.rows > 1 and text_width(more, 11.5) <= rows.width_px else title
    line, words = uprights([], 0, 0), []
    if chance is not None and rows.axis[0] <= chance <= rows.axis[1]:
        x = float(rows.to_px(chance))
        line = uprights([x], _TOP, bottom + 10)
        words = _chance_words(rows, x, chance, chosen)
    return {
        "gridlines": uprights([x for x, _ in inner], _TOP, bottom + 10),
        "base": {
            "left": np.zeros(rows.rows), "top": rows.base, "right": np.full(rows.rows, rows.width_px),
            "bottom": rows.base,
        },
        "chance": line,
        "chance_text": texts(words, 12),
        "tick": texts(((x, bottom + 24, word) for x, word in inner), 11.5),
        "title": texts([(rows.width_px, bottom + 40, title)], 11.5),
    }  # fmt: skip


def _chance_words(
    rows: ScoreRows, x: float, chance: float, chosen: tuple[float, float] | None
) -> list[tuple[float, float, str]]:
    """Place the words of the line of chance: two lines beside it, or above low rows, clear of the range's words."""
    parts = ("95 % of random", f"regions below {chance:.2f}")
    if rows.row_px >= 90 and x + 6 + text_width(parts[1], 12) <= rows.width_px:
        return [(x + 6, _TOP + 12.0, parts[0]), (x + 6, _TOP + 25.0, parts[1])]
    taken = (-np.inf, -np.inf)
    if chosen is not None:
        middle = float(rows.to_px(chosen).mean())
        taken = (middle - 48, middle + 48)
    for words in (" ".join(parts), f"chance {chance:.2f}"):
        room = text_width(words, 12)
        for left in (min(x + 6, rows.width_px - room), taken[1], taken[0] - room):
            if left >= 0 and left + room <= rows.width_px and (left >= taken[1] or left + room <= taken[0]):
                return [(left, 11.0, words)]
    return []


def _bar_columns(
    rows: ScoreRows, groups: list[Group], colours: list[str], chosen: tuple[float, float] | None
) -> dict[str, Columns]:
    edges = rows.edges
    counts = np.array([np.histogram(group.scores, edges)[0] for group in groups]).reshape(len(groups), len(edges) - 1)
    row, column = np.nonzero(counts)
    n = counts[row, column]
    px = rows.bar_px / max(counts.max(initial=0), 1)
    middles = (edges[:-1] + edges[1:]) / 2
    low, high = chosen or (np.inf, -np.inf)
    strong = (low <= middles) & (middles <= high)
    faint = 0.6 if chosen is None else 0.35
    left, right = rows.to_px(edges[:-1]) + 0.5, rows.to_px(edges[1:]) - 0.5
    base = rows.base.astype(float)
    peaks = []
    for i, count in enumerate(counts):
        if count.any():
            at = int(count.argmax())
            words = count_text(int(count[at]), "picture") if i == 0 else f"{count[at]:,}"
            half = text_width(words, 11.5) / 2
            x = float(np.clip((left[at] + right[at]) / 2, half, rows.width_px - half))
            peaks.append((x, base[i] - count[at] * px - 4, words))
    return {
        "bars": {
            "left": left[column], "right": right[column], "top": base[row] - n * px, "bottom": base[row],
            "fill_color": [colours[i] for i in row], "fill_alpha": np.where(strong[column], 1.0, faint),
            "title": [f"{edges[c]:.2f} – {edges[c + 1]:.2f}" for c in column],
            "what": [f"{count_text(int(k), 'picture')}, {plain(groups[i].name)}" for k, i in zip(n, row, strict=True)],
        },
        "peak": texts(peaks, 11.5),
    }  # fmt: skip


def _range_columns(rows: ScoreRows, chosen: tuple[float, float] | None) -> dict[str, Columns]:
    bottom = float(rows.base[-1]) + 10
    box: Columns
    if chosen is None:
        empty = np.empty(0)
        box = {"left": empty, "top": empty, "right": empty, "bottom": empty}
        return {"range": box, "ends": box, "range_text": texts([], 12)}
    start, end = (float(x) for x in np.clip(rows.to_px(chosen), 0, rows.width_px))
    words = f"{chosen[0]:.2f} – {chosen[1]:.2f}"
    half = text_width(words, 12, bold=True) / 2
    middle = float(np.clip((start + end) / 2, half, rows.width_px - half))
    box = {"left": np.array([start]), "top": np.array([_TOP]), "right": np.array([end]), "bottom": np.array([bottom])}
    return {"range": box, "ends": uprights([start, end], 18, bottom), "range_text": texts([(middle, 11, words)], 12)}


def _match_columns(rows: ScoreRows, groups: list[Group], result: xr.Dataset) -> dict[str, Columns]:
    row = np.repeat(np.arange(len(groups)), [len(group.ranks) for group in groups])
    ranks = np.concatenate([group.ranks for group in groups]) if groups else np.empty(0, int)
    return {"matches": {"col": rows.to_px(result["score"].values[ranks]), "row": rows.base[row] + 4.0}}


def _name_columns(rows: ScoreRows, groups: list[Group], colours: list[str]) -> dict[str, Columns]:
    if not rows.names:
        return {"dot": {"col": [], "row": [], "fill_color": []}, "name": texts([], 13), "count": texts([], 11.5)}
    right = float(rows.width_px)
    names = [fit(plain(group.name), right / 2, 13, bold=True) for group in groups]
    above = rows.base.astype(float) - 26
    return {
        "dot": {
            "col": [right - text_width(name, 13, bold=True) - 9 for name in names], "row": above - 4.5,
            "fill_color": colours,
        },
        "name": texts(((right, y, name) for y, name in zip(above, names, strict=True)), 13),
        "count": texts(
            ((right, y + 14, count_text(len(g.scores), "picture")) for y, g in zip(above, groups, strict=True)), 11.5
        ),
    }  # fmt: skip
