"""What an entry needs from elsewhere, brought into place: downloaded or taken from a person, checked, unpacked.

Everything is put where `places` says in one step, so what is there is whole; what is there already is left alone.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from vfs_panel.catalog import places
from vfs_panel.catalog.downloading import download
from vfs_panel.catalog.parts import SourceFile
from vfs_panel.catalog.schema import DownloadedFeatures, NetworkEntry
from vfs_panel.catalog.space import NoSpaceError, full_disk_said, require_space
from vfs_panel.catalog.stores import check_made_by
from vfs_panel.catalog.unpacking import unpack
from vfs_panel.catalog.wanted import Wanted, missing_by_hand, wanted_files
from vfs_panel.errors import CatalogError, StoreError, VFSError

if TYPE_CHECKING:
    from vfs_panel.catalog.entry import CatalogEntry

Progress = Callable[[int, int], None]
_PIECE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Step:
    """One part of fetching: what it does, about how many bytes it goes through, and how it is done."""

    title: str
    n_bytes: int
    run: Callable[[Progress | None], object]


def steps(entry: "CatalogEntry", networks: list[NetworkEntry], source: Path | None = None) -> list[Step]:
    """Return what is to be done to bring into place what can be had.

    Parameters
    ----------
    entry, networks : whose files.
    source : a folder that has files which were got by hand, or by another program.

    Raises
    ------
    CatalogError
        If the disk has no room for it all, or the source is no folder.
    """
    if source is not None and not source.is_dir():
        raise CatalogError(f"{source} is no folder. Give the one that holds the files.")
    found: list[Step] = []
    needed: dict[Path, int] = {}
    packed: dict[Path, int] = {}
    for one in wanted_files(entry, networks):
        given = _given(one, source)
        if one.is_there:
            if given is not None and one.file.url is None and not one.is_archive:  # nobody has looked at it yet
                found.append(Step(f"Checking {one.file.file_name}", 0, partial(_check, given, one.file)))
            continue
        size = one.file.size or (given.stat().st_size if given is not None else 0)
        todo = list(_steps_of(one, given, size))
        found += todo
        if todo:
            needed[one.folder] = needed.get(one.folder, 0) + size
            if one.is_archive and given is None:
                packed[one.folder] = max(packed.get(one.folder, 0), size)
    for folder, n_bytes in needed.items():
        # A downloaded archive is removed once it is unpacked, so at most one lies beside what has come out of them.
        require_space(folder, n_bytes + packed.get(folder, 0), what=entry.title)
    return found


def _given(one: Wanted, source: Path | None) -> Path | None:
    """Return the file that a person has put somewhere."""
    places_ = [folder / one.file.file_name for folder in (source, one.folder) if folder is not None]
    return next((file for file in places_ if file.is_file()), None)


def _steps_of(one: Wanted, given: Path | None, size: int) -> Iterator[Step]:
    name = one.file.file_name
    if given is not None:
        yield Step(f"Checking {name}", size, partial(_check, given, one.file))
        if one.is_archive:
            yield Step(f"Unpacking {name}", size, partial(_unpack, given, one.target))
        elif given != one.target:
            yield Step(f"Copying {name}", size, partial(_copy, given, one.target))
        return
    if one.file.url is None:
        return
    target = one.download_target
    yield Step(f"Downloading {name}", size, partial(_download, one.file, target))
    if one.is_archive:
        yield Step(f"Unpacking {name}", size, partial(_unpack, target, one.target, remove=True))


def _download(file: SourceFile, target: Path, progress: Progress | None) -> None:
    assert file.url is not None
    download(file.url, target, size=file.size, sha256=file.sha256, md5=file.md5, progress=progress)


def _unpack(archive: Path, folder: Path, progress: Progress | None, *, remove: bool = False) -> None:
    try:
        unpack(archive, folder, progress=progress)
    except NoSpaceError:
        raise
    except CatalogError:
        if remove:  # loading it anew may mend it; a full disk is no reason to
            archive.unlink(missing_ok=True)
        raise
    if remove:
        archive.unlink(missing_ok=True)
        with suppress(OSError):  # other archives may wait there, or their locks
            archive.with_name(f".{archive.name}.lock").unlink(missing_ok=True)
            archive.parent.rmdir()


def _check(path: Path, file: SourceFile, progress: Progress | None) -> None:
    """Refuse a file that a person has put into place if it is another than the entry names."""
    size = path.stat().st_size
    wrong = f"it has {size:,} bytes, expected {file.size:,}" if file.size not in (None, size) else ""
    for kind, expected in (("sha256", file.sha256), ("md5", file.md5)):
        if expected is None or wrong:
            continue
        digest, done = hashlib.new(kind, usedforsecurity=False), 0
        with path.open("rb") as stream:
            while piece := stream.read(_PIECE_BYTES):
                digest.update(piece)
                done += len(piece)
                if progress is not None:
                    progress(done, size)
        if digest.hexdigest() != expected:
            wrong = f"its {kind} is {digest.hexdigest()}, expected {expected}"
    if wrong:
        raise CatalogError(f"{path} is not the file that was expected: {wrong}. Get it again; nothing was installed.")


def _copy(given: Path, target: Path, progress: Progress | None) -> None:
    """Copy a file, whole or not at all."""
    with full_disk_said(target, kept="Nothing was installed."):
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".copying-", dir=target.parent)
        os.close(handle)
        try:
            shutil.copyfile(given, name)
            os.replace(name, target)
        finally:
            Path(name).unlink(missing_ok=True)
    if progress is not None:
        progress(target.stat().st_size, target.stat().st_size)


def finish(entry: "CatalogEntry", networks: list[NetworkEntry], *, named: bool) -> list[str]:
    """Refuse what turned out to be something else, and say what a person must still get.

    Parameters
    ----------
    entry, networks : whose files were fetched.
    named : whether these networks were asked for, so that a missing checkpoint is an error.

    Returns
    -------
    list of str
        What is missing for networks that nobody has named.

    Raises
    ------
    CatalogError, StoreError
        If a downloaded store is not of its network, and was removed; or files are missing that have no address.
    """
    from vfs_panel.catalog.needs import by_hand_words

    for network in networks:
        path = places.store_path(entry, network)
        if isinstance(network.features, DownloadedFeatures) and path.is_file():
            try:
                check_made_by(path, entry, network)
            except VFSError as error:
                path.unlink()
                raise StoreError(f"{error} The store was removed.") from None
    missing = missing_by_hand(wanted_files(entry, networks))
    needed = [one for one in missing if named or one.network is None]
    if needed:
        raise CatalogError(f"{by_hand_words(entry, needed)} Then run: {entry.command('fetch')}")
    others = [one for one in missing if one.network is not None]
    return [
        f"To see the pictures with {one.network.name}: {by_hand_words(entry, [one])}" for one in others if one.network
    ]


def fetch(
    entry: "CatalogEntry",
    networks: list[NetworkEntry],
    *,
    named: bool,
    source: Path | None = None,
    progress: Progress | None = None,
) -> None:
    """Bring into place what an entry needs; `CatalogEntry.fetch`, which says what is raised."""
    todo = steps(entry, networks, source)
    total = sum(max(step.n_bytes, 1) for step in todo)
    before = 0
    for step in todo:
        weight = max(step.n_bytes, 1)

        def report(done: int, of: int, before: int = before, weight: int = weight) -> None:
            if progress is not None:
                progress(before + (min(done, of) * weight // of if of else 0), total)

        step.run(report)
        before += weight
        if progress is not None:
            progress(before, total)
    finish(entry, networks, named=named)
