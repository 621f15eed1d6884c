"""The best window of every picture in one Triton kernel: the features are read once, and nothing else leaves the chip.

The int8 codes of 100,000 pictures of 512×7×7 are 2.5 GB, 0.75 ms at the 3.35 TB/s of an H100, while their products with
16 columns are 80 G operations, 0.05 ms of its tensor cores: reading is all that counts, and what the torch path writes
in between (codes as float32, products, sums, magnitudes) is several times that. Hence:

- Persistent programs, `_PROGRAMS` per multiprocessor, walk over groups of pictures of about `_GROUP_ROWS` cells
  together: for small grids several pictures fill a tile, for large ones a picture takes several.
- Tiles of 128 cells × 128 bytes of channels (16 KB; 8 KB of float32) stream through `tl.dot`, three deep. To keep the
  memory busy a multiprocessor must have 3.35 TB/s × 0.7 µs / 132 ≈ 18 KB on its way. Two tiles in flight in each of
  three programs are 96 KB (48 KB): one program may add up windows, or start a tile, while the others read. Built for an
  H100 that takes up to 72 KB of the 227 KB of shared memory per program, and up to 151 of 168 registers per thread.
- The products of a group, (column, cell) float32, go to a scratch of the program's own. It is written and read over and
  over, so it stays in the L2 cache (50 MB) as long as all scratches fit in there: `_SCRATCH_BYTES`. Features are read
  once, so they are to leave that cache first.
- Then the program adds the products of each window's cells, divides, and keeps the best. 25 columns on 7×7 are 225
  additions per picture, against 25 KB of features.

Without a GPU the kernel runs in Triton's interpreter (TRITON_INTERPRET=1, set before Triton is imported).
"""

from functools import lru_cache
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from vfs_panel.errors import QueryError
from vfs_panel.search.codes import Columns
from vfs_panel.search.kernels import REFERENCE_EPS
from vfs_panel.search.scan import BORDERLINE

try:
    import triton
    import triton.language as tl
except ImportError:  # it has no packages for macOS and Windows
    triton, tl = None, SimpleNamespace(constexpr=None)  # which lets the kernel be written down, but not run

__all__ = ["Columns", "available", "fused_best", "fused_bytes"]

MAX_COLUMNS = 64  # of one pass: their sums (128 × 64 float32) take 64 registers of each thread
_PROGRAMS = 3  # per multiprocessor
_GROUP_ROWS = 256
_TILE = 128  # cells, two wgmma of 64 rows; half of that for float32, whose operands go through registers
_TILE_BYTES = 128  # of channels: a line of the L2 cache
_OPTIONS = {
    "num_stages": 3,  # tiles that a program has room for
    "num_warps": 4,  # a warpgroup, as wgmma wants it
    "enable_fp_fusion": True,
}
_WINDOWS = 64  # looked at together
_SCRATCH_BYTES = 24 << 20  # half of the L2 cache
_SCRATCH_MOST = 1 << 30  # where one program per multiprocessor already has more: regions of thousands of cells
_INTERPRETED_PROGRAMS = 2  # two, so that each has several groups


