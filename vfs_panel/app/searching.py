"""One search of the app, from drawing to result: runs in the search thread and knows neither session nor browser."""

import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from vfs_panel.app import shared, words
from vfs_panel.app.ink import ink_url
from vfs_panel.app.sources import Source
from vfs_panel.app.state import PER_IMAGE, Upload
from vfs_panel.app.thumbnails import MATCH_PX
from vfs_panel.app.words import Problem, Status
from vfs_panel.errors import LayerError, OutOfMemoryError, QueryError, SearchCancelled, StoreError, VFSError
from vfs_panel.features import FeatureSpec
from vfs_panel.features.origin import OtherNetworkError
from vfs_panel.features.selecting import pictures_with
from vfs_panel.plots.groups import best_pictures
from vfs_panel.search import RegionQuery, RegionSearch, Stroke
from vfs_panel.search.engine import Options
from vfs_panel.search.mask import paint_both, parts_of, to_grid
from vfs_panel.search.query import cells_around

logger = logging.getLogger(__name__)

SHOWN_EVERY_S = 0.3  # what a search from disk has found so far


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Job:
    """What is to be searched: a snapshot of a session."""

    source: Source
    network: str
    layer: str
    picture: str
    upload: Upload | None
    picture_px: tuple[int, int]
    strokes: tuple[Stroke, ...]
    preview: bool
    k: int
    mode: str
    per: str
    filters: Mapping[str, str]
    among: frozenset[str] | None
    apart: bool
    canvas_px: int
    cancel: threading.Event | None = None
    partly: "Callable[[Outcome], None] | None" = None
    """Takes what a long search has found so far."""
    shown: int | None = None
    """How many matches get thumbnails; None for all that the page shows."""
    once: bool = False
    """Whether the layer's features need not stay in memory after this search."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Outcome:
    """What came of a job; what is None leaves the session's as it is."""

    job: Job
    status: Status
    engine: RegionSearch | None = None
    mask: xr.DataArray | None = None
    excluded: xr.DataArray | None = None
    ink: str = ""
    query: RegionQuery | None = None
    result: xr.Dataset | None = None
    urls: dict[str, str] = field(default_factory=dict)
    problem: Problem | None = None


def run(job: Job) -> Outcome | None:
    """Do a job; None if it was stopped for a newer one. What goes wrong is part of the outcome: nothing is raised."""
    try:
        return _search(job)
    except SearchCancelled:
        return None
    except (StoreError, LayerError, OtherNetworkError) as error:
        other = isinstance(error, OtherNetworkError)
        title = "Another network made these features" if other else "These features cannot be searched"
        return _failed(job, title, str(error), rebuild=other)
    except (MemoryError, OutOfMemoryError):
        return _failed(
            job,
            "Memory is full",
            "Set VFS_MEMORY_MB to less: features that do not fit are then searched from disk.",
        )
    except VFSError as error:
        return Outcome(job=job, status=Status("Not searched.", str(error)))
    except Exception as error:  # a bug must not end the session; what it was is for the log
        logger.exception("A search failed")
        return _failed(job, "The search failed", f"{type(error).__name__}: {error}")


def _failed(job: Job, title: str, text: str, *, rebuild: bool = False) -> Outcome:
    text = text.rstrip(".") + ". Your drawing is kept."
    words_, command = text, ""
    if "Run: " in text:
        words_, command = text.split("Run: ", 1)
        command = command.removesuffix(". Your drawing is kept.")
        words_ += "Your drawing is kept. Run:"
    problem = Problem(title, words_, command=command, status=f"{title}. The last matches stay.")
    if rebuild and job.source.entry is not None:
        problem = replace(problem, rebuild=text)
    return Outcome(job=job, status=Status("Not searched.", problem.status), problem=problem)


