"""Searches on a demo set whose right answers are known: the best match of each group, and whether it is right."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from vfs_panel.images.demo import Places
from vfs_panel.images.demo.answers import Disc, right_matches
from vfs_panel.images.demo.picture import SIZE_PX
from vfs_panel.search.engine import RegionSearch
from vfs_panel.search.painted import painted_query
from vfs_panel.search.stroke import Stroke

if TYPE_CHECKING:
    from vfs_panel.images.dataset import ImageDataset
    from vfs_panel.search.engine import Where


def best_of_groups(
    engine: RegionSearch,
    images: "ImageDataset",
    places: Places,
    discs: Sequence[Disc],
    *,
    unique: str = "domain",
    where: "Where | None" = None,
) -> pd.DataFrame:
    """Search for painted discs, and say of the best match in each group whether it lies on the disc's own spot.

    Parameters
    ----------
    engine : searches a store of the pictures of a demo set.
    images, places : the set and its known answers, in the same order.
    discs : from `images.demo.answers.random_discs` or `analysis.retrieval.make_tasks`.
    unique : the column whose values are the groups.
    where : search only these pictures, as in `RegionSearch.search`.

    Returns
    -------
    DataFrame with one row per disc and group: disc (its number), image (that was painted on), label and own (its label
    and group), group, score and match (of the best match there), same_label, and right: NaN where the group does not
    show the spot.
    """
    table = images.table
    stride_px = SIZE_PX / engine.spec.grid[2]
    groups = table[unique].to_numpy(str)
    row_of = {image_id: row for row, image_id in enumerate(images.ids)}
    found = []
    for number, disc in enumerate(discs):
        image_id = images.ids[disc.row]
        query = painted_query(engine, images, image_id, Stroke((disc.centre,), radius_px=disc.radius_px))
        result = engine.search(query, k=len(set(groups)), unique=unique, where=where)
        scored = result["image"].values[np.isfinite(result["image_score"].values)]
        searched = np.zeros(len(table), bool)
        searched[[row_of[str(name)] for name in scored]] = True
        windows = np.zeros((len(table), 2), np.intp)
        matches = [row_of[str(name)] for name in result["image_id"].values]
        windows[matches] = np.stack([result["x"].values, result["y"].values], 1)
        right, possible = right_matches(
            places, disc, corner=(query.box[1], query.box[0]), windows=windows, stride_px=stride_px
        )
        for row, score in zip(matches, result["score"].values.tolist(), strict=True):
            exists = bool((possible & searched & (groups == groups[row])).any()) or bool(right[row])
            found.append(
                {
                    "disc": number, "image": image_id, "label": table["label"].iloc[disc.row], "own": groups[disc.row],
                    "group": groups[row], "score": score, "match": images.ids[row],
                    "same_label": bool(table["label"].iloc[row] == table["label"].iloc[disc.row]),
                    "right": float(right[row]) if exists else np.nan,
                }
            )  # fmt: skip
    return pd.DataFrame(found)
