"""`vfs-panel search`: a region of a picture -> the most similar regions of a store, as table, JSON or CSV."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from vfs_panel.cli.output import note, print_table
from vfs_panel.errors import QueryError, StoreError

if TYPE_CHECKING:
    import xarray as xr


def search(
    store: Annotated[str, typer.Argument(help="The store: a folder such as features.zarr, or a URL.", metavar="STORE")],
    image: Annotated[str, typer.Option(help="A picture's id in the store, or any picture file.", metavar="ID_OR_FILE")],
    mask: Annotated[
        Path | None,
        typer.Option(help="PNG of the picture's or the network's size: what is opaque, or white, is painted."),
    ] = None,
    box: Annotated[
        str | None, typer.Option(help="Or a rectangle, in pixels of the picture.", metavar="x0,y0,x1,y1")
    ] = None,
    layer: Annotated[str | None, typer.Option(help="Layer to search; by default the store's last.")] = None,
    k: Annotated[int, typer.Option("-k", "--k", min=1, help="How many matches.")] = 10,
    unique: Annotated[
        str | None,
        typer.Option(help="Only the best match of each domain, label, or value of another column.", metavar="COLUMN"),
    ] = None,
    per_image: Annotated[int, typer.Option(min=1, help="How many matches one picture may give.")] = 1,
    output: Annotated[Literal["table", "json", "csv"], typer.Option("--format", help="What to print.")] = "table",
    out: Annotated[
        Path | None,
        typer.Option(help="Write to this FILE (a table as CSV) instead of printing.", metavar="FILE"),
    ] = None,
    images: Annotated[
        Path | None, typer.Option(help="Folder of the store's pictures, where they have moved.", metavar="FOLDER")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="The store's network, for a picture from outside, where its name is not enough."),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(help="State dict of the store's network, for a picture from outside.", metavar="FILE"),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict/--no-strict", help="Whether those weights must fit the network exactly.")
    ] = True,
    trust_code: Annotated[bool, typer.Option("--trust-code", help="Run code that the network comes with.")] = False,
    where: Annotated[
        list[str] | None,
        typer.Option(
            help="Search only pictures of this value, such as domain=photo or split=test; repeat it for more values.",
            metavar="COLUMN=VALUE",
        ),
    ] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:N; by default VFS_DEVICE.")] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="Dask scheduler whose workers search; by default VFS_SCHEDULER.")
    ] = None,
) -> None:
    """Find the regions of a store's pictures that are most like a region of one picture.

    A picture of the store is left out of its own matches. x and y of a match are feature cells.
    """
    from vfs_panel.cli.region import QueryPicture, parse_box
    from vfs_panel.features import open_store
    from vfs_panel.search import RegionSearch, result

    opened = open_store(store)
    searched = layer or opened.layers[-1]
    spec, picture = opened.spec(searched), QueryPicture.find(opened, image, images=images)
    if mask is not None and box is None:
        alpha = picture.paint_mask(mask, spec.input_px)
    elif box is not None and mask is None:
        alpha = picture.paint_box(parse_box(box))
    else:
        raise QueryError("Give a region: either --mask FILE, or --box x0,y0,x1,y1.")
    query = picture.query(searched, alpha, model=model, weights=weights, strict=strict, trust_code=trust_code)
    # For one search, reading the store once is all that is needed.
    engine = RegionSearch(opened, searched, device=device, scan="stored", scheduler=scheduler)
    found = engine.search(query, k=k, unique=unique, per_image=per_image, where=wanted(where or []))
    engine.close()
    if output == "table" and out is None:
        _print(found)
        note(
            f"Searched {found.attrs['n_searched']} pictures in layer {searched}, {engine.tier}, "
            f"in {found.attrs['elapsed_ms']:.0f} ms."
        )
        return
    text = {"table": result.to_csv, "csv": result.to_csv, "json": result.to_json}[output](found)
    if out is None:
        print(text, end="" if text.endswith("\n") else "\n")
        return
    try:
        out.write_text(text, "utf-8")
    except OSError as error:
        raise StoreError(f"{out} cannot be written: {error.strerror}. Choose another place with --out.") from None
    note(f"Wrote {len(found['rank'])} matches to {out}.")


def wanted(conditions: list[str]) -> dict[str, list[str]] | None:
    """Read conditions such as "domain=photo" into {column: values}; None if there are none.

    Raises
    ------
    QueryError
        If one is no condition.
    """
    found: dict[str, list[str]] = {}
    for condition in conditions:
        column, equals, value = condition.partition("=")
        if not (column and equals):
            raise QueryError(f"--where is {condition!r}; expected COLUMN=VALUE, such as domain=photo.")
        found.setdefault(column, []).append(value)
    return found or None


def _print(found: "xr.Dataset") -> None:
    from vfs_panel.search import result

    columns = ("rank", "score", "image", "domain", "label", "x", "y", "width", "height")
    rows = [
        (rank, f"{row.score:.3f}", row.image_id, row.domain, row.label, row.x, row.y, row.width, row.height)
        for rank, row in result.table(found).iterrows()
    ]
    print_table(columns, rows, right=("rank", "score", "x", "y", "width", "height"))
