"""The fused kernel finds what the plain path finds: in Triton's interpreter everywhere, on a GPU where there is one.

The interpreter must be switched on before Triton is loaded, by whichever test does that first. So this file runs itself
in a process of its own, all cases at once, and the tests look at what came of each.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from vfs_panel.errors import QueryError
from vfs_panel.search import fused, kernels
from vfs_panel.search.codes import Codes, Columns, ScanType, empty_codes, encode, make_columns

ROOT = Path(__file__).parents[2]
CASES: dict[str, Callable[[torch.device], None]] = {}


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
    near = 1e-5 if best.is_cuda else 2e-6  # tensor cores cut off what they add, instead of rounding it
    for number, scores in enumerate(plain(*arrays, columns, floors, compatible=compatible)):
        torch.testing.assert_close(best[number].double(), scores.amax(1), atol=near, rtol=0)
        # Two windows may be nearer to one another than rounding; the one that was found must be among the best.
        torch.testing.assert_close(scores.gather(1, at[number][:, None])[:, 0], scores.amax(1), atol=near, rtol=0)


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
    # Features of ±1 and weights of ±1/8 or ±1/4, so that no sum is rounded, in whatever order it is made.
    patch = torch.randint(0, 2, (4, 4, 1, 16)) * 2.0 - 1
    places = torch.zeros(9, 9, 2, 16)
    for row, col in ((5, 0), (1, 5), (5, 5)):
        places[row : row + 4, col : col + 4] = patch
    for scan in ("float32", "float16", "bfloat16", "int8"):
        queries = [
            kernels.make_kernel(patch[:h, :w, 0].permute(2, 0, 1), torch.ones(h, w))
            for h, w in ((2, 2), (1, 4), (1, 1))
        ]
        columns = make_columns(queries, scan, device)
        codes = empty_codes(2, (16, 9, 9), scan, device)
        encode(patch[:1, :1].expand(9, 9, 2, 16).contiguous().to(device), codes)
        assert (fused.fused_best(*pictures_first(codes), columns, [0.0] * 3)[1] == 0).all()
        encode(places.to(device), codes)
        best, at = fused.fused_best(*pictures_first(codes), columns, [0.0] * 3)
        torch.testing.assert_close(best, torch.ones_like(best), atol=1e-6, rtol=0)
        assert at.tolist() == [[1 * width + 5] * 2 for width in (8, 6, 9)]


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


def test_a_region_larger_than_the_grid_is_refused() -> None:
    codes, columns = made("float32", (8, 3, 4), 2, masks((2, 2), (4, 2)), torch.device("cpu"))
    with pytest.raises(QueryError, match="4×2 cells"):
        fused.fused_best(*pictures_first(codes), columns, [0.0, 0.0])


def test_arrays_that_lie_otherwise_are_refused() -> None:
    pytest.importorskip("triton")
    codes, columns = made("int8", (8, 3, 4), 2, masks((2, 2)), torch.device("cpu"))
    values, scale, norm2 = pictures_first(codes)
    assert scale is not None
    with pytest.raises(ValueError, match="evenly"):
        fused.fused_best(values.transpose(2, 3).contiguous().transpose(2, 3), scale, norm2, columns, [0.0])
    with pytest.raises(ValueError, match="evenly"):
        fused.fused_best(values[:, :, :3], scale[:, :, :3], norm2[:, :, :3], columns, [0.0])
    with pytest.raises(ValueError, match="not one layout"):
        fused.fused_best(values, scale, norm2[:1].expand(2, 3, 4), columns, [0.0])


def test_without_triton_or_a_gpu_it_is_not_available(monkeypatch: pytest.MonkeyPatch) -> None:
    if os.environ.get("TRITON_INTERPRET") != "1":
        assert not fused.available(torch.device("cpu"))
    monkeypatch.setattr(fused, "triton", None)
    assert not fused.available(torch.device("cpu"))
    assert not fused.available(torch.device("cuda"))


def test_the_module_loads_where_triton_is_missing() -> None:
    script = (
        "import sys; sys.modules['triton'] = None; from vfs_panel.search import fused; assert fused._kernel is None"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT)


def test_the_bytes_of_a_pass() -> None:
    codes, _ = made("int8", (8, 3, 4), 5, masks((1, 1)), torch.device("cpu"))
    assert fused.fused_bytes(*pictures_first(codes)) == 5 * 12 * (8 + 4 + 4)
    codes, _ = made("float16", (8, 3, 4), 5, masks((1, 1)), torch.device("cpu"))
    assert fused.fused_bytes(*pictures_first(codes)) == 5 * 12 * (16 + 4)


def build(scan: ScanType, grid: tuple[int, int, int], columns: int) -> dict[str, object]:
    """Build the kernel for an H100, which needs none: shared memory, registers and stack, and what it multiplies by."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    types = {"float32": "*fp32", "float16": "*fp16", "bfloat16": "*bf16", "int8": "*i8"}
    constants = fused._tiles(getattr(torch, scan), grid, columns) | {"WIDEN": False, "COMPATIBLE": False, "EPS": 1e-5}
    names = [name for name in fused._kernel.arg_names if name not in constants]
    integers = {"shifts": "*i32", "windows": "*i32", "at": "*i64"}
    integers |= dict.fromkeys(("n", "picture_step", "cell_step", "columns", "kernels"), "i32")
    signature = dict.fromkeys(names, "*fp32") | integers | {"values": types[scan], "weights": types[scan]}
    aligned = {(names.index(name),): [["tt.divisibility", 16]] for name in ("values", "weights", "scratch")}
    source = ASTSource(fused._kernel, signature | dict.fromkeys(constants, "constexpr"), constants, aligned)
    built = triton.compile(source, target=GPUTarget("cuda", 90, 32), options=fused._OPTIONS)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "fused.cubin"
        file.write_bytes(built.asm["cubin"])
        tool = [triton.knobs.nvidia.cuobjdump.path, "--dump-resource-usage", str(file)]
        usage = subprocess.run(tool, check=True, capture_output=True, text=True).stdout
    found: dict[str, object] = {
        name: int(re.findall(rf"\b{name}:(\d+)", usage)[-1]) for name in ("REG", "STACK", "LOCAL")
    }
    multiplies = [word for word in ("wgmma.mma_async", "mma.sync", "tf32") if word in built.asm["ptx"]]
    return found | {"shared": built.metadata.shared, "multiplies": multiplies}


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


