"""How fast this machine scans: what an engine times at load, and picks by."""

import time
from typing import TYPE_CHECKING

import torch

from vfs_panel.search import kernels
from vfs_panel.search.codes import Codes, ScanType, empty_codes, encode, make_columns
from vfs_panel.search.packing import PackedCodes, available, pack
from vfs_panel.search.scan import ORDERS, Order, make_plan, scan_slab
from vfs_panel.search.tiers import load, spans_within
from vfs_panel.search.workers import spread

if TYPE_CHECKING:
    from vfs_panel.features.store import FeatureStore

CELLS_TIMED = (1, 4, 9, 25)  # painted cells that an engine times the orders for
_TIMED_MB = 8.0


def time_scan(
    codes: Codes | PackedCodes,
    grid: tuple[int, int, int],
    cells: int,
    scan_type: ScanType,
    order: Order = "columns first",
    *,
    rounds: int = 3,
) -> float:
    """Return the seconds per picture of a scan on one core, with a square of painted cells: the best of some rounds."""
    channels, height, width = grid
    h = min(height, max(1, round(cells**0.5)))
    w = min(width, max(1, round(cells / h)))
    kernel = kernels.make_kernel(torch.ones(channels, h, w), torch.ones(h, w))
    columns = make_columns([kernel], scan_type, codes.norm2.device)
    plan = make_plan(columns, grid, len(codes))

    def rounds_of(_: slice) -> float:
        best = float("inf")
        for turn in range(rounds + 1):
            start = time.perf_counter()
            scan_slab(codes, columns, plan, [0.0], count=1, compatible=False, order=order)
            if turn:  # the first one warms up
                best = min(best, time.perf_counter() - start)
        return best / len(codes)

    return next(spread(rounds_of, [slice(0, len(codes))]))


def timed_pictures(grid: tuple[int, int, int]) -> int:
    """Return how many pictures of a grid (channel, y, x) a timing takes: some MB, at least eight."""
    channels, y, x = grid
    return max(8, int(_TIMED_MB * 1e6 / (channels * y * x)))


def faster_packed(codes: Codes, grid: tuple[int, int, int]) -> bool:
    """Return whether packing speeds up the scan of int8 codes, by a timing of about nine painted cells."""
    if not available():
        return False
    packed = time_scan(pack(codes), grid, 9, "int8")
    return packed < min(time_scan(codes, grid, 9, "int8", order) for order in ORDERS)


def fastest_scan(codes: Codes, grid: tuple[int, int, int], cells: int, scan_type: ScanType) -> float:
    """Return the seconds per picture that one core takes for so many painted cells, in the way that suits it best."""
    ways = [time_scan(codes, grid, cells, scan_type, order) for order in ORDERS]
    if scan_type == "int8" and available():
        ways.append(time_scan(pack(codes), grid, cells, scan_type))
    return min(ways)


def sample_codes(store: "FeatureStore", layer: str, rows: slice, device: torch.device, scan_type: ScanType) -> Codes:
    """Return codes of a few pictures, for timing."""
    grid = store.spec(layer).grid
    span = spans_within(store, layer, rows)[0]
    span = slice(span.start, min(span.stop, span.start + timed_pictures(grid)))
    features = load(store.read(layer, span), device)
    codes = empty_codes(features.shape[2], grid, scan_type, device)
    encode(features, codes)
    return codes
