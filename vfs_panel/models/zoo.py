"""Networks by name or given, with their weights and preprocessing."""

import difflib
import hashlib
import pickle
import re
import warnings
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vfs_panel.errors import NetworkError
from vfs_panel.images.preprocessing import Preprocessing
from vfs_panel.models import demo_network

WEIGHTS_FOLDER = Path(__file__).parent / "weights"
BUNDLED = {"vfs-demo": "vfs_demo.pt", "vfs-demo-class": "vfs_demo_class.pt"}
RANDOM = "random"
_SEED = 0
_DENSENET_1_DOT = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)")
_DEMO_PREPROCESSING = Preprocessing(
    resize_px=demo_network.INPUT_PX,
    crop_px=(demo_network.INPUT_PX, demo_network.INPUT_PX),
    mean=demo_network.MEAN,
    std=demo_network.STD,
)


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """A network ready for use.

    Attributes
    ----------
    name : as people call it.
    module : the network, on the CPU, in evaluation mode.
    preprocessing : what its pictures go through.
    weights : where the weights come from: a published name, a file's name, "random" or "given".
    weights_sha256 : hash of the weights themselves, whatever file they came in.
    """

    name: str
    module: nn.Module
    preprocessing: Preprocessing
    weights: str
    weights_sha256: str


def weights_hash(module: nn.Module) -> str:
    """Return a sha256 over the names, shapes and values (as float32) of a network's parameters and buffers."""
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        if not isinstance(value, Tensor):
            continue
        plain = value.detach().cpu()
        plain = plain.float() if plain.is_floating_point() else plain
        digest.update(f"{name} {tuple(plain.shape)} ".encode())
        digest.update(np.ascontiguousarray(plain.numpy()).tobytes())
    return digest.hexdigest()


def network_names() -> list[str]:
    """Return the names that `load_network` knows: the bundled networks and torchvision's classification models."""
    from torchvision import models

    return [*BUNDLED, *sorted(models.list_models(module=models))]


def load_network(
    model: str | nn.Module | Network,
    *,
    weights: Path | str | None = None,
    strict: bool = True,
    preprocessing: Preprocessing | None = None,
) -> Network:
    """Load a network.

    Parameters
    ----------
    model : one of `network_names()`, any nn.Module, or a Network, which keeps its weights.
    weights : a file of weights (a state dict; loaded with `weights_only=True`, so no code comes out of it); the name of
        published weights, such as "IMAGENET1K_V2"; "random" for an untrained network, always the same one; None for
        the best published weights, downloaded once by torchvision, or for the weights a given module has.
    strict : whether the file must hold all weights of the network and no others. What a file leaves out of a network
        known by name is untrained, and the same each time.
    preprocessing : by default that of the published weights, also for a file that has kept its published name, such as
        resnet50-0676ba61.pth; for a given module, ImageNet's: shorter side to 256, centre crop 224; a Network's own.

    Raises
    ------
    NetworkError
        If the name is not known, or the weights cannot be had, read, or do not fit.
    """
    if isinstance(model, Network):
        if weights is not None:
            raise NetworkError(
                f"{model.name} is loaded already, with weights {model.weights}. To use {weights}, give the network's "
                "name or its module instead."
            )
        return model if preprocessing is None else replace(model, preprocessing=preprocessing)
    if isinstance(model, nn.Module):
        label = "given"
        if weights is not None:
            label = _load_file(model, Path(weights), type(model).__name__, strict=strict)
        model.eval()
        return Network(type(model).__name__, model, preprocessing or Preprocessing(), label, weights_hash(model))
    names = network_names()
    if model not in names:
        near = difflib.get_close_matches(model, names, n=3, cutoff=0.4)
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        raise NetworkError(f"There is no network {model!r}.{hint} `vfs-panel models` lists all.")
    build = _bundled if model in BUNDLED else _torchvision
    module, made_for, label = build(model, weights, strict)
    module.eval()
    return Network(model, module, preprocessing or made_for, label, weights_hash(module))


def _seeded(make: Any) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        module: nn.Module = make()
    return module


def _bundled(name: str, weights: Path | str | None, strict: bool) -> tuple[nn.Module, Preprocessing, str]:
    if weights == RANDOM:
        return _seeded(demo_network.DemoNet), _DEMO_PREPROCESSING, RANDOM
    file = Path(weights) if weights is not None else WEIGHTS_FOLDER / BUNDLED[name]
    if weights is None and not file.exists():
        raise NetworkError(f"The bundled weights {file} are missing. Install vfs_panel again, or use --weights FILE.")
    content = _read_file(file)
    head = (_state_dict(content, {}) or {}).get("head.weight")
    classes = len(head) if head is not None and head.ndim == 2 else demo_network.CLASSES
    module = _seeded(partial(demo_network.DemoNet, classes))
    return module, _DEMO_PREPROCESSING, _fill(module, content, file, name, strict=strict)


