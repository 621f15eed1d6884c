"""Products of painted cells with every picture, kept from one search for the next.

Under a pen, the cells of a region are mostly those of a moment ago; what changes is how much of each is painted, and
that is a factor. So a cell's product with every cell of every picture is worth keeping: while the pen stays on cells
that are known, a preview reads no features, it only weighs what is kept and adds.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from vfs_panel.search.tiers import cut

IDLE_S = 10.0  # what was not used for so long may make way for what will only perhaps be needed


class KeptProducts:
    """Room for the products of some columns with all pictures of a tier; those used longest ago make way.

    Parameters
    ----------
    grid : (y, x) of the features.
    n : pictures.
    step : pictures in one chunk.
    most_bytes : how much memory all of it may take; none of it is taken before it is needed.

    Attributes
    ----------
    spans : the pictures of each chunk.
    chunks : Tensors of shape (place, y, x, pictures of the chunk), float32.
    """

    def __init__(self, grid: tuple[int, int], n: int, step: int, most_bytes: float) -> None:
        height, width = grid
        self._places = int(max(0.0, most_bytes) // (4 * height * width * n)) if n else 0
        self.spans = cut(n, step)
        try:
            self.chunks = [torch.empty(self._places, height, width, span.stop - span.start) for span in self.spans]
        except RuntimeError:  # a system that sets aside all memory at once has not so much
            self._places, self.chunks = 0, []
        self._at: OrderedDict[bytes, int] = OrderedDict()
        self._when: dict[bytes, float] = {}
        self._free = iter(range(self._places))
        self._given_back: list[int] = []
        self._used = threading.Lock()

    def __len__(self) -> int:
        return self._places

    @contextmanager
    def using(self) -> Iterator[bool]:
        """Whether the caller may use it until the block ends; not while another search does."""
        may = self._places > 0 and self._used.acquire(blocking=False)
        try:
            yield may
        finally:
            if may:
                self._used.release()

    def missing(self, keys: Sequence[bytes]) -> list[int]:
        """Return which of some columns are not kept, by their numbers; of equal ones the first."""
        first = {key: number for number, key in reversed(list(enumerate(keys)))}
        return sorted(number for key, number in first.items() if key not in self._at)

    def take(self, new: Sequence[bytes], beside: Sequence[bytes]) -> list[int]:
        """Give new columns places, of others if need be, but not of those `beside` which they are needed.

        A place holds nothing sensible before it is filled: `drop` it if it never is.
        """
        now = time.monotonic()
        for key in beside:
            if key in self._at:
                self._at.move_to_end(key)
                self._when[key] = now
        for key in new:
            self._at[key] = self._place()
            self._when[key] = now
        return self.places(new)

    def spare(self) -> int:
        """Return how many places are free, or hold what was not used for some seconds."""
        since = time.monotonic() - IDLE_S
        used = next((number for number, key in enumerate(self._at) if self._when[key] > since), len(self._at))
        return self._places - len(self._at) + used

    def _place(self) -> int:
        if self._given_back:
            return self._given_back.pop()
        place = next(self._free, None)
        if place is not None:
            return place
        key, place = self._at.popitem(last=False)
        del self._when[key]
        return place

    def places(self, keys: Sequence[bytes]) -> list[int]:
        """Return where columns are kept."""
        return [self._at[key] for key in keys]

    def drop(self, keys: Sequence[bytes]) -> None:
        """Forget columns."""
        for key in keys:
            if key in self._at:
                self._given_back.append(self._at.pop(key))
                del self._when[key]


def keys_of(weights: Tensor) -> list[bytes]:
    """Return what tells columns (column, channel) of one type apart: their numbers."""
    return [row.tobytes() for row in weights.view(torch.uint8).numpy()]
