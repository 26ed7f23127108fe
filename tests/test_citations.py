"""References: one line each, written in one way only, that stays true while the log grows and tells when it is not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events import BadQuestion, EventData, Lagging, Log, TermsDiffer
from projections import PROJECTIONS, Store, queries
from projections.citations import PARAMETERS, Citation, check, cite, parse

from .command import Ledger, approvals, data_directory, together
from .given import EXAMPLES, HISTORY, called, granted, total
from .servers import Server
from .strategies import partial_dates
from .test_as_of import published

DIGEST = "a" * 64
PLAIN = f"approvals:cac/totals@1?instrument=filing&valid_at=2024-01-31&position=104#sha256={DIGEST}"


def append(log: Log, *lines: EventData) -> None:
    log.append([called(f"e{log.head() + n}", data) for n, data in enumerate(lines, start=1)])


@pytest.fixture
def figures(log: Log) -> Log:
    """Two figures, of which the second came later."""
    append(log, total("=8", "2023-08-31"), total("=36", "2023-11-30"))
    return log


# How they are written


@st.composite
def citations_of_all_kinds(draw: st.DrawFn) -> Citation:
    projection = draw(st.sampled_from(sorted(PARAMETERS)))
    values: dict[type, st.SearchStrategy[Any]] = {
        str: st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
        int: st.integers(0, 10**6),
        bool: st.just(True),
    }
    takes = PARAMETERS[projection]
    some = draw(st.sets(st.sampled_from(sorted(takes)))) if projection != "shares" else set(takes)
    return Citation(
        draw(st.from_regex(r"[a-z0-9]([a-z0-9_-]{0,20}[a-z0-9])?", fullmatch=True)),
        projection,
        draw(st.integers(1, 99)),
        draw(st.integers(0, 2**53 - 1)),
        draw(st.text("0123456789abcdef", min_size=64, max_size=64)),
        {name: draw(values[takes[name]]) for name in takes if name in some},
        draw(st.none() | partial_dates()),
        draw(st.none() | partial_dates() | st.just("2024-02-01T08:00:00+08:00")),
    )


@given(citations_of_all_kinds())
def test_a_reference_is_read_as_it_was_written_and_is_one_line_of_plain_characters(cited: Citation) -> None:
    written = str(cited)
    assert parse(written) == cited
    assert written.isascii()
    assert written.isprintable()
    assert " " not in written


@given(citations_of_all_kinds(), st.data())
def test_a_reference_with_any_one_character_changed_is_another_or_none(
    cited: Citation, data: st.DataObject
) -> None:
    written = str(cited)
    at = data.draw(st.integers(0, len(written) - 1))
    other = data.draw(st.sampled_from("a0&=%#?/@:+ ~é").filter(lambda c: c != written[at]))
    try:
        read = parse(written[:at] + other + written[at + 1 :])
    except BadQuestion:
        return
    assert read != cited


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ("", "is not a reference"),
        (PLAIN + "\n", "is not a reference"),
        (PLAIN.replace("approvals:", "approval:"), "is not a reference"),
        (PLAIN.replace("cac/", "-cac/"), "cannot name a ledger"),
        (PLAIN.replace("totals", "prices"), "names one of totals"),
        (PLAIN.replace("@1", "@01"), "is not a reference"),
        (PLAIN.replace("aaaa#", "AAAA#"), "is not a reference"),
        (PLAIN.replace(DIGEST, DIGEST.upper()), "is not a reference"),
        (PLAIN.replace("&position=104", ""), "`position` of a reference is a whole number"),
        (PLAIN.replace("104", "0104"), "`position` of a reference is a whole number"),
        (PLAIN.replace("104", "１０４"), "`position` of a reference is a whole number"),
        (PLAIN.replace("104", "-1"), "`position` of a reference is a whole number"),
        (PLAIN.replace("instrument", "colour"), "totals takes no 'colour'"),
        (PLAIN.replace("instrument=filing", "steps=yes"), "`steps` of totals must be of type bool"),
        (PLAIN.replace("2024-01-31", "2024-02-30"), "valid_at is a date"),
        (PLAIN.replace("valid_at", "known_at"), "go together"),
        (PLAIN.replace("&position", "&known_as=published&position"), "go together"),
        (PLAIN.replace("filing", "fil%ing"), "a reference is written in one way only"),
        (PLAIN.replace("filing", "%66iling"), "a reference is written in one way only"),
        (PLAIN.replace("filing", "%e5%a4%87"), "a reference is written in one way only"),
        (PLAIN.replace("filing", "%FF"), "is not UTF-8"),
        (PLAIN.replace("filing", "a+b"), "a reference is written in one way only"),
        (
            PLAIN.replace("?", "?position=104&").replace("&position=104#", "#"),
            "a reference is written in one way only",
        ),
        (PLAIN.replace("?", "?instrument=filing&"), "a reference is written in one way only"),
        (PLAIN.replace("instrument=filing", "instrument"), "a reference is written in one way only"),
        (PLAIN.replace("instrument=filing", "instrument=&unit"), "a reference is written in one way only"),
        (PLAIN.replace("totals", "shares"), "asked for with all of authority"),
        (
            PLAIN.replace("totals", "sources").replace("instrument=filing", "after=-1"),
            "`after` of a reference",
        ),
        (
            PLAIN.replace("totals", "sources").replace("instrument=filing", "after=00"),
            "`after` of a reference",
        ),
        (PLAIN.replace("totals", "sources").replace("instrument=filing", "limit="), "`limit` of a reference"),
    ],
)
def test_what_is_written_in_any_other_way_is_refused_with_the_reason(changed: str, says: str) -> None:
    assert str(parse(PLAIN)) == PLAIN
    if changed != PLAIN:
        with pytest.raises(BadQuestion, match=says):
            parse(changed)


# What they are true of


@pytest.mark.parametrize(
    ("projection", "question", "asked"),
    [
        ("totals", {"instrument": "filing"}, {"valid_at": "2024-01-31"}),
        ("totals", {"authority": "CAC", "unit": "model", "steps": True}, {}),
        ("batches", {"whole_evidence": True}, {"known_at": 40}),
        ("companies", {"name": "零一万物"}, {}),
        ("shares", {}, {"known_at": "2026-12-31"}),
        ("sources", {"after": 3, "limit": 5}, {"known_at": "2024-02-01", "known_as": "published"}),
    ],
)
def test_every_question_can_be_cited_and_asked_again_after_the_log_has_grown(
    log: Log, projection: str, question: Any, asked: Any
) -> None:
    log.append(HISTORY)
    cited = cite(log, projection, question, **asked)
    append(log, total("=2000", "2026-09-30"), granted("Acme", "One", "2023-08-15"))
    checked = check(log, str(cited))
    assert (checked.same, checked.reason, checked.digest) == (True, None, cited.digest)


@pytest.mark.parametrize(
    ("projection", "question", "words"),
    [
        ("totals", {"authority": ""}, "?authority=&position"),
        ("totals", {"authority": "", "unit": None, "steps": False}, "?authority=&position"),
        ("sources", {"limit": 0}, "?limit=0&position"),
        ("sources", {"after": 0, "limit": 2}, "?after=0&limit=2&position"),
        ("totals", {"instrument": None, "whole_evidence": False}, "?position"),
    ],
)
def test_only_what_is_none_or_false_is_not_asked_and_what_is_cited_is_the_answer_to_what_was_asked(
    figures: Log, projection: str, question: Any, words: str
) -> None:
    cited = cite(figures, projection, question)
    assert words in str(cited)
    answer = getattr(queries, projection)(figures, **question, known_at=2)
    assert cited.digest == answer["digest"]
    assert check(figures, str(cited)).same


@pytest.mark.parametrize(
    ("projection", "question", "says"),
    [
        ("sources", {"after": -1}, "`after` of a reference is a whole number, not '-1'"),
        ("sources", {"limit": 10**16}, "`limit` of a reference is a whole number"),
        ("sources", {"limit": True}, "`limit` of sources must be of type int, not True"),
        ("sources", {"after": ""}, "`after` of sources must be of type int, not ''"),
        ("totals", {"steps": 0}, "`steps` of totals must be of type bool, not 0"),
        ("totals", {"authority": "\udcff"}, r"`authority` of a reference is UTF-8, not '\\udcff'"),
        ("totals", {"authority": 0}, "`authority` of totals must be of type str, not 0"),
        ("batches", {"name": None}, "batches takes no 'name'"),
        ("companies", {"name": ""}, "no company is named ''"),
        ("shares", {"authority": ""}, "asked for with all of authority"),
    ],
)
def test_what_no_reference_can_say_cannot_be_cited(
    figures: Log, projection: str, question: Any, says: str
) -> None:
    append(figures, granted("Baidu", "Ernie", "2023-08-31"))
    with pytest.raises(BadQuestion, match=says):
        cite(figures, projection, question)


def test_a_reference_to_now_is_to_what_is_known_at_the_last_position(figures: Log) -> None:
    cited = cite(figures, "totals")
    then = queries.totals(figures, known_at=2)
    assert (cited.position, cited.digest, cited.known_at) == (2, then["digest"], None)
    # Why it is not the digest that a reader sees: the axes are part of the answer.
    assert queries.totals(figures)["digest"] != cited.digest


def test_what_is_known_as_published_is_pinned_against_what_the_ledger_records_later(figures: Log) -> None:
    asked: Any = {"known_at": "2024-02-01", "known_as": "published"}
    append(figures, published(total("=50", "2023-12-10"), "2024-01-20"))
    cited = cite(figures, "totals", **asked)
    append(figures, published(total("=61", "2023-12-31"), "2024-01-31"))
    assert check(figures, cited).same
    # The control: without the pin, the report that was recorded later counts.
    assert queries.totals(figures, **asked)["digest"] != cited.digest
    assert cite(figures, "totals", **asked).digest != cited.digest


def test_recorded_until_beyond_the_log_is_told_as_what_it_is(figures: Log) -> None:
    with pytest.raises(BadQuestion, match="nothing was known at 1,000 yet") as refused:
        queries.totals(figures, known_at="2024-02-01", known_as="published", recorded_until=1_000)
    assert refused.value.parameter == "recorded_until"


def test_recorded_until_is_refused_where_publication_does_not_count(figures: Log) -> None:
    with pytest.raises(BadQuestion, match="goes with known_as"):
        queries.totals(figures, recorded_until=1)


def test_a_question_that_cannot_be_asked_cannot_be_cited(figures: Log) -> None:
    with pytest.raises(BadQuestion, match="no company is named"):
        cite(figures, "companies", {"name": "Nobody"})
    with pytest.raises(BadQuestion, match="there is no projection 'prices'"):
        cite(figures, "prices")
    with pytest.raises(BadQuestion, match="batches takes no 'name'"):
        cite(figures, "batches", {"name": "Baidu"})
    with pytest.raises(Lagging):
        cite(figures, "totals", at_least=3)
    append(figures, granted("Baidu", "Ernie", "2023-08-31"))
    figures.append([event for event in HISTORY if event.type == "market.estimated.v1"])
    stock = {
        "authority": "CAC",
        "instrument": "approval",
        "unit": "model",
        "estimator": "CLSA",
        "region": "CN",
    }
    with pytest.raises(TermsDiffer):
        cite(figures, "shares", stock)


# What is found where they are not


def test_another_digest_is_told_with_both(figures: Log) -> None:
    cited = cite(figures, "totals")
    checked = check(figures, replace(cited, digest=DIGEST))
    assert (checked.reason, checked.digest) == ("digest-differs", cited.digest)
    assert cited.digest in checked.says
    assert DIGEST in checked.says


def test_another_version_of_the_projection_is_named(figures: Log) -> None:
    checked = check(figures, replace(cite(figures, "totals"), version=99))
    assert checked.reason == "other-version"
    assert (
        f"version 99 of totals, and this software has version {PROJECTIONS['totals'].version}" in checked.says
    )


def test_a_log_that_ends_before_the_position_is_told(figures: Log) -> None:
    checked = check(figures, replace(cite(figures, "totals"), position=3))
    assert checked.reason == "ledger-shorter"
    assert "ends at position 2, before position 3" in checked.says


def test_a_log_that_was_replaced_is_told_apart_from_a_false_reference(server: Server, figures: Log) -> None:
    cited = cite(figures, "totals", {"steps": True})
    store = Store(figures, PROJECTIONS["totals"])
    store.generation(1).advance()
    client = server.client()
    others = [key for key in client.keys(f"*{{{figures.ledger}}}*") if b":projection:" not in key]
    client.delete(*others)
    append(figures, total("=9", "2023-08-31"), total("=36", "2023-11-30"))
    assert check(figures, cited).reason == "log-forked"
    # The control: a log that no projection has read before gives no sign of it.
    client.delete(*client.keys(f"*{{{figures.ledger}}}:projection:*"))
    assert check(figures, cited).reason == "digest-differs"


@pytest.mark.parametrize(("field", "value"), [("live", "x"), ("state", "version")])
def test_a_projection_that_cannot_be_read_keeps_no_reference_from_being_checked(
    figures: Log, field: str, value: str
) -> None:
    cited, store = cite(figures, "totals"), Store(figures, PROJECTIONS["sources"])
    generation = store.open_live()
    generation.advance()
    if field == "live":
        figures.client.hset(store.pointer, field, value)
    else:
        figures.client.hset(generation.state_key, value, "1")
    assert check(figures, replace(cited, position=3)).reason == "ledger-shorter"
    assert check(figures, replace(cited, digest=DIGEST)).reason == "digest-differs"


def test_a_name_that_the_log_does_not_know_is_no_answer(figures: Log) -> None:
    append(figures, granted("Baidu", "Ernie", "2023-08-31"))
    cited = cite(figures, "companies", {"name": "Baidu"})
    checked = check(figures, replace(cited, question={"name": "Nobody"}))
    assert (checked.reason, checked.digest) == ("no-answer", None)


def test_a_reference_to_another_ledger_is_not_compared(figures: Log) -> None:
    with pytest.raises(BadQuestion, match="is to ledger elsewhere"):
        check(figures, replace(cite(figures, "totals"), ledger="elsewhere"))


def test_a_version_that_comes_later_finds_older_references_to_be_of_another(
    figures: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    cited = cite(figures, "shares")
    newer = SimpleNamespace(name="shares", version=PROJECTIONS["shares"].version + 1)
    monkeypatch.setitem(PROJECTIONS, "shares", newer)
    assert f"this software has version {newer.version}" in check(figures, cited).says


# The command


@pytest.fixture(scope="module")
def history(server: Server) -> Ledger:
    ledger = Ledger(server)
    ledger.log.append(HISTORY)
    return ledger


def test_the_command_prints_a_reference_and_finds_it_to_hold(history: Ledger) -> None:
    in_words, in_json = history.together(
        ("cite", "totals", "--instrument", "filing", "--valid-at", "2024-01-31"),
        ("cite", "companies", "百度", "--json"),
    )
    assert in_words.out.startswith(
        f"approvals:{history.name}/totals@{PROJECTIONS['totals'].version}?instrument=filing&valid_at=2024-01-31&position=104#sha256="
    )
    document = in_json.document
    assert document["question"] == {"name": "百度"}
    assert "name=%E7%99%BE%E5%BA%A6" in document["reference"]
    first, second = together(
        ("cite", "--check", in_words.out.strip(), "--url", history.server.url),
        ("cite", "--check", document["reference"], "--url", history.server.url, "--json"),
    )
    assert first.out == "the same bytes at position 104\n"
    assert second.document["same"] is True


def test_the_command_says_why_a_reference_does_not_hold_and_exits_1(history: Ledger) -> None:
    cited = cite(history.log, "totals")
    wrong = str(replace(cited, digest=DIGEST))
    in_words, in_json, older = history.together(
        ("cite", "--check", wrong),
        ("cite", "--check", wrong, "--json"),
        ("cite", "--check", str(replace(cited, version=cited.version - 1))),
        code=1,
    )
    assert in_words.out == ""
    assert in_words.err.startswith("digest-differs: the log gives digest")
    assert in_words.err.count("\n") == 1
    assert (in_json.document["same"], in_json.document["reason"]) == (False, "digest-differs")
    assert older.err.startswith("other-version: ")


def test_the_command_cites_what_the_same_words_ask_elsewhere(history: Ledger) -> None:
    refused, asked = history.together(("cite", "companies", ""), ("companies", ""), code=1)
    assert refused.err == asked.err
    assert refused.err.startswith("unknown-company: no company is named ''")
    empty, nothing = history.together(
        ("cite", "totals", "--authority", "", "--known-at", "104", "--json"),
        ("totals", "--authority", "", "--known-at", "104", "--json"),
    )
    assert empty.document["question"] == {"authority": ""}
    assert (empty.document["digest"], nothing.document["answers"]) == (nothing.document["digest"], [])


def test_what_is_no_reference_or_no_question_is_wrong_usage(tmp_path: Path) -> None:
    wrong: dict[tuple[str, ...], str] = {
        ("cite",): "give a projection, one of totals",
        ("cite", "prices"): "give a projection, one of totals",
        ("cite", "totals", "Baidu"): "totals takes no name",
        ("cite", "--check", "x"): "'x' is not a reference",
        ("cite", "totals", "--check", PLAIN): "give nothing else with it",
        ("cite", "--check", PLAIN, "--valid-at", "2024"): "give nothing else with it",
        ("cite", "--check", PLAIN, "--ledger", "other"): "leave --ledger out",
    }
    with data_directory(tmp_path / "approvals-data"):
        for ran, says in zip(
            together(*wrong, code=2, cwd=tmp_path, APPROVALS_URL=""), wrong.values(), strict=True
        ):
            assert says in ran.complaint
        assert list(tmp_path.iterdir()) == []


def test_the_same_history_gives_the_same_reference_on_another_machine(
    tmp_path: Path, history: Ledger
) -> None:
    with data_directory(tmp_path / "data") as data:
        where = ("--data", data, "--ledger", history.name)
        approvals("publish", EXAMPLES / "history.ndjson", *where)
        (here,) = together(("cite", "totals", *where))
        assert here.out.strip() == str(cite(history.log, "totals"))
