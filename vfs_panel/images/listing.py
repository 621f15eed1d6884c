"""What every source of pictures gives: a table, and a way to read a picture by its id."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vfs_panel.errors import ImageError
from vfs_panel.images.reading import read_rgb

Load = Callable[[str], NDArray[np.uint8]]


@dataclass(frozen=True, slots=True, eq=False)
class Listing:
    """The arguments of an ImageDataset, as a source found them; see there.

    Attributes
    ----------
    table : DataFrame, indexed by picture id.
    load : picture id -> uint8 RGB, shape (y, x, 3). Picklable, as worker processes need it.
    name : what people call the set.
    skipped : files that were left out, as (path, why).
    folder : absolute folder that the paths start at; "" where there is none.
    findings : DataFrame of bool, shape (picture, finding), or None.
    """

    table: pd.DataFrame
    load: Load
    name: str
    skipped: Sequence[tuple[str, str]] = ()
    folder: str = ""
    findings: pd.DataFrame | None = None


class FileReader:
    """Reads pictures that are files below a folder.

    Parameters
    ----------
    root : the folder.
    paths : id -> path below the folder.
    """

    def __init__(self, root: Path, paths: dict[str, str]) -> None:
        self.root = root
        self.paths = {image_id: path for image_id, path in paths.items() if path != image_id}  # small when pickled

    def __call__(self, image_id: str) -> NDArray[np.uint8]:
        """Return a picture as uint8 RGB, shape (y, x, 3)."""
        return read_rgb(self.root / self.paths.get(image_id, image_id))


def picture_folder(path: Path | str) -> Path:
    """Return a folder of pictures.

    Raises
    ------
    ImageError
        If there is no such folder.
    """
    root = Path(path)
    if not root.is_dir():
        what = "is a file, not a folder" if root.exists() else "does not exist"
        raise ImageError(f"Picture folder {root} {what}. Give a folder of pictures.")
    return root


def need_pictures(count: int, where: str, skipped: Sequence[tuple[str, str]]) -> None:
    """Raise ImageError if there is no picture, with an example of what was there instead."""
    if not count:
        looked = f"; {len(skipped)} files are no pictures, such as {skipped[0][0]} ({skipped[0][1]})" if skipped else ""
        raise ImageError(f"{where} holds no picture{looked}. Expected JPEG, PNG, WebP, TIFF or DICOM files.")
