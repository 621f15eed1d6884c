"""Checks every block of a store: is it written, whole, unchanged, and do its norms belong to it?"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vfs_panel.errors import StoreError
from vfs_panel.features import layout
from vfs_panel.features.store import FeatureStore


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What `verify` found.

    Attributes
    ----------
    n_blocks : how many blocks were checked, over all layers.
    n_images : how many pictures the store has.
    bad : one sentence per damaged or missing block, with its pictures.
    broken : ids of pictures that could not be read at extraction; their rows are empty on purpose.
    """

    n_blocks: int
    n_images: int
    bad: tuple[str, ...]
    broken: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is damaged or missing."""
        return not self.bad


def verify(path: Path | str, *, progress: Callable[[int, int], None] | None = None) -> VerifyReport:
    """Check every block of every layer.

    Parameters
    ----------
    path : the store.
    progress : called with (blocks done, blocks in all).

    Raises
    ------
    StoreError
        If there is no store, or its index cannot be read.
    """
    store = FeatureStore(path)
    ids = [str(i) for i in store.index.index]
    bad: list[str] = []
    spans = {layer: layout.block_slices(store.n_images, store._reader(layer).block_rows) for layer in store.layers}
    total, done = sum(map(len, spans.values())), 0
    for layer in store.layers:
        written = {span.start for span in store.blocks(layer)}
        norm2, norm_problem = None, ""
        try:
            norm2 = store.norm2(layer)
        except StoreError as error:
            norm_problem = str(error)
        if norm_problem:
            bad.append(norm_problem)
        for number, span in enumerate(spans[layer]):
            pictures = f"pictures {ids[span.start]} to {ids[span.stop - 1]}"
            if span.start not in written:
                bad.append(
                    f"Block {number} of layer {layer!r} was never written ({pictures}). Run the extraction again."
                )
            else:
                try:
                    values = store.read(layer, span).astype(np.float32)
                    if norm2 is not None and not np.allclose(
                        np.square(values).sum(1), norm2[span], rtol=1e-3, atol=1e-12
                    ):
                        bad.append(f"The norms of block {number} of layer {layer!r} do not belong to it ({pictures}).")
                except StoreError as error:
                    bad.append(str(error))
            done += 1
            if progress is not None:
                progress(done, total)
    broken = tuple(str(i) for i in store.index.index[store.index["broken"].to_numpy(bool)])
    return VerifyReport(total, store.n_images, tuple(bad), broken)
