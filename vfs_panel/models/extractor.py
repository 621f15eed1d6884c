"""Extractor: pictures in, features of several layers out, as grids, in one pass."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor

from vfs_panel.errors import LayerError, NetworkError
from vfs_panel.models.grid import to_grid
from vfs_panel.models.layers import captured, channels_last_layers, dry_input, run
from vfs_panel.models.zoo import Network


class Extractor:
    """Holds hooks on some layers of a network; use it in a `with` block, or call `close`.

    The network is put into evaluation mode and on the device, and back into its mode on closing.

    Parameters
    ----------
    network : from `load_network`.
    layers : names of layers whose outputs are grids.
    device : "auto" (CUDA if there is one), "cpu", "cuda" or "cuda:N".
    input_px : (height, width) of the network's input, where the preprocessing does not fix it.

    Attributes
    ----------
    grids : layer -> (channel, y, x).

    Raises
    ------
    LayerError, NetworkError
        If a layer does not exist or is no grid, or the network cannot take such a picture.
    """

    def __init__(
        self, network: Network, layers: Sequence[str], *, device: str = "auto", input_px: tuple[int, int] | None = None
    ) -> None:
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
            sample = dry_input(network, input_px)
            self.input_px = (sample.shape[2], sample.shape[3])
            outputs = self._run(sample)
            shapes = {layer: tuple(output.shape) for layer, output in outputs.items()}
            self._channels_last = channels_last_layers(network, shapes, sample.to(self.device))
            self.grids: dict[str, tuple[int, int, int]] = {}
            for layer, grid in self._as_grids(outputs, self.input_px).items():
                self.grids[layer] = (grid.shape[1], grid.shape[2], grid.shape[3])
        except BaseException:
            self.close()
            raise

    def _run(self, batch: Tensor) -> dict[str, Tensor]:
        """Return the layers' outputs, as the network gives them; nothing of the pass is kept."""
        self._outputs.clear()
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
        grids = self._as_grids(self._run(batch), (batch.shape[2], batch.shape[3]))
        return {layer: grid.float().cpu().contiguous() for layer, grid in grids.items()}

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
        batch = torch.from_numpy(self.network.preprocessing.array(rgb))[None]
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