def _fused(  # type: ignore[no-untyped-def]  # noqa: PLR0915 - one kernel
    values, scale, norm2, weights, column_scale, weights2, shifts, windows, floors, best, at, scratch,
    n, picture_step, cell_step, columns, kernels,
    CHANNELS: tl.constexpr, HEIGHT: tl.constexpr, WIDTH: tl.constexpr, PICTURES: tl.constexpr, SLOTS: tl.constexpr,
    PITCH: tl.constexpr, TILE: tl.constexpr, CHANNEL_TILE: tl.constexpr, COLUMN_TILE: tl.constexpr,
    COLUMN_ROOM: tl.constexpr, WINDOW_TILE: tl.constexpr, INTEGER: tl.constexpr, WIDEN: tl.constexpr,
    COMPATIBLE: tl.constexpr, EPS: tl.constexpr,
) -> None:  # fmt: skip
    """One program. Cells lie `cell_step`, pictures `picture_step` cells apart; `scratch` is (program, column, row).

    shifts (column,): how far a column's cell lies from its window's corner; windows (kernel, 4): first column, end, and
    how many rows and columns of windows there are; floors (kernel, 2): from where to where a magnitude is borderline.
    SLOTS is the power of 2 from PICTURES, those of a group; WIDEN: the interpreter cannot multiply bfloat16.
    """
    CELLS: tl.constexpr = HEIGHT * WIDTH
    program = tl.program_id(0)
    own = scratch + program.to(tl.int64) * (COLUMN_ROOM * PITCH)
    slot = tl.arange(0, SLOTS)
    for first in range(program * PICTURES, n, tl.num_programs(0) * PICTURES):
        for top in range(0, PICTURES * CELLS, TILE):
            row = top + tl.arange(0, TILE)
            picture = first + row // CELLS
            real = (row < PICTURES * CELLS) & (picture < n)
            cell = picture.to(tl.int64) * picture_step + (row % CELLS).to(tl.int64) * cell_step
            for left in range(0, COLUMN_ROOM, COLUMN_TILE):
                column = left + tl.arange(0, COLUMN_TILE)
                used = column < columns
                total = tl.zeros((TILE, COLUMN_TILE), tl.int32 if INTEGER else tl.float32)
                for start in range(0, CHANNELS, CHANNEL_TILE):
                    channel = start + tl.arange(0, CHANNEL_TILE)
                    some = channel < CHANNELS
                    features = tl.load(
                        values + cell[:, None] * CHANNELS + channel[None, :],
                        mask=real[:, None] & some[None, :],
                        other=0,
                        eviction_policy="evict_first",
                    )
                    weight = tl.load(
                        weights + column[None, :] * CHANNELS + channel[:, None],
                        mask=used[None, :] & some[:, None],
                        other=0,
                        eviction_policy="evict_last",
                    )
                    if WIDEN:
                        features, weight = features.to(tl.float32), weight.to(tl.float32)
                    total = tl.dot(features, weight, total, input_precision="ieee", out_dtype=total.dtype)
                product = total.to(tl.float32)
                if INTEGER:
                    product *= tl.load(scale + cell, mask=real, other=0)[:, None]
                    product *= tl.load(column_scale + column, mask=used, other=0)[None, :]
                # Columns apart, cells side by side: the windows beside one another read what lies side by side.
                tl.store(own + column[None, :] * PITCH + row[:, None], product, mask=(row < PICTURES * CELLS)[:, None])
        tl.debug_barrier()  # what one thread has written, others read
        picture = first + slot
        real = (slot < PICTURES) & (picture < n)
        out = picture.to(tl.int64)
        base = out * picture_step
        for kernel in range(kernels):
            begin, end = tl.load(windows + 4 * kernel), tl.load(windows + 4 * kernel + 1)
            across = tl.load(windows + 4 * kernel + 3)
            count = tl.load(windows + 4 * kernel + 2) * across
            low, high = tl.load(floors + 2 * kernel), tl.load(floors + 2 * kernel + 1)
            found = tl.full((SLOTS,), float("-inf"), tl.float32)
            place = tl.zeros((SLOTS,), tl.int32)
            for start in range(0, count, WINDOW_TILE):
                window = start + tl.arange(0, WINDOW_TILE)
                corner = window // across * WIDTH + window % across
                there = real[:, None] & (window < count)[None, :]
                total = tl.zeros((SLOTS, WINDOW_TILE), tl.float32)
                energy = tl.zeros((SLOTS, WINDOW_TILE), tl.float32)
                for number in tl.range(begin, end, loop_unroll_factor=4):  # so that several loads are on their way
                    cells = corner + tl.load(shifts + number)
                    total += tl.load(
                        own + number * PITCH + (slot[:, None] * CELLS + cells[None, :]), mask=there, other=0
                    )
                    squares = tl.load(
                        norm2 + (base[:, None] + cells.to(tl.int64)[None, :] * cell_step), mask=there, other=0
                    )
                    energy += squares * tl.load(weights2 + number)
                size = tl.sqrt_rn(energy)
                if COMPATIBLE:
                    score = tl.div_rn(total, size + EPS)
                else:
                    score = tl.where(size > low, tl.div_rn(total, tl.where(size > low, size, 1.0)), 0.0)
                    # The exact score may hold such a window for empty, and 0 may be more than what was found here.
                    score = tl.where((size <= high) & (score < 0), 0.0, score)
                # Codes that overflowed make infinities and NaN. Kept as +inf here, they win, and are given back as NaN.
                score = tl.where(tl.abs(score) < float("inf"), score, float("inf"))
                score = tl.where(there, score, float("-inf"))
                top_score, top_place = tl.max(score, 1, return_indices=True)  # the first of equals
                place = tl.where(top_score > found, start + top_place, place)
                found = tl.maximum(found, top_score)
            tl.store(best + out, tl.where(found == float("inf"), float("nan"), found), mask=real)
            tl.store(at + out, place.to(tl.int64), mask=real)
            out += n
        tl.debug_barrier()  # before the next group overwrites the scratch


