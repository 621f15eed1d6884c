"""Every layer is listed as it is used, and looking at a network leaves no trace in it."""

import collections
import contextlib
import dataclasses

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from vfs_panel.errors import LayerError, NetworkError
from vfs_panel.images.preprocessing import Preprocessing
from vfs_panel.models import Extractor, LayerInfo, Network, expand_layers, list_layers, load_network
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


INFOS = [
    LayerInfo("stem", "Conv2d", (4, 8, 8), (4, 8, 8)),
    LayerInfo("layer1", "Sequential", (4, 8, 8), (4, 8, 8)),
    LayerInfo("layer1.0.conv2", "Conv2d", (4, 8, 8), (4, 8, 8)),
    LayerInfo("layer1.1.conv2", "Conv2d", (4, 8, 8), (4, 8, 8)),
    LayerInfo("layer1.1.pool", "AdaptiveAvgPool2d", (4, 1, 1), None),
    LayerInfo("layer2.0.conv2", "Conv2d", (8, 4, 4), (8, 4, 4)),
    LayerInfo("head", "Linear", (2,), None),
]


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (["layer1.*"], ["layer1.0.conv2", "layer1.1.conv2"]),
        (["layer?.0.conv[12]"], ["layer1.0.conv2", "layer2.0.conv2"]),
        (["layer2.*", "*.conv2"], ["layer2.0.conv2", "layer1.0.conv2", "layer1.1.conv2"]),
        (["layer1.1.conv2", "*.1.*", "layer1.1.conv2"], ["layer1.1.conv2"]),
        (["nowhere", "head", "stem*"], ["nowhere", "head", "stem"]),  # a plain name is not judged here
        ([], []),
    ],
)
def test_patterns_become_the_layers_that_give_a_grid(patterns: list[str], expected: list[str]) -> None:
    assert expand_layers(INFOS, patterns) == expected


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("layer1.*.conv9", r"No layer fits 'layer1\.\*\.conv9'\. Nearest: layer1"),
        ("layr1.0.*", r"No layer fits .*Nearest: layer1"),
        ("zzz*", r"No layer fits 'zzz\*'\. `vfs-panel models NAME` lists all"),
        ("*pool", r"No layer that fits '\*pool' gives a grid of cells \(layer1\.1\.pool\)"),
        ("hea?", r"gives a grid of cells \(head\)"),
        ("Layer1.*", "No layer fits"),
    ],
)
def test_patterns_that_stand_for_nothing_say_why(pattern: str, message: str) -> None:
    with pytest.raises(LayerError, match=message):
        expand_layers(INFOS, ["stem", pattern])


def test_patterns_of_a_network_are_its_own_layers() -> None:
    assert expand_layers(network(), ["*o*", "head"]) == ["conv", "norm", "head"]


@dataclasses.dataclass
class Output:
    loss: torch.Tensor | None
    last_hidden_state: torch.Tensor
    pooled: torch.Tensor


class ModelOutput(collections.OrderedDict[str, object]):
    """A mapping with attributes, as transformers' networks give it."""


class Vision(nn.Module):
    def __init__(self, *, mapping: bool) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 4, 4, 4)
        self.encoder = Encoder(mapping=mapping)

    def forward(self, pixel_values: torch.Tensor) -> object:
        return self.encoder(self.patches(pixel_values).flatten(2).transpose(1, 2))


class Encoder(nn.Module):
    def __init__(self, *, mapping: bool) -> None:
        super().__init__()
        self.mapping = mapping

    def forward(self, x: torch.Tensor) -> object:
        tokens = torch.cat([x.mean(1, keepdim=True), x], 1)
        if self.mapping:
            return ModelOutput(loss=None, last_hidden_state=tokens, hidden_states=(x, tokens))
        return Output(None, tokens, tokens[:, 0])


@pytest.mark.parametrize("mapping", [False, True])
def test_outputs_with_names_give_their_first_tensor(mapping: bool) -> None:
    listed = load_network(Vision(mapping=mapping), preprocessing=SMALL)
    assert list_layers(listed)[1] == LayerInfo("encoder", "Encoder", (17, 4), (4, 4, 4))
    with Extractor(listed, ["encoder", "patches"], device="cpu") as extractor:
        found = extractor(torch.randn(2, 3, 16, 16))
    torch.testing.assert_close(found["encoder"], found["patches"])


class Workings(nn.Module):
    """Attention weights of 16×16 tokens, and a sequence of 4 channels, that could pass for grids."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 4, 4, 4)
        self.softmax = nn.Softmax(-1)
        self.attn_drop = nn.Dropout(0.1)
        self.norm = nn.BatchNorm1d(4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(self.patches(x).flatten(2))
        return self.attn_drop(self.softmax((x.transpose(1, 2) @ x)[:, None]))


def test_attention_weights_are_no_grid_though_their_shape_is() -> None:
    listed = load_network(Workings(), preprocessing=SMALL)
    infos = {info.name: info for info in list_layers(listed)}
    assert infos["attn_drop"].output == (1, 16, 16)
    assert [name for name, info in infos.items() if info.grid] == ["patches"]
    for name in ("softmax", "attn_drop", "norm"):
        with pytest.raises(LayerError, match="attention weights"):
            Extractor(listed, [name], device="cpu")
    assert hooks(listed.module) == 0
