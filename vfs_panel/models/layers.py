"""A network's layers: which there are, which are grids, and their outputs during one pass."""

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from vfs_panel.errors import LayerError, NetworkError
from vfs_panel.models.grid import TokenLayout, first_tensor, is_ambiguous, plan_grid

if TYPE_CHECKING:
    from vfs_panel.models.zoo import Network

DEFAULT_INPUT_PX = (224, 224)

# Parts of an attention layer whose outputs can have the shape of a grid by chance: tables of weights, and windows.
_WORKINGS = ("WindowPartition", "SwapAxes", "Softmax")
_WORKINGS_NAMES = ("attn_drop", "rel_pos", "q_norm", "k_norm")


@dataclass(frozen=True, slots=True)
class LayerInfo:
    """One layer of a network.

    Attributes
    ----------
    name : as PyTorch prints it.
    kind : the module's class.
    output : shape of its output for one picture, without the batch axis; None if it was not used or gives no tensor.
    grid : (channel, y, x) if it can be searched, else None.
    """

    name: str
    kind: str
    output: tuple[int, ...] | None
    grid: tuple[int, int, int] | None


def dry_input(network: "Network", input_px: tuple[int, int] | None = None) -> Tensor:
    """Return black pictures of the size and channels that a network expects, shape (2, channel, y, x).

    Two, because an output with one row may belong to the network and not to a picture, as the table of relative
    positions in Swin V2 does.
    """
    height, width = input_px or network.preprocessing.crop_px or DEFAULT_INPUT_PX
    parameter = next(network.module.parameters(), None)
    device = parameter.device if parameter is not None else torch.device("cpu")
    return torch.zeros(2, len(network.preprocessing.mean), height, width, device=device)


def run(network: "Network", batch: Tensor) -> None:
    """Send a batch through a network for its hooks.

    Raises
    ------
    NetworkError
        If the network cannot take it; gives the network's own words.
    """
    try:
        with torch.inference_mode():
            network.module(batch)
    except (RuntimeError, ValueError, TypeError, AssertionError, NotImplementedError) as error:
        words = str(error).strip().splitlines()[0][:160] if str(error).strip() else type(error).__name__
        raise NetworkError(
            f"{network.name} cannot take a batch of shape {tuple(batch.shape)}: {words}. Give a preprocessing to fit."
        ) from None


def list_layers(network: "Network", *, input_px: tuple[int, int] | None = None) -> list[LayerInfo]:
    """Return every layer of a network in its own order, with the output of one pass of a black picture.

    Parameters
    ----------
    network : from `load_network`.
    input_px : (height, width) of the picture; that of the preprocessing by default, else 224×224.

    Raises
    ------
    NetworkError
        If the network cannot take such a picture.
    """
    batch = dry_input(network, input_px)
    named = [(name, module) for name, module in network.module.named_modules() if name]
    shapes = output_shapes(network, named, batch)
    last = channels_last_layers(network, shapes, batch)
    tokens = token_layout(network.module)
    found = []
    for name, module in named:
        shape = shapes.get(name)
        plan = None
        if shape and shape[0] == len(batch) and not is_working(name, module, len(shape)):
            plan = plan_grid(shape, (batch.shape[2], batch.shape[3]), channels_last=name in last, tokens=tokens)
        grid = (plan.channels, plan.height, plan.width) if plan else None
        found.append(LayerInfo(name, type(module).__name__, shape[1:] if shape else None, grid))
    return found


def token_layout(module: nn.Module) -> TokenLayout | None:
    """Return what a network says of its tokens; None if it says nothing, or not the same everywhere.

    timm's transformers say `num_prefix_tokens`, DINOv2's own `num_register_tokens`, besides one class token.
    """
    counts, sizes = set(), set()
    for part in module.modules():
        count = getattr(part, "num_prefix_tokens", None)
        registers = getattr(part, "num_register_tokens", None)
        if isinstance(count, int):
            counts.add(count)
        elif isinstance(registers, int):
            counts.add(1 + registers)
        size = getattr(getattr(part, "patch_embed", None), "patch_size", None)
        size = (size, size) if isinstance(size, int) else size
        if isinstance(size, tuple) and len(size) == 2 and all(isinstance(px, int) for px in size):
            sizes.add(size)
    if len(counts) != 1:
        return None
    return TokenLayout(counts.pop(), sizes.pop() if len(sizes) == 1 else None)


def is_working(name: str, module: nn.Module, axes: int) -> bool:
    """Whether a layer's output is attention weights, windows or the like, which no grid is to be read from.

    Parameters
    ----------
    name, module : of the layer.
    axes : how many its output has. Modules for sequences ("1d") give N×C×T, where tokens are N×T×C.
    """
    kind = type(module).__name__
    return kind in _WORKINGS or name.rpartition(".")[2] in _WORKINGS_NAMES or (axes == 3 and kind.endswith("1d"))


