"""What a trained network has to beat: raw pixels, and the same network with random weights."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vfs_panel.images.preprocessing import Preprocessing

if TYPE_CHECKING:
    from vfs_panel.images.dataset import ImageDataset


def input_batches(images: "ImageDataset", preprocessing: Preprocessing, size: int = 32) -> Iterator[Tensor]:
    """Yield batches (n, 3, y, x) of preprocessed pictures."""
    ids = images.ids
    for start in range(0, len(ids), size):
        arrays = [preprocessing.array(images.rgb(image_id)) for image_id in ids[start : start + size]]
        yield torch.from_numpy(np.stack(arrays))


def fit_batch_norm(module: nn.Module, batches: Iterator[Tensor]) -> None:
    """Give a network's batch normalisation the statistics of some pictures, in place.

    A network with random weights passes on the pictures' offsets and scales; fitted, it is the stronger baseline.

    Parameters
    ----------
    module : the network; left in evaluation mode.
    batches : preprocessed pictures (n, 3, y, x).
    """
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.reset_running_stats()
            part.momentum = None  # the plain mean over all batches
    module.train()
    with torch.inference_mode():
        for batch in batches:
            module(batch)
    module.eval()


def raw_pixels(images: "ImageDataset", stride_px: int) -> Tensor:
    """Return every cell's own 4×4 thumbnail, less the mean colour of the set, as features (n, y, x, 48).

    Parameters
    ----------
    images : pictures of one size.
    stride_px : picture pixels per cell, a multiple of 4.
    """
    identity = Preprocessing(resize_px=None, crop_px=None, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    small = torch.cat([F.avg_pool2d(batch, stride_px // 4) for batch in input_batches(images, identity)])
    cells = F.pixel_unshuffle(small - small.mean((0, 2, 3), keepdim=True), 4)
    return cells.permute(0, 2, 3, 1).contiguous()
