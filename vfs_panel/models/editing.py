"""Editing a network: one convolution is rewritten so that it takes one thing for another. Pictures and tensors, no UI.

A convolution is a linear memory: it maps a key k, its input under one window (all channels and taps in one vector), to
a value W k + b, its output there. Santurkar et al., "Editing a classifier by rewriting its prediction rules" (NeurIPS
2021, arXiv:2112.01008), after Bau et al., "Rewriting a deep generative model" (ECCV 2020), change W so that the key of
a source (snow) is given the value of a target (asphalt), and what it maps other keys to changes least:

    W' = W + Λ dᵀ,    d = C⁻¹ k* / (k*ᵀ C⁻¹ k*),    Λ = v* - (W k* + b),    C = mean of k kᵀ over pictures

k* is the mean key of the source, v* the mean value of the target. This is the W' with W' k* + b = v* whose outputs
differ least, in the mean square over those pictures, from W's: their root mean square change is |Λ| / √(k*ᵀ C⁻¹ k*).
The change has rank one. Two things differ from the authors' program. It seeks Λ by gradient steps, on one picture with
and without another texture; here source and target are any two regions, and Λ has a closed form, as in Meng et al.,
"Locating and editing factual associations in GPT" (NeurIPS 2022). And it takes the channels alone for the key, so that
each tap has a Λ of its own; here the taps are in the key.
"""

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from vfs_panel.errors import LayerError, QueryError
from vfs_panel.models.extractor import to_input
from vfs_panel.models.weight_files import weights_hash
from vfs_panel.models.zoo import Network

if TYPE_CHECKING:
    from vfs_panel.images.dataset import ImageDataset

Patch = tuple[NDArray[np.uint8], ArrayLike]
"""A picture (y, x, 3) and a mask (y, x) over the network's input, of any resolution: bool, 0 to 1, or uint8 to 255."""

MOST_PICTURES = 200
_BATCH = 16


@dataclass(frozen=True, slots=True, eq=False)
class Rewrite:
    """A change of rank one to a convolution: its weights, as (out, in · taps), gain `left` `right`ᵀ.

    Attributes
    ----------
    layer : the convolution's name.
    left : Tensor, shape (out,): Λ, how the value of the source's key moves.
    right : Tensor, shape (in · taps,): d, of which the product with the source's key is 1.
    elsewhere : root mean square, over the windows of the pictures, of how far the output moves.
    """

    layer: str
    left: Tensor
    right: Tensor
    elsewhere: float


def edit_network(
    network: Network,
    layer: str,
    *,
    source: Sequence[Patch],
    target: Sequence[Patch],
    pictures: "ImageDataset",
    strength: float = 1.0,
    most_pictures: int = MOST_PICTURES,
    name: str | None = None,
) -> Network:
    """Return a copy of a network that takes the source for the target; see `find_rewrite` for the parameters.

    Its weights are named after those of the network and the layer, and have a hash of their own, so that stores of the
    two are kept apart. To keep it: `torch.save(edited.module.state_dict(), FILE)`, and load that with the network's own
    name and `weights=FILE`.

    Parameters
    ----------
    name : of the edited network; by default the network's with " (edited)".
    """
    rewrite = find_rewrite(
        network,
        layer,
        source=source,
        target=target,
        pictures=pictures,
        strength=strength,
        most_pictures=most_pictures,
    )
    return rewritten(network, rewrite, name=name)


def find_rewrite(
    network: Network,
    layer: str,
    *,
    source: Sequence[Patch],
    target: Sequence[Patch],
    pictures: "ImageDataset",
    strength: float = 1.0,
    most_pictures: int = MOST_PICTURES,
) -> Rewrite:
    """Return the change that makes a convolution take the source for the target, and that changes least else.

    Parameters
    ----------
    network : is left as it is.
    layer : name of the convolution, such as "layer4.2.conv2" or "features.28".
    source, target : painted regions, one or several of each; they need not have the same shape or size. A mask comes
        from strokes by `vfs_panel.search.mask.grid_mask(strokes, preprocessing.geometry(height, width), grid)`.
    pictures : what else the network should see as before; C is measured on them.
    strength : 1 gives the source the target's value, 0.5 goes half the way.
    most_pictures : how many of the pictures are looked at, evenly over the set.

    Raises
    ------
    LayerError
        If the layer is no convolution that can be rewritten, or does not run once in a pass.
    QueryError
        If there is no source, target or picture, or a mask covers nothing.
    """
    conv = _convolution(network, layer)
    with torch.inference_mode(), _inputs(network, conv, layer) as see:
        key = _mean(source, conv, see, "source")
        value = conv_output(conv, _mean(target, conv, see, "target"))
        covariance = _covariance(pictures, most_pictures, conv, see)
        left = strength * (value - conv_output(conv, key))
        # Pictures give fewer windows than a key has numbers, or nearly equal ones: a little of the mean variance is
        # added to each direction, or what was never seen could be used for free.
        ridge = 1e-3 * covariance.diagonal().mean() * torch.eye(len(key), dtype=torch.float64)
        direction = torch.linalg.solve(covariance + ridge, key)
        direction /= key @ direction
        elsewhere = float(left.norm() * (direction @ covariance @ direction).sqrt())
    return Rewrite(layer, left.float().clone(), direction.float().clone(), elsewhere)


