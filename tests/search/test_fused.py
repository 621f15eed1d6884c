"""The fused kernel finds what the plain path finds: in Triton's interpreter everywhere, and on a GPU where there is one.

The interpreter must be switched on before Triton is loaded, by whichever test does that first. So this file runs itself
in a process of its own, all cases at once, and the tests look at what came of each.
"""

import json
import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from vfs_panel.errors import QueryError
from vfs_panel.search import fused, kernels
from vfs_panel.search.codes import Codes, Columns, ScanType, empty_codes, encode, make_columns

ROOT = Path(__file__).parents[2]
CASES: dict[str, Callable[[torch.device], None]] = {}
Case = tuple[Codes, Columns]


def case(function: Callable[[torch.device], None]) -> Callable[[torch.device], None]:
    CASES[function.__name__] = function
    return function


def masks(*sizes: tuple[int, int], share: float = 1.0) -> list[Tensor]:
    """Masks of some sizes, with about that share of their cells painted, by weights in [0, 1]."""
    made = []
    for h, w in sizes:
        mask = torch.rand(h, w) * (torch.rand(h, w) < share)
        mask[0, 0], mask[-1, -1] = 0.7, 1.0
        made.append(mask)
    return made


def made(
    scan: ScanType, grid: tuple[int, int, int], n: int, painted: list[Tensor], device: torch.device
) -> tuple[Codes, Columns]:
    """Codes of random features and columns of random queries under masks."""
    channels, height, width = grid
    codes = empty_codes(n, grid, scan, device)
    encode(torch.randn(height, width, n, channels, device=device), codes)
    queries = [kernels.make_kernel(torch.randn(channels, *mask.shape), mask) for mask in painted]
    return codes, make_columns(queries, scan, device)


def pictures_first(codes: Codes) -> tuple[Tensor, Tensor | None, Tensor]:
    """Values, scale and norm2 with the pictures in front, contiguous."""
    scale = None if codes.scale is None else codes.scale.permute(2, 0, 1).contiguous()
    return codes.values.permute(2, 0, 1, 3).contiguous(), scale, codes.norm2.permute(2, 0, 1).contiguous()


def plain(
    values: Tensor, scale: Tensor | None, norm2: Tensor, columns: Columns, floors: list[float], *, compatible: bool
) -> list[Tensor]:
    """Scores of all windows by the plain path, in float64, of what the codes stand for: (n, windows) of each kernel."""
    features = values.double() if scale is None else values.double() * scale.double()[..., None]
    weights = columns.weights.double()
    if columns.scale is not None:
        weights = weights * columns.scale.double()[:, None]
    found = []
    for number, size in enumerate(columns.sizes):
        own = slice(columns.starts[number], columns.starts[number + 1])
        cells = tuple(zip(columns.rows[own], columns.cols[own], strict=True))
        kernel = kernels.Kernel(weights[own], columns.weights2[own].double(), cells, size)
        found.append(
            kernels.region_cosine(
                features, norm2.double(), kernel, floor=floors[number], compatible=compatible
            ).flatten(1)
        )
    return found


def compare(
    arrays: tuple[Tensor, Tensor | None, Tensor],
    columns: Columns,
    floors: list[float] | None = None,
    *,
    compatible: bool = False,
) -> None:
    floors = floors or [0.0] * columns.n_kernels
    best, at = fused.fused_best(*arrays, columns, floors, compatible=compatible)
    assert best.dtype == torch.float32
    assert at.dtype == torch.int64
    assert best.shape == at.shape == (columns.n_kernels, len(arrays[0]))
    for number, scores in enumerate(plain(*arrays, columns, floors, compatible=compatible)):
        torch.testing.assert_close(best[number].double(), scores.amax(1), atol=2e-6, rtol=0)
        # Two windows may be nearer to one another than rounding; the one that was found must be among the best.
        torch.testing.assert_close(scores.gather(1, at[number][:, None])[:, 0], scores.amax(1), atol=2e-6, rtol=0)


def _types(scan: ScanType) -> None:
    def check(device: torch.device) -> None:
        codes, columns = made(scan, (48, 5, 6), 11, masks((1, 1), (2, 3), (5, 6)), device)
        compare(pictures_first(codes), columns)

    CASES[scan] = check


