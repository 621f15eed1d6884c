"""Pictures through a network into a store: several layers in one pass, resumable at every block."""

import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from vfs_panel.errors import ImageError, StoreError
from vfs_panel.features import layout
from vfs_panel.features.files import folder_to_write
from vfs_panel.features.packing import pack
from vfs_panel.features.spec import FeatureSpec
from vfs_panel.features.store import FeatureStore
from vfs_panel.features.writer import StoreWriter
from vfs_panel.images.dataset import ImageDataset
from vfs_panel.images.preprocessing import Preprocessing
from vfs_panel.models import Extractor, Network, load_network
from vfs_panel.settings import settings

if TYPE_CHECKING:
    from torch import nn

log = logging.getLogger(__name__)
Progress = Callable[[int, int], None]
_AHEAD = 3  # batches that are decoded while the network is busy


def extract(
    model: "str | nn.Module | Network",
    images: ImageDataset | Path | str,
    *,
    layers: Iterable[str],
    out: Path | str,
    weights: Path | str | None = None,
    strict: bool = True,
    preprocessing: Preprocessing | None = None,
    dtype: str = "float16",
    labels: Path | str | None = None,
    domain: str = "parent",
    batch_size: int | None = None,
    device: str | None = None,
    on_error: str = "skip",
    progress: Progress | None = None,
) -> FeatureStore:
    """Compute features of pictures and keep them in a store.

    A run that was stopped, even by kill -9 or a full disk, goes on at the block where it stopped when it is called
    again in the same way. Layers of the same network can be added to a store later.

    Parameters
    ----------
    model : a network's name, any nn.Module, or a loaded Network.
    images : a set of pictures, or a folder of them (see `ImageDataset.from_folder`).
    layers : names of layers whose outputs are grids; all are taken from one pass.
    out : where the store is, or will be.
    weights, strict, preprocessing : as in `load_network`.
    dtype : "float16" or "float32", as stored.
    labels, domain : as in `ImageDataset.from_folder`, where `images` is a folder.
    batch_size, device : by default the settings VFS_BATCH_SIZE and VFS_DEVICE.
    on_error : "skip" marks a picture that cannot be read as broken and goes on; "stop" raises.
    progress : called with (pictures done, pictures in all).

    Returns
    -------
    FeatureStore, opened.

    Raises
    ------
    ImageError, NetworkError, LayerError, StoreError
    """
    if dtype not in layout.DTYPES:
        raise StoreError(f"dtype is {dtype!r}; expected one of {', '.join(layout.DTYPES)}.")
    if on_error not in ("skip", "stop"):
        raise ImageError(f"on_error is {on_error!r}; expected 'skip' or 'stop'.")
    network = load_network(model, weights=weights, strict=strict, preprocessing=preprocessing)
    if not isinstance(images, ImageDataset):
        images = ImageDataset.from_folder(images, domain=domain, labels=labels)
    if not len(images):
        raise ImageError(f"{images.name} holds no picture.")
    # Sorted by domain, then label, so that a selection of either is a few slices.
    index = images.table.sort_values(["domain", "label"], kind="stable")
    input_px = _input_px(images, network.preprocessing, [str(i) for i in index.index])
    wanted = list(dict.fromkeys(layers))
    with Extractor(network, wanted, device=device or settings().device, input_px=input_px) as extractor:
        specs = {layer: _spec(network, layer, extractor.grids[layer], input_px, dtype) for layer in wanted}
        block_rows = max(1, min(len(index), int(settings().block_mb * 1e6 / max(s.nbytes for s in specs.values()))))
        with StoreWriter(folder_to_write(out), index, specs, block_rows=block_rows, pictures=images.folder) as writer:
            run = _Run(images, [str(i) for i in index.index], extractor, writer, dtype, on_error, progress)
            run.all(batch_size or settings().batch_size)
            writer.finish()
    return FeatureStore(out)


def _spec(
    network: Network, layer: str, grid: tuple[int, int, int], input_px: tuple[int, int], dtype: str
) -> FeatureSpec:
    return FeatureSpec(
        network=network.name, weights=network.weights, weights_sha256=network.weights_sha256, layer=layer,
        preprocessing=network.preprocessing, input_px=input_px, grid=grid, dtype=dtype,
    )  # fmt: skip


def _input_px(images: ImageDataset, preprocessing: Preprocessing, ids: Sequence[str]) -> tuple[int, int]:
    """Return the network's input size: fixed by the preprocessing, or that of the first picture that can be read."""
    if preprocessing.crop_px is not None:
        return preprocessing.crop_px
    problem: ImageError | None = None
    for image_id in ids[:20]:
        try:
            return preprocessing.input_px(*images.rgb(image_id).shape[:2])
        except ImageError as error:
            problem = error
    raise problem or ImageError(f"{images.name} holds no picture.")


