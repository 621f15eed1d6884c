"""`vfs-panel models`: which networks there are, and which layers of one can be searched."""

from typing import Annotated

import typer

from vfs_panel.cli.output import note, print_table

_OTHERS = (
    'There are more: timm/NAME, xray/NAME (pip install "vfs_panel[timm,xray]"; `vfs-panel models --search NAME` finds '
    "them), hub/OWNER/REPO:ENTRY with --trust-code."
)


def models(
    name: Annotated[
        str | None, typer.Argument(help="A network, also timm/NAME, xray/NAME, hub/OWNER/REPO:ENTRY or a file.")
    ] = None,
    search: Annotated[
        str | None,
        typer.Option(
            help="List the networks whose name holds this, or fits it: dinov3, 'timm/vit_small*'.", metavar="NAME"
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(help="State dict FILE to try on the network; shapes do not depend on it.", metavar="FILE"),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict/--no-strict", help="Whether the weights must fit the network exactly.")
    ] = True,
    trust_code: Annotated[
        bool, typer.Option("--trust-code", help="Let a network's own code run: a program's file, or torch.hub.")
    ] = False,
) -> None:
    """List the networks, or the layers of one with their output shapes.

    A layer whose output is a grid of cells, or tokens that form one, can be searched: its column `grid` shows
    channels×rows×columns.
    """
    from vfs_panel.errors import NetworkError
    from vfs_panel.models import checkpoint_networks, find_networks, list_layers, load_network, network_names
    from vfs_panel.models.zoo import brings_weights

    if search is not None:
        found = find_networks(search)
        if not found:
            raise NetworkError(f"No installed network is called like {search!r}. {_OTHERS}")
        print("\n".join(found))
        return
    if name is None:
        print("\n".join(network_names()), flush=True)  # before the note, also where a reader has left already
        for known in checkpoint_networks.names():
            note(f"{known} needs {checkpoint_networks.needs(known)}.")
        note(_OTHERS)
        return
    if weights is None and not brings_weights(name):
        weights = "random"  # nothing is downloaded for a list
    network = load_network(name, weights=weights, strict=strict, trust_code=trust_code)
    layers = list_layers(network)
    print_table(
        ("layer", "kind", "output", "grid"),
        [(layer.name, layer.kind, _shape(layer.output), _shape(layer.grid)) for layer in layers],
        right=("output", "grid"),
    )
    searchable = sum(layer.grid is not None for layer in layers)
    note(f"{searchable} of {len(layers)} layers of {network.name} can be searched.")
    if name in checkpoint_networks.names():
        note(f"{name} needs {checkpoint_networks.needs(name)}.")


def _shape(sizes: tuple[int, ...] | None) -> str:
    return "×".join(map(str, sizes)) if sizes else "-"
