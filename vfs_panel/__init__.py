"""Paint a region of a picture; see what a network's features hold to be similar, in a whole dataset.

Names load on first use, so that `import vfs_panel` needs neither torch nor panel.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vfs_panel.errors import VFSError

if TYPE_CHECKING:
    from vfs_panel.app import explore
    from vfs_panel.catalog import open_catalog
    from vfs_panel.features import (
        FeatureStore,
        convert,
        extract,
        open_store,
        repair,
        store_from_arrays,
        store_from_zarr,
        subset_rows,
        verify,
    )
    from vfs_panel.images.dataset import ImageDataset
    from vfs_panel.images.opening import open_images
    from vfs_panel.images.preprocessing import Preprocessing
    from vfs_panel.models import edit_network, load_network, network_from_function, register_network
    from vfs_panel.search import RegionQuery, RegionSearch, Stroke

__version__ = "0.1.0"

_HOMES = {
    "explore": "vfs_panel.app",
    "open_catalog": "vfs_panel.catalog",
    "FeatureStore": "vfs_panel.features",
    "convert": "vfs_panel.features",
    "extract": "vfs_panel.features",
    "open_store": "vfs_panel.features",
    "repair": "vfs_panel.features",
    "store_from_arrays": "vfs_panel.features",
    "store_from_zarr": "vfs_panel.features",
    "subset_rows": "vfs_panel.features",
    "verify": "vfs_panel.features",
    "ImageDataset": "vfs_panel.images.dataset",
    "Preprocessing": "vfs_panel.images.preprocessing",
    "open_images": "vfs_panel.images.opening",
    "edit_network": "vfs_panel.models",
    "load_network": "vfs_panel.models",
    "network_from_function": "vfs_panel.models",
    "register_network": "vfs_panel.models",
    "RegionQuery": "vfs_panel.search",
    "RegionSearch": "vfs_panel.search",
    "Stroke": "vfs_panel.search",
}

__all__ = [
    "FeatureStore",
    "ImageDataset",
    "Preprocessing",
    "RegionQuery",
    "RegionSearch",
    "Stroke",
    "VFSError",
    "__version__",
    "convert",
    "edit_network",
    "explore",
    "extract",
    "load_network",
    "network_from_function",
    "open_catalog",
    "open_images",
    "open_store",
    "register_network",
    "repair",
    "store_from_arrays",
    "store_from_zarr",
    "subset_rows",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'vfs_panel' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
