"""Programs of torch.export (.pt2) as foreign networks, with the layers and names of the network they came from."""

import logging
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vfs_panel.errors import NetworkError
from vfs_panel.models.foreign import Program, Takes, all_tensors, check_unchanged, file_stamp, one_line
from vfs_panel.models.grid import first_tensor
from vfs_panel.models.zoo import weights_hash

_CALL = re.compile(r"@\d+(?=\.|$)")  # of a module's second and later calls


class ExportedProgram(Program):
    """A .pt2 file. Sizes that it was exported with stay as they are.

    Parameters
    ----------
    path : the file, whose code is trusted (see `load_program`).

    Attributes
    ----------
    sha256 : hash of its weights, that of the network it came from.

    Raises
    ------
    NetworkError
        If the file cannot be read, or its program takes something else than one batch of pictures.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._stamp = path, file_stamp(path)
        program = _load(path)
        self.takes = _takes(program, path)
        self.outputs = len(program.graph_signature.user_outputs)
        self._device = next((t.device for t in program.state_dict.values()), torch.device("cpu"))
        self._module = _unflatten(program, path)
        self.sha256 = weights_hash(self._module)
        self._calls: dict[str, list[str]] = {}
        self.layers: dict[str, str] = {}
        called = set(_called(self._module))
        for name, module in self._module.named_modules():
            if name in called:
                layer = _CALL.sub("", name)
                self._calls.setdefault(layer, []).append(name)
                self.layers.setdefault(layer, _kind(module))

    def run(self, batch: Tensor, wanted: Collection[str]) -> tuple[dict[str, Tensor], list[Tensor]]:
        """Return values, as hooks of the original network would see them, and outputs."""
        self._move(batch.device)
        values: dict[str, Tensor] = {}
        modules = dict(self._module.named_modules())

        def keeping(layer: str) -> Any:
            def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
                tensor = first_tensor(output)
                if tensor is not None:
                    values[layer] = tensor.clone()  # a later operation may change it in place

            return hook

        handles = [
            modules[call].register_forward_hook(keeping(layer)) for layer in wanted for call in self._calls[layer]
        ]
        try:
            # Contiguous, as it was exported: a view written into the program fits no other order in memory.
            output = self._module(batch.contiguous())
        except torch.OutOfMemoryError:
            raise
        except Exception as error:
            raise RuntimeError(one_line(error)) from None
        finally:
            for handle in handles:
                handle.remove()
        return values, all_tensors(output)

    def _move(self, device: torch.device) -> None:
        if device == self._device:
            return
        from torch.export.passes import move_to_device_pass

        # Devices are written into the program as well, so it is read once more rather than kept twice.
        check_unchanged(self._path, self._stamp)
        self._module = _unflatten(move_to_device_pass(_load(self._path), device), self._path)
        self._device = device


def _load(path: Path) -> Any:
    try:
        with _no_log():
            return torch.export.load(path)
    except Exception as error:  # a program may be wrong in any way
        raise NetworkError(
            f"Network file {path} cannot be read as a program of torch.export: {one_line(error)}. Save one with "
            "torch.export.save."
        ) from None


def _unflatten(program: Any, path: Path) -> nn.Module:
    try:
        return torch.export.unflatten(program)
    except Exception as error:
        raise NetworkError(f"The layers of network file {path} cannot be told: {one_line(error)}.") from None


@contextmanager
def _no_log() -> Iterator[None]:
    """Keep PyTorch's log of a file it cannot read to itself: the error says it."""
    loggers = [logging.getLogger(name) for name in ("torch.export", "torch.export.pt2_archive._package")]
    before = [logger.disabled for logger in loggers]
    try:
        for logger in loggers:
            logger.disabled = True
        yield
    finally:
        for logger, disabled in zip(loggers, before, strict=True):
            logger.disabled = disabled


def _takes(program: Any, path: Path) -> Takes:
    names = program.graph_signature.user_inputs
    values = [node.meta.get("val") for node in program.graph.nodes if node.op == "placeholder" and node.name in names]
    if len(names) != 1 or len(values) != 1 or not isinstance(values[0], Tensor) or values[0].ndim != 4:
        shapes = ", ".join("×".join(map(str, getattr(value, "shape", ()))) or "no tensor" for value in values)
        raise NetworkError(
            f"Network file {path} takes {len(names)} inputs ({shapes or 'none'}), expected one batch of pictures, "
            "n×channels×rows×columns."
        )
    dtype = values[0].dtype
    if not dtype.is_floating_point:
        raise NetworkError(f"Network file {path} takes pictures of {dtype}, expected floats.")
    rows, *fixed = values[0].shape
    channels, height, width = (size if isinstance(size, int) else None for size in fixed)
    least: int | None = rows if isinstance(rows, int) else 1
    most: int | None = rows if isinstance(rows, int) else None
    if not isinstance(rows, int):
        limits = program.range_constraints.get(rows.node.expr)
        if limits is not None:
            least, most = _whole(limits.lower), _whole(limits.upper)
    return Takes(channels, height, width, max(1, least or 1), most, dtype)


def _whole(value: Any) -> int | None:
    """Return a bound as a number; None where there is none."""
    return int(value) if getattr(value, "is_Integer", False) else None


def _called(module: nn.Module) -> Iterator[str]:
    """Yield the names of the submodules that a program calls."""
    for name, inner in module.named_modules():
        graph = getattr(inner, "graph", None)
        for node in graph.nodes if graph is not None else ():
            if node.op == "call_module":
                yield f"{name}.{node.target}" if name else str(node.target)


def _kind(module: nn.Module) -> str:
    name = getattr(module, "type_name", lambda: None)()
    return re.sub(r"\W", "_", str(name or type(module).__name__).rsplit(".", maxsplit=1)[-1])
