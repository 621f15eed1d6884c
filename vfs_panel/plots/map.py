"""Map: every matched patch as a point in two dimensions, with a lasso to choose some."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import holoviews as hv
import numpy as np
from bokeh.models import LassoSelectTool
from numpy.typing import NDArray

from vfs_panel.analysis.embedding import Embedding
from vfs_panel.plots.marks import Columns, Mark, overlay, text, texts, tooltip
from vfs_panel.plots.matches import PICTURE_TOOLTIP, what
from vfs_panel.plots.text import plain, score_text, text_width
from vfs_panel.plots.theme import LIGHT, Theme, undress

_EDGE_PX, _THUMB_PX = 26, 34


@dataclass(frozen=True, slots=True, kw_only=True)
class MapAxes:
    """Where points of an embedding are in the figure.

    Attributes
    ----------
    width_px, height_px : of the content.
    low, high : corners of the points' box.
    """

    width_px: int
    height_px: int
    low: tuple[float, float]
    high: tuple[float, float]

    @classmethod
    def of(cls, embedding: Embedding, *, width_px: int, height_px: int) -> "MapAxes":
        """Return axes that hold all points."""
        low, high = embedding.points.min(0), embedding.points.max(0)
        return cls(width_px=width_px, height_px=height_px, low=(float(low[0]), float(low[1])),
                   high=(float(high[0]), float(high[1])))  # fmt: skip

    def place(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (column, row) of points, on one scale for both axes, in the middle."""
        low, high = np.array(self.low), np.array(self.high)
        room = np.array([self.width_px, self.height_px]) - 2 * _EDGE_PX
        scale = float((room / np.maximum(high - low, 1e-12)).min())
        at = (np.asarray(points, float) - (low + high) / 2) * scale
        return np.column_stack([self.width_px / 2 + at[:, 0], self.height_px / 2 - at[:, 1]])


def inside(places: NDArray[np.float64], xs: Sequence[float], ys: Sequence[float]) -> NDArray[np.bool_]:
    """Return which places lie inside a lasso (even-odd rule)."""
    from skimage.measure import points_in_poly

    if len(xs) < 3:
        return np.zeros(len(places), bool)
    return np.asarray(points_in_poly(places, np.column_stack([xs, ys])), bool)


def patch_map(columns: dict[str, Columns], axes: MapAxes, *, theme: Theme = LIGHT) -> hv.Overlay:
    """Draw the map.

    Parameters
    ----------
    columns : from `map_data`.
    axes : of the figure.
    theme : light or dark.

    Returns
    -------
    Overlay with a lasso that only tells its outline; `inside` says what it holds.
    """
    tip = tooltip(theme, *PICTURE_TOOLTIP)
    marks = {
        "points": Mark("dots", {"size": 5.5, "line_alpha": 0}, tip),
        "thumbs": Mark("patches", {"w": _THUMB_PX, "h": _THUMB_PX}),
        "matches": Mark("dots", {"size": 9, "line_color": theme.match, "line_width": 2}, tip),
        "picked": Mark("dots", {"size": 14, "fill_alpha": 0, "line_color": theme.text, "line_width": 2}),
        "query": Mark("dots", {"size": 13, "fill_alpha": 0, "line_color": theme.query, "line_width": 2.5}),
        "query_text": text(12, bold=True, color=theme.query_text),
        "names": text(12, bold=True, color=theme.text),
    }
    hooks = [undress, partial(_add_lasso, theme=theme)]
    return overlay(marks, columns, width_px=axes.width_px, height_px=axes.height_px, hooks=hooks)


def _add_lasso(plot: Any, _element: Any, *, theme: Theme) -> None:
    figure = plot.state
    if any(isinstance(tool, LassoSelectTool) for tool in figure.tools):
        return
    tool = LassoSelectTool(renderers=[], continuous=False)
    tool.overlay.update(fill_color=theme.text, fill_alpha=0.06, line_color=theme.text, line_width=1.5, line_dash=[])
    figure.add_tools(tool)
    figure.toolbar.active_drag = tool


def map_data(
    embedding: Embedding,
    axes: MapAxes,
    *,
    ids: Sequence[str],
    scores: Sequence[float],
    labels: Sequence[str],
    domains: Sequence[str],
    groups: Sequence[str],
    colours: Mapping[str, str],
    matched: NDArray[np.bool_],
    chosen: NDArray[np.bool_],
    urls: Mapping[str, str],
    query: NDArray[np.float64] | None = None,
    picked: str = "",
    theme: Theme = LIGHT,
) -> dict[str, Columns]:
    """Return the columns of `patch_map`, for `Live.send`; all sequences have one value for each point.

    Parameters
    ----------
    embedding : the points.
    axes : of the figure.
    ids, scores, labels, domains : of the pictures, for the tooltips.
    groups : what colours the points; `colours` has those that have one.
    matched : which points are among the matches.
    chosen : which are within a lasso; all if there is none.
    urls : thumbnails of some pictures, by id.
    query : (1, 2), the query itself.
    picked : id of the picture that is ringed.
    theme : light or dark.
    """
    places = axes.place(embedding.points)
    fill = [colours.get(group, theme.other) for group in groups]
    strong = np.where(chosen, 0.75, 0.15)
    order = np.argsort(np.asarray(scores, float), kind="stable")  # the best on top

    def points(rows: NDArray[np.intp]) -> Columns:
        return {
            "col": places[rows, 0], "row": places[rows, 1],
            "fill_color": [fill[r] for r in rows], "fill_alpha": strong[rows],
            "title": [f"Best place {score_text(scores[r])}" for r in rows],
            "what": [what(labels[r], domains[r]) for r in rows], "image_id": [ids[r] for r in rows],
        }  # fmt: skip

    shown = [r for r in order.tolist() if ids[r] in urls]
    ring = np.flatnonzero(np.asarray(ids, object) == picked)
    at = axes.place(query) if query is not None else np.empty((0, 2))
    return {
        "points": points(order[~matched[order]]),
        "thumbs": {
            "col": [places[r, 0] + 8 for r in shown], "row": [places[r, 1] - _THUMB_PX - 6 for r in shown],
            "url": [urls[ids[r]] for r in shown],
        },
        "matches": points(order[matched[order]]),
        "picked": {"col": places[ring, 0], "row": places[ring, 1]},
        "query": {"col": at[:, 0], "row": at[:, 1]},
        "query_text": texts([(float(x) + 11, float(y) + 4, "query") for x, y in at], 12),
        "names": texts(_names(places, groups, colours, axes), 12),
    }  # fmt: skip


def _names(
    places: NDArray[np.float64], groups: Sequence[str], colours: Mapping[str, str], axes: MapAxes
) -> list[tuple[float, float, str]]:
    """Write each coloured group's name at the middle of its points, off names that stand already."""
    found: list[tuple[float, float, str]] = []
    values = np.asarray(groups, object)
    for name in colours:
        own = places[values == name]
        if not len(own):
            continue
        words = plain(name)
        wide = text_width(words, 12, bold=True)
        x, y = (float(v) for v in np.median(own, 0))
        x = min(max(x - wide / 2, 2), axes.width_px - wide - 2)
        for step in (0, -16, 16, -32, 32, -48, 48):
            if not any(abs(y + step - other) < 15 and x < left + 90 and left < x + wide for left, other, _ in found):
                y += step
                break
        found.append((x, min(max(y, 14), axes.height_px - 4), words))
    return found
