"""Pictures through a network into a store: several layers in one pass, resumable at every block."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import torch

from vfs_panel.cores import cores
from vfs_panel.errors import ImageError, QueryError, StoreError
from vfs_panel.features import layout
from vfs_panel.features.appending import enlarged, recover, staging_of, swap
from vfs_panel.features.claims import Claims
from vfs_panel.features.files import folder_to_write
from vfs_panel.features.memory import MemoryStore, MemoryWriter
from vfs_panel.features.pipeline import Pipeline, Progress
from vfs_panel.features.sharing import on_cluster
from vfs_panel.features.spec import FeatureSpec
from vfs_panel.features.store import FeatureStore
from vfs_panel.features.writer import StoreWriter
from vfs_panel.images.dataset import ImageDataset
from vfs_panel.images.opening import open_images
from vfs_panel.images.preprocessing import Preprocessing
from vfs_panel.models import Extractor, Network, expand_layers, load_network, receptive_field_px
from vfs_panel.models.extractor import twins
from vfs_panel.settings import settings

if TYPE_CHECKING:
    from torch import nn

ON_GPU = 2  # networks that take turns: one computes while the other's batch is brought there and its features back
FIELD_PICTURES, FIELD_SHARE = 40, 0.05  # passes that a layer's receptive field takes, and their share of all at most
_ALWAYS = ("torch", "torchvision", "numpy", "pillow", "zarr")
_FOR_SOME = ("timm", "torchxrayvision", "transformers", "onnxruntime")


def extract(
    model: "str | nn.Module | Network",
    images: ImageDataset | Path | str,
    *,
    layers: Iterable[str],
    out: Path | str,
    weights: Path | str | None = None,
    strict: bool = True,
    preprocessing: Preprocessing | None = None,
    dtype: str = "float16",
    compression: str = "none",
    autocast: str = "",
    labels: Path | str | None = None,
    domain: str = "parent",
    findings: str | Sequence[str] | None = None,
    batch_size: int | None = None,
    device: str | None = None,
    on_error: str = "skip",
    append: bool = False,
    scheduler: str | None = None,
    trust_code: bool = False,
    progress: Progress | None = None,
) -> FeatureStore:
    """Compute features of pictures and keep them in a store.

    A run that was stopped, even by kill -9 or a full disk, goes on at the block where it stopped when it is called
    again in the same way. Several processes that call it in the same way share the work. Layers of the same network
    can be added to a store later, and pictures with `append`.

    Parameters
    ----------
    model : a network's name, any nn.Module, or a loaded Network.
    images : a set of pictures, or what `open_images` opens: a folder, a list, an array.
    layers : names of layers whose outputs are grids, and patterns such as "layer4.*.conv2" (see `expand_layers`); all
        are taken from one pass. With `append`, the store's count.
    out : where the store is, or will be.
    weights, strict, preprocessing, trust_code : as in `load_network`.
    dtype : "float16", "float32" or "int8" (see `packing.pack`), as stored.
    compression : "none", or "zstd": smaller where many features are zero, as after a ReLU, but slower to search from
        disk.
    autocast : "bfloat16" or "float16" to run the network in; "" for float32.
    labels, domain, findings : as in `open_images`, where `images` is a path.
    batch_size, device : by default the settings VFS_BATCH_SIZE and VFS_DEVICE.
    on_error : "skip" marks a picture that cannot be read as broken and goes on; "stop" raises.
    append : add the pictures that the store does not have yet; those it has stay as they are. The store can be
        searched meanwhile, and is replaced once all are there.
    scheduler : address of a Dask scheduler, such as "tcp://host:8786", whose workers share the work (see `sharing`).
    progress : called with (pictures done, pictures in all), from any thread.

    Returns
    -------
    FeatureStore, opened.

    Raises
    ------
    ImageError, NetworkError, LayerError, StoreError
    """
    if dtype not in layout.DTYPES:
        raise StoreError(f"dtype is {dtype!r}; expected one of {', '.join(layout.DTYPES)}.")
    if compression not in layout.COMPRESSIONS:
        raise StoreError(f"compression is {compression!r}; expected one of {', '.join(layout.COMPRESSIONS)}.")
    if on_error not in ("skip", "stop"):
        raise ImageError(f"on_error is {on_error!r}; expected 'skip' or 'stop'.")
    path = folder_to_write(out)
    if not isinstance(images, ImageDataset):
        images = open_images(images, domain=domain, labels=labels, findings=findings)
    if not len(images):
        raise ImageError(f"{images.name} holds no picture.")
    if scheduler is not None:
        if append:
            raise StoreError("Pictures are added by one process. Leave out the scheduler, or make another store.")
        job = partial(
            extract, model, images, layers=list(layers), out=path.resolve(), weights=weights, strict=strict,
            preprocessing=preprocessing, dtype=dtype, compression=compression, autocast=autocast,
            batch_size=batch_size, device=device, on_error=on_error, trust_code=trust_code,
        )  # fmt: skip
        on_cluster(scheduler, job, path, progress)
        return FeatureStore(path)
    network = load_network(model, weights=weights, strict=strict, preprocessing=preprocessing, trust_code=trust_code)
    recover(path)
    run = _Run(network, images, dtype, compression, autocast, batch_size, device, on_error, progress)
    return run.appended_to(path) if append else run.written_to(path, list(layers))


@dataclass(frozen=True, slots=True)
class _Run:
    """An extraction by this process."""

    network: Network
    images: ImageDataset
    dtype: str
    compression: str
    autocast: str
    batch_size: int | None
    device: str | None
    on_error: str
    progress: Progress | None

    def written_to(self, path: Path, layers: list[str]) -> FeatureStore:
        """Make a store, or go on with one."""
        index, findings = in_order(self.images)
        with self._extractors(expand_layers(self.network, layers)) as extractors:
            specs = _with_fields(self._specs(extractors[0]), extractors[0], path, len(index))
            rows = layout.rows_per_block(len(index), max(s.nbytes for s in specs.values()), settings().block_mb)
            self._fill(path, index, findings, specs, rows, extractors, None)
        return FeatureStore(path)

    def appended_to(self, path: Path) -> FeatureStore:
        """Put the pictures that a store lacks beside those that it has."""
        held = FeatureStore(path)
        index, findings = enlarged(held, self.images.folder, *in_order(self.images))
        if len(index) == held.n_images:
            return held
        claims = Claims(path)
        with claims.whole(), self._extractors(held.layers) as extractors:
            specs = _as_held(held, self._specs(extractors[0]))
            rows = int(held.attrs["block_rows"])
            self._fill(staging_of(path), index, findings, specs, rows, extractors, held)
            swap(path)
        claims.remove()
        return FeatureStore(path)

    def _extractors(self, layers: Sequence[str]) -> AbstractContextManager[list[Extractor]]:
        input_px = _input_px(self.images, self.network.preprocessing, self.images.ids)
        return extractors_of(self.network, layers, self.device, input_px, self.autocast)

    def _specs(self, extractor: Extractor) -> dict[str, FeatureSpec]:
        return specs_of(extractor, self.dtype, self.compression, self.autocast)

    def _fill(
        self, path: Path, index: pd.DataFrame, findings: pd.DataFrame | None, specs: dict[str, FeatureSpec],
        block_rows: int, extractors: list[Extractor], held: FeatureStore | None,
    ) -> None:  # fmt: skip
        with StoreWriter(
            path, index, specs, block_rows=block_rows, pictures=self.images.folder, findings=findings,
            versions=versions(self.network),
        ) as writer:  # fmt: skip
            if held is not None:
                writer.take_over(held)
            Pipeline(
                self.images, [str(i) for i in index.index], extractors, writer, on_error=self.on_error,
                batch_size=self.batch_size, progress=self.progress, known=held,
            ).run()  # fmt: skip
            writer.finish()


def specs_of(extractor: Extractor, dtype: str, compression: str = "none", autocast: str = "") -> dict[str, FeatureSpec]:
    """Return what an extractor's features will be."""
    network = extractor.network
    return {
        layer: FeatureSpec(
            network=network.name, weights=network.weights, weights_sha256=network.weights_sha256, layer=layer,
            preprocessing=network.preprocessing, input_px=extractor.input_px, grid=grid, dtype=dtype,
            autocast=autocast, compression=compression,
        )
        for layer, grid in extractor.grids.items()
    }  # fmt: skip


