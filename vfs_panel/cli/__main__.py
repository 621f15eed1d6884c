"""`python -m vfs_panel.cli` is the same as `vfs-panel`."""

from vfs_panel.cli import main

main()
