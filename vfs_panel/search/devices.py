"""The devices a search runs on: which there are, how much memory they have left, and how that is said."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from vfs_panel.cores import cores
from vfs_panel.errors import OutOfMemoryError, QueryError


def pick_device(device: str) -> torch.device:
    """Return the torch device for "auto" (CUDA if there is one), "cpu", "cuda" or "cuda:N".

    Raises
    ------
    QueryError
        If there is no such device here.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError:
        raise QueryError(f"Device {device!r} is not known; use auto, cpu, cuda or cuda:N.") from None
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        raise QueryError(f"Device {device!r} is not here: {torch.cuda.device_count()} CUDA devices found. Use cpu.")
    return chosen


def free_memory_mb(device: torch.device) -> float:
    """Return how much memory may still be taken on a device, in MB; a guess of 4 GB where the system does not say."""
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0]) / 1e6
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            fields = dict(line.split(":", 1) for line in lines)
        return float(fields["MemAvailable"].split()[0]) * 1024 / 1e6
    except (OSError, KeyError, ValueError, IndexError):
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2e6  # half of all there is
    except (AttributeError, OSError, ValueError):
        return 4096.0


@contextmanager
def memory_said(what: str) -> Iterator[None]:
    """Say in words that memory, of the machine or of a GPU, ran out for something.

    Raises
    ------
    OutOfMemoryError
        With how to mend it.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:  # torch raises RuntimeError on a CPU, and a kind of it on a GPU
        if isinstance(error, RuntimeError) and "memory" not in str(error):
            raise
        raise OutOfMemoryError(
            f"There was not enough memory for {what}. Set VFS_MEMORY_MB to less, so that features take less of it, or "
            "close other programs."
        ) from None


def device_words(device: torch.device) -> str:
    """Return where a search runs, as in "on the CPU (2 cores)"."""
    if device.type == "cuda":
        return f"on the GPU ({torch.cuda.get_device_name(device)})"
    return f"on the CPU ({cores()} {'core' if cores() == 1 else 'cores'})"
