"""What changed between two positions, and why: a new event, a correction, or a new version of the projection."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any
from weakref import ReferenceType, ref

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events import BadQuestion, Event, EventData, Log, canonical, keys
from projections import PROJECTIONS, Store, diff, differences, past, queries, together
from projections.answers import counting
from projections.differences import BUILDS, figures_of
from projections.digest import with_digest
from projections.evidence import Views
from projections.past import SnapshotLost

from .command import Ledger, event, written
from .conftest import new_ledger
from .given import (
    HISTORY,
    MODELS,
    QUESTIONS,
    append_newer,
    at_least,
    batch,
    between,
    called,
    drain,
    equated,
    estimate,
    exactly,
    granted,
    identified,
    merged,
    retracted,
    superseded,
    total,
)
from .long import LONG, examples, only_long
from .servers import Server


def append(log: Log, *lines: EventData | Event) -> None:
    head = log.head()
    log.append(
        [
            line if isinstance(line, Event) else called(f"e{head + n}", line)
            for n, line in enumerate(lines, start=1)
        ]
    )


def changed(log: Log, name: str, since: Any, upto: int | None = None, **asked: Any) -> dict[str, Any]:
    """The changes by what they are of and what they are."""
    answer = diff(log, name, since=since, upto=upto, **asked)
    return {f"{change['of']} {change['figure']}": change for change in answer["changes"]}


def answered(log: Log) -> dict[str, Any]:
    """The answer at the head, as it may be kept."""
    return queries.totals(log, at_least=log.head())


def given_by_another_version(answer: dict[str, Any], figure: dict[str, Any]) -> dict[str, Any]:
    """An answer as version 0 of the projection would have given it, with another total."""
    answer["answers"][0]["total"] = figure
    return with_digest({**{part: answer[part] for part in answer.keys() - {"digest"}}, "version": 0})


def test_given_many_companies_when_an_event_is_of_one_then_what_is_listed_for_the_others_is_not_read_anew(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed, read = counting._listed, list[Collection[str]]()

    def noting(views: Views, of: tuple[Collection[str], str, int | None]) -> Any:
        read.append(of[0])
        return listed(views, of)

    monkeypatch.setattr(counting, "_listed", noting)
    append(log, *(granted(f"C{n}", f"item {n}", "2023-08-31", number=f"N{n}") for n in range(9)))
    append(log, granted("C3", "another", "2023-09-01", number="N9"), identified("three", "C3", "C4"))
    diff(log, "companies", since=9)
    assert read == [*((f"c{n}",) for n in range(9)), ("c3",), ("c3", "c4")]


def test_a_figure_that_new_events_changed_comes_with_each_of_them_and_what_it_made_of_it(log: Log) -> None:
    append(log, total("=8", "2023-08-31"), total(">=11", "2023-11-03"), total(">=40", "2024-01-28"))
    change = changed(log, "totals", 1)["CAC/approval/model total"]
    assert (change["from"], change["to"]) == (exactly(8), at_least(40))
    assert change["because"] == [
        {"cause": "new event", "events": [2], "more": 0, "from": exactly(8), "to": at_least(11)},
        {"cause": "new event", "events": [3], "more": 0, "from": at_least(11), "to": at_least(40)},
    ]


def test_a_correction_comes_with_what_it_corrects(log: Log) -> None:
    append(log, total("=8", "2023-08-31"), total("=99", "2023-08-31"), retracted("e2"))
    change = changed(log, "totals", 2)["CAC/approval/model total"]
    assert (change["from"], change["to"]) == (between(8, 99), exactly(8))
    assert [(cause["cause"], cause["events"]) for cause in change["because"]] == [("correction", [2, 3])]
    gone = changed(log, "totals", 2)["CAC/approval/model contradictions"]
    assert (gone["from"], gone["to"]) == ([[1, 2]], None)


def test_a_replacement_that_came_first_is_named_with_the_correction(log: Log) -> None:
    append(log, total("=8", "2023-08-31"), total("=9", "2023-08-31"), superseded("e1", "e2"))
    (cause,) = changed(log, "totals", 2)["CAC/approval/model total"]["because"]
    assert (cause["cause"], cause["events"]) == ("correction", [1, 2, 3])


def test_a_figure_that_came_back_to_what_it_was_did_not_change(log: Log) -> None:
    append(log, total("=8", "2023-08-31"), total("=99", "2023-08-31"), retracted("e2"))
    assert changed(log, "totals", 1) == {}


def test_a_figure_that_was_not_there_or_is_there_no_longer_changed(log: Log) -> None:
    append(log, batch(1, "=8", "2023-08-31"), retracted("e1"), estimate("CN", "=130", on="2023"))
    assert changed(log, "batches", 0, 1)["CAC/approval/model batch 1 size"]["from"] is None
    assert changed(log, "batches", 1)["CAC/approval/model batch 1 size"]["to"] is None
    assert changed(log, "shares", 0)["CLSA/model/2023 count of CN"]["to"] == exactly(130)


def test_a_name_that_is_given_to_a_company_changes_what_is_said_of_it(log: Log) -> None:
    append(
        log,
        batch(1, ">=2", "2023-08-31", named=["Alpha", "Beta"]),
        identified("alpha", "Alpha"),
        identified("beta", "Beta"),
        merged("alpha", "beta", "2023-09-01"),
    )
    changes = changed(log, "companies", 3)
    assert changes["alpha named of CAC/approval/model"]["to"] is None
    assert {cause["cause"] for change in changes.values() for cause in change["because"]} == {"new event"}
    assert changed(log, "companies", 3, valid_at="2023-08-31") == {}


def test_equating_terms_changes_the_figures_of_both(log: Log) -> None:
    services = ("CAC", "filing", "service")
    append(log, total("=8", "2023-08-31"), total("=9", "2023-09-30", terms=services), equated())
    assert {what for what in changed(log, "totals", 2) if what.endswith("total")} == {
        "CAC/approval/model total",
    }


@pytest.mark.parametrize("name", PROJECTIONS)
def test_the_figures_before_and_after_are_those_of_the_answers_at_the_two_positions(
    log: Log, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(past, "EVERY", 10)
    log.append(HISTORY)
    figures = {
        position: {
            ("/".join(of), what): value
            for (of, what), value in figures_of(
                name, QUESTIONS[name](log, known_at=position)["answers"]
            ).items()
        }
        for position in (0, 9, 60, 104)
    }
    for steps in (100, 7) if LONG else (7,):
        monkeypatch.setattr(differences, "STEPS", steps)
        for first, last in ((0, 9), (9, 60), (0, 104), (60, 104)):
            found = diff(log, name, since=first, upto=last)["changes"]
            before, after = figures[first], figures[last]
            assert {(c["of"], c["figure"]): (c["from"], c["to"]) for c in found} == {
                key: (before.get(key), after.get(key))
                for key in {*before, *after}
                if before.get(key) != after.get(key)
            }
            for change in found:
                assert change["because"][0]["from"] == change["from"]
                assert change["because"][-1]["to"] == change["to"]
                assert all(first < max(cause["events"]) <= last for cause in change["because"])


@settings(max_examples=examples(15))
@given(st.data())
def test_every_step_of_a_change_begins_where_the_one_before_it_ended(
    server: Server, data: st.DataObject
) -> None:
    log = Log(server.client(), new_ledger())
    log.append(
        data.draw(st.lists(st.sampled_from(HISTORY), min_size=2, max_size=20, unique_by=lambda e: e.id))
    )
    for name in BUILDS:
        for change in diff(log, name, since=data.draw(st.integers(0, 2)))["changes"]:
            ends = [change["from"], *(cause["to"] for cause in change["because"])]
            assert [cause["from"] for cause in change["because"]] == ends[:-1]
            assert ends[-1] == change["to"]


def test_many_events_are_taken_together_and_the_first_of_them_are_listed(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(differences, "STEPS", 1)
    append(log, *(total(f">={n}", "2023-08-31") for n in range(1, 21)), retracted("e3"))
    causes = changed(log, "totals", 0)["CAC/approval/model total"]["because"]
    assert [(c["cause"], c["events"], c["more"]) for c in causes] == [
        ("new event", list(range(1, 13)), 8),
        ("correction", [3, 21], 0),
    ]


def test_what_cannot_be_applied_is_no_cause_before_and_after_a_worker_met_it(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(differences, "STEPS", 1)
    append(log, total("=8", "2023-08-31"))
    append_newer(log, id="n2")
    append(log, total("=9", "2023-09-30"))
    before = diff(log, "sources", since=0)
    causes = [cause["events"] for change in before["changes"] for cause in change["because"]]
    assert causes == [[1, 3]] * 4
    drain(Store(log, PROJECTIONS["sources"]).open_live())
    assert diff(log, "sources", since=0) == before


class Watched(dict[Any, Any]):
    """Figures that can be told to be there still."""


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The figures of how many positions there are, noted with those of each."""
    made: list[ReferenceType[Watched]] = []
    counted: list[int] = []

    def watched(name: str, found: Any) -> Watched:
        figures = Watched(figures_of(name, found))
        made.append(ref(figures))
        counted.append(sum(each() is not None for each in made))
        return figures

    monkeypatch.setattr(differences, "figures_of", watched)
    return counted


