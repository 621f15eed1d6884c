"""Names and shapes of a store on disk: the one place that the writer, the reader and verification share.

/        image(str) domain label split(int16 codes + flag_meanings) path broken, further metadata columns as text
/LAYER   features(image, channel, y, x)  norm2(image, y, x)  committed(block)  y x (cell centres, input px)

A block is one chunk of pictures, the same for all layers. Its commit record is the CRC32C of its features' bytes, and
is written after the features have reached the disk; -1 means not written.
"""

import hashlib
import json
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pandas as pd
from google_crc32c import value as crc32c
from numpy.typing import NDArray

SCHEMA = "vfs_panel.features"
SCHEMA_VERSION = 1
CODED = ("domain", "label", "split")  # few values, many pictures: kept as integer codes
ROOT_ARRAYS = ("image", *CODED, "path", "broken")
NOT_COMMITTED = -1
RECORDS = "commit_records"  # attribute of the root: those of every finished layer once more, for far readers
DTYPES = ("float16", "float32")


def group_name(layer: str) -> str:
    """Return the name of a layer's group: safe in a path, unique, and the layer's own name wherever possible."""
    name = quote(layer, safe=" ()[],=+")
    if name in ROOT_ARRAYS or name.startswith(("__", ".")):
        name = f"%{ord(name[0]):02X}{name[1:]}"
    return name


def block_slices(n_images: int, block_rows: int) -> list[slice]:
    """Return the rows of every block, in order."""
    return [slice(start, min(start + block_rows, n_images)) for start in range(0, n_images, block_rows)]


def index_hash(index: pd.DataFrame) -> str:
    """Return a sha256 over the ids and all text columns of an index: which pictures a store is of, and their order."""
    columns = sorted(c for c in index.columns if c != "broken")
    rows = [[str(v) for v in index.index]] + [[str(v) for v in index[c]] for c in columns]
    return hashlib.sha256(json.dumps([columns, rows]).encode()).hexdigest()


def block_crc(features: NDArray[np.generic]) -> int:
    """Return the commit record of a block of features, shape (n, channel, y, x)."""
    return int(crc32c(np.ascontiguousarray(features).reshape(-1).view(np.uint8)))


def commit_records(array: Any) -> NDArray[np.int64]:
    """Return the commit record of every block; a record that cannot be read counts as not written."""
    try:
        return np.asarray(array[:], np.int64)
    except (ValueError, OSError, RuntimeError):  # damaged: the others are still good, and a rerun writes this one anew
        records = np.full(array.shape, NOT_COMMITTED, np.int64)
        for block in range(len(records)):
            with suppress(ValueError, OSError, RuntimeError):
                records[block] = array[block]
        return records


def chunk_name(layer: str, array: str, block: int, ndim: int) -> str:
    """Return the file, inside its store, that holds a block of an array whose other axes are not divided."""
    return "/".join([group_name(layer), array, "c", str(block), *["0"] * (ndim - 1)])


def chunk_file(store: Path, layer: str, array: str, block: int, ndim: int) -> Path:
    """Return the path of that file."""
    return store / chunk_name(layer, array, block, ndim)


def chunk_names(array: Any, rows: slice | None = None) -> list[str]:
    """Return the files, inside their store, that hold some rows of an array, or all of it."""
    steps = array.shards or array.chunks
    grid = [range(-(-size // step)) for size, step in zip(array.shape, steps, strict=True)]
    if rows is not None:
        grid[0] = range(rows.start // steps[0], -(-rows.stop // steps[0]))
    return [f"{array.path}/{array.metadata.encode_chunk_key(at)}" for at in product(*grid)]
