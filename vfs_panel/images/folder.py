"""A folder tree of picture files: folders are domains and labels, or a table says what is what."""

import os
from pathlib import Path

import pandas as pd

from vfs_panel.errors import ImageError
from vfs_panel.images.listing import FileReader, Listing, need_pictures, picture_folder
from vfs_panel.images.quiet import quiet
from vfs_panel.images.reading import SUFFIXES, is_picture


def folder_listing(path: Path | str, *, name: str | None) -> Listing:
    """List the pictures below a folder; `ImageDataset.from_folder` without a table.

    Raises
    ------
    ImageError
        If the folder is missing or holds no picture.
    """
    root = picture_folder(path)
    rows, skipped = [], []
    with quiet():
        for relative in _files(root):
            # A file with a picture's ending is checked by its header; others are looked into, and named if skipped.
            why = is_picture(os.path.join(root, *relative))
            if why is not None:
                ending = os.path.splitext(relative[-1])[1]
                skipped.append(("/".join(relative), why + _ending(ending)))
                continue
            folders = relative[:-1]
            rows.append(("/".join(relative), folders[0] if len(folders) > 1 else "", folders[-1] if folders else ""))
    need_pictures(len(rows), f"Folder {root}", skipped)
    paths = [row[0] for row in rows]
    table = pd.DataFrame(
        {"path": paths, "domain": [row[1] for row in rows], "label": [row[2] for row in rows]}, index=paths
    )
    return Listing(
        table, FileReader(root.resolve(), {}), name or root.resolve().name, skipped, folder=str(root.resolve())
    )


def _ending(ending: str) -> str:
    return "" if ending.lower() in SUFFIXES else f" ({ending or 'no ending'})"


def _files(root: Path) -> list[tuple[str, ...]]:
    """Return the files below a folder as parts of their paths, in order; hidden ones are passed over."""
    found: list[tuple[str, ...]] = []
    todo: list[tuple[str, ...]] = [()]
    while todo:
        folder = todo.pop()
        try:
            # scandir knows what is a folder without asking the disk for each file.
            with os.scandir(os.path.join(root, *folder)) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        todo.append((*folder, entry.name))
                    elif entry.is_file():
                        found.append((*folder, entry.name))
        except PermissionError:
            raise ImageError(
                f"Folder {os.path.join(root, *folder)} may not be read. Ask for the right to read it, or move it away."
            ) from None
    return sorted(found)
