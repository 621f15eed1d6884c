"""Accuracy counts pictures by split and domain, and knows a wrong answer from a right one."""

import numpy as np
import pytest

from vfs_panel.images.dataset import ImageDataset
from vfs_panel.images.demo import photos
from vfs_panel.images.demo.build import index_of
from vfs_panel.models import load_network
from vfs_panel.models.demo_accuracy import accuracy, demo_labels


@pytest.fixture(scope="module")
def images():
    pictures = [
        photos.render(photos.PhotoPlan(s, domain, 4))
        for s in ("cat", "coffee", "gecko")
        for domain in ("photo", "sketch")
    ]
    pixels = {p.image_id: p.pixels for p in pictures}
    return ImageDataset(index_of(pictures, boxes=False), pixels.__getitem__, name="six")


def test_by_split_and_domain(images):
    rows = accuracy(load_network("vfs-demo"), images, labels=demo_labels(), batch_size=4).set_index("domain")
    assert rows["split"].to_dict() == {"photo": "val", "sketch": "ood"}
    assert rows["pictures"].to_list() == [3, 3]
    assert rows.loc["photo", "accuracy"] == 1


def test_exchanged_labels_are_all_wrong(images):
    shifted = list(np.roll(demo_labels(), 1))
    rows = accuracy(load_network("vfs-demo"), images, labels=shifted).set_index("domain")
    assert rows.loc["photo", "accuracy"] == 0


def test_labels_without_a_class_are_left_out(images):
    strangers = images.subset(images.ids)
    strangers.table.loc[images.ids[0], "label"] = "zebra"
    assert accuracy(load_network("vfs-demo"), strangers, labels=demo_labels())["pictures"].sum() == 5
