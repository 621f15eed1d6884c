"""The known answers of a demo set: which spot of which photograph or scene lies under every pixel. NumPy only."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vfs_panel.images.demo.picture import SIZE_PX, Floats, Picture, invert, transform

Indices = NDArray[np.intp]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Places:
    """Where every picture's pixels come from, as columns: one row per picture, one entry per layer, topmost first.

    Parameters
    ----------
    ids : tuple of str
        Image ids, one per row.
    names : tuple of str
        Names of the places; `place` counts in them.
    place : array of int, shape (row, layer)
        The layer's place, -1 where the picture has no such layer.
    matrix : array, shape (row, layer, 2, 3)
        Picture pixels (x, y, 1) -> place pixels (x, y).
    mask : array of int, shape (row, layer)
        Which of `masks` bounds the layer, -1 where it covers the whole picture.
    masks : tuple of array of bool (y, x)
        What the cut-outs cover.
    origins : array of int, shape (mask, 2)
        Place x, y of every mask's first pixel.
    """

    ids: tuple[str, ...]
    names: tuple[str, ...]
    place: Indices
    matrix: Floats
    mask: Indices
    masks: tuple[Flags, ...]
    origins: Indices

    @classmethod
    def of(cls, pictures: Iterable[Picture], cut_outs: Mapping[str, tuple[Flags, tuple[int, int]]]) -> Self:
        """Collect the places of rendered pictures; `cut_outs` gives each cut-out's mask (y, x) and origin x, y."""
        pictures = list(pictures)
        names = sorted({layer.place for picture in pictures for layer in picture.layers})
        used = sorted({str(layer.cut_out) for picture in pictures for layer in picture.layers if layer.cut_out})
        shape = (len(pictures), max(len(picture.layers) for picture in pictures))
        place, mask = np.full(shape, -1), np.full(shape, -1)
        matrix = np.tile(np.eye(2, 3), (*shape, 1, 1))
        for row, picture in enumerate(pictures):
            for column, layer in enumerate(picture.layers):
                place[row, column] = names.index(layer.place)
                matrix[row, column] = layer.matrix
                mask[row, column] = used.index(layer.cut_out) if layer.cut_out else -1
        return cls(
            ids=tuple(picture.image_id for picture in pictures),
            names=tuple(names),
            place=place,
            matrix=matrix,
            mask=mask,
            masks=tuple(cut_outs[name][0] for name in used),
            origins=np.array([cut_outs[name][1] for name in used], dtype=int).reshape(-1, 2),
        )

    def save(self, path: Path) -> None:
        """Write everything to one NPZ file."""
        masks: dict[str, Any] = {f"mask{i}": mask for i, mask in enumerate(self.masks)}
        np.savez_compressed(
            path,
            ids=np.array(self.ids),
            names=np.array(self.names),
            place=self.place,
            matrix=self.matrix,
            mask=self.mask,
            origins=self.origins,
            **masks,
        )

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as file:
            masks = tuple(file[f"mask{i}"] for i in range(len(file["origins"])))
            ids, names = (tuple(str(name) for name in file[key]) for key in ("ids", "names"))
            return cls(ids, names, file["place"], file["matrix"], file["mask"], masks, file["origins"])

    def rows(self, ids: Iterable[str]) -> Indices:
        """Return the row of each image id.

        Raises
        ------
        KeyError
            If an id is none of this set.
        """
        row_of = {name: row for row, name in enumerate(self.ids)}
        return np.array([row_of[name] for name in ids], dtype=int)

    def at(self, rows: ArrayLike, xy: Floats) -> tuple[Indices, Floats]:
        """Return what lies under points of pictures.

        Parameters
        ----------
        rows : int or array of int, shape (point,)
            The picture of each point.
        xy : array, shape (point, 2)
            Picture pixels.

        Returns
        -------
        place : array of int, shape (point,)
        where : array, shape (point, 2)
            Place pixels.
        """
        xy = np.asarray(xy, float)
        rows = np.broadcast_to(np.asarray(rows), len(xy))
        place, where = np.full(len(xy), -1), np.zeros((len(xy), 2))
        for column in reversed(range(self.place.shape[1])):
            here = transform(self.matrix[rows, column], xy)
            shown = (self.place[rows, column] >= 0) & self._covers(self.mask[rows, column], here)
            place[shown], where[shown] = self.place[rows[shown], column], here[shown]
        return place, where

    def find(self, place: int, where: ArrayLike, *, margin_px: float = 0.0) -> tuple[Floats, Flags]:
        """Return where every picture shows a spot of a place.

        Parameters
        ----------
        place : int
        where : array, shape (2,)
            Place pixels x, y.
        margin_px : float
            A spot counts as visible only this far inside the picture.

        Returns
        -------
        xy : array, shape (row, 2)
            Picture pixels; NaN in pictures without that place.
        visible : array of bool, shape (row,)
            Whether the spot lies inside the picture and nothing covers it.
        """
        layer, shown = self._layer(place)
        rows = np.arange(len(self.ids))
        xy = transform(invert(self.matrix[rows, layer]), np.broadcast_to(np.asarray(where, float), (len(rows), 2)))
        inside = shown & np.all((xy > margin_px) & (xy < SIZE_PX - margin_px), axis=1)
        visible = inside & (self.at(rows, xy)[0] == place)
        return np.where(shown[:, None], xy, np.nan), visible

    def pixels_per_pixel(self, place: int) -> Floats:
        """Return how many place pixels one picture pixel spans, (row,); NaN in pictures without that place."""
        layer, shown = self._layer(place)
        linear = self.matrix[np.arange(len(self.ids)), layer][:, :, :2]
        return np.where(shown, np.sqrt(np.abs(np.linalg.det(linear))), np.nan)

    def _layer(self, place: int) -> tuple[Indices, Flags]:
        """Return the topmost layer (row,) that shows a place, and whether there is one."""
        same = self.place == place
        return np.argmax(same, axis=1), same.any(axis=1)

    def _covers(self, mask: Indices, where: Floats) -> Flags:
        """Whether place points (point, 2) lie on their layer's mask; -1 covers everything."""
        covered = mask < 0
        for number in np.unique(mask[mask >= 0]):
            shape = self.masks[number].shape
            points = np.flatnonzero(mask == number)
            x, y = np.floor(where[points] - self.origins[number]).astype(int).T
            inside = (x >= 0) & (y >= 0) & (x < shape[1]) & (y < shape[0])
            covered[points[inside]] = self.masks[number][y[inside], x[inside]]
        return covered
