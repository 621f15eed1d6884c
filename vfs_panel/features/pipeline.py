"""Pictures through a network, block by block: readers ahead, networks in the middle, a writer behind, all at once."""

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from queue import SimpleQueue
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vfs_panel.cores import cores
from vfs_panel.errors import ImageError
from vfs_panel.features import layout
from vfs_panel.features.allocation import memory_kept
from vfs_panel.features.packing import Packed, pack
from vfs_panel.features.spec import FeatureSpec
from vfs_panel.features.store import FeatureStore
from vfs_panel.images.dataset import ImageDataset
from vfs_panel.models import Extractor, to_input
from vfs_panel.settings import settings

log = logging.getLogger(__name__)
Progress = Callable[[int, int], None]
Frame = NDArray[np.uint8]
_AHEAD = 2  # batches that are read ahead, beside one for each network
_BLOCKS = 3  # that are in memory at once: one filled, one begun, one written


def batch_pictures(device: torch.device) -> int:
    """Return how many pictures go through a network at once, if nobody says."""
    return settings().batch_size or (64 if device.type == "cuda" else 16)


class Sink(Protocol):
    """What takes the blocks: a `StoreWriter`, or memory."""

    specs: dict[str, FeatureSpec]
    blocks: list[slice]

    def missing(self) -> list[int]:
        """Return the blocks that some layer lacks."""
        ...

    def claimed(self, while_waiting: Callable[[], None] | None = None) -> Iterator[int]:
        """Yield the blocks to make."""
        ...

    def write_block(self, block: int, packed: Mapping[str, Packed]) -> None:
        """Take a block of every layer."""
        ...

    def mark_broken(self, rows: Sequence[int]) -> None:
        """Take note of pictures that could not be read."""
        ...


class Block:
    """A block that is being filled: its arrays, and how many of its pictures are still to come."""

    def __init__(self, number: int, rows: slice, specs: Mapping[str, FeatureSpec]) -> None:
        self.number, self.specs = number, specs
        self.rows = rows
        self.left: int = rows.stop - rows.start
        self.broken: list[int] = []
        self.packed = {layer: layout.empty_arrays(self.left, spec.grid, spec.dtype) for layer, spec in specs.items()}

    def put(self, layer: str, rows: NDArray[np.intp], arrays: Packed) -> None:
        """Take what was computed for some rows of the store."""
        for name, values in arrays.items():
            self.packed[layer][name][rows - self.rows.start] = values