def _search(job: Job) -> Outcome:
    engine = (shared.engine_once if job.once else shared.engine_of)(job.source, job.network, job.layer)
    spec = engine.spec
    geometry = spec.preprocessing.geometry(*job.picture_px)
    included, excluded = paint_both(job.strokes, geometry)
    mask, away = (to_grid(cover, (spec.grid[1], spec.grid[2])) for cover in (included, excluded))
    drawn: Future[str] | None = None
    if not job.preview or job.strokes[-1].mode != "include":  # else the stroke itself is its ink
        drawn = shared.INKS.submit(ink_url, included, geometry, job.canvas_px, excluded=excluded)

    def outcome(**more: Any) -> Outcome:
        ink = drawn.result() if drawn is not None else ""
        return Outcome(job=job, engine=engine, mask=mask, excluded=away, ink=ink, **more)

    features = _features(job)  # before anything is painted too: an upload's take a moment
    if not float(mask.max()) > 0:
        return outcome(status=_nothing(job, engine, away))
    where = _filter(engine, job)
    if where is not None and not where.any():
        return outcome(status=words.none_left(job.filters))
    query = _query(job, features, mask, away, spec)
    options: Options = {
        "k": job.k,
        "unique": job.per if job.mode == "domain" else None,
        "per_image": PER_IMAGE if job.mode == "several" else 1,
        "where": where,
        "exact": not job.preview,
        "ahead": cells_around(features, np.maximum(mask, away)) if job.preview else None,
    }

    def found(result: xr.Dataset) -> Outcome:
        thumbnails = shared.thumbnails_of(job.source, job.network)
        if job.shown is None and not job.preview:  # made here, so that the page's thread has them at once
            thumbnails.urls(best_pictures(result), MATCH_PX)
        return outcome(
            status=words.searched(result, preview=job.preview),
            query=query,
            result=result,
            urls=thumbnails.urls(result["image_id"].values.tolist()[: job.shown], MATCH_PX),
        )

    try:
        if engine.holds:
            return found(engine.search(query, cancel=job.cancel if job.preview else None, **options))
        for result in engine.progressive(query, every_s=SHOWN_EVERY_S, cancel=job.cancel, **options):
            if result.attrs["progress"] < 1 and result.sizes["rank"] and job.partly is not None:
                job.partly(found(result))
        return found(result)
    except QueryError as error:
        if "No picture is left" in str(error):
            return outcome(status=words.none_left(job.filters))
        raise


def example(outcome: Outcome) -> xr.Dataset | None:
    """Return a result like those to come, of the picture's middle; None where it takes long or cannot be had."""
    job, engine = outcome.job, outcome.engine
    if engine is None or not engine.holds:
        return None
    mask = np.zeros(engine.spec.grid[1:], np.float32)
    mask[mask.shape[0] // 2, mask.shape[1] // 2] = 1
    try:
        query = RegionQuery.from_mask(_features(job), mask, spec=engine.spec)
        return engine.search(query, k=job.k, exact=False)
    except VFSError:
        return None


def _nothing(job: Job, engine: RegionSearch, excluded: xr.DataArray) -> Status:
    """Say why there is nothing to search for."""
    modes = {stroke.mode for stroke in job.strokes}
    if job.preview:
        return words.NOTHING_YET
    if float(excluded.max()) > 0:
        return words.ALL_EXCLUDED
    if not modes & {"include", "exclude"}:
        return words.ready(engine.n_images, engine.tier)
    return words.NOTHING_PAINTED if "erase" in modes else words.OUTSIDE_FRAME


def _query(
    job: Job, features: xr.DataArray, mask: xr.DataArray, excluded: xr.DataArray, spec: FeatureSpec
) -> RegionQuery:
    """Make the query of a drawing: what is included as one region or each part alone, less each excluded part."""
    image_id = None if job.upload is not None else job.picture

    def region(part: ArrayLike) -> RegionQuery:
        return RegionQuery.from_mask(features, part, image_id=image_id, spec=spec)

    positive = parts_of(mask) if job.apart else [mask.values]
    negative = []
    for part in parts_of(excluded):
        with suppress(QueryError):  # a part where the layer sees nothing takes nothing away
            negative.append(region(part))
    first, *others = (region(part) for part in positive)
    return RegionQuery.combine([first, *others], negative) if others or negative else first


def _filter(engine: RegionSearch, job: Job) -> NDArray[np.bool_] | None:
    if not job.filters and job.among is None:
        return None
    keep = np.ones(engine.store.n_images, bool)
    for column, value in job.filters.items():
        try:
            keep &= pictures_with(engine.store, {column: value})
        except QueryError:
            return np.zeros_like(keep)  # no picture has it
    if job.among is not None:
        keep &= engine.store.index.index.isin(list(job.among))
    return keep


def _features(job: Job) -> xr.DataArray:
    if job.upload is not None:
        return shared.upload_features(job.source, job.network, job.layer, job.upload.rgb)
    return shared.picture_features(job.source, job.network, job.layer, job.picture)
