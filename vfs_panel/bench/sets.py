"""Synthetic feature sets, written to a temporary folder block by block, and sets of repeated blocks."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pandas as pd
import torch
import zarr
from torch import Tensor

from vfs_panel.errors import BenchError
from vfs_panel.features import FeatureSpec, FeatureStore, layout
from vfs_panel.features.packing import pack
from vfs_panel.features.writer import StoreWriter
from vfs_panel.images.preprocessing import Preprocessing
from vfs_panel.settings import settings
from vfs_panel.words import size_words

LAYER = "synthetic"
PARTS = 48  # of the dictionary that all features are made of
SCENE = 20  # pictures that share most of what they show
MARGIN = 0.1  # of the needed space that must be free beyond it


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a set is made.

    Attributes
    ----------
    n_images : pictures.
    grid : (channel, y, x).
    nonzero : share of the features that are above 0.
    gain : standard deviation of the logarithm of the cells' brightness.
    noise : standard deviation of what no other cell has, against 1 of what the dictionary gives.
    dtype : as stored.
    """

    n_images: int
    grid: tuple[int, int, int] = (512, 7, 7)
    nonzero: float = 0.5
    gain: float = 0.0
    noise: float = 0.6
    dtype: str = "float16"

    @property
    def name(self) -> str:
        """The set in short, as in "5,000 × 512×7×7"."""
        return f"{self.n_images:,} × {'×'.join(map(str, self.grid))}"

    @property
    def nbytes(self) -> int:
        """Bytes of the features as stored."""
        return self.n_images * int(np.prod(self.grid)) * np.dtype(self.dtype).itemsize

    @property
    def made(self) -> str:
        """How the features are made, in words."""
        cells = f", cells' brightness spread by e^{self.gain:g}" if self.gain else ""
        return (
            f"ReLU of a random dictionary of {PARTS} patterns, mixed smoothly over each picture and mostly alike "
            f"within groups of {SCENE}, with noise of {self.noise:g}; {self.nonzero:.0%} of the features above 0"
            f"{cells}; stored as {self.dtype}"
        )


def real_like(n_images: int, channels: int = 512) -> Recipe:
    """Return a sparse set like SqueezeNet's last layer on photographs: 13×13 cells, one feature in ten above 0."""
    return Recipe(n_images, (channels, 13, 13), nonzero=0.1, gain=0.5, noise=0.4)


class _Source:
    """Makes features block by block; the same every time."""

    def __init__(self, recipe: Recipe, block_rows: int) -> None:
        self._recipe = recipe
        self._random = torch.Generator().manual_seed(0)
        channels = recipe.grid[0]
        self._dictionary = torch.randn(channels, PARTS, generator=self._random) / PARTS**0.5
        # Random numbers are the slow part: each block takes its noise from another place of one long row of them.
        count = block_rows * int(np.prod(recipe.grid))
        self._noise = recipe.noise * torch.randn(count + 2_000_003, generator=self._random)
        self._threshold = NormalDist(0, (1 + recipe.noise**2) ** 0.5).inv_cdf(1 - recipe.nonzero)

    def features(self, rows: slice) -> Tensor:
        """Return float32 features (n, channel, y, x)."""
        recipe, n = self._recipe, rows.stop - rows.start
        channels, height, width = recipe.grid
        scene = torch.arange(rows.start, rows.stop) // SCENE
        scene -= scene[0].clone()
        mix = 0.8 * self._smooth(int(scene[-1]) + 1)[scene] + 0.6 * self._smooth(n)
        values: Tensor = (self._dictionary @ mix.flatten(2)).view(n, channels, height, width)
        start = int(torch.randint(2_000_003, (), generator=self._random))
        values += self._noise[start : start + values.numel()].view_as(values)
        values.sub_(self._threshold).clamp_min_(0)
        if recipe.gain:
            values *= torch.exp(recipe.gain * torch.randn(n, 1, height, width, generator=self._random))
        return values

    def _smooth(self, n: int) -> Tensor:
        """Weights of the dictionary's patterns (n, part, y, x), each of variance 1 and alike in neighbouring cells."""
        raw = torch.randn(n, PARTS, *self._recipe.grid[1:], generator=self._random)
        around = torch.nn.functional.pad(raw, (1, 1, 1, 1), mode="circular")
        return 3 * torch.nn.functional.avg_pool2d(around, 3, 1)


@contextmanager
def temporary_folder(folder: Path | None) -> Iterator[Path]:
    """Yield a new folder that is removed afterwards, in `folder` or where the system keeps such."""
    try:
        made = tempfile.TemporaryDirectory(prefix="vfs-panel-bench-", dir=folder)
    except OSError as error:
        where = folder or tempfile.gettempdir()
        raise BenchError(f"{where} cannot be written: {error.strerror}. Name another folder with --folder.") from None
    with made as path:
        yield Path(path)


