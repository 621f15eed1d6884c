"""CIFAR-10's binary batches: records of fixed size, never a pickle."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from vfs_panel.errors import ImageError
from vfs_panel.images.cifar import cifar_listing


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(3)
    for name, labels in (("data_batch_1", [0, 1]), ("data_batch_2", [1]), ("test_batch", [0, 0, 1])):
        pixels = rng.integers(0, 256, (len(labels), 3072), np.uint8)
        records = np.concatenate([np.array(labels, np.uint8)[:, None], pixels], axis=1)
        (tmp_path / f"{name}.bin").write_bytes(records.tobytes())
    (tmp_path / "batches.meta.txt").write_text("airplane\ncat\n\n")
    return tmp_path


def test_pictures_labels_and_splits(folder: Path) -> None:
    listing = cifar_listing(folder, name="c")
    assert listing.table["label"].to_dict() == {
        "train-1/00000": "airplane", "train-1/00001": "cat", "train-2/00000": "cat",
        "test/00000": "airplane", "test/00001": "airplane", "test/00002": "cat",
    }  # fmt: skip
    assert list(listing.table["split"]) == ["train"] * 3 + ["test"] * 3
    held = np.frombuffer((folder / "test_batch.bin").read_bytes(), np.uint8).reshape(3, 3073)[2, 1:]
    expected = held.reshape(3, 32, 32).transpose(1, 2, 0)
    np.testing.assert_array_equal(listing.load("test/00002"), expected)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(listing.load))("test/00002"), expected)


def test_what_is_not_the_binary_version(folder: Path, tmp_path: Path) -> None:
    (folder / "test_batch.bin").write_bytes(b"x" * 3000)
    with pytest.raises(ImageError, match="no whole records"):
        cifar_listing(folder, name="c")
    (folder / "test_batch.bin").write_bytes(bytes([9]) * 3073)
    with pytest.raises(ImageError, match="has class 9, but"):
        cifar_listing(folder, name="c")
    (folder / "batches.meta.txt").unlink()
    with pytest.raises(ImageError, match="names of its classes"):
        cifar_listing(folder, name="c")
    with pytest.raises(ImageError, match="binary version"):
        cifar_listing(tmp_path / "no", name="c")
