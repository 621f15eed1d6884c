"""`vfs-panel demo` and `vfs-panel serve`: prepare what is searched, then serve the explorer until Ctrl-C."""

import errno
import os
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from vfs_panel.cli.output import note, progress
from vfs_panel.errors import CatalogError, ServeError

if TYPE_CHECKING:
    from vfs_panel.catalog import Catalog, CatalogEntry

Port = Annotated[int, typer.Option(min=0, max=65535, help="Port to serve on; 0 takes any free one.")]
Address = Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 lets other machines in, without a password.")]
_LOCAL = ("localhost", "127.0.0.1", "::1")


def demo(
    port: Port = 5006,
    address: Address = "localhost",
    show: Annotated[bool, typer.Option("--show/--no-show", help="Open a browser.")] = True,
    prepare_only: Annotated[bool, typer.Option("--prepare-only", help="Stop before serving.")] = False,
    at_once: Annotated[
        bool, typer.Option("--at-once", help="Prepare nothing: the page offers to build what is missing.")
    ] = False,
) -> None:
    """Render the demo pictures, extract their features, and serve the explorer.

    What is there from an earlier run is kept, so a second start takes seconds. Other bundled sets are offered on the
    page, to be built from there.
    """
    from vfs_panel.catalog import Catalog, bundled_folder

    if not prepare_only:
        port = free_port(port, address)  # before minutes of work, not after
    catalog = Catalog.open(bundled_folder())
    demos = [entry for entry in catalog.values() if entry.pictures.source == "demo"]
    for entry in demos if prepare_only or not at_once else []:
        prepare(entry)
    if prepare_only:
        note(f"Ready: {', '.join(entry.title for entry in demos)}. Start with: vfs-panel demo")
        return
    run_server(lambda: Catalog.open(bundled_folder()), port=port, address=address, show=show)


def serve(
    catalog: Annotated[
        str | None,
        typer.Argument(
            help="Catalog: a folder, an entry's file, or a web address; by default the bundled one and your own.",
            metavar="[PLACE]",
        ),
    ] = None,
    port: Port = 5006,
    address: Address = "localhost",
    show: Annotated[bool, typer.Option("--show/--no-show", help="Open a browser.")] = False,
    scheduler: Annotated[
        str | None, typer.Option(help="Dask scheduler whose workers search, such as tcp://host:8786.")
    ] = None,
) -> None:
    """Serve the explorer for a catalog; what is not built yet can be built from its pages.

    Entries that are added or changed meanwhile are there when a page is reloaded.
    """
    from vfs_panel.catalog import open_catalog

    if scheduler is not None:
        from vfs_panel.settings import settings

        os.environ["VFS_SCHEDULER"] = scheduler
        settings.cache_clear()
    port = free_port(port, address)
    opened = open_catalog(catalog)  # here, so that a folder that does not exist is said at once
    if not any(entry.is_built(network.name) for entry in opened.values() for network in entry.networks):
        names = ", ".join(opened) or "no entry that can be read"
        note(f"Nothing of the catalog is built yet; it has {names}. Its pages say what to do.")
    run_server(lambda: open_catalog(catalog), port=port, address=address, show=show)


def prepare(entry: "CatalogEntry", network: str | None = None, *, again: bool = False) -> list[str]:
    """Build what an entry needs, with progress, and return the networks whose features are there then.

    Without `network`, those whose weights must be fetched or got by hand first are left out, and named.

    Raises
    ------
    CatalogError
        If nothing can be built before something is fetched; the message says the command.
    """
    names = [n.name for n in entry.networks] if network is None else [entry.network(network).name]
    if not again and all(entry.is_built(name) for name in names):
        return names
    missing = {name: needs for name in names if (needs := entry.needs(name)).step in ("fetch", "by hand")}
    said = [f"{entry.title} cannot be built with {name} yet. {needs.full_text}" for name, needs in missing.items()]
    if len(missing) == len(names):
        raise CatalogError(said[0])
    for line in said:
        note(line)
    names = [name for name in names if name not in missing]
    with progress(f"Preparing the pictures of {entry.title}") as report:
        entry.images(report)
    for name in names:
        with progress(f"Extracting {entry.title} with {name}") as report:
            entry.build(name, progress=report, again=again)
    return names


