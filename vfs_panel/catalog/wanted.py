"""Which files an entry needs from elsewhere, where each belongs, and whether it is there. Nothing is opened."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vfs_panel.catalog import places
from vfs_panel.catalog.parts import SetFile, SourceFile
from vfs_panel.catalog.schema import DownloadedFeatures, FetchedPictures, NetworkEntry

if TYPE_CHECKING:
    from vfs_panel.catalog.entry import CatalogEntry


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file that an entry needs from elsewhere.

    Attributes
    ----------
    file : what is known of it.
    target : the file or, of an archive, the folder that it becomes.
    folder : where it may be put by hand.
    what : what it is, for messages.
    network : the network whose checkpoint or features it is; None for pictures.
    """

    file: SourceFile
    target: Path
    folder: Path
    what: str
    network: NetworkEntry | None = None

    @property
    def is_archive(self) -> bool:
        """Whether it is to be unpacked."""
        return isinstance(self.file, SetFile) and self.file.is_archive

    @property
    def is_there(self) -> bool:
        """Whether it is in its place, whole."""
        return self.target.is_dir() and any(self.target.iterdir()) if self.is_archive else self.target.is_file()

    @property
    def by_hand(self) -> Path:
        """Where a person may put it, still packed."""
        return self.folder / self.file.file_name

    @property
    def download_target(self) -> Path:
        """Where it is downloaded to: an archive waits in a folder of its own until it is unpacked."""
        return self.folder / places.DOWNLOADS / self.file.file_name if self.is_archive else self.target

    def download_bytes(self) -> int | None:
        """Return how much of it is still to be downloaded; None where its size is not known."""
        if self.is_there or self.file.url is None or (self.is_archive and self.by_hand.is_file()):
            return 0
        if self.file.size is None:
            return None
        target = self.download_target
        part = target.with_name(f"{target.name}.part")
        return 0 if target.is_file() else self.file.size - (part.stat().st_size if part.exists() else 0)


def wanted_files(entry: "CatalogEntry", networks: list[NetworkEntry]) -> list[Wanted]:
    """Return all files that an entry needs from elsewhere for some of its networks, also those that are there."""
    found = []
    if isinstance(entry.pictures, FetchedPictures):
        own = places.set_folder(entry)
        found += [Wanted(file, own / file.place, own, entry.title) for file in entry.pictures.files]
    for network in networks:
        if isinstance(network.features, DownloadedFeatures):
            path = places.store_path(entry, network)
            found.append(Wanted(network.features, path, path.parent, f"features by {network.name}", network))
        elif network.features is None and isinstance(network.weights, SourceFile):
            file = places.weights_file(network)
            assert file is not None
            found.append(Wanted(network.weights, file, file.parent, f"weights of {network.name}", network))
    return found


def missing_by_hand(wanted: list[Wanted]) -> list[Wanted]:
    """Return the files that only a person can get, and has not put into place yet."""
    return [one for one in wanted if one.file.url is None and not one.is_there and not one.by_hand.is_file()]
