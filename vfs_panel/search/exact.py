"""The exact score: float64 from the stored features, the same whatever storage, order or machine scanned them."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vfs_panel.search import kernels
from vfs_panel.search.kernels import Kernel


def exact_windows(
    features: NDArray[np.floating], norm2: Tensor, kernel: Kernel, *, floor: float, compatible: bool
) -> Tensor:
    """Return the score of every window, float32 of shape (n, y-h+1, x-w+1), computed in float64.

    Sums of some ten thousand float64 products are right to 1e-12 in any order, so that what is rounded to float32 here
    is the same for every tier: equal regions have equal scores, and ties are ties.

    Parameters
    ----------
    features : shape (n, channel, y, x), as stored.
    norm2 : Tensor, shape (n, y, x), float32, as the scan has it: it decides which windows count as empty.
    kernel, floor, compatible : as in `kernels.region_cosine`; the kernel on the CPU.
    """
    n, channels, y, x = features.shape
    values = torch.from_numpy(features).to(torch.float32).to(torch.float64).view(n, channels, y * x)
    products = (kernel.weights @ values).view(n, len(kernel.cells), y, x)
    lengths2 = values.square().sum(1).view(n, y, x)
    height, width = y - kernel.size[0] + 1, x - kernel.size[1] + 1
    total, size2 = (torch.zeros(n, height, width, dtype=torch.float64) for _ in range(2))
    for number, (row, col) in enumerate(kernel.cells):
        total += products[:, number, row : row + height, col : col + width]
        size2.add_(lengths2[:, row : row + height, col : col + width], alpha=float(kernel.weights2[number]))
    size = size2.sqrt_()
    if compatible:
        return (total / (size + kernels.REFERENCE_EPS)).to(torch.float32)
    empty = kernels.magnitude(norm2, kernel) <= floor
    return torch.where(empty, 0.0, total / size).to(torch.float32)
