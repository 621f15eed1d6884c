"""Names and shapes of a store on disk: the one place that the writer, the reader and verification share.

/        image(str) domain label split(int16 codes + flag_meanings) path broken, further metadata columns as text
/LAYER   features(image, channel, y, x)  norm2(image, y, x)  committed(block)  y x (cell centres, input px)

A block is one chunk of pictures, the same for all layers. Its commit record is the CRC32C of its features' bytes, and
is written after the features have reached the disk; -1 means not written.
"""

from pathlib import Path
from urllib.parse import quote

import numpy as np
from google_crc32c import value as crc32c
from numpy.typing import NDArray

SCHEMA = "vfs_panel.features"
SCHEMA_VERSION = 1
CODED = ("domain", "label", "split")  # few values, many pictures: kept as integer codes
ROOT_ARRAYS = ("image", *CODED, "path", "broken")
NOT_COMMITTED = -1
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


def block_crc(features: NDArray[np.generic]) -> int:
    """Return the commit record of a block of features, shape (n, channel, y, x)."""
    return int(crc32c(np.ascontiguousarray(features).reshape(-1).view(np.uint8)))


def chunk_file(store: Path, layer: str, array: str, block: int, ndim: int) -> Path:
    """Return the file that holds a block of an array whose other axes are not divided."""
    return store.joinpath(group_name(layer), array, "c", str(block), *["0"] * (ndim - 1))
