"""Features as a network gives them -> features as they are stored, checked, with their norms; and back."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vfs_panel.errors import StoreError

FLOAT16_MAX = 65504.0
INT8_MAX = 127.0
FAINTEST = 1e-30  # a cell with no larger feature is stored as zeros: its scale would lose its own digits

Packed = Mapping[str, NDArray[Any]]
"""One block's arrays of a layer by name: features, norm2, and for int8 scale and lost (see `layout`)."""


def pack(values: Tensor, dtype: str, names: Sequence[str], layer: str) -> dict[str, NDArray[Any]]:
    """Return features in the stored type and, per cell, their squared length as stored.

    int8 keeps one scale per cell, its largest magnitude / 127, so that a feature is its code times its cell's scale;
    `lost` is the length of what rounding took from a cell, as a share of the cell's own.

    Parameters
    ----------
    values : float Tensor, shape (n, channel, y, x), on any device.
    dtype : "float16", "float32" or "int8".
    names : ids of the n pictures, for messages.
    layer : for messages.

    Returns
    -------
    dict
        features (n, channel, y, x) of `dtype`; norm2 (n, y, x), float32; for int8 also scale, float32, and lost,
        float16, both (n, y, x).

    Raises
    ------
    StoreError
        If a value is NaN or infinite, or too large for float16; names the picture.
    """
    values = values.float()
    tops = values.abs().amax(1)
    peaks = tops.flatten(1).amax(1).cpu() if values[0].numel() else torch.zeros(len(values))
    bad = torch.nonzero(~torch.isfinite(peaks))[:, 0].tolist()
    if bad:
        more = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
        raise StoreError(
            f"Layer {layer!r} gives NaN or infinite features for {names[bad[0]]}{more}. Check the network."
        )
    if dtype == "float16" and float(peaks.max()) > FLOAT16_MAX:
        worst = int(peaks.argmax())
        raise StoreError(
            f"Layer {layer!r} has a feature of {float(peaks[worst]):.3g} in {names[worst]}; float16 ends at 65504. "
            "Store it with --dtype float32."
        )
    if dtype == "int8":
        return _pack_int8(values, tops)
    stored = values.to(getattr(torch, dtype))
    wide = stored.float()
    # The norm belongs to what is stored, not to what was computed: a search sees only the former.
    return {"features": stored.cpu().numpy(), "norm2": (wide * wide).sum(1).cpu().numpy()}


def _pack_int8(values: Tensor, tops: Tensor) -> dict[str, NDArray[Any]]:
    scale = torch.where(tops > FAINTEST, tops / INT8_MAX, 0.0)
    code = (values / torch.where(scale > 0, scale, 1.0)[:, None]).round_().clamp_(-INT8_MAX, INT8_MAX)
    code = torch.where(scale[:, None] > 0, code, 0.0)
    gone = torch.linalg.vector_norm(code * scale[:, None] - values, dim=1)
    own = torch.linalg.vector_norm(values, dim=1)
    return {
        "features": code.to(torch.int8).cpu().numpy(),
        "norm2": ((code * code).sum(1) * scale * scale).cpu().numpy(),
        "scale": scale.cpu().numpy(),
        "lost": torch.where(own > 0, gone / own, 0.0).half().cpu().numpy(),
    }


def unpack(features: NDArray[Any], scale: NDArray[np.float32] | None) -> NDArray[Any]:
    """Return features as numbers: float32 from int8 codes (n, channel, y, x) and scales (n, y, x), others as stored."""
    if scale is None:
        return features
    wide = torch.from_numpy(features).float()
    wide *= torch.from_numpy(np.ascontiguousarray(scale))[:, None]
    numbers: NDArray[Any] = wide.numpy()
    return numbers
