"""The bundled network: its shapes, its weights, and that they know the pictures they were trained on."""

import json
from importlib.resources import files

import numpy as np
import pytest
import torch

from vfs_panel.images.demo import photos
from vfs_panel.images.preprocessing import Preprocessing
from vfs_panel.models.demo_network import CLASSES, MEAN, STD, STRIDES_PX, DemoNet

WEIGHTS = files("vfs_panel.models") / "weights"
NAMES = ("vfs_demo.pt", "vfs_demo_class.pt")


def load(name):
    with (WEIGHTS / name).open("rb") as file:
        return torch.load(file, weights_only=True)


def test_stages_have_the_promised_grids():
    network = DemoNet().eval()
    with torch.inference_mode():
        stages = network.stages(torch.zeros(2, 3, 224, 224))
        assert network(torch.zeros(2, 3, 224, 224)).shape == (2, CLASSES)
    shapes = {"stage2": (2, 64, 28, 28), "stage3": (2, 128, 14, 14), "stage4": (2, 160, 7, 7)}
    assert {name: tuple(value.shape) for name, value in stages.items()} == shapes
    assert {name: 224 // shapes[name][2] for name in shapes} == STRIDES_PX


def test_hooked_layers_are_the_stages_and_signed():
    network, seen = DemoNet().eval(), {}
    for name in STRIDES_PX:
        module = network.get_submodule(name)
        module.register_forward_hook(lambda _module, _input, output, name=name: seen.setdefault(name, output))
    x = torch.randn(1, 3, 224, 224)
    with torch.inference_mode():
        network(x)
        stages = network.stages(x)
    for name, value in stages.items():
        torch.testing.assert_close(seen[name], value, rtol=0, atol=0)
        assert (value < 0).any()


@pytest.mark.parametrize("name", NAMES)
def test_bundled_weights_fit_and_are_small(name):
    weights = load(name)
    DemoNet().load_state_dict(weights, strict=True)
    assert {v.dtype for v in weights.values() if v.is_floating_point()} == {torch.float16}
    assert sum(v.nbytes for v in weights.values()) < 4e6


def test_the_two_networks_differ():
    one, other = (load(name)["head.weight"] for name in NAMES)
    assert not torch.equal(one, other)


@pytest.mark.parametrize("name", NAMES)
def test_bundled_weights_know_every_subject(name):
    labels = json.loads((WEIGHTS / "vfs_demo_labels.json").read_text("utf-8"))
    assert labels == sorted(labels)
    assert len(labels) == CLASSES
    network = DemoNet()
    network.load_state_dict(load(name))
    network.eval()
    preprocessing = Preprocessing(resize_px=None, crop_px=(224, 224), mean=MEAN, std=STD)
    pictures = [photos.render(photos.PhotoPlan(subject, "photo", 0)) for subject in photos.SUBJECTS]
    batch = torch.from_numpy(np.stack([preprocessing.array(p.pixels) for p in pictures]))
    with torch.inference_mode():
        guesses = [labels[i] for i in network(batch).argmax(1).tolist()]
    right = [guess == p.label for guess, p in zip(guesses, pictures, strict=True)]
    assert np.mean(right) >= 0.9
