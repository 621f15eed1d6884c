"""CIFAR-10's binary batches as a set of pictures: fixed-size records, so nothing in them is unpickled."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vfs_panel.errors import ImageError
from vfs_panel.images.listing import Listing

SIDE_PX = 32
_RECORD = 1 + 3 * SIDE_PX * SIDE_PX  # the label's byte, then red, green and blue planes
_CLASSES = "batches.meta.txt"


class BatchReader:
    """Reads pictures out of the batches, which stay on the disk. The files are opened again where this is unpickled.

    Parameters
    ----------
    files : the batches, by what picture ids start with.
    """

    def __init__(self, files: dict[str, Path]) -> None:
        self.files = files
        self._open: dict[str, NDArray[np.uint8]] = {}

    def __call__(self, image_id: str) -> NDArray[np.uint8]:
        """Return a picture as uint8 RGB, shape (32, 32, 3)."""
        batch, _, row = image_id.rpartition("/")
        record = self.records(batch)[int(row)]
        return np.ascontiguousarray(record[1:].reshape(3, SIDE_PX, SIDE_PX).transpose(1, 2, 0))

    def records(self, batch: str) -> NDArray[np.uint8]:
        """Return the records of a batch, shape (image, byte)."""
        if batch not in self._open:
            file = self.files[batch]
            size = file.stat().st_size
            if not size or size % _RECORD:
                raise ImageError(f"{file} has {size} bytes, which are no whole records of {_RECORD}. Get it again.")
            self._open[batch] = np.memmap(file, np.uint8, "r", shape=(size // _RECORD, _RECORD))
        return self._open[batch]

    def __getstate__(self) -> dict[str, Any]:
        return {"files": self.files, "_open": {}}


def cifar_listing(folder: Path | str, *, name: str) -> Listing:
    """List the pictures of CIFAR-10's binary version: ids such as "test/00042", with label and split.

    Parameters
    ----------
    folder : holds data_batch_1.bin and others, test_batch.bin and batches.meta.txt.
    name : what people call the set.

    Raises
    ------
    ImageError
        If a file is missing or is no batch.
    """
    root = Path(folder)
    train = sorted(root.glob("data_batch_*.bin"))
    files = {f"train-{file.stem.rpartition('_')[2]}": file for file in train}
    if (root / "test_batch.bin").is_file():
        files["test"] = root / "test_batch.bin"
    try:
        classes = [line for line in (root / _CLASSES).read_text("utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError):
        classes = []
    if not files or not classes:
        missing = "batches of pictures (data_batch_1.bin)" if not files else f"{_CLASSES}, the names of its classes"
        raise ImageError(f"Folder {root} holds no {missing}. Expected the binary version of CIFAR-10.")
    reader, rows = BatchReader(files), []
    for batch, file in files.items():
        targets = np.asarray(reader.records(batch)[:, 0])
        if int(targets.max()) >= len(classes):
            raise ImageError(f"{file} has class {targets.max()}, but {_CLASSES} names {len(classes)}. Get it again.")
        split = batch.partition("-")[0]
        rows += [(f"{batch}/{row:05d}", classes[target], split) for row, target in enumerate(targets)]
    table = pd.DataFrame(rows, columns=["image", "label", "split"]).set_index("image")
    return Listing(table, reader, name)
