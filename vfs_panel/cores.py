"""How many cores this process may use: as PyTorch found it, before any of our threads was told to use just one.

PyTorch's own count cannot be asked later: it is that of the thread that asks, and a thread that sets its own also sets
what threads get that start after it.
"""

import threading

_lock = threading.Lock()
_cores: int | None = None


def cores() -> int:
    """Return the number of cores: PyTorch's threads, as OMP_NUM_THREADS or the machine give them."""
    global _cores  # noqa: PLW0603 - one number per process
    with _lock:
        if _cores is None:
            import torch

            _cores = max(1, torch.get_num_threads())
        return _cores


def use_cores(count: int) -> None:
    """Use so many cores from now on, in pools that have not started yet too."""
    global _cores  # noqa: PLW0603
    import torch

    with _lock:
        _cores = max(1, count)
        torch.set_num_threads(_cores)


def use_one_core() -> None:
    """Have this thread's operations use one core: threads side by side wait for each other less than threads within."""
    import torch

    cores()
    torch.set_num_threads(1)