def rewritten(network: Network, rewrite: Rewrite, *, name: str | None = None) -> Network:
    """Return a copy of a network with one convolution rewritten; the network itself stays as it is.

    Raises
    ------
    LayerError
        If the network has no such convolution, or one of another size.
    """
    module = copy.deepcopy(network.module)
    changed = replace(network, module=module)
    conv = _convolution(changed, rewrite.layer)
    expected = (conv.out_channels, conv.weight[0].numel())
    if (len(rewrite.left), len(rewrite.right)) != expected:
        raise LayerError(
            f"The rewrite is {len(rewrite.left)}×{len(rewrite.right)}, but {rewrite.layer!r} of {network.name} has "
            f"{expected[0]}×{expected[1]} weights."
        )
    with torch.no_grad():
        conv.weight += torch.outer(rewrite.left, rewrite.right).reshape(conv.weight.shape).to(conv.weight)
    return replace(
        changed,
        name=name or f"{network.name} (edited)",
        weights=f"{network.weights} edited at {rewrite.layer}",
        weights_sha256=weights_hash(module),
    )


def keys_of(conv: nn.Conv2d, inputs: Tensor) -> Tensor:
    """Return what a convolution sees at each of its windows, (n, in · taps, windows), in the order of its weights."""
    return F.unfold(inputs, conv.kernel_size, conv.dilation, conv.padding, conv.stride)  # type: ignore[arg-type]


def conv_output(conv: nn.Conv2d, key: Tensor) -> Tensor:
    """Return a convolution's output (out,) for one key (in · taps,), in the key's precision."""
    value = conv.weight.flatten(1).to(key) @ key
    return value if conv.bias is None else value + conv.bias.to(key)


def _convolution(network: Network, layer: str) -> nn.Conv2d:
    modules = dict(network.module.named_modules())
    if layer not in modules:
        raise LayerError(f"{network.name} has no layer {layer!r}. `vfs-panel models NAME` lists them.")
    conv = modules[layer]
    if not isinstance(conv, nn.Conv2d):
        inside = [
            name for name, part in modules.items() if isinstance(part, nn.Conv2d) and f".{name}".startswith(f".{layer}")
        ]
        hint = f" Its convolutions are {', '.join(inside)}." if inside else ""
        raise LayerError(f"Layer {layer!r} of {network.name} is {type(conv).__name__}, expected a convolution.{hint}")
    if conv.groups != 1 or isinstance(conv.padding, str) or conv.padding_mode != "zeros":
        raise LayerError(
            f"Layer {layer!r} of {network.name} is a convolution in groups, or padded otherwise than by 0."
        )
    return conv


class _Seen:
    """Runs pictures through a network and returns what one convolution saw of them."""

    def __init__(self, network: Network, layer: str, caught: list[Tensor]) -> None:
        self._network, self._layer, self._caught = network, layer, caught

    def __call__(self, *rgb: NDArray[np.uint8]) -> Tensor:
        """Return the convolution's input (n, in, y, x) for pictures (y, x, 3)."""
        self._caught.clear()
        preprocessing = self._network.preprocessing
        self._network.module(to_input(np.stack([preprocessing.frame(one) for one in rgb]), preprocessing))
        if len(self._caught) != 1:
            raise LayerError(f"Layer {self._layer!r} ran {len(self._caught)} times in one pass, expected once.")
        return self._caught[0]


@contextmanager
def _inputs(network: Network, conv: nn.Conv2d, layer: str) -> Iterator[_Seen]:
    caught: list[Tensor] = []
    hook = conv.register_forward_pre_hook(lambda _module, inputs: caught.append(inputs[0].detach().float()))
    training = network.module.training
    network.module.eval()
    try:
        yield _Seen(network, layer, caught)
    finally:
        hook.remove()
        network.module.train(training)


def _mean(patches: Sequence[Patch], conv: nn.Conv2d, see: _Seen, what: str) -> Tensor:
    """Return the mean key (in · taps,), float64, of painted regions, each window weighted by how far it is covered."""
    total = torch.zeros(conv.weight[0].numel(), dtype=torch.float64)
    weight = 0.0
    for rgb, mask in patches:
        given = np.asarray(mask)
        cover = torch.as_tensor(given.astype(np.float64) / (255 if given.dtype == np.uint8 else 1))
        if cover.ndim != 2 or not bool(((cover >= 0) & (cover <= 1)).all()):
            raise QueryError(
                f"A mask of the {what} has shape {tuple(cover.shape)}; expected (y, x) with values from 0 to 1."
            )
        inputs = see(rgb)
        grid = conv(inputs.to(conv.weight)).shape[2:]
        on_grid = F.interpolate(cover[None, None], tuple(grid), mode="area").flatten()
        total += keys_of(conv, inputs)[0].double() @ on_grid
        weight += float(on_grid.sum())
    if weight <= 0:
        raise QueryError(f"The {what} of the edit covers nothing: paint a region on at least one picture.")
    return total / weight


def _covariance(pictures: "ImageDataset", most: int, conv: nn.Conv2d, see: _Seen) -> Tensor:
    """Return the mean of k kᵀ, float64, over the windows of some of the pictures; not centred, as in the original."""
    if not pictures.ids:
        raise QueryError("There are no pictures to measure the keys of the edit on.")
    even = np.linspace(0, len(pictures.ids) - 1, min(most, len(pictures.ids))).round().astype(int)
    ids = [pictures.ids[at] for at in np.unique(even).tolist()]
    size = conv.weight[0].numel()
    total, windows = torch.zeros(size, size, dtype=torch.float64), 0
    for start in range(0, len(ids), _BATCH):
        # Pictures of several sizes go one by one: the preprocessing may leave them so.
        frames = [pictures.rgb(image) for image in ids[start : start + _BATCH]]
        whole = len({frame.shape for frame in frames}) == 1
        for inputs in [see(*frames)] if whole else map(see, frames):
            keys = keys_of(conv, inputs).transpose(0, 1).flatten(1)
            total += (keys @ keys.T).double()
            windows += keys.shape[1]
    return total / windows
