"""timm's networks: pictures as timm prepares them, weights under any names, errors that say how to mend them."""

import logging
import sys
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

from vfs_panel.errors import NetworkError
from vfs_panel.models import find_networks, load_network
from vfs_panel.models.timm_networks import preprocessing_of
from vfs_panel.models.weight_files import weights_hash


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder that holds what was downloaded, without a connection."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def shapes_only(name: str) -> torch.nn.Module:
    with torch.device("meta"):
        return timm.create_model(name, num_classes=0)


@pytest.mark.parametrize("height_width", [(300, 411), (411, 300), (100, 90), (777, 1024)])
@pytest.mark.parametrize(
    "name",
    [
        "resnet18.a1_in1k",  # centre crop, bicubic
        "tf_efficientnet_b0.aa_in1k",
        "inception_v3.tv_in1k",  # 299
        "vit_base_patch32_clip_224.openai",  # its own mean
        "vit_small_patch14_dinov2.lvd142m",  # 518, no margin
        "vit_base_patch16_siglip_224.webli",  # squashed
        "convnext_tiny.fb_in22k_ft_in1k_384",  # squashed
    ],
)
def test_a_picture_is_prepared_as_timm_does(name: str, height_width: tuple[int, int]) -> None:
    module = shapes_only(name)
    rgb = np.random.default_rng(0).integers(0, 256, (*height_width, 3), np.uint8)
    theirs = timm.data.create_transform(**timm.data.resolve_model_data_config(module))(Image.fromarray(rgb))
    np.testing.assert_allclose(preprocessing_of(module, name).array(rgb), theirs.numpy(), atol=1e-5)


def test_what_has_no_counterpart_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        made_for = preprocessing_of(shapes_only("deepseek_vit_412m"), "timm/deepseek_vit_412m")
    assert "timm/deepseek_vit_412m: timm sets a picture into a border; here a picture is resized to" in caplog.text
    assert made_for.resize_px == made_for.crop_px


def test_pictures_of_five_channels_are_refused() -> None:
    module = timm.create_model("test_resnet", num_classes=0, in_chans=5)
    module.pretrained_cfg["input_size"] = (5, 160, 160)
    with pytest.raises(NetworkError, match="takes 5 channels"):
        preprocessing_of(module, "timm/test_resnet")


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("classes", [1000, 7, 0])
def test_a_file_fits_whatever_its_classes_are(tmp_path: Path, suffix: str, classes: int) -> None:
    trained = timm.create_model("test_vit", num_classes=classes)
    file = tmp_path / f"w{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)(trained.state_dict(), file)
    network = load_network("timm/test_vit", weights=file)
    assert network.weights == file.name
    trained.reset_classifier(0)
    assert network.weights_sha256 == weights_hash(trained)


def test_a_file_under_the_authors_names_is_renamed_as_timm_does(tmp_path: Path) -> None:
    trained = timm.create_model("test_vit")
    torch.save({**trained.state_dict(), "mask_token": torch.zeros(1, 64)}, tmp_path / "dino.pth")  # as DINOv2's has
    network = load_network("timm/test_vit", weights=tmp_path / "dino.pth")
    trained.reset_classifier(0)
    assert network.weights_sha256 == weights_hash(trained)


def test_a_file_of_another_network_is_refused(tmp_path: Path) -> None:
    torch.save(timm.create_model("test_resnet").state_dict(), tmp_path / "w.pth")
    with pytest.raises(NetworkError, match=r"w\.pth does not fit timm/test_vit: .* is missing"):
        load_network("timm/test_vit", weights=tmp_path / "w.pth")
    (tmp_path / "w.safetensors").write_bytes(b"no tensors")
    with pytest.raises(NetworkError, match=r"w\.safetensors cannot be read"):
        load_network("timm/test_vit", weights=tmp_path / "w.safetensors")


def test_published_weights_by_default_by_tag_and_by_name(offline: Path) -> None:
    trained = timm.create_model("test_vit", num_classes=1000)
    place = offline / "models--timm--test_vit.r160_in1k"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text("f" * 40)
    (place / "snapshots" / ("f" * 40)).mkdir(parents=True)
    save_file(trained.state_dict(), place / "snapshots" / ("f" * 40) / "model.safetensors")
    trained.reset_classifier(0)
    for name, weights in (
        ("timm/test_vit", None),
        ("timm/test_vit", "r160_in1k"),
        ("timm/test_vit.r160_in1k", None),
        ("timm/test_vit.r160_in1k", "r160_in1k"),
    ):
        network = load_network(name, weights=weights)
        assert (network.name, network.weights) == (name, "r160_in1k")
        assert network.weights_sha256 == weights_hash(trained)


def test_weights_that_cannot_be_had_say_how_else(offline: Path) -> None:
    with pytest.raises(NetworkError, match=r"could not be had .*timm/test_vit\.r160_in1k.*--weights FILE"):
        load_network("timm/test_vit")
    with pytest.raises(NetworkError, match="timm/davit_huge has no published weights"):
        load_network("timm/davit_huge")
    with pytest.raises(NetworkError, match=r"no weights file r161, .*published weights \(r160_in1k\)"):
        load_network("timm/test_vit", weights="r161")


def test_untrained_ones_are_always_the_same() -> None:
    once, again = (load_network("timm/test_resnet", weights="random") for _ in range(2))
    assert once.weights_sha256 == again.weights_sha256
    assert once.preprocessing.crop_px == (160, 160)
    assert not once.module.training


def test_names_are_found_and_hinted_at() -> None:
    assert "timm/vit_base_patch32_clip_224.openai" in find_networks("clip_224.openai")
    assert find_networks("timm/TEST_VIT?") == ["timm/test_vit2", "timm/test_vit3", "timm/test_vit4"]
    assert find_networks("no such network") == []
    with pytest.raises(NetworkError, match=r"no network 'test_vit2'\. Did you mean timm/test_vit2 or "):
        load_network("test_vit2")
    with pytest.raises(NetworkError, match=r"Did you mean timm/vit_small_patch16_dinov3"):
        load_network("timm/vit_smal_patch16_dinov3")


def test_without_timm_its_names_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    assert find_networks("timm/") == []
    with pytest.raises(NetworkError, match=r'timm/resnet18 needs timm: pip install "vfs_panel\[timm\]"'):
        load_network("timm/resnet18")
