"""ONNX graphs as networks: every intermediate result that may be a grid is a layer.

An ONNX file is data: it names operations that ONNX Runtime knows, and weights. Weights in files of their own are read
only from the folder of the file.

A layer has the name of the node that computes it, as viewers of ONNX files show it, with dots for slashes and without
the repetitions that PyTorch's exporter writes: `/layer1/layer1.0/conv1/Conv` is `layer1.0.conv1.Conv`. Where a node has
no name, it is that of its result.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vfs_panel.errors import NetworkError
from vfs_panel.images.preprocessing import Preprocessing
from vfs_panel.models.foreign import (
    ForeignNetwork,
    Program,
    Takes,
    check_unchanged,
    file_stamp,
    one_line,
    preprocessing_for,
)
from vfs_panel.models.hashing import file_hash
from vfs_panel.models.zoo import Network

ONNX = (".onnx",)
_KEPT = 2  # sessions: each holds the weights
_LONGEST = 200  # characters of a layer's name
_SILENT = 4  # ONNX Runtime's log, which the errors repeat


def is_onnx(path: Path | str) -> bool:
    """Whether a file is an ONNX graph, by its ending."""
    return Path(path).suffix.lower() in ONNX


def load_onnx(path: Path | str, *, preprocessing: Preprocessing | None = None, name: str | None = None) -> Network:
    """Load an ONNX graph.

    It runs by ONNX Runtime on the CPU, with as many threads as PyTorch, or on a GPU where the extraction does and ONNX
    Runtime was installed for it.

    Parameters
    ----------
    path : the file.
    preprocessing : by default ImageNet's, cropped to the size that the graph takes where that is fixed.
    name : what people call the network; the file's name without ending by default.

    Returns
    -------
    Network, whose hash of weights is that of the file and of its files of weights.

    Raises
    ------
    NetworkError
        If the file is missing, broken or not supported, ONNX Runtime is not installed, or the graph takes something
        else than one batch of pictures of 1 or 3 channels, or has no layer of floats.
    """
    path = Path(path)
    stamp = file_stamp(path)
    program = OnnxProgram(path)
    called = name or path.stem
    made_for = preprocessing_for(program.takes, preprocessing, called)
    module = ForeignNetwork(program, name=called, reopen=partial(_reopen, path.resolve(), stamp))
    module.library = "onnxruntime"
    return Network(called, module, made_for, path.name, file_hash(path, *program.weight_files))


def _reopen(path: Path, stamp: tuple[int, int]) -> Program:
    check_unchanged(path, stamp)
    return OnnxProgram(path)


class OnnxProgram(Program):
    """An ONNX graph with sessions for the layers that are wanted.

    Parameters
    ----------
    path : the file.

    Attributes
    ----------
    weight_files : files beside it that hold weights.

    Raises
    ------
    NetworkError
        As `load_onnx`.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._model = _read(path)
        graph = self._model.graph
        self.weight_files = _weight_files(self._model, path)
        # Old files list their weights as inputs too.
        held = {tensor.name for tensor in graph.initializer} | {t.values.name for t in graph.sparse_initializer}
        inputs = [value for value in graph.input if value.name not in held]
        self.takes, self._last = _takes(inputs, path)
        self._input = inputs[0].name
        self._values = _layers(self._model, self._input, path)
        kinds = {value: node.op_type for node in graph.node for value in node.output}
        self.layers = {layer: _word(kinds[value]) for layer, value in self._values.items()}
        self.outputs = 0  # they are layers already
        self._returned = next(value.name for value in graph.output)
        self._sessions: dict[tuple[Any, ...], Any] = {}
        self._session((), torch.device("cpu"))  # tells at once whether ONNX Runtime can run it

    def run(self, batch: Tensor, wanted: Collection[str]) -> tuple[dict[str, Tensor], list[Tensor]]:
        """Return the values of the wanted layers, and the first output."""
        layers = [layer for layer in self.layers if layer in wanted]
        session = self._session(tuple(self._values[layer] for layer in layers), batch.device)
        pictures = batch.permute(0, 2, 3, 1) if self._last else batch
        array = np.ascontiguousarray(pictures.cpu().numpy())
        try:
            names = [self._values[layer] for layer in layers]
            *values, output = session.run([*names, self._returned], {self._input: array})
        except Exception as error:  # ONNX Runtime's errors have no common base
            raise RuntimeError(_words(error)) from None
        found = {layer: torch.from_numpy(v).to(batch.device) for layer, v in zip(layers, values, strict=True)}
        return found, [torch.from_numpy(output).to(batch.device)] if isinstance(output, np.ndarray) else []

    def _session(self, values: tuple[str, ...], device: torch.device) -> Any:
        runtime = _package("onnxruntime")
        providers: list[Any] = ["CPUExecutionProvider"]
        if device.type == "cuda" and "CUDAExecutionProvider" in runtime.get_available_providers():
            providers.insert(0, ("CUDAExecutionProvider", {"device_id": device.index or 0}))
        threads = torch.get_num_threads()
        key = (values, str(providers), threads)
        if key in self._sessions:
            return self._sessions[key]
        onnx = _package("onnx")
        graph = self._model.graph
        returned = [value for value in graph.output if value.name == self._returned]
        del graph.output[:]
        graph.output.extend(returned)
        graph.output.extend(onnx.ValueInfoProto(name=value) for value in values if value != self._returned)
        options = runtime.SessionOptions()
        options.log_severity_level = _SILENT
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        # Given as bytes, a graph has no folder of its own.
        options.add_session_config_entry(
            "session.model_external_initializers_file_folder_path", str(self._path.parent.resolve())
        )
        while len(self._sessions) >= _KEPT:
            del self._sessions[next(iter(self._sessions))]
        try:
            session = runtime.InferenceSession(self._model.SerializeToString(), options, providers=providers)
        except Exception as error:
            raise NetworkError(f"ONNX Runtime cannot run network file {self._path}: {_words(error)}.") from None
        self._sessions[key] = session
        return session


