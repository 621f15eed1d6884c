"""The explorer: paint on a picture in the browser, see the matches at once."""

from vfs_panel.app.explorer import Explorer, explore

__all__ = ["Explorer", "explore"]
