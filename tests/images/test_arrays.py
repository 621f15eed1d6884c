"""Pictures in one array: NumPy, .npy, .npz and Zarr."""

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import zarr

from vfs_panel.errors import ImageError
from vfs_panel.images.dataset import ImageDataset

COLOUR = np.random.default_rng(1).integers(0, 256, (4, 5, 6, 3), np.uint8)
GREY = COLOUR[..., 0]


@pytest.mark.parametrize(
    ("pictures", "expected", "within"),
    [
        (COLOUR, COLOUR, 0),
        (GREY, GREY[..., None], 0),
        (GREY[..., None], GREY[..., None], 0),
        ((COLOUR / 255).astype(np.float32), COLOUR, 0),
        ((COLOUR / 255).astype(np.float16), COLOUR, 1),
        (COLOUR.astype(np.uint16) * 257, COLOUR, 1),
        (GREY > 100, (GREY > 100)[..., None] * 255, 0),
        (np.concatenate([COLOUR, np.full_like(COLOUR[..., :1], 255)], -1), COLOUR, 0),
        (np.concatenate([COLOUR, np.zeros_like(COLOUR[..., :1])], -1), np.full_like(COLOUR, 255), 0),
    ],
)
def test_types_and_channels(pictures: np.ndarray, expected: np.ndarray, within: int) -> None:
    images = ImageDataset.from_arrays(pictures)
    assert images.ids == ["0", "1", "2", "3"]
    for row, image_id in enumerate(images.ids):
        rgb = images.rgb(image_id)
        assert (rgb.shape, rgb.dtype) == ((5, 6, 3), np.uint8)
        np.testing.assert_allclose(rgb, np.broadcast_to(expected[row], (5, 6, 3)), atol=within)


def test_columns_ids_and_findings() -> None:
    findings = pd.DataFrame({"Mass": [1, 0, 0, 1]}, index=list("abcd"))
    images = ImageDataset.from_arrays(COLOUR, image=list("abcd"), domain="photo", age=[1, 2, 3, 4], findings=findings)
    assert images.table.loc["c", ["domain", "age"]].tolist() == ["photo", "3"]
    assert images.findings is not None
    assert images.findings["Mass"].tolist() == [True, False, False, True]
    with pytest.raises(ImageError, match="'age' has 2 values for 4 pictures"):
        ImageDataset.from_arrays(COLOUR, age=[1, 2])
    with pytest.raises(ImageError, match="2 ids for 4 pictures"):
        ImageDataset.from_arrays(COLOUR, image=["a", "b"])


def test_a_change_of_a_picture_does_not_reach_the_array() -> None:
    pictures = COLOUR.copy()
    ImageDataset.from_arrays(pictures).rgb("0")[:] = 0
    assert (pictures == COLOUR).all()


