"""Features of a few hundred pictures in memory alone: for a first look, without a store on disk."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vfs_panel.errors import StoreError
from vfs_panel.features import layout
from vfs_panel.features.index import PictureIndex
from vfs_panel.features.packing import Packed, unpack
from vfs_panel.features.spec import FeatureSpec
from vfs_panel.features.store import FeatureStore

_numbers = count(1)


class MemoryStore(FeatureStore):
    """A store whose features are in memory: it reads and is searched as any other, and is gone with the program.

    Parameters
    ----------
    index : one row per picture, with `broken`.
    findings : bool, indexed alike, a column for each finding; or None.
    specs : one per layer; their sources must agree.
    arrays : layer -> its arrays, as `packing.pack` returns them, of all pictures.
    name : what people call it.
    pictures : folder of the pictures, or "".
    """

    def __init__(
        self,
        index: pd.DataFrame,
        findings: pd.DataFrame | None,
        specs: Mapping[str, FeatureSpec],
        arrays: Mapping[str, Packed],
        *,
        name: str,
        pictures: str = "",
    ) -> None:
        self.layers = list(specs)
        # A path tells stores apart; nothing is ever looked for there.
        self.path, self.name = f"in memory, {next(_numbers)}", name
        self._specs, self._arrays = dict(specs), {layer: dict(of_layer) for layer, of_layer in arrays.items()}
        self._attrs = {
            "schema_version": layout.SCHEMA_VERSION,
            "block_rows": len(index),
            "pictures": pictures,
            **next(iter(specs.values())).source_attrs(),
        }
        # In the place of what is read when it is first asked for.
        self.__dict__["pictures_index"] = PictureIndex.of(index, findings)

    def __reduce__(self) -> tuple[Any, ...]:
        return _opened, (self.__dict__,)

    @property
    def opened_from(self) -> tuple[Any, ...]:
        """It can be opened nowhere else."""
        raise StoreError(f"The features of {self.name} are in this program's memory. Extract them to search elsewhere.")

    def nbytes_on_disk(self, layer: str) -> int | None:
        """Return nothing: there is no disk."""
        self._group(layer)
        return None

    @property
    def far(self) -> bool:
        """Whether it lies behind a URL."""
        return False

    def _group(self, layer: str) -> Any:
        if layer not in self._specs:
            return super()._group(layer)  # which says what there is
        return None

    def spec(self, layer: str) -> FeatureSpec:
        """Return what made a layer's features."""
        self._group(layer)
        return self._specs[layer]

    def versions(self, layer: str) -> dict[str, str]:
        """Return nothing: it was made by this very program."""
        self._group(layer)
        return {}

    def blocks(self, layer: str) -> list[slice]:
        """Return the rows of its only block."""
        self._group(layer)
        return [slice(0, self.n_images)]

    def complete(self, layer: str) -> bool:
        """Return true: it is made whole."""
        self._group(layer)
        return True

    def read(self, layer: str, rows: slice) -> NDArray[Any]:
        """Return features of some rows, as `FeatureStore.read` does."""
        self._group(layer)
        of_layer = self._arrays[layer]
        scale = of_layer.get("scale")
        return unpack(of_layer["features"][rows], None if scale is None else scale[rows])

    def read_rows(self, layer: str, rows: NDArray[np.integer[Any]]) -> NDArray[Any]:
        """Return features of scattered rows, as `FeatureStore.read_rows` does."""
        self._group(layer)
        of_layer = self._arrays[layer]
        scale = of_layer.get("scale")
        return unpack(of_layer["features"][rows], None if scale is None else scale[rows])

    def packed(self, layer: str, rows: NDArray[np.integer[Any]]) -> dict[str, NDArray[Any]]:
        """Return a layer's arrays of some rows as they are held."""
        self._group(layer)
        return {name: values[rows] for name, values in self._arrays[layer].items()}

    def rows_alone(self, layer: str) -> bool:
        """Return true: a row is where it is."""
        self._group(layer)
        return True

    def _per_cell(self, layer: str, name: str, rows: slice) -> NDArray[Any]:
        self._group(layer)
        values: NDArray[Any] = self._arrays[layer][name][rows]
        return values


def _opened(state: dict[str, Any]) -> MemoryStore:
    store = MemoryStore.__new__(MemoryStore)
    store.__dict__.update(state)
    return store


class MemoryWriter:
    """Takes blocks as a `StoreWriter` does, and becomes a `MemoryStore`."""

    def __init__(self, specs: Mapping[str, FeatureSpec], n_images: int, block_rows: int) -> None:
        self.specs = dict(specs)
        self.blocks = layout.block_slices(n_images, block_rows)
        self.broken = np.zeros(n_images, bool)
        self._todo = set(range(len(self.blocks)))
        self.arrays: dict[str, dict[str, NDArray[Any]]] = {
            layer: layout.empty_arrays(n_images, spec.grid, spec.dtype) for layer, spec in specs.items()
        }

    def missing(self) -> list[int]:
        """Return the blocks that have not come yet."""
        return sorted(self._todo)

    def claimed(self, while_waiting: Callable[[], None] | None = None) -> Iterator[int]:
        """Yield the blocks to make."""
        del while_waiting  # nobody else makes any
        yield from self.missing()

    def write_block(self, block: int, packed: Mapping[str, Packed]) -> None:
        """Take a block of every layer."""
        for layer, of_layer in packed.items():
            for name, values in of_layer.items():
                self.arrays[layer][name][self.blocks[block]] = values
        self._todo.discard(block)

    def mark_broken(self, rows: Sequence[int]) -> None:
        """Take note of pictures that could not be read."""
        self.broken[list(rows)] = True
