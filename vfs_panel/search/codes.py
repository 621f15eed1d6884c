"""Codes: features as the scan reads them, smaller than they are stored, with a certified bound of what that costs.

Write d for the features of a cell, d̃ for what its codes stand for, k for the kernel of that cell and k̃ for the kernel
as it is multiplied. Over the painted cells p of a window of magnitude M = √Σ m²‖d‖²:

    |Σ k·d - Σ k̃·d̃| ≤ Σ ‖k‖‖d - d̃‖ + Σ ‖k - k̃‖‖d̃‖ ≤ M·ρ + M·(1 + ρ)·κ

with ρ the largest ‖d - d̃‖ / ‖d‖ of the picture's cells and κ = √Σ (‖k - k̃‖ / m)², both by Cauchy-Schwarz and because
√Σ (‖k‖ / m)² = 1. Divided by M that is a bound on the score, one number per picture, known before the scan; the
rounding of the arithmetic itself is added in `Columns.error`. A real int8 set has ρ ≈ κ ≈ 0.01, and loses 0.001.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from vfs_panel.search.kernels import Kernel

ScanType = Literal["float32", "bfloat16", "float16", "int8"]
SCAN_TYPES: tuple[ScanType, ...] = ("float32", "bfloat16", "float16", "int8")
ITEM_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2, "int8": 1}
FLOAT32_ROUNDING = 2.0**-24
_PRODUCT_ROUNDING = {"float32": 0.0, "bfloat16": 2.0**-8, "float16": 0.0, "int8": 0.0}  # of a product as it is given
_TYPES = {name: getattr(torch, name) for name in SCAN_TYPES}


@dataclass(frozen=True, slots=True, eq=False)
class Codes:
    """Features of some pictures as the scan reads them.

    Attributes
    ----------
    values : Tensor, shape (y, x, n, channel), contiguous, of the scan's type.
    scale : Tensor, shape (y, x, n), float32: a value is its int8 code times its cell's scale; None for float types.
    rho : Tensor, shape (n,), float32: the largest share of a cell's length that the codes have lost, per picture.
    norm2 : Tensor, shape (y, x, n), float32: squared length of every cell, before anything was lost.
    """

    values: Tensor
    scale: Tensor | None
    rho: Tensor
    norm2: Tensor

    def __len__(self) -> int:
        return len(self.rho)

    def __getitem__(self, pictures: slice | Tensor) -> "Codes":
        scale = None if self.scale is None else self.scale[:, :, pictures]
        return Codes(self.values[:, :, pictures], scale, self.rho[pictures], self.norm2[:, :, pictures])

    def contiguous(self) -> "Codes":
        """Return a copy whose arrays are contiguous, as a scan needs them."""
        scale = None if self.scale is None else self.scale.contiguous()
        return Codes(self.values.contiguous(), scale, self.rho.contiguous(), self.norm2.contiguous())

    @property
    def nbytes(self) -> int:
        """Bytes that one scan reads."""
        scale = 0 if self.scale is None else self.scale.nbytes
        return self.values.nbytes + self.rho.nbytes + self.norm2.nbytes + scale


def empty_codes(n: int, grid: tuple[int, int, int], scan: ScanType, device: torch.device) -> Codes:
    """Return room for the codes of n pictures. grid is (channel, y, x); norms and losses are zero."""
    channels, height, width = grid
    return Codes(
        values=torch.empty(height, width, n, channels, dtype=_TYPES[scan], device=device),
        scale=torch.zeros(height, width, n, device=device) if scan == "int8" else None,
        rho=torch.zeros(n, device=device),
        norm2=torch.zeros(height, width, n, device=device),
    )


def codes_bytes(n: int, grid: tuple[int, int, int], scan: ScanType) -> int:
    """Return the bytes that `empty_codes` takes."""
    channels, height, width = grid
    return n * (height * width * (channels * ITEM_BYTES[scan] + (8 if scan == "int8" else 4)) + 4)


def encode(features: Tensor, out: Codes) -> None:
    """Write features of shape (y, x, n, channel), float32, into codes of as many pictures, with their norms.

    int8 codes have one scale per cell, its largest magnitude / 127 (symmetric, so that 0 stays 0).
    """
    out.norm2.copy_((features * features).sum(-1))
    if out.values.dtype == torch.float32:
        out.values.copy_(features)
        return
    top = features.abs().amax(-1, keepdim=True)
    # Shares are taken of features divided by their cell's largest value, whose squares neither over- nor underflow.
    unit = features / torch.where(top > 0, top, 1.0)
    if out.scale is not None:
        code = (unit * 127).round_()
        out.values.copy_(code)
        out.scale.copy_(top[..., 0] / 127)
        lost = code.div_(127).sub_(unit)
    else:
        out.values.copy_(features)
        lost = (out.values.to(torch.float32) / torch.where(top > 0, top, 1.0)).sub_(unit)
    share = torch.linalg.vector_norm(lost, dim=-1) / torch.linalg.vector_norm(unit, dim=-1).clamp_min_(1e-30)
    share = torch.where(top[..., 0] > 0, share, 0.0)
    # float16 has no room for some float32 values: what became infinite is never trusted, and always scored anew.
    share = torch.where(torch.isfinite(share), share, 1e30)
    # A little more than measured, for the rounding of the measurement itself.
    most = share.amax((0, 1))
    torch.add(most * (1 + 1e-4), 1e-6 * (most > 0), out=out.rho)


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """The painted cells of several kernels side by side, rounded to the type that the scan multiplies in.

    Attributes
    ----------
    weights : Tensor, shape (column, channel).
    scale : Tensor, shape (column,), float32: what a weight is times its value in `weights`; None for 1.
    rows, cols : the cell of each column in its window.
    weights2 : Tensor, shape (column,), float32: m² of each painted cell.
    starts : first column of each kernel, and the end of the last.
    sizes : (h, w) of each kernel's window, in cells.
    kappa : what the rounding of each kernel costs (κ above).
    scan : the type.
    """

    weights: Tensor
    scale: Tensor | None
    rows: tuple[int, ...]
    cols: tuple[int, ...]
    weights2: Tensor
    starts: tuple[int, ...]
    sizes: tuple[tuple[int, int], ...]
    kappa: tuple[float, ...]
    scan: ScanType

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def n_kernels(self) -> int:
        """How many kernels there are."""
        return len(self.sizes)

    def error(self, kernel: int, rho: Tensor) -> Tensor:
        """Return the certified bound on |scanned score - true score| of pictures whose codes lost `rho`, shape (n,)."""
        cells = self.starts[kernel + 1] - self.starts[kernel]
        # Sums of `channel` products, of `cells` planes, and of the squares in norm2, each at its worst.
        sums = 2 * (self.weights.shape[1] + cells + 8) * FLOAT32_ROUNDING
        kappa = self.kappa[kernel]
        return rho + (1 + rho) * (kappa + (1 + kappa) * (_PRODUCT_ROUNDING[self.scan] + sums))


def make_columns(kernels: Sequence[Kernel], scan: ScanType, device: torch.device, *, scaled: bool = False) -> Columns:
    """Round kernels, on the CPU, to the type of a scan and put them side by side on its device.

    With `scaled`, and always as int8, each column is divided by its largest magnitude, see `scaled_columns`.
    """
    # All at once: each operation of a preview waits for its turn beside a busy server.
    weights, weights2 = (torch.cat([getattr(kernel, name) for kernel in kernels]) for name in ("weights", "weights2"))
    if scaled or scan == "int8":
        values, scale = scaled_columns(weights, scan)
        rounded = values.to(torch.float64) * scale[:, None].to(torch.float64)
    else:
        values, scale = weights.to(_TYPES[scan]), None
        rounded = values.to(torch.float64)
    lost = torch.linalg.vector_norm(weights - rounded, dim=1).square_().div_(weights2).numpy()
    starts = [0]
    for kernel in kernels:
        starts.append(starts[-1] + len(kernel.cells))
    return Columns(
        weights=values.to(device),
        scale=None if scale is None else scale.to(device),
        rows=tuple(row for kernel in kernels for row, _ in kernel.cells),
        cols=tuple(col for kernel in kernels for _, col in kernel.cells),
        weights2=weights2.to(torch.float32).to(device),
        starts=tuple(starts),
        sizes=tuple(kernel.size for kernel in kernels),
        kappa=tuple(float(part.sum()) ** 0.5 * (1 + 1e-4) for part in np.split(lost, starts[1:-1])),
        scan=scan,
    )


def scaled_columns(weights: Tensor, scan: ScanType) -> tuple[Tensor, Tensor]:
    """Round columns (column, channel), float64, to a type, each divided by its largest magnitude; return their scales.

    So a cell of a picture gives the same column however much of it is painted.
    """
    top = weights.abs().amax(1)
    unit = weights / torch.where(top > 0, top, 1.0)[:, None]
    if scan == "int8":
        return (unit * 127).round_().to(torch.int8), (top / 127).to(torch.float32)
    return unit.to(_TYPES[scan]), top.to(torch.float32)
