"""Exports: a result as the bytes of a file, and what such a file is called. No browser, no session."""

import io
import re
from collections.abc import Callable
from dataclasses import dataclass

import xarray as xr

from vfs_panel.errors import VFSError
from vfs_panel.search.result import table, to_csv, to_json


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of file: its words, its media type, and how a result becomes one."""

    words: str
    media: str
    write: Callable[[xr.Dataset], bytes]


def to_parquet(result: xr.Dataset) -> bytes:
    """Return the matches as Parquet, a row each.

    Raises
    ------
    VFSError
        If pyarrow is not installed.
    """
    buffer = io.BytesIO()
    try:
        table(result).to_parquet(buffer)
    except ImportError:
        raise VFSError('Parquet needs pyarrow. Run: pip install "vfs_panel[parquet]"') from None
    return buffer.getvalue()


def to_netcdf(result: xr.Dataset) -> bytes:
    """Return the whole result as NetCDF 3: matches, every picture's score, mask and provenance."""
    plain = result.copy()
    for name, values in plain.variables.items():
        if values.dtype == object:
            plain[name] = values.astype(str)
        elif values.dtype.kind in "iu" and values.dtype.itemsize > 4:
            plain[name] = values.astype("int32")
    return bytes(plain.to_netcdf(engine="scipy"))


FORMATS = {
    "csv": Format("Matches as CSV", "text/csv", lambda result: to_csv(result).encode()),
    "parquet": Format("Matches as Parquet", "application/vnd.apache.parquet", to_parquet),
    "nc": Format("All scores as NetCDF", "application/x-netcdf", to_netcdf),
    "json": Format("Matches as JSON", "application/json", lambda result: to_json(result).encode()),
}


def file_name(*parts: str, suffix: str) -> str:
    """Return a file's name of some words, without anything that a file system minds."""
    words = [re.sub(r"[^A-Za-z0-9.-]+", "-", part).strip("-.")[:60] for part in parts]
    return "_".join(["vfs", *(word for word in words if word)]) + f".{suffix}"
