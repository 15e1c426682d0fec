"""The README quotes what was measured, and nothing else."""

from __future__ import annotations

from benchmarks.table import BEGIN, END, README, read_results, table, written_into


def test_a_result_becomes_lines_of_a_table() -> None:
    results = [
        ("rate", {"command": "python -m benchmarks.rate", "requests": 12_000, "seconds": {"ours": 1.5, "note": "text"}, "ok": True}),
        ("memory", {"rows": 5, "figures": {"peak_mb": 201}}),
    ]
    assert table(results).splitlines()[2:] == [
        "| rate | requests | 12,000 | `python -m benchmarks.rate` |",
        "| rate | seconds, ours | 1.5 | `python -m benchmarks.rate` |",
        "| memory | peak mb | 201 | `make bench` |",
    ]
    assert table([]) == ""


def test_a_table_takes_the_place_of_the_one_before() -> None:
    page = f"before\n{BEGIN}old\n{END}after\n"
    assert written_into(page, "new\n") == f"before\n{BEGIN}new\n{END}after\n"


def test_every_figure_of_the_readme_was_measured() -> None:
    text = README.read_text(encoding="utf-8")
    quoted = text.partition(BEGIN)[2].partition(END)[0].splitlines()[2:]
    measured = table(read_results()).splitlines()
    assert [line for line in quoted if line not in measured] == [], "`python -m benchmarks.table --write` brings the README up to date"
