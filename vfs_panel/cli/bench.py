"""`vfs-panel bench`: measure, print tables, keep the figures."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from vfs_panel.cli.output import Report as Progress
from vfs_panel.cli.output import note, print_table, progress
from vfs_panel.errors import BenchError

if TYPE_CHECKING:
    from vfs_panel.bench.report import Part, Table

app = typer.Typer(rich_markup_mode=None, help="Measure, and print or keep the figures.")

Json = Annotated[Path | None, typer.Option(help="Also write all figures to this FILE.", metavar="FILE")]
Device = Annotated[Literal["cpu", "cuda"], typer.Option(help="Where to search.")]
Size = Annotated[
    Literal["small", "full"], typer.Option(help="`small` takes two minutes; `full` half an hour, and 3 GB of disk.")
]
Folder = Annotated[
    Path | None,
    typer.Option(help="Where synthetic sets are written, and removed; by default the system's temporary folder."),
]
Images = Annotated[
    list[int] | None, typer.Option(min=20, help="Pictures of a set; repeat it for several. By default the size's.")
]


@dataclass(frozen=True, slots=True)
class _Options:
    device: str
    size: str
    images: Sequence[int]
    json: Path | None
    folder: Path | None


@app.callback(invoke_without_command=True)
def _all(
    context: typer.Context, device: Device = "cpu", size: Size = "full", json: Json = None, folder: Folder = None
) -> None:
    """Measure searches, streaming, extraction, growth and a cluster in one run; or, with a command, one of them."""
    command = context.invoked_subcommand
    if command is None:
        _run(list(PARTS), _Options(device, size, (), json, folder))
    elif (device, size, json, folder) != ("cpu", "full", None, None):
        raise BenchError(f"Options belong after the command: vfs-panel bench {command} … See: vfs-panel bench --help")


@app.command()
def search(
    device: Device = "cpu", size: Size = "full", images: Images = None, json: Json = None, folder: Folder = None
) -> None:
    """Measure searches beside visualfeaturesearch, FAISS and the memory itself, on the same features and masks.

    The 20 best pictures of every contestant are compared with those of a plain search in float64.
    """
    _run(["search"], _Options(device, size, images or (), json, folder))


@app.command()
def read(
    device: Device = "cpu", size: Size = "full", images: Images = None, json: Json = None, folder: Folder = None
) -> None:
    """Measure a search that reads its features from disk beside a plain read of the same files."""
    _run(["read"], _Options(device, size, images or (), json, folder))


@app.command("extract")
def extract_(device: Device = "cpu", size: Size = "full", json: Json = None, folder: Folder = None) -> None:
    """Measure extraction beside the network's forward pass alone, in pictures a second."""
    _run(["extract"], _Options(device, size, (), json, folder))


@app.command()
def grow(
    device: Device = "cpu", size: Size = "full", images: Images = None, json: Json = None, folder: Folder = None
) -> None:
    """Measure what a search costs as a set grows to a million pictures, in the tier that the engine chooses.

    Large sets repeat the blocks of a smaller one, so that they fit on a disk; the table says so.
    """
    _run(["grow"], _Options(device, size, images or (), json, folder))


@app.command()
def cluster(size: Size = "full", images: Images = None, json: Json = None, folder: Folder = None) -> None:
    """Measure a search on a local Dask cluster beside the same search in this process."""
    _run(["cluster"], _Options("cpu", size, images or (), json, folder))


@app.command()
def retrieval(
    json: Json = None,
    dataset: Annotated[
        list[str] | None, typer.Option(help="Demo set to search: photos or camera-traps; by default both.")
    ] = None,
    network: Annotated[
        list[str] | None, typer.Option(help="Network or baseline to measure; repeat it for several. By default all.")
    ] = None,
    layer: Annotated[
        list[str] | None, typer.Option(help="Layer to measure; repeat it for several. By default all three.")
    ] = None,
    queries: Annotated[int, typer.Option(min=8, help="Queries per data set; twice as many on camera-traps.")] = 240,
) -> None:
    """Measure how often the best match is the right one, on the demo sets, whose answers are known.

    The bundled networks are measured beside two baselines: raw pixels, and the network without training.
    """
    from vfs_panel.analysis import retrieval as measured
    from vfs_panel.images.demo import PLACED_NAMES

    with progress("Searching") as report:
        rows = measured.bench(
            datasets=dataset or PLACED_NAMES,
            networks=network or measured.NETWORKS,
            layers=layer,
            queries=queries,
            progress=report,
        )
    print(measured.table(rows))
    if json is not None:
        json.write_text(rows.to_json(orient="records", indent=2), "utf-8")
        note(f"Wrote {json}.")


def _search(options: _Options, folder: Path, report: Progress) -> "Part":
    from vfs_panel.bench import searching

    chosen = searching.recipes(options.size, options.device, options.images)
    return searching.measure(chosen, folder, device=options.device, progress=report)


def _read(options: _Options, folder: Path, report: Progress) -> "Part":
    from vfs_panel.bench import opening, reading

    chosen = reading.recipes(options.size, options.images)
    streamed = reading.measure(chosen, folder, device=options.device, progress=report)
    return streamed.with_part(opening.measure(opening.pictures(options.size), folder))


def _extract(options: _Options, folder: Path, report: Progress) -> "Part":
    from vfs_panel.bench import extracting

    return extracting.measure(extracting.jobs(options.size), folder, device=options.device, progress=report)


def _grow(options: _Options, folder: Path, report: Progress) -> "Part":
    from vfs_panel.bench import growing

    return growing.measure(options.size, folder, images=options.images, device=options.device, progress=report)


def _cluster(options: _Options, folder: Path, report: Progress) -> "Part":
    from vfs_panel.bench import clustering

    return clustering.measure(clustering.recipes(options.size, options.images), folder, progress=report)


PARTS: dict[str, Callable[[_Options, Path, Progress], "Part"]] = {
    "search": _search,
    "read": _read,
    "extract": _extract,
    "grow": _grow,
    "cluster": _cluster,
}


def _run(names: Sequence[str], options: _Options) -> None:
    """Measure parts, print their tables, write the figures, and fail if contestants disagree."""
    from vfs_panel.bench import machine
    from vfs_panel.bench.report import Report
    from vfs_panel.bench.sets import temporary_folder

    if options.json is not None and not options.json.parent.is_dir():  # now, not after many minutes
        raise BenchError(f"There is no folder {options.json.parent} for {options.json.name}. Make it first.")
    asked = {"size": options.size, "images": list(options.images)}
    report = Report(machine.describe(options.device), asked)
    print(machine.words(report.machine), flush=True)
    with temporary_folder(options.folder) as folder:
        for name in names:
            with progress(f"Measuring {name}") as done:
                part = report.parts[name] = PARTS[name](options, folder, done)
            for table in part.tables:
                _print(table)
            for line in part.left_out:
                note(line)
            if options.json is not None:  # after each part: a run that is stopped keeps what it has
                options.json.write_text(dumps(report.to_json(), indent=2, allow_nan=False) + "\n", "utf-8")
    if (goals := report.goals()) is not None:
        _print(goals)
    if options.json is not None:
        note(f"Wrote {options.json}.")
    if problems := report.problems():
        raise BenchError(f"{len(problems)} results are wrong: {'; '.join(problems)}.")


def _print(table: "Table") -> None:
    print(f"\n{table.title}")
    print_table(table.columns, table.rows, right=table.columns[1:])
    print("\n".join(table.notes), flush=True)
