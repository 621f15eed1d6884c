"""What all sessions of a process share: the threads that compute, and the opened stores, engines and networks."""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from vfs_panel.analysis.chance import Chance, chance
from vfs_panel.app.columns import Column, columns
from vfs_panel.app.sources import Source
from vfs_panel.app.thumbnails import Thumbnails
from vfs_panel.cores import cores, use_one_core
from vfs_panel.errors import VFSError
from vfs_panel.features import FeatureStore
from vfs_panel.features.origin import check_same_network
from vfs_panel.images.dataset import ImageDataset
from vfs_panel.models import Extractor
from vfs_panel.search import RegionQuery, RegionSearch

LANES = 3
"""Searches of different sessions that are under way at once: those that meet at an engine share one pass."""

SEARCHES = ThreadPoolExecutor(LANES, thread_name_prefix="vfs-search", initializer=use_one_core)
"""Only preparing a query and reading its answer runs side by side here; an engine does one pass at a time."""

ASIDE = ThreadPoolExecutor(1, thread_name_prefix="vfs-aside")
"""For what must not hold up a search: the level of chance."""

INKS = ThreadPoolExecutor(2, thread_name_prefix="vfs-ink")
"""For the picture of what was painted, which is encoded while the search runs."""

LOOKS = ThreadPoolExecutor(1, thread_name_prefix="vfs-look")
"""For what a person has asked to see and waits for: the large view of a match."""

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


_network = threading.Lock()  # a network runs for one picture at a time
_stores, _images, _thumbnails = Cache(16), Cache(8), Cache(16)
_engines, _extractors, _chances = Cache(4), Cache(2), Cache(256)
_features, _columns, _directions, _cards = Cache(64), Cache(16), Cache(3), Cache(128)


def store_of(source: Source, network: str) -> FeatureStore:
    """Return the opened features of a source under a network.

    Raises
    ------
    VFSError
        As `Source.store` does.
    """
    store: FeatureStore = _stores.get((source.key, network), lambda: source.store(network))
    return store


def columns_of(source: Source, network: str) -> Sequence[Column]:
    """Return the metadata columns of a source's pictures that can be chosen by.

    Raises
    ------
    VFSError
        As `Source.store` does.
    """
    store = store_of(source, network)
    found: Sequence[Column] = _columns.get((source.key, network), lambda: columns(store))
    return found


def images_of(source: Source) -> ImageDataset:
    """Return the opened pictures of a source."""
    images: ImageDataset = _images.get(source.key, source.images)
    return images


def engine_of(source: Source, network: str, layer: str) -> RegionSearch:
    """Return the engine of a layer; the first call reads its features into memory."""
    store = store_of(source, network)
    engine: RegionSearch = _engines.get((source.key, network, layer), lambda: RegionSearch(store, layer))
    return engine


def engine_once(source: Source, network: str, layer: str) -> RegionSearch:
    """Return an engine for a single search: the shared one if it is loaded, or one that reads from disk and holds none.

    So a look at every layer of a store neither fills the memory nor takes an engine from those who draw.
    """
    known: RegionSearch | None = _engines.known((source.key, network, layer))
    return known if known is not None else RegionSearch(store_of(source, network), layer, scan="stored")


def thumbnails_of(source: Source, network: str) -> Thumbnails:
    """Return the thumbnails of a source as a network sees its pictures."""
    store = store_of(source, network)
    made: Thumbnails = _thumbnails.get(
        (source.key, network), lambda: Thumbnails(images_of(source), store.preprocessing)
    )
    return made


def extractor_of(source: Source, network: str) -> Extractor:
    """Return an extractor of all layers of a store, for pictures from elsewhere.

    Raises
    ------
    VFSError
        If the network cannot be had, or is not the one that made the store.
    """
    store = store_of(source, network)

    def make() -> Extractor:
        loaded = source.network(network)
        check_same_network(loaded, store)
        return Extractor(loaded, store.layers, autocast=store.spec(store.layers[0]).autocast)

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
        with _network, torch.inference_mode():
            torch.set_num_threads(cores())
            try:
                return extractor_of(source, network).features(rgb, layer)
            finally:
                use_one_core()

    features: xr.DataArray = _features.get((source.key, network, layer, "upload", rgb.shape, digest), make)
    return features


def directions_of(key: Hashable, make: Callable[[], NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return the cells of some matches at length 1; few are kept, as a hundred matches can take 80 MB."""
    found: NDArray[np.float32] = _directions.get(key, make)
    return found


def card_of(key: Hashable, make: Callable[[], tuple[str, str]]) -> tuple[str, str]:
    """Return the picture and the paint of an example, drawn once."""
    drawn: tuple[str, str] = _cards.get(key, make)
    return drawn


def warm(source: Source) -> None:
    """Open what choosing a source needs, ahead of time; nothing large is read, and what fails is said when chosen."""
    network = next(iter(source.networks))
    with suppress(VFSError):
        columns_of(source, network)
        thumbnails_of(source, network)


def forget() -> None:
    """Drop everything that is shared, for example after a store was built anew."""
    for cache in (
        _stores,
        _images,
        _thumbnails,
        _engines,
        _extractors,
        _chances,
        _features,
        _columns,
        _directions,
        _cards,
    ):
        cache.clear()
