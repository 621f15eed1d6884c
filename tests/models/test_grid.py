"""Every family's output becomes (image, channel, y, x), with each cell at its own place."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torchvision import models
from torchvision.models.vision_transformer import VisionTransformer

from vfs_panel.errors import LayerError
from vfs_panel.images.preprocessing import Preprocessing
from vfs_panel.models import Extractor, Network, list_layers, load_network, to_grid
from vfs_panel.models.grid import TokenLayout, plan_grid


def small_vit() -> nn.Module:
    return VisionTransformer(image_size=96, patch_size=16, num_layers=1, num_heads=2, hidden_dim=32, mlp_dim=64)


FAMILIES: dict[str, tuple[Callable[[], nn.Module], str, int]] = {
    "resnet": (lambda: models.resnet18(weights=None), "layer2.0.conv1", 8),
    "squeezenet": (lambda: models.squeezenet1_1(weights=None), "features.3", 4),
    "densenet": (lambda: models.densenet121(weights=None), "features.conv0", 2),
    "convnext": (lambda: models.convnext_tiny(weights=None), "features.2.1", 8),
    "swin, channels last": (lambda: models.swin_t(weights=None), "features.0", 4),
    "vit, tokens": (small_vit, "conv_proj", 16),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_square_moved_moves_the_response_by_the_same_cells(family: str) -> None:
    make, layer, stride = FAMILIES[family]
    torch.manual_seed(0)
    network = load_network(make(), preprocessing=Preprocessing(resize_px=None, crop_px=(96, 96)))
    pictures = torch.zeros(3, 3, 96, 96)
    pictures[1, :, 32:48, 16:32] = 2
    pictures[2, :, 48:64, 48:64] = 2  # 16 px down, 32 px to the right
    with Extractor(network, [layer], device="cpu") as extractor:
        features = extractor(pictures)[layer]
    assert features.shape[2:] == pytest.approx((96 / stride, 96 / stride), abs=1.01)
    blank, one, two = features
    rows, cols = 16 // stride, 32 // stride
    response_one = (one - blank).norm(dim=0)
    response_two = (two - blank).norm(dim=0)
    centre = (
        [(torch.arange(r.shape[0]) * r.sum(1)).sum() / r.sum() for r in (response_one, response_two)],
        [(torch.arange(r.shape[1]) * r.sum(0)).sum() / r.sum() for r in (response_one, response_two)],
    )
    assert float(centre[0][1] - centre[0][0]) == pytest.approx(rows, abs=0.3)
    assert float(centre[1][1] - centre[1][0]) == pytest.approx(cols, abs=0.3)


class Patches(nn.Module):
    """As many channels as rows and columns, so that the shape alone does not tell the axes apart."""

    def __init__(self, *, channels_last: bool) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 24, 4, 4)
        self.axes = nn.Identity()
        self.channels_last = channels_last

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.patches(x)
        return self.axes(x.permute(0, 2, 3, 1) if self.channels_last else x)


@pytest.mark.parametrize("channels_last", [False, True])
def test_axes_of_equal_length_are_told_apart(channels_last: bool) -> None:
    torch.manual_seed(0)
    net = Patches(channels_last=channels_last)
    network = load_network(net, preprocessing=Preprocessing(resize_px=None, crop_px=(96, 96)))
    picture = torch.rand(3, 3, 96, 96)
    with Extractor(network, ["axes"], device="cpu") as extractor, torch.inference_mode():
        torch.testing.assert_close(extractor(picture)["axes"], net.patches(picture))
    assert sum(len(m._forward_hooks) for m in net.modules()) == 0


@pytest.mark.parametrize(
    ("name", "inner", "grid"),
    [
        ("maxvit_t", "window_attention.partition_op", "blocks.0.layers.0.layers.window_attention"),
        ("maxvit_t", "grid_attention.partition_op", "blocks.0.layers.0.layers.grid_attention"),
        ("maxvit_t", "grid_attention.departition_swap", "blocks.0.layers.0.layers.grid_attention"),
        ("swin_v2_t", ".cpb_mlp", "features.1.0.attn"),
    ],
)
def test_windows_and_tables_are_no_grids(name: str, inner: str, grid: str) -> None:
    with torch.device("meta"):  # shapes only: no weights, no time
        module = models.get_model(name, weights=None).eval()
    layers = {info.name: info for info in list_layers(Network(name, module, Preprocessing(crop_px=(224, 224)), "", ""))}
    assert layers[grid].grid is not None
    inside = [info for key, info in layers.items() if key.endswith(inner)]
    assert inside
    assert all(info.output is not None and info.grid is None for info in inside)


def test_tokens_keep_their_places() -> None:
    torch.manual_seed(0)
    network = load_network(small_vit(), preprocessing=Preprocessing(resize_px=None, crop_px=(96, 96)))
    with Extractor(network, ["conv_proj", "encoder.dropout"], device="cpu") as extractor:
        picture = torch.rand(1, 3, 96, 96)
        found = extractor(picture)
        position = network.module.encoder.pos_embedding[0, 1:].T.reshape(32, 6, 6)  # type: ignore[union-attr,index,operator]
    assert extractor.grids["encoder.dropout"] == (32, 6, 6)
    torch.testing.assert_close(found["encoder.dropout"][0], found["conv_proj"][0] + position.detach())


@given(
    rows=st.integers(2, 20),
    cols=st.integers(2, 20),
    extra=st.sampled_from([0, 1, 2, 5]),
    patch=st.sampled_from([14, 16]),
)
def test_class_and_register_tokens_are_dropped(rows: int, cols: int, extra: int, patch: int) -> None:
    plan = plan_grid((1, rows * cols + extra, 7), (rows * patch, cols * patch))
    assert plan is not None
    # A longer run of extra tokens can look like another whole-patch grid; the fewest extra tokens are dropped.
    assert plan.extra <= extra
    if plan.extra == extra:
        assert (plan.height, plan.width) == (rows, cols)


@pytest.mark.parametrize(
    ("count", "input_px", "tokens", "expected"),
    [
        (14, (48, 48), None, (2, 3, 4)),  # 3×3 patches and 5 tokens before them, for all the count tells
        (14, (48, 48), TokenLayout(5), (5, 3, 3)),
        (9, (48, 48), TokenLayout(5), (5, 2, 2)),
        (9, (48, 48), TokenLayout(5, (16, 16)), (0, 3, 3)),  # before the class token joins
        (58, (112, 112), TokenLayout(9), (9, 7, 7)),
        (75, (112, 160), TokenLayout(5, (16, 16)), (5, 7, 10)),
        (50, (112, 112), TokenLayout(5, (16, 16)), (1, 7, 7)),  # the network says one thing and does another
    ],
)
def test_what_a_network_says_of_its_tokens_counts(
    count: int, input_px: tuple[int, int], tokens: TokenLayout | None, expected: tuple[int, int, int]
) -> None:
    plan = plan_grid((2, count, 7), input_px, tokens=tokens)
    assert plan is not None
    assert (plan.extra, plan.height, plan.width) == expected


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((1, 7, 7, 768), (768, 7, 7)), ((1, 768, 7, 7), (768, 7, 7)), ((1, 197, 768), (768, 14, 14)),
     ((1, 261, 384), (384, 16, 16)), ((1, 8, 8, 8), (8, 8, 8)), ((1, 2048, 8, 8), (2048, 8, 8))],
)  # fmt: skip
def test_known_shapes(shape: tuple[int, ...], expected: tuple[int, int, int]) -> None:
    assert to_grid(torch.zeros(shape), input_px=(224, 224)).shape[1:] == expected


@pytest.mark.parametrize("shape", [(1, 1000), (1, 512, 1, 1), (1, 64, 49, 96), (1, 3, 4, 5, 6)])
def test_what_is_no_grid_says_its_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(LayerError, match="×".join(map(str, shape))):
        to_grid(torch.zeros(shape), input_px=(224, 224), layer="classifier")


def test_layers_are_listed_with_shapes_and_grids() -> None:
    layers = {info.name: info for info in list_layers(load_network("vfs-demo"))}
    assert layers["stage4"].grid == (160, 7, 7)
    assert layers["head"].grid is None
    assert layers["head"].output == (26,)
