"""The scan: the best window of every picture under several kernels at once, in one pass over the codes.

Codes lie as (y, x, picture, channel). One row of cells of many pictures is then one matrix, multiplied by those columns
alone whose cell can lie in that row; and a shifted add runs over all windows of a row and all pictures at once.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from vfs_panel.search import kernels
from vfs_panel.search.codes import Codes, Columns
from vfs_panel.search.packing import PackedCodes, packed_products, shifted

Order = Literal["columns first", "cells first"]
ORDERS: tuple[Order, ...] = ("columns first", "cells first")
PRODUCTS_MB = 4.0  # of products at a time: about what a core's cache holds
BORDERLINE = 1e-5  # of a floor: so near to it, rounding may decide whether a window counts as empty


@dataclass(frozen=True, slots=True, eq=False)
class Best:
    """The best windows of some pictures under each kernel: score, row and column, each (kernel, n, count)."""

    score: Tensor
    row: Tensor
    col: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """Some columns that are multiplied with one row of cells together."""

    y: int
    columns: Tensor
    weights: Tensor
    shifted: Tensor
    """The weights as packed codes want them; empty unless they are int8."""
    adds: tuple[tuple[int, int, int, float], ...]
    """Of each column: its kernel, the row of windows that it adds to, its own column in the window, and its scale."""


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
            moved = shifted(weights) if columns.scale is not None else torch.empty(0)
            steps.append(Step(y, index, weights, moved, tuple(add for _, add in part)))
    return steps


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
        for plane, (kernel, row, col, scale) in zip(made, step.adds, strict=True):
            total = totals[kernel][row]
            total.add_(plane[col : col + len(total)], alpha=scale)
    return totals


def plane_sums(planes: Tensor, columns: Columns) -> list[Tensor]:
    """Return what `window_sums` does, from the products of all columns with all cells: (column, y, x, n)."""
    _, height, width, n = planes.shape
    totals = []
    for kernel, (h, w) in enumerate(columns.sizes):
        total = torch.zeros(height - h + 1, width - w + 1, n, device=planes.device)
        for column in range(columns.starts[kernel], columns.starts[kernel + 1]):
            row, col = columns.rows[column], columns.cols[column]
            total += planes[column, row : row + total.shape[0], col : col + total.shape[1]]
        totals.append(total)
    return totals


def best_of(
    totals: list[Tensor], norm2: Tensor, columns: Columns, floors: list[float], *, count: int, compatible: bool
) -> Best:
    """Divide the sums of every window by its magnitude, and return the best windows of every picture.

    Parameters
    ----------
    totals : from `window_sums` or `plane_sums`; overwritten.
    norm2 : Tensor, shape (y, x, n).
    floors : per kernel; windows of a magnitude not above it score 0.
    count, compatible : as in `kernels.best_windows` and `kernels.region_cosine`.
    """
    found = []
    for kernel, total in enumerate(totals):
        size = _magnitude(norm2, columns, kernel)
        if compatible:
            total.div_(size.add_(kernels.REFERENCE_EPS))
        else:
            total.div_(size).masked_fill_(size <= floors[kernel] * (1 - BORDERLINE), 0.0)
            # The exact score may hold such a window for empty, and 0 may be more than what was found here.
            torch.where(size <= floors[kernel] * (1 + BORDERLINE), total.clamp_min(0), total, out=total)
        found.append(_best(total, count, columns.sizes[kernel]))
    return Best(*(torch.stack([one[part] for one in found]) for part in range(3)))


def _magnitude(norm2: Tensor, columns: Columns, kernel: int) -> Tensor:
    """‖m⊙d‖ of every window: norm2 (y, x, n) -> (y-h+1, x-w+1, n)."""
    h, w = columns.sizes[kernel]
    height, width = norm2.shape[0] - h + 1, norm2.shape[1] - w + 1
    total = torch.zeros(height, width, norm2.shape[2], device=norm2.device)
    first, end = columns.starts[kernel], columns.starts[kernel + 1]
    for weight2, row, col in zip(
        columns.weights2[first:end].tolist(), columns.rows[first:end], columns.cols[first:end], strict=True
    ):
        total.add_(norm2[row : row + height, col : col + width], alpha=weight2)
    return total.sqrt_()


def _best(total: Tensor, count: int, size: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """Scores of windows (y, x, n) -> scores, rows and columns of the best ones, (n, count)."""
    if count > 1:
        return kernels.best_windows(total.permute(2, 0, 1).contiguous(), count, size)
    best, at = total.flatten(0, 1).max(0)
    return best[:, None], (at // total.shape[1])[:, None], (at % total.shape[1])[:, None]


def scan_slab(
    codes: Codes | PackedCodes,
    columns: Columns,
    steps: list[Step],
    floors: list[float],
    *,
    count: int,
    compatible: bool,
    order: Order,
) -> Best:
    """Return the best `count` windows of every picture of a slab under each kernel."""
    totals = window_sums(codes, columns, steps, order)
    return best_of(totals, codes.norm2, columns, floors, count=count, compatible=compatible)
