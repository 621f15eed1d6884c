"""What an entry still needs before it can be searched: one step, in words for a person and as a command."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

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


NOTHING = Needs("nothing", "Ready to search.", "", 0, None)


def needs_of(entry: "CatalogEntry", network: str | None = None) -> Needs:
    """Return what an entry needs; `CatalogEntry.needs`, which says what is raised."""
    from vfs_panel.catalog.schema import FolderPictures

    chosen = entry.network(network)
    if isinstance(entry.pictures, FolderPictures) and not Path(entry.pictures.path).is_dir():
        folder = Path(entry.pictures.path)
        text = f"Put the pictures into {folder}, or correct the path in {entry.file}; then extract their features."
        return Needs("by hand", text, _build(entry, chosen.name), 0, folder)
    if not entry.is_built(chosen.name):
        text = f"Extract the features of {entry.title} with {chosen.name}."
        return Needs("build", text, _build(entry, chosen.name), 0, entry.store_path(chosen.name))
    return NOTHING


def _build(entry: "CatalogEntry", network: str) -> str:
    return f"vfs-panel catalog build {entry.name} --network {network}"
