"""Rows of Compare: which dataset, network and layer a row has at first, and after a choice. Pure functions."""

from collections.abc import Mapping, Sequence

from vfs_panel.app.sources import Source
from vfs_panel.app.state import Row

Sources = Mapping[str, Source]


def default_row(sources: Sources, own: Row) -> Row | None:
    """Return what a layer is compared with at first: the layer before it, or another network, or another dataset.

    None where there is nothing else.
    """
    dataset, network, layer = own
    layers = sources[dataset].networks.get(network, [])
    at = layers.index(layer) if layer in layers else 0
    near = layers[at - 1 : at] or layers[at + 1 : at + 2]
    return (dataset, network, near[0]) if near else next(iter(_elsewhere(sources, own)), None)


def another_row(sources: Sources, own: Row, rows: Sequence[Row]) -> Row:
    """Return a row that is not shown yet: of this network, of another network, of another dataset; or the last."""
    dataset, network, _ = own
    here = [(dataset, network, each) for each in sources[dataset].networks.get(network, [])]
    free = (row for row in here + _elsewhere(sources, own) if row not in (own, *rows))
    return next(free, rows[-1] if rows else own)


def changed_row(sources: Sources, row: Row, what: str, value: str) -> Row | None:
    """Return a row with another "dataset", "network" or "layer"; None if there is none of that name."""
    dataset, network, layer = row
    if what == "dataset" and value in sources:
        network = network if network in sources[value].networks else next(iter(sources[value].networks))
        return value, network, _layer_of(sources[value], network, layer)
    if what == "network" and value in sources[dataset].networks:
        return dataset, value, _layer_of(sources[dataset], value, layer)
    if what == "layer" and value in sources[dataset].networks[network]:
        return dataset, network, value
    return None


def _elsewhere(sources: Sources, own: Row) -> list[Row]:
    """Return the layer of that name, or the first choice, of every other network, then of every other dataset."""
    dataset, network, layer = own
    others = [(dataset, name) for name in sources[dataset].networks if name != network]
    for name, source in sources.items():
        if name != dataset and source.ready:
            others += sorted(((name, each) for each in source.networks), key=lambda pair: pair[1] != network)
    return [(name, each, _layer_of(sources[name], each, layer)) for name, each in others]


def _layer_of(source: Source, network: str, layer: str) -> str:
    return layer if layer in source.networks[network] else source.first_layer(network)
