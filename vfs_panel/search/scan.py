"""The scan: the best window of every picture under several kernels at once, in one pass over the codes.

Codes lie as (y, x, picture, channel). One row of cells of many pictures is then one matrix, multiplied by those columns
alone whose cell can lie in that row; and a shifted add runs over all windows of a row and all pictures at once.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from vfs_panel.search import kernels
from vfs_panel.search.codes import Codes, Columns
from vfs_panel.search.packing import PackedCodes, packed_products, shifted

Order = Literal["columns first", "cells first"]
ORDERS: tuple[Order, ...] = ("columns first", "cells first")
PRODUCTS_MB = 4.0  # of products at a time: about what a core's cache holds
BORDERLINE = 1e-5  # of a floor: so near to it, rounding may decide whether a window counts as empty
# One small product can stand for many shifted adds. It multiplies by zeros too, but each add is a call from Python, for
# which a thread waits its turn with all others, as beside a busy web server.
MOST_PER_ADD = 64  # multiplications in place of one, for the sums of a step's columns
CELLS_PER_ADD = 12  # cells of the grid for each painted one, for magnitudes
MATRIX_MOST = 4_000_000  # numbers in a matrix of magnitudes


@dataclass(frozen=True, slots=True, eq=False)
class Best:
    """The best windows of some pictures under each kernel: score, row and column, each (kernel, n, count)."""

    score: Tensor
    row: Tensor
    col: Tensor


class Sum(NamedTuple):
    """What some columns of a step, all of one kernel, add to some rows of its windows."""

    kernel: int
    columns: slice
    windows: slice
    """Rows of windows."""
    adds: tuple[tuple[int, int, float], ...]
    """Of each column: the row of windows that it adds to, its own column in the window, and its scale."""
    matrix: Tensor | None
    """All of `adds` at once: shape (windows, columns * x), for products of shape (columns * x, n)."""


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """Some columns that are multiplied with one row of cells together."""

    y: int
    columns: Tensor
    weights: Tensor
    shifted: Tensor
    """The weights as packed codes want them; empty unless they are int8."""
    sums: tuple[Sum, ...]


class Plan(NamedTuple):
    """How some columns are scanned: what is multiplied and added, and the magnitudes of windows.

    Attributes
    ----------
    steps : row by row of the grid.
    magnitudes : for each kernel, m² of every cell in every window, shape (windows, y * x); None where single adds are
        less work.
    """

    steps: list[Step]
    magnitudes: list[Tensor | None]


def make_plan(columns: Columns, grid: tuple[int, int, int], pictures: int) -> Plan:
    """Return how columns are scanned in a grid (channel, y, x), for slabs of so many pictures."""
    return Plan(make_steps(columns, grid, pictures), make_magnitudes(columns, grid))


def make_steps(columns: Columns, grid: tuple[int, int, int], pictures: int) -> list[Step]:
    """Return what is multiplied and added, row by row of a grid (channel, y, x), for slabs of so many pictures."""
    _, height, width = grid
    most = max(1, int(PRODUCTS_MB * 1e6 / (4 * width * pictures)))
    scale = [1.0] * len(columns) if columns.scale is None else columns.scale.tolist()
    kernel_of = [k for k in range(columns.n_kernels) for _ in range(columns.starts[k], columns.starts[k + 1])]
    steps = []
    for y in range(height):
        adds = []
        for column, (row, col) in enumerate(zip(columns.rows, columns.cols, strict=True)):
            kernel = kernel_of[column]
            if 0 <= y - row <= height - columns.sizes[kernel][0]:
                adds.append((column, (kernel, y - row, col, scale[column])))
        for start in range(0, len(adds), most):
            part = adds[start : start + most]
            index = torch.tensor([column for column, _ in part], device=columns.weights.device)
            weights = columns.weights[index]
            moved = shifted(weights) if columns.scan == "int8" else torch.empty(0)
            sums = tuple(_sums([add for _, add in part], columns, width))
            steps.append(Step(y, index, weights, moved, sums))
    return steps


def _sums(adds: list[tuple[int, int, int, float]], columns: Columns, width: int) -> Iterator[Sum]:
    """Group the adds of a step's columns, (kernel, row of windows, column in the window, scale), by kernel."""
    first = 0
    for kernel, group in groupby(adds, lambda add: add[0]):
        own = tuple((row, col, scale) for _, row, col, scale in group)
        rows = [row for row, _, _ in own]
        windows = slice(min(rows), max(rows) + 1)
        matrix = None
        # 0 times what overflowed in half precision would spoil windows without it.
        if (windows.stop - windows.start) * width <= MOST_PER_ADD and columns.scan != "float16":
            across = width - columns.sizes[kernel][1] + 1
            filled = np.zeros((windows.stop - windows.start, across, len(own), width), np.float32)
            at = np.arange(across)
            for number, (row, col, scale) in enumerate(own):
                filled[row - windows.start, at, number, col + at] = scale
            matrix = torch.from_numpy(filled.reshape(-1, len(own) * width)).to(columns.weights.device)
        yield Sum(kernel, slice(first, first + len(own)), windows, own, matrix)
        first += len(own)


