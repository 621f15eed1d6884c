"""Features in another program's Zarr -> a store, read by chunks: it may be larger than memory.

Such as the cache of visualfeaturesearch: a Zarr v2 group, one array (image, channel, y, x) per layer. It is laid out
with zeros and then filled, and Zarr reads a chunk that was never written as zeros. So pictures that the other program
had not come to when it was stopped look like pictures without features; here they are found and named.
"""

import difflib
import logging
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import zarr
from numpy.typing import NDArray

from vfs_panel.errors import StoreError
from vfs_panel.features import layout
from vfs_panel.features.arrays import WHOLE_PICTURE, Progress, index_of, write_sources
from vfs_panel.features.files import first_words, is_url
from vfs_panel.features.sources import AXES, TOKEN_AXES, Source
from vfs_panel.features.store import FeatureStore
from vfs_panel.images.dataset import ImageDataset
from vfs_panel.images.opening import open_images
from vfs_panel.images.preprocessing import Preprocessing

log = logging.getLogger(__name__)
_SHOWN = 8  # names in a message
_SCALED = ("scale_factor", "add_offset")  # of codes, by the CF conventions
_EXTRA_TOKENS = (0, 1, 2, 5)  # none, a class token, a distillation token too, or four registers
_BLOSC_HEAD = 16  # bytes; the last four are the chunk's length
_TAIL_MB = 64.0  # read at a time in the search for the last picture that has features


def store_from_zarr(
    path: Path | str,
    *,
    out: Path | str,
    layers: Iterable[str] | Mapping[str, str] | None = None,
    images: ImageDataset | Path | str | None = None,
    image: Iterable[object] | None = None,
    domain: Iterable[object] | None = None,
    label: Iterable[object] | None = None,
    split: Iterable[object] | None = None,
    dtype: str = "float16",
    compression: str = "none",
    axes: str = "image channel y x",
    network: str | None = None,
    weights_sha256: str = "",
    preprocessing: Preprocessing = WHOLE_PICTURE,
    input_px: tuple[int, int] | None = None,
    on_missing: str = "stop",
    progress: Progress | None = None,
) -> FeatureStore:
    """Write the features in another program's Zarr (version 2 or 3) to a store.

    It is read by chunks, about VFS_MEMORY_MB (by default 1 GB) at a time. A run that was stopped goes on at the block
    where it stopped when it is called again in the same way.

    Parameters
    ----------
    path : a Zarr group's folder, such as a cache of visualfeaturesearch, or one array's.
    out : where the store is written; there must be nothing yet, or the same pictures with other layers.
    layers : names of arrays, or a dict of array -> the layer's name as the network has it; by default all arrays of
        floating-point numbers that have as many axes as `axes`.
    images : whose features they are, in the order of the array's rows: a set of pictures, or what `open_images` opens,
        such as a folder (in the order of its paths) or a list.
    image : ids instead of `images`; "0", "1", … by default.
    domain, label, split : one value per picture, in place of what `images` says.
    dtype, compression : as in `extract`.
    axes : what the array's axes are: image, channel, y, x in any order, as in "image y x channel"; or image, token,
        channel: the patches of a transformer by rows, class and register tokens first, which are dropped.
    network, weights_sha256 : what made the features, for provenance; by default the Zarr's name.
    preprocessing, input_px : how the pictures came to the network; by default the grid covers the whole picture.
    on_missing : "stop" raises where pictures have no features: no chunk of theirs was written, or they hold zeros to
        the array's end. "skip" marks those as broken, which are never searched, and takes the others.
    progress : called with (pictures done, pictures in all).

    Returns
    -------
    FeatureStore, opened. Its pictures are sorted by domain, then label; ids stay with their features.

    Raises
    ------
    StoreError
        If there is no such Zarr, array or grid, counts do not agree, pictures have no features (named), a chunk is
        damaged, or a feature is NaN, infinite, or too large for float16.
    ImageError
        If `images` is no set of pictures.
    """
    if on_missing not in ("stop", "skip"):
        raise StoreError(f"on_missing is {on_missing!r}; expected 'stop' or 'skip'.")
    place = _folder(path)
    order = _axes(axes)
    arrays = _chosen(place, layers, len(order))
    sources = {
        layer: _source(array, _called(place, name), order, input_px or preprocessing.crop_px)
        for layer, (name, array) in arrays.items()
    }
    n = _count(place, sources)
    columns = {"domain": domain, "label": label, "split": split}
    index, findings, pictures = _index(n, images, image, columns, place)
    missing = {layer: _without_features(source, place) for layer, source in sources.items()}
    if on_missing == "stop":
        for layer, rows in missing.items():
            if rows.any():
                raise StoreError(_without_words(sources[layer], rows, index))
    broken = np.logical_or.reduce(list(missing.values()))
    if broken.all():
        raise StoreError(f"{place} has features for none of its {n} pictures. Run the program that wrote it again.")
    if broken.any():
        log.warning("Marked as broken, having no features: %d of %d pictures of %s.", broken.sum(), n, place)
    return write_sources(
        sources, index, out=out, dtype=dtype, compression=compression,
        network=place.stem if network is None else network, weights_sha256=weights_sha256,
        preprocessing=preprocessing, input_px=input_px, pictures=pictures, findings=findings, broken=broken,
        progress=progress,
    )  # fmt: skip


