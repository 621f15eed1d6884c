import base64
import io

import numpy as np
from PIL import Image

from vfs_panel.plots.thumbnails import data_url, grey


def test_data_url_is_the_picture_scaled_down() -> None:
    rgb = np.zeros((300, 600, 3), np.uint8)
    rgb[:, :300, 0] = 250
    head, body = data_url(rgb, max_side_px=100).split(",")
    image = Image.open(io.BytesIO(base64.b64decode(body)))
    assert head == "data:image/jpeg;base64"
    assert image.size == (100, 50)
    left, right = image.getpixel((10, 25)), image.getpixel((90, 25))
    assert left[0] > 230
    assert right[0] < 20


def test_a_small_picture_is_not_enlarged() -> None:
    url = data_url(np.zeros((8, 9), np.uint8))
    assert Image.open(io.BytesIO(base64.b64decode(url.split(",")[1]))).size == (9, 8)


def test_grey_keeps_the_order_of_brightness() -> None:
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    pale = grey(ramp)[0].astype(int)
    assert (np.diff(pale) >= 0).all()
    assert pale[0] > 10
    assert pale[128] > 128
