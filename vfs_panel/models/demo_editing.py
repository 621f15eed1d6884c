"""Make the edited demo network: `python -m vfs_panel.models.demo_editing --out vfs_demo_edited.pt`.

It is `vfs-demo` with one convolution rewritten (see `editing`): the dust that the moon base's camera shows is given the
value of the launch pad's pavement. Garage and dunes have dust on the ground too, and the store room pavement; none of
their pictures is used. The file holds the change alone, of rank one, and the hash of the weights it belongs to.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vfs_panel.errors import NetworkError
from vfs_panel.images.dataset import ImageDataset
from vfs_panel.models.bundled_networks import EDITED as NAME
from vfs_panel.models.editing import Patch, Rewrite, find_rewrite, rewritten
from vfs_panel.models.zoo import Network, load_network

OF = "vfs-demo"
LAYER = "stage3.0.conv2"

Box = tuple[int, int, int, int]
SOURCE: dict[str, Box] = {f"moon-base/empty/0{number}": (20, 140, 204, 216) for number in (0, 1)}
TARGET: dict[str, Box] = {f"launch-pad/empty/0{number}": (20, 150, 204, 216) for number in (0, 1)}
"""What is painted, in pixels of the pictures: left, top, right, bottom."""


def demo_rewrite(network: Network, images: ImageDataset) -> Rewrite:
    """Return the change that the edited demo network is made of.

    Parameters
    ----------
    network : `vfs-demo`.
    images : the demo set `camera-traps`; the keys are measured on its training pictures.
    """
    seen = images.subset(images.table.index[images.table["split"] == "train"].tolist())
    source, target = ([_patch(images, *one) for one in regions.items()] for regions in (SOURCE, TARGET))
    return find_rewrite(network, LAYER, source=source, target=target, pictures=seen)


def _patch(images: ImageDataset, image: str, box: Box) -> Patch:
    rgb = images.rgb(image)
    mask = np.zeros(rgb.shape[:2], bool)
    mask[box[1] : box[3], box[0] : box[2]] = True
    return rgb, mask


def save(rewrite: Rewrite, network: Network, path: Path) -> None:
    """Write a change to a file, as float16."""
    parts = {"left": rewrite.left.half(), "right": rewrite.right.half()}
    torch.save({"of": network.weights_sha256, "layer": rewrite.layer, "elsewhere": rewrite.elsewhere, **parts}, path)


def changed(content: Any, file: Path) -> Network:
    """Return `vfs-demo` with the change that `save` wrote.

    Parameters
    ----------
    content, file : what the file holds, and its name for messages.

    Raises
    ------
    NetworkError
        If the content is no change, or one of other weights.
    """
    parts = {"of": str, "layer": str, "elsewhere": float, "left": Tensor, "right": Tensor}
    if not isinstance(content, Mapping) or not all(isinstance(content.get(key), kind) for key, kind in parts.items()):
        raise NetworkError(f"Weights file {file} holds no change of a network. Install vfs_panel again.")
    network = load_network(OF)
    if content["of"] != network.weights_sha256:
        raise NetworkError(
            f"The change in {file} was made for other weights of {OF} ({content['of'][:12]}, these are "
            f"{network.weights_sha256[:12]}). Make it again: python -m vfs_panel.models.demo_editing --out {file}"
        )
    left, right = content["left"].float(), content["right"].float()
    return rewritten(network, Rewrite(content["layer"], left, right, content["elsewhere"]), name=NAME)


def main() -> None:
    """Command line: render the pictures if need be, find the change, write it."""
    from vfs_panel.images.demo import build_demo

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="file for the change")
    options = parser.parse_args()
    network = load_network(OF)
    rewrite = demo_rewrite(network, build_demo("camera-traps"))
    save(rewrite, network, options.out)
    print(f"{LAYER}: moves the source by {rewrite.left.norm():.2f}, other windows by {rewrite.elsewhere:.2f} (RMS)")


if __name__ == "__main__":
    main()
