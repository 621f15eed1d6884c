"""Label, domain and split of each picture, by the rules of an entry."""

from pathlib import Path
from typing import Any

import pytest

from vfs_panel.catalog.describing import Described
from vfs_panel.catalog.labels import described_images
from vfs_panel.errors import CatalogError, ImageError, VFSError
from vfs_panel.images.dataset import ImageDataset

CAT = "photo/cat/0.png"


def described(picture_folder: Path, file: Path | None = None, **rules: Any) -> ImageDataset:
    given = ({} if file is None else {"labels": str(file)}) | rules
    pictures = Described.model_validate(given)
    beside = (picture_folder,) if file is None else (file.parent,)
    return described_images(pictures, folder=picture_folder, labels=file, beside=beside, name="mine")


def table(tmp_path: Path, text: str, name: str = "labels.csv") -> Path:
    (tmp_path / name).write_text(text)
    return tmp_path / name


def test_without_rules_folders_are_domain_and_label(picture_folder: Path) -> None:
    images = described(picture_folder)
    assert images.table.loc[CAT, ["domain", "label", "split"]].tolist() == ["photo", "cat", ""]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"folder": "first"}, "photo"),
        ("parent", "photo"),
        ({"folder": "last"}, "cat"),
        ({"pattern": r"/(\d)\.png$"}, "0"),
        ({"pattern": r"^(x)?photo"}, ""),
        ({"pattern": "(zebra)"}, ""),
        ({"value": "all"}, "all"),
        ({"folder": "first", "names": {"photo": "Photograph"}}, "Photograph"),
        ({"folder": "first", "names": {"sketch": "Drawing"}}, "photo"),
    ],
)
def test_rules_by_path(picture_folder: Path, rule: object, expected: str) -> None:
    for role in ("label", "domain", "split"):
        assert described(picture_folder, **{role: rule}).table.loc[CAT, role] == expected


def test_rules_by_column_and_names(picture_folder: Path, tmp_path: Path) -> None:
    labels = table(tmp_path, f"path,y,camera,part\n{CAT},1,north,a\nsketch/dog/1.png,2,south,b\n")
    table(tmp_path, "key,word\n1,cat\n2,dog\n", "names.csv")
    images = described(
        picture_folder,
        labels,
        label={"column": "y", "names_file": {"file": "names.csv", "key": "key", "name": "word"}},
        domain="camera",
        split={"column": "part", "names": {"a": "train"}},
    )
    assert images.table[["label", "domain", "split"]].to_numpy().tolist() == [
        ["cat", "north", "train"], ["dog", "south", "b"],
    ]  # fmt: skip
    assert list(images.table["camera"]) == ["north", "south"]


def test_columns_without_names_and_paths_that_are_made(picture_folder: Path, tmp_path: Path) -> None:
    labels = table(tmp_path, "# style kind number\nphoto cat 0\nsketch dog 1\n", "list.txt")
    file = {"file": "list.txt", "columns": ["style", "kind", "number"], "path": "{style}/{kind}/{number}.png"}
    images = described(picture_folder, labels, labels=file, label="kind", domain="style")
    assert images.ids == [CAT, "sketch/dog/1.png"]
    assert list(images.table["label"]) == ["cat", "dog"]


def test_only_some_splits(picture_folder: Path, tmp_path: Path) -> None:
    labels = table(tmp_path, f"path,split\n{CAT},train\nsketch/dog/1.png,test\nnot/there.png,train\n")
    assert described(picture_folder, labels, splits=["test"]).ids == ["sketch/dog/1.png"]
    assert len(described(picture_folder, split={"folder": "first"}, splits=["photo"])) == 6
    with pytest.raises(CatalogError, match="split val; there are photo, sketch"):
        described(picture_folder, split={"folder": "first"}, splits=["val"])


def test_findings(picture_folder: Path, tmp_path: Path) -> None:
    labels = table(tmp_path, f"path,found\n{CAT},Mass|Nodule\nsketch/dog/1.png,No Finding\n")
    images = described(picture_folder, labels, findings="found", domain={"value": "all"})
    assert images.findings is not None
    assert images.findings.loc[CAT].all()
    assert set(images.table["domain"]) == {"all"}


@pytest.mark.parametrize(
    ("rules", "error", "says"),
    [
        ({"label": {"column": "kind"}}, ImageError, "no column 'kind'"),
        ({"findings": "kind"}, ImageError, "no column 'kind'"),
        ({"label": {"column": "y", "names_file": {"file": "no.csv", "key": "a", "name": "b"}}}, CatalogError, "no.csv"),
        (
            {"label": {"column": "y", "names_file": {"file": "labels.csv", "key": "a", "name": "y"}}},
            ImageError,
            "no column 'a'",
        ),
        ({"labels": {"file": "labels.csv", "path": "{stem}.png"}}, ImageError, "no column 'stem'"),
        ({"labels": {"file": "labels.csv", "format": "coco"}}, ImageError, "cannot be read as JSON"),
        ({"labels": {"file": "labels.csv", "format": "imagenet-devkit"}}, ImageError, "development kit"),
        ({"labels": {"file": "labels.csv", "columns": ["a", "b", "c", "d"]}}, ImageError, "fewer columns"),
    ],
)
def test_what_does_not_fit(
    picture_folder: Path, tmp_path: Path, rules: dict[str, Any], error: type[VFSError], says: str
) -> None:
    labels = table(tmp_path, f"path,y\n{CAT},1\n")
    with pytest.raises(error, match=says):
        described(picture_folder, labels, **rules)
