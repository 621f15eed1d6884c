"""What commands print: notes and progress on stderr, tables on stdout."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from vfs_panel.words import size_words

Report = Callable[[int, int], None]
_EVERY_S = 10.0  # how often progress is written where no terminal can redraw a line
_WORTH_A_LINE_S = 2.0  # what is done sooner needs no line


def note(text: str) -> None:
    """Write one line to stderr, as it is: no colours, no folding."""
    print(text, file=sys.stderr, flush=True)


def one_line(message: object) -> str:
    """Return a message as one line."""
    return " ".join(str(message).split())


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, right: Sequence[str] = ()) -> None:
    """Print rows under headings.

    Parameters
    ----------
    columns : the headings.
    rows : one value per column each; written with `str`.
    right : headings of the columns whose values are set to the right, such as numbers.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(str(value)) for value in row))  # Text: a "[" in a layer's name is no markup
    console = Console()
    if console.is_terminal:
        console.print(table)
        return
    # A file or a pipe has no width: no row is folded to that of some terminal, nor filled up to it.
    console = Console(width=Console(width=100_000).measure(table).maximum)
    with console.capture() as captured:
        console.print(table)
    print("\n".join(line.rstrip() for line in captured.get().splitlines()))


@contextmanager
def progress(what: str, *, of_bytes: bool = False) -> Iterator[Report]:
    """Show how far something is, with rate and time left, on stderr.

    Nothing is shown for work that turns out to be done already. A terminal gets a bar, anything else a line every
    ten seconds.

    Parameters
    ----------
    what : what is being done, as in "Rendering photos".
    of_bytes : whether what is counted are bytes, shown as sizes.

    Yields
    ------
    callable (done, total)
        To be called as the work goes on.
    """
    if not sys.stderr.isatty():
        yield _Lines(what, of_bytes=of_bytes)
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(_rate(task.speed, of_bytes=of_bytes) if task.speed else "")

    left = TextColumn("left")
    count = DownloadColumn() if of_bytes else MofNCompleteColumn()
    columns = (TextColumn("{task.description}"), BarColumn(), count, Rate(), TimeRemainingColumn(), left)
    with Progress(*columns, console=Console(stderr=True), speed_estimate_period=20) as bars:
        tasks: list[object] = []

        def report(done: int, total: int) -> None:
            if not tasks:
                # What an earlier run has done already must not count into the rate: start the clock here.
                tasks.append(bars.add_task(what, total=total or None, completed=done))
            bars.update(tasks[0], completed=done, total=total or None)  # type: ignore[arg-type]

        yield report


def _rate(per_s: float, *, of_bytes: bool) -> str:
    if of_bytes:
        return f"{size_words(per_s)}/s"
    return f"{per_s:.0f}/s" if per_s >= 10 else f"{per_s:.1f}/s"


class _Lines:
    """Progress as plain lines, for logs."""

    def __init__(self, what: str, *, of_bytes: bool = False) -> None:
        self.what, self.of_bytes = what, of_bytes
        self.first: tuple[float, int] | None = None
        self.last_s = 0.0

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if self.first is None:
            self.first = (now, done)
            self.last_s = now
            return
        took_long = now - self.first[0] > _WORTH_A_LINE_S
        if now - self.last_s < _EVERY_S and not (done >= total and took_long):
            return
        self.last_s = now
        rate = (done - self.first[1]) / max(now - self.first[0], 1e-6)
        left = f", {(total - done) / rate:.0f} s left" if rate > 0 and done < total else ""
        amounts = (size_words(done), size_words(total) if total else "") if self.of_bytes else (str(done), str(total))
        note(f"{self.what}: {' of '.join(filter(None, amounts))}, {_rate(rate, of_bytes=self.of_bytes)}{left}")
