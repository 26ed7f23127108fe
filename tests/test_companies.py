"""Companies: one history under all their names, and their share of the approvals as bounds."""

from __future__ import annotations

from itertools import permutations

import pytest

from events import BadQuestion, EventData, RecordedEvent, UnknownCompany, date_range
from projections.answers.shown import SHOWN

from .given import (
    MODELS,
    SERVICES,
    Line,
    amended,
    ask,
    at_least,
    batch,
    between,
    called,
    company_of,
    equated,
    events_in_conflict,
    exactly,
    granted,
    identified,
    log,
    merged,
    retracted,
    revoked,
    total,
    total_of,
    used,
)


def named_companies(reports: list[RecordedEvent], **asked: object) -> list[str]:
    return [answer["company"] for answer in ask(reports, "companies", **asked)]


# Names.


def test_spellings_that_normalise_alike_are_one_name_shown_as_it_is_mostly_written() -> None:
    reports = log(
        granted("ＢＡＩＤＵ", "Ernie", "2023-08-31"),
        granted("Baidu", "Yiyan", "2023-08-31"),
        granted("Baidu", "Ernie 4", "2023-11-03"),
    )
    (answer,) = ask(reports, "companies")
    assert answer["company"] == "Baidu"
    assert answer["names"] == ["Baidu"]
    assert answer["approvals"][0]["named"] == 3


def test_names_are_one_company_when_and_only_when_an_event_says_so() -> None:
    lines: list[Line] = [
        granted("01.AI", "Yi", "2024-01-17"),
        granted("零一万物", "Yi-34B", "2024-01-17"),
        granted("Lingyi Wanwu", "Yi-6B", "2024-01-17"),
        called("names", identified("01-ai", "01.AI", "零一万物")),
        retracted("names"),
    ]
    assert named_companies(log(*lines[:3])) == ["01.AI", "Lingyi Wanwu", "零一万物"]
    assert named_companies(log(*lines[:4])) == ["01-ai", "Lingyi Wanwu"]
    assert named_companies(log(*lines)) == ["01.AI", "Lingyi Wanwu", "零一万物"]
    for name in ("01.AI", "０１.ai", "零一万物", "01-ai"):
        answer = company_of(log(*lines[:4]), name)
        assert answer["company"] == "01-ai"
        assert answer["names"] == ["01.AI", "零一万物"]
        assert answer["approvals"][0]["named"] == 2
        assert answer["evidence"] == [4]


def test_a_history_is_the_same_whether_its_events_keep_the_cells_of_a_row_or_not() -> None:
    lines = [
        granted("A", "Yi", "2024-01", number="N1"),
        amended("N1", company="B"),
        revoked("N1", on="2024-02"),
    ]
    kept = [line.model_copy(update={"published": {"备注": "已注销"}}) for line in lines]
    for company in ("A", "B"):
        assert company_of(log(*kept), company) == company_of(log(*lines), company)


def test_events_may_add_names_to_a_company_one_after_the_other() -> None:
    reports = log(
        granted("Baidu", "Ernie", "2023-08-31"),
        granted("百度", "Yiyan", "2023-08-31"),
        identified("baidu", "Baidu"),
        identified("baidu", "百度"),
    )
    assert company_of(reports, "百度")["approvals"][0]["named"] == 2


def test_a_slug_is_not_a_name_so_both_are_listed_and_either_may_be_meant() -> None:
    reports = log(
        granted("Xiaomi", "MiLM", "2024-01-17"),
        granted("小米", "Xiao AI", "2024-01-17"),
        identified("xiaomi", "小米"),
    )
    assert named_companies(reports) == ["Xiaomi", "xiaomi"]
    assert [c["names"] for c in ask(reports, "companies", "xiaomi")] == [["Xiaomi"], ["小米"]]


def test_nobody_knows_a_company_that_no_report_names() -> None:
    with pytest.raises(BadQuestion, match="'Baidu'"):
        ask(log(granted("Zhipu", "GLM", "2023-08-31")), "companies", "Baidu")


def test_a_name_that_two_companies_claim_is_disputed_and_widens_what_both_may_have() -> None:
    reports = log(
        identified("01-ai", "01.AI", "Yi"),
        identified("yi-tech", "Yi Tech", "Yi"),
        granted("01.AI", "Yi-34B", "2024-01-17"),
        granted("Yi", "Yi-6B", "2024-01-17"),
        total("=2", "2024-01-31"),
    )
    answers = ask(reports, "companies", "Yi")
    assert [answer["company"] for answer in answers] == ["01-ai", "yi-tech"]
    assert [answer["approvals"][0]["approvals"] for answer in answers] == [between(1, 2), between(0, 1)]
    for answer in answers:
        assert answer["contradictions"] == [{"events": [1, 2], "says": "two companies claim the name 'yi'"}]


# Merges.


def test_a_merged_company_has_the_approvals_and_the_names_of_both() -> None:
    lines: list[Line] = [
        granted("Baidu", "Ernie", "2023-08-31"),
        granted("Kunlun", "Tiangong", "2023-11-03"),
        identified("baidu", "Baidu"),
        identified("kunlun", "Kunlun"),
        called("merger", merged("kunlun", "baidu", on="2024-02-01")),
        retracted("merger"),
    ]
    apart, together, parted = log(*lines[:4]), log(*lines[:5]), log(*lines)
    assert named_companies(apart) == ["baidu", "kunlun"]
    for name in ("Kunlun", "kunlun", "Baidu"):
        answer = company_of(together, name)
        assert answer["company"] == "baidu"
        assert answer["names"] == ["Baidu", "Kunlun"]
        assert answer["approvals"][0]["named"] == 2
        assert answer["merges"] == [{"position": 5, "from": "kunlun", "into": "baidu", "on": "2024-02-01"}]
        assert answer["contradictions"] == []
    assert named_companies(parted) == ["baidu", "kunlun"]
    assert company_of(parted, "Kunlun")["approvals"][0]["named"] == 1


def test_merges_follow_each_other_to_the_last_company() -> None:
    reports = log(
        *(identified(slug, slug.upper()) for slug in ("a", "b", "c")),
        merged("a", "b"),
        merged("b", "c"),
    )
    assert named_companies(reports) == ["c"]
    assert company_of(reports, "A")["names"] == ["A", "B", "C"]


