"""What all sessions of a process share: the threads that compute, and the opened stores, engines and networks."""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from vfs_panel.analysis.chance import Chance, chance
from vfs_panel.app.sources import Source, check_same_network
from vfs_panel.app.thumbnails import Thumbnails
from vfs_panel.features import FeatureStore
from vfs_panel.images.dataset import ImageDataset
from vfs_panel.models import Extractor
from vfs_panel.search import RegionQuery, RegionSearch

SEARCHES = ThreadPoolExecutor(1, thread_name_prefix="vfs-search")
"""One thread: two searches at once would only share the same cores, and a GPU takes one at a time."""

ASIDE = ThreadPoolExecutor(1, thread_name_prefix="vfs-aside")
"""For what must not hold up a search: the level of chance."""

CHANCE_PRODUCTS = 5e8
"""Multiplications spent on the level of chance: a sixth of a second on two cores, as searches go on meanwhile."""


class Cache:
    """Bounded values by key, the least used dropped first. Each is made once, even if many threads ask for it."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._values: OrderedDict[Hashable, Any] = OrderedDict()
        self._making: dict[Hashable, threading.Lock] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """Return the value of a key, made by `make` the first time; what `make` raises is not kept."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
            making = self._making.setdefault(key, threading.Lock())
        with making:
            with self._lock:
                if key in self._values:
                    return self._values[key]
            value = make()
            with self._lock:
                self._values[key] = value
                self._making.pop(key, None)
                while len(self._values) > self._size:
                    self._values.popitem(last=False)
            return value

    def known(self, key: Hashable) -> Any:
        """Return the value of a key, or None if it was not made."""
        with self._lock:
            return self._values.get(key)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._values.clear()


_stores, _images, _thumbnails = Cache(16), Cache(8), Cache(16)
_engines, _extractors, _chances = Cache(4), Cache(2), Cache(256)
_features = Cache(64)


def store_of(source: Source, network: str) -> FeatureStore:
    """Return the opened features of a source under a network.

    Raises
    ------
    VFSError
        As `Source.store` does.
    """
    store: FeatureStore = _stores.get((source.key, network), lambda: source.store(network))
    return store


def images_of(source: Source) -> ImageDataset:
    """Return the opened pictures of a source."""
    images: ImageDataset = _images.get(source.key, source.images)
    return images


def engine_of(source: Source, network: str, layer: str) -> RegionSearch:
    """Return the engine of a layer; the first call reads its features into memory."""
    store = store_of(source, network)
    engine: RegionSearch = _engines.get((source.key, network, layer), lambda: RegionSearch(store, layer))
    return engine


def thumbnails_of(source: Source, network: str) -> Thumbnails:
    """Return the thumbnails of a source as a network sees its pictures."""
    store = store_of(source, network)
    made: Thumbnails = _thumbnails.get(
        (source.key, network), lambda: Thumbnails(images_of(source), store.preprocessing)
    )
    return made


def extractor_of(source: Source, network: str) -> Extractor:
    """Return an extractor of all layers of a store, for pictures from elsewhere; call it in `SEARCHES` only.

    Raises
    ------
    VFSError
        If the network cannot be had, or is not the one that made the store.
    """
    store = store_of(source, network)

    def make() -> Extractor:
        loaded = source.network(network)
        check_same_network(loaded, store)
        return Extractor(loaded, store.layers)

    extractor: Extractor = _extractors.get((source.key, network), make)
    return extractor


def chance_of(engine: RegionSearch, query: RegionQuery) -> Chance | None:
    """Return what random regions of the query's shape score, computed once for each shape."""
    found: Chance | None = _chances.get(
        _chance_key(engine, query), lambda: chance(engine, query, products=CHANCE_PRODUCTS)
    )
    return found


def known_chance(engine: RegionSearch, query: RegionQuery) -> Chance | None:
    """Return what `chance_of` has worked out already, or None."""
    found: Chance | None = _chances.known(_chance_key(engine, query))
    return found


def _chance_key(engine: RegionSearch, query: RegionQuery) -> Hashable:
    return engine.store.path, engine.layer, query.mask.shape, query.mask.tobytes()


def picture_features(source: Source, network: str, layer: str, image_id: str) -> xr.DataArray:
    """Return the features of a picture of the set, (channel, y, x) float32, kept while it is painted on."""
    store = store_of(source, network)
    key = (source.key, network, layer, image_id)
    features: xr.DataArray = _features.get(key, lambda: store.feature(layer, image_id))
    return features


def upload_features(source: Source, network: str, layer: str, rgb: NDArray[np.uint8]) -> xr.DataArray:
    """Return the features of a picture from elsewhere, (channel, y, x) float32; call it in `SEARCHES` only.

    Raises
    ------
    VFSError
        As `extractor_of` does.
    """
    digest = hashlib.sha256(rgb.tobytes()).hexdigest()

    def make() -> xr.DataArray:
        with torch.inference_mode():
            return extractor_of(source, network).features(rgb, layer)

    features: xr.DataArray = _features.get((source.key, network, layer, "upload", rgb.shape, digest), make)
    return features


def forget() -> None:
    """Drop everything that is shared, for example after a store was built anew."""
    for cache in (_stores, _images, _thumbnails, _engines, _extractors, _chances, _features):
        cache.clear()
