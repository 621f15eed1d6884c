"""Which cells of a soft mask are lit, and the rectilinear outline round them. Pure numpy, in cell units."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vfs_panel.search.mask import OUTLINE_WEIGHT

Polyline = NDArray[np.float64]


def lit_cells(weights: ArrayLike) -> NDArray[np.bool_]:
    """Return the cells to outline: those at least a third covered.

    A thin stroke may cover no cell that far; then the cells above half of the largest weight are outlined, so that
    something always is.

    Parameters
    ----------
    weights : shape (y, x), in [0, 1].

    Returns
    -------
    bool array, shape (y, x); all False only if nothing is painted.
    """
    values = np.asarray(weights, np.float64)
    lit = values >= OUTLINE_WEIGHT
    if not lit.any() and values.size:
        lit = (values > 0) & (values >= values.max() / 2)
    return np.asarray(lit, np.bool_)


def outline(mask: ArrayLike) -> list[Polyline]:
    """Trace the outline of a set of cells.

    Each cell (row, column) is the unit square from (column, row) to (column + 1, row + 1). Cells that touch only at
    a corner get separate loops. Loops run clockwise on a screen (y down) round cells, anticlockwise round holes.

    Parameters
    ----------
    mask : bool, shape (y, x).

    Returns
    -------
    Closed polylines, each of shape (n, 2) as (x, y) with the first corner repeated at the end, corners only.
    """
    cells = np.pad(np.asarray(mask, bool), 1)
    inside = cells[1:-1, 1:-1]
    # Directed edges with the cell on their right hand: top →, right ↓, bottom ←, left ↑. Shared edges are left out.
    following: dict[tuple[int, int], list[tuple[int, int]]] = {}
    sides = (
        (~cells[:-2, 1:-1], (0, 0), (1, 0)),
        (~cells[1:-1, 2:], (1, 0), (1, 1)),
        (~cells[2:, 1:-1], (1, 1), (0, 1)),
        (~cells[1:-1, :-2], (0, 1), (0, 0)),
    )
    for free, (ax, ay), (bx, by) in sides:
        for row, col in np.argwhere(inside & free).tolist():
            following.setdefault((col + ax, row + ay), []).append((col + bx, row + by))
    loops = []
    while following:
        loops.append(_loop(following))
    return loops


def _loop(following: dict[tuple[int, int], list[tuple[int, int]]]) -> Polyline:
    """Take one closed loop out of the edges, keeping only its corners."""
    start = min(following)
    corner, step = start, (0, 0)
    corners: list[tuple[int, int]] = []
    while True:
        choices = following[corner]
        # Two loops meet where cells touch at a corner only: turning right stays with the same cell.
        right = (corner[0] - step[1], corner[1] + step[0])
        end = right if right in choices else choices[0]
        choices.remove(end)
        if not choices:
            del following[corner]
        new_step = (end[0] - corner[0], end[1] - corner[1])
        if new_step != step:
            corners.append(corner)
        corner, step = end, new_step
        if corner == start:
            break
    return np.array([*corners, corners[0]], np.float64)
