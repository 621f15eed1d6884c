"""What a store was made from, found again: its pictures and its network."""

from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vfs_panel.errors import ImageError, NetworkError, StoreError
from vfs_panel.features.spec import FeatureSpec
from vfs_panel.features.store import FeatureStore
from vfs_panel.images.dataset import ImageDataset
from vfs_panel.images.reading import read_rgb
from vfs_panel.models import Network, load_network
from vfs_panel.models.registry import is_registered
from vfs_panel.models.zoo import BUNDLED

_WHOLE = (".onnx", ".pt2", ".ts", ".torchscript")  # files of a whole network


class OtherNetworkError(NetworkError):
    """A network that did not make the features: other weights, or another version of it."""


@dataclass(frozen=True, slots=True)
class _Paths:
    """Reads pictures by the paths that a store holds, below the first folder that has them."""

    paths: dict[str, str]
    roots: tuple[Path, ...]
    store: str

    def __call__(self, image_id: str) -> NDArray[np.uint8]:
        path = self.paths[image_id] or image_id
        # A store may come from anybody: what it names stays below the folders that are known here.
        if PurePath(path).is_absolute() or ".." in PurePath(path).parts:
            raise ImageError(f"Picture {path} of the store {self.store} leads out of its folder, and is not read.")
        for root in self.roots:
            if (root / path).is_file():
                return read_rgb(root / path)
        raise ImageError(f"Picture {path} is not where the store {self.store} says. Give the folder of its pictures.")


def pictures_of(store: FeatureStore, images: ImageDataset | Path | str | None = None) -> ImageDataset:
    """Return the pictures of a store, by its own ids.

    Parameters
    ----------
    images : the set, or the folder that the store's paths start at; by default where the pictures lay when the store
        was made, the working folder, or beside the store.
    """
    if isinstance(images, ImageDataset):
        return images
    known = [store.pictures] if store.pictures else []
    roots = [Path(images)] if images is not None else [*known, Path(), Path(store.path).parent]
    table = store.index.drop(columns="broken")
    paths = dict(zip(table.index, table["path"], strict=True))
    return ImageDataset(table, _Paths(paths, tuple(roots), store.name), name=store.name)


def network_of(
    store: FeatureStore,
    model: Any = None,
    *,
    weights: Path | str | None = None,
    strict: bool = True,
    trust_code: bool = False,
) -> Network:
    """Return the network that made a store.

    Parameters
    ----------
    model : a name, an nn.Module or a Network, where it is not one that goes by the store's name for it.
    weights, strict, trust_code : as in `load_network`; by default the store's published weights, and no code.

    Raises
    ------
    StoreError
        If the features are of another program, or the weights are in a file that is not given.
    NetworkError
        If it cannot be had, or has other weights than those that made the store.
    """
    spec = store.spec(store.layers[0])
    if not spec.weights_sha256:
        raise StoreError(f"{store.name} holds features of another program, which cannot be computed here.")
    if model is None or isinstance(model, str):
        name = model or spec.network
        if not (is_registered(name) or Path(name).suffix in _WHOLE):
            weights = _weights_of(store, spec, model, weights)
        model = name
    network = load_network(
        model, weights=weights, strict=strict, preprocessing=spec.preprocessing, trust_code=trust_code
    )
    check_same_network(network, store)
    return network


def _weights_of(
    store: FeatureStore, spec: FeatureSpec, model: str | None, weights: Path | str | None
) -> Path | str | None:
    """Return what names the weights of a network that goes by its name."""
    bundled = BUNDLED.get(spec.network) == spec.weights
    if weights is not None or bundled:
        return weights
    if model is None and Path(spec.weights).suffix in _WHOLE:
        raise StoreError(f"{store.name} was made with the network file {spec.weights}. Give that file with --model.")
    if spec.weights == "given":
        raise StoreError(f"{store.name} was made with a network of somebody's program. Give it with model=….")
    if "." in spec.weights:
        # The store knows the file's name only; the published weights would be others.
        raise StoreError(
            f"{store.name} was made with the weights file {spec.weights}. Give that file with --weights FILE."
        )
    return spec.weights


def check_same_network(network: Network, store: FeatureStore) -> None:
    """Refuse a network that did not make the store: its features of a picture would mean something else.

    Raises
    ------
    NetworkError
        Saying which weights were expected.
    """
    if network.weights_sha256 != store.weights_sha256:
        made_with = f"{store.attrs['weights']} ({store.weights_sha256[:12]})"
        raise OtherNetworkError(
            f"{store.name} was made by {store.network} with weights {made_with}, not {network.name} with "
            f"{network.weights} ({network.weights_sha256[:12]}). Give the store's own with --weights FILE."
        )
