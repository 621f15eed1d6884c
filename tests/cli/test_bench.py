"""`bench`: tables on stdout, figures as JSON, and exit code 2 with one line for what is wrong."""

import json
from pathlib import Path

import pytest

from vfs_panel.bench import extracting, growing, peak, reading, searching, sets, timing
from vfs_panel.bench.report import Part, Table
from vfs_panel.cli import run


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "TURNS", 1)
    monkeypatch.setattr(peak, "measure", peak._measure_here)  # a process for each would take seconds
    monkeypatch.setattr(searching, "recipes", lambda *_: [sets.Recipe(30, (16, 7, 7))])
    monkeypatch.setattr(reading, "recipes", lambda *_: [sets.Recipe(30, (16, 7, 7))])
    monkeypatch.setattr(extracting, "jobs", lambda _: [extracting.Job("vfs-demo", "stage4", 2)])
    monkeypatch.setitem(growing.NUMBERS, "small", (30, 40))
    monkeypatch.setitem(growing.DISTINCT, "small", 30)


def test_all_in_one_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "figures.json"
    assert run(["bench", "--size", "small", "--json", str(out), "--folder", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert printed.splitlines()[0].count("torch") == 1  # the machine
    for title in ("30 × 16×7×7", "Streaming", "Extraction", "Growing sets", "Cluster"):
        assert f"\n{title}" in printed
    assert "visualfeaturesearch 1.0.0" in printed
    assert "WRONG" not in printed
    found = json.loads(out.read_text())
    assert found["schema"] == "vfs_panel.bench"
    assert list(found["parts"]) == ["search", "read", "extract", "grow", "cluster"]
    assert found["options"] == {"size": "small", "images": []}
    assert {"cpu", "cores", "memory_gb", "torch", "device", "gpu"} <= set(found["machine"])
    assert list(tmp_path.iterdir()) == [out]


def test_one_part(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "figures.json"
    assert run(["bench", "grow", "--size", "small", "--images", "25", "--images", "35", "--json", str(out)]) == 0
    (sizes,) = (part["sizes"] for part in json.loads(out.read_text())["parts"].values())
    assert [size["n_images"] for size in sizes] == [25, 35]
    assert "Growing sets" in capsys.readouterr().out


def test_wrong_results_fail_after_all_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table = Table("Searches", ("who", "top 20"), (("a", "WRONG"),))
    part = Part({}, (table,), problems=("a: picture 3 is missed",), left_out=("Not measured: b.",))
    monkeypatch.setattr(searching, "measure", lambda *_, **__: part)
    out = tmp_path / "figures.json"
    assert run(["bench", "search", "--json", str(out)]) == 2
    printed = capsys.readouterr()
    assert "WRONG" in printed.out
    assert "Not measured: b." in printed.err
    assert printed.err.splitlines()[-1] == "1 results are wrong: a: picture 3 is missed."
    assert json.loads(out.read_text())["parts"]["search"]["problems"] == ["a: picture 3 is missed"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--device", "cuda", "search"], "Options belong after the command: vfs-panel bench search"),
        (["search", "--json", "none/at/all.json"], "There is no folder none/at"),
        (["search", "--folder", "none/at/all"], "--folder"),
        (["search", "--images", "3"], "20"),
        (["search", "--size", "huge"], "'small', 'full'"),
    ],
)
def test_mistakes(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_no_gpu(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    assert run(["bench", "--device", "cuda"]) == 2
    assert capsys.readouterr().err == "Device 'cuda' is not here: 0 CUDA devices found. Use cpu.\n"
