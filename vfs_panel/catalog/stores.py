"""The feature stores of an entry: whether one is there and whole, and whether it is of the entry's network."""

from pathlib import Path
from typing import TYPE_CHECKING

from vfs_panel.catalog import places
from vfs_panel.catalog.parts import SourceFile
from vfs_panel.catalog.schema import NetworkEntry, RemoteFeatures
from vfs_panel.errors import NetworkError, StoreError

if TYPE_CHECKING:
    from vfs_panel.catalog.entry import CatalogEntry
    from vfs_panel.features import FeatureStore


def address(entry: "CatalogEntry", network: NetworkEntry) -> Path | str:
    """Return where the features of a network are read from: a place on this machine, or a web address."""
    if isinstance(network.features, RemoteFeatures):
        return network.features.url
    return places.store_path(entry, network)


def is_whole(entry: "CatalogEntry", network: NetworkEntry) -> bool:
    """Whether the features of a network are there and whole; a store on the web is believed to be."""
    where = address(entry, network)
    if isinstance(where, str):
        return True
    if not where.exists():
        return False
    from vfs_panel.features import open_store

    try:
        store = open_store(where)
        return all(layer in store.layers and store.complete(layer) for layer in network.layers)
    except StoreError:
        return False


def open_checked(entry: "CatalogEntry", network: NetworkEntry) -> "FeatureStore":
    """Open the features of a network, if they are of that network.

    Raises
    ------
    StoreError
        If they are missing, or another network, other weights or another version of it made them.
    """
    from vfs_panel.features import open_store

    store = open_store(address(entry, network))
    refuse_others(store, entry, network)
    return store


def refuse_others(store: "FeatureStore", entry: "CatalogEntry", network: NetworkEntry) -> None:
    """Refuse a store of other features than the entry names, as far as the store itself tells.

    Raises
    ------
    StoreError
        Naming the first thing that differs.
    """
    missing = [layer for layer in network.layers if layer not in store.layers]
    if missing:
        raise StoreError(
            f"{store.name} holds layers {', '.join(store.layers)}, but {entry.name!r} needs {missing[0]!r} of "
            f"{network.name}.{_again(entry, network)}"
        )
    spec = store.spec(network.layers[0])
    if spec.network != network.name:
        raise StoreError(
            f"{store.name} was made by the network {spec.network}, but {entry.name!r} says {network.name}."
            f"{_again(entry, network)}"
        )
    expected = _weights_name(network)
    if expected and spec.weights_sha256 and spec.weights != expected:
        raise StoreError(
            f"{store.name} was made by {spec.network} with weights {spec.weights}, but {entry.name!r} says {expected}."
            f"{_again(entry, network)}"
        )


def check_made_by(path: Path, entry: "CatalogEntry", network: NetworkEntry) -> None:
    """Refuse a store of another network, or of another version of it, where this machine has the network to compare.

    Raises
    ------
    StoreError
        If it is no whole store, or of something else.
    NetworkError
        If its weights are others than those that made the store.
    """
    from vfs_panel.features import open_store

    store = open_store(path)
    refuse_others(store, entry, network)
    if not all(store.complete(layer) for layer in network.layers):
        raise StoreError(f"{store.name} is not whole: features of some pictures are missing.")
    if store.weights_sha256 and _is_here(network):
        from vfs_panel.features.origin import check_same_network
        from vfs_panel.models import load_network

        try:
            loaded = load_network(network.name, weights=weights_of(network), strict=network.strict)
        except NetworkError:  # for want of a package, say: nothing to compare
            return
        check_same_network(loaded, store)


def weights_of(network: NetworkEntry) -> str | None:
    """Return what names a network's weights to `load_network`: a checkpoint to fetch by its place on this machine."""
    if isinstance(network.weights, SourceFile):
        return str(places.weights_file(network))
    return network.weights


def _weights_name(network: NetworkEntry) -> str:
    """Return what a store calls the weights that an entry names; "" where it leaves them open."""
    weights = weights_of(network)
    if weights is None:
        return ""
    return Path(weights).name if any(mark in weights for mark in "./\\") else weights


def _is_here(network: NetworkEntry) -> bool:
    """Whether the network can be loaded without a download."""
    from vfs_panel.models.zoo import BUNDLED

    weights = weights_of(network)
    return weights == "random" or (network.name in BUNDLED if weights is None else Path(weights).is_file())


def _again(entry: "CatalogEntry", network: NetworkEntry) -> str:
    if network.features is not None:
        return " Correct the entry, or take its `features` out and build them here."
    return f" Build it anew: {entry.command('build', network.name)} --again"