def test_a_ring_of_merges_is_a_contradiction_of_the_merges_that_close_it_and_one_company() -> None:
    reports = log(
        *(identified(slug, slug.upper()) for slug in ("a", "b", "c", "d")),
        merged("a", "b"),
        merged("b", "c"),
        merged("c", "a"),
        merged("d", "a"),
    )
    answer = company_of(reports, "D")
    assert answer["company"] == "a"
    assert answer["contradictions"] == [
        {"events": [5, 6, 7], "says": "these merges form a ring: a into b, b into c, c into a"}
    ]
    assert company_of(reports[:6], "A")["contradictions"] == []


def test_a_company_may_be_asked_for_by_a_slug_that_only_a_merger_gives() -> None:
    reports = log(identified("baidu", "Baidu"), merged("little-baidu", "baidu"))
    assert company_of(reports, "little-baidu")["company"] == "baidu"


def test_companies_that_a_batch_named_before_they_merged_have_an_approval_each_of_it() -> None:
    names = [identified("a", "Alpha", "Alef"), identified("b", "Beta"), merged("b", "a", on="2024-02-15")]

    def of_a(on: str, named: list[str | tuple[str, str]], **asked: object) -> tuple[object, object]:
        reports = log(*names, total("=5", "2024-03-01"), batch(1, "=3", on, named=named))
        (approvals,) = ask(reports, "companies", "Alpha", **asked)[0]["approvals"]
        return approvals["approvals"], approvals["share"]

    two, one = (between(2, 5), {"low": 40.0, "high": 100.0}), (between(1, 5), {"low": 20.0, "high": 100.0})
    for asked in ({}, {"valid_at": date_range("2024-03-01")}):
        assert of_a("2024-01-10", ["Alpha", "Beta"], **asked) == two
        assert of_a("2024-01-10", ["Alpha", "Alef"], **asked) == one
        assert of_a("2024-01-10", [("Alpha", "M"), ("Beta", "M")], **asked) == two
        assert of_a("2024-02-20", ["Alpha", "Beta"], **asked) == one
        assert of_a("2024-02", ["Alpha", "Beta"], **asked) == one
        assert of_a("2024-02", [("Alpha", "M"), ("Beta", "N")], **asked) == two


def test_companies_that_a_batch_named_before_they_merged_have_all_of_it_where_there_are_no_others() -> None:
    reports = log(
        identified("a", "Alpha"),
        identified("b", "Beta"),
        merged("b", "a", on="2024-02-15"),
        total("=2", "2024-03-01"),
        batch(1, "=2", "2024-01-10", named=["Alpha", "Beta"]),
    )
    (approvals,) = company_of(reports, "Alpha")["approvals"]
    assert (approvals["named"], approvals["approvals"]) == (2, exactly(2))
    assert approvals["share"] == {"low": 100.0, "high": 100.0}
    assert approvals["evidence"] == {"low": [5], "high": [4], "more": 0}


@pytest.mark.parametrize("merged_on", ["2023-12-01", "2023-12", "2023-12-18"])
@pytest.mark.parametrize("numbers", [(None, None), ("N1", None), (None, "N1"), ("N1", "N1")])
@pytest.mark.parametrize("own", ["Alpha", "Beta"])
def test_what_was_granted_under_a_name_of_two_companies_that_merged_is_what_one_of_them_was_granted(
    own: str, numbers: tuple[str | None, str | None], merged_on: str
) -> None:
    reports = log(
        identified("a", "Alpha", "Omega"),
        identified("b", "Beta", "Omega"),
        merged("b", "a", on=merged_on),
        granted("Omega", "M", "2023-12-15", number=numbers[0]),
        granted(own, "M", "2023-12-15", number=numbers[1]),
        total("=1", "2023-12-31"),
    )
    for asked in ({}, {"valid_at": date_range("2023-12-31")}):
        (answer,) = ask(reports, "companies", **asked)
        (approvals,) = answer["approvals"]
        assert (answer["company"], approvals["named"], approvals["approvals"]) == ("a", 1, exactly(1))
        assert approvals["share"] == {"low": 100.0, "high": 100.0}


# Shares of the approvals.


def test_a_company_has_its_named_approvals_and_maybe_every_undisclosed_one() -> None:
    reports = log(
        granted("Baidu", "Ernie", "2023-08-31"),
        granted("Baidu", "Yiyan", "2023-11-03"),
        granted("Zhipu", "GLM", "2023-08-31"),
        total("=10", "2024-01-31"),
    )
    (approvals,) = company_of(reports, "Baidu")["approvals"]
    assert approvals == {
        "terms": "CAC/approval/model",
        "named": 2,
        "approvals": between(2, 9),
        "share": {"low": 20.0, "high": 90.0},
        "evidence": {"low": [1, 2], "high": [4], "more": 0},
    }


def test_two_terms_whose_names_have_slashes_are_written_differently() -> None:
    reports = log(
        granted("Baidu", "Ernie", "2023-08-31", terms=("CAC/MIIT", "approval", "model")),
        granted("Baidu", "Ernie", "2023-08-31", terms=("CAC", "MIIT/approval", "model")),
    )
    counted = [of["terms"] for of in company_of(reports, "Baidu")["approvals"]]
    assert sorted(counted) == ["CAC/MIIT／approval/model", "CAC／MIIT/approval/model"]


def evidence_of(reports: list[RecordedEvent], name: str, **asked: object) -> dict[str, object]:
    (approvals,) = ask(reports, "companies", name, **asked)[0]["approvals"]
    (listed,) = [each for each in ask(reports, "companies", **asked) if name in each["names"]]
    assert listed["approvals"] == [approvals]  # the list says no less than one company's answer
    evidence: dict[str, object] = approvals["evidence"]
    return evidence


def test_the_number_of_approvals_rests_on_reports_under_the_company_s_names_and_on_what_bounds_the_total() -> (
    None
):
    reports = log(
        granted("Baidu", "Ernie", "2023-08-31"),
        granted("百度", "Yiyan", "2024-01-03"),
        granted("Zhipu", "GLM", "2023-08-31"),
        batch(1, "=8", "2024-01-20", named=["Baidu"]),
        granted("Baidu", "Ernie", "2023-08-31", terms=SERVICES),
        identified("baidu", "Baidu", "百度"),
        total("<=10", "2024-01-31"),
    )
    (models, services) = company_of(reports, "Baidu")["approvals"]
    assert models["evidence"] == {"low": [1, 2], "high": [7], "more": 0}
    assert services["evidence"] == {"low": [5], "high": [], "more": 0}


def test_a_report_of_a_later_day_is_no_evidence_of_what_a_company_had() -> None:
    reports = log(
        granted("Baidu", "Ernie", "2023-08-31"),
        granted("Baidu", "Yiyan", "2024-01"),
        granted("Baidu", "Wenxin", "2024-03-01"),
    )
    assert evidence_of(reports, "Baidu", valid_at=date_range("2023-12-31"))["low"] == [1]
    assert evidence_of(reports, "Baidu", valid_at=date_range("2024-02-01"))["low"] == [1, 2]


def test_what_is_reported_under_a_name_of_two_companies_is_evidence_of_what_each_may_have() -> None:
    reports = log(
        granted("Zhipu", "GLM", "2023-08-31"),
        granted("AI One", "One", "2023-08-31"),
        identified("zhipu", "Zhipu", "AI One"),
        identified("other", "Other", "AI One"),
        total("<=10", "2023-08-31"),
    )
    assert evidence_of(reports, "Zhipu") == {"low": [1], "high": [2, 5], "more": 0}


def test_a_company_that_announcements_name_more_often_rests_on_those_and_on_what_dates_the_batch() -> None:
    reports = log(
        granted("Xiaomi", "one", "2024-01-01"),
        batch(1, "=2", "2024-01", named=[("Xiaomi", "two"), ("小米", "three")]),
        batch(1, "=2", "2024-01-10"),
        identified("xiaomi", "Xiaomi", "小米"),
    )
    assert evidence_of(reports, "Xiaomi") == {"low": [2], "high": [], "more": 0}
    by_a_day = evidence_of(reports, "Xiaomi", valid_at=date_range("2024-01-20"))
    assert by_a_day == {"low": [2, 3], "high": [], "more": 0}


def test_a_report_of_a_number_that_another_company_is_given_too_is_no_evidence_of_the_lowest_count() -> None:
    reports = log(
        granted("Baidu", "one", "2024-01-01", number="CN-1"),
        granted("Xiaomi", "one", "2024-01-01", number="CN-1"),
        granted("Xiaomi", "two", "2024-01-01", number="CN-2"),
        *(granted("Xiaomi", "two", "2024-01-01", number="CN-2") for _ in range(2 * SHOWN)),
    )
    assert evidence_of(reports, "Baidu")["low"] == []
    # All of these are reports of one approval, so that none is left out.
    assert evidence_of(reports, "Xiaomi") == {"low": [*range(3, 3 + SHOWN)], "high": [], "more": 0}


def test_evidence_is_found_behind_a_history_of_other_things() -> None:
    reports = log(
        *(used("Baidu", "Ernie", ">5", "2024-01-01") for _ in range(40)),
        granted("Baidu", "one", "2024-01-01"),
    )
    assert evidence_of(reports, "Baidu") == {"low": [41], "high": [], "more": 0}


def test_where_only_disputed_names_have_approvals_nothing_forces_the_lowest_count() -> None:
    reports = log(
        granted("AI One", "One", "2023-08-31"),
        identified("zhipu", "Zhipu", "AI One"),
        identified("other", "Other", "AI One"),
        total("<=10", "2023-08-31"),
    )
    (approvals,) = company_of(reports, "Zhipu")["approvals"]
    assert (approvals["named"], approvals["evidence"]) == (0, {"low": [], "high": [1, 4], "more": 0})


def test_of_many_reports_the_first_are_listed_and_the_approvals_beside_them_are_counted() -> None:
    reports = log(*(granted("Baidu", f"item {n}", "2023-08-31") for n in range(40)))
    assert evidence_of(reports, "Baidu") == {"low": [*range(1, SHOWN + 1)], "high": [], "more": 40 - SHOWN}
    both = log(batch(1, "=8", "2024-01-20", named=[("Baidu", "Ernie"), ("Baidu", "Yiyan")]))
    assert evidence_of(both, "Baidu") == {"low": [1], "high": [], "more": 0}


def test_a_share_has_no_lower_bound_where_the_total_has_no_upper_one() -> None:
    reports = log(granted("Baidu", "Ernie", "2023-08-31"), total(">40", "2024-01-28"))
    (approvals,) = company_of(reports, "Baidu")["approvals"]
    assert approvals["approvals"] == at_least(1)
    assert approvals["share"] == {"low": 0.0, "high": 100.0}


def test_of_more_than_a_total_allows_each_that_is_named_has_its_share() -> None:
    reports = log(batch(1, "=1", "2023-08-31", named=["Baidu", "Zhipu"]), total("=1", "2023-12-31"))
    (of_company,) = company_of(reports, "Baidu")["approvals"]
    assert (of_company["share"]["low"], of_company["share"]["high"]) == (50.0, 50.0)


def test_where_all_are_named_a_share_is_exact_and_rounded_outwards() -> None:
    reports = log(
        granted("Baidu", "Ernie", "2023-08-31"),
        granted("Zhipu", "GLM", "2023-08-31"),
        granted("Baichuan", "Baichuan", "2023-08-31"),
        total("=3", "2023-08-31"),
    )
    (approvals,) = company_of(reports, "Baidu")["approvals"]
    assert approvals["approvals"] == exactly(1)
    assert approvals["share"] == {"low": 33.33, "high": 33.34}


def test_an_approval_that_a_batch_names_and_a_list_has_under_another_name_of_the_company_is_one() -> None:
    reports = log(
        identified("baidu", "Baidu", "百度"),
        batch(1, "=8", "2023-08-31", named=["Baidu"]),
        granted("百度", "文心一言", "2023-08-31", number="CN-1"),
        total("=8", "2023-08-31"),
    )
    (approvals,) = company_of(reports, "Baidu")["approvals"]
    assert approvals["named"] == 1
    assert approvals["approvals"] == between(1, 8)


def test_two_reports_of_one_batch_that_know_it_by_its_ordinal_and_by_its_day_name_one_approval() -> None:
    reports = log(
        batch(4, "=14", "2024-01-26", named=["Xiaomi"]),
        batch(None, "=14", "2024-01-26", named=["Xiaomi"], source="VON"),
    )
    assert company_of(reports, "Xiaomi")["approvals"][0]["named"] == 1


def test_a_company_keeps_what_a_batch_names_when_another_paper_gives_that_a_number() -> None:
    named = batch(None, "=3", "2023-08-31", named=[("Baidu", "Ernie"), ("Baidu", "Yiyan")])
    for numbered in (
        batch(1, "=3", "2023-08-31", source="Xinhua"),
        batch(1, "=3", "2023-08-31", named=[("Baidu", "Ernie")], source="Xinhua"),
    ):
        (approvals,) = company_of(log(named, numbered), "Baidu")["approvals"]
        assert (approvals["named"], approvals["evidence"]["low"]) == (2, [1])


def test_a_batch_that_a_later_one_dates_named_a_company_before_it_was_announced() -> None:
    reports = log(
        batch(1, "=2", "2024-03", named=[("Alpha", "Y"), ("Alpha", "Z")]),
        granted("Delta", "D", "2024-01-10", batch=2),
        granted("Alpha", "Y", "2024-01-05"),
        total("=3", "2024-02-01"),
    )
    by_then = {
        answer["company"]: answer for answer in ask(reports, "companies", valid_at=date_range("2024-02-01"))
    }
    (approvals,) = by_then["Alpha"]["approvals"]
    assert (approvals["named"], approvals["approvals"]) == (2, exactly(2))
    # One member of the later batch is enough to date it, and with it the one before.
    assert approvals["evidence"] == {"low": [1, 2], "high": [4], "more": 0}


@pytest.mark.parametrize("order", [*permutations(range(3))])
def test_batches_of_which_two_may_be_one_name_a_company_as_often_in_whatever_order_they_are_told(
    order: tuple[int, ...],
) -> None:
    lines = [
        batch(None, ">=1", "2024-01", named=["Xiaomi"]),
        batch(None, ">=1", "2024-01", named=["Baidu"]),
        batch(None, ">=1", "2023-09-10", named=["Baidu"]),
    ]
    reports = log(*(lines[n] for n in order))
    assert company_of(reports, "Baidu")["approvals"][0]["named"] == 2
    assert company_of(reports, "Xiaomi")["approvals"][0]["named"] == 1


@pytest.mark.parametrize("on", ["2023-09-10", "2023-09"])
def test_whom_a_later_announcement_of_a_batch_names_may_have_merged_with_the_company_that_had_the_approval(
    on: str,
) -> None:
    reports = log(
        identified("a", "Baidu"),
        identified("b", "Zhipu"),
        merged("a", "b", on),
        batch(1, "=1", "2023-08-05", named=["Zhipu"]),
        batch(1, "=1", "2023-09-15", named=["Baidu"], source="VON"),
        total("=1", "2023-12-31"),
    )
    then = ask(reports, "companies", valid_at=date_range("2023-08-20"))
    assert [of["approvals"] for company in then for of in company["approvals"]] == [between(0, 1), exactly(1)]
    assert [of["approvals"] for of in company_of(reports, "Baidu")["approvals"]] == [exactly(1)]


def test_a_company_has_as_many_as_the_total_takes_for_named_where_a_batch_may_be_one_of_two() -> None:
    two = [("Baidu", "Ernie"), ("Baidu", "Yiyan")]
    reports = log(
        batch(1, ">=1", "2023", named=[("Baidu", "GLM")]),
        batch(2, ">=1", "2023", named=two),
        batch(None, "=2", "2023-11-20", named=two),
        total("=3", "2024-12-31"),
    )
    (of_company,) = company_of(reports, "Baidu")["approvals"]
    assert (total_of(reports)["named"], of_company["approvals"]) == (3, exactly(3))


def test_two_batches_that_name_a_company_name_two_approvals() -> None:
    reports = log(
        batch(1, "=8", "2023-08-31", named=["Baidu"]), batch(2, "=9", "2023-11-03", named=["Baidu"])
    )
    assert company_of(reports, "Baidu")["approvals"][0]["named"] == 2


@pytest.mark.parametrize("known_as_one", [False, True])
@pytest.mark.parametrize("first", ["Baidu", "Zhipu"])
def test_a_registry_number_that_is_given_to_two_companies_may_be_either_s_and_is_told(
    first: str, known_as_one: bool
) -> None:
    other = "Zhipu" if first == "Baidu" else "Baidu"
    lines: list[EventData] = [
        granted(first, "Ernie", "2023-08-31", number="N1", source="A"),
        granted(other, "Ernie", "2023-08-31", number="N1", source="B"),
        granted("Baidu", "Yiyan", "2023-08-31", number="N2"),
        total("=2", "2023-12-31"),
    ]
    if known_as_one:
        lines.append(identified("one", "Baidu", "Zhipu"))
    reports = log(*lines)
    found = {name: company_of(reports, name) for name in ("Baidu", "Zhipu")}
    counted = {name: of["approvals"][0]["approvals"] for name, of in found.items()}
    if known_as_one:
        assert (counted["Baidu"], found["Baidu"]["contradictions"]) == (exactly(2), [])
        return
    assert counted == {"Baidu": between(1, 2), "Zhipu": between(0, 1)}
    for of in found.values():
        (contradiction,) = of["contradictions"]
        assert contradiction["events"] == [1, 2]
        assert "registry number 'n1' is given to several companies" in contradiction["says"]
    assert found["Zhipu"]["approvals"][0]["evidence"]["high"] == [1, 2, 4]
    (of_that_day,) = company_of(reports, "Zhipu")["approvals"]
    assert of_that_day["named"] == 0


@pytest.mark.parametrize("first", ["Baidu", "Zhipu"])
def test_a_registry_number_that_is_given_to_another_company_first_may_be_what_a_batch_names(
    first: str,
) -> None:
    reports = log(
        granted(first, "Ernie", "2023-08-31", number="N1"),
        granted("Zhipu" if first == "Baidu" else "Baidu", "Ernie", "2023-08-31", number="N1"),
        batch(1, ">=1", "2023-09-30", named=["Baidu"]),
        total("<=1", "2023-12-31"),
    )
    (answer,) = ask(reports, "totals")
    assert (answer["total"], answer["named"], answer["contradictions"]) == (exactly(1), 1, [])


@pytest.mark.parametrize("order", [*permutations(range(3))])
def test_a_member_of_a_batch_that_a_later_list_gives_to_another_company_may_be_what_the_batch_names(
    order: tuple[int, ...],
) -> None:
    lines = [
        granted("Kunlun", "Ernie", "2023-07-30", number="N1", batch=1),
        granted("Zhipu", "Ernie", "2023-07-30", number="N1"),
        batch(1, "=1", "2023-08-05", named=["Zhipu"]),
    ]
    reports = log(*(lines[n] for n in order), amended("N1", company="Kunlun", on="2023-10-01"))
    (answer,) = ask(reports, "totals")
    assert (answer["total"], answer["named"], answer["contradictions"]) == (at_least(1), 1, [])
    (of_batch,) = ask(reports, "batches")
    assert (of_batch["size"], of_batch["named"], of_batch["contradictions"]) == (exactly(1), 1, [])
    assert company_of(reports, "Kunlun")["approvals"] == []


@pytest.mark.parametrize("terms", [(MODELS, SERVICES), (SERVICES, MODELS)])
def test_a_registry_number_that_is_given_to_two_companies_in_terms_that_are_one_may_be_either_s(
    terms: tuple[tuple[str, str, str], tuple[str, str, str]],
) -> None:
    lines = [
        granted("Baidu", "Ernie", "2023-08-31", number="N1", terms=terms[0]),
        granted("Zhipu", "Ernie", "2023-08-31", number="N1", terms=terms[1]),
        total("<=1", "2023-12-31", terms=terms[0]),
    ]
    apart, one = log(*lines), log(*lines, equated())
    for name in ("Baidu", "Zhipu"):
        assert company_of(apart, name)["contradictions"] == []
        answer = company_of(one, name)
        assert [each["approvals"] for each in answer["approvals"]] == [between(0, 1)] * 2
        assert events_in_conflict(answer) == [[1, 2]]
    announced = batch(1, ">=1", "2023-09-30", named=["Zhipu"], terms=terms[0])
    for answer in ask(log(*lines, equated(), announced), "totals"):
        assert (answer["total"], answer["contradictions"]) == (exactly(1), [])
    with_amendment = log(*lines, equated(), amended("N1", company="Zhipu", on="2023-11-01"))
    for each in company_of(with_amendment, "Baidu")["approvals"]:
        assert (each["named"], each["approvals"]) == (1, exactly(1))
    assert company_of(with_amendment, "Zhipu")["contradictions"] == []


@pytest.mark.parametrize("names", [("Omega", "Alpha"), ("Alpha", "Omega"), ("Omega", "Psi")])
def test_a_registry_number_under_a_name_that_two_companies_claim_may_be_either_s_and_both_are_told(
    names: tuple[str, str],
) -> None:
    """Where the name is of the company that has the other one, too, nothing is contradicted."""
    reports = log(
        identified("a", "Alpha", "Omega", "Psi"),
        identified("b", "Beta", "Omega", "Psi"),
        *(granted(name, "M", "2023-12-15", number="N1") for name in names),
        granted("Gamma", "M", "2023-12-15", number="N2"),
        total("<=9", "2023-12-31"),
    )
    for asked in ({}, {"valid_at": date_range("2023-12-31")}):
        found = {answer["company"]: answer for answer in ask(reports, "companies", **asked)}
        for name in ("a", "b"):
            (approvals,) = found[name]["approvals"]
            assert (approvals["named"], approvals["approvals"]) == (0, between(0, 8))
            assert approvals["evidence"] == {"low": [], "high": [3, 4, 6], "more": 0}
            (told,) = [each for each in found[name]["contradictions"] if each["events"] == [3, 4]]
            given = ", ".join(repr(name.casefold()) for name in sorted(names))
            assert told["says"] == (
                f"registry number 'n1' is given to names that may be of several companies: {given}"
            )
        assert found["Gamma"]["approvals"][0]["approvals"] == between(1, 8)


def test_a_registry_number_under_two_names_of_a_company_is_no_contradiction_of_one_that_it_may_have_merged_with() -> (
    None
):
    reports = log(
        identified("a", "Alpha", "阿尔法"),
        identified("b", "Beta"),
        merged("a", "b", on="2023-12"),
        granted("Alpha", "M", "2023-08-31", number="N1"),
        granted("阿尔法", "M", "2023-08-31", number="N1"),
    )
    answers = ask(reports, "companies", valid_at=date_range("2023-12"))
    assert {a["company"]: a["contradictions"] for a in answers} == {"a": [], "b": []}


def test_a_merger_of_a_later_day_does_not_change_what_is_told_of_a_registry_number_under_a_disputed_name() -> (
    None
):
    reports = [
        identified("a", "Alpha", "Joint"),
        identified("b", "Beta", "Joint"),
        identified("c", "Gamma"),
        granted("Alpha", "M", "2023-08-31", number="N1"),
        granted("Joint", "M", "2023-08-31", number="N1"),
    ]
    before, after = (
        ask(log(*reports, *more), "companies", valid_at=date_range("2023-12"))[0]["contradictions"]
        for more in ([], [merged("a", "c", on="2025")])
    )
    assert "names that may be of several companies" in before[-1]["says"]
    assert after == before


def test_a_registry_number_of_two_companies_is_the_one_s_where_they_may_have_merged() -> None:
    reports = log(
        identified("a", "Alpha"),
        identified("b", "Beta"),
        merged("b", "a", on="2024-02-15"),
        granted("Alpha", "M", "2023-12-15", number="N1"),
        granted("Beta", "M", "2023-12-15", number="N1"),
        total("=1", "2024-03-31"),
    )
    counted = {
        day: {
            answer["company"]: answer["approvals"][0]["approvals"]
            for answer in ask(reports, "companies", valid_at=date_range(day))
        }
        for day in ("2024-01", "2024-02", "2024-03")
    }
    assert counted == {
        "2024-01": {"a": between(0, 1), "b": between(0, 1)},
        "2024-02": {"a": between(0, 1), "b": between(0, 1)},
        "2024-03": {"a": exactly(1)},
    }


