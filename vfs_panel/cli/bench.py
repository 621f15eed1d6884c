"""`vfs-panel bench`: measure, print a table, keep the figures."""

from pathlib import Path
from typing import Annotated

import typer

from vfs_panel.cli.output import note, progress

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Measure, and print or keep the figures.")


@app.callback()
def _root() -> None:
    """Keep `retrieval` a command of its own: Typer would make the only command the whole group."""


@app.command()
def retrieval(
    json: Annotated[Path | None, typer.Option(help="Also write all figures to this FILE.", metavar="FILE")] = None,
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
    from vfs_panel.images.demo import DEMO_NAMES

    with progress("Searching") as report:
        rows = measured.bench(
            datasets=dataset or DEMO_NAMES,
            networks=network or measured.NETWORKS,
            layers=layer,
            queries=queries,
            progress=report,
        )
    print(measured.table(rows))
    if json is not None:
        json.write_text(rows.to_json(orient="records", indent=2), "utf-8")
        note(f"Wrote {json}.")
