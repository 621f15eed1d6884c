"""SearchState: everything that one session shows, and the only object of it that changes."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import param
import xarray as xr
from numpy.typing import NDArray

from vfs_panel.analysis.chance import Chance
from vfs_panel.app.words import LOADING, Problem, Status
from vfs_panel.search import Stroke, StrokeHistory
from vfs_panel.search.stroke import Mode

K_CHOICES = (6, 12, 24, 48, 100)
MOST_K = 100
PER_IMAGE = 4  # how many matches one picture may give in the mode "several"
TOOLS = {"brush": "Brush", "eraser": "Eraser", "lasso": "Lasso", "box": "Box"}
TABS = {"domains": "Domains", "scores": "Scores", "compare": "Compare", "statistics": "Statistics", "map": "Map"}


@dataclass(frozen=True, slots=True, eq=False)
class Upload:
    """A picture of the user's own: its file name and uint8 RGB, shape (y, x, 3)."""

    name: str
    rgb: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Offer:
    """A catalog entry that cannot be searched yet, shown in place of the matches.

    Attributes
    ----------
    dataset : name of the source.
    network : the one that was chosen; "" for all.
    reason : why what was built does not serve; "" where nothing was.
    again : whether what is there is to be thrown away.
    """

    dataset: str
    network: str = ""
    reason: str = ""
    again: bool = False


Row = tuple[str, str, str]
"""A row of Compare: dataset, network and layer."""
MOST_COMPARED = 3  # beside the open layer


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
    tool: str = param.Selector(default="brush", objects=list(TOOLS))
    polarity: str = param.Selector(default="include", objects=["include", "exclude"], doc="What a stroke does.")
    apart: bool = param.Boolean(False, doc="Whether parts that do not touch are found each where it fits best.")
    brush_px: float = param.Number(40, bounds=(1, None), doc="Width of the brush, in picture pixels.")
    cells_shown: bool = param.Boolean(True, doc="Whether the canvas shows the layer's cells.")

    k: int = param.Integer(12, bounds=(1, MOST_K), doc="How many matches.")
    mode: str = param.Selector(default="picture", objects=["picture", "several", "domain"], doc="Which matches.")
    per: str = param.String("domain", doc='Metadata column of the mode "domain": the best match of each value.')
    sort: str = param.String("score", doc='Order in which the matches are shown: "score", "image_id" or a column.')
    filters: dict[str, str] = param.Dict(default={}, doc="Only matches with these values, by metadata column.")
    among: frozenset[str] | None = param.Parameter(None, doc="Only matches among these pictures; None for all.")
    selected: int = param.Integer(0, bounds=(0, None), doc="Rank of the selected match; 0 for none.")
    opened: int = param.Integer(0, bounds=(0, None), doc="Rank of the match in the large view; 0 for none.")

    work_px: int = param.Integer(0, doc="Width of the work column; 0 until the browser tells it.")
    tab: str = param.Selector(default="domains", objects=list(TABS))
    enlarged: bool = param.Boolean(False, doc="Whether the tab has most of the room, and matches are one strip.")
    grouping: str = param.String("domain", doc='Metadata column of the scores, or "all".')
    score_range: tuple[float, float] | None = param.Parameter(None, doc="Range of scores whose patches are shown.")
    compared: tuple[Row, ...] = param.Parameter((), doc="Rows of Compare beside the open layer, at most three.")
    theme: str = param.Selector(default="light", objects=["light", "dark"])

    mask: xr.DataArray | None = param.Parameter(None, doc="What is included, on the layer's grid.")
    excluded: xr.DataArray | None = param.Parameter(None, doc="What is excluded, on the layer's grid.")
    result: xr.Dataset | None = param.Parameter(None, doc="Of the latest search.")
    stale: bool = param.Boolean(False, doc="Whether the result belongs to an earlier drawing.")
    cell: tuple[int, int] | None = param.Parameter(None, doc="Cell (row, column) of the query that is pointed at.")
    similar: xr.DataArray | None = param.Parameter(None, doc="How much the cells of the matches are like that one.")
    chance: Chance | None = param.Parameter(None, doc="What random regions of the same shape score.")
    status: Status = param.ClassSelector(class_=Status, default=LOADING)
    problem: Problem | None = param.ClassSelector(class_=Problem, allow_None=True)
    offer: Offer | None = param.ClassSelector(class_=Offer, allow_None=True, doc="What could be built.")
    builds: int = param.Integer(0, doc="Counts news of builds, and of what can be searched.")
    upload_error: str = param.String(doc="Name of the file that could not be taken.")
    upload_reason: str = param.String(doc='Why not, as a sentence; "" for what is no picture at all.')

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        self.history = StrokeHistory()
        self.live: Stroke | None = None

    @property
    def strokes(self) -> tuple[Stroke, ...]:
        """All strokes that count now, the one under the pen last."""
        return self.history.strokes + ((self.live,) if self.live is not None else ())

    @property
    def mode_of_stroke(self) -> Mode:
        """What the next stroke does."""
        return "erase" if self.tool == "eraser" else self.polarity  # type: ignore[return-value]

    @property
    def chance_level(self) -> float | None:
        """The score that 95 % of random regions stay below, once it is known."""
        return self.chance.level() if self.chance is not None else None

    @property
    def is_painted(self) -> bool:
        """Whether there is anything to search for."""
        return any(stroke.mode == "include" for stroke in self.strokes)
