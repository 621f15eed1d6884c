"""Pictures in one array: NumPy, memory-mapped .npy, .npz, or Zarr read row by row."""

import re
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vfs_panel.errors import ImageError
from vfs_panel.images.listing import Listing
from vfs_panel.images.metadata import columns_for, text_column
from vfs_panel.images.pixels import Pixels, rgb_from, to_8_bit

_KEPT_BYTES = 256_000_000  # of decoded chunks
_MEDMNIST = re.compile(r"(train|val|test)_images")


def arrays_listing(
    pictures: Any,
    *,
    image: Iterable[Any] | None,
    name: str | None,
    columns: Mapping[str, Any],
    findings: pd.DataFrame | None = None,
) -> Listing:
    """List the pictures of an array; `ImageDataset.from_arrays`.

    Raises
    ------
    ImageError
        If it is no array of pictures, or a column has another number of values.
    """
    file: Path | None = None
    called = name or "arrays"
    if isinstance(pictures, Path | str):
        file = Path(pictures)
        called = name or file.stem
        pictures, held = open_array(file)
        image = held.pop("image", None) if image is None else image
        columns = {**held, **columns}
    _check(pictures, called)
    count = int(pictures.shape[0])
    ids = text_column(range(count) if image is None else image)
    if len(ids) != count:
        raise ImageError(f"There are {len(ids)} ids for {count} pictures in {called}. Give one per picture.")
    chunks = getattr(pictures, "chunks", None)
    if isinstance(chunks, tuple) and isinstance(chunks[0], int):
        pictures = ChunkedRows(pictures)
    table = pd.DataFrame(columns_for(count, columns), index=ids)
    return Listing(table, ArrayReader(pictures, ids, file), called, findings=findings)


class ChunkedRows:
    """Rows of a chunked array such as Zarr's. A chunk often holds many pictures, so those met last are kept decoded.

    Parameters
    ----------
    array : has shape, dtype and chunks, and gives rows by slice.
    """

    def __init__(self, array: Any) -> None:
        self.array = array
        self.shape, self.dtype = tuple(array.shape), np.dtype(array.dtype)
        self._rows = int(array.chunks[0])
        block_bytes = self._rows * int(np.prod(self.shape[1:])) * self.dtype.itemsize
        self._keep = 0 if self._rows == 1 else _KEPT_BYTES // max(1, block_bytes)
        self._blocks: OrderedDict[int, Pixels] = OrderedDict()
        self._lock = threading.Lock()

    def __getitem__(self, row: int) -> Pixels:
        if not self._keep:
            return np.asarray(self.array[row])
        block, at = divmod(row, self._rows)
        with self._lock:
            if block not in self._blocks:
                self._blocks[block] = np.asarray(self.array[block * self._rows : (block + 1) * self._rows])
            self._blocks.move_to_end(block)
            if len(self._blocks) > self._keep:
                self._blocks.popitem(last=False)
            kept: Pixels = self._blocks[block][at]
            return kept

    def __reduce__(self) -> tuple[type["ChunkedRows"], tuple[Any]]:
        return ChunkedRows, (self.array,)


class ArrayReader:
    """Reads pictures that are rows of an array. A memory-mapped file is opened again where this is unpickled.

    Parameters
    ----------
    pictures : array, shape (image, y, x) or (image, y, x, 1 | 3 | 4).
    ids : one per picture.
    file : where a memory-mapped array lies.
    """

    def __init__(self, pictures: Any, ids: list[str], file: Path | None = None) -> None:
        self.pictures, self.file = pictures, file
        self.rows = {image_id: row for row, image_id in enumerate(ids)}

    def __call__(self, image_id: str) -> NDArray[np.uint8]:
        """Return a picture as uint8 RGB, shape (y, x, 3)."""
        try:
            values = np.asarray(self.pictures[self.rows[image_id]])
        except Exception as error:  # a Zarr chunk that is missing or damaged, a lost server
            raise ImageError(f"Picture {image_id} cannot be read from its array: {error}.") from None
        return picture_rgb(values, f"Picture {image_id}")

    def __getstate__(self) -> dict[str, Any]:
        mapped = isinstance(self.pictures, np.memmap) and self.file is not None
        file = self.file.resolve() if self.file is not None else None
        return {**self.__dict__, "file": file, "pictures": None if mapped else self.pictures}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self.pictures is None and self.file is not None:
            self.pictures, _ = open_array(self.file)