@pytest.mark.parametrize(
    ("pictures", "message"),
    [
        (np.zeros((4, 5)), "shape"),
        (np.zeros((4, 3, 20, 20), np.uint8), "Move the channels to the end"),
        (np.zeros((4, 5, 6), "U3"), "type <U3"),
        (np.zeros((4, 5, 6), complex), "type complex128"),
        ([1, 2], "list, not an array"),
    ],
)
def test_what_are_no_pictures(pictures: object, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        ImageDataset.from_arrays(pictures)


@pytest.mark.parametrize("value", [-0.5, 2.0, np.nan])
def test_floats_outside_of_zero_to_one_are_refused(value: float) -> None:
    with pytest.raises(ImageError, match=r"Picture 0 .*expected floats in 0\.\.1"):
        ImageDataset.from_arrays(np.full((1, 4, 4), value)).rgb("0")


def test_npy_is_mapped_and_pickles_as_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    many = np.random.default_rng(0).integers(0, 256, (100, 32, 32, 3), np.uint8)
    np.save(tmp_path / "many.npy", many)
    monkeypatch.chdir(tmp_path)
    images = ImageDataset.from_arrays("many.npy", name=None)
    assert images.name == "many"
    data = pickle.dumps(images)
    assert len(data) < many.nbytes / 10
    monkeypatch.chdir("/")
    assert (pickle.loads(data).rgb("42") == many[42]).all()


def test_npz_with_columns(tmp_path: Path) -> None:
    np.savez(
        tmp_path / "set.npz", pictures=COLOUR, label=np.array(list("xyxy")), ids=np.arange(4) + 10, mean=np.ones(3)
    )
    images = ImageDataset.from_arrays(tmp_path / "set.npz")
    assert images.ids == ["10", "11", "12", "13"]
    assert images.table["label"].tolist() == list("xyxy")
    assert "mean" not in images.table
    assert (pickle.loads(pickle.dumps(images)).rgb("12") == COLOUR[2]).all()


def test_npz_with_splits_as_medmnist(tmp_path: Path) -> None:
    parts = {"train": slice(0, 2), "val": slice(2, 3), "test": slice(3, 4)}
    held = {f"{part}_images": GREY[rows] for part, rows in parts.items()}
    held |= {f"{part}_labels": np.arange(4)[rows, None] for part, rows in parts.items()}
    np.savez(tmp_path / "med.npz", **held)
    images = ImageDataset.from_arrays(tmp_path / "med.npz")
    assert images.table["split"].tolist() == ["train", "train", "val", "test"]
    assert images.table["label"].tolist() == ["0", "1", "2", "3"]
    assert (images.rgb("3")[..., 0] == GREY[3]).all()


@pytest.mark.parametrize("version", [2, 3])
def test_zarr(tmp_path: Path, version: int) -> None:
    held = zarr.create_array(
        str(tmp_path / "set.zarr"), shape=COLOUR.shape, chunks=(1, 5, 6, 3), dtype="u1", zarr_format=version
    )
    held[:] = COLOUR
    for source in (tmp_path / "set.zarr", held):
        images = ImageDataset.from_arrays(source)
        assert (images.rgb("2") == COLOUR[2]).all()
        assert (pickle.loads(pickle.dumps(images)).rgb("3") == COLOUR[3]).all()


def test_a_damaged_zarr_chunk_is_named(tmp_path: Path) -> None:
    held = zarr.create_array(str(tmp_path / "set.zarr"), shape=COLOUR.shape, chunks=(1, 5, 6, 3), dtype="u1")
    held[:] = COLOUR
    (tmp_path / "set.zarr" / "c" / "1" / "0" / "0" / "0").write_bytes(b"rotten")
    images = ImageDataset.from_arrays(tmp_path / "set.zarr")
    assert (images.rgb("0") == COLOUR[0]).all()
    with pytest.raises(ImageError, match="Picture 1 cannot be read"):
        images.rgb("1")


def test_files_that_are_no_arrays(tmp_path: Path) -> None:
    (tmp_path / "text.npy").write_text("text")
    np.save(tmp_path / "code.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "two.npz", a=COLOUR, b=COLOUR)
    (tmp_path / "bad.npz").write_bytes(b"PK nothing")
    for name, message in (
        ("none.npy", "does not exist"), ("text.npy", "cannot be read as an array"),
        ("code.npy", "cannot be read as an array"), ("two.npz", "holds the arrays a, b"),
        ("bad.npz", "cannot be read as an array"),
    ):  # fmt: skip
        with pytest.raises(ImageError, match=message):
            ImageDataset.from_arrays(tmp_path / name)


def test_chunks_of_many_pictures_are_decoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    many = np.random.default_rng(0).integers(0, 256, (25, 6, 5), np.uint8)
    held = zarr.create_array({}, shape=many.shape, chunks=(4, 3, 5), dtype="u1")
    held[:] = many

    class Counted:
        shape, dtype, chunks = held.shape, held.dtype, held.chunks
        reads = 0

        def __getitem__(self, rows: object) -> object:
            self.reads += 1
            return held[rows]

    counted = Counted()
    images = ImageDataset.from_arrays(counted)
    order = np.random.default_rng(1).permutation(25)
    assert all((images.rgb(str(row))[..., 1] == many[row]).all() for row in order)
    assert counted.reads == 7
    monkeypatch.setattr("vfs_panel.images.arrays._KEPT_BYTES", 2 * 4 * 6 * 5)
    few = ImageDataset.from_arrays(counted)
    assert all((few.rgb(str(row))[..., 1] == many[row]).all() for row in order)
    assert len(few.load.pictures._blocks) == 2
