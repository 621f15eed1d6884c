"""The baselines: thumbnails are the picture's own pixels, and fitted statistics are those of the pictures."""

import numpy as np
import torch

from vfs_panel.analysis.baselines import fit_batch_norm, input_batches, raw_pixels
from vfs_panel.images.dataset import ImageDataset
from vfs_panel.images.preprocessing import Preprocessing
from vfs_panel.models import load_network

PLAIN = Preprocessing(resize_px=None, crop_px=None, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


def test_fitted_batch_norm_standardises_its_own_pictures():
    network = load_network("vfs-demo", weights="random").module
    x = 5 + 3 * torch.randn(16, 3, 64, 64)
    fit_batch_norm(network, iter([x]))
    seen = []
    network.stage3[0].norm1.register_forward_hook(lambda _module, _input, output: seen.append(output))
    with torch.inference_mode():
        network(x)
    assert not network.training
    assert seen[0].mean((0, 2, 3)).abs().max() < 0.05
    assert (seen[0].std((0, 2, 3)) - 1).abs().max() < 0.1


def test_raw_pixels_are_thumbnails_of_their_cells():
    pictures = np.random.default_rng(0).integers(0, 256, (3, 32, 48, 3), np.uint8)
    images = ImageDataset.from_arrays(pictures)
    features = raw_pixels(images, 16).numpy()
    assert features.shape == (3, 2, 3, 48)
    small = pictures.reshape(3, 8, 4, 12, 4, 3).mean((2, 4)) / 255
    small -= small.mean((0, 1, 2))
    cell = features[1, 1, 2].reshape(3, 4, 4).transpose(1, 2, 0)  # unshuffled by colour, row, column
    np.testing.assert_allclose(cell, small[1, 4:8, 8:12], atol=1e-5)


def test_batches_cover_all_pictures_in_order():
    pictures = np.arange(5, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 3), np.uint8)
    batches = list(input_batches(ImageDataset.from_arrays(pictures), PLAIN, 2))
    assert [len(batch) for batch in batches] == [2, 2, 1]
    np.testing.assert_allclose(torch.cat(batches)[:, 0, 0, 0] * 255, range(5), atol=1e-4)
