"""How often the best match is the right one: searches with known answers on the demo sets, against two baselines."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from vfs_panel.analysis.baselines import fit_batch_norm, input_batches, raw_pixels
from vfs_panel.cores import cores, use_cores, use_one_core
from vfs_panel.errors import LayerError, QueryError
from vfs_panel.images.demo import PLACED_NAMES, Places, build_demo, open_places
from vfs_panel.images.demo.answers import Disc, random_discs, right_matches
from vfs_panel.images.demo.build import BOX
from vfs_panel.images.demo.picture import SEED, SIZE_PX
from vfs_panel.images.preprocessing import Preprocessing
from vfs_panel.models import Extractor, load_network
from vfs_panel.models.demo_network import STRIDES_PX
from vfs_panel.search import kernels
from vfs_panel.search.mask import grid_mask
from vfs_panel.search.stroke import Stroke

if TYPE_CHECKING:
    from vfs_panel.images.dataset import ImageDataset
    from vfs_panel.models import Network

Flags = NDArray[np.bool_]
Progress = Callable[[int, int], None]

UNTRAINED, RAW = "untrained", "raw pixels"
NETWORKS = ("vfs-demo", "vfs-demo-class", UNTRAINED, RAW)
FIT_EVERY = 10  # of the pictures, every tenth gives the untrained network its batch statistics
BLOCK_MB = 4.0  # products of one block stay in the cache of a core


@dataclass(frozen=True, slots=True)
class Task:
    """One kind of query and the pictures it is searched in.

    Attributes
    ----------
    name : what the queries are, for example "subject".
    discs : the queries.
    pools : bool per picture by name of the pool; the query's own picture is left out besides.
    """

    name: str
    discs: list[Disc]
    pools: Callable[[Disc], dict[str, Flags]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One query in one pool: precision at 1 and at 10 (NaN where no answer exists), right label at 1, best score."""

    at_1: float
    at_10: float
    label: float
    best: float


