"""Several layers in one pass; nothing is left behind in the network."""

import numpy as np
import pytest
import torch
from torch import nn

from vfs_panel.errors import LayerError, NetworkError
from vfs_panel.images.preprocessing import Preprocessing
from vfs_panel.models import Extractor, load_network

SMALL = Preprocessing(resize_px=None, crop_px=(16, 16))


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.conv = nn.Conv2d(3, 4, 3, 2, 1)
        self.norm = nn.BatchNorm2d(4)
        self.relu = nn.ReLU(inplace=True)
        self.twice = nn.Conv2d(4, 4, 1)
        self.unused = nn.Conv2d(4, 4, 1)
        self.table = nn.Conv2d(4, 4, 1)
        self.head = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(self.norm(self.conv(x)))
        x = x + self.table(torch.ones(1, 4, *x.shape[2:]))  # depends on no picture
        return self.head(self.twice(self.twice(x)).mean((2, 3)))


def hooks(module: nn.Module) -> int:
    return sum(len(m._forward_hooks) for m in module.modules())


def test_an_output_changed_in_place_afterwards_is_read_before() -> None:
    net = Net()
    with Extractor(load_network(net, preprocessing=SMALL), ["norm", "relu"], device="cpu") as extractor:
        found = extractor(torch.randn(2, 3, 16, 16))
    assert found["norm"].min() < 0
    torch.testing.assert_close(found["norm"].clamp(min=0), found["relu"])


def test_hooks_and_modes_are_given_back() -> None:
    net = Net().train()
    network = load_network(net, preprocessing=SMALL)
    net.train()
    with Extractor(network, ["conv"], device="cpu"):
        assert hooks(net) == 1
        assert not net.training
    assert hooks(net) == 0
    assert net.training


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("convv", "Did you mean conv"),
        ("head", "2×2, which is no grid of cells"),
        ("unused", "gave no output"),
        ("table", "1×4×8×8 for 2 pictures"),
        ("", "no layer ''"),
    ],
)
def test_layers_that_cannot_be_searched(layer: str, message: str) -> None:
    net = Net()
    with pytest.raises(LayerError, match=message):
        Extractor(load_network(net, preprocessing=SMALL), ["conv", layer], device="cpu")
    assert hooks(net) == 0


def test_hooks_go_when_a_pass_fails() -> None:
    net = Net()
    with (
        pytest.raises(NetworkError, match="cannot take a batch"),
        Extractor(load_network(net, preprocessing=SMALL), ["conv"], device="cpu") as extractor,
    ):
        extractor(torch.zeros(2, 5, 16, 16))
    assert hooks(net) == 0


def test_a_layer_used_twice_gives_its_last_output() -> None:
    net = Net()
    with Extractor(load_network(net, preprocessing=SMALL), ["relu", "twice"], device="cpu") as extractor:
        found = extractor(torch.randn(2, 3, 16, 16))
    with torch.inference_mode():
        x = found["relu"] + net.table(torch.ones(1, 4, 8, 8))
        torch.testing.assert_close(found["twice"], net.twice(net.twice(x)))


def test_an_input_that_does_not_fit_is_said_in_the_networks_words() -> None:
    grey = Preprocessing(resize_px=None, crop_px=(16, 16), mean=(0.5,), std=(0.5,))
    with pytest.raises(NetworkError, match="expected input"):
        Extractor(load_network(Net(), preprocessing=grey), ["conv"], device="cpu")


def test_one_picture_is_the_same_as_in_a_batch() -> None:
    rgb = np.random.default_rng(0).integers(0, 255, (20, 18, 3), np.uint8)
    network = load_network(Net(), preprocessing=SMALL)
    with Extractor(network, ["conv"], device="cpu") as extractor:
        one = extractor.features(rgb, "conv")
        batch = extractor(torch.from_numpy(np.stack([SMALL.array(rgb)] * 3)))["conv"]
    assert one.dims == ("channel", "y", "x")
    assert one["x"].values.tolist() == [1, 3, 5, 7, 9, 11, 13, 15]
    np.testing.assert_allclose(one, batch[1].numpy(), atol=1e-6)


def test_features_of_a_layer_it_was_not_made_for() -> None:
    with (
        Extractor(load_network(Net(), preprocessing=SMALL), ["conv"], device="cpu") as extractor,
        pytest.raises(LayerError, match="gives conv, not 'relu'"),
    ):
        extractor.features(np.zeros((20, 18, 3), np.uint8), "relu")
