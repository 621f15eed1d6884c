"""Features that an earlier network, recipe or list of layers left in the cache folder: why they do not serve now."""

import re

from vfs_panel.catalog.entry import CatalogEntry
from vfs_panel.errors import StoreError


def why_anew(entry: CatalogEntry, network: str | None = None) -> str:
    """Return why an entry that was built has to be built anew, as a sentence; "" where it was not, or still serves.

    Raises
    ------
    CatalogError
        If the entry has no network of that name.
    """
    from vfs_panel.features import open_store

    chosen, path = entry.network(network), entry.store_path(network)
    if path.exists():
        return ""
    same = re.compile(re.escape(path.name.rpartition("-")[0]) + r"-[0-9a-f]{8}\.zarr")
    folder = path.parent
    found = [each for each in folder.iterdir() if same.fullmatch(each.name)] if folder.is_dir() else []
    for old in sorted(found, key=lambda each: each.stat().st_mtime, reverse=True):
        try:
            store = open_store(old)
            dtypes = {store.spec(layer).dtype for layer in store.layers}
        except StoreError:
            continue
        missing = [layer for layer in chosen.layers if layer not in store.layers]
        if missing:
            held = ", ".join(store.layers)
            return f"It was built with the layers {held}; the catalog now asks for {', '.join(missing)} too."
        if dtypes != {chosen.dtype}:
            return f"It was built as {' and '.join(sorted(dtypes))}; the catalog now asks for {chosen.dtype}."
        return (
            f"It was built by another version of {chosen.name}, with weights {store.weights_sha256[:12]}, or from "
            "other pictures. A query of today's network would mean something else in those features."
        )
    return ""
