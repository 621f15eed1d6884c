"""Training runs, is reproducible bit for bit, and its loss pulls the same spot together."""

import json
import math

import pytest
import torch
import torch.nn.functional as F

from vfs_panel.images.demo import camera_traps, photos
from vfs_panel.models import demo_training
from vfs_panel.models.demo_network import DemoNet
from vfs_panel.models.demo_pairs import Batch


@pytest.fixture(autouse=True)
def one_thread():
    """More threads add the gradients of points that share a cell in any order."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def pictures():
    crops = [photos.render(photos.PhotoPlan(s, d, 1)) for s in ("cat", "coins") for d in ("photo", "night")]
    traps = [camera_traps.render(camera_traps.TrapPlan("garage", "cat", k)) for k in (1, 2)]
    return [*crops, *traps]


def train(pictures, **options):
    lines = []
    network, labels = demo_training.train(
        pictures, steps=3, pairs=4, side_px=128, points=4, log=lines.append, **options
    )
    return network, labels, lines


def test_steps_are_finite_and_reproducible(pictures):
    one, labels, lines = train(pictures)
    two, _, _ = train(pictures)
    assert labels == ["cat", "coins"]
    losses = [float(word) for word in lines[-1].split() if "." in word]
    assert len(losses) == 4
    assert all(math.isfinite(loss) for loss in losses)
    assert not one.training
    fresh = DemoNet(2).state_dict()
    for name, value in one.state_dict().items():
        assert torch.equal(value, two.state_dict()[name]), name
        assert torch.isfinite(value).all()
    assert not torch.equal(one.state_dict()["head.weight"], fresh["head.weight"])


def test_class_network_lacks_the_place_term(pictures):
    with_term, _, lines = train(pictures)
    without, _, class_lines = train(pictures, place_weight=0.0)
    assert "stage4" in lines[-1]
    assert "stage4" not in class_lines[-1]
    assert not torch.equal(with_term.stage2[0].conv1.weight, without.stage2[0].conv1.weight)


def points(features_match):
    """Two views of 4×4 cells; 3 points in the middle of cells 0, 1, 2 whose features agree or are exchanged."""
    grid = torch.zeros(2, 3, 4, 4)
    for i in range(3):
        grid[0, i, 0, i] = grid[1, i if features_match else (i + 1) % 3, 0, i] = 1
    at = torch.tensor([[4.0, 4.0], [12.0, 4.0], [20.0, 4.0]])
    zero = torch.zeros(3, dtype=torch.long)
    batch = Batch(torch.zeros(2), zero[:2], zero, at, at, zero, at * 10, torch.ones(3), zero)
    return grid, batch


def test_cells_at_reads_the_middle_of_a_cell_and_between_two():
    grid, batch = points(True)
    torch.testing.assert_close(demo_training.cells_at(grid, batch.row, batch.at_a, 8), torch.eye(3))
    between = demo_training.cells_at(grid, batch.row[:1], torch.tensor([[8.0, 4.0]]), 8)
    torch.testing.assert_close(between, F.normalize(torch.tensor([[1.0, 1.0, 0.0]])))


def test_place_loss_falls_when_the_same_spot_agrees():
    assert demo_training.place_loss(*points(True), 8) < 0.01
    assert demo_training.place_loss(*points(False), 8) > 5


def test_place_loss_does_not_push_near_spots_apart():
    grid, batch = points(False)
    near = Batch(**{name: getattr(batch, name) for name in batch.__dataclass_fields__} | {"where": batch.at_a * 0.1})
    assert demo_training.place_loss(grid, near, 8) < 0.01  # all three are the same spot: nothing to choose


def test_command_line_writes_weights_and_labels(pictures, tmp_path, monkeypatch):
    monkeypatch.setattr(demo_training, "training_pictures", lambda: pictures)
    real = demo_training.train
    monkeypatch.setattr(demo_training, "train", lambda p, **o: real(p, pairs=2, side_px=64, points=4, **o))
    out, labels = tmp_path / "w.pt", tmp_path / "labels.json"
    arguments = ["demo_training", "--out", str(out), "--labels", str(labels), "--steps", "2", "--threads", "1"]
    monkeypatch.setattr("sys.argv", [*arguments, "--network", "class"])
    demo_training.main()
    weights = torch.load(out, weights_only=True)
    DemoNet(2).load_state_dict(weights, strict=True)
    assert weights["head.weight"].dtype == torch.float16
    assert json.loads(labels.read_text()) == ["cat", "coins"]
