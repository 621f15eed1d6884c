"""CatalogEntry: one searchable data set, from its YAML file to its pictures and feature stores."""

import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field, PrivateAttr, field_validator, model_validator

from vfs_panel.catalog import places, stores
from vfs_panel.catalog.folders import bundled_folder, user_folder
from vfs_panel.catalog.parts import Part, Text, web_address
from vfs_panel.catalog.schema import FetchedPictures, NetworkEntry, Pictures, SuggestedQuery
from vfs_panel.errors import CatalogError, StoreError, VFSError

if TYPE_CHECKING:
    from typing import Self

    from vfs_panel.catalog.needs import Needs
    from vfs_panel.features import FeatureStore
    from vfs_panel.images.dataset import ImageDataset

Progress = Callable[[int, int], None]


class CatalogEntry(Part):
    """One data set that can be searched; `vfs_panel.catalog.read_entry` reads it from a YAML file."""

    title: Text = Field(description="Name of the data set, as people read it.")
    description: str = Field("", description="What the pictures show, in a few sentences.")
    licence: str = Field("", description="Licence of the pictures.")
    attribution: str = Field("", description="Who made the pictures, as their licences ask for it.")
    citation: str = Field("", description="What to cite when results are published.")
    homepage: Text | None = Field(None, description="Web page of the data set.")
    access: str = Field("", description="What to do by hand to get it: where, and which files to put into place.")
    order: int = Field(100, description="Place in lists: lower comes first, then by name.")
    template: bool = Field(False, description="A pattern to copy: checked like the others, but not offered.")
    pictures: Pictures = Field(
        description="Where the pictures come from: `source: demo`, `source: folder` or `source: fetched`."
    )
    networks: list[NetworkEntry] = Field(min_length=1, description="Networks that see the pictures, first the default.")
    queries: list[SuggestedQuery] = Field(default_factory=list, description="Suggested queries.")

    _file: Path = PrivateAttr(default=Path("entry.yml"))
    _web: str = PrivateAttr(default="")

    @field_validator("homepage")
    @classmethod
    def _of_the_web(cls, value: str | None) -> str | None:
        return None if value is None else web_address(value)

    @field_validator("networks")
    @classmethod
    def _names_differ(cls, networks: list[NetworkEntry]) -> list[NetworkEntry]:
        names = [network.name for network in networks]
        doubled = {name for name in names if names.count(name) > 1}
        if doubled:
            raise ValueError(f"network {min(doubled)!r} stands twice; list all its layers in one place")
        return networks

    @model_validator(mode="after")
    def _by_hand_says_how(self) -> "Self":
        if isinstance(self.pictures, FetchedPictures) and not self.access:
            nameless = [file.file_name for file in self.pictures.files if file.url is None]
            if nameless:
                raise ValueError(f"{nameless[0]} has no url, so it is got by hand; say in `access` how")
        return self

    @property
    def file(self) -> Path:
        """The YAML file that the entry was read from."""
        return self._file

    @property
    def name(self) -> str:
        """What commands call the entry: its file's name without the ending."""
        return self._file.stem

    def command(self, verb: str, network: str | None = None) -> str:
        """Return a command of `vfs-panel catalog` for the entry, with --catalog where commands do not look anyway."""
        words = ["vfs-panel", "catalog", verb, self.name]
        if network is not None and len(self.networks) > 1:
            words += ["--network", network]
        if self._web or self._file.parent not in (bundled_folder(), user_folder()):
            words += ["--catalog", self._web or str(self._file)]
        return shlex.join(words)

    def network(self, name: str | None = None) -> NetworkEntry:
        """Return a network of the entry, the first by default.

        Raises
        ------
        CatalogError
            If the entry has no network of that name.
        """
        if name is None:
            return self.networks[0]
        for network in self.networks:
            if network.name == name:
                return network
        raise CatalogError(
            f"Entry {self.name!r} has no network {name!r}; it has {', '.join(n.name for n in self.networks)}."
        )

    def images(self, progress: Progress | None = None) -> "ImageDataset":
        """Return the pictures; a demo set is rendered first if it is not in the cache folder yet.

        Parameters
        ----------
        progress : callable, optional
            Called with pictures done and pictures in all while rendering.

        Raises
        ------
        ImageError
            If a picture folder is missing or holds no picture, or its labels do not fit.
        CatalogError
            If files are not fetched yet, with the command to do it; or no picture is of the entry's splits.
        StoreError
            If rendered pictures cannot be written.
        """
        from vfs_panel.catalog.sets import open_pictures

        return open_pictures(self, progress)

    def suggested(self) -> list[SuggestedQuery]:
        """Return the suggested queries, with masks turned into strokes; those whose mask cannot be read are left out.

        A mask lies beside the entry's file, or below the data set's own folder.
        """
        from vfs_panel.catalog.masks import strokes_of_mask

        own = [places.set_folder(self)] if isinstance(self.pictures, FetchedPictures) else []
        found = []
        for query in self.queries:
            if query.mask is None:
                found.append(query)
                continue
            masks = [folder / query.mask for folder in (self._file.parent, *own)]
            try:
                strokes = next(strokes_of_mask(mask) for mask in masks if mask.is_file())
            except (VFSError, StopIteration):
                continue
            found.append(query.model_copy(update={"strokes": strokes, "mask": None}))
        return found

    def weights(self, network: str | None = None) -> str | None:
        """Return what `load_network` takes as a network's weights: a name, a file, a fetched checkpoint, or None.

        Raises
        ------
        CatalogError
            If the entry has no network of that name.
        """
        return stores.weights_of(self.network(network))

    def store_path(self, network: str | None = None) -> Path:
        """Return where the features of a network lie, or will lie, in the cache folder."""
        return places.store_path(self, self.network(network))

    def is_built(self, network: str | None = None) -> bool:
        """Whether the features of a network are there and whole."""
        return stores.is_whole(self, self.network(network))

    def needs(self, network: str | None = None) -> "Needs":
        """Return the next step before a network of the entry, the first by default, can be searched.

        Raises
        ------
        CatalogError
            If the entry has no network of that name.
        """
        from vfs_panel.catalog.needs import needs_of

        return needs_of(self, network)

    def fetch(
        self, network: str | None = None, *, source: Path | None = None, progress: Progress | None = None
    ) -> None:
        """Download, check, unpack and put into place what can be had; what is there already is kept.

        A download that was cut goes on where it stopped.

        Parameters
        ----------
        network : str, optional
            Get weights and ready-made features of this network only; by default of all, as far as they can be had
            without a person.
        source : Path, optional
            A folder with files that were got by hand; by default the one that `needs` names as `place`.
        progress : callable, optional
            Called with bytes done and bytes in all, downloading and unpacking taken together.

        Raises
        ------
        CatalogError
            If the disk is full, a file is not the expected one or cannot be had, an archive is not sound, or files
            are missing that a person must get; what was fetched before is kept.
        StoreError
            If a downloaded store is not of the entry's network.
        """
        from vfs_panel.catalog.fetching import fetch

        chosen = self.networks if network is None else [self.network(network)]
        fetch(self, chosen, named=network is not None, source=source, progress=progress)

    def store(self, network: str | None = None) -> "FeatureStore":
        """Return the features of a network, the first by default.

        Raises
        ------
        StoreError
            If they are not built yet, with the command to do it; or another network or version of it made them.
        CatalogError
            If the entry has no network of that name.
        """
        chosen = self.network(network)
        if not self.is_built(chosen.name):
            needs = self.needs(chosen.name)
            then = f"Run: {needs.command}" if needs.step == "build" else needs.full_text
            raise StoreError(f"The features of {self.name!r} by {chosen.name} are not built yet. {then}")
        return stores.open_checked(self, chosen)

    def build(
        self, network: str | None = None, *, progress: Progress | None = None, again: bool = False
    ) -> "FeatureStore":
        """Extract the features of a network into the cache folder; what is there already is kept.

        An interrupted build goes on where it stopped.

        Parameters
        ----------
        network : str, optional
            The first by default.
        progress : callable, optional
            Called with pictures done and pictures in all.
        again : bool
            Throw away what is there and start anew, for example after pictures were added to a folder.

        Raises
        ------
        ImageError, NetworkError, LayerError, StoreError
            As `extract` and `images` do.
        CatalogError
            If the entry has no network of that name, or something must be fetched or got by hand first; nothing is
            downloaded here.
        """
        chosen, path = self.network(network), self.store_path(network)
        if again and chosen.features is None:
            shutil.rmtree(path, ignore_errors=True)
        elif self.is_built(chosen.name):
            return self.store(chosen.name)
        needs = self.needs(chosen.name)
        if needs.step in ("fetch", "by hand"):
            raise CatalogError(f"{self.name!r} cannot be built yet. {needs.full_text}")
        from vfs_panel.features import extract

        images = self.images()
        if path.exists() and not _holds(path, images):
            raise StoreError(
                f"The pictures of {self.name!r} have changed since its features were begun. "
                f"Start anew: {self.command('build')} --again"
            )
        return extract(
            chosen.name,
            images,
            layers=chosen.layers,
            out=path,
            weights=self.weights(chosen.name),
            strict=chosen.strict,
            dtype=chosen.dtype,
            progress=progress,
        )


def _holds(path: Path, images: "ImageDataset") -> bool:
    """Whether a store that is not whole yet is one of these pictures."""
    from vfs_panel.features import open_store

    try:
        return set(open_store(path).index.index) == set(images.ids)
    except StoreError:
        return True  # killed before its first layer: the extraction itself knows how to go on
