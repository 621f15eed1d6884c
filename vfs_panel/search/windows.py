"""Windows as weighted sums of cells: every window of every kernel of a search in one operation."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vfs_panel.search.codes import Columns


def windows_rows(columns: Columns, grid: tuple[int, int]) -> int:
    """Return how many rows `windows_of` a grid (y, x) sums in all."""
    height, width = grid
    cells = np.diff(columns.starts).tolist()
    return sum(n * (height - h + 1) * (width - w + 1) for n, (h, w) in zip(cells, columns.sizes, strict=True))


class Windows(NamedTuple):
    """Every window of every kernel as a weighted sum of rows, for `weighted_sums`.

    Attributes
    ----------
    rows : the rows that are summed, window by window, kernel by kernel.
    starts : where each window's begin.
    weights : float32, of each row.
    shapes : (y, x) windows of each kernel.
    """

    rows: Tensor
    starts: Tensor
    weights: Tensor
    shapes: tuple[tuple[int, int], ...]


def windows_of(columns: Columns, grid: tuple[int, int], weights: Tensor, first: Sequence[int] | None = None) -> Windows:
    """Return the windows of columns over rows that are cells, y by y.

    Parameters
    ----------
    grid : (y, x).
    weights : Tensor, shape (column,), float32.
    first : row of the first cell of each column; 0 for all, where they share them.
    """
    height, width = grid
    begin = np.zeros(len(columns), np.int64) if first is None else np.asarray(first, np.int64)
    begin = begin + np.array(columns.rows) * width + np.array(columns.cols)
    rows, lengths, own, shapes = [], [], [], []
    for kernel, (h, w) in enumerate(columns.sizes):
        part = slice(columns.starts[kernel], columns.starts[kernel + 1])
        shape = (height - h + 1, width - w + 1)
        corner = (np.arange(shape[0])[:, None] * width + np.arange(shape[1])).reshape(-1, 1)
        rows.append((corner + begin[part]).ravel())
        lengths += [part.stop - part.start] * len(corner)
        own.append(weights[part].repeat(len(corner)))
        shapes.append(shape)
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    return Windows(torch.from_numpy(np.concatenate(rows)), torch.from_numpy(starts), torch.cat(own), tuple(shapes))


def weighted_sums(values: Tensor, windows: Windows) -> list[Tensor]:
    """Sum rows of values (row, n), contiguous: for each kernel its windows, (y, x, n).

    One operation for all: a preview has some hundred such sums, and each would wait for its turn beside a busy server.
    """
    sums = torch.nn.functional.embedding_bag(
        windows.rows, values, windows.starts, mode="sum", per_sample_weights=windows.weights
    )
    ends = np.cumsum([y * x for y, x in windows.shapes]).tolist()
    return [sums[end - y * x : end].view(y, x, -1) for end, (y, x) in zip(ends, windows.shapes, strict=True)]
