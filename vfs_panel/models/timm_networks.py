"""timm's networks, as "timm/NAME", with the preprocessing that timm gives each.

They are made without the classifier, which no feature comes from: a file of weights fits whatever its classes are.
"""

import logging
import math
from collections.abc import Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from torch import nn

from vfs_panel.errors import NetworkError
from vfs_panel.images.preprocessing import Preprocessing
from vfs_panel.models.weight_files import RANDOM, Built, fill, read_weights, seeded, tensors_in

PREFIX = "timm/"
PUBLISHED = "pretrained"
"""Label of the weights of a network that timm publishes without a tag."""

_log = logging.getLogger(__name__)


def names() -> list[str]:
    """Return the names of timm's networks, with and without the tags of published weights; none without timm."""
    if find_spec("timm") is None:
        return []
    import timm

    return [PREFIX + name for name in sorted({*timm.list_models(), *timm.list_models(pretrained=True)})]


def build(name: str, weights: Path | str | None, strict: bool) -> Built:
    """Make a network; as `load_network`, which says what the arguments are and what is raised."""
    import timm

    bare = name.removeprefix(PREFIX)
    architecture, _, tag = bare.partition(".")
    published = {key for key, cfg in timm.models.get_arch_pretrained_cfgs(architecture).items() if cfg.has_weights}
    asked = str(weights)
    if not tag and f"{architecture}.{asked}" in published:
        bare, tag, weights = f"{architecture}.{asked}", asked, None
    elif asked in (tag, PUBLISHED) and not Path(asked).exists():
        weights = None
    if weights is None:
        module = _published(name, bare, has_weights=bare in published or (not tag and bool(published)))
        label = str(module.pretrained_cfg.get("tag") or PUBLISHED)  # type: ignore[union-attr,operator]
        return module, preprocessing_of(module, name), label
    module = seeded(partial(timm.create_model, bare, num_classes=0))
    made_for = preprocessing_of(module, name)
    if weights == RANDOM:
        return module, made_for, RANDOM
    file = Path(weights)
    if not file.exists():
        tags = [tag] if bare in published else sorted(key.partition(".")[2] for key in published if not tag)
        known = ", ".join(tags) or "none"
        raise NetworkError(f"There is no weights file {weights}, and {name} has no such published weights ({known}).")
    return module, made_for, _fill(module, bare, file, name, strict=strict)


def _published(name: str, bare: str, *, has_weights: bool) -> nn.Module:
    import timm

    if not has_weights:
        raise NetworkError(f"{name} has no published weights. Give a file with --weights FILE, or --weights random.")
    try:
        return seeded(partial(timm.create_model, bare, pretrained=True, num_classes=0))
    except Exception as error:  # of timm, the hub's client or the network below: they share no class
        reason = str(error).strip().splitlines()[0][:160] if str(error).strip() else type(error).__name__
        cfg = timm.get_pretrained_cfg(bare)
        place = f"model.safetensors of {cfg.hf_hub_id} on the Hugging Face hub" if cfg.hf_hub_id else cfg.url
        raise NetworkError(
            f"The weights of {name} could not be had ({reason.rstrip('.')}). Get {place} by another way and give "
            "it with --weights FILE, or use --weights random."
        ) from None


def _fill(module: nn.Module, bare: str, file: Path, name: str, *, strict: bool) -> str:
    """Copy a file's weights into a network without a classifier, by timm's names or those of who published them."""
    import timm

    classifier = module.pretrained_cfg.get("classifier") or ()  # type: ignore[union-attr,operator]
    heads = (classifier,) if isinstance(classifier, str) else tuple(classifier)
    parents = tuple(f"{head.rpartition('.')[0] or head}." for head in heads)

    def of_classifier(key: str) -> bool:
        return key.startswith(parents)

    content = read_weights(file)
    try:
        return fill(module, content, file, name, strict=strict, ignored=of_classifier)
    except NetworkError:
        # CLIP's and DINOv2's authors name their weights otherwise; timm knows how, for the whole network only.
        state = tensors_in(content, {})
        try:
            overlay = {"state_dict": state}
            whole = timm.create_model(bare, pretrained=True, pretrained_cfg_overlay=overlay)
        except Exception:  # whatever a conversion meets in weights that it was not made for
            whole = None
        if not state or whole is None:
            raise
        return fill(module, whole.state_dict(), file, name, strict=strict, ignored=of_classifier)


def preprocessing_of(module: nn.Module, name: str) -> Preprocessing:
    """Return what timm does to a picture before one of its networks, as `timm.data.create_transform` would.

    Two ways of timm have no counterpart here, and are said in a warning: a picture fitted into the input with a border
    around it, and a picture cut to an input that is not square. The picture is then resized to the input as a whole.

    Raises
    ------
    NetworkError
        If the network takes neither grey nor RGB pictures.
    """
    import timm

    config: Mapping[str, Any] = timm.data.resolve_model_data_config(module)
    channels, height, width = config["input_size"]
    mean, std = tuple(map(float, config["mean"])), tuple(map(float, config["std"]))
    if not channels == len(mean) == len(std) or channels not in (1, 3):
        raise NetworkError(
            f"{name} takes {channels} channels with means for {len(mean)}; pictures have 1 (grey) or 3 (RGB)."
        )
    scaled = (math.floor(height / config["crop_pct"]), math.floor(width / config["crop_pct"]))
    mode, interpolation = config["crop_mode"] or "center", config["interpolation"]
    if mode != "squash" and (mode == "border" or height != width):
        _log.warning(
            "%s: timm %s; here a picture is resized to %d×%d as a whole.",
            name,
            "sets a picture into a border" if mode == "border" else "cuts a picture to the input's proportions",
            *reversed(scaled),
        )
        mode = "squash"
    if interpolation not in ("nearest", "bilinear", "bicubic"):
        _log.warning("%s: timm resizes by %r; here by 'bicubic'.", name, interpolation)
        interpolation = "bicubic"
    return Preprocessing(
        resize_px=scaled if mode == "squash" else scaled[0],
        crop_px=(height, width),
        mean=mean,
        std=std,
        interpolation=interpolation,
    )
