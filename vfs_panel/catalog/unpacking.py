"""An archive from anywhere -> a folder that holds just what an honest archive would, whole or not at all.

An archive is data of a stranger: its names, links and sizes are checked before anything of it is used, and nothing
of it but names and bytes reaches the disk: no owners, no rights, no times. Archives inside it stay as they are.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from vfs_panel.catalog.contents import Contents, Member, UnsafeArchiveError, open_archive
from vfs_panel.catalog.space import full_disk_said, require_space
from vfs_panel.catalog.turns import own_turn
from vfs_panel.disk import link_or_copy
from vfs_panel.errors import CatalogError
from vfs_panel.words import size_words

Progress = Callable[[int, int], None]

_MAX_RATIO = 100  # bytes unpacked for one packed: pictures have 1 to 3, tables 20
_SMALL_BYTES = 16 << 20  # what may always be unpacked
_MEMBER_BYTES = 1 << 10  # what a file costs by being there: many empty ones are a bomb too
_PIECE_BYTES = 1 << 20


def unpack(archive: Path, folder: Path, *, progress: Progress | None = None) -> Path:
    """Unpack an archive, unless that is done already. The folder appears whole, or not at all.

    It is unpacked beside the folder, under the hidden name `.NAME.unpacking`, and renamed at the end; what a killed
    process left there is removed by the next. Links to files of the archive become those files.

    Parameters
    ----------
    archive : Path
        A zip; a tar, plain or packed by gzip, bzip2 or xz; or a single file packed by one of these. Its first bytes
        say which, not its name.
    folder : Path
        Where to put what it holds. If it is there already and holds anything, it is whole and left as it is.
    progress : callable, optional
        Called with bytes done and bytes in all; may raise to stop.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    CatalogError
        If the file is no archive, is damaged or encrypted, holds what an honest one would not (paths that lead
        out, links to elsewhere, devices, two names for one place, far more bytes than it is large), or the disk
        is full. Nothing is left then.
    """
    if not archive.is_file():
        raise CatalogError(f"Archive {archive} does not exist. Fetch it first.")
    if folder.exists() and not folder.is_dir():
        raise CatalogError(f"{folder} is a file, and {archive.name} is to be unpacked there. Move it away.")
    if _is_done(folder):
        return folder
    temporary = folder.with_name(f".{folder.name}.unpacking")
    with own_turn(folder):
        shutil.rmtree(temporary, ignore_errors=True)  # of a run that was killed
        if _is_done(folder):
            return folder
        try:
            with full_disk_said(folder, kept="Nothing was installed."):
                temporary.mkdir()
                _unpack(archive, temporary, progress)
                # Linux and macOS put a folder in the place of an empty one, Windows does not.
                if folder.exists():
                    folder.rmdir()
                os.rename(temporary, folder)
        except UnsafeArchiveError as error:
            raise CatalogError(f"{archive} {error}. Nothing was installed. {error.mend}") from None
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return folder


def _is_done(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


def _unpack(archive: Path, into: Path, progress: Progress | None) -> None:
    packed = archive.stat().st_size
    budget = _Budget(max(_MAX_RATIO * packed, _SMALL_BYTES))
    links: list[Member] = []
    files: set[Path] = set()
    with open_archive(archive, budget.most) as contents:
        if contents.n_bytes is not None:
            budget.check(contents.n_bytes)
            require_space(into.parent, contents.n_bytes, what=f"What {archive.name} holds")
        for member in contents:
            place = into.joinpath(*member.parts)
            if member.kind == "folder":
                place.mkdir(parents=True, exist_ok=True)
                budget.spend(_MEMBER_BYTES)
            elif member.kind == "link":
                links.append(member)
                budget.spend(_MEMBER_BYTES)
            else:
                budget.spend(max(member.n_bytes or 0, _MEMBER_BYTES))
                if contents.n_bytes is None:
                    require_space(into.parent, member.n_bytes or 0, what=f"What {archive.name} holds")
                place.parent.mkdir(parents=True, exist_ok=True)
                _write(contents, member, place, budget, progress)
                files.add(place)
        contents.finish()
    if not files:
        raise UnsafeArchiveError("holds no file")
    for member in links:
        target = into.joinpath(*_end_of(member, {link.parts: link for link in links}))
        if target not in files:
            raise UnsafeArchiveError(f"holds a link, {member.name!r}, to what is no file of it")
        budget.spend(target.stat().st_size)  # a copy, where the disk knows no second names
        link_or_copy(target, into.joinpath(*member.parts))


def _write(contents: Contents, member: Member, place: Path, budget: "_Budget", progress: Progress | None) -> None:
    """Write one file; its folder is ours alone, and holds no links."""
    with open(place, "xb") as out:
        for piece in contents.pieces(member, _PIECE_BYTES):
            out.write(piece)
            if member.n_bytes is None:
                budget.spend(len(piece))
            if progress is not None:
                progress(*contents.progress())


def _end_of(link: Member, links: dict[tuple[str, ...], Member]) -> tuple[str, ...]:
    """Follow links to links."""
    parts, steps = link.target, 0
    while parts in links and steps < len(links):
        parts, steps = links[parts].target, steps + 1
    return parts


class _Budget:
    """How much an archive may unpack to.

    Attributes
    ----------
    most : in bytes.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._spent = 0

    def spend(self, n_bytes: int) -> None:
        """Count what is about to be written."""
        self._spent += n_bytes
        self.check(self._spent)

    def check(self, n_bytes: int) -> None:
        """Refuse more than there may be.

        Raises
        ------
        UnsafeArchiveError
        """
        if n_bytes > self.most:
            raise UnsafeArchiveError(
                f"would unpack to more than {size_words(self.most)}, {_MAX_RATIO} times its size, as archives do that "
                "are meant to fill a disk"
            )
