"""A cluster on this machine: what a search costs more on its workers than in this process."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np

from vfs_panel.bench import regions, sets
from vfs_panel.bench.contestants import TOP
from vfs_panel.bench.report import Goal, Part, Table, number
from vfs_panel.bench.sets import LAYER, Recipe
from vfs_panel.bench.timing import in_turns
from vfs_panel.errors import BenchError
from vfs_panel.search.engine import RegionSearch

Progress = Callable[[int, int], None]
WORKERS = 2
GOAL_MS = 30.0  # a search may take longer on a cluster than here


@dataclass(frozen=True, slots=True)
class Clustered:
    """Medians of a search for a 3×3 mask in int8 codes, in this process and on the workers of a local cluster."""

    name: str
    workers: int
    local_ms: float
    cluster_ms: float
    runs: int
    problem: str = ""

    @property
    def overhead_ms(self) -> float:
        """How much longer the cluster takes."""
        return self.cluster_ms - self.local_ms


def recipes(size: str, images: Sequence[int] = ()) -> list[Recipe]:
    """Return the sets of a size, "small" or "full", with other numbers of pictures if `images` has any."""
    small = size == "small"
    return [Recipe(n, (128 if small else 512, 7, 7)) for n in images or (500 if small else 5_000,)]


def measure(chosen: Sequence[Recipe], folder: Path, *, progress: Progress | None = None) -> Part:
    """Measure searches on two worker processes beside searches in this one, in turns.

    Raises
    ------
    BenchError
        If Dask is not installed, or there is too little space on the disk.
    """
    try:
        from distributed import LocalCluster
    except ImportError:
        raise BenchError("This benchmark needs Dask: pip install 'vfs_panel[cluster]'") from None
    logging.getLogger("distributed").setLevel(logging.ERROR)  # each worker's coming and going is not a figure
    found = []
    with LocalCluster(
        n_workers=WORKERS, threads_per_worker=1, processes=True, dashboard_address=":0", silence_logs=40
    ) as cluster:
        for done, recipe in enumerate(chosen):
            if progress is not None:
                progress(done, len(chosen))
            with sets.temporary_folder(folder) as own:
                store = sets.build(recipe, own / "set.zarr")
                local = RegionSearch(store, LAYER, device="cpu", scan="int8")
                spread = RegionSearch(store, LAYER, device="cpu", scan="int8", scheduler=cluster.scheduler_address)
                query = regions.query(store, LAYER, regions.SOFT)
                here, there = local.search(query, k=TOP), spread.search(query, k=TOP)
                same = all(np.array_equal(here[name], there[name]) for name in ("image_id", "score", "y", "x"))
                times = in_turns(
                    {"local": partial(local.search, query, k=TOP), "cluster": partial(spread.search, query, k=TOP)}
                )
                spread.close()
            found.append(
                Clustered(
                    name=recipe.name,
                    workers=WORKERS,
                    local_ms=times["local"].median_ms,
                    cluster_ms=times["cluster"].median_ms,
                    runs=len(times["local"].seconds),
                    problem="" if same else "the cluster's matches are not the local ones",
                )
            )
    return Part(
        figures={"clusters": [asdict(one) | {"overhead_ms": one.overhead_ms} for one in found]},
        tables=(_table(found),),
        goals=tuple(
            Goal(f"{one.name} on a local cluster: at most {GOAL_MS:.0f} ms more", one.overhead_ms, GOAL_MS, False)
            for one in found
        ),
        problems=tuple(f"{one.name} on a cluster: {one.problem}" for one in found if one.problem),
    )


def _table(found: Sequence[Clustered]) -> Table:
    rows = tuple(
        (
            one.name,
            number(one.local_ms),
            number(one.cluster_ms),
            number(one.overhead_ms),
            "WRONG" if one.problem else "right",
        )
        for one in found
    )
    return Table(
        "Cluster",
        ("int8 codes, exact", "here, ms", "cluster, ms", "more, ms", "top 20"),
        rows,
        (f"A local Dask cluster of {WORKERS} processes with one thread each; {regions.SOFT} mask.",),
    )
