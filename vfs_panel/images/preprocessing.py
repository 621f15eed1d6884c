"""How a picture becomes a network's input, and where each painted pixel lands. The one place that knows.

Coordinates are continuous, x to the right and y down, with pixel edges at whole numbers: a picture of width w
spans 0..w, and the middle of its first pixel is 0.5. Arrays are in (y, x) order, points in (x, y) order.
"""

import json
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vfs_panel.errors import ImageError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
_FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}


@dataclass(frozen=True, slots=True)
class Geometry:
    """The affine map between a picture and a network's input: input = scale · picture + offset, per axis.

    Attributes
    ----------
    picture_px, input_px : (height, width) in pixels of each.
    scale : (y, x), input pixels per picture pixel.
    offset : (y, x), input pixels; negative where the picture is cropped.
    """

    picture_px: tuple[int, int]
    input_px: tuple[int, int]
    scale: tuple[float, float]
    offset: tuple[float, float]

    def to_input(self, xy: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Map picture points (..., 2) as (x, y) to input points (..., 2)."""
        mapped: NDArray[np.float64] = np.asarray(xy, np.float64) * self.scale[::-1] + self.offset[::-1]
        return mapped

    def to_picture(self, xy: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Map input points (..., 2) as (x, y) to picture points (..., 2)."""
        mapped: NDArray[np.float64] = (np.asarray(xy, np.float64) - self.offset[::-1]) / self.scale[::-1]
        return mapped

    @property
    def frame(self) -> tuple[float, float, float, float]:
        """The part of the picture that the network sees: x0, y0, x1, y1 in picture pixels."""
        height, width = self.input_px
        (x0, y0), (x1, y1) = self.to_picture(np.array([[0.0, 0.0], [width, height]]))
        picture_h, picture_w = self.picture_px
        return (max(x0, 0.0), max(y0, 0.0), min(x1, float(picture_w)), min(y1, float(picture_h)))

    def cell_box(
        self, y: int, x: int, height: int, width: int, *, grid: tuple[int, int]
    ) -> tuple[float, float, float, float]:
        """Return the picture rectangle (x0, y0, x1, y1) under a window of feature cells.

        A grid of (rows, columns) cells tiles the network's input evenly; this is also how a mask is brought to
        the grid, so a painted pixel and the lit patch on a match agree.
        """
        step_y, step_x = self.input_px[0] / grid[0], self.input_px[1] / grid[1]
        corners = np.array([[x * step_x, y * step_y], [(x + width) * step_x, (y + height) * step_y]])
        (x0, y0), (x1, y1) = self.to_picture(corners)
        return (x0, y0, x1, y1)


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """Resize, centre crop and normalise, as published with a network's weights.

    Attributes
    ----------
    resize_px : int, the length that the shorter side is resized to; (height, width), a fixed size; None, no resize.
    crop_px : (height, width) of the centre crop; None, no crop. A picture smaller than the crop is padded with black.
    mean, std : one value per channel, subtracted from and dividing values in 0..1.
    interpolation : "nearest", "bilinear" or "bicubic", always antialiased.
    """

    resize_px: int | tuple[int, int] | None = 256
    crop_px: tuple[int, int] | None = (224, 224)
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    interpolation: str = "bilinear"

    def __post_init__(self) -> None:
        if self.interpolation not in _FILTERS:
            raise ImageError(
                f"Interpolation {self.interpolation!r} is not known; use one of {', '.join(sorted(_FILTERS))}."
            )
        if len(self.mean) != len(self.std) or len(self.mean) not in (1, 3):
            raise ImageError(
                f"mean has {len(self.mean)} values and std {len(self.std)}; both need 1 (grey) or 3 (RGB)."
            )
        if any(value <= 0 for value in self.std):
            raise ImageError(f"std is {self.std}; every value must be above 0.")

    def resized_px(self, height: int, width: int) -> tuple[int, int]:
        """Return (height, width) after the resize; the longer side is cut to whole pixels, as torchvision does."""
        if self.resize_px is None:
            return height, width
        if not isinstance(self.resize_px, int):
            return self.resize_px
        if height <= width:
            return self.resize_px, max(1, int(self.resize_px * width / height))
        return max(1, int(self.resize_px * height / width)), self.resize_px

    def input_px(self, height: int, width: int) -> tuple[int, int]:
        """Return (height, width) of the network's input for a picture of this size."""
        return self.crop_px or self.resized_px(height, width)

    def _crop_corner(self, resized: tuple[int, int]) -> tuple[int, int]:
        """Return the crop's (top, left) in the resized picture; negative where the picture is padded."""
        if self.crop_px is None:
            return 0, 0
        corner = []
        for have, want in zip(resized, self.crop_px, strict=True):
            # torchvision pads a small picture by (want - have) // 2 before, and rounds the crop half to even.
            corner.append(round((have - want) / 2) if have >= want else -((want - have) // 2))
        return corner[0], corner[1]

    def geometry(self, height: int, width: int) -> Geometry:
        """Return where a picture of this size lands in the network's input."""
        if height < 1 or width < 1:
            raise ImageError(f"The picture is {width}×{height} pixels; it needs at least one.")
        resized = self.resized_px(height, width)
        top, left = self._crop_corner(resized)
        return Geometry(
            picture_px=(height, width),
            input_px=self.input_px(height, width),
            scale=(resized[0] / height, resized[1] / width),
            offset=(-float(top), -float(left)),
        )

    def frame(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the picture as the network sees it, before normalising.

        Parameters
        ----------
        rgb : uint8 array, shape (y, x, 3).

        Returns
        -------
        uint8 array, shape (input_y, input_x, 3).
        """
        height, width = rgb.shape[:2]
        resized_h, resized_w = self.resized_px(height, width)
        image = Image.fromarray(rgb)
        if (resized_h, resized_w) != (height, width):
            image = image.resize((resized_w, resized_h), _FILTERS[self.interpolation])
        if self.crop_px is not None:
            top, left = self._crop_corner((resized_h, resized_w))
            image = image.crop((left, top, left + self.crop_px[1], top + self.crop_px[0]))
        return np.asarray(image)

    def array(self, rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the network's input for a picture, normalised.

        Parameters
        ----------
        rgb : uint8 array, shape (y, x, 3).

        Returns
        -------
        float32 array, shape (channel, y, x), with as many channels as `mean` has values.
        """
        values: NDArray[np.float32] = self.frame(rgb).astype(np.float32) / np.float32(255)
        if len(self.mean) == 1:
            values = np.dot(values, np.array([[0.299], [0.587], [0.114]], np.float32))
        values -= np.array(self.mean, np.float32)
        values /= np.array(self.std, np.float32)
        return np.ascontiguousarray(values.transpose(2, 0, 1))

    def in_words(self) -> str:
        """Return what is done to a picture, in words."""
        steps = []
        if isinstance(self.resize_px, int):
            steps.append(f"shorter side to {self.resize_px} px ({self.interpolation})")
        elif self.resize_px is not None:
            steps.append(f"resized to {self.resize_px[1]} × {self.resize_px[0]} px ({self.interpolation})")
        if self.crop_px is not None:
            steps.append(f"middle {self.crop_px[1]} × {self.crop_px[0]} px")
        mean, std = (", ".join(f"{value:.4g}" for value in values) for values in (self.mean, self.std))
        steps.append(f"values less {mean}, divided by {std}")
        return "; ".join(steps)

    def to_json(self) -> str:
        """Return the preprocessing as one line of JSON, equal for equal preprocessing."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "Preprocessing":
        """Read what `to_json` wrote.

        Raises
        ------
        ImageError
            If the text is no preprocessing.
        """
        try:
            values = json.loads(text)
            for key in ("resize_px", "crop_px", "mean", "std"):
                if isinstance(values[key], list):
                    values[key] = tuple(values[key])
            return cls(**values)
        except (ValueError, TypeError, KeyError) as error:
            raise ImageError(f"Preprocessing {text[:80]!r} cannot be read: {error}.") from None
