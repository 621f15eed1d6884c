"""A function of one's own as a network: JAX, TensorFlow, Keras, a service elsewhere; whatever gives arrays for arrays.

The function is given a batch of preprocessed pictures and returns the features of each layer. For example, edges in
two directions:

    import numpy as np
    from vfs_panel.images.preprocessing import Preprocessing
    from vfs_panel.models.functions import network_from_function

    def edges(pictures):  # float32 (n, channel, y, x)
        grey = pictures.mean(1)[:, ::4, ::4]
        down, right = np.gradient(grey, axis=(1, 2))
        return {"edges": np.stack([down, right], 1)}  # (n, channel, y, x)

    network = network_from_function(
        edges, layers=["edges"], name="edges", preprocessing=Preprocessing(resize_px=64, crop_px=(64, 64))
    )

A Keras model with several outputs takes and gives the channels last: `pictures.transpose(0, 2, 3, 1)` in, and the same
of `(0, 3, 1, 2)` out.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from vfs_panel.errors import NetworkError, VFSError
from vfs_panel.images.preprocessing import Preprocessing
from vfs_panel.models.foreign import ForeignNetwork, Program, Takes, one_line
from vfs_panel.models.zoo import Network


def network_from_function(
    function: Callable[..., Mapping[str, Any]],
    *,
    layers: Sequence[str],
    name: str,
    preprocessing: Preprocessing | None = None,
    weights: str = "given",
    weights_sha256: str = "",
    takes: Literal["numpy", "tensor"] = "numpy",
    selective: bool = False,
    most: int | None = None,
) -> Network:
    """Make a network of a function.

    Parameters
    ----------
    function : pictures -> {layer: features}. Pictures are a float32 array, shape (n, channel, y, x), preprocessed;
        features are anything that NumPy or PyTorch reads, shape (n, channel, y, x), one row for each picture.
    layers : what it returns; further layers are passed over.
    name : what people call it; stores keep it.
    preprocessing : what its pictures go through; by default ImageNet's, 224×224.
    weights : what people call its weights.
    weights_sha256 : a hash of its weights. Features of networks with different hashes are not compared; without one,
        the name alone tells networks apart.
    takes : "numpy", or "tensor" for a PyTorch tensor on the device that the extraction runs on.
    selective : whether the function takes the names of the wanted layers as a second argument, to compute no others.
    most : pictures per call; larger batches are sent in parts. None for no limit.

    Raises
    ------
    NetworkError
        If no layer or name is given, or a layer twice. In use: if the function fails or returns something else.
    """
    names = [layers] if isinstance(layers, str) else list(layers)
    doubled = sorted({layer for layer in names if names.count(layer) > 1})
    if not name or not names or not all(isinstance(n, str) and n for n in names) or doubled:
        got = f"layer {doubled[0]!r} stands twice" if doubled else f"name is {name!r} and layers are {names}"
        raise NetworkError(f"A function needs a name and the names of its layers, each once; {got}.")
    if takes not in ("numpy", "tensor"):
        raise NetworkError(f"takes is {takes!r}; expected 'numpy' or 'tensor'.")
    if most is not None and most < 1:
        raise NetworkError(f"most is {most}; expected at least 1 picture per call, or None.")
    program = _Function(function, names, name, takes == "tensor", selective, most)
    module = ForeignNetwork(program, name=name)
    return Network(name, module, preprocessing or Preprocessing(), weights, weights_sha256)


class _Function(Program):
    def __init__(
        self,
        function: Callable[..., Mapping[str, Any]],
        layers: list[str],
        name: str,
        tensor: bool,
        selective: bool,
        most: int | None,
    ) -> None:
        self.layers, self.outputs = dict.fromkeys(layers, "Function"), 0
        self.takes = Takes(most=most)
        self._function, self._name, self._tensor, self._selective = function, name, tensor, selective

    def run(self, batch: Tensor, wanted: Collection[str]) -> tuple[dict[str, Tensor], list[Tensor]]:
        pictures = batch.contiguous() if self._tensor else batch.cpu().contiguous().numpy().copy()
        extra = ([layer for layer in self.layers if layer in wanted],) if self._selective else ()
        try:
            found = self._function(pictures, *extra)
        except VFSError:
            raise
        except Exception as error:
            # Its traceback stays as the cause: the function is the user's own, and so is the fault.
            raise NetworkError(
                f"The function of {self._name} failed: {type(error).__name__}: {one_line(error)}."
            ) from (error)
        if not isinstance(found, Mapping):
            raise NetworkError(
                f"The function of {self._name} returned {type(found).__name__}, expected a dict of layer -> array."
            )
        missing = [layer for layer in wanted if layer not in found]
        if missing:
            raise NetworkError(
                f"The function of {self._name} returned {', '.join(map(str, found)) or 'no layer'}; {missing[0]!r} is "
                "missing."
            )
        return {layer: self._checked(layer, found[layer], batch) for layer in wanted}, []

    def _checked(self, layer: str, value: Any, batch: Tensor) -> Tensor:
        start = f"The function of {self._name} returned for layer {layer!r}"
        if not isinstance(value, Tensor):
            try:
                # A copy: what other frameworks hand out may be read-only, or used again by them.
                value = torch.from_numpy(np.asarray(value).astype(np.float32))
            except (TypeError, ValueError):
                raise NetworkError(f"{start} {type(value).__name__}, expected an array of numbers.") from None
        if value.ndim != 4 or len(value) != len(batch) or not value.numel():
            raise NetworkError(
                f"{start} {'×'.join(map(str, value.shape)) or 'one number'} for {len(batch)} pictures, expected "
                f"{len(batch)} × channels × rows × columns."
            )
        found: Tensor = value.detach().to(batch.device, torch.float32)
        return found
