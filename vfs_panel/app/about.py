"""About a data set: what its pictures are and what made its features, as headings and words."""

from vfs_panel.app.sources import Source
from vfs_panel.features import FeatureStore
from vfs_panel.plots.text import count_text, plain
from vfs_panel.words import size_words

_MOST_NAMED = 12


def about(source: Source, store: FeatureStore | None, layer: str) -> list[tuple[str, str]]:
    """Return (heading, words) of a source, what is not known left out.

    Parameters
    ----------
    source : the data set.
    store : its features; None where they are not built.
    layer : the layer that is searched.
    """
    described = [
        ("Description", source.about.get("description", "")),
        ("Homepage", source.about.get("homepage", "")),
        ("Licence", source.about.get("licence", "")),
        ("Attribution", source.about.get("attribution", "")),
        ("Citation", source.about.get("citation", "")),
    ]
    if store is None:
        return _filled(described)
    index, spec = store.pictures_index, store.spec(layer)
    channels, rows, columns = spec.grid
    broken = int(index.broken.sum())
    pictures = count_text(store.n_images, "picture") + (f", {broken:,} of them unreadable" if broken else "")
    size = store.nbytes_on_disk(layer)
    made_with = ", ".join(f"{name} {version}" for name, version in sorted(store.versions(layer).items()))
    said = [
        ("Pictures", pictures),
        ("Domains", _named(store, "domain")),
        ("Labels", _named(store, "label")),
        *described,
        ("Network", f"{store.network}, weights sha256 {store.weights_sha256[:16]}…"),
        ("Layer", f"{layer}: {channels:,} channels on {columns} × {rows} cells, {spec.dtype}"),
        ("Preprocessing", spec.preprocessing.in_words()),
        ("Store", store.name + (f", this layer {size_words(size)}" if size else "")),
        ("Made with", made_with),
    ]
    return _filled(said)


def _filled(said: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(heading, " ".join(words.split())) for heading, words in said if words]


def _named(store: FeatureStore, column: str) -> str:
    _, meanings = store.pictures_index.codes(column)
    names = [plain(str(name)) for name in meanings if name]
    if len(names) < 2:
        return ""
    more = f" and {len(names) - _MOST_NAMED:,} more" if len(names) > _MOST_NAMED else ""
    return f"{len(names):,}: {', '.join(names[:_MOST_NAMED])}{more}"
