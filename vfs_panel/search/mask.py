"""Strokes -> soft mask on the network's input -> mask on the feature grid."""

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from PIL import Image

from vfs_panel.errors import QueryError
from vfs_panel.images.preprocessing import Geometry
from vfs_panel.search.stroke import Stroke

OUTLINE_WEIGHT = 1 / 3  # cells at least this much covered count as "outlined" wherever a mask is shown
_SUPERSAMPLING = 4  # polygons are drawn at this many times the size and averaged


def paint(strokes: Iterable[Stroke], geometry: Geometry) -> NDArray[np.uint8]:
    """Paint strokes, in order, on the network's input.

    The edge of a brush is one input pixel soft. What lies outside the frame that the network sees is not painted.

    Parameters
    ----------
    strokes : in picture pixels.
    geometry : the map from picture to network input.

    Returns
    -------
    uint8 array, shape (input_y, input_x): 0 not painted … 255 painted.
    """
    cover = np.zeros(geometry.input_px, np.float32)
    for stroke in strokes:
        points = geometry.to_input(np.array(stroke.points, np.float64))
        if stroke.shape == "fill":
            _fill(cover, points, erase=stroke.mode == "erase")
        else:
            _sweep(cover, points, stroke.radius_px * np.array(geometry.scale[::-1]), erase=stroke.mode == "erase")
    return np.round(cover * 255).astype(np.uint8)


def _blend(cover: NDArray[np.float32], value: NDArray[np.floating[Any]], *, erase: bool) -> None:
    if erase:
        np.minimum(cover, 1 - value, out=cover)
    else:
        np.maximum(cover, value, out=cover)


def _sweep(cover: NDArray[np.float32], points: NDArray[np.float64], radii: NDArray[np.float64], *, erase: bool) -> None:
    """Cover what a disc (an ellipse where the axes scale apart) touches along a polyline, segment by segment."""
    height, width = cover.shape
    edge = max(float(radii.mean()), 0.5)
    pairs = pairwise(points) if len(points) > 1 else [(points[0], points[0])]
    for (ax, ay), (bx, by) in pairs:
        x0, x1 = int(max(0, min(ax, bx) - radii[0] - 1)), int(min(width, np.ceil(max(ax, bx) + radii[0] + 1)))
        y0, y1 = int(max(0, min(ay, by) - radii[1] - 1)), int(min(height, np.ceil(max(ay, by) + radii[1] + 1)))
        if x0 >= x1 or y0 >= y1:
            continue
        # In units of the radii the brush is a unit disc, and its distance to the segment is the usual one.
        x = (np.arange(x0, x1) + 0.5 - ax)[None] / radii[0]
        y = (np.arange(y0, y1) + 0.5 - ay)[:, None] / radii[1]
        dx, dy = (bx - ax) / radii[0], (by - ay) / radii[1]
        length2 = dx * dx + dy * dy
        along = np.clip((x * dx + y * dy) / length2, 0, 1) if length2 > 0 else 0.0
        distance = np.hypot(x - along * dx, y - along * dy)
        _blend(cover[y0:y1, x0:x1], np.clip((1 - distance) * edge + 0.5, 0, 1), erase=erase)


def _fill(cover: NDArray[np.float32], points: NDArray[np.float64], *, erase: bool) -> None:
    if len(points) < 3:
        return
    from skimage.draw import polygon

    height, width = cover.shape
    fine = np.zeros((height * _SUPERSAMPLING, width * _SUPERSAMPLING), np.float32)
    # skimage samples at whole numbers; the middles of fine pixels lie half a pixel further.
    x, y = points.T * _SUPERSAMPLING - 0.5
    fine[polygon(y, x, fine.shape)] = 1
    shares = fine.reshape(height, _SUPERSAMPLING, width, _SUPERSAMPLING).mean((1, 3))
    _blend(cover, shares, erase=erase)


def to_grid(alpha: NDArray[np.uint8], grid: tuple[int, int]) -> xr.DataArray:
    """Bring a painted mask to the feature grid, as visualfeaturesearch does (PIL bilinear with antialiasing).

    Parameters
    ----------
    alpha : uint8 array, shape (input_y, input_x); 255 is fully painted.
    grid : (rows, columns) of the layer.

    Returns
    -------
    DataArray (y, x), float32 weights in [0, 1], one per feature cell.

    Raises
    ------
    QueryError
        If `alpha` is no uint8 picture of one channel.
    """
    if alpha.ndim != 2 or alpha.dtype != np.uint8:
        raise QueryError(f"The mask has shape {alpha.shape} and type {alpha.dtype}; expected uint8 (y, x).")
    small = Image.fromarray(alpha).resize((grid[1], grid[0]), Image.Resampling.BILINEAR)
    return xr.DataArray(np.asarray(small, np.float32) / np.float32(255), dims=("y", "x"), name="mask")


def grid_mask(strokes: Iterable[Stroke], geometry: Geometry, grid: tuple[int, int]) -> xr.DataArray:
    """Strokes -> DataArray (y, x) of weights in [0, 1] on the feature grid; see `paint` and `to_grid`."""
    return to_grid(paint(strokes, geometry), grid)
