"""Features that another program computed -> a store."""

import logging
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray

from vfs_panel.errors import StoreError
from vfs_panel.features import layout
from vfs_panel.features.files import folder_to_write
from vfs_panel.features.packing import pack
from vfs_panel.features.sources import AXES, Source, groups_of_blocks, in_memory_or_not
from vfs_panel.features.spec import FeatureSpec
from vfs_panel.features.store import FeatureStore
from vfs_panel.features.writer import StoreWriter
from vfs_panel.images.preprocessing import Preprocessing
from vfs_panel.settings import settings

log = logging.getLogger(__name__)
Progress = Callable[[int, int], None]
WHOLE_PICTURE = Preprocessing(resize_px=None, crop_px=None)
HELD_MB = 1000.0  # of features that are gathered at a time from a source that is read by chunks
MANY_PASSES = 3
SAME = 0.01  # of the length of a picture's features: sums in another order differ by less


def store_from_arrays(
    features: Mapping[str, ArrayLike | Any],
    *,
    out: Path | str,
    image: Iterable[object] | None = None,
    domain: Iterable[object] | None = None,
    label: Iterable[object] | None = None,
    split: Iterable[object] | None = None,
    path: Iterable[object] | None = None,
    findings: pd.DataFrame | None = None,
    dtype: str = "float16",
    compression: str = "none",
    network: str = "arrays",
    weights_sha256: str = "",
    preprocessing: Preprocessing = WHOLE_PICTURE,
    input_px: tuple[int, int] | None = None,
) -> FeatureStore:
    """Write features of any framework to a store.

    Parameters
    ----------
    features : layer -> array, shape (image, channel, y, x); all layers of the same pictures. Whatever has a shape, a
        dtype and slices is read by parts and may be larger than memory: a NumPy memmap, Zarr, HDF5 or Dask array.
    out : where the store is written; there must be nothing yet, or the same pictures with other layers.
    image : ids; "0", "1", … by default.
    domain, label, split, path : one value per picture.
    findings : bool, one row per picture in its order, a column for each finding, where there may be several.
    dtype, compression : as in `extract`.
    network, weights_sha256 : what made the features, for provenance.
    preprocessing, input_px : how the pictures came to the network; by default the grid covers the whole picture.

    Returns
    -------
    FeatureStore, opened.

    Raises
    ------
    StoreError
        If shapes or counts do not agree, or a feature is NaN, infinite, or too large for float16.
    """
    arrays = {name: in_memory_or_not(values) for name, values in features.items()}
    if not arrays:
        raise StoreError("No features were given; expected a dict of layer name -> array (image, channel, y, x).")
    counts = {values.shape[0] if len(values.shape) == 4 else -1 for values in arrays.values()}
    if -1 in counts or len(counts) > 1 or 0 in counts or any(0 in a.shape for a in arrays.values()):
        shapes = ", ".join(f"{name} {tuple(values.shape)}" for name, values in arrays.items())
        raise StoreError(f"Features have shapes {shapes}; expected (image, channel, y, x) with equal, non-zero counts.")
    for name, values in arrays.items():
        if np.dtype(values.dtype).kind not in "fiub":
            raise StoreError(f"Layer {name!r} is of type {values.dtype}; expected floating-point numbers.")
    sources = {
        name: Source(values, f"layer {name!r}", AXES, (values.shape[1], values.shape[2], values.shape[3]))
        for name, values in arrays.items()
    }
    index = index_of(counts.pop(), image, {"domain": domain, "label": label, "split": split, "path": path})
    return write_sources(
        sources, index, out=out, dtype=dtype, compression=compression, network=network,
        weights_sha256=weights_sha256, preprocessing=preprocessing, input_px=input_px, findings=findings,
    )  # fmt: skip


def index_of(n: int, image: Iterable[object] | None, columns: Mapping[str, Iterable[object] | None]) -> pd.DataFrame:
    """Return the index of n pictures, in the order in which they are given.

    Parameters
    ----------
    image : ids; "0", "1", … by default.
    columns : name -> one value per picture, or None for empty text.

    Raises
    ------
    StoreError
        If there are more or fewer values than pictures, or an id stands twice.
    """
    ids = [str(i) for i in (range(n) if image is None else image)]
    table = {name: [""] * n if values is None else [str(v) for v in values] for name, values in columns.items()}
    for name, values in {"image": ids, **table}.items():
        if len(values) != n:
            raise StoreError(f"{name} has {len(values)} values for {n} pictures; expected one each.")
    index = pd.Index(ids, dtype=object, name="image")
    doubled = index[index.duplicated()]
    if len(doubled):
        raise StoreError(f"Picture id {doubled[0]!r} stands twice; ids must be unique.")
    return pd.DataFrame({name: np.array(values, object) for name, values in table.items()}, index=index)


