"""Imports run only downwards through the folders, and `import vfs_panel` is light."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "vfs_panel"
# A module may import only from folders left of its own, and from its own.
ORDER = (
    "errors", "words", "disk", "settings", "cores", "images", "models", "features", "catalog", "search", "analysis",
    "plots", "app", "bench", "gallery", "cli",
)  # fmt: skip
TOP = "__init__"  # loads the others lazily, by name
FORBIDDEN = {
    "words": {"numpy", "torch", "panel", "holoviews"},
    "disk": {"numpy", "torch", "panel", "holoviews"},
    "errors": {"numpy", "torch", "panel", "holoviews"},
    "settings": {"numpy", "torch", "panel", "holoviews"},
    "cores": {"numpy", "torch", "panel", "holoviews"},
    "images": {"torch", "panel", "holoviews", "bokeh"},
    "models": {"panel", "holoviews", "bokeh", "zarr"},
    "features": {"panel", "holoviews", "bokeh"},
    "catalog": {"panel", "holoviews", "bokeh", "torch"},
    "search": {"panel", "holoviews", "bokeh"},
    "analysis": {"panel", "holoviews", "bokeh"},
    "plots": {"panel", "panel_material_ui"},
    "bench": {"panel", "holoviews", "bokeh", "faiss", "visualfeaturesearch"},
    "gallery": {"torch", "panel", "holoviews", "bokeh", "nbformat", "nbclient", "IPython"},
    "cli": {"torch", "panel", "holoviews", "bokeh"},  # at the top of a module; commands load them when they run
}
TORCH_FREE = ("search/stroke.py", "search/mask.py")
MODULES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))


def _folder(module: str) -> str:
    return module.split("/", maxsplit=1)[0].removesuffix(".py")


def _tree(module: str) -> ast.Module:
    return ast.parse((PACKAGE / module).read_text("utf-8"))


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def _imports(node: ast.AST, *, lazy: bool) -> set[str]:
    """Full names of what is imported; with `lazy`, also inside functions and for type checkers."""
    names: set[str] = set()
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            names |= {alias.name for alias in child.names}
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, "imports are written in full here"
            names |= {f"{child.module}.{alias.name}" for alias in child.names}
        elif lazy or not (isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) or _is_type_checking(child)):
            names |= _imports(child, lazy=lazy)
    return names


def _own_folders(names: set[str]) -> set[str]:
    return {name.split(".")[1] for name in names if name.startswith("vfs_panel.")} & set(ORDER)


def test_every_folder_has_its_place() -> None:
    assert {_folder(module) for module in MODULES} - {TOP} <= set(ORDER)


@pytest.mark.parametrize("module", [m for m in MODULES if _folder(m) != TOP])
def test_imports_run_downwards(module: str) -> None:
    place = ORDER.index(_folder(module))
    used = _own_folders(_imports(_tree(module), lazy=True))
    assert used <= set(ORDER[: place + 1]), f"{module} imports from a folder above its own"


@pytest.mark.parametrize("module", [m for m in MODULES if _folder(m) in FORBIDDEN])
def test_heavy_libraries_stay_where_they_belong(module: str) -> None:
    used = {name.split(".")[0] for name in _imports(_tree(module), lazy=False)}
    forbidden = FORBIDDEN[_folder(module)] | ({"torch"} if module in TORCH_FREE else set())
    assert not used & forbidden


def test_the_check_can_fail() -> None:
    bad = ast.parse("def f():\n    from vfs_panel.app import explore\nimport panel as pn")
    assert _own_folders(_imports(bad, lazy=True)) == {"app"}
    assert _imports(bad, lazy=False) == {"panel"}


_TIMED = """
import json, sys, time
start = time.perf_counter()
import {name}
seconds = time.perf_counter() - start
heavy = [m for m in ("panel", "holoviews", "bokeh", "torch", "torchvision") if m in sys.modules]
print(json.dumps([seconds, heavy]))
"""


def _load(name: str) -> tuple[float, list[str]]:
    output = subprocess.run(
        [sys.executable, "-c", _TIMED.format(name=name)], check=True, capture_output=True, text=True
    ).stdout
    seconds, heavy = json.loads(output)
    return seconds, heavy


def test_importing_the_package_is_light() -> None:
    runs = [_load("vfs_panel") for _ in range(5)]
    assert runs[0][1] == []
    assert min(seconds for seconds, _ in runs) < 0.3  # the fastest: others wait for a busy machine


def test_importing_the_command_line_is_light() -> None:
    runs = [_load("vfs_panel.cli") for _ in range(5)]
    assert runs[0][1] == []
    assert min(seconds for seconds, _ in runs) < 0.5


def test_every_public_name_loads() -> None:
    import vfs_panel

    for name in vfs_panel.__all__:
        assert getattr(vfs_panel, name) is not None
