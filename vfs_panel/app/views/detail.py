"""The large view of one match: where its picture scores, why it matched, and how unusual that is."""

from collections.abc import Callable
from typing import Any, NamedTuple

import holoviews as hv
import numpy as np
import panel as pn
from numpy.typing import NDArray

from vfs_panel.analysis.explaining import Explanation, explain
from vfs_panel.app import shared
from vfs_panel.app.component import Part, script, web_text
from vfs_panel.app.panes import box, figure_pane, theme_of
from vfs_panel.app.session import Session
from vfs_panel.app.turns import Aside
from vfs_panel.app.views.said import Words
from vfs_panel.errors import VFSError
from vfs_panel.plots import detail
from vfs_panel.plots.live import Live
from vfs_panel.plots.matches import MatchGrid, matches, matches_data
from vfs_panel.plots.text import count_text, plain, score_text
from vfs_panel.plots.theme import domain_colours
from vfs_panel.plots.tiles import Region

FILM = 12
_WIDE_PX = 860  # narrower work columns have the two halves below each other


class Known(NamedTuple):
    """What is shown of a match: the two pictures as the network sees them, and its explanation once that is there."""

    rank: int
    place: tuple[int, int]
    painted: NDArray[np.uint8]
    matched: NDArray[np.uint8]
    explanation: Explanation | None = None


class DetailHead(Part):
    """Which match it is, the way to its neighbours, and how its picture is shown."""

    _esm = script("detail")
    _stylesheets = [*Part._stylesheets, web_text("detail.css")]  # noqa: RUF012


class DetailActions(Part):
    """What can be done with the match."""

    _esm = script("actions")
    _stylesheets = [*Part._stylesheets, web_text("detail.css")]  # noqa: RUF012


class DetailFacts(Part):
    """What is known of the match."""

    _esm = script("facts")
    _stylesheets = [*Part._stylesheets, web_text("detail.css")]  # noqa: RUF012


