"""Equal to the reference, and to brute force."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vfs_panel.search import kernels
from vfs_panel.search.mask import to_grid
from vfs_panel.search.query import RegionQuery

GOLDEN = np.load(Path(__file__).parent.parent / "golden" / "reference_scores.npz")
CASES = sorted({key.split("/")[0] for key in GOLDEN.files})


@pytest.mark.parametrize("case", CASES)
def test_equal_to_visualfeaturesearch(case: str) -> None:
    features = torch.from_numpy(GOLDEN[f"{case}/features"]).permute(0, 2, 3, 1).contiguous()
    mask = to_grid(GOLDEN[f"{case}/alpha"], GOLDEN[f"{case}/mask"].shape)
    np.testing.assert_allclose(mask, GOLDEN[f"{case}/mask"], atol=1e-6)
    query = RegionQuery.from_mask(GOLDEN[f"{case}/query"], mask)
    kernel = kernels.make_kernel(torch.from_numpy(query.features), torch.from_numpy(query.mask))
    scores = kernels.region_cosine(features, kernels.cell_norm2(features), kernel, compatible=True)
    best, y, x = (value[:, 0].numpy() for value in kernels.best_windows(scores, 1, kernel.size))
    np.testing.assert_allclose(best, GOLDEN[f"{case}/score"], atol=1e-5)
    assert (y == GOLDEN[f"{case}/y"]).all()
    assert (x == GOLDEN[f"{case}/x"]).all()


@st.composite
def searches(draw: st.DrawFn) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Features (n, y, x, c), query (c, h, w) and mask (h, w); signed, sparse, at any scale."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    height, width = draw(st.integers(1, 8)), draw(st.integers(1, 8))
    h, w = draw(st.integers(1, height)), draw(st.integers(1, width))
    n, channels = draw(st.integers(1, 4)), draw(st.integers(1, 9))
    scale = draw(st.sampled_from([1e-6, 1.0, 1e6]))
    features = rng.standard_normal((n, height, width, channels)) * scale
    query = rng.standard_normal((channels, h, w)) * scale
    if draw(st.booleans()):
        features, query = np.maximum(features, 0), np.maximum(query, 0.01 * scale)
    mask = rng.random((h, w)) * (rng.random((h, w)) < 0.7)
    mask[0, 0] = mask[-1, -1] = 1.0
    return tuple(torch.from_numpy(a.astype(np.float32)) for a in (features, query, mask))  # type: ignore[return-value]


def brute_force(features: torch.Tensor, query: torch.Tensor, mask: torch.Tensor) -> np.ndarray:
    d, q, m = features.double().numpy(), query.double().numpy(), mask.double().numpy()
    h, w = m.shape
    n, height, width, _ = d.shape
    result = np.zeros((n, height - h + 1, width - w + 1))
    for at in np.ndindex(*result.shape):
        window = d[at[0], at[1] : at[1] + h, at[2] : at[2] + w].transpose(2, 0, 1) * m
        size = np.linalg.norm(window) * np.linalg.norm(q * m)
        result[at] = (window * q * m).sum() / size if size else 0
    return result


@given(searches())
@settings(max_examples=80, deadline=None)
def test_equal_to_brute_force(case: tuple[torch.Tensor, torch.Tensor, torch.Tensor]) -> None:
    features, query, mask = case
    scores = kernels.region_cosine(features, kernels.cell_norm2(features), kernels.make_kernel(query, mask))
    np.testing.assert_allclose(scores.numpy(), brute_force(*case), atol=2e-6)
    assert scores.abs().max() <= 1 + 1e-6


def test_a_region_finds_itself_with_score_one_and_only_if_the_mask_weighs_both_sides() -> None:
    torch.manual_seed(0)
    features, mask = torch.rand(1, 6, 6, 12), torch.rand(3, 3)
    query = features[0, 2:5, 1:4].permute(2, 0, 1)
    kernel = kernels.make_kernel(query, mask)
    norm2 = kernels.cell_norm2(features)
    score = kernels.region_cosine(features, norm2, kernel)[0, 2, 1]
    assert float(score) == pytest.approx(1, abs=1e-6)
    one_sided = kernels.Kernel(kernel.weights, torch.ones_like(kernel.weights2), kernel.cells, kernel.size)
    assert float(kernels.region_cosine(features, norm2, one_sided)[0, 2, 1]) < 0.95


def test_a_shifted_picture_shifts_the_hit() -> None:
    torch.manual_seed(1)
    picture = torch.randn(1, 10, 10, 8)
    shifted = torch.roll(picture, (2, 3), (1, 2))
    kernel = kernels.make_kernel(picture[0, 1:4, 2:5].permute(2, 0, 1), torch.ones(3, 3))
    for features, place in ((picture, (1, 2)), (shifted, (3, 5))):
        scores = kernels.region_cosine(features, kernels.cell_norm2(features), kernel)
        _, y, x = kernels.best_windows(scores, 1, kernel.size)
        assert (int(y), int(x)) == place


def test_an_empty_window_scores_zero() -> None:
    features = torch.zeros(1, 4, 4, 5)
    kernel = kernels.make_kernel(torch.ones(5, 2, 2), torch.ones(2, 2))
    assert (kernels.region_cosine(features, kernels.cell_norm2(features), kernel) == 0).all()


def test_several_windows_of_a_picture_lie_apart() -> None:
    scores = torch.zeros(1, 9, 9)
    scores[0, 1, 1], scores[0, 1, 2], scores[0, 6, 6] = 0.9, 0.8, 0.7
    best, y, x = kernels.best_windows(scores, 2, (3, 3))
    assert best[0].tolist() == pytest.approx([0.9, 0.7])
    assert (y[0].tolist(), x[0].tolist()) == ([1, 6], [1, 6])
    best, _, _ = kernels.best_windows(torch.rand(1, 2, 2), 3, (5, 5))
    assert best[0, 1:].tolist() == [float("-inf")] * 2