def picture_rgb(values: Pixels, label: str) -> NDArray[np.uint8]:
    """Turn the array of one picture into uint8 RGB.

    Parameters
    ----------
    values : uint8, uint16, bool, or floating point in 0..1; shape (y, x) or (y, x, 1 | 3 | 4).
    label : what to call it in an error.

    Raises
    ------
    ImageError
        If shape or type do not fit, or floating-point values leave 0..1.
    """
    if values.ndim not in (2, 3) or (values.ndim == 3 and values.shape[2] not in (1, 3, 4)) or not values.size:
        raise ImageError(f"{label} has shape {values.shape}; expected (y, x) or (y, x, 1 | 3 | 4).")
    if values.dtype.kind not in "fbui":
        raise ImageError(f"{label} has type {values.dtype}; expected uint8, uint16, bool, or floats in 0..1.")
    if values.dtype.kind == "f":
        low, high = float(values.min()), float(values.max())
        if not (low >= 0 and high <= 1):
            raise ImageError(
                f"{label} has values from {low:.4g} to {high:.4g}; expected floats in 0..1. "
                "Undo a normalisation before; the network's own is applied later."
            )
    return rgb_from(to_8_bit(values))


def _check(pictures: Any, called: str) -> None:
    shape, dtype = getattr(pictures, "shape", None), getattr(pictures, "dtype", None)
    if shape is None or dtype is None:
        raise ImageError(f"{called} is {type(pictures).__name__}, not an array of pictures (image, y, x, 3).")
    fits = len(shape) == 3 or (len(shape) == 4 and shape[3] in (1, 3, 4))
    if not fits or np.dtype(dtype).kind not in "fbui":
        first = " Move the channels to the end." if len(shape) == 4 and shape[1] in (1, 3, 4) else ""
        raise ImageError(
            f"Pictures have shape {tuple(shape)} and type {dtype}; expected uint8, uint16, bool or floats in 0..1, "
            f"(image, y, x) or (image, y, x, 1 | 3 | 4).{first}"
        )


def open_array(path: Path) -> tuple[Any, dict[str, Any]]:
    """Open an array file: what holds the pictures, and columns that lie beside them.

    A .npy file is mapped into memory; the arrays of an .npz file that hold one value per picture become columns, and
    its array "image" or "ids" the ids; files as MedMNIST's (train_images, train_labels, val_images, …) become one
    set with splits. Zarr arrays are read row by row.

    Raises
    ------
    ImageError
        If it is missing or holds no array of pictures.
    """
    if not path.exists():
        raise ImageError(f"Array file {path} does not exist.")
    try:
        if path.is_dir():
            import zarr

            return zarr.open_array(str(path), mode="r"), {}
        if path.suffix.lower() == ".npz":
            with np.load(path, allow_pickle=False) as held:
                return _from_npz({key: held[key] for key in held.files}, path)
        return np.load(path, mmap_mode="r", allow_pickle=False), {}
    except ImageError:
        raise
    except Exception as error:  # NumPy, zipfile and Zarr have errors of their own
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ImageError(f"{path} cannot be read as an array of pictures: {why.rstrip('.')}.") from None


def _from_npz(held: dict[str, NDArray[Any]], path: Path) -> tuple[Any, dict[str, Any]]:
    parts = [found[1] for key in held if (found := _MEDMNIST.fullmatch(key))]
    if parts:
        labels = [held.get(f"{part}_labels") for part in parts]
        columns: dict[str, Any] = {
            "split": [part for part in parts for _ in range(len(held[f"{part}_images"]))],
        }
        if all(one is not None and one.size == len(one) for one in labels):
            columns["label"] = np.concatenate([one.ravel() for one in labels if one is not None]).tolist()
        return np.concatenate([held[f"{part}_images"] for part in parts]), columns
    pictures = [key for key, values in held.items() if values.ndim in (3, 4)]
    if len(pictures) != 1:
        raise ImageError(
            f"{path} holds the arrays {', '.join(held) or 'none'}; expected one of pictures, (image, y, x, 3), and "
            "columns of one value per picture beside it."
        )
    count = len(held[pictures[0]])
    columns = {key: values.tolist() for key, values in held.items() if values.ndim == 1 and len(values) == count}
    if "ids" in columns and "image" not in columns:
        columns["image"] = columns.pop("ids")
    return held[pictures[0]], columns
