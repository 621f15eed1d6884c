"""Editing a network: the rank-one rewrite gives a source the value of a target, and changes little else."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

import vfs_panel as vfs
from vfs_panel.errors import LayerError, QueryError
from vfs_panel.images.dataset import ImageDataset
from vfs_panel.images.preprocessing import Preprocessing
from vfs_panel.models import Extractor, Network, load_network
from vfs_panel.models.editing import conv_output, find_rewrite, keys_of, rewritten
from vfs_panel.models.extractor import to_input

LAYER = "2"  # the second convolution of the tiny network
SIDE = 24
NO_NORM = Preprocessing(resize_px=None, crop_px=(SIDE, SIDE), mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))


@pytest.fixture(scope="module")
def network() -> Network:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        net = nn.Sequential(
            nn.Conv2d(3, 6, 3, 2, 1), nn.ReLU(), nn.Conv2d(6, 5, 3, 2, 1), nn.ReLU(), nn.Conv2d(5, 4, 1)
        )
    return load_network(net, preprocessing=NO_NORM)


def noise(seed: int, colour: tuple[int, int, int], spread: int = 40) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    return np.clip(np.array(colour) + rng.integers(-spread, spread, (SIDE, SIDE, 3)), 0, 255).astype(np.uint8)


RED, BLUE = noise(0, (220, 60, 50)), noise(1, (40, 60, 220))
LEFT = np.zeros((SIDE, SIDE), np.uint8)
LEFT[:, : SIDE // 2] = 255


@pytest.fixture(scope="module")
def pictures() -> ImageDataset:
    colours = np.random.default_rng(5).integers(40, 215, (20, 3))
    return ImageDataset.from_arrays(np.stack([noise(9 + i, tuple(c)) for i, c in enumerate(colours.tolist())]))


def keys(network: Network, rgb: NDArray[np.uint8]) -> torch.Tensor:
    """Return what the convolution sees at each window, (windows, in · taps), float64."""
    net = network.module
    with torch.inference_mode():
        seen = net[:2](to_input(np.stack([rgb]), NO_NORM))  # type: ignore[index]
        found = keys_of(net[2], seen)[0].T.double()  # type: ignore[index]
    return found.clone()


def output(network: Network, key: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return conv_output(network.module[2], key)  # type: ignore[index]


def outputs(network: Network, of: torch.Tensor) -> torch.Tensor:
    return torch.stack([output(network, key) for key in of])


def test_the_source_is_given_the_targets_value_and_the_network_stays(network: Network, pictures: ImageDataset) -> None:
    before = copy.deepcopy(network.module.state_dict())
    edited = vfs.edit_network(network, LAYER, source=[(RED, LEFT)], target=[(BLUE, LEFT)], pictures=pictures)
    assert all(torch.equal(before[name], value) for name, value in network.module.state_dict().items())
    assert not network.module[2]._forward_pre_hooks  # type: ignore[index]
    left = torch.arange(36) % 6 < 3
    key, value = (keys(network, rgb)[left].mean(0) for rgb in (RED, BLUE))
    wanted = output(network, value)
    torch.testing.assert_close(output(edited, key), wanted, rtol=1e-4, atol=1e-5)
    # Not only the mean: the windows come nearer to the target's value, also in the part that was not painted.
    apart = [(outputs(net, keys(network, RED)) - wanted).norm(dim=1).mean() for net in (network, edited)]
    assert apart[1] < 0.7 * apart[0]


def test_the_change_has_rank_one_and_is_the_least_that_does_it(network: Network, pictures: ImageDataset) -> None:
    rewrite = find_rewrite(network, LAYER, source=[(RED, LEFT)], target=[(BLUE, LEFT)], pictures=pictures)
    edited = rewritten(network, rewrite)
    change = (edited.module[2].weight - network.module[2].weight).detach().flatten(1).double()  # type: ignore[index]
    sizes = torch.linalg.svdvals(change)
    assert sizes[0] > 1e-3
    assert sizes[1] < 1e-5 * sizes[0]
    others = torch.cat([keys(network, pictures.rgb(image)) for image in pictures.ids])
    moved = (others @ change.T).square().sum(1).mean().sqrt()
    covariance = others.T @ others / len(others)
    ridge = 1e-3 * covariance.diagonal().mean() * torch.eye(len(covariance), dtype=torch.float64)
    key = keys(network, RED)[torch.arange(36) % 6 < 3].mean(0)
    bound = rewrite.left.double().norm() / (key @ torch.linalg.solve(covariance + ridge, key)).sqrt()
    assert moved == pytest.approx(rewrite.elsewhere, rel=1e-3)
    assert moved <= bound * (1 + 1e-6)
    # The plain way, along the key itself, gives the source the same value but moves everything else further.
    plain = torch.outer(rewrite.left.double(), key / (key @ key))
    torch.testing.assert_close(plain @ key, change @ key, rtol=1e-3, atol=1e-5)
    assert moved < 0.8 * (others @ plain.T).square().sum(1).mean().sqrt()


def test_half_the_strength_goes_half_the_way(network: Network, pictures: ImageDataset) -> None:
    whole, half = (
        find_rewrite(network, LAYER, source=[(RED, LEFT)], target=[(BLUE, LEFT)], pictures=pictures, strength=strength)
        for strength in (1.0, 0.5)
    )
    torch.testing.assert_close(half.left, whole.left / 2)
    torch.testing.assert_close(half.right, whole.right)


def test_regions_may_be_several_and_masks_of_any_resolution(network: Network, pictures: ImageDataset) -> None:
    grid = np.zeros((6, 6), np.float32)
    grid[:, :3] = 1
    made = [
        find_rewrite(network, LAYER, source=[(RED, mask)], target=[(BLUE, mask)] * n, pictures=pictures)
        for mask, n in ((LEFT, 1), (grid, 1), (grid > 0, 3))
    ]
    for other in made[1:]:
        torch.testing.assert_close(other.left, made[0].left)


def test_it_is_a_network_of_its_own_and_comes_back_from_a_state_dict(
    tmp_path: Path, network: Network, pictures: ImageDataset
) -> None:
    edited = vfs.edit_network(network, LAYER, source=[(RED, LEFT)], target=[(BLUE, LEFT)], pictures=pictures)
    assert edited.name == "Sequential (edited)"
    assert edited.weights == "given edited at 2"
    assert edited.weights_sha256 != network.weights_sha256
    torch.save(edited.module.state_dict(), tmp_path / "edited.pt")
    again = load_network(copy.deepcopy(network.module), weights=tmp_path / "edited.pt", preprocessing=NO_NORM)
    assert again.weights_sha256 == edited.weights_sha256
    store = vfs.extract(edited, pictures, layers=["4"], out=tmp_path / "s.zarr")
    assert (store.network, store.weights_sha256) == (edited.name, edited.weights_sha256)
    with Extractor(edited, ["4"], device="cpu") as one, Extractor(network, ["4"], device="cpu") as other:
        assert not np.allclose(one.features(RED, "4"), other.features(RED, "4"))


@pytest.mark.parametrize(
    ("layer", "error"),
    [
        ("nowhere", r"no layer 'nowhere'"),
        ("", r"is Sequential, expected a convolution.*0, 2, 4"),
        ("1", r"'1' of Sequential is ReLU, expected a convolution"),
    ],
)
def test_only_a_convolution_is_rewritten(network: Network, pictures: ImageDataset, layer: str, error: str) -> None:
    with pytest.raises(LayerError, match=error):
        vfs.edit_network(network, layer, source=[(RED, LEFT)], target=[(BLUE, LEFT)], pictures=pictures)


def test_convolutions_that_the_formula_does_not_cover(pictures: ImageDataset) -> None:
    for conv in (nn.Conv2d(3, 3, 3, groups=3), nn.Conv2d(3, 3, 3, padding="same")):
        with pytest.raises(LayerError, match="in groups, or padded otherwise"):
            vfs.edit_network(
                load_network(nn.Sequential(conv), preprocessing=NO_NORM), "0",
                source=[(RED, LEFT)], target=[(BLUE, LEFT)], pictures=pictures,
            )  # fmt: skip
    twice = nn.Conv2d(3, 3, 3, padding=1)
    with pytest.raises(LayerError, match="ran 2 times in one pass"):
        vfs.edit_network(
            load_network(nn.Sequential(twice, nn.ReLU(), twice), preprocessing=NO_NORM), "0",
            source=[(RED, LEFT)], target=[(BLUE, LEFT)], pictures=pictures,
        )  # fmt: skip


def test_regions_that_cover_nothing_and_masks_that_are_none(network: Network, pictures: ImageDataset) -> None:
    with pytest.raises(QueryError, match="The source of the edit covers nothing"):
        find_rewrite(network, LAYER, source=[(RED, LEFT * 0)], target=[(BLUE, LEFT)], pictures=pictures)
    with pytest.raises(QueryError, match="The target of the edit covers nothing"):
        find_rewrite(network, LAYER, source=[(RED, LEFT)], target=[], pictures=pictures)
    with pytest.raises(QueryError, match=r"mask of the source has shape \(3,\)"):
        find_rewrite(network, LAYER, source=[(RED, np.ones(3))], target=[(BLUE, LEFT)], pictures=pictures)


def test_a_rewrite_of_another_network_is_refused(network: Network, pictures: ImageDataset) -> None:
    rewrite = find_rewrite(network, LAYER, source=[(RED, LEFT)], target=[(BLUE, LEFT)], pictures=pictures)
    other = load_network(nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 8, 3)), preprocessing=NO_NORM)
    with pytest.raises(LayerError, match=r"rewrite is 5×54, but '2' of Sequential has 8×54 weights"):
        rewritten(other, rewrite)
