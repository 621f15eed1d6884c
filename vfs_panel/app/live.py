"""A network and a few hundred pictures -> a store in memory, to explore at once."""

import logging
import warnings
from collections.abc import Sequence
from typing import Any

from vfs_panel.errors import LayerError, OutOfMemoryError
from vfs_panel.features import features_in_memory
from vfs_panel.features.memory import MemoryStore
from vfs_panel.images.dataset import ImageDataset
from vfs_panel.images.opening import open_images
from vfs_panel.models import LayerInfo, Network, expand_layers, list_layers
from vfs_panel.search.devices import free_memory_mb, memory_said, pick_device
from vfs_panel.settings import settings
from vfs_panel.words import size_words

log = logging.getLogger(__name__)
SHARE_OF_FREE = 0.25  # of the free memory: a search holds the features once more
_SIZES = 3  # grids of so many sizes are taken, the coarsest ones


def live_store(network: Network, images: Any, layers: Sequence[str] | None = None) -> MemoryStore:
    """Compute features of pictures and keep them in memory.

    Parameters
    ----------
    network : from `load_network`.
    images : an ImageDataset, or what `open_images` opens.
    layers : names or patterns; by default `default_layers`.

    Raises
    ------
    OutOfMemoryError
        If they would take more than `VFS_MEMORY_MB`, or a quarter of what is free.
    ImageError, NetworkError, LayerError, StoreError
        As `extract` does.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a notebook has no ipywidgets: the bar is drawn in text then
        from tqdm.auto import tqdm

    pictures = images if isinstance(images, ImageDataset) else open_images(images)
    infos = list_layers(network)
    chosen = expand_layers(infos, layers) if layers else default_layers(infos)
    grids = {info.name: info.grid for info in infos}
    each = sum(2 * channels * height * width for channels, height, width in filter(None, map(grids.get, chosen)))
    room = settings().memory_mb or free_memory_mb(pick_device("cpu")) * SHARE_OF_FREE
    if each * len(pictures) > room * 1e6:
        raise OutOfMemoryError(
            f"Features of {len(pictures)} pictures in {', '.join(chosen)} would take "
            f"{size_words(each * len(pictures))}, and {size_words(room * 1e6)} may be used. Name fewer "
            "layers, or keep them on disk: store = vfs.extract(…, out=…), then vfs.explore(store)."
        )
    what = f"{network.name} on {pictures.name}"
    with memory_said("features"), tqdm(total=len(pictures), desc=what, unit="picture", leave=False) as bar:
        store = features_in_memory(network, pictures, chosen, progress=lambda done, _: bar.update(done - bar.n))
    return store


def default_layers(infos: Sequence[LayerInfo]) -> list[str]:
    """Return layers for a first look: of each of the coarsest sizes of grid, the last one of the outermost level.

    Raises
    ------
    LayerError
        If no layer is a grid.
    """
    best: dict[tuple[int, int], LayerInfo] = {}
    for info in infos:
        if info.grid is None:
            continue
        size = info.grid[1:]
        if size not in best or info.name.count(".") <= best[size].name.count("."):
            best[size] = info
    if not best:
        raise LayerError("No layer of this network gives a grid of cells, so there is nothing to search.")
    coarsest = sorted(best, key=lambda size: size[0] * size[1])[:_SIZES]
    order = [info.name for info in infos]
    return sorted((best[size].name for size in coarsest), key=order.index)
