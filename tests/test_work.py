"""How much work a question takes where many reports come together: counted, never timed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from itertools import pairwise, product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import projections.premises
from events import EventData, Interval, date_range
from projections import identities
from projections.bounds import NAMED, REVOKED
from projections.ended import Ended
from projections.evidence import Evidence, TotalReport
from projections.gathering import gather
from projections.identities import Company, Group, Identities
from projections.premises import Premises
from projections.terms import equal_to, key_of

from .given import MODELS, ask, equated, identified, log, merged, total, views


def days(count: int) -> list[str]:
    """So many days, a week between two of them."""
    return [str(date(2020, 1, 6) + timedelta(weeks=n)) for n in range(count)]


# Totals of each day, and what is in force on it.


def totals_and_in_force(count: int) -> list[EventData]:
    """Two figures of each of so many days: a total, and how many of these are in force. They agree with each other."""
    return [
        line
        for n, day in enumerate(days(count))
        for line in (total(f"={1000 + 10 * n}", day), total(f"={500 + n}", day, in_force=True))
    ]


def constraints_of(lines: list[EventData]) -> int:
    """How many constraints are solved where all these events count."""
    premises = Premises(gather(views(log(*lines)), key_of(*MODELS)))
    counted = frozenset({*premises.evidence.origins, NAMED, REVOKED})
    return len(premises.on(premises.days).constraints(counted))


def test_given_a_total_and_one_in_force_of_each_day_then_constraints_grow_as_days_do() -> None:
    few, some, many = (constraints_of(totals_and_in_force(count)) for count in (10, 20, 40))
    assert many - some == 2 * (some - few)


def test_given_a_total_and_one_in_force_of_each_day_then_each_is_its_own_evidence() -> None:
    *_, last = ask(log(*totals_and_in_force(30)), "totals", steps=True)[0]["steps"]
    assert last["total"] == {"low": 1290, "high": 1290}
    assert last["evidence"] == {"low": [59], "high": [59], "more": 0}
    assert last["in_force"] == {"low": 529, "high": 529, "evidence": {"low": [60], "high": [60], "more": 0}}


figures = st.builds(
    TotalReport,
    position=st.integers(1, 99),
    count=st.builds(Interval, st.integers(0, 5), st.none() | st.integers(5, 9)),
    as_of=st.sampled_from(["2020", "2020-01", "2020-01-05", "2020-01-06", "2020-02"]).map(date_range),
    since=st.none(),
    to=st.none(),
    in_force=st.booleans(),
    source=st.just({}),
    says=st.just(""),
)


@given(st.lists(figures, max_size=8, unique_by=lambda report: report.position))
def test_of_all_pairs_of_a_total_and_one_in_force_the_first_and_the_last_that_say_most_count(
    reports: list[TotalReport],
) -> None:
    ended = Ended(reports)
    by_position = sorted(reports, key=lambda report: report.position)
    for day in (date(2019, 12, 31), *(date(2020, 1, n) for n in (4, 5, 6, 31)), date(2020, 2, 29)):
        pairs = [
            (ever.count.low - in_force.count.high, frozenset({ever.position, in_force.position}))
            for in_force, ever in product(by_position, by_position)
            if in_force.in_force and not ever.in_force
            if in_force.count and ever.count and in_force.as_of and ever.as_of
            if in_force.count.high is not None
            if ever.as_of.last <= in_force.as_of.first and in_force.as_of.last <= day
        ]
        most = max((count for count, _ in pairs), default=0)
        that_say_most = [pair for pair in pairs if pair[0] == most > 0]
        assert ended.by(day) == list(dict.fromkeys(that_say_most[:1] + that_say_most[-1:]))


# Names of one company.


def test_given_many_names_of_one_company_then_they_are_put_together_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[Group] = []

    def group(*parts: Any) -> Group:
        made.append(Group(*parts))
        return made[-1]

    monkeypatch.setattr(identities, "Group", group)
    names = [f"name {n}" for n in range(60)]
    documents = views(log(identified("s", *names), identified("t", "other", names[0])))["companies"]
    groups = Identities(documents).groups(names)
    assert {groups[name].mark for name in names} == {"name 0"}
    assert sum(len(each.names) for each in made) == len(names) + 1


companies = st.lists(
    st.builds(identified, st.sampled_from("stuv"), st.sampled_from("abcdef"), st.sampled_from("abcdef"))
    | st.lists(st.sampled_from("stuv"), min_size=2, max_size=2, unique=True).flatmap(
        lambda slugs: st.builds(merged, *map(st.just, slugs), on=st.sampled_from(["2024-01-01", "2024"]))
    ),
    max_size=10,
)


@given(companies, st.lists(st.sampled_from("abcdefg")), st.sampled_from([None, "2023", "2024-03-01"]))
def test_names_are_one_group_where_the_companies_that_may_have_them_share_a_name_that_nobody_disputes(
    lines: list[EventData], names: list[str], valid_at: str | None
) -> None:
    known = Identities(views(log(*lines))["companies"], date_range(valid_at) if valid_at else None)
    of_each = [may_have(known, name) for name in names]
    groups = known.groups(names)
    assert groups.keys() == {*names}.union(*(undisputed(companies) for companies in of_each))
    for name, group in groups.items():
        together, before = {name}, set[str]()
        while together != before:
            before = {*together}
            for listed, companies in zip(names, of_each, strict=True):
                if not together.isdisjoint({listed} | undisputed(companies)):
                    together |= {listed} | undisputed(companies)
        every = [
            each for of, companies in zip(names, of_each, strict=True) if of in together for each in companies
        ]
        assert group.names == together
        assert group.slugs == {slug for company in every for slug in company.slugs}
        assert group.disputed == {of for company in every for of in company.disputed}
        assert group.companies == {of: of for of in together} | {
            of: min(undisputed([company])) for company in every for of in undisputed([company])
        }


def may_have(known: Identities, name: str) -> list[Company]:
    """The companies that claim a name, and those that these, or one of those, may have been merged with."""
    found = known.find(name)
    for company in found:
        found += [
            other
            for slug in company.perhaps
            if (other := known.of_slug(slug)) is not None and other not in found
        ]
    return found


def undisputed(companies: Iterable[Company]) -> set[str]:
    """The names that none of these shares with another."""
    return {name for company in companies for name in company.names if name not in company.disputed}


# Terms that are one.


class Equation(tuple[int, str, str]):
    """An equation that counts how often one is looked at."""

    looks = 0

    def __iter__(self) -> Iterator[Any]:
        Equation.looks += 1
        return super().__iter__()


def test_given_equations_that_lead_from_one_to_the_next_then_each_is_looked_at_a_few_times() -> None:
    chain = [Equation((n, f"u{n}", f"u{n + 1}")) for n in range(200, 0, -1)]
    Equation.looks = 0
    one = equal_to("u1", chain)
    assert Equation.looks <= 3 * len(chain)
    assert list(one) == [f"u{n}" for n in range(1, 202)]
    assert one["u4"] == {1, 2, 3}


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("abcdef")), max_size=12))
def test_terms_are_found_as_by_who_goes_through_all_equations_until_none_leads_on(
    pairs: list[tuple[str, str]],
) -> None:
    equations = [(position, a, b) for position, (a, b) in enumerate(pairs, start=1)]
    one = {"a": frozenset[int]()}
    before = 0
    while len(one) > before:
        before = len(one)
        for position, a, b in equations:
            for known, new in ((a, b), (b, a)):
                if known in one and new not in one:
                    one[new] = one[known] | {position}
    found = equal_to("a", equations)
    assert list(found.items()) == list(one.items())
    assert len(found) == len(one)
    assert "z" not in found


def test_given_many_terms_that_are_one_then_what_the_evidence_says_of_them_is_made_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[Premises] = []

    def premises(evidence: Evidence, last: Premises | None = None) -> Premises:
        made.append(Premises(evidence, last))
        return made[-1]

    monkeypatch.setattr(projections.premises, "Premises", premises)
    terms = [("CAC", "filing", f"unit {n}") for n in range(10)]
    lines = [equated(a, b) for a, b in pairwise(terms)]
    answers = ask(
        log(*lines, *(total(f"={100 + n}", days(10)[n], terms=of) for n, of in enumerate(terms))), "totals"
    )
    assert [answer["total"] for answer in answers] == 10 * [{"low": 109, "high": 109}]
    assert answers[9]["equated"][0] == {"terms": "CAC/filing/unit 8", "evidence": [9]}
    assert len(made) == 1
