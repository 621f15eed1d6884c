"""Each part of the benchmark measures all it should, finds nothing wrong, and says what is."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vfs_panel.bench import (
    contestants,
    extracting,
    growing,
    machine,
    opening,
    peak,
    reading,
    regions,
    searching,
    sets,
    timing,
)
from vfs_panel.bench.contestants import Found, Ours
from vfs_panel.bench.report import Goal, Part, Report, geometric_mean, number
from vfs_panel.errors import BenchError, QueryError
from vfs_panel.features import FeatureStore

RECIPES = [sets.Recipe(40, (16, 7, 7)), sets.Recipe(60, (16, 7, 7))]


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "TURNS", 1)
    monkeypatch.setattr(timing, "PAUSE_S", 0.0)


@pytest.fixture
def own_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure memory within the process of the tests: not what it should be, but at once."""
    monkeypatch.setattr(peak, "measure", peak._measure_here)


def test_searches(tmp_path: Path, own_process: None) -> None:
    told: list[tuple[int, int]] = []
    part = searching.measure(RECIPES, tmp_path, progress=lambda done, total: told.append((done, total)))
    assert told[0] == (0, 14)
    assert told[-1] == (14, 14)
    assert part.problems == ()
    assert part.left_out == ()
    first, second = json.loads(json.dumps(part.figures, allow_nan=False))["sets"]
    assert (first["n_images"], second["n_images"]) == (40, 60)
    names = {f["contestant"] for f in first["figures"]}
    assert {"visualfeaturesearch 1.0.0", "vfs_panel int8, exact", "vfs_panel float32, preview"} <= names
    for outcome in (first, second):
        for mask in regions.MASKS:
            own = {f["contestant"]: f for f in outcome["figures"] if f["mask"] == mask}
            assert len(own) == 1 + 6 + 3 + 1 + (mask == regions.ONE_CELL)
            ours, read = own["vfs_panel int8, exact"], own["one read of the int8 codes"]
            assert ours["times_read"] == pytest.approx(ours["ms"] / read["ms"])
            assert ours["times_faster"] == pytest.approx(own["visualfeaturesearch 1.0.0"]["ms"] / ours["ms"])
            assert ours["low_ms"] <= ours["ms"] <= ours["high_ms"]
            assert ours["runs"] >= 5
            assert ours["right"] == 20
    # The second set has the first one's grid: what visualfeaturesearch takes there is known.
    theirs = [[f for f in s["figures"] if f["kind"] == "reference"] for s in (first, second)]
    assert [f["ms"] * 1.5 for f in theirs[0]] == pytest.approx([f["ms"] for f in theirs[1]])
    assert {f["measured_on"] for f in theirs[1]} == {40}
    _check_tables(part)
    assert first["chosen"] in ("float32", "bfloat16", "int8")
    assert set(first["peaks"]) == {"auto", "float32", "bfloat16", "int8"}
    assert not list(tmp_path.iterdir())


def _check_tables(part: Part) -> None:
    first, second = part.tables
    assert first.title.startswith("40 × 16×7×7")
    assert first.columns[1 : 1 + len(regions.MASKS)] == regions.MASKS
    rows = {row[0]: row for row in first.rows}
    assert rows["vfs_panel bfloat16, exact"][-1] == "right"
    assert all(cell.endswith("*") for cell in second.rows[0][1:6])
    assert any(note.startswith("* visualfeaturesearch was measured on 40") for note in second.notes)
    assert all(len(row) == len(first.columns) for row in first.rows)


