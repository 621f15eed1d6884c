"""Features on disk: written once, resumable, checked; read as labelled arrays.

`extract` loads on first use: it brings torchvision, which a search does not need.
"""

from typing import TYPE_CHECKING, Any

from vfs_panel.features.arrays import store_from_arrays
from vfs_panel.features.spec import FeatureSpec
from vfs_panel.features.store import FeatureStore, open_store
from vfs_panel.features.verification import VerifyReport, verify

if TYPE_CHECKING:
    from vfs_panel.features.extraction import extract

__all__ = ["FeatureSpec", "FeatureStore", "VerifyReport", "extract", "open_store", "store_from_arrays", "verify"]


def __getattr__(name: str) -> Any:
    if name == "extract":
        from vfs_panel.features.extraction import extract

        return extract
    raise AttributeError(f"module 'vfs_panel.features' has no attribute {name!r}")