def make_magnitudes(columns: Columns, grid: tuple[int, int, int]) -> list[Tensor | None]:
    """Return the matrices that give the squared magnitude of every window of each kernel, see `Plan`."""
    _, height, width = grid
    found: list[Tensor | None] = []
    for kernel, (h, w) in enumerate(columns.sizes):
        first, end = columns.starts[kernel], columns.starts[kernel + 1]
        size = (height - h + 1) * (width - w + 1) * height * width
        if (end - first) * CELLS_PER_ADD <= height * width or size > MATRIX_MOST:
            found.append(None)
            continue
        weights2 = np.zeros((h, w), np.float32)
        weights2[columns.rows[first:end], columns.cols[first:end]] = columns.weights2[first:end].cpu().numpy()
        filled = np.zeros((height - h + 1, width - w + 1, height, width), np.float32)
        for y, x in np.ndindex(filled.shape[:2]):
            filled[y, x, y : y + h, x : x + w] = weights2
        found.append(torch.from_numpy(filled.reshape(-1, height * width)).to(columns.weights.device))
    return found


def products(codes: Codes | PackedCodes, step: Step, order: Order) -> Tensor:
    """Multiply a row of cells by a step's columns: float32, shape (column, x, n), without the columns' own scale."""
    if isinstance(codes, PackedCodes):
        return packed_products(codes, step.y, step.shifted)
    row, weights = codes.values[step.y], step.weights
    cells = row.view(-1, row.shape[2])
    if row.device.type != "cpu" or row.dtype == torch.float16 or (row.dtype == torch.int8 and row.shape[2] == 1):
        # Half precision would be given back as half precision, and few CPUs multiply it. Of a single channel, PyTorch's
        # int8 product leaves memory as it found it (seen with 2.14.1); float32 holds such products exactly.
        made = weights.to(torch.float32) @ cells.to(torch.float32).T
    elif codes.scale is not None:
        made = (
            torch._int_mm(weights, cells.T)  # the CPU's own int8 product (VNNI, AMX), which is exact
            if order == "columns first"
            else torch._int_mm(cells, weights.T.contiguous()).T
        ).to(torch.float32)
    elif order == "columns first":
        made = (weights @ cells.T).to(torch.float32)
    else:
        made = (cells @ weights.T).T.to(torch.float32)
    planes = made.contiguous().view(len(weights), row.shape[0], row.shape[1])
    return planes if codes.scale is None else planes.mul_(codes.scale[step.y])


def window_sums(codes: Codes | PackedCodes, columns: Columns, steps: list[Step], order: Order) -> list[Tensor]:
    """Return, per kernel, Σ k·d of every window: (y-h+1, x-w+1, n)."""
    height, width, n = codes.norm2.shape
    totals = [torch.zeros(height - h + 1, width - w + 1, n, device=codes.norm2.device) for h, w in columns.sizes]
    for step in steps:
        made = products(codes, step, order)
        for part in step.sums:
            planes, windows = made[part.columns], totals[part.kernel][part.windows]
            if part.matrix is not None:
                windows.view(-1, n).addmm_(part.matrix, planes.reshape(-1, n))
                continue
            for plane, (row, col, scale) in zip(planes, part.adds, strict=True):
                total = totals[part.kernel][row]
                total.add_(plane[col : col + len(total)], alpha=scale)
    return totals


