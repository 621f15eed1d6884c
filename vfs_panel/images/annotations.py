"""Label files of published sets that are no tables: COCO's JSON, and ImageNet's development kit."""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pandas as pd

from vfs_panel.errors import ImageError

FINDINGS = "objects"
"""The column of COCO's table that names all objects of a picture, as in "dog|person"."""


def coco_table(file: Path | str) -> pd.DataFrame:
    """Read annotations of objects in COCO's format.

    Returns
    -------
    DataFrame, one row per picture: path; objects, the names of all that are in it; label, the name of what covers
    most of it; supercategory of that.

    Raises
    ------
    ImageError
        If it is no such file.
    """
    held = _json(Path(file))
    try:
        names = {int(one["id"]): str(one["name"]) for one in held["categories"]}
        above = {int(one["id"]): str(one.get("supercategory", "")) for one in held["categories"]}
        area: dict[int, dict[int, float]] = defaultdict(lambda: defaultdict(float))
        for one in held["annotations"]:
            area[int(one["image_id"])][int(one["category_id"])] += float(one.get("area", 0))
        rows = []
        for picture in held["images"]:
            covered = area.get(int(picture["id"]), {})
            largest = max(covered, key=lambda category: covered[category]) if covered else None
            objects = "|".join(sorted(names[category] for category in covered))
            label, group = ("", "") if largest is None else (names[largest], above[largest])
            rows.append((str(picture["file_name"]), label, objects, group))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ImageError(
            f"Labels file {file} holds no annotations in COCO's format ({type(error).__name__}: {error}). Expected "
            "images, annotations and categories."
        ) from None
    return pd.DataFrame(rows, columns=["path", "label", FINDINGS, "supercategory"])


def _json(file: Path) -> dict[str, Any]:
    try:
        with file.open("rb") as stream:
            held = json.load(stream)
    except FileNotFoundError:
        raise ImageError(f"Labels file {file} does not exist.") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ImageError(f"Labels file {file} cannot be read as JSON: {str(error)[:100]}.") from None
    if not isinstance(held, dict):
        raise ImageError(f"Labels file {file} holds a JSON {type(held).__name__}, expected an object.")
    return held


def imagenet_devkit_table(folder: Path | str) -> pd.DataFrame:
    """Read the classes of ImageNet's 50,000 validation pictures out of the development kit of ILSVRC 2012.

    Parameters
    ----------
    folder : the unpacked ILSVRC2012_devkit_t12, which holds data/meta.mat and
        data/ILSVRC2012_validation_ground_truth.txt.

    Returns
    -------
    DataFrame, one row per picture: path (ILSVRC2012_val_00000001.JPEG), synset (WordNet's n01440764), label (the first
    of the class's words).

    Raises
    ------
    ImageError
        If a file is missing or is not what it should be.
    """
    from scipy.io import loadmat

    data = Path(folder) / "data"
    truth, meta = data / "ILSVRC2012_validation_ground_truth.txt", data / "meta.mat"
    try:
        numbers = [int(line) for line in truth.read_text("ascii").split()]
        # MATLAB's format holds numbers and text, never code.
        synsets = loadmat(str(meta), squeeze_me=True, variable_names=["synsets"])["synsets"]
        classes = {int(row[0]): (str(row[1]), str(row[2]).partition(",")[0]) for row in synsets if int(row[4]) == 0}
        rows = [(f"ILSVRC2012_val_{at:08d}.JPEG", *classes[number]) for at, number in enumerate(numbers, start=1)]
    except Exception as error:  # SciPy has errors of its own
        words = str(error).splitlines()[0][:100] if str(error) else type(error).__name__
        raise ImageError(f"{data} is not that of ImageNet's development kit ILSVRC2012_devkit_t12 ({words}).") from None
    return pd.DataFrame(rows, columns=["path", "synset", "label"])