def write_sources(
    sources: Mapping[str, Source],
    index: pd.DataFrame,
    *,
    out: Path | str,
    dtype: str,
    compression: str,
    network: str,
    weights_sha256: str,
    preprocessing: Preprocessing,
    input_px: tuple[int, int] | None,
    pictures: str = "",
    findings: pd.DataFrame | None = None,
    broken: NDArray[np.bool_] | None = None,
    progress: Progress | None = None,
) -> FeatureStore:
    """Write features that lie elsewhere to a store, block by block, going on where a run was stopped.

    Parameters
    ----------
    sources : layer -> its features.
    index : ids and columns domain, label, split, path and others, in the order of the sources' rows.
    pictures : folder of the pictures; "" where there is none.
    findings : as of `store_from_arrays`.
    broken : pictures, in the sources' order, that have no features: zeros are stored and never searched.
    out, dtype, compression, network, weights_sha256, preprocessing, input_px : as of `store_from_arrays`.
    progress : called with (pictures done, pictures in all).

    Raises
    ------
    StoreError
        If `dtype` is unknown, something else is at `out`, or a feature is NaN, infinite, or too large for float16.
    """
    if dtype not in layout.DTYPES:
        raise StoreError(f"dtype is {dtype!r}; expected one of {', '.join(layout.DTYPES)}.")
    if compression not in layout.COMPRESSIONS:
        raise StoreError(f"compression is {compression!r}; expected one of {', '.join(layout.COMPRESSIONS)}.")
    n = len(index)
    if findings is not None and len(findings) != n:
        raise StoreError(f"findings have {len(findings)} rows for {n} pictures; expected one each.")
    keys = list(zip(index["domain"], index["label"], strict=True))
    # Sorted by domain, then label, so that a selection of either is a few slices.
    order = np.array(sorted(range(n), key=keys.__getitem__), np.intp)
    index = index.iloc[order]
    if findings is not None:
        findings = findings.iloc[order].set_axis(index.index)
    ids = [str(i) for i in index.index]
    lost = np.zeros(n, bool) if broken is None else broken[order]
    specs = {
        name: FeatureSpec(
            network=network, weights="given", weights_sha256=weights_sha256, layer=name, preprocessing=preprocessing,
            input_px=input_px or preprocessing.crop_px or source.grid[1:], grid=source.grid, dtype=dtype,
            compression=compression,
        )
        for name, source in sources.items()
    }  # fmt: skip
    block_rows = layout.rows_per_block(n, max(spec.nbytes for spec in specs.values()), settings().block_mb)
    held = (settings().memory_mb or HELD_MB) * 1e6
    folder = folder_to_write(out)
    goes_on = folder.exists()
    with StoreWriter(folder, index, specs, block_rows=block_rows, pictures=pictures, findings=findings) as writer:
        if goes_on:
            _check_same_features(folder, sources, order, lost)
        writer.mark_broken(np.flatnonzero(lost).tolist())
        todo = writer.missing()
        sizes = {block: writer.blocks[block].stop - writer.blocks[block].start for block in todo}
        done = n - sum(sizes.values())
        _say(progress, done, n)
        groups = list(groups_of_blocks(todo, sizes.__getitem__, sources, held))
        _warn_of_many_passes(groups, writer.blocks, order, sources)
        for group in groups:
            rows = np.concatenate([np.arange(n)[writer.blocks[block]] for block in group])
            gathered = {
                name: source.gathered(order[rows], max(1, int(held / source.row_bytes)))
                for name, source in sources.items()
            }
            for block, end in zip(group, np.cumsum([sizes[block] for block in group]).tolist(), strict=True):
                part = slice(end - sizes[block], end)
                packed = {}
                for name, values in gathered.items():
                    own = np.ascontiguousarray(values[part], np.float32)
                    own[lost[rows[part]]] = 0
                    packed[name] = pack(torch.from_numpy(own), dtype, ids[writer.blocks[block]], name)
                writer.write_block(block, packed)
                done += sizes[block]
                _say(progress, done, n)
            del gathered, values, own, packed  # before the next ones are gathered
        writer.finish()
    return FeatureStore(out)


def _say(progress: Progress | None, done: int, total: int) -> None:
    if progress is not None:
        progress(done, total)


def _check_same_features(
    folder: Path, sources: Mapping[str, Source], order: NDArray[np.intp], lost: NDArray[np.bool_]
) -> None:
    """Refuse to go on with a store whose first picture has other features: ids and names may agree by chance.

    Raises
    ------
    StoreError
    """
    for layer, source in sources.items():
        try:
            store = FeatureStore(folder)
            spans = store.blocks(layer) if layer in store.layers else []
            rows = [row for span in spans[:1] for row in range(span.start, span.stop) if not lost[row]]
            if not rows:
                continue
            kept = store.read(layer, slice(rows[0], rows[0] + 1))
        except StoreError:  # damaged, or no layer yet: the writer and `verify` say what they can
            continue
        with np.errstate(over="ignore"):
            given = source.gathered(order[rows[:1]], 1).astype(kept.dtype).astype(np.float64)
        if not np.linalg.norm(given - kept) <= SAME * np.linalg.norm(kept.astype(np.float64)):
            raise StoreError(
                f"{folder} holds other features of layer {layer!r} than this run has, of {store.index.index[rows[0]]}. "
                "Two runs are never mixed: choose another place with --out."
            )


def _warn_of_many_passes(
    groups: list[list[int]], blocks: list[slice], order: NDArray[np.intp], sources: Mapping[str, Source]
) -> None:
    """Say so if the order of the pictures lets every chunk be read many times."""
    for source in sources.values():
        if not source.chunk_rows or not groups:
            continue
        chunks = order // source.chunk_rows
        reads = sum(len(np.unique(np.concatenate([chunks[blocks[b]] for b in group]))) for group in groups)
        passes = reads / len(np.unique(chunks))
        if passes > MANY_PASSES:
            log.warning(
                "%s is in another order than the store, by domain and label, and will be read %.0f times over. "
                "A larger VFS_MEMORY_MB makes them fewer.",
                source.called, passes,
            )  # fmt: skip
