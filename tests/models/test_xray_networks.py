"""Networks for chest X-rays: one channel in their range, and no pickled network is ever opened."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage

from vfs_panel.errors import NetworkError
from vfs_panel.models import find_networks, load_network
from vfs_panel.models.weight_files import weights_hash

DENSE, RES = "xray/densenet121-res224-all", "xray/resnet50-res512-all"


def test_the_library_is_found_and_leaves_warnings_on() -> None:
    # In a process of its own: the library switches them off at its first import.
    code = (
        "import warnings; from vfs_panel.models import find_networks; print(*find_networks('xray/*'))\n"
        "assert ('ignore', None, Warning, None, 0) not in warnings.filters"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {DENSE, RES, "xray/densenet121-res224-chex"} <= set(found)


@pytest.mark.parametrize("height_width", [(300, 420), (500, 310), (224, 224)])
def test_a_picture_is_prepared_as_the_library_does(height_width: tuple[int, int]) -> None:
    import torchxrayvision as xrv

    noise = np.random.default_rng(0).normal(size=height_width)
    grey = ndimage.gaussian_filter(noise, 6)
    grey = np.interp(grey, (grey.min(), grey.max()), (0, 255)).astype(np.uint8)
    theirs = xrv.datasets.XRayResizer(224)(xrv.datasets.XRayCenterCrop()(xrv.utils.normalize(grey, 255)[None]))
    ours = load_network(DENSE, weights="random").preprocessing.array(np.dstack([grey] * 3))
    assert ours.shape == theirs.shape == (1, 224, 224)
    # skimage, which the library resizes by, mixes grey from beyond the picture into its first and last few pixels. And
    # the library crops first, in whole pixels: its picture can lie a pixel beside ours.
    inside = np.s_[0, 4:-4, 4:-4]
    tolerance = 1e-3 if height_width == (224, 224) else 0.06 * 2048
    assert np.abs(ours - theirs)[inside].max() < tolerance
    assert np.corrcoef(ours[inside].ravel(), theirs[inside].ravel())[0, 1] > 0.995
    assert ours.min() >= -1024
    assert ours.max() <= 1024


def test_a_state_dict_of_the_libraries_own_network_comes_back(tmp_path: Path) -> None:
    network = load_network(DENSE, weights="random")
    with torch.no_grad():
        network.module.features.conv0.weight.add_(1)  # type: ignore[union-attr,operator]
    # As the library's own network has it, which keeps its scores' thresholds beside the weights.
    torch.save({**network.module.state_dict(), "op_threshs": torch.zeros(18)}, tmp_path / "w.pt")
    again = load_network(DENSE, weights=tmp_path / "w.pt")
    assert (again.weights, again.weights_sha256) == ("w.pt", weights_hash(network.module))


def test_the_resnets_published_weights_and_the_wrappers_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = load_network(RES, weights="random")
    assert network.preprocessing.crop_px == (512, 512)
    state = network.module.state_dict()
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    torch.save(state, folder / "pc-nih-rsna-siim-vin-resnet50-test512-e400-state.pt")
    for weights in (None, "pretrained"):
        published = load_network(RES, weights=weights)
        assert (published.weights, published.weights_sha256) == ("pretrained", network.weights_sha256)
    torch.save({f"model.{k}": v for k, v in state.items()} | {"op_threshs": torch.zeros(18)}, tmp_path / "w.pt")
    assert load_network(RES, weights=tmp_path / "w.pt").weights_sha256 == network.weights_sha256


def test_whole_pickled_networks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        NetworkError, match=r"whole pickled network.*state_dict\(\).*--weights densenet121-res224-all\.pt"
    ):
        load_network(DENSE)
    torch.save(load_network(DENSE, weights="random").module, tmp_path / "whole.pt")
    with pytest.raises(NetworkError, match="refused: it holds code"):
        load_network(DENSE, weights=tmp_path / "whole.pt")


def test_without_the_library_its_names_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchxrayvision", None)
    assert find_networks("xray/") == []
    with pytest.raises(NetworkError, match=r'needs torchxrayvision: pip install "vfs_panel\[xray\]"'):
        load_network(DENSE)


def test_an_unknown_one_gets_a_hint() -> None:
    with pytest.raises(NetworkError, match="Did you mean xray/densenet121-res224-all"):
        load_network("xray/densenet121-res224-al")
