"""DICOM pictures -> uint8 RGB, as a viewer shows them: rescaled, windowed, first frame. Needs the extra "dicom"."""

import io
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vfs_panel.errors import ImageError
from vfs_panel.images.pixels import Pixels, rgb_from, stretch

SUFFIXES = frozenset({".dcm", ".dicom"})
HEAD_BYTES = 1024  # a file's start, enough to tell DICOM and its kind
_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
# Storage classes whose files hold no pixels: directories, waveforms, presentation states, reports, PDFs, plans.
_NO_PICTURES = tuple(
    f"1.2.840.10008.{kind}"
    for kind in ("1.3.10", "5.1.4.1.1.9.", "5.1.4.1.1.11.", "5.1.4.1.1.88.", "5.1.4.1.1.104.", "5.1.4.1.1.481.3",
                 "5.1.4.1.1.481.5", "5.1.4.1.1.66\0")
)  # fmt: skip


def is_dicom(head: bytes) -> bool:
    """Whether a file's first bytes are DICOM's preamble."""
    return head[128:132] == b"DICM"


def why_unreadable(head: bytes) -> str | None:
    """Say why a DICOM file gives no picture, as far as its first bytes tell; None if it may well give one."""
    at = head.find(b"\x02\x00\x02\x00UI")  # (0002,0002) Media Storage SOP Class UID
    if at > 0:
        length = int.from_bytes(head[at + 6 : at + 8], "little")
        storage = head[at + 8 : at + 8 + length].decode("ascii", "replace").rstrip("\0") + "\0"
        if storage.startswith(_NO_PICTURES):
            return "DICOM without pixels"
    return None if find_spec("pydicom") else 'DICOM, which needs: pip install "vfs_panel[dicom]"'


def read_dicom(source: Path | bytes, label: str, max_pixels: int) -> NDArray[np.uint8]:
    """Read the first frame of a DICOM file as uint8 RGB, shape (y, x, 3).

    Grey pictures go through the modality LUT or rescale slope and intercept, then through the VOI LUT or the first
    window that the file holds; without either, the frame's own least and greatest value (padding aside) become
    black and white. MONOCHROME1 is inverted. Colour pictures of any photometric interpretation become RGB.

    Parameters
    ----------
    source : a path, or a file's bytes.
    label : what to call it in an error.
    max_pixels : how many pixels a frame may have.

    Raises
    ------
    ImageError
        If pydicom is missing, the file holds no pixels or too many, or a decoder that it needs is not installed.
    """
    try:
        import pydicom
        from pydicom.pixels import apply_color_lut, pixel_array
    except ImportError:
        raise ImageError(
            f'{label} is a DICOM picture, and pydicom is not installed. Run: pip install "vfs_panel[dicom]"'
        ) from None
    held = pydicom.dcmread(io.BytesIO(source) if isinstance(source, bytes) else source, force=True)
    if not any(name in held for name in _PIXELS):
        raise ImageError(f"{label} holds no pixels. Expected a DICOM picture, not a report or a directory.")
    height, width = int(held.get("Rows") or 0), int(held.get("Columns") or 0)
    if height * width > max_pixels:
        raise ImageError(
            f"{label} has {width}×{height} pixels; at most {max_pixels // 1_000_000} million are read. Scale it down."
        )
    syntax = _transfer_syntax(held)
    try:
        frame = pixel_array(held, index=0)
    except NotImplementedError:
        raise ImageError(f"{label} is compressed as {syntax.name}, which pydicom does not read.") from None
    except RuntimeError as error:
        if "missing dependencies" not in str(error):
            raise
        raise ImageError(
            f"{label} is compressed as {syntax.name}, and no decoder for that is installed. "
            'Try: pip install "pylibjpeg[all]"'
        ) from None
    if held.get("PhotometricInterpretation") == "PALETTE COLOR":
        frame = apply_color_lut(frame, held)
        return rgb_from(stretch(frame, 0, 65535 if frame.dtype == np.uint16 else 255))
    if int(held.get("SamplesPerPixel", 1)) > 1:
        return rgb_from(stretch(frame, 0, 2 ** int(held.BitsStored) - 1) if frame.dtype != np.uint8 else frame)
    grey = _grey(frame, held)
    return rgb_from(255 - grey if held.get("PhotometricInterpretation") == "MONOCHROME1" else grey)


def _transfer_syntax(held: Any) -> Any:
    """Return the transfer syntax; for a bare data set without a file header, set the one it was read in."""
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

    if getattr(held, "file_meta", None) is None:
        held.file_meta = FileMetaDataset()
    if "TransferSyntaxUID" not in held.file_meta:
        implicit = held.original_encoding[0] is not False
        held.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    return held.file_meta.TransferSyntaxUID


def _grey(frame: Pixels, held: Any) -> NDArray[np.uint8]:
    from pydicom.pixels import apply_modality_lut, apply_voi

    rescale = _part(held, "RescaleSlope", "PixelValueTransformationSequence")
    voi = _part(held, "WindowCenter", "FrameVOILUTSequence")
    values = apply_modality_lut(frame, rescale)
    tables = held.get("VOILUTSequence")
    if tables:
        looked_up = apply_voi(values, held)
        # Tables often fill fewer bits than they declare, so their greatest entry is white.
        return stretch(looked_up, 0, float(np.max(np.asarray(_entries(tables[0]), np.int64))))
    if voi.get("WindowCenter") is not None and voi.get("WindowWidth") is not None:
        return windowed(
            values, _first(voi.WindowCenter), _first(voi.WindowWidth), str(voi.get("VOILUTFunction") or "LINEAR")
        )
    kept = np.isfinite(values)
    if "PixelPaddingValue" in held:
        kept &= frame != held.PixelPaddingValue
    kept = kept if kept.any() else np.ones_like(kept)
    return stretch(values, float(values[kept].min()), float(values[kept].max()))


def _part(held: Any, keyword: str, sequence: str) -> Any:
    """Return the data set that holds a keyword: the file's own, or one of its functional groups' for frame 1."""
    if keyword in held:
        return held
    for groups in ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence"):
        found = held.get(groups)
        if found and found[0].get(sequence) and keyword in found[0][sequence][0]:
            return found[0][sequence][0]
    return held


def _first(value: Any) -> float:
    return float(value[0] if hasattr(value, "__len__") and not isinstance(value, str) else value)


def _entries(table: Any) -> Any:
    data = table.LUTData
    return np.frombuffer(data, "<u2") if isinstance(data, bytes) else data


def windowed(values: Pixels, centre: float, width: float, function: str = "LINEAR") -> NDArray[np.uint8]:
    """Show a window of values as 0..255 (DICOM PS3.3, C.11.2.1.2 and C.11.2.1.3).

    Parameters
    ----------
    values : array of any shape, after the modality LUT.
    centre, width : as in the file, in the unit of the values.
    function : "LINEAR", "LINEAR_EXACT" or "SIGMOID".
    """
    if function == "SIGMOID" and width > 0:
        steep = np.clip(-4 * (values.astype(np.float64) - centre) / width, -700, 700)
        return stretch(1 / (1 + np.exp(steep)), 0, 1)
    if function == "LINEAR_EXACT" and width > 0:
        return stretch(values, centre - width / 2, centre + width / 2)
    if width > 1:
        return stretch(values, centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2)
    return (values > centre - 0.5).astype(np.uint8) * np.uint8(255)  # a width of 1 is a threshold
