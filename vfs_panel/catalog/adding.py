"""A folder of pictures or a finished file -> a checked entry in the user's own catalog."""

import os
import re
import tempfile
from dataclasses import replace
from pathlib import Path

import yaml

from vfs_panel.catalog.catalog import Catalog, open_catalog
from vfs_panel.catalog.entry import CatalogEntry
from vfs_panel.catalog.folders import is_web, user_folder
from vfs_panel.catalog.reading import check_entry, read_entry
from vfs_panel.catalog.schema import FolderPictures
from vfs_panel.errors import CatalogError, ImageError
from vfs_panel.words import shown


def folder_entry(
    pictures: Path | str,
    *,
    network: str,
    layers: list[str],
    weights: str | None = None,
    labels: Path | str | None = None,
    domain: str = "parent",
    title: str | None = None,
) -> str:
    """Return the YAML text of an entry for a folder of pictures; paths are written as absolute ones.

    Raises
    ------
    ImageError
        If the folder does not exist.
    """
    folder = Path(pictures).resolve()
    if not folder.is_dir():
        raise ImageError(f"Picture folder {pictures} does not exist. Give a folder of pictures.")
    source: dict[str, str] = {"source": "folder", "path": str(folder), "domain": domain}
    if labels is not None:
        source["labels"] = str(Path(labels).resolve())
    seen_by: dict[str, object] = {"name": network, "layers": layers}
    if weights is not None:
        seen_by["weights"] = str(Path(weights).resolve()) if Path(weights).is_file() else weights
    fields = {"title": title or folder.name, "pictures": source, "networks": [seen_by]}
    return yaml.safe_dump(fields, sort_keys=False, allow_unicode=True)


def add_entry(text: str, name: str, *, source: Path, catalog: Path | str | None = None) -> CatalogEntry:
    """Check an entry and put it into a catalog's folder. It never overwrites another.

    Parameters
    ----------
    text : str
        What the YAML file will hold. Its paths must be absolute, as it comes to lie in another folder.
    name : str
        What commands will call the entry.
    source : Path
        What the entry was made of, for messages: a file, or a folder of pictures.
    catalog : Path or str, optional
        The folder to put it into; by default the user's own.

    Raises
    ------
    CatalogError
        If the entry is not sound, its name is taken or no plain file name, or it cannot be written.
    """
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise CatalogError(f"Name {name!r} cannot be a file's name. Use letters, digits, - and _, as in --name my-set.")
    if is_web(catalog):
        raise CatalogError(f"Nothing can be added to a catalog on the web, {shown(str(catalog))}. Name a folder.")
    place = user_folder() if catalog is None else Path(catalog)
    known = Catalog.open(*([place] if place.is_dir() else [])) if catalog is not None else open_catalog()
    target = place / f"{name}.yml"
    taken = known.get(name) or known.templates.get(name)
    if taken is not None or target.exists():
        raise CatalogError(f"The name {name!r} is taken by {taken.file if taken else target}. Give another by --name.")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".adding-", dir=target.parent) as folder:
            unchecked = Path(folder) / target.name
            unchecked.write_text(text, "utf-8")
            _refuse_unsound(unchecked, source)
            os.replace(unchecked, target)
    except OSError as error:
        raise CatalogError(
            f"{target} cannot be written: {error.strerror}. Set VFS_CATALOG, or --catalog, to a folder of yours."
        ) from None
    return read_entry(target)


def _refuse_unsound(file: Path, source: Path) -> None:
    found = check_entry(file)
    if isinstance(found, list):
        raise CatalogError(str(replace(found[0], file=source, line=found[0].line if source.is_file() else 0)))
    used = [found.pictures.path] if isinstance(found.pictures, FolderPictures) else []
    if isinstance(found.pictures, FolderPictures) and found.pictures.labels is not None:
        used.append(found.pictures.labels.file)
    used += [network.weights for network in found.networks if isinstance(network.weights, str)]
    for path in used:
        if Path(str(path)).is_relative_to(file.parent.resolve()) or Path(str(path)).is_relative_to(file.parent):
            relative = Path(str(path)).name
            raise CatalogError(
                f"{source}: {relative!r} is a path below the file's own folder; write it as an absolute path."
            )
    masks = [query.mask for query in found.queries if query.mask is not None]
    if masks and isinstance(found.pictures, FolderPictures):
        raise CatalogError(
            f"{source}: its mask {masks[0]} lies beside it, and would not be found. Copy both there yourself."
        )
