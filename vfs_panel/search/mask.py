"""Strokes -> soft mask on the network's input -> mask on the feature grid."""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from threading import Lock

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from vfs_panel.errors import QueryError
from vfs_panel.images.preprocessing import Geometry
from vfs_panel.search.stroke import Mode, Point, Stroke

OUTLINE_WEIGHT = 1 / 3  # cells at least this much covered count as "outlined" wherever a mask is shown
_LEAST_PRESSURE = 0.15  # a brush never gets thinner than this share of its width
_KEPT = 32  # covers of strokes: 6 MB for inputs of 224 pixels a side
_AT_ONCE_PX = 50_000  # of covers of segments that are worked out together
_SUPERSAMPLING = 4  # polygons are drawn at this many times the size and averaged

Cover = tuple[tuple[slice, slice], NDArray[np.floating]]
"""A part of the network's input, and how far each of its pixels is covered, 0 to 1."""


def paint(strokes: Iterable[Stroke], geometry: Geometry) -> NDArray[np.uint8]:
    """Paint strokes, in order, on the network's input.

    The edge of a brush is one input pixel soft. What lies outside the frame that the network sees is not painted. An
    excluding stroke takes away what was included under it, as the eraser does: the last stroke counts. What is taken
    away is subtracted, so that nothing stays of a stroke that was gone over as wide as it was painted.

    Parameters
    ----------
    strokes : in picture pixels.
    geometry : the map from picture to network input.

    Returns
    -------
    uint8 array, shape (input_y, input_x): 0 not painted … 255 painted.
    """
    return paint_both(strokes, geometry)[0]