def _package(name: str) -> Any:
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError:
        raise NetworkError(f'ONNX networks need {name}: pip install "vfs_panel[onnx]".') from None


def _read(path: Path) -> Any:
    onnx = _package("onnx")
    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as error:  # protobuf's errors have no common base
        raise NetworkError(f"Network file {path} cannot be read as ONNX: {one_line(error)}.") from None
    if not model.graph.node or not model.graph.output:
        raise NetworkError(f"Network file {path} holds no ONNX network: its graph is empty.")
    return model


def _takes(inputs: Sequence[Any], path: Path) -> tuple[Takes, bool]:
    """Return what batches a graph takes, and whether it takes their channels last."""
    from onnx import TensorProto

    floats = {
        TensorProto.FLOAT: torch.float32,
        TensorProto.FLOAT16: torch.float16,
        TensorProto.DOUBLE: torch.float64,
    }
    shapes = [[d.dim_value or d.dim_param for d in value.type.tensor_type.shape.dim] for value in inputs]
    if len(inputs) != 1 or len(shapes[0]) != 4:
        got = ", ".join(f"{value.name} of {shape}" for value, shape in zip(inputs, shapes, strict=True))
        raise NetworkError(
            f"Network file {path} takes {len(inputs)} inputs ({got or 'none'}), expected one batch of pictures, "
            "n×channels×rows×columns."
        )
    kind = inputs[0].type.tensor_type.elem_type
    if kind not in floats:
        raise NetworkError(
            f"Network file {path} takes pictures of {TensorProto.DataType.Name(kind).lower()}, expected floats."
        )
    rows, *sizes = (size if isinstance(size, int) and size > 0 else None for size in shapes[0])
    last = sizes[2] in (1, 3) and sizes[0] not in (1, 3)
    channels, height, width = [sizes[2], *sizes[:2]] if last else sizes
    return Takes(channels, height, width, rows or 1, rows, floats[kind]), last


