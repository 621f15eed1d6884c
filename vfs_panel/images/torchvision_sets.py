"""Datasets of torchvision, and others that give (picture, target) by row, as a set of pictures."""

import copy
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from vfs_panel.errors import ImageError
from vfs_panel.images.arrays import picture_rgb
from vfs_panel.images.listing import FileReader, Listing
from vfs_panel.images.metadata import columns_for, joined, text_column
from vfs_panel.images.quiet import quiet
from vfs_panel.images.reading import to_rgb

log = logging.getLogger(__name__)
# What torchvision's own datasets call these; a few keep them under a leading underscore.
_TARGETS = ("targets", "labels", "_labels", "y")
_CLASSES = ("classes", "categories", "pathologies")
_FILES = ("samples", "imgs", "_samples", "_image_files")
_TRANSFORMS = ("transform", "target_transform", "transforms")


def torchvision_listing(
    dataset: Any,
    *,
    image: Iterable[Any] | None,
    name: str | None,
    columns: Mapping[str, Any],
    findings: pd.DataFrame | None = None,
) -> Listing:
    """List the pictures of a dataset without reading one; `ImageDataset.from_torchvision`.

    Raises
    ------
    ImageError
        If it has no length or no rows, or a column has another number of values.
    """
    if not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
        raise ImageError(f"{type(dataset).__name__} cannot be read by row number. Give a dataset with a length.")
    count = len(dataset)
    called = name or type(dataset).__name__
    files = _files(dataset)
    root = _root(dataset)
    below = _below(files, root)
    ids = text_column(image) if image is not None else _ids(files, below, count)
    if len(ids) != count:
        raise ImageError(f"There are {len(ids)} ids for {count} pictures in {called}. Give one per picture.")
    targets = _targets(dataset)
    given = {key: value for key, value in columns.items() if value is not None}
    if targets is not None and targets.ndim == 2:  # several findings per picture
        names = _classes(dataset)
        if findings is None and names is not None and len(names) == targets.shape[1]:
            findings = pd.DataFrame(np.nan_to_num(targets.astype(float)) > 0, index=ids, columns=names)
            given.setdefault("label", joined(findings))
    elif targets is not None:
        given.setdefault("label", _label_texts(targets, _classes(dataset)))
    if below is not None and _reads_files_as_they_are(dataset):
        # Reading the file itself keeps what the dataset's loader would lose: 16 bits, EXIF turns, transparency.
        given["path"] = below
        table = pd.DataFrame(columns_for(count, given), index=ids)
        reader = FileReader(root, dict(zip(ids, below, strict=True)))
        return Listing(table, reader, called, folder=str(root), findings=findings)
    table = pd.DataFrame(columns_for(count, given), index=ids)
    return Listing(table, ItemReader(_plain(dataset), ids), called, findings=findings)


class ItemReader:
    """Reads pictures as the items of a dataset: PIL pictures, tensors (channel, y, x) or arrays (y, x, channel).

    Parameters
    ----------
    dataset : gives by row number a picture, (picture, target, …), or a mapping with "image" or "img".
    ids : one per row.
    """

    def __init__(self, dataset: Any, ids: list[str]) -> None:
        self.dataset = dataset
        self.rows = {image_id: row for row, image_id in enumerate(ids)}

    def __call__(self, image_id: str) -> NDArray[np.uint8]:
        """Return a picture as uint8 RGB, shape (y, x, 3)."""
        label = f"Picture {image_id}"
        try:
            with quiet():
                return item_rgb(self.dataset[self.rows[image_id]], label)
        except ImageError:
            raise
        except Exception as error:  # anybody's dataset may raise anything
            why = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
            raise ImageError(f"{label} cannot be read from {type(self.dataset).__name__}: {why}.") from None


def item_rgb(item: Any, label: str) -> NDArray[np.uint8]:
    """Turn an item of a dataset into uint8 RGB, shape (y, x, 3).

    Raises
    ------
    ImageError
        If there is no picture in it, or its values are no pixels.
    """
    if isinstance(item, Mapping):
        item = next((item[key] for key in ("image", "img", "pixel_values") if key in item), None)
    elif isinstance(item, list | tuple) and len(item):
        item = item[0]
    if isinstance(item, Image.Image):
        return to_rgb(item)
    is_tensor = hasattr(item, "detach") and hasattr(item, "numpy")
    if is_tensor:
        item = item.detach().cpu().numpy()
    if not isinstance(item, np.ndarray):
        raise ImageError(f"{label} is {type(item).__name__}; expected a PIL picture, a tensor or an array.")
    if item.ndim == 3 and item.shape[0] in (1, 3, 4) and (is_tensor or item.shape[2] not in (1, 3, 4)):
        item = np.moveaxis(item, 0, -1)
    return picture_rgb(item, label)