@pytest.mark.parametrize("name", ["Baidu", "百度"])
def test_given_a_day_that_only_a_report_without_the_number_tells_then_it_is_evidence_of_what_the_company_had(
    name: str,
) -> None:
    reports = log(
        identified("baidu", "Baidu", "百度"),
        granted("Baidu", "Ernie Bot", "2023", number="N1"),
        granted(name, "Ernie Bot", "2023-08"),
    )
    (company,) = ask(reports, "companies", valid_at=date_range("2023-08-31"))
    (counted,) = company["approvals"]
    assert counted["approvals"] == at_least(1)
    assert counted["evidence"] == {"low": [2, 3], "high": [], "more": 0}


@pytest.mark.parametrize("asked", ["2024-02-20", "2024-02", "2024"])
@pytest.mark.parametrize(("granted_on", "told"), [("2024-02-15", False), ("2024-02-14", True)])
def test_given_two_names_of_one_company_on_the_day_of_an_approval_when_the_month_of_its_merger_is_asked_about_then_its_number_is_no_contradiction(
    granted_on: str, told: bool, asked: str
) -> None:
    reports = log(
        identified("a", "Alpha"),
        identified("b", "Beta"),
        merged("b", "a", on="2024-02-15"),
        granted("Alpha", "M", granted_on, number="N1"),
        granted("Beta", "M", granted_on, number="N1"),
    )
    answers = ask(reports, "companies", valid_at=date_range(asked))
    # On the last day of February they are one company, which has the approval, whoever had it before.
    assert any(a["contradictions"] for a in answers) == (told and asked != "2024-02-20")


@pytest.mark.parametrize("order", [*permutations(range(3))])
@pytest.mark.parametrize("day", [None, "2023-12-31"])
def test_a_registry_number_that_an_amendment_gave_to_another_company_is_whose_it_was_first_in_any_order(
    order: tuple[int, ...], day: str | None
) -> None:
    """A later edition of a list has the company that holds it now; which edition is imported first decides nothing."""
    lines = [
        granted("Baidu", "Ernie", "2023-08-31", number="N1"),
        amended("N1", company="智谱", on="2023-10-01"),
        granted("Zhipu", "Ernie", "2023-08-31", number="N1"),
    ]
    reports = log(*(lines[n] for n in order), total("=1", "2023-12-31"), identified("zhipu", "Zhipu", "智谱"))
    asked = {} if day is None else {"valid_at": date_range(day)}
    found = {answer["company"]: answer for answer in ask(reports, "companies", **asked)}
    (approvals,) = found["Baidu"]["approvals"]
    granted_at = sorted(n for n, line in enumerate(order, start=1) if line != 1)
    assert (approvals["named"], approvals["approvals"]) == (1, exactly(1))
    assert set(approvals["evidence"]["low"]) <= {*granted_at}
    assert approvals["evidence"]["low"] != []
    assert found["zhipu"]["approvals"] == []
    assert [answer["contradictions"] for answer in found.values()] == [[], []]


@pytest.mark.parametrize("first", ["Baidu", "Zhipu"])
def test_a_registry_number_of_two_companies_that_an_amendment_gave_to_a_third_may_be_either_s(
    first: str,
) -> None:
    other = "Zhipu" if first == "Baidu" else "Baidu"
    reports = log(
        granted(first, "Ernie", "2023-08-31", number="N1"),
        granted(other, "Ernie", "2023-08-31", number="N1"),
        amended("N1", company="Kunlun", on="2023-10-01"),
        total("=1", "2023-12-31"),
    )
    for name in ("Baidu", "Zhipu"):
        answer = company_of(reports, name)
        assert answer["approvals"][0]["approvals"] == between(0, 1)
        assert events_in_conflict(answer) == [[1, 2]]
    assert company_of(reports, "Kunlun")["approvals"] == []


@pytest.mark.parametrize("first", ["Alpha", "Gamma"])
def test_a_registry_number_that_an_amendment_gave_to_a_name_of_two_companies_may_be_whoever_s_reports_say(
    first: str,
) -> None:
    """Omega may be the company of Alpha, who had it later then, or another one's, who had it from either."""
    reports = log(
        identified("a", "Alpha", "Omega"),
        identified("b", "Beta", "Omega"),
        granted(first, "M", "2023-12-15", number="N1"),
        granted("Gamma" if first == "Alpha" else "Alpha", "M", "2023-12-15", number="N1"),
        amended("N1", company="Omega"),
        total("=1", "2023-12-31"),
    )
    for name in ("Alpha", "Gamma"):
        (approvals,) = company_of(reports, name)["approvals"]
        assert (approvals["named"], approvals["approvals"]) == (0, between(0, 1))


@pytest.mark.parametrize("merged_on", ["2023-09-15", "2023-06-01"])
def test_a_registry_number_that_went_over_to_the_company_that_its_holder_was_merged_into_was_the_holder_s(
    merged_on: str,
) -> None:
    reports = log(
        identified("a", "Alpha"),
        identified("b", "Beta"),
        merged("a", "b", on=merged_on),
        granted("Beta", "M", "2023-08-31", number="N1"),
        granted("Alpha", "M", "2023-08-31", number="N1"),
        amended("N1", company="Beta", on="2023-10-01"),
        total("=1", "2023-12-31"),
    )
    by_then = {
        answer["company"]: [each["approvals"] for each in answer["approvals"]]
        for answer in ask(reports, "companies", valid_at=date_range("2023-08-31"))
    }
    assert by_then == ({"a": [exactly(1)], "b": []} if merged_on > "2023-08-31" else {"b": [exactly(1)]})
    assert company_of(reports, "Beta")["approvals"][0]["approvals"] == exactly(1)


