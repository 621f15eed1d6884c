"""How often the demo networks name the right subject, by domain: `python -m vfs_panel.models.demo_accuracy`."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from vfs_panel.images.dataset import ImageDataset
from vfs_panel.images.demo import PLACED_NAMES, build_demo
from vfs_panel.models.zoo import Network, load_network

LABELS = Path(__file__).parent / "weights" / "vfs_demo_labels.json"


def demo_labels() -> list[str]:
    """Return the classes of the demo networks, in the order of their scores."""
    return [str(label) for label in json.loads(LABELS.read_text("utf-8"))]


@torch.inference_mode()
def accuracy(network: Network, images: ImageDataset, *, labels: Sequence[str], batch_size: int = 32) -> pd.DataFrame:
    """Return the share of pictures whose subject is named right.

    Parameters
    ----------
    network : one of the demo networks.
    images : pictures with label, domain and split; those whose label is no class are left out.
    labels : the network's classes.
    batch_size : pictures per forward pass.

    Returns
    -------
    DataFrame with one row per split and domain: pictures, accuracy.
    """
    known = images.table[images.table["label"].isin(list(labels))]
    guesses: list[str] = []
    for start in range(0, len(known), batch_size):
        ids = [str(image_id) for image_id in known.index[start : start + batch_size]]
        batch = torch.from_numpy(np.stack([network.preprocessing.array(images.rgb(i)) for i in ids]))
        guesses += [labels[i] for i in network.module(batch).argmax(1).tolist()]
    judged = known.assign(right=np.array(guesses) == known["label"].to_numpy(str))
    groups = judged.groupby(["split", "domain"], sort=False)["right"]
    return groups.agg(pictures="size", accuracy="mean").reset_index()


def main() -> None:
    """Command line: print a table for both networks on both sets."""
    for name in ("vfs-demo", "vfs-demo-class"):
        for dataset in PLACED_NAMES:
            rows = accuracy(load_network(name), build_demo(dataset), labels=demo_labels())
            print(f"{name}, {dataset}\n{rows.to_string(index=False, float_format='%.3f')}\n", flush=True)


if __name__ == "__main__":
    main()
