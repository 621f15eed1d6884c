"""Overlap: the share of the best k that two searches have in common, for each k, over chance."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import holoviews as hv
import numpy as np
from numpy.typing import ArrayLike, NDArray

from vfs_panel.analysis.comparison import Comparison
from vfs_panel.plots.marks import Columns, Mark, overlay, text, texts
from vfs_panel.plots.theme import LIGHT, Theme

HEIGHT_PX = 212  # of the content of this figure and of those beside it
TOP, BOTTOM = 22, 180  # of their axes
TOP_K = 10  # what the dot of the curve and the box of the scatter stand for


class Curve(NamedTuple):
    """One comparison with B: the other side's name, and how far they agree."""

    name: str
    found: Comparison


def overlap(curves: Sequence[Curve], *, width_px: int = 306, theme: Theme = LIGHT) -> hv.Overlay:
    """Draw the share of the best k that two searches have in common, for each k, over what chance would give.

    Parameters
    ----------
    curves : the first is the one in question; further ones are grey, with their names.
    width_px : of the content; it is `HEIGHT_PX` high.
    theme : light or dark.
    """
    marks = {
        "gridlines": Mark("segments", {"line_color": theme.grid}),
        "chance": Mark("paths", {"color": theme.text2, "line_width": 1, "line_dash": "3 3"}),
        "others": Mark("paths", {"color": theme.other, "line_width": 1.25}),
        "curve": Mark("paths", {"color": theme.match, "line_width": 2}),
        "dot": Mark("dots", {"size": 8, "fill_color": theme.match, "line_alpha": 0}),
        "tick": text(11.5, align="right", color=theme.text3),
        "k": text(11.5, align="center", color=theme.text3),
        "title": text(11.5, align="right", color=theme.text3),
        "number": text(12, bold=True, color=theme.text),
        "word": text(12, color=theme.text2),
    }
    return overlay(marks, overlap_data(curves, width_px=width_px), width_px=width_px, height_px=HEIGHT_PX)


def overlap_data(curves: Sequence[Curve], *, width_px: int = 306) -> dict[str, Columns]:
    """Return the columns of the marks of `overlap`, for `Live.send`; parameters as there."""
    left, right, top = 40.0, float(width_px - 80), 12.0
    most = max((curve.found.most_k for curve in curves), default=0)
    span = max(most - 1, 1)

    def x(k: ArrayLike) -> NDArray[np.float64]:
        return left + (np.asarray(k, np.float64) - 1) / span * (right - left)

    def y(share: ArrayLike) -> NDArray[np.float64]:
        return BOTTOM - np.asarray(share, np.float64) * (BOTTOM - top)

    shares = np.array([0, 0.25, 0.5, 0.75, 1])
    ks = [k for k in (1, 10, 50, 100) if k < most - max(2, most // 12)] + ([most] if most else [])
    lines = [(x(np.arange(1, c.found.most_k + 1)), y(c.found.overlap)) for c in curves]
    chance = (x(np.arange(1, most + 1)), y(curves[0].found.chance[:most])) if curves and curves[0].found.n else None
    columns: dict[str, Columns] = {
        "gridlines": {
            "left": np.full(5, left), "top": y(shares), "right": np.full(5, right), "bottom": y(shares),
        },
        "chance": _paths([chance] if chance and most == curves[0].found.most_k else []),
        "curve": _paths(lines[:1]),
        "others": _paths(lines[1:]),
        "tick": texts(((left - 6, float(at) + 4, f"{share:.0%}".replace("%", " %"))
                       for at, share in zip(y(shares), shares, strict=True)), 11.5),
        "k": texts(((float(x(k)), BOTTOM + 14, f"{k}") for k in ks), 11.5),
        "title": texts([(right, BOTTOM + 29, "k: how many best matches are compared")], 11.5),
    }  # fmt: skip
    return {**columns, **_overlap_words(curves, x, y, right=right, chance=chance)}


def _overlap_words(
    curves: Sequence[Curve], x: Any, y: Any, *, right: float, chance: tuple[NDArray[np.float64], ...] | None
) -> dict[str, Columns]:
    """Name each line at its end, clear of one another, and the dot at k = 10."""
    numbers: list[tuple[float, float, str]] = []
    words: list[tuple[float, float, str]] = []
    dots: list[tuple[float, float]] = []
    ends: list[tuple[float, str, bool]] = []
    for i, (name, found) in enumerate(curves):
        if found.most_k:
            said = f"{found.in_both(found.most_k)} of {found.most_k}"
            ends.append((float(y(found.overlap[-1])), said if i == 0 else f"{name}: {said}", i == 0))
    if chance is not None:
        ends.append((float(chance[1][-1]), "chance", False))
    ends.sort()
    place = -np.inf
    room = BOTTOM + 4 - 14 * len(ends)
    for number, (at, said, main) in enumerate(ends):
        place = max(min(at + 4, room + 14 * (number + 1)), place + 14)
        (numbers if main else words).append((right + 6, place, said))
    if curves and curves[0].found.most_k > TOP_K:
        found = curves[0].found
        at_x, at_y = float(x(TOP_K)), float(y(found.overlap[TOP_K - 1]))
        dots.append((at_x, at_y))
        # On the side where the curve leaves room.
        later = y(found.overlap[TOP_K : TOP_K + 30])
        below = float(np.mean(later < at_y + 4)) >= 0.5 and at_y + 20 < BOTTOM
        numbers.append((at_x + 8, at_y + (16 if below else -9), f"{found.in_both(TOP_K)} of {TOP_K}"))
    placed = np.array(dots, float).reshape(-1, 2)
    return {
        "dot": {"col": placed[:, 0], "row": placed[:, 1]},
        "number": texts(numbers, 12),
        "word": texts(words, 12),
    }


def _paths(lines: Sequence[tuple[NDArray[np.float64], ...]]) -> Columns:
    return {"xs": [line[0] for line in lines], "ys": [line[1] for line in lines]}
