"""Notebooks as web pages to keep: run once, then each one file that needs no server, no kernel and no network."""

from vfs_panel.gallery.exporting import export_gallery

__all__ = ["export_gallery"]
