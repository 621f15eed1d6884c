"""`vfs-panel catalog`: list, show, check, add, fetch and build data sets."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vfs_panel.cli.output import note, print_table, progress
from vfs_panel.cli.serving import prepare
from vfs_panel.errors import CatalogError

if TYPE_CHECKING:
    from vfs_panel.catalog import Catalog, CatalogEntry

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="List, show, check, add, fetch and build data sets."
)
Place = Annotated[
    str | None,
    typer.Option(
        "--catalog",
        help="Folder of entries, an entry's file, or a web address; by default the bundled ones and your own.",
        metavar="PLACE",
    ),
]


@app.command("list")
def list_(catalog: Place = None) -> None:
    """List the entries, and what each needs before it can be searched."""
    from vfs_panel.catalog import open_catalog

    opened = open_catalog(catalog)
    rows = [
        (entry.name, entry.title, network.name, ", ".join(network.layers), _state(entry, network.name))
        for entry in opened.values()
        for network in entry.networks
    ]
    print_table(("name", "title", "network", "layers", "needs"), rows)


def _state(entry: "CatalogEntry", network: str) -> str:
    """Return what is to be done next, in a word or two."""
    from vfs_panel.words import size_words

    needs = entry.needs(network)
    if needs.step == "nothing":
        return "nothing"
    amount = f" {size_words(needs.download_bytes)}" if needs.step == "fetch" and needs.download_bytes else ""
    return f"{needs.step}{amount}"


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="The entry.")],
    catalog: Place = None,
) -> None:
    """Show all that an entry says, and what it needs."""
    entry = _open(name, catalog)
    print(f"{entry.title} ({entry.name}, {entry.file})")
    for field in ("description", "licence", "attribution", "citation", "homepage", "access"):
        if getattr(entry, field):
            print(f"{field}: {getattr(entry, field).strip()}")
    _show_pictures(entry)
    for network in entry.networks:
        needs = entry.needs(network.name)
        state = f"built in {entry.store_path(network.name)}" if needs.step == "nothing" else needs.text
        if network.features is not None and network.features.source == "remote":
            state = f"read from {network.features.url}. {needs.text}"
        print(f"network: {network.name}, layers {', '.join(network.layers)}, {network.dtype}. {state}")
        if needs.command and needs.command not in state:
            print(f"  next: {needs.command}")
    for query in entry.queries:
        print(f"query: {query.title}, on {query.image}{f'. {query.note}' if query.note else ''}")


def _show_pictures(entry: "CatalogEntry") -> None:
    from vfs_panel.catalog.places import set_folder
    from vfs_panel.catalog.schema import DemoPictures, FetchedPictures
    from vfs_panel.words import size_words

    pictures = entry.pictures
    if isinstance(pictures, DemoPictures):
        print(f"pictures: rendered, {pictures.name}")
    elif isinstance(pictures, FetchedPictures):
        own = set_folder(entry)
        print(f"pictures: fetched into {own}")
        for file in pictures.files:
            size = f", {size_words(file.size)}" if file.size else ""
            checked = (
                f"checked by {file.checked_by}" if file.checked_by else "not checked: no size or hash is published"
            )
            there = "there" if (own / file.place).exists() else "not there"
            print(f"  {file.file_name}: {file.url or 'put into place by hand'}{size}, {checked}; {there}")
    else:
        print(f"pictures: folder {pictures.path}")


@app.command()
def validate(
    path: Annotated[
        str | None,
        typer.Argument(help="Folder of entries, an entry's file, or a web address; by default all known ones."),
    ] = None,
    catalog: Place = None,
) -> None:
    """Check every entry, and list all that is wrong with line numbers."""
    from vfs_panel.catalog import Catalog, default_places

    place = path or catalog
    opened = Catalog.open(*([place] if place else default_places()))
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
def fetch(
    name: Annotated[str, typer.Argument(help="The entry.")],
    network: Annotated[
        str | None, typer.Option(help="Weights and features of this network only; by default of all.")
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option("--from", help="Folder with files that you have already, such as those got by hand."),
    ] = None,
    catalog: Place = None,
) -> None:
    """Download, check and unpack what an entry needs; what is there is kept, and a cut download goes on."""
    from vfs_panel.catalog import fetching

    entry = _open(name, catalog)
    networks = entry.networks if network is None else [entry.network(network)]
    for step in fetching.steps(entry, networks, source):
        with progress(step.title, of_bytes=True) as report:
            step.run(report)
        note(f"{step.title}: done.")
    for missing in fetching.finish(entry, networks, named=network is not None):
        note(missing)
    needs = entry.needs(networks[0].name)
    note(f"Next: {needs.command}" if needs.command else needs.text)


@app.command()
def build(
    name: Annotated[str, typer.Argument(help="The entry.")],
    network: Annotated[str | None, typer.Option(help="Only this network; by default all of the entry's.")] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Throw away what is built and start anew, as after adding pictures.")
    ] = False,
    catalog: Place = None,
) -> None:
    """Extract the features of an entry into the cache folder; what is there is kept, and nothing is downloaded."""
    from vfs_panel.catalog import stores

    entry = _open(name, catalog)
    for chosen in prepare(entry, network, again=again):
        print(stores.address(entry, entry.network(chosen)))


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
    catalog: Annotated[
        str | None,
        typer.Option("--catalog", help="Folder to add it to; by default your own catalog.", metavar="FOLDER"),
    ] = None,
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
    called = name or (pictures.stem if pictures.is_file() else pictures.resolve().name)
    added = add_entry(text, called, source=pictures, catalog=catalog)
    print(added.file)
    note(f"Next: {added.needs().command or 'vfs-panel serve'}")


def _open(name: str, catalog: str | None) -> "CatalogEntry":
    from vfs_panel.catalog import open_catalog

    return open_catalog(catalog)[name]
