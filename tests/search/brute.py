"""The search as plainly as it can be written: float64, window by window. What every tier is held against."""

import numpy as np

RELATIVE_FLOOR, SMALLEST = 1e-6, 1e-15


def floor_of(features: np.ndarray, mask: np.ndarray) -> float:
    """Magnitude up to which a window counts as empty, from features (n, channel, y, x) of all pictures."""
    typical = float(np.sqrt((features.astype(np.float64) ** 2).sum(1).mean()))
    return max(RELATIVE_FLOOR * typical, SMALLEST) * float(np.sqrt((mask.astype(np.float64) ** 2).sum()))


def all_windows(features: np.ndarray, query: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Score every window, (n, y-h+1, x-w+1), of features (n, channel, y, x); query (channel, h, w), mask (h, w)."""
    d, q, m = features.astype(np.float64), query.astype(np.float64), mask.astype(np.float64)
    h, w = m.shape
    floor = floor_of(features, mask)
    top = np.abs(q * m).max()
    z = q * m / top / np.linalg.norm(q * m / top)
    out = np.zeros((len(d), d.shape[2] - h + 1, d.shape[3] - w + 1))
    for y in range(out.shape[1]):
        for x in range(out.shape[2]):
            window = d[:, :, y : y + h, x : x + w] * m
            size = np.sqrt((window**2).sum((1, 2, 3)))
            score = (window * z).sum((1, 2, 3)) / np.where(size > 0, size, 1)
            out[:, y, x] = np.where(size > floor, score, 0)
    return out.astype(np.float32)


def places(scores: np.ndarray, count: int, size: tuple[int, int]) -> list[tuple[float, int, int]]:
    """Best windows of one picture, (score, y, x), further ones at least half a window from those before."""
    left = scores.copy()
    found = []
    for _ in range(count):
        if not np.isfinite(left).any():
            break
        y, x = np.unravel_index(left.argmax(), left.shape)
        found.append((float(left[y, x]), int(y), int(x)))
        for v in range(left.shape[0]):
            for u in range(left.shape[1]):
                if abs(v - y) < (size[0] + 1) // 2 and abs(u - x) < (size[1] + 1) // 2:
                    left[v, u] = -np.inf
    return found


def matches(
    scores: np.ndarray, k: int, per_image: int, size: tuple[int, int], allowed: np.ndarray, groups: np.ndarray | None
) -> list[tuple[float, int, int, int]]:
    """The top k as (score, picture, y, x), ties by picture and place."""
    found = [
        (score, image, y, x)
        for image in np.flatnonzero(allowed).tolist()
        for score, y, x in places(scores[image], per_image, size)
    ]
    found.sort(key=lambda match: (-match[0], match[1]))
    if groups is not None:
        seen: set[int] = set()
        found = [m for m in found if not (int(groups[m[1]]) in seen or seen.add(int(groups[m[1]])))]
    return found[:k]
