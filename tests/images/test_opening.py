"""Whatever a person names is opened, or it is said what was expected."""

from pathlib import Path

import numpy as np
import pytest
import zarr
from PIL import Image

from vfs_panel.errors import ImageError
from vfs_panel.images.opening import open_images

COLOUR = np.random.default_rng(1).integers(0, 256, (4, 8, 9, 3), np.uint8)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for label in ("cat", "dog"):
        (tmp_path / "tree" / "photo" / label).mkdir(parents=True)
        for k in range(2):
            Image.fromarray(COLOUR[k]).save(tmp_path / "tree" / "photo" / label / f"{k}.png")
    (tmp_path / "tree" / "list.csv").write_text("path,camera,seen\nphoto/cat/0.png,n,Mass\nphoto/dog/1.png,s,\n")
    np.save(tmp_path / "set.npy", COLOUR)
    np.savez(tmp_path / "set.npz", pictures=COLOUR, label=np.array(list("xyxy")))
    zarr.save_array(str(tmp_path / "set.zarr"), COLOUR)
    zarr.open_group(str(tmp_path / "group.zarr"), mode="w").create_array("x", data=COLOUR)
    return tmp_path


def test_folders_and_lists(place: Path) -> None:
    tree = open_images(place / "tree")
    assert (len(tree), tree.name) == (4, "tree")
    assert tree.table.loc["photo/dog/0.png", ["domain", "label"]].tolist() == ["photo", "dog"]
    listed = open_images(place / "tree" / "list.csv", domain="camera", findings="seen")
    assert listed.name == "list"
    assert listed.table[["domain", "label"]].to_numpy().tolist() == [["n", "Mass"], ["s", ""]]
    assert open_images(place / "tree" / "list.csv").table["domain"].tolist() == ["photo", "photo"]
    labelled = open_images(place / "tree", labels=place / "tree" / "list.csv", findings="seen", name="mine")
    assert labelled.findings is not None
    assert (labelled.name, labelled.findings["Mass"].tolist()) == ("mine", [True, False])


@pytest.mark.parametrize("name", ["set.npy", "set.npz", "set.zarr"])
def test_arrays(place: Path, name: str) -> None:
    images = open_images(place / name)
    assert images.name == "set"
    assert (images.rgb("3") == COLOUR[3]).all()
    by_row, by_id = place / "rows.csv", place / "ids.csv"
    by_row.write_text("camera,seen\n1,Mass\n2,\n3,\n4,Gas|Mass\n")
    by_id.write_text("image,camera,seen\n3,4,Gas|Mass\n1,2,\n0,1,Mass\n2,3,\n9,9,\n")
    for labels in (by_row, by_id):
        known = open_images(place / name, labels=labels, domain="camera", findings="seen")
        assert known.table["domain"].tolist() == ["1", "2", "3", "4"]
        assert known.findings is not None
        assert known.findings["Gas"].tolist() == [False, False, False, True]
        assert known.table["label"].tolist() == (list("xyxy") if name == "set.npz" else ["Mass", "", "", "Gas|Mass"])
        assert (known.rgb("2") == COLOUR[2]).all()


def test_a_saved_hugging_face_folder(place: Path) -> None:
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    rows = {"image": [Image.fromarray(p) for p in COLOUR], "camera": list("nssn")}
    datasets.Dataset.from_dict(rows).cast_column("image", datasets.Image()).save_to_disk(place / "saved")
    images = open_images(place / "saved", domain="camera")
    assert images.table["domain"].tolist() == list("nssn")
    assert (images.rgb("1") == COLOUR[1]).all()


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        ("none", {}, "does not exist. Expected a folder of pictures"),
        ("tree/photo/cat/0.png", {}, "is no set of pictures. Expected"),
        ("group.zarr", {}, "Zarr group, not an array"),
        ("tree/list.csv", {"labels": "tree/list.csv"}, "leave out the labels file"),
        ("tree", {"domain": "camera"}, "needs a labels CSV"),
        ("set.npy", {"domain": "camera"}, "no column 'camera'"),
        ("set.npy", {"labels": "tree/list.csv"}, "2 rows for 4 pictures"),
        ("set.npy", {"labels": "none.csv"}, "does not exist"),
    ],
)
def test_what_is_wrong_is_said(place: Path, source: str, options: dict[str, str], message: str) -> None:
    if "labels" in options:
        options = options | {"labels": str(place / options["labels"])}
    with pytest.raises(ImageError, match=message):
        open_images(place / source, **options)  # type: ignore[arg-type]


def test_addresses_are_not_fetched() -> None:
    with pytest.raises(ImageError, match="is an address"):
        open_images("https://example.org/list.csv")
