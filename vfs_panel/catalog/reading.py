"""YAML file -> CatalogEntry, or one clear line with file, line number and field for everything that is wrong."""

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, Tag, ValidationError

from vfs_panel.catalog.entry import CatalogEntry
from vfs_panel.errors import CatalogError

SUFFIXES = (".yml", ".yaml")
_MAX_BYTES = 1_000_000  # an entry is a page of text; anything larger is some other file
_Location = tuple[int | str, ...]
_TAG = ":"  # starts what pydantic puts into a location for a choice between parts, and no field's name


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with an entry's file.

    Attributes
    ----------
    file : the YAML file.
    line : counted from 1; 0 where the file as a whole is meant.
    text : what was found, what was expected, how to mend it.
    """

    file: Path
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}{f', line {self.line}' if self.line else ''}: {self.text}"


def read_entry(file: Path | str) -> CatalogEntry:
    """Read one entry of a catalog.

    Raises
    ------
    CatalogError
        If the file cannot be read or a field is wrong; the message names the file, the line and the field, and
        says how many more problems there are.
    """
    found = check_entry(file)
    if isinstance(found, CatalogEntry):
        return found
    more = f" ({len(found) - 1} more: vfs-panel catalog validate {file})" if len(found) > 1 else ""
    raise CatalogError(f"{found[0]}{more}")


def check_entry(file: Path | str, *, from_web: bool = False) -> CatalogEntry | list[Problem]:
    """Return the entry that a file holds, or everything that is wrong with it.

    Parameters
    ----------
    file : the YAML file.
    from_web : whether it was downloaded, so that it may not name places of this machine.
    """
    file = Path(file)
    try:
        root, values = _parse(file)
    except _UnreadableError as error:
        return [Problem(file, error.line, str(error))]
    try:
        entry = CatalogEntry.model_validate(values, context={"folder": file.parent, "from_web": from_web})
    except ValidationError as error:
        # A misspelt field first: it explains why another one is missing.
        wrong = sorted(error.errors(include_url=False), key=lambda details: details["type"] != "extra_forbidden")
        return [_problem(file, root, details) for details in wrong]
    entry._file = file
    return entry


class _UnreadableError(Exception):
    def __init__(self, text: str, line: int = 0) -> None:
        super().__init__(text)
        self.line = line


def _parse(file: Path) -> tuple[yaml.MappingNode, dict[str, Any]]:
    """Return the file as YAML nodes, which know their lines, and as plain values."""
    try:
        if file.stat().st_size > _MAX_BYTES:
            raise _UnreadableError("is larger than 1 MB; a catalog entry is a page of YAML")
        loader = yaml.SafeLoader(file.read_text("utf-8"))  # safe: tags that would make objects are refused
        node = loader.get_single_node()
        if not isinstance(node, yaml.MappingNode):
            raise _UnreadableError(
                "holds no fields; expected lines such as `title: …`, see data_catalog/your-folder.yml"
            )
        values = loader.construct_document(node)
        _refuse_doubled_fields(node)
    except FileNotFoundError:
        raise _UnreadableError("does not exist; give a catalog entry's YAML file") from None
    except IsADirectoryError:
        raise _UnreadableError("is a folder, not a YAML file") from None
    except UnicodeDecodeError:
        raise _UnreadableError("is no UTF-8 text; save it as UTF-8") from None
    except OSError as error:
        raise _UnreadableError(f"cannot be read: {error.strerror or error}") from None
    except RecursionError:
        raise _UnreadableError("is nested too deeply to be a catalog entry") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 0
        raise _UnreadableError(f"is no valid YAML: {error.problem or error.context}", line) from None
    except (yaml.YAMLError, ValueError) as error:
        raise _UnreadableError(f"is no valid YAML: {str(error).splitlines()[0]}") from None
    return node, values


def _refuse_doubled_fields(node: yaml.Node) -> None:
    """YAML lets a field stand twice, and the last one wins silently; here that is an error."""
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                raise _UnreadableError(f"field {key.value!r} stands twice; keep one", key.start_mark.line + 1)
            seen.add(key.value)
            _refuse_doubled_fields(value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            _refuse_doubled_fields(value)


def _problem(file: Path, root: yaml.Node, details: Any) -> Problem:
    line, field = _locate(root, details["loc"])
    kind, message = details["type"], details["msg"].removeprefix("Value error, ")
    if kind == "missing":
        text = f"field {field!r} is missing{_meaning(details['loc'])}"
    elif kind == "extra_forbidden":
        name = str(details["loc"][-1])
        close = get_close_matches(name, _part(details["loc"]).model_fields, n=1)
        text = f"field {field!r} is not known" + (f"; did you mean {close[0]!r}?" if close else "; remove it")
    elif kind.startswith("union_tag"):
        known = _parts_in(_part(details["loc"]).model_fields[str(details["loc"][-1])])
        sources = [f"`source: {tag.removeprefix(_TAG)}`" for tag in known]
        text = f"field {field!r} needs a line {', '.join(sources[:-1])} or {sources[-1]}"
    elif kind == "value_error":
        text = f"field {field!r}: {message}"
    else:
        text = f"field {field!r} is {_short(details['input'])}: {message[0].lower()}{message[1:]}"
    return Problem(file, line, text)


def _locate(root: yaml.Node, location: _Location) -> tuple[int, str]:
    """Return the line and the dotted name of a field; a missing one is placed at the start of what lacks it.

    Pydantic's location also holds the tags of choices, as between sources of pictures, which are no fields: parts
    that the file does not hold are passed over, except the last, which may be the one that is missing.
    """
    node, line, names = root, root.start_mark.line + 1, []
    for depth, part in enumerate(location):
        if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
            names.append(str(part + 1))
            continue
        keys = {key.value: (key, value) for key, value in node.value} if isinstance(node, yaml.MappingNode) else {}
        if part in keys:
            key, node = keys[str(part)]
            line = key.start_mark.line + 1
            names.append(str(part))
        elif depth == len(location) - 1 and not str(part).startswith(_TAG):
            names.append(str(part))
    return line, ".".join(names)


def _part(location: _Location) -> type[BaseModel]:
    """Return the part of the schema that a location lies in, following its fields from the entry down."""
    part: type[BaseModel] = CatalogEntry
    choices: dict[str, type[BaseModel]] = {}
    for step in location[:-1]:
        if str(step).startswith(_TAG):
            part = choices.get(str(step), part)
        elif step in part.model_fields:
            choices = _parts_in(part.model_fields[str(step)])
            part = next(iter(choices.values()), part)
    return part


def _parts_in(annotation: Any) -> dict[str, type[BaseModel]]:
    """Return the parts that a field may hold, by their tags where it has several."""
    found: dict[str, type[BaseModel]] = {}
    metadata: Any = getattr(annotation, "metadata", None) or getattr(annotation, "__metadata__", ())
    tag = next((one.tag for one in metadata if isinstance(one, Tag)), "")
    inner = getattr(annotation, "annotation", annotation)
    if isinstance(inner, type) and issubclass(inner, BaseModel):
        return {tag: inner}
    for argument in get_args(inner):
        for key, part in _parts_in(argument).items():
            found.setdefault(tag or key, part)
    return found


def _meaning(location: _Location) -> str:
    name = str(location[-1])
    field = _part(location).model_fields.get(name) or CatalogEntry.model_fields.get(name)
    meaning = field.description if field else None
    return f" ({meaning[0].lower()}{meaning[1:].rstrip('.')})" if meaning else ""


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:39] + "…"
