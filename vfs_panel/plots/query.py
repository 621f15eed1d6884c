"""The query as a picture: what the layer sees of the mask; and where its cells and frame lie on the picture."""

import holoviews as hv
import numpy as np
from numpy.typing import ArrayLike, NDArray

from vfs_panel.images.preprocessing import Geometry
from vfs_panel.plots.marks import Columns, Mark, overlay
from vfs_panel.plots.outline import lit_cells
from vfs_panel.plots.theme import LIGHT, Theme
from vfs_panel.plots.thumbnails import data_url, grey
from vfs_panel.plots.tiles import Region, Tiles, cells, corner_mark, edges, rings


def layer_view(
    frame: NDArray[np.uint8],
    mask: ArrayLike,
    *,
    excluded: ArrayLike | None = None,
    size_px: int = 120,
    theme: Theme = LIGHT,
    background: str | None = None,
) -> hv.Overlay:
    """Draw the mask as the layer sees it: the picture in grey, each cell orange by its weight, and the outline.

    Parameters
    ----------
    frame : uint8, shape (input_y, input_x, 3): the picture as the network sees it.
    mask : shape (y, x): weights in [0, 1] on the layer's grid; all 0 before anything is painted.
    excluded : as `mask`: cells to stay away from, dark with a dashed outline.
    size_px : longer side of the content, CSS pixels; the figure is `theme.BLEED_PX` larger on every side.
    theme : light or dark.
    background : what is behind the figure; the theme's surface by default.
    """
    height, width = (max(8, round(side * size_px / max(frame.shape[:2]))) for side in frame.shape[:2])
    tile = Tiles(np.zeros(1, int), np.zeros(1, int), width, height)
    marks = {
        "picture": Mark("patches", {"w": width, "h": height}),
        "cells": Mark("rectangles", {"fill_color": theme.query, "line_alpha": 0}),
        "away": Mark("rectangles", {"fill_color": "#101317", "line_alpha": 0}),
        "away_ring": Mark("paths", {"color": "#FFFFFF", "line_width": 1.5, "line_dash": "3 2"}),
        "grid": Mark("segments", {"line_color": "#FFFFFF", "line_alpha": 0.45, "line_width": 0.5}),
        "ring": Mark(
            "paths", {"color": theme.outline_query, "line_width": 1.5, "line_cap": "square", "line_join": "miter"}
        ),
        "corners": corner_mark(background or theme.surface),
    }
    columns = {
        **layer_picture(frame, size_px=size_px),
        "corners": tile.boxes(grow_px=2),
        **layer_view_data(mask, excluded=excluded, size_px=(width, height)),
    }
    return overlay(marks, columns, width_px=width, height_px=height)


def layer_picture(frame: NDArray[np.uint8], *, size_px: int = 120) -> dict[str, Columns]:
    """Return the columns of `layer_view` that change with the picture, for `Live.send`; `frame` of the same shape."""
    return {"picture": {"col": [0], "row": [0], "url": [data_url(grey(frame), max_side_px=2 * size_px)]}}


def layer_view_data(
    mask: ArrayLike, *, excluded: ArrayLike | None = None, size_px: tuple[int, int] = (120, 120)
) -> dict[str, Columns]:
    """Return the columns of `layer_view` that change with the mask, for `Live.send`; `size_px` is (width, height)."""
    weights = np.asarray(mask, np.float32)
    tile = Tiles(np.zeros(1, int), np.zeros(1, int), *size_px)
    region = Region(weights, (weights.shape[0], weights.shape[1]))
    empty: Columns = {"xs": [], "ys": []}
    away = Region(np.zeros_like(weights) if excluded is None else np.asarray(excluded, np.float32), region.grid)
    return {
        "away": cells(tile, Region(away.mask * np.float32(0.75), away.grid)),
        "away_ring": rings(tile, [0], [0], away, inset_px=0.75) if lit_cells(away.mask).any() else empty,
        "cells": cells(tile, region),
        "grid": _grid_segments(region.grid, size_px),
        "ring": rings(tile, [0], [0], region, inset_px=0.75) if lit_cells(weights).any() else empty,
    }


def _grid_segments(grid: tuple[int, int], size_px: tuple[int, int]) -> Columns:
    width, height = size_px
    across, down = edges(grid[1], width)[1:-1], edges(grid[0], height)[1:-1]
    return {
        "left": np.concatenate([across, np.zeros(len(down), int)]),
        "top": np.concatenate([np.zeros(len(across), int), down]),
        "right": np.concatenate([across, np.full(len(down), width)]),
        "bottom": np.concatenate([np.full(len(across), height), down]),
    }


def cell_lines(geometry: Geometry, grid: tuple[int, int]) -> list[NDArray[np.float64]]:
    """Return the lines between and round the cells of a layer as polylines (2, 2) of (x, y) in picture pixels."""
    rows, columns = grid
    x0, y0, x1, y1 = geometry.cell_box(0, 0, rows, columns, grid=grid)
    xs, ys = np.linspace(x0, x1, columns + 1), np.linspace(y0, y1, rows + 1)
    return [np.array([[x, y0], [x, y1]]) for x in xs] + [np.array([[x0, y], [x1, y]]) for y in ys]


def outside_frame(geometry: Geometry) -> list[tuple[float, float, float, float]]:
    """Return the rectangles (x0, y0, x1, y1), picture pixels, that the network does not see; they do not overlap."""
    height, width = (float(side) for side in geometry.picture_px)
    x0, y0, x1, y1 = geometry.frame
    boxes = [(0.0, 0.0, width, y0), (0.0, y1, width, height), (0.0, y0, x0, y1), (x1, y0, width, y1)]
    return [box for box in boxes if box[2] - box[0] > 1e-9 and box[3] - box[1] > 1e-9]