def expand_layers(network: "Network | Sequence[LayerInfo]", patterns: Sequence[str]) -> list[str]:
    """Return the layers that names and patterns stand for, each once.

    Parameters
    ----------
    network : from `load_network`, or its layers from `list_layers`.
    patterns : names, which stay as they are, and patterns with *, ? or [..] as in file names: "layer4.*.conv2". A
        pattern stands for the layers that fit it and give a grid, in the network's order; a * also stands for dots.

    Raises
    ------
    LayerError
        If no layer fits a pattern, naming the nearest, or none that does gives a grid.
    """
    if not any(_is_pattern(pattern) for pattern in patterns):
        return list(dict.fromkeys(patterns))
    infos = network if isinstance(network, Sequence) else list_layers(network)
    names = [info.name for info in infos]
    chosen: list[str] = []
    for pattern in patterns:
        if pattern in names or not _is_pattern(pattern):
            chosen.append(pattern)
            continue
        fitting = [info for info in infos if fnmatchcase(info.name, pattern)]
        grids = [info.name for info in fitting if info.grid is not None]
        if not fitting:
            near = nearest_layers(".".join(part for part in pattern.split(".") if not _is_pattern(part)), names)
            near = near or nearest_layers(pattern, names)
            hint = f" Nearest: {', '.join(near)}." if near else ""
            raise LayerError(f"No layer fits {pattern!r}.{hint} `vfs-panel models NAME` lists all.")
        if not grids:
            some = ", ".join(info.name for info in fitting[:3])
            more = f" and {len(fitting) - 3} more" if len(fitting) > 3 else ""
            raise LayerError(
                f"No layer that fits {pattern!r} gives a grid of cells ({some}{more}). Choose others: "
                "`vfs-panel models NAME` marks them."
            )
        chosen += grids
    return list(dict.fromkeys(chosen))


def _is_pattern(text: str) -> bool:
    return any(mark in text for mark in "*?[")


def output_shapes(
    network: "Network", named: Iterable[tuple[str, nn.Module]], batch: Tensor
) -> dict[str, tuple[int, ...]]:
    """Return the output shapes, batch first, of the named layers that a pass of a batch uses.

    Raises
    ------
    NetworkError
        If the network cannot take the batch.
    """
    shapes: dict[str, tuple[int, ...]] = {}

    def noting(name: str) -> Any:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            tensor = first_tensor(output)
            if tensor is not None:
                shapes[name] = tuple(tensor.shape)

        return hook

    handles = [module.register_forward_hook(noting(name)) for name, module in named]
    modes = [(module, module.training) for module in network.module.modules()]
    try:
        network.module.eval()
        run(network, batch)
    finally:
        for handle in handles:
            handle.remove()
        for module, training in modes:
            module.training = training
    return shapes


def channels_last_layers(network: "Network", shapes: Mapping[str, tuple[int, ...]], batch: Tensor) -> set[str]:
    """Return which of the layers whose shape can be read both ways are N×H×W×C.

    Where a shape does not tell, a second pass with pictures twice as wide does: only the true x axis grows. A network
    that takes one size only is read as N×C×H×W.

    Parameters
    ----------
    shapes : layer -> shape of its output for `batch`.
    batch : pictures, shape (n, channel, y, x).
    """
    unclear = [name for name, shape in shapes.items() if is_ambiguous(shape, (batch.shape[2], batch.shape[3]))]
    if not unclear:
        return set()
    layers = [(name, find_layer(network.module, name)) for name in unclear]
    try:
        wide = output_shapes(network, layers, batch.repeat(1, 1, 1, 2))
    except NetworkError:
        return set()
    return {name for name, shape in wide.items() if shape[3] == shapes[name][3] and shape[2] > shapes[name][2]}


def nearest_layers(name: str, names: Sequence[str], *, count: int = 3) -> list[str]:
    """Return the layer names most like a name: those that contain it first, then those spelt alike."""
    containing = [n for n in names if name and (n.endswith(name) or n.startswith(name))]
    spelt = difflib.get_close_matches(name, names, n=count, cutoff=0.5)
    return list(dict.fromkeys([*spelt, *containing]))[:count]


def find_layer(module: nn.Module, name: str) -> nn.Module:
    """Return a layer by name.

    Raises
    ------
    LayerError
        If there is none; names the nearest.
    """
    names: dict[str, nn.Module] = dict(module.named_modules())
    if name and name in names:
        return names[name]
    near = nearest_layers(name, [n for n in names if n])
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    raise LayerError(f"There is no layer {name!r}.{hint} `vfs-panel models NAME` lists all.")


@contextmanager
def captured(module: nn.Module, layers: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """Collect the outputs of layers while the network runs inside the block.

    An output is copied at once: a later operation may change it in place, as a ReLU after a normalisation does. Of a
    layer that is used several times in a pass, the last use counts. Where the network says how many of its tokens are
    no patches (`token_layout`), those are left out. The hooks go, whatever happens.

    Yields
    ------
    dict, layer -> Tensor, filled by each pass.

    Raises
    ------
    LayerError
        If a layer does not exist, or gives windows or attention weights.
    """
    outputs: dict[str, Tensor] = {}
    found = {name: find_layer(module, name) for name in layers}
    tokens = token_layout(module)
    inputs_px: list[tuple[int, int]] = []

    def noting_size(_module: nn.Module, inputs: tuple[Any, ...]) -> None:
        inputs_px[:] = [(x.shape[2], x.shape[3]) for x in inputs[:1] if isinstance(x, Tensor) and x.ndim == 4]

    def keeping(name: str) -> Any:
        def hook(layer: nn.Module, _inputs: Any, output: Any) -> None:
            tensor = first_tensor(output)
            if tensor is None:
                return
            if is_working(name, layer, tensor.ndim):
                raise LayerError(
                    f"Layer {name!r} gives {'×'.join(map(str, tensor.shape))}, windows or attention weights and no "
                    "grid of cells. Choose another: `vfs-panel models NAME` marks grids."
                )
            if tokens is not None and inputs_px and tensor.ndim == 3:
                plan = plan_grid(tensor.shape, inputs_px[0], tokens=tokens)
                tensor = tensor[:, plan.extra :] if plan is not None else tensor
            outputs[name] = tensor.detach().clone()

        return hook

    handles: list[RemovableHandle] = []
    try:
        if tokens is not None:
            handles.append(module.register_forward_pre_hook(noting_size))
        for name, layer in found.items():
            handles.append(layer.register_forward_hook(keeping(name)))
        yield outputs
    finally:
        for handle in handles:
            handle.remove()
