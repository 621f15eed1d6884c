"""The products of the scan against float64, for as few channels as there can be and for sizes that fill no register."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.search import brute
from vfs_panel.features import store_from_arrays
from vfs_panel.search import RegionQuery, RegionSearch, packing, scan
from vfs_panel.search.codes import Codes, empty_codes, encode, make_columns
from vfs_panel.search.kernels import make_kernel
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


@given(
    grid=st.tuples(st.integers(1, 5), st.integers(1, 9), st.integers(1, 9)),
    seed=st.integers(0, 999),
    n_kernels=st.integers(1, 3),
    type_=st.sampled_from(["int8", "float32"]),
)
@settings(max_examples=40, deadline=None)
def test_windows_are_summed_by_a_matrix_as_one_by_one(
    grid: tuple[int, int, int], seed: int, n_kernels: int, type_: str
) -> None:
    """Single adds are the oracle of the small product that stands for many of them."""
    channels, height, width = grid
    generator = torch.Generator().manual_seed(seed)
    rng = np.random.default_rng(seed)
    kernels = []
    for _ in range(n_kernels):
        h, w = int(rng.integers(1, height + 1)), int(rng.integers(1, width + 1))
        mask = torch.rand(h, w, generator=generator).mul_(2).sub_(0.8).clamp_(0, 1)  # with holes
        mask[0, 0] = mask[-1, -1] = 1
        kernels.append(make_kernel(torch.randn(channels, h, w, generator=generator), mask))
    columns = make_columns(kernels, type_, torch.device("cpu"))  # type: ignore[arg-type]
    codes = empty_codes(6, grid, type_, torch.device("cpu"))  # type: ignore[arg-type]
    encode(torch.randn(height, width, 6, channels, generator=generator), codes)
    found, plans = [], []
    for waste, calls in ((10**6, 10**6), (0, 0)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(scan, "MOST_PER_ADD", waste)
            patch.setattr(scan, "CELLS_PER_ADD", calls)
            plan = scan.make_plan(columns, grid, 6)
        plans.append(plan)
        found.append(
            scan.scan_slab(codes, columns, plan, [0.0] * n_kernels, count=1, compatible=False, order="columns first")
        )
    assert all(part.matrix is not None for step in plans[0].steps for part in step.sums)
    assert all(part.matrix is None for step in plans[1].steps for part in step.sums)
    assert all(matrix is not None for matrix in plans[0].magnitudes)
    assert not any(matrix is not None for matrix in plans[1].magnitudes)
    torch.testing.assert_close(found[0].score, found[1].score, rtol=0, atol=1e-5)
