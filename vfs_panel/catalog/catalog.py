"""Catalog: a folder of entries, read one by one, so that a broken one does not take the others down."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path

from vfs_panel.catalog.entry import CatalogEntry
from vfs_panel.catalog.folders import bundled_folder, is_web, user_folder
from vfs_panel.catalog.reading import SUFFIXES, Problem, check_entry
from vfs_panel.errors import CatalogError
from vfs_panel.settings import settings

logger = logging.getLogger(__name__)


class UnknownEntryError(CatalogError, KeyError):
    """There is no usable entry of that name. A KeyError too, so that `in` and `get` work as for any dict."""

    def __str__(self) -> str:
        return str(self.args[0])  # KeyError would put the sentence in quotes


class Catalog(Mapping[str, CatalogEntry]):
    """Entries by name, sorted by their `order` and then by file.

    Attributes
    ----------
    problems : list of Problem
        What is wrong with files that were left out.
    templates : dict of name -> CatalogEntry
        Entries that are patterns to copy; they are no items of the mapping.
    """

    def __init__(self, entries: Iterable[CatalogEntry], *, problems: Iterable[Problem] = ()) -> None:
        self._entries: dict[str, CatalogEntry] = {}
        self.templates: dict[str, CatalogEntry] = {}
        self.problems = list(problems)
        for entry in sorted(entries, key=lambda entry: entry.order):  # stable: then by file
            entries_of_kind = self.templates if entry.template else self._entries
            first = self._entries.get(entry.name) or self.templates.get(entry.name)
            if first is not None:
                text = f"the name {entry.name!r} is taken by {first.file}; rename this file"
                self.problems.append(Problem(entry.file, 0, text))
            else:
                entries_of_kind[entry.name] = entry

    @classmethod
    def open(cls, *paths: Path | str) -> "Catalog":
        """Read all entries (*.yml, *.yaml) of some folders; a file is read as the one entry it holds.

        Files that cannot be read are listed in `problems`.

        Parameters
        ----------
        paths : folders, files or web addresses, as of `open_catalog`.

        Raises
        ------
        CatalogError
            If a folder or file does not exist, or a web address cannot be read.
        """
        entries, problems = [], []
        for path in paths:
            web = str(path) if is_web(path) else ""
            for file in _of_web(web) if web else _files(Path(path)):
                found = check_entry(file, from_web=bool(web))
                if isinstance(found, CatalogEntry):
                    found._web = web
                    entries.append(found)
                else:
                    problems += found
        return cls(entries, problems=problems)

    def __getitem__(self, name: str) -> CatalogEntry:
        if name in self._entries:
            return self._entries[name]
        for problem in self.problems:
            if problem.file.stem == name:
                raise UnknownEntryError(f"Entry {name!r} cannot be used. {problem}")
        if name in self.templates:
            raise UnknownEntryError(
                f"Entry {name!r} is a template: copy {self.templates[name].file}, take its line `template: true` "
                "out and name your pictures."
            )
        close = get_close_matches(name, self._entries, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else "."
        raise UnknownEntryError(f"There is no entry {name!r}; there are {', '.join(self._entries) or 'none'}{hint}")

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"Catalog({', '.join(self._entries)})"


def open_catalog(path: Path | str | None = None) -> Catalog:
    """Open a catalog: a folder of YAML files, one file, or either on the web.

    Parameters
    ----------
    path : optional
        A folder, a file, or an http or https address: of one entry's YAML file, or of a folder with a `catalog.txt`
        that lists its entries. By default the bundled entries and those of `user_folder`, or of the web address that
        VFS_CATALOG is.

    Returns
    -------
    Catalog
        Entries that cannot be read are left out, with a warning in the log each.

    Raises
    ------
    CatalogError
        If the folder does not exist, or the web address cannot be read and never was before.
    """
    catalog = Catalog.open(*([path] if path is not None else default_places()))
    for problem in catalog.problems:
        logger.warning("Left out: %s", problem)
    return catalog


def default_places() -> list[Path | str]:
    """Return the places of the entries that are known without being told: bundled ones and the user's own."""
    chosen = settings().catalog
    places: list[Path | str] = [bundled_folder()]
    if is_web(chosen):
        places.append(str(chosen))
    if (chosen is not None and not is_web(chosen)) or user_folder().is_dir():
        places.append(user_folder())
    return places


def _of_web(address: str) -> list[Path]:
    from vfs_panel.catalog.webcatalog import load_catalog

    return load_catalog(address)


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES and file.is_file())
    if not path.exists():
        raise CatalogError(f"Catalog {path} does not exist. Give a folder of YAML files, or one such file.")
    return [path]
