"""A map of matched patches: their features, masked as the query is, in two dimensions."""

import warnings
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from vfs_panel.search.engine import RegionSearch

MOST_PATCHES, MOST_FROM_DISK = 2000, 500
_READ_MB = 256.0


@dataclass(frozen=True, slots=True, eq=False)
class Embedding:
    """Points of a map.

    Attributes
    ----------
    rows : of the result's `image` dimension, one for each point, the best score first.
    points : float64, shape (n, 2).
    method : "pca" or "umap".
    explained : share of the variance along the two axes, for PCA; else empty.
    """

    rows: NDArray[np.intp]
    points: NDArray[np.float64]
    method: str
    explained: tuple[float, ...]


def best_rows(result: xr.Dataset, engine: RegionSearch) -> NDArray[np.intp]:
    """Return which pictures are mapped: those with the best scores, fewer where features are read from disk."""
    scores = result["image_score"].values.astype(np.float64)
    order = np.argsort(-scores, kind="stable")[: int(np.isfinite(scores).sum())]
    channels, height, width = engine.spec.grid
    room = int(_READ_MB * 1e6 / (4 * channels * height * width))
    return np.asarray(order[: min(MOST_PATCHES if engine.holds else MOST_FROM_DISK, max(room, 50))], np.intp)


def patch_features(engine: RegionSearch, result: xr.Dataset, rows: NDArray[np.intp]) -> NDArray[np.float32]:
    """Return the mean feature of each picture's best window, weighted by the query's mask, of length 1.

    Parameters
    ----------
    engine : the layer that was searched.
    result : of its search.
    rows : pictures, of the store and of the result alike.

    Returns
    -------
    float32 array, shape (n, channel).
    """
    mask = result["mask"].values.astype(np.float32)
    h, w = mask.shape
    found = np.empty((len(rows), engine.spec.grid[0]), np.float32)
    step = 256
    for start in range(0, len(rows), step):
        part = rows[start : start + step]
        order = np.argsort(part)  # the store reads ascending rows in one sweep
        features = engine.store.read_rows(engine.layer, part[order])
        for place, stored in zip(order, features, strict=True):
            y, x = (int(result[name].values[part[place]]) for name in ("image_y", "image_x"))
            window = stored[:, y : y + h, x : x + w].astype(np.float32)
            found[start + place] = np.einsum("chw,hw->c", window, mask) / mask.sum()
    length = np.linalg.norm(found, axis=1, keepdims=True)
    return np.asarray(np.divide(found, length, out=np.zeros_like(found), where=length > 0), np.float32)


def has_umap() -> bool:
    """Whether umap-learn is installed: `pip install "vfs_panel[map]"`."""
    return find_spec("umap") is not None


def embed(features: NDArray[np.float32], rows: NDArray[np.intp], *, method: str = "pca") -> Embedding:
    """Bring features to two dimensions.

    Parameters
    ----------
    features : shape (n, channel), n at least 3.
    rows : kept with the points.
    method : "pca", the first two principal components; or "umap" (McInnes et al. 2018), always from the same start.
    """
    if method == "umap":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of numba, and of the single thread that a fixed start needs
            from umap import UMAP

            near = min(15, len(features) - 1)
            points = UMAP(n_neighbors=near, metric="cosine", random_state=0, init="pca").fit_transform(features)
        return Embedding(rows, np.asarray(points, np.float64), method, ())
    from sklearn.decomposition import PCA

    pca = PCA(2, svd_solver="auto", random_state=0)
    points = pca.fit_transform(features)
    return Embedding(rows, points.astype(np.float64), "pca", tuple(float(v) for v in pca.explained_variance_ratio_))
