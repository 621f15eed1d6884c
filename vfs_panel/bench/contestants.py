"""Who is measured: visualfeaturesearch, FAISS, this package in each representation, and what the memory allows."""

import importlib.util
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vfs_panel.bench.sets import LAYER
from vfs_panel.cores import cores
from vfs_panel.errors import BenchError
from vfs_panel.search.codes import ScanType, codes_bytes, empty_codes, encode, make_columns
from vfs_panel.search.engine import RegionSearch
from vfs_panel.search.kernels import make_kernel
from vfs_panel.search.tiers import load

if TYPE_CHECKING:
    from vfs_panel.features.store import FeatureStore
    from vfs_panel.search.query import RegionQuery

TOP = 20  # matches of each search
INSTALL = {"reference": "pip install visualfeaturesearch==1.0.0", "faiss": "pip install faiss-cpu"}
LOAD_ROWS = 500  # pictures that are turned from the store's type to another at a time


class NotInstalledError(BenchError):
    """A contestant that is not installed; the message says how to install it."""


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What a search found.

    Attributes
    ----------
    rows : pictures, best first.
    scores : float64, of those.
    rescored, bound : of ours, see `RegionSearch.search`; None of others.
    """

    rows: NDArray[np.intp]
    scores: NDArray[np.float64]
    rescored: int | None = None
    bound: float | None = None


def float_features(store: "FeatureStore", n_images: int, device: torch.device) -> Tensor:
    """Return the stored features of the first pictures as float32 (n, channel, y, x)."""
    features = torch.empty(n_images, *store.spec(LAYER).grid, device=device)
    for start in range(0, n_images, LOAD_ROWS):
        rows = slice(start, min(start + LOAD_ROWS, n_images))
        features[rows] = torch.from_numpy(store.read(LAYER, rows)).to(device)
    return features


class Reference:
    """visualfeaturesearch, its own code: `CachedSearchTool` over float32 features in memory, its quickest way.

    It installs beside this package: its requirements name no versions. Its searching module alone is loaded: another
    wants zarr 2 to write its cache, and others OpenCV and a notebook, none of which searching needs.

    Parameters
    ----------
    features : float32 Tensor, shape (n, channel, y, x), on the device to search on.

    Raises
    ------
    NotInstalledError
        If it is not; says how to install it.
    """

    def __init__(self, features: Tensor) -> None:
        module, self.version = _reference_module()
        self._tool = module.CachedSearchTool(lambda picture: picture, features, features.device)
        self._few = module.CachedSearchTool(lambda picture: picture, features[:LOAD_ROWS], features.device)
        self.n_images = len(features)

    def set_region(self, features: NDArray[np.float32], mask: NDArray[np.float32]) -> None:
        """Choose what is searched for: a picture's features (channel, y, x) and a mask (y, x)."""
        self._mask = mask
        for tool in (self._tool, self._few):
            tool.set_input_image(torch.from_numpy(features))

    def warm_up(self) -> None:
        """Search the first pictures only."""
        self._few.compute(self._mask)

    def __call__(self) -> Found:
        """Search, and sort out the best pictures, which its notebooks do with `torch.sort`."""
        scores, _, _ = self._tool.compute(self._mask)
        best = torch.topk(scores, min(TOP, len(scores)))
        return Found(best.indices.cpu().numpy(), best.values.double().cpu().numpy())


