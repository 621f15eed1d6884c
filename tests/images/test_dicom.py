"""DICOM pictures, written by pydicom, as a viewer would show them."""

import io
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vfs_panel.errors import ImageError
from vfs_panel.images.dataset import ImageDataset
from vfs_panel.images.dicom import windowed
from vfs_panel.images.reading import is_picture, read_rgb

pydicom = pytest.importorskip("pydicom")
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset  # noqa: E402
from pydicom.encaps import encapsulate  # noqa: E402
from pydicom.uid import (  # noqa: E402
    ExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)

CT, REPORT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.88.11"
RAMP = np.linspace(0, 4095, 64).astype(np.uint16).reshape(8, 8)


def dicom(
    values: np.ndarray, *, syntax: str = ExplicitVRLittleEndian, pixels: bytes | None = None, **tags: object
) -> bytes:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = tags.pop("storage", CT), "1.2.3"
    held = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    colour = values.ndim > 2 and values.shape[-1] == 3
    held.SOPClassUID, held.SOPInstanceUID = meta.MediaStorageSOPClassUID, "1.2.3"
    held.Rows, held.Columns = values.shape[-3:-1] if colour else values.shape[-2:]
    held.SamplesPerPixel = 3 if colour else 1
    held.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        held.PlanarConfiguration = 0
    held.BitsAllocated = held.BitsStored = values.dtype.itemsize * 8
    held.HighBit, held.PixelRepresentation = held.BitsStored - 1, int(values.dtype.kind == "i")
    held.PixelData = values.tobytes() if pixels is None else encapsulate([pixels])
    for keyword, value in tags.items():
        setattr(held, keyword, value)
    out = io.BytesIO()
    held.save_as(out)
    return out.getvalue()


def grey(data: bytes | Path) -> np.ndarray:
    rgb = read_rgb(data)
    assert rgb.dtype == np.uint8
    assert (rgb[..., 0] == rgb[..., 2]).all()
    return rgb[..., 0]


def test_without_a_window_the_range_is_shown() -> None:
    np.testing.assert_allclose(grey(dicom(RAMP)), RAMP / 4095 * 255, atol=1)
    padded = RAMP.astype(np.int16)
    padded[0, 0] = -2000
    found = grey(dicom(padded, PixelPaddingValue=-2000))
    assert found[0, 0] == 0
    np.testing.assert_allclose(found[0, 2:], (padded[0, 2:] - padded[0, 1]) / (4095 - padded[0, 1]) * 255, atol=1)


def test_slope_and_window() -> None:
    tags = {"RescaleSlope": 2, "RescaleIntercept": -1024, "WindowCenter": [40, 600], "WindowWidth": [400, 1500]}
    units = RAMP * 2.0 - 1024
    expected = np.clip((units - 39.5) / 399 + 0.5, 0, 1) * 255  # PS3.3 C.11.2.1.2.1
    np.testing.assert_allclose(grey(dicom(RAMP, **tags)), expected, atol=1)


def test_a_window_of_a_functional_group() -> None:
    window, group = Dataset(), Dataset()
    window.WindowCenter, window.WindowWidth = 1000, 501
    group.FrameVOILUTSequence = [window]
    found = grey(dicom(RAMP, SharedFunctionalGroupsSequence=[group]))
    np.testing.assert_allclose(found, np.clip((RAMP - 749.5) / 500, 0, 1) * 255, atol=1)


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize(("centre", "width"), [(2000, 1000), (100.5, 3.0), (4000, 4096)])
def test_windows_agree_with_pydicom(function: str, centre: float, width: float) -> None:
    held = Dataset()
    held.PhotometricInterpretation, held.BitsStored, held.PixelRepresentation = "MONOCHROME2", 12, 0
    held.WindowCenter, held.WindowWidth, held.VOILUTFunction = centre, width, function
    theirs = pydicom.pixels.apply_windowing(RAMP, held) / 4095 * 255
    np.testing.assert_allclose(windowed(RAMP, centre, width, function), theirs, atol=1)


def test_narrow_windows_by_hand() -> None:
    assert windowed(np.array([0.5, 1.5, 2.5]), 2, 3).tolist() == [0, 128, 255]
    assert windowed(np.array([1.5, 1.6]), 2, 1).tolist() == [0, 255]
    assert windowed(np.array([1.0, 2.0, 3.0]), 2, 2, "LINEAR_EXACT").tolist() == [0, 128, 255]
    assert windowed(np.array([-1e6, 2.0, 1e6]), 2, 2, "SIGMOID").tolist() == [0, 128, 255]


def test_a_lookup_table_comes_before_a_window() -> None:
    table = Dataset()
    table.LUTDescriptor = [4096, 0, 16]
    table.LUTData = np.arange(4096, dtype="<u2")[::-1].tobytes()  # the table inverts
    found = grey(dicom(RAMP, VOILUTSequence=[table], WindowCenter=40, WindowWidth=400))
    np.testing.assert_allclose(found, 255 - RAMP / 4095 * 255, atol=1)


