"""Every sentence of the status line and of the error panel, in one place. Pure functions."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from vfs_panel.plots.outline import lit_cells
from vfs_panel.plots.text import count_text, plain, score_text


@dataclass(frozen=True, slots=True)
class Status:
    """One status line: a word in bold, then a sentence, then perhaps an action that is offered."""

    lead: str
    text: str
    action: str = ""


@dataclass(frozen=True, slots=True)
class Problem:
    """What the error panel says.

    Attributes
    ----------
    title : what happened, short.
    text : what was got, what was expected and what was kept.
    command : a command line that mends it; "" for none.
    back : name of the way back, as "Go back to stage3"; "" for none.
    status : the sentence for the status line.
    rebuild : why the features are to be computed anew; "" where that would not help.
    """

    title: str
    text: str
    command: str = ""
    back: str = ""
    status: str = ""
    rebuild: str = ""


def ready(n_images: int, tier: str) -> Status:
    """Say what can be searched, before anything is painted; `tier` as an engine words it."""
    size = tier.rsplit(", ", 1)[-1]
    where = f"{size} of features in memory" if "in memory" in tier else "features read from disk"
    return Status("Ready.", f"{count_text(n_images, 'picture')}, {where}. Nothing painted yet.")


def searched(result: xr.Dataset, *, preview: bool) -> Status:
    """Say how many pictures were searched, how fast, and what the scores are."""
    n, milliseconds = int(result.attrs["n_searched"]), max(1, round(float(result.attrs["elapsed_ms"])))
    done = float(result.attrs.get("progress", 1))
    if done < 1:
        return Status("Searching.", f"{done:.0%} of {count_text(n, 'picture')} so far; these are the best of them.")
    if preview:
        return Status("Preview.", f"{count_text(n, 'picture')} in {milliseconds:,} ms.")
    scores = result["image_score"].values
    scores = scores[np.isfinite(scores)]
    left_out = " The painted picture is left out." if result.attrs["query_image"] else ""
    return Status(
        "Exact.",
        f"{count_text(n, 'picture')} searched in {milliseconds:,} ms.{left_out} "
        f"Best {score_text(float(scores.max()))}, median {score_text(float(np.median(scores)))}.",
    )


NOTHING_PAINTED = Status("Nothing is painted.", "Paint with B, or set a box by numbers.")
ALL_EXCLUDED = Status("Not searched.", "Everything painted is excluded. Include at least one cell.")
NOTHING_YET = Status("Drawing.", "No cell is covered yet.")
OUTSIDE_FRAME = Status("Not searched.", "The network does not see that part. Paint inside the frame.")
UPLOAD_GONE = "The connection was lost, and with it your uploaded picture and its drawing. Upload it again."
LOADING = Status("Loading.", "Features are read from disk. You can paint already.")


def none_left(filters: Mapping[str, str]) -> Status:
    """Say that no picture passes the filters of the matches."""
    wanted = [f"{column} {plain(value)}" for column, value in filters.items()]
    which = f"has {' and '.join(wanted)}" if wanted else "is left"
    return Status("Not searched.", f"No other picture {which}.", action="Clear filters")


def cells(weights: ArrayLike) -> tuple[int, int, int]:
    """Count (cells in all, touched, at least a third covered) of a mask on the grid."""
    values = np.asarray(weights)
    return values.size, int((values > 0).sum()), int(lit_cells(values).sum())
