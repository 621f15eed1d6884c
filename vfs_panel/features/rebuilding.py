"""A store's root metadata, made anew where they are damaged or gone: every layer's group holds a copy.

The root's one small file says what made a store; without it, all blocks would be worth nothing. So each layer notes,
when it is made, what the root says of the whole store, under a checksum of its own. The rest (the list of what is in
the store, the commit records) is read from the files again.
"""

import json
import logging
import os
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import zarr

from vfs_panel.disk import sync
from vfs_panel.features import layout, sealing

log = logging.getLogger(__name__)
COPY = "store"  # attribute of a layer's group: the attributes of the root, with the layers that there were by then
_OWN = (layout.RECORDS, layout.SEAL)  # attributes that only the root has


def with_copy(layer: Mapping[str, Any], root: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes of a layer's group with a copy of the root's, sealed.

    Parameters
    ----------
    layer : what the group says of itself.
    root : the root's attributes, this layer among its layers.
    """
    copy = {name: value for name, value in root.items() if name not in _OWN}
    attributes = {**layer, COPY: copy}
    return attributes | {layout.SEAL: sealing.checksum({"attributes": attributes})}


def rebuild_root(folder: Path) -> None:
    """Write the root's metadata anew, if the metadata of every layer are sound and the layers have a copy of them."""
    copies = dict(_copies(folder))
    copy = max(copies.values(), key=lambda copy: len(copy["layers"]), default={})
    if not copy or not set(copy["layers"]) <= set(copies):
        return  # what is sealed now counts as sound from now on: not while a layer's metadata are damaged
    file = folder / sealing.METADATA
    log.warning("Wrote %s anew from the copy that a layer holds.", file)
    replace(file, {"zarr_format": 3, "node_type": "group", "attributes": copy})
    seal_anew(folder, copy["layers"])


def replace(file: Path, metadata: Mapping[str, Any]) -> None:
    """Write a file of metadata in one step."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name("zarr.mending.partial")
    partial.write_text(json.dumps(metadata, indent=2), encoding="utf-8")
    os.replace(partial, file)
    sync(file)


def seal_anew(folder: Path, layers: list[str]) -> None:
    """Consolidate and seal the metadata as they are, with the commit records of the layers that are whole."""
    group = zarr.open_group(str(folder), mode="r+", use_consolidated=False)
    records = {}
    for layer in sorted(layers):
        noted = layout.commit_records(group[f"{layout.group_name(layer)}/committed"])
        if not (noted == layout.NOT_COMMITTED).any():
            records[layer] = noted.tolist()
    group.attrs[layout.RECORDS] = records
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # consolidated metadata are not yet in the v3 specification
        zarr.consolidate_metadata(str(folder))
    sealing.seal(folder)
    sync(folder / sealing.METADATA)


def _copies(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the layers whose groups are as they were sealed, and the copies that they hold."""
    for file in sorted(folder.glob(f"*/{sealing.METADATA}")):
        if not (file.parent / "committed").exists():
            continue  # of a writer that was killed while it made the layer
        try:
            attributes = json.loads(file.read_bytes())["attributes"]
            copy = attributes[COPY]
            if attributes[layout.SEAL] == sealing.checksum({"attributes": attributes}):
                yield attributes["layer"], copy
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue
