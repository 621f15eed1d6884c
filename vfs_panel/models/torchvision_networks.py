"""torchvision's classification networks, by their names there, with their published weights."""

import warnings
from functools import partial
from pathlib import Path
from typing import Any

from vfs_panel.errors import NetworkError
from vfs_panel.images.preprocessing import Preprocessing
from vfs_panel.models.weight_files import RANDOM, Built, load_file, seeded


def names() -> list[str]:
    """Return the names of torchvision's classification networks."""
    from torchvision import models

    return sorted(models.list_models(module=models))


def build(name: str, weights: Path | str | None, strict: bool) -> Built:
    """Make a network; as `load_network`, which says what the arguments are and what is raised."""
    from torchvision import models

    published = models.get_model_weights(name)
    default = published.DEFAULT if len(published) else None
    # A published file got by hand is known by its name: one network's published weights differ in preprocessing.
    same_file = (w for w in published if weights is not None and Path(w.url).name == Path(weights).name)
    nearest = next(same_file, default)
    made_for = _preprocessing(nearest) if nearest is not None else Preprocessing()
    extras: dict[str, Any] = {}
    # These two carry classifiers that are only used in training; their published weights hold them.
    if name in ("inception_v3", "googlenet"):
        extras = {"aux_logits": True, "transform_input": True, "init_weights": weights == RANDOM}
    if name.startswith("vit_") and nearest is not None and str(weights) not in published.__members__:
        extras = {"image_size": nearest.meta["min_size"][0]}
    if weights == RANDOM:
        return seeded(partial(models.get_model, name, weights=None, **extras)), made_for, RANDOM
    if weights is not None and str(weights) not in published.__members__:
        if not Path(weights).exists():
            known = ", ".join(published.__members__) or "none"
            raise NetworkError(
                f"There is no weights file {weights}, and {name} has no such published weights ({known})."
            )
        module = seeded(partial(models.get_model, name, weights=None, **extras))
        return module, made_for, load_file(module, Path(weights), name, strict=strict)
    chosen = published[str(weights)] if weights is not None else default
    if chosen is None:
        raise NetworkError(f"{name} has no published weights. Give a file with --weights FILE, or --weights random.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of GoogLeNet's training heads, which no feature comes from
            module = models.get_model(name, weights=chosen, **extras)
    except (OSError, RuntimeError) as error:
        reason = str(getattr(error, "reason", error)).splitlines()[0]
        raise NetworkError(
            f"The weights {chosen.name} of {name} could not be downloaded ({reason}). Get {chosen.url} by another way "
            "and give it with --weights FILE, or use --weights random."
        ) from None
    return module, _preprocessing(chosen), str(chosen.name)


def _preprocessing(weights: Any) -> Preprocessing:
    published = weights.transforms()
    resize = list(published.resize_size)
    crop = list(published.crop_size)
    return Preprocessing(
        resize_px=int(resize[0]) if len(resize) == 1 else (int(resize[0]), int(resize[1])),
        crop_px=(int(crop[0]), int(crop[-1])),
        mean=tuple(float(v) for v in published.mean),
        std=tuple(float(v) for v in published.std),
        interpolation=str(published.interpolation.value),
    )
