"""Progress: counts, rates, the estimate of the rest; as lines, as a live view, and as the table at the end."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.console import Console

from st_export import events as happened
from st_export.observe.lines import ProgressLines, entity_line
from st_export.observe.live import LiveView
from st_export.observe.logs import LogWriter
from st_export.observe.progress import EntityProgress, Progress
from st_export.observe.quantities import bytes_text, plural, seconds_text
from st_export.observe.table import aligned_text, print_final, totals_line

START = datetime(2026, 11, 25, 2, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


class Run:
    """Events of a made-up run, handed to listeners."""

    def __init__(self, *listeners: happened.Listener, tenants: tuple[int, ...] = (1001,), entities: int = 2) -> None:
        self.progress = Progress()
        self.events = happened.Events(self.progress, *listeners)
        self.events.emit(
            happened.RunStarted(at=START, run="r1", command="run", tenants=tenants, entities=entities, requests_per_second=55.0)
        )

    def listen(self, listener: happened.Listener) -> None:
        self.events.listen(listener)

    def entity(self, name: str, kind: str = "list", *, second: float = 0, expected: int | None = None, tenant: int = 1001) -> None:
        self.events.emit(happened.EntityStarted(at=at(second), tenant=tenant, entity=name, kind=kind, rows_expected=expected))

    def page(self, name: str, second: float, rows: int, **request: Any) -> None:
        place: dict[str, Any] = {"at": at(second), "tenant": 1001, "entity": name}
        details = {"status": 200, "wire_bytes": 10, "seconds": 0.1, "will_retry": False} | request
        self.events.emit(happened.RequestFinished(**place, **details))
        if rows:
            self.events.emit(happened.PageFetched(**place, bytes=100))
            self.events.emit(happened.PageDecoded(**place, rows=rows, rescued=0, rejected=0))

    def commit(self, name: str, second: float, rows: int, files: int = 1, size: int = 2_500_000, tenant: int = 1001) -> None:
        counts = {"rows": rows, "files": files, "bytes": size, "rescued": 0, "rejected": 0, "manifest": "m", "unit": "u"}
        self.events.emit(happened.Committed(at=at(second), tenant=tenant, entity=name, **counts))  # type: ignore[arg-type]  # one dict

    def end(self, name: str, second: float, status: Any = "ok", tenant: int = 1001, **why: str) -> None:
        self.events.emit(happened.EntityFinished(at=at(second), tenant=tenant, entity=name, status=status, **why))

    def finish(self, second: float, outcome: Any = "complete", code: int = 0) -> None:
        self.events.emit(happened.RunFinished(at=at(second), run="r1", outcome=outcome, exit_code=code))


def test_counts_add_up_over_entities() -> None:
    run = Run()
    run.page("jpm.jobs", 1, 0, status=429, will_retry=True)
    run.page("jpm.jobs", 2, 500)
    run.page("crm.leads", 2, 30)
    run.commit("jpm.jobs", 3, 480)
    progress = run.progress
    assert (progress.requests, progress.retries, progress.rate_limited, progress.rows_written, progress.files) == (3, 1, 1, 480, 1)
    jobs = progress.entity(1001, "jpm.jobs")
    assert jobs is not None
    assert (jobs.pages, jobs.rows_read, jobs.rows_written, jobs.retries, jobs.status) == (1, 500, 480, 1, None)


def test_the_rate_is_that_of_the_last_ten_seconds() -> None:
    run = Run()
    for second in range(30):
        for _ in range(20 if second < 20 else 50):
            run.page("jpm.jobs", second, 0)
    assert run.progress.requests_per_second(at(30)) == 50.0
    assert Run().progress.requests_per_second(at(0.5)) == 0.0


def test_the_rest_is_estimated_from_twenty_seconds_on_and_only_for_known_totals() -> None:
    run = Run(entities=1)
    run.entity("jpm.jobs", expected=10_000)
    for second in range(20):
        run.page("jpm.jobs", second, 100)
    assert run.progress.seconds_left() is None
    run.page("jpm.jobs", 20, 100)
    left = run.progress.seconds_left()
    assert left == ((10_000 - 2_100) / 100, True)
    run.entity("crm.leads", second=21)
    left = run.progress.seconds_left()
    assert left is not None
    assert left[1] is False


def test_the_estimate_looks_back_two_minutes() -> None:
    run = Run(entities=1)
    run.entity("jpm.jobs", expected=100_000)
    for second in range(300):
        run.page("jpm.jobs", second, 10 if second < 180 else 100)
    left = run.progress.seconds_left()
    assert left == ((100_000 - 1800 - 12_000) / 100, True)


def test_a_long_wait_is_told_until_it_is_over() -> None:
    run = Run()
    run.events.emit(happened.Waiting(at=at(0), tenant=1001, entity="report.a", seconds=43.0, reason="once a minute"))
    run.events.emit(happened.TenantHeldBack(at=at(0), tenant=1001, seconds=4.0, reason="rate limited"))
    assert [(wait.entity, wait.reason, left) for wait, left in run.progress.waits(at(3))] == [("report.a", "once a minute", 40.0)]
    assert run.progress.waits(at(43)) == []
    run.page("report.a", 10, 1)
    assert run.progress.waits(at(11)) == []


def test_a_line_comes_at_most_every_half_minute_for_each_entity() -> None:
    stream = io.StringIO()
    run = Run()
    run.listen(ProgressLines(run.progress, LogWriter(stream)))
    run.entity("jpm.jobs", expected=10_000)
    run.entity("crm.leads", second=10)
    for second in range(0, 66, 5):
        run.page("jpm.jobs", second, 100)
        run.page("crm.leads", second + 10, 1)
    run.end("jpm.jobs", 80)
    run.end("crm.leads", 80, "failed", error="it broke")
    assert [line[:35] for line in stream.getvalue().splitlines()] == [
        "02:00:30 info    tenant 1001, jpm.j",
        "02:00:40 info    tenant 1001, crm.l",
        "02:01:00 info    tenant 1001, jpm.j",
        "02:01:10 info    tenant 1001, crm.l",
        "02:01:20 info    tenant 1001, jpm.j",
        "02:01:20 error   tenant 1001, crm.l",
    ]
    assert stream.getvalue().splitlines()[4].endswith("jpm.jobs: ok: nothing new, 1m 20s")
    assert stream.getvalue().splitlines()[0].endswith("jpm.jobs: 600 of 10,000 rows (6 %), 20/s; at least 9m 18s left")


def test_a_json_line_of_progress_has_the_counts() -> None:
    stream = io.StringIO()
    run = Run()
    run.listen(ProgressLines(run.progress, LogWriter(stream, log_format="json")))
    run.entity("jpm.jobs", "feed")
    run.page("jpm.jobs", 0, 0, status=503, will_retry=True)
    run.page("jpm.jobs", 10, 800)
    run.page("jpm.jobs", 40, 0)
    line = json.loads(stream.getvalue())
    assert {key: line[key] for key in list(line)[1:]} == {
        "level": "info", "event": "entity_progress", "message": "800 rows, 20/s, 1 retry", "tenant": 1001, "entity": "jpm.jobs",
        "rows": 800, "rows_per_second": 20.0, "retries": 1, "requests_per_second": 0.0,
    }  # fmt: skip


def test_the_line_at_an_end_says_what_the_entity_brought() -> None:
    stream = io.StringIO()
    run = Run()
    run.listen(ProgressLines(run.progress, LogWriter(stream, log_format="json")))
    run.entity("jpm.jobs")
    run.commit("jpm.jobs", 2, 1_200, files=3)
    run.end("jpm.jobs", 4)
    line = json.loads(stream.getvalue())
    assert {key: line[key] for key in list(line)[1:]} == {
        "level": "info", "event": "entity_finished", "message": "ok: 1,200 new rows in 3 files, 4.0s", "tenant": 1001,
        "entity": "jpm.jobs", "status": "ok", "rows": 1200, "files": 3, "seconds": 4.0,
    }  # fmt: skip


def test_no_share_is_told_before_the_total_is_known() -> None:
    entity = EntityProgress(1001, "jpm.jobs", started_at=START, last_at=at(10), rows_read=1_000)
    assert entity_line(entity) == "1,000 rows, 100/s"
    entity.rows_expected = 900
    assert entity_line(entity) == "1,000 of 900 rows (100 %), 100/s"


def shown(view: LiveView, width: int = 100) -> list[str]:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    with console.capture() as captured:
        console.print(view.render())
    return [line.rstrip() for line in captured.get().splitlines()]


def test_the_live_view_is_a_few_calm_lines() -> None:
    run = Run(entities=20)
    view = LiveView(run.progress, Console(file=io.StringIO()), now=lambda: at(21))
    run.entity("jpm.jobs", expected=10_000)
    run.entity("sales.estimates", "feed")
    run.entity("crm.leads")
    for second in range(21):
        run.page("jpm.jobs", second, 100)
    run.page("sales.estimates", 20, 0, status=429, will_retry=True)
    run.commit("jpm.jobs", 20, 900)
    run.end("crm.leads", 20, "failed", error="it broke")
    run.events.emit(happened.Waiting(at=at(20), tenant=1001, entity="report.a", seconds=43.0, reason="the report may run once a minute"))
    assert shown(view) == [
        "jpm.jobs         2,100 of 10,000 rows (21 %), 105/s",
        "sales.estimates  0 rows, 1 retry",
        "1 of 20 entities done, 1 failed",
        "1.1 requests/s of 55, 22 sent, 1 retry, 1 rate-limited, 900 new rows; at least 1m 19s left",
        "waiting: tenant 1001, report.a: the report may run once a minute (42s)",
    ]


def test_the_live_view_counts_what_does_not_fit() -> None:
    run = Run(tenants=(1001, 1002), entities=50)
    for index in range(15):
        run.entity(f"jpm.e{index}", tenant=1002)
    lines = shown(LiveView(run.progress, Console(file=io.StringIO()), now=lambda: at(1)))
    assert (len(lines), lines[0], lines[12]) == (14, "1002 jpm.e0   0 rows", "3 more under way, 0 of 50 entities done")


def test_warnings_and_long_waits_stand_above_the_live_view() -> None:
    stream = io.StringIO()
    run = Run()
    with LiveView(run.progress, Console(file=stream, width=100), secrets=("hush-hush",)) as view:
        run.listen(view)
        run.entity("jpm.jobs")
        run.events.emit(happened.Noted(at=at(1), level="warning", text="refused: hush-hush", tenant=1001))
        run.events.emit(happened.Waiting(at=at(1), tenant=1001, entity=None, seconds=50.0, reason="rate limited"))
        run.events.emit(happened.Waiting(at=at(1), tenant=1001, entity=None, seconds=1.0, reason="rate limited"))
    lines = stream.getvalue().splitlines()
    assert lines[:2] == ["tenant 1001: refused: [redacted]", "tenant 1001: waits 50s: rate limited"]


def final(run: Run, *, quiet: bool = False) -> str:
    stream = io.StringIO()
    print_final(Console(file=stream, width=200), run.progress, quiet=quiet)
    return stream.getvalue()


def ended_run() -> Run:
    run = Run(entities=4)
    for name in ("jpm.jobs", "crm.leads", "settings.teams", "sales.estimates"):
        run.entity(name)
    run.page("jpm.jobs", 5, 1_200)
    run.commit("jpm.jobs", 60, 1_200, files=3)
    run.end("jpm.jobs", 64)
    run.end("crm.leads", 2)
    run.end("settings.teams", 3, "skipped", error="403")
    run.end("sales.estimates", 9, "failed", error="the service answered 500 ten times", hint="run the same command again")
    run.finish(64, "partial", 4)
    return run


def test_the_final_table_has_rows_failures_and_totals() -> None:
    assert final(ended_run()).splitlines() == [
        "entity            rows  new files  seconds  status",
        "---------------  -----  ---------  -------  -------",
        "jpm.jobs         1,200          3     64.0  ok",
        "sales.estimates      0          0      9.0  failed",
        "settings.teams       0          0      3.0  skipped",
        "1 entity had nothing new.",
        "1 entity failed:",
        "  tenant 1001, sales.estimates: the service answered 500 ten times",
        "    hint: run the same command again",
        "partial: 1,200 rows, 3 new files, 2.5 MB, 1 request in 1m 04s",
    ]


def test_the_final_table_of_a_quiet_run_has_failures_only() -> None:
    assert final(ended_run(), quiet=True).splitlines() == [
        "1 entity failed:",
        "  tenant 1001, sales.estimates: the service answered 500 ten times",
        "    hint: run the same command again",
    ]


def test_the_final_table_of_several_tenants_names_them() -> None:
    run = Run(tenants=(1, 2))
    for tenant in (2, 1):
        run.entity("jpm.jobs", tenant=tenant)
        run.commit("jpm.jobs", 1, 5, tenant=tenant)
        run.end("jpm.jobs", 1, tenant=tenant)
    assert [line.split()[:2] for line in final(run).splitlines()[2:4]] == [["1", "jpm.jobs"], ["2", "jpm.jobs"]]


def test_an_idle_run_is_three_words_and_a_time() -> None:
    run = Run(entities=1)
    run.page("jpm.jobs", 1, 0)
    run.end("jpm.jobs", 2)
    run.finish(2)
    assert final(run) == "1 entity had nothing new.\ncomplete: 0 rows, 1 request in 2.0s\n"
    assert totals_line(run.progress) == "complete: 0 rows, 1 request in 2.0s"


def test_a_table_is_as_wide_as_its_cells() -> None:
    assert aligned_text(["name", "n"], [["a", "1"], ["長い", "1,000"]], ["n"]) == "name      n\n----  -----\na         1\n長い  1,000\n"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0s"), (9.94, "9.9s"), (9.96, "10s"), (59.4, "59s"), (59.6, "1m 00s"), (64, "1m 04s"), (3599.6, "1h 00m"),
     (7500, "2h 05m"), (273600, "3d 04h")],
)  # fmt: skip
def test_durations_read_well(seconds: float, text: str) -> None:
    assert seconds_text(seconds) == text


def test_sizes_and_counts_read_well() -> None:
    assert (bytes_text(400_000), bytes_text(1_204_000_000)) == ("0.4 MB", "1,204 MB")
    assert (plural(1, "file"), plural(1204, "file"), plural(2, "entity", "entities")) == ("1 file", "1,204 files", "2 entities")
