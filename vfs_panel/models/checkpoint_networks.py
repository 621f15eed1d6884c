"""Networks of published experiments, from the checkpoints of their authors' programs; `checkpoints` lists them."""

import re
from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vfs_panel.errors import NetworkError
from vfs_panel.models.checkpoints import CHECKPOINTS, Layout
from vfs_panel.models.weight_files import RANDOM, Built, fill, read_weights, seeded


def names() -> list[str]:
    """Return the names of the networks."""
    return list(CHECKPOINTS)


def needs(name: str) -> str:
    """Say which file a network needs, and where it can be had."""
    source = CHECKPOINTS[name].sources[0]
    facts = (("", source.note), ("MD5 begins ", source.md5), ("licence ", source.licence))
    told = "; ".join(what + fact for what, fact in facts if fact)
    return f"its checkpoint: {source.url}" + (f" ({told})" if told else "")


def build(name: str, weights: Path | str | None, strict: bool) -> Built:
    """Make a network; as `load_network`, which says what the arguments are and what is raised."""
    layouts = CHECKPOINTS[name].layouts
    if weights is None:
        raise NetworkError(
            f"{name} needs {needs(name)}. Get it and give it with --weights FILE, or use --weights random."
        )
    if weights == RANDOM:
        return seeded(partial(_untrained, layouts[0])), layouts[0].preprocessing, RANDOM
    file = Path(weights)
    inner = "".join(f"['{key}']" for key in layouts[0].inside)
    content = read_weights(file, save=f"torch.save(torch.load({file.name!r}, weights_only=False){inner}, FILE)")
    layout, found, foreign = _layout_of(layouts, content)
    if not found or (foreign and strict):
        held = ", ".join(foreign[:3]) or type(content).__name__
        expected = " or ".join(dict.fromkeys(f"{known.example} ({known.program})" for known in layouts))
        more = f" and {len(foreign) - 3} more" if len(foreign) > 3 else ""
        mend = " To load what fits: strict=False, or --no-strict." if found else ""
        raise NetworkError(
            f"Weights file {file} is no checkpoint of {name}: it holds {held}{more}, expected names as in "
            f"{expected}.{mend}"
        )
    module = _empty(layout) if strict else seeded(partial(_untrained, layout))
    return module, layout.preprocessing, fill(module, found, file, name, strict=strict)


def _untrained(layout: Layout) -> nn.Module:
    from torchvision import models

    classes = {} if layout.classes is None else {"num_classes": layout.classes}
    net: nn.Module = models.get_model(layout.architecture, weights=None, **classes)
    if layout.classes is None:
        net.fc = nn.Identity()
    return net


def _empty(layout: Layout) -> nn.Module:
    """Return a network whose weights are all to be filled in: drawing VGG16's at random takes seconds."""
    with torch.device("meta"):
        net = _untrained(layout)
    net.to_empty(device="cpu")
    for name, counter in net.named_buffers():
        if name.endswith("num_batches_tracked"):
            counter.zero_()
    return net


@cache
def _names_of(architecture: str, classes: int | None) -> frozenset[str]:
    """Return the names of a network's weights, without the counters of batches, which old files lack."""
    with torch.device("meta"):
        net = _untrained(Layout("", "", (), (), architecture, classes))
    return frozenset(name for name in net.state_dict() if not name.endswith("num_batches_tracked"))


def _layout_of(layouts: tuple[Layout, ...], content: Any) -> tuple[Layout, dict[str, Tensor], list[str]]:
    """Return the layout that fits a file best, the weights by the network's names, and the names it does not know."""
    tried = []
    for layout in layouts:
        found, foreign = _translated(layout, content)
        missing = len(_names_of(layout.architecture, layout.classes) - found.keys())
        tried.append((missing + len(foreign), layout, found, foreign))
    _, layout, found, foreign = min(tried, key=lambda one: one[0])  # the first of equals
    return layout, found, foreign


def _translated(layout: Layout, content: Any) -> tuple[dict[str, Tensor], list[str]]:
    for key in layout.inside:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping):
        return {}, []
    known = _names_of(layout.architecture, layout.classes)
    found: dict[str, Tensor] = {}
    foreign = []
    for key, value in content.items():
        name: str | None = str(key)
        for pattern, replacement in layout.rules:
            match = re.fullmatch(pattern, str(key))
            if match:
                name = match.expand(replacement) if replacement is not None else None
                break
        else:
            foreign.append(str(key))
            continue
        if name is None or name.endswith("num_batches_tracked"):
            continue
        if not isinstance(value, Tensor) or name not in known or name in found:
            foreign.append(str(key))
        else:
            found[name] = value
    return found, foreign