class _Run:
    """One run of an extraction: readers ahead, the network in the middle, a writer behind."""

    def __init__(
        self, images: ImageDataset, ids: list[str], extractor: Extractor, writer: StoreWriter, dtype: str,
        on_error: str, progress: Progress | None,
    ) -> None:  # fmt: skip
        self.images, self.ids, self.extractor, self.writer = images, ids, extractor, writer
        self.dtype, self.on_error, self.progress = dtype, on_error, progress
        self._input_px: tuple[int, int] = next(iter(writer.specs.values())).input_px

    def all(self, batch_size: int) -> None:
        """Write every block that is missing."""
        todo = self.writer.missing()
        done = len(self.ids) - sum(self.writer.blocks[b].stop - self.writer.blocks[b].start for b in todo)
        self._say(done)
        readers = ThreadPoolExecutor(max(2, min(8, os.cpu_count() or 2)), thread_name_prefix="vfs-decode")
        behind = ThreadPoolExecutor(1, thread_name_prefix="vfs-write")
        writing: Future[None] | None = None
        try:
            batches = self._batches(readers, todo, batch_size)
            for block in todo:
                rows = self.writer.blocks[block]
                packed, broken = self._block(rows, batches, done)
                done += rows.stop - rows.start
                if writing is not None:
                    writing.result()  # at most one block waits: memory stays bounded, and a full disk is met soon
                writing = behind.submit(self._write, block, packed, broken)
            if writing is not None:
                writing.result()
        finally:
            readers.shutdown(wait=True, cancel_futures=True)
            behind.shutdown(wait=True)

    def _say(self, done: int) -> None:
        if self.progress is not None:
            self.progress(done, len(self.ids))

    def _read(self, row: int) -> NDArray[np.float32] | ImageError:
        preprocessing = self.extractor.network.preprocessing
        try:
            values = preprocessing.array(self.images.rgb(self.ids[row]))
        except ImageError as error:
            return error
        if values.shape[1:] != self._input_px:
            return ImageError(
                f"Picture {self.ids[row]} is {values.shape[2]}×{values.shape[1]} pixels for the network, others "
                f"{self._input_px[1]}×{self._input_px[0]}. Give a preprocessing that resizes or crops to one size."
            )
        return values

    def _batches(
        self, readers: ThreadPoolExecutor, todo: list[int], batch_size: int
    ) -> Iterator[tuple[range, list[NDArray[np.float32] | ImageError]]]:
        """Yield (rows, inputs) in order, with some batches decoding ahead. No batch crosses a block."""
        spans = [
            range(start, min(start + batch_size, self.writer.blocks[b].stop))
            for b in todo
            for start in range(self.writer.blocks[b].start, self.writer.blocks[b].stop, batch_size)
        ]
        ahead: deque[tuple[range, list[Future[NDArray[np.float32] | ImageError]]]] = deque()
        for span in spans:
            ahead.append((span, [readers.submit(self._read, row) for row in span]))
            if len(ahead) > _AHEAD:
                rows, coming = ahead.popleft()
                yield rows, [future.result() for future in coming]
        for rows, coming in ahead:
            yield rows, [future.result() for future in coming]

    def _block(
        self, rows: slice, batches: Iterator[tuple[range, list[NDArray[np.float32] | ImageError]]], done: int
    ) -> tuple[dict[str, tuple[NDArray[Any], NDArray[np.float32]]], list[int]]:
        count = rows.stop - rows.start
        packed: dict[str, tuple[NDArray[Any], NDArray[np.float32]]] = {}
        for layer, spec in self.writer.specs.items():
            packed[layer] = (np.zeros((count, *spec.grid), spec.dtype), np.zeros((count, *spec.grid[1:]), np.float32))
        broken: list[int] = []
        filled = 0
        while filled < count:
            span, inputs = next(batches)
            good = []
            for row, value in zip(span, inputs, strict=True):
                if isinstance(value, ImageError):
                    if self.on_error == "stop":
                        raise value
                    log.warning("Skipped %s: %s", self.ids[row], value)
                    broken.append(row)
                else:
                    good.append((row, value))
            if good:
                outputs = self.extractor(torch.from_numpy(np.stack([value for _, value in good])))
                at = [row - rows.start for row, _ in good]
                names = [self.ids[row] for row, _ in good]
                for layer, values in outputs.items():
                    stored, norm2 = pack(values, self.dtype, names, layer)
                    packed[layer][0][at], packed[layer][1][at] = stored, norm2
            filled += len(span)
            self._say(done + filled)
        return packed, broken

    def _write(
        self, block: int, packed: dict[str, tuple[NDArray[Any], NDArray[np.float32]]], broken: list[int]
    ) -> None:
        self.writer.mark_broken(broken)
        self.writer.write_block(block, {k: v[0] for k, v in packed.items()}, {k: v[1] for k, v in packed.items()})
