"""Lists of picture files: CSV, TSV, Parquet and tables in memory."""

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from vfs_panel.errors import ImageError
from vfs_panel.images.dataset import ImageDataset


@pytest.fixture
def films(tmp_path: Path) -> Path:
    (tmp_path / "films").mkdir()
    for k in range(3):
        Image.new("L", (6, 5), k * 50).save(tmp_path / "films" / f"{k}.png")
    return tmp_path


ROWS = pd.DataFrame(
    {
        "Image Index": ["films/0.png", "films/1.png", "films/2.png", "films/9.png"],
        "Finding Labels": ["Mass|Nodule", "No Finding", "Nodule", "Mass"],
        "view": ["PA", "AP", "PA", "PA"],
        "age": [61.0, np.nan, 58.0, 1.0],
    }
)


def write(table: pd.DataFrame, path: Path) -> Path:
    if path.suffix == ".parquet":
        pytest.importorskip("pyarrow")
        table.to_parquet(path)
    else:
        table.to_csv(path, index=False, sep="\t" if path.suffix == ".tsv" else ",")
    return path


@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet", "memory"])
def test_every_kind_of_table(films: Path, ending: str) -> None:
    source = ROWS if ending == "memory" else write(ROWS, films / f"list.{ending}")
    folder = films if ending == "memory" else None
    images = ImageDataset.from_table(source, folder, domain="view", findings="Finding Labels")
    assert images.ids == ["films/0.png", "films/1.png", "films/2.png"]
    assert images.skipped == [("films/9.png", "no such file")]
    assert images.table["domain"].tolist() == ["PA", "AP", "PA"]
    assert images.table["label"].tolist() == ["Mass|Nodule", "No Finding", "Nodule"]
    assert images.table["age"].tolist() == ["61", "", "58"]
    assert images.table["path"].tolist() == images.ids
    assert images.findings is not None
    assert images.findings.to_dict("list") == {"Mass": [True, False, False], "Nodule": [True, False, True]}
    assert images.folder == str(films.resolve())
    assert images.rgb("films/1.png")[0, 0].tolist() == [50, 50, 50]


@pytest.mark.parametrize(
    "column", ["path", "file", "Filename", "file_name", "image", "image_path", "Image Index", "Path"]
)
def test_the_path_is_found_by_its_usual_names(films: Path, column: str) -> None:
    images = ImageDataset.from_table(pd.DataFrame({"age": [3], column: ["films/2.png"]}), films)
    assert images.ids == ["films/2.png"]
    assert images.table["path"].tolist() == ["films/2.png"]
    assert set(images.table) == {"age", "path", "domain", "label", "split"}


def test_ids_of_their_own_and_named_columns(films: Path) -> None:
    table = pd.DataFrame(
        {"image": [17, 18], "file": ["0.png", "2.png"], "where": ["x", "y"], "class": ["cat", "dog"], "fold": [1, 2]}
    )
    images = ImageDataset.from_table(table, films / "films", domain="where", split="fold")
    assert images.ids == ["17", "18"]
    assert images.table[["domain", "label", "split"]].to_numpy().tolist() == [["x", "cat", "1"], ["y", "dog", "2"]]
    assert images.rgb("18")[0, 0, 0] == 100
    assert "where" in images.table


def test_findings_in_columns_give_the_label_only_where_there_is_none(films: Path) -> None:
    table = pd.DataFrame({"path": ["films/0.png", "films/1.png"], "Mass": [1, 0], "Gas": ["1", ""], "other": ["", ""]})
    images = ImageDataset.from_table(table, films, findings=["Mass", "Gas"])
    assert images.table["label"].tolist() == ["Mass|Gas", ""]
    images = ImageDataset.from_table(table.assign(label="chest"), films, findings=["Mass", "Gas"])
    assert images.table["label"].tolist() == ["chest", "chest"]


