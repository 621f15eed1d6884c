"""Networks by name or given, with their weights and preprocessing: one way in to every family of them."""

import difflib
from collections.abc import Callable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from torch import nn

from vfs_panel.errors import NetworkError
from vfs_panel.images.preprocessing import Preprocessing
from vfs_panel.models import (
    bundled_networks,
    checkpoint_networks,
    hub_networks,
    timm_networks,
    torchvision_networks,
    xray_networks,
)
from vfs_panel.models.bundled_networks import BUNDLED, WEIGHTS_FOLDER
from vfs_panel.models.weight_files import RANDOM, Built, load_file, weights_hash

__all__ = [
    "BUNDLED",
    "RANDOM",
    "WEIGHTS_FOLDER",
    "Network",
    "find_networks",
    "load_network",
    "network_names",
    "weights_hash",
]
_FILES = (".pt", ".pth", ".jit", ".safetensors")  # of weights, and some of networks too


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


def network_names() -> list[str]:
    """Return the names that need no other package: bundled ones, those of published checkpoints, and torchvision's."""
    return [*bundled_networks.names(), *checkpoint_networks.names(), *torchvision_networks.names()]


def find_networks(pattern: str) -> list[str]:
    """Return the names that match a pattern, of all that are installed: also "timm/NAME" and "xray/NAME".

    Parameters
    ----------
    pattern : with * and ? as in file names ("timm/vit_small*"); without them, a part of the name ("dinov3").
    """
    wanted = pattern if any(mark in pattern for mark in "*?[") else f"*{pattern}*"
    return [name for name in _all_names() if fnmatchcase(name.lower(), wanted.lower())]


def _all_names() -> list[str]:
    return [*network_names(), *timm_networks.names(), *xray_networks.names()]


def load_network(
    model: str | nn.Module | Network,
    *,
    weights: Path | str | None = None,
    strict: bool = True,
    preprocessing: Preprocessing | None = None,
    trust_code: bool = False,
) -> Network:
    """Load a network.

    Parameters
    ----------
    model : a name, any nn.Module, or a Network, which keeps its weights. Names are those of `network_names()`;
        "timm/NAME", with or without the tag of published weights; "xray/NAME" of torchxrayvision; of torch.hub,
        "hub/OWNER/REPO:ENTRY" or "hub//local/folder:ENTRY"; a registered one (see `registry`); or the file of a whole
        network: .onnx, or a program of torch.export (.pt2) or TorchScript.
    weights : a file of weights (a state dict of PyTorch, loaded with `weights_only=True`, or .safetensors, so no code
        comes out of it); the name of published weights, such as "IMAGENET1K_V2" or a tag of timm's; "random" for an
        untrained network, always the same one; None for the best published weights, downloaded once by the family's
        own package, or for the weights a given module has.
    strict : whether the file must hold all weights of the network and no others. What a file leaves out of a network
        known by name is untrained, and the same each time.
    preprocessing : by default that of the published weights, also for a file that has kept its published name, such as
        resnet50-0676ba61.pth; for a given module or one of torch.hub, ImageNet's: shorter side to 256, centre crop
        224; a Network's own.
    trust_code : whether the code of a repository of torch.hub, or of a program's file, may run on this machine.

    Raises
    ------
    NetworkError
        If the name is not known, its package is not installed, its code is not trusted, or the weights cannot be
        had, read, or do not fit.
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
            label = load_file(model, Path(weights), type(model).__name__, strict=strict)
        model.eval()
        return Network(type(model).__name__, model, preprocessing or Preprocessing(), label, weights_hash(model))
    whole = _whole(model, preprocessing, trust_code=trust_code)
    if whole is not None:
        if weights is not None:
            raise NetworkError(f"{model} brings its own weights; leave out {weights}.")
        return whole
    module, made_for, label = _builder(model, trust_code=trust_code)(model, weights, strict)
    module.eval()
    return Network(model, module, preprocessing or made_for, label, weights_hash(module))


def brings_weights(name: str) -> bool:
    """Return whether a name is that of a registered network, or of a file of a whole one."""
    from vfs_panel.models import onnx_network, programs, registry

    registered = registry.is_registered(name) and name not in network_names()
    return registered or onnx_network.is_onnx(name) or programs.is_program(name)


def _whole(name: str, preprocessing: Preprocessing | None, *, trust_code: bool) -> Network | None:
    """Return a network that comes with its weights: registered, or a file of a whole one; None for other names."""
    from vfs_panel.models import onnx_network, programs, registry

    # A package cannot put its own into the place of one that everybody knows.
    if registry.is_registered(name) and name not in network_names():
        found = registry.load_registered(name)
        return found if preprocessing is None else replace(found, preprocessing=preprocessing)
    if onnx_network.is_onnx(name):
        return onnx_network.load_onnx(name, preprocessing=preprocessing)
    if programs.is_program(name):
        return programs.load_program(name, trust_code=trust_code, preprocessing=preprocessing)
    return None


def _builder(name: str, *, trust_code: bool) -> Callable[[str, Path | str | None, bool], Built]:
    """Return what makes the network of this name."""
    if name.startswith(hub_networks.PREFIX):
        return partial(hub_networks.build, trust_code=trust_code)
    if name.startswith(timm_networks.PREFIX):
        _require("timm", "timm", name)
        if name in timm_networks.names():
            return timm_networks.build
    if name.startswith(xray_networks.PREFIX):
        _require("torchxrayvision", "xray", name)
        if name in xray_networks.names():
            return xray_networks.build
    if name in bundled_networks.names():
        return bundled_networks.build
    if name in checkpoint_networks.names():
        return checkpoint_networks.build
    if name in torchvision_networks.names():
        return torchvision_networks.build
    if name.lower().endswith(_FILES):
        if not Path(name).exists():
            raise NetworkError(f"Network file {name} does not exist. Give the file of a network, or a network's name.")
        raise NetworkError(f"{name} holds no network. If it holds weights, name their network, and give it as weights.")
    near = _nearest(name)
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    raise NetworkError(f"There is no network {name!r}.{hint} `vfs-panel models --search NAME` finds others.")


def _require(package: str, extra: str, name: str) -> None:
    if find_spec(package) is None:
        raise NetworkError(f'{name} needs {package}: pip install "vfs_panel[{extra}]".')


def _nearest(name: str) -> list[str]:
    """Return the names spelt most like a name, of all that are installed, with or without the prefix of a family."""
    names = _all_names()
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.4)
    same = [known for known in names if known.rpartition("/")[2] == name.rpartition("/")[2]]
    return list(dict.fromkeys([*same, *near]))[:3]
