"""Peak memory of an engine, in a process of its own: `python -m vfs_panel.bench.peak STORE SCAN DEVICE`."""

import gc
import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from vfs_panel.errors import BenchError


@dataclass(frozen=True, slots=True)
class Peak:
    """Memory of one engine, in bytes beyond what its process held before it was made; on a GPU, what torch took of it.

    Before it is made, a set of a few pictures is searched in the same way: libraries and threads are there then, as in
    any process that has searched, and what is measured grows with the set.

    Attributes
    ----------
    scan, tier, choice : of the engine: what it reads, where the features lie, and why.
    codes : bytes of the features in that representation.
    loading : most while it was made.
    resident : afterwards.
    searching : most during one search for each mask.
    load_s : seconds that it took to make.
    """

    scan: str
    tier: str
    choice: str
    codes: int
    loading: int | None
    resident: int | None
    searching: int | None
    load_s: float

    @property
    def share(self) -> float | None:
        """Most memory of a search against the bytes of the codes; 1 would be no more than the codes themselves."""
        return None if self.searching is None else self.searching / self.codes


def measure(store: str, scan: str, device: str) -> Peak:
    """Make an engine in a fresh process, search once for each mask, and return what it took.

    Raises
    ------
    BenchError
        If the process fails; says how.
    """
    command = [sys.executable, "-m", "vfs_panel.bench.peak", store, scan, device]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]
        raise BenchError(f"The process that measures the memory of {scan} codes failed: {said}")
    return Peak(**json.loads(done.stdout.splitlines()[-1]))


def _measure_here(path: str, scan: str, device: str) -> Peak:
    import torch

    from vfs_panel.bench import regions, sets
    from vfs_panel.bench.contestants import TOP
    from vfs_panel.bench.machine import forget_peak, memory_of_process
    from vfs_panel.bench.sets import LAYER, Recipe
    from vfs_panel.features import FeatureStore, open_store
    from vfs_panel.search.codes import codes_bytes
    from vfs_panel.search.devices import pick_device
    from vfs_panel.search.engine import RegionSearch

    chosen = pick_device(device)
    store = open_store(path)
    queries = [regions.query(store, LAYER, name) for name in regions.MASKS]
    grid = store.spec(LAYER).grid

    def make(searched: FeatureStore) -> RegionSearch:
        # Room for the codes that are asked for, whatever is free; "auto" looks at that itself.
        codes = 0 if scan == "auto" else codes_bytes(searched.n_images, grid, scan)  # type: ignore[arg-type]
        memory_mb = 1.05 * codes / 1e6 + 16 if codes else None
        return RegionSearch(searched, LAYER, device=device, scan=scan, memory_mb=memory_mb)

    with sets.temporary_folder(Path(path).parent) as folder:
        few = make(sets.build(Recipe(2 * TOP, grid), folder / "few.zarr"))
        for query in queries:
            few.search(query, exclude_query=False)
        few.close()
    del few
    gc.collect()

    def held(field: str) -> int | None:
        if chosen.type == "cuda":
            taken = torch.cuda.memory_allocated if field == "VmRSS" else torch.cuda.max_memory_allocated
            return taken(chosen)
        return memory_of_process(field)

    def start_anew() -> bool:
        if chosen.type == "cuda":
            torch.cuda.reset_peak_memory_stats(chosen)
            return True
        return forget_peak()

    before, can_reset = held("VmRSS"), start_anew()

    def beyond(field: str) -> int | None:
        now = held(field)
        return None if now is None or before is None or not can_reset else now - before

    start = time.perf_counter()
    engine = make(store)
    load_s = time.perf_counter() - start
    loading, resident = beyond("VmHWM"), beyond("VmRSS")
    start_anew()
    for query in queries:
        engine.search(query, exclude_query=False)
    codes = codes_bytes(store.n_images, grid, engine.scan)  # type: ignore[arg-type]
    return Peak(engine.scan, engine.tier, engine.choice, codes, loading, resident, beyond("VmHWM"), load_s)


if __name__ == "__main__":
    print(json.dumps(asdict(_measure_here(*sys.argv[1:]))))
