"""Layers: how far every layer of a store agrees with the one that is open."""

from collections.abc import Sequence
from dataclasses import dataclass

import holoviews as hv
import numpy as np

from vfs_panel.plots.marks import Columns, Mark, overlay, text, texts, uprights
from vfs_panel.plots.overlap import HEIGHT_PX, TOP
from vfs_panel.plots.text import fit, text_width
from vfs_panel.plots.theme import LIGHT, Theme


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerLine:
    """One layer of a store against the open one.

    Attributes
    ----------
    name : of the layer.
    grid : (rows, columns) of its cells.
    rho : rank correlation; NaN where there is none; None while it is not searched.
    in_both : how many of the best `k` are the same; None likewise.
    own : whether it is the open layer itself.
    strong : whether it is one of the rows that are shown.
    """

    name: str
    grid: tuple[int, int]
    rho: float | None = None
    in_both: int | None = None
    own: bool = False
    strong: bool = False


def layers_height(n: int) -> int:
    """Return the height of `layer_dots` for so many layers: as the other figures, or more where there are many."""
    return max(HEIGHT_PX, TOP + 32 * n + 32)


def layer_dots(
    lines: Sequence[LayerLine], *, k: int, width_px: int = 306, theme: Theme = LIGHT, background: str | None = None
) -> hv.Overlay:
    """Draw the rank correlation of every layer with the open one, and how many of the best k they share.

    Parameters
    ----------
    lines : the layers in the order of the network.
    k : of the last column.
    width_px : of the content; it is `layers_height` high.
    theme : light or dark.
    background : what is behind the figure; the theme's page colour by default.
    """
    marks = {
        "gridlines": Mark("segments", {"line_color": theme.grid}),
        "stems": Mark("segments", {"line_color": theme.match, "line_width": 2}),
        "dots": Mark("dots", {"size": 9, "line_alpha": 0, "fill_color": theme.match}),
        "own": Mark(
            "dots", {"size": 9, "fill_color": background or theme.bg, "line_color": theme.match, "line_width": 2}
        ),
        "name": text(12, color=theme.text2),
        "strong": text(12.5, bold=True, color=theme.text),
        "cells": text(11.5, color=theme.text3),
        "rho": text(12, bold=True, color=theme.text),
        "number": text(12, align="right", bold=True, color=theme.text),
        "tick": text(11.5, align="center", color=theme.text3),
        "head": text(11.5, align="right", color=theme.text3),
    }
    return overlay(
        marks, layers_data(lines, k=k, width_px=width_px), width_px=width_px, height_px=layers_height(len(lines))
    )


def layers_data(lines: Sequence[LayerLine], *, k: int, width_px: int = 306) -> dict[str, Columns]:
    """Return the columns of the marks of `layer_dots`, for `Live.send`; parameters as there."""
    left, right = 96.0, float(width_px - 62)
    known = [line.rho for line in lines if line.rho is not None and np.isfinite(line.rho)]
    low = -1.0 if min(known, default=0.0) < 0 else 0.0
    bottom = float(layers_height(len(lines)) - 32)

    def x(rho: float) -> float:
        return left + (rho - low) / (1 - low) * (right - left)

    at = [(TOP + 14.0 + 32 * i, line) for i, line in enumerate(lines)]
    there = [(y, line, line.rho) for y, line in at if line.rho is not None and np.isfinite(line.rho)]
    stems = np.array([(x(max(low, 0)), y, x(rho), y) for y, _, rho in there], float).reshape(-1, 4)
    rhos = [_number(x(rho), y, f"{rho:.2f}".replace("-", "−"), right) for y, _, rho in there]
    ends = [low, 0.0, 0.5, 1.0] if low < 0 else [0.0, 0.5, 1.0]
    return {
        "gridlines": uprights([x(v) for v in ends], TOP, bottom),
        "stems": dict(zip(("left", "top", "right", "bottom"), stems.T.copy(), strict=True)),
        "dots": _dots([(x(rho), y) for y, line, rho in there if not line.own]),
        "own": _dots([(x(rho), y) for y, line, rho in there if line.own]),
        "name": texts(((0.0, y + 4, fit(n.name, left - 8, 12)) for y, n in at if not n.strong), 12),
        "strong": texts(((0.0, y + 4, fit(n.name, left - 8, 12.5, bold=True)) for y, n in at if n.strong), 12.5),
        "cells": texts(((0.0, y + 17, f"{n.grid[0]} × {n.grid[1]}") for y, n in at), 11.5),
        "rho": texts(rhos, 12),
        "number": texts(((float(width_px - 2), y + 4, _count(line)) for y, line in at), 12),
        "tick": texts(((x(v), bottom + 14, f"{v:g}".replace("-", "−")) for v in ends), 11.5),
        "head": texts(
            [(float(width_px - 2), 12.0, f"in both top {k}"), (right, bottom + 29, "rank correlation with B")], 11.5
        ),
    }


def _count(line: LayerLine) -> str:
    return "–" if line.own or line.in_both is None else f"{line.in_both}"


def _number(x: float, y: float, words: str, right: float) -> tuple[float, float, str]:
    """Put a number right of its dot, or above the stem where the dot is at the end."""
    return (x + 9, y + 4, words) if x < right - 30 else (x - 9 - text_width(words, 12, bold=True), y - 8, words)


def _dots(places: Sequence[tuple[float, float]]) -> Columns:
    at = np.array(places, float).reshape(-1, 2)
    return {"col": at[:, 0], "row": at[:, 1]}