_kernel: Any = None
if triton is not None:
    # Without what changes with every query or slab, one build does for a layer and a number of columns.
    _kernel = triton.jit(
        _fused,
        do_not_specialize=["n", "picture_step", "cell_step", "columns", "kernels"],
        do_not_specialize_on_alignment=[
            "scale", "norm2", "column_scale", "weights2", "shifts", "windows", "floors", "best", "at",
        ],
    )  # fmt: skip


def available(device: torch.device) -> bool:
    """Return whether the kernel runs on a device: an NVIDIA GPU since Ampere, or any while Triton interprets."""
    if triton is None:
        return False
    if triton.knobs.runtime.interpret:
        return True
    return device.type == "cuda" and torch.version.cuda is not None and torch.cuda.get_device_capability(device) >= (8,)


def fused_bytes(values: Tensor, scale: Tensor | None, norm2: Tensor) -> int:
    """Return the bytes that one pass must read at least: each array once."""
    return values.nbytes + norm2.nbytes + (0 if scale is None else scale.nbytes)


def fused_best(
    values: Tensor,
    scale: Tensor | None,
    norm2: Tensor,
    columns: Columns,
    floors: list[float],
    *,
    compatible: bool = False,
) -> tuple[Tensor, Tensor]:
    """Return every picture's best window under each of several kernels, in one pass per 64 columns.

    Parameters
    ----------
    values : Tensor, shape (n, y, x, channel), of the scan's type. Contiguous, or a view of `Codes` of the same or more
        pictures, as in codes.values.permute(2, 0, 1, 3).
    scale : Tensor, shape (n, y, x), float32: a value is its int8 code times its cell's scale; None for float types.
    norm2 : Tensor, shape (n, y, x), float32: squared length of every cell. Laid out as the values, like `scale`.
    columns : of the type and on the device of the values.
    floors : per kernel; windows of a magnitude not above it score 0, in units of the features. Where rounding may
        decide about that, a window scores 0 or its score, whichever is more.
    compatible : divide by magnitude + 1e-5 as visualfeaturesearch 1.0.0 does, instead of using the floors.

    Returns
    -------
    best : Tensor, shape (kernel, n), float32. NaN where codes have overflowed.
    at : Tensor, shape (kernel, n), int64: flat index of that window, the first in row order, among the kernel's
        (y-h+1) × (x-w+1) windows.

    Raises
    ------
    QueryError
        If the window of a kernel is larger than the grid.
    """
    n, height, width, channels = values.shape
    for h, w in columns.sizes:
        if h > height or w > width:
            raise QueryError(
                f"A region of {h}×{w} cells (height × width) does not fit in features of {height}×{width}; "
                "paint it on a picture with the layer's own grid."
            )
    best = torch.empty(columns.n_kernels, n, device=values.device)
    at = torch.empty(columns.n_kernels, n, dtype=torch.int64, device=values.device)
    if not n:
        return best, at
    steps = _steps(values, channels)
    for array in (norm2,) if scale is None else (norm2, scale):
        if _steps(array, 1) != steps:
            raise ValueError(
                f"strides {array.stride()} of norms or scales, {values.stride()} of values: not one layout"
            )
    interpreted = bool(triton.knobs.runtime.interpret)
    for first, last in _passes(columns.starts):
        own = slice(columns.starts[first], columns.starts[last])
        tiles = _tiles(values.dtype, (channels, height, width), own.stop - own.start)
        scratch = tiles["COLUMN_ROOM"] * tiles["PITCH"]
        programs = _INTERPRETED_PROGRAMS if interpreted else _resident(values.device, 4 * scratch)
        programs = min(programs, -(-n // tiles["PICTURES"]))
        with torch.cuda.device(values.get_device()):  # where Triton launches; -1 for the CPU, which changes nothing
            _kernel[programs,](
                values, norm2 if scale is None else scale, norm2,
                columns.weights[own], columns.weights2 if columns.scale is None else columns.scale[own],
                columns.weights2[own], *_tables(columns, first, last, (height, width), tuple(floors[first:last])),
                best[first:last], at[first:last], torch.empty(programs * scratch, device=values.device),
                n, *steps, own.stop - own.start, last - first,
                **tiles, WIDEN=interpreted and values.dtype == torch.bfloat16, COMPATIBLE=compatible, EPS=REFERENCE_EPS,
                **_OPTIONS,
            )  # fmt: skip
    return best, at


def _passes(starts: tuple[int, ...]) -> list[tuple[int, int]]:
    """First kernel and end of what is multiplied together: up to 64 columns, or one kernel that has more of its own."""
    cuts = [0]
    for kernel in range(1, len(starts) - 1):
        if starts[kernel + 1] - starts[cuts[-1]] > MAX_COLUMNS:
            cuts.append(kernel)
    return list(pairwise([*cuts, len(starts) - 1]))


def _steps(array: Tensor, unit: int) -> tuple[int, int]:
    """Return how many cells apart the pictures and the cells of an array (n, y, x, ...) lie."""
    (n, height, width), (picture, row, col) = array.shape[:3], array.stride()[:3]
    cell = col if width > 1 else row if height > 1 else unit
    picture = picture if n > 1 else unit
    if (
        (height > 1 and row != width * cell)
        or picture % unit
        or cell % unit
        or (array.ndim > 3 and array.stride(3) != 1)
    ):
        raise ValueError(f"strides {array.stride()} of {tuple(array.shape)}: cells must lie evenly, channels together")
    return picture // unit, cell // unit


def _tiles(dtype: torch.dtype, grid: tuple[int, int, int], columns: int) -> dict[str, Any]:
    """Return the sizes that the kernel is built for, of features (channel, y, x) and so many columns."""
    channels, height, width = grid
    cells, item = height * width, dtype.itemsize
    pictures = max(1, _GROUP_ROWS // cells)
    # A tensor core multiplies 16 columns at least; float32 is multiplied without, so fewer are less work.
    column_tile = min(MAX_COLUMNS, max(4 if item == 4 else 16, _power_of_2(columns)))
    return {
        "CHANNELS": channels, "HEIGHT": height, "WIDTH": width,
        "PICTURES": pictures, "SLOTS": _power_of_2(pictures), "PITCH": -(-pictures * cells // 32) * 32,
        "TILE": _TILE // 2 if item == 4 else _TILE,
        "CHANNEL_TILE": min(_TILE_BYTES, max(32, item * _power_of_2(channels))) // item,
        "COLUMN_TILE": column_tile, "COLUMN_ROOM": -(-columns // column_tile) * column_tile,
        "WINDOW_TILE": min(_WINDOWS, _power_of_2(cells)),
        "INTEGER": dtype == torch.int8,
    }  # fmt: skip


def _resident(device: torch.device, scratch: int) -> int:
    """Return how many programs run at a time, each with so many bytes of scratch: at least one per multiprocessor."""
    units = torch.cuda.get_device_properties(device).multi_processor_count
    return max(min(_PROGRAMS * units, _SCRATCH_BYTES // scratch), min(units, _SCRATCH_MOST // scratch), 1)


def _power_of_2(number: int) -> int:
    """Return the least power of 2 that is not less."""
    return 1 << (number - 1).bit_length()


@lru_cache(maxsize=8)  # the same for all slabs of a search: copying to a GPU waits for what it has to do before
def _tables(
    columns: Columns, first: int, last: int, grid: tuple[int, int], floors: tuple[float, ...]
) -> tuple[Tensor, Tensor, Tensor]:
    """Return what the kernel looks up about kernels `first` to `last`: shifts, windows and floors."""
    (height, width), starts, device = grid, columns.starts, columns.weights.device
    begin, end = starts[first], starts[last]
    shifts = [row * width + col for row, col in zip(columns.rows[begin:end], columns.cols[begin:end], strict=True)]
    windows = [
        (starts[k] - begin, starts[k + 1] - begin, height - columns.sizes[k][0] + 1, width - columns.sizes[k][1] + 1)
        for k in range(first, last)
    ]
    borders = [(floor * (1 - BORDERLINE), floor * (1 + BORDERLINE)) for floor in floors]
    return (
        torch.tensor(shifts, dtype=torch.int32, device=device),
        torch.tensor(windows, dtype=torch.int32, device=device),
        torch.tensor(borders, dtype=torch.float32, device=device),
    )
