"""Reads blocks of stored arrays straight from their files, each byte checked. The store stays plain Zarr.

A chunk whose codecs are bytes and CRC32C is the array's own bytes and four bytes of checksum, so it can be read into
place at the disk's speed (zarr: 0.3 to 0.6 of it), and its rows alone. Any other chunk is decoded whole, by zarr.
"""

from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from google_crc32c import value as crc32c
from numpy.typing import NDArray

from vfs_panel.errors import StoreError
from vfs_panel.features import layout
from vfs_panel.features.files import Files, Identity, Piece, UnreadableError, first_words


class Names(Protocol):
    """Ids by row."""

    def __getitem__(self, row: int) -> str: ...


class BlockReader:
    """Reads one layer's features, by blocks, slices or scattered rows, from several threads at once.

    The checksum covers a whole block, so a block is read whole the first time. After that its rows are read alone, as
    long as the file is the one that was checked; where the place cannot tell, each row is compared with a checksum of
    its own, taken when the block was whole.

    Parameters
    ----------
    files : the files of the store.
    layer : the layer's name.
    features : its opened `features` array.
    records : its opened `committed` array.
    committed : int64, what that array said when the store was opened: one commit record per block.
    names : gives the id of a row, for messages.
    """

    def __init__(
        self, files: Files, layer: str, features: Any, records: Any, committed: NDArray[np.int64], names: Names
    ) -> None:
        self._files, self._layer, self._array, self._records = files, layer, features, records
        self.committed, self._names = committed, names
        self._shape, self._dtype = features.shape, np.dtype(features.dtype)
        self.block_rows = int((features.shards or features.chunks)[0])
        self._row_bytes = int(np.prod(self._shape[1:])) * self._dtype.itemsize
        codecs = [type(codec).__name__ for codec in features.compressors]
        self._plain = (
            codecs == ["Crc32cCodec"]
            and not features.filters
            and features.shards is None
            and features.chunks[1:] == features.shape[1:]
            and self._dtype.isnative
        )
        self._checked: dict[int, Identity | list[int]] = {}

    @property
    def rows_alone(self) -> bool:
        """Whether a row can be read without decoding its whole block."""
        return self._plain and self._files.ranges

    def read(self, rows: slice) -> NDArray[Any]:
        """Return features (n, channel, y, x) of these rows in the stored type.

        Raises
        ------
        StoreError
            If a block was never written, is missing, cut short, has a flipped bit, or is not the one that was there
            when the store was opened; names its pictures.
        """
        out = np.empty((rows.stop - rows.start, *self._shape[1:]), self._dtype)
        if not len(out):
            return out
        alone = []
        for block in range(rows.start // self.block_rows, -(-rows.stop // self.block_rows)):
            first = block * self.block_rows
            start, stop = max(rows.start, first), min(rows.stop, first + self._span(block))
            at = slice(start - rows.start, stop - rows.start)
            if stop - start == self._span(block):
                self._whole(block, out[at])
            elif self.rows_alone and block in self._checked:
                alone.append((block, at))
            else:
                out[at] = self._whole(block)[start - first : stop - first]
        self._read_alone(alone, np.arange(rows.start, rows.stop), out)
        return out

    def read_rows(self, rows: NDArray[np.integer[Any]]) -> NDArray[Any]:
        """Return features (n, channel, y, x) of scattered rows, in their order and in the stored type.

        Where rows can be read alone, no others are, once their block was checked; neighbours are read together.

        Raises
        ------
        StoreError
            As `read` does.
        """
        order = np.argsort(rows, kind="stable")
        ascending = rows[order]
        out = np.empty((len(rows), *self._shape[1:]), self._dtype)
        blocks = ascending // self.block_rows
        alone = []
        edges = [0, *(np.flatnonzero(np.diff(blocks)) + 1).tolist(), len(rows)] if len(rows) else [0]
        for start, stop in pairwise(edges):
            block = int(blocks[start])
            if self.rows_alone and block in self._checked:
                alone.append((block, slice(start, stop)))
            else:
                out[start:stop] = self._whole(block)[ascending[start:stop] - block * self.block_rows]
        self._read_alone(alone, ascending, out)
        if (rows == ascending).all():
            return out
        given = np.empty_like(out)
        given[order] = out
        return given

    def _read_alone(self, places: list[tuple[int, slice]], rows: NDArray[np.integer[Any]], out: NDArray[Any]) -> None:
        """Read rows of checked blocks into place.

        Parameters
        ----------
        places : blocks, and which of `rows` and of `out` are theirs.
        rows : ascending.
        """
        if not places:
            return
        bytes_out = memoryview(out.reshape(-1).view(np.uint8))
        runs: list[tuple[int, slice, slice]] = []
        pieces = []
        for block, at in places:
            breaks = np.flatnonzero(np.diff(rows[at]) != 1) + 1
            for start, stop in pairwise([at.start, *(breaks + at.start).tolist(), at.stop]):
                runs.append((block, at, slice(start, stop)))
                first = (int(rows[start]) - block * self.block_rows) * self._row_bytes
                into = bytes_out[start * self._row_bytes : stop * self._row_bytes]
                pieces.append(Piece(self._file(block), first, into))
        try:
            identities = self._files.pieces(pieces)
        except UnreadableError as error:
            raise self.error(places[0][0], error.what, error.mend) from None
        doubtful = {
            block: at
            for (block, at, run), identity in zip(runs, identities, strict=True)
            if not self._is_as_checked(block, identity, rows[run], out[run])
        }
        for block, at in doubtful.items():
            out[at] = self._whole(block)[rows[at] - block * self.block_rows]

    def _is_as_checked(
        self, block: int, identity: Identity | None, rows: NDArray[np.integer[Any]], values: NDArray[Any]
    ) -> bool:
        known = self._checked[block]
        if isinstance(known, tuple):
            return identity == known
        return self._row_checks(values) == [known[row] for row in (rows - block * self.block_rows).tolist()]

    def _row_checks(self, values: NDArray[Any]) -> list[int]:
        return [int(crc32c(row)) for row in values.reshape(len(values), -1).view(np.uint8)]

    def _file(self, block: int) -> str:
        return layout.chunk_name(self._layer, "features", block, len(self._shape))

    def _span(self, block: int) -> int:
        return min(self.block_rows, int(self._shape[0]) - block * self.block_rows)

    @property
    def _size(self) -> int:
        """Bytes of a block's file."""
        return int(self.block_rows * self._row_bytes + 4)

    def _whole(self, block: int, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Read a block and check it against its commit record."""
        if self.committed[block] == layout.NOT_COMMITTED:
            raise self.error(block, "was never written")
        if out is None:
            out = np.empty((self._span(block), *self._shape[1:]), self._dtype)
        identity = None
        try:
            if self._plain:
                view = memoryview(out.reshape(-1).view(np.uint8))
                record, identity = self._files.block(self._file(block), self._size, view)
            else:
                out[:] = self._decoded(block)
                record = layout.block_crc(out)
            if record != self.committed[block]:
                raise UnreadableError("is damaged: its checksum does not agree")
        except UnreadableError as error:
            raise self._fault(block, error) from None
        self._checked[block] = identity or (self._row_checks(out) if self.rows_alone else [])
        return out

    def _decoded(self, block: int) -> NDArray[Any]:
        first = block * self.block_rows
        rows = slice(first, first + self._span(block))
        (array,), missing = self._files.loaded([self._array], rows)
        if missing:
            raise UnreadableError("is missing")
        try:
            return np.asarray(array[rows])
        except Exception as error:  # codecs raise what they like on damaged bytes
            raise UnreadableError(f"cannot be decoded ({first_words(error)})") from None

    def check(self, block: int) -> NDArray[Any]:
        """Return a block's features once every byte of its file is checked, its padding and checksum included.

        Raises
        ------
        StoreError
            As `read` does.
        """
        if not self._plain or self.committed[block] == layout.NOT_COMMITTED:
            return self._whole(block)
        try:
            data = self._files.whole(self._file(block), self._size)
            if len(data) != self._size:
                raise UnreadableError(f"has {len(data)} bytes instead of {self._size}")
            used = data[: self._span(block) * self._row_bytes]
            own = int.from_bytes(data[-4:].tobytes(), "little")
            if crc32c(used) != self.committed[block] or crc32c(data[:-4]) != own:
                raise UnreadableError("is damaged: its checksum does not agree")
        except UnreadableError as error:
            raise self._fault(block, error) from None
        values: NDArray[Any] = used.view(self._dtype).reshape(self._span(block), *self._shape[1:])
        return values

    def _fault(self, block: int, error: UnreadableError) -> StoreError:
        """Return the error for a block that is not as its commit record says: is it damaged, or another store's?"""
        if not error.mend and (block in self._checked or self._recorded(block) != self.committed[block]):
            return StoreError(
                f"{self._files.path} has changed since it was opened; open it again. Block {block} of layer "
                f"{self._layer!r} ({self._pictures(block)}) {error.what}."
            )
        return self.error(block, error.what, error.mend)

    def _recorded(self, block: int) -> int:
        """Return what a block's commit record says now; what it said at first, if it cannot be read."""
        try:
            (array,), _ = self._files.loaded([self._records], slice(block, block + 1))
            return int(array[block])
        except (UnreadableError, ValueError, OSError, RuntimeError):
            return int(self.committed[block])

    def error(self, block: int, what: str, mend: str = "") -> StoreError:
        """Return the error for a block, which names its pictures."""
        return StoreError(
            f"{self._files.path}: block {block} of layer {self._layer!r} {what} ({self._pictures(block)}). "
            + (mend or f"Run: vfs-panel verify {self._files.path}")
        )

    def _pictures(self, block: int) -> str:
        first = block * self.block_rows
        last = first + self._span(block) - 1
        try:
            return f"pictures {self._names[first]} to {self._names[last]}"
        except StoreError:  # the index is gone, or damaged too
            return f"rows {first} to {last}"
