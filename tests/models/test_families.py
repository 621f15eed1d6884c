"""In every family of networks a bright square is seen in its own cell, and moves through the grid as in the picture.

The networks are untrained and as small as their family allows, with two blocks where the depth is a choice.
"""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import timm
import torch
from torch import nn
from torchvision import models
from torchvision.models.vision_transformer import VisionTransformer

from vfs_panel.images.preprocessing import Preprocessing
from vfs_panel.models import Extractor, list_layers, load_network


@dataclass(frozen=True)
class Case:
    """A layer and the grid it must give.

    Attributes
    ----------
    make : the network.
    input_px : (height, width).
    layers : layer -> (stride in pixels, rows, columns).
    channels : of the picture.
    """

    make: Callable[[], nn.Module]
    input_px: tuple[int, int]
    layers: dict[str, tuple[int, int, int]]
    channels: int = 3


def small(name: str, **options: object) -> Callable[[], nn.Module]:
    return lambda: timm.create_model(name, num_classes=0, **options)


def vgg() -> nn.Module:
    return nn.Sequential(models.vgg.make_layers(models.vgg.cfgs["A"]))  # without 100 million weights for the classes


def vit() -> nn.Module:
    return VisionTransformer(image_size=96, patch_size=16, num_layers=2, num_heads=2, hidden_dim=32, mlp_dim=64)


def swin(kind: Callable[..., nn.Module], block: Callable[..., nn.Module], merge: Callable[..., nn.Module]) -> nn.Module:
    return kind([4, 4], 24, [2, 2], [2, 4], [4, 4], block=block, downsample_layer=merge)


def swin_v1() -> nn.Module:
    parts = models.swin_transformer
    return swin(parts.SwinTransformer, parts.SwinTransformerBlock, parts.PatchMerging)


def swin_v2() -> nn.Module:
    parts = models.swin_transformer
    return swin(parts.SwinTransformer, parts.SwinTransformerBlockV2, parts.PatchMergingV2)


def maxvit() -> nn.Module:
    net = models.MaxVit((112, 112), 16, 7, [16, 32], [1, 1], 16, 0.0)
    with torch.no_grad():
        for name, weight in net.named_parameters():
            if ".merge." in name:  # untrained, its attention drowns what is there in what is everywhere
                weight.mul_(0.1)
    return net


def xray() -> nn.Module:
    return load_network("xray/densenet121-res224-all", weights="random").module


CASES = {
    "ResNet": Case(lambda: models.resnet18(weights=None), (96, 96), {"layer1": (4, 24, 24), "layer2": (8, 12, 12)}),
    "ResNet, wide": Case(lambda: models.resnet18(weights=None), (128, 192), {"layer2.0.conv2": (8, 16, 24)}),
    "VGG": Case(vgg, (96, 96), {"0.6": (4, 24, 24), "0.11": (8, 12, 12)}),
    "VGG, tall": Case(vgg, (160, 96), {"0.8": (4, 40, 24)}),
    "DenseNet": Case(lambda: models.densenet121(weights=None), (96, 96), {"features.denseblock2": (8, 12, 12)}),
    "DenseNet, wide": Case(lambda: models.densenet121(weights=None), (96, 160), {"features.transition1": (8, 12, 20)}),
    "ConvNeXt": Case(small("test_convnext"), (160, 160), {"stages.0": (4, 40, 40), "stages.1": (8, 20, 20)}),
    "ConvNeXt, tall": Case(small("test_convnext"), (192, 128), {"stages.1": (8, 24, 16)}),
    "EfficientNet": Case(lambda: models.efficientnet_b0(weights=None), (128, 128), {"features.3": (8, 16, 16)}),
    "EfficientNet, wide": Case(small("test_efficientnet"), (128, 192), {"blocks.2": (8, 16, 24)}),
    "Inception v3": Case(
        lambda: models.inception_v3(weights=None, init_weights=False),
        (299, 299),
        {"Conv2d_1a_3x3": (2, 149, 149), "Mixed_5d": (8, 35, 35), "Mixed_6b": (16, 17, 17)},
    ),
    "Swin": Case(swin_v1, (96, 96), {"features.1": (4, 24, 24), "features.3": (8, 12, 12)}),
    "Swin, wide": Case(swin_v1, (96, 160), {"features.1.1.mlp": (4, 24, 40), "features.3": (8, 12, 20)}),
    "Swin V2": Case(swin_v2, (96, 96), {"features.1": (4, 24, 24), "features.2": (8, 12, 12)}),
    "Swin of timm": Case(
        small("swin_tiny_patch4_window7_224", img_size=112, depths=(2, 2), embed_dim=24, num_heads=(2, 4)),
        (112, 112),
        {"layers.0.blocks.1": (4, 28, 28), "layers.0.blocks.1.mlp.fc1": (4, 28, 28), "layers.1": (8, 14, 14)},
    ),
    "Swin V2 of timm": Case(
        small("swinv2_tiny_window8_256", img_size=128, depths=(2, 2), embed_dim=24, num_heads=(2, 4)),
        (128, 128),
        {"layers.0.blocks.1": (4, 32, 32), "layers.1": (8, 16, 16)},
    ),
    "ViT": Case(vit, (96, 96), {"conv_proj": (16, 6, 6), "encoder.layers.encoder_layer_1": (16, 6, 6)}),
    "ViT of timm": Case(
        small("vit_tiny_patch16_224", img_size=(96, 160), depth=2),
        (96, 160),
        {"patch_embed": (16, 6, 10), "blocks.1": (16, 6, 10), "blocks.1.mlp.fc1": (16, 6, 10)},
    ),
    "ViT with eight registers": Case(  # with the class token 58 tokens: for all the count tells, 7×8 and 2 more
        small("vit_tiny_patch16_224", img_size=112, depth=2, reg_tokens=8),
        (112, 112),
        {"patch_embed": (16, 7, 7), "blocks.1": (16, 7, 7)},
    ),
    "DeiT": Case(
        small("deit_tiny_distilled_patch16_224", img_size=112, depth=2),
        (112, 112),
        {"patch_embed": (16, 7, 7), "blocks.1": (16, 7, 7)},
    ),
    "DINOv2": Case(
        small("vit_small_patch14_dinov2", depth=2), (518, 518), {"patch_embed": (14, 37, 37), "blocks.1": (14, 37, 37)}
    ),
    "DINOv2 with registers": Case(
        small("vit_small_patch14_reg4_dinov2", depth=2, img_size=224),
        (224, 224),
        {"patch_embed": (14, 16, 16), "blocks.1": (14, 16, 16), "blocks.1.attn.qkv": (14, 16, 16)},
    ),
    "DINOv3": Case(
        small("vit_small_patch16_dinov3", depth=2), (96, 96), {"patch_embed": (16, 6, 6), "blocks.1": (16, 6, 6)}
    ),
    "DINOv3, seven patches": Case(small("vit_small_patch16_dinov3", depth=2), (112, 112), {"blocks.1": (16, 7, 7)}),
    "DINOv3, wide": Case(small("vit_small_patch16_dinov3", depth=2), (112, 160), {"blocks.1": (16, 7, 10)}),
    "CLIP": Case(
        small("vit_base_patch32_clip_224", depth=2), (224, 224), {"norm_pre": (32, 7, 7), "blocks.1": (32, 7, 7)}
    ),
    "CLIP's ResNet": Case(
        small("resnet50_clip", img_size=128), (128, 128), {"stages.1": (8, 16, 16), "stages.2.0": (16, 8, 8)}
    ),
    "MaxViT": Case(maxvit, (112, 112), {"stem": (2, 56, 56), "blocks.0": (4, 28, 28), "blocks.1": (8, 14, 14)}),
    "MaxViT of timm": Case(
        small("maxvit_pico_rw_256", img_size=128), (128, 128), {"stages.0": (4, 32, 32), "stages.1": (8, 16, 16)}
    ),
    "DenseNet of torchxrayvision": Case(xray, (96, 96), {"features.denseblock2": (8, 12, 12)}, channels=1),
}  # fmt: skip


