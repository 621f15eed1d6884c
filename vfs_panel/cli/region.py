"""What `vfs-panel search` is asked for: a picture by id or file, a region by mask or box -> RegionQuery."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from vfs_panel.errors import ImageError, QueryError, StoreError
from vfs_panel.images.preprocessing import Geometry
from vfs_panel.images.reading import read_rgb
from vfs_panel.search.mask import paint, to_grid
from vfs_panel.search.stroke import Stroke
from vfs_panel.settings import settings

if TYPE_CHECKING:
    import xarray as xr

    from vfs_panel.features import FeatureSpec, FeatureStore
    from vfs_panel.search import RegionQuery


@dataclass(frozen=True, slots=True)
class QueryPicture:
    """The picture a region lies on.

    Attributes
    ----------
    store : what will be searched.
    image : the picture's id in the store, or the path of any picture file.
    inside : whether it is one of the store's.
    file : where it lies on this machine; None if it is not found.
    """

    store: "FeatureStore"
    image: str
    inside: bool
    file: Path | None

    @classmethod
    def find(cls, store: "FeatureStore", image: str, *, images: Path | None = None) -> "QueryPicture":
        """Look a picture up.

        Parameters
        ----------
        store, image : as the attributes; an id of the store wins over a file of that name.
        images : folder of the store's pictures, where they are not where they were.

        Raises
        ------
        StoreError
            If it is neither an id nor a file.
        """
        if image in store.index.index:
            path = Path(str(store.index.at[image, "path"]) or image)
            known = [store.pictures] if store.pictures else []
            folders = [images] if images else [*known, Path(), Path(store.path).parent]
            found = [folder / path for folder in folders if (folder / path).is_file()]  # an absolute path stays
            return cls(store, image, inside=True, file=found[0] if found else None)
        if not Path(image).is_file():
            store.row(image)  # says which id comes nearest
        return cls(store, image, inside=False, file=Path(image))

    def geometry(self) -> Geometry | None:
        """Return how the picture comes to the network; None if the picture is not found.

        Raises
        ------
        ImageError
            If the file is no picture.
        """
        if self.file is None:
            return None
        height, width = read_rgb(self.file).shape[:2]
        return self.store.preprocessing.geometry(height, width)

    def paint_box(self, box: tuple[float, float, float, float]) -> NDArray[np.uint8]:
        """Return what a rectangle (left, top, right, bottom in pixels of the picture) paints.

        Returns
        -------
        uint8 array, shape (input_y, input_x): 0 not painted … 255 painted.

        Raises
        ------
        ImageError, QueryError
            If the picture is not found, or the network does not see that part of it.
        """
        geometry = self.geometry()
        if geometry is None:
            raise ImageError(f"{self._not_found()}, or give a --mask of the size of the network's input.")
        alpha = paint([Stroke.box(*box)], geometry)
        if not alpha.any():
            raise QueryError(_unseen("box", geometry))
        return alpha

    def paint_mask(self, mask: Path, input_px: tuple[int, int]) -> NDArray[np.uint8]:
        """Return what a mask file paints; the file has the size of the picture, or of the network's input.

        Parameters
        ----------
        mask : see `read_alpha`.
        input_px : (height, width) of the network's input.

        Returns
        -------
        uint8 array, shape (input_y, input_x): 0 not painted … 255 painted.

        Raises
        ------
        ImageError, QueryError
            If the file is no picture, has another size, or nothing is painted in what the network sees.
        """
        given, geometry = read_alpha(mask), self.geometry()
        if not given.any():
            raise QueryError(f"Nothing is painted in {mask}: paint in white, or opaque on transparent.")
        if geometry is not None and given.shape == geometry.picture_px:
            # The mask goes the way of its picture, so that each painted pixel stays on what it was painted on.
            alpha = self.store.preprocessing.frame(np.repeat(given[..., None], 3, 2))[..., 0]
            if not alpha.any():
                raise QueryError(_unseen("painted part", geometry))
            return alpha
        if given.shape == input_px:
            return given
        got, seen = f"Mask {mask} has {_size(given.shape)} pixels", f"{_size(input_px)} as the network's input"
        if geometry is None:
            raise QueryError(f"{got}; expected {seen}. {self._not_found()}.")
        raise QueryError(
            f"{got}; expected {_size(geometry.picture_px)} as the picture {self.image}, or {seen}. "
            "Save the mask in one of these sizes."
        )

    def query(
        self,
        layer: str,
        alpha: NDArray[np.uint8],
        *,
        model: str | None = None,
        weights: str | None = None,
        strict: bool = True,
        trust_code: bool = False,
    ) -> "RegionQuery":
        """Return the query for what is painted, uint8 (input_y, input_x).

        Parameters
        ----------
        layer : one of the store's.
        alpha : from `paint_box` or `paint_mask`.
        model, weights, strict, trust_code : how to load the store's network, for a picture that is not in the store.

        Raises
        ------
        QueryError, StoreError, ImageError, NetworkError
            If the region is empty on the layer's grid, or the store's network cannot be had.
        """
        from vfs_panel.search import RegionQuery

        spec = self.store.spec(layer)
        mask = to_grid(alpha, spec.grid[1:])
        if self.inside:
            features = self.store.feature(layer, self.image)
            return RegionQuery.from_mask(features, mask, image_id=self.image, spec=spec)
        return RegionQuery.from_mask(self._extract(spec, model, weights, strict, trust_code), mask, spec=spec)

    def _extract(
        self, spec: "FeatureSpec", model: str | None, weights: str | None, strict: bool, trust_code: bool
    ) -> "xr.DataArray":
        """Return the features of a picture that is not in the store, by the store's own network."""
        from vfs_panel.features.origin import network_of
        from vfs_panel.models import Extractor

        if not spec.weights_sha256:
            raise StoreError(f"{self.store.name} holds features of another program; search for one of its pictures.")
        rgb = read_rgb(self.image)
        network = network_of(self.store, model, weights=weights, strict=strict, trust_code=trust_code)
        with Extractor(network, [spec.layer], device=settings().device, autocast=spec.autocast) as extractor:
            return extractor.features(rgb, spec.layer)

    def _not_found(self) -> str:
        return f"Picture {self.image} is not found on this machine; say where the pictures lie with --images FOLDER"


