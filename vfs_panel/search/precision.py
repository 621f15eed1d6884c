"""float32 products that are float32: TF32 and bfloat16 in their place would break the certified bounds."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

IEEE = "ieee"
_lock = threading.Lock()
_inside = 0
_before: list[str] = []


def _settings() -> list[object]:
    """What decides about float32 products, on a GPU and on a CPU, of this PyTorch."""
    found = [getattr(part, "matmul", None) for part in (torch.backends.cuda, torch.backends.mkldnn)]
    return [part for part in found if hasattr(part, "fp32_precision")]


@contextmanager
def full_precision() -> Iterator[None]:
    """Multiply float32 as float32 meanwhile, whatever the process has chosen; that choice comes back afterwards.

    The choice is the process's, not the thread's: the last search that ends restores it.
    """
    global _inside  # noqa: PLW0603
    with _lock:
        if _inside == 0:
            _before[:] = [part.fp32_precision for part in _settings()]  # type: ignore[attr-defined]
            for part, value in zip(_settings(), _before, strict=True):
                if value != IEEE:
                    part.fp32_precision = IEEE  # type: ignore[attr-defined]
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                for part, value in zip(_settings(), _before, strict=True):
                    if value != IEEE:
                        part.fp32_precision = value  # type: ignore[attr-defined]
