"""One way to open whatever pictures a person names on the command line or in a catalog."""

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from vfs_panel.errors import ImageError
from vfs_panel.images import huggingface, table
from vfs_panel.images.dataset import ImageDataset
from vfs_panel.images.metadata import findings_from, need_column

_ARRAYS = frozenset({".npy", ".npz"})
_EXPECTED = (
    "Expected a folder of pictures, a list as .csv, .tsv or .parquet, an array as .npy, .npz or Zarr, "
    "or a folder written by save_to_disk"
)


def open_images(
    source: Path | str,
    *,
    domain: str = "parent",
    labels: Path | str | None = None,
    findings: str | Sequence[str] | None = None,
    name: str | None = None,
) -> ImageDataset:
    """Open a set of pictures by its path.

    Parameters
    ----------
    source : a folder of pictures; a list of picture files (.csv, .tsv, .parquet) with paths that start at its own
        folder; an array (.npy, .npz, a Zarr array's folder); or a folder written by Hugging Face's `save_to_disk`.
    domain : "parent", the folder above the label's where there is one; or the name of a column.
    labels : for a folder or an array, a table with what is known of each picture. An array's needs a column "image"
        with ids, or as many rows as there are pictures.
    findings : columns for several findings per picture, as in `ImageDataset.from_table`.
    name : what people call the set; by default that of the folder or file.

    Raises
    ------
    ImageError
        If there is nothing there, or nothing that holds pictures.
    """
    path = Path(source)
    if "://" in str(source):
        raise ImageError(f"{source} is an address; pictures are read from this machine. Download them first.")
    if not path.exists():
        raise ImageError(f"Picture folder {path} does not exist. {_EXPECTED}.")
    if path.suffix.lower() in _ARRAYS or (path.is_dir() and _zarr_kind(path) == "array"):
        return _open_array(path, domain, labels, findings, name)
    if path.is_dir():
        if _zarr_kind(path) == "group":
            raise ImageError(f"{path} is a Zarr group, not an array. Name one array in it, such as {path}/images.")
        if huggingface.is_saved(path):
            _no_labels(path, labels)
            column = None if domain == "parent" else domain
            return ImageDataset.from_huggingface(path, domain=column, findings=findings, name=name)
        return ImageDataset.from_folder(path, domain=domain, labels=labels, findings=findings, name=name)
    if path.suffix.lower() in table.SUFFIXES:
        _no_labels(path, labels)
        return ImageDataset.from_table(path, domain=domain, findings=findings, name=name or path.stem)
    raise ImageError(f"{path} is no set of pictures. {_EXPECTED}.")


def _no_labels(path: Path, labels: Path | str | None) -> None:
    if labels is not None:
        raise ImageError(f"{path} says itself what its pictures are; leave out the labels file {labels}.")


def _zarr_kind(path: Path) -> str:
    """Return "array" or "group" if a folder is Zarr (version 3 or 2), else ""."""
    if (path / "zarr.json").is_file():
        try:
            kind = json.loads((path / "zarr.json").read_text("utf-8")).get("node_type")
        except (ValueError, OSError, AttributeError):
            return ""
        return kind if kind in ("array", "group") else ""
    return "array" if (path / ".zarray").is_file() else "group" if (path / ".zgroup").is_file() else ""


def _open_array(
    path: Path, domain: str, labels: Path | str | None, findings: str | Sequence[str] | None, name: str | None
) -> ImageDataset:
    images = ImageDataset.from_arrays(path, name=name)
    known = images.table
    if labels is not None:
        known = _beside(images, table.read_table(labels), f"Labels file {labels}")
    if domain != "parent":
        need_column(known, domain, str(labels or path))
        known = known.assign(domain=known[domain])
    if labels is None and domain == "parent" and findings is None:
        return images
    found = None
    if findings is not None:
        found, texts = findings_from(known, findings, str(labels or path))
        if "label" not in known or not known["label"].astype(bool).any():
            known = known.assign(label=texts)
    return ImageDataset(known, images.load, name=images.name, findings=found)


def _beside(images: ImageDataset, rows: pd.DataFrame, called: str) -> pd.DataFrame:
    """Return what is known of each picture of an array, from a table that names ids or has one row per picture."""
    own = images.table.drop(columns=[column for column in images.table if column in rows])
    if "image" in rows:
        rows = rows.set_index("image")
        missing = [image_id for image_id in images.ids if image_id not in rows.index]
        if missing or rows.index.has_duplicates:
            what = f"has no row for picture {missing[0]!r}" if missing else "has several rows for one picture"
            raise ImageError(f"{called} {what}. Give one row per picture of {images.name}.")
        rows = rows.loc[images.ids]
    elif len(rows) != len(images):
        raise ImageError(
            f"{called} has {len(rows)} rows for {len(images)} pictures. Give one per picture, or a column 'image'."
        )
    return pd.concat([rows.set_axis(images.table.index, axis=0), own], axis=1)