def paint_both(strokes: Iterable[Stroke], geometry: Geometry) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Paint strokes as `paint` does; return what they include and what they exclude, which never overlap fully."""
    included, excluded = (np.zeros(geometry.input_px, np.float32) for _ in range(2))
    modes: set[Mode] = set()
    for stroke in strokes:
        cover = _cover(stroke, geometry)
        modes.add(stroke.mode)
        for whole, mode in ((included, "include"), (excluded, "exclude")):
            if stroke.mode == mode:
                np.maximum(whole, cover, out=whole)
            elif mode in modes:
                np.subtract(whole, cover, out=whole)
                np.maximum(whole, 0, out=whole)
    return np.round(included * 255).astype(np.uint8), np.round(excluded * 255).astype(np.uint8)


_covers: "OrderedDict[tuple[Geometry, float, str, Point], tuple[Stroke, NDArray[np.float32]]]" = OrderedDict()
_lock = Lock()


def _cover(stroke: Stroke, geometry: Geometry) -> NDArray[np.float32]:
    """Return how far each pixel of the network's input is covered by a stroke; not to be changed.

    The latest are kept: a drawing is painted anew for each point of the pen, and of a line that grew only what is new.
    """
    key = (geometry, stroke.radius_px, stroke.shape, stroke.points[0])
    with _lock:
        known, cover = _covers.get(key, (None, None))
    if known is not None and cover is not None and (known.points, known.pressures) == (stroke.points, stroke.pressures):
        return cover
    points = geometry.to_input(np.array(stroke.points, np.float64))
    whole = np.zeros(geometry.input_px, np.float32)
    if stroke.shape == "fill":
        found = _fill(points, geometry.input_px)
    else:
        start = 0
        if known is not None and cover is not None and _grew(known, stroke):
            whole, start = cover.copy(), len(known.points) - 1
        radii = stroke.radius_px * np.array(geometry.scale[::-1])
        found = _sweep(points[start:], radii, stroke.pressures[start:], geometry.input_px)
    for box, part in found:
        np.maximum(whole[box], part, out=whole[box])
    with _lock:
        _covers[key] = stroke, whole
        _covers.move_to_end(key)
        while len(_covers) > _KEPT:
            _covers.popitem(last=False)
    return whole


def _grew(known: Stroke, stroke: Stroke) -> bool:
    """Whether a line goes on where a known one ended; a dot is no line yet, and may be wider than one."""
    n = len(known.points)
    return 1 < n < len(stroke.points) and known.points == stroke.points[:n] and known.pressures == stroke.pressures[:n]


def _sweep(
    points: NDArray[np.float64], radii: NDArray[np.float64], pressures: tuple[float, ...], input_px: tuple[int, int]
) -> Iterator[Cover]:
    """Cover what a disc (an ellipse where the axes scale apart) touches along a polyline, segment by segment."""
    strength = np.clip(pressures, _LEAST_PRESSURE, 1) if pressures else np.ones(len(points))
    last = max(len(points) - 1, 1)  # a dot is a segment from its point to itself
    start, end = points[:last], points[-last:]
    own = radii * ((strength[:last] + strength[-last:]) / 2)[:, None]
    edge = np.maximum(own.mean(1), 0.5)
    low = np.maximum(0, np.minimum(start, end) - own - 1).astype(int)
    high = np.minimum(input_px[::-1], np.ceil(np.maximum(start, end) + own + 1)).astype(int)
    size = np.maximum(high - low, 0)
    # In units of the radii the brush is a unit disc, and its distance to the segment is the usual one.
    step = (end - start) / own
    length2 = (step * step).sum(1)
    inverse = np.divide(1, length2, out=np.zeros_like(length2), where=length2 > 0)
    for some in _together(size):
        width, height = size[some].max(0)
        x = ((low[some, :1] + np.arange(width) + 0.5 - start[some, :1]) / own[some, :1])[:, None]
        y = ((low[some, 1:] + np.arange(height) + 0.5 - start[some, 1:]) / own[some, 1:])[:, :, None]
        dx, dy = step[some, 0, None, None], step[some, 1, None, None]
        along = np.clip((x * dx + y * dy) * inverse[some, None, None], 0, 1)
        x, y = x - along * dx, y - along * dy
        cover = np.clip((1 - np.sqrt(x * x + y * y)) * edge[some, None, None] + 0.5, 0, 1)
        for part, (x0, y0), (w, h) in zip(cover, low[some].tolist(), size[some].tolist(), strict=True):
            yield (slice(y0, y0 + h), slice(x0, x0 + w)), part[:h, :w]


def _together(size: NDArray[np.int_]) -> Iterator[NDArray[np.intp]]:
    """Yield the numbers of boxes, (width, height) each, that are covered together: such as make no large array."""
    at = np.flatnonzero(size.min(1) > 0)
    while len(at):
        most = np.maximum.accumulate(size[at], axis=0).prod(1) * np.arange(1, len(at) + 1)
        n = max(1, int(np.searchsorted(most, _AT_ONCE_PX, side="right")))
        yield at[:n]
        at = at[n:]


def _fill(points: NDArray[np.float64], input_px: tuple[int, int]) -> Iterator[Cover]:
    if len(points) < 3:
        return
    from skimage.draw import polygon

    height, width = input_px
    fine = np.zeros((height * _SUPERSAMPLING, width * _SUPERSAMPLING), np.float32)
    # skimage samples at whole numbers; the middles of fine pixels lie half a pixel further.
    x, y = points.T * _SUPERSAMPLING - 0.5
    fine[polygon(y, x, fine.shape)] = 1
    yield (slice(None), slice(None)), fine.reshape(height, _SUPERSAMPLING, width, _SUPERSAMPLING).mean((1, 3))


def parts_of(mask: ArrayLike) -> list[NDArray[np.float32]]:
    """Split a mask on the grid into its parts that do not touch, not even at a corner; the largest first.

    Parameters
    ----------
    mask : shape (y, x), weights in [0, 1].

    Returns
    -------
    Masks of the same shape that sum to it; none if nothing is painted.
    """
    from skimage.measure import label

    weights = np.asarray(mask, np.float32)
    numbers, count = label(weights > 0, connectivity=2, return_num=True)
    parts = [np.where(numbers == number, weights, np.float32(0)) for number in range(1, count + 1)]
    return sorted(parts, key=lambda part: -float(part.sum()))


def strokes_from_mask(cover: ArrayLike, picture_px: tuple[int, int], *, mode: Mode = "include") -> tuple[Stroke, ...]:
    """Turn a mask picture into filled shapes round what it covers, with its holes erased.

    Parameters
    ----------
    cover : shape (y, x), 0 to 255 or bool; what is at least half covered counts.
    picture_px : (height, width) of the picture that it belongs to; the mask is scaled to it.

    Raises
    ------
    QueryError
        If nothing is covered.
    """
    from skimage.measure import approximate_polygon, find_contours

    values = np.asarray(cover)
    inside = np.pad(values if values.dtype == bool else values >= 128, 1).astype(np.float32)
    if not inside.any():
        raise QueryError("The mask covers nothing: no pixel of it is at least half white.")
    scale = picture_px[1] / values.shape[1], picture_px[0] / values.shape[0]
    shapes = []
    for contour in find_contours(inside, 0.5):
        rows, columns = approximate_polygon(contour, 0.4).T
        # Padding moved all by one pixel, and the middle of a pixel lies half a pixel from its corner.
        points = np.column_stack([(columns - 0.5) * scale[0], (rows - 0.5) * scale[1]])[:-1]
        # Signed area (shoelace): contours run one way round what is covered, the other way round its holes.
        x, y = points.T
        area = float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum() / 2)
        if len(points) >= 3 and area:
            shapes.append((area, tuple((float(a), float(b)) for a, b in points)))
    outer = max(shapes, key=lambda shape: abs(shape[0]))[0] > 0
    # The larger first: a hole lies in what is round it, and what lies in the hole is painted after it.
    return tuple(
        Stroke(points, 0.0, mode if (area > 0) == outer else "erase", "fill")
        for area, points in sorted(shapes, key=lambda shape: -abs(shape[0]))
    )


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
