"""What a benchmark ran on, and how much memory a process holds."""

import os
import platform
from pathlib import Path
from typing import Any

import torch

from vfs_panel.cores import cores
from vfs_panel.search.devices import free_memory_mb, pick_device


def describe(device: str) -> dict[str, Any]:
    """Return what figures depend on: CPU, cores, memory, system, versions, GPU, and how busy the machine was.

    Parameters
    ----------
    device : "cpu" or "cuda"; the GPU is named only where it is used.

    Raises
    ------
    QueryError
        If there is no such device here.
    """
    chosen = pick_device(device)
    found: dict[str, Any] = {
        "cpu": _cpu_model(),
        "cores": cores(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "memory_gb": round(_memory_gb(), 1),
        "free_memory_gb": round(free_memory_mb(torch.device("cpu")) / 1e3, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "device": str(chosen),
        "gpu": None,
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }
    if chosen.type == "cuda":
        found["gpu"] = torch.cuda.get_device_name(chosen)
        found["gpu_memory_gb"] = round(torch.cuda.get_device_properties(chosen).total_memory / 1e9, 1)
    return found


def words(machine: dict[str, Any]) -> str:
    """Return a machine as one line."""
    busy = "" if machine["load"] is None else f", load {machine['load']} at the start"
    gpu = f"{machine['gpu']} ({machine['gpu_memory_gb']} GB)" if machine["gpu"] else "no GPU used"
    return (
        f"{machine['cpu']}, {machine['cores']} cores ({machine['cpu_capability']}), {machine['memory_gb']} GB memory, "
        f"{gpu}, {machine['system']}, Python {machine['python']}, torch {machine['torch']}{busy}"
    )


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _memory_gb() -> float:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
    except (AttributeError, OSError, ValueError):  # not on Windows
        return float("nan")


def memory_of_process(field: str) -> int | None:
    """Return VmRSS (memory held now) or VmHWM (the most held since `forget_peak`), in bytes; None off Linux."""
    try:
        lines = Path("/proc/self/status").read_text("ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:")), None)


def forget_peak() -> bool:
    """Let VmHWM start anew from what is held now; False where the system cannot."""
    try:
        Path("/proc/self/clear_refs").write_text("5", "ascii")
    except OSError:
        return False
    return True
