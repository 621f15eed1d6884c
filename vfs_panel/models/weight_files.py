"""Files of weights: reading them without running anything, filling networks with them, and naming what is in one."""

import argparse
import hashlib
import pickle
import re
import threading
import warnings
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vfs_panel.errors import NetworkError
from vfs_panel.images.preprocessing import Preprocessing

RANDOM = "random"
"""Asks for an untrained network, always the same one."""

Built = tuple[nn.Module, Preprocessing, str]
"""A network, what its pictures go through, and where its weights come from."""

_SEED = 0
# What trainings note beside the weights, and what does nothing as it is read: their options, and NumPy's numbers.
_MAKES_NUMBER = np.float64().__reduce__()[0]
_HARMLESS: list[Any] = [
    argparse.Namespace,
    *((_MAKES_NUMBER, f"numpy.{core}.multiarray.scalar") for core in ("_core", "core")),  # of NumPy 2 and 1
    np.dtype,
    *(type(np.dtype(kind)) for kind in ("f2", "f4", "f8", "i4", "i8", "?")),
]
_lock = threading.Lock()  # the list of what may be read is PyTorch's, and one for all threads
_DENSENET_1_DOT = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)")


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


def seeded(make: Callable[[], nn.Module]) -> nn.Module:
    """Make an untrained network, the same each time, and leave the random generator as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        return make()


def load_file(module: nn.Module, file: Path, name: str, *, strict: bool) -> str:
    """Load a file's weights into a network and return the file's name; errors as of `read_weights` and `fill`."""
    return fill(module, read_weights(file), file, name, strict=strict)


def read_weights(file: Path, *, save: str = "torch.save(net.state_dict(), FILE)") -> Any:
    """Return what a file of weights holds, of PyTorch's kind or .safetensors; nothing in it is run.

    Parameters
    ----------
    file : also one with a training's options and figures beside the weights, as far as those are plain values.
    save : what makes a file of weights out of one that is refused.

    Raises
    ------
    NetworkError
        If there is none, it cannot be read, or it holds code.
    """
    if file.suffix == ".safetensors":
        return _read_safetensors(file)
    try:
        with warnings.catch_warnings(), _lock, torch.serialization.safe_globals(_HARMLESS):
            warnings.simplefilter("ignore")  # of pickles that are refused just after
            return torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise NetworkError(f"There is no weights file {file}.") from None
    except pickle.UnpicklingError as error:
        # PyTorch names the refused import as a pickle's GLOBAL; of anything else it finds an operand it does not know.
        detail = "it holds code, not only weights" if "GLOBAL" in str(error) else "it is no file of weights"
        trust = ", if you trust it" if "weights_only=False" in save else ""
        raise NetworkError(f"Weights file {file} was refused: {detail}. Save a state dict{trust}: {save}.") from None
    except (RuntimeError, OSError, EOFError, ValueError, KeyError) as error:
        words = str(error).splitlines()[0][:100] if str(error) else type(error).__name__
        raise NetworkError(f"Weights file {file} cannot be read: {words}.") from None


def _read_safetensors(file: Path) -> dict[str, Tensor]:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file as load_tensors
    except ImportError:
        raise NetworkError(f"To read {file}: pip install safetensors.") from None
    if not file.exists():
        raise NetworkError(f"There is no weights file {file}.")
    try:
        tensors: dict[str, Tensor] = load_tensors(file)
    except (SafetensorError, OSError, ValueError) as error:
        words = str(error).splitlines()[0][:100] if str(error) else type(error).__name__
        raise NetworkError(f"Weights file {file} cannot be read: {words}.") from None
    return tensors


def fill(
    module: nn.Module,
    content: Any,
    file: Path,
    name: str,
    *,
    strict: bool,
    ignored: Callable[[str], bool] | None = None,
) -> str:
    """Copy a file's weights into a network and return the file's name.

    Parameters
    ----------
    content : from `read_weights`.
    file, name : of the file and the network, for messages.
    strict : whether the content must hold all weights of the network and no others.
    ignored : which names, of weights that the network does not have, are passed over even so.

    Raises
    ------
    NetworkError
        If the weights do not fit; names the first that do not.
    """
    own = module.state_dict()
    state = tensors_in(content, own)
    if state is None:
        raise NetworkError(f"Weights file {file} holds {type(content).__name__}, expected a state dict of tensors.")
    # Batch counters are no weights: old files lack them, and they alone make no file fit.
    needed = [k for k in own if not k.endswith("num_batches_tracked")]
    missing = [k for k in needed if k not in state]
    unexpected = [k for k in state if k not in own and not (ignored and ignored(k))]
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


def tensors_in(content: Any, own: Mapping[str, Any]) -> dict[str, Tensor] | None:
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