class DetailView:
    """The large view, as `part`."""

    def __init__(self, session: Session) -> None:
        self._session, self._aside = session, Aside(session, shared.LOOKS)
        self._known: Known | None = None
        self._of: Any = None  # the result whose match is known
        self._place: tuple[int, int] | None = None
        self._mode = "both"
        self._size: detail.Size | None = None
        self._grid: MatchGrid | None = None
        self._first = 0
        self._lives: dict[str, tuple[Live, Any]] = {}
        self._head = DetailHead(on_do=self._do, margin=0)
        self._facts = DetailFacts(on_do=self._do, margin=0, css_classes=["grow"])
        self._actions = DetailActions(on_do=self._do, margin=0)
        self._heat_words, self._why_words, self._unusual_words = (Words(margin=0) for _ in range(3))
        self._channel_words = Words(margin=0)
        panes = self._panes = {name: figure_pane() for name in ("heat", "why", "unusual", "channels", "film")}
        self._left = box(panes["heat"], self._heat_words, classes=("vfs-detail-left",))
        lower = box(
            box(self._channel_words, panes["channels"], classes=("vfs-detail-channels",)), self._facts,
            classes=("vfs-detail-lower",),
        )  # fmt: skip
        self._right = box(
            self._why_words,
            panes["why"],
            self._unusual_words,
            panes["unusual"],
            lower,
            self._actions,
            classes=("vfs-detail-right",),
        )
        self._body = box(self._left, self._right, classes=("vfs-detail",))
        self._strip = box(panes["film"], classes=("vfs-detail-film",))
        self.part = box(self._head, self._body, self._strip, visible=False)
        state = session.state
        state.param.watch(self._open, ["opened", "result", "work_px"])
        state.param.watch(self._draw, ["theme", "chance"])

    # --- computing ----------------------------------------------------------------------------------------------

    def _open(self, *_: Any) -> None:
        """Name the open match at once, show its picture as soon as it is read, and then all that is worked out."""
        state = self._session.state
        known, was_open, self.part.visible = self._known, self.part.visible, bool(state.opened)
        if not state.opened or state.result is None or state.drawing:
            return
        if known is None or known.rank != state.opened:
            self._place = None
        self._name()
        if not (was_open and known is not None and known.rank == state.opened and self._of is state.result):
            self._wait("waiting" if not was_open else "stale")
        self._start()

    def _wait(self, how: str) -> None:
        """Hide what is not worked out yet ("waiting"), mark it as of another match ("stale"), or show it ("")."""
        more = [how] if how else []
        self._right.css_classes, self._strip.css_classes = (
            [*(name for name in part.css_classes if name not in ("waiting", "stale")), *more]
            for part in (self._right, self._strip)
        )

    def _start(self) -> None:
        """Explain the open match, or the place chosen in its picture, in another thread."""
        session, state, place = self._session, self._session.state, self._place
        outcome, result, rank = session.outcome, state.result, state.opened
        if outcome is None or outcome.engine is None or session.query is None or result is None:
            return
        row = result.isel(rank=rank - 1)
        image_id = str(row["image_id"].item())
        y, x = place or (int(row["y"]), int(row["x"]))
        engine, query, source = outcome.engine, session.query, session.source
        upload, picture = state.upload, state.picture

        def look() -> Known | str:
            try:
                images, preprocessing = shared.images_of(source), engine.spec.preprocessing
                painted = upload.rgb if upload is not None else images.rgb(picture)
                return Known(rank, (y, x), preprocessing.frame(painted), preprocessing.frame(images.rgb(image_id)))
            except VFSError as error:
                return str(error)

        def explained(known: Known) -> Known | str:
            try:
                return known._replace(explanation=explain(engine, query, image_id, y, x))
            except VFSError as error:
                return str(error)

        def looked(known: Known | str) -> None:
            self._show(known)
            if not isinstance(known, str):
                self._aside.start(lambda: explained(known), self._show)

        known = self._known
        if known is not None and known.rank == rank and self._of is result:
            again = known._replace(place=(y, x))
            self._aside.start(lambda: explained(again), self._show)
        else:
            self._aside.start(look, looked)

    def _show(self, known: Known | str) -> None:
        if isinstance(known, str):
            self._session.trouble(known)
            return
        self._known, self._of = known, self._session.state.result
        self._draw()

    # --- drawing ------------------------------------------------------------------------------------------------

    def _draw(self, *_: Any) -> None:
        state, known = self._session.state, self._known
        result = state.result
        if known is None or result is None or not state.opened or not state.work_px:
            return
        if known.rank != state.opened or known.rank > result.sizes["rank"]:
            return
        theme, region, found = theme_of(state), Region.of(result), known.explanation
        size = self._layout(known, region)
        self._draw_heat()
        if found is None:
            return
        assert self._session.query is not None
        y0, x0 = self._session.query.box[:2]
        shares = found.shares()
        self._send("why", (size, theme.name), lambda columns: detail.why(columns, size, theme=theme), detail.why_data(
            (known.painted, y0, x0), (known.matched, found.y, found.x), shares, region, size, theme=theme
        ))  # fmt: skip
        lit, carried = detail.carried_by_outlined(shares, region.mask)
        self._why_words.show(heading="Why it matched", text="")
        carries = f"{'carry' if lit > 1 else 'carries'} {100 * carried:.0f} % of the score"
        self._unusual_words.show(
            heading=f"How unusual is {score_text(found.score)}?",
            before=f"The {count_text(lit, 'outlined cell')} {carries}; all cells together are exactly "
            f"{score_text(found.score)}.",
        )
        domain = str(result["domain"].values[known.rank - 1])
        own = result["image_score"].values[result["image_domain"].values == domain]
        colours = domain_colours(dict.fromkeys(result["image_domain"].values.tolist()), theme)
        random = state.chance.scores if state.chance is not None else None
        said, colour = f"{plain(domain)} pictures", colours.get(domain, theme.other)
        self._send("unusual", (size, theme.name), lambda columns: detail.unusual(columns, size, theme=theme),
                   detail.unusual_data(found.score, random, own, said, colour, size, theme=theme))  # fmt: skip
        self._channel_words.show(
            heading="Channels that agree most", text=f"of {len(found.channels):,}; share of the score"
        )
        width = max(160, min((size.right_px - 20) // 2, 204))
        top = found.top_channels(detail.CHANNELS)
        self._send("channels", (width, theme.name),
                   lambda columns: detail.channels(columns, width_px=width, theme=theme),
                   detail.channels_data(top, width_px=width))  # fmt: skip
        self._say(known, found)
        self._draw_film()
        self._wait("")

    def _layout(self, known: Known, region: Region) -> detail.Size:
        """Set the widths of the two halves, and return the sizes of what is in them."""
        work = self._session.state.work_px
        wide = work >= _WIDE_PX
        side = min(440, round(work * 0.445)) if wide else min(440, work - detail.SCALE_PX)
        right = work - side - detail.SCALE_PX - 20 if wide else min(work, 560)
        self._body.css_classes = ["vfs-detail", *([] if wide else ["stacked"])]
        self._left.styles, self._right.styles = {"width": f"{side + detail.SCALE_PX}px"}, {"width": f"{right}px"}
        longer = max(known.matched.shape[:2])
        height, width = (max(8, round(pixels * side / longer)) for pixels in known.matched.shape[:2])
        size = self._size = detail.Size((width, height), right, (region.mask.shape[0], region.mask.shape[1]))
        for name, figure_px in (("heat", height), ("why", size.panels_px + 20), ("unusual", detail.UNUSUAL_PX),
                                ("channels", detail.CHANNELS_PX)):  # fmt: skip
            self._panes[name].min_height = figure_px + 8  # its room is there before it is drawn
        return size

    def _send(
        self,
        name: str,
        drawn_as: Any,
        draw: Callable[[Any], hv.Overlay],
        columns: Any,
        tapped: Callable[..., None] | None = None,
    ) -> None:
        """Show columns in a figure that stands, or draw it; `tapped` hears of clicks on it."""
        live, known_as = self._lives.get(name, (None, None))
        if live is not None and known_as == drawn_as:
            live.send(columns)
            return
        live = Live(draw(columns), hold=pn.io.hold)
        self._lives[name] = live, drawn_as
        if tapped is not None:  # before it is shown: a later stream would hear nothing
            hv.streams.Tap(source=live.figure, transient=True).add_subscriber(tapped)
        self._panes[name].object = live.figure

    def _draw_heat(self) -> None:
        known, size, theme, result = self._known, self._size, theme_of(self._session.state), self._session.state.result
        if known is None or size is None or result is None:
            return
        found, region = known.explanation, Region.of(result)
        scores = found.scores if found is not None else None
        columns = detail.heat_data(known.matched, scores, known.place, region, size, mode=self._mode)
        self._send("heat", (size, theme.name), lambda data: detail.heat(data, size, theme=theme), columns, self._tapped)
        h, w = region.mask.shape
        hatched = "" if self._mode == "picture" else (
            f" Hatched: the region, {w} × {h} cells, would not fit inside the picture there. "
            "Click a cell to explain it."
        )  # fmt: skip
        self._heat_words.show(heading="", text=f"Blue outline: the matched cells.{hatched}")

    def _draw_film(self) -> None:
        """Draw the open match among its neighbours in rank."""
        session, state, theme = self._session, self._session.state, theme_of(self._session.state)
        result, width = state.result, state.work_px
        assert result is not None
        columns = FILM if width >= _WIDE_PX else 6
        self._first = max(0, min(state.opened - 1 - columns // 2, result.sizes["rank"] - columns))
        shown = result.isel(rank=slice(self._first, self._first + columns))
        thumbnails = shared.thumbnails_of(session.source, state.network)
        urls = thumbnails.urls(shown["image_id"].values.tolist())
        grid = MatchGrid(width_px=width, places=min(columns, result.sizes["rank"]), columns=columns, caption="strip")
        self._grid = grid
        self._send(
            "film",
            (grid, theme.name),
            lambda _: matches(shown, urls, grid, theme=theme, selected=state.opened),
            matches_data(shown, urls, grid, theme=theme, selected=state.opened),
            self._go,
        )

    def _go(self, x: float | None = None, y: float | None = None) -> None:
        place, result = self._grid.place_at(x, y) if self._grid is not None else None, self._session.state.result
        if place is not None and result is not None and self._first + place < result.sizes["rank"]:
            self._session.open_match(self._first + place + 1)

    def _name(self) -> None:
        """Say which match it is, which the result tells."""
        state = self._session.state
        result, rank = state.result, state.opened
        if result is None or not 1 <= rank <= result.sizes["rank"]:
            return
        row = result.isel(rank=rank - 1)
        label, domain = (plain(str(row[name].item()), missing="") for name in ("label", "domain"))
        self._head.show(
            rank=rank, last=result.sizes["rank"], score=score_text(float(row["score"])),
            words=", ".join(part for part in (label, domain) if part), mode=self._mode,
            modes=[[name, words] for name, words in detail.MODES.items()], chosen=self._place is not None,
        )  # fmt: skip

    def _say(self, known: Known, found: Explanation) -> None:
        state, rank, result = self._session.state, known.rank, self._session.state.result
        assert result is not None
        row, region, chosen = result.isel(rank=rank - 1), Region.of(result), self._place is not None
        domain = plain(str(row["domain"].item()), missing="")
        self._name()
        h, w = region.mask.shape
        facts = [
            ["Picture", found.image_id],
            ["Place", f"cells {found.x + 1}–{found.x + w} across, {found.y + 1}–{found.y + h} down"],
            ["Rank", _rank_words(result, rank)] if not chosen else ["Score here", score_text(found.score)],
        ]
        if state.chance is not None:
            facts.append(["Chance", state.chance.in_words(found.score)])
            if not chosen:
                facts.append(["All found", state.chance.found_words(result["image_score"].values)])
        if found.elsewhere is not None:
            facts.append(["Elsewhere", f"next place in this picture: {score_text(found.elsewhere[0])}"])
        known_columns = {"score", "image_id", "y", "x", "height", "width", "label", "domain", "path", "p", "q"}
        further = [str(n) for n, v in row.data_vars.items() if result[n].dims == ("rank",) and n not in known_columns]
        facts += [[plain(name).capitalize(), plain(str(row[name].item()))] for name in further if str(row[name].item())]
        regions = 1 + len(self._session.query.also) if self._session.query is not None else 1
        if regions > 1:
            facts.append(["Regions", f"the first of {regions} is explained"])
        self._facts.show(facts=facts)
        self._actions.show(domain=domain)

    # --- doing --------------------------------------------------------------------------------------------------

    def _tapped(self, x: float | None = None, y: float | None = None) -> None:
        result, known = self._session.state.result, self._known
        found = known.explanation if known is not None else None
        if result is None or found is None or x is None or y is None or self._size is None:
            return
        place = detail.place_at(x, y, found.scores, Region.of(result), self._size.picture)
        if place is not None:
            self._place = place
            self._start()

    def _do(self, msg: dict[str, Any]) -> None:
        session, state = self._session, self._session.state
        match msg["do"]:
            case "previous" | "next":
                session.step(1 if msg["do"] == "next" else -1)
            case "close":
                session.open_match(0)
            case "mode" if msg.get("value") in detail.MODES:
                self._mode = msg["value"]
                self._head.show(mode=self._mode)
                self._draw_heat()
            case "own_place":
                self._place = None
                self._start()
            case "from_match":
                session.search_from_match(state.opened)
            case "in_domain" if state.result is not None and state.opened:
                domain = str(state.result["domain"].values[state.opened - 1])
                session.set_matches(filters={"domain": domain})


def _rank_words(result: Any, rank: int) -> str:
    """Say a match's rank among all searched pictures, and among those of its domain."""
    domain, score = result["domain"].values[rank - 1], float(result["score"].values[rank - 1])
    scores = result["image_score"].values
    known = np.isfinite(scores)
    own = known & (result["image_domain"].values == domain)
    place, place_own = (1 + int((scores[which] > score).sum()) for which in (known, own))
    said = f"{place:,} of {int(known.sum()):,}"
    if 0 < own.sum() < known.sum():
        said += f"; {place_own:,} of {int(own.sum()):,} in {plain(str(domain))}"
    return said
