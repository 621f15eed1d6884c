"""Features that another program computed -> a store."""

from collections.abc import Iterable, Mapping
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
from vfs_panel.features.spec import FeatureSpec
from vfs_panel.features.store import FeatureStore
from vfs_panel.features.writer import StoreWriter
from vfs_panel.images.preprocessing import Preprocessing
from vfs_panel.settings import settings

WHOLE_PICTURE = Preprocessing(resize_px=None, crop_px=None)


def store_from_arrays(
    features: Mapping[str, ArrayLike],
    *,
    out: Path | str,
    image: Iterable[object] | None = None,
    domain: Iterable[object] | None = None,
    label: Iterable[object] | None = None,
    split: Iterable[object] | None = None,
    path: Iterable[object] | None = None,
    dtype: str = "float16",
    network: str = "arrays",
    weights_sha256: str = "",
    preprocessing: Preprocessing = WHOLE_PICTURE,
    input_px: tuple[int, int] | None = None,
) -> FeatureStore:
    """Write features of any framework to a store.

    Parameters
    ----------
    features : layer -> array, shape (image, channel, y, x); all layers of the same pictures.
    out : where the store is written; there must be nothing yet, or the same pictures with other layers.
    image : ids; "0", "1", … by default.
    domain, label, split, path : one value per picture.
    dtype : "float16" or "float32", as stored.
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
    arrays: dict[str, NDArray[Any]] = {name: np.asarray(values) for name, values in features.items()}
    if not arrays:
        raise StoreError("No features were given; expected a dict of layer name -> array (image, channel, y, x).")
    if dtype not in layout.DTYPES:
        raise StoreError(f"dtype is {dtype!r}; expected one of {', '.join(layout.DTYPES)}.")
    counts = {len(values) if values.ndim == 4 else -1 for values in arrays.values()}
    if -1 in counts or len(counts) > 1 or 0 in counts or any(0 in a.shape for a in arrays.values()):
        shapes = ", ".join(f"{name} {values.shape}" for name, values in arrays.items())
        raise StoreError(f"Features have shapes {shapes}; expected (image, channel, y, x) with equal, non-zero counts.")
    n = counts.pop()
    ids = [str(i) for i in (range(n) if image is None else image)]
    columns = {"domain": domain, "label": label, "split": split, "path": path}
    table = {name: [""] * n if values is None else [str(v) for v in values] for name, values in columns.items()}
    for name, values in {"image": ids, **table}.items():
        if len(values) != n:
            raise StoreError(f"{name} has {len(values)} values for {n} pictures; expected one each.")
    if len(set(ids)) < n:
        raise StoreError(f"Picture id {next(i for i in ids if ids.count(i) > 1)!r} stands twice; ids must be unique.")
    index = pd.DataFrame(table, index=pd.Index(ids, dtype=object, name="image"))
    order = sorted(range(n), key=lambda row: (index["domain"].iloc[row], index["label"].iloc[row]))
    index = index.iloc[order]
    specs = {
        name: FeatureSpec(
            network=network, weights="given", weights_sha256=weights_sha256, layer=name, preprocessing=preprocessing,
            input_px=input_px or preprocessing.crop_px or (values.shape[2], values.shape[3]), grid=values.shape[1:],
            dtype=dtype,
        )
        for name, values in arrays.items()
    }  # fmt: skip
    largest = max(spec.nbytes for spec in specs.values())
    block_rows = max(1, min(n, int(settings().block_mb * 1e6 / largest)))
    with StoreWriter(folder_to_write(out), index, specs, block_rows=block_rows) as writer:
        for block in writer.missing():
            rows = writer.blocks[block]
            chosen = order[rows]
            packed = {
                name: pack(
                    torch.from_numpy(np.asarray(values[chosen], np.float32)), dtype, [ids[i] for i in chosen], name
                )
                for name, values in arrays.items()
            }
            writer.write_block(block, {k: v[0] for k, v in packed.items()}, {k: v[1] for k, v in packed.items()})
        writer.finish()
    return FeatureStore(out)
