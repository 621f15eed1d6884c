"""Scatter: every picture by its rank, or score, under two searches, with a box to brush."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import holoviews as hv
import numpy as np
from bokeh.models import BoxSelectTool
from numpy.typing import ArrayLike, NDArray

from vfs_panel.analysis.comparison import Comparison
from vfs_panel.plots.groups import ticks
from vfs_panel.plots.marks import Columns, Mark, overlay, text, texts, tooltip, uprights
from vfs_panel.plots.matches import PICTURE_TOOLTIP, what
from vfs_panel.plots.overlap import BOTTOM, HEIGHT_PX, TOP, TOP_K
from vfs_panel.plots.text import score_text, text_width
from vfs_panel.plots.theme import LIGHT, Theme, domain_colours, undress

MOST_POINTS = 3000
By = Literal["rank", "score"]
Box = tuple[tuple[float, float], tuple[float, float]]
"""Ranges of A and of B, in ranks or scores."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairAxes:
    """Axes of a scatter: A across and B down for ranks, B up for scores.

    Attributes
    ----------
    width_px : of the content; it is `HEIGHT_PX` high.
    by : "rank", on log axes with rank 1 at the top left; or "score".
    a, b : range of each axis.
    """

    width_px: int
    by: By
    a: tuple[float, float]
    b: tuple[float, float]

    @classmethod
    def of(cls, found: Comparison, *, width_px: int, by: By = "rank") -> "PairAxes":
        """Return axes that hold all pictures of a comparison."""
        if by == "rank":
            return cls(width_px=width_px, by=by, a=(1.0, max(found.n_a, 2)), b=(1.0, max(found.n_b, 2)))
        return cls(width_px=width_px, by=by, a=_round_range(found.score_a), b=_round_range(found.score_b))

    @property
    def left(self) -> float:
        """Where A's axis begins."""
        return 34.0

    @property
    def right(self) -> float:
        """Where A's axis ends."""
        return float(self.width_px - 16)

    def x(self, values: ArrayLike) -> NDArray[np.float64]:
        """Return columns of the figure for ranks or scores of A."""
        return self.left + self._share(values, self.a) * (self.right - self.left)

    def y(self, values: ArrayLike) -> NDArray[np.float64]:
        """Return rows of the figure for ranks or scores of B."""
        share = self._share(values, self.b)
        return TOP + (share if self.by == "rank" else 1 - share) * (BOTTOM - TOP)

    def _share(self, values: ArrayLike, ends: tuple[float, float]) -> NDArray[np.float64]:
        at, (low, high) = np.asarray(values, np.float64), ends
        if self.by == "rank":
            return np.log(at / low) / np.log(high / low)
        return (at - low) / (high - low)

    def ranges(self, bounds: tuple[float, float, float, float] | None) -> tuple[tuple[float, float], ...] | None:
        """Return the ranges (A, B) inside a box of the figure, as hv.streams.BoundsXY gives it.

        Ranks are whole numbers, scores have three decimals. None for no box, or one of under three pixels.
        """
        if bounds is None or not np.isfinite(bounds).all():
            return None
        x0, x1 = (float(np.clip(v, self.left, self.right)) for v in sorted((bounds[0], bounds[2])))
        y0, y1 = (float(np.clip(v, TOP, BOTTOM)) for v in sorted((bounds[1], bounds[3])))
        if max(abs(bounds[2] - bounds[0]), abs(bounds[3] - bounds[1])) < 3:
            return None
        across = ((x0 - self.left) / (self.right - self.left), (x1 - self.left) / (self.right - self.left))
        down = ((y0 - TOP) / (BOTTOM - TOP), (y1 - TOP) / (BOTTOM - TOP))
        up = down if self.by == "rank" else (1 - down[1], 1 - down[0])
        return self._values(across, self.a), self._values(up, self.b)

    def _values(self, shares: tuple[float, float], ends: tuple[float, float]) -> tuple[float, float]:
        low, high = ends
        if self.by == "rank":
            start, end = (low * (high / low) ** share for share in shares)
            return float(np.ceil(start - 1e-9)), float(np.floor(end + 1e-9))
        start, end = (low + share * (high - low) for share in shares)
        return round(start, 3), round(end, 3)


