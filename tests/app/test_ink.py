"""The canvas shows the painted mask where it was painted, on pictures of any shape."""

import base64
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from vfs_panel.app.ink import NO_INK, Fit, ink_url
from vfs_panel.images.preprocessing import Preprocessing
from vfs_panel.search import Stroke
from vfs_panel.search.mask import paint


def decoded(url: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.split(",", 1)[1]))).convert("RGBA"))


@settings(deadline=None)
@given(st.integers(1, 900), st.integers(1, 900), st.floats(0, 1), st.floats(0, 1))
def test_canvas_and_picture_are_inverse(height: int, width: int, across: float, down: float) -> None:
    fit = Fit((height, width), 384)
    x, y = across * width, down * height
    at = fit.to_canvas((x, y, x, y))
    assert fit.to_picture(*at[:2]) == pytest.approx((x, y), abs=1e-6)
    assert -1e-6 <= at[0] <= 384 + 1e-6
    assert -1e-6 <= at[1] <= 384 + 1e-6


@pytest.mark.parametrize("picture_px", [(224, 224), (200, 320), (320, 200)])
def test_ink_lies_under_the_stroke(picture_px: tuple[int, int]) -> None:
    geometry = Preprocessing(resize_px=256, crop_px=(224, 224)).geometry(*picture_px)
    height, width = picture_px
    x, y, radius = width * 0.6, height * 0.4, 20.0
    ink = decoded(ink_url(paint([Stroke(((x, y),), radius)], geometry), geometry, 384))[..., 3]
    fit = Fit(picture_px, 384)
    rows, columns = np.nonzero(ink > 40)
    cx, cy, _, _ = fit.to_canvas((x, y, x, y))
    assert columns.mean() + 0.5 == pytest.approx(cx, abs=1.5)
    assert rows.mean() + 0.5 == pytest.approx(cy, abs=1.5)
    assert np.ptp(columns) + 1 == pytest.approx(2 * radius * fit.scale, abs=3)


def test_what_the_network_does_not_see_gets_no_ink() -> None:
    geometry = Preprocessing(resize_px=256, crop_px=(224, 224)).geometry(200, 400)
    alpha = paint([Stroke(((5.0, 100.0), (395.0, 100.0)), 10.0)], geometry)
    ink = decoded(ink_url(alpha, geometry, 384))[..., 3]
    x0, _, x1, _ = Fit((200, 400), 384).to_canvas(geometry.frame)
    assert ink[:, : int(x0) - 1].max() == 0
    assert ink[:, int(x1) + 2 :].max() == 0
    assert ink.max() > 100


def test_an_empty_drawing_has_invisible_ink() -> None:
    geometry = Preprocessing().geometry(256, 256)
    assert ink_url(np.zeros((224, 224), np.uint8), geometry, 384) == NO_INK
    assert decoded(NO_INK)[..., 3].max() == 0