def _run(what: str, **environment: str) -> dict[str, Any]:
    """Run this file in a process of its own, and return what it reports."""
    paths = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, __file__, what],
        env=os.environ | {"PYTHONPATH": paths} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return report


@pytest.fixture(scope="module")
def interpreted() -> dict[str, str]:
    pytest.importorskip("triton")
    return _run("interpret", TRITON_INTERPRET="1")


@pytest.mark.parametrize("name", CASES)
def test_equal_to_the_plain_path(name: str, interpreted: dict[str, str]) -> None:
    assert not interpreted[name], interpreted[name]


MOST_SPILLED = 16  # bytes of a thread
BUILDS: list[tuple[ScanType, tuple[int, int, int], int]] = [
    ("int8", (512, 7, 7), 9),
    ("int8", (1000, 13, 13), 64),
    ("bfloat16", (512, 7, 7), 64),
    ("float16", (3, 28, 28), 200),
    ("float32", (512, 7, 7), 9),
    ("float32", (512, 7, 7), 64),
]


def test_it_builds_for_an_h100_and_three_programs_fit_on_a_multiprocessor(tmp_path: Path) -> None:
    pytest.importorskip("triton.backends.nvidia")
    report = _run("build", TRITON_INTERPRET="0", TRITON_CACHE_DIR=str(tmp_path))
    assert len(report) == len(BUILDS)
    for name, built in report.items():
        # Triton 3.8 lays two registers of one float32 build aside; more would mean that the kernel has grown too large.
        assert max(built["STACK"], built["LOCAL"]) <= MOST_SPILLED, f"{name} spills registers"
        assert built["REG"] * 128 * fused._PROGRAMS <= 65_536, name
        assert (built["shared"] + 1024) * fused._PROGRAMS <= 228 * 1024, name
        assert built["multiplies"] == ([] if name.startswith("float32") else ["wgmma.mma_async"]), name


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", CASES)
def test_equal_to_the_plain_path_on_a_gpu(name: str) -> None:
    if not fused.available(torch.device("cuda")):
        pytest.skip("no Triton, or too old a GPU")
    torch.manual_seed(0)
    CASES[name](torch.device("cuda"))


if __name__ == "__main__":
    if sys.argv[1] == "build":
        print(json.dumps({f"{scan} {grid} {columns}": build(scan, grid, columns) for scan, grid, columns in BUILDS}))
    else:
        print(json.dumps(run_all(torch.device("cpu"))))
