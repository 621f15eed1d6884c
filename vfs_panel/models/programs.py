"""Networks saved as programs by PyTorch: torch.export (.pt2) and TorchScript (.torchscript, .ts, or .pt).

A program needs no Python source of its network, but loading it is no safer than running code. A .pt2 file may hold
pickles, and text that PyTorch evaluates as Python: it can do all that a program of its author can. A TorchScript
archive holds TorchScript, which an interpreter of its own runs: it cannot call Python, but it can read and write files
and use up memory, and its readers were not made for hostile files. So both need `trust_code=True`. Weights alone, as a
state dict, are data and need no trust: `load_network(NAME, weights=FILE)`.
"""

import zipfile
from functools import partial
from pathlib import Path

from vfs_panel.errors import NetworkError
from vfs_panel.images.preprocessing import Preprocessing
from vfs_panel.models.exported import ExportedProgram
from vfs_panel.models.foreign import ForeignNetwork, Program, check_unchanged, file_stamp, preprocessing_for
from vfs_panel.models.torchscript import ScriptedProgram
from vfs_panel.models.zoo import Network

EXPORTED = (".pt2",)
SCRIPTED = (".torchscript", ".ts")
_EITHER = (".pt", ".pth", ".jit")  # weights or TorchScript: the file itself tells


def is_program(path: Path | str) -> bool:
    """Whether a file is a program by its ending, or, where the ending is that of weights too, by its table of contents.

    Nothing in the file is run.
    """
    suffix = Path(path).suffix.lower()
    return suffix in (*EXPORTED, *SCRIPTED) or (suffix in _EITHER and _holds_script(Path(path)))


def load_program(
    path: Path | str, *, trust_code: bool = False, preprocessing: Preprocessing | None = None, name: str | None = None
) -> Network:
    """Load a program with its layers under the names they had in PyTorch.

    Parameters
    ----------
    path : a file of `torch.export.save` or `torch.jit.save`.
    trust_code : whether the file's author may run code here; see above why both kinds need it.
    preprocessing : by default ImageNet's, cropped to the size that a .pt2 was exported with. TorchScript does not keep
        its size: 224×224.
    name : what people call the network; the file's name without ending by default.

    Returns
    -------
    Network, whose hash of weights is that of the network the program came from. A program that was exported with a
    fixed batch, or traced so that it takes one picture only, is run in such batches.

    Raises
    ------
    NetworkError
        If the file is missing, is no program, holds code and is not trusted, or takes something else than one batch of
        pictures of 1 or 3 channels.
    """
    path = Path(path)
    stamp = file_stamp(path)
    if not trust_code:
        raise NetworkError(
            f"Network file {path} holds a program, whose code can harm this computer. If you trust where it comes "
            "from, give --trust-code, in Python trust_code=True; to load weights alone, save a state dict."
        )
    kind = ScriptedProgram if _holds_script(path) else ExportedProgram
    program: ScriptedProgram | ExportedProgram = kind(path)
    called = name or path.stem
    made_for = preprocessing_for(program.takes, preprocessing, called)
    module = ForeignNetwork(program, name=called, reopen=partial(_reopen, kind, path.resolve(), stamp))
    return Network(called, module, made_for, path.name, program.sha256)


def _reopen(kind: type[ScriptedProgram] | type[ExportedProgram], path: Path, stamp: tuple[int, int]) -> Program:
    check_unchanged(path, stamp)
    return kind(path)


def _holds_script(path: Path) -> bool:
    """Whether a file is a TorchScript archive: one with code in a folder of that name."""
    try:
        with zipfile.ZipFile(path) as archive:
            parts = [name.split("/") for name in archive.namelist()]
    except (OSError, zipfile.BadZipFile):
        return False
    return any(p[1:] == ["constants.pkl"] for p in parts) and any(p[1:2] == ["code"] for p in parts)