def _grids(name: str, scan: ScanType, grid: tuple[int, int, int], n: int, painted: Callable[[], list[Tensor]]) -> None:
    def check(device: torch.device) -> None:
        codes, columns = made(scan, grid, n, painted(), device)
        compare(pictures_first(codes), columns)

    CASES[name] = check


for one in ("float32", "float16", "bfloat16", "int8"):
    _types(one)
_grids("1x1 grid, more pictures than a group", "float16", (20, 1, 1), 600, lambda: masks((1, 1)))
_grids("7x7 grid, groups left over", "int8", (64, 7, 7), 23, lambda: masks((3, 3), (1, 1)))
_grids("7x9 grid", "float16", (16, 7, 9), 9, lambda: masks((7, 2), (2, 9)))
_grids("13x13 grid, several windows tiles", "float32", (8, 13, 13), 3, lambda: masks((2, 2), (1, 13)))
_grids("28x28 grid, several tiles", "float16", (8, 28, 28), 3, lambda: masks((3, 2)))
_grids("channels 3", "int8", (3, 4, 4), 5, lambda: masks((2, 2)))
_grids("channels 160", "int8", (160, 3, 3), 5, lambda: masks((2, 2)))
_grids("channels 1000", "float16", (1000, 2, 2), 3, lambda: masks((1, 2)))
_grids("channels 37, float32", "float32", (37, 2, 2), 3, lambda: masks((1, 2)))
_grids("sparse mask", "float32", (16, 7, 7), 7, lambda: masks((6, 6), (7, 3), share=0.2))
_grids("one picture", "int8", (32, 7, 7), 1, lambda: masks((3, 3)))
_grids("one row", "float16", (16, 1, 5), 60, lambda: masks((1, 2)))
_grids("one column", "float16", (16, 5, 1), 60, lambda: masks((2, 1)))
_grids("one kernel of more columns than a pass", "int8", (32, 10, 10), 4, lambda: masks((9, 9)))
_grids("kernels of several passes", "float32", (8, 6, 6), 9, lambda: masks(*[(3, 3)] * 8, (6, 6), (1, 1), (6, 6)))
_grids("many kernels of one cell", "float16", (16, 3, 3), 9, lambda: masks(*[(1, 1)] * 70))


@case
def no_pictures(device: torch.device) -> None:
    codes, columns = made("int8", (8, 4, 4), 0, masks((2, 2), (1, 1)), device)
    best, at = fused.fused_best(*pictures_first(codes), columns, [0.0, 0.0])
    assert best.shape == at.shape == (2, 0)


@case
def codes_as_they_lie(device: torch.device) -> None:
    codes, columns = made("int8", (32, 4, 5), 40, masks((2, 2), (3, 1)), device)
    for part in (codes, codes[7:30], codes[3:4], codes[::3]):
        assert part.scale is not None
        views = part.values.permute(2, 0, 1, 3), part.scale.permute(2, 0, 1), part.norm2.permute(2, 0, 1)
        compare(views, columns)
        for mine, other in zip(
            fused.fused_best(*views, columns, [0.0, 0.0]),
            fused.fused_best(*pictures_first(part), columns, [0.0, 0.0]),
            strict=True,
        ):
            assert torch.equal(mine, other)


@case
def ties_go_to_the_first_window(device: torch.device) -> None:
    for scan in ("float32", "bfloat16", "int8"):
        codes, columns = made(scan, (24, 9, 9), 4, masks((2, 2), (1, 1), (3, 2)), device)
        encode(torch.randn(24, device=device).expand(9, 9, 4, 24), codes)
        _, at = fused.fused_best(*pictures_first(codes), columns, [0.0] * 3)
        assert (at == 0).all(), scan
    # The same cells at three places: whole numbers, so no sum is rounded.
    patch = torch.randint(-3, 4, (3, 3, 1, 24)).float()
    features = torch.zeros(9, 9, 2, 24)
    for row, col in ((5, 0), (1, 5), (5, 6)):
        features[row : row + 3, col : col + 3] = patch
    codes = empty_codes(2, (24, 9, 9), "float16", device)
    encode(features.to(device), codes)
    query = kernels.make_kernel(patch[:2, :2, 0].permute(2, 0, 1), torch.ones(2, 2))
    best, at = fused.fused_best(
        *pictures_first(codes), make_columns([query], "float16", device), [0.0]
    )
    torch.testing.assert_close(best.cpu(), torch.ones(1, 2), atol=1e-3, rtol=0)
    assert at.tolist() == [[1 * 8 + 5] * 2]


