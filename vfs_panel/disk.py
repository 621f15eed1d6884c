"""What is written reaches the disk, in order; and files get second names."""

import os
import shutil
from pathlib import Path


def sync(*files: Path) -> None:
    """Bring files and their folder entries to the disk, so that a commit record never outlives its data."""
    for place in dict.fromkeys([*files, *(file.parent for file in files)]):
        if os.name == "nt" and place.is_dir():
            continue  # Windows cannot sync folders, and files only through a handle that may write
        handle = os.open(place, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def sync_all(folder: Path) -> None:
    """Bring all of a new folder to the disk: blocks are worth nothing if the metadata above them is lost."""
    sync(*folder.rglob("*"))


def link_or_copy(source: Path, target: Path) -> None:
    """Give a file a second name, or copy it where the file system has no such links."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
