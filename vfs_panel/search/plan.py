"""Which tier an engine gets: from sizes, device, memory and what was timed on a small block."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from vfs_panel.cores import cores
from vfs_panel.errors import OutOfMemoryError, QueryError
from vfs_panel.search.codes import ITEM_BYTES, SCAN_TYPES, ScanType
from vfs_panel.search.devices import free_memory_mb, memory_said
from vfs_panel.search.resident import ResidentTier, resident_bytes
from vfs_panel.search.streamed import StreamedTier
from vfs_panel.search.tiers import Tier, spans_within
from vfs_panel.search.timing import fastest_scan, sample_codes
from vfs_panel.words import size_words

if TYPE_CHECKING:
    from vfs_panel.features.store import FeatureStore

STORED = "stored"
FAST_MS = 20.0  # a float32 scan this fast is preferred: every picture's score is then exact, not the matches' only
KEPT_MB, KEPT_PART = 1500.0, 4  # products kept between previews may take so much, or a quarter of what the codes take
SHARE_OF_FREE = 0.5  # of the free memory that an engine takes without being told


@dataclass(frozen=True, slots=True)
class Plan:
    """What an engine holds.

    Attributes
    ----------
    scan_type : type of the codes in memory; None: nothing is held, features are streamed.
    reason : why, in words.
    room_mb : how much memory may be taken.
    predicted_ms : what a scan is expected to take in each type that was timed, for a region of typical size.
    """

    scan_type: ScanType | None
    reason: str
    room_mb: float = 0.0
    predicted_ms: dict[str, float] = field(default_factory=dict)


def make_plan(
    store: "FeatureStore", layer: str, rows: slice, device: torch.device, memory_mb: float | None, asked: str
) -> Plan:
    """Choose the fastest type of codes that fits into memory.

    Parameters
    ----------
    rows : the rows of the store that are to be held.
    memory_mb : how much they may take; None for half of what is free.
    asked : "auto", or the type to use whatever the timing says, or "stored" to hold nothing.

    Raises
    ------
    QueryError
        If the type is not known.
    """
    if asked == STORED:
        return Plan(None, "as asked")
    if asked != "auto" and asked not in SCAN_TYPES:
        raise QueryError(f"scan is {asked!r}; it must be auto, {STORED}, {', '.join(SCAN_TYPES)}.")
    room_mb = memory_mb if memory_mb is not None else free_memory_mb(device) * SHARE_OF_FREE
    candidates = [t for t in SCAN_TYPES if asked in ("auto", t) and (asked == t or _sensible(t, store, layer, device))]
    if not store.rows_alone(layer):
        candidates = ["float32"]  # scoring again would decode a whole block per picture
    fits = [t for t in candidates if resident_bytes(store, layer, rows, t) <= room_mb * 1e6]
    if not fits:
        least = size_words(min(resident_bytes(store, layer, rows, t) for t in candidates))
        return Plan(None, f"in memory they would need {least}, and {size_words(room_mb * 1e6)} may be used")
    if len(fits) == 1 or device.type != "cpu" or not spans_within(store, layer, rows):
        chosen = fits[-1] if device.type == "cpu" else fits[0]
        left_out = [t for t in candidates if t not in fits]
        reason = f"{left_out[0]} would need {_need(store, layer, rows, left_out[0])}" if left_out else ""
        return Plan(chosen, reason, room_mb)
    channels, height, width = store.spec(layer).grid
    typical = max(1, round(0.18 * height * width))  # a stroke over some 40 % of the picture's width
    n = rows.stop - rows.start
    predicted: dict[str, float] = {}
    for scan_type in fits:
        codes = sample_codes(store, layer, rows, device, scan_type)
        seconds = fastest_scan(codes, (channels, height, width), typical, scan_type)
        predicted[scan_type] = round(seconds * n / cores() * 1e3, 1)
    chosen = min(fits, key=lambda t: predicted[t])
    if predicted.get("float32", FAST_MS) < FAST_MS:
        chosen = "float32"
    others = ", ".join(f"{t} {ms:.0f} ms" for t, ms in predicted.items() if t != chosen)
    return Plan(chosen, f"about {predicted[chosen]:.0f} ms a search; {others}", room_mb, predicted)


def _sensible(scan_type: ScanType, store: "FeatureStore", layer: str, device: torch.device) -> bool:
    """Half precision as stored is exact on a GPU; on a CPU bfloat16 and int8 have products of their own."""
    if device.type == "cpu":
        return scan_type != "float16"
    stored = store.spec(layer).dtype
    return scan_type == "int8" or scan_type == ("float16" if ITEM_BYTES.get(stored) == 2 else "float32")


def _need(store: "FeatureStore", layer: str, rows: slice, scan_type: ScanType) -> str:
    return size_words(resident_bytes(store, layer, rows, scan_type))


def make_tier(
    store: "FeatureStore",
    layer: str,
    rows: slice,
    device: torch.device,
    memory_mb: float | None,
    asked: str,
    keep_mb: float | None = None,
) -> tuple[Tier, Plan]:
    """Plan, and load what was planned; where memory runs out after all, stream. `keep_mb`: as of `RegionSearch`."""
    plan = make_plan(store, layer, rows, device, memory_mb, asked)
    if plan.scan_type is not None:
        try:
            with memory_said(plan.scan_type):
                held = resident_bytes(store, layer, rows, plan.scan_type)
                most = max(KEPT_MB * 1e6, held / KEPT_PART) if keep_mb is None else keep_mb * 1e6
                kept = min(plan.room_mb * 1e6 - held, most)
                return ResidentTier(store, layer, rows, device, plan.scan_type, kept_bytes=kept), plan
        except OutOfMemoryError:
            plan = Plan(None, f"there was no memory for {plan.scan_type}", predicted_ms=plan.predicted_ms)
    return StreamedTier(store, layer, rows, device), plan
