"""Training pairs for the demo networks: two views that show the same place, and points they share."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from vfs_panel.images.demo.build import places_of
from vfs_panel.images.demo.photos import CROPS
from vfs_panel.images.demo.picture import SIZE_PX, Floats, Picture, invert, transform
from vfs_panel.models.demo_network import MEAN, STD

KINDS = {"photo": 0.45, "subject": 0.4, "scene": 0.15}
"""What the two views of a pair share, and how often."""

PHOTO, SUBJECT, SCENE = range(3)
BORDER_PX = 4  # points keep this far from the edge of a view


@dataclass(frozen=True, slots=True)
class Batch:
    """Views in pairs, and m pairs of points that show the same spot.

    Parameters
    ----------
    views : Tensor, shape (2 · pairs, 3, side, side)
        Normalised; rows 2i and 2i + 1 are a pair.
    labels : Tensor of int, shape (2 · pairs,)
    row : Tensor of int, shape (m,)
        The point's first view; the second is the next row.
    at_a, at_b : Tensor, shape (m, 2)
        Its x, y in the two views, in pixels.
    place : Tensor of int, shape (m,)
        Which place it shows.
    where : Tensor, shape (m, 2)
        And where in it, in place pixels.
    scale : Tensor, shape (m,)
        Place pixels per pixel of the second view.
    kind : Tensor of int, shape (m,)
        Index into `KINDS`.
    """

    views: Tensor
    labels: Tensor
    row: Tensor
    at_a: Tensor
    at_b: Tensor
    place: Tensor
    where: Tensor
    scale: Tensor
    kind: Tensor


class Pairs:
    """Draws batches of augmented views from pictures that share a place; the same seed draws the same batches.

    Parameters
    ----------
    pictures : sequence of Picture
        Of one or both demo sets; every shared place needs at least two pictures.
    side_px : int
        Height and width of the views.
    points : int
        At most so many points per pair.
    seed : int
    """

    def __init__(self, pictures: Sequence[Picture], *, side_px: int, points: int, seed: int) -> None:
        self.side_px, self.points = side_px, points
        self.rng = np.random.default_rng(seed)
        self.places = places_of(pictures)
        self.pixels = torch.from_numpy(np.stack([p.pixels for p in pictures])).permute(0, 3, 1, 2)
        self.labels = sorted({p.label for p in pictures})
        self.label_of = np.array([self.labels.index(p.label) for p in pictures])
        groups: list[dict[str, list[int]]] = [{}, {}, {}]
        for i, picture in enumerate(pictures):
            if picture.box is not None:
                groups[SUBJECT].setdefault(picture.label, []).append(i)
            kind = PHOTO if picture.domain in CROPS else SCENE
            groups[kind].setdefault(picture.layers[-1].place, []).append(i)
        self.groups = [[np.array(rows) for rows in group.values()] for group in groups]

    def batch(self, pairs: int) -> Batch:
        """Return the next batch of so many pairs."""
        chosen, views, columns = [], [], []
        for pair in range(pairs):
            kind = int(self.rng.choice(len(KINDS), p=list(KINDS.values())))
            members = self.groups[kind][self.rng.integers(len(self.groups[kind]))]
            for _ in range(4):  # try again where the two views hardly share a place
                ids = self.rng.choice(members, 2, replace=False)
                maps = self._view(), self._view()
                shared = self._shared_points(ids, maps, kind)
                if len(shared["place"]) >= self.points // 2:
                    break
            chosen += list(ids)
            views += list(maps)
            columns.append(shared | {"row": np.full(len(shared["place"]), 2 * pair)})
        joined = {key: torch.from_numpy(np.concatenate([c[key] for c in columns])) for key in columns[0]}
        rows = np.array(chosen)
        labels = torch.from_numpy(self.label_of[rows])
        return Batch(views=self._render(rows, np.stack(views)), labels=labels, **joined)

    def _view(self) -> Floats:
        """Return a random affine map (2, 3) from view pixels to picture pixels: scale, turn, flip, shift."""
        scale, turn = np.exp(self.rng.uniform(-0.3, 0.2)), self.rng.uniform(-0.25, 0.25)
        linear = scale * np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
        linear[:, 0] *= self.rng.choice((-1, 1))
        room = max(SIZE_PX - self.side_px * scale, 10) / 2
        centre = SIZE_PX / 2 + self.rng.uniform(-room, room, 2)
        return np.hstack([linear, (centre - linear @ np.full(2, self.side_px / 2))[:, None]])

    def _shared_points(self, ids: NDArray[np.intp], maps: tuple[Floats, Floats], kind: int) -> dict[str, Floats]:
        """Return random points of the first view that the second shows too, uncovered: columns of `Batch`."""
        tries = self.points * (12 if kind == SUBJECT else 3)  # a subject fills less of the view
        low, high = BORDER_PX, self.side_px - BORDER_PX
        in_a = self.rng.uniform(low, high, (tries, 2))
        on_a = transform(maps[0], in_a)
        place_a, where = self.places.at(ids[0], on_a)
        column = 0 if kind == SUBJECT else int((self.places.place[ids[1]] >= 0).sum()) - 1
        place, matrix = self.places.place[ids[1], column], self.places.matrix[ids[1], column]
        on_b = transform(invert(matrix), where)
        in_b = transform(invert(maps[1]), on_b)
        shared = (place_a == place) & np.all((in_b > low) & (in_b < high), 1)
        shared &= np.all((on_a > 0) & (on_a < SIZE_PX) & (on_b > 0) & (on_b < SIZE_PX), 1)
        shared &= self.places.at(ids[1], on_b)[0] == place
        keep = np.flatnonzero(shared)[: self.points]
        scale = np.sqrt(abs(np.linalg.det(matrix[:, :2] @ maps[1][:, :2])))
        return {
            "at_a": in_a[keep].astype(np.float32),
            "at_b": in_b[keep].astype(np.float32),
            "place": np.full(len(keep), place),
            "where": where[keep].astype(np.float32),
            "scale": np.full(len(keep), scale, np.float32),
            "kind": np.full(len(keep), kind),
        }

    def _uniform(self, low: float, high: float, *shape: int) -> Tensor:
        return torch.from_numpy(self.rng.uniform(low, high, shape).astype(np.float32))

    def _render(self, rows: NDArray[np.intp], views: Floats) -> Tensor:
        """Warp the chosen pictures by their views, disturb light, colour, sharpness and grain, and normalise."""
        n, side, one = len(rows), self.side_px, (len(rows), 1, 1, 1)
        # affine_grid wants maps between coordinates that run from -1 to 1 across view and picture.
        middle = views @ [side / 2, side / 2, 1] - SIZE_PX / 2
        to_unit = np.concatenate([views[:, :, :2] * side / 2, middle[..., None]], -1) / (SIZE_PX / 2)
        unit = torch.from_numpy(to_unit.astype(np.float32))
        grid = F.affine_grid(unit, [n, 3, side, side], align_corners=False)
        x = self.pixels[torch.from_numpy(rows)].float().div_(255)
        x = F.grid_sample(x, grid, padding_mode="reflection", align_corners=False).clamp_(0, 1)
        x.pow_(torch.exp(self._uniform(-0.45, 0.45, *one)))
        grey = (x * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1, keepdim=True)
        saturation = torch.where(self._uniform(0, 1, *one) < 0.25, 0.0, self._uniform(0.4, 1.4, *one))
        x.sub_(grey).mul_(saturation).add_(grey).mul_(torch.exp(self._uniform(-0.15, 0.15, n, 3, 1, 1)))
        contrast, light = torch.exp(self._uniform(-0.5, 0.4, *one)), torch.exp(self._uniform(-0.5, 0.3, *one))
        average = x.mean((1, 2, 3), keepdim=True)
        x.sub_(average).mul_(contrast).add_(average).mul_(light)
        x.lerp_(F.avg_pool2d(x, 3, 1, 1), self._uniform(-0.6, 1.0, *one))  # sharper or softer
        grain = torch.from_numpy(self.rng.standard_normal(x.shape, dtype=np.float32))
        x.addcmul_(grain, self._uniform(0, 0.05, *one)).clamp_(0, 1)
        return x.sub_(torch.tensor(MEAN)[:, None, None]).div_(torch.tensor(STD)[:, None, None])
