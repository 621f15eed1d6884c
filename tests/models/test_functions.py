"""A function is a network like any other, and what it gets wrong is said."""

import re
import textwrap

import numpy as np
import pytest
import torch
from torch import nn

from vfs_panel.errors import LayerError, NetworkError
from vfs_panel.features import extract
from vfs_panel.images.dataset import ImageDataset
from vfs_panel.images.preprocessing import Preprocessing
from vfs_panel.models import Extractor, functions, list_layers
from vfs_panel.models.functions import network_from_function
from vfs_panel.search import RegionQuery, RegionSearch

SMALL = Preprocessing(resize_px=20, crop_px=(16, 16))


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 4, 3, 2, 1)
        self.deep = nn.Conv2d(4, 5, 3, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.deep(self.conv(x))


def both(pictures: np.ndarray) -> dict[str, np.ndarray]:
    """Do in NumPy what the network does."""
    assert pictures.dtype == np.float32
    assert pictures.flags.c_contiguous
    net = Net()

    def convolve(x: np.ndarray, layer: nn.Conv2d) -> np.ndarray:
        padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (2, 3))[:, :, ::2, ::2]
        found = np.einsum("nchwij,ocij->nohw", windows, layer.weight.detach().numpy())
        return found + layer.bias.detach().numpy()[:, None, None]

    first = convolve(pictures, net.conv)
    return {"conv": first, "deep": convolve(first, net.deep)}


def test_features_of_a_store_are_those_of_the_same_network(tmp_path) -> None:
    rng = np.random.default_rng(0)
    pictures = ImageDataset.from_arrays(rng.integers(0, 256, (5, 24, 20, 3), np.uint8))
    options = {"layers": ["conv", "deep"], "dtype": "float32", "device": "cpu", "batch_size": 3}
    network = network_from_function(
        both, layers=["conv", "deep"], name="mine", preprocessing=SMALL, weights="v1", weights_sha256="a" * 64
    )
    mine = extract(network, pictures, out=tmp_path / "a.zarr", **options)
    own = extract(Net(), pictures, out=tmp_path / "b.zarr", preprocessing=SMALL, **options)
    for layer in options["layers"]:
        got, want = (store.dataset(layer)["features"].values for store in (mine, own))
        np.testing.assert_allclose(got, want, atol=1e-5)
    assert [(info.name, info.grid) for info in list_layers(network)] == [("conv", (4, 8, 8)), ("deep", (5, 4, 4))]
    query = RegionQuery.from_mask(mine.dataset("deep")["features"].sel(image="3").values, np.eye(4, dtype="f4"))
    found = RegionSearch(mine, layer="deep", device="cpu").search(query, k=1)
    assert found["image_id"].values.tolist() == ["3"]


def test_the_example_of_the_docstring_runs() -> None:
    example = textwrap.dedent("\n".join(re.findall(r"^(?: {4}.*|)$", functions.__doc__, re.M)))
    assert len(example.strip().splitlines()) <= 12
    found: dict = {}
    exec(compile(example, "example", "exec"), found)
    assert [(info.name, info.grid) for info in list_layers(found["network"])] == [("edges", (2, 16, 16))]


def test_tensors_wanted_layers_and_parts() -> None:
    calls = []

    def function(pictures: torch.Tensor, wanted: list[str]) -> dict[str, torch.Tensor]:
        calls.append((type(pictures), len(pictures), wanted))
        return dict.fromkeys(wanted, pictures[:, :, ::2, ::2])

    network = network_from_function(
        function, layers=["a", "b", "c"], name="f", preprocessing=SMALL, takes="tensor", selective=True, most=2
    )
    with Extractor(network, ["c", "a"], device="cpu") as extractor:
        calls.clear()
        pictures = torch.randn(5, 3, 16, 16)
        torch.testing.assert_close(extractor(pictures)["c"], pictures[:, :, ::2, ::2])
    assert calls == [(torch.Tensor, n, ["a", "c"]) for n in (2, 2, 1)]


@pytest.mark.parametrize("kind", [np.float16, np.float64, np.int32, list])
def test_any_numbers_become_floats(kind) -> None:
    def function(pictures):
        made = np.ones((len(pictures), 2, 4, 4), np.float32 if kind is list else kind)
        made.flags.writeable = False
        return {"a": made.tolist() if kind is list else made}

    network = network_from_function(function, layers=["a"], name="f", preprocessing=SMALL)
    with Extractor(network, ["a"], device="cpu") as extractor:
        assert extractor(torch.zeros(3, 3, 16, 16))["a"].dtype == torch.float32


def failing(_pictures):
    raise KeyError("no server")


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda p: [p], "returned list, expected a dict"),
        (lambda p: {"b": p}, "returned b; 'a' is missing"),
        (lambda p: {}, "returned no layer; 'a' is missing"),
        (lambda p: {"a": p[0]}, "'a' 3×16×16 for 2 pictures, expected 2 × channels × rows × columns"),
        (lambda p: {"a": p[:1]}, "'a' 1×3×16×16 for 2 pictures"),
        (lambda p: {"a": p[:, :0]}, "'a' 2×0×16×16 for 2 pictures"),
        (lambda p: {"a": 1}, "'a' one number for 2 pictures"),
        (lambda p: {"a": "text"}, "'a' str, expected an array of numbers"),
        (lambda p: {"a": [[1], [2, 3]]}, "'a' list, expected an array of numbers"),
        (failing, "The function of f failed: KeyError: 'no server'"),
    ],
)
def test_functions_that_give_something_else(function, message: str) -> None:
    network = network_from_function(function, layers=["a"], name="f", preprocessing=SMALL)
    with pytest.raises(NetworkError, match=re.escape(message)) as caught:
        Extractor(network, ["a"], device="cpu")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layers": []}, "needs a name and the names of its layers"),
        ({"name": ""}, "needs a name"),
        ({"layers": ["a", "b", "a"]}, "layer 'a' stands twice"),
        ({"layers": ["a", ""]}, "needs a name"),
        ({"takes": "jax"}, "takes is 'jax'; expected 'numpy' or 'tensor'"),
        ({"most": 0}, "most is 0; expected at least 1"),
    ],
)
def test_options_that_make_no_network(options: dict, message: str) -> None:
    with pytest.raises(NetworkError, match=message):
        network_from_function(both, **({"layers": ["a"], "name": "f"} | options))


def test_a_layer_that_was_not_declared_is_not_known() -> None:
    network = network_from_function(both, layers=["conv"], name="f", preprocessing=SMALL)
    with pytest.raises(LayerError, match="no layer 'deep'"):
        Extractor(network, ["deep"], device="cpu")