@only_long
@pytest.mark.parametrize("name", PROJECTIONS if LONG else ["totals"])
def test_given_many_events_when_a_diff_walks_over_them_then_it_keeps_the_figures_of_two_positions(
    log: Log, at_once: list[int], name: str
) -> None:
    log.append(HISTORY)
    kept = QUESTIONS[name](log, known_at=10)
    del kept["known_at"]
    for since in (0, 10, kept):
        assert diff(log, name, since=since)["changes"]
        assert len(at_once) > 50
        assert max(at_once) == 2
        at_once.clear()


@only_long
def test_given_a_snapshot_that_is_lost_on_the_way_when_a_diff_begins_anew_then_its_answer_is_the_same(
    log: Log, at_once: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    log.append(HISTORY)
    whole = diff(log, "totals", since=5)
    at_once.clear()
    follow, lost = together.follow, ["a snapshot"]

    def follow_until_one_is_lost(*args: Any) -> Iterator[Any]:
        for number, step in enumerate(follow(*args)):
            if number == 20 and lost:
                raise SnapshotLost(lost.pop())
            yield step

    monkeypatch.setattr(differences, "follow", follow_until_one_is_lost)
    assert diff(log, "totals", since=5) == whole
    assert len(at_once) == 21 + 100
    assert max(at_once) == 2


def test_two_batches_of_one_day_are_two_and_so_are_an_ordinal_and_a_label_of_the_same_letters(
    log: Log,
) -> None:
    append(log, batch(4, "=14", "2024-01-26"), batch(None, "=5", "2024-01-26", label="4"))
    assert {key for key in changed(log, "batches", 1) if key.endswith("size")} == {
        "CAC/approval/model batch '4' size"
    }


def test_batches_of_a_label_that_is_as_good_as_none_are_told_apart_by_their_days(log: Log) -> None:
    append(log, *(batch(n, "=5", f"2024-0{n}-26", label="spring") for n in (1, 2)))
    append(log, *(batch(None, "=5", on, label="spring") for on in ("2024-03-26", "2024-04-26", "2024-05")))
    append(log, retracted("e4"), retracted("e5"), batch(None, "=5", "2024-06-26", label="Spring"))
    assert {key for key in changed(log, "batches", 5) if key.endswith("size")} == {
        "CAC/approval/model batch of 2024-04-26 size",
        "CAC/approval/model batch of 2024-05, position 5 size",
        "CAC/approval/model batch of 2024-06-26 size",
    }
    assert {of for of in changed(log, "batches", 7) if of.endswith("size")} == {
        "CAC/approval/model batch of 2024-06-26 size"
    }


def test_given_a_label_of_two_batches_when_a_list_gives_it_then_what_it_lists_is_a_batch_of_that_label(
    log: Log,
) -> None:
    append(log, *(batch(n, "=5", f"2024-0{n}-26", label="spring") for n in (1, 2)))
    append(log, granted("Baidu", "Ernie", "2024-01-20", batch="spring"))
    append(log, granted("Baidu", "Yi", "2024-01-20", batch="spring"))
    assert {of for of in changed(log, "batches", 2) if of.endswith("size")} == {
        "CAC/approval/model batch 'spring' size"
    }
    assert changed(log, "batches", 3)["CAC/approval/model batch 'spring' size"]["to"] == at_least(2)


def test_a_batch_that_has_a_day_alone_is_the_same_without_its_first_report(log: Log) -> None:
    append(log, *2 * [batch(None, "=5", "2024-01-26")], retracted("e1"))
    assert changed(log, "batches", 2) == {}


def test_terms_whose_names_are_written_alike_when_joined_are_two(log: Log) -> None:
    one, other = ("A/B", "C", "model"), ("A", "B/C", "model")
    append(log, total("=5", "2024-01-01", terms=one), total("=7", "2024-01-01", terms=other))
    append(log, total(">=9", "2024-01-02", terms=other))
    found = diff(log, "totals", since=2)["changes"]
    assert [(each["of"], each["figure"], each["to"]) for each in found] == [
        ("A/B/C/model", "total", at_least(9)),
        ("A/B/C/model", "undisclosed", at_least(9)),
    ]


def test_a_slug_and_a_name_of_the_same_letters_are_two_companies(log: Log) -> None:
    append(log, granted("baidu", "x", "2024-01"), identified("baidu", "Baidu Inc"))
    append(log, granted("Baidu Inc", "y", "2024-01"))
    assert [change["of"] for change in diff(log, "companies", since=2)["changes"]] == ["baidu"] * 3


RESPELLED = ("cac", "Approval", "ＭＯＤＥＬ")


@pytest.mark.parametrize(
    ("name", "lines", "since"),
    [
        ("totals", [total("=8", "2023"), *2 * [total("=8", "2023", terms=RESPELLED)]], 1),
        ("batches", [batch(None, "=8", "2023", label=label) for label in ("One", "one")], 2),
        ("companies", [granted("Baidu", "Ernie", "2023"), *2 * [granted("BAIDU", "Ernie", "2023")]], 1),
        (
            "companies",
            [granted("Baidu", "Ernie", "2023", terms=terms) for terms in (MODELS, RESPELLED, RESPELLED)],
            1,
        ),
        ("shares", [estimate("CN", "=8"), estimate("CN", "=8", estimator="clsa", unit="Model")], 2),
    ],
)
def test_a_figure_of_which_only_the_spelling_changed_did_not_change(
    log: Log, name: str, lines: list[EventData], since: int
) -> None:
    append(log, *lines, retracted("e1"))
    before, after = (
        figures_of(name, QUESTIONS[name](log, known_at=at)["answers"]) for at in (since, len(lines) + 1)
    )
    assert before.keys() != after.keys()
    assert [*before.values()] == [*after.values()]
    assert changed(log, name, since) == {}


@pytest.mark.parametrize(
    ("more", "written"), [([], "cac/Approval/ＭＯＤＥＬ"), ([retracted("e2")], "CAC/approval/model")]
)
def test_a_figure_that_changed_beside_its_spelling_is_one_and_written_as_it_is_at_last(
    log: Log, more: list[EventData], written: str
) -> None:
    append(log, total("=8", "2023-08-31"), *2 * [total("=9", "2023-09-30", terms=RESPELLED)], *more)
    (change,) = [each for each in diff(log, "totals", since=1)["changes"] if each["figure"] == "total"]
    assert (change["of"], change["from"], change["to"]) == (written, exactly(8), exactly(9))
    assert [cause["events"] for cause in change["because"]] == [[2]]


def test_claims_that_differ_in_their_spelling_are_two(log: Log) -> None:
    append(log, total("=8", "2023"), total("=8", "2023", terms=RESPELLED), retracted("e1"))
    changes = diff(log, "sources", since=1)["changes"]
    assert sum(change["of"].startswith("total.reported.v1") for change in changes) == 4


def test_a_diff_of_two_positions_stays_what_it_was_when_the_log_grows(log: Log) -> None:
    append(log, total("=5", "2024-01-01"), superseded("e1", "e3"))
    before = diff(log, "totals", since=1, upto=2)
    append(log, total("=6", "2024-01-01"))
    assert diff(log, "totals", since=1, upto=2) == before


def test_a_diff_of_the_same_events_for_another_day_reads_them_no_second_time(
    start_server: Callable[..., Server],
) -> None:
    log = Log(start_server().client(), "cac")
    append(log, total("=5", "2024-01-01"), total("=6", "2024-02-01"), retracted("e1"))
    read = []
    for day in ("2024-01-05", "2024-02-05", "2024-03-05"):
        assert changed(log, "totals", 1, valid_at=day)
        stats: Any = log.client.info("commandstats")
        read.append((stats["cmdstat_xrange"]["calls"], stats["cmdstat_hmget"]["calls"]))
    (second, ids), (third, no_more) = read[1:]
    # Where what is kept of the past ends, and where the events do.
    assert (third - second, no_more - ids) == (2, 0)


def test_a_diff_is_of_the_events_that_the_log_has_now(log: Log) -> None:
    append(log, total("=5", "2024-01-01"), total("=6", "2024-02-01"))
    figure = "CAC/approval/model total"
    assert changed(log, "totals", 1)[figure]["to"] == exactly(6)
    log.client.delete(keys.log(log.ledger), keys.ids(log.ledger))  # as if an old backup had been restored
    append(log, total("=5", "2024-01-01"), total("=7", "2024-02-01"))
    assert changed(log, "totals", 1)[figure]["to"] == exactly(7)


# A kept answer


def test_a_kept_answer_stands_for_its_position(log: Log) -> None:
    append(log, total("=8", "2023-08-31"))
    kept = answered(log)
    append(log, total("=9", "2023-09-30"))
    assert diff(log, "totals", since=kept) == diff(log, "totals", since=1)


def test_a_figure_that_another_version_gave_for_the_same_events_changed_because_of_that(log: Log) -> None:
    append(log, total("=8", "2023-08-31"))
    kept = given_by_another_version(answered(log), exactly(7))
    append(log, total("=9", "2023-09-30"))
    causes = changed(log, "totals", kept)["CAC/approval/model total"]["because"]
    assert causes == [
        {
            "cause": "new projection version",
            "versions": [0, PROJECTIONS["totals"].version],
            "from": exactly(7),
            "to": exactly(8),
        },
        {"cause": "new event", "events": [2], "more": 0, "from": exactly(8), "to": exactly(9)},
    ]


def test_given_a_kept_answer_of_another_version_when_it_was_changed_since_then_no_version_is_blamed(
    log: Log,
) -> None:
    append(log, total("=8", "2023-08-31"))
    kept = given_by_another_version(answered(log), exactly(8))
    kept["answers"][0]["total"] = exactly(7)
    with pytest.raises(BadQuestion, match="is not the one that its digest is of: it was changed"):
        diff(log, "totals", since=kept)


def test_a_kept_answer_that_this_ledger_never_gave_is_refused(log: Log) -> None:
    append(log, total("=8", "2023-08-31"))
    kept = answered(log)
    kept["answers"][0]["total"] = exactly(7)
    with pytest.raises(BadQuestion, match="is of another log, to a narrower question, or was changed"):
        diff(log, "totals", since=kept)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ledger": "other"}, "has ledger 'other'"),
        ({"projection": "shares"}, "has projection 'shares'"),
        ({"valid_at": "2023"}, "has valid_at '2023', and no valid_at is asked for: give one to the same"),
        ({"known_as": "published"}, "known as published"),
        ({"position": "1"}, "no position or no answers"),
        ({"answers": {}}, "no position or no answers"),
        ({"answers": [7]}, "not the shape of totals"),
        ({"answers": [{}]}, "not the shape of totals"),
        ({"version": None}, "no version or no digest"),
        ({"digest": 7}, "no version or no digest"),
        ({"answers": [{"authority": 5}]}, "not the shape of totals"),
        ({"answers": [{"authority": 5, "instrument": 6, "unit": 7}]}, "not the shape of totals"),
        ({"position": 9}, "ends at position 1"),
        ({"position": -1}, "a position is a whole number"),
    ],
)
def test_what_is_no_kept_answer_to_this_question_is_refused(
    log: Log, change: dict[str, Any], words: str
) -> None:
    append(log, total("=8", "2023-08-31"))
    with pytest.raises(BadQuestion, match=words):
        diff(log, "totals", since=answered(log) | change)


