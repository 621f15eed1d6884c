"""Features as a network gives them -> features as they are stored, checked, with their norms."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vfs_panel.errors import StoreError

FLOAT16_MAX = 65504.0


def pack(values: Tensor, dtype: str, names: Sequence[str], layer: str) -> tuple[NDArray[Any], NDArray[np.float32]]:
    """Return features in the stored type and the squared length of each cell as stored.

    Parameters
    ----------
    values : float32 Tensor, shape (n, channel, y, x).
    dtype : "float16" or "float32".
    names : ids of the n pictures, for messages.
    layer : for messages.

    Returns
    -------
    array (n, channel, y, x) of `dtype`, and float32 array (n, y, x).

    Raises
    ------
    StoreError
        If a value is NaN or infinite, or too large for float16; names the picture.
    """
    peaks = values.flatten(1).abs().amax(1) if values[0].numel() else values.new_zeros(len(values))
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
    stored = values.to(getattr(torch, dtype))
    wide = stored.float()
    # The norm belongs to what is stored, not to what was computed: a search sees only the former.
    norm2 = (wide * wide).sum(1)
    return stored.numpy(), norm2.numpy()
