"""Matched cells on tiles: the veil over what did not match and the outline round what did, in whole CSS pixels."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from vfs_panel.plots.marks import Columns, Mark
from vfs_panel.plots.outline import lit_cells, outline
from vfs_panel.plots.theme import Theme

_BOX = ("left", "top", "right", "bottom", "fill_alpha")


@dataclass(frozen=True, slots=True)
class Tiles:
    """Places of pictures of one size in a figure.

    Attributes
    ----------
    left, top : int arrays, one per tile, CSS pixels.
    width, height : of every tile, CSS pixels.
    """

    left: NDArray[np.int_]
    top: NDArray[np.int_]
    width: int
    height: int

    def __len__(self) -> int:
        return len(self.left)

    def take(self, rows: slice | NDArray[np.bool_] | NDArray[np.intp]) -> "Tiles":
        """Return some of the tiles."""
        return Tiles(self.left[rows], self.top[rows], self.width, self.height)

    def boxes(self, *, grow_px: float = 0) -> Columns:
        """Return the tiles as rectangles, larger by `grow_px` on every side."""
        return {
            "left": self.left - grow_px,
            "top": self.top - grow_px,
            "right": self.left + self.width + grow_px,
            "bottom": self.top + self.height + grow_px,
        }


@dataclass(frozen=True, slots=True)
class Region:
    """The painted region as every match shows it: a soft mask in a grid of cells.

    Attributes
    ----------
    mask : shape (h, w), weights in [0, 1].
    grid : (rows, columns) of the layer.
    """

    mask: NDArray[np.float32]
    grid: tuple[int, int]

    @classmethod
    def of(cls, result: xr.Dataset) -> "Region":
        """Read the region of a search result."""
        rows, columns = (int(n) for n in str(result.attrs["grid"]).split(","))
        return cls(np.asarray(result["mask"].values, np.float32), (rows, columns))


def place_tiles(n: int, *, columns: int, tile: tuple[int, int], width_px: float, pitch_px: float) -> Tiles:
    """Lay tiles out row by row; the first starts at 0 and the last of a row ends at `width_px`.

    Parameters
    ----------
    n : how many tiles.
    columns : tiles in a row.
    tile : (width, height) of one, CSS pixels.
    width_px : width of the rows.
    pitch_px : from the top of a row to that of the next.
    """
    at = np.arange(n)
    step = (width_px - tile[0]) / (columns - 1) if columns > 1 else 0.0
    left = np.floor(at % columns * step + 0.5).astype(int)
    return Tiles(left, np.asarray(at // columns * round(pitch_px), int), *tile)


def edges(n_cells: int, length_px: int) -> NDArray[np.int_]:
    """Return where the edges of cells fall, whole pixels: neighbours share them, so no seam shows."""
    return np.floor(np.arange(n_cells + 1) * length_px / n_cells + 0.5).astype(int)


def _runs(alpha: NDArray[np.float64]) -> list[tuple[int, int, int, int, float]]:
    """Merge cells of equal alpha into few rectangles (x0, y0, x1, y1, alpha), along rows and then down columns."""
    rects: dict[tuple[int, int, float], list[int]] = {}
    done: list[tuple[int, int, int, int, float]] = []
    for y, row in enumerate(alpha):
        starts = np.flatnonzero(np.diff(row, prepend=np.nan) != 0).tolist()
        here: dict[tuple[int, int, float], list[int]] = {}
        for x0, x1 in zip(starts, [*starts[1:], len(row)], strict=True):
            key = (x0, x1, float(row[x0]))
            here[key] = [rects.pop(key)[0], y + 1] if key in rects else [y, y + 1]
        done += [(x0, y0, x1, y1, a) for (x0, x1, a), (y0, y1) in rects.items()]
        rects = here
    done += [(x0, y0, x1, y1, a) for (x0, x1, a), (y0, y1) in rects.items()]
    return [rect for rect in done if rect[4] > 0]


def veil(tiles: Tiles, y: ArrayLike, x: ArrayLike, region: Region, theme: Theme) -> Columns:
    """Dim what was not matched: all of the picture outside the window, and each cell in it by 1 - weight.

    Parameters
    ----------
    tiles : where the pictures are.
    y, x : top left cell of each picture's window; -1 where it was not searched, which is not dimmed.
    region : what is matched.
    theme : strength of the veil.

    Returns
    -------
    Columns of rectangles with `fill_alpha`; their edges are whole pixels and none overlap.
    """
    tops, lefts = np.asarray(y, int), np.asarray(x, int)
    (rows, columns), (h, w) = region.grid, region.mask.shape
    down, across = edges(rows, tiles.height), edges(columns, tiles.width)
    # In 1/255 steps, so that cells of nearly equal weight merge: a screen shows no finer alpha.
    alpha = np.round(theme.veil_alpha * (1 - region.mask.astype(np.float64)) * 255) / 255
    inside = np.array(_runs(alpha), np.float64).reshape(-1, 5)
    cells = inside[:, :4].astype(int)
    boxes = []
    for left, top, y0, x0 in zip(tiles.left, tiles.top, tops, lefts, strict=True):
        if y0 < 0 or x0 < 0:
            continue
        x_edges, y_edges = left + across, top + down
        window = (x_edges[x0], y_edges[y0], x_edges[x0 + w], y_edges[y0 + h])
        box = np.empty((4 + len(cells), 5))
        box[0, :4] = left, top, left + tiles.width, window[1]
        box[1, :4] = left, window[3], left + tiles.width, top + tiles.height
        box[2, :4] = left, window[1], window[0], window[3]
        box[3, :4] = window[2], window[1], left + tiles.width, window[3]
        box[:4, 4] = theme.veil_alpha
        box[4:, 0], box[4:, 2] = x_edges[x0 + cells[:, 0]], x_edges[x0 + cells[:, 2]]
        box[4:, 1], box[4:, 3] = y_edges[y0 + cells[:, 1]], y_edges[y0 + cells[:, 3]]
        box[4:, 4] = inside[:, 4]
        boxes.append(box[(box[:, 2] > box[:, 0]) & (box[:, 3] > box[:, 1])])
    all_boxes = np.concatenate(boxes) if boxes else np.empty((0, 5))
    return dict(zip(_BOX, all_boxes.T.copy(), strict=True))


def cells(tiles: Tiles, region: Region) -> Columns:
    """Cover each painted cell of a mask that fills the tiles, by its weight; merged where weights are equal."""
    (rows, columns), alpha = region.grid, np.round(region.mask.astype(np.float64) * 255) / 255
    down, across = edges(rows, tiles.height), edges(columns, tiles.width)
    found = [
        (left + across[x0], top + down[y0], left + across[x1], top + down[y1], a)
        for left, top in zip(tiles.left, tiles.top, strict=True)
        for x0, y0, x1, y1, a in _runs(alpha)
    ]
    return dict(zip(_BOX, np.array(found, np.float64).reshape(-1, 5).T.copy(), strict=True))


def rings(tiles: Tiles, y: ArrayLike, x: ArrayLike, region: Region, *, inset_px: float) -> Columns:
    """Outline the cells that are at least a third covered, on each tile.

    Parameters
    ----------
    tiles, y, x, region : as in `veil`.
    inset_px : how far the line stays inside the picture, so that its casing is whole at the picture's edge.

    Returns
    -------
    Columns of a path, the outlines one after another with gaps between.
    """
    rows, columns = region.grid
    loops = [loop.astype(int).T for loop in outline(lit_cells(region.mask))]
    down, across = edges(rows, tiles.height), edges(columns, tiles.width)
    across = np.clip(across, inset_px, tiles.width - inset_px)
    down = np.clip(down, inset_px, tiles.height - inset_px)
    # One line for all, with gaps: HoloViews needs milliseconds for every path of its own.
    gap = np.array([np.nan])
    xs, ys = [], []
    for left, top, y0, x0 in zip(tiles.left, tiles.top, np.asarray(y, int), np.asarray(x, int), strict=True):
        if y0 < 0 or x0 < 0:
            continue
        for cell_x, cell_y in loops:
            xs += [left + across[x0 + cell_x], gap]
            ys += [top + down[y0 + cell_y], gap]
    return {"xs": [np.concatenate(xs)], "ys": [np.concatenate(ys)]} if xs else {"xs": [], "ys": []}


def corner_mark(background: str) -> Mark:
    """Return the mark that rounds the corners of pictures: a frame round each, in the background's colour."""
    return Mark("rectangles", {"fill_alpha": 0, "line_color": background, "line_width": 4}, radius_px=6)


