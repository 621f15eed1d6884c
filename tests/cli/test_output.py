"""Progress is quiet for what is done at once, and has rate and time left for what is not."""

import os
import subprocess
import sys

import pytest

from vfs_panel.cli import output


class _Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> _Clock:
    clock = _Clock()
    monkeypatch.setattr(output, "time", clock)
    return clock


def test_rate_and_time_left_count_from_where_it_goes_on(clock: _Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with output.progress("Counting") as report:
        report(500, 1000)  # an earlier run did these
        for done in range(510, 1001, 10):
            clock.now_s += 1.0
            report(done, 1000)
    first, *_, last = capsys.readouterr().err.splitlines()
    assert first == "Counting: 600 of 1000, 10/s, 40 s left"
    assert last == "Counting: 1000 of 1000, 10/s"


def test_what_is_done_at_once_says_nothing(clock: _Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with output.progress("Counting") as report:
        report(0, 2)
        report(2, 2)
    assert capsys.readouterr().err == ""


def test_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    with output.progress("Counting") as report:
        report(0, 2)
        report(2, 2)
    assert "Counting" in capsys.readouterr().err


def test_tables_are_not_folded_when_piped(capsys: pytest.CaptureFixture[str]) -> None:
    long = "layer." * 50
    output.print_table(("name", "size"), [(long, 3), ("[bold]x[/bold]", 4)], right=("size",))
    heading, first, second = capsys.readouterr().out.splitlines()
    assert heading.split() == ["name", "size"]
    assert first.split() == [long, "3"]
    assert second.split() == ["[bold]x[/bold]", "4"]


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_leaves_early_gets_no_complaint(unbuffered: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)  # as `head` does, but surely before the first line
    command = [sys.executable, "-m", "vfs_panel.cli", "models"]
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    done = subprocess.run(command, check=False, stdout=writing, stderr=subprocess.PIPE, text=True, env=environment)
    os.close(writing)
    assert done.stderr == ""
    assert done.returncode == 0


def test_bytes_are_shown_as_sizes(clock: _Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with output.progress("Downloading set.zip", of_bytes=True) as report:
        report(0, 2_000_000_000)
        clock.now_s += 20
        report(500_000_000, 2_000_000_000)
        clock.now_s += 20
        report(900_000_000, 0)  # nobody knows how much it is in all
    assert capsys.readouterr().err.splitlines() == [
        "Downloading set.zip: 500 MB of 2.0 GB, 25 MB/s, 60 s left",
        "Downloading set.zip: 900 MB, 22 MB/s",
    ]