def _layers(model: Any, start: str, path: Path) -> dict[str, str]:
    """Return layer -> tensor for all results of floats with three or four axes that depend on the picture."""
    from onnx import TensorProto, shape_inference

    try:
        inferred = shape_inference.infer_shapes(model, data_prop=True).graph
    except Exception:  # shapes are a help only: without them, more is offered than can be searched
        inferred = model.graph
    typed = (value for value in (*inferred.value_info, *inferred.output) if value.type.WhichOneof("value"))
    known = {value.name: value.type for value in typed}
    floats = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.UNDEFINED)
    depending, layers, other = {start}, dict[str, str](), set[str]()
    for node in model.graph.node:
        if not depending & _used(node):
            continue
        for number, value in enumerate(node.output):
            if not value:
                continue
            depending.add(value)
            kind = known.get(value)
            if kind is not None and not kind.HasField("tensor_type"):
                continue
            tensor = kind.tensor_type if kind is not None else None
            if tensor is not None and tensor.HasField("shape") and len(tensor.shape.dim) not in (3, 4):
                continue
            if tensor is not None and tensor.elem_type not in floats:
                other.add(TensorProto.DataType.Name(tensor.elem_type).lower())
                continue
            name = _clean(node.name and (node.name if number == 0 else f"{node.name}.{number}")) or _clean(value)
            layers[_free(name or "layer", layers)] = value
    if not layers:
        why = f"; they give {', '.join(sorted(other))}, as quantised networks do" if other else ""
        raise NetworkError(f"Network file {path} has no layer of floats that can be a grid{why}.")
    return layers


def _used(node: Any) -> set[str]:
    """Return the tensors that a node reads, those of the graphs inside it too."""
    names = set(node.input)
    for attribute in node.attribute:
        for graph in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
            names |= {name for inner in graph.node for name in _used(inner)}
            names |= {value.name for value in graph.output}
    return names


def _clean(name: str) -> str:
    plain = "".join(c if c.isprintable() else "_" for c in name)
    parts = plain.strip("/ ").split("/")
    kept = [part for part, after in zip(parts, [*parts[1:], ""], strict=True) if not after.startswith(f"{part}.")]
    return ".".join(kept)[:_LONGEST]


def _free(name: str, taken: Collection[str]) -> str:
    number, found = 2, name
    while found in taken:
        found, number = f"{name}_{number}", number + 1
    return found


def _word(kind: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in kind) or "Node"


def _weight_files(model: Any, path: Path) -> list[Path]:
    """Return the files of weights that a graph names, all in its folder.

    Raises
    ------
    NetworkError
        If one is missing or lies elsewhere.
    """
    folder = path.parent.resolve()
    places = {
        e.value for t in _tensors(model.graph) for e in t.external_data if t.data_location and e.key == "location"
    }
    files = []
    for place in sorted(places):
        file = (folder / place).resolve()
        absolute = PurePosixPath(place).is_absolute() or PureWindowsPath(place).anchor
        if absolute or ".." in PureWindowsPath(place).parts or not file.is_relative_to(folder):
            raise NetworkError(f"Network file {path} names weights outside of its folder, {place!r}; it was refused.")
        if not file.is_file():
            raise NetworkError(f"The weights {place!r} of network file {path} are missing. Put them into its folder.")
        files.append(file)
    return files


def _tensors(graph: Any) -> Iterator[Any]:
    """Yield every tensor that a graph holds, those of its nodes and of the graphs inside them too."""
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from _tensors_of_nodes(graph.node)


def _tensors_of_nodes(nodes: Iterable[Any]) -> Iterator[Any]:
    for node in nodes:
        for attribute in node.attribute:
            yield from ([attribute.t] if attribute.HasField("t") else [])
            yield from attribute.tensors
            for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                yield from _tensors(inner)


def _words(error: BaseException) -> str:
    """Return ONNX Runtime's words without its codes, and without the place in its source."""
    words = one_line(error, most=2000)
    for mark in ("[ONNXRuntimeError] : ",):
        words = words.removeprefix(mark)
    number, _, rest = words.partition(" : ")
    if number.isdigit():
        words = rest.partition(" : ")[2] or rest
    if words.startswith("/"):
        words = words.partition(") ")[2].rpartition("&) ")[2] or words
    return words[:160].rstrip(". ")
