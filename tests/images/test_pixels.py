"""Values of any type and number of channels become 8-bit RGB."""

import numpy as np
import pytest

from vfs_panel.images.pixels import rgb_from, to_8_bit


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([False, True]), [0, 255]),
        (np.array([0, 7, 255], np.uint8), [0, 7, 255]),
        (np.array([0, 7, 200], np.uint16), [0, 7, 200]),
        (np.array([0, 2048, 4095], np.uint16), [0, 128, 255]),  # 12 bits in a 16-bit file
        (np.array([0, 32768, 65535], np.uint16), [0, 128, 255]),
        (np.array([0, 32768, 65535], ">u2"), [0, 128, 255]),
        (np.array([-1000, 0, 1000], np.int16), [0, 128, 255]),
        (np.array([0, 70_000, 140_000], np.int32), [0, 128, 255]),
        (np.array([0, 0.5, 1], np.float32), [0, 128, 255]),
        (np.array([0, 50, 100], np.float64), [0, 50, 100]),
        (np.array([-1, 0, 1], np.float32), [0, 128, 255]),
        (np.array([0, 300, 600], np.float32), [0, 128, 255]),
        (np.array([np.nan, 0, 0.5, np.inf], np.float32), [0, 0, 128, 0]),
        (np.array([np.nan, np.nan], np.float32), [0, 0]),
        (np.array([-5, -5], np.int16), [0, 0]),
    ],
)
def test_ranges(values: np.ndarray, expected: list[int]) -> None:
    found = to_8_bit(values)
    assert found.dtype == np.uint8
    assert found.tolist() == expected


def test_channels() -> None:
    grey = np.array([[10, 20]], np.uint8)
    assert rgb_from(grey).tolist() == [[[10] * 3, [20] * 3]]
    assert rgb_from(grey[..., None]).shape == (1, 2, 3)
    half_black = np.array([[[0, 128]]], np.uint8)
    assert rgb_from(half_black).tolist() == [[[127, 127, 127]]]
    assert rgb_from(np.array([[[200, 0, 0, 255], [200, 0, 0, 0]]], np.uint8)).tolist() == [[[200, 0, 0], [255] * 3]]
