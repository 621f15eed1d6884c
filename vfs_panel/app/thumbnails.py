"""Thumbnails: picture id -> JPEG data URL of the picture as the network sees it, each made once."""

import base64
import io
import threading
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vfs_panel.errors import ImageError
from vfs_panel.images.dataset import ImageDataset
from vfs_panel.images.preprocessing import Preprocessing

MATCH_PX = 192
"""Side of the thumbnails in use: the patches of the match grid, and smaller ones of the same pictures."""

_KEPT = 6000  # about 40 MB of text at 192 px
_GREY = np.full((32, 32, 3), 128, np.uint8)


def data_url(picture: NDArray[np.uint8], *, kind: str = "JPEG", **options: Any) -> str:
    """Encode a uint8 picture (y, x, 3 or 4) as a data URL."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def shrink(picture: NDArray[np.uint8], side_px: int) -> NDArray[np.uint8]:
    """Scale a picture down so that its longer side is at most `side_px`."""
    if max(picture.shape[:2]) <= side_px:
        return picture
    image = Image.fromarray(picture)
    image.thumbnail((side_px, side_px), Image.Resampling.LANCZOS)
    return np.asarray(image)


class Thumbnails:
    """Data URLs of a data set's pictures under one preprocessing; safe to use from several threads.

    A picture that cannot be read is grey: the matches stay, and their words say which picture it is.
    """

    def __init__(self, images: ImageDataset, preprocessing: Preprocessing) -> None:
        self._images, self._preprocessing = images, preprocessing
        self._urls: OrderedDict[tuple[str, int], str] = OrderedDict()
        self._lock = threading.Lock()

    def url(self, image_id: str, side_px: int = MATCH_PX) -> str:
        """Return the data URL of a picture, its longer side at most `side_px`."""
        key = (image_id, side_px)
        with self._lock:
            if key in self._urls:
                self._urls.move_to_end(key)
                return self._urls[key]
        try:
            frame = self._preprocessing.frame(self._images.rgb(image_id))
        except (ImageError, OSError):
            frame = _GREY
        url = data_url(shrink(frame, side_px), quality=86)
        with self._lock:
            self._urls[key] = url
            while len(self._urls) > _KEPT:
                self._urls.popitem(last=False)
        return url

    def urls(self, image_ids: Iterable[str], side_px: int = MATCH_PX) -> dict[str, str]:
        """Return data URLs by id."""
        return {image_id: self.url(image_id, side_px) for image_id in dict.fromkeys(image_ids)}