def tile_marks(tile: tuple[int, int], theme: Theme, *, background: str) -> dict[str, Mark]:
    """Return the marks of pictures with their matched cells lit, from below: patches, veil, casing, ring, corners."""
    casing, ring = (2, 1) if tile[0] < 28 else (3, 1.25) if tile[0] < 96 else (4, 1.75)
    return {
        "patches": Mark("patches", {"w": tile[0], "h": tile[1]}),
        "veil": Mark("rectangles", {"fill_color": theme.veil, "line_alpha": 0}),
        "casing": Mark(
            "paths", {"color": theme.casing, "line_width": casing, "line_cap": "square", "line_join": "miter"}
        ),
        "ring": Mark("paths", {"color": theme.outline, "line_width": ring, "line_cap": "square", "line_join": "miter"}),
        "corners": corner_mark(background),
    }


def tile_columns(
    tiles: Tiles, y: ArrayLike, x: ArrayLike, region: Region, theme: Theme, *, about: dict[str, Sequence[object]]
) -> dict[str, Columns]:
    """Return the columns of `tile_marks`; `about` holds the patches' own, `url` among them."""
    ring = rings(tiles, y, x, region, inset_px=1.5 if tiles.width < 96 else 2)
    return {
        "patches": {"col": tiles.left, "row": tiles.top, **about},
        "veil": veil(tiles, y, x, region, theme),
        "casing": ring,
        "ring": ring,
        "corners": tiles.boxes(grow_px=2),
    }