def test_what_a_report_has_without_a_number_is_the_approval_that_its_terms_number_under_another_item() -> (
    None
):
    lines = [
        identified("baidu", "Baidu", "百度"),
        granted("Baidu", "GLM", "2023-08-31", number="CN-1"),
        granted("Baidu", "Ernie", "2023-08-31", number="CN-1", terms=SERVICES),
        granted("百度", "GLM", "2023-08", terms=SERVICES),
        equated(),
        total("=1", "2023-12-31"),
    ]
    for reports in (log(*lines), log(*lines[::-1])):
        approvals = company_of(reports, "Baidu")["approvals"]
        assert [(of["named"], of["approvals"]) for of in approvals] == [(1, exactly(1))] * 2


def test_a_registry_number_that_an_amendment_gave_to_another_is_one_approval_where_a_report_has_it_without() -> (
    None
):
    lines = [
        granted("Baidu", "GLM", "2023-08-31", number="CN-1"),
        granted("Zhipu", "GLM", "2023-08-31", number="CN-1", terms=SERVICES),
        granted("Baidu", "GLM", "2023-08-31", terms=SERVICES),
        amended("CN-1", company="Zhipu"),
        equated(),
        total("=2", "2023-12-31"),
    ]
    for reports in (log(*lines), log(*lines[::-1])):
        assert [of["named"] for of in company_of(reports, "Baidu")["approvals"]] == [1, 1]


def test_a_registry_number_is_one_company_s_again_when_the_report_that_gave_it_to_another_is_retracted() -> (
    None
):
    lines = [
        granted("Baidu", "Ernie", "2023-08-31", number="N1"),
        granted("Zhipu", "Ernie", "2023-08-31", number="N1"),
        retracted("e2"),
    ]
    answer = company_of(log(*lines), "Baidu")
    assert (answer["approvals"][0]["named"], answer["contradictions"]) == (1, [])


def test_approvals_of_different_terms_stand_apart_and_those_of_equated_terms_are_the_same() -> None:
    lines = [
        granted("Baidu", "Ernie", "2023-08-31"),
        granted("Baidu", "Ernie", "2023-08-31", terms=SERVICES),
        granted("Baidu", "Yiyan", "2023-08-31", terms=SERVICES),
        equated(),
    ]
    apart = {a["terms"]: a["named"] for a in company_of(log(*lines[:3]), "Baidu")["approvals"]}
    one = {a["terms"]: a["named"] for a in company_of(log(*lines), "Baidu")["approvals"]}
    assert apart == {"CAC/approval/model": 1, "CAC/filing/service": 2}
    assert one == {"CAC/approval/model": 2, "CAC/filing/service": 2}


# History.


def test_a_history_has_what_is_known_under_every_name_in_the_order_of_the_log() -> None:
    reports = log(
        batch(1, "=8", "2023-08-31", named=["Baidu", "Zhipu"]),
        granted("百度", "文心一言", "2023-08-31", number="CN-1"),
        used("Baidu", "Ernie Bot", ">100000000", on="2023-12-28"),
        identified("baidu", "Baidu", "百度"),
        amended("CN-1", item="文心大模型", on="2024-02-01"),
        revoked("CN-1", on="2024-03-01"),
    )
    history = company_of(reports, "Baidu")["history"]
    assert [(entry["position"], entry["kind"]) for entry in history] == [
        (1, "named"),
        (2, "granted"),
        (3, "used"),
    ]
    assert history[0]["batch"] == {"ordinal": 1, "announced_on": "2023-08-31"}
    assert history[1]["item"] == {"name": "文心一言", "registry_number": "CN-1"}
    assert [(later["position"], later["kind"]) for later in history[1]["later"]] == [
        (5, "amended"),
        (6, "revoked"),
    ]


def test_users_are_a_count_as_reported_and_as_an_interval() -> None:
    reports = log(
        used("Baidu", "Ernie Bot", ">100000000", on="2023-12-28"), used("Baidu", "Ernie Bot", "~5", on="2024")
    )
    users = [entry["users"] for entry in company_of(reports, "Baidu")["history"]]
    assert users == [
        {"reported": {"relation": ">", "value": 100_000_000}, "low": 100_000_001, "high": None},
        {"reported": {"relation": "~", "value": 5}, "low": 0, "high": None},
    ]


def test_a_revocation_by_item_and_company_stands_with_the_approval_it_ended() -> None:
    reports = log(
        granted("Baidu", "Ernie", "2023-08-31", number="CN-1"),
        granted("Zhipu", "Ernie", "2023-08-31"),
        revoked(item="ＥＲＮＩＥ", company="baidu", on="2024-03-01"),
    )
    assert [len(entry["later"]) for entry in company_of(reports, "Baidu")["history"]] == [1]
    assert [len(entry["later"]) for entry in company_of(reports, "Zhipu")["history"]] == [0]


def test_a_revocation_under_another_name_of_the_company_stands_with_the_approval_too() -> None:
    reports = log(
        granted("Baidu", "Ernie", "2023-08-31"),
        granted("Zhipu", "Ernie", "2023-08-31"),
        identified("baidu", "Baidu", "百度"),
        revoked(item="Ernie", company="百度", on="2024-03-01"),
        revoked(item="Ernie", company="Baidu", on="2024-04-01"),
    )
    (entry,) = [e for e in company_of(reports, "百度")["history"] if e["kind"] == "granted"]
    assert [later["position"] for later in entry["later"]] == [4, 5]
    assert [entry["later"] for entry in company_of(reports, "Zhipu")["history"]] == [[]]


def test_a_correction_of_the_holder_stands_in_the_history_of_both() -> None:
    reports = log(
        granted("Baidu", "Ernie", "2023-08-31", number="CN-1"),
        amended("CN-1", company="Kunlun", on="2024-02-01"),
    )
    assert [e["kind"] for e in company_of(reports, "Kunlun")["history"]] == ["amended"]
    assert [e["later"][0]["position"] for e in company_of(reports, "Baidu")["history"]] == [2]


