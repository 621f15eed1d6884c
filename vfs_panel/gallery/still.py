"""The explorer, which needs a kernel, as what it shows: the painted picture and its matches, to be set as a page."""

from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from vfs_panel.app import searching, shared
from vfs_panel.app.explorer import Explorer
from vfs_panel.app.searching import Outcome
from vfs_panel.app.session import Session
from vfs_panel.app.thumbnails import data_url, shrink
from vfs_panel.app.views.examples import strokes_of
from vfs_panel.errors import VFSError
from vfs_panel.plots.outline import lit_cells, outline
from vfs_panel.plots.theme import LIGHT

_MATCHES = 12
_QUERY_PX, _MATCH_PX = 448, 256  # of the stored pictures, twice what a page shows


def still_of(explorer: Explorer) -> list[dict[str, Any]]:
    """Return what stands for the explorer on a page.

    It is what is painted at this moment; where nothing is, the first region that the data set's entry suggests.

    Returns
    -------
    parts
        {"live": "explorer"} and, if there is anything to show, {"matches": {title, about, query, matches}}.
    """
    parts: list[dict[str, Any]] = [{"live": "explorer"}]
    try:
        outcome, about = _searched(explorer.session)
        if outcome is not None and outcome.result is not None and outcome.mask is not None:
            parts.append({"matches": _set(explorer.session, outcome, about)})
    except VFSError as error:
        parts.append({"markdown": str(error)})
    return parts


def _searched(session: Session) -> tuple[Outcome | None, str]:
    """Search for what is painted or suggested, and leave the session as it is."""
    job = session.job()
    if session.state.is_painted:
        return searching.run(replace(job, preview=False, k=min(job.k, _MATCHES))), ""
    for query in session.source.queries:
        if query.image in session.store.index.index:
            size = shared.images_of(session.source).rgb(query.image).shape[:2]
            suggested = replace(
                job, picture=query.image, upload=None, picture_px=(int(size[0]), int(size[1])), preview=False,
                strokes=strokes_of(query), k=_MATCHES, mode="picture", filters={}, among=None,
            )  # fmt: skip
            return searching.run(suggested), query.title
    return None, ""


def _set(session: Session, outcome: Outcome, about: str) -> dict[str, Any]:
    job, result = outcome.job, outcome.result
    assert result is not None
    images, preprocessing = shared.images_of(job.source), session.store.preprocessing
    rows, columns = (int(n) for n in str(result.attrs["grid"]).split(","))
    painted = images.rgb(job.picture) if job.upload is None else job.upload.rgb
    frame, cells = preprocessing.frame(painted), np.asarray(outcome.mask, np.float32)
    domains = list(dict.fromkeys(result["image_domain"].values.astype(str).tolist()))
    return {
        "title": f"{job.source.title}, {job.network}, {job.layer}",
        "about": about,
        "query": {
            "url": _lit(frame, cells, (0, 0), (rows, columns), LIGHT.outline_query, _QUERY_PX), "name": job.picture,
        },
        "matches": [_match(result.isel(rank=at), images, preprocessing, (rows, columns), domains, result["mask"])
                    for at in range(int(result.sizes["rank"]))],
    }  # fmt: skip


def _match(
    row: xr.Dataset, images: Any, preprocessing: Any, grid: tuple[int, int], domains: list[str], mask: xr.DataArray
) -> dict[str, Any]:
    name, domain = str(row["image_id"].item()), str(row["domain"].item())
    frame = preprocessing.frame(images.rgb(name))
    at = int(row["y"]), int(row["x"])
    return {
        "url": _lit(frame, np.asarray(mask.values, np.float32), at, grid, LIGHT.outline, _MATCH_PX),
        "name": name,
        "rank": int(row["rank"]),
        "score": float(row["score"]),
        "label": str(row["label"].item()),
        "domain": domain,
        "colour": domains.index(domain) if domain in domains else -1,
    }


def _lit(
    frame: NDArray[np.uint8], mask: NDArray[np.float32], at: tuple[int, int], grid: tuple[int, int], ink: str, px: int
) -> str:
    """Draw a picture dimmed off a region, with the region's cells outlined, as the explorer does.

    Parameters
    ----------
    frame : uint8, shape (y, x, 3), the picture as the network sees it.
    mask : shape (h, w), weights in [0, 1], feature cells.
    at : (y, x) of the region's top left cell.
    grid : (rows, columns) of the layer.
    ink : colour of the outline.
    px : longer side of the result.

    Returns
    -------
    A data URL.
    """
    picture = Image.fromarray(shrink(frame, px))
    scale = px / max(picture.size)
    picture = picture.resize((round(picture.width * scale), round(picture.height * scale)), Image.Resampling.BICUBIC)
    (y, x), (h, w) = at, mask.shape
    light = np.full(grid, 1 - LIGHT.veil_alpha, np.float32)
    light[y : y + h, x : x + w] = 1 - LIGHT.veil_alpha * (1 - mask)
    veil = np.asarray(Image.fromarray(light).resize(picture.size, Image.Resampling.NEAREST))
    shown = Image.fromarray(np.round(np.asarray(picture) * veil[..., None]).astype(np.uint8))
    step = shown.width / grid[1], shown.height / grid[0]
    draw = ImageDraw.Draw(shown)
    for line in outline(lit_cells(mask)):
        corners = [((x + a) * step[0], (y + b) * step[1]) for a, b in line.tolist()]
        for width, colour in ((8, LIGHT.casing), (4, ink)):
            draw.line([*corners, corners[1]], fill=colour, width=width, joint="curve")
    return data_url(np.asarray(shown), quality=88)
