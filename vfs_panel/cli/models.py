"""`vfs-panel models`: which networks there are, and which layers of one can be searched."""

from typing import Annotated

import typer

from vfs_panel.cli.output import note, print_table


def models(
    name: Annotated[str | None, typer.Argument(help="A network; without it, all are listed.")] = None,
    weights: Annotated[
        str, typer.Option(help="State dict FILE to try on the network; shapes do not depend on it.", metavar="FILE")
    ] = "random",
    strict: Annotated[
        bool, typer.Option("--strict/--no-strict", help="Whether the weights must fit the network exactly.")
    ] = True,
) -> None:
    """List the networks, or the layers of one with their output shapes.

    A layer whose output is a grid of cells, or tokens that form one, can be searched: its column `grid` shows
    channels×rows×columns.
    """
    from vfs_panel.models import list_layers, load_network, network_names

    if name is None:
        for known in network_names():
            print(known)
        return
    network = load_network(name, weights=weights, strict=strict)
    layers = list_layers(network)
    print_table(
        ("layer", "kind", "output", "grid"),
        [(layer.name, layer.kind, _shape(layer.output), _shape(layer.grid)) for layer in layers],
        right=("output", "grid"),
    )
    searchable = sum(layer.grid is not None for layer in layers)
    note(f"{searchable} of {len(layers)} layers of {network.name} can be searched.")


def _shape(sizes: tuple[int, ...] | None) -> str:
    return "×".join(map(str, sizes)) if sizes else "-"
