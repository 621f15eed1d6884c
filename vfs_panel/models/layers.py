"""A network's layers: which there are, which are grids, and their outputs during one pass."""

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from vfs_panel.errors import LayerError, NetworkError
from vfs_panel.models.grid import first_tensor, is_ambiguous, plan_grid

if TYPE_CHECKING:
    from vfs_panel.models.zoo import Network

DEFAULT_INPUT_PX = (224, 224)


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
    found = []
    for name, module in named:
        shape = shapes.get(name)
        plan = None
        if shape and shape[0] == len(batch):
            plan = plan_grid(shape, (batch.shape[2], batch.shape[3]), channels_last=name in last)
        grid = (plan.channels, plan.height, plan.width) if plan else None
        found.append(LayerInfo(name, type(module).__name__, shape[1:] if shape else None, grid))
    return found


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
    layer that is used several times in a pass, the last use counts. The hooks go, whatever happens.

    Yields
    ------
    dict, layer -> Tensor, filled by each pass.

    Raises
    ------
    LayerError
        If a layer does not exist.
    """
    outputs: dict[str, Tensor] = {}
    found = {name: find_layer(module, name) for name in layers}

    def keeping(name: str) -> Any:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            tensor = first_tensor(output)
            if tensor is not None:
                outputs[name] = tensor.detach().clone()

        return hook

    handles: list[RemovableHandle] = []
    try:
        for name, layer in found.items():
            handles.append(layer.register_forward_hook(keeping(name)))
        yield outputs
    finally:
        for handle in handles:
            handle.remove()
