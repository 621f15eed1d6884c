"""Picture sets: ids, labels and domains from folders, CSVs and arrays."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from vfs_panel.errors import ImageError
from vfs_panel.images.dataset import ImageDataset


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for domain in ("photo", "sketch"):
        for label in ("cat", "dog"):
            (tmp_path / domain / label).mkdir(parents=True)
            for k in range(2):
                Image.new("RGB", (12, 10), (k * 90, 0, 0)).save(tmp_path / domain / label / f"{k}.png")
    (tmp_path / "photo" / "cat" / "notes.txt").write_text("not a picture")
    (tmp_path / "photo" / "cat" / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing")
    (tmp_path / ".hidden.png").write_bytes(b"")
    return tmp_path


def test_folders_give_domain_and_label(folder: Path) -> None:
    images = ImageDataset.from_folder(folder)
    assert len(images) == 8
    assert images.table.loc["photo/cat/1.png", ["domain", "label"]].tolist() == ["photo", "cat"]
    assert images.rgb("photo/cat/1.png")[0, 0].tolist() == [90, 0, 0]


def test_files_that_are_no_pictures_are_named(folder: Path) -> None:
    skipped = dict(ImageDataset.from_folder(folder).skipped)
    assert set(skipped) == {"photo/cat/notes.txt", "photo/cat/broken.jpg"}


def test_csv_gives_labels_domains_and_metadata(folder: Path) -> None:
    labels = folder / "labels.csv"
    labels.write_text(
        "path,label,camera,age\nphoto/cat/0.png,tabby,north,3\nsketch/dog/1.png,poodle,south,9\ngone.png,x,y,1\n"
    )
    images = ImageDataset.from_folder(folder, labels=labels, domain="camera")
    assert images.table["domain"].tolist() == ["north", "south"]
    assert images.table["label"].tolist() == ["tabby", "poodle"]
    assert images.table["age"].tolist() == ["3", "9"]
    assert images.skipped == [("gone.png", "no such file")]


@pytest.mark.parametrize(
    ("csv", "domain", "message"),
    [
        ("path\n../../etc/passwd\n", "parent", "leads out"),
        ("name\nx\n", "parent", "needs 'path'"),
        ("path\nphoto/cat/0.png\n", "camera", "no column 'camera'"),
        ("", "parent", "cannot be read"),
    ],
)
def test_bad_csv_says_what_is_wrong(folder: Path, csv: str, domain: str, message: str) -> None:
    labels = folder / "labels.csv"
    labels.write_text(csv)
    with pytest.raises(ImageError, match=message):
        ImageDataset.from_folder(folder, labels=labels, domain=domain)


def test_missing_and_empty_folders(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="does not exist"):
        ImageDataset.from_folder(tmp_path / "gone")
    with pytest.raises(ImageError, match="holds no picture"):
        ImageDataset.from_folder(tmp_path)


def test_arrays_and_subset() -> None:
    pictures = np.arange(3 * 4 * 4 * 3, dtype=np.uint8).reshape(3, 4, 4, 3)
    images = ImageDataset.from_arrays(pictures, image=["a", "b", "c"], label=["x", "y", "x"])
    some = images.subset(["c", "a"])
    assert some.ids == ["c", "a"]
    assert (some.rgb("c") == pictures[2]).all()
    with pytest.raises(ImageError, match="has no picture 'z'"):
        images.rgb("z")


def test_an_id_must_be_unique() -> None:
    with pytest.raises(ImageError, match="stands 2 times"):
        ImageDataset.from_arrays(np.zeros((2, 4, 4, 3), np.uint8), image=["a", "a"])


def test_a_folder_is_in_order_and_pickles(folder: Path) -> None:
    import pickle

    images = ImageDataset.from_folder(folder)
    assert images.ids == [f"{d}/{c}/{k}.png" for d in ("photo", "sketch") for c in ("cat", "dog") for k in range(2)]
    again = pickle.loads(pickle.dumps(images))
    assert again.ids == images.ids
    assert (again.rgb("photo/dog/1.png") == images.rgb("photo/dog/1.png")).all()


def test_pictures_are_found_whatever_their_ending_and_folders_by_links_are_not_followed(folder: Path) -> None:
    (folder / "photo" / "cat" / "0.png").rename(folder / "photo" / "cat" / "0")
    (folder / "sketch" / "loop").symlink_to(folder)
    (folder / "photo" / "cat" / "2.png").symlink_to(folder / "photo" / "cat" / "1.png")
    images = ImageDataset.from_folder(folder)
    assert images.ids[:3] == ["photo/cat/0", "photo/cat/1.png", "photo/cat/2.png"]
    assert len(images) == 9


def test_a_relative_folder_is_still_found_from_elsewhere(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    images = ImageDataset.from_folder(".")
    monkeypatch.chdir("/")
    assert images.rgb("photo/cat/0.png").shape == (10, 12, 3)


def test_a_load_of_ones_own_that_fails_is_named() -> None:
    def load(image_id: str) -> np.ndarray:
        return np.zeros((4, 4), np.uint8) if image_id == "flat" else {}[image_id]

    images = ImageDataset(pd.DataFrame(index=["flat", "gone"]), load, name="mine")
    with pytest.raises(ImageError, match=r"'gone' of mine cannot be read: KeyError"):
        images.rgb("gone")
    with pytest.raises(ImageError, match=r"'flat' of mine was read as uint8 of shape \(4, 4\)"):
        images.rgb("flat")