def test_monochrome1_is_inverted() -> None:
    found = grey(dicom(RAMP, PhotometricInterpretation="MONOCHROME1"))
    np.testing.assert_allclose(found, 255 - RAMP / 4095 * 255, atol=1)


def test_colour_and_palette() -> None:
    colour = np.random.default_rng(0).integers(0, 256, (6, 7, 3), np.uint8)
    assert (read_rgb(dicom(colour)) == colour).all()
    deep = (colour.astype(np.uint16) * 257).astype(np.uint16)
    assert (read_rgb(dicom(deep)) == colour).all()
    tables = {
        f"{name}PaletteColorLookupTable{part}": value
        for name, entries in (("Red", [0, 65535]), ("Green", [0, 0]), ("Blue", [65535, 0]))
        for part, value in (("Descriptor", [2, 0, 16]), ("Data", np.array(entries, "<u2").tobytes()))
    }
    found = read_rgb(dicom(np.array([[0, 1]], np.uint8), PhotometricInterpretation="PALETTE COLOR", **tables))
    assert found.tolist() == [[[0, 0, 255], [255, 0, 0]]]


def test_of_several_frames_the_first() -> None:
    frames = np.stack([RAMP, RAMP[::-1] // 2])
    np.testing.assert_allclose(grey(dicom(frames, NumberOfFrames=2)), RAMP / 4095 * 255, atol=1)


def test_compressed_pixels() -> None:
    smooth = np.repeat(np.arange(0, 256, 4, dtype=np.uint8)[None], 64, axis=0)
    jpeg = io.BytesIO()
    Image.fromarray(smooth).save(jpeg, "JPEG", quality=95)
    found = grey(dicom(smooth, syntax=JPEGBaseline8Bit, pixels=jpeg.getvalue(), WindowCenter=128, WindowWidth=256))
    np.testing.assert_allclose(found, smooth, atol=3)
    held = pydicom.dcmread(io.BytesIO(dicom(RAMP)))
    held.compress(RLELossless, generate_instance_uid=False)
    packed = io.BytesIO()
    held.save_as(packed)
    np.testing.assert_allclose(grey(packed.getvalue()), RAMP / 4095 * 255, atol=1)


@pytest.mark.skipif(
    any(find_spec(plugin) for plugin in ("jpeg_ls", "pylibjpeg", "gdcm")), reason="a decoder for JPEG-LS is installed"
)
def test_a_missing_decoder_is_named() -> None:
    with pytest.raises(ImageError, match=r"compressed as JPEG-LS.*pylibjpeg"):
        read_rgb(dicom(RAMP, syntax=JPEGLSLossless, pixels=b"\xff\xd8\xff\xf7" + b"\0" * 40), name="knee.dcm")


def test_films_are_not_read() -> None:
    with pytest.raises(ImageError, match=r"knee\.dcm is compressed as MPEG2"):
        read_rgb(dicom(RAMP, syntax="1.2.840.10008.1.2.4.100", pixels=b"\0" * 40), name="knee.dcm")


def test_ending_and_preamble_tell_dicom(tmp_path: Path) -> None:
    (tmp_path / "a.dcm").write_bytes(dicom(RAMP))
    (tmp_path / "IM0001").write_bytes(dicom(RAMP))
    (tmp_path / "bare.dcm").write_bytes(dicom(RAMP)[132:])  # without a preamble, as old software wrote it
    (tmp_path / "report.dcm").write_bytes(dicom(RAMP, storage=REPORT))
    (tmp_path / "wrong.dcm").write_text("no DICOM at all")
    images = ImageDataset.from_folder(tmp_path)
    assert images.ids == ["IM0001", "a.dcm", "bare.dcm"]
    assert dict(images.skipped) == {"report.dcm": "DICOM without pixels", "wrong.dcm": "not a picture"}
    for image_id in images.ids:
        np.testing.assert_allclose(images.rgb(image_id)[..., 0], RAMP / 4095 * 255, atol=1)


def test_what_cannot_be_shown_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ImageError, match=r"knee\.dcm cannot be read"):
        read_rgb(dicom(RAMP)[:-40], name="knee.dcm")
    held = pydicom.dcmread(io.BytesIO(dicom(RAMP)))
    del held.PixelData
    out = io.BytesIO()
    held.save_as(out)
    with pytest.raises(ImageError, match=r"knee\.dcm holds no pixels"):
        read_rgb(out.getvalue(), name="knee.dcm")
    with pytest.raises(ImageError, match="65000×65000 pixels"):
        read_rgb(dicom(RAMP, Rows=65000, Columns=65000), name="knee.dcm")
    file = tmp_path / "a.dcm"
    file.write_bytes(dicom(RAMP))
    monkeypatch.setitem(sys.modules, "pydicom", None)
    monkeypatch.setattr("vfs_panel.images.dicom.find_spec", lambda name: None)
    assert "vfs_panel[dicom]" in str(is_picture(file))
    with pytest.raises(ImageError, match=r'pip install "vfs_panel\[dicom\]"'):
        read_rgb(file)