def _with_fields(
    specs: dict[str, FeatureSpec], extractor: Extractor, path: Path, n_images: int
) -> dict[str, FeatureSpec]:
    """Measure the receptive fields of layers that a store does not have yet, where that takes little of the time."""
    known: set[str] = set()
    with suppress(StoreError):
        known = set(FeatureStore(path).layers)
    new = [layer for layer in specs if layer not in known]
    if FIELD_PICTURES * len(new) > FIELD_SHARE * n_images:
        return specs
    return specs | {
        layer: replace(
            specs[layer], receptive_field_px=receptive_field_px(extractor.network, layer, extractor.input_px)
        )
        for layer in new
    }


def features_in_memory(
    network: Network,
    images: ImageDataset,
    layers: Iterable[str],
    *,
    dtype: str = "float16",
    batch_size: int | None = None,
    device: str | None = None,
    progress: Progress | None = None,
) -> MemoryStore:
    """Compute features and keep them in memory alone; pictures that cannot be read are skipped.

    Parameters
    ----------
    network : from `load_network`.
    layers, dtype, batch_size, device, progress : as in `extract`.

    Raises
    ------
    ImageError, NetworkError, LayerError, StoreError
    """
    if not len(images):
        raise ImageError(f"{images.name} holds no picture.")
    index, findings = in_order(images)
    ids = [str(i) for i in index.index]
    input_px = _input_px(images, network.preprocessing, ids)
    with extractors_of(network, expand_layers(network, list(layers)), device, input_px) as extractors:
        specs = specs_of(extractors[0], dtype)
        rows = layout.rows_per_block(len(ids), max(s.nbytes for s in specs.values()), settings().block_mb)
        writer = MemoryWriter(specs, len(ids), rows)
        Pipeline(images, ids, extractors, writer, on_error="skip", batch_size=batch_size, progress=progress).run()
    return MemoryStore(
        index.assign(broken=writer.broken), findings, specs, writer.arrays, name=images.name, pictures=images.folder
    )


