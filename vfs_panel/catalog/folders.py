"""Where catalogs lie: the bundled one, the user's own, and a catalog's own part of the cache folder."""

import os
import sys
from pathlib import Path

from vfs_panel.settings import settings


def is_web(place: object) -> bool:
    """Return whether a catalog's place is an address of the web."""
    return str(place).lower().startswith(("http://", "https://"))


def bundled_folder() -> Path:
    """Return the folder of the entries that come with vfs_panel."""
    package = Path(__file__).parents[1]
    installed = package / "data_catalog"
    return installed if installed.is_dir() else package.parent / "data_catalog"


def user_folder() -> Path:
    """Return the folder of the user's own entries: VFS_CATALOG, or `vfs_panel/catalog` beside the user's settings.

    Where VFS_CATALOG is a web address, it is the one beside the user's settings.
    """
    chosen = settings().catalog
    if chosen is not None and not is_web(chosen):
        return Path(chosen)
    if sys.platform == "win32":
        base = Path(os.environ.get("APPDATA") or Path.home() / "AppData" / "Roaming")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return base / "vfs_panel" / "catalog"