def check_space(folder: Path, needed: int) -> None:
    """Refuse to write more than there is room for.

    Raises
    ------
    BenchError
        Saying how much is needed and how much is free.
    """
    free = shutil.disk_usage(folder).free
    if free < needed * (1 + MARGIN):
        raise BenchError(
            f"The benchmark writes {size_words(needed)} to {folder}, which has {size_words(free)} free. Free some "
            "space, name another folder with --folder, or measure fewer pictures with --images or --size small."
        )


def _index(n_images: int) -> pd.DataFrame:
    ids = [f"{i:07d}" for i in range(n_images)]
    return pd.DataFrame(
        dict.fromkeys(("domain", "label", "split", "path"), ""), index=pd.Index(ids, dtype=object, name="image")
    )


def _specs(recipe: Recipe) -> dict[str, FeatureSpec]:
    return {
        LAYER: FeatureSpec(
            network="synthetic", weights="none", weights_sha256="", layer=LAYER,
            preprocessing=Preprocessing(resize_px=None, crop_px=None),
            input_px=(32 * recipe.grid[1], 32 * recipe.grid[2]), grid=recipe.grid, dtype=recipe.dtype,
        )
    }  # fmt: skip


def _block_rows(recipe: Recipe) -> int:
    return max(1, min(recipe.n_images, int(settings().block_mb * 1e6 * recipe.n_images / recipe.nbytes)))


def build(
    recipe: Recipe,
    out: Path,
    progress: Callable[[int, int], None] | None = None,
    *,
    index: pd.DataFrame | None = None,
) -> FeatureStore:
    """Write a set as a store. One block is in memory at a time.

    Parameters
    ----------
    index : of the pictures; by default ids alone.

    Raises
    ------
    BenchError, StoreError
        If there is too little space.
    """
    check_space(out.parent, recipe.nbytes)
    source = _Source(recipe, _block_rows(recipe))
    index = _index(recipe.n_images) if index is None else index
    with StoreWriter(out, index, _specs(recipe), block_rows=_block_rows(recipe)) as writer:
        for block, rows in enumerate(writer.blocks):
            names = [str(i) for i in index.index[rows]]
            writer.write_block(block, {LAYER: pack(source.features(rows), recipe.dtype, names, LAYER)})
            if progress is not None:
                progress(block + 1, len(writer.blocks))
        writer.finish()
    return FeatureStore(out)


def repeated(base: FeatureStore, n_images: int, out: Path) -> FeatureStore:
    """Return a store of many pictures whose blocks are those of another, over and over, as links to its files.

    So a set larger than the disk can be read: its bytes are read from the same few files, which the system may keep
    in memory.

    Raises
    ------
    BenchError
        If the file system has no links.
    """
    whole = [span for span in base.blocks(LAYER) if span.stop - span.start == base.blocks(LAYER)[0].stop]
    rows = whole[0].stop
    with StoreWriter(out, _index(n_images), {LAYER: base.spec(LAYER)}, block_rows=rows) as writer:
        records = layout.commit_records(zarr.open_group(base.path, mode="r")[layout.group_name(LAYER)]["committed"])
        committed = np.array([records[block % len(whole)] for block in range(len(writer.blocks))])
        for block, span in enumerate(writer.blocks):
            first = block % len(whole) * rows
            if span.stop - span.start < rows:  # the last one: its checksum is that of fewer pictures
                part = np.arange(first, first + span.stop - span.start)
                writer.write_block(block, {LAYER: base.packed(LAYER, part)})
                committed = committed[:block]
                continue
            for name, dims in (("features", 4), ("norm2", 3)):
                target = layout.chunk_file(out, LAYER, name, block, dims)
                target.parent.mkdir(parents=True, exist_ok=True)
                try:
                    os.link(layout.chunk_file(Path(base.path), LAYER, name, block % len(whole), dims), target)
                except OSError as error:
                    raise BenchError(
                        f"{out} cannot link to files ({error.strerror}). Name another folder with --folder."
                    ) from None
        root = zarr.open_group(str(out), mode="r+", use_consolidated=False)
        root[layout.group_name(LAYER)]["committed"][: len(committed)] = committed
        writer.finish()
    return FeatureStore(out)


def feature_files(store: FeatureStore) -> list[Path]:
    """Return the files that hold a store's features, in order."""
    blocks = range(len(store.blocks(LAYER)))
    return [layout.chunk_file(Path(store.path), LAYER, "features", block, 4) for block in blocks]
