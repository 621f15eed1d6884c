"""Searches side by side: this package in each representation, visualfeaturesearch, FAISS and the memory itself."""

import gc
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from vfs_panel.bench import peak, regions, sets, truth
from vfs_panel.bench.contestants import (
    Flat,
    Found,
    Fused,
    MemoryCopy,
    MemoryRead,
    NotInstalledError,
    Ours,
    Reference,
    float_features,
)
from vfs_panel.bench.report import Goal, Part, Table, geometric_mean, number
from vfs_panel.bench.sets import LAYER, Recipe
from vfs_panel.bench.timing import Call, Times, in_turns
from vfs_panel.errors import BenchError
from vfs_panel.features.store import FeatureStore
from vfs_panel.search.codes import ScanType, codes_bytes
from vfs_panel.search.devices import free_memory_mb, pick_device
from vfs_panel.search.query import RegionQuery
from vfs_panel.words import size_words

Progress = Callable[[int, int], None]
Kind = Literal["ours", "preview", "fused", "reference", "faiss", "memory", "copy"]
Known = dict[tuple[tuple[int, int, int], str], "Figure"]
SCANS: dict[str, tuple[ScanType, ...]] = {
    "cpu": ("float32", "bfloat16", "int8"),
    "cuda": ("float32", "float16", "int8"),
}
REFERENCE_CELLS = 5_000 * 49  # at most so many cells are given to visualfeaturesearch: it takes seconds for them
REFERENCE_STEP = 500  # pictures that it takes at a time
BUFFER = 1 << 30  # bytes of memory that are read, or copied on a GPU
ROOM = 0.85  # of the free memory that contestants may take together
REFERENCE, FAISS, FUSED = "visualfeaturesearch", "FAISS flat", "fused kernel alone"
FUSED_SCANS: tuple[ScanType, ...] = ("float16", "int8")


@dataclass(frozen=True, slots=True)
class Figure:
    """What one contestant took for one mask.

    Attributes
    ----------
    contestant, kind : its name, and what it is.
    mask : as in `regions.MASKS`.
    n_images : pictures of the set.
    nbytes : bytes of features that it holds in memory, and reads.
    scan : type of the codes; None of others.
    ms, low_ms, high_ms : median, quickest and slowest of `runs` calls, for all pictures of the set.
    measured_on : pictures that it was timed with; fewer than the set has: the times are scaled up from them.
    read_ms : what one read of its bytes takes here (on a GPU: half a copy of them).
    times_read : ms / read_ms.
    times_faster : how many times as fast as visualfeaturesearch.
    right : how many of its matches are among the true ones.
    rescored, bound : of ours, see `RegionSearch.search`.
    problem : what is wrong with its matches; "".
    """

    contestant: str
    kind: Kind
    mask: str
    n_images: int
    nbytes: int
    scan: str | None = None
    ms: float = float("nan")
    low_ms: float = float("nan")
    high_ms: float = float("nan")
    runs: int = 0
    measured_on: int = 0
    read_ms: float = float("nan")
    times_read: float = float("nan")
    times_faster: float | None = None
    right: int | None = None
    rescored: int | None = None
    bound: float | None = None
    problem: str = ""


@dataclass(slots=True, eq=False)
class SetOutcome:
    """What was measured on one set."""

    recipe: Recipe
    figures: list[Figure]
    peaks: dict[str, peak.Peak]
    left_out: list[str]
    build_s: float

    def of(self, kind: str, scan: str | None = None) -> list[Figure]:
        """Return the figures of a contestant, one for each mask."""
        return [f for f in self.figures if f.kind == kind and f.scan == scan]

    @property
    def chosen(self) -> str:
        """The representation that an engine takes by itself here."""
        return self.peaks["auto"].scan

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        ours = self.of("ours", self.chosen)
        faster = [f.times_faster for f in ours if f.times_faster is not None]
        return {
            "set": self.recipe.name,
            "n_images": self.recipe.n_images,
            "grid": list(self.recipe.grid),
            "dtype": self.recipe.dtype,
            "made": self.recipe.made,
            "bytes_on_disk": self.recipe.nbytes,
            "build_s": round(self.build_s, 1),
            "chosen": self.chosen,
            "times_faster_mean": geometric_mean(faster) if faster else None,
            "times_faster_least": min(faster, default=None),
            "peaks": {scan: asdict(p) | {"share": p.share} for scan, p in self.peaks.items()},
            "figures": [_plain(f) for f in self.figures],
        }