def _reference_module() -> tuple[Any, str]:
    try:
        installed = distribution("visualfeaturesearch")
        path = str(installed.locate_file("visualfeaturesearch/searchtool.py"))
        spec = importlib.util.spec_from_file_location("visualfeaturesearch_searchtool", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    except (PackageNotFoundError, ImportError, OSError) as error:
        raise NotInstalledError(f"visualfeaturesearch is not here ({error}). Run: {INSTALL['reference']}") from None
    return module, installed.version


class Flat:
    """FAISS flat inner product of all cells, of length 1: the score of a region of one cell, with a shard per core.

    Parameters
    ----------
    store : whose features are searched, as float32.

    Raises
    ------
    NotInstalledError
        If it is not; says how to install it.
    """

    def __init__(self, store: "FeatureStore") -> None:
        faiss = _faiss()
        self.version = str(faiss.__version__)
        self._store = store
        channels, height, width = store.spec(LAYER).grid
        self._cells = height * width
        self.n_images = store.n_images
        self._index = faiss.IndexShards(channels, True, True)
        share = -(-store.n_images // cores())
        for first in range(0, store.n_images, share):
            # One search uses one core of FAISS: a shard for each gives it all of them.
            shard = faiss.IndexFlatIP(channels)
            for start in range(first, min(first + share, store.n_images), LOAD_ROWS):
                rows = slice(start, min(start + LOAD_ROWS, first + share, store.n_images))
                cells = torch.from_numpy(store.read(LAYER, rows)).float().permute(0, 2, 3, 1).reshape(-1, channels)
                shard.add(torch.nn.functional.normalize(cells, dim=1, eps=1e-30).numpy())
            self._index.add_shard(shard)
        self._wanted = 4 * TOP

    def set_region(self, features: NDArray[np.float32]) -> None:
        """Choose what is searched for: the features (channel,) of one cell."""
        self._query = (features / np.linalg.norm(features))[None]

    def __call__(self) -> Found:
        """Search for more cells than pictures are wanted, as several may be of one picture, until there are enough."""
        while True:
            scores, cells = self._index.search(self._query, min(self._wanted, self.n_images * self._cells))
            rows, first = np.unique(cells[0] // self._cells, return_index=True)
            if len(rows) >= min(TOP, self.n_images):
                order = np.argsort(first)[:TOP]
                return Found(rows[order], scores[0][first[order]].astype(np.float64))
            self._wanted *= 2


def _faiss() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of SWIG's types, at its first import
        try:
            import faiss
        except ImportError as error:
            raise NotInstalledError(f"FAISS is not here ({error}). Run: {INSTALL['faiss']}") from None
    return faiss


class Ours:
    """A `RegionSearch`, with the features in memory in one representation.

    Parameters
    ----------
    store, device : as of `RegionSearch`.
    scan : type of the codes.
    """

    def __init__(self, store: "FeatureStore", device: str, scan: ScanType) -> None:
        self.scan = scan
        self.nbytes = codes_bytes(store.n_images, store.spec(LAYER).grid, scan)
        # Room for the codes whatever is free just now: a representation that would be streamed is not measured.
        room_mb = 1.05 * self.nbytes / 1e6 + 16
        self.engine = RegionSearch(store, LAYER, device=device, scan=scan, memory_mb=room_mb, keep_mb=0)
        if "in memory" not in self.engine.tier:
            raise BenchError(f"{scan} codes did not fit into memory: {self.engine.tier}.")

    def search(
        self, query: "RegionQuery", *, exact: bool = True, compatible: bool = False, first: int | None = None
    ) -> Found:
        """Search all pictures, or the first ones only."""
        where = None if first is None else np.arange(len(self.engine.store.index)) < first
        result = self.engine.search(query, k=TOP, exclude_query=False, exact=exact, compatible=compatible, where=where)
        return Found(
            rows=result["image_id"].to_numpy().astype(np.intp),  # ids are the rows' numbers
            scores=result["score"].to_numpy().astype(np.float64),
            rescored=int(result.attrs["rescored"]),
            bound=float(result.attrs["bound"]),
        )


class Fused:
    """The fused kernel alone, over all codes at once: the scan without what a search does before and after it.

    Parameters
    ----------
    store : the feature store.
    device : a GPU, or any while Triton interprets.
    scan : type of the codes.

    Attributes
    ----------
    nbytes : bytes that one pass reads.
    """

    def __init__(self, store: "FeatureStore", device: torch.device, scan: ScanType) -> None:
        # Now: Triton, which no CPU needs, takes its time to load.
        from vfs_panel.search import fused

        self._kernel, self.scan = fused, scan
        self._codes = empty_codes(store.n_images, store.spec(LAYER).grid, scan, device)
        for start in range(0, store.n_images, LOAD_ROWS):
            rows = slice(start, min(start + LOAD_ROWS, store.n_images))
            encode(load(store.read(LAYER, rows), device), self._codes[rows])
        # Pictures first, as the kernel takes them: views, nothing is moved.
        self._values = self._codes.values.permute(2, 0, 1, 3)
        self._scale = None if self._codes.scale is None else self._codes.scale.permute(2, 0, 1)
        self._norm2 = self._codes.norm2.permute(2, 0, 1)
        self.nbytes = fused.fused_bytes(self._values, self._scale, self._norm2)

    def set_region(self, query: "RegionQuery") -> None:
        """Choose what is searched for."""
        kernel = make_kernel(torch.from_numpy(query.features), torch.from_numpy(query.mask))
        self._columns = make_columns([kernel], self.scan, self._values.device)

    def scores(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return every picture's best score, and how far from the truth it may be."""
        best, _ = self._kernel.fused_best(self._values, self._scale, self._norm2, self._columns, [0.0])
        bound = self._columns.error(0, self._codes.rho)
        return best[0].double().cpu().numpy(), bound.double().cpu().numpy()

    def __call__(self) -> None:
        """Scan, and wait for the end of it."""
        self._kernel.fused_best(self._values, self._scale, self._norm2, self._columns, [0.0])
        synchronize(self._values.device)


class MemoryRead:
    """One read of some bytes by all cores and nothing else: what no search of so many bytes can beat.

    Parameters
    ----------
    most : bytes of the buffer; longer reads are scaled up from it.
    """

    def __init__(self, most: int) -> None:
        self._words = np.ones(max(most // 8, 1024), np.uint64)
        self._cores = cores()
        self._pool = ThreadPoolExecutor(self._cores, "vfs-read")

    def scale(self, nbytes: int) -> float:
        """Return how many times as long all of the bytes would take as a call with them does."""
        return max(1.0, nbytes / self._words.nbytes)

    def __call__(self, nbytes: int) -> None:
        """Read; a bitwise or of 8-byte words runs as fast as the memory gives them."""
        parts = np.array_split(self._words[: max(nbytes // 8, 1)], self._cores)
        for _ in self._pool.map(np.bitwise_or.reduce, parts):
            pass

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown()


class MemoryCopy:
    """A copy within the memory of a device.

    Parameters
    ----------
    nbytes : bytes that are read, and as many that are written.
    """

    def __init__(self, nbytes: int, device: torch.device) -> None:
        self.moved = 2 * (nbytes // 8) * 8
        self._source = torch.ones(nbytes // 8, dtype=torch.int64, device=device)
        self._target = torch.empty_like(self._source)
        self._target.copy_(self._source)

    def __call__(self) -> None:
        """Copy, and wait for the end of it."""
        self._target.copy_(self._source)
        synchronize(self._source.device)


def synchronize(device: torch.device) -> None:
    """Wait for all that a GPU has been given to do."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