def _called(place: Path, name: str) -> str:
    return f"array {name!r} of {place}" if name else f"array {place}"


def _folder(path: Path | str) -> Path:
    if is_url(path):
        raise StoreError("Another program's Zarr is read from a folder of this machine, not from a URL. Copy it here.")
    place = Path(path)
    if not place.exists():
        raise StoreError(f"There is no Zarr at {place}. Give the folder that holds its .zgroup, .zarray or zarr.json.")
    if not place.is_dir():
        raise StoreError(f"{place} is a file; expected a Zarr's folder. Unpack it if it is an archive.")
    return place


def _axes(text: str) -> tuple[str, ...]:
    names = tuple(text.replace(",", " ").split())
    if sorted(names) not in (sorted(AXES), sorted(TOKEN_AXES)):
        raise StoreError(f"axes is {text!r}; expected image, channel, y, x or image, token, channel, in some order.")
    return names


def _chosen(place: Path, layers: Iterable[str] | Mapping[str, str] | None, ndim: int) -> dict[str, tuple[str, Any]]:
    """Return layer -> (name of the array in the group, opened array)."""
    held = _arrays(place)
    if layers is None:
        fitting = {name: array for name, array in held.items() if len(array.shape) == ndim and array.dtype.kind == "f"}
        if not fitting:
            raise StoreError(
                f"{place} holds no array of {ndim} axes and floating-point numbers; it holds {_listed(held)}. Name one "
                "with layers=, or say with axes= what its axes are."
            )
        return {name or place.stem: (name, array) for name, array in fitting.items()}
    wanted = dict(layers) if isinstance(layers, Mapping) else {name: name for name in _names(layers)}
    found: dict[str, tuple[str, Any]] = {}
    for name, layer in wanted.items():
        if list(held) == [""]:  # one array, of any name
            found[layer] = ("", held[""])
        elif name in held:
            found[layer] = (name, held[name])
        else:
            near = difflib.get_close_matches(name, held, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise StoreError(f"{place} has no array {name!r}; it holds {_listed(held)}.{hint}")
    if len(found) < len(wanted) or not found:
        raise StoreError(f"layers is {wanted}; expected names of arrays, each with a layer's name of its own.")
    return found


def _names(layers: Iterable[str]) -> list[str]:
    return list(dict.fromkeys([layers] if isinstance(layers, str) else layers))


def _listed(held: Mapping[str, Any]) -> str:
    words = [f"{name or 'one array'} {array.dtype} {tuple(array.shape)}" for name, array in held.items()]
    more = f" and {len(words) - _SHOWN} more" if len(words) > _SHOWN else ""
    return ", ".join(words[:_SHOWN]) + more


def _arrays(place: Path) -> dict[str, Any]:
    """Return all arrays of a Zarr by their names in it; "" for a Zarr that is one array."""
    try:
        root = zarr.open(store=str(place), mode="r")
        if isinstance(root, zarr.Array):
            return {"": root}
        schema = root.attrs.get("schema")
        held = {str(name): member for name, member in root.members(max_depth=None) if isinstance(member, zarr.Array)}
    except Exception as error:  # zarr raises many kinds for what is no Zarr, or has types and codecs it does not know
        raise StoreError(
            f"{place} cannot be opened as Zarr ({type(error).__name__}: {first_words(error)}). Give the folder of a "
            "group or of an array, which holds .zgroup, .zarray or zarr.json."
        ) from None
    if schema == layout.SCHEMA:
        raise StoreError(f"{place} is a feature store of vfs_panel already. Open it with open_store.")
    if not held:
        raise StoreError(f"{place} is a Zarr group without arrays. Run the program that should fill it.")
    return dict(sorted(held.items()))


def _codecs(array: Any) -> Iterator[str]:
    """Yield the names of what decodes an array's chunks."""
    for codec in (*array.filters, *array.compressors):
        config = codec.get_config() if hasattr(codec, "get_config") else {}
        yield f"{config.get('id', '')} {type(codec).__name__}".lower()


def _source(array: Any, called: str, axes: tuple[str, ...], input_px: tuple[int, int] | None) -> Source:
    """Return an array as a source, once it is known to hold numbers on a grid.

    Raises
    ------
    StoreError
    """
    shape = tuple(array.shape)
    if any("pickle" in name for name in _codecs(array)):
        raise StoreError(f"The chunks of {called} are Python pickles, which may run code and are not read.")
    if len(shape) != len(axes) or 0 in shape:
        raise StoreError(f"{called} has shape {shape}; expected ({', '.join(axes)}), none of them 0. See axes=.")
    if array.dtype.kind not in "fiu":
        raise StoreError(f"{called} is of type {array.dtype}; expected floating-point numbers or integers.")
    if array.dtype.kind != "f" and any(name in array.attrs for name in _SCALED):
        raise StoreError(
            f"{called} holds {array.dtype} codes with a scale_factor or add_offset. Write it as float32 first."
        )
    _check_dimensions(array, called, axes)
    size = dict(zip(axes, shape, strict=True))
    if "token" not in axes:
        return Source(array, called, axes, (size["channel"], size["y"], size["x"]))
    extra, height, width = _patches(size["token"], input_px, called)
    return Source(array, called, axes, (size["channel"], height, width), extra)


def _check_dimensions(array: Any, called: str, axes: tuple[str, ...]) -> None:
    """Refuse axes that the array itself names in another order."""
    named = getattr(array.metadata, "dimension_names", None) or array.attrs.get("_ARRAY_DIMENSIONS")
    if named is not None and sorted(map(str, named)) == sorted(axes) and tuple(named) != axes:
        raise StoreError(f"The axes of {called} are named {' '.join(named)}; give axes={' '.join(named)!r}.")


def _patches(tokens: int, input_px: tuple[int, int] | None, called: str) -> tuple[int, int, int]:
    """Return how many leading tokens are no patches, and the rows and columns of the others."""
    from vfs_panel.models.grid import plan_grid  # brings torchvision, which a search does not need

    if input_px is not None:
        plan = plan_grid((1, tokens, 1), input_px)
        if plan is not None:
            return plan.extra, plan.height, plan.width
    else:
        for extra in _EXTRA_TOKENS:
            side = math.isqrt(max(0, tokens - extra))
            if side * side == tokens - extra and side > 1:
                return extra, side, side
    where = "square" if input_px is None else f"of the proportions of an input of {input_px[0]}×{input_px[1]}"
    raise StoreError(
        f"{called} has {tokens} tokens, which make no grid {where}. Give the network's input as "
        "input_px=(height, width), or the patches alone."
    )


def _count(place: Path, sources: Mapping[str, Source]) -> int:
    counts = {len(source) for source in sources.values()}
    if len(counts) > 1:
        words = ", ".join(f"{layer} {len(source)}" for layer, source in sources.items())
        raise StoreError(f"Arrays of {place} have different numbers of pictures: {words}. Choose some with layers=.")
    return counts.pop()


def _index(
    n: int,
    images: ImageDataset | Path | str | None,
    image: Iterable[object] | None,
    columns: dict[str, Iterable[object] | None],
    place: Path,
) -> tuple[pd.DataFrame, pd.DataFrame | None, str]:
    """Return index and findings of the array's rows, in their order, and the folder of the pictures."""
    if images is None:
        return index_of(n, image, {**columns, "path": None}), None, ""
    if image is not None:
        raise StoreError("Both images and image were given; give the set of pictures, or ids alone.")
    if not isinstance(images, ImageDataset):
        images = open_images(images)
    if len(images) != n:
        skipped = f", and {len(images.skipped)} files that are no pictures" if images.skipped else ""
        raise StoreError(
            f"{images.name} has {len(images)} pictures{skipped}; {place} has {n}. Give the pictures that the features "
            "were made of, in the same order."
        )
    own = index_of(n, images.ids, columns)
    table = images.table.copy()
    for name, values in columns.items():
        if values is not None:
            table[name] = own[name]
    return table, images.findings, images.folder


def _without_features(source: Source, place: Path) -> NDArray[np.bool_]:
    """Return which pictures have no features: none of their chunks exists, or zeros up to the array's end.

    Chunks that are missing beside others of the same picture are what a program leaves out that writes no empty
    chunks; they are zeros. So are they in a copy that has lost files, which cannot be told apart: a warning says so.
    """
    array, n = source.values, len(source)
    whole, some = _missing_chunks(array, source.axes.index("image"), place, source.called)
    if (some & ~whole).any():
        rows = np.flatnonzero(some & ~whole)
        log.warning(
            "Some chunks of %s are missing for %d pictures, rows %d to %d, and count as zeros. That is right if it was "
            "written without empty chunks, and wrong if files were lost.",
            source.called, len(rows), rows[0], rows[-1],
        )  # fmt: skip
    end = n
    while end and whole[end - 1]:
        end -= 1
    step = max(1, min(source.chunk_rows, int(_TAIL_MB * 1e6 / source.row_bytes)))
    while end:
        start = (end - 1) // step * step
        there = _written(source.read(slice(start, end)), array.fill_value)
        filled = np.flatnonzero(there & ~whole[start:end])
        if len(filled):
            end = start + int(filled[-1]) + 1
            break
        end = start
    whole[end:] = True
    return whole


def _written(values: NDArray[Any], fill: Any) -> NDArray[np.bool_]:
    """Return which pictures hold anything but zeros, or what the array was laid out with."""
    there = values != 0
    if fill is not None:
        there &= ~np.isnan(values) if np.isnan(fill) else values != fill
    found: NDArray[np.bool_] = there.any(axis=(1, 2, 3))
    return found


def _check_length(file: Path, called: str) -> None:
    """Refuse a chunk that was cut short: Blosc would read on behind its end, and give rubbish.

    Raises
    ------
    StoreError
    """
    with file.open("rb") as chunk:
        head = chunk.read(_BLOSC_HEAD)
        size = os.fstat(chunk.fileno()).st_size
    expected = int.from_bytes(head[-4:], "little")
    if size != expected or len(head) < _BLOSC_HEAD:
        raise StoreError(
            f"Chunk {file.name} of {called} was cut short: it has {size} bytes instead of "
            f"{max(expected, _BLOSC_HEAD)}. Copy it again, or make it anew with the program that wrote it."
        )


def _missing_chunks(array: Any, axis: int, place: Path, called: str) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return, for every picture, whether all of its chunks are missing, and whether some are."""
    steps = array.shards or array.chunks
    counts = [-(-size // step) for size, step in zip(array.shape, steps, strict=True)]
    folder = place / array.path if array.path else place
    blosc = not array.shards and "blosc" in type([None, *array.compressors][-1]).__name__.lower()
    whole, some = np.ones(counts[axis], bool), np.zeros(counts[axis], bool)
    for at in product(*map(range, counts)):
        file = folder / array.metadata.encode_chunk_key(at)
        there = os.path.exists(file)
        if there and blosc:
            _check_length(file, called)
        whole[at[axis]] &= not there
        some[at[axis]] |= not there
    repeated = np.arange(array.shape[axis]) // steps[axis]
    return whole[repeated], some[repeated]


def _without_words(source: Source, rows: NDArray[np.bool_], index: pd.DataFrame) -> str:
    found = np.flatnonzero(rows)
    first, last = int(found[0]), int(found[-1])
    return (
        f"{source.called} has no features for {len(found)} of {len(rows)} pictures, between rows {first} and {last} "
        f"({index.index[first]} and {index.index[last]}): chunks are missing, or zeros from there on. The program that "
        'wrote it was stopped: run it again, or leave those pictures out with on_missing="skip".'
    )
