"""Names and shapes of a store on disk: the one place that the writer, the reader and verification share.

/        image(str) domain label split(int16 codes + flag_meanings) path broken, further metadata columns as text;
         for pictures with several findings: findings(image, finding) bool, finding(str)
/LAYER   features(image, channel, y, x)  norm2(image, y, x)  committed(block)  y x (cell centres, input px);
         for int8: scale(image, y, x), lost(image, y, x)

A block is one chunk of pictures, the same for all layers. Its commit record is the CRC32C of its features' bytes, and
is written after the features have reached the disk; -1 means not written.

Schema versions, all of which are read:
1  float16 and float32, as they are.
2  int8 with scale and lost; layers may be compressed; findings; the versions of the libraries; a seal on the metadata.
"""

import hashlib
import json
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pandas as pd
from google_crc32c import value as crc32c
from numpy.typing import NDArray

SCHEMA = "vfs_panel.features"
SCHEMA_VERSION = 2  # that is written
VERSIONS_READ = (1, 2)
CODED = ("domain", "label", "split")  # few values, many pictures: kept as integer codes
FINDINGS, FINDING = "findings", "finding"
ROOT_ARRAYS = ("image", *CODED, "path", "broken", FINDINGS, FINDING)
NOT_COMMITTED = -1
RECORDS = "commit_records"  # attribute of the root: those of every finished layer once more, for far readers
SEAL = "seal"  # attribute of the root: sha256 of all other metadata of a finished store
DTYPES = ("float16", "float32", "int8")
COMPRESSIONS = ("none", "zstd")
PER_CELL = {"norm2": "float32", "scale": "float32", "lost": "float16"}
"""Arrays (image, y, x) that may stand beside a layer's features, and their types."""


def arrays_of(dtype: str) -> tuple[str, ...]:
    """Return the arrays that hold a layer's pictures in blocks, features first."""
    return ("features", "norm2", "scale", "lost") if dtype == "int8" else ("features", "norm2")


def empty_arrays(n: int, grid: tuple[int, int, int], dtype: str) -> dict[str, NDArray[Any]]:
    """Return these arrays for n pictures, all zeros."""
    return {
        name: np.zeros((n, *(grid if name == "features" else grid[1:])), PER_CELL.get(name, dtype))
        for name in arrays_of(dtype)
    }


def group_name(layer: str) -> str:
    """Return the name of a layer's group: safe in a path, unique, and the layer's own name wherever possible."""
    name = quote(layer, safe=" ()[],=+")
    if name in ROOT_ARRAYS or name.startswith(("__", ".")):
        name = f"%{ord(name[0]):02X}{name[1:]}"
    return name


def block_slices(n_images: int, block_rows: int) -> list[slice]:
    """Return the rows of every block, in order."""
    return [slice(start, min(start + block_rows, n_images)) for start in range(0, n_images, block_rows)]


def rows_per_block(n_images: int, nbytes: int, block_mb: float) -> int:
    """Return how many pictures go into a block: as many in each, for the last one is filled up with zeros."""
    most = max(1, min(n_images, int(block_mb * 1e6 / max(1, nbytes))))
    return -(-n_images // -(-n_images // most))


def index_hash(index: pd.DataFrame, findings: pd.DataFrame | None = None) -> str:
    """Return a sha256 over ids, text columns and findings: which pictures a store is of, and their order."""
    columns = sorted(c for c in index.columns if c != "broken")
    rows = [[str(v) for v in index.index]] + [[str(v) for v in index[c]] for c in columns]
    digest = hashlib.sha256(json.dumps([columns, rows]).encode())
    if findings is not None:
        digest.update(json.dumps([str(c) for c in findings.columns]).encode())
        digest.update(np.packbits(findings.to_numpy(bool)).tobytes())
    return digest.hexdigest()


def block_crc(features: NDArray[np.generic]) -> int:
    """Return the commit record of a block of features, shape (n, channel, y, x)."""
    return int(crc32c(np.ascontiguousarray(features).reshape(-1).view(np.uint8)))


def commit_record(array: Any, block: int) -> int:
    """Return the commit record of a block; one that cannot be read counts as not written."""
    try:
        return int(array[block])
    except (ValueError, OSError, RuntimeError):
        return NOT_COMMITTED


def commit_records(array: Any) -> NDArray[np.int64]:
    """Return the commit record of every block."""
    try:
        return np.asarray(array[:], np.int64)
    except (ValueError, OSError, RuntimeError):  # damaged: the others are still good, and a rerun writes this one anew
        return np.array([commit_record(array, block) for block in range(array.shape[0])], np.int64)


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
