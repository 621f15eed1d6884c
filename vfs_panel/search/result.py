"""The result of a search: one labelled xr.Dataset, and how it is written out."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray
from xarray import Coordinates

from vfs_panel import __version__
from vfs_panel.features import layout
from vfs_panel.search.ask import Answer, Ask
from vfs_panel.search.query import RegionQuery

if TYPE_CHECKING:
    from vfs_panel.features.index import PictureIndex

TEXT_COLUMNS = ("domain", "label", "split", "path")
RANK_COLUMNS = ("score", "image_id", "y", "x", "height", "width", "label", "domain", "path")


def image_coords(index: "PictureIndex") -> Coordinates:
    """Return the coordinates along `image`: ids, domain, label and split of all pictures."""
    beside = {f"image_{name}": ("image", index.text(name)) for name in layout.CODED if name in index.names}
    return xr.Dataset(coords={"image": index.ids, **beside}).coords


def labelled(
    query: RegionQuery, ask: Ask, answer: Answer, index: "PictureIndex", coords: Coordinates,
    facts: Mapping[str, str | float],
) -> xr.Dataset:  # fmt: skip
    """Return an answer as the Dataset that `RegionSearch.search` describes.

    Parameters
    ----------
    index : of the store.
    coords : its `image_coords`.
    facts : further attributes: where the result came from.
    """
    h, w = query.mask.shape
    images, found = answer.match_row, len(answer.match_row)
    best, score, y, x = answer.match_place == 0, answer.score.copy(), answer.y.copy(), answer.x.copy()
    # A match's picture has one score, the exact one; the others keep the scan's.
    score[images[best]], y[images[best]], x[images[best]] = (
        values[best] for values in (answer.match_score, answer.match_y, answer.match_x)
    )
    known = ask.allowed & np.isfinite(score)
    taken = {*RANK_COLUMNS, "rank", "image", "mask", "mask_y", "mask_x"}
    further = [name for name in index.names if name not in TEXT_COLUMNS]
    beside = {f"{name}_" if name in taken or name.startswith("image_") else name: name for name in further}

    def of_matches(name: str) -> NDArray[np.str_]:
        values = index.text(name)[images] if name == "image" or name in index.names else np.full(found, "", object)
        return values.astype(str)

    return xr.Dataset(
        {
            "score": ("rank", answer.match_score),
            "image_id": ("rank", of_matches("image")),
            "y": ("rank", answer.match_y),
            "x": ("rank", answer.match_x),
            "height": ("rank", np.full(found, h, np.int32)),
            "width": ("rank", np.full(found, w, np.int32)),
            **{name: ("rank", of_matches(name)) for name in ("label", "domain", "path")},
            **{name: ("rank", of_matches(own)) for name, own in beside.items()},
            "image_score": ("image", np.where(known, score, np.float32(np.nan))),
            "image_y": ("image", np.where(known, y, -1)),
            "image_x": ("image", np.where(known, x, -1)),
            "mask": (("mask_y", "mask_x"), query.mask),
        },
        coords=coords,
        attrs={
            **facts,
            "query_image": query.image_id or "",
            "mask_box": ",".join(map(str, query.box)),
            "created_with": f"vfs_panel {__version__}",
            "k": ask.k,
            "per_image": ask.per_image,
            "compatible": int(ask.compatible),
            "exact": int(ask.exact),
            "bound": answer.bound,
            "rescored": answer.rescored,
            "n_searched": int(ask.allowed.sum()),
        },
    ).assign_coords(rank=np.arange(1, found + 1))


def table(result: xr.Dataset) -> pd.DataFrame:
    """Return the matches as a DataFrame, one row each, indexed by rank from 1; further metadata come last."""
    further = [str(name) for name, values in result.data_vars.items() if values.dims == ("rank",)]
    columns = {name: result[name].values for name in dict.fromkeys([*RANK_COLUMNS, *further])}
    return pd.DataFrame(columns, index=pd.Index(result["rank"].values, name="rank"))


def to_csv(result: xr.Dataset) -> str:
    """Return the matches as CSV text."""
    return str(table(result).to_csv())


def to_json(result: xr.Dataset) -> str:
    """Return provenance and matches as JSON text: {"search": {…}, "matches": [{…}, …]}."""
    import json

    rows = table(result).reset_index().to_dict(orient="records")
    return json.dumps({"search": dict(result.attrs), "matches": rows}, default=_plain, indent=2, ensure_ascii=False)


def _plain(value: object) -> object:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} is no JSON value")
