"""The table of what a person waits for says what was aimed at. The measurement itself is run by hand."""

from tests.benchmarks.app_latency import Figure, table


def test_a_table_says_what_was_aimed_at() -> None:
    rows = [Figure("wait", 90, "ms", 120), Figure("rate", 8, "/s", 10, most=False), Figure("size", 3, "MB")]
    said = table({
        "set": "60 pictures", "engine": "on the CPU", "device": "2 cores", "load_average": [1.0],
        "figures": [row._asdict() for row in rows],
    })  # fmt: skip
    assert "| wait | 90.0 ms | ≤ 120 | yes |" in said
    assert "| rate | 8.0 /s | ≥ 10 | no |" in said
    assert "| size | 3.0 MB |  |  |" in said