def _plain(figure: Figure) -> dict[str, Any]:
    return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in asdict(figure).items()}


def recipes(size: str, device: str, images: Sequence[int] = ()) -> list[Recipe]:
    """Return the sets of a size, "small" or "full"; `images` replaces the numbers of pictures of the 7×7 sets."""
    if size == "small":
        square = [Recipe(n, (128, 7, 7)) for n in images or (300, 1_000)]
        return [*square, sets.real_like(150, 128)]
    numbers = images or ((5_000, 100_000) if pick_device(device).type == "cuda" else (5_000, 50_000))
    return [*(Recipe(n) for n in numbers), sets.real_like(4_000)]


def measure(chosen: Sequence[Recipe], folder: Path, *, device: str = "cpu", progress: Progress | None = None) -> Part:
    """Measure all contestants on all sets.

    Parameters
    ----------
    chosen : the sets; written to `folder` one after the other, and removed.
    device : "cpu" or "cuda".

    Raises
    ------
    BenchError, QueryError
        If there is too little space on the disk, or no such device.
    """
    pick_device(device)
    sets.check_space(folder, max(recipe.nbytes for recipe in chosen))
    done, total = 0, len(chosen) * (len(regions.MASKS) + 2)

    def step() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, total)

    if progress is not None:
        progress(0, total)
    known: Known = {}
    outcomes = []
    for recipe in chosen:
        with sets.temporary_folder(folder) as own:
            start = time.perf_counter()
            store = sets.build(recipe, own / "set.zarr")
            build_s = time.perf_counter() - start
            step()
            # Now, as the processes need the memory that this one will hold.
            peaks = {scan: peak.measure(store.path, scan, device) for scan in ("auto", *_fitting(recipe, device))}
            step()
            own_known = {mask: figure for (grid, mask), figure in known.items() if grid == recipe.grid}
            field = _Field(store, recipe, device, own_known)
            figures = []
            for mask in regions.MASKS:
                figures += field.measure(mask)
                step()
            field.close()
            gc.collect()  # what the field held must be free for the next
        known |= {(recipe.grid, f.mask): f for f in figures if f.kind == "reference"}
        outcomes.append(SetOutcome(recipe, figures, peaks, field.left_out, build_s))
    return Part(
        figures={"sets": [outcome.to_json() for outcome in outcomes]},
        tables=tuple(table(outcome) for outcome in outcomes),
        goals=tuple(goal for outcome in outcomes for goal in goals(outcome, pick_device(device).type)),
        problems=tuple(
            f"{o.recipe.name}, {f.mask}: {f.contestant}: {f.problem}" for o in outcomes for f in o.figures if f.problem
        ),
        left_out=tuple(dict.fromkeys(line for outcome in outcomes for line in outcome.left_out)),
    )


def _fitting(recipe: Recipe, device: str) -> list[ScanType]:
    """Return the representations that fit into memory by themselves."""
    chosen = pick_device(device)
    room = free_memory_mb(chosen) * 1e6 * ROOM
    return [scan for scan in SCANS[chosen.type] if codes_bytes(recipe.n_images, recipe.grid, scan) < room]


@dataclass(frozen=True, slots=True)
class _Entry:
    """A contestant for one mask: what is known of it before it is timed, and how it is called."""

    figure: Figure
    call: Call
    warm_up: Call | None = None


