"""TorchScript archives as foreign networks, with the layers and names of the network they came from.

Inside TorchScript no hook of a submodule is called. So the program's graph is written anew: each call of a submodule is
replaced by the graph of what it calls, level by level, with a copy of its result put aside where the layer is wanted;
the copies become further outputs of the graph. A call inside a loop, or inside a branch that depends on the picture,
may not happen, so its layers are not offered. A branch that asks for a setting of the network, such as whether it is in
training, is decided, unless the program changes its settings as it runs.

This uses parts of PyTorch that are not public. Where they are missing, only the program's output is a layer.
"""

import logging
import re
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vfs_panel.errors import NetworkError
from vfs_panel.models.foreign import Program, Takes, all_tensors, file_stamp, one_line
from vfs_panel.models.hashing import file_hash
from vfs_panel.models.zoo import weights_hash

log = logging.getLogger(__name__)
_FORWARD = re.compile(r"forward(__)?\d*")  # forward1 is a traced module's second call, forward__0 an overload
_KEPT = 8  # graphs, one for each choice of layers


class ScriptedProgram(Program):
    """A TorchScript archive.

    Parameters
    ----------
    path : the file, whose code is trusted (see `load_program`).

    Attributes
    ----------
    sha256 : hash of its weights, that of the network it came from; of the file where it was frozen.

    Raises
    ------
    NetworkError
        If the file cannot be read, or its program takes something else than one batch of pictures.
    """

    def __init__(self, path: Path) -> None:
        file_stamp(path)
        try:
            with _not_deprecated():
                self._module: Any = torch.jit.load(str(path), map_location="cpu").eval()  # type: ignore[no-untyped-call]
            arguments = self._module.forward.schema.arguments[1:]
        except Exception as error:  # a program may be wrong in any way
            raise NetworkError(
                f"Network file {path} cannot be read as TorchScript: {one_line(error)}. Save it with torch.jit.save."
            ) from None
        needed = [argument.name for argument in arguments if not argument.has_default_value()]
        if len(needed) != 1:
            raise NetworkError(
                f"Network file {path} takes {len(needed)} inputs ({', '.join(needed) or 'none'}), expected one batch "
                "of pictures."
            )
        state = self._module.state_dict()
        floats = [value for value in state.values() if isinstance(value, Tensor) and value.is_floating_point()]
        self.takes = Takes(dtype=floats[0].dtype if floats else torch.float32)
        self.sha256 = weights_hash(self._module) if floats else file_hash(path)
        self._functions: dict[tuple[str, ...], Any] = {}
        self.outputs, self.layers = 1, {}
        try:
            graph, copies = _with_copies(self._module, None)
            _function(graph, [])
            self.outputs = _tensors_returned(self._module)
            self.layers = {
                name: re.sub(r"\W", "_", str(getattr(module, "original_name", type(module).__name__)))
                for name, module in self._module.named_modules()
                if name in copies
            }
        except Exception as error:  # what is not public may change in any way
            log.warning("The layers inside %s cannot be told, only its output can be used: %s.", path, one_line(error))

    def run(self, batch: Tensor, wanted: Collection[str]) -> tuple[dict[str, Tensor], list[Tensor]]:
        """Return values, as hooks of the original network would see them, and outputs."""
        self._module.to(batch.device)
        layers = tuple(layer for layer in self.layers if layer in wanted)
        try:
            with _not_deprecated(), torch.jit.optimized_execution(False):  # type: ignore[attr-defined]
                if not layers:
                    return {}, all_tensors(self._module(batch.contiguous()))
                output, *values = self._function_for(layers)(self._module._c, batch.contiguous())
        except torch.OutOfMemoryError:
            raise
        except Exception as error:
            raise RuntimeError(_last_line(error)) from None
        return dict(zip(layers, values, strict=True)), all_tensors(output)

    def _function_for(self, layers: tuple[str, ...]) -> Any:
        if layers not in self._functions:
            graph, copies = _with_copies(self._module, set(layers))
            while len(self._functions) >= _KEPT:
                del self._functions[next(iter(self._functions))]
            self._functions[layers] = _function(graph, [copies[layer] for layer in layers])
        return self._functions[layers]


@contextmanager
def _not_deprecated() -> Iterator[None]:
    """Pass over the warning that TorchScript gives way to torch.export: the file is what it is."""
    with warnings.catch_warnings():
        for kind in (DeprecationWarning, FutureWarning):
            warnings.filterwarnings("ignore", message=r".*torch\.jit.*deprecated", category=kind)
        yield


def _function(graph: Any, values: list[Any]) -> Any:
    """Return a function (module, batch) -> (what the graph returned, *values)."""
    for value in values:
        graph.registerOutput(value)
    if values:
        graph.makeMultiOutputIntoTuple()
    graph.lint()
    return torch._C._create_function_from_graph("forward", graph)