def _unseen(what: str, geometry: Geometry) -> str:
    x0, y0, x1, y1 = geometry.frame
    return (
        f"The {what} lies outside of what the network sees: {x0:.0f},{y0:.0f} to {x1:.0f},{y1:.0f} of the picture's "
        f"{_size(geometry.picture_px)} pixels. Move it there."
    )


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}×{shape[0]}"


def read_alpha(path: Path) -> NDArray[np.uint8]:
    """Read a mask file as uint8 (y, x), 255 where it is painted.

    Where the file has a transparent part, what is opaque is painted; else what is white.

    Raises
    ------
    ImageError
        If it is no picture that can be read.
    """
    try:
        with Image.open(path) as picture:
            has_alpha = "A" in picture.getbands() or "transparency" in picture.info
            alpha = np.asarray(picture.convert("RGBA"))[..., 3] if has_alpha else np.full(1, 255, np.uint8)
            return alpha if alpha.min() < 255 else np.asarray(picture.convert("L"))
    except FileNotFoundError:
        raise ImageError(f"Mask {path} does not exist.") from None
    except UnidentifiedImageError:
        raise ImageError(f"Mask {path} is no picture that can be read. Save it as PNG.") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ImageError(f"Mask {path} cannot be read: {error}. Save it as PNG.") from None


def parse_box(text: str) -> tuple[float, float, float, float]:
    """Read "x0,y0,x1,y1".

    Raises
    ------
    QueryError
        If the text is not four numbers.
    """
    try:
        x0, y0, x1, y1 = (float(part) for part in text.split(","))
    except ValueError:
        raise QueryError(
            f"The box is {text!r}; expected left,top,right,bottom in pixels, as in 40,60,96,128."
        ) from None
    return x0, y0, x1, y1


def _opened(path: Path) -> Image.Image:
    try:
        return Image.open(path)
    except FileNotFoundError:
        raise ImageError(f"Picture {path} does not exist.") from None
    except UnidentifiedImageError:
        raise ImageError(f"{path} is no picture that can be read. Use JPEG, PNG, WebP or TIFF.") from None
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise ImageError(f"{path} cannot be read: {error}.") from None
