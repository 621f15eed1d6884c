"""Datasets of torchvision, and others like them."""

import logging
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import ConcatDataset, Dataset, Subset, TensorDataset
from torchvision import transforms
from torchvision.datasets import DatasetFolder, FakeData, ImageFolder, VisionDataset

from vfs_panel.errors import ImageError
from vfs_panel.images.dataset import ImageDataset

COLOUR = np.random.default_rng(1).integers(0, 256, (4, 8, 9, 3), np.uint8)


class Held(VisionDataset):
    """Pictures in memory, as CIFAR10 keeps them."""

    classes = ("cat", "dog")

    def __init__(self, **options: object) -> None:
        super().__init__("", **options)  # type: ignore[arg-type]
        self.targets = [0, 1, 1, -1]

    def __len__(self) -> int:
        return len(COLOUR)

    def __getitem__(self, row: int) -> tuple[object, int]:
        picture: object = Image.fromarray(COLOUR[row])
        if self.transform is not None:
            picture = self.transform(picture)
        return picture, self.targets[row]


class Own(Dataset):
    """Somebody's own dataset, without targets that can be listed."""

    def __init__(self, *items: object) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, row: int) -> object:
        return self.items[row]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for label in ("cat", "dog"):
        (tmp_path / label).mkdir()
        for k in range(2):
            Image.fromarray(COLOUR[k]).save(tmp_path / label / f"{label}{k}.png")
    return tmp_path


def test_labels_and_pictures_without_the_transform(caplog: pytest.LogCaptureFixture) -> None:
    shrink = transforms.Compose([transforms.Resize(2), transforms.ToTensor(), transforms.Normalize(0.5, 0.5)])
    held = Held(transform=shrink)
    with caplog.at_level(logging.WARNING):
        images = ImageDataset.from_torchvision(held, domain="photo", split=["a", "a", "b", "b"])
    assert "transforms of Held are left out" in caplog.text
    assert images.ids == ["0", "1", "2", "3"]
    assert images.table["label"].tolist() == ["cat", "dog", "dog", ""]
    assert images.table["domain"].unique().tolist() == ["photo"]
    assert images.table["split"].tolist() == ["a", "a", "b", "b"]
    assert (images.rgb("2") == COLOUR[2]).all()
    assert held.transform is shrink


def test_files_of_a_folder(tree: Path) -> None:
    images = ImageDataset.from_torchvision(ImageFolder(str(tree)))
    assert images.ids == ["cat0", "cat1", "dog0", "dog1"]
    assert images.table.loc["dog1", ["label", "path"]].tolist() == ["dog", "dog/dog1.png"]
    assert images.folder == str(tree.resolve())
    assert (images.rgb("dog1") == COLOUR[1]).all()
    (tree / "dog" / "dog0.png").rename(tree / "dog" / "cat0.png")  # a stem that stands twice: the path tells
    assert ImageDataset.from_torchvision(ImageFolder(str(tree))).ids[0] == "cat/cat0.png"


def test_files_keep_what_a_loader_would_lose(tree: Path) -> None:
    Image.fromarray(np.linspace(0, 65535, 16).astype(np.uint16).reshape(4, 4)).save(tree / "cat" / "cat0.png")
    rgb = ImageDataset.from_torchvision(ImageFolder(str(tree))).rgb("cat0")
    np.testing.assert_allclose(rgb[..., 0].ravel(), np.arange(16) * 17, atol=1)


def read_bytes(path: str) -> torch.Tensor:
    return torch.full((1, 3, 3), Path(path).stat().st_size / 1e6)


def test_a_loader_of_ones_own_is_used(tree: Path) -> None:
    images = ImageDataset.from_torchvision(DatasetFolder(str(tree), read_bytes, extensions=(".png",)))
    assert images.ids[0] == "cat0"
    assert images.table["path"].tolist() == [""] * 4
    assert images.rgb("cat0").shape == (3, 3, 3)


def test_subsets_and_joined_sets(tree: Path) -> None:
    images = ImageDataset.from_torchvision(Subset(Held(transform=transforms.ToTensor()), [3, 1]))
    assert images.table["label"].tolist() == ["", "dog"]
    assert (images.rgb("1") == COLOUR[1]).all()
    images = ImageDataset.from_torchvision(ConcatDataset([Held(), Subset(Held(), [0])]))
    assert images.table["label"].tolist() == ["cat", "dog", "dog", "", "cat"]
    assert (images.rgb("4") == COLOUR[0]).all()
    folder = ImageDataset.from_torchvision(Subset(ImageFolder(str(tree)), [2]))
    assert folder.ids == ["dog0"]
    assert (folder.rgb("dog0") == COLOUR[0]).all()


@pytest.mark.parametrize(
    "item",
    [
        Image.fromarray(COLOUR[0]),
        COLOUR[0],
        (COLOUR[0], "target", "more"),
        {"image": COLOUR[0]},
        torch.from_numpy(COLOUR[0]).permute(2, 0, 1),
        torch.from_numpy(COLOUR[0]).permute(2, 0, 1) / 255,
        np.moveaxis(COLOUR[0], -1, 0),
    ],
)
def test_items_of_every_kind(item: object) -> None:
    images = ImageDataset.from_torchvision(Own(item), label=["x"])
    assert images.table["label"].tolist() == ["x"]
    assert (images.rgb("0") == COLOUR[0]).all()


def test_tensors_side_by_side() -> None:
    tensors = TensorDataset(torch.from_numpy(COLOUR[..., 0] / 255), torch.arange(4))
    assert (ImageDataset.from_torchvision(tensors).rgb("3")[..., 0] == COLOUR[3, ..., 0]).all()


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (torch.randn(3, 4, 4), r"expected floats in 0\.\.1"),
        ("text", "expected a PIL picture"),
        (torch.zeros(2, 7, 7), "shape"),
        ((), "expected a PIL picture"),
    ],
)
def test_items_that_are_no_pictures(item: object, message: str) -> None:
    with pytest.raises(ImageError, match=f"Picture 0 .*{message}"):
        ImageDataset.from_torchvision(Own(item)).rgb("0")


def test_a_broken_item_is_named() -> None:
    images = ImageDataset.from_torchvision(Own({"image": COLOUR[0]}))
    images.load.dataset.items = ()
    with pytest.raises(ImageError, match="Picture 0 cannot be read from Own: tuple index"):
        images.rgb("0")
    with pytest.raises(ImageError, match="by row number"):
        ImageDataset.from_torchvision(iter([]))
    with pytest.raises(ImageError, match="'split' has 1 values for 4"):
        ImageDataset.from_torchvision(Held(), split=["x"])


def test_several_findings_per_picture() -> None:
    held = Own(*COLOUR)
    held.labels, held.pathologies = np.array([[1, 0], [0, 0], [np.nan, 1], [1, 1]]), ["Mass", "Gas"]
    images = ImageDataset.from_torchvision(held)
    assert images.findings is not None
    assert images.findings["Gas"].tolist() == [False, False, True, True]
    assert images.table["label"].tolist() == ["Mass", "", "Gas", "Mass|Gas"]


def test_torchvisions_own_set_and_pickles(tree: Path) -> None:
    fake = ImageDataset.from_torchvision(FakeData(3, (3, 12, 10), num_classes=2))
    assert fake.rgb("1").shape == (12, 10, 3)
    for images in (ImageDataset.from_torchvision(Held()), ImageDataset.from_torchvision(ImageFolder(str(tree)))):
        again = pickle.loads(pickle.dumps(images))
        assert (again.rgb(images.ids[1]) == images.rgb(images.ids[1])).all()
