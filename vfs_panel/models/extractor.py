"""Extractor: pictures in, features of several layers out, as grids, in one pass."""

import copy
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import chain

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor

from vfs_panel.errors import LayerError, NetworkError
from vfs_panel.images.preprocessing import Preprocessing
from vfs_panel.models.grid import to_grid
from vfs_panel.models.layers import captured, channels_last_layers, dry_input, run
from vfs_panel.models.zoo import Network

AUTOCAST = ("", "bfloat16", "float16")
_GREY = (0.299, 0.587, 0.114)  # of RGB, as ITU-R BT.601 weighs it


def to_input(frames: NDArray[np.uint8], preprocessing: Preprocessing, device: torch.device | str = "cpu") -> Tensor:
    """Return the network's input for pictures that are resized and cropped already (`Preprocessing.frame`).

    Parameters
    ----------
    frames : uint8 array, shape (n, y, x, 3).

    Returns
    -------
    float32 Tensor, shape (n, channel, y, x), with as many channels as the preprocessing's mean has values.
    """
    raw = torch.from_numpy(frames)
    if torch.device(device).type == "cuda":
        raw = raw.pin_memory()
    # Rows of pixels lie in memory as a convolution on a CPU likes them: channels last.
    values = raw.to(device, non_blocking=True).permute(0, 3, 1, 2).to(torch.float32).div_(255)
    if len(preprocessing.mean) == 1:
        values = sum(values[:, i : i + 1] * share for i, share in enumerate(_GREY))  # type: ignore[assignment]
    mean, std = (torch.tensor(v, device=device)[:, None, None] for v in (preprocessing.mean, preprocessing.std))
    return values.sub_(mean).div_(std)


def twins(network: Network, count: int) -> list[Network]:
    """Return a network and copies of it that share its weights, so that each may run in a thread of its own.

    What a module notes in itself during a pass stays with the copy. A network that cannot be copied stays alone.
    """
    if getattr(network.module, "alone", False):
        return [network]
    shared = {id(t): t for t in chain(network.module.parameters(), network.module.buffers())}
    try:
        copies = [copy.deepcopy(network.module, dict(shared)) for _ in range(count - 1)]
    except Exception:  # modules may hold anything, and say so in any way
        return [network]
    return [network, *(replace(network, module=module) for module in copies)]


