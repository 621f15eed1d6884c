"""ImageDataset: picture id -> RGB, label, domain, split, findings. Knows no network and no features.

Where pictures come from has a module per source: `folder`, `table`, `arrays`, `torchvision_sets`, `huggingface`.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vfs_panel.errors import ImageError
from vfs_panel.images.arrays import arrays_listing
from vfs_panel.images.folder import folder_listing
from vfs_panel.images.huggingface import huggingface_listing
from vfs_panel.images.listing import Listing, Load, picture_folder
from vfs_panel.images.metadata import checked_findings, text_table
from vfs_panel.images.table import table_listing
from vfs_panel.images.torchvision_sets import torchvision_listing


class ImageDataset:
    """Pictures with an id each, their metadata, and a way to read them. Can be pickled if `load` can.

    Parameters
    ----------
    table : DataFrame, indexed by picture id (unique str). The columns domain, label, split and path are added as
        empty strings where missing; further columns are kept as metadata. All become text, as in
        `metadata.text_table`.
    load : picture id -> uint8 RGB, shape (y, x, 3). May raise ImageError.
    name : what people call the set.
    skipped : files that were left out, as (path, why).
    folder : absolute folder that the paths start at; "" where there is none.
    findings : where several labels can hold for one picture: DataFrame of bool, shape (picture, finding), indexed by
        picture id, with the findings' names as columns. `label` stays one text per picture.

    Attributes
    ----------
    table, load, name, skipped, folder, findings : as above; findings is None where there are none.

    Raises
    ------
    ImageError
        If an id or a column name stands twice, or findings do not fit the pictures.
    """

    def __init__(
        self,
        table: pd.DataFrame,
        load: Load,
        *,
        name: str,
        skipped: Iterable[tuple[str, str]] = (),
        folder: str = "",
        findings: pd.DataFrame | None = None,
    ) -> None:
        self.table = text_table(table, name)
        self.findings = checked_findings(findings, self.table.index, name)
        self.load, self.name, self.skipped, self.folder = load, name, list(skipped), folder

    def __len__(self) -> int:
        return len(self.table)

    def __repr__(self) -> str:
        domains = self.table["domain"].nunique()
        several = f", {len(self.findings.columns)} findings" if self.findings is not None else ""
        return f"ImageDataset({self.name!r}, {len(self)} pictures, {domains} domains{several})"

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
        try:
            picture = self.load(image_id)
        except ImageError:
            raise
        except Exception as error:  # a load of the caller's own may raise anything
            raise ImageError(f"Picture {image_id!r} of {self.name} cannot be read: {error!r}.") from error
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or not picture.size:
            raise ImageError(
                f"Picture {image_id!r} of {self.name} was read as {picture.dtype} of shape {picture.shape}; expected "
                "uint8 (y, x, 3)."
            )
        return picture

    def example(self) -> str:
        """Return some id, for messages ("" for an empty set)."""
        return self.ids[0] if len(self) else ""

    def subset(self, ids: Iterable[str]) -> "ImageDataset":
        """Return the same set with only these pictures, in this order."""
        chosen = list(ids)
        findings = None if self.findings is None else self.findings.loc[chosen]
        return ImageDataset(self.table.loc[chosen], self.load, name=self.name, folder=self.folder, findings=findings)

    @classmethod
    def _of(cls, listing: Listing) -> "ImageDataset":
        return cls(
            listing.table, listing.load, name=listing.name, skipped=listing.skipped, folder=listing.folder,
            findings=listing.findings,
        )  # fmt: skip

    @classmethod
    def from_folder(
        cls,
        path: Path | str,
        *,
        domain: str = "parent",
        labels: Path | str | None = None,
        findings: str | Sequence[str] | None = None,
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
        labels : CSV, TSV or Parquet with a column `path` (below the folder) or `image`; its columns label, domain,
            split and any others become metadata, and only its pictures are taken.
        findings : columns of `labels` for several findings per picture, as in `from_table`.
        name : what people call the set; the folder's name by default.

        Raises
        ------
        ImageError
            If the folder or the table is missing or holds no picture, or a path leads out of the folder.
        """
        picture_folder(path)
        if labels is not None:
            return cls._of(
                table_listing(
                    labels, folder=path, domain=domain, label="parent", split=None, findings=findings, name=name
                )
            )
        if domain != "parent":
            raise ImageError(f"Domain column {domain!r} needs a labels CSV that holds it. Give one, or use 'parent'.")
        if findings is not None:
            raise ImageError("Findings need a labels CSV that holds them. Give one with labels=.")
        return cls._of(folder_listing(path, name=name))

    @classmethod
    def from_table(
        cls,
        table: Path | str | pd.DataFrame,
        folder: Path | str | None = None,
        *,
        domain: str | None = None,
        label: str | None = None,
        split: str | None = None,
        findings: str | Sequence[str] | None = None,
        name: str | None = None,
    ) -> "ImageDataset":
        """Make a set of the pictures that a table names, one row per picture.

        The path is in the column path, file, filename, image, image_path or "Image Index", however it is spelt; it is
        also the id, unless there is a column `image` besides. Rows without a picture are listed in `skipped`. All
        other columns are kept as metadata.

        Parameters
        ----------
        table : .csv, .tsv, .parquet (needs the extra "parquet"), or a DataFrame.
        folder : where the paths start; the file's own folder by default. No path may lead out of it.
        domain, label, split : columns that hold these; by default those of the same name, and `class` for the label.
            For domain and label, "parent" takes them from the paths, as `from_folder` does.
        findings : where several labels can hold for one picture: a column of names such as "Mass|Nodule" (split at |
            and ;), with "No Finding" or nothing for none; or several columns of 1, 0, true, false or blank.
            Without a label column, the label is the joined text.
        name : what people call the set; the name of the folder, or of the file, by default.

        Raises
        ------
        ImageError
            If the table cannot be read, lacks a column or holds no picture, or a path leads out of the folder.
        """
        return cls._of(
            table_listing(table, folder=folder, domain=domain, label=label, split=split, findings=findings, name=name)
        )

    @classmethod
    def from_arrays(
        cls,
        pictures: Any,
        *,
        image: Iterable[Any] | None = None,
        name: str | None = None,
        findings: pd.DataFrame | None = None,
        **columns: Any,
    ) -> "ImageDataset":
        """Make a set of pictures that are rows of one array.

        Parameters
        ----------
        pictures : NumPy or Zarr array, shape (image, y, x) or (image, y, x, 1 | 3 | 4), of uint8, uint16, bool or
            floating point in 0..1; or the path of a .npy file, an .npz file or a Zarr array. Zarr and .npy are read
            one picture at a time.
        image : ids; "0", "1", … by default.
        name : what people call the set; "arrays" or the file's name by default.
        findings : as in the class; indexed by picture id.
        columns : domain, label, split or further metadata, one value per picture or one text for all.

        Raises
        ------
        ImageError
            If shape or type are no pictures', or a column has another number of values.
        """
        return cls._of(arrays_listing(pictures, image=image, name=name, columns=columns, findings=findings))

    @classmethod
    def from_torchvision(
        cls,
        dataset: Any,
        *,
        image: Iterable[Any] | None = None,
        name: str | None = None,
        findings: pd.DataFrame | None = None,
        **columns: Any,
    ) -> "ImageDataset":
        """Make a set of a torchvision dataset, or any other that gives (picture, target) by row number.

        Pictures are read when they are needed: PIL pictures, tensors (channel, y, x) or arrays (y, x, channel), as
        uint8 or floats in 0..1. Transforms of torchvision's datasets are left out, as the network brings its own;
        the dataset itself is not changed. Subset and ConcatDataset are looked into.

        Parameters
        ----------
        dataset : has a length and rows.
        image : ids; by default the stems of its files where it has some (or their paths, if stems repeat), else row
            numbers.
        name : what people call the set; the dataset's class by default.
        findings : as in the class; by default from targets of several 0 and 1 per picture.
        columns : domain, split, label or further metadata, one text for all or one value per picture. The label is by
            default the class of each target, where the dataset lists its targets.

        Raises
        ------
        ImageError
            If it has no rows, or a column has another number of values.
        """
        return cls._of(torchvision_listing(dataset, image=image, name=name, columns=columns, findings=findings))

    @classmethod
    def from_huggingface(
        cls,
        source: Any,
        *,
        split: str | None = None,
        image: str | None = None,
        domain: str | None = None,
        label: str | None = None,
        findings: str | Sequence[str] | None = None,
        name: str | None = None,
    ) -> "ImageDataset":
        """Make a set of a Hugging Face dataset (extra "huggingface").

        Ids are row numbers, "SPLIT/ROW" where several splits are taken. Class numbers become their names; other
        columns of single values are kept as metadata.

        Parameters
        ----------
        source : a Dataset or DatasetDict, the folder that `save_to_disk` wrote, or a name to download.
        split : take only this split of a DatasetDict; all by default.
        image : the picture column, needed only where there are several.
        domain, label : columns that hold these; by default `domain`, and `label` or the first column of classes.
        findings : a column that lists classes or names, or several columns of 0 and 1, as in `from_table`.
        name : what people call the set.

        Raises
        ------
        ImageError
            If the package datasets is missing, the dataset cannot be had, or it has no column of pictures.
        """
        return cls._of(
            huggingface_listing(
                source, split=split, image=image, domain=domain, label=label, findings=findings, name=name
            )
        )
