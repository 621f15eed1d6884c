"""torchxrayvision's networks for chest X-rays, as "xray/NAME": one channel, from -1024 (black) to 1024 (white).

A picture is cut to a centred square and resized, as torchxrayvision's XRayCenterCrop and XRayResizer do. Its ResNet is
torchvision's with one channel, and its layers are named as there ("layer4"), without the wrapper's "model.".
"""

import warnings
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import torch
from torch import nn

from vfs_panel.errors import NetworkError
from vfs_panel.images.preprocessing import Preprocessing
from vfs_panel.models.weight_files import RANDOM, Built, fill, read_weights, seeded, tensors_in

PREFIX = "xray/"
PUBLISHED = "pretrained"
"""Label of the weights that a network is named after."""

_THRESHOLDS = "op_threshs"  # they calibrate the scores of diseases; no feature comes from them


def _library() -> ModuleType:
    with warnings.catch_warnings():  # it switches all warnings off as it is imported
        import torchxrayvision
    library: ModuleType = torchxrayvision.models
    return library


def names() -> list[str]:
    """Return the names of torchxrayvision's networks; none without it."""
    if find_spec("torchxrayvision") is None:
        return []
    return [PREFIX + name for name in _library().model_urls if "-res" in name]


def build(name: str, weights: Path | str | None, strict: bool) -> Built:
    """Make a network; as `load_network`, which says what the arguments are and what is raised."""
    bare = name.removeprefix(PREFIX)
    published = _library().model_urls[bare]
    side_px = int(published["input_resolution"])
    made_for = Preprocessing(
        resize_px=side_px, crop_px=(side_px, side_px), mean=(0.5,), std=(1 / 2048,), interpolation="bilinear"
    )
    module = seeded(partial(_untrained, bare, len(published["labels"])))
    if weights == RANDOM:
        return module, made_for, RANDOM
    if weights is None or (str(weights) == PUBLISHED and not Path(weights).exists()):
        state, file, label = _download(name, published["weights_url"]), Path(PUBLISHED), PUBLISHED
    else:
        file = Path(weights)
        state, label = read_weights(file), file.name
    tensors = tensors_in(state, module.state_dict())
    if tensors and not any(key in tensors for key in module.state_dict()):
        state = {key.removeprefix("model."): value for key, value in tensors.items()}  # the ResNet in its wrapper
    fill(module, state, file, name, strict=strict, ignored=_THRESHOLDS.__eq__)
    return module, made_for, label


def _untrained(bare: str, classes: int) -> nn.Module:
    if bare.startswith("densenet121"):
        dense: nn.Module = _library().DenseNet(num_classes=classes, in_channels=1)
        return dense
    from torchvision import models

    net: nn.Module = models.get_model(bare.partition("-")[0], weights=None, num_classes=classes)
    net.conv1 = nn.Conv2d(1, 64, kernel_size=7, stride=2, padding=3, bias=False)
    return net


def _download(name: str, url: str) -> object:
    """Return published weights, if they are published as weights and not as a whole network, which is code."""
    bare = name.removeprefix(PREFIX)
    if not url.endswith("-state.pt"):
        save = f"torch.save(xrv.models.get_model('{bare}').state_dict(), '{bare}.pt')"
        raise NetworkError(
            f"The weights of {name} are published as a whole pickled network, which can run code as it is read, so "
            "they are not loaded. If you trust them, save the weights alone, once: python -c "
            f'"import torch, torchxrayvision as xrv; {save}", and give --weights {bare}.pt.'
        )
    try:
        return torch.hub.load_state_dict_from_url(url, map_location="cpu", weights_only=True, progress=False)
    except Exception as error:  # of the connection, or of a file that holds more than weights
        reason = str(getattr(error, "reason", error)).splitlines()[0][:160]
        raise NetworkError(
            f"The weights of {name} could not be loaded ({reason}). Get {url} by another way and give it with "
            "--weights FILE, or use --weights random."
        ) from None