@case
def compatible_divides_as_the_reference_does(device: torch.device) -> None:
    codes, columns = made("float32", (16, 5, 5), 6, masks((2, 2), (1, 3)), device)
    tiny = empty_codes(6, (16, 5, 5), "float32", device)
    encode(codes.values * 1e-5, tiny)
    tiny.values[:, :, 2], tiny.norm2[:, :, 2] = 0, 0
    compare(pictures_first(tiny), columns, compatible=True)
    best, _ = fused.fused_best(*pictures_first(tiny), columns, [1e9, 1e9], compatible=True)
    assert (best[:, 2] == 0).all()
    assert (best[:, 3] > 0).all()
    assert best.max() < 0.9 * fused.fused_best(*pictures_first(tiny), columns, [0.0, 0.0])[0].max()


@case
def windows_not_above_the_floor_score_zero(device: torch.device) -> None:
    codes, columns = made("int8", (16, 6, 6), 12, masks((2, 2), (3, 3)), device)
    values, _, norm2 = arrays = pictures_first(codes)
    size = norm2.sqrt().median().item()
    compare(arrays, columns, [size, 2 * size])
    compare(arrays, columns, [1e9, 0.0])
    values[3], norm2[3] = 0, 0
    best, at = fused.fused_best(*arrays, columns, [0.0, 0.0])
    assert (best[:, 3] == 0).all()
    assert (at[:, 3] == 0).all()


@case
def a_borderline_window_scores_what_it_may_at_most(device: torch.device) -> None:
    codes, columns = made("float32", (16, 1, 1), 9, [torch.ones(1, 1)], device)
    arrays = pictures_first(codes)
    size = arrays[2].flatten().sqrt()
    free = fused.fused_best(*arrays, columns, [0.0])[0][0]
    assert free.min() < 0 < free.max()
    for number in range(9):
        at_floor = fused.fused_best(*arrays, columns, [size[number].item()])[0][0, number]
        assert at_floor == max(free[number].item(), 0.0)


@case
def overflowed_codes_are_unknown(device: torch.device) -> None:
    codes, columns = made("float16", (16, 6, 6), 5, masks((2, 2), (1, 1)), device)
    features = codes.values.float()
    features[1, 1, 2, 4], features[2, 3, 3] = 1e6, -1e6
    encode(features, codes)
    best, at = fused.fused_best(*pictures_first(codes), columns, [0.0, 0.0])
    assert best.isnan().all(0).tolist() == [False, False, True, True, False]
    assert best.isfinite().all(0).tolist() == [True, True, False, False, True]
    assert ((at >= 0) & (at < 36)).all()


def run_all(device: torch.device) -> dict[str, str]:
    """Run the cases: what went wrong in each, or nothing."""
    report = {}
    for name, check in CASES.items():
        torch.manual_seed(0)
        try:
            check(device)
            report[name] = ""
        except Exception:
            report[name] = traceback.format_exc()
    return report


@pytest.fixture(scope="module")
def interpreted() -> dict[str, str]:
    pytest.importorskip("triton")
    paths = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = os.environ | {"TRITON_INTERPRET": "1", "PYTHONPATH": paths}
    done = subprocess.run([sys.executable, __file__], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    report: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return report


@pytest.mark.parametrize("name", CASES)
def test_equal_to_the_plain_path(name: str, interpreted: dict[str, str]) -> None:
    assert not interpreted[name], interpreted[name]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", CASES)
def test_equal_to_the_plain_path_on_a_gpu(name: str) -> None:
    if not fused.available(torch.device("cuda")):
        pytest.skip("no Triton, or too old a GPU")
    torch.manual_seed(0)
    CASES[name](torch.device("cuda"))


if __name__ == "__main__":
    print(json.dumps(run_all(torch.device("cpu"))))
