"""The one geometry: a painted pixel, the network's input and a lit cell agree."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms import InterpolationMode
from torchvision.transforms import v2 as transforms

from vfs_panel.errors import ImageError
from vfs_panel.images.preprocessing import Preprocessing

sizes = st.integers(8, 300)


@given(height=sizes, width=sizes, resize=st.integers(16, 260), crop=st.integers(16, 260))
@settings(max_examples=60, deadline=None)
def test_same_input_size_and_pixels_as_torchvision(height: int, width: int, resize: int, crop: int) -> None:
    rgb = np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)
    ours = Preprocessing(resize_px=resize, crop_px=(crop, crop))
    theirs = transforms.Compose(
        [
            transforms.Resize(resize, interpolation=InterpolationMode.BILINEAR, antialias=True),
            transforms.CenterCrop(crop),
            transforms.ToImage(),
            transforms.ToDtype(torch.float32, scale=True),
            transforms.Normalize(ours.mean, ours.std),
        ]
    )
    from PIL import Image

    expected = theirs(Image.fromarray(rgb)).numpy()
    assert ours.array(rgb).shape == expected.shape
    np.testing.assert_allclose(ours.array(rgb), expected, atol=1e-5)


@given(
    height=sizes, width=sizes, resize=st.none() | st.integers(16, 260) | st.just((120, 90)),
    crop=st.none() | st.integers(16, 260),
)  # fmt: skip
@settings(max_examples=100, deadline=None)
def test_points_go_there_and_back(height: int, width: int, resize: object, crop: int | None) -> None:
    geometry = Preprocessing(resize_px=resize, crop_px=crop and (crop, crop)).geometry(height, width)  # type: ignore[arg-type]
    xy = np.random.default_rng(1).uniform(0, (width, height), (20, 2))
    np.testing.assert_allclose(geometry.to_picture(geometry.to_input(xy)), xy, atol=1e-9)


def test_a_mark_lands_where_the_geometry_says() -> None:
    rgb = np.zeros((300, 400, 3), np.uint8)
    rgb[120:140, 210:230] = 255
    preprocessing = Preprocessing(resize_px=256, crop_px=(224, 224))
    frame = preprocessing.frame(rgb)[..., 0] / 255
    y, x = np.mgrid[:224, :224] + 0.5
    middle = ((frame * x).sum() / frame.sum(), (frame * y).sum() / frame.sum())
    expected = preprocessing.geometry(300, 400).to_input(np.array([220.0, 130.0]))
    np.testing.assert_allclose(middle, expected, atol=0.3)


def test_frame_of_the_usual_crop_is_seven_eighths() -> None:
    assert Preprocessing().geometry(256, 256).frame == (16.0, 16.0, 240.0, 240.0)


def test_frame_never_leaves_a_small_padded_picture() -> None:
    geometry = Preprocessing(resize_px=None, crop_px=(224, 224)).geometry(100, 120)
    assert geometry.frame == (0.0, 0.0, 120.0, 100.0)


@given(rows=st.integers(1, 30), cols=st.integers(1, 30), height=sizes, width=sizes)
@settings(max_examples=50, deadline=None)
def test_all_cells_together_are_the_input(rows: int, cols: int, height: int, width: int) -> None:
    geometry = Preprocessing(resize_px=256, crop_px=(224, 224)).geometry(height, width)
    box = np.array(geometry.cell_box(0, 0, rows, cols, grid=(rows, cols))).reshape(2, 2)
    np.testing.assert_allclose(geometry.to_input(box), [[0, 0], [224, 224]], atol=1e-6)


def test_grey_networks_get_one_channel() -> None:
    rgb = np.full((10, 10, 3), 51, np.uint8)
    one = Preprocessing(resize_px=None, crop_px=None, mean=(0.0,), std=(1.0,)).array(rgb)
    assert one.shape == (1, 10, 10)
    np.testing.assert_allclose(one, 0.2, atol=1e-6)


def test_json_there_and_back() -> None:
    for preprocessing in (Preprocessing(), Preprocessing(resize_px=(30, 20), crop_px=None, interpolation="bicubic")):
        assert Preprocessing.from_json(preprocessing.to_json()) == preprocessing


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"resize_px": 1, "crop_px": null, "mean": [1], "std": [1], "no": 1}']
)
def test_other_text_is_no_preprocessing(text: str) -> None:
    with pytest.raises(ImageError, match="cannot be read"):
        Preprocessing.from_json(text)


@pytest.mark.parametrize("wrong", [{"interpolation": "magic"}, {"std": (0.0, 1.0, 1.0)}, {"mean": (0.5,)}])
def test_impossible_preprocessing_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ImageError):
        Preprocessing(**wrong)  # type: ignore[arg-type]
