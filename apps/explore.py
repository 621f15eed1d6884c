"""The explorer for `panel serve apps/explore.py`.

It offers the bundled data sets and those of your own catalog folder. Prepare them once, with `vfs-panel demo
--prepare-only` or `vfs-panel catalog build NAME`.
"""

import vfs_panel as vfs

vfs.explore(vfs.open_catalog()).servable(title="vfs_panel")
