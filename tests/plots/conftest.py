"""A search result of any size without a search, and figures drawn by HoloViews."""

from collections.abc import Callable
from typing import Any

import holoviews as hv
import numpy as np
import pytest
import xarray as xr

import vfs_panel.plots.patches  # noqa: F401 (registers the element and the backend)

GRID = (7, 9)
MASK = np.array([[0.0, 0.5, 1.0], [0.2, 0.9, 0.34]], np.float32)


def make_result(
    *, n_images: int = 40, domains: int = 3, labels: int = 2, k: int = 12, missing: int = 1, seed: int = 0
) -> xr.Dataset:
    """Make a result as RegionSearch returns it; the first `missing` pictures were not searched."""
    rng = np.random.default_rng(seed)
    ids = np.array([f"picture/{i:03d}" for i in range(n_images)])
    domain = np.array([f"domain_{i % max(domains, 1)}" for i in range(n_images)])
    label = np.array([f"label_{i * 7 % max(labels, 1)}" for i in range(n_images)])
    score = rng.uniform(0.1, 0.8, n_images).astype(np.float32)
    y = rng.integers(0, GRID[0] - MASK.shape[0] + 1, n_images)
    x = rng.integers(0, GRID[1] - MASK.shape[1] + 1, n_images)
    score[:missing], y[:missing], x[:missing] = np.nan, -1, -1
    best = np.argsort(-score, kind="stable")[: min(k, n_images - missing)]
    n = len(best)
    return xr.Dataset(
        {
            "score": ("rank", score[best]),
            "image_id": ("rank", ids[best]),
            "y": ("rank", y[best]),
            "x": ("rank", x[best]),
            "height": ("rank", np.full(n, MASK.shape[0])),
            "width": ("rank", np.full(n, MASK.shape[1])),
            "label": ("rank", label[best]),
            "domain": ("rank", domain[best]),
            "path": ("rank", ids[best]),
            "image_score": ("image", score),
            "image_y": ("image", y),
            "image_x": ("image", x),
            "mask": (("mask_y", "mask_x"), MASK),
        },
        coords={
            "rank": np.arange(1, n + 1),
            "image": ids,
            "image_domain": ("image", domain),
            "image_label": ("image", label),
        },
        attrs={"grid": f"{GRID[0]},{GRID[1]}", "k": k},
    )


@pytest.fixture
def result() -> xr.Dataset:
    return make_result()


@pytest.fixture
def draw() -> Callable[[Any], Any]:
    """Draw an element with HoloViews as a page would, and return Bokeh's figure."""

    def draw(element: Any) -> Any:
        figure = hv.renderer("bokeh").get_plot(element).state
        assert figure.select_one({"type": type(figure)}) is figure
        return figure

    return draw


def source_of(figure: Any, element: hv.Overlay, name: str) -> Any:
    """Return the source of a named mark: marks are drawn in their order."""
    names = [each.label for each in element]
    return figure.renderers[names.index(name)].data_source
