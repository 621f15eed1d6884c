"""Hugging Face datasets: a loaded one, a folder saved by save_to_disk, or a name. Needs the extra "huggingface"."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vfs_panel.errors import ImageError
from vfs_panel.images.listing import Listing, need_pictures
from vfs_panel.images.metadata import findings_from, need_column
from vfs_panel.images.reading import read_rgb

log = logging.getLogger(__name__)
SAVED = ("dataset_dict.json", "state.json")  # what save_to_disk leaves in a folder
_LABELS = ("label", "labels", "fine_label")


def is_saved(folder: Path) -> bool:
    """Whether a folder was written by `save_to_disk`."""
    return any((folder / file).is_file() for file in SAVED)


def huggingface_listing(
    source: Any,
    *,
    split: str | None,
    image: str | None,
    domain: str | None,
    label: str | None,
    findings: str | Sequence[str] | None,
    name: str | None,
) -> Listing:
    """List the pictures of a dataset without decoding one; `ImageDataset.from_huggingface`.

    Raises
    ------
    ImageError
        If the extra is missing, the dataset cannot be had, or has no column of pictures.
    """
    try:
        import datasets
    except ImportError:
        raise ImageError(
            'Hugging Face datasets need the package datasets. Run: pip install "vfs_panel[huggingface]"'
        ) from None
    saved = Path(source) if isinstance(source, Path | str) and Path(source).is_dir() else None
    if isinstance(source, Path | str):
        called = name or Path(source).name
        source = _loaded(source)
    else:
        called = name or str(getattr(getattr(source, "info", None), "dataset_name", None) or "dataset")
    parts = _parts(source, split, called)
    column = _image_column(next(iter(parts.values())).features, image, called)
    several = len(parts) > 1
    pictures, tables = {}, []
    for part, dataset in parts.items():
        if column not in dataset.column_names:
            raise ImageError(f"Split {part!r} of {called} has no column {column!r}; every split needs the same.")
        # Encoded bytes, not decoded pictures: each is read as any other file is, in one place.
        undecoded = dataset.select_columns([column]).cast_column(column, datasets.Image(decode=False))
        pictures[part if several else ""] = undecoded
        table = _metadata(dataset, column)
        table.index = pd.Index([f"{part}/{row}" if several else str(row) for row in range(len(dataset))], dtype=object)
        if part and "split" not in table:
            table["split"] = part
        tables.append(table)
    table = pd.concat(tables) if several else tables[0]
    need_pictures(len(table), f"Dataset {called}", ())
    for role, wanted in (("domain", domain), ("label", label)):
        if wanted is not None:
            need_column(table, wanted, called)
            table[role] = table[wanted]
    found = None
    if findings is not None:
        found, texts = findings_from(table, findings, called)
        if "label" not in table:
            table["label"] = texts
    if "label" not in table:
        features = next(iter(parts.values())).features
        classes = [c for c in table if isinstance(features.get(c), datasets.ClassLabel)]
        guessed = next((c for c in (*_LABELS, *classes) if c in classes), None)
        table["label"] = "" if guessed is None else table[guessed]
    inside = None if saved is None else saved.resolve()
    return Listing(table, RowReader(pictures, column, inside), called, findings=found)


def _parts(source: Any, split: str | None, called: str) -> dict[str, Any]:
    """Return split -> dataset as it is stored, without formats that somebody set for training."""
    import datasets

    own = str(getattr(source, "split", None) or "")
    held = {str(key): part for key, part in source.items()} if isinstance(source, dict) else {own: source}
    wrong = next((part for part in held.values() if not isinstance(part, datasets.Dataset)), None)
    if wrong is not None:
        raise ImageError(
            f"{called} is {type(wrong).__name__}; expected a Dataset or DatasetDict, loaded, not streamed."
        )
    parts = {key: part.with_format(None) for key, part in held.items() if split in (None, key)}
    if not parts:
        raise ImageError(f"{called} has no split {split!r}; it has {', '.join(held) or 'none'}.")
    return parts


class RowReader:
    """Reads pictures by row from Hugging Face datasets whose picture column is not decoded.

    Parameters
    ----------
    parts : split -> dataset; ids are "SPLIT/ROW", or "ROW" where the only split is "".
    column : the picture column.
    inside : the folder that files it names must lie in; None for a dataset that the caller loaded.
    """

    def __init__(self, parts: dict[str, Any], column: str, inside: Path | None) -> None:
        self.parts, self.column, self.inside = parts, column, inside

    def __call__(self, image_id: str) -> NDArray[np.uint8]:
        """Return a picture as uint8 RGB, shape (y, x, 3)."""
        part, _, row = image_id.rpartition("/")
        label = f"Picture {image_id}"
        try:
            held = self.parts[part][int(row)][self.column]
        except Exception as error:  # a cache file that is gone or damaged
            raise ImageError(f"{label} cannot be read from its dataset: {error}.") from None
        if held is None or (held.get("bytes") is None and not held.get("path")):
            raise ImageError(f"{label} is empty in its dataset.")
        if held.get("bytes") is not None:
            return read_rgb(held["bytes"], name=label)
        file = (self.inside or Path()) / held["path"]
        if self.inside is not None and not file.resolve().is_relative_to(self.inside):
            raise ImageError(f"{label} is the file {file}, which lies outside of {self.inside}.")
        return read_rgb(file, name=label)


def _loaded(source: Path | str) -> Any:
    import datasets

    folder = Path(source)
    try:
        if folder.is_dir():
            if not is_saved(folder):
                raise ImageError(
                    f"Folder {folder} was not written by save_to_disk. Expected {' or '.join(SAVED)} in it."
                )
            return datasets.load_from_disk(str(folder))
        if isinstance(source, Path) or folder.is_absolute():
            raise ImageError(f"Dataset folder {folder} does not exist.")
        return datasets.load_dataset(source)
    except ImageError:
        raise
    except Exception as error:  # the hub, the network and Arrow have errors of their own
        why = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
        raise ImageError(f"Dataset {source} cannot be had: {why}.") from None


def _image_column(features: Any, image: str | None, called: str) -> str:
    import datasets

    known = [str(key) for key, feature in features.items() if isinstance(feature, datasets.Image)]
    if image is not None:
        if image not in known:
            raise ImageError(f"{called} has no picture column {image!r}; it has {', '.join(known) or 'none'}.")
        return image
    if len(known) != 1:
        what = f"several: {', '.join(known)}. Name one with image=" if known else "none, but " + ", ".join(features)
        raise ImageError(f"{called} needs one column of type Image; it has {what}.")
    return known[0]


def _metadata(dataset: Any, image: str) -> pd.DataFrame:
    """Return the scalar columns, and lists of names or classes, with class numbers as names."""
    import datasets

    kept: dict[str, list[Any]] = {}
    for column, feature in dataset.features.items():
        inner = getattr(feature, "feature", None)
        scalar = feature if inner is None else inner
        if column == image or not isinstance(scalar, datasets.Value | datasets.ClassLabel):
            continue
        values = dataset.select_columns([column]).to_pandas()[column]
        if isinstance(scalar, datasets.ClassLabel):
            names = scalar.names
            kept[column] = [_named(value, names) for value in values]
        elif inner is None or scalar.dtype == "string":
            kept[column] = values.to_numpy(object)
    return pd.DataFrame(kept, index=range(len(dataset)))


def _named(value: Any, names: list[str]) -> Any:
    if isinstance(value, list | np.ndarray):
        return "|".join(str(_named(part, names)) for part in value)
    return "" if pd.isna(value) or not 0 <= int(value) < len(names) else names[int(value)]
