"""`vfs-panel store info|subset|convert|import`: what is in a store, and stores made from others."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from vfs_panel.cli.extraction import sizes
from vfs_panel.cli.output import note, print_table, progress
from vfs_panel.cli.search import wanted
from vfs_panel.errors import QueryError, StoreError

if TYPE_CHECKING:
    import pandas as pd

    from vfs_panel.features import FeatureStore

app = typer.Typer(help="Look into a feature store, or make another one of it.", no_args_is_help=True)

STORE = Annotated[
    str, typer.Argument(help="The store: a folder such as features.zarr, a zip, or a URL.", metavar="STORE")
]
OUT = Annotated[str, typer.Option(help="The store to write; a name that ends in .zip makes one file.")]
LAYER = Annotated[list[str] | None, typer.Option(help="Only this layer; repeat it for several.")]
DTYPE = Annotated[Literal["float16", "float32", "int8"] | None, typer.Option(help="Number type; by default as it is.")]
COMPRESS = Annotated[
    bool | None,
    typer.Option("--compress/--no-compress", help="Smaller files where many features are 0, or plain ones."),
]
_FEW = 6  # values or pictures that are named before the rest is counted


@app.command("info")
def info(store: STORE) -> None:
    """Say what made a store, which pictures it is of, and how its layers are kept."""
    from vfs_panel.features import open_store
    from vfs_panel.words import size_words

    opened = open_store(store)
    attrs = opened.attrs
    print(f"{opened.path}: schema {attrs['schema_version']}, written by {attrs.get('created_with', 'unknown')}")
    spec = opened.spec(opened.layers[0])
    sha = f" (sha256 {spec.weights_sha256[:16]}…)" if spec.weights_sha256 else ""
    print(f"network: {spec.network}, weights {spec.weights}{sha}{f', in {spec.autocast}' if spec.autocast else ''}")
    print(f"preprocessing: {spec.preprocessing.to_json()}")
    made = ", ".join(f"{name} {version}" for name, version in opened.versions(opened.layers[0]).items())
    if made:
        print(f"made with: {made}")
    _print_pictures(opened)
    print()
    rows = []
    for layer in opened.layers:
        one = opened.spec(layer)
        on_disk, in_full = opened.nbytes_on_disk(layer), 4 * math.prod(one.grid) * opened.n_images
        rows.append(
            (
                layer,
                "×".join(map(str, one.grid)),
                "×".join(f"{v:g}" for v in one.stride_px),
                "×".join(map(str, one.receptive_field_px)) if one.receptive_field_px else "-",
                one.dtype if one.compression == "none" else f"{one.dtype}, {one.compression}",
                "-" if on_disk is None else size_words(on_disk),
                "-" if on_disk is None else f"{on_disk / in_full:.0%}",
                "yes" if opened.complete(layer) else "no",
            )
        )
    columns = ("layer", "grid", "stride, px", "sees, px", "kept as", "on disk", "of float32", "whole")
    print_table(columns, rows, right=("grid", "stride, px", "sees, px", "on disk", "of float32"))
    for layer in opened.layers:
        if opened.spec(layer).dtype == "int8" and opened.complete(layer):
            lost = opened.lost(layer).astype("float32")
            print(f"{layer}: int8 takes {lost.mean():.2%} of a cell's length on average, {lost.max():.2%} at most")


def _print_pictures(opened: "FeatureStore") -> None:
    index = opened.index
    for column in (c for c in index.columns if c not in ("broken", "path")):
        values = [f"{value} {count}" for value, count in _most_first(index[column].value_counts()) if value]
        if not values:
            continue
        named = f"{len(values)} values" if len(values) > 4 * _FEW else ", ".join(values)
        print(f"{column}: {named}")
    if opened.findings is not None:
        named = ", ".join(f"{name} {count}" for name, count in _most_first(opened.findings.sum()))
        print(f"findings: {named}")
    broken = [str(i) for i in index.index[index["broken"].to_numpy(bool)]]
    print(f"pictures: {len(index)}" + (f", of which {len(broken)} could not be read:" if broken else ""))
    for name in broken[:_FEW]:
        print(f"  {name}")
    if len(broken) > _FEW:
        print(f"  and {len(broken) - _FEW} more")


def _most_first(counts: "pd.Series[int]") -> list[tuple[str, int]]:
    return sorted(((str(value), int(count)) for value, count in counts.items()), key=lambda one: (-one[1], one[0]))


@app.command("subset")
def subset(
    store: STORE,
    out: OUT,
    where: Annotated[
        list[str] | None,
        typer.Option(help="Only pictures of this value, such as domain=photo; repeat it.", metavar="COLUMN=VALUE"),
    ] = None,
    images: Annotated[
        Path | None, typer.Option(help="Only the pictures whose ids are in this text FILE, one a line.", metavar="FILE")
    ] = None,
    layer: LAYER = None,
    dtype: DTYPE = None,
    compress: COMPRESS = None,
) -> None:
    """Write some pictures or layers of a store as another one."""
    from vfs_panel.features import open_store, subset_rows

    if where is None and images is None and not layer:
        raise QueryError("Say what to take: --where COLUMN=VALUE, --images FILE or --layer NAME.")
    opened = open_store(store)
    ids = None
    if images is not None:
        try:
            ids = [line for line in images.read_text("utf-8").splitlines() if line.strip()]
        except (OSError, UnicodeDecodeError) as error:
            raise StoreError(f"{images} cannot be read as a list of ids: {error}.") from None
    rows = subset_rows(opened, where=wanted(where or []), images=ids)
    _write(opened, out, layer, rows, dtype, compress)


@app.command("convert")
def convert(store: STORE, out: OUT, layer: LAYER = None, dtype: DTYPE = None, compress: COMPRESS = None) -> None:
    """Write a store in another type, compressed or not, or as one zip file."""
    from vfs_panel.features import open_store

    _write(open_store(store), out, layer, None, dtype, compress)


@app.command("import")
def import_(
    zarr: Annotated[
        str, typer.Argument(help="Another program's Zarr, such as a cache of visualfeaturesearch.", metavar="ZARR")
    ],
    out: OUT,
    layer: Annotated[
        list[str] | None, typer.Option(help="Only this array; ARRAY=LAYER gives it the layer's name; repeat it.")
    ] = None,
    images: Annotated[
        Path | None, typer.Option(help="The pictures in the array's order: a folder or a list.", metavar="IMAGES")
    ] = None,
    axes: Annotated[
        str, typer.Option(help="What the array's axes are; or image, token, channel.")
    ] = "image channel y x",
    model: Annotated[str | None, typer.Option(help="Name of the network that made the features.")] = None,
    dtype: Annotated[
        Literal["float16", "float32", "int8"], typer.Option(help="Number type of the stored features.")
    ] = "float16",
    compress: Annotated[bool, typer.Option("--compress", help="Smaller files where many features are 0.")] = False,
    on_missing: Annotated[
        Literal["stop", "skip"], typer.Option(help="What to do with pictures that have no features there.")
    ] = "stop",
) -> None:
    """Write features of another program as a store: Zarr version 2 or 3, read by parts."""
    from vfs_panel.features import store_from_zarr

    layers: Any = None
    if layer:
        layers = {array: name or array for array, _, name in (one.partition("=") for one in layer)}
    with progress(f"Writing {out}") as report:
        written = store_from_zarr(
            zarr, out=out, layers=layers, images=images, axes=axes, network=model, dtype=dtype,
            compression="zstd" if compress else "none", on_missing=on_missing, progress=report,
        )  # fmt: skip
    note(f"{out} holds {written.n_images} pictures; {sizes(written)}.")


def _write(
    opened: "FeatureStore", out: str, layer: list[str] | None, rows: Any, dtype: str | None, compress: bool | None
) -> None:
    from vfs_panel.features import convert as convert_store

    compression = None if compress is None else "zstd" if compress else "none"
    with progress(f"Writing {out}") as report:
        written = convert_store(
            opened, out=out, layers=layer, rows=rows, dtype=dtype, compression=compression, progress=report
        )
    note(f"{out} holds {written.n_images} pictures; {sizes(written)}.")