def test_a_column_named_findings(films: Path) -> None:
    table = pd.DataFrame({"path": ["films/0.png"], "findings": ["Mass"]})
    assert "findings_" in ImageDataset.from_table(table, films).table
    images = ImageDataset.from_table(table, films, findings="findings")
    assert not {"findings", "findings_"} & set(images.table)
    assert images.table["label"].tolist() == ["Mass"]


def test_folder_with_labels_and_findings(films: Path) -> None:
    labels = films / "labels.csv"
    labels.write_text("path,found\nfilms/0.png,Mass\nfilms/1.png,\n")
    images = ImageDataset.from_folder(films, labels=labels, findings="found")
    assert images.findings is not None
    assert images.findings["Mass"].tolist() == [True, False]
    assert images.table["label"].tolist() == ["films", "films"]
    with pytest.raises(ImageError, match="Findings need a labels CSV"):
        ImageDataset.from_folder(films, findings="found")


def test_spreadsheets_with_semicolons_and_a_mark(films: Path) -> None:
    (films / "list.csv").write_bytes("\ufeffpath;label\nfilms/0.png;Käfer\n".encode())
    assert ImageDataset.from_table(films / "list.csv").table["label"].tolist() == ["Käfer"]


def test_paths_stay_inside(films: Path) -> None:
    inside = films / "films"
    images = ImageDataset.from_table(pd.DataFrame({"path": [str(inside / "0.png"), "../films/1.png"]}), inside)
    assert images.table["path"].tolist() == ["0.png", "../films/1.png"]
    outside = films / "outside.png"
    Image.new("L", (4, 4)).save(outside)
    (inside / "link.png").symlink_to(outside)
    (inside / "up").symlink_to(films)
    for path in ("../outside.png", str(outside), "link.png", "up/outside.png", "..", "/etc/passwd"):
        with pytest.raises(ImageError, match=r"line 1: path .* leads out"):
            ImageDataset.from_table(pd.DataFrame({"path": [path]}), inside)


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("a,b\n1,2\n", {}, "it needs 'path'"),
        ("path\n", {}, "holds no picture"),
        ("path\nnone.png\n", {}, r"none\.png \(no such file\)"),
        ("path\n\n", {}, "holds no picture"),
        ("path,x\nfilms/0.png,1\n", {"domain": "camera"}, "no column 'camera'; it has path, x"),
        ("path,x\nfilms/0.png,1\n", {"findings": "seen"}, "no column 'seen'"),
        ("path\nfilms/0.png\nfilms/0.png\n", {}, "stands 2 times"),
        ("path,label\nfilms/0.png,a,b\n", {}, "more cells than there are column names"),
        ("\x00\x01\xff", {}, "cannot be read as CSV|it needs"),
    ],
)
def test_what_is_wrong_with_a_table_is_said(films: Path, text: str, options: dict[str, str], message: str) -> None:
    (films / "list.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(ImageError, match=message):
        ImageDataset.from_table(films / "list.csv", **options)  # type: ignore[arg-type]


def test_missing_and_unreadable_files(films: Path) -> None:
    with pytest.raises(ImageError, match="does not exist"):
        ImageDataset.from_table(films / "none.csv")
    (films / "bad.parquet").write_text("no Parquet")
    with pytest.raises(ImageError, match="as Parquet"):
        ImageDataset.from_table(films / "bad.parquet")
    with pytest.raises(ImageError, match="needs folder="):
        ImageDataset.from_table(ROWS)


def test_parquet_without_pyarrow(films: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    (films / "list.parquet").write_bytes(b"PAR1")
    with pytest.raises(ImageError, match=r'pip install "vfs_panel\[parquet\]"'):
        ImageDataset.from_table(films / "list.parquet")


def test_pickled(films: Path) -> None:
    images = ImageDataset.from_table(ROWS, films, findings="Finding Labels")
    again = pickle.loads(pickle.dumps(images))
    assert again.table.equals(images.table)
    assert again.findings.equals(images.findings)
    assert (again.rgb("films/2.png") == images.rgb("films/2.png")).all()
