"""One search of the app, from drawing to result: runs in the search thread and knows neither session nor browser."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from vfs_panel.app import shared, words
from vfs_panel.app.ink import ink_url
from vfs_panel.app.sources import Source
from vfs_panel.app.state import PER_IMAGE, Upload
from vfs_panel.app.thumbnails import MATCH_PX, SMALL_PX
from vfs_panel.app.words import Problem, Status
from vfs_panel.errors import LayerError, OutOfMemoryError, QueryError, SearchCancelled, StoreError, VFSError
from vfs_panel.plots.groups import group_scores
from vfs_panel.search import RegionQuery, RegionSearch, Stroke
from vfs_panel.search.engine import Options
from vfs_panel.search.mask import paint, to_grid

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
    domain: str
    label: str
    canvas_px: int
    cancel: threading.Event | None = None
    partly: "Callable[[Outcome], None] | None" = None
    """Takes what a long search has found so far."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Outcome:
    """What came of a job; what is None leaves the session's as it is."""

    job: Job
    status: Status
    engine: RegionSearch | None = None
    mask: xr.DataArray | None = None
    ink: str = ""
    query: RegionQuery | None = None
    result: xr.Dataset | None = None
    urls: dict[str, str] = field(default_factory=dict)
    small_urls: dict[str, str] = field(default_factory=dict)
    problem: Problem | None = None


def run(job: Job) -> Outcome | None:
    """Do a job; None if it was stopped for a newer one. What goes wrong is part of the outcome: nothing is raised."""
    try:
        return _search(job)
    except SearchCancelled:
        return None
    except (StoreError, LayerError) as error:
        return _failed(job, "These features cannot be searched", str(error))
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


def _failed(job: Job, title: str, text: str) -> Outcome:
    text = text.rstrip(".") + ". Your drawing is kept."
    words_, command = text, ""
    if "Run: " in text:
        words_, command = text.split("Run: ", 1)
        command = command.removesuffix(". Your drawing is kept.")
        words_ += "Your drawing is kept. Run:"
    problem = Problem(title, words_, command=command, status=f"{title}. The last matches stay.")
    return Outcome(job=job, status=Status("Not searched.", problem.status), problem=problem)


def _search(job: Job) -> Outcome:
    engine = shared.engine_of(job.source, job.network, job.layer)
    spec = engine.spec
    geometry = spec.preprocessing.geometry(*job.picture_px)
    alpha = paint(job.strokes, geometry)
    mask = to_grid(alpha, (spec.grid[1], spec.grid[2]))
    painted: dict[str, Any] = {"job": job, "engine": engine, "mask": mask}
    painted["ink"] = ink_url(alpha, geometry, job.canvas_px)
    features = _features(job)  # before anything is painted too: an upload's take a moment
    if not float(mask.max()) > 0:
        if any(stroke.mode == "include" for stroke in job.strokes):
            erased = any(stroke.mode == "erase" for stroke in job.strokes)
            return Outcome(status=words.NOTHING_PAINTED if erased else words.OUTSIDE_FRAME, **painted)
        return Outcome(status=words.ready(engine.n_images, engine.tier), **painted)
    where = _filter(engine, job)
    if where is not None and not where.any():
        return Outcome(status=words.none_left(job.domain, job.label), **painted)
    query = RegionQuery.from_mask(features, mask, image_id=None if job.upload is not None else job.picture, spec=spec)
    options: Options = {
        "k": job.k,
        "unique": "domain" if job.mode == "domain" else None,
        "per_image": PER_IMAGE if job.mode == "several" else 1,
        "where": where,
        "exact": not job.preview,
    }

    def outcome(result: xr.Dataset) -> Outcome:
        thumbnails = shared.thumbnails_of(job.source, job.network)
        best = [str(result["image"].values[g.pictures[0]]) for g in group_scores(result, "domain") if len(g.pictures)]
        return Outcome(
            status=words.searched(result, preview=job.preview),
            query=query,
            result=result,
            urls=thumbnails.urls(result["image_id"].values.tolist(), MATCH_PX),
            small_urls=thumbnails.urls(best, SMALL_PX),
            **painted,
        )

    try:
        if engine.holds:
            return outcome(engine.search(query, **options))
        for result in engine.progressive(query, every_s=SHOWN_EVERY_S, cancel=job.cancel, **options):
            if result.attrs["progress"] < 1 and result.sizes["rank"] and job.partly is not None:
                job.partly(outcome(result))
        return outcome(result)
    except QueryError as error:
        if "No picture is left" in str(error):
            return Outcome(status=words.none_left(job.domain, job.label), **painted)
        raise


def _filter(engine: RegionSearch, job: Job) -> NDArray[np.bool_] | None:
    if not job.domain and not job.label:
        return None
    index = engine.store.index
    keep = np.ones(len(index), bool)
    if job.domain:
        keep &= index["domain"].to_numpy(object) == job.domain
    if job.label:
        keep &= index["label"].to_numpy(object) == job.label
    return keep


def _features(job: Job) -> xr.DataArray:
    if job.upload is not None:
        return shared.upload_features(job.source, job.network, job.layer, job.upload.rgb)
    return shared.picture_features(job.source, job.network, job.layer, job.picture)