def free_port(port: int, address: str) -> int:
    """Return the port if it can be had on the address, or any free one for 0.

    Raises
    ------
    ServeError
        If it is taken, or the address is none of this machine.
    """
    try:
        places = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror:
        places = []
    found = port
    no_address = f"Address {address!r} is none of this machine. Use localhost, or 0.0.0.0 to let others in."
    if not places:
        raise ServeError(no_address)
    for family, kind, _, _, place in places:
        try:
            with socket.socket(family, kind) as probe:
                if os.name != "nt":  # there the option would let two programs share a port
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.bind((place[0], found, *place[2:]))
                found = probe.getsockname()[1]
        except OSError as error:
            if error.errno != errno.EADDRINUSE and family == socket.AF_INET6 and len(places) > 1:
                continue  # a machine without IPv6 still has a localhost
            if error.errno == errno.EADDRNOTAVAIL:
                raise ServeError(no_address) from None
            taken = "is taken by another program" if error.errno == errno.EADDRINUSE else f"fails: {error.strerror}"
            raise ServeError(
                f"Port {port} on {address} {taken}. Choose another with --port, or 0 for any free one."
            ) from None
    return int(found)


def origins(port: int, address: str) -> list[str]:
    """Return the hosts whose pages may talk to the server: this machine by its names, never just anyone."""
    hosts = ["localhost", "127.0.0.1"]
    if address not in _LOCAL:
        name = socket.gethostname()
        hosts += [name, socket.getfqdn()]
        if address != "0.0.0.0" and ":" not in address:  # Bokeh takes no IPv6 numbers here
            hosts.append(address)
        with suppress(OSError):  # a machine that does not know its own name is still reached by the address given
            hosts += [str(found[4][0]) for found in socket.getaddrinfo(name, None, socket.AF_INET)]
    return [f"{host}:{port}" for host in dict.fromkeys(hosts)]


def _has_screen() -> bool:
    """Whether a browser can open a window; without one, Python would start a text browser in the terminal."""
    return sys.platform in ("win32", "darwin") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def run_server(find: "Callable[[], Catalog]", *, port: int, address: str, show: bool) -> None:
    """Serve the explorer until Ctrl-C, on the catalog that `find` opens for each page.

    Raises
    ------
    ServeError
        If the port was taken meanwhile.
    KeyboardInterrupt
        When Ctrl-C stopped it.
    """
    import panel as pn

    from vfs_panel.app import builds, shared
    from vfs_panel.app.page import page
    from vfs_panel.app.settling import settle

    settle()
    builds.listen_outside(address not in _LOCAL)
    try:
        server = pn.serve(
            {"/": lambda: page(find)},
            port=port,
            address=address,
            websocket_origin=origins(port, address),
            title="vfs_panel",
            show=False,
            start=False,
            verbose=False,
        )
    except OSError as error:
        raise ServeError(f"Port {port} on {address} cannot be had: {error.strerror}. Choose another.") from None
    server.start()
    host = "localhost" if address in (*_LOCAL, "0.0.0.0", "::") else address
    # The line that scripts wait for, on stdout; everything else goes to stderr.
    print(f"The explorer is at http://{host}:{port}/ (Ctrl-C stops it).", flush=True)
    if show and _has_screen():
        server.show("/")
    server.io_loop.start()
    builds.BUILDS.close()
    # Panel's own handler has ended the loop. A search that still runs ends while Python can still start threads.
    for pool in (shared.SEARCHES, shared.ASIDE):
        pool.shutdown(cancel_futures=True)
    raise KeyboardInterrupt
