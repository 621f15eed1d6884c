"""Strokes and their history: what was painted, in order. Pure data, testable without a browser."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

from vfs_panel.errors import QueryError

Point = tuple[float, float]
Mode = Literal["include", "exclude", "erase"]
Shape = Literal["line", "fill"]
MODES, SHAPES = get_args(Mode), get_args(Shape)
MOST_POINTS = 20_000


@dataclass(frozen=True, slots=True)
class Stroke:
    """One stroke of the brush or eraser, or one filled shape, on a picture.

    Attributes
    ----------
    points : (x, y) in picture pixels; x to the right, y down; the picture spans 0..width and 0..height.
    radius_px : half the brush's width, in picture pixels; 0 for a filled shape.
    mode : "include" paints what is searched for, "exclude" what is to be stayed away from, "erase" takes both away.
    shape : "line", a round brush along the points; "fill", the polygon inside the points.
    pressures : of a pen at each point, 0 to 1, which narrows the brush there; () is full pressure throughout.
    """

    points: tuple[Point, ...]
    radius_px: float = 12.0
    mode: Mode = "include"
    shape: Shape = "line"
    pressures: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not self.points:
            raise QueryError("A stroke has no points; it needs at least one.")
        if not all(abs(v) < 1e7 for point in self.points for v in point):  # NaN fails the comparison too
            raise QueryError("A stroke has a point that is no number or lies far outside any picture.")
        if self.shape == "line" and not 0 < self.radius_px < 1e6:
            raise QueryError(f"The brush radius is {self.radius_px} px; it must be above 0.")
        if self.mode not in MODES or self.shape not in SHAPES:
            raise QueryError(f"A stroke is {self.mode!r} and {self.shape!r}; expected {MODES} and {SHAPES}.")
        if self.pressures and (
            len(self.pressures) != len(self.points) or not all(0 <= pressure <= 1 for pressure in self.pressures)
        ):
            raise QueryError("A stroke's pressures must be one number from 0 to 1 for each of its points.")

    def to_dict(self) -> dict[str, Any]:
        """Return the stroke as plain values for JSON; what has its usual value is left out."""
        found: dict[str, Any] = {"points": [list(point) for point in self.points]}
        if self.shape == "line":
            found["radius_px"] = self.radius_px
        for name, usual in (("mode", "include"), ("shape", "line"), ("pressures", ())):
            value = getattr(self, name)
            if value != usual:
                found[name] = list(value) if name == "pressures" else value
        return found

    @classmethod
    def from_dict(cls, values: Any) -> "Stroke":
        """Make a stroke of what `to_dict` gave; anything may come in.

        Raises
        ------
        QueryError
            If it is no stroke.
        """
        known = {"points", "radius_px", "mode", "shape", "pressures"}
        if not isinstance(values, dict) or not set(values) <= known or not isinstance(values.get("points"), list):
            raise QueryError(f"A stroke must be an object with points and, if wanted, {', '.join(sorted(known))}.")
        try:
            points = tuple((float(x), float(y)) for x, y in values["points"])
            pressures = tuple(float(pressure) for pressure in values.get("pressures", ()))
            shape = values.get("shape", "line")
            radius_px = float(values.get("radius_px", 0.0 if shape == "fill" else 12.0))
        except (TypeError, ValueError):
            raise QueryError("A stroke's points must be pairs of numbers, its radius and pressures numbers.") from None
        if len(points) > MOST_POINTS:
            raise QueryError(f"A stroke has {len(points):,} points; at most {MOST_POINTS:,} are taken.")
        return cls(points, radius_px, values.get("mode", "include"), shape, pressures)

    @classmethod
    def box(cls, x0: float, y0: float, x1: float, y1: float, *, mode: Mode = "include") -> "Stroke":
        """Return a filled rectangle, in picture pixels.

        Raises
        ------
        QueryError
            If the rectangle is empty.
        """
        if not (x0 < x1 and y0 < y1):
            raise QueryError(f"The box {x0:g},{y0:g},{x1:g},{y1:g} is empty; give left,top,right,bottom in pixels.")
        return cls(((x0, y0), (x1, y0), (x1, y1), (x0, y1)), radius_px=0.0, mode=mode, shape="fill")


class StrokeHistory:
    """All strokes in order, with undo and redo. Clearing is a step like any other and can be undone.

    A history is a list of states, each a tuple of strokes, and a place in it; painting after an undo drops the
    states that were ahead.
    """

    def __init__(self) -> None:
        self._states: list[tuple[Stroke, ...]] = [()]
        self._at = 0

    @property
    def strokes(self) -> tuple[Stroke, ...]:
        """The strokes that count now, oldest first."""
        return self._states[self._at]

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to take back."""
        return self._at > 0

    @property
    def can_redo(self) -> bool:
        """Whether a step was taken back and can come again."""
        return self._at + 1 < len(self._states)

    def _step(self, strokes: tuple[Stroke, ...]) -> None:
        del self._states[self._at + 1 :]
        self._states.append(strokes)
        self._at += 1

    def append(self, stroke: Stroke) -> None:
        """Add a stroke."""
        self._step((*self.strokes, stroke))

    def replace(self, strokes: tuple[Stroke, ...]) -> None:
        """Put other strokes in place of all, as one step."""
        if strokes != self.strokes:
            self._step(tuple(strokes))

    def clear(self) -> None:
        """Take all strokes away, as one step; nothing happens where there are none."""
        self.replace(())

    def undo(self) -> None:
        """Take the last step back, if there is one."""
        self._at = max(0, self._at - 1)

    def redo(self) -> None:
        """Do the step again that was taken back last, if there is one."""
        self._at = min(len(self._states) - 1, self._at + 1)

    def reset(self) -> None:
        """Forget everything, for example when another picture is opened."""
        self.__init__()  # type: ignore[misc]
