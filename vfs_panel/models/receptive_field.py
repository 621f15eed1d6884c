"""How much of the picture one cell of a layer sees, measured on the network itself."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from vfs_panel.errors import NetworkError
from vfs_panel.models.extractor import Extractor

if TYPE_CHECKING:
    from vfs_panel.models.zoo import Network


def receptive_field_px(
    network: "Network", layer: str, input_px: tuple[int, int] | None = None
) -> tuple[int, int] | None:
    """Return how many input pixels, (y, x), a layer's middle cell sees.

    All pixels on one side of a line are made "not a number". That spreads through every operation that uses such a
    pixel, whatever the weights are, so the cell becomes not a number if and only if it sees beyond the line. The line
    nearest to the cell that leaves it a number is found by halving, on all four sides at once: four pictures a pass,
    and as many passes as the longer side has binary digits. Attention, or a pooling over the whole picture on the way
    (as in squeeze and excitation), lets a cell see everything.

    Parameters
    ----------
    network : from `load_network`; it stays on its device.
    layer : its name; its output must be a grid.
    input_px : (height, width) of the input; by default that of the preprocessing, else 224×224.

    Returns
    -------
    (y, x) in input pixels, or None where not a number cannot be followed: something on the way replaces or refuses it,
    or gives it for a plain picture too. What would reach beyond the input is not counted.

    Raises
    ------
    LayerError, NetworkError
        If the layer does not exist or is no grid, or the network cannot take such a picture.
    """
    parameter = next(network.module.parameters(), None)
    device = str(parameter.device) if parameter is not None else "cpu"
    with Extractor(network, [layer], device=device, input_px=input_px) as extractor:
        height, width = extractor.input_px
        plain = torch.zeros(4, len(network.preprocessing.mean), height, width)

        def middle_is_lost(batch: Tensor) -> list[bool]:
            grid = extractor(batch)[layer]
            lost: list[bool] = grid[:, :, grid.shape[2] // 2, grid.shape[3] // 2].isnan().any(1).tolist()
            return lost

        try:
            if any(middle_is_lost(plain)) or not all(middle_is_lost(torch.full_like(plain, torch.nan))):
                return None
            # Lines of pixels that can go, from above, below, the left and the right; and that cannot.
            kept, lost = [0, 0, 0, 0], [height, height, width, width]
            while any(b - a > 1 for a, b in zip(kept, lost, strict=True)):
                middle = [(a + b) // 2 for a, b in zip(kept, lost, strict=True)]
                for side, is_lost in enumerate(middle_is_lost(_without(plain, middle))):
                    (lost if is_lost else kept)[side] = middle[side]
        except NetworkError:  # the extractor has run it on a plain picture before
            return None
    return height - kept[0] - kept[1], width - kept[2] - kept[3]


def _without(plain: Tensor, lines: list[int]) -> Tensor:
    """Return four pictures that are not a number in so many lines from above, below, the left and the right."""
    batch = plain.clone()
    batch[0, :, : lines[0]] = torch.nan
    batch[1, :, batch.shape[2] - lines[1] :] = torch.nan
    batch[2, :, :, : lines[2]] = torch.nan
    batch[3, :, :, batch.shape[3] - lines[3] :] = torch.nan
    return batch
