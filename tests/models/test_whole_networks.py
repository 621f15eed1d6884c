"""Files of whole networks and registered ones go by their name everywhere, and nothing takes a well-known name."""

import warnings
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn

from vfs_panel.cli import run
from vfs_panel.errors import NetworkError, StoreError
from vfs_panel.features import extract, open_store
from vfs_panel.features.layout import chunk_file
from vfs_panel.features.origin import network_of
from vfs_panel.images.dataset import ImageDataset
from vfs_panel.images.preprocessing import Preprocessing
from vfs_panel.models import load_network, network_from_function, register_network
from vfs_panel.models.registry import unregister_network

SMALL = Preprocessing(resize_px=None, crop_px=(32, 32))


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 4, 4), nn.ReLU(), nn.Conv2d(4, 6, 2, 2)).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter's own
        torch.onnx.export(
            net, (torch.rand(2, 3, 32, 32),), tmp_path / "net.onnx", dynamo=False, input_names=["x"],
            dynamic_axes={"x": {0: "n"}},
        )  # fmt: skip
        torch.jit.save(torch.jit.script(net), tmp_path / "net.torchscript")
    return tmp_path


def test_a_file_is_a_model_on_the_command_line(
    saved: Path, picture_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(saved)
    assert run(["models", "net.onnx"]) == 0
    assert "Conv" in capsys.readouterr().out
    make = ["extract", str(picture_folder), "--model", "net.onnx", "--layer", "*Conv*", "--out", "o.zarr"]
    assert run(make) == 0
    store = open_store("o.zarr")
    assert store.versions(store.layers[0])["onnxruntime"]
    assert run([*make[:3], "net.torchscript", *make[4:-1], "t.zarr"]) == 2
    assert "--trust-code" in capsys.readouterr().err
    assert run([*make[:3], "net.torchscript", "--layer", "2", "--out", "t.zarr", "--trust-code"]) == 0
    assert run([*make, "--weights", "random"]) == 2
    assert "brings its own weights" in capsys.readouterr().err


def test_a_store_finds_its_network_again_or_says_what_is_missing(saved: Path, picture_folder: Path) -> None:
    images = ImageDataset.from_folder(picture_folder)
    store = extract(str(saved / "net.onnx"), images, layers=["*Conv"], out=saved / "o.zarr")
    assert network_of(store, str(saved / "net.onnx")).weights_sha256 == store.weights_sha256
    with pytest.raises(StoreError, match=r"network file net\.onnx.*--model"):
        network_of(store)
    module = nn.Sequential(nn.Conv2d(3, 4, 4, 4)).eval()
    given = extract(module, images, layers=["0"], out=saved / "g.zarr", preprocessing=SMALL)
    with pytest.raises(StoreError, match="somebody's program"):
        network_of(given)
    assert network_of(given, module).preprocessing == SMALL
    with pytest.raises(NetworkError, match="was made by Sequential"):
        network_of(given, nn.Sequential(nn.Conv2d(3, 4, 4, 4)))


def test_a_registered_name_is_known_and_none_takes_another_ones(picture_folder: Path, tmp_path: Path) -> None:
    def make() -> object:
        return network_from_function(
            lambda x: {"edges": x[:, :, ::8, ::8]}, layers=["edges"], name="edges", preprocessing=SMALL,
            weights_sha256="1",
        )  # fmt: skip

    register_network("edges", make)  # type: ignore[arg-type]
    try:
        store = extract("edges", ImageDataset.from_folder(picture_folder), layers=["edges"], out=tmp_path / "e.zarr")
        assert store.spec("edges").grid == (3, 4, 4)
        assert network_of(store).name == "edges"
        with pytest.raises(NetworkError, match="There is a network 'resnet50' already"):
            register_network("resnet50", make)  # type: ignore[arg-type]
        assert load_network("edges", preprocessing=Preprocessing(crop_px=(64, 64))).preprocessing.crop_px == (64, 64)
    finally:
        unregister_network("edges")
    with pytest.raises(NetworkError, match="There is no network 'edges'"):
        load_network("edges")


def test_a_program_mends_and_searches_only_if_it_is_trusted(
    saved: Path, picture_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(saved)
    model = ["--model", "net.torchscript"]
    make = ["extract", str(picture_folder), *model, "--layer", "2", "--out", "t.zarr", "--trust-code"]
    assert run(make) == 0
    chunk_file(Path("t.zarr"), "2", "features", 0, 4).write_bytes(b"damaged")
    assert run(["verify", "t.zarr", "--repair", *model]) == 2
    assert "--trust-code" in capsys.readouterr().err
    assert run(["verify", "t.zarr", "--repair", *model, "--trust-code"]) == 0
    other = saved / "other.png"
    Image.new("RGB", (300, 300), "red").save(other)
    search = ["search", "t.zarr", "--image", str(other), "--box", "60,60,200,200", *model]
    assert run(search) == 2
    assert run([*search, "--trust-code", "-k", "2"]) == 0
