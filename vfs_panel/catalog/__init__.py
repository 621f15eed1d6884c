"""What can be searched: data sets with their pictures, networks, layers and suggested queries."""

from vfs_panel.catalog.adding import add_entry, folder_entry
from vfs_panel.catalog.catalog import Catalog, default_places, open_catalog
from vfs_panel.catalog.entry import CatalogEntry
from vfs_panel.catalog.folders import bundled_folder, user_folder
from vfs_panel.catalog.needs import Needs
from vfs_panel.catalog.reading import Problem, check_entry, read_entry
from vfs_panel.catalog.schema import NetworkEntry, SuggestedQuery

__all__ = [
    "Catalog",
    "CatalogEntry",
    "Needs",
    "NetworkEntry",
    "Problem",
    "SuggestedQuery",
    "add_entry",
    "bundled_folder",
    "check_entry",
    "default_places",
    "folder_entry",
    "open_catalog",
    "read_entry",
    "user_folder",
]
