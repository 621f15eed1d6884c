"""Anything that `explore` takes -> named sources of pictures and feature stores."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vfs_panel.catalog import Catalog, CatalogEntry, SuggestedQuery, read_entry
from vfs_panel.errors import ImageError, NetworkError, VFSError
from vfs_panel.features import FeatureStore, open_store
from vfs_panel.features.files import is_url
from vfs_panel.images.dataset import ImageDataset
from vfs_panel.images.reading import read_rgb
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

    def first_layer(self, network: str) -> str:
        """Return the layer to show first."""
        return self.defaults.get(network) or self.networks[network][0]


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
        return load_network(chosen.name, weights=chosen.weights, strict=chosen.strict)

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
        queries=list(entry.queries),
    )


def _of_store(store: FeatureStore, images: Any, model: Any) -> Source:
    def network(_name: str) -> Network:
        if model is not None:
            return load_network(model)
        spec = store.spec(store.layers[0])
        bundled = spec.network.startswith("vfs-demo") and spec.weights != "random"
        return load_network(spec.network, weights=None if bundled else spec.weights)

    place = store.path if is_url(store.path) else Path(store.path).resolve()
    return Source(
        key=f"{place} {id(images) if images is not None else ''}",
        name=store.path,
        title=store.name.removesuffix(".zarr"),
        networks={store.network: list(store.layers)},
        defaults={store.network: store.layers[-1]},
        store=lambda _name: store,
        images=lambda: _pictures(store, images),
        network=network,
    )


def _pictures(store: FeatureStore, images: Any) -> ImageDataset:
    if isinstance(images, ImageDataset):
        return images
    table = store.index
    known = [store.pictures] if store.pictures else []
    roots = [Path(images)] if images is not None else [*known, Path(), Path(store.path).parent]

    def load(image_id: str) -> Any:
        path = str(table.at[image_id, "path"]) or image_id
        for root in roots:
            if (root / path).is_file():
                return read_rgb(root / path)
        raise ImageError(
            f"Picture {path} is not where the store {store.name} says. Give explore(…, images=FOLDER) its folder."
        )

    return ImageDataset(table, load, name=store.name)


def check_same_network(network: Network, store: FeatureStore) -> None:
    """Refuse a network that did not make the store: its features of a new picture would mean something else.

    Raises
    ------
    NetworkError
        Saying which weights were expected.
    """
    if network.weights_sha256 != store.weights_sha256:
        raise NetworkError(
            f"{network.name} has other weights here ({network.weights}) than those that made {store.name}. "
            "Paint on a picture of the set instead."
        )
