"""What the layer sees: the mask on its grid, as a picture and in words."""

from typing import Any

import numpy as np
import panel as pn
from numpy.typing import ArrayLike

from vfs_panel.app import words
from vfs_panel.app.component import Part, script
from vfs_panel.app.panes import box, figure_pane, theme_of
from vfs_panel.app.searching import Outcome
from vfs_panel.app.session import Session
from vfs_panel.app.views.overlays import OverlayView
from vfs_panel.errors import ImageError, VFSError
from vfs_panel.plots.live import Live
from vfs_panel.plots.query import layer_picture, layer_view, layer_view_data
from vfs_panel.search.mask import parts_of


class CellWords(Part):
    """What the layer sees, in words."""

    _esm = script("cells")


class CellsView:
    """The lowest part of the query column, as `part`."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._pane = figure_pane()
        self._live: Live | None = None
        self._side_px = 120
        self._drawn_as: tuple[Any, ...] = ()  # size of the frame, of the figure, and theme
        self._frame_px = (1, 1)
        self._over = OverlayView(session, self._show_like)
        self._words = CellWords(on_do=self._do, margin=0, css_classes=["grow"])
        self.part = box(
            box(
                self._pane,
                self._over.part,
                styles={"flex": "none", "overflow": "hidden", "position": "relative"},
                stylesheets=[],
            ),
            self._words,
            classes=("vfs-cells",),
        )
        session.state.param.watch(self._redraw, ["dataset", "network", "layer", "picture", "upload", "theme"])
        session.on_publish.append(self._publish)
        session.on_resize.append(self._redraw)
        session.state.param.watch(self._appear, ["picture"])
        self._appear()
        self._redraw()

    def _appear(self, *_: Any) -> None:
        self.part.visible = bool(self._session.state.picture)

    def _redraw(self, *_: Any) -> None:
        session, state = self._session, self._session.state
        if not session.canvas_known:
            return  # drawn once, in the right size, as soon as the browser tells it
        try:
            rgb, grid = session.picture_rgb(), session.grid()
        except (VFSError, ImageError):
            return
        self._side_px = 120 if session.canvas_px > 340 else 84
        frame = session.store.preprocessing.frame(rgb)
        mask = state.mask if state.mask is not None and state.mask.shape == grid else np.zeros(grid, np.float32)
        excluded = (
            state.excluded if state.excluded is not None and state.excluded.shape == grid else np.zeros_like(mask)
        )
        shape = (frame.shape[:2], self._side_px, state.theme)
        if self._live is not None and shape == self._drawn_as:  # another picture or layer in the same figure
            columns = layer_view_data(mask, excluded=excluded, size_px=self._shown_px)
            self._live.send({**layer_picture(frame, size_px=self._side_px), **columns})
        else:
            figure = layer_view(frame, mask, excluded=excluded, size_px=self._side_px, theme=theme_of(state))
            self._live, self._drawn_as = Live(figure, hold=pn.io.hold), shape
            self._frame_px = frame.shape[:2]
            self._over.set_size(*self._shown_px)
            self._pane.object = self._live.figure
        self._show_words(mask, excluded)

    def _publish(self, outcome: Outcome) -> None:
        if outcome.mask is None:
            return
        if self._live is not None and outcome.mask.shape == self._session.grid():
            self._live.send(layer_view_data(outcome.mask, excluded=outcome.excluded, size_px=self._shown_px))
        if outcome.excluded is not None:
            self._show_words(outcome.mask.values, outcome.excluded.values)

    @property
    def _shown_px(self) -> tuple[int, int]:
        """Width and height of the figure."""
        height, width = (max(8, round(v * self._side_px / max(self._frame_px))) for v in self._frame_px)
        return width, height

    def _show_like(self) -> None:
        said = self._over.said
        self._words.show(like=None if said is None else {"heading": said.heading, "text": said.text, "top": said.top})

    def _show_words(self, mask: ArrayLike, excluded: ArrayLike) -> None:
        session, state = self._session, self._session.state
        geometry, grid = session.geometry(), session.grid()
        x0, y0, x1, y1 = geometry.cell_box(0, 0, 1, 1, grid=grid)
        away = int((np.asarray(excluded) > 0).sum())
        if not np.any(np.asarray(mask) > 0):
            layer = state.layer
            lines = [["", f"No cells yet. One cell of {layer} is {x1 - x0:.0f} × {y1 - y0:.0f} px of the picture."]]
            if away:
                lines = [[f"{away:,}", f"of {np.size(mask):,} cells excluded, none included"]]
            self._words.show(lines=lines, note="", parts=0)
            return
        total, touched, outlined = words.cells(mask)
        rows, columns = np.nonzero(np.asarray(mask) > 0)
        h, w = int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1
        parts = 0 if state.drawing else len(parts_of(mask))
        lines = [
            [f"{touched:,}", f"of {total:,} cells touched, "],
            [f"{outlined:,}", "at least a third covered: outlined"],
        ]
        if away:
            lines.append([f"{away:,}", "excluded"])
        size = f"{(x1 - x0) * w:.0f} × {(y1 - y0) * h:.0f} px"
        note = f"Searched as a window of {w} × {h} cells, about {size} of the picture"
        if state.apart and parts > 1:
            note = f"Each of the {parts} parts is found where it fits best; the score is their mean"
        note += ". Point at a cell: similar ones light up in the matches."
        self._words.show(lines=lines, note=note, parts=parts, apart=state.apart)

    def _do(self, msg: dict[str, Any]) -> None:
        if msg["do"] == "apart" and msg.get("value") in ("together", "apart"):
            self._session.set_apart(msg["value"] == "apart")
