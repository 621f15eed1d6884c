"""Networks that are no PyTorch modules, made to look like one: their layers are taps that can be hooked.

A foreign network (an exported program, an ONNX graph, a function) knows its layers by name and can give their values
for a batch. `ForeignNetwork` is an nn.Module with one `Tap` per layer: a module that returns what it is given. A pass
runs the foreign network once, asks it for the layers whose taps have hooks and for no others, and sends each value
through its tap. So whatever hooks modules, as `list_layers` and `Extractor` do, needs to know of nothing else.

The taps hold no weights: those stay with the foreign network, which follows its batches from device to device. Hence
`state_dict` is empty, and `eval` and `to` change nothing.
"""

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vfs_panel.errors import NetworkError
from vfs_panel.images.preprocessing import Preprocessing

log = logging.getLogger(__name__)
OUTPUT = "output"
_RESIZE_TO_CROP = 256 / 224  # of ImageNet's preprocessing
_GREY_MEAN, _GREY_STD = (0.449,), (0.226,)  # the means of ImageNet's three


@dataclass(frozen=True, slots=True)
class Takes:
    """What batches a foreign network takes, shape (n, channel, y, x).

    Attributes
    ----------
    channels, height, width : where they are fixed, else None.
    least, most : pictures in a batch; `most` is None where there is no limit. Both are equal in a program that was
        made for batches of one size.
    dtype : of the values.
    """

    channels: int | None = None
    height: int | None = None
    width: int | None = None
    least: int = 1
    most: int | None = None
    dtype: torch.dtype = torch.float32


class Program(ABC):
    """A network that is no module.

    Attributes
    ----------
    layers : name -> kind of each layer that can be asked for, in the network's order.
    takes : the batches it takes.
    outputs : how many tensors it returns; they are layers too, `output`, `output.1`, … where these names are free.
    """

    layers: Mapping[str, str]
    takes: Takes
    outputs: int

    @abstractmethod
    def run(self, batch: Tensor, wanted: Collection[str]) -> tuple[dict[str, Tensor], list[Tensor]]:
        """Return the values of the wanted layers, batch first, and the network's outputs.

        Values are not changed by later operations. May raise RuntimeError, in the network's words, or NetworkError.
        """


class Tap(nn.Module):
    """A layer of a foreign network: returns the value it is given, for its hooks."""

    def forward(self, value: Tensor) -> Tensor:
        """Return the value."""
        return value

    def __reduce_ex__(self, _protocol: Any) -> Any:
        return _tap, (type(self).__name__,), self.__dict__


@cache
def _tap_class(kind: str) -> type[Tap]:
    # A class of its own, so that a list of layers shows Conv2d and not Tap.
    return type(kind, (Tap,), {"__doc__": Tap.__doc__})


def _tap(kind: str) -> Tap:
    return _tap_class(kind)()


