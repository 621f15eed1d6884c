"""ImageDataset: picture id -> RGB, label, domain, split. Knows no network and no features."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vfs_panel.errors import ImageError
from vfs_panel.images.reading import SUFFIXES, is_picture, read_rgb

COLUMNS = ("domain", "label", "split", "path")
Load = Callable[[str], NDArray[np.uint8]]


class ImageDataset:
    """Pictures with an id each, their metadata, and a way to read them.

    Parameters
    ----------
    table : DataFrame, indexed by picture id (unique str). The columns domain, label, split and path are added as
        empty strings where missing; further columns are kept as metadata.
    load : picture id -> uint8 RGB, shape (y, x, 3). May raise ImageError.
    name : what people call the set.
    skipped : files that were left out, as (path, why).
    folder : absolute folder that the paths start at; "" where there is none.

    Raises
    ------
    ImageError
        If an id stands twice.
    """

    def __init__(
        self,
        table: pd.DataFrame,
        load: Load,
        *,
        name: str,
        skipped: Iterable[tuple[str, str]] = (),
        folder: str = "",
    ) -> None:
        table = table.copy()
        table.index = pd.Index([str(i) for i in table.index], dtype=object, name="image")
        doubled = table.index[table.index.duplicated()]
        if len(doubled):
            raise ImageError(
                f"Picture id {doubled[0]!r} stands {len(doubled) + 1} times in {name}; ids must be unique."
            )
        for column in COLUMNS:
            values = table[column].fillna("") if column in table else [""] * len(table)
            table[column] = pd.Series([str(v) for v in values], index=table.index, dtype=object)
        self.table, self.name, self.skipped, self.folder = table, name, list(skipped), folder
        self._load = load

    def __len__(self) -> int:
        return len(self.table)

    def __repr__(self) -> str:
        domains = self.table["domain"].nunique()
        return f"ImageDataset({self.name!r}, {len(self)} pictures, {domains} domains)"

    def __contains__(self, image_id: object) -> bool:
        return image_id in self.table.index

    @property
    def ids(self) -> list[str]:
        """Picture ids, in the table's order."""
        return [str(i) for i in self.table.index]

    def rgb(self, image_id: str) -> NDArray[np.uint8]:
        """Return a picture as uint8 RGB, shape (y, x, 3).

        Raises
        ------
        ImageError
            If the id is not in the set or the picture cannot be read.
        """
        if image_id not in self.table.index:
            raise ImageError(
                f"{self.name} has no picture {image_id!r}; it has {len(self)}, such as {self.example()!r}."
            )
        return self._load(image_id)

    def example(self) -> str:
        """Return some id, for messages ("" for an empty set)."""
        return self.ids[0] if len(self) else ""

    def subset(self, ids: Iterable[str]) -> "ImageDataset":
        """Return the same set with only these pictures, in this order."""
        return ImageDataset(self.table.loc[list(ids)], self._load, name=self.name, folder=self.folder)

    @classmethod
    def from_arrays(
        cls,
        pictures: NDArray[np.uint8],
        *,
        image: Iterable[str] | None = None,
        name: str = "arrays",
        **columns: Iterable[str],
    ) -> "ImageDataset":
        """Make a set of pictures held in memory.

        Parameters
        ----------
        pictures : uint8 array, shape (image, y, x, 3).
        image : ids; "0", "1", … by default.
        columns : domain, label, split or further metadata, one value per picture.
        """
        if pictures.ndim != 4 or pictures.shape[3] != 3 or pictures.dtype != np.uint8:
            raise ImageError(
                f"Pictures have shape {pictures.shape} and type {pictures.dtype}; expected uint8 (image, y, x, 3)."
            )
        ids = [str(i) for i in (range(len(pictures)) if image is None else image)]
        rows = {image_id: row for row, image_id in enumerate(ids)}
        table = pd.DataFrame({k: list(v) for k, v in columns.items()}, index=ids)
        return cls(table, lambda image_id: pictures[rows[image_id]], name=name)

    @classmethod
    def from_folder(
        cls,
        path: Path | str,
        *,
        domain: str = "parent",
        labels: Path | str | None = None,
        name: str | None = None,
    ) -> "ImageDataset":
        """Make a set of the pictures in a folder tree.

        With two folder levels (photo/cat/1.jpg) the first is the domain and the second the label; with one level
        (cat/1.jpg) it is the label. A picture's id is its path below the folder. Files that are no pictures are
        left out and listed in `skipped`; hidden files are passed over.

        Parameters
        ----------
        path : the folder.
        domain : "parent", or the column of `labels` that holds the domain.
        labels : CSV with a column `path` (below the folder) or `image`; its columns label, domain, split and any
            others become metadata, and only its pictures are taken.
        name : what people call the set; the folder's name by default.

        Raises
        ------
        ImageError
            If the folder or the CSV is missing or holds no picture, or a path leads out of the folder.
        """
        root = Path(path)
        if not root.is_dir():
            what = "is a file, not a folder" if root.exists() else "does not exist"
            raise ImageError(f"Picture folder {root} {what}. Give a folder of pictures.")
        if labels is not None:
            table, skipped = _from_csv(root, Path(labels), domain)
        elif domain != "parent":
            raise ImageError(f"Domain column {domain!r} needs a labels CSV that holds it. Give one, or use 'parent'.")
        else:
            table, skipped = _from_tree(root)
        if table.empty:
            looked = f"; {len(skipped)} files are no pictures, such as {skipped[0][0]}" if skipped else ""
            raise ImageError(f"Folder {root} holds no picture{looked}. Expected JPEG, PNG, WebP or TIFF files.")
        paths: Mapping[str, str] = dict(zip(table.index, table["path"], strict=True))
        return cls(
            table,
            lambda image_id: read_rgb(root / paths[image_id]),
            name=name or root.resolve().name,
            skipped=skipped,
            folder=str(root.resolve()),
        )


