"""A network and a folder of pictures are all it takes."""

from pathlib import Path

import pytest
import torch
from torch import nn

from vfs_panel.app import explore
from vfs_panel.app.live import default_layers
from vfs_panel.errors import OutOfMemoryError, VFSError
from vfs_panel.images.dataset import ImageDataset
from vfs_panel.models import LayerInfo, list_layers, load_network
from vfs_panel.settings import settings


class Net(nn.Module):
    """Three sizes of grids."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 8, 8), nn.ReLU())
        self.body = nn.Sequential(nn.Conv2d(8, 12, 2, 2), nn.ReLU())
        self.pool = nn.AdaptiveAvgPool2d(1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.pool(self.body(self.stem(x)))


def test_explore_a_network(picture_folder: Path) -> None:
    explorer = explore(Net(), picture_folder)
    session = explorer.session
    assert session.state.layer == "body"
    assert list(session.source.networks.values()) == [["stem", "body"]]
    assert explorer.__panel__() is not None
    images = ImageDataset.from_folder(picture_folder)
    assert explore("vfs-demo", images=images, layers=["stage[34]"]).session.state.layer == "stage4"


def test_default_layers_are_the_outermost_of_the_coarsest_grids() -> None:
    network = load_network("resnet18", weights="random")
    assert default_layers(list_layers(network)) == ["layer2", "layer3", "layer4"]
    with pytest.raises(VFSError, match="nothing to search"):
        default_layers([LayerInfo("fc", "Linear", (10,), None)])


def test_what_does_not_fit_is_said_before_anything_is_computed(
    picture_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(VFSError, match="needs pictures"):
        explore(Net())
    monkeypatch.setenv("VFS_MEMORY_MB", "0.001")
    settings.cache_clear()
    with pytest.raises(OutOfMemoryError, match=r"12 pictures in stem, body would take.*vfs\.extract"):
        explore(Net(), picture_folder)