def whole_step(y: int, weights: Tensor) -> Step:
    """Return a step that multiplies columns (column, channel) with a whole row of cells, and adds nothing."""
    moved = shifted(weights) if weights.dtype == torch.int8 else torch.empty(0)
    return Step(y, torch.arange(len(weights)), weights, moved, ())


def plane_sums(planes: Sequence[Tensor], columns: Columns) -> list[Tensor]:
    """Return what `window_sums` does, from each column's products with all cells, (y, x, n), without its scale."""
    height, width, n = planes[0].shape
    scale = [1.0] * len(columns) if columns.scale is None else columns.scale.tolist()
    totals = []
    for kernel, (h, w) in enumerate(columns.sizes):
        total = torch.zeros(height - h + 1, width - w + 1, n, device=planes[0].device)
        for column in range(columns.starts[kernel], columns.starts[kernel + 1]):
            row, col = columns.rows[column], columns.cols[column]
            plane = planes[column][row : row + total.shape[0], col : col + total.shape[1]]
            total.add_(plane, alpha=scale[column])
        totals.append(total)
    return totals


def window_magnitudes(norm2: Tensor, columns: Columns, matrices: list[Tensor | None]) -> list[Tensor]:
    """Return, per kernel, ‖m⊙d‖ of every window: norm2 (y, x, n) -> (y-h+1, x-w+1, n).

    `matrices` are those of `make_magnitudes`.
    """
    return [_magnitude(norm2, columns, kernel, matrix) for kernel, matrix in enumerate(matrices)]


def _magnitude(norm2: Tensor, columns: Columns, kernel: int, matrix: Tensor | None) -> Tensor:
    h, w = columns.sizes[kernel]
    height, width = norm2.shape[0] - h + 1, norm2.shape[1] - w + 1
    if matrix is not None:
        return (matrix @ norm2.reshape(-1, norm2.shape[2])).sqrt_().view(height, width, -1)
    total = torch.zeros(height, width, norm2.shape[2], device=norm2.device)
    first, end = columns.starts[kernel], columns.starts[kernel + 1]
    for weight2, row, col in zip(
        columns.weights2[first:end].tolist(), columns.rows[first:end], columns.cols[first:end], strict=True
    ):
        total.add_(norm2[row : row + height, col : col + width], alpha=weight2)
    return total.sqrt_()


def best_of(
    totals: list[Tensor],
    sizes: list[Tensor],
    columns: Columns,
    floors: list[float],
    *,
    count: int,
    compatible: bool,
) -> Best:
    """Divide the sums of every window by its magnitude, and return the best windows of every picture.

    Parameters
    ----------
    totals : from `window_sums` or `plane_sums`; overwritten.
    sizes : from `window_magnitudes`; overwritten.
    floors : per kernel; windows of a magnitude not above it score 0.
    count, compatible : as in `kernels.best_windows` and `kernels.region_cosine`.
    """
    found = []
    for kernel, (total, size) in enumerate(zip(totals, sizes, strict=True)):
        if compatible:
            total.div_(size.add_(kernels.REFERENCE_EPS))
        else:
            total.div_(size).masked_fill_(size <= floors[kernel] * (1 - BORDERLINE), 0.0)
            # The exact score may hold such a window for empty, and 0 may be more than what was found here.
            torch.where(size <= floors[kernel] * (1 + BORDERLINE), total.clamp_min(0), total, out=total)
        found.append(_best(total, count, columns.sizes[kernel]))
    return Best(*(torch.stack([one[part] for one in found]) for part in range(3)))


def _best(total: Tensor, count: int, size: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """Scores of windows (y, x, n) -> scores, rows and columns of the best ones, (n, count)."""
    if count > 1:
        return kernels.best_windows(total.permute(2, 0, 1).contiguous(), count, size)
    best, at = total.flatten(0, 1).max(0)
    return best[:, None], (at // total.shape[1])[:, None], (at % total.shape[1])[:, None]


def scan_slab(
    codes: Codes | PackedCodes,
    columns: Columns,
    plan: Plan,
    floors: list[float],
    *,
    count: int,
    compatible: bool,
    order: Order,
) -> Best:
    """Return the best `count` windows of every picture of a slab under each kernel."""
    totals = window_sums(codes, columns, plan.steps, order)
    sizes = window_magnitudes(codes.norm2, columns, plan.magnitudes)
    return best_of(totals, sizes, columns, floors, count=count, compatible=compatible)
