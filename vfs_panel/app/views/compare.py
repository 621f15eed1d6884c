"""The compare tab: the drawing under up to four layers, networks or datasets, row under row and linked.

B is the layer that the session searches; A, and C and D where a person adds them, are compared with it.
"""

import shlex
from typing import Any

from vfs_panel.analysis.comparison import moved
from vfs_panel.app import shared
from vfs_panel.app.comparing import SHOWN, Answer, Comparing
from vfs_panel.app.panes import theme_of
from vfs_panel.app.rows import another_row, changed_row, default_row
from vfs_panel.app.session import Session
from vfs_panel.app.state import MOST_COMPARED, Row
from vfs_panel.app.views.comparefacts import ComparePart, FactsView
from vfs_panel.app.views.rowfigure import RowFigure
from vfs_panel.app.views.tab import TabView
from vfs_panel.errors import VFSError
from vfs_panel.plots.compare import RankedRow
from vfs_panel.plots.text import count_text, plain, score_text

NAMES = "ACD"  # of the rows beside B
SAME = "Same picture, same drawing. Compare ranks: scores of two layers are on different scales."
UNDER = "Under each match: its rank on the other side."


class CompareView(TabView):
    """Rows of matches, and below them how far they agree."""

    name = "compare"
    while_drawing = False

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._found = Comparing(session, self.update)
        self._own: Row | None = None
        self._picked = ""
        self._built = False
        self.state.param.watch(self._follow, ["compared", "selected"])
        self.state.param.watch(self._rest, ["drawing", "tab", "opened", "stale"])

    def _build(self) -> None:
        """Make the parts, when the tab is first seen: a session that never compares does not pay for them."""
        self._built = True
        self._heads = {name: ComparePart("row", self._doer(name)) for name in "ABCD"}
        self._main = RowFigure(self._tapped)
        self._more = {name: RowFigure(lambda _row, place, name=name: self._pick_of(name, place)) for name in "CD"}
        self._nothing, self._bar = ComparePart("nothing"), ComparePart("picked", self._do_picked)
        self._facts = FactsView(self.session, self._found, self._pick)
        for name in "CD":
            self._heads[name].visible = False
        self.part[:] = [
            self._nothing, self._heads["A"], self._main.part, self._heads["B"],
            self._heads["C"], self._more["C"].part, self._heads["D"], self._more["D"].part,
            self._facts.part, self._bar,
        ]  # fmt: skip
        for part in self.part.select(ComparePart):
            part.on_trouble = self.session.trouble

    # --- what is compared ---------------------------------------------------------------------------------------

    def _settle(self) -> bool:
        """Give the rows their defaults; return whether they changed, and so are drawn by the change."""
        state, own, before = self.state, self._found.own, self._own
        self._own = own
        rows = list(state.compared)
        if not rows:
            first = default_row(self.session.sources, own)
            rows = [first] if first is not None else []
        elif before is not None and before != own and before[0] == own[0] and own in rows:
            rows = [before if row == own else row for row in rows]  # the two change places
        if tuple(rows) == state.compared:
            return False
        self.session.compare_with(rows)
        return state.compared == tuple(rows)

    # --- drawing ------------------------------------------------------------------------------------------------

    def _follow(self, *events: Any) -> None:
        if any(event.name == "selected" for event in events) and self.state.selected:
            self._picked = ""
        self.update()

    def _rest(self, *_: Any) -> None:
        """Search for nobody."""
        if self.state.drawing or self.state.stale or not self.is_open:
            self._found.stop()

    def draw(self) -> None:
        """Bring all rows up to date, and search what they lack."""
        if not self._built:
            self._build()
        if self._settle():
            return
        result, outcome = self.state.result, self.session.outcome
        final = result is not None and result.attrs.get("progress", 1) == 1
        resting = final and not self.state.drawing and not self.state.stale
        self._show()
        if resting and outcome is not None and outcome.result is not None and not outcome.job.preview:
            self._found.follow(outcome.job)

    def _show(self) -> None:
        state, theme = self.state, theme_of(self.state)
        rows = state.compared
        self._nothing.visible = not rows
        self._heads["B"].visible = bool(rows)
        if not rows:
            self._nothing.show(**self._nothing_words())
        for number, name in enumerate(NAMES):
            self._heads[name].visible = number < len(rows)
            if number < len(rows):
                self._head(name, rows[number])
        self._head("B", self._found.own)
        picked = self._picked or self._selected_id()
        options: dict[str, Any] = {"width_px": state.work_px, "theme": theme, "picked": picked}
        self._show_main(rows, options)
        for number, name in enumerate(NAMES[1:], 1):
            there = self._ranked(rows[number], self._found.own, "B") if number < len(rows) else None
            if there is not None or number >= len(rows) or self._failed(rows[number]):
                self._more[name].show([there] if there is not None else [], **options)
        self._facts.show(picked)
        self._show_picked()

    def _show_main(self, rows: tuple[Row, ...], options: dict[str, Any]) -> None:
        """Draw A over B; what is there stays while a search for either runs."""
        own = self._found.own
        below = self._ranked(own, rows[0] if rows else None, "A")
        above = self._ranked(rows[0], own, "B") if rows else None
        waits = below is None or (rows and above is None and not self._failed(rows[0]))
        if not waits or (not self._main.rows and below is not None):
            self._main.show([row for row in (above, below) if row is not None], **options)

    def _failed(self, row: Row) -> bool:
        answer = self._found.answers.get(row)
        return answer is not None and answer.ranking is None

    def _ranked(self, row: Row, opposite: Row | None, name: str) -> RankedRow | None:
        """Return what the figure of a row needs, with ranks in the opposite row of that name.

        None while it is not searched; B, the open layer, does not wait for what it is compared with.
        """
        own, answer = self._found.own, self._found.answers.get(row)
        if answer is None or answer.result is None:
            return None
        result = answer.result.assign_attrs(aspect=self._aspect_of(row))
        pair = self._found.pair(opposite if name == "A" else row) if opposite is not None else None
        if pair is None and name == "B" and row != own:
            return None
        there = self._found.answers.get(opposite) if opposite is not None else None
        if pair is None or not pair.n or there is None or there.ranking is None:
            return RankedRow(result=result, urls=answer.urls)
        ranks = there.ranking.rank_of(answer.result["image_id"].values[:SHOWN].astype(object)).tolist()
        word = "gained" if name == "A" else "lost"
        return RankedRow(
            result=result, urls=answer.urls, other=ranks, k=SHOWN,
            moved=[moved(rank, SHOWN, word=word, other=name) for rank in ranks],
        )  # fmt: skip

    def _aspect_of(self, row: Row) -> float:
        try:
            preprocessing = shared.store_of(self.session.sources[row[0]], row[1]).preprocessing
        except VFSError:
            return 1.0
        height, width = preprocessing.geometry(64, 64).input_px
        return width / height

    # --- heads --------------------------------------------------------------------------------------------------

    def _head(self, name: str, row: Row) -> None:
        session, own = self.session, self._found.own
        source, answer = session.sources[row[0]], self._found.answers.get(row)
        several = len(session.sources) > 1 and name != "B"
        self._heads[name].show(
            name=name,
            datasets=[[key, each.title] for key, each in session.sources.items() if each.ready] if several else [],
            dataset=row[0],
            networks=[[key, key] for key in source.networks],
            network=row[1],
            layers=[[key, key] for key in source.networks.get(row[1], [])],
            layer=row[2],
            cells=self._cells(row, answer, under=name == "B" and self._shares_pictures()),
            busy=answer is None,
            note=self._note(name, row),
            use=name != "B" and row[0] == own[0] and row != own,
            add=name == "B" and 0 < len(self.state.compared) < MOST_COMPARED,
            remove=name in "CD",
            error=answer.sentence if answer is not None else "",
            command=answer.command if answer is not None else "",
            list=_spoken(answer),
        )

    def _cells(self, row: Row, answer: Answer | None, *, under: bool) -> str:
        if answer is not None and answer.sentence:
            return ""
        try:
            channels, rows, columns = shared.store_of(self.session.sources[row[0]], row[1]).spec(row[2]).grid
        except VFSError:
            return ""
        words = f"{channels:,} channels, {rows} × {columns} cells"
        return f"{words}. {UNDER}" if under else words

    def _shares_pictures(self) -> bool:
        pairs = [self._found.pair(row) for row in self.state.compared]
        return any(pair is not None and pair.n > 0 for pair in pairs)

    def _note(self, name: str, row: Row) -> str:
        """Say what can be compared: ranks, and with another dataset only pictures of the same id."""
        pair, state = self._found.pair(row), self.state
        if name == "B":
            return ""
        if row[0] == self._found.own[0]:
            return SAME if name == "A" else "Compared with B."
        if pair is None:
            words = "Another dataset: the painted picture is searched there like an upload."
        elif not pair.n:
            words = "Another dataset: no picture has the same id as one of B, so compare what you see."
        else:
            same = count_text(pair.n, "picture")
            words = f"Another dataset: {same} with the same id as in B; only those are compared."
        return f"{words} Filters hold for B alone." if state.filters or state.among is not None else words

    def _nothing_words(self) -> dict[str, str]:
        dataset, network, layer = self._found.own
        try:
            path = shared.store_of(self.session.sources[dataset], network).path
        except VFSError:
            path = "STORE.zarr"
        return {
            "text": f"There is nothing to compare with: this store holds one layer, {layer}, of one network. "
            "Add a layer to it, then open it again:",
            "command": f"vfs-panel extract PICTURES --model {network} --layer {layer} --layer ANOTHER "
            f"--out {shlex.quote(path)}",
            "more": f"vfs-panel models {network} lists the layers.",
        }

    # --- picking ------------------------------------------------------------------------------------------------

    def _selected_id(self) -> str:
        result, rank = self.state.result, self.state.selected
        if result is None or not 1 <= rank <= result.sizes["rank"]:
            return ""
        return str(result["image_id"].values[rank - 1])

    def _tapped(self, row: int, place: int) -> None:
        """Open a match of B; say what a match of A is."""
        image = str(self._main.rows[row].result["image_id"].values[place])
        if row == len(self._main.rows) - 1:
            result = self.state.result
            shown = [] if result is None else result["image_id"].values.tolist()
            if image in shown:
                self.session.open_match(shown.index(image) + 1)
                return
        self._pick(image)

    def _pick_of(self, name: str, place: int) -> None:
        self._pick(str(self._more[name].rows[0].result["image_id"].values[place]))

    def _pick(self, image: str) -> None:
        """Mark a picture in every row, and say where it is."""
        self._picked = image
        self.session.select(0)
        self.update()

    def _show_picked(self) -> None:
        words = []
        for name, row in zip("BACD", (self._found.own, *self.state.compared), strict=False):
            answer = self._found.answers.get(row)
            if self._picked and answer is not None and answer.ranking is not None:
                rank = int(answer.ranking.rank_of([self._picked])[0])
                score = score_text(float(answer.ranking.scores[rank - 1])) if rank else ""
                words.append([name, f"rank {rank:,}, {score}" if rank else "not searched"])
        self._bar.show(id=self._picked, places=sorted(words))

    def _do_picked(self, msg: dict[str, Any]) -> None:
        if msg["do"] == "close":
            self._picked = ""
            self.update()

    # --- messages -----------------------------------------------------------------------------------------------

    def _doer(self, name: str) -> Any:
        return lambda msg: self._do(name, msg)

    def _do(self, name: str, msg: dict[str, Any]) -> None:
        session, rows, value = self.session, list(self.state.compared), str(msg.get("value", ""))
        if msg["do"] == "add" and rows and len(rows) < MOST_COMPARED:
            session.compare_with([*rows, another_row(session.sources, self._found.own, rows)])
        elif name == "B":
            if msg["do"] == "network":
                session.open_network(value)
            elif msg["do"] == "layer":
                session.open_layer(value)
        elif (number := NAMES.index(name)) < len(rows):
            if msg["do"] == "use":
                session.use_compared(rows[number])
            elif msg["do"] == "remove" and number:
                session.compare_with(rows[:number] + rows[number + 1 :])
            elif (row := changed_row(session.sources, rows[number], msg["do"], value)) is not None:
                rows[number] = row
                session.compare_with(rows)


def _spoken(answer: Answer | None) -> list[str]:
    """Return the shown matches of a row as a screen reader hears them."""
    if answer is None or answer.result is None:
        return []
    shown = answer.result.isel(rank=slice(SHOWN))
    return [
        ", ".join([score_text(float(score)), *(plain(v, missing="") for v in (str(label), str(domain)) if v)])
        for score, label, domain in zip(
            shown["score"].values, shown["label"].values, shown["domain"].values, strict=True
        )
    ]
