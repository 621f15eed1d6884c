"""Checks a store: is every block written, whole, unchanged, do its norms belong to it, and is the rest its own?"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from vfs_panel.errors import StoreError
from vfs_panel.features import layout, sealing
from vfs_panel.features.packing import unpack
from vfs_panel.features.store import FeatureStore

Kind = Literal["block", "index", "metadata", "axis"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a store.

    Attributes
    ----------
    kind : a "block" of features, the "index", a file of "metadata", or a layer's "axis" (y or x).
    text : what is wrong, in a sentence that names the pictures.
    layer, block : of a block or an axis; "" and -1 otherwise.
    file : of metadata, its name inside the store.
    """

    kind: Kind
    text: str
    layer: str = ""
    block: int = -1
    file: str = ""


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What `verify` found.

    Attributes
    ----------
    n_blocks : how many blocks were checked, over all layers.
    n_images : how many pictures the store has.
    problems : what is damaged or missing.
    broken : ids of pictures that could not be read at extraction; their rows are empty on purpose.
    """

    n_blocks: int
    n_images: int
    problems: tuple[Problem, ...]
    broken: tuple[str, ...]

    @property
    def bad(self) -> tuple[str, ...]:
        """One sentence per problem."""
        return tuple(problem.text for problem in self.problems)

    @property
    def ok(self) -> bool:
        """Whether nothing is damaged or missing."""
        return not self.problems


def verify(
    path: Path | str,
    *,
    storage_options: dict[str, Any] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> VerifyReport:
    """Check the metadata, the index, and every byte of every block of every layer.

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
    found = list(metadata_problems(store))
    found += _index_problems(store)
    blocks: dict[str, list[slice]] = {}
    for layer in store.layers:
        try:
            blocks[layer] = layout.block_slices(store.n_images, store._reader(layer).block_rows)
        except StoreError as error:
            found.append(Problem("metadata", _said(error), layer))
            continue
        try:
            store._check_centres(layer)
        except StoreError as error:
            found.append(Problem("axis", _said(error), layer))
    total, done = sum(map(len, blocks.values())), 0
    for layer, spans in blocks.items():
        for number, span in enumerate(spans):
            found += [Problem("block", text, layer, number) for text in _block_problems(store, layer, number, span)]
            done += 1
            if progress is not None:
                progress(done, total)
    broken = tuple(str(i) for i in store.index.index[store.index["broken"].to_numpy(bool)])
    return VerifyReport(total, store.n_images, tuple(found), broken)


def metadata_problems(store: FeatureStore) -> Iterator[Problem]:
    """Compare every file of metadata with the seal of the store, if it was ever finished."""
    if store.attrs["schema_version"] < 2 or not all(map(store.complete_or_damaged, store.layers)):
        return  # what is not finished is not sealed
    data = store.metadata(sealing.METADATA)
    try:
        root = json.loads(data or b"")
    except ValueError:
        root = {}
    if root.get("attributes", {}).get(layout.SEAL) != sealing.checksum(root):
        yield Problem(
            "metadata", f"The metadata of {store.path} (zarr.json) are not as they were sealed.", file=sealing.METADATA
        )
        return
    for name, expected in sealing.members(root).items():
        file = f"{name}/{sealing.METADATA}"
        data = store.metadata(file)
        if data is None and store.far:
            continue  # only the root's copy is ever read there
        try:
            same = json.loads(data or b"") == sealing.plain(expected)
        except ValueError:
            same = False
        if not same:
            yield Problem("metadata", f"The metadata {file} of {store.path} are damaged.", file=file)


def _said(error: StoreError) -> str:
    """Return what is wrong, without the advice to verify the store: that is being done."""
    return str(error).split(" Run: vfs-panel verify")[0]


def _index_problems(store: FeatureStore) -> list[Problem]:
    if store.attrs.get("index_sha256") == layout.index_hash(store.index, store.findings):
        return []
    return [Problem("index", f"The index of {store.path} (ids, domains, labels, paths) is damaged.")]


def _block_problems(store: FeatureStore, layer: str, number: int, rows: slice) -> list[str]:
    """Return what is wrong with one block, in sentences."""
    ids = store.index.index
    pictures = f"pictures {ids[rows.start]} to {ids[rows.stop - 1]}"
    reader = store._reader(layer)
    if reader.committed[number] == layout.NOT_COMMITTED:
        return [f"Block {number} of layer {layer!r} was never written, or its commit record is damaged ({pictures})."]
    found = []
    features = None
    beside: dict[str, Any] = {}
    try:
        features = reader.check(number)
    except StoreError as error:
        found.append(_said(error))
    for name in layout.arrays_of(store.spec(layer).dtype)[1:]:
        try:
            beside[name] = store._per_cell(layer, name, rows)
        except StoreError as error:
            found.append(_said(error))
    if features is not None and not found:
        wide = unpack(features, beside.get("scale")).astype(np.float32)
        if not np.allclose(np.square(wide).sum(1), beside["norm2"], rtol=1e-3, atol=1e-12):
            found.append(f"The norms of block {number} of layer {layer!r} do not belong to it ({pictures}).")
    return found