def _from_tree(root: Path) -> tuple[pd.DataFrame, list[tuple[str, str]]]:
    rows, skipped = [], []
    for file in sorted(root.rglob("*")):
        relative = file.relative_to(root)
        if any(part.startswith(".") for part in relative.parts) or not file.is_file():
            continue
        # A file with a picture's ending is checked by its header; others are looked into too, and named if skipped.
        why = is_picture(file)
        if why is not None:
            ending = "" if file.suffix.lower() in SUFFIXES else f" ({file.suffix or 'no ending'})"
            skipped.append((relative.as_posix(), why + ending))
            continue
        folders = relative.parts[:-1]
        rows.append({
            "image": relative.as_posix(),
            "path": relative.as_posix(),
            "domain": folders[0] if len(folders) > 1 else "",
            "label": folders[-1] if folders else "",
        })  # fmt: skip
    return pd.DataFrame(rows, columns=["image", "path", "domain", "label"]).set_index("image"), skipped


def _from_csv(root: Path, labels: Path, domain: str) -> tuple[pd.DataFrame, list[tuple[str, str]]]:
    try:
        table = pd.read_csv(labels, dtype=str, keep_default_na=False)
    except FileNotFoundError:
        raise ImageError(f"Labels file {labels} does not exist.") from None
    except (ValueError, OSError, UnicodeDecodeError) as error:
        raise ImageError(f"Labels file {labels} cannot be read as CSV: {str(error).splitlines()[0]}.") from None
    key = next((c for c in ("path", "image") if c in table), None)
    if key is None:
        raise ImageError(
            f"Labels file {labels} has columns {', '.join(map(str, table))}; it needs 'path' (below {root}) or 'image'."
        )
    if domain != "parent":
        if domain not in table:
            raise ImageError(f"Labels file {labels} has no column {domain!r}; it has {', '.join(map(str, table))}.")
        table["domain"] = table[domain]
    table["path"] = table[key]
    if "image" not in table:
        table["image"] = table["path"]
    if domain == "parent" and "domain" not in table:
        table["domain"] = [Path(p).parts[0] if len(Path(p).parts) > 2 else "" for p in table["path"]]
    if "label" not in table:
        table["label"] = [Path(p).parts[-2] if len(Path(p).parts) > 1 else "" for p in table["path"]]
    skipped, keep = [], []
    inside = root.resolve()
    for row, path in enumerate(table["path"]):
        if not (root / path).resolve().is_relative_to(inside):
            raise ImageError(f"Labels file {labels}, line {row + 2}: path {path!r} leads out of {root}.")
        why = is_picture(root / path)
        if why is None:
            keep.append(row)
        else:
            skipped.append((path, why))
    return table.iloc[keep].set_index("image"), skipped