@pytest.mark.parametrize(
    "figure", [{"total": {"low": "7", "high": None}}, {"named": [7]}, {"contradictions": [{"events": 7}]}]
)
def test_given_a_kept_answer_of_another_version_when_a_figure_in_it_is_none_then_it_is_refused(
    log: Log, figure: dict[str, Any]
) -> None:
    append(log, total("=8", "2023-08-31"))
    kept = answered(log)
    kept["version"] = 0
    kept["answers"][0] |= figure
    with pytest.raises(BadQuestion, match="not the shape of totals"):
        diff(log, "totals", since=kept)


def test_a_kept_answer_of_a_batch_that_nobody_announced_is_refused_too(log: Log) -> None:
    append(log, batch(None, "=5", "2024-01-26", label="4"))
    kept = queries.batches(log, at_least=1)
    kept["answers"][0] |= {"label": None, "announced_on": []}
    with pytest.raises(BadQuestion, match="not the shape of batches"):
        diff(log, "batches", since=kept)


@pytest.mark.parametrize(
    ("name", "since", "upto", "words"),
    [
        ("total", 0, None, "is no projection"),
        ("totals", 2, None, "ends at position 1"),
        ("totals", 0, 2, "ends at position 1"),
        ("totals", 1, 0, "leads backwards"),
        ("totals", -1, None, "a position is a whole number"),
        ("totals", "3", None, "begins at a position or at a kept answer"),
    ],
)
def test_positions_that_are_none_are_refused(
    log: Log, name: str, since: Any, upto: int | None, words: str
) -> None:
    append(log, total("=8", "2023-08-31"))
    with pytest.raises(BadQuestion, match=words):
        diff(log, name, since=since, upto=upto)


