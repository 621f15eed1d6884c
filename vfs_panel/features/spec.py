"""FeatureSpec: what made a layer's features. Kept in the store, compared before a search."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vfs_panel.errors import ImageError, QueryError, StoreError
from vfs_panel.images.preprocessing import Preprocessing

INT8 = "int8, one scale per cell"


@dataclass(frozen=True, slots=True)
class FeatureSpec:
    """Where features came from and what they are.

    Attributes
    ----------
    network, weights : names, as in "squeezenet1_1" and "IMAGENET1K_V1".
    weights_sha256 : hash of the weights themselves; "" for features that another program made.
    layer : the layer's name, as PyTorch prints it.
    preprocessing : what was done to a picture before the network saw it.
    input_px : (height, width) of the network's input.
    grid : (channel, y, x), the shape of one picture's features.
    dtype : "float16", "float32" or "int8", as stored.
    autocast : the type that the network was run in where it allows for less than float32, or "".
    compression : "none", or "zstd".
    receptive_field_px : (y, x) input pixels that a cell in the middle sees; None where it was not
        measured: that takes as long as some 40 pictures, so sets of fewer than 800 go without.
    quantisation : "none", or how features were rounded beyond their type; of int8 features that were given another type
        since, too.
    """

    network: str
    weights: str
    weights_sha256: str
    layer: str
    preprocessing: Preprocessing
    input_px: tuple[int, int]
    grid: tuple[int, int, int]
    dtype: str
    autocast: str = ""
    compression: str = "none"
    receptive_field_px: tuple[int, int] | None = None
    quantisation: str = "none"

    def stored_as(self, dtype: str, compression: str) -> "FeatureSpec":
        """Return the same features in another type and compression; what int8 has lost stays lost."""
        rounded = INT8 if dtype == "int8" else self.quantisation
        return replace(self, dtype=dtype, compression=compression, quantisation=rounded)

    @property
    def stride_px(self) -> tuple[float, float]:
        """(y, x) input pixels from one cell to the next."""
        return self.input_px[0] / self.grid[1], self.input_px[1] / self.grid[2]

    def centres_px(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the cells' centres in input pixels, y and x."""
        (height, width), cells = self.input_px, self.grid[1:]
        return (np.arange(cells[0]) + 0.5) * height / cells[0], (np.arange(cells[1]) + 0.5) * width / cells[1]

    @property
    def nbytes(self) -> int:
        """Bytes of one picture's features as stored."""
        channels, height, width = self.grid
        return channels * height * width * np.dtype(self.dtype).itemsize

    @property
    def read_dtype(self) -> str:
        """Type of the features as they are read: int8 codes become float32."""
        return "float32" if self.dtype == "int8" else self.dtype

    def check_same_source(self, other: "FeatureSpec") -> None:
        """Refuse features that another network, layer or preprocessing made.

        Raises
        ------
        QueryError
            Naming the first thing that differs, and how to mend it.
        """
        if self.layer != other.layer:
            raise QueryError(
                f"The store's layer is {self.layer!r}, the query's is {other.layer!r}. Take the query's features from "
                f"layer {self.layer!r}, or search the other layer."
            )
        unknown = not self.weights_sha256 and not other.weights_sha256  # features of another program: by its name
        if self.weights_sha256 != other.weights_sha256 or (unknown and self.network != other.network):
            raise QueryError(
                f"The store was made by {self.network} with weights {self.weights_sha256[:12] or 'unknown'}, the query "
                f"by {other.network} with weights {other.weights_sha256[:12] or 'unknown'}. Use the store's network "
                "and weights."
            )
        if self.preprocessing != other.preprocessing:
            raise QueryError(
                f"The store's pictures were prepared as {self.preprocessing.to_json()}, the query's as "
                f"{other.preprocessing.to_json()}. Prepare the query's picture in the store's way."
            )

    def to_attrs(self) -> dict[str, Any]:
        """Return the layer's own part as attributes of its group."""
        return {
            "layer": self.layer,
            "grid": list(self.grid),
            "input_px": list(self.input_px),
            "stride_px": list(self.stride_px),
            "receptive_field_px": list(self.receptive_field_px) if self.receptive_field_px else None,
            "dtype": self.dtype,
            "quantisation": INT8 if self.dtype == "int8" else self.quantisation,
            "compression": self.compression,
        }

    def source_attrs(self) -> dict[str, str]:
        """Return what all layers of a store share, as attributes of its root."""
        return {
            "network": self.network,
            "weights": self.weights,
            "weights_sha256": self.weights_sha256,
            "preprocessing": self.preprocessing.to_json(),
            "autocast": self.autocast,
        }

    @classmethod
    def from_attrs(cls, root: Mapping[str, Any], layer: Mapping[str, Any]) -> "FeatureSpec":
        """Read what `source_attrs` and `to_attrs` wrote.

        Raises
        ------
        StoreError
            If something is missing or unreadable.
        """
        try:
            channels, height, width = (int(v) for v in layer["grid"])
            input_h, input_w = (int(v) for v in layer["input_px"])
            seen = layer.get("receptive_field_px")
            return cls(
                network=str(root["network"]),
                weights=str(root["weights"]),
                weights_sha256=str(root["weights_sha256"]),
                layer=str(layer["layer"]),
                preprocessing=Preprocessing.from_json(str(root["preprocessing"])),
                input_px=(input_h, input_w),
                grid=(channels, height, width),
                dtype=str(layer["dtype"]),
                # Stores of schema version 1 do not name these.
                autocast=str(root.get("autocast", "")),
                compression=str(layer.get("compression", "none")),
                receptive_field_px=(int(seen[0]), int(seen[1])) if seen else None,
                quantisation=str(layer.get("quantisation", "none")),
            )
        except (KeyError, TypeError, ValueError, ImageError) as error:
            raise StoreError(f"The store's attributes cannot be read ({error}). Extract it again.") from None