def _inner(dataset: Any) -> list[tuple[Any, Sequence[int] | None]]:
    """Return the datasets that a Subset or ConcatDataset is made of, with the rows taken (None for all)."""
    if hasattr(dataset, "dataset") and hasattr(dataset, "indices"):
        return [(dataset.dataset, [int(i) for i in dataset.indices])]
    if hasattr(dataset, "datasets") and hasattr(dataset, "cumulative_sizes"):
        return [(part, None) for part in dataset.datasets]
    return []


def _collected(dataset: Any, what: Any) -> list[Any] | None:
    """Collect a list with one entry per row from the parts of a dataset; None unless every part has it."""
    found: list[Any] = []
    for part, rows in _inner(dataset):
        values = what(part)
        if values is None:
            return None
        found += list(values) if rows is None else [values[row] for row in rows]
    return found


def _files(dataset: Any) -> list[str] | None:
    if _inner(dataset):
        return _collected(dataset, _files)
    for attribute in _FILES:
        held = getattr(dataset, attribute, None)
        if isinstance(held, list) and held and len(held) == len(dataset):
            files = [entry[0] if isinstance(entry, tuple | list) else entry for entry in held]
            if all(isinstance(file, str | Path) for file in files):
                return [str(file) for file in files]
    return None


def _targets(dataset: Any) -> NDArray[Any] | None:
    if _inner(dataset):
        names = {tuple(_classes(part) or ()) for part, _ in _inner(dataset)}
        found = _collected(dataset, _targets) if len(names) == 1 else None
        return None if not found else np.asarray(found)
    for attribute in _TARGETS:
        held = getattr(dataset, attribute, None)
        if held is not None and hasattr(held, "__len__") and len(held) == len(dataset):
            values = np.asarray(held)
            if values.ndim in (1, 2) and values.dtype.kind in "iufbU":
                return values
    for attribute in _FILES:
        held = getattr(dataset, attribute, None)
        if isinstance(held, list) and held and len(held) == len(dataset) and isinstance(held[0], tuple | list):
            values = np.asarray([entry[1] for entry in held])
            if values.ndim == 1 and values.dtype.kind in "iuU":
                return values
    return None


def _classes(dataset: Any) -> list[str] | None:
    if _inner(dataset):
        return _classes(_inner(dataset)[0][0])
    for attribute in _CLASSES:
        held = getattr(dataset, attribute, None)
        if isinstance(held, list | tuple) and held:
            # ImageNet gives several words for a class; the first is the usual one.
            return [str(c[0]) if isinstance(c, list | tuple) and c else str(c) for c in held]
    return None


def _label_texts(targets: NDArray[Any], classes: list[str] | None) -> list[str]:
    if classes is None or targets.dtype.kind not in "iu":
        return text_column(targets.tolist())
    if targets.size and int(targets.max()) >= len(classes):
        return text_column(targets.tolist())  # targets that do not count the classes, such as years
    return [classes[t] if t >= 0 else "" for t in targets.tolist()]  # -1 is how unlabelled pictures are marked


def _root(dataset: Any) -> Path:
    inner = _inner(dataset)
    if inner:
        roots = {_root(part) for part, _ in inner}
        return roots.pop() if len(roots) == 1 else Path(os.path.commonpath([str(root) for root in roots]))
    return Path(str(getattr(dataset, "root", "") or "")).resolve()


def _below(files: list[str] | None, root: Path) -> list[str] | None:
    """Return the files' paths below the root; None if one of them lies elsewhere."""
    below = [os.path.relpath(os.path.abspath(file), root) for file in files or ()]
    return below if below and not any(path.startswith("..") for path in below) else None


def _ids(files: list[str] | None, below: list[str] | None, count: int) -> list[str]:
    for candidates in ([Path(file).stem for file in files or ()], below):
        if candidates and len(set(candidates)) == count:
            return candidates
    return [str(row) for row in range(count)]


def _reads_files_as_they_are(dataset: Any) -> bool:
    inner = _inner(dataset)
    if inner:
        return all(_reads_files_as_they_are(part) for part, _ in inner)
    loader = getattr(dataset, "loader", None)
    return getattr(loader, "__module__", "") == "torchvision.datasets.folder"


def _plain(dataset: Any) -> Any:
    """Return the dataset without its transforms; the one that was given stays as it is.

    Features are of the whole picture, and the network brings its own preprocessing.
    """
    if not _inner(dataset):
        if not any(base.__name__ == "VisionDataset" for base in type(dataset).__mro__):
            return dataset  # somebody's own: its transform may be needed to make the picture
        held = [name for name in _TRANSFORMS if getattr(dataset, name, None) is not None]
        if held:
            log.warning("The transforms of %s are left out: the network's own are used.", type(dataset).__name__)
        plain = copy.copy(dataset)
        for name in held:
            setattr(plain, name, None)
        return plain
    plain = copy.copy(dataset)
    if hasattr(dataset, "datasets"):
        plain.datasets = [_plain(part) for part in dataset.datasets]
    else:
        plain.dataset = _plain(dataset.dataset)
    return plain
