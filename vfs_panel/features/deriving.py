"""A store from a store: some of its pictures or layers, another type, compressed, or in one file."""

import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vfs_panel.errors import QueryError, StoreError
from vfs_panel.features import layout
from vfs_panel.features.files import folder_to_write
from vfs_panel.features.packing import pack
from vfs_panel.features.selecting import pictures_with
from vfs_panel.features.store import FeatureStore
from vfs_panel.features.writer import StoreWriter
from vfs_panel.features.zipped import SUFFIX, write_zip
from vfs_panel.settings import settings

Progress = Callable[[int, int], None]


def subset_rows(
    store: FeatureStore, *, where: Mapping[str, str | Iterable[str]] | None = None, images: Iterable[str] | None = None
) -> NDArray[np.intp]:
    """Return the rows of some pictures, in the store's order.

    Parameters
    ----------
    where : as of `pictures_with`.
    images : ids.

    Raises
    ------
    QueryError, StoreError
        If there is no such column or value, or nothing is left; if there is no such picture.
    """
    keep = pictures_with(store, where or {})
    if images is not None:
        chosen = np.zeros(store.n_images, bool)
        chosen[[store.row(str(image)) for image in images]] = True
        keep = keep & chosen
    rows = np.flatnonzero(keep)
    if not len(rows):
        raise QueryError(f"No picture of {store.name} is left. Ask for less.")
    return rows


def convert(
    store: FeatureStore | Path | str,
    *,
    out: Path | str,
    layers: Iterable[str] | None = None,
    rows: NDArray[np.intp] | None = None,
    dtype: str | None = None,
    compression: str | None = None,
    progress: Progress | None = None,
) -> FeatureStore:
    """Write a store anew. A run that was stopped goes on where it stopped.

    Parameters
    ----------
    store : opened, or its path or URL.
    out : where it is written; a name that ends in .zip makes one file.
    layers : all by default.
    rows : which pictures (see `subset_rows`); all by default.
    dtype, compression : as in `extract`; by default as each layer has them. int8 features that are given another type
        keep what int8 has taken from them, and say so.
    progress : called with (blocks done, blocks in all).

    Returns
    -------
    FeatureStore, opened.

    Raises
    ------
    LayerError, StoreError
        If a layer is not there or only half written, a type is not known, a feature does not fit it, or something is at
        `out`.
    """
    store = store if isinstance(store, FeatureStore) else FeatureStore(store)
    for value, known in ((dtype, layout.DTYPES), (compression, layout.COMPRESSIONS)):
        if value is not None and value not in known:
            raise StoreError(f"{value!r} is not known; expected one of {', '.join(known)}.")
    chosen = list(dict.fromkeys(layers)) if layers is not None else store.layers
    for layer in chosen:
        store.check_complete(layer)
    target = folder_to_write(out)
    if target.suffix == SUFFIX:
        if target.exists():
            raise StoreError(f"{target} exists already. Choose another place with --out.")
        whole = len(chosen) == len(store.layers) and rows is None and dtype is None and compression is None
        if whole and Path(store.path).is_dir():
            write_zip(Path(store.path), target, progress)
            return FeatureStore(target)
        folder = target.with_name(f".{target.name}.folder")
        convert(store, out=folder, layers=chosen, rows=rows, dtype=dtype, compression=compression, progress=progress)
        write_zip(folder, target)
        shutil.rmtree(folder)
        return FeatureStore(target)
    if target.exists() and target.resolve() == Path(store.path).resolve():
        raise StoreError(f"{target} is the store itself. Choose another place with --out.")
    rows = np.arange(store.n_images) if rows is None else rows
    index = store.index.iloc[rows]
    findings = None if store.findings is None else store.findings.iloc[rows]
    specs = {
        layer: (spec := store.spec(layer)).stored_as(dtype or spec.dtype, compression or spec.compression)
        for layer in chosen
    }
    largest = max(spec.nbytes for spec in specs.values())
    block_rows = layout.rows_per_block(len(rows), largest, settings().block_mb)
    with StoreWriter(
        target, index, specs, block_rows=block_rows, pictures=str(store.attrs.get("pictures") or ""),
        findings=findings, versions=store.versions(chosen[0]),
    ) as writer:  # fmt: skip
        writer.mark_broken(np.flatnonzero(index["broken"].to_numpy(bool)).tolist())
        total = len(writer.blocks)
        for block in writer.claimed():
            span = rows[writer.blocks[block]]
            names = [str(i) for i in index.index[writer.blocks[block]]]
            writer.write_block(
                block, {layer: _packed(store, layer, span, specs[layer].dtype, names) for layer in specs}
            )
            if progress is not None:
                progress(total - len(writer.missing()), total)
        writer.finish()
    return FeatureStore(target)


def _packed(
    store: FeatureStore, layer: str, rows: NDArray[np.intp], dtype: str, names: Sequence[str]
) -> Mapping[str, NDArray[Any]]:
    if store.spec(layer).dtype == dtype:
        return store.packed(layer, rows)  # bit by bit
    return pack(torch.from_numpy(store.read_rows(layer, rows)), dtype, names, layer)
