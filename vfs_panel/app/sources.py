"""Anything that `explore` takes -> named sources of pictures and feature stores."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vfs_panel.catalog import Catalog, CatalogEntry, SuggestedQuery, read_entry
from vfs_panel.errors import VFSError
from vfs_panel.features import FeatureStore, open_store
from vfs_panel.features.files import is_url
from vfs_panel.features.origin import network_of, pictures_of
from vfs_panel.images.dataset import ImageDataset
from vfs_panel.models import Network, load_network

Target = FeatureStore | CatalogEntry | Catalog | Path | str


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """One searchable set of pictures, by way of functions that open its parts only when they are needed.

    Attributes
    ----------
    key : tells sources of one process apart.
    name, title : for the program and for people.
    networks : name -> layers that can be chosen.
    defaults : name -> the layer shown first.
    store, images : open the features of a network; open the pictures.
    network : load a network, for pictures from elsewhere.
    queries : suggested regions.
    about : what is said of the pictures: description, licence, attribution, citation.
    """

    key: str
    name: str
    title: str
    networks: Mapping[str, list[str]]
    defaults: Mapping[str, str]
    store: Callable[[str], FeatureStore]
    images: Callable[[], ImageDataset]
    network: Callable[[str], Network]
    queries: list[SuggestedQuery] = field(default_factory=list)
    about: Mapping[str, str] = field(default_factory=dict)

    def first_layer(self, network: str) -> str:
        """Return the layer to show first."""
        return self.defaults.get(network) or self.networks[network][0]


def is_network(target: object, images: object) -> bool:
    """Return whether what is to be explored is a network: given, or named beside pictures.

    Raises
    ------
    VFSError
        If there are no pictures for it.
    """
    given = isinstance(target, Network) or (not isinstance(target, (str, Path)) and hasattr(target, "named_modules"))
    named = isinstance(target, str) and images is not None and not is_url(target) and not Path(target).exists()
    if given and images is None:
        raise VFSError("A network needs pictures to look at: vfs.explore(network, images).")
    return given or named


def sources_of(target: Target, *, images: Any = None, model: Any = None) -> dict[str, Source]:
    """Return the sources of a target, by name, in its order.

    Parameters
    ----------
    target : a feature store or its path, a catalog entry or its YAML file, a whole catalog or its folder.
    images : pictures of a store: an ImageDataset or their folder; by default the paths that the store holds.
    model : network of a store, for pictures from elsewhere: a name, an nn.Module or a Network.

    Raises
    ------
    VFSError
        If the target is none of these, or cannot be opened.
    """
    if isinstance(target, (str, Path)):
        target = open_store(target) if is_url(target) else _open(Path(target))
    if isinstance(target, FeatureStore):
        source = _of_store(target, images, model)
        return {source.name: source}
    entries = [target] if isinstance(target, CatalogEntry) else list(target.values())
    if not entries:
        raise VFSError("The catalog has no entry that can be used. See: vfs-panel catalog validate")
    return {entry.name: _of_entry(entry) for entry in entries}


def _open(path: Path) -> FeatureStore | CatalogEntry | Catalog:
    if path.suffix in (".yml", ".yaml"):
        return read_entry(path)
    if path.is_dir() and not (path / "zarr.json").exists():
        return Catalog.open(path)
    return open_store(path)


def _of_entry(entry: CatalogEntry) -> Source:
    def network(name: str) -> Network:
        chosen = entry.network(name)
        return load_network(chosen.name, weights=entry.weights(name), strict=chosen.strict)

    built = [n for n in entry.networks if entry.is_built(n.name)] or entry.networks
    return Source(
        key=str(entry.file.resolve()),
        name=entry.name,
        title=entry.title,
        networks={n.name: list(n.layers) for n in built},
        defaults={n.name: n.layer for n in built},
        store=entry.store,
        images=entry.images,
        network=network,
        queries=entry.suggested(),
        about={name: getattr(entry, name) for name in ("description", "licence", "attribution", "citation")},
    )


def _of_store(store: FeatureStore, images: Any, model: Any) -> Source:
    def network(_name: str) -> Network:
        return network_of(store, model)

    place = store.path if is_url(store.path) else Path(store.path).resolve()
    return Source(
        key=f"{place} {id(images) if images is not None else ''}",
        name=store.path,
        title=store.name.removesuffix(".zarr"),
        networks={store.network: list(store.layers)},
        defaults={store.network: store.layers[-1]},
        store=lambda _name: store,
        images=lambda: pictures_of(store, images),
        network=network,
    )