def test_given_approvals_of_a_day_in_a_month_when_the_month_is_asked_about_then_their_company_may_have_them() -> (
    None
):
    """Nothing is undisclosed on any of its days, but at its end more is named than on its first."""
    items = (("X", "2024-02-10"), ("Y", "2024-03-10"), ("Z", "2024-03-10"))
    totals = [total("=3", "2024-03-10"), total("=3", "2024-03-31")]
    reports = log(*totals, *(granted("Baidu", *item) for item in items))
    for valid_at, count in (("2024-03", between(1, 3)), ("2024-03-10", exactly(3))):
        (answer,) = ask(reports, "companies", "Baidu", valid_at=date_range(valid_at))
        assert answer["approvals"][0]["approvals"] == count
        assert total_of(reports, valid_at=date_range(valid_at))["undisclosed"] == exactly(0)


def test_given_another_company_s_approval_in_a_month_when_the_month_is_asked_about_then_a_company_has_no_more_than_on_its_last_day() -> (
    None
):
    reports = log(
        granted("Baidu", "Ernie", "2023-08-31"),
        total("<=3", "2024-01-31"),
        granted("Zhipu", "GLM", "2023-10-05"),
    )
    for valid_at, count in (
        ("2023-10-01", between(1, 2)),
        ("2023-10-05", between(1, 2)),
        ("2023-10", between(1, 2)),
        ("2023", between(0, 2)),
        ("2023-09", between(1, 2)),
    ):
        (answer,) = ask(reports, "companies", "Baidu", valid_at=date_range(valid_at))
        assert answer["approvals"][0]["approvals"] == count


def test_given_approvals_of_others_in_a_month_when_the_month_is_asked_about_then_a_company_s_share_is_what_it_may_be_on_its_days() -> (
    None
):
    """It has one of two on the first day, and one of four on the last."""
    others = (("Zhipu", "2023-08-31"), ("Xiaomi", "2023-10-05"), ("Kunlun", "2023-10-06"))
    reports = log(
        granted("Baidu", "Ernie", "2023-08-31"),
        *(granted(name, "model", on) for name, on in others),
        total("=4", "2023-10-31"),
    )
    (answer,) = ask(reports, "companies", "Baidu", valid_at=date_range("2023-10"))
    assert answer["approvals"] == [
        {
            "terms": "CAC/approval/model",
            "named": 1,
            "approvals": exactly(1),
            "share": {"low": 25.0, "high": 50.0},
            "evidence": {"low": [1], "high": [5], "more": 0},
        }
    ]


def test_given_a_name_that_two_companies_claim_when_a_month_is_asked_about_then_either_may_have_what_was_granted_in_it() -> (
    None
):
    reports = log(
        identified("baidu", "Baidu", "Yi"),
        identified("zhipu", "Zhipu", "Yi"),
        granted("Baidu", "Ernie", "2023-08-31"),
        granted("Yi", "Yi-34B", "2023-10-05"),
        granted("Zhipu", "GLM", "2023-10-06"),
        total("=3", "2023-10-31"),
    )
    (answer,) = ask(reports, "companies", "Baidu", valid_at=date_range("2023-10"))
    (approvals,) = answer["approvals"]
    assert approvals["approvals"] == between(1, 2)
    assert approvals["evidence"] == {"low": [3], "high": [4, 6], "more": 0}


def test_given_a_revocation_of_what_nobody_lists_when_the_company_is_asked_for_then_its_history_has_it() -> (
    None
):
    ended = revoked(item="Ernie", company="百度", on="2024-03-01")
    (entry,) = company_of(log(ended), "百度")["history"]
    assert (entry["kind"], entry["on"], entry["item"]) == ("revoked", "2024-03-01", {"name": "Ernie"})
    reports = log(
        batch(1, "=3", "2023-08-31", named=[("Baidu", "Ernie")]), identified("baidu", "Baidu", "百度"), ended
    )
    assert [e["kind"] for e in company_of(reports, "Baidu")["history"]] == ["named", "revoked"]
    # Only once, where the approval is listed; and not before it ended.
    listed = log(granted("百度", "Ernie", "2023-08-31"), ended)
    assert [e["kind"] for e in company_of(listed, "百度")["history"]] == ["granted"]
    (company,) = ask(reports, "companies", "Baidu", valid_at=date_range("2024-02"))
    assert [e["kind"] for e in company["history"]] == ["named"]
    with pytest.raises(UnknownCompany):
        ask(log(ended, retracted("e1")), "companies", "百度")


def test_given_an_approval_that_an_amendment_gave_to_a_company_when_it_ended_then_its_history_has_that_too() -> (
    None
):
    reports = log(
        granted("Baidu", "Ernie", "2023-08-31", number="CN-1"),
        amended("CN-1", item="Ernie 2", on="2023-09-01"),
        amended("CN-1", company="Kunlun", on="2024-02-01"),
        amended("CN-1", company="Kunlun", on="2024-02"),
        revoked("CN-1", on="2024-03-01"),
    )
    first, repeated = company_of(reports, "Kunlun")["history"]
    assert [(later["position"], later["kind"]) for later in first["later"]] == [(5, "revoked")]
    assert repeated["later"] == []
    (company,) = ask(reports, "companies", "Kunlun", valid_at=date_range("2024-02"))
    assert [entry["later"] for entry in company["history"]] == [[], []]
    # Once, where the former holder is the same company.
    renamed = log(
        granted("Baidu", "Ernie", "2023-08-31", number="CN-1"),
        amended("CN-1", company="百度", on="2024-02-01"),
        revoked("CN-1", on="2024-03-01"),
        identified("baidu", "Baidu", "百度"),
    )
    history = company_of(renamed, "Baidu")["history"]
    assert [[later["position"] for later in entry["later"]] for entry in history] == [[2, 3], []]


def test_a_retracted_report_leaves_no_company_behind() -> None:
    assert ask(log(granted("Baidu", "Ernie", "2023-08-31"), retracted("e1")), "companies") == []
    with pytest.raises(BadQuestion):
        ask(log(used("Baidu", "Ernie Bot", ">1", on="2024"), retracted("e1")), "companies", "Baidu")


def test_a_contradiction_of_figures_is_no_contradiction_of_a_company() -> None:
    reports = log(
        granted("Baidu", "Ernie", "2023-08-31"), total("=8", "2023-08-31"), total("=9", "2023-08-31")
    )
    answer = company_of(reports, "Baidu")
    assert events_in_conflict(answer) == []
    assert answer["approvals"][0]["approvals"] == between(1, 9)
