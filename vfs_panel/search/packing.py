"""int8 codes laid out once as oneDNN's product wants them, so that no product lays them out again.

The codes take the part of the weights of a linear layer with one output per cell, and their scales that of its output
scales; the query is the layer's input. Half of an unpacked int8 product goes into rearranging the codes. PyTorch has
this for its own quantised networks (torch.ops.onednn.qlinear_*); where it lacks it, or gives anything but the exact
product, the codes stay as they are.
"""

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from vfs_panel.search.codes import Codes

ZERO_POINT = 128  # oneDNN multiplies unsigned by signed bytes: the query is moved up by this, and the product corrected


@dataclass(frozen=True, slots=True, eq=False)
class PackedCodes:
    """int8 codes of some pictures, packed row by row of their grid.

    Attributes
    ----------
    rows : for each row of cells, an opaque tensor of (x * n) × channel codes.
    scale : Tensor, shape (y, x * n), float32.
    width : cells in a row.
    rho, norm2 : as of `Codes`.
    """

    rows: tuple[Tensor, ...]
    scale: Tensor
    width: int
    rho: Tensor
    norm2: Tensor

    def __len__(self) -> int:
        return len(self.rho)

    @property
    def nbytes(self) -> int:
        """Bytes that one scan reads."""
        return sum(row.nbytes for row in self.rows) + self.scale.nbytes + self.rho.nbytes + self.norm2.nbytes


def pack(codes: Codes) -> PackedCodes:
    """Pack int8 codes; they can be let go afterwards."""
    assert codes.scale is not None
    height, width, n, channels = codes.values.shape
    return PackedCodes(
        rows=tuple(
            torch.ops.onednn.qlinear_prepack(codes.values[y].reshape(width * n, channels), [1, channels])
            for y in range(height)
        ),
        scale=codes.scale.reshape(height, width * n).contiguous(),
        width=width,
        rho=codes.rho.clone(),
        norm2=codes.norm2.clone(),
    )


def shifted(weights: Tensor) -> Tensor:
    """Return int8 weights as the unsigned bytes that `packed_products` takes."""
    return (weights.to(torch.int16) + ZERO_POINT).to(torch.uint8)


def packed_products(codes: PackedCodes, y: int, columns: Tensor) -> Tensor:
    """Multiply a row of cells by columns (column, channel) from `shifted`: float32, shape (column, x, n).

    As `scan.products`: with the scale of every cell, without that of the columns.
    """
    made = torch.ops.onednn.qlinear_pointwise(
        columns, 1.0, ZERO_POINT, codes.rows[y], codes.scale[y], _no_zero_points(codes.scale.shape[1]),
        None, 1.0, 0, torch.float32, "none", [], "",
    )  # fmt: skip
    planes: Tensor = made.view(len(columns), codes.width, len(codes))
    return planes


@cache
def _no_zero_points(n: int) -> Tensor:
    return torch.zeros(n, dtype=torch.int32)


@cache
def available() -> bool:
    """Return whether this PyTorch on this CPU packs, and multiplies exactly."""
    generator = torch.Generator().manual_seed(0)
    values = torch.randint(-127, 128, (1, 3, 7, 40), dtype=torch.int8, generator=generator)
    weights = torch.randint(-127, 128, (5, 40), dtype=torch.int8, generator=generator)
    scale = torch.rand(1, 3, 7, generator=generator)
    try:
        codes = pack(Codes(values, scale, torch.zeros(7), torch.zeros(1, 3, 7)))
        found = packed_products(codes, 0, shifted(weights))
    except (RuntimeError, AttributeError, NotImplementedError, TypeError):
        return False
    exact = (weights.to(torch.int32) @ values.view(21, 40).to(torch.int32).T).view(5, 3, 7)
    return torch.equal(found, exact.to(torch.float32) * scale[0])