def _with_copies(module: nn.Module, wanted: set[str] | None) -> tuple[Any, dict[str, Any]]:
    """Return a program's graph without calls of submodules, and for each wanted layer the copy of its result.

    Of a layer that is called several times, the last call counts. Only calls outside of loops and open branches are
    replaced; all others stay calls.
    """
    graph = module._c._get_method("forward").graph.copy()  # type: ignore[operator,union-attr]
    root = next(iter(graph.inputs())).debugName()
    copies: dict[str, Any] = {}
    # Programs that set attributes have settings that may differ from one pass to the next.
    inlined = graph.copy()
    torch._C._jit_pass_inline(inlined)
    fixed = None if inlined.findNode("prim::SetAttr", True) is not None else module
    again = True
    while again:  # what a call is replaced by may hold further calls
        again = False
        for node in list(graph.nodes()):
            if node.kind() == "prim::If":
                taken = _decided(next(iter(node.inputs())), root, fixed)
                if taken is not None:
                    _take_branch(node, taken)
                    again = True
            elif node.kind() == "prim::CallMethod":
                owner, names = _owner(next(iter(node.inputs())))
                if owner != root:
                    continue  # a module out of a list or an interface: which one is not written in the graph
                called = module
                for name in names:
                    called = getattr(called, name)
                copy = _replace_call(graph, node, called, keep=wanted is None or ".".join(names) in wanted)
                layer = ".".join(names)
                if copy is not None and layer and (layer not in copies or copy.node().isAfter(copies[layer].node())):
                    copies[layer] = copy
                again = True
    return graph, copies


def _owner(value: Any) -> tuple[str, list[str]]:
    """Return where a chain of attributes starts, and the names along it."""
    names: list[str] = []
    while value.node().kind() == "prim::GetAttr":
        names.insert(0, value.node().s("name"))
        value = next(iter(value.node().inputs()))
    return value.debugName(), names


def _decided(value: Any, root: str, module: nn.Module | None) -> bool | None:
    """Return a condition that is known before any picture is: a constant, or a setting of the module; else None."""
    node = value.node()
    if node.kind() == "prim::Constant":
        return bool(value.toIValue())
    if node.kind() == "aten::__not__":
        inner = _decided(next(iter(node.inputs())), root, module)
        return None if inner is None else not inner
    owner, names = _owner(value)
    if not names or owner != root:
        return None
    if module is None:
        return False if names[-1] == "training" else None
    setting: Any = module
    for name in names:
        setting = getattr(setting, name)
    return setting if isinstance(setting, bool) else None


def _take_branch(node: Any, taken: bool) -> None:
    block = list(node.blocks())[0 if taken else 1]
    for inner in list(block.nodes()):
        inner.moveBefore(node)
    for old, new in zip(list(node.outputs()), list(block.outputs()), strict=True):
        old.replaceAllUsesWith(new)
    node.destroy()


def _replace_call(graph: Any, node: Any, called: Any, *, keep: bool) -> Any:
    """Put the graph of a method in the place of its call; return a copy of its first tensor, if it is to be kept."""
    method = node.s("name")
    graph.setInsertPoint(node)
    results = graph.insertGraph(called._c._get_method(method).graph, list(node.inputs()))
    results = list(results) if isinstance(results, list | tuple) else [results]
    for old, new in zip(list(node.outputs()), results, strict=True):
        old.replaceAllUsesWith(new)
    copy = None
    if keep and results and _FORWARD.fullmatch(method):
        value = results[0]
        if value.type().kind() == "TupleType":
            kinds = value.type().elements()
            unpacked = graph.insertNode(graph.create("prim::TupleUnpack", [value], len(kinds)))
            elements = list(unpacked.outputs())
            for element, kind in zip(elements, kinds, strict=True):
                element.setType(kind)
            value = next((element for element in elements if element.type().kind() == "TensorType"), value)
        if value.type().kind() == "TensorType":
            # At once: a later operation may change the value in place.
            none = graph.insertConstant(None)
            copy = graph.insertNode(graph.create("aten::clone", [value, none], 1)).output()
    node.destroy()
    return copy


def _tensors_returned(module: nn.Module) -> int:
    """Return how many tensors a program is known to return."""
    kind = next(iter(module._c._get_method("forward").graph.outputs())).type()  # type: ignore[operator,union-attr]
    if kind.kind() == "TupleType" and all(element.kind() == "TensorType" for element in kind.elements()):
        return len(kind.elements())
    return 1


def _last_line(error: Exception) -> str:
    """Return what went wrong out of a TorchScript traceback, whose last line says it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1][:160] if lines else type(error).__name__).rstrip(".")
