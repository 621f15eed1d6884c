"""Opening: a store of many pictures, until it has answered for the first time."""

import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter

import numpy as np

from vfs_panel.bench import sets
from vfs_panel.bench.report import Goal, Part, Table, number
from vfs_panel.bench.sets import LAYER
from vfs_panel.features import open_store, store_from_arrays
from vfs_panel.search import RegionSearch

GRID = (4, 2, 2)  # of features that take no time: what remains is the index
GOAL_S = 1.0
RUNS = 3
_STEP = 100_000  # features that are made at a time


@dataclass(frozen=True, slots=True)
class Opening:
    """What opening a store took, in seconds, as medians.

    Attributes
    ----------
    open_s : `open_store`, and how many pictures there are.
    engine_s : `RegionSearch`, which reads its features from the disk at each search.
    first_s, next_s : a search of such an engine, the first one and the next.
    index_s : all ids and metadata as one table.
    """

    images: int
    open_s: float
    engine_s: float
    first_s: float
    next_s: float
    index_s: float


def pictures(size: str) -> int:
    """Return how many pictures a store has for a size, "small" or "full"."""
    return 20_000 if size == "small" else 1_000_000


def measure(images: int, folder: Path) -> Part:
    """Make a store of so many pictures with ids, domains and labels, and open it a few times.

    Raises
    ------
    StoreError
        If there is too little space on the disk.
    """
    with sets.temporary_folder(folder) as own:
        ids = [f"train/{i:07d}.jpg" for i in range(images)]
        random = np.random.default_rng(0)
        values = np.concatenate(
            [random.random((min(_STEP, images - i), *GRID), np.float32) for i in range(0, images, _STEP)]
        )
        path = own / "many.zarr"
        store_from_arrays(
            {LAYER: values}, out=path, image=ids, path=ids, domain=[f"domain {i % 4}" for i in range(images)],
            label=[f"label {i % 100:02d}" for i in range(images)],
        )  # fmt: skip
        runs = [_open(path, ids[images // 2]) for _ in range(RUNS)]
        shutil.rmtree(path)
    found = Opening(images, *(float(np.median(times)) for times in zip(*runs, strict=True)))
    rows = (
        ("open_store", number(found.open_s * 1e3)),
        ("RegionSearch, reading from disk", number(found.engine_s * 1e3)),
        ("its first search", number(found.first_s * 1e3)),
        ("its next search", number(found.next_s * 1e3)),
        ("store.index, all ids and metadata", number(found.index_s * 1e3)),
    )
    return Part(
        figures={"opening": asdict(found)},
        tables=(Table(f"Opening a store of {images:,} pictures", ("what", "ms"), rows),),
        goals=(Goal(f"{images:,} pictures opened within {GOAL_S:g} s", found.open_s, GOAL_S, False),),
    )


def _open(path: Path, image: str) -> tuple[float, ...]:
    """Return the seconds of each step, of a store that this process has not open."""
    times = [perf_counter()]
    store = open_store(path)
    count = store.n_images
    times.append(perf_counter())
    engine = RegionSearch(store, LAYER, device="cpu", scan="stored")
    times.append(perf_counter())
    query = engine.query(image, np.ones(GRID[1:], np.float32))
    for _ in range(2):
        engine.search(query, k=20)
        times.append(perf_counter())
    assert len(store.index) == count
    times.append(perf_counter())
    engine.close()
    return tuple(np.diff(times).tolist())