def bench(
    *,
    datasets: Sequence[str] = PLACED_NAMES,
    queries: int = 240,
    layers: Sequence[str] | None = None,
    networks: Sequence[str] = NETWORKS,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Measure same-place retrieval with random painted discs whose right answers are known.

    A match is right if the middle of the best window lies on the query's spot: on the same photograph or scene, within
    the disc's radius plus half a cell. Photos: discs anywhere in validation pictures of the domain photo. Camera traps:
    half of the discs on subjects and half on backgrounds, as many from seen as from held-out locations.

    Parameters
    ----------
    datasets : names of demo sets.
    queries : how many discs on each set; on camera traps twice as many, since they are of four kinds.
    layers : of the demo networks; all three by default.
    networks : network names, "untrained" (random weights, fitted batch statistics) or "raw pixels" (4×4 thumbnails).
    progress : called with steps done and steps in all; a step is one query in one layer of one network.

    Returns
    -------
    DataFrame with one row per dataset, network, layer, query and pool: queries, p1 and p10 (precision at 1, and at 10
    out of the answers that exist) and label1 (right label at 1), each with its standard error; best (mean best score);
    auroc of best scores (photo over the pool's domain; in camera traps, subjects over backgrounds elsewhere).

    Raises
    ------
    QueryError
        If there are fewer than 8 queries.
    LayerError
        If a layer is not one of the demo networks'.
    """
    chosen = tuple(layers) if layers else tuple(STRIDES_PX)
    for layer in chosen:
        if layer not in STRIDES_PX:
            raise LayerError(f"Retrieval is measured on {', '.join(STRIDES_PX)}; {layer!r} is none of them.")
    if queries < 8:
        raise QueryError(f"Retrieval needs at least 8 queries per data set, got {queries}.")
    sets = {name: (build_demo(name), open_places(name)) for name in datasets}
    tasks = {name: make_tasks(images, places, queries) for name, (images, places) in sets.items()}
    total = sum(len(task.discs) for kinds in tasks.values() for task in kinds) * len(networks) * len(chosen)
    rows: list[dict[str, object]] = []
    done = 0

    def tick() -> None:
        nonlocal done
        done += 1
        if progress:
            progress(done, total)

    for name, (images, places) in sets.items():
        for network in networks:
            found = measure(network, images, places, tasks[name], chosen, tick)
            rows.extend({"dataset": name, "network": network, **row} for row in found)
    return pd.DataFrame(rows)


def measure(
    network: str,
    images: "ImageDataset",
    places: Places,
    tasks: Sequence[Task],
    layers: Sequence[str],
    tick: Callable[[], None] = lambda: None,
) -> Iterator[dict[str, object]]:
    """Yield the rows of `bench` for one network on one demo set, or a part of one.

    Parameters
    ----------
    network : a network's name, "untrained" or "raw pixels".
    images : the pictures.
    places : their known answers, in the same order.
    tasks : from `make_tasks`.
    layers : of the demo networks.
    tick : called after every query.
    """
    for layer, features in _features(network, images, layers):
        scan = _Scan(images, places, features)
        outcomes: dict[tuple[str, str], list[Outcome]] = {}
        for task in tasks:
            for judged in scan.all_outcomes(task):
                for pool, outcome in judged.items():
                    outcomes.setdefault((task.name, pool), []).append(outcome)
                tick()
        for row in _rows(outcomes):
            yield {"layer": layer, **row}


# ---------------------------------------------------------------- queries


def make_tasks(images: "ImageDataset", places: Places, queries: int) -> list[Task]:
    """Return the queries on a demo set, or on a part of one; always the same for the same pictures."""
    table = images.table
    domain, split = table["domain"].to_numpy(str), table["split"].to_numpy(str)
    if BOX[0] not in table:
        rows = np.flatnonzero((domain == "photo") & (split == "val"))
        pools = {str(d): domain == d for d in ("photo", "night", "sketch", "poster")}
        discs = random_discs(places, rows.tolist(), None, count=queries, part="anywhere", seed=SEED)
        return [Task("photo", discs, lambda _disc: pools)]
    held_out, everywhere = split == "ood", np.ones(len(table), bool)

    def by_location(disc: Disc) -> dict[str, Flags]:
        here = domain == domain[disc.row]
        return {
            "all": everywhere,
            "same": here,
            "other": ~here,
            "other seen": ~here & ~held_out,
            "other held-out": ~here & held_out,
        }

    boxes = table[list(BOX)].apply(pd.to_numeric).to_numpy(float)  # NaN where there is no subject
    tasks = []
    for origin, chosen in (("", split == "val"), ("held-out ", held_out)):
        rows = np.flatnonzero(chosen)
        for part in ("subject", "background"):
            discs = random_discs(
                places, rows.tolist(), boxes, count=queries // 2, part=part, seed=SEED + (origin != "")
            )
            tasks.append(Task(f"{origin}{part}", discs, by_location))
    return tasks


# ---------------------------------------------------------------- features


def _features(network: str, images: "ImageDataset", layers: Sequence[str]) -> Iterator[tuple[str, Tensor]]:
    """Yield each layer's features (n, y, x, channel)."""
    if network == RAW:
        for layer in layers:
            yield layer, raw_pixels(images, STRIDES_PX[layer])
        return
    loaded = load_network("vfs-demo", weights="random") if network == UNTRAINED else load_network(network)
    if network == UNTRAINED:
        fit_batch_norm(loaded.module, input_batches(images.subset(images.ids[::FIT_EVERY]), loaded.preprocessing))
    yield from _extract(loaded, images, layers)


def _extract(network: "Network", images: "ImageDataset", layers: Sequence[str]) -> Iterator[tuple[str, Tensor]]:
    parts: dict[str, list[Tensor]] = {layer: [] for layer in layers}
    with Extractor(network, layers, device="cpu") as extractor:
        for batch in input_batches(images, network.preprocessing):
            for layer, grid in extractor(batch).items():
                parts[layer].append(grid.permute(0, 2, 3, 1).contiguous())
    for layer in layers:
        yield layer, torch.cat(parts.pop(layer))


# ---------------------------------------------------------------- searches


class _Scan:
    """Searches one layer's features of a demo set and judges the matches."""

    def __init__(self, images: "ImageDataset", places: Places, features: Tensor) -> None:
        self.places, self.features = places, features
        self.norm2 = kernels.cell_norm2(features)
        self.label = images.table["label"].to_numpy(str)
        self.grid = (features.shape[1], features.shape[2])
        self.stride_px = SIZE_PX / features.shape[1]
        self.geometry = Preprocessing(resize_px=None, crop_px=None).geometry(SIZE_PX, SIZE_PX)

    @torch.inference_mode()
    def best(self, disc: Disc) -> tuple[NDArray[np.float32], NDArray[np.intp], tuple[int, int]]:
        """Return every picture's best score (n,), its window's column and row (n, 2), and the query window's."""
        mask = torch.from_numpy(
            grid_mask([Stroke((disc.centre,), radius_px=disc.radius_px)], self.geometry, self.grid).to_numpy()
        )
        ys, xs = torch.nonzero(mask > 0, as_tuple=True)
        y, x = int(ys.min()), int(xs.min())
        inside = slice(y, int(ys.max()) + 1), slice(x, int(xs.max()) + 1)
        kernel = kernels.make_kernel(self.features[disc.row][inside].permute(2, 0, 1), mask[inside])
        step = max(1, int(BLOCK_MB * 1e6 / (4 * self.grid[0] * self.grid[1] * len(kernel.cells))))
        found = []
        for start in range(0, len(self.features), step):
            rows = slice(start, start + step)
            scores = kernels.region_cosine(self.features[rows], self.norm2[rows], kernel)
            found.append([part[:, 0] for part in kernels.best_windows(scores, 1, kernel.size)])
        score, row, column = (torch.cat(parts).numpy() for parts in zip(*found, strict=True))
        return score, np.stack([column, row], 1), (x, y)

    def all_outcomes(self, task: Task) -> Iterator[dict[str, Outcome]]:
        """Search for a task's discs, in order: a query per core at once, which wastes less than sharing each query."""
        try:
            with ThreadPoolExecutor(cores(), initializer=use_one_core) as pool:
                yield from pool.map(lambda disc: self.outcomes(disc, task.pools(disc)), task.discs)
        finally:
            use_cores(cores())

    def outcomes(self, disc: Disc, pools: dict[str, Flags]) -> dict[str, Outcome]:
        """Search for a disc and judge the matches within each pool that has pictures."""
        score, windows, corner = self.best(disc)
        right, possible = right_matches(self.places, disc, corner=corner, windows=windows, stride_px=self.stride_px)
        same_label = self.label == self.label[disc.row]
        others = np.arange(len(score)) != disc.row
        searched = {name: pool & others for name, pool in pools.items()}
        return {name: _outcome(score, right, possible, same_label, p) for name, p in searched.items() if p.any()}


def _outcome(score: NDArray[np.float32], right: Flags, possible: Flags, same_label: Flags, pool: Flags) -> Outcome:
    rows = np.flatnonzero(pool)
    order = rows[np.argsort(-score[rows], kind="stable")]
    exist = int((possible | right)[rows].sum())
    best = float(score[order[0]])
    label = float(same_label[order[0]])
    if exist == 0:
        return Outcome(np.nan, np.nan, label, best)
    return Outcome(float(right[order[0]]), float(right[order[:10]].sum()) / min(10, exist), label, best)


# ---------------------------------------------------------------- tables


def _rows(outcomes: dict[tuple[str, str], list[Outcome]]) -> Iterator[dict[str, object]]:
    """Yield one row of means per query and pool."""
    for (query, pool), found in outcomes.items():
        row: dict[str, object] = {"query": query, "pool": pool}
        answered = [outcome for outcome in found if not np.isnan(outcome.at_1)]
        row["queries"] = len(answered)
        for key, values in (
            ("p1", [outcome.at_1 for outcome in answered]),
            ("p10", [outcome.at_10 for outcome in answered]),
            ("label1", [outcome.label for outcome in found]),
        ):
            row[key], row[f"{key}_se"] = mean_and_error(values)
        row["best"] = float(np.mean([outcome.best for outcome in found]))
        row["auroc"] = np.nan
        rival = _rival(query, pool)
        if rival in outcomes:
            best, less = ([o.best for o in outcomes[key]] for key in ((query, pool), rival))
            row["auroc"] = auroc(best, less) if query != "photo" else auroc(less, best)
        yield row


def _rival(query: str, pool: str) -> tuple[str, str]:
    """Return whose best scores a row's are compared with: in photos those within photo, in traps the background's."""
    if query == "photo":
        return ("photo", "photo" if pool != "photo" else "")
    return (query.replace("subject", "background"), pool) if "subject" in query else ("", "")


def mean_and_error(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean and its standard error, NaN where there are too few values."""
    if len(values) < 2:
        return (float(np.mean(values)) if values else np.nan), np.nan
    return float(np.mean(values)), float(np.std(values, ddof=1) / np.sqrt(len(values)))


def auroc(positive: Sequence[float], negative: Sequence[float]) -> float:
    """Return how often a positive value is above a negative one, ties as half."""
    a, b = np.array(positive)[:, None], np.array(negative)[None]
    return float(((a > b) + 0.5 * (a == b)).mean())


COLUMNS = {
    "photos": [("photo", "photo"), ("photo", "night"), ("photo", "sketch"), ("photo", "poster")],
    "camera-traps": [
        ("subject", "all"),
        ("subject", "other seen"),
        ("subject", "other held-out"),
        ("background", "all"),
    ],
}


def table(rows: pd.DataFrame) -> str:
    """Return the main figures as text: a line per network and layer, "p1 ±se / p10" in each column.

    Parameters
    ----------
    rows : from `bench`.
    """
    by_set: dict[str, dict[tuple[str, str], dict[tuple[str, str], Any]]] = {}
    for row in rows.to_dict("records"):
        lines = by_set.setdefault(row["dataset"], {})
        lines.setdefault((row["network"], row["layer"]), {})[row["query"], row["pool"]] = row
    blocks = []
    for dataset, lines in by_set.items():
        columns = COLUMNS[dataset]
        written = []
        for (network, layer), found in lines.items():
            cells = {"network": network, "layer": layer}
            for key in columns:
                row = found[key]
                cells[" → ".join(key)] = f"{row['p1']:.2f} ±{row['p1_se']:.2f} / {row['p10']:.2f}"
            if dataset == "camera-traps":
                cells["AUROC"] = f"{found['subject', 'other']['auroc']:.2f}"
            written.append(cells)
        queries = max(row["queries"] for row in found.values())
        blocks.append(f"{dataset}, up to {queries} queries per column\n{pd.DataFrame(written).to_string(index=False)}")
    return "\n\n".join([*blocks, NOTE])


NOTE = (
    "p1 ± its standard error / p10: is the best match on the query's own spot, and how many of the best ten are,\n"
    "out of those that exist. AUROC: how well the best score in another location tells subjects from backgrounds."
)