def peak(change: torch.Tensor) -> tuple[float, float]:
    """Return (y, x) of the strongest part of a change (channel, y, x), in cells; their edges are at whole numbers."""
    # Attention lets every cell change a little, and all alike.
    response = (change - change.flatten(1).median(1).values[:, None, None]).norm(dim=0)
    weight = response**4
    rows, cols = (torch.arange(n) + 0.5 for n in response.shape)
    return float((weight.sum(1) * rows).sum() / weight.sum()), float((weight.sum(0) * cols).sum() / weight.sum())


@pytest.mark.parametrize("family", CASES)
def test_a_square_is_in_its_own_cell_and_moves_with_it(family: str) -> None:
    case = CASES[family]
    torch.manual_seed(0)
    made_for = Preprocessing(
        resize_px=None, crop_px=case.input_px, mean=(0.5,) * case.channels, std=(0.5,) * case.channels
    )
    network = load_network(case.make(), preprocessing=made_for)
    listed = {info.name: info.grid for info in list_layers(network)}
    with Extractor(network, list(case.layers), device="cpu") as extractor:
        for layer, (stride, rows, cols) in case.layers.items():
            assert extractor.grids[layer][1:] == (rows, cols)
            assert listed[layer] == extractor.grids[layer]
            # Two cells large, about the middle of the picture; then two cells further down, or to the right.
            size, top, left = 2 * stride, (rows // 2 - 2) * stride, (cols // 2 - 1) * stride
            corners = [(top, left), (top + size, left), (top, left + size)]
            pictures = 0.1 * torch.randn(1, case.channels, *case.input_px).repeat(1 + len(corners), 1, 1, 1)
            for picture, (y, x) in zip(pictures[1:], corners, strict=True):
                picture[:, y : y + size, x : x + size] = 3
            features = extractor(pictures)[layer]
            peaks = [peak(seen - features[0]) for seen in features[1:]]
            for (y, x), found in zip(corners, peaks, strict=True):
                middle = ((y + stride) * rows / case.input_px[0], (x + stride) * cols / case.input_px[1])
                assert found == pytest.approx(middle, abs=0.8), f"{layer}: seen in another cell"
            assert peaks[1] == pytest.approx((peaks[0][0] + 2, peaks[0][1]), abs=0.45), f"{layer}: moved down"
            assert peaks[2] == pytest.approx((peaks[0][0], peaks[0][1] + 2), abs=0.45), f"{layer}: moved to the right"
