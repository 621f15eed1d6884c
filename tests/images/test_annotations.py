"""Label files of published sets; how they are read when whole is tested with the catalog's entries."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from vfs_panel.errors import ImageError
from vfs_panel.images.annotations import coco_table, imagenet_devkit_table


def test_the_label_is_what_covers_most(tmp_path: Path) -> None:
    held = {
        "images": [{"id": 7, "file_name": "a.jpg"}, {"id": 8, "file_name": "b.jpg"}],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "sofa", "supercategory": "furniture"}],
        "annotations": [{"image_id": 7, "category_id": i, "area": a} for i, a in ((1, 30), (2, 50), (1, 25))],
    }
    (tmp_path / "l.json").write_text(json.dumps(held))
    rows = coco_table(tmp_path / "l.json").to_numpy().tolist()
    assert rows == [["a.jpg", "cat", "cat|sofa", ""], ["b.jpg", "", "", ""]]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[1]", "holds a JSON list"),
        ("{", "cannot be read as JSON"),
        ('{"images": []}', "no annotations in COCO's format"),
        ('{"images": [{"id": "x"}], "annotations": [], "categories": []}', "no annotations in COCO's format"),
        ('{"images": [], "annotations": [{"image_id": 1}], "categories": []}', "no annotations in COCO's format"),
        ("[" * 100_000, "cannot be read as JSON"),
    ],
)
def test_what_is_not_cocos(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "l.json").write_text(text)
    with pytest.raises(ImageError, match=says):
        coco_table(tmp_path / "l.json")


def test_files_that_are_missing(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="does not exist"):
        coco_table(tmp_path / "no.json")
    with pytest.raises(ImageError, match="development kit"):
        imagenet_devkit_table(tmp_path)


def test_a_development_kit_of_something_else(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "ILSVRC2012_validation_ground_truth.txt").write_text("1\n2\n")
    for content in (b"no matrix", b""):
        (data / "meta.mat").write_bytes(content)
        with pytest.raises(ImageError, match="development kit"):
            imagenet_devkit_table(tmp_path)
    savemat(data / "meta.mat", {"synsets": np.zeros(3)})
    with pytest.raises(ImageError, match="development kit"):
        imagenet_devkit_table(tmp_path)
