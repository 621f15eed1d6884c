"""Reads blocks of stored arrays straight from their files, each byte checked. The store stays plain Zarr.

A chunk whose codecs are bytes and CRC32C is the array's own bytes and four bytes of checksum, so it can be read into
place at the disk's speed (zarr: 0.3 to 0.6 of it). Any other chunk goes through zarr.
"""

import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from google_crc32c import value as crc32c
from numpy.typing import NDArray

from vfs_panel.errors import StoreError
from vfs_panel.features import layout


class BlockReader:
    """Reads one layer's features, block by block or in part.

    Parameters
    ----------
    store : path of the store, on a local disk.
    layer : the layer's name.
    array : its opened `features` array.
    committed : int64, one commit record per block.
    names : picture ids, for messages.
    """

    def __init__(
        self, store: Path, layer: str, array: "zarr.Array[Any]", committed: NDArray[np.int64], names: NDArray[Any]
    ) -> None:
        self._store, self._layer, self._array, self.committed = store, layer, array, committed
        self._names = names
        self._shape, self._dtype = array.shape, np.dtype(array.dtype)
        self.block_rows = int(array.chunks[0])
        self._row_bytes = int(np.prod(self._shape[1:])) * self._dtype.itemsize
        codecs = [type(codec).__name__ for codec in array.compressors]
        self._plain = codecs == ["Crc32cCodec"] and not array.filters and self._dtype.isnative
        self._checked: set[int] = set()
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

    def _span(self, block: int) -> int:
        return min(self.block_rows, int(self._shape[0]) - block * self.block_rows)

    def _read_block(self, block: int, part: slice, out: NDArray[Any]) -> None:
        if self.committed[block] == layout.NOT_COMMITTED:
            raise self.error(block, "was never written")
        whole = part == slice(0, self._span(block))
        with self._mutex:
            checked = block in self._checked
        if not whole and not checked:
            # The checksum covers the whole block: check it once, then read parts of it on their own.
            out[:] = self._whole(block)[part]
        elif whole:
            self._whole(block, out)
        elif self._plain:
            self._from_file(block, part.start, out)
        else:
            out[:] = self._through_zarr(block)[part]

    def _whole(self, block: int, out: NDArray[Any] | None = None) -> NDArray[Any]:
        if out is None:
            out = np.empty((self._span(block), *self._shape[1:]), self._dtype)
        if self._plain:
            self._from_file(block, 0, out)
        else:
            out[:] = self._through_zarr(block)
        if layout.block_crc(out) != self.committed[block]:
            raise self.error(block, "is damaged: its checksum does not agree")
        with self._mutex:
            self._checked.add(block)
        return out

    def _from_file(self, block: int, start: int, out: NDArray[Any]) -> None:
        file = layout.chunk_file(self._store, self._layer, "features", block, len(self._shape))
        try:
            size = file.stat().st_size
            if size != self.block_rows * self._row_bytes + 4:
                raise self.error(block, f"has {size} bytes instead of {self.block_rows * self._row_bytes + 4}")
            view = memoryview(out.reshape(-1).view(np.uint8))
            with open(file, "rb", buffering=0) as handle:
                handle.seek(start * self._row_bytes)
                done = 0
                while done < len(view):
                    got = handle.readinto(view[done:])
                    if not got:
                        raise self.error(block, "ends too early")
                    done += got
        except FileNotFoundError:
            raise self.error(block, "is missing") from None
        except OSError as error:
            raise self.error(block, f"cannot be read ({os.strerror(error.errno or 0)})") from None

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
            data = layout.chunk_file(self._store, self._layer, "features", block, len(self._shape)).read_bytes()
            if crc32c(data[:-4]) != int.from_bytes(data[-4:], "little"):
                raise self.error(block, "is damaged: its checksum does not agree")
        return values

    def error(self, block: int, what: str) -> StoreError:
        """Return the error for a block, which names its pictures."""
        first = block * self.block_rows
        last = first + self._span(block) - 1
        return StoreError(
            f"{self._store}: block {block} of layer {self._layer!r} {what} (pictures {self._names[first]} to "
            f"{self._names[last]}). Run: vfs-panel verify {self._store}"
        )
