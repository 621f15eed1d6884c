"""`vfs-panel catalog`: list, show, check, build and add data sets."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vfs_panel.cli.output import note, print_table
from vfs_panel.cli.serving import prepare
from vfs_panel.errors import CatalogError

if TYPE_CHECKING:
    from vfs_panel.catalog import Catalog, CatalogEntry

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="List, show, check, build and add data sets.")
Folder = Annotated[
    Path | None,
    typer.Option("--catalog", help="Folder of entries; by default the bundled ones and your own.", metavar="FOLDER"),
]


@app.command("list")
def list_(catalog: Folder = None) -> None:
    """List the entries, and which of their features are built."""
    from vfs_panel.catalog import open_catalog

    opened = open_catalog(catalog)
    rows = [
        (entry.name, entry.title, network.name, ", ".join(network.layers), _state(entry, network.name))
        for entry in opened.values()
        for network in entry.networks
    ]
    print_table(("name", "title", "network", "layers", "features"), rows)


def _state(entry: "CatalogEntry", network: str) -> str:
    return "built" if entry.is_built(network) else "not built"


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="The entry.")],
    catalog: Folder = None,
) -> None:
    """Show all that an entry says."""
    entry = _open(name, catalog)
    print(f"{entry.title} ({entry.name}, {entry.file})")
    for field in ("description", "licence", "attribution", "citation"):
        if getattr(entry, field):
            print(f"{field}: {getattr(entry, field)}")
    where = ", ".join(f"{key} {value}" for key, value in entry.pictures if value is not None)
    print(f"pictures: {where}")
    for network in entry.networks:
        path = f" in {entry.store_path(network.name)}" if entry.is_built(network.name) else ""
        layers = ", ".join(network.layers)
        print(f"network: {network.name}, layers {layers}, {network.dtype}, {_state(entry, network.name)}{path}")
    for query in entry.queries:
        print(f"query: {query.title}, on {query.image}{f'. {query.note}' if query.note else ''}")


@app.command()
def validate(
    path: Annotated[
        Path | None, typer.Argument(help="Folder of entries, or one entry's file; by default all known ones.")
    ] = None,
) -> None:
    """Check every entry, and list all that is wrong with line numbers."""
    from vfs_panel.catalog import Catalog, bundled_folder, user_folder

    own = [user_folder()] if user_folder().is_dir() else []
    opened = Catalog.open(path) if path else Catalog.open(bundled_folder(), *own)
    for entry in [*opened.values(), *opened.templates.values()]:
        print(f"{entry.file}: sound")
    _report(opened)


def _report(opened: "Catalog") -> None:
    if not opened.problems:
        return
    *others, last = [str(problem) for problem in opened.problems]
    for line in others:
        note(line)
    raise CatalogError(last)


@app.command()
def build(
    name: Annotated[str, typer.Argument(help="The entry.")],
    network: Annotated[str | None, typer.Option(help="Only this network; by default all of the entry's.")] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Throw away what is built and start anew, as after adding pictures.")
    ] = False,
    catalog: Folder = None,
) -> None:
    """Extract the features of an entry into the cache folder; what is there is kept."""
    entry = _open(name, catalog)
    prepare(entry, network, again=again)
    for chosen in [network] if network else [n.name for n in entry.networks]:
        print(entry.store_path(chosen))


@app.command()
def add(
    pictures: Annotated[Path, typer.Argument(help="Folder of pictures, or a finished entry's YAML file.")],
    model: Annotated[str, typer.Option(help="Network that sees the pictures.")] = "vfs-demo",
    layer: Annotated[
        list[str] | None, typer.Option(help="Layer to search; repeat it for several. By default stage3.")
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(help="State dict FILE, a published name, or `random`; else the best published.", metavar="FILE"),
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="CSV with a column path or image, and label, domain, split or others.")
    ] = None,
    domain: Annotated[
        str, typer.Option(help="`parent`: first folder level; or a column of the CSV.", metavar="parent|COLUMN")
    ] = "parent",
    name: Annotated[str | None, typer.Option(help="Name of the entry; by default the folder's.")] = None,
    title: Annotated[str | None, typer.Option(help="Title of the entry; by default its name.")] = None,
) -> None:
    """Add an entry to your own catalog (VFS_CATALOG) and print its file.

    The file is checked before it is kept, and never overwrites another.
    """
    from vfs_panel.catalog import add_entry, folder_entry

    if pictures.is_file():
        try:
            text = pictures.read_text("utf-8")
        except UnicodeDecodeError:
            raise CatalogError(f"{pictures} is no UTF-8 text; give a catalog entry's YAML file or a folder.") from None
    else:
        text = folder_entry(
            pictures,
            network=model,
            layers=layer or ["stage3"],
            weights=weights,
            labels=labels,
            domain=domain,
            title=title,
        )
    added = add_entry(text, name or (pictures.stem if pictures.is_file() else pictures.resolve().name), source=pictures)
    print(added.file)
    note(f"Next: vfs-panel catalog build {added.name}")


def _open(name: str, catalog: Path | None) -> "CatalogEntry":
    from vfs_panel.catalog import open_catalog

    return open_catalog(catalog)[name]
