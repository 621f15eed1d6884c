"""The comparison of layers, networks and datasets for `panel serve apps/compare.py`.

It is the explorer, opened on its tab Compare: paint once, and see what two to four layers hold to be similar, which
matches they share, and how well their orders agree. The data sets are those of `apps/explore.py`: prepare them once,
with `vfs-panel demo --prepare-only` or `vfs-panel catalog build NAME`.

What may follow the address: ?theme=dark.
"""

import vfs_panel as vfs

vfs.explore(vfs.open_catalog(), tab="compare").servable(title="vfs_panel: compare")
