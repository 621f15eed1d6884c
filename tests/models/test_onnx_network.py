"""ONNX graphs give the values of the network they were made from."""

import copy
import pickle
import sys
import warnings
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from torch import nn

from vfs_panel.errors import NetworkError
from vfs_panel.features import extract
from vfs_panel.images.dataset import ImageDataset
from vfs_panel.images.preprocessing import Preprocessing
from vfs_panel.models import Extractor, list_layers
from vfs_panel.models.layers import captured
from vfs_panel.models.onnx_network import is_onnx, load_onnx
from vfs_panel.search import RegionQuery, RegionSearch

LAYERS = {"conv.Conv": "conv", "relu.Relu": "relu", "deep.0.Conv": "deep.0", "deep.1.Sigmoid": "deep.1"}


class Net(nn.Module):
    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(channels, 4, 3, 2, 1)
        self.relu = nn.ReLU(inplace=True)
        self.deep = nn.Sequential(nn.Conv2d(4, 5, 3, padding=1), nn.Sigmoid())
        self.head = nn.Linear(5, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.deep(self.relu(self.conv(x))).mean((2, 3)))


def export(path: Path, *, batch: int | None = None, channels: int = 3, sized: bool = True) -> Path:
    axes = {} if batch else {0: "n"}
    axes |= {} if sized else {2: "rows", 3: "columns"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter without torch.export needs no further package
        torch.onnx.export(
            Net(channels).eval(), (torch.zeros(batch or 2, channels, 16, 16),), str(path), dynamo=False,
            input_names=["pictures"], dynamic_axes={"pictures": axes},
        )  # fmt: skip
    return path


def small(path: Path, *nodes: onnx.NodeProto, kind: int = TensorProto.FLOAT, shape=(None, 3, 8, 8), opset: int = 17):
    """Save a graph of a few nodes, x -> y."""
    graph = helper.make_graph(
        nodes or [helper.make_node("Relu", ["x"], ["y"])], "small",
        [helper.make_tensor_value_info("x", kind, shape)], [onnx.ValueInfoProto(name="y")],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    path.write_bytes(model.SerializeToString())
    return path


def values(network, batch: torch.Tensor, layers: dict[str, str]) -> dict[str, torch.Tensor]:
    with torch.inference_mode(), captured(network, list(layers)) as found:
        network(batch)
    return {layers[name]: value for name, value in found.items()}


@pytest.mark.parametrize("batch", [None, 1, 4])
def test_values_are_the_networks_own(batch: int | None, tmp_path: Path) -> None:
    network = load_onnx(export(tmp_path / "net.onnx", batch=batch))
    assert network.preprocessing == Preprocessing(resize_px=18, crop_px=(16, 16))
    assert network.name == "net"
    pictures = torch.randn(6, 3, 16, 16)
    own = {name: name for name in LAYERS.values()}
    torch.testing.assert_close(
        values(network.module, pictures, LAYERS), values(Net().eval(), pictures, own), atol=1e-5, rtol=1e-5
    )
    torch.testing.assert_close(network.module(pictures), Net().eval()(pictures).detach(), atol=1e-5, rtol=1e-5)


def test_layers_that_can_be_grids_are_listed(tmp_path: Path) -> None:
    found = {info.name: info for info in list_layers(load_onnx(export(tmp_path / "net.onnx")))}
    assert list(found) == list(LAYERS)
    assert found["conv.Conv"].kind == "Conv"
    assert found["deep.0.Conv"].grid == (5, 8, 8)


def test_a_graph_of_any_size_and_of_grey_pictures(tmp_path: Path) -> None:
    network = load_onnx(export(tmp_path / "net.onnx", channels=1, sized=False))
    assert network.preprocessing.crop_px == (224, 224)
    assert len(network.preprocessing.mean) == 1
    assert list_layers(network, input_px=(20, 30))[0].grid == (4, 10, 15)


def test_features_of_a_store_are_the_networks_own(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pictures = ImageDataset.from_arrays(rng.integers(0, 256, (5, 24, 20, 3), np.uint8))
    network = load_onnx(export(tmp_path / "net.onnx", batch=2))
    options = {"dtype": "float32", "device": "cpu", "batch_size": 3}
    mine = extract(network, pictures, layers=["conv.Conv", "relu.Relu"], out=tmp_path / "a.zarr", **options)
    own = extract(
        Net(), pictures, layers=["conv", "relu"], out=tmp_path / "b.zarr", preprocessing=network.preprocessing,
        **options,
    )  # fmt: skip
    for layer in ("conv.Conv", "relu.Relu"):
        got = mine.dataset(layer)["features"].values
        np.testing.assert_allclose(got, own.dataset(LAYERS[layer])["features"].values, atol=1e-5)
    query = RegionQuery.from_mask(mine.dataset("conv.Conv")["features"].sel(image="3").values, np.eye(8, dtype="f4"))
    found = RegionSearch(mine, layer="conv.Conv", device="cpu").search(query, k=1)
    assert found["image_id"].values.tolist() == ["3"]


def test_only_wanted_layers_are_fetched_and_few_sessions_kept(tmp_path: Path) -> None:
    network = load_onnx(export(tmp_path / "net.onnx"))
    for layer in LAYERS:
        with Extractor(network, [layer], device="cpu"):
            pass
    sessions = network.module._program._sessions
    assert [len(session.get_outputs()) for session in sessions.values()] == [2, 2]  # the layer and the graph's own


def test_weights_in_a_file_of_their_own(tmp_path: Path) -> None:
    path, far = export(tmp_path / "net.onnx"), tmp_path / "far"
    far.mkdir()
    onnx.save(onnx.load(path), far / "net.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    whole, parted = load_onnx(path), load_onnx(far / "net.onnx")
    pictures = torch.randn(2, 3, 16, 16)
    torch.testing.assert_close(values(parted.module, pictures, LAYERS), values(whole.module, pictures, LAYERS))
    content = bytearray((far / "weights.bin").read_bytes())
    content[0] ^= 1
    (far / "weights.bin").write_bytes(content)
    assert load_onnx(far / "net.onnx").weights_sha256 != parted.weights_sha256
    (far / "weights.bin").unlink()
    with pytest.raises(NetworkError, match=r"weights 'weights.bin' of network file .* are missing"):
        load_onnx(far / "net.onnx")


@pytest.mark.parametrize("place", ["../secret", "/etc/hostname", "a/../../secret", "link", "C:\\secret", "..\\secret"])
def test_weights_stay_inside_the_folder(place: str, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "secret").write_bytes(bytes(64))
    (folder / "link").symlink_to(tmp_path / "secret")
    model = onnx.load(export(tmp_path / "net.onnx"))
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=place)
    (folder / "net.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(NetworkError, match="outside of its folder"):
        load_onnx(folder / "net.onnx")


def test_copies_give_the_same(tmp_path: Path) -> None:
    path = export(tmp_path / "net.onnx")
    module = load_onnx(path).module
    pictures = torch.randn(2, 3, 16, 16)
    want = values(module, pictures, LAYERS)
    kept = pickle.dumps(module)
    for made in (copy.deepcopy(module), pickle.loads(kept)):
        torch.testing.assert_close(values(made, pictures, LAYERS), want)
    export(path, channels=1)
    with pytest.raises(NetworkError, match="has changed since"):
        pickle.loads(kept)(pictures)


def test_names_are_made_plain_and_unique(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Relu", ["x"], ["a"], name="/same"),
        helper.make_node("Relu", ["a"], ["b"], name="same"),
        helper.make_node("Relu", ["b"], ["c\n/c"]),
        helper.make_node("Split", ["c\n/c"], ["d", "e"], name="split", axis=3, num_outputs=2),
        helper.make_node("Constant", [], ["f"], name="constant", value_floats=[1.0]),
        helper.make_node("Shape", ["d"], ["g"], name="shape"),
        helper.make_node("Concat", ["d", "e"], ["y"], name="concat", axis=1),
    ]
    module = load_onnx(small(tmp_path / "n.onnx", *nodes, opset=18)).module
    assert [name for name, _ in module.named_modules()][1:] == ["same", "same_2", "c_.c", "split", "split.1", "concat"]


def test_channels_last_half_precision_and_sides_that_differ(tmp_path: Path) -> None:
    last = load_onnx(small(tmp_path / "last.onnx", shape=(None, 8, 16, 3)))
    assert last.preprocessing == Preprocessing(resize_px=(8, 16), crop_px=(8, 16))
    assert list_layers(last)[0].grid == (3, 8, 16)
    half = load_onnx(small(tmp_path / "half.onnx", kind=TensorProto.FLOAT16))
    with Extractor(half, ["y"], device="cpu") as extractor:
        assert extractor(torch.ones(1, 3, 8, 8))["y"].dtype == torch.float32


def quantised(path: Path) -> Path:
    scale = helper.make_node("Constant", [], ["s"], value_float=0.1)
    zero = helper.make_node("Constant", [], ["z"], value=helper.make_tensor("v", TensorProto.UINT8, [], [0]))
    return small(path, scale, zero, helper.make_node("QuantizeLinear", ["x", "s", "z"], ["y"]))


def two_inputs(path: Path) -> Path:
    model = onnx.load(small(path, helper.make_node("Add", ["x", "w"], ["y"])))
    model.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, (None, 3, 8, 8)))
    path.write_bytes(model.SerializeToString())
    return path


def broken(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: broken(p, b""), "its graph is empty"),
        (lambda p: broken(p, b"no graph\n" * 50), "cannot be read as ONNX"),
        (lambda p: broken(p, export(p).read_bytes()[:600]), "cannot be read as ONNX"),
        (lambda p: p, "does not exist"),
        (lambda p: p.mkdir() or p, "is a folder"),
        (lambda p: small(p, opset=999), "cannot run .* Opset 999 is under development"),
        (lambda p: small(p, helper.make_node("Nonsense", ["x"], ["y"])), "cannot run .*Nonsense"),
        (two_inputs, r"takes 2 inputs \(x of .*, w of "),
        (lambda p: small(p, shape=(1, 100)), "takes 1 inputs .*expected one batch of pictures"),
        (lambda p: small(p, shape=(1, 9, 8, 8)), "9 channels; expected 1"),
        (lambda p: small(p, kind=TensorProto.UINT8), "takes pictures of uint8, expected floats"),
        (quantised, "no layer of floats that can be a grid; they give uint8, as quantised"),
    ],
)
def test_files_that_cannot_be_used(make, message: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = make(tmp_path / "bad.onnx")
    with pytest.raises(NetworkError, match=message) as caught:
        load_onnx(path)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_a_picture_that_does_not_fit_is_said_in_one_line(tmp_path: Path) -> None:
    network = load_onnx(export(tmp_path / "net.onnx"))
    with pytest.raises(NetworkError, match=r"only\. Give a preprocessing"):
        list_layers(network, input_px=(20, 20))


def test_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = export(tmp_path / "net.onnx")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(NetworkError, match=r'pip install "vfs_panel\[onnx\]"'):
        load_onnx(path)


def test_which_files_are_onnx() -> None:
    assert is_onnx("a/b.ONNX")
    assert not is_onnx("resnet18")