class Pipeline:
    """One run over the blocks that a sink lacks.

    Every stage has threads of its own: decoding a picture, a pass of a network on one core, and writing a file all let
    other Python threads run meanwhile.

    Parameters
    ----------
    images, ids : the pictures, and their order.
    extractors : equal ones, each used by one thread at a time.
    sink : what takes the blocks.
    on_error : "skip" or "stop".
    batch_size : pictures in a pass, by default `batch_pictures`; no batch crosses the end of a block.
    progress : called with (pictures done, pictures in all).
    known : a store that has the first pictures already, under the same layers and types.
    """

    def __init__(
        self,
        images: ImageDataset,
        ids: Sequence[str],
        extractors: Sequence[Extractor],
        sink: Sink,
        *,
        on_error: str,
        batch_size: int | None = None,
        progress: Progress | None = None,
        known: FeatureStore | None = None,
    ) -> None:
        self.images, self.ids, self.sink, self.known = images, ids, sink, known
        self.on_error, self.progress = on_error, progress
        self.batch_size = batch_size or batch_pictures(extractors[0].device)
        self._count = len(extractors)
        self._free: SimpleQueue[Extractor] = SimpleQueue()
        for extractor in extractors:
            self._free.put(extractor)
        self._input_px = extractors[0].input_px
        self._preprocessing = extractors[0].network.preprocessing
        self._device = extractors[0].device
        self._lock = threading.Lock()
        self._done = 0
        self._writes: deque[Future[None]] = deque()

    def run(self) -> None:
        """Make every block that is missing.

        Raises
        ------
        ImageError, StoreError, NetworkError
            The first that any stage met. Blocks that were whole by then are kept.
        """
        with memory_kept() if self._device.type == "cpu" else nullcontext():
            self._run()

    def _run(self) -> None:
        spans = self.sink.blocks
        lacking = self.sink.missing()
        self._done = len(self.ids) - sum(spans[b].stop - spans[b].start for b in lacking)
        self._say(0)
        with (
            ThreadPoolExecutor(1, "vfs-write") as writing,
            ThreadPoolExecutor(self._count, "vfs-network", initializer=self._set_threads) as networks,
            ThreadPoolExecutor(max(2, cores()), "vfs-decode") as reading,
        ):
            passes: deque[Future[None]] = deque()

            def settle(most_passes: int, most_writes: int) -> None:
                while len(passes) > most_passes:
                    passes.popleft().result()
                while len(self._writes) > most_writes or (self._writes and self._writes[0].done()):
                    self._writes.popleft().result()

            self._writing = writing
            try:
                # While other processes' blocks are waited for, what fails here must still be met.
                for number in self.sink.claimed(lambda: settle(len(passes), len(self._writes))):
                    block = Block(number, spans[number], self.sink.specs)
                    start = self._take_known(block)
                    if block.left == 0:
                        self._hand_over(block)
                    for first in range(start, block.rows.stop, self.batch_size):
                        rows = range(first, min(first + self.batch_size, block.rows.stop))
                        frames = [reading.submit(self._read, row) for row in rows]
                        passes.append(networks.submit(self._pass, block, rows, frames))
                        settle(self._count + _AHEAD, _BLOCKS - 2)
                settle(0, 0)
                self._say(len(self.ids) - self._done)  # what other processes made is done, too
            except BaseException:
                # What is whole is still written; what has not begun is dropped.
                for executor in (reading, networks):
                    executor.shutdown(wait=False, cancel_futures=True)
                raise

    def _hand_over(self, block: Block) -> None:
        self._writes.append(self._writing.submit(self._write, block))

    def _set_threads(self) -> None:
        if self._device.type == "cpu":
            # Of operations started in this thread: networks side by side wait for each other less than threads within.
            torch.set_num_threads(cores() if self._count == 1 else 1)

    def _say(self, more: int) -> None:
        with self._lock:
            self._done += more
            if self.progress is not None:
                self.progress(min(self._done, len(self.ids)), len(self.ids))

    def _take_known(self, block: Block) -> int:
        """Fill in what another store has; return the first row that is left."""
        if self.known is None or block.rows.start >= self.known.n_images:
            return int(block.rows.start)
        stop = min(int(block.rows.stop), self.known.n_images)
        rows = np.arange(block.rows.start, stop)
        for layer in block.specs:
            block.put(layer, rows, self.known.packed(layer, rows))
        block.left -= len(rows)
        return stop

    def _read(self, row: int) -> Frame | ImageError:
        try:
            frame = self._preprocessing.frame(self.images.rgb(self.ids[row]))
        except ImageError as error:
            return error
        if frame.shape[:2] != self._input_px:
            return ImageError(
                f"Picture {self.ids[row]} is {frame.shape[1]}×{frame.shape[0]} pixels for the network, others "
                f"{self._input_px[1]}×{self._input_px[0]}. Give a preprocessing that resizes or crops to one size."
            )
        return frame

    def _pass(self, block: Block, rows: range, coming: Sequence[Future[Frame | ImageError]]) -> None:
        """Send a batch through a network, and hand its block over if it is whole now."""
        good, frames, broken = [], [], []
        for row, future in zip(rows, coming, strict=True):
            frame = future.result()
            if isinstance(frame, ImageError):
                if self.on_error == "stop":
                    raise frame
                log.warning("Skipped %s: %s", self.ids[row], frame)
                broken.append(row)
            else:
                good.append(row)
                frames.append(frame)
        if good:
            at, names = np.array(good, np.intp), [self.ids[row] for row in good]
            for layer, values in self._features(np.stack(frames)).items():
                block.put(layer, at, pack(values, block.specs[layer].dtype, names, layer))
        self._say(len(rows))
        with self._lock:
            block.broken += broken
            block.left -= len(rows)
            if block.left == 0:
                self._hand_over(block)

    def _features(self, frames: Frame) -> dict[str, Tensor]:
        extractor = self._free.get()
        try:
            return extractor.grids_of(to_input(frames, self._preprocessing, self._device))
        finally:
            self._free.put(extractor)

    def _write(self, block: Block) -> None:
        self.sink.mark_broken(block.broken)
        self.sink.write_block(block.number, block.packed)
