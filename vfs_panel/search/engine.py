"""RegionSearch: a store's layer held ready, and exact search over every window of every picture."""

import time
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import torch
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from vfs_panel import __version__
from vfs_panel.errors import QueryError
from vfs_panel.search import kernels
from vfs_panel.search.query import RegionQuery
from vfs_panel.search.tiers import Tier, pick_device, pick_tier
from vfs_panel.settings import settings

if TYPE_CHECKING:
    from vfs_panel.features.store import FeatureStore

Unique = Literal["domain", "label"]
MAX_K = 10_000


class RegionSearch:
    """Searches one layer of one store. Read-only once made, so one engine serves many sessions and threads.

    Parameters
    ----------
    store : the feature store.
    layer : one of its layers; by default its last.
    device : "auto" (CUDA if there is one), "cpu", "cuda" or "cuda:N"; by default the setting VFS_DEVICE.
    memory_mb : how much memory the features may take; by default the setting VFS_MEMORY_MB, or half of what is
        free. Features that do not fit are read from disk at each search: slower, same result.

    Attributes
    ----------
    tier : where the features lie, in words.

    Raises
    ------
    LayerError, StoreError, QueryError
        If the layer is not in the store, a block of it is damaged, or the device is not here.
    """

    def __init__(
        self,
        store: "FeatureStore",
        layer: str | None = None,
        *,
        device: str | None = None,
        memory_mb: float | None = None,
    ) -> None:
        self.store = store
        self.layer = layer if layer is not None else store.layers[-1]
        self.spec = store.spec(self.layer)
        self.device = pick_device(device or settings().device)
        self._tier: Tier = pick_tier(store, self.layer, self.device, memory_mb or settings().memory_mb)
        self._rows = {str(image_id): row for row, image_id in enumerate(store.index.index)}
        self._searchable = np.zeros(store.n_images, bool)
        for rows in store.blocks(self.layer):
            self._searchable[rows] = True
        self._searchable &= ~store.index["broken"].to_numpy(bool)
        self._floor = kernels.RELATIVE_FLOOR * self._typical_cell()

    @property
    def tier(self) -> str:
        """Where the features lie, in words, as in "on the CPU (2 cores), all features in memory, 388 MB"."""
        return self._tier.words

    @property
    def n_images(self) -> int:
        """How many pictures are searched."""
        return int(self._searchable.sum())

    def _typical_cell(self) -> float:
        """Root mean square length of a cell, over the pictures that can be searched."""
        norm2 = self.store.norm2(self.layer)[self._searchable]
        return float(np.sqrt(norm2.mean(dtype=np.float64))) if norm2.size else 0.0

    def _check(self, query: RegionQuery) -> kernels.Kernel:
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
        kernel = kernels.make_kernel(torch.from_numpy(query.features), torch.from_numpy(query.mask))
        if self.device.type == "cpu":
            return kernel
        return kernels.Kernel(
            kernel.weights.to(self.device), kernel.weights2.to(self.device), kernel.cells, kernel.size
        )

    def _scores(
        self, features: torch.Tensor, norm2: torch.Tensor, kernel: kernels.Kernel, compatible: bool
    ) -> torch.Tensor:
        floor = self._floor * float(kernel.weights2.sum()) ** 0.5
        return kernels.region_cosine(features, norm2, kernel, floor=floor, compatible=compatible)

    def _allowed(self, where: ArrayLike | None, query: RegionQuery, exclude_query: bool) -> NDArray[np.bool_]:
        allowed = self._searchable.copy()
        if where is not None:
            chosen = np.asarray(where, bool)
            if chosen.shape != allowed.shape:
                raise QueryError(
                    f"The filter has shape {chosen.shape}; expected one value per picture, {allowed.shape}."
                )
            allowed &= chosen
        # By identity: a query that is not from the set has no picture of its own to leave out, whatever its rank.
        if exclude_query and query.image_id in self._rows:
            allowed[self._rows[str(query.image_id)]] = False
        if not allowed.any():
            raise QueryError("No picture is left to search: the filters leave none. Clear or widen them.")
        return allowed

    @torch.inference_mode()
    def search(
        self,
        query: RegionQuery,
        *,
        k: int = 20,
        unique: Unique | None = None,
        per_image: int = 1,
        where: ArrayLike | None = None,
        exclude_query: bool = True,
        compatible: bool = False,
    ) -> xr.Dataset:
        """Find the regions that are most like the query, in every picture of the store.

        score(y, x) = Σ m²·d·q / (‖m⊙d‖ ‖m⊙q‖), the cosine of the two masked windows (Ulrich & Fong 2023). It is 1
        for the same features and lies in [-1, 1]. An empty window scores 0. Equal scores are ordered by picture.

        Parameters
        ----------
        query : from `RegionQuery.from_mask`.
        k : how many matches; fewer come back where there are fewer.
        unique : "domain" or "label": only the best match of each.
        per_image : how many matches one picture may give; further ones lie at least half a window apart.
        where : bool per picture of the store: search only these.
        exclude_query : leave out the picture the query was painted on, if it is in the store.
        compatible : equal to visualfeaturesearch 1.0.0, which adds 1e-5 to every magnitude.

        Returns
        -------
        Dataset with, along `rank` (from 1): score, image_id, y, x, height, width (the window, in feature cells),
        label, domain, path; along `image` (every picture of the store): image_score, image_y, image_x of its best
        window, NaN and -1 where it was not searched; mask (mask_y, mask_x), the region's weights; and where all of
        it came from as attributes.

        Raises
        ------
        QueryError
            If k, the filter or the region does not fit, or the query was made by another network.
        """
        if not 1 <= k <= MAX_K:
            raise QueryError(f"k is {k}; it must be from 1 to {MAX_K}.")
        if per_image < 1:
            raise QueryError(f"per_image is {per_image}; it must be at least 1.")
        if unique not in (None, "domain", "label"):
            raise QueryError(f"unique is {unique!r}; it must be 'domain', 'label' or None.")
        start = time.perf_counter()
        kernel = self._check(query)
        allowed = self._allowed(where, query, exclude_query)
        n = self.store.n_images
        scores = np.full((n, per_image), -np.inf, np.float32)
        ys, xs = np.full((n, per_image), -1, np.int32), np.full((n, per_image), -1, np.int32)
        for block in self._tier.blocks():
            if not allowed[block.rows].any():
                continue
            windows = self._scores(block.features, block.norm2, kernel, compatible)
            best, row, col = kernels.best_windows(windows, per_image, kernel.size)
            scores[block.rows], ys[block.rows], xs[block.rows] = best.cpu(), row.cpu(), col.cpu()
        scores[~allowed] = -np.inf
        images, places = _ranked(scores, k, self._groups(unique))
        return self._result(
            query, scores, ys, xs, images, places, allowed,
            k=k, unique=unique or "", per_image=per_image, compatible=int(compatible),
            n_searched=int(allowed.sum()), elapsed_ms=(time.perf_counter() - start) * 1e3,
        )  # fmt: skip

    def _groups(self, unique: Unique | None) -> NDArray[np.intp] | None:
        return None if unique is None else np.asarray(pd.factorize(self.store.index[unique])[0], np.intp)

    @torch.inference_mode()
    def heat_map(self, query: RegionQuery, image_id: str, *, compatible: bool = False) -> xr.DataArray:
        """Return the score of every window of one picture, DataArray (y, x) by the window's top left cell.

        Raises
        ------
        QueryError
            If the picture is not in the store.
        """
        if image_id not in self._rows:
            raise QueryError(f"Picture {image_id!r} is not in the store {self.store.name}.")
        block = self._tier.picture(self._rows[image_id])
        scores = self._scores(block.features, block.norm2, self._check(query), compatible)[0].cpu().numpy()
        return xr.DataArray(scores, dims=("y", "x"), name="score", attrs={"image": image_id, "layer": self.layer})

    def query(self, image_id: str, mask: ArrayLike) -> RegionQuery:
        """Return the query for a picture of the store and a mask (y, x) on the layer's grid."""
        return RegionQuery.from_mask(self.store.feature(self.layer, image_id), mask, image_id=image_id, spec=self.spec)

    def searchable_rows(self) -> NDArray[np.intp]:
        """Rows of the store that can be searched: written and readable."""
        return np.flatnonzero(self._searchable)

    @torch.inference_mode()
    def null_scores(
        self, query: RegionQuery, regions: list[tuple[int, int, int]], rows: NDArray[np.intp]
    ) -> NDArray[np.float32]:
        """Score other regions of the query's shape, all in one matrix product per picture.

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
        mask = torch.from_numpy(query.mask).to(self.device)
        made, usable = [], []
        for number, (row, y, x) in enumerate(regions):
            window = self._tier.picture(row).features[0, y : y + height, x : x + width].permute(2, 0, 1)
            if bool((window * mask).any()):
                made.append(kernels.make_kernel(window, mask))
                usable.append(number)
        scores = np.full((len(regions), len(rows)), np.nan, np.float32)
        if not made:
            return scores
        floor = self._floor * float(made[0].weights2.sum()) ** 0.5
        for column, row in enumerate(rows.tolist()):
            block = self._tier.picture(row)
            best = kernels.best_scores(block.features, block.norm2, made, floor=floor)[:, 0]
            scores[usable, column] = best.cpu().numpy()
        own = np.array([region[0] for region in regions])[:, None] == rows[None]
        scores[own] = np.nan
        return scores

    def _result(
        self,
        query: RegionQuery,
        scores: NDArray[np.float32],
        ys: NDArray[np.int32],
        xs: NDArray[np.int32],
        images: NDArray[np.intp],
        places: NDArray[np.intp],
        allowed: NDArray[np.bool_],
        **facts: Any,
    ) -> xr.Dataset:
        index = self.store.index
        text = {name: index[name].to_numpy(object).astype(str) for name in ("domain", "label", "split", "path")}
        ids = index.index.to_numpy(object).astype(str)
        h, w = query.mask.shape
        found = len(images)
        return xr.Dataset(
            {
                "score": ("rank", scores[images, places]),
                "image_id": ("rank", ids[images]),
                "y": ("rank", ys[images, places]),
                "x": ("rank", xs[images, places]),
                "height": ("rank", np.full(found, h, np.int32)),
                "width": ("rank", np.full(found, w, np.int32)),
                "label": ("rank", text["label"][images]),
                "domain": ("rank", text["domain"][images]),
                "path": ("rank", text["path"][images]),
                "image_score": ("image", np.where(allowed, scores[:, 0], np.float32(np.nan))),
                "image_y": ("image", np.where(allowed, ys[:, 0], -1)),
                "image_x": ("image", np.where(allowed, xs[:, 0], -1)),
                "mask": (("mask_y", "mask_x"), query.mask),
            },
            coords={
                "rank": np.arange(1, found + 1),
                "image": ids,
                "image_domain": ("image", text["domain"]),
                "image_label": ("image", text["label"]),
                "image_split": ("image", text["split"]),
            },
            attrs={
                "network": self.spec.network,
                "weights": self.spec.weights,
                "weights_sha256": self.spec.weights_sha256,
                "layer": self.layer,
                "preprocessing": self.spec.preprocessing.to_json(),
                "store": self.store.path,
                "query_image": query.image_id or "",
                "mask_box": ",".join(map(str, query.box)),
                "grid": f"{self.spec.grid[1]},{self.spec.grid[2]}",
                "device": str(self.device),
                "created_with": f"vfs_panel {__version__}",
                **facts,
            },
        )


def _ranked(
    scores: NDArray[np.float32], k: int, groups: NDArray[np.intp] | None
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Order windows (image, place) by score, then by image and place; keep k, or the best of each group."""
    flat = scores.ravel()
    found = int(np.isfinite(flat).sum())
    if groups is None and found > k:
        # Only what reaches the k-th score needs sorting; ties with it stay in, so that their order decides.
        threshold = np.partition(flat, len(flat) - k)[len(flat) - k]
        candidates = np.flatnonzero(flat >= threshold)
    else:
        candidates = np.flatnonzero(np.isfinite(flat))
    order = candidates[np.argsort(-flat[candidates], kind="stable")]
    images, places = np.divmod(order, scores.shape[1])
    if groups is not None:
        first = np.sort(np.unique(groups[images], return_index=True)[1])
        images, places = images[first], places[first]
    return images[:k], places[:k]
