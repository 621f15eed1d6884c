"""Search: stroke -> mask -> query -> engine -> result."""

from vfs_panel.search.engine import RegionSearch
from vfs_panel.search.query import RegionQuery
from vfs_panel.search.stroke import Stroke, StrokeHistory

__all__ = ["RegionQuery", "RegionSearch", "Stroke", "StrokeHistory"]
