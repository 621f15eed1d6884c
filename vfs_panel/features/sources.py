"""Features that lie elsewhere, read by rows: arrays in memory, or in files that memory does not hold.

The order of a store's rows is not that of the source, and a chunk of a file is decoded whole, however few of its rows
are wanted. So rows are gathered for many blocks of the store at once, each chunk being read once for all of them.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from vfs_panel.errors import StoreError
from vfs_panel.features.files import first_words

UNDIVIDED_MB = 8.0  # read at a time where a source says nothing of its chunks
AXES = ("image", "channel", "y", "x")
TOKEN_AXES = ("image", "token", "channel")


@dataclass(frozen=True, slots=True)
class Source:
    """One layer's features in another place.

    Attributes
    ----------
    values : what `np.asarray(values[slice, …])` reads: a NumPy, Zarr, HDF5 or Dask array.
    called : for messages, as in "array 'layer4' of cache.zarr".
    axes : names of its axes, some order of `AXES` or of `TOKEN_AXES`.
    grid : (channel, y, x) of one picture.
    extra : how many tokens before the patches are dropped.
    """

    values: Any
    called: str
    axes: tuple[str, ...]
    grid: tuple[int, int, int]
    extra: int = 0
    kept: np.dtype[Any] = field(init=False)  # of what is gathered: float16 as it is, all else as float32

    def __post_init__(self) -> None:
        half = np.dtype(self.values.dtype).kind == "f" and np.dtype(self.values.dtype).itemsize == 2
        object.__setattr__(self, "kept", np.dtype(np.float16 if half else np.float32))

    def __len__(self) -> int:
        return int(self.values.shape[self.axes.index("image")])

    @property
    def row_bytes(self) -> int:
        """Bytes of one picture as they are gathered."""
        return int(np.prod(self.grid)) * self.kept.itemsize

    @property
    def chunk_rows(self) -> int:
        """How many pictures are read together: those of one chunk; 0 where each can be read alone."""
        if isinstance(self.values, np.ndarray):
            return 0
        chunks = getattr(self.values, "shards", None) or getattr(self.values, "chunks", None)
        if not chunks:
            return max(1, int(UNDIVIDED_MB * 1e6 / self.row_bytes))
        size = chunks[self.axes.index("image")]
        return int(max(size) if isinstance(size, tuple) else size)  # Dask's chunks have a size each

    def read(self, rows: slice | NDArray[np.intp]) -> NDArray[Any]:
        """Return features (n, channel, y, x) of some rows, of the type `kept`.

        Raises
        ------
        StoreError
            If they cannot be read; names the rows.
        """
        place = self.axes.index("image")
        try:
            found = np.asarray(self.values[(slice(None),) * place + (rows,)])
        except MemoryError:
            raise StoreError(
                f"A chunk of {self.called}, of {self.chunk_rows} pictures, does not fit into memory. "
                "Write it again with smaller chunks."
            ) from None
        except Exception as error:  # codecs and file formats raise what they like on damaged bytes
            start, stop = (rows.start, rows.stop) if isinstance(rows, slice) else (int(rows.min()), int(rows.max()) + 1)
            raise StoreError(
                f"Rows {start} to {stop - 1} of {self.called} cannot be read ({type(error).__name__}: "
                f"{first_words(error)}). Make it anew with the program that wrote it."
            ) from None
        with np.errstate(over="ignore", invalid="ignore"):  # what does not fit becomes infinite, and is named later
            found = found.astype(self.kept, copy=False)
        if "token" in self.axes:
            found = found.transpose([self.axes.index(name) for name in TOKEN_AXES])[:, self.extra :]
            channels, height, width = self.grid
            return found.reshape(len(found), height, width, channels).transpose(0, 3, 1, 2)
        return found.transpose([self.axes.index(name) for name in AXES])

    def gathered(self, rows: NDArray[np.intp], most_rows: int) -> NDArray[Any]:
        """Return features (n, channel, y, x) of scattered rows, in their order, each chunk being read once.

        Parameters
        ----------
        rows : which.
        most_rows : that are read at a time; a chunk of more pictures is read in several parts.
        """
        if not self.chunk_rows:
            return self.read(rows)
        out = np.empty((len(rows), *self.grid), self.kept)
        order = np.argsort(rows, kind="stable")
        ascending = rows[order]
        steps = ascending // max(1, min(self.chunk_rows, most_rows))
        edges = [0, *(np.flatnonzero(np.diff(steps)) + 1).tolist(), len(rows)] if len(rows) else [0]
        for start, stop in pairwise(edges):
            first, last = int(ascending[start]), int(ascending[stop - 1])
            out[order[start:stop]] = self.read(slice(first, last + 1))[ascending[start:stop] - first]
        return out


def in_memory_or_not(values: ArrayLike | Any) -> Any:
    """Return what can be sliced as it is, so that it is read by parts; anything else as an array."""
    if isinstance(values, np.ndarray):
        return values
    if isinstance(values, torch.Tensor):  # perhaps on a GPU, part of a graph, or of a type that NumPy has not
        values = values.detach().cpu()
        return np.asarray(values.float() if values.dtype == torch.bfloat16 else values)
    lazy = all(hasattr(values, name) for name in ("shape", "dtype", "__getitem__"))
    return values if lazy else np.asarray(values)


def groups_of_blocks(
    blocks: list[int], rows_of: Callable[[int], int], sources: Mapping[str, Source], held_bytes: float
) -> Iterator[list[int]]:
    """Yield blocks of a store that are gathered together: as many as `held_bytes` allow, at least one.

    Parameters
    ----------
    blocks : which are to be written.
    rows_of : block -> how many pictures it has.
    """
    row_bytes = sum(source.row_bytes for source in sources.values())
    alone = all(not source.chunk_rows for source in sources.values())
    group: list[int] = []
    held = 0
    for block in blocks:
        size = rows_of(block) * row_bytes
        if group and (alone or held + size > held_bytes):
            yield group
            group, held = [], 0
        group.append(block)
        held += size
    if group:
        yield group