class _Field:
    """All contestants, ready, on one set.

    Parameters
    ----------
    known : what visualfeaturesearch took on another set of the same grid, by mask; it is not measured again then.
    """

    def __init__(self, store: FeatureStore, recipe: Recipe, device: str, known: dict[str, Figure]) -> None:
        self.store, self.recipe = store, recipe
        self.device = pick_device(device)
        self.left_out: list[str] = []
        self.scans = list(SCANS[self.device.type])
        self._known = known
        self._wide = 4 * recipe.n_images * int(np.prod(recipe.grid))  # bytes of all features as float32
        cells = recipe.grid[1] * recipe.grid[2]
        few = max(REFERENCE_STEP, REFERENCE_CELLS // cells // REFERENCE_STEP * REFERENCE_STEP)
        first = min(few, recipe.n_images)
        others = {} if known else {REFERENCE: first * self._wide // recipe.n_images}
        if self.device.type == "cpu":
            others[FAISS] = self._wide
        elif _has_fused(self.device):
            others |= {f"{FUSED}, {s}": codes_bytes(recipe.n_images, recipe.grid, s) for s in FUSED_SCANS}
        fits = self._fitting(others)
        self.flat = self._open(lambda: Flat(store)) if FAISS in fits else None
        self.reference = None
        if REFERENCE in fits:
            self.reference = self._open(lambda: Reference(float_features(store, first, self.device)))
        self.ours = [Ours(store, device, scan) for scan in self.scans]
        self.fused = [Fused(store, self.device, scan) for scan in FUSED_SCANS if f"{FUSED}, {scan}" in fits]
        self.read: MemoryRead | None = None
        if self.device.type == "cpu":
            self.read = MemoryRead(min(BUFFER, max(ours.nbytes for ours in self.ours)))
            self.copy = MemoryCopy(min(BUFFER // 4, *(ours.nbytes for ours in self.ours)), self.device)
        else:
            self.copy = MemoryCopy(BUFFER, self.device)

    def _fitting(self, others: dict[str, int]) -> set[str]:
        """Leave out the largest contestants until the rest fit into memory together; return the names of those."""
        needs: dict[str, int] = {s: codes_bytes(self.recipe.n_images, self.recipe.grid, s) for s in self.scans}
        room = int(free_memory_mb(self.device) * 1e6 * ROOM) - 2 * min(BUFFER, max(needs.values()))
        needs |= others
        while needs and sum(needs.values()) > room:
            largest = max(needs, key=lambda name: needs[name])
            self.left_out.append(
                f"{self.recipe.name}: {largest} is not measured, it would need {size_words(needs.pop(largest))}, and "
                f"all contestants may take {size_words(max(room, 0))} of memory together."
            )
        self.scans = [scan for scan in self.scans if scan in needs]
        if not self.scans:
            raise BenchError(
                f"{self.recipe.name} does not fit into {size_words(max(room, 0))} of memory in any representation. "
                "Measure fewer pictures with --images, or see what larger sets cost with: vfs-panel bench grow"
            )
        return set(needs)

    def _open(self, make: Callable[[], Any]) -> Any:
        try:
            return make()
        except NotInstalledError as error:
            self.left_out.append(f"Not measured: {error}")
            return None

    def close(self) -> None:
        """Let go of all memory."""
        for ours in self.ours:
            ours.engine.close()
        if self.read is not None:
            self.read.close()
        self.ours, self.fused, self.flat, self.reference, self.read = [], [], None, None, None
        del self.copy

    def measure(self, mask: str) -> list[Figure]:
        """Time all contestants on one mask, and look at what they found."""
        query = regions.query(self.store, LAYER, mask)
        right = truth.best_scores(self.store, query)
        entries = list(self._entries(query, mask, right))
        times = in_turns(
            {entry.figure.contestant: entry.call for entry in entries},
            warm_ups={entry.figure.contestant: entry.warm_up for entry in entries if entry.warm_up is not None},
        )
        figures = [self._timed(entry.figure, times[entry.figure.contestant]) for entry in entries]
        if mask in self._known:
            figures.insert(0, self._scaled(self._known[mask]))
        return self._with_ratios(figures)

    def _entries(self, query: RegionQuery, mask: str, right: truth.Truth) -> Iterator[_Entry]:
        n = self.recipe.n_images
        blank = partial(Figure, mask=mask, n_images=n, measured_on=n)
        if self.reference is not None:
            yield self._reference(self.reference, blank, query, mask, right)
        if self.flat is not None and mask == regions.ONE_CELL:
            yield self._flat(self.flat, blank, query, right)
        for ours in self.ours:
            yield from self._ours(ours, blank, query, right)
        for alone in self.fused:
            yield self._fused(alone, blank, query, right)
        if self.read is not None:
            for ours in self.ours:
                name = f"one read of the {ours.scan} codes"
                figure = blank(contestant=name, kind="memory", scan=ours.scan, nbytes=ours.nbytes)
                yield _Entry(figure, partial(self.read, ours.nbytes))
        name = f"one copy of {size_words(self.copy.moved / 2)}"
        yield _Entry(blank(contestant=name, kind="copy", nbytes=self.copy.moved), self.copy)

    def _reference(
        self, reference: Reference, blank: Callable[..., Figure], query: RegionQuery, mask: str, right: truth.Truth
    ) -> _Entry:
        features = self.store.feature(LAYER, str(query.image_id)).to_numpy()
        reference.set_region(features, regions.mask(mask, self.recipe.grid[1:]))
        first = right.compatible[: reference.n_images]
        found = reference()
        figure = blank(
            contestant=f"{REFERENCE} {reference.version}", kind="reference", measured_on=reference.n_images,
            nbytes=self._wide, right=truth.right_matches(found, first),
            problem=truth.disagreement(found, first, truth.FLOAT32_TOLERANCE),
        )  # fmt: skip
        return _Entry(figure, reference, reference.warm_up)

    def _flat(self, flat: Flat, blank: Callable[..., Figure], query: RegionQuery, right: truth.Truth) -> _Entry:
        flat.set_region(query.features[:, 0, 0])
        found = flat()
        figure = blank(
            contestant=f"{FAISS} {flat.version}", kind="faiss", nbytes=self._wide,
            right=truth.right_matches(found, right.plain),
            problem=truth.disagreement(found, right.plain, truth.FLOAT32_TOLERANCE),
        )  # fmt: skip
        return _Entry(figure, flat)

    def _ours(
        self, ours: Ours, blank: Callable[..., Figure], query: RegionQuery, right: truth.Truth
    ) -> Iterator[_Entry]:
        exact, preview = ours.search(query), ours.search(query, exact=False)
        problem = truth.disagreement(exact, right.plain, truth.EXACT_TOLERANCE)
        if not problem and self.reference is not None:
            # As visualfeaturesearch scores, among the pictures that it was given: both have the same truth.
            first = self.reference.n_images
            same = ours.search(query, compatible=True, first=first)
            problem = truth.disagreement(same, right.compatible[:first], truth.EXACT_TOLERANCE)
            problem = f"compatible with {REFERENCE}: {problem}" if problem else ""
        made: tuple[tuple[Kind, Found, str, Call], ...] = (
            ("ours", exact, problem, partial(ours.search, query)),
            ("preview", preview, _beyond_bound(preview, right), partial(ours.search, query, exact=False)),
        )
        for kind, found, wrong, call in made:
            figure = blank(
                contestant=f"vfs_panel {ours.scan}, {'exact' if kind == 'ours' else 'preview'}", kind=kind,
                scan=ours.scan, nbytes=ours.nbytes, right=truth.right_matches(found, right.plain), problem=wrong,
                rescored=found.rescored, bound=found.bound,
            )  # fmt: skip
            yield _Entry(figure, call)

    def _fused(self, alone: Fused, blank: Callable[..., Figure], query: RegionQuery, right: truth.Truth) -> _Entry:
        alone.set_region(query)
        scores, bound = alone.scores()
        wrong = np.flatnonzero(~(np.abs(scores - right.plain) <= bound + truth.EXACT_TOLERANCE))
        figure = blank(
            contestant=f"{FUSED}, {alone.scan}", kind="fused", scan=alone.scan, nbytes=alone.nbytes,
            problem=f"{len(wrong)} scores are off by more than their bounds" if len(wrong) else "",
        )  # fmt: skip
        return _Entry(figure, alone)

    def _timed(self, figure: Figure, times: Times) -> Figure:
        scale = figure.n_images / figure.measured_on
        if figure.kind == "memory" and self.read is not None:
            scale = self.read.scale(figure.nbytes)
        return _at(replace(figure, runs=len(times.seconds)), times.median_ms, times.low_ms, times.high_ms, scale)

    def _scaled(self, known: Figure) -> Figure:
        """Return what visualfeaturesearch took on another set, for as many pictures as this one has."""
        scale = self.recipe.n_images / known.n_images
        known = replace(known, n_images=self.recipe.n_images, nbytes=self._wide, right=None, problem="")
        return _at(known, known.ms, known.low_ms, known.high_ms, scale)

    def _with_ratios(self, figures: list[Figure]) -> list[Figure]:
        """Set the times in relation to visualfeaturesearch's and to the memory's, of the same turns."""
        reads = {f.scan: f.ms for f in figures if f.kind == "memory"}
        measured = [(f.nbytes, f.ms) for f in figures if f.kind == ("copy" if self.read is None else "memory")]
        nbytes, ms = max(measured)
        reference = next((f.ms for f in figures if f.kind == "reference"), None)
        found = []
        for figure in figures:
            read_ms = reads.get(figure.scan, figure.nbytes / nbytes * ms)
            rate = None if reference is None or figure.kind in ("memory", "copy") else reference / figure.ms
            found.append(replace(figure, read_ms=read_ms, times_read=figure.ms / read_ms, times_faster=rate))
        return found


def _has_fused(device: torch.device) -> bool:
    from vfs_panel.search import fused  # Triton takes its time to load

    return fused.available(device)


def _at(figure: Figure, ms: float, low_ms: float, high_ms: float, scale: float) -> Figure:
    return replace(figure, ms=ms * scale, low_ms=low_ms * scale, high_ms=high_ms * scale)


def _beyond_bound(found: Found, right: truth.Truth) -> str:
    """Return what is wrong with a preview: a score further from the truth than its bound says."""
    assert found.bound is not None
    off = float(np.abs(right.plain[found.rows] - found.scores).max())
    allowed = found.bound + truth.EXACT_TOLERANCE
    return "" if off <= allowed else f"a score is off by {off:.2g}, its bound is {found.bound:.2g}"


_SCANNING = ("ours", "preview", "fused")


def table(outcome: SetOutcome) -> Table:
    """Return the figures of a set: a row for each contestant, its milliseconds for each mask, and how they compare."""
    rows = []
    for name in dict.fromkeys(figure.contestant for figure in outcome.figures):
        own = {figure.mask: figure for figure in outcome.figures if figure.contestant == name}
        some = next(iter(own.values()))
        faster = [f.times_faster for f in own.values() if f.times_faster is not None]
        compared = faster and some.kind not in ("reference", "memory", "copy")
        soft = own.get(regions.SOFT)
        taken = outcome.peaks.get(str(some.scan)) if some.kind == "ours" else None
        rows.append(
            (
                name,
                *(number(own[mask].ms) + _mark(own[mask]) if mask in own else "–" for mask in regions.MASKS),
                f"{number(geometric_mean(faster))}×" if compared else "–",
                f"{number(min(faster))}×" if compared else "–",
                f"{number(soft.times_read)}×" if soft is not None and some.kind in _SCANNING else "–",
                f"{taken.share:.0%}" if taken is not None and taken.share is not None else "–",
                f"{max(f.rescored or 0 for f in own.values()):,}" if some.kind == "ours" else "–",
                _agreement(list(own.values())),
            )
        )
    columns = (
        "milliseconds for a mask of", *regions.MASKS, "faster, mean", "least", "of a read", "peak memory",
        "scored again", "top 20",
    )  # fmt: skip
    return Table(f"{outcome.recipe.name} ({size_words(outcome.recipe.nbytes)})", columns, tuple(rows), _notes(outcome))


def _mark(figure: Figure) -> str:
    return "!" if figure.problem else "*" if figure.measured_on < figure.n_images else ""


def _agreement(figures: list[Figure]) -> str:
    """Return whether the best pictures are the true ones, for all masks of a contestant."""
    if any(figure.problem for figure in figures):
        return "WRONG"
    counts = [figure.right for figure in figures if figure.right is not None]
    if not counts:
        return "–"
    if figures[0].kind == "preview":
        return f"{min(counts)} or more" if min(counts) < max(counts) else f"{min(counts)}"
    return "right"


def _notes(outcome: SetOutcome) -> tuple[str, ...]:
    first, chosen = outcome.figures[0], outcome.peaks["auto"]
    notes = [
        f"{outcome.recipe.made[0].upper()}{outcome.recipe.made[1:]}.",
        f"By itself an engine takes {chosen.scan} here: {chosen.tier} ({chosen.choice}).",
        f"Medians of {min(f.runs for f in outcome.figures)} to {max(f.runs for f in outcome.figures)} calls in turns. "
        f"faster: than {REFERENCE}, geometric mean and least of the masks; of a read: against one read of its codes, "
        f"{regions.SOFT}; peak memory: most of a search against its codes; scored again: pictures, in float64, at "
        "most.",
    ]
    if first.kind == "reference" and first.measured_on < first.n_images:
        notes.append(f"* {REFERENCE} was measured on {first.measured_on:,} pictures and scaled up.")
    return tuple(notes)


def goals(outcome: SetOutcome, device: str) -> tuple[Goal, ...]:
    """Return which of the goals that are set for a set of this size were reached."""
    found: list[Goal] = []
    name, n = outcome.recipe.name, outcome.recipe.n_images
    ours = {figure.mask: figure for figure in outcome.of("ours", outcome.chosen)}
    if not ours or outcome.recipe.grid != (512, 7, 7):
        return ()
    if device == "cuda":
        if n >= 100_000:
            found.append(Goal(f"{name}, {regions.SOFT}, exact: at most 5 ms", ours[regions.SOFT].ms, 5.0, False))
            shares = [1 / f.times_read for f in outcome.figures if f.kind == "fused" and f.mask == regions.SOFT]
            what = f"{name}, {regions.SOFT}: fused kernel at least 0.6 of the copy bandwidth"
            found += [Goal(what, max(shares), 0.6, True)] if shares else []
        return tuple(found)
    faster = [figure.times_faster for figure in ours.values() if figure.times_faster is not None]
    if faster:
        mean = geometric_mean(faster)
        found.append(Goal(f"{name}: at least 100 times as fast as {REFERENCE}, mean of the masks", mean, 100.0, True))
        found.append(Goal(f"{name}: at least 12 times as fast, least of the masks", min(faster), 12.0, True))
    if n >= 50_000:
        found.append(Goal(f"{name}, {regions.SOFT}, exact: at most 150 ms", ours[regions.SOFT].ms, 150.0, False))
    for figure in outcome.of("preview", "int8"):
        if figure.mask == regions.SOFT:
            what = f"{name}, {regions.SOFT}: int8 scan at most 4 reads of its codes"
            found.append(Goal(what, figure.times_read, 4.0, False))
    for scan, taken in outcome.peaks.items():
        if scan != "auto" and taken.share is not None:
            found.append(
                Goal(f"{name}: most memory of a search at most 1.15 of its {scan} codes", taken.share, 1.15, False)
            )
    return tuple(found)