def _torchvision(name: str, weights: Path | str | None, strict: bool) -> tuple[nn.Module, Preprocessing, str]:
    from torchvision import models

    published = models.get_model_weights(name)
    default = published.DEFAULT if len(published) else None
    # A published file got by hand is known by its name: one network's published weights differ in preprocessing.
    same_file = (w for w in published if weights is not None and Path(w.url).name == Path(weights).name)
    nearest = next(same_file, default)
    made_for = _published_preprocessing(nearest) if nearest is not None else Preprocessing()
    extras: dict[str, Any] = {}
    # These two carry classifiers that are only used in training; their published weights hold them.
    if name in ("inception_v3", "googlenet"):
        extras = {"aux_logits": True, "transform_input": True, "init_weights": weights == RANDOM}
    if name.startswith("vit_") and nearest is not None and str(weights) not in published.__members__:
        extras = {"image_size": nearest.meta["min_size"][0]}
    if weights == RANDOM:
        return _seeded(partial(models.get_model, name, weights=None, **extras)), made_for, RANDOM
    if weights is not None and str(weights) not in published.__members__:
        if not Path(weights).exists():
            known = ", ".join(published.__members__) or "none"
            raise NetworkError(
                f"There is no weights file {weights}, and {name} has no such published weights ({known})."
            )
        module = _seeded(partial(models.get_model, name, weights=None, **extras))
        return module, made_for, _load_file(module, Path(weights), name, strict=strict)
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
    return module, _published_preprocessing(chosen), str(chosen.name)


def _published_preprocessing(weights: Any) -> Preprocessing:
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


def _load_file(module: nn.Module, file: Path, name: str, *, strict: bool) -> str:
    """Load weights into a network and return the file's name."""
    return _fill(module, _read_file(file), file, name, strict=strict)


def _read_file(file: Path) -> Any:
    """Return what a file of weights holds; nothing in it is run."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pickles that are refused just after
            return torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise NetworkError(f"There is no weights file {file}.") from None
    except pickle.UnpicklingError as error:
        # PyTorch names the refused import as a pickle's GLOBAL; of anything else it finds an operand it does not know.
        detail = "it holds code, not only weights" if "GLOBAL" in str(error) else "it is no file of weights"
        raise NetworkError(
            f"Weights file {file} was refused: {detail}. Save a state dict: torch.save(net.state_dict(), FILE)."
        ) from None
    except (RuntimeError, OSError, EOFError, ValueError, KeyError) as error:
        words = str(error).splitlines()[0][:100] if str(error) else type(error).__name__
        raise NetworkError(f"Weights file {file} cannot be read: {words}.") from None


def _fill(module: nn.Module, content: Any, file: Path, name: str, *, strict: bool) -> str:
    """Copy a file's weights into a network and return the file's name."""
    own = module.state_dict()
    state = _state_dict(content, own)
    if state is None:
        raise NetworkError(f"Weights file {file} holds {type(content).__name__}, expected a state dict of tensors.")
    # Batch counters are no weights: old files lack them, and they alone make no file fit.
    needed = [k for k in own if not k.endswith("num_batches_tracked")]
    missing = [k for k in needed if k not in state]
    unexpected = [k for k in state if k not in own]
    shaped = [
        f"{k} is {tuple(state[k].shape)}, expected {tuple(v.shape)}"
        for k, v in own.items()
        if k in state and isinstance(v, Tensor) and state[k].shape != v.shape
    ]
    fitting = len(needed) - len(missing) - len(shaped)
    if shaped or (strict and (missing or unexpected)) or fitting <= 0:
        problems = [
            *shaped[:2],
            *(f"{k} is missing" for k in missing[:2]),
            *(f"{k} is not known" for k in unexpected[:2]),
        ]
        count = len(shaped) + len(missing) + len(unexpected)
        more = f" and {count - len(problems)} more" if count > len(problems) else ""
        mend = "" if shaped or fitting <= 0 else " To load what fits: strict=False, or --no-strict."
        raise NetworkError(f"Weights file {file} does not fit {name}: {'; '.join(problems)}{more}.{mend}")
    chosen = OrderedDict((k, v) for k, v in state.items() if k in own)
    # The modules' versions travel beside the tensors; without them MNASNet refuses its own weights.
    chosen._metadata = getattr(own, "_metadata", {})  # type: ignore[attr-defined]
    module.load_state_dict(chosen, strict=False)
    return file.name


def _state_dict(content: Any, own: Mapping[str, Any]) -> dict[str, Tensor] | None:
    """Return the tensors of a state dict, out of the wrappings that training programs put around it.

    Names that a network does not have are tried as its own: without DataParallel's "module.", and as DenseNet's were
    before its published files (norm.1 for norm1).
    """
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not content:
        return None
    if not all(isinstance(value, Tensor) for value in content.values()):
        return None
    found = {}
    for key, value in content.items():
        name = str(key)
        if name not in own:
            name = name.removeprefix("module.")
        found[name if name in own else _DENSENET_1_DOT.sub(r"\1\2", name)] = value
    return found
