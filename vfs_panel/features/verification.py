"""Checks a store: is every block written, whole, unchanged, do its norms belong to it, and is the index its own?"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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


def verify(
    path: Path | str,
    *,
    storage_options: dict[str, Any] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> VerifyReport:
    """Check the index, and every byte of every block of every layer.

    Parameters
    ----------
    path, storage_options : the store, as for `open_store`.
    progress : called with (blocks done, blocks in all).

    Raises
    ------
    StoreError
        If there is no store, or its index cannot be read.
    """
    store = FeatureStore(path, storage_options)
    bad: list[str] = []
    if store.attrs.get("index_sha256") != layout.index_hash(store.index):
        bad.append(f"The index of {store.path} (ids, domains, labels, paths) is damaged. Extract it again.")
    blocks: dict[str, list[slice]] = {}
    for layer in store.layers:
        try:
            blocks[layer] = layout.block_slices(store.n_images, store._reader(layer).block_rows)
            store._check_centres(layer)
        except StoreError as error:
            bad.append(str(error))
    total, done = sum(map(len, blocks.values())), 0
    for layer, spans in blocks.items():
        for number, span in enumerate(spans):
            bad.extend(_problems(store, layer, number, span))
            done += 1
            if progress is not None:
                progress(done, total)
    broken = tuple(str(i) for i in store.index.index[store.index["broken"].to_numpy(bool)])
    return VerifyReport(total, store.n_images, tuple(bad), broken)


def _problems(store: FeatureStore, layer: str, number: int, rows: slice) -> list[str]:
    """Return what is wrong with one block, in sentences."""
    ids = store.index.index
    pictures = f"pictures {ids[rows.start]} to {ids[rows.stop - 1]}"
    reader = store._reader(layer)
    if reader.committed[number] == layout.NOT_COMMITTED:
        return [
            f"Block {number} of layer {layer!r} was never written, or its commit record is damaged ({pictures}). "
            "Run the extraction again."
        ]
    found = []
    values = norm2 = None
    try:
        values = reader.check(number)
    except StoreError as error:
        found.append(str(error))
    try:
        norm2 = store.norm2(layer, rows)
    except StoreError as error:
        found.append(str(error))
    if values is not None and norm2 is not None:
        expected = np.square(values.astype(np.float32)).sum(1)
        if not np.allclose(expected, norm2, rtol=1e-3, atol=1e-12):
            found.append(f"The norms of block {number} of layer {layer!r} do not belong to it ({pictures}).")
    return found