# The command


def test_the_command_shows_each_change_with_its_cause(server: Server, tmp_path: Path) -> None:
    ledger = Ledger(server)
    append(ledger.log, total("=8", "2023-08-31"))
    kept = written(tmp_path / "kept.json", canonical(answered(ledger.log)))
    broken = written(tmp_path / "broken.json", b"{")
    append(ledger.log, total("=99", "2023-08-31"), retracted("e2"), total("=9", "2023-09-30"))
    in_json, in_words, since_kept, nothing, no_answer, missing, backwards, no_from = ledger.together(
        ("diff", "totals", "--from", "1", "--json"),
        ("diff", "totals", "--from", "2"),
        ("diff", "totals", "--from", kept, "--to", "4", "--json"),
        ("diff", "shares", "--from", "0"),
        ("diff", "totals", "--from", broken),
        ("diff", "totals", "--from", tmp_path / "\x1b[31m"),
        ("diff", "totals", "--from", "3", "--to", "2"),
        ("diff", "totals"),
        code=[0, 0, 0, 0, 1, 1, 1, 2],
    )
    assert in_json.document == diff(ledger.log, "totals", since=1)
    assert since_kept.out == in_json.out
    assert "8–99" in in_words.out
    assert "correction 2, 3; new event 4" in in_words.out
    assert (
        f"ledger {ledger.name} from position 2 to 4, totals version {PROJECTIONS['totals'].version}, digest "
        in in_words.out
    )
    assert nothing.out.startswith("no figure changed\n")
    assert no_answer.err.startswith(f"bad-question: {broken} holds no answer as --json prints it: line 1")
    assert missing.err == rf"bad-question: cannot read {tmp_path}/\x1b[31m: No such file or directory" + "\n"
    assert backwards.err.startswith("bad-question: from position 3 to 2 leads backwards")
    assert no_from.out == ""


