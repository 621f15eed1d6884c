"""Where what an entry needs lies, or will lie, on this machine. Only names are made up here; nothing is opened."""

import hashlib
import json
import re
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from vfs_panel.catalog.parts import SourceFile
from vfs_panel.catalog.schema import DemoPictures, DownloadedFeatures, FetchedPictures, NetworkEntry
from vfs_panel.settings import settings

if TYPE_CHECKING:
    from vfs_panel.catalog.entry import CatalogEntry

DOWNLOADS = ".downloads"
"""Folder, below a data set's own, of archives that are not unpacked yet."""


def set_folder(entry: "CatalogEntry") -> Path:
    """Return the own folder of a fetched data set; its name changes with the files that the entry names."""
    pictures = entry.pictures
    assert isinstance(pictures, FetchedPictures)
    files = [(file.identity, file.place) for file in pictures.files]
    return settings().cache_dir / "datasets" / f"{entry.name}-{_digest(files)}"


def weights_file(network: NetworkEntry) -> Path | None:
    """Return where a network's checkpoint lies, or will lie; None for weights that are none to fetch."""
    if not isinstance(network.weights, SourceFile):
        return None
    return settings().cache_dir / "weights" / _plain(network.name) / network.weights.file_name


def store_path(entry: "CatalogEntry", network: NetworkEntry) -> Path:
    """Return where the features of a network lie, or will lie.

    The name changes with everything that the features depend on and that is known without opening the pictures, so a
    store made by an older recipe or other weights is never taken for this one.
    """
    made_of = {
        "pictures": _pictures(entry),
        "recipe": _recipe(entry),
        "network": network.model_dump(exclude={"default_layer", "features", "access"})
        | ({"weights": network.weights.identity} if isinstance(network.weights, SourceFile) else {}),
        "weights": _weights_digest(network),
    }
    ending = ".zarr"
    if isinstance(network.features, DownloadedFeatures):
        made_of["features"] = network.features.identity
        ending = ".zarr.zip"
    name = f"{entry.name}-{_plain(network.name)}-{_digest(made_of)}{ending}"
    return settings().cache_dir / "stores" / name


def index_path(entry: "CatalogEntry", labels: Path | None) -> Path:
    """Return where the list of a fetched set's pictures is kept; its name changes with the rules and the labels."""
    seen = labels.stat() if labels is not None and labels.exists() else None
    made_of = (_pictures(entry), None if seen is None else (seen.st_size, seen.st_mtime_ns))
    return set_folder(entry) / f"index-{_digest(made_of)}.csv"


def _pictures(entry: "CatalogEntry") -> object:
    if isinstance(entry.pictures, DemoPictures):
        return entry.pictures.model_dump()
    described = entry.pictures.model_dump(exclude={"files"}, exclude_none=True)
    if isinstance(entry.pictures, FetchedPictures):
        described["files"] = [(file.identity, file.place) for file in entry.pictures.files]
    return described


def _recipe(entry: "CatalogEntry") -> str:
    """Return what changes when a demo set is drawn in another way; "" for others."""
    if not isinstance(entry.pictures, DemoPictures):
        return ""
    from vfs_panel.images.demo import demo_folder

    return demo_folder(entry.pictures.name).name


def _weights_digest(network: NetworkEntry) -> str:
    """Return the digest of the file that holds a network's weights, "" where there is none or its hash is known."""
    if isinstance(network.weights, SourceFile):
        file = weights_file(network)
        if network.weights.sha256 or network.weights.md5 or file is None:
            return ""
    else:
        # The bundled weights are found by their file, as loading a network would take seconds.
        bundled = Path(__file__).parents[1] / "models" / "weights" / f"{network.name.replace('-', '_')}.pt"
        file = Path(network.weights) if network.weights else bundled
    if not file.is_file():
        return ""
    seen = file.stat()
    return _file_digest(file, seen.st_size, seen.st_mtime_ns)


@lru_cache(maxsize=64)
def _file_digest(file: Path, _size: int, _changed_ns: int) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _digest(made_of: object) -> str:
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:8]


def _plain(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name)  # "timm/…" is one name, not a folder and a file
