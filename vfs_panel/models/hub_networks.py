"""Networks of torch.hub: "hub/OWNER/REPO:ENTRY", "hub/OWNER/REPO:REF:ENTRY" or "hub//local/folder:ENTRY".

torch.hub runs the repository's code on this machine, whatever that does. So nothing here happens unless the caller
says, for this call, that the code is to be trusted. A catalog or a store cannot say so.
"""

import warnings
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from vfs_panel.errors import NetworkError
from vfs_panel.images.preprocessing import Preprocessing
from vfs_panel.models.weight_files import RANDOM, Built, load_file, seeded

PREFIX = "hub/"
PUBLISHED = "pretrained"
"""Label of the weights that a repository's entry comes with."""


def build(name: str, weights: Path | str | None, strict: bool, *, trust_code: bool) -> Built:
    """Make a network; as `load_network`, which says what the arguments are and what is raised."""
    repository, _, entry = name.removeprefix(PREFIX).rpartition(":")
    if not repository or not entry or "/" not in repository:
        raise NetworkError(f"{name!r} is no network of torch.hub; write hub/OWNER/REPO:ENTRY or hub//FOLDER:ENTRY.")
    if not trust_code:
        raise NetworkError(
            f"{name} is made by code of {repository}, which would run on this machine and can do anything you can. If "
            "you know and trust it, say so: --trust-code, or trust_code=True."
        )
    published = weights is None or (str(weights) == PUBLISHED and not Path(weights).exists())
    module = seeded(partial(_load, name, repository, entry, pretrained=published))
    label = PUBLISHED if published else RANDOM
    if not published and weights != RANDOM:
        label = load_file(module, Path(str(weights)), name, strict=strict)
    return module, Preprocessing(), label


def _load(name: str, repository: str, entry: str, *, pretrained: bool) -> nn.Module:
    local = repository.startswith(("/", "./", "../"))
    load: Any = partial(
        torch.hub.load, repository, entry, source="local" if local else "github", trust_repo=True, verbose=False
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the repository's code
            try:
                made = load(pretrained=pretrained)
            except TypeError as error:
                if "pretrained" not in str(error):
                    raise
                made = load()  # most entries take the option, but none must
    except Exception as error:  # the repository's code raises what it likes
        words = str(error).strip().splitlines()[0][:160] if str(error).strip() else type(error).__name__
        raise NetworkError(f"{name} could not be made: {words.rstrip('.')}.") from None
    if not isinstance(made, nn.Module):
        raise NetworkError(f"{name} gives {type(made).__name__}, expected a network (nn.Module).")
    return made