def test_given_a_file_without_an_answer_to_the_question_when_a_diff_begins_there_then_the_file_is_named(
    server: Server, tmp_path: Path
) -> None:
    ledger = Ledger(server)
    append(ledger.log, total("=8", "2023-08-31"))
    kept = answered(ledger.log)
    contents = {
        b"41 approvals": "holds no answer as --json prints it: line 1",
        b'"41 approvals"': "holds no answer as --json prints it",
        b"{}": "has no version or no digest",
        canonical(event()): "has no version or no digest",
        canonical(kept | {"ledger": "other"}): "has ledger 'other'",
        canonical(kept | {"known_as": "published"}): "is of what was known as published",
        canonical(kept | {"answers": {}}): "has no position or no answers",
        canonical(kept | {"answers": [7]}): "has not the shape of totals",
        canonical(kept | {"answers": []}): "is not what this ledger gives for position 1",
        canonical(kept | {"position": 9}): "ends at position 1",
    }
    files = [written(tmp_path / str(n), content) for n, content in enumerate(contents)]
    ended = ledger.together(*(("diff", "totals", "--from", file) for file in files), code=1)
    for ran, file, words in zip(ended, files, contents.values(), strict=True):
        assert ran.err.startswith(f"bad-question: {file}")
        assert words in ran.err
    ran = ledger.run(
        "diff", "totals", "--from", written(tmp_path / "kept", canonical(kept)), "--to", "9", code=1
    )
    assert ran.err.startswith("bad-question: ledger ")


