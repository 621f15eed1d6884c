"""Masked-window cosine. Pure tensors: no zarr, no xarray, no UI."""

from dataclasses import dataclass

import torch
from torch import Tensor

REFERENCE_EPS = 1e-5  # visualfeaturesearch adds this to every magnitude, which lowers the scores of tiny features
RELATIVE_FLOOR = 1e-6  # of the set's typical magnitude: below it a window counts as empty, its direction is rounding


@dataclass(frozen=True, slots=True, eq=False)
class Kernel:
    """A query as the scan needs it: only the cells that are painted.

    Attributes
    ----------
    weights : Tensor, shape (cell, channel), float64: m² ⊙ q / ‖m ⊙ q‖ of each painted cell, m its mask weight.
    weights2 : Tensor, shape (cell,), float64: m² of each painted cell.
    cells : (row, column) of each painted cell in the window.
    size : (h, w) of the window, in feature cells.
    """

    weights: Tensor
    weights2: Tensor
    cells: tuple[tuple[int, int], ...]
    size: tuple[int, int]


def make_kernel(features: Tensor, mask: Tensor) -> Kernel:
    """Return the kernel of a region.

    The score of a window d under query q and mask m is ⟨m⊙d, m⊙q⟩ / (‖m⊙d‖ ‖m⊙q‖) (Ulrich & Fong 2023; the mask
    weighs both sides), so one factor of m is moved from d to the kernel and d is read as it is.

    Parameters
    ----------
    features : Tensor, shape (channel, h, w).
    mask : Tensor, shape (h, w), weights in [0, 1].
    """
    rows, cols = torch.nonzero(mask > 0, as_tuple=True)
    m = mask[rows, cols].to(torch.float64)
    masked = features[:, rows, cols].to(torch.float64) * m
    unit = masked / torch.linalg.vector_norm(masked)
    cells = tuple(zip(rows.tolist(), cols.tolist(), strict=True))
    return Kernel(
        weights=(unit * m).T.contiguous(),
        weights2=m * m,
        cells=cells,
        size=(mask.shape[0], mask.shape[1]),
    )


def cell_norm2(features: Tensor) -> Tensor:
    """Squared length of every cell. features (n, y, x, channel) -> (n, y, x)."""
    return (features * features).sum(-1)


def _window_sum(products: Tensor, kernel: Kernel) -> Tensor:
    """(cell, n, y, x) -> (n, y-h+1, x-w+1): the plane of each painted cell, shifted to its window's corner, added."""
    height, width = products.shape[2] - kernel.size[0] + 1, products.shape[3] - kernel.size[1] + 1
    total = torch.zeros(products.shape[1], height, width, dtype=products.dtype, device=products.device)
    for plane, (row, col) in zip(products, kernel.cells, strict=True):
        total += plane[:, row : row + height, col : col + width]
    return total


def magnitude(norm2: Tensor, kernel: Kernel) -> Tensor:
    """‖m⊙d‖ of every window: norm2 (n, y, x) -> (n, y-h+1, x-w+1). Needs no features, so it is nearly free."""
    height, width = norm2.shape[1] - kernel.size[0] + 1, norm2.shape[2] - kernel.size[1] + 1
    total = torch.zeros(len(norm2), height, width, dtype=norm2.dtype, device=norm2.device)
    for weight2, (row, col) in zip(kernel.weights2.tolist(), kernel.cells, strict=True):
        total.add_(norm2[:, row : row + height, col : col + width], alpha=weight2)
    return total.sqrt_()


def region_cosine(
    features: Tensor, norm2: Tensor, kernel: Kernel, *, floor: float = 0.0, compatible: bool = False
) -> Tensor:
    """Return the score of every window, shape (n, y-h+1, x-w+1).

    One matrix product (cells of the set × channels) by (channels × painted cells), then shifted adds; the reference
    convolves the features and their squares instead.

    Parameters
    ----------
    features : Tensor, shape (n, y, x, channel), contiguous.
    norm2 : Tensor, shape (n, y, x), from `cell_norm2`.
    kernel : from `make_kernel`, on the same device.
    floor : windows of a magnitude not above this score 0; in units of the features.
    compatible : divide by magnitude + 1e-5 as visualfeaturesearch 1.0.0 does, instead of using the floor.
    """
    n, y, x, channels = features.shape
    products = kernel.weights.to(features.dtype) @ features.reshape(-1, channels).T
    score = _window_sum(products.view(len(kernel.cells), n, y, x), kernel)
    size = magnitude(norm2, kernel)
    if compatible:
        return score.div_(size + REFERENCE_EPS)
    return torch.where(size > floor, score / size, 0.0)


def best_scores(features: Tensor, norm2: Tensor, kernels: list[Kernel], *, floor: float = 0.0) -> Tensor:
    """Return every picture's best score under each of several kernels of one mask, shape (kernel, n).

    The kernels are further columns of the same matrix product, so the features are read once for all of them.

    Parameters
    ----------
    features, norm2, floor : as in `region_cosine`.
    kernels : of equal cells and weights2 (the same mask over other features).
    """
    n, y, x, channels = features.shape
    first, count = kernels[0], len(kernels[0].cells)
    stacked = torch.cat([kernel.weights for kernel in kernels]).to(features.dtype)
    products = (stacked @ features.reshape(-1, channels).T).view(len(kernels), count, n, y, x)
    size = magnitude(norm2, first)
    inverse = torch.where(size > floor, 1 / size, 0.0)
    return torch.stack([(_window_sum(own, first) * inverse).flatten(1).amax(1) for own in products])


def best_windows(scores: Tensor, count: int, size: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """Return the best windows of every picture, best first: scores, rows and columns, each of shape (n, count).

    Ties go to the first window in row order. A further window of one picture must lie off the ones before it: windows
    nearer than half a window on both axes are left out (non-maximum suppression). Where no window is left the score
    is -inf.

    Parameters
    ----------
    scores : Tensor, shape (n, y, x), of every window.
    count : how many windows per picture.
    size : (h, w) of a window, in cells.
    """
    n, height, width = scores.shape
    left = scores if count == 1 else scores.clone()
    rows_at = torch.arange(height, device=scores.device)[None, :, None]
    cols_at = torch.arange(width, device=scores.device)[None, None, :]
    reach_y, reach_x = (size[0] + 1) // 2, (size[1] + 1) // 2
    found = []
    for turn in range(count):
        best, at = left.reshape(n, -1).max(1)
        row, col = at // width, at % width
        found.append((best, row, col))
        if turn + 1 < count:
            near = ((rows_at - row[:, None, None]).abs() < reach_y) & ((cols_at - col[:, None, None]).abs() < reach_x)
            left.masked_fill_(near, float("-inf"))
    return (
        torch.stack([f[0] for f in found], 1),
        torch.stack([f[1] for f in found], 1),
        torch.stack([f[2] for f in found], 1),
    )
