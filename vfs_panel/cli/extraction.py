"""`vfs-panel extract` and `vfs-panel verify`: pictures -> feature store, and whether a store is sound."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from vfs_panel.cli.output import note, progress
from vfs_panel.errors import StoreError

_NAMED = 3  # how many files or blocks are named before the rest is counted


def extract(
    images: Annotated[Path, typer.Argument(help="Folder of pictures.", metavar="IMAGES")],
    model: Annotated[str, typer.Option(help="Network, as `vfs-panel models` lists them.")],
    layer: Annotated[list[str], typer.Option(help="Layer to store; repeat it for several.")],
    out: Annotated[str, typer.Option(help="The store to write, such as features.zarr.")],
    weights: Annotated[
        str | None,
        typer.Option(help="State dict FILE, a published name, or `random`; else the best published.", metavar="FILE"),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict/--no-strict", help="Whether the weights must fit the network exactly.")
    ] = True,
    dtype: Annotated[
        Literal["float16", "float32"], typer.Option(help="Number type of the stored features.")
    ] = "float16",
    labels: Annotated[
        Path | None, typer.Option(help="CSV with a column path or image, and label, domain, split or others.")
    ] = None,
    domain: Annotated[
        str, typer.Option(help="`parent`: first folder level; or a column of the CSV.", metavar="parent|COLUMN")
    ] = "parent",
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Pictures per forward pass; by default VFS_BATCH_SIZE.")
    ] = None,
    on_error: Annotated[
        Literal["skip", "stop"], typer.Option(help="What to do with a picture that cannot be read.")
    ] = "skip",
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:N; by default VFS_DEVICE.")] = None,
) -> None:
    """Store the features of a folder of pictures.

    With two folder levels (photo/cat/1.jpg) the first is the domain and the second the label. A run that was
    stopped goes on where it was when the same command is given again.
    """
    from vfs_panel.features import extract as extract_features
    from vfs_panel.images.dataset import ImageDataset
    from vfs_panel.settings import settings

    pictures = ImageDataset.from_folder(images, domain=domain, labels=labels)
    if pictures.skipped:
        named = _some([f"{path} ({why})" for path, why in pictures.skipped], ", ")
        note(f"Left out {len(pictures.skipped)} files that are no pictures: {named}.")
    with progress(f"Extracting {pictures.name}") as report:
        store = extract_features(
            model,
            pictures,
            layers=layer,
            out=out,
            weights=weights,
            strict=strict,
            dtype=dtype,
            batch_size=batch_size,
            on_error=on_error,
            progress=report,
            device=device or settings().device,
        )
    broken = int(store.index["broken"].sum())  # each was named by a warning as it was met
    sizes = ", ".join(f"{name} {store.nbytes(name) / 1e6:.0f} MB" for name in store.layers)
    left_out = f", {broken} more could not be read" if broken else ""
    note(f"{out} holds {store.n_images - broken} pictures{left_out}; {sizes}.")


def _some(items: Sequence[str], between: str) -> str:
    """Return the first few items, and how many there are besides."""
    more = [f"and {len(items) - _NAMED} more"] if len(items) > _NAMED else []
    return between.join([*items[:_NAMED], *more])


def verify(
    store: Annotated[str, typer.Argument(help="The store: a folder such as features.zarr, or a URL.", metavar="STORE")],
) -> None:
    """Check every block of a store against its checksum."""
    from vfs_panel.features import verify as verify_store
    from vfs_panel.features.files import shown, url_of

    url = url_of(store)
    name = store if url is None else shown(url)  # no password or token
    with progress(f"Checking {name}") as report:
        found = verify_store(store, progress=report)
    if found.bad:
        raise StoreError(
            f"{name}: {len(found.bad)} of {found.n_blocks} blocks are bad. {_some(found.bad, ' ').rstrip('.')}. "
            "Where blocks are damaged, delete the store before you extract again."
        )
    broken = f", {len(found.broken)} of them could not be read and are left out" if found.broken else ""
    print(f"{name}: {found.n_blocks} blocks, all sound; {found.n_images} pictures{broken}.")
