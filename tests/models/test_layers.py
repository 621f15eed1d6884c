"""Every layer is listed as it is used, and looking at a network leaves no trace in it."""

import contextlib

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from vfs_panel.errors import LayerError, NetworkError
from vfs_panel.images.preprocessing import Preprocessing
from vfs_panel.models import LayerInfo, Network, list_layers, load_network
from vfs_panel.models.layers import captured, find_layer, nearest_layers

SMALL = Preprocessing(resize_px=None, crop_px=(16, 16))


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, 2, 1)
        self.norm = nn.BatchNorm2d(4)
        self.relu = nn.ReLU(inplace=True)
        self.unused = nn.Conv2d(4, 4, 1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.pair = Pair()
        self.head = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x, _ = self.pair(self.relu(self.norm(self.conv(x))))
        return self.head(self.pool(x).flatten(1))


class Pair(nn.Module):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x, x.sum()


def network() -> Network:
    torch.manual_seed(0)
    return load_network(Net(), preprocessing=SMALL)


def hooks(module: nn.Module) -> int:
    return sum(len(m._forward_hooks) for m in module.modules())


def test_layers_come_in_the_networks_order_with_their_outputs() -> None:
    assert list_layers(network()) == [
        LayerInfo("conv", "Conv2d", (4, 8, 8), (4, 8, 8)),
        LayerInfo("norm", "BatchNorm2d", (4, 8, 8), (4, 8, 8)),
        LayerInfo("relu", "ReLU", (4, 8, 8), (4, 8, 8)),
        LayerInfo("unused", "Conv2d", None, None),
        LayerInfo("pool", "AdaptiveAvgPool2d", (4, 1, 1), None),  # one cell is no grid
        LayerInfo("pair", "Pair", (4, 8, 8), (4, 8, 8)),  # the first tensor of a tuple
        LayerInfo("head", "Linear", (2,), None),
    ]


@given(height=st.integers(9, 40), width=st.integers(9, 40))
def test_grids_follow_the_pictures_size(height: int, width: int) -> None:
    found = {info.name: info.grid for info in list_layers(network(), input_px=(height, width))}
    assert found["conv"] == (4, (height + 1) // 2, (width + 1) // 2)


def test_listing_leaves_mode_statistics_and_hooks_as_they_were() -> None:
    listed = network()
    listed.module.train()
    before = {name: value.clone() for name, value in listed.module.state_dict().items()}
    list_layers(listed)
    assert listed.module.training
    assert hooks(listed.module) == 0
    torch.testing.assert_close(dict(listed.module.state_dict()), before, rtol=0, atol=0)


def test_listing_a_network_that_cannot_take_the_picture_leaves_no_hook() -> None:
    net = Net()
    grey = Preprocessing(resize_px=None, crop_px=(16, 16), mean=(0.5,), std=(0.5,))
    with pytest.raises(NetworkError, match="cannot take a batch"):
        list_layers(load_network(net, preprocessing=grey))
    assert hooks(net) == 0


def test_an_output_is_kept_as_it_was_before_an_operation_in_place() -> None:
    net = Net().eval()
    picture = torch.randn(2, 3, 16, 16)
    with torch.inference_mode(), captured(net, ["norm", "relu"]) as outputs:
        net(picture)
    with torch.inference_mode():
        expected = net.norm(net.conv(picture))
    assert expected.min() < 0  # else the ReLU would change nothing
    torch.testing.assert_close(outputs["norm"], expected)
    torch.testing.assert_close(outputs["relu"], expected.clamp(min=0))


def test_hooks_go_when_the_block_fails_or_a_layer_is_unknown() -> None:
    net = Net()

    with contextlib.suppress(ZeroDivisionError), captured(net, ["conv", "relu"]):
        assert hooks(net) == 2
        raise ZeroDivisionError
    assert hooks(net) == 0
    with pytest.raises(LayerError, match="Did you mean conv"), captured(net, ["relu", "con"]):
        pass
    assert hooks(net) == 0


def test_near_names_are_spelt_alike_or_contain_the_name() -> None:
    names = ["features.denseblock1.conv1", "features.norm5", "layer4.1.relu", "classifier"]
    assert nearest_layers("conv1", names) == ["features.denseblock1.conv1"]
    assert nearest_layers("clasifier", names) == ["classifier"]
    assert nearest_layers("zzz", names) == []
    assert nearest_layers("", names) == []


@pytest.mark.parametrize("name", ["", "zzz"])
def test_the_network_itself_is_no_layer_and_a_name_like_no_other_gets_no_hint(name: str) -> None:
    with pytest.raises(LayerError, match=rf"There is no layer '{name}'\. `vfs-panel models NAME` lists all"):
        find_layer(Net(), name)
