"""Anything that `explore` takes -> named sources of pictures and feature stores."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
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

ABOUT = ("description", "homepage", "licence", "attribution", "citation")
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
    about : what is said of the pictures: description, homepage, licence, attribution, citation.
    entry : of the catalog, where it comes from one.
    ready : whether the features of `networks` are there; else they are those that can be built.
    unbuilt : further networks of the entry, whose features are not there.
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
    entry: CatalogEntry | None = None
    ready: bool = True
    unbuilt: tuple[str, ...] = ()

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
    return in_order(source_of(entry) for entry in entries)


def in_order(sources: Iterable[Source]) -> dict[str, Source]:
    """Return sources by name, those that can be searched first, else in their order."""
    return {source.name: source for source in sorted(sources, key=lambda source: not source.ready)}


def _open(path: Path) -> FeatureStore | CatalogEntry | Catalog:
    if path.suffix in (".yml", ".yaml"):
        return read_entry(path)
    if path.is_dir() and not (path / "zarr.json").exists():
        return Catalog.open(path)
    return open_store(path)


def source_of(entry: CatalogEntry) -> Source:
    """Return the source of a catalog entry, as it stands now: `ready` or not."""

    def network(name: str) -> Network:
        chosen = entry.network(name)
        return load_network(chosen.name, weights=entry.weights(name), strict=chosen.strict)

    built = [n for n in entry.networks if entry.is_built(n.name)]
    shown = built or entry.networks
    return Source(
        key=_key(entry),
        name=entry.name,
        title=entry.title,
        networks={n.name: list(n.layers) for n in shown},
        defaults={n.name: n.layer for n in shown},
        store=entry.store,
        images=entry.images,
        network=network,
        queries=entry.suggested(),
        about={name: getattr(entry, name) or "" for name in ABOUT},
        entry=entry,
        ready=bool(built),
        unbuilt=tuple(n.name for n in entry.networks if n not in shown),
    )


def _key(entry: CatalogEntry) -> str:
    """Return the entry's file with a digest of what its pictures and features depend on: changed, it is another."""
    made_of = entry.model_dump_json(include={"pictures", "networks"})
    paths = "".join(str(entry.store_path(network.name)) for network in entry.networks)
    return f"{entry.file.resolve()} {hashlib.sha256((made_of + paths).encode()).hexdigest()[:16]}"


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
