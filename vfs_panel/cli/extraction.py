"""`vfs-panel extract` and `vfs-panel verify`: pictures -> feature store, and whether a store is sound."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from vfs_panel.cli.output import note, progress
from vfs_panel.errors import StoreError

if TYPE_CHECKING:
    from vfs_panel.features import FeatureStore

_NAMED = 3  # how many files or blocks are named before the rest is counted


def extract(
    images: Annotated[
        Path,
        typer.Argument(help="Folder of pictures, list (.csv, .parquet), or array (.npy, Zarr).", metavar="IMAGES"),
    ],
    model: Annotated[str, typer.Option(help="Network, as `vfs-panel models` lists them, or a file of one.")],
    out: Annotated[str, typer.Option(help="The store to write, such as features.zarr.")],
    layer: Annotated[
        list[str] | None,
        typer.Option(help="Layer to store, or a pattern such as 'layer4.*.conv2'; repeat it for several."),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(help="State dict FILE, a published name, or `random`; else the best published.", metavar="FILE"),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict/--no-strict", help="Whether the weights must fit the network exactly.")
    ] = True,
    trust_code: Annotated[
        bool, typer.Option("--trust-code", help="Run code that a network comes with, as those of torch.hub do.")
    ] = False,
    dtype: Annotated[
        Literal["float16", "float32", "int8"],
        typer.Option(help="Number type of the stored features; int8 takes half of float16, and says what it loses."),
    ] = "float16",
    compress: Annotated[
        bool, typer.Option("--compress", help="Smaller files where many features are 0; slower to search from disk.")
    ] = False,
    autocast: Annotated[
        Literal["bfloat16", "float16"] | None,
        typer.Option(help="Run the network in half precision where PyTorch holds that to be safe."),
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="CSV with a column path or image, and label, domain, split or others.")
    ] = None,
    domain: Annotated[
        str, typer.Option(help="`parent`: first folder level; or a column of the list.", metavar="parent|COLUMN")
    ] = "parent",
    findings: Annotated[
        str | None,
        typer.Option(help="Column with several findings per picture, as in Mass|Nodule.", metavar="COLUMN"),
    ] = None,
    append: Annotated[
        bool, typer.Option("--append", help="Add the pictures that the store does not have yet.")
    ] = False,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Pictures per forward pass; by default VFS_BATCH_SIZE.")
    ] = None,
    on_error: Annotated[
        Literal["skip", "stop"], typer.Option(help="What to do with a picture that cannot be read.")
    ] = "skip",
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:N; by default VFS_DEVICE.")] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(help="Dask scheduler whose workers share the work; folders must be the same for all of them."),
    ] = None,
) -> None:
    """Store the features of a set of pictures.

    With two folder levels (photo/cat/1.jpg) the first is the domain and the second the label. A run that was
    stopped goes on where it was when the same command is given again; given at once in several places, they share
    the work.
    """
    from vfs_panel.features import extract as extract_features
    from vfs_panel.images.opening import open_images
    from vfs_panel.settings import settings

    if not layer and not append:
        raise StoreError(f"No layer was named. Give --layer; `vfs-panel models {model}` lists them.")
    pictures = open_images(images, domain=domain, labels=labels, findings=findings)
    if pictures.skipped:
        named = _some([f"{path} ({why})" for path, why in pictures.skipped])
        count = "1 file" if len(pictures.skipped) == 1 else f"{len(pictures.skipped)} files"
        note(f"Left out {count} that cannot be read as a picture: {named}.")
    with progress(f"Extracting {pictures.name}") as report:
        store = extract_features(
            model,
            pictures,
            layers=layer or [],
            out=out,
            weights=weights,
            strict=strict,
            trust_code=trust_code,
            dtype=dtype,
            compression="zstd" if compress else "none",
            autocast=autocast or "",
            batch_size=batch_size,
            on_error=on_error,
            append=append,
            scheduler=scheduler,
            progress=report,
            device=device or settings().device,
        )
    broken = int(store.index["broken"].sum())  # each was named by a warning as it was met
    left_out = f", {broken} more could not be read" if broken else ""
    note(f"{out} holds {store.n_images - broken} pictures{left_out}; {sizes(store)}.")


def sizes(store: "FeatureStore") -> str:
    """Return how large the layers of a store are."""
    from vfs_panel.words import size_words

    return ", ".join(f"{name} {size_words(store.nbytes(name))}" for name in store.layers)


def _some(items: Sequence[str]) -> str:
    """Return the first few items, and how many there are besides."""
    more = [f"and {len(items) - _NAMED} more"] if len(items) > _NAMED else []
    return ", ".join([*items[:_NAMED], *more])


def verify(
    store: Annotated[
        str, typer.Argument(help="The store: a folder such as features.zarr, a zip, or a URL.", metavar="STORE")
    ],
    repair: Annotated[
        bool, typer.Option("--repair", help="Compute what is damaged or missing again; the rest stays as it is.")
    ] = False,
    images: Annotated[
        Path | None, typer.Option(help="For a repair: the pictures, where they have moved.", metavar="IMAGES")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="For a repair: the network, where the store's own name is not enough.")
    ] = None,
    weights: Annotated[
        str | None, typer.Option(help="For a repair: the network's state dict, if it came from a file.", metavar="FILE")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict/--no-strict", help="Whether those weights must fit the network exactly.")
    ] = True,
    trust_code: Annotated[bool, typer.Option("--trust-code", help="Run code that the network comes with.")] = False,
) -> None:
    """Check every byte of a store against its checksums, and mend what is wrong."""
    from vfs_panel.features import repair as repair_store
    from vfs_panel.features import verify as verify_store
    from vfs_panel.features.files import url_of
    from vfs_panel.words import shown

    url = url_of(store)
    name = store if url is None else shown(url)  # no password or token
    if repair:
        with progress(f"Mending {name}") as report:
            found = repair_store(
                store, images=images, model=model, weights=weights, strict=strict, trust_code=trust_code,
                progress=report,
            )  # fmt: skip
    else:
        with progress(f"Checking {name}") as report:
            found = verify_store(store, progress=report)
    if found.bad:
        count = "1 problem" if len(found.bad) == 1 else f"{len(found.bad)} problems"
        more = f" And {len(found.bad) - _NAMED} more." if len(found.bad) > _NAMED else ""
        raise StoreError(
            f"{name}: {count} found. {' '.join(found.bad[:_NAMED]).rstrip('.')}.{more} "
            + ("That could not be mended." if repair else f"To mend it: vfs-panel verify {name} --repair")
        )
    broken = f", {len(found.broken)} of them could not be read and are left out" if found.broken else ""
    blocks = "1 block, sound" if found.n_blocks == 1 else f"{found.n_blocks} blocks, all sound"
    print(f"{name}: {blocks}; {found.n_images} pictures{broken}.")
