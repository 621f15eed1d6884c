"""Any layer's output -> features on a grid, (image, channel, y, x)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Literal

from torch import Tensor

from vfs_panel.errors import LayerError

MOST_EXTRA_TOKENS = 16  # class, distillation and register tokens of the vision transformers known today: at most 9


@dataclass(frozen=True, slots=True)
class GridPlan:
    """How one layer's outputs become a grid.

    Attributes
    ----------
    kind : "channels first" (N×C×H×W), "channels last" (N×H×W×C) or "tokens" (N×T×C).
    channels, height, width : of the grid.
    extra : how many tokens before the patches are dropped (class and register tokens).
    """

    kind: Literal["channels first", "channels last", "tokens"]
    channels: int
    height: int
    width: int
    extra: int = 0


@dataclass(frozen=True, slots=True)
class TokenLayout:
    """What a transformer says of its own tokens.

    Attributes
    ----------
    extra : how many class, distillation and register tokens come before the patches.
    patch_px : (height, width) of a patch in pixels; None if it does not say.
    """

    extra: int
    patch_px: tuple[int, int] | None = None


def first_tensor(output: Any) -> Tensor | None:
    """Return the first tensor in a layer's output: itself, or of a tuple, list, mapping or dataclass."""
    if isinstance(output, Tensor):
        return output
    values: Iterable[Any] = ()
    if isinstance(output, Mapping):
        values = output.values()
    elif isinstance(output, Sequence):
        values = output
    elif is_dataclass(output):
        values = (getattr(output, field.name) for field in fields(output))
    for value in values:
        if isinstance(value, str):
            continue
        found = first_tensor(value)
        if found is not None:
            return found
    return None


def _is_image_like(height: int, width: int, input_px: tuple[int, int]) -> bool:
    """Whether a grid has the input's proportions, give or take the rounding of one cell, and is no finer than it."""
    rows, cols = input_px
    return 1 <= height <= rows and 1 <= width <= cols and abs(height * cols - width * rows) <= max(rows, cols)


def is_ambiguous(shape: Sequence[int], input_px: tuple[int, int]) -> bool:
    """Whether an output of this shape can be N×C×H×W as well as N×H×W×C, as 1×96×96×96 (Swin at 384 pixels) can."""
    if len(shape) != 4:
        return False
    return _is_image_like(shape[2], shape[3], input_px) and _is_image_like(shape[1], shape[2], input_px)


def plan_grid(
    shape: Sequence[int], input_px: tuple[int, int], *, channels_last: bool = False, tokens: TokenLayout | None = None
) -> GridPlan | None:
    """Decide how an output of this shape is read as a grid; None if it is none.

    Four axes are N×C×H×W or N×H×W×C (Swin), whichever has the input's proportions. If both have, `channels_last`
    decides. If neither has, it is no grid (windows of MaxViT), except that an input that is not square leaves
    N×C×H×W: convolutions without padding change its proportions. Three axes are tokens: without a layout, the fewest
    leading tokens are dropped that leave a grid of the input's proportions, preferring grids whose cells are whole
    patches (ViT with class and register tokens). A single cell is no grid.

    Parameters
    ----------
    shape : of the output, batch first.
    input_px : (height, width) of the network's input.
    channels_last : how to read a shape that `is_ambiguous`.
    tokens : what the network itself says of its tokens.
    """
    if len(shape) == 4:
        first = _is_image_like(shape[2], shape[3], input_px)
        last = _is_image_like(shape[1], shape[2], input_px)
        if last and (channels_last or not first):
            plan = GridPlan("channels last", shape[3], shape[1], shape[2])
        elif first or input_px[0] != input_px[1]:
            plan = GridPlan("channels first", shape[1], shape[2], shape[3])
        else:
            return None
        return plan if plan.height * plan.width > 1 else None
    if len(shape) == 3:
        found = _patches(shape[1], input_px, tokens)
        if found is not None and found[1] * found[2] > 1:
            return GridPlan("tokens", shape[2], found[1], found[2], found[0])
    return None


def _patches(count: int, input_px: tuple[int, int], tokens: TokenLayout | None) -> tuple[int, int, int] | None:
    """Return how many leading tokens are no patches, and the rows and columns of the others."""
    if tokens is not None:
        known = (tokens.extra, 0)  # a patch embedding comes before the class token does
        if tokens.patch_px is not None:
            rows, cols = (size // step for size, step in zip(input_px, tokens.patch_px, strict=True))
            for extra in known:
                if rows * cols + extra == count:
                    return extra, rows, cols
        for extra in known:
            found = _likely_patches(count, input_px, (extra,))
            if found is not None:
                return found
    return _likely_patches(count, input_px, range(min(MOST_EXTRA_TOKENS, count - 1) + 1))


def _likely_patches(count: int, input_px: tuple[int, int], extras: Iterable[int]) -> tuple[int, int, int] | None:
    """Return the likeliest of the grids that so many tokens can be, as `_patches` does."""
    found = []
    for extra in extras:
        patches = count - extra
        for height in range(1, min(patches, input_px[0]) + 1):
            width = patches // height
            if height * width == patches and _is_image_like(height, width, input_px):
                uneven = bool(input_px[0] % height or input_px[1] % width)
                found.append((uneven, extra, abs(height * input_px[1] - width * input_px[0]), height, width))
    if not found:
        return None
    _, extra, _, height, width = min(found)
    return extra, height, width


def to_grid(output: Any, *, input_px: tuple[int, int], layer: str = "", channels_last: bool = False) -> Tensor:
    """Return a layer's output as features on a grid.

    Parameters
    ----------
    output : Tensor N×C×H×W, N×H×W×C or N×T×C, or a tuple, list or mapping whose first tensor is that.
    input_px : (height, width) of the network's input.
    layer : for the message.
    channels_last : how to read a shape that `is_ambiguous`.

    Returns
    -------
    Tensor, shape (image, channel, y, x); a view where possible.

    Raises
    ------
    LayerError
        If it is no grid; gives its shape.
    """
    tensor = first_tensor(output)
    plan = None if tensor is None else plan_grid(tensor.shape, input_px, channels_last=channels_last)
    if tensor is None or plan is None:
        got = "no tensor" if tensor is None else "×".join(map(str, tensor.shape))
        raise LayerError(
            f"Layer {layer!r} gives {got}, which is no grid of cells. Choose a layer with an output of "
            "N×C×H×W, N×H×W×C or patch tokens: `vfs-panel models NAME` marks them."
        )
    if plan.kind == "channels first":
        return tensor
    if plan.kind == "channels last":
        return tensor.permute(0, 3, 1, 2)
    patches = tensor[:, plan.extra :]
    return patches.reshape(len(tensor), plan.height, plan.width, plan.channels).permute(0, 3, 1, 2)
