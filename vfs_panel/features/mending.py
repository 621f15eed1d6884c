"""Mends a store: what is damaged or missing is computed again, from the pictures and the network that made it."""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from vfs_panel.errors import StoreError
from vfs_panel.features import layout, sealing
from vfs_panel.features.extraction import extractors_of, in_order
from vfs_panel.features.files import folder_to_write
from vfs_panel.features.index import write_broken, write_index, write_plain
from vfs_panel.features.origin import network_of, pictures_of
from vfs_panel.features.pipeline import Pipeline
from vfs_panel.features.rebuilding import rebuild_root, replace, seal_anew
from vfs_panel.features.store import FeatureStore
from vfs_panel.features.verification import VerifyReport, metadata_problems, verify
from vfs_panel.features.writer import StoreWriter
from vfs_panel.images.dataset import ImageDataset
from vfs_panel.images.opening import open_images
from vfs_panel.models import Network

log = logging.getLogger(__name__)


def repair(
    path: Path | str,
    *,
    images: ImageDataset | Path | str | None = None,
    model: Any = None,
    weights: Path | str | None = None,
    strict: bool = True,
    trust_code: bool = False,
    batch_size: int | None = None,
    device: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> VerifyReport:
    """Verify a store and mend what is wrong; what is sound stays as it is, byte for byte.

    Blocks are computed anew from their pictures. Metadata come from the copy that every finished store holds, the
    root's from that of a layer, and the index from the set of pictures.

    Parameters
    ----------
    path : a store in a folder of this machine.
    images : its pictures; by default where they lay when it was made.
    model, weights, strict, trust_code : its network, where the store's own name for it is not enough (see
        `load_network`).
    batch_size, device : as in `extract`.
    progress : called with (pictures done, pictures in all).

    Returns
    -------
    VerifyReport
        Of the store as it is now.

    Raises
    ------
    StoreError
        If it cannot be mended: the root's metadata and their copies are damaged, or the index and no pictures fit it.
    ImageError, NetworkError
        If pictures cannot be read, or the network is not the one that made the store.
    """
    folder = folder_to_write(path)
    _mend_root(folder)
    _mend_metadata(folder)
    _mend_index(folder, images)
    report = verify(folder)
    if report.ok:
        return report
    stuck = [p.text for p in report.problems if p.kind in ("metadata", "index")]
    if stuck:
        raise StoreError(f"{stuck[0]} That cannot be mended: extract it again, into another place.")
    store = FeatureStore(folder)
    for layer in {p.layer for p in report.problems if p.kind == "axis"}:
        _mend_axes(store, layer)
    bad = sorted({(p.layer, p.block) for p in report.problems if p.kind == "block"})
    if bad:
        pictures = pictures_of(store, images)
        network = network_of(store, model, weights=weights, strict=strict, trust_code=trust_code)
        _mend_blocks(store, bad, pictures, network, batch_size, device, progress)
    return verify(folder)


def _mend_root(folder: Path) -> None:
    """Write the root's metadata anew if they cannot be read, or are not as they were sealed."""
    try:
        problems = metadata_problems(FeatureStore(folder))
        sound = all(problem.file != sealing.METADATA for problem in problems)
    except StoreError:
        sound = False
    if not sound:
        rebuild_root(folder)


def _mend_metadata(folder: Path) -> None:
    """Write damaged files of metadata anew from the copy in the root's, if that is sound itself."""
    try:
        root = json.loads((folder / sealing.METADATA).read_bytes())
        sound = root["attributes"].get(layout.SEAL) == sealing.checksum(root)
    except (OSError, ValueError, KeyError, TypeError):
        return
    if not sound:
        return
    for name, expected in sealing.members(root).items():
        file, right = folder / name / sealing.METADATA, sealing.plain(expected)
        try:
            if json.loads(file.read_bytes()) == right:
                continue
        except (OSError, ValueError):
            pass
        log.warning("Wrote %s anew from its copy.", file)
        replace(file, right)


def _mend_index(folder: Path, images: ImageDataset | Path | str | None) -> None:
    """Write a damaged index anew from the pictures, if they are those that it was of."""
    store = FeatureStore(folder)
    try:
        if store.attrs.get("index_sha256") == layout.index_hash(store.index, store.findings):
            return
        damage = f"The index of {store.path} is damaged"
    except StoreError as error:
        damage = str(error)
    source = images if images is not None else store.pictures
    if source is None:
        raise StoreError(f"{damage.rstrip('.')}. To mend it, name its pictures with --images.")
    if not isinstance(source, ImageDataset):
        source = open_images(source)
    index, findings = in_order(source)
    if store.attrs.get("index_sha256") != layout.index_hash(index, findings):
        raise StoreError(f"{damage.rstrip('.')}. {source.name} has other pictures, labels or domains than it was of.")
    log.warning("Wrote the index of %s anew from %s.", folder, source.name)
    root = zarr.open_group(str(folder), mode="r+", use_consolidated=False)
    write_index(root, index, findings)
    again = FeatureStore(folder)
    # A picture that could not be read has zeros in every layer.
    empty = np.ones(len(index), bool)
    for layer in again.layers:
        empty &= ~again.norm2(layer).reshape(len(index), -1).any(1)
    write_broken(root, empty)
    seal_anew(folder, again.layers)


def _mend_axes(store: FeatureStore, layer: str) -> None:
    group = zarr.open_group(store.path, mode="r+", use_consolidated=False)[layout.group_name(layer)]
    for axis, centres in zip("yx", store.spec(layer).centres_px(), strict=True):
        write_plain(group, axis, centres, dims=(axis,), units="input pixels")


def _mend_blocks(
    store: FeatureStore,
    bad: list[tuple[str, int]],
    pictures: ImageDataset,
    network: Network,
    batch_size: int | None,
    device: str | None,
    progress: Callable[[int, int], None] | None,
) -> None:
    index, ids = store.index.drop(columns="broken"), [str(i) for i in store.index.index]
    layers = list(dict.fromkeys(layer for layer, _ in bad))
    specs = {layer: store.spec(layer) for layer in layers}
    before = {(layer, block): store.record(layer, block) for layer, block in bad}
    one = specs[layers[0]]
    with (
        extractors_of(network, layers, device, one.input_px, one.autocast) as extractors,
        StoreWriter(
            Path(store.path), index, specs, block_rows=int(store.attrs["block_rows"]), findings=store.findings
        ) as writer,
    ):
        for layer, block in bad:
            writer.take_back(layer, block)
        Pipeline(
            pictures, ids, extractors, writer, on_error="skip", batch_size=batch_size, progress=progress
        ).run()  # fmt: skip
        writer.finish()
    after = FeatureStore(store.path)
    for (layer, block), record in before.items():
        if record not in (layout.NOT_COMMITTED, after.record(layer, block)):
            log.warning(
                "Block %d of layer %r differs from what it was, in last digits at least: another machine, batch size "
                "or version of PyTorch made it then.", block, layer,
            )  # fmt: skip
