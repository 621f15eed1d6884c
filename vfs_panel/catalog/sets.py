"""The pictures of an entry, opened: rendered, from a folder, or of a fetched data set, whose list is kept."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from vfs_panel.catalog import places
from vfs_panel.catalog.labels import described_images
from vfs_panel.catalog.schema import DemoPictures, FetchedPictures
from vfs_panel.errors import CatalogError
from vfs_panel.images.cifar import cifar_listing
from vfs_panel.images.dataset import ImageDataset
from vfs_panel.images.listing import FileReader

if TYPE_CHECKING:
    from vfs_panel.catalog.entry import CatalogEntry

Progress = Callable[[int, int], None]


def open_pictures(entry: "CatalogEntry", progress: Progress | None = None) -> ImageDataset:
    """Return the pictures of an entry; `CatalogEntry.images`, which says what is raised."""
    pictures = entry.pictures
    beside = (entry.file.parent,)
    if isinstance(pictures, DemoPictures):
        from vfs_panel.images.demo import build_demo

        return build_demo(pictures.name, progress)
    if isinstance(pictures, FetchedPictures):
        return _fetched(entry, pictures)
    labels = Path(pictures.labels.file) if pictures.labels is not None else None
    folder = Path(pictures.path)
    return described_images(pictures, folder=folder, labels=labels, beside=(*beside, folder), name=entry.title)


def _fetched(entry: "CatalogEntry", pictures: FetchedPictures) -> ImageDataset:
    own = places.set_folder(entry)
    missing = [file.file_name for file in pictures.files if not (own / file.place).exists()]
    if missing:
        raise CatalogError(f"The pictures of {entry.name!r} are not there yet. {entry.needs().full_text}")
    root = own / pictures.folder
    if pictures.layout == "cifar-10":
        listing = cifar_listing(root, name=entry.title)
        images = ImageDataset(listing.table, listing.load, name=listing.name)
        return images if pictures.splits is None else _of_splits(images, pictures.splits)
    labels = own / pictures.labels.file if pictures.labels is not None else None
    index = places.index_path(entry, labels)
    kept = _kept(index, root, entry.title)
    if kept is not None:
        return kept
    beside = (own, entry.file.parent)
    images = described_images(pictures, folder=root, labels=labels, beside=beside, name=entry.title)
    _keep(index, images)
    return images


def _of_splits(images: ImageDataset, splits: list[str]) -> ImageDataset:
    chosen = images.table.index[images.table["split"].isin(splits)]
    if not len(chosen):
        there = ", ".join(sorted(set(images.table["split"])))
        raise CatalogError(f"No picture of {images.name} is of split {' or '.join(splits)}; there are {there}.")
    return images.subset(chosen)


def _findings_file(index: Path) -> Path:
    return index.with_name(index.name.replace("index-", "findings-"))


def _kept(index: Path, root: Path, name: str) -> ImageDataset | None:
    """Return the pictures by the list that was kept of them: to look at 50,000 files anew takes a minute."""
    if not index.is_file():
        return None
    table = pd.read_csv(index, index_col="image", dtype=str, keep_default_na=False)
    findings = None
    if _findings_file(index).is_file():
        findings = pd.read_csv(_findings_file(index), index_col="image", dtype={"image": str}).astype(bool)
    root = root.resolve()
    reader = FileReader(root, {str(image): str(path) for image, path in table["path"].items()})
    return ImageDataset(table, reader, name=name, folder=str(root), findings=findings)


def _keep(index: Path, images: ImageDataset) -> None:
    """Keep the list of pictures, the file that others look for last."""
    if images.findings is not None:
        _write(_findings_file(index), images.findings.astype(int))
    _write(index, images.table)


def _write(file: Path, table: pd.DataFrame) -> None:
    handle, name = tempfile.mkstemp(prefix=".index-", dir=file.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as stream:
            table.to_csv(stream, index_label="image")
        os.replace(name, file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
