"""What is right: every picture's best score in float64, and whether a contestant found the best ones."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from vfs_panel.bench.contestants import TOP, Found
from vfs_panel.bench.sets import LAYER
from vfs_panel.search import kernels

if TYPE_CHECKING:
    from vfs_panel.features.store import FeatureStore
    from vfs_panel.search.query import RegionQuery

FLOAT32_TOLERANCE = 1e-5  # of scores that were added up in float32
EXACT_TOLERANCE = 2e-7  # of scores that were found in float64 and are given as float32
ROWS = 100  # pictures in float64 at a time


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """Best score of every picture, float64 (n,): as it is defined, and as visualfeaturesearch adds 1e-5."""

    plain: NDArray[np.float64]
    compatible: NDArray[np.float64]


@torch.inference_mode()
def best_scores(store: "FeatureStore", query: "RegionQuery") -> Truth:
    """Score every window of every picture in float64, by the plainest code there is here."""
    kernel = kernels.make_kernel(torch.from_numpy(query.features).double(), torch.from_numpy(query.mask).double())
    plain, compatible = [], []
    for span in store.blocks(LAYER):
        stored = torch.from_numpy(store.read(LAYER, span))
        for start in range(0, len(stored), ROWS):
            features = stored[start : start + ROWS].permute(0, 2, 3, 1).contiguous().double()
            norm2 = kernels.cell_norm2(features)
            scores = kernels.region_cosine(features, norm2, kernel)
            size = kernels.magnitude(norm2, kernel)
            plain.append(scores.flatten(1).amax(1))
            # The same products over another divisor: no second pass.
            compatible.append((scores * size / (size + kernels.REFERENCE_EPS)).flatten(1).amax(1))
    return Truth(torch.cat(plain).numpy(), torch.cat(compatible).numpy())


def right_matches(found: Found, truth: NDArray[np.float64]) -> int:
    """Return how many matches are among the true ones; those that tie with the last of them count."""
    wanted = min(TOP, len(truth))
    last = np.partition(truth, -wanted)[-wanted]
    return int((truth[np.unique(found.rows)] >= last - EXACT_TOLERANCE).sum())


def disagreement(found: Found, truth: NDArray[np.float64], tolerance: float) -> str:
    """Return what is wrong with matches that should be the true ones, best first; "" where nothing is.

    Pictures whose scores differ by no more than the tolerance may change places.
    """
    wanted = min(TOP, len(truth))
    if len(found.rows) != wanted or len(np.unique(found.rows)) != wanted:
        return f"found {len(np.unique(found.rows))} pictures instead of {wanted}"
    off = np.abs(truth[found.rows] - found.scores)
    if not off.max() <= tolerance:
        worst = int(np.argmax(np.where(np.isnan(off), np.inf, off)))
        return f"picture {found.rows[worst]} scored {found.scores[worst]:.7f}, true is {truth[found.rows[worst]]:.7f}"
    best = np.sort(truth)[::-1][:wanted]
    late = np.flatnonzero(~(truth[found.rows] >= best - tolerance))
    if len(late):
        rank = int(late[0])
        missed = int(np.argsort(-truth, kind="stable")[rank])
        return f"picture {missed} of score {best[rank]:.7f} should be at rank {rank + 1}, {found.rows[rank]} is"
    return ""
