"""What a cell sees is known by formula for plain convolutions, and is the whole picture for attention."""

from collections.abc import Callable

import pytest
import timm
import torch
from torch import nn
from torchvision import models
from torchvision.models.vision_transformer import VisionTransformer

from vfs_panel.errors import LayerError
from vfs_panel.images.preprocessing import Preprocessing
from vfs_panel.models import load_network, receptive_field_px


def by_formula(*layers: tuple[int, int]) -> int:
    """Receptive field of (kernel, stride) layers in a row: 1 + sum of (kernel - 1) · product of strides before."""
    field, jump = 1, 1
    for kernel, stride in layers:
        field, jump = field + (kernel - 1) * jump, jump * stride
    return field


C3, POOL = (3, 1), (2, 2)
VGG = [C3, C3, POOL, C3, C3, POOL, C3, C3, C3]
RESNET = [(7, 2), (3, 2), C3, C3, C3, C3, (3, 2), C3]


def small_vit() -> nn.Module:
    return VisionTransformer(image_size=96, patch_size=16, num_layers=1, num_heads=2, hidden_dim=32, mlp_dim=64)


@pytest.mark.parametrize(
    ("make", "layer", "input_px", "expected"),
    [
        (lambda: models.vgg.make_layers(models.vgg.cfgs["D"]), "0", (64, 80), (3, 3)),
        (lambda: models.vgg.make_layers(models.vgg.cfgs["D"]), "15", (64, 80), (by_formula(*VGG),) * 2),
        (lambda: models.resnet18(weights=None), "conv1", (96, 96), (7, 7)),
        (lambda: models.resnet18(weights=None), "layer2.0", (160, 224), (by_formula(*RESNET),) * 2),
        (lambda: models.resnet18(weights=None), "layer4", (64, 96), (64, 96)),
        (lambda: models.squeezenet1_1(weights=None), "features.3", (96, 96), (by_formula((3, 2), (3, 2), C3),) * 2),
        (small_vit, "conv_proj", (96, 96), (16, 16)),
        (small_vit, "encoder.layers.encoder_layer_0", (96, 96), (96, 96)),
        (lambda: timm.create_model("test_efficientnet"), "blocks.3", (160, 192), (160, 192)),  # squeeze and excitation
        (lambda: nn.Sequential(nn.Conv2d(3, 4, (1, 5)), nn.Conv2d(4, 4, (3, 1))), "1", (40, 60), (3, 5)),
        (lambda: nn.Sequential(nn.Conv2d(3, 4, 1, 2), nn.Conv2d(4, 4, 1, 2)), "1", (40, 40), (1, 1)),
    ],
)
def test_known_fields(
    make: Callable[[], nn.Module], layer: str, input_px: tuple[int, int], expected: tuple[int, int]
) -> None:
    module = make().train()
    network = load_network(module, preprocessing=Preprocessing(resize_px=None, crop_px=input_px))
    assert receptive_field_px(network, layer) == expected


def test_a_field_at_another_size_leaves_the_network_as_it_was() -> None:
    network = load_network(models.resnet18(weights=None), preprocessing=Preprocessing(crop_px=(224, 224)))
    network.module.train()
    assert receptive_field_px(network, "layer2.0", (160, 32)) == (by_formula(*RESNET), 32)
    assert network.module.training
    assert not any(module._forward_hooks for module in network.module.modules())


class Replaces(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.nan_to_num()


class Refuses(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.isnan().any():
            raise ValueError("not a number")
        return x


class Divides(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x / x.norm(dim=1, keepdim=True)


@pytest.mark.parametrize("layer", [Replaces, Refuses, Divides])
def test_where_it_cannot_be_followed_there_is_no_number(layer: type[nn.Module]) -> None:
    net = nn.Sequential(layer(), nn.Conv2d(3, 4, 3))
    network = load_network(net, preprocessing=Preprocessing(resize_px=None, crop_px=(32, 32)))
    assert receptive_field_px(network, "1") is None


def test_a_layer_that_is_no_grid_is_named() -> None:
    with pytest.raises(LayerError, match="'fc' gives 2×1000"):
        receptive_field_px(load_network(models.resnet18(weights=None)), "fc", (64, 64))
