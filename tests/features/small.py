"""A small network and small pictures, for stores that are made in a moment."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from vfs_panel.features import FeatureStore, extract
from vfs_panel.images.dataset import ImageDataset
from vfs_panel.images.preprocessing import Preprocessing

N = 40
PREPROCESSING = Preprocessing(resize_px=None, crop_px=(32, 32))


class Net(nn.Module):
    """Two strided layers."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.one = nn.Conv2d(3, 4, 3, 4, 1)
        self.two = nn.Conv2d(4, 6, 3, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.two(torch.relu(self.one(x)))


def make_pictures(folder: Path, numbers: range = range(N)) -> Path:
    """Write pictures DOMAIN/LABEL/NUMBER.png; each number always has the same."""
    for i in numbers:
        place = folder / ["day", "night"][i % 2] / ["cat", "dog", "owl"][i % 3]
        place.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(i).integers(0, 255, (40, 36, 3), np.uint8)
        Image.fromarray(pixels).save(place / f"{i:02d}.png")
    return folder


def run(folder: Path | ImageDataset, out: Path, **options: object) -> FeatureStore:
    """Extract both layers."""
    options = {"layers": ["one", "two"], "preprocessing": PREPROCESSING, "device": "cpu", **options}
    return extract(Net(), folder, out=out, **options)  # type: ignore[arg-type]


def same(a: FeatureStore, b: FeatureStore) -> bool:
    """Whether two stores hold the same pictures and features."""
    return a.index.equals(b.index) and all(
        np.array_equal(a.read(layer, slice(0, a.n_images)), b.read(layer, slice(0, b.n_images)))
        and np.array_equal(a.norm2(layer), b.norm2(layer))
        for layer in a.layers
    )


def files_of(store: Path) -> dict[str, bytes]:
    """Return every file of a store and its bytes."""
    return {f.relative_to(store).as_posix(): f.read_bytes() for f in sorted(store.rglob("*")) if f.is_file()}