class ForeignNetwork(nn.Module):
    """A foreign network as a module, whose submodules are taps.

    A network that takes batches of some size only is given such: larger batches in parts, smaller ones filled up with
    copies of their last picture, which are cut off its values. One that turns out to take one picture at a time, as
    a program traced with one picture may, is run picture by picture.

    Parameters
    ----------
    program : the network.
    name : for messages.
    reopen : makes the program again, for copies in other processes; None where the program itself can be pickled.
    """

    def __init__(self, program: Program, *, name: str, reopen: Callable[[], Program] | None = None) -> None:
        super().__init__()
        self.name, self.takes = name, program.takes
        self._program: Program | None = program
        self._reopen = reopen
        # What cannot be made again, as somebody's function, may not bear to be called by two threads at once.
        self.alone = reopen is None
        self.library = ""  # that runs it, if it is none of PyTorch's
        self._lock = threading.RLock()
        self._most = program.takes.most
        self._tried = False
        outputs = [OUTPUT if i == 0 else f"{OUTPUT}.{i}" for i in range(program.outputs)]
        self._outputs = [None if output in program.layers else output for output in outputs]
        # Straight into the dict: names may hold dots, which add_module refuses.
        for layer, kind in program.layers.items():
            self._modules[layer] = _tap(kind)
        for output in self._outputs:
            if output is not None:
                self._modules[output] = _tap("Output")
        self.eval()
        if program.takes.most is not None and program.takes.most == program.takes.least:
            size = program.takes.most
            log.warning(
                "%s was made for batches of %d; it runs in such, which can be slower. A dynamic batch takes any size.",
                name, size,
            )  # fmt: skip

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        del state["_lock"]
        if self._reopen is not None:
            state["_program"] = None
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self._lock = threading.RLock()

    def wanted(self) -> list[str]:
        """Return the layers whose taps have hooks."""
        return [n for n, m in self._modules.items() if m is not None and (m._forward_hooks or m._forward_pre_hooks)]

    def forward(self, batch: Tensor) -> Tensor | None:
        """Run the network, with the wanted layers through their taps, and return its first output.

        Raises
        ------
        ValueError
            If the batch has not the channels or the size that the network takes.
        RuntimeError, NetworkError
            As the network does.
        """
        self._check(batch)
        wanted = self.wanted()
        with self._lock:
            if self._program is None:
                assert self._reopen is not None
                self._program = self._reopen()
            values, output = self._in_time(batch.to(self.takes.dtype), wanted)
        for layer in wanted:
            tap = self._modules[layer]
            if tap is not None and layer in values:
                tap(values[layer])
        return output

    def _check(self, batch: Tensor) -> None:
        fixed = (self.takes.channels, self.takes.height, self.takes.width)
        if batch.ndim != 4 or any(f not in (None, got) for f, got in zip(fixed, batch.shape[1:], strict=True)):
            shape = "×".join("any" if size is None else str(size) for size in fixed)
            raise ValueError(f"it takes pictures of {shape} (channels, rows, columns) only")

    def _once(self, batch: Tensor, wanted: Sequence[str]) -> tuple[dict[str, Tensor], list[Tensor]]:
        assert self._program is not None
        inner = [layer for layer in wanted if layer not in self._outputs]
        values, outputs = self._program.run(batch, inner)
        named = {name: value for name, value in zip(self._outputs, outputs, strict=False) if name in wanted}
        return values | {name: value for name, value in named.items() if name is not None}, outputs

    def _in_time(self, batch: Tensor, wanted: Sequence[str]) -> tuple[dict[str, Tensor], Tensor | None]:
        """Run a batch at once, or in parts where the network takes no such batch."""
        if self._most is None and not self._tried and len(batch) > 1:
            whole = self._try_whole(batch, wanted)
            if whole is not None:
                self._tried = True
                return whole[0], next(iter(whole[1]), None)
            log.warning("%s takes one picture at a time, which is slower than batches.", self.name)
            self._most = 1
        return self._in_parts(batch, wanted, self._most or max(1, len(batch)))

    def _try_whole(self, batch: Tensor, wanted: Sequence[str]) -> tuple[dict[str, Tensor], list[Tensor]] | None:
        """Return a pass of a whole batch, or None if the network takes one picture at a time only."""
        try:
            found = self._once(batch, wanted)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            try:
                self._once(batch[:1], wanted)
            except RuntimeError:
                raise error from None
            return None
        rows = [len(output) for output in found[1][:1] if output.ndim]
        if rows and rows[0] != len(batch):
            # Sizes written into the program may make one row of several pictures: one picture tells.
            try:
                alone = self._once(batch[:1], ())[1][0]
            except RuntimeError:
                return found
            if alone.ndim and len(alone) == 1:
                return None
        return found

    def _in_parts(self, batch: Tensor, wanted: Sequence[str], most: int) -> tuple[dict[str, Tensor], Tensor | None]:
        parts = []
        for start in range(0, len(batch), most):
            part = batch[start : start + most]
            rows, size = len(part), max(len(part), self.takes.least)
            if size > rows:
                part = torch.cat([part, part[-1:].expand(size - rows, *part.shape[1:])])
            values, outputs = self._once(part, wanted)
            cut = {k: v[:rows] if v.ndim and len(v) == size else v for k, v in values.items()}
            parts.append((cut, [v[:rows] if v.ndim and len(v) == size else v for v in outputs[:1]]))
        if len(parts) == 1:
            return parts[0][0], next(iter(parts[0][1]), None)
        together = {name: _joined([values[name] for values, _ in parts]) for name in parts[0][0]}
        return together, _joined([outputs[0] for _, outputs in parts]) if parts[0][1] else None


