"""Make data/original_cache.zip and data/original_scores.npz with visualfeaturesearch's own code, for test_foreign.py.

Its caching.py writes Zarr v2 through zarr 2, which does not live beside the zarr 3 of this project. So it is run in
an environment of its own, once, and what it wrote is kept:

    python -m venv original
    original/bin/pip install torch "zarr<3" "numcodecs<0.16"
    original/bin/pip install --no-deps visualfeaturesearch==1.0.0
    original/bin/python tests/features/make_original_cache.py

Pictures are seeded noise, the network is seeded: nothing here comes from a data set or from trained weights. The zip
holds two caches: `whole`, and `stopped`, whose writing broke off as a killed run's does.
"""

import tempfile
import zipfile
from pathlib import Path

import numpy as np
import torch
import zarr
from torch import nn
from torch.utils.data import DataLoader, Dataset
from visualfeaturesearch.caching import precompute
from visualfeaturesearch.searchtool import CachedSearchTool

N, STOPPED_AT, BATCH = 503, 200, 64  # the cache has chunks of 500 pictures: the second is a short one
DTYPES = {"early": np.float16, "late": np.float32}
DATA = Path(__file__).parent / "data"


class Noise(Dataset):
    """Pictures of coarse noise, each of its own brightness; breaks off at a picture if it is told to."""

    def __init__(self, stop_at: int = N) -> None:
        generator = torch.Generator().manual_seed(11)
        coarse = torch.rand(N, 3, 5, 6, generator=generator) * torch.rand(N, 1, 1, 1, generator=generator)
        self.pictures = torch.nn.functional.interpolate(coarse, scale_factor=8, mode="bilinear")
        self.stop_at = stop_at

    def __len__(self) -> int:
        return N

    def __getitem__(self, row: int) -> tuple[torch.Tensor, int]:
        if row >= self.stop_at:
            raise KeyboardInterrupt
        return self.pictures[row], 0


def network() -> dict[str, nn.Sequential]:
    """Return the network up to each of two layers."""
    torch.manual_seed(12)
    early = nn.Sequential(nn.Conv2d(3, 3, 5, stride=8, padding=2), nn.ReLU())
    late = nn.Sequential(*early, nn.Conv2d(3, 6, 3, stride=2, padding=1), nn.ReLU())
    return {"early": early.eval(), "late": late.eval()}


def masks(size: tuple[int, int], rng: np.random.Generator) -> list[np.ndarray]:
    """Return soft masks on a grid: a box, one cell, all cells, and two strokes apart."""
    height, width = size
    found = [np.zeros(size, np.float32) for _ in range(4)]
    found[0][1:3, 0:2] = rng.uniform(0.2, 1, (2, 2))
    found[1][height // 2, width // 2] = 1
    found[2][:] = rng.uniform(0, 1, size)
    found[3][0, 0] = found[3][1, 2] = 0.5
    return found


def main() -> None:
    """Write both files."""
    rng = np.random.default_rng(13)
    data, scores = Noise(), {}
    with tempfile.TemporaryDirectory() as folder:
        whole, stopped = Path(folder, "whole"), Path(folder, "stopped")
        for name, model in network().items():
            precompute(DataLoader(data, BATCH), model, str(whole), name, "cpu", dtype=DTYPES[name])
        try:
            precompute(DataLoader(Noise(STOPPED_AT), BATCH), network()["late"], str(stopped), "late", "cpu")
        except KeyboardInterrupt:
            print("stopped, as it should be")
        cache = zarr.open(str(whole), mode="r")
        for name, model in network().items():
            tool = CachedSearchTool(model, cache[name], "cpu")
            for number, mask in enumerate(masks(cache[name].shape[2:], rng)):
                with torch.no_grad():
                    tool.set_input_image(data.pictures[101 * number + 7])
                score, x, y = tool.compute(mask)
                found = {"mask": mask, "query": tool._query_features[0].numpy(), "score": score, "x": x, "y": y}
                scores |= {f"{name}/{number}/{key}": np.asarray(value) for key, value in found.items()}
        scores |= {f"{name}/features": cache[name][::50] for name in cache}
        DATA.mkdir(exist_ok=True)
        with zipfile.ZipFile(DATA / "original_cache.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(f for f in Path(folder).rglob("*") if f.is_file()):
                name = zipfile.ZipInfo(file.relative_to(folder).as_posix())  # of a fixed date: the same zip each time
                archive.writestr(name, file.read_bytes(), zipfile.ZIP_DEFLATED)
    np.savez_compressed(DATA / "original_scores.npz", **scores)


if __name__ == "__main__":
    main()