def _as_held(held: FeatureStore, specs: dict[str, FeatureSpec]) -> dict[str, FeatureSpec]:
    """Return specs in the types of the store that pictures are added to.

    Raises
    ------
    StoreError
        If another network, preprocessing or autocast made it.
    """
    same = {}
    for layer, spec in specs.items():
        mine = held.spec(layer)
        try:
            mine.check_same_source(spec)
        except QueryError as error:
            raise StoreError(f"Pictures cannot be added to {held.path}. {error}") from None
        if (mine.autocast, mine.grid, mine.input_px) != (spec.autocast, spec.grid, spec.input_px):
            raise StoreError(
                f"{held.path} has layer {layer!r} as {list(mine.grid)} of {mine.input_px} pixels, autocast "
                f"{mine.autocast or 'none'}; this run makes {list(spec.grid)} of {spec.input_px}, autocast "
                f"{spec.autocast or 'none'}. Run it in the same way."
            )
        same[layer] = mine
    return same


def in_order(images: ImageDataset) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """Return the index and findings of a set as a store keeps them.

    Sorted by domain, then label, so that a selection of either is a few slices.
    """
    index = images.table.sort_values(["domain", "label"], kind="stable")
    findings = images.findings
    return index, None if findings is None else findings.loc[index.index]


def versions(network: Network) -> dict[str, str]:
    """Return the versions of the libraries that a network and its pictures go through."""
    own = {type(module).__module__.split(".")[0] for module in network.module.modules()}
    own.add(getattr(network.module, "library", ""))
    names = [*_ALWAYS, *(name for name in _FOR_SOME if name in own)]
    return {name: metadata.version(name) for name in names}


@contextmanager
def extractors_of(
    network: Network, layers: Sequence[str], device: str | None, input_px: tuple[int, int], autocast: str = ""
) -> Iterator[list[Extractor]]:
    """Give extractors to run side by side: one per core, or two that take turns on a GPU."""
    device = device or settings().device
    on_gpu = device.startswith("cuda") or (device == "auto" and torch.cuda.is_available())
    with ExitStack() as stack:
        made: list[Extractor] = []
        for one in twins(network, ON_GPU if on_gpu else cores()):
            like = made[0] if made else None
            extractor = Extractor(one, layers, device=device, input_px=input_px, autocast=autocast, like=like)
            made.append(stack.enter_context(extractor))
        yield made


def _input_px(images: ImageDataset, preprocessing: Preprocessing, ids: Sequence[str]) -> tuple[int, int]:
    """Return the network's input size: fixed by the preprocessing, or that of the first picture that can be read."""
    if preprocessing.crop_px is not None:
        return preprocessing.crop_px
    problem: ImageError | None = None
    for image_id in ids[:20]:
        try:
            return preprocessing.input_px(*images.rgb(image_id).shape[:2])
        except ImageError as error:
            problem = error
    raise problem or ImageError(f"{images.name} holds no picture.")
