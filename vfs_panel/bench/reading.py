"""Streaming: a search that reads its features from disk, against a plain read of the same files."""

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np

from vfs_panel.bench import regions, sets, truth
from vfs_panel.bench.contestants import TOP, Found
from vfs_panel.bench.report import Goal, Part, Table, number
from vfs_panel.bench.sets import LAYER, Recipe
from vfs_panel.bench.timing import Call, in_turns
from vfs_panel.errors import BenchError
from vfs_panel.features.store import FeatureStore
from vfs_panel.search.engine import RegionSearch
from vfs_panel.words import size_words

Progress = Callable[[int, int], None]
NO_ROOM_MB = 0.01  # of memory, so that an engine streams
GOAL = 0.8  # of the rate of a plain read, from the disk
GOAL_BYTES = 500e6  # smaller sets take as long to ask for as to read


@dataclass(frozen=True, slots=True)
class Reading:
    """What reading a set took, by a plain read and by a search, from the disk ("cold") or from the system's cache.

    Attributes
    ----------
    name : of the set.
    nbytes : of its features' files.
    raw_ms, search_ms : medians of `runs` calls.
    problem : what is wrong with the matches; "".
    """

    name: str
    state: str
    nbytes: int
    raw_ms: float
    search_ms: float
    runs: int
    problem: str = ""

    @property
    def share(self) -> float:
        """Rate of the search against that of the plain read."""
        return self.raw_ms / self.search_ms


def recipes(size: str, images: Sequence[int] = ()) -> list[Recipe]:
    """Return the sets of a size, "small" or "full", with other numbers of pictures if `images` has any."""
    small = size == "small"
    return [Recipe(n, (128 if small else 512, 7, 7)) for n in images or (500 if small else 20_000,)]


def can_empty_cache() -> bool:
    """Whether the system can be told to forget files that it has read."""
    return hasattr(os, "posix_fadvise")


def measure(chosen: Sequence[Recipe], folder: Path, *, device: str = "cpu", progress: Progress | None = None) -> Part:
    """Measure a streamed search for a 3×3 mask against a plain read, cold where the system can, and warm.

    Raises
    ------
    BenchError, QueryError
        If there is too little space on the disk, or no such device.
    """
    states = [*(["cold"] if can_empty_cache() else []), "warm"]
    found, tiers = [], {}
    for done, recipe in enumerate(chosen):
        if progress is not None:
            progress(done, len(chosen))
        with sets.temporary_folder(folder) as own:
            store = sets.build(recipe, own / "set.zarr")
            engine = RegionSearch(store, LAYER, device=device, memory_mb=NO_ROOM_MB)
            if "read from disk" not in engine.tier:
                raise BenchError(f"The engine does not stream, but works {engine.tier}.")
            found += [_measure(recipe, store, engine, state) for state in states]
            tiers[recipe.name] = engine.tier
            engine.close()
    if progress is not None:
        progress(len(chosen), len(chosen))
    return Part(
        figures={
            "tiers": tiers,
            "readings": [asdict(reading) | {"share": reading.share} for reading in found],
        },
        tables=(_table(found),),
        goals=tuple(
            Goal(f"{r.name} from disk: at least {GOAL} of a plain read", r.share, GOAL, True)
            for r in found
            if r.state == states[0] and r.nbytes >= GOAL_BYTES
        ),
        problems=tuple(f"{r.name}, streamed, {r.state}: {r.problem}" for r in found if r.problem),
        left_out=() if can_empty_cache() else ("This system cannot be told to forget a file: no cold reads.",),
    )


def _table(found: Sequence[Reading]) -> Table:
    rows = tuple(
        (
            f"{r.name}, {r.state}",
            size_words(r.nbytes),
            number(r.raw_ms),
            number(r.nbytes / r.raw_ms / 1e6),
            number(r.search_ms),
            number(r.nbytes / r.search_ms / 1e6),
            f"{r.share:.0%}",
            "WRONG" if r.problem else "right",
        )
        for r in found
    )
    columns = ("features on disk", "size", "read, ms", "read, GB/s", "search, ms", "search, GB/s", "share", "top 20")
    return Table(
        "Streaming",
        columns,
        rows,
        (
            f"Read: each file in order, whole, into one buffer, by one thread. Search: exact, {regions.SOFT} mask, "
            "nothing held in memory. cold: the system has forgotten the files; warm: it has them in its cache.",
        ),
    )


def _measure(recipe: Recipe, store: FeatureStore, engine: RegionSearch, state: str) -> Reading:
    files = sets.feature_files(store)
    query = regions.query(store, LAYER, regions.SOFT)
    result = engine.search(query, k=TOP, exclude_query=False)
    found = Found(result["image_id"].to_numpy().astype(np.intp), result["score"].to_numpy().astype(np.float64))
    problem = truth.disagreement(found, truth.best_scores(store, query).plain, truth.EXACT_TOLERANCE)
    buffer = bytearray(max(file.stat().st_size for file in files))
    calls: dict[str, Call] = {
        "raw": partial(read_files, files, buffer),
        "search": partial(engine.search, query, k=TOP, exclude_query=False),
    }
    before = dict.fromkeys(calls, partial(forget, files)) if state == "cold" else None
    times = in_turns(calls, before=before)
    return Reading(
        name=recipe.name,
        state=state,
        nbytes=sum(file.stat().st_size for file in files),
        raw_ms=times["raw"].median_ms,
        search_ms=times["search"].median_ms,
        runs=len(times["raw"].seconds),
        problem=problem,
    )


def read_files(files: list[Path], buffer: bytearray) -> int:
    """Read files in order into one buffer, and return their bytes."""
    view, total = memoryview(buffer), 0
    for file in files:
        with open(file, "rb", buffering=0) as handle:
            while got := handle.readinto(view):
                total += got
    return total


def forget(files: list[Path]) -> None:
    """Have the system forget what it has read of files. What lies below it, as a host's cache, may remember."""
    for file in files:
        handle = os.open(file, os.O_RDONLY)
        try:
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(handle)
