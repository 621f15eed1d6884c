"""Extraction: pictures a second from files to a store, against the network's forward pass alone."""

import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from vfs_panel.bench import sets
from vfs_panel.bench.report import Part, Table, number
from vfs_panel.bench.timing import in_turns
from vfs_panel.features.allocation import memory_kept
from vfs_panel.features.extraction import extract
from vfs_panel.features.pipeline import batch_pictures
from vfs_panel.images.dataset import ImageDataset
from vfs_panel.models import load_network
from vfs_panel.search.devices import pick_device

Progress = Callable[[int, int], None]
PICTURE_PX = (320, 240)  # width, height of the JPEG files


@dataclass(frozen=True, slots=True)
class Job:
    """A network, one of its layers, and how many pictures it is given."""

    network: str
    layer: str
    pictures: int


@dataclass(frozen=True, slots=True)
class Speed:
    """Pictures a second of an extraction, and of the network alone, as medians of `runs` calls.

    `kept_per_s` is of the network alone, too, with memory kept between its passes as the extraction does.
    """

    network: str
    layer: str
    pictures: int
    extracted_per_s: float
    forward_per_s: float
    kept_per_s: float
    runs: int

    @property
    def share(self) -> float:
        """Rate of the extraction against that of the network alone."""
        return self.extracted_per_s / self.forward_per_s


def jobs(size: str) -> list[Job]:
    """Return what is measured for a size, "small" or "full"."""
    if size == "small":
        return [Job("vfs-demo", "stage3", 32)]
    return [
        Job("vfs-demo", "stage3", 512),
        Job("squeezenet1_1", "features", 384),
        Job("resnet50", "layer4.2.conv2", 128),
    ]


def make_pictures(folder: Path, number_of: int) -> Path:
    """Write JPEG files of smooth random colours, and return their folder."""
    random = np.random.default_rng(0)
    made = folder / f"pictures-{number_of}"
    made.mkdir()
    for i in range(number_of):
        coarse = Image.fromarray(random.integers(0, 256, (12, 16, 3), np.uint8))
        coarse.resize(PICTURE_PX, Image.Resampling.BICUBIC).save(made / f"{i:05d}.jpg", quality=90)
    return made


def measure(chosen: list[Job], folder: Path, *, device: str = "cpu", progress: Progress | None = None) -> Part:
    """Measure extraction for each network. Weights are random: they take as long as any.

    Raises
    ------
    QueryError, StoreError
        If there is no such device, or too little space on the disk.
    """
    pick_device(device)
    found = []
    for number_done, job in enumerate(chosen):
        if progress is not None:
            progress(number_done, len(chosen))
        with sets.temporary_folder(folder) as own:
            found.append(_measure(job, own, device))
    if progress is not None:
        progress(len(chosen), len(chosen))
    rows = tuple(
        (
            s.network,
            s.layer,
            str(s.pictures),
            number(s.extracted_per_s),
            number(s.forward_per_s),
            f"{s.share:.0%}",
            number(s.kept_per_s),
            f"{s.extracted_per_s / s.kept_per_s:.0%}",
        )
        for s in found
    )
    columns = (
        "network", "layer", "pictures", "extraction, pictures/s", "network alone", "share", "its memory kept", "share",
    )  # fmt: skip
    notes = (
        f"Extraction: {PICTURE_PX[0]}×{PICTURE_PX[1]} JPEG files to a finished store. Network alone: the forward pass "
        "over the same pictures, decoded beforehand, in batches of the same size, as any program calls it; then with "
        "freed memory kept in the process, as the extraction does.",
    )
    return Part(
        figures={
            "batch_size": batch_pictures(pick_device(device)),
            "speeds": [asdict(s) | {"share": s.share} for s in found],
        },
        tables=(Table("Extraction", columns, rows, notes),),
    )


def _measure(job: Job, folder: Path, device: str) -> Speed:
    pictures = make_pictures(folder, job.pictures)
    network = load_network(job.network, weights="random")
    images = ImageDataset.from_folder(pictures)
    arrays = np.stack([network.preprocessing.array(images.rgb(str(i))) for i in images.ids])
    chosen = pick_device(device)
    module = network.module.eval().to(chosen).to(memory_format=torch.channels_last)
    size = batch_pictures(chosen)
    batches = [torch.from_numpy(arrays[start : start + size]) for start in range(0, len(arrays), size)]

    @torch.inference_mode()
    def forward() -> None:
        for batch in batches:
            output = module(batch.to(chosen, memory_format=torch.channels_last))
        output.cpu()  # on a GPU, wait for the last one

    turn = count()

    def whole() -> None:
        out = folder / f"{next(turn)}.zarr"
        extract(network, images, layers=[job.layer], out=out, device=str(chosen))
        shutil.rmtree(out)

    def kept() -> None:
        with memory_kept():
            forward()

    times = in_turns({"extraction": whole, "forward": forward, "kept": kept})
    return Speed(
        network=job.network,
        layer=job.layer,
        pictures=job.pictures,
        extracted_per_s=job.pictures / times["extraction"].median_ms * 1e3,
        forward_per_s=job.pictures / times["forward"].median_ms * 1e3,
        kept_per_s=job.pictures / times["kept"].median_ms * 1e3,
        runs=len(times["extraction"].seconds),
    )
