"""Growth: what a search costs from a thousand pictures to a million, in whatever tier the engine chooses."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from vfs_panel.bench import regions, sets
from vfs_panel.bench.contestants import TOP
from vfs_panel.bench.report import Part, Table, number
from vfs_panel.bench.sets import LAYER, Recipe
from vfs_panel.bench.timing import in_turns
from vfs_panel.features.store import FeatureStore
from vfs_panel.search.devices import pick_device
from vfs_panel.search.engine import RegionSearch
from vfs_panel.words import size_words

Progress = Callable[[int, int], None]
NUMBERS = {"small": (100, 1_000, 5_000), "full": (1_000, 10_000, 100_000, 1_000_000)}
DISTINCT = {"small": 1_000, "full": 10_000}  # larger sets repeat the blocks of one of so many pictures


@dataclass(frozen=True, slots=True)
class Size:
    """What a search costs among so many pictures.

    Attributes
    ----------
    distinct : pictures that are different; fewer than n_images: the blocks of so many, over and over.
    nbytes : of the features as stored.
    tier, choice, scan : of the engine.
    load_s : seconds until the engine was ready.
    ms, low_ms, high_ms : median, quickest and slowest of `runs` exact searches for a 3×3 mask.
    rescored : pictures that were scored again in float64.
    """

    n_images: int
    distinct: int
    nbytes: int
    tier: str
    choice: str
    scan: str
    load_s: float
    ms: float
    low_ms: float
    high_ms: float
    runs: int
    rescored: int


def measure(
    size: str,
    folder: Path,
    *,
    images: Sequence[int] = (),
    device: str = "cpu",
    progress: Progress | None = None,
) -> Part:
    """Measure searches among more and more pictures.

    Sets beyond DISTINCT pictures are the blocks of a smaller one, over and over, so that a million fit on a disk. Such
    pictures tie, all of them with the best ones, which costs the exact search more than different pictures would.

    Parameters
    ----------
    size : "small" or "full".
    images : numbers of pictures instead of those of the size.

    Raises
    ------
    BenchError, QueryError
        If there is too little space on the disk, or no such device.
    """
    pick_device(device)
    numbers = sorted(images or NUMBERS[size])
    grid = (128, 7, 7) if size == "small" else (512, 7, 7)
    base = Recipe(min(DISTINCT[size], numbers[-1]), grid)
    found = []
    with sets.temporary_folder(folder) as own:
        sets.check_space(own, sum(Recipe(min(n, DISTINCT[size]), grid).nbytes for n in {*numbers, base.n_images}))
        largest = sets.build(base, own / "base.zarr")
        for number_done, n in enumerate(numbers):
            if progress is not None:
                progress(number_done, len(numbers))
            if n > base.n_images:
                store = sets.repeated(largest, n, own / f"{n}.zarr")
            else:
                store = largest if n == base.n_images else sets.build(Recipe(n, grid), own / f"{n}.zarr")
            found.append(_measure(store, min(n, base.n_images), device))
        if progress is not None:
            progress(len(numbers), len(numbers))
    rows = tuple(
        (
            f"{s.n_images:,}" + ("*" if s.distinct < s.n_images else ""),
            size_words(s.nbytes),
            number(s.ms),
            number(s.ms / s.n_images * 1e3),
            number(s.load_s),
            f"{s.rescored:,}",
            s.tier,
        )
        for s in found
    )
    columns = ("pictures", "on disk", "ms", "ms per 1,000", "s to load", "rescored", "tier")
    notes = [f"Exact search for the best {TOP}, {regions.SOFT} mask, {base.name.split(' × ')[1]} features."]
    if any(s.distinct < s.n_images for s in found):
        notes.append(
            f"* The blocks of {base.n_images:,} pictures, over and over: read from the same files, which the "
            "system may keep in memory; copies tie and are all scored again."
        )
    return Part(
        figures={"grid": list(grid), "made": base.made, "sizes": [asdict(s) for s in found]},
        tables=(Table("Growing sets", columns, rows, tuple(notes)),),
    )


def _measure(store: FeatureStore, distinct: int, device: str) -> Size:
    start = time.perf_counter()
    engine = RegionSearch(store, LAYER, device=device)
    load_s = time.perf_counter() - start
    query = regions.query(store, LAYER, regions.SOFT)
    rescored = int(engine.search(query, k=TOP, exclude_query=False).attrs["rescored"])
    times = in_turns({"search": partial(engine.search, query, k=TOP, exclude_query=False)})["search"]
    found = Size(
        n_images=store.n_images,
        distinct=distinct,
        nbytes=store.nbytes(LAYER),
        tier=engine.tier,
        choice=engine.choice,
        scan=engine.scan,
        load_s=load_s,
        ms=times.median_ms,
        low_ms=times.low_ms,
        high_ms=times.high_ms,
        runs=len(times.seconds),
        rescored=rescored,
    )
    engine.close()
    return found
