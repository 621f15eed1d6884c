"""The products of the scan against float64, for as few channels as there can be and for sizes that fill no register."""

import numpy as np
import pytest
import torch

from tests.search import brute
from vfs_panel.features import store_from_arrays
from vfs_panel.search import RegionQuery, RegionSearch, packing, scan
from vfs_panel.search.codes import Codes
from vfs_panel.search.scan import Step


def bytes_of(generator: torch.Generator, *shape: int) -> torch.Tensor:
    return torch.randint(-127, 128, shape, dtype=torch.int8, generator=generator)


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 6, 7, 8, 65])
@pytest.mark.parametrize("way", [*scan.ORDERS, "packed"])
def test_int8_products_are_exact_for_any_number_of_channels(channels: int, way: str) -> None:
    if way == "packed" and not packing.available():
        pytest.skip("This PyTorch packs no codes.")
    generator = torch.Generator().manual_seed(channels)
    for columns in (1, 2, 3, 17):
        for width, n in ((1, 1), (1, 2), (3, 1), (3, 7), (5, 41)):
            weights, values = bytes_of(generator, columns, channels), bytes_of(generator, 1, width, n, channels)
            scale = torch.rand(1, width, n, generator=generator)
            codes = Codes(values, scale, torch.zeros(n), torch.zeros(1, width, n))
            step = Step(0, torch.arange(columns), weights, packing.shifted(weights), ())
            order = "columns first" if way == "packed" else way
            # What was in this memory before must not come through.
            before = torch.full((columns, width * n), 12_345, dtype=torch.int32)
            del before
            made = scan.products(packing.pack(codes) if way == "packed" else codes, step, order)  # type: ignore[arg-type]
            exact = torch.einsum("kc,xnc->kxn", weights.double(), values[0].double()) * scale[0].double()
            assert torch.allclose(made.double(), exact, rtol=1e-6, atol=0), (columns, width, n)


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_a_layer_of_few_channels_is_searched_exactly_from_int8_codes(channels: int, tmp_path: object) -> None:
    rng = np.random.default_rng(channels)
    features = rng.standard_normal((9, channels, 5, 3)).astype(np.float32)
    ids = [f"{i}" for i in range(9)]
    store = store_from_arrays({"one": features}, out=f"{tmp_path}/few.zarr", image=ids, dtype="float32")
    mask = np.array([[1, 0.5], [0, 1]], np.float32)
    engine = RegionSearch(store, "one", scan="int8")
    full = np.zeros((5, 3), np.float32)
    full[1:3, :2] = mask
    query = RegionQuery.from_mask(store.feature("one", "4"), full, image_id="4", spec=engine.spec)
    result = engine.search(query, k=8)
    best = brute.all_windows(features, features[4][:, 1:3, :2], mask).reshape(9, -1).max(1)
    order = sorted((i for i in range(9) if i != 4), key=lambda i: (-best[i], i))
    np.testing.assert_allclose(result["score"].values, best[order], atol=1e-6)