def test_wrong_matches_are_an_error(tmp_path: Path, own_process: None, monkeypatch: pytest.MonkeyPatch) -> None:
    right: Callable[..., Found] = Ours.search

    def wrong(self: Ours, *given: Any, **options: Any) -> Found:
        found = right(self, *given, **options)
        if self.scan == "int8" and options.get("exact", True):
            found.rows[[0, 9]] = found.rows[[9, 0]]
        return found

    monkeypatch.setattr(Ours, "search", wrong)
    part = searching.measure(RECIPES[:1], tmp_path)
    assert len(part.problems) == len(regions.MASKS)
    assert part.problems[0].startswith("40 × 16×7×7, 1×1: vfs_panel int8, exact: picture ")
    (row,) = [row for row in part.tables[0].rows if row[0] == "vfs_panel int8, exact"]
    assert row[-1] == "WRONG"
    assert all(cell.endswith("!") for cell in row[1:6])


def test_a_preview_beyond_its_bound_is_an_error(
    tmp_path: Path, own_process: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    right: Callable[..., Found] = Ours.search

    def wrong(self: Ours, *given: Any, **options: Any) -> Found:
        found = right(self, *given, **options)
        return found if options.get("exact", True) else Found(found.rows, found.scores - 0.2, 0, found.bound)

    monkeypatch.setattr(Ours, "search", wrong)
    part = searching.measure(RECIPES[:1], tmp_path)
    assert all("preview: a score is off by 0.2, its bound is" in problem for problem in part.problems)
    assert len(part.problems) == 3 * len(regions.MASKS)


def test_who_is_missing_is_left_out_and_named(
    tmp_path: Path, own_process: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> None:
        raise contestants.NotInstalledError("FAISS is not here. Run: pip install faiss-cpu")

    monkeypatch.setattr(contestants, "_faiss", missing)
    part = searching.measure([sets.Recipe(40, (16, 7, 7))], tmp_path)
    assert part.left_out == ("Not measured: FAISS is not here. Run: pip install faiss-cpu",)
    assert part.problems == ()


def test_what_does_not_fit_into_memory_is_left_out(
    tmp_path: Path, own_process: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "free_memory_mb", lambda _: 0.55)
    part = searching.measure([sets.Recipe(40, (16, 7, 7))], tmp_path)
    assert "would need" in part.left_out[0]
    monkeypatch.setattr(searching, "free_memory_mb", lambda _: 0.1)
    with pytest.raises(BenchError, match=r"does not fit .* --images"):
        searching.measure([sets.Recipe(40, (16, 7, 7))], tmp_path)


def test_peak_memory_in_a_process_of_its_own(tiny_set: FeatureStore) -> None:
    found = peak.measure(tiny_set.path, "int8", "cpu")
    assert found.scan == "int8"
    assert found.codes == pytest.approx(tiny_set.nbytes("synthetic") / 2, rel=0.6)
    assert "in memory" in found.tier
    if machine.forget_peak():
        assert found.searching is not None
        assert found.share == found.searching / found.codes
    with pytest.raises(BenchError, match="no store"):
        peak.measure(tiny_set.path + "-none", "int8", "cpu")


def test_a_gpu_that_is_not_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    for measure in (
        lambda: machine.describe("cuda"),
        lambda: searching.measure(RECIPES, tmp_path, device="cuda"),
        lambda: growing.measure("small", tmp_path, device="cuda"),
        lambda: extracting.measure(extracting.jobs("small"), tmp_path, device="cuda"),
    ):
        with pytest.raises(QueryError, match=r"cuda.*is not here"):
            measure()


def test_opening(tmp_path: Path) -> None:
    part = opening.measure(400, tmp_path)
    found = part.figures["opening"]
    assert found["images"] == 400
    assert all(found[f"{what}_s"] > 0 for what in ("open", "engine", "first", "next", "index"))
    assert len(part.goals) == 1
    assert not list(tmp_path.iterdir()), "the store was left"
    both = part.with_part(part)
    assert len(both.tables) == len(both.goals) == 2


def test_reading(tmp_path: Path) -> None:
    part = reading.measure([sets.Recipe(60, (16, 7, 7))], tmp_path)
    assert part.problems == ()
    states = [found["state"] for found in part.figures["readings"]]
    assert states == (["cold", "warm"] if reading.can_empty_cache() else ["warm"])
    for found in part.figures["readings"]:
        assert found["nbytes"] == pytest.approx(60 * 16 * 49 * 2, rel=0.01)
        assert found["share"] == pytest.approx(found["raw_ms"] / found["search_ms"])
    assert "from disk" in next(iter(part.figures["tiers"].values()))
    assert part.tables[0].rows[0][-1] == "right"


def test_a_plain_read_reads_all(tiny_set: FeatureStore) -> None:
    files = sets.feature_files(tiny_set)
    total = sum(file.stat().st_size for file in files)
    assert reading.read_files(files, bytearray(1000)) == total
    reading.forget(files)
    assert reading.read_files(files, bytearray(total)) == total


def test_extraction(tmp_path: Path) -> None:
    part = extracting.measure([extracting.Job("vfs-demo", "stage4", 3)], tmp_path)
    (found,) = part.figures["speeds"]
    assert found["runs"] >= 5
    assert found["share"] == pytest.approx(found["extracted_per_s"] / found["forward_per_s"])
    assert not list(tmp_path.iterdir())


def test_growing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(growing.DISTINCT, "small", 60)
    part = growing.measure("small", tmp_path, images=(30, 60, 200))
    sizes = part.figures["sizes"]
    assert [(s["n_images"], s["distinct"]) for s in sizes] == [(30, 30), (60, 60), (200, 60)]
    assert part.tables[0].rows[2][0] == "200*"
    assert "over and over" in part.tables[0].notes[-1]


def test_the_machine_is_named() -> None:
    found = machine.describe("cpu")
    words = machine.words(found)
    assert found["cpu"] in words
    assert f"{found['cores']} cores" in words
    assert found["torch"] in words
    assert "no GPU" in words


def test_a_report() -> None:
    goals = (Goal("quick: at most 5 ms", 4.0, 5.0, False), Goal("fast: at least 100", 99.0, 100.0, True))
    report = Report({"cpu": "x"}, {"size": "small"}, {"search": Part({"sets": []}, (), goals, ("a: wrong",))})
    found = report.to_json()
    assert (found["schema"], found["schema_version"]) == ("vfs_panel.bench", 1)
    assert [goal["reached"] for goal in found["parts"]["search"]["goals"]] == [True, False]
    assert report.problems() == ["a: wrong"]
    table = report.goals()
    assert table is not None
    assert [row[1:] for row in table.rows] == [("4.00", "reached"), ("99.0", "NOT reached")]


def test_numbers() -> None:
    assert [number(v) for v in (None, float("nan"), 0.123, 12.34, 12345.6)] == ["–", "–", "0.12", "12.3", "12,346"]
    assert geometric_mean([1, 100]) == pytest.approx(10)


def test_goals_are_those_of_the_size(tmp_path: Path) -> None:
    figure = searching.Figure("ours", "ours", regions.SOFT, 50_000, 1, scan="int8", ms=140.0, times_faster=120.0)
    scan = searching.Figure("scan", "preview", regions.SOFT, 50_000, 1, scan="int8", times_read=5.0)
    taken = peak.Peak("int8", "in memory", "", 100, 130, 110, 112, 1.0)
    outcome = searching.SetOutcome(sets.Recipe(50_000), [figure, scan], {"auto": taken, "int8": taken}, [], 1.0)
    reached = {goal.what.split(": ")[1]: goal.reached for goal in searching.goals(outcome, "cpu")}
    assert reached == {
        "at least 100 times as fast as visualfeaturesearch, mean of the masks": True,
        "at least 12 times as fast, least of the masks": True,
        "at most 150 ms": True,
        "int8 scan at most 4 reads of its codes": False,
        "most memory of a search at most 1.15 of its int8 codes": True,
    }
    small = searching.SetOutcome(sets.Recipe(300, (128, 7, 7)), [figure, scan], outcome.peaks, [], 1.0)
    assert searching.goals(small, "cpu") == ()
