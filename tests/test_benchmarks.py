"""The benchmarks run, on a few hundred events, and the README says what was measured. No figure is judged here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import __main__ as bench
from benchmarks import growth, readme, served
from benchmarks.figures import Figure, beside, of_json, row
from benchmarks.generate import BATCHES, COMPANIES, approvals
from benchmarks.peers import __main__ as peers
from benchmarks.peers import job, ours, plain_sqlite
from events import encode
from events.catalog import ApprovalGranted, EventRetracted
from projections import past

from .command import ROOT
from .long import only_long
from .servers import Server


@only_long
def test_every_part_runs_and_each_target_has_a_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served, "REQUESTS", 8)
    monkeypatch.setattr(served, "OF_EACH", 2)
    monkeypatch.setattr(growth, "LENGTHS", (1_000, 2_000))
    monkeypatch.setattr(past, "EVERY", 20)
    monkeypatch.setattr(growth, "PROJECTED", (40, 80))
    monkeypatch.setattr(growth, "BACK", 10)
    monkeypatch.setattr(growth, "COMPANIES", (2, 4))
    bench.main(["--events", "200", "--seconds", "0.1", "--results", str(tmp_path)])
    written = json.loads((tmp_path / "bench.json").read_text("utf-8"))
    figures = [of_json(line) for line in written["figures"]]
    assert {figure.part for figure in figures} == {*bench.PARTS, "growth"}
    assert all(figure.value >= 0 for figure in figures)
    assert sum(figure.met is not None for figure in figures) == 30
    assert {"events", "server", "python", "redis", "rq"} <= written["about"].keys()
    curves = json.loads((tmp_path / "growth.json").read_text("utf-8"))
    assert [curve["name"] for curve in curves] == ["append", "company", "live", "past"]
    assert all(len(curve["points"]) >= 2 for curve in curves)


def test_some_parts_can_be_measured_alone_unless_they_look_at_what_another_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.main(["--events", "50", "--results", str(tmp_path), "--parts", "memory", "append"])
    figures = json.loads((tmp_path / "bench.json").read_text("utf-8"))["figures"]
    assert {figure["part"] for figure in figures} == {"append", "memory"}
    assert not (tmp_path / "growth.json").exists()
    with pytest.raises(SystemExit):
        bench.main(["--parts", "replay", "growth"])
    assert "looked at by: replay" in capsys.readouterr().err


def test_the_readme_says_what_the_committed_summary_says() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    summary = json.loads(readme.SUMMARY.read_text("utf-8"))
    assert readme.replaced(text, readme.section(summary)) == text
    for line in summary["bench"]["figures"]:
        figure = of_json(line)
        assert figure.met == line["met"]
        assert figure.met is not False or f"| {figure.what} | " in text


def test_a_target_may_be_a_floor_or_a_ceiling_of_the_ratio_or_of_the_value() -> None:
    yardstick = Figure("part", "yardstick", 100, "events/s")
    assert beside(yardstick, Figure("part", "fast", 90, "events/s"), target=0.9).met is True
    assert beside(yardstick, Figure("part", "slow", 89, "events/s"), target=0.9).met is False
    assert beside(yardstick, Figure("part", "large", 121, "MiB"), target=1.2, at_most=True).met is False
    assert Figure("part", "latency", 2, "ms", target=3, at_most=True).met is True
    assert row(yardstick)[-1] == ""
    assert row(beside(yardstick, Figure("part", "slow", 5, "events/s"), target=0.9)) == [
        "slow",
        "5 events/s",
        "0.050 x",
        "yardstick",
        "≥ 0.9 x",
        "MISSED",
    ]
    met = beside(yardstick, Figure("part", "fast", 90, "events/s"), target=0.9, aim=1.7)
    assert row(met)[-2:] == ["≥ 0.9 x, aim 1.7 x", "met"]


@only_long
def test_the_generated_events_are_the_same_every_time_and_as_they_are_described() -> None:
    events = list(approvals(10_000))
    assert [encode(event) for event in events] == [encode(event) for event in approvals(10_000)]
    granted = [event.data for event in events if isinstance(event.data, ApprovalGranted)]
    assert len({data.company.name for data in granted}) == COMPANIES
    assert {data.batch for data in granted} == set(range(1, BATCHES + 1))
    retracted = sum(isinstance(event.data, EventRetracted) for event in events)
    assert 0.025 < retracted / len(events) < 0.035


class ClosedTable(plain_sqlite.Table):
    """A peer's process ends with its job; this one goes on, and Python 3.13 tells of a database that nobody closed."""

    def __del__(self) -> None:
        self.database.close()


@only_long
def test_a_peer_does_the_job(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "events"
    peers.write_events(file, 300)
    events = [job.parted(line) for line in file.read_bytes().splitlines()]
    measured = job.measure(ClosedTable, job.Projector, str(tmp_path), events[:270], events[270:])
    assert measured.keys() == {*readme.COLUMNS, "durable"}
    table = readme.peers(
        {"events": 270, "peers": [{"name": "one"} | measured], "missing": {"two": "it is not here"}}
    )
    assert "| one | **" in "\n".join(table)
    assert table[-1] == "Not in the table: two; it is not here."


def test_the_ledger_does_the_peers_job(tmp_path: Path, server: Server) -> None:
    file = tmp_path / "events"
    peers.write_events(file, 300)
    events = [job.parted(line) for line in file.read_bytes().splitlines()]
    measured = job.measure(ours.Ledger, ours.Advance, server.url, events[:270], events[270:])
    assert measured.keys() == {*readme.COLUMNS, "durable"}
