"""SearchState: everything that one session shows, and the only object of it that changes."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import param
import xarray as xr
from numpy.typing import NDArray

from vfs_panel.app.words import LOADING, Problem, Status
from vfs_panel.search import Stroke, StrokeHistory

K_CHOICES = (6, 12, 24, 48)
PER_IMAGE = 4  # how many matches one picture may give in the mode "several"


@dataclass(frozen=True, slots=True, eq=False)
class Upload:
    """A picture of the user's own: its file name and uint8 RGB, shape (y, x, 3)."""

    name: str
    rgb: NDArray[np.uint8]


class SearchState(param.Parameterized):
    """One session's choices, drawing and latest result. Views watch it; `Session` alone writes to it.

    The drawing is `history`, a plain object; `drawn` counts its changes, so that views can watch them.
    """

    dataset: str = param.String(doc="Name of the source.")
    network: str = param.String(doc="Name of the network.")
    layer: str = param.String(doc="Name of the layer.")
    picture: str = param.String(doc="Id of the picture that is painted on; the upload's name if there is one.")
    upload: Upload | None = param.ClassSelector(class_=Upload, allow_None=True, doc="The picture, if uploaded.")

    drawn: int = param.Integer(0, doc="Counts changes of the drawing.")
    drawing: bool = param.Boolean(False, doc="Whether the pen is down.")
    tool: str = param.Selector(default="include", objects=["include", "erase"], doc="Brush or eraser.")
    brush_px: float = param.Number(40, bounds=(1, None), doc="Width of the brush, in picture pixels.")
    cells_shown: bool = param.Boolean(True, doc="Whether the canvas shows the layer's cells.")

    k: int = param.Selector(default=12, objects=list(K_CHOICES), doc="How many matches.")
    mode: str = param.Selector(default="picture", objects=["picture", "several", "domain"], doc="Which matches.")
    domain: str = param.String(doc='Only matches of this domain; "" for all.')
    label: str = param.String(doc='Only matches of this label; "" for all.')
    selected: int = param.Integer(0, bounds=(0, None), doc="Rank of the selected match; 0 for none.")

    tab: str = param.Selector(default="domains", objects=["domains", "scores"])
    enlarged: bool = param.Boolean(False, doc="Whether the tab has most of the room, and matches are one strip.")
    grouping: str = param.Selector(default="domain", objects=["domain", "label", "all"], doc="Rows of the scores.")
    score_range: tuple[float, float] | None = param.Parameter(None, doc="Range of scores whose patches are shown.")
    theme: str = param.Selector(default="light", objects=["light", "dark"])

    mask: xr.DataArray | None = param.Parameter(None, doc="The drawing on the layer's grid.")
    result: xr.Dataset | None = param.Parameter(None, doc="Of the latest search.")
    stale: bool = param.Boolean(False, doc="Whether the result belongs to an earlier drawing.")
    chance: float | None = param.Parameter(None, doc="Score that 95 % of random regions stay below.")
    status: Status = param.ClassSelector(class_=Status, default=LOADING)
    problem: Problem | None = param.ClassSelector(class_=Problem, allow_None=True)
    upload_error: str = param.String(doc="What was wrong with the last upload.")

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        self.history = StrokeHistory()
        self.live: Stroke | None = None

    @property
    def strokes(self) -> tuple[Stroke, ...]:
        """All strokes that count now, the one under the pen last."""
        return self.history.strokes + ((self.live,) if self.live is not None else ())

    @property
    def is_painted(self) -> bool:
        """Whether there is anything to search for."""
        return any(stroke.mode == "include" for stroke in self.strokes)
