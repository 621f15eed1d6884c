"""RegionSearch: a store's layer held ready, and exact search over every window of every picture."""

import math
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, TypedDict, Unpack

import numpy as np
import torch
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from vfs_panel.errors import QueryError
from vfs_panel.search import kernels
from vfs_panel.search.ask import Answer, Ask
from vfs_panel.search.backend import Backend, open_backend
from vfs_panel.search.query import RegionQuery
from vfs_panel.search.result import image_coords, labelled
from vfs_panel.search.together import Together
from vfs_panel.search.workers import spread
from vfs_panel.settings import settings

if TYPE_CHECKING:
    from vfs_panel.features.store import FeatureStore

Where = ArrayLike | Mapping[str, str | Sequence[str]]
MAX_K = 10_000
NULL_MB = 16.0  # of products that one thread holds for the level of chance
SMALLEST = 1e-15  # magnitudes below this have squares that float32 cannot hold


class Options(TypedDict, total=False):
    """Options of a search; see `RegionSearch.search`."""

    k: int
    unique: str | None
    per_image: int
    where: Where | None
    exclude_query: bool
    compatible: bool
    exact: bool
    ahead: ArrayLike | None


class RegionSearch:
    """Searches one layer of one store. Read-only once made, so one engine serves many sessions and threads.

    Parameters
    ----------
    store : the feature store.
    layer : one of its layers; by default its last.
    device : "auto" (CUDA if there is one), "cpu", "cuda" or "cuda:N", or several with commas, which share the
        pictures; by default the setting VFS_DEVICE.
    memory_mb : how much memory the features may take; by default the setting VFS_MEMORY_MB, or half of what is
        free. What does not fit is kept as smaller codes, or read from disk at each search: slower, same result.
    scan : type of the features that are held: "float32", "bfloat16", "float16", "int8"; "auto" for the fastest here;
        "stored" to hold none and read the store at each search, for a single one. Matches are exact with each.
    scheduler : address of a Dask scheduler, such as "tcp://host:8786": its workers hold the features then.
    keep_mb : how much of that memory may hold products that previews keep, see `search`; 0 for none. By default 1500
        or a quarter of what the features take, whichever is more.

    Attributes
    ----------
    tier : where the features lie, in words.

    Raises
    ------
    LayerError, StoreError, QueryError
        If the layer is not in the store, a block of it is damaged, or the device or the cluster is not there.
    """

    def __init__(
        self,
        store: "FeatureStore",
        layer: str | None = None,
        *,
        device: str | None = None,
        memory_mb: float | None = None,
        scan: str = "auto",
        scheduler: str | None = None,
        keep_mb: float | None = None,
    ) -> None:
        self.store = store
        self.layer = layer if layer is not None else store.layers[-1]
        self.spec = store.spec(self.layer)
        self._index = store.pictures_index
        self._groups: dict[str, NDArray[np.intp]] = {}
        self._searchable = np.zeros(store.n_images, bool)
        for rows in store.blocks(self.layer):
            self._searchable[rows] = True
        self._searchable &= ~self._index.broken
        self._floor = max(kernels.RELATIVE_FLOOR * self._typical_cell(), SMALLEST)
        self._backend: Backend = open_backend(
            store,
            self.layer,
            device=device or settings().device,
            memory_mb=memory_mb or settings().memory_mb,
            scan=scan,
            scheduler=scheduler or settings().scheduler,
            keep_mb=keep_mb,
        )
        self._together = Together(self._backend.answers)

    @property
    def tier(self) -> str:
        """Where the features lie, in words, as in "on the CPU (2 cores), all features in memory, 388 MB"."""
        return self._backend.words

    @property
    def choice(self) -> str:
        """Why they lie there: what each type of codes would have taken, or what did not fit."""
        return self._backend.reason

    @property
    def scan(self) -> str:
        """Type of the features that a search reads: float32, bfloat16, float16 or int8."""
        return self._backend.scan_type

    @property
    def holds(self) -> bool:
        """Whether features are held in memory; if not, each search reads them from the store and may take long."""
        return self._backend.holds

    @property
    def n_images(self) -> int:
        """How many pictures are searched."""
        return int(self._searchable.sum())

    def close(self) -> None:
        """Let go of the features, on a cluster too."""
        self._backend.close()

    def _group(self, column: str) -> NDArray[np.intp]:
        """Return the number of each picture's value of a column."""
        if column not in self._groups:
            self._groups[column] = self._index.codes(column)[0]
        return self._groups[column]

    def _typical_cell(self) -> float:
        """Root mean square length of a cell, over the pictures that can be searched."""
        norm2: NDArray[np.float32] = self.store.norm2(self.layer)[self._searchable]
        return math.sqrt(float(np.mean(norm2, dtype=np.float64))) if norm2.size else 0.0

    def _kernel(self, query: RegionQuery) -> kernels.Kernel:
        channels, height, width = self.spec.grid
        if query.spec is not None:
            self.spec.check_same_source(query.spec)
        if query.features.shape[0] != channels:
            raise QueryError(
                f"The query has {query.features.shape[0]} channels, layer {self.layer!r} has {channels}. "
                "Take the query's features from the same layer of the same network."
            )
        if query.mask.shape[0] > height or query.mask.shape[1] > width:
            raise QueryError(
                f"The region spans {query.mask.shape[0]}×{query.mask.shape[1]} cells, more than the grid of "
                f"{height}×{width}. Paint a smaller region."
            )
        return kernels.make_kernel(torch.from_numpy(query.features), torch.from_numpy(query.mask))

    def _floor_of(self, kernel: kernels.Kernel) -> float:
        return self._floor * math.sqrt(float(kernel.weights2.sum()))

    def _ask(
        self,
        query: RegionQuery,
        *,
        k: int = 20,
        unique: str | None = None,
        per_image: int = 1,
        where: Where | None = None,
        exclude_query: bool = True,
        compatible: bool = False,
        exact: bool = True,
        ahead: ArrayLike | None = None,
    ) -> Ask:
        if not 1 <= k <= MAX_K:
            raise QueryError(f"k is {k}; it must be from 1 to {MAX_K}.")
        if per_image < 1:
            raise QueryError(f"per_image is {per_image}; it must be at least 1.")
        if unique is not None and unique not in self._index.names:
            raise QueryError(f"unique is {unique!r}; the store has the columns {', '.join(self._index.names)}.")
        found = tuple(self._kernel(region) for region, _ in query.regions())
        return Ask(
            kernels=found,
            shares=tuple(share for _, share in query.regions()),
            floors=tuple(self._floor_of(kernel) for kernel in found),
            allowed=self._allowed(where, query, exclude_query),
            groups=None if unique is None else self._group(unique),
            k=k,
            per_image=per_image,
            compatible=compatible,
            exact=exact,
            ahead=None if exact else self._cells(ahead),
        )

    def _cells(self, ahead: ArrayLike | None) -> torch.Tensor:
        cells = torch.from_numpy(np.zeros((0, self.spec.grid[0])) if ahead is None else np.asarray(ahead, np.float64))
        if cells.ndim != 2 or cells.shape[1] != self.spec.grid[0]:
            raise QueryError(
                f"ahead has shape {tuple(cells.shape)}; expected features of cells, (cell, {self.spec.grid[0]})."
            )
        return cells

    def _allowed(self, where: Where | None, query: RegionQuery, exclude_query: bool) -> NDArray[np.bool_]:
        allowed = self._searchable.copy()
        if where is not None:
            chosen = self.matching(where) if isinstance(where, Mapping) else np.asarray(where, bool)
            if chosen.shape != allowed.shape:
                raise QueryError(
                    f"The filter has shape {chosen.shape}; expected one value per picture, {allowed.shape}."
                )
            allowed &= chosen
        # By identity: a query that is not from the set has no picture of its own to leave out, whatever its rank.
        if exclude_query:
            for region, share in query.regions():
                if share > 0 and region.image_id is not None and region.image_id in self._index.ids:
                    allowed[self.store.row(region.image_id)] = False
        if not allowed.any():
            raise QueryError("No picture is left to search: the filters leave none. Clear or widen them.")
        return allowed

    def matching(self, wanted: Mapping[str, str | Sequence[str]]) -> NDArray[np.bool_]:
        """Return which pictures of the store have the wanted values, as `pictures_with` does.

        Raises
        ------
        QueryError
            If the store has no such column, or no picture has such a value.
        """
        from vfs_panel.features.selecting import pictures_with

        return pictures_with(self.store, wanted)

    def search(
        self,
        query: RegionQuery,
        *,
        k: int = 20,
        unique: str | None = None,
        per_image: int = 1,
        where: Where | None = None,
        exclude_query: bool = True,
        compatible: bool = False,
        exact: bool = True,
        ahead: ArrayLike | None = None,
        cancel: threading.Event | None = None,
    ) -> xr.Dataset:
        """Find the regions that are most like the query, in every picture of the store.

        score(y, x) = Σ m²·d·q / (‖m⊙d‖ ‖m⊙q‖), the cosine of the two masked windows (Ulrich & Fong 2023). It is 1
        for the same features and lies in [-1, 1]. An empty window scores 0. Equal scores are ordered by picture. A
        query of several regions is scored as `RegionQuery.combine` says.

        Searches that several threads ask for at the same time are columns of one pass over the features.

        Parameters
        ----------
        query : from `RegionQuery.from_mask`.
        k : how many matches; fewer come back where there are fewer.
        unique : "domain", "label" or any other column of the store's index: only the best match of each value.
        per_image : how many matches one picture may give; further ones lie at least half a window apart.
        where : search only these pictures: a bool for each picture of the store, or columns of its index and the values
            that are wanted, as in {"domain": ["photo", "sketch"], "split": "test"}.
        exclude_query : leave out the picture the query was painted on, if it is in the store.
        compatible : equal to visualfeaturesearch 1.0.0, which adds 1e-5 to every magnitude.
        exact : score matches in float64 and certify that none is missed; False for a preview from the scan alone.
            Previews keep the products of their cells, so that further ones of the same cells are ready sooner.
        ahead : shape (cell, channel): of a preview, features of cells that later ones will likely have, as those of
            `cells_around`.
        cancel : stops the search when set, unless its pass answers somebody else's too.

        Returns
        -------
        Dataset with, along `rank` (from 1): score, image_id, y, x, height, width (the window, in feature cells),
        label, domain, path and further columns of the store's index; along `image` (every picture of the store):
        image_score, image_y, image_x of its best window, NaN and -1 where it was not searched; mask (mask_y, mask_x),
        the region's weights; and where all of it came from as attributes. Matches are exact whatever the engine reads;
        image_score of pictures that are no match is the scan's, certified to lie within the attribute `bound` of the
        truth. `scan` is the type it read, `rescored` how many pictures were scored again in float64, `exact` is 0 for a
        preview.

        Raises
        ------
        QueryError
            If k, the filter or the region does not fit, or the query was made by another network.
        SearchCancelled
            If `cancel` was set.
        """
        start = time.perf_counter()
        ask = self._ask(
            query, k=k, unique=unique, per_image=per_image, where=where, exclude_query=exclude_query,
            compatible=compatible, exact=exact, ahead=ahead,
        )  # fmt: skip
        return self._labelled(query, ask, self._together.answer(ask, cancel), unique, start)

    def search_many(self, queries: Sequence[RegionQuery], **options: Unpack[Options]) -> list[xr.Dataset]:
        """Search for several queries in one pass over the features; options and results as of `search`."""
        start = time.perf_counter()
        asks = [self._ask(query, **options) for query in queries]
        answers = self._backend.answers(asks) if asks else []
        unique = options.get("unique")
        return [
            self._labelled(q, a, answer, unique, start) for q, a, answer in zip(queries, asks, answers, strict=True)
        ]

    def progressive(
        self,
        query: RegionQuery,
        *,
        every_s: float = 0.3,
        cancel: threading.Event | None = None,
        **options: Unpack[Options],
    ) -> Iterator[xr.Dataset]:
        """Search, and yield what is known so far at times; the last result is that of `search`.

        Parameters
        ----------
        every_s : seconds between two results of a long search.
        cancel : stops the search between two blocks when set, with SearchCancelled; so does closing the iterator.
        options : as of `search`.

        Yields
        ------
        Datasets as of `search`, with the attribute `progress`: the share of the pictures that were scanned. Pictures
        that were not have image_score NaN.

        Raises
        ------
        QueryError, SearchCancelled
            As `search` does; if `cancel` was set.
        """
        start = shown = time.perf_counter()
        unique = options.get("unique")
        ask = self._ask(query, **options)
        for done, answers in self._backend.steps([ask], cancel):
            if done == 1 or time.perf_counter() - shown >= every_s:
                result = self._labelled(query, ask, answers()[0], unique, start)
                yield result.assign_attrs(progress=done, exact=int(ask.exact and done == 1))
                shown = time.perf_counter()

    def _labelled(self, query: RegionQuery, ask: Ask, answer: Answer, unique: str | None, start: float) -> xr.Dataset:
        facts: dict[str, str | float] = {
            **self.spec.source_attrs(),
            "layer": self.layer,
            "grid": f"{self.spec.grid[1]},{self.spec.grid[2]}",
            "store": self.store.path,
            "device": self._backend.device,
            "unique": unique or "",
            "scan": self.scan,
            "elapsed_ms": (time.perf_counter() - start) * 1e3,
        }
        return labelled(query, ask, answer, self._index, self._coords, facts)

    @cached_property
    def _coords(self) -> xr.Coordinates:
        """What all results say of all pictures: made once, as it takes longer than a search of a large set."""
        return image_coords(self._index)

    def _features(self, rows: NDArray[np.intp]) -> torch.Tensor:
        """Return stored features as float32 (n, y, x, channel), on the CPU."""
        stored = torch.from_numpy(self.store.read_rows(self.layer, rows))
        return stored.to(torch.float32).permute(0, 2, 3, 1).contiguous()

    def _row(self, image_id: str) -> int:
        if image_id not in self._index.ids:
            raise QueryError(f"Picture {image_id!r} is not in the store {self.store.name}.")
        return self.store.row(image_id)

    @torch.inference_mode()
    def heat_map(self, query: RegionQuery, image_id: str, *, compatible: bool = False) -> xr.DataArray:
        """Return the score of every window of one picture, DataArray (y, x) by the window's top left cell.

        Of a query of several regions: of its first region.

        Raises
        ------
        QueryError
            If the picture is not in the store.
        """
        features = self._features(np.array([self._row(image_id)]))
        kernel = self._kernel(query)
        scores = kernels.region_cosine(
            features, kernels.cell_norm2(features), kernel, floor=self._floor_of(kernel), compatible=compatible
        )
        return xr.DataArray(
            scores[0].numpy(), dims=("y", "x"), name="score", attrs={"image": image_id, "layer": self.layer}
        )

    @torch.inference_mode()
    def contributions(self, query: RegionQuery, image_id: str, y: int, x: int) -> xr.DataArray:
        """Return what each cell of a window adds to its score: DataArray (y, x, channel), which sums to the score.

        score = Σ over painted cells p and channels c of m_p² q_pc d_pc / (‖m⊙d‖ ‖m⊙q‖); cells that are not painted
        have 0. Sum over `channel` to see where the likeness lies, over `y` and `x` to see in which channels.

        Parameters
        ----------
        query : its first region is explained.
        image_id : a picture of the store.
        y, x : top left cell of the window on the picture's feature grid; the coordinates of the array go on from it.

        Raises
        ------
        QueryError
            If the picture is not in the store, or the window does not lie on its grid.
        """
        kernel = self._kernel(query)
        h, w = kernel.size
        channels, height, width = self.spec.grid
        if not (0 <= y <= height - h and 0 <= x <= width - w):
            raise QueryError(
                f"A window of {h}×{w} cells at ({y}, {x}) does not lie on the grid of {height}×{width} cells."
            )
        window = self._features(np.array([self._row(image_id)]))[0, y : y + h, x : x + w].double()
        rows, cols = (torch.tensor(axis) for axis in zip(*kernel.cells, strict=True))
        cells = window[rows, cols]
        size = float((cells.square().sum(1) * kernel.weights2).sum().sqrt())
        parts = torch.zeros(h, w, channels, dtype=torch.float64)
        if size > self._floor_of(kernel):
            parts[rows, cols] = cells * kernel.weights / size
        return xr.DataArray(
            parts.to(torch.float32).numpy(),
            dims=("y", "x", "channel"),
            coords={"y": np.arange(y, y + h), "x": np.arange(x, x + w)},
            name="contribution",
            attrs={"image": image_id, "layer": self.layer},
        )

    def query(self, image_id: str, mask: ArrayLike) -> RegionQuery:
        """Return the query for a picture of the store and a mask (y, x) on the layer's grid."""
        return RegionQuery.from_mask(self.store.feature(self.layer, image_id), mask, image_id=image_id, spec=self.spec)

    def searchable_rows(self) -> NDArray[np.intp]:
        """Rows of the store that can be searched: written and readable."""
        return np.flatnonzero(self._searchable)

    def null_scores(
        self, query: RegionQuery, regions: list[tuple[int, int, int]], rows: NDArray[np.intp]
    ) -> NDArray[np.float32]:
        """Score other regions of the query's shape, all as columns of one matrix product.

        Parameters
        ----------
        query : gives the mask; its features are not used.
        regions : (row of the store, y, x): picture and top left cell of each region.
        rows : pictures to score them in.

        Returns
        -------
        float32 array, shape (region, picture): the best score; NaN where a region meets its own picture, or where
        its features are all zero.
        """
        height, width = query.mask.shape
        mask = torch.from_numpy(query.mask)
        sources = self._features(np.array([row for row, _, _ in regions]))
        made, usable = [], []
        for number, (_, y, x) in enumerate(regions):
            window = sources[number, y : y + height, x : x + width].permute(2, 0, 1)
            if bool((window * mask).any()):
                made.append(kernels.make_kernel(window, mask))
                usable.append(number)
        scores = np.full((len(regions), len(rows)), np.nan, np.float32)
        if not made:
            return scores
        floor = self._floor_of(made[0])

        def best(part: slice) -> torch.Tensor:
            features = self._features(rows[part])
            return kernels.best_scores(features, kernels.cell_norm2(features), made, floor=floor)

        _, grid_y, grid_x = self.spec.grid
        step = max(1, int(NULL_MB * 1e6 / (4 * grid_y * grid_x * len(made) * len(made[0].cells))))
        parts = [slice(i, min(i + step, len(rows))) for i in range(0, len(rows), step)]
        scores[usable] = torch.cat(list(spread(best, parts)), 1).numpy()
        own = np.array([region[0] for region in regions])[:, None] == rows[None]
        scores[own] = np.nan
        return scores
