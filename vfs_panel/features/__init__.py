"""Features on disk: written once, resumable, checked; read as labelled arrays.

What computes features loads on first use: it brings torchvision, which a search does not need.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vfs_panel.features.arrays import store_from_arrays
from vfs_panel.features.deriving import convert, subset_rows
from vfs_panel.features.foreign import store_from_zarr
from vfs_panel.features.spec import FeatureSpec
from vfs_panel.features.store import FeatureStore, open_store
from vfs_panel.features.verification import VerifyReport, verify

if TYPE_CHECKING:
    from vfs_panel.features.extraction import extract, features_in_memory
    from vfs_panel.features.mending import repair

__all__ = [
    "FeatureSpec",
    "FeatureStore",
    "VerifyReport",
    "convert",
    "extract",
    "features_in_memory",
    "open_store",
    "repair",
    "store_from_arrays",
    "store_from_zarr",
    "subset_rows",
    "verify",
]
_HOMES = {"extract": "extraction", "features_in_memory": "extraction", "repair": "mending"}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"vfs_panel.features.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'vfs_panel.features' has no attribute {name!r}")
