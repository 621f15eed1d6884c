"""Hugging Face datasets, made and saved here."""

import io
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vfs_panel.errors import ImageError
from vfs_panel.images.dataset import ImageDataset

datasets = pytest.importorskip("datasets")

COLOUR = np.random.default_rng(1).integers(0, 256, (4, 8, 9, 3), np.uint8)


@pytest.fixture(autouse=True)
def _quiet() -> None:
    datasets.disable_progress_bars()


def encoded(pixels: np.ndarray) -> dict[str, object]:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return {"bytes": out.getvalue(), "path": None}


def made(count: int = 4, **more: object) -> "datasets.Dataset":
    features = datasets.Features(
        {
            "picture": datasets.Image(),
            "label": datasets.ClassLabel(names=["cat", "dog"]),
            "seen": datasets.Sequence(datasets.ClassLabel(names=["Mass", "Gas"])),
            "age": datasets.Value("int32"),
            "camera": datasets.Value("string"),
            "box": datasets.Sequence(datasets.Value("float32")),
        }
    )
    rows = {
        "picture": [encoded(pixels) for pixels in COLOUR[:count]],
        "label": [0, 1, None, 1][:count],
        "seen": [[0, 1], [], [1], [0]][:count],
        "age": [3, None, 5, 6][:count],
        "camera": ["n", "s", None, "s"][:count],
        "box": [[1.0, 2.0]] * count,
    }
    return datasets.Dataset.from_dict(rows | more, features=features)


def test_columns_classes_and_pictures() -> None:
    images = ImageDataset.from_huggingface(made(), domain="camera", name="set")
    assert images.ids == ["0", "1", "2", "3"]
    assert images.table["label"].tolist() == ["cat", "dog", "", "dog"]
    assert images.table["domain"].tolist() == ["n", "s", "", "s"]
    assert images.table["age"].tolist() == ["3", "", "5", "6"]
    assert not {"picture", "box"} & set(images.table)
    assert images.findings is None
    for row, image_id in enumerate(images.ids):
        assert (images.rgb(image_id) == COLOUR[row]).all()


def test_findings_from_a_list_of_classes() -> None:
    images = ImageDataset.from_huggingface(made(), findings="seen")
    assert images.findings is not None
    assert images.findings.to_dict("list") == {"Gas": [True, False, True, False], "Mass": [True, False, False, True]}
    assert images.table["label"].tolist() == ["cat", "dog", "", "dog"]


def test_formats_and_subsets_make_no_difference() -> None:
    chosen = made().select([3, 0]).with_format("numpy")
    images = ImageDataset.from_huggingface(chosen)
    assert images.table["label"].tolist() == ["dog", "cat"]
    assert (images.rgb("0") == COLOUR[3]).all()


def test_splits() -> None:
    several = datasets.DatasetDict({"train": made(), "test": made(2)})
    images = ImageDataset.from_huggingface(several)
    assert images.ids[3:] == ["train/3", "test/0", "test/1"]
    assert images.table["split"].tolist() == ["train"] * 4 + ["test"] * 2
    assert (images.rgb("test/1") == COLOUR[1]).all()
    assert ImageDataset.from_huggingface(several, split="test").ids == ["0", "1"]
    with pytest.raises(ImageError, match="no split 'dev'; it has train, test"):
        ImageDataset.from_huggingface(several, split="dev")


def test_saved_folders_and_pickles(tmp_path: Path) -> None:
    made().save_to_disk(tmp_path / "one")
    datasets.DatasetDict({"train": made(), "test": made(2)}).save_to_disk(tmp_path / "several")
    for folder, image_id in (("one", "2"), ("several", "train/2")):
        images = ImageDataset.from_huggingface(tmp_path / folder)
        assert images.name == folder
        again = pickle.loads(pickle.dumps(images))
        assert (again.rgb(image_id) == COLOUR[2]).all()


def test_pictures_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    outside = tmp_path / "outside.png"
    Image.fromarray(COLOUR[0]).save(outside)
    pictures = [{"bytes": b"rotten", "path": None}, None, {"bytes": None, "path": str(outside)}, encoded(COLOUR[3])]
    broken = made(picture=pictures)
    images = ImageDataset.from_huggingface(broken)
    assert (images.rgb("3") == COLOUR[3]).all()
    assert (images.rgb("2") == COLOUR[0]).all()  # the caller's own dataset may name files anywhere
    with pytest.raises(ImageError, match="Picture 0 is no picture"):
        images.rgb("0")
    with pytest.raises(ImageError, match="Picture 1 is empty"):
        images.rgb("1")


def test_a_saved_folder_reads_no_file_outside_of_itself(tmp_path: Path) -> None:
    from vfs_panel.images.huggingface import RowReader

    outside, inside = tmp_path / "outside.png", tmp_path / "saved" / "inside.png"
    inside.parent.mkdir()
    for file in (outside, inside):
        Image.fromarray(COLOUR[0]).save(file)
    rows = [{"picture": {"bytes": None, "path": str(file)}} for file in (outside, inside)]
    read = RowReader({"": rows}, "picture", tmp_path / "saved")
    assert (read("1") == COLOUR[0]).all()
    with pytest.raises(ImageError, match="lies outside of"):
        read("0")


def test_what_is_wrong_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    two = made().add_column("second", [encoded(p) for p in COLOUR]).cast_column("second", datasets.Image())
    with pytest.raises(ImageError, match="several: picture, second"):
        ImageDataset.from_huggingface(two)
    assert len(ImageDataset.from_huggingface(two, image="second")) == 4
    with pytest.raises(ImageError, match="no picture column 'age'"):
        ImageDataset.from_huggingface(two, image="age")
    with pytest.raises(ImageError, match="needs one column of type Image; it has none, but label"):
        ImageDataset.from_huggingface(made().remove_columns("picture"))
    with pytest.raises(ImageError, match="holds no picture"):
        ImageDataset.from_huggingface(made(0))
    with pytest.raises(ImageError, match="not streamed"):
        ImageDataset.from_huggingface(made().to_iterable_dataset())
    with pytest.raises(ImageError, match="not written by save_to_disk"):
        ImageDataset.from_huggingface(tmp_path)
    with pytest.raises(ImageError, match="does not exist"):
        ImageDataset.from_huggingface(tmp_path / "none")
    (tmp_path / "state.json").write_text("{}")
    with pytest.raises(ImageError, match="cannot be had"):
        ImageDataset.from_huggingface(tmp_path)
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ImageError, match=r'pip install "vfs_panel\[huggingface\]"'):
        ImageDataset.from_huggingface("any")