def _round_range(scores: NDArray[np.float64]) -> tuple[float, float]:
    if not len(scores):
        return 0.0, 1.0
    low, high = np.floor((scores.min() - 0.01) / 0.05) * 0.05, np.ceil((scores.max() + 0.01) / 0.05) * 0.05
    return round(float(low), 2), round(float(high), 2)


def drawn_points(found: Comparison) -> NDArray[np.intp]:
    """Return which pictures are drawn: all, or of very many the best of either side and an even share of the rest."""
    if found.n <= MOST_POINTS:
        return np.arange(found.n)
    best = np.minimum(found.rank_a, found.rank_b) <= MOST_POINTS // 4
    rest = np.flatnonzero(~best)
    step = max(1, -(-len(rest) // (MOST_POINTS - int(best.sum()))))
    return np.sort(np.concatenate([np.flatnonzero(best), rest[::step]]))


def scatter(
    found: Comparison,
    axes: PairAxes,
    about: tuple[Sequence[str], Sequence[str], Sequence[str]],
    *,
    theme: Theme = LIGHT,
    brushed: Box | None = None,
    picked: str = "",
    names: tuple[str, str] = ("A", "B"),
) -> hv.Overlay:
    """Draw each picture by its rank, or score, in A and in B.

    Parameters
    ----------
    found : the comparison.
    axes : layout.
    about : label and domain of each picture of `found`, and all domains in their order, for the colours.
    theme : light or dark.
    brushed : ranges of A and of B to mark.
    picked : id of the picture to ring.
    names : of the two sides.

    Returns
    -------
    Overlay in CSS pixels, y down, with a tool that selects a box; `axes.ranges` makes it ranks or scores.
    """
    points = {"fill_alpha": 0.55, "line_alpha": 0}
    tip = tooltip(theme, *PICTURE_TOOLTIP)
    marks = {
        "gridlines": Mark("segments", {"line_color": theme.grid}),
        "points": Mark("dots", {"size": 3.6, **points}, tip),
        "best": Mark("dots", {"size": 7, **points}, tip),
        "box": Mark("rectangles", {"fill_color": theme.match, "fill_alpha": 0.12, "line_color": theme.match}),
        "brush": Mark(
            "rectangles", {"fill_color": theme.text, "fill_alpha": 0.06, "line_color": theme.text, "line_width": 1.5}
        ),
        "ring": Mark("dots", {"size": 10, "fill_alpha": 0, "line_color": theme.text, "line_width": 2}),
        "tick": text(11.5, align="center", color=theme.text3),
        "side": text(11.5, align="right", color=theme.text3),
        "title": text(11.5, color=theme.text3),
        "note": text(11.5, align="right", color=theme.text3),
        "word": text(11.5, color=theme.text2),
    }
    return overlay(
        marks,
        scatter_data(found, axes, about, theme=theme, brushed=brushed, picked=picked, names=names),
        width_px=axes.width_px,
        height_px=HEIGHT_PX,
        hooks=[undress, partial(_add_box, theme=theme)],
    )


def _add_box(plot: Any, _element: Any, *, theme: Theme) -> None:
    """Add a tool that only tells the box: a mark shows it, and the points keep their strength."""
    figure = plot.state
    if any(isinstance(tool, BoxSelectTool) for tool in figure.tools):
        return
    tool = BoxSelectTool(renderers=[])
    tool.overlay.update(fill_color=theme.text, fill_alpha=0.06, line_color=theme.text, line_width=1.5, line_dash=[])
    figure.add_tools(tool)
    figure.toolbar.active_drag = tool


def scatter_data(
    found: Comparison,
    axes: PairAxes,
    about: tuple[Sequence[str], Sequence[str], Sequence[str]],
    *,
    theme: Theme = LIGHT,
    brushed: Box | None = None,
    picked: str = "",
    names: tuple[str, str] = ("A", "B"),
) -> dict[str, Columns]:
    """Return the columns of the marks of `scatter`, for `Live.send`; parameters as there."""
    labels, domains, order = about
    colours = domain_colours(order, theme)
    of_a, of_b = (found.rank_a, found.rank_b) if axes.by == "rank" else (found.score_a, found.score_b)
    drawn = drawn_points(found)
    drawn = drawn[np.lexsort((drawn, -np.minimum(found.rank_a, found.rank_b)[drawn]))]  # the best on top
    best = np.minimum(found.rank_a, found.rank_b)[drawn] <= TOP_K

    def points(rows: NDArray[np.intp]) -> Columns:
        said = [
            f"{names[0]} {found.rank_a[r]:,} ({score_text(found.score_a[r])}), "
            f"{names[1]} {found.rank_b[r]:,} ({score_text(found.score_b[r])})"
            for r in rows
        ]
        return {
            "col": axes.x(of_a[rows]), "row": axes.y(of_b[rows]),
            "fill_color": [colours.get(domains[r], theme.other) for r in rows],
            "title": said, "what": [what(labels[r], domains[r]) for r in rows], "image_id": found.ids[rows].tolist(),
        }  # fmt: skip

    ring = np.flatnonzero(found.ids == picked)
    note = "" if len(drawn) == found.n else f"{len(drawn):,} of {found.n:,} drawn"
    return {
        **_pair_axes(axes, names),
        "points": points(drawn[~best]),
        "best": points(drawn[best]),
        **_top_box(found, axes),
        "brush": _box_columns(axes, brushed),
        "ring": {"col": axes.x(of_a[ring]), "row": axes.y(of_b[ring])},
        "note": texts([(axes.right, 11.0, note)] if note else [], 11.5),
    }


def _pair_axes(axes: PairAxes, names: tuple[str, str]) -> dict[str, Columns]:
    if axes.by == "rank":
        ends = [(float(10**power), f"{10**power:,}") for power in range(7)]
        across, down = ([end for end in ends if end[0] <= most] for most in (axes.a[1], axes.b[1]))
        short = [(v, word if v < 1000 else f"{v / 1000:,.0f}k") for v, word in down]
    else:
        across = ticks(*axes.a, width_px=axes.right - axes.left)
        short = ticks(*axes.b, width_px=BOTTOM - TOP, room_px=30)
    x, y = axes.x([v for v, _ in across]), axes.y([v for v, _ in short])
    lines = uprights(x, TOP, BOTTOM)
    level: Columns = {"left": np.full(len(y), axes.left), "top": y, "right": np.full(len(y), axes.right), "bottom": y}
    return {
        "gridlines": {name: np.concatenate([lines[name], level[name]]) for name in lines},
        "tick": texts(
            ((_inside(float(at), word, axes), BOTTOM + 14, word) for at, (_, word) in zip(x, across, strict=True)),
            11.5,
        ),
        "side": texts(((axes.left - 6, float(at) + 4, word) for at, (_, word) in zip(y, short, strict=True)), 11.5),
        "title": texts(
            [
                (0, 11, f"{axes.by} in {names[1]}"),
                (axes.right - text_width(f"{axes.by} in {names[0]}", 11.5), BOTTOM + 29, f"{axes.by} in {names[0]}"),
            ],
            11.5,
        ),
    }


def _inside(at: float, word: str, axes: PairAxes) -> float:
    """Keep a centred word within the figure."""
    return min(at, axes.width_px - text_width(word, 11.5) / 2)


def _top_box(found: Comparison, axes: PairAxes) -> dict[str, Columns]:
    """Return the box of the best ten of both sides."""
    k = min(TOP_K, found.n_a, found.n_b)
    if not found.n or k < 2:
        return {"box": _box_columns(axes, None), "word": texts([], 11.5)}
    box: Box
    if axes.by == "rank":
        box = ((1, k), (1, k))
    else:
        tenth = [float(np.min(s[r <= k], initial=s.max())) for s, r in
                 ((found.score_a, found.rank_a), (found.score_b, found.rank_b))]  # fmt: skip
        box = ((tenth[0], axes.a[1]), (tenth[1], axes.b[1]))
    columns = _box_columns(axes, box)
    left, right = float(columns["left"][0]), float(columns["right"][0])
    at = (left + right) / 2 - text_width("in both", 11.5) / 2
    bottom = float(columns["bottom"][0])
    words = [(at, bottom - 13, "in both")] if right - left > 48 and bottom - float(columns["top"][0]) > 30 else []
    return {"box": columns, "word": texts(words, 11.5)}


def _box_columns(axes: PairAxes, box: Box | None) -> Columns:
    if box is None:
        return {name: np.empty(0) for name in ("left", "top", "right", "bottom")}
    across, down = np.sort(axes.x(box[0])), np.sort(axes.y(box[1]))
    across, down = np.clip(across, axes.left, axes.right), np.clip(down, TOP, BOTTOM)
    return {"left": across[:1], "top": down[:1], "right": across[1:], "bottom": down[1:]}
