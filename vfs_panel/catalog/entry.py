"""CatalogEntry: one searchable data set, from its YAML file to its pictures and feature stores."""

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, PrivateAttr, field_validator

from vfs_panel.catalog.schema import (
    DemoPictures,
    FolderPictures,
    NetworkEntry,
    Part,
    SuggestedQuery,
    Text,
)
from vfs_panel.errors import CatalogError, StoreError
from vfs_panel.settings import settings

if TYPE_CHECKING:
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
    order: int = Field(100, description="Place in lists: lower comes first, then by name.")
    template: bool = Field(False, description="A pattern to copy: checked like the others, but not offered.")
    pictures: Annotated[DemoPictures | FolderPictures, Field(discriminator="source")] = Field(
        description="Where the pictures come from: `source: demo` or `source: folder`."
    )
    networks: list[NetworkEntry] = Field(min_length=1, description="Networks that see the pictures, first the default.")
    queries: list[SuggestedQuery] = Field(default_factory=list, description="Suggested queries.")

    _file: Path = PrivateAttr(default=Path("entry.yml"))

    @field_validator("networks")
    @classmethod
    def _names_differ(cls, networks: list[NetworkEntry]) -> list[NetworkEntry]:
        names = [network.name for network in networks]
        doubled = {name for name in names if names.count(name) > 1}
        if doubled:
            raise ValueError(f"network {min(doubled)!r} stands twice; list all its layers in one place")
        return networks

    @property
    def file(self) -> Path:
        """The YAML file that the entry was read from."""
        return self._file

    @property
    def name(self) -> str:
        """What commands call the entry: its file's name without the ending."""
        return self._file.stem

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
            If a picture folder is missing or holds no picture.
        StoreError
            If rendered pictures cannot be written.
        """
        if isinstance(self.pictures, DemoPictures):
            from vfs_panel.images.demo import build_demo

            return build_demo(self.pictures.name, progress)
        from vfs_panel.images.dataset import ImageDataset

        return ImageDataset.from_folder(
            self.pictures.path, domain=self.pictures.domain, labels=self.pictures.labels, name=self.title
        )

    def store_path(self, network: str | None = None) -> Path:
        """Return where the features of a network lie, or will lie, in the cache folder.

        The folder's name changes with everything that the features depend on and that is known without opening
        the pictures, so a store made by an older recipe or other weights is never taken for this one.
        """
        chosen = self.network(network)
        made_of = {
            "pictures": self.pictures.model_dump(),
            "recipe": _recipe(self.pictures),
            "network": chosen.model_dump(exclude={"default_layer"}),
            "weights": _weights_digest(chosen),
        }
        digest = hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:8]
        network_name = re.sub(r"[^\w.-]+", "-", chosen.name)  # "timm/…" is one name, not a folder and a file
        return settings().cache_dir / "stores" / f"{self.name}-{network_name}-{digest}.zarr"

    def is_built(self, network: str | None = None) -> bool:
        """Whether the features of a network are there and whole."""
        path = self.store_path(network)
        if not path.exists():
            return False
        from vfs_panel.features import open_store

        try:
            store = open_store(path)
            return all(layer in store.layers and store.complete(layer) for layer in self.network(network).layers)
        except StoreError:
            return False

    def needs(self, network: str | None = None) -> "Needs":
        """Return the next step before a network of the entry, the first by default, can be searched.

        Raises
        ------
        CatalogError
            If the entry has no network of that name.
        """
        from vfs_panel.catalog.needs import needs_of

        return needs_of(self, network)

    def fetch(self, *, progress: Progress | None = None) -> None:
        """Download, unpack and put into place what can be had; what is there already is kept.

        Parameters
        ----------
        progress : callable, optional
            Called with bytes done and bytes in all.
        """

    def store(self, network: str | None = None) -> "FeatureStore":
        """Return the features of a network, the first by default.

        Raises
        ------
        StoreError
            If they are not built yet; the message says the command.
        CatalogError
            If the entry has no network of that name.
        """
        from vfs_panel.features import open_store

        chosen = self.network(network)
        if not self.is_built(chosen.name):
            raise StoreError(
                f"The features of {self.name!r} by {chosen.name} are not built yet. "
                f"Run: vfs-panel catalog build {self.name} --network {chosen.name}"
            )
        return open_store(self.store_path(chosen.name))

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
            If the entry has no network of that name.
        """
        from vfs_panel.features import extract

        chosen, path = self.network(network), self.store_path(network)
        if again:
            shutil.rmtree(path, ignore_errors=True)
        elif self.is_built(chosen.name):
            return self.store(chosen.name)
        images = self.images()
        if path.exists() and not _holds(path, images):
            raise StoreError(
                f"The pictures of {self.name!r} have changed since its features were begun. "
                f"Start anew: vfs-panel catalog build {self.name} --again"
            )
        return extract(
            chosen.name,
            images,
            layers=chosen.layers,
            out=path,
            weights=chosen.weights,
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


def _recipe(pictures: DemoPictures | FolderPictures) -> str:
    """Return what changes when a demo set is drawn in another way; "" for pictures of the user's own."""
    if isinstance(pictures, FolderPictures):
        return ""
    from vfs_panel.images.demo import demo_folder

    return demo_folder(pictures.name).name


def _weights_digest(network: NetworkEntry) -> str:
    """Return the digest of the file that holds a network's weights, "" where there is no such file."""
    # The bundled weights are found by their file, as loading a network would take seconds.
    bundled = Path(__file__).parents[1] / "models" / "weights" / f"{network.name.replace('-', '_')}.pt"
    file = Path(network.weights) if network.weights else bundled
    if not file.is_file():
        return ""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