def _joined(values: Sequence[Tensor]) -> Tensor:
    return torch.cat(list(values)) if values[0].ndim else values[0]


def all_tensors(output: Any) -> list[Tensor]:
    """Return the tensors in a network's output in order: itself, or of nested tuples, lists and mappings."""
    if isinstance(output, Tensor):
        return [output]
    values = output.values() if isinstance(output, Mapping) else output if isinstance(output, tuple | list) else ()
    return [tensor for value in values for tensor in all_tensors(value)]


def preprocessing_for(takes: Takes, given: Preprocessing | None, name: str) -> Preprocessing:
    """Return a preprocessing that makes what a network takes.

    By default it is ImageNet's. A fixed square size is cropped from the middle of a picture that is resized by 256/224
    of it; to a fixed size that is not square, pictures are stretched. A network of one channel gets grey pictures.

    Raises
    ------
    NetworkError
        If the network takes neither 1 nor 3 channels, or the given preprocessing does not fit.
    """
    if takes.channels not in (None, 1, 3):
        raise NetworkError(f"{name} takes pictures of {takes.channels} channels; expected 1 (grey) or 3 (RGB).")
    size = None if takes.height is None or takes.width is None else (takes.height, takes.width)
    if given is None:
        made = Preprocessing()
        if size is not None:
            scaled = round(size[0] * _RESIZE_TO_CROP) if size[0] == size[1] else size
            made = Preprocessing(resize_px=scaled, crop_px=size)
        if takes.channels == 1:
            made = Preprocessing(made.resize_px, made.crop_px, _GREY_MEAN, _GREY_STD)
        return made
    if takes.channels not in (None, len(given.mean)):
        raise NetworkError(
            f"{name} takes pictures of {takes.channels} channels, the preprocessing makes {len(given.mean)}. Give as "
            "many values of mean and std."
        )
    makes = given.crop_px or (given.resize_px if isinstance(given.resize_px, tuple) else None)
    if size is not None and makes != size:
        got = f"{makes[0]}×{makes[1]}" if makes else "various sizes"
        raise NetworkError(
            f"{name} takes pictures of {size[0]}×{size[1]} pixels only, the preprocessing makes {got}. Give "
            f"crop_px={size}."
        )
    return given


def file_stamp(path: Path) -> tuple[int, int]:
    """Return size and time of change of a file.

    Raises
    ------
    NetworkError
        If it is missing or no file.
    """
    try:
        if not path.is_file():
            what = "is a folder" if path.is_dir() else "does not exist"
            raise NetworkError(f"Network file {path} {what}. Give the file of a network.")
        found = path.stat()
    except OSError as error:
        raise NetworkError(f"Network file {path} cannot be read: {error.strerror}.") from None
    return found.st_size, found.st_mtime_ns


def check_unchanged(path: Path, stamp: tuple[int, int]) -> None:
    """Raise NetworkError if a file is not the one that a network was loaded from."""
    if file_stamp(path) != stamp:
        raise NetworkError(f"Network file {path} has changed since it was loaded. Load the network again.")


def one_line(error: BaseException, *, most: int = 160) -> str:
    """Return an error's words on one line."""
    words = " ".join(str(error).split())
    return (words[:most] or type(error).__name__).rstrip(".")