class Extractor:
    """Holds hooks on some layers of a network; use it in a `with` block, or call `close`.

    The network is put into evaluation mode and on the device, and back into its mode on closing.

    Parameters
    ----------
    network : from `load_network`.
    layers : names of layers whose outputs are grids.
    device : "auto" (CUDA if there is one), "cpu", "cuda" or "cuda:N".
    input_px : (height, width) of the network's input, where the preprocessing does not fix it.
    autocast : "bfloat16" or "float16": the network runs in this type where PyTorch holds that to be safe; "" for
        float32 throughout.
    like : an extractor of a twin with the same layers and options, which knows the grids: it saves a pass.

    Attributes
    ----------
    grids : layer -> (channel, y, x).

    Raises
    ------
    LayerError, NetworkError
        If a layer does not exist or is no grid, or the network cannot take such a picture.
    """

    def __init__(
        self,
        network: Network,
        layers: Sequence[str],
        *,
        device: str = "auto",
        input_px: tuple[int, int] | None = None,
        autocast: str = "",
        like: "Extractor | None" = None,
    ) -> None:
        if autocast not in AUTOCAST:
            raise NetworkError(f"autocast is {autocast!r}; expected one of {', '.join(t for t in AUTOCAST if t)}.")
        self._autocast = autocast
        if not layers:
            raise LayerError("No layer was named. `vfs-panel models NAME` lists them.")
        self.network = network
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            # Convolutions on a CPU run up to twice as fast on channels-last memory; shapes and names stay the same.
            network.module.to(device).to(memory_format=torch.channels_last)
        except (RuntimeError, AssertionError) as error:
            raise NetworkError(f"{network.name} cannot go to device {device!r}: {str(error).splitlines()[0]}") from None
        self.device = torch.device(device)
        self._modes = [(module, module.training) for module in network.module.modules()]
        network.module.eval()
        self._stack = ExitStack()
        try:
            self._outputs = self._stack.enter_context(captured(network.module, layers))
            self._layers = list(layers)
            self.input_px: tuple[int, int]
            self.grids: dict[str, tuple[int, int, int]]
            self._channels_last: set[str]
            if like is not None:
                self.input_px, self.grids, self._channels_last = like.input_px, like.grids, like._channels_last
            else:
                self._find_grids(input_px)
        except BaseException:
            self.close()
            raise

    def _find_grids(self, input_px: tuple[int, int] | None) -> None:
        """Learn from a black picture what the layers' outputs are."""
        sample = dry_input(self.network, input_px)
        self.input_px = (sample.shape[2], sample.shape[3])
        outputs = self._run(sample)
        shapes = {layer: tuple(output.shape) for layer, output in outputs.items()}
        self._channels_last = channels_last_layers(self.network, shapes, sample.to(self.device))
        self.grids = {
            layer: (grid.shape[1], grid.shape[2], grid.shape[3])
            for layer, grid in self._as_grids(outputs, self.input_px).items()
        }

    def _run(self, batch: Tensor) -> dict[str, Tensor]:
        """Return the layers' outputs, as the network gives them; nothing of the pass is kept."""
        self._outputs.clear()
        with torch.autocast(
            self.device.type, dtype=getattr(torch, self._autocast or "bfloat16"), enabled=bool(self._autocast)
        ):
            run(self.network, batch.to(self.device, memory_format=torch.channels_last))
        outputs = dict(self._outputs)
        self._outputs.clear()
        for layer in self._layers:
            if layer not in outputs:
                raise LayerError(f"Layer {layer!r} of {self.network.name} gave no output in a pass. Choose another.")
            if outputs[layer].shape[:1] != batch.shape[:1]:
                raise LayerError(
                    f"Layer {layer!r} gives {'×'.join(map(str, outputs[layer].shape))} for {len(batch)} pictures, "
                    "which is not one row for each. Choose another: `vfs-panel models NAME` marks grids."
                )
        return {layer: outputs[layer] for layer in self._layers}

    def _as_grids(self, outputs: Mapping[str, Tensor], input_px: tuple[int, int]) -> dict[str, Tensor]:
        return {
            layer: to_grid(output, input_px=input_px, layer=layer, channels_last=layer in self._channels_last)
            for layer, output in outputs.items()
        }

    def __call__(self, batch: Tensor) -> dict[str, Tensor]:
        """Return features of a batch of preprocessed pictures.

        Parameters
        ----------
        batch : float32 Tensor, shape (n, channel, y, x).

        Returns
        -------
        dict, layer -> float32 Tensor on the CPU, shape (n, channel, y, x).
        """
        return {layer: grid.float().cpu().contiguous() for layer, grid in self.grids_of(batch).items()}

    def grids_of(self, batch: Tensor) -> dict[str, Tensor]:
        """Return features as `__call__` does, but as the network left them: on its device, in its type and order."""
        return self._as_grids(self._run(batch), (batch.shape[2], batch.shape[3]))

    def features(self, rgb: NDArray[np.uint8], layer: str) -> xr.DataArray:
        """Return the features of one picture.

        Parameters
        ----------
        rgb : uint8 array, shape (y, x, 3).
        layer : one of the extractor's layers.

        Returns
        -------
        DataArray (channel, y, x), float32; y and x are the cells' centres in input pixels.

        Raises
        ------
        LayerError
            If the extractor was not made for this layer.
        """
        if layer not in self.grids:
            raise LayerError(f"This extractor gives {', '.join(self.grids)}, not {layer!r}. Name it when making one.")
        preprocessing = self.network.preprocessing
        batch = to_input(np.stack([preprocessing.frame(rgb)]), preprocessing)
        values = self(batch)[layer][0].numpy()
        centres = {
            axis: (np.arange(cells) + 0.5) * size / cells
            for axis, cells, size in zip("yx", values.shape[1:], batch.shape[2:], strict=True)
        }
        return xr.DataArray(values, dims=("channel", "y", "x"), coords=centres, name="features", attrs={"layer": layer})

    def close(self) -> None:
        """Remove the hooks and give the network its mode back."""
        self._stack.close()
        for module, training in self._modes:
            module.training = training

    def __enter__(self) -> "Extractor":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
