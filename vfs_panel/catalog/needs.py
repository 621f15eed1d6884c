"""What an entry still needs before it can be searched: one step, in words for a person and as a command."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from vfs_panel.catalog.schema import DemoPictures, FolderPictures
from vfs_panel.catalog.wanted import Wanted, missing_by_hand, wanted_files
from vfs_panel.words import size_words

if TYPE_CHECKING:
    from vfs_panel.catalog.entry import CatalogEntry

Step = Literal["nothing", "build", "fetch", "by hand"]


@dataclass(frozen=True, slots=True)
class Needs:
    """The next step towards a searchable entry. Looked up from file names alone: no picture is opened.

    Attributes
    ----------
    step : "nothing" for an entry that can be searched; "build", its features must be extracted; "fetch", something
        must be downloaded or unpacked first; "by hand", a person must get something that no program may.
    text : a sentence: what is missing, how much of it, and what follows.
    command : what does the step on the command line; after "by hand", what takes it from there. "" for nothing.
    download_bytes : how much a fetch downloads; 0 where it downloads nothing, None where that is not known.
    place : the folder or file that the step makes, or that a person puts files into; None for nothing.
    """

    step: Step
    text: str
    command: str
    download_bytes: int | None
    place: Path | None

    @property
    def full_text(self) -> str:
        """The text and, where it does not name it yet, the command."""
        return self.text if not self.command or self.command in self.text else f"{self.text} Run: {self.command}"


NOTHING = Needs("nothing", "Ready to search.", "", 0, None)


def needs_of(entry: "CatalogEntry", network: str | None = None) -> Needs:
    """Return what an entry needs; `CatalogEntry.needs`, which says what is raised."""
    chosen = entry.network(network)
    if isinstance(entry.pictures, FolderPictures) and not Path(entry.pictures.path).is_dir():
        folder = Path(entry.pictures.path)
        text = f"Put the pictures into {folder}, or correct the path in {entry.file}; then extract their features."
        return Needs("by hand", text, entry.command("build", chosen.name), 0, folder)
    built = entry.is_built(chosen.name)
    # Features that are there were made with the weights; those are only needed again for pictures from elsewhere.
    wanted = [
        one for one in wanted_files(entry, [chosen]) if not one.is_there and not (built and one.network is not None)
    ]
    then = "" if built or chosen.features is not None else ", then extract the features"
    if wanted:
        return _fetch(entry, chosen.name, wanted, then)
    if not built:
        first = ""
        if isinstance(entry.pictures, DemoPictures):
            from vfs_panel.images.demo import demo_folder

            first = "" if (demo_folder(entry.pictures.name) / "index.csv").exists() else "Render the pictures, then e"
        text = f"{first or 'E'}xtract the features of {entry.title} with {chosen.name}."
        return Needs("build", text, entry.command("build", chosen.name), 0, entry.store_path(chosen.name))
    return NOTHING


def _fetch(entry: "CatalogEntry", network: str, wanted: list[Wanted], then: str) -> Needs:
    missing = missing_by_hand(wanted)
    sizes = [one.download_bytes() for one in wanted]
    total = None if None in sizes else sum(size for size in sizes if size is not None)
    command = entry.command("fetch", network)
    place = wanted[0].folder
    if missing:
        text = f"{by_hand_words(entry, missing)} Then run: {command}"
        return Needs("by hand", text, command, total, missing[0].folder)
    what = ", ".join(dict.fromkeys(one.what for one in wanted))
    if total == 0:
        text = f"Unpack what was downloaded or put into {place} ({what}){then}."
    elif total is None:
        known = sum(size for size in sizes if size)
        amount = f"{size_words(known)} and more" if known else "files of unknown size"
        text = f"Download {amount} ({what}){then}."
    else:
        text = f"Download {size_words(total)} ({what}){then}."
    return Needs("fetch", text, command, total, place)


def by_hand_words(entry: "CatalogEntry", missing: list[Wanted]) -> str:
    """Return sentences on files that only a person can get: how, which, and where to put them."""
    words = []
    networks = {one.network.name: one.network for one in missing if one.network is not None}
    for access, files in (
        (entry.access, [one for one in missing if one.network is None]),
        *((one.access, [m for m in missing if m.network is one]) for one in networks.values()),
    ):
        if files:
            names = " and ".join(one.file.file_name for one in files)
            words.append(f"{access.strip().rstrip('.')}. Put {names} into {files[0].folder}")
    return f"{'. '.join(words)}."
