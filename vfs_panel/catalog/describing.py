"""The fields that say what is known of each picture: a file of labels, and rules for label, domain and split."""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from vfs_panel.catalog.parts import Part, Text, below

_PATTERN_CHARACTERS = 200
TEMPLATE = re.compile(r"\{([^{}]*)\}")
"""A column's name in a template of paths."""


class LabelFile(Part):
    """A file that says what is known of each picture."""

    file: Text = Field(description="The file: .csv, .tsv, .parquet, .txt (columns between blanks), or .json.")
    format: Literal["table", "coco", "imagenet-devkit"] = Field(
        "table",
        description="`table`; `coco`: annotations of objects as COCO's JSON; `imagenet-devkit`: the folder of "
        "ImageNet's development kit, with the classes of its validation pictures.",
    )
    columns: list[Text] | None = Field(
        None, description="Names of a table's columns, where the file has no line of names; # starts a comment then."
    )
    path: Text | None = Field(
        None, description="How a picture's path is made of columns, as in `train/{filename}`; else column `path`."
    )

    @model_validator(mode="after")
    def _only_tables_have_columns(self) -> Self:
        if self.format != "table" and self.columns is not None:
            raise ValueError(f"columns are those of a table, but the format is {self.format!r}")
        if self.path is not None and not TEMPLATE.search(self.path):
            raise ValueError(f"path {self.path!r} names no column; write one in braces, as in train/{{filename}}")
        return self


class NamesFile(Part):
    """A table that gives values readable names."""

    file: Text = Field(description="The table: below the data set's own folder, or beside the entry's file.")
    key: Text = Field(description="Its column with the values.")
    name: Text = Field(description="Its column with their names.")

    @field_validator("file")
    @classmethod
    def _below(cls, value: str) -> str:
        return below(value)


class Rule(Part):
    """How the label, domain or split of a picture is found: one of folder, column, pattern and value."""

    folder: Literal["first", "last"] | None = Field(
        None, description="Take the first of several folders in a picture's path, or the last folder."
    )
    column: Text | None = Field(None, description="Take this column of the labels.")
    pattern: Text | None = Field(
        None, description="Take what the one group of this regular expression finds in a picture's path."
    )
    value: Text | None = Field(None, description="Take this text for every picture.")
    names: dict[str, str] | None = Field(None, description="Readable names of the values found, as in `1: cat`.")
    names_file: NamesFile | None = Field(None, description="Or a table of such names: file, key and name.")

    @field_validator("names", mode="before")
    @classmethod
    def _keys_are_text(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {str(key) if isinstance(key, int) else key: name for key, name in value.items()}

    @field_validator("pattern")
    @classmethod
    def _one_group(cls, value: str | None) -> str | None:
        if value is None:
            return None
        if len(value) > _PATTERN_CHARACTERS:
            raise ValueError(f"the pattern has {len(value)} characters; at most {_PATTERN_CHARACTERS} are taken")
        try:
            groups = re.compile(value).groups
        except (re.error, RecursionError, OverflowError) as error:
            raise ValueError(f"{value!r} is no regular expression: {error}") from None
        if groups != 1:
            raise ValueError(f"{value!r} has {groups} groups; put one pair of parentheses around what is wanted")
        return value

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        given = [name for name in ("folder", "column", "pattern", "value") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"a rule needs one of folder, column, pattern and value; it has {len(given)}")
        if self.names is not None and self.names_file is not None:
            raise ValueError("a rule takes names from one place; give names or names_file")
        return self


def _as_rule(value: Any) -> Any:
    """`parent` and a column's name, as short forms of a rule."""
    if isinstance(value, str) and value.strip():
        return {"folder": "first"} if value.strip() == "parent" else {"column": value.strip()}
    return value


def _findings_kind(value: Any) -> str:
    return ":several" if isinstance(value, list) else ":one"


Findings = Annotated[
    Annotated[Text, Tag(":one")] | Annotated[list[Text], Field(min_length=1), Tag(":several")],
    Discriminator(_findings_kind),
]


class Described(Part):
    """Pictures with what is known of each."""

    labels: LabelFile | None = Field(
        None, description="What is known of each picture: a CSV's path, or file, format, columns and path."
    )
    label: Rule | None = Field(None, description="Rule for the label; by default column `label` or the last folder.")
    domain: Rule | None = Field(
        None,
        description="Rule for the domain, or a column of `labels`, or `parent`: the first folder level of two or more.",
    )
    split: Rule | None = Field(None, description="Rule for the split; by default the column of that name.")
    splits: list[Text] | None = Field(None, min_length=1, description="Take only the pictures of these splits.")
    findings: Findings | None = Field(
        None,
        description="Column with several findings per picture, as in Mass|Nodule; or columns of 0 and 1, one each.",
    )

    @field_validator("labels", mode="before")
    @classmethod
    def _file_alone(cls, value: Any) -> Any:
        return {"file": value} if isinstance(value, str) else value

    @field_validator("label", "domain", "split", mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return _as_rule(value)

    @model_validator(mode="after")
    def _column_needs_table(self) -> Self:
        for role in ("label", "domain", "split"):
            rule = getattr(self, role)
            if rule is not None and rule.column is not None and self.labels is None:
                raise ValueError(f"{role} is the column {rule.column!r}, but there is no labels CSV that could hold it")
        if self.findings is not None and self.labels is None:
            raise ValueError("findings are columns of labels, but there is no labels CSV that could hold them")
        return self