def test_people_see_at_most_twelve_events_of_a_cause_whatever_the_number_of_steps(server: Server) -> None:
    ledger = Ledger(server)
    append(ledger.log, *(total(f">={n}", "2023-08-31") for n in range(1, 41)), retracted("e40"))
    one, many = ledger.together(
        ("diff", "totals", "--from", "0", "--to", "12"), ("diff", "totals", "--from", "0")
    )
    first = ", ".join(map(str, range(1, 13)))
    assert f"new event {first}\n" in re.sub(r"\n? {2,}", " ", one.out).replace(" \n", "\n")
    assert f"new event {first}; correction 40, 41 and 28 more" in re.sub(r"\s+", " ", many.out)


def test_people_see_two_hundred_changes_and_how_many_more_there_are(server: Server) -> None:
    ledger = Ledger(server)
    append(ledger.log, *(granted(f"company {n}", f"item {n}", "2023-08-31") for n in range(101)))
    everything, most, few = ledger.together(
        ("diff", "sources", "--from", "0", "--json"),
        ("diff", "sources", "--from", "0"),
        ("diff", "sources", "--from", "0", "--to", "100"),
    )
    assert len(everything.document["changes"]) == 202
    assert most.out.splitlines()[-2] == "2 more changes, which --json has"
    assert (most.out.count("origins"), few.out.count("origins")) == (100, 100)
    assert "which --json has" not in few.out


def test_given_long_terms_that_begin_alike_when_people_see_a_diff_then_each_figure_is_told_whole(
    server: Server,
) -> None:
    ledger = Ledger(server)
    long = "The Administration of the Approval of Models "
    one, other = ((f"{long * 4}{part}", "approval", "model") for part in ("North", "South"))
    append(ledger.log, total("=5", "2024-01-01", terms=one), total("=7", "2024-01-01", terms=other))
    shown = ledger.run("diff", "totals", "--from", "0").out
    assert [line.split(" named ")[0].rstrip() for line in shown.splitlines() if " named " in line] == [
        "/".join(one),
        "/".join(other),
    ]
