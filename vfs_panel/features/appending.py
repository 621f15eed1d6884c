"""New pictures for a store that is there: made beside it, so that it stays whole and searchable until all are in.

Blocks whose pictures are all old are taken over as they are, without a copy where the file system has links; the last
one is filled up, and further ones follow. Then the new store takes the old one's place.
"""

import os
import shutil
from pathlib import Path

import pandas as pd

from vfs_panel.errors import StoreError
from vfs_panel.features.store import FeatureStore


def staging_of(path: Path) -> Path:
    """Return where the larger store grows."""
    return path.with_name(f".{path.name}.appending")


def _old_of(path: Path) -> Path:
    return path.with_name(f".{path.name}.before")


def recover(path: Path) -> None:
    """Bring back a store whose process was killed in the moment between its two moves."""
    old = _old_of(path)
    if old.exists() and not path.exists():
        os.replace(old, path)


def enlarged(
    store: FeatureStore, folder: str, index: pd.DataFrame, findings: pd.DataFrame | None
) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """Return a store's index with the pictures that it does not have yet behind its own.

    Parameters
    ----------
    folder : where the pictures lie.
    index, findings : of all pictures, old and new or new only, in the order that a store keeps (`in_order`).

    Raises
    ------
    StoreError
        If the store is only half written, its pictures lie in another folder, or only one of both has findings.
    """
    for layer in store.layers:
        store.check_complete(layer)
    home = str(store.attrs.get("pictures") or "")
    if home != folder:
        raise StoreError(
            f"The pictures of {store.path} lie in {home or 'no folder'}, the new ones in {folder or 'no folder'}. Put "
            "the new ones there too, and name that folder."
        )
    old = store.index.drop(columns="broken")
    new = index.loc[~index.index.isin(old.index)]
    if (store.findings is None) != (findings is None):
        has, lacks = ("the store", "the pictures") if findings is None else ("the pictures", "the store")
        raise StoreError(f"Findings are known of {has}, but not of {lacks}. Give both, or make another store.")
    grown = pd.concat([old, new]).fillna("") if len(new) else old
    grown.index.name = "image"
    if findings is None or store.findings is None:
        return grown, None
    both = pd.concat([store.findings, findings.loc[new.index]])
    return grown, both.where(both.notna(), False).astype(bool)


def swap(path: Path) -> None:
    """Put the larger store into the place of the old one."""
    staging, old = staging_of(path), _old_of(path)
    shutil.rmtree(old, ignore_errors=True)
    os.replace(path, old)
    os.replace(staging, path)
    shutil.rmtree(old, ignore_errors=True)
