"""Train the demo networks: `python -m vfs_panel.models.demo_training --network place --out vfs_demo.pt`.

Two pictures that show the same place are a pair. Features of the same spot are pulled together and of other spots
pushed apart (InfoNCE on the cosine itself, at three depths), and the subject is classified. Only the training split is
used: the domains photo and night, and the seen locations. The network "class" lacks the same-place term.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from vfs_panel.images.demo.build import PLACED_NAMES, render_demo
from vfs_panel.images.demo.picture import SEED, Picture
from vfs_panel.models.demo_network import STRIDES_PX, DemoNet
from vfs_panel.models.demo_pairs import PHOTO, SCENE, Batch, Pairs

NETWORKS = {"place": 1.0, "class": 0.0}
"""Weight of the same-place term, by network."""

STEPS = 1500
CLASS_WEIGHT = 0.5
STAGE_WEIGHTS = {"stage2": 0.5, "stage3": 1.0, "stage4": 1.0}


def training_pictures() -> list[Picture]:
    """Return the training split of both sets of photographs, freshly rendered: 1,272 pictures of seen domains."""
    return [picture for name in PLACED_NAMES for picture in render_demo(name) if picture.split == "train"]


def cells_at(features: Tensor, row: Tensor, at: Tensor, stride_px: int) -> Tensor:
    """Return unit features (m, channel) under points of views, bilinear between the centres of cells.

    Parameters
    ----------
    features : Tensor, shape (n, channel, y, x)
    row : Tensor of int, shape (m,)
        The view of each point.
    at : Tensor, shape (m, 2)
        Its x, y in the view, in pixels.
    stride_px : int
        View pixels per cell.
    """
    height, width = features.shape[2:]
    x, y = (at / stride_px - 0.5).clamp(0, height - 1).unbind(1)
    x0, y0 = x.floor().long().clamp(max=width - 2), y.floor().long().clamp(max=height - 2)
    fx, fy = (x - x0)[:, None], (y - y0)[:, None]
    above = features[row, :, y0, x0] * (1 - fx) + features[row, :, y0, x0 + 1] * fx
    below = features[row, :, y0 + 1, x0] * (1 - fx) + features[row, :, y0 + 1, x0 + 1] * fx
    return F.normalize(above * (1 - fy) + below * fy, dim=1)


def place_loss(features: Tensor, batch: Batch, stride_px: int, *, temperature: float = 0.1) -> Tensor:
    """InfoNCE (van den Oord et al. 2018): each point must find its partner among all points, by cosine.

    Left out of the choice: spots of the same place that are too near to tell apart, and photographs against scenes,
    since scenes are made of parts of the same photographs.

    Parameters
    ----------
    features : Tensor, shape (2 · pairs, channel, y, x)
    batch : Batch
    stride_px : int
        View pixels per cell.
    temperature : float
    """
    a = cells_at(features, batch.row, batch.at_a, stride_px)
    b = cells_at(features, batch.row + 1, batch.at_b, stride_px)
    reach = 1.2 * stride_px * torch.minimum(batch.scale[:, None], batch.scale[None])
    near = torch.cdist(batch.where, batch.where) < reach
    mixed = (batch.kind == PHOTO)[:, None] & (batch.kind == SCENE)[None]
    ignore = ((batch.place[:, None] == batch.place[None]) & near) | mixed | mixed.T
    ignore.fill_diagonal_(False)
    logits = (a @ b.T / temperature).masked_fill(ignore, -1e4)
    target = torch.arange(len(a))
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


def train(
    pictures: Sequence[Picture],
    *,
    steps: int = STEPS,
    place_weight: float = 1.0,
    pairs: int = 32,
    side_px: int = 160,
    points: int = 12,
    seed: int = SEED,
    learning_rate: float = 3e-3,
    log: Callable[[str], None] = print,
) -> tuple[DemoNet, list[str]]:
    """Train a network from scratch.

    Parameters
    ----------
    pictures : sequence of Picture
    steps : int
    place_weight : float
        Weight of the same-place term; 0 leaves plain classification of the same views.
    pairs, side_px, points : int
        Pairs of views per step, their side, and points per pair.
    seed : int
        With one thread the same seed and steps give the same weights bit for bit on one machine; with more, gradients
        of points that share a cell are added in any order, and the last bits vary.
    learning_rate : float
        Peak of the one-cycle schedule.
    log : callable
        Gets a line every 50 steps.

    Returns
    -------
    network : DemoNet
        In evaluation mode.
    labels : list of str
        Its classes.
    """
    torch.manual_seed(seed)
    sampler = Pairs(pictures, side_px=side_px, points=points, seed=seed)
    network = DemoNet(len(sampler.labels)).to(memory_format=torch.channels_last).train()
    optimiser = torch.optim.AdamW(network.parameters(), lr=learning_rate, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, learning_rate, total_steps=steps, pct_start=0.15)
    start, averages = time.perf_counter(), dict[str, float]()
    for step in range(steps):
        batch = sampler.batch(pairs)
        features = network.stages(batch.views.contiguous(memory_format=torch.channels_last))
        scores = network.classify(features["stage4"])
        losses = {"class": F.cross_entropy(scores, batch.labels, label_smoothing=0.1)}
        total = CLASS_WEIGHT * losses["class"]
        if place_weight:
            losses |= {stage: place_loss(features[stage], batch, stride) for stage, stride in STRIDES_PX.items()}
            total = total + place_weight * sum(weight * losses[s] for s, weight in STAGE_WEIGHTS.items())
        optimiser.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        now = {name: loss.item() for name, loss in losses.items()}
        averages = {name: 0.95 * averages.get(name, loss) + 0.05 * loss for name, loss in now.items()}
        if step % 50 == 0 or step == steps - 1:
            values = "  ".join(f"{name} {value:.3f}" for name, value in averages.items())
            log(f"step {step:5d}  {time.perf_counter() - start:6.0f} s  points {len(batch.row):4d}  {values}")
    return network.to(memory_format=torch.contiguous_format).eval(), sampler.labels


def save(network: DemoNet, path: Path) -> None:
    """Write the weights as a plain state dict, float16 (half the size; searches differ in the third decimal)."""
    weights = {name: v.half() if v.is_floating_point() else v for name, v in network.state_dict().items()}
    torch.save(weights, path)


def main() -> None:
    """Command line: render, train, write the weights (--out) and the class names (--labels)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="file for the weights")
    parser.add_argument("--labels", type=Path, help="file for the class names, JSON")
    parser.add_argument("--network", choices=NETWORKS, default="place", help="with or without the same-place term")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--threads", type=int, default=2, help="1 gives the same bits every time, in twice the time")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    network, labels = train(
        training_pictures(),
        steps=options.steps,
        seed=options.seed,
        place_weight=NETWORKS[options.network],
        log=lambda line: print(line, flush=True),
    )
    save(network, options.out)
    if options.labels:
        options.labels.write_text(json.dumps(labels, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
