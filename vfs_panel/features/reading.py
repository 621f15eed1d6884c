"""Reads blocks of stored arrays straight from their files, each byte checked. The store stays plain Zarr.

A chunk whose codecs are bytes and CRC32C is the array's own bytes and four bytes of checksum, so it can be read into
place at the disk's speed (zarr: 0.3 to 0.6 of it). Any other chunk goes through zarr.
"""

import threading
from typing import Any

import numpy as np
import zarr
from google_crc32c import value as crc32c
from numpy.typing import NDArray

from vfs_panel.errors import StoreError
from vfs_panel.features import layout
from vfs_panel.features.files import Files


class BlockReader:
    """Reads one layer's features, block by block or in part.

    Parameters
    ----------
    files : the files of the store.
    layer : the layer's name.
    array : its opened `features` array.
    committed : int64, one commit record per block.
    names : picture ids, for messages.
    """

    def __init__(
        self, files: Files, layer: str, array: "zarr.Array[Any]", committed: NDArray[np.int64], names: NDArray[Any]
    ) -> None:
        self._files, self._layer, self._array, self.committed = files, layer, array, committed
        self._names = names
        self._shape, self._dtype = array.shape, np.dtype(array.dtype)
        self.block_rows = int(array.chunks[0])
        self._row_bytes = int(np.prod(self._shape[1:])) * self._dtype.itemsize
        codecs = [type(codec).__name__ for codec in array.compressors]
        self._plain = codecs == ["Crc32cCodec"] and not array.filters and self._dtype.isnative
        self._checked: dict[int, tuple[object, ...]] = {}
        self._mutex = threading.Lock()

    def read(self, rows: slice) -> NDArray[Any]:
        """Return features (n, channel, y, x) of these rows in the stored type.

        Raises
        ------
        StoreError
            If a block was never written, is missing, cut short, or has a flipped bit; names its pictures.
        """
        out = np.empty((rows.stop - rows.start, *self._shape[1:]), self._dtype)
        for block in range(rows.start // self.block_rows, -(-rows.stop // self.block_rows)):
            first = block * self.block_rows
            start, stop = max(rows.start, first), min(rows.stop, first + self.block_rows)
            self._read_block(block, slice(start - first, stop - first), out[start - rows.start : stop - rows.start])
        return out

    def read_rows(self, rows: NDArray[np.integer[Any]]) -> NDArray[Any]:
        """Return features (n, channel, y, x) of scattered rows, in their order and in the stored type.

        Where the store is plain, only these rows are read; neighbours are read together.

        Raises
        ------
        StoreError
            As `read` does.
        """
        out = np.empty((len(rows), *self._shape[1:]), self._dtype)
        order = np.argsort(rows, kind="stable")
        blocks = rows[order] // self.block_rows
        for block in np.unique(blocks).tolist():
            at = order[blocks == block]
            self._read_scattered(block, rows[at] - block * self.block_rows, at, out)
        return out

    def _read_scattered(
        self, block: int, rows: NDArray[np.integer[Any]], at: NDArray[np.intp], out: NDArray[Any]
    ) -> None:
        """Read rows of one block, ascending, into the places `at` of `out`."""
        if self.committed[block] == layout.NOT_COMMITTED:
            raise self.error(block, "was never written")
        if not self.rows_alone or not self._is_checked(block):
            out[at] = self._whole(block)[rows]
            return
        runs = np.split(np.arange(len(rows)), np.flatnonzero(np.diff(rows) != 1) + 1)
        values = [np.empty((len(run), *self._shape[1:]), self._dtype) for run in runs]
        self._fill(block, [(int(rows[run[0]]), part) for run, part in zip(runs, values, strict=True)])
        for run, part in zip(runs, values, strict=True):
            out[at[run]] = part

    @property
    def rows_alone(self) -> bool:
        """Whether a row can be read without reading its whole block."""
        return self._plain

    def _is_checked(self, block: int) -> bool:
        """Whether a block was checked, and its file is still the one that was."""
        with self._mutex:
            known = self._checked.get(block)
        return known is not None and (not self._plain or known == self._identity(block))

    def _file(self, block: int) -> str:
        return layout.chunk_name(self._layer, "features", block, len(self._shape))

    def _identity(self, block: int) -> tuple[object, ...]:
        return self._files.identity(self._file(block))

    def _span(self, block: int) -> int:
        return min(self.block_rows, int(self._shape[0]) - block * self.block_rows)

    def _read_block(self, block: int, part: slice, out: NDArray[Any]) -> None:
        if self.committed[block] == layout.NOT_COMMITTED:
            raise self.error(block, "was never written")
        whole = part == slice(0, self._span(block))
        if not whole and not self._is_checked(block):
            # The checksum covers the whole block: check it once, then read parts of it on their own.
            out[:] = self._whole(block)[part]
        elif whole:
            self._whole(block, out)
        elif self._plain:
            self._fill(block, [(part.start, out)])
        else:
            out[:] = self._through_zarr(block)[part]

    def _whole(self, block: int, out: NDArray[Any] | None = None) -> NDArray[Any]:
        if out is None:
            out = np.empty((self._span(block), *self._shape[1:]), self._dtype)
        identity = self._identity(block)
        if self._plain:
            self._fill(block, [(0, out)])
        else:
            out[:] = self._through_zarr(block)
        if layout.block_crc(out) != self.committed[block]:
            with self._mutex:
                before = self._checked.get(block, identity)
            if before != identity:
                raise self.error(block, "has changed since the store was opened: open it again. If that does not help")
            raise self.error(block, "is damaged: its checksum does not agree")
        with self._mutex:
            self._checked[block] = identity
        return out

    def _fill(self, block: int, parts: list[tuple[int, NDArray[Any]]]) -> None:
        """Read rows of a block's file into arrays, each from its row on."""
        size = self.block_rows * self._row_bytes + 4
        flat = [(start * self._row_bytes, values.reshape(-1).view(np.uint8)) for start, values in parts]
        try:
            self._files.fill(self._file(block), size, flat)
        except StoreError as error:
            raise self.error(block, str(error)) from None

    def _through_zarr(self, block: int) -> NDArray[Any]:
        first = block * self.block_rows
        try:
            return np.asarray(self._array[first : first + self._span(block)])
        except Exception as error:  # codecs raise what they like on damaged bytes
            raise self.error(block, f"cannot be decoded ({str(error).splitlines()[0][:80]})") from None

    def check(self, block: int) -> NDArray[Any]:
        """Return a block's features once every byte of its file is checked, its padding and checksum included.

        Raises
        ------
        StoreError
            As `read` does.
        """
        values = self._whole(block)
        if self._plain:
            data = self._files.read(self._file(block))
            if crc32c(data[:-4]) != int.from_bytes(data[-4:], "little"):
                raise self.error(block, "is damaged: its checksum does not agree")
        return values

    def error(self, block: int, what: str) -> StoreError:
        """Return the error for a block, which names its pictures."""
        first = block * self.block_rows
        last = first + self._span(block) - 1
        return StoreError(
            f"{self._files.path}: block {block} of layer {self._layer!r} {what} (pictures {self._names[first]} to "
            f"{self._names[last]}). Run: vfs-panel verify {self._files.path}"
        )
