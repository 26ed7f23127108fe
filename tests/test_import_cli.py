"""`approvals import`: what is appended, what is only reported, and that the same list twice is the same ledger."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from approval_ledger.cli import import_
from approval_ledger.importing import compare, lists, mapping
from approval_ledger.importing.lists import Options
from events import Log, decode, parse
from events.catalog import (
    ApprovalAmended,
    ApprovalGranted,
    ApprovalRevoked,
    EventRetracted,
    EventSuperseded,
)

from .command import Ledger, Running, approvals
from .conftest import new_ledger
from .given import called, reference
from .lists import ALGORITHMS, ERNIE, FILED, GLM, WRITERS, YI, algorithm, as_csv, as_docx, as_xlsx
from .long import only_long
from .proxy import Proxy
from .servers import Server
from .waiting import until

Row = tuple[str, ...]
Listed = Callable[..., Path]

TWINS = ("1", "上海市", "AI民宿管家", "上海潮宿公司", "Shinghai-AIMinSu-20240729S0020", "2024/7/29")


@pytest.fixture
def ledger(server: Server) -> Ledger:
    return Ledger(server)


@pytest.fixture
def listed(tmp_path: Path) -> Listed:
    """A file with these rows below the header."""

    def listed(*rows: Row, name: str = "list.csv", header: Row = FILED) -> Path:
        path = tmp_path / name
        path.write_bytes(WRITERS[path.suffix[1:]]([header, *rows]))
        return path

    return listed


def data(ledger: Ledger) -> list[Any]:
    return [decode(recorded).data for recorded in ledger.log.read()]


def statuses(document: Any) -> list[str]:
    return [event["status"] for event in document["events"]]


def changed(row: Row, **changes: str) -> Row:
    columns = {"region": 1, "item": 2, "company": 3, "number": 4, "date": 5}
    cells = list(row)
    for name, text in changes.items():
        cells[columns[name]] = text
    return tuple(cells)


# What is appended


@pytest.mark.parametrize("format", WRITERS)
def test_given_a_list_when_it_is_imported_twice_then_the_second_time_appends_nothing(
    ledger: Ledger, listed: Listed, format: str
) -> None:
    file = listed(ERNIE, GLM, name=f"list.{format}")
    first = ledger.run("import", file)
    assert first.out.splitlines()[-3:] == [
        "appended at 1  beijing-wenxinyiyan-20230821",
        "appended at 2  beijing-chatglm-20230821",
        "2 appended, 0 already there, 0 differ, 0 disappeared, 0 refused",
    ]
    assert first.err == ""
    second = ledger.run("import", file, "--json").document
    assert (second["appended"], statuses(second)) == (0, ["already", "already"])
    assert [event["position"] for event in second["events"]] == [1, 2]
    assert ledger.log.head() == 2


def test_given_a_list_when_it_is_imported_then_its_approvals_are_counted_and_its_cells_kept(
    ledger: Ledger, listed: Listed
) -> None:
    ledger.run(
        "import",
        listed(ERNIE, GLM),
        "--published-on",
        "2024-04-02",
        "--title",
        "第一批",
        "--publisher",
        "网信办",
    )
    (total,) = ledger.run("totals", "--json").document["answers"]
    assert (total["instrument"], total["unit"], total["named"]) == ("filing", "service", 2)
    grant = data(ledger)[0]
    assert grant.published == dict(zip(FILED, ERNIE, strict=True))
    assert (grant.source.publisher, grant.source.title, grant.source.published_on) == (
        "网信办",
        "第一批",
        "2024-04-02",
    )
    assert ledger.run("companies", ERNIE[3], "--json").document["answers"][0]["approvals"][0]["named"] == 1


def test_given_a_later_edition_when_it_is_imported_then_only_what_is_new_is_appended(
    ledger: Ledger, listed: Listed
) -> None:
    ledger.run("import", listed(ERNIE))
    header = ("序号", "属地", "大模型名称", "备案单位", "备案编号", "备案时间")
    later = ledger.run(
        "import", listed(("7", *GLM[1:]), ("8", *ERNIE[1:]), name="b.xlsx", header=header), "--json"
    ).document
    assert statuses(later) == ["appended", "already"]
    assert ledger.log.head() == 2
    (table,) = later["tables"]
    assert (table["rows"], table["header"], table["new"], table["already"], table["imported"]) == (
        3,
        1,
        1,
        1,
        2,
    )


@only_long
def test_given_remarks_when_a_later_edition_has_them_then_they_are_appended_as_events_of_their_own(
    ledger: Ledger, listed: Listed, tmp_path: Path
) -> None:
    caption = "算法备案清单（2022年10月）"
    first, second = tmp_path / "a.docx", tmp_path / "b.docx"
    first.write_bytes(as_docx([ALGORITHMS, algorithm(), algorithm("230021")], captions=[caption]))
    renamed = "原主体名称“甲公司”变更为“乙公司”"
    rows = [
        ALGORITHMS,
        algorithm(remark=renamed, company="乙公司"),
        algorithm("230021", "已注销"),
        algorithm("230039", "另见附件"),
    ]
    second.write_bytes(as_docx(rows, captions=[caption]))
    ledger.run("import", first)
    document = ledger.run("import", second, "--published-on", "2024-08", "--json").document
    assert statuses(document) == ["already", "appended", "already", "appended", "appended"]
    amended, revoked, _ = data(ledger)[2:]
    assert isinstance(amended, ApprovalAmended)
    assert amended.changes.company is not None
    assert amended.changes.company.name == "乙公司"
    assert isinstance(revoked, ApprovalRevoked)
    assert revoked.revoked_on == "2024-08"
    assert document["tables"][0]["not_understood"] == [{"row": 4, "text": "另见附件"}]
    # A day that the list does not give is no difference when another edition has another.
    again = ledger.run("import", second, "--published-on", "2025-01", "--json").document
    assert set(statuses(again)) == {"already"}
    # Nor is the new name, once the remark is gone.
    rows = [ALGORITHMS, algorithm(company="乙公司")]
    second.write_bytes(as_docx(rows, captions=[caption]))
    assert statuses(ledger.run("import", second, "--json").document) == ["already"]


@pytest.mark.parametrize("later_first", [False, True])
def test_given_a_changed_product_when_an_edition_has_another_name_of_its_item_then_the_change_is_the_same(
    ledger: Ledger, listed: Listed, later_first: bool
) -> None:
    added = "新增产品：甲（APP）"
    editions = [
        listed(algorithm(remark=added), header=ALGORITHMS, name="a.csv"),
        listed(
            algorithm(remark=f"{added}；原算法名称“甲算法”变更为“乙算法”", item="乙算法"),
            header=ALGORITHMS,
            name="b.csv",
        ),
    ]
    first, second = reversed(editions) if later_first else editions
    ledger.run("import", first, "--published-on", "2024-08")
    document = ledger.run("import", second, "--published-on", "2024-08", "--json").document
    assert set(statuses(document)) == ({"already"} if later_first else {"already", "appended"})
    assert len(data(ledger)) == 3


def test_given_a_notice_of_cancellations_when_it_is_imported_then_approvals_end_on_its_day(
    ledger: Ledger, listed: Listed
) -> None:
    header = ("cancelNoticeDate", "noticeTitle", "recordNumber", "algorithmName", "entityName")
    row = ("2025-07-14", "关于注销“甲算法”等算法备案编号的公告", algorithm()[6], "甲算法", "甲公司")
    ledger.run("import", listed(algorithm(), header=ALGORITHMS), "--published-on", "2024-08")
    ledger.run("import", listed(row, header=header, name="notice.csv"))
    grant, revoked = data(ledger)
    assert isinstance(revoked, ApprovalRevoked)
    assert (revoked.revoked_on, revoked.reason, revoked.registry_number) == (
        row[0],
        row[1],
        grant.item.registry_number,
    )
    (total,) = ledger.run("totals", "--json").document["answers"]
    assert total["in_force"]["low"] == 0


def test_given_a_mapping_of_ones_own_when_a_table_is_unknown_then_it_is_imported_by_it(
    ledger: Ledger, listed: Listed, tmp_path: Path
) -> None:
    file = listed(("ICO", "Ernie", "Baidu", "7", "2024-01-31"), header=("by", "Model", "Firm", "No", "Day"))
    assert "docs/importing.md" in ledger.run("import", file, code=1).err
    own = tmp_path / "mine.toml"
    own.write_text(
        'name = "ico"\nsource = "urn:ico"\nauthority = "ICO"\ninstrument = "approval"\nunit = "model"\n'
        'publisher.name = "ICO"\ncolumns.item = ["Model"]\ncolumns.company = ["Firm"]\n'
        'columns.number = ["No"]\ncolumns.date = ["Day"]\n',
        "utf-8",
    )
    ledger.run("import", file, "--mapping", own)
    (grant,) = data(ledger)
    assert (grant.authority, grant.approved_on) == ("ICO", "2024-01-31")
    assert "bad-mapping" in ledger.run("import", file, "--mapping", "none", code=1).err


def test_given_columns_that_are_kept_and_not_read_when_a_list_is_imported_then_they_are_named(
    ledger: Ledger, listed: Listed
) -> None:
    file = listed((*ERNIE, "x", "y"), header=(*FILED, "审批人", "去向"))
    ran = ledger.run("import", file)
    assert f"columns kept as published, and not read: {file}, table 1: 审批人, 去向" in ran.out
    assert "columns kept" not in ledger.run("import", listed(GLM, name="b.csv")).out


# What is only reported


def test_given_a_row_that_gains_a_number_when_a_later_edition_is_imported_then_it_is_listed_and_not_counted_twice(
    ledger: Ledger, listed: Listed, tmp_path: Path
) -> None:
    own = tmp_path / "mine.toml"
    own.write_text(
        'name = "ico"\nsource = "urn:ico"\nauthority = "ICO"\ninstrument = "approval"\nunit = "model"\n'
        'required = ["item", "company", "date"]\npublisher.name = "ICO"\ncolumns.item = ["Model"]\n'
        'columns.company = ["Firm"]\ncolumns.number = ["No"]\ncolumns.date = ["Day"]\n',
        "utf-8",
    )
    header = ("Model", "Firm", "No", "Day")
    first = listed(("Ernie", "Baidu", "", "2024-01-31"), header=header)
    later = listed(("Ernie", "Baidu", "7", "2024-01-31"), name="b.csv", header=header)
    target = tmp_path / "p"
    ledger.run("import", first, "--mapping", own)
    more = ("--mapping", own, "--cumulative", "--json")
    document = ledger.run("import", later, *more, "--proposals", target, "--actor", "me").document
    assert (statuses(document), document["disappeared"]) == (["differs"], [])
    ledger.run("publish", target)
    assert statuses(ledger.run("import", later, *more).document) == ["already"]


def test_given_a_row_that_differs_when_it_is_imported_then_it_is_reported_and_a_proposal_settles_it(
    ledger: Ledger, listed: Listed, tmp_path: Path
) -> None:
    ledger.run("import", listed(ERNIE))
    later = listed(changed(ERNIE, date="2023/9/1"), name="b.csv")
    target = tmp_path / "proposals.ndjson"
    ran = ledger.run("import", later, "--proposals", target, "--actor", "editor@example")
    assert (
        f"differs: {later}, table 1, row 2 from position 1: approved_on: 2023-09-01, not 2023-08-31"
        in ran.out
    )
    assert "2 corrections proposed, none published" in ran.out
    assert ledger.log.head() == 1
    replacement, correction = (parse(line) for line in target.read_bytes().splitlines())
    assert isinstance(replacement.data, ApprovalGranted)
    assert isinstance(correction.data, EventSuperseded)
    assert correction.data.actor == "editor@example"
    ledger.run("publish", target)
    for file in (
        later,
        listed(ERNIE),
    ):  # what was settled is settled, also where the older list is imported again
        assert statuses(ledger.run("import", file, "--json").document) == ["already"]
    (total,) = ledger.run("totals", "--json").document["answers"]
    assert total["named"] == 1
    assert ledger.log.head() == 3


@only_long
def test_given_an_edition_that_returns_to_what_the_list_corrected_when_it_is_imported_then_that_differs_and_is_proposed(
    ledger: Ledger, listed: Listed, tmp_path: Path
) -> None:
    first, second = listed(ERNIE), listed(changed(ERNIE, date="2023/9/1"), name="b.csv")
    ledger.run("import", first, "--published-on", "2024-04-02")
    accept(ledger, tmp_path / "there.ndjson", second, "--published-on", "2024-08-05")
    for published in ((), ("--published-on", "2024-04-02"), ("--published-on", "2024-08")):
        assert statuses(ledger.run("import", first, *published, "--json").document) == ["already"]
    again = (first, "--published-on", "2024-11-11")
    assert statuses(ledger.run("import", *again, "--json").document) == ["differs"]
    accept(ledger, tmp_path / "back.ndjson", *again)
    assert approved_on(ledger) == "2023-08-31"
    for file in (again, (second, "--published-on", "2024-08-05")):
        assert statuses(ledger.run("import", *file, "--json").document) == ["already"]


def test_given_what_somebody_else_corrected_when_a_later_edition_repeats_it_then_it_is_left_so(
    ledger: Ledger, listed: Listed
) -> None:
    ledger.run("import", listed(ERNIE), "--published-on", "2024-04-02")
    (held,) = (decode(recorded) for recorded in ledger.log.read())
    assert isinstance(held.data, ApprovalGranted)
    right = called("right", held.data.model_copy(update={"approved_on": "2023-09-01"}))
    correction = EventSuperseded(
        target=reference(held.id, held.source), replacement=reference("right"), reason="misprint", actor="me"
    )
    ledger.log.append([right, called("correction", correction)])
    document = ledger.run("import", listed(ERNIE), "--published-on", "2024-08-05", "--json").document
    assert (statuses(document), document["events"][0]["settled"]) == (["already"], True)


@pytest.mark.parametrize(
    ("rows", "types"),
    [
        ([changed(ERNIE, company="另一公司"), GLM], ["approval.amended.v1"]),
        ([changed(ERNIE, date="2023/9/1"), GLM], ["event.superseded.v1", "approval.granted.v1"]),
        ([GLM], ["event.retracted.v1"]),
    ],
)
def test_given_a_published_proposal_that_was_taken_back_when_a_later_edition_says_the_same_then_it_is_not_proposed_again(
    ledger: Ledger, listed: Listed, tmp_path: Path, rows: Sequence[Row], types: Sequence[str]
) -> None:
    edition = (listed(*rows, name="b.csv"), "--cumulative", "--published-on")
    ledger.run("import", listed(ERNIE, GLM), "--published-on", "2024-04-02")
    accept(ledger, tmp_path / "there.ndjson", *edition, "2024-08-05")
    published = [decode(recorded) for recorded in ledger.log.read(after=2)]
    assert sorted(event.type for event in published) == sorted(types)
    for event in published:
        retraction = EventRetracted(target=reference(event.id, event.source), reason="wrong", actor="me")
        ledger.log.append([called(f"back:{event.id}", retraction)])
    document = ledger.run("import", *edition, "2024-11-11", "--json").document
    assert (document["appended"], document["proposals"]) == (0, [])


def accept(ledger: Ledger, target: Path, *edition: str | Path) -> None:
    """Publishes what is proposed for an edition."""
    ledger.run("import", *edition, "--proposals", target, "--actor", "me")
    ledger.run("publish", target)


def approved_on(ledger: Ledger) -> str:
    """The day of the one approval that a ledger counts."""
    claims = ledger.run("sources", "--json").document["answers"]
    (said,) = (claim["says"] for claim in claims if claim["type"] == ApprovalGranted.TYPE)
    return str(said["approved_on"])


@only_long
@pytest.mark.parametrize(
    ("without", "differing", "says"),
    [
        ("属地", {"date": "2023/9/1"}, {"approved_on": "2023-09-01"}),
        ("备案时间", {"region": "上海市"}, {"region": "上海市"}),
        ("", {"date": "2023/9/1", "company": "乙公司"}, {"approved_on": "2023-09-01"}),
    ],
)
def test_given_a_row_that_differs_when_a_replacement_is_proposed_then_it_leaves_what_does_not_differ(
    ledger: Ledger,
    listed: Listed,
    tmp_path: Path,
    without: str,
    differing: dict[str, str],
    says: dict[str, str],
) -> None:
    own = tmp_path / "mine.toml"  # it does not require a date
    own.write_text(
        'name = "filings"\nsource = "urn:filings"\nauthority = "CAC"\ninstrument = "filing"\nunit = "service"\n'
        'publisher.name = "CAC"\ncolumns.item = ["模型名称"]\ncolumns.company = ["备案单位"]\n'
        'columns.number = ["备案号"]\ncolumns.date = ["备案时间"]\ncolumns.region = ["属地"]\n',
        "utf-8",
    )
    mapped = ("--mapping", own, "--published-on", "2024-08-01")
    ledger.run("import", listed(ERNIE), *mapped)
    (held,) = (decode(recorded).written for recorded in ledger.log.read())
    if "company" in differing:  # which is its holder since, and not whom it was granted to
        amendment = tmp_path / "amendment.ndjson"
        of_holder = listed(changed(ERNIE, company=differing["company"]), name="c.csv")
        ledger.run("import", of_holder, *mapped, "--proposals", amendment, "--actor", "me")
        ledger.run("publish", amendment)
    row = dict(zip(FILED, changed(ERNIE, **differing), strict=True))
    row.pop(without, None)
    later = listed(tuple(row.values()), name="b.csv", header=tuple(row))
    target = tmp_path / "proposals.ndjson"
    ledger.run("import", later, *mapped, "--proposals", target, "--actor", "me")
    replacement, _ = (parse(line) for line in target.read_bytes().splitlines())
    proposed = replacement.data.model_dump(mode="json", exclude_none=True)
    assert {**proposed, "source": 0, "published": 0} == {**held, **says, "source": 0, "published": 0}
    ledger.run("publish", target)
    assert statuses(ledger.run("import", later, *mapped, "--json").document) == ["already"]


def test_given_another_holder_under_the_same_number_when_it_is_imported_then_an_amendment_is_proposed(
    ledger: Ledger, listed: Listed, tmp_path: Path
) -> None:
    ledger.run("import", listed(ERNIE))
    target = tmp_path / "proposals.ndjson"
    later = listed(changed(ERNIE, company="乙公司"), name="b.csv")
    ledger.run("import", later, "--proposals", target, "--actor", "me")
    (amendment,) = (parse(line) for line in target.read_bytes().splitlines())
    assert isinstance(amendment.data, ApprovalAmended)
    ledger.run("publish", target)
    assert statuses(ledger.run("import", later, "--json").document) == ["already"]


def test_given_another_holder_and_a_number_in_other_case_when_it_is_imported_then_the_grant_keeps_its_company(
    ledger: Ledger, listed: Listed, tmp_path: Path
) -> None:
    ledger.run("import", listed(ERNIE))
    later = listed(changed(ERNIE, company="乙公司", number=ERNIE[4].upper()), name="b.csv")
    for proposed in (["approval.amended.v1"], ["approval.granted.v1", "event.superseded.v1"]):
        target = tmp_path / proposed[0]
        document = ledger.run("import", later, "--proposals", target, "--actor", "me", "--json").document
        assert proposed_types(document) == proposed
        ledger.run("publish", target)
    assert statuses(ledger.run("import", later, "--json").document) == ["already"]
    assert [one.company.name for one in data(ledger) if isinstance(one, ApprovalGranted)] == [ERNIE[3]] * 2


def test_given_a_cumulative_list_when_rows_are_gone_then_retractions_are_proposed_and_nothing_else_happens(
    ledger: Ledger, listed: Listed, tmp_path: Path
) -> None:
    ledger.run("import", listed(ERNIE, GLM, YI))
    fewer = listed(ERNIE, YI, name="b.csv")
    assert ledger.run("import", fewer, "--json").document["disappeared"] == []
    target = tmp_path / "proposals.ndjson"
    ran = ledger.run("import", fewer, "--cumulative", "--proposals", target, "--actor", "me")
    assert "disappeared: position 2: beijing-chatglm-20230821" in ran.out
    assert ledger.log.head() == 3
    ledger.run("publish", target)
    assert ledger.run("import", fewer, "--cumulative", "--json").document["disappeared"] == []
    (total,) = ledger.run("totals", "--json").document["answers"]
    assert total["named"] == 2
    document = ledger.run("import", listed(ERNIE, GLM, YI), "--json").document
    assert [event.get("settled") for event in document["events"]] == [None, True, None]
    assert document["appended"] == 0


@pytest.mark.parametrize(
    ("number", "status"),
    [
        (TWINS[4], "repeats"),
        ("Ｓhinghai-AIMinSu-20240729S0020", "repeats"),
        ("SHINGHAI-AIMinSu-20240729S0020", "differs"),
        ("Shanghai-AIMinSu-20240729S0020", "differs"),
        ("Shanghai-AIMinSu-20240729S0021", "appended"),
    ],
)
def test_given_two_rows_of_one_approval_in_one_run_when_they_are_imported_then_one_counts(
    ledger: Ledger, listed: Listed, number: str, status: str
) -> None:
    files = listed(TWINS), listed(changed(TWINS, number=number), name="b.csv")
    found = statuses(ledger.run("import", *files, "--json").document)
    assert sorted(found) == sorted(["appended", status])
    assert {"already", status} >= set(statuses(ledger.run("import", files[1], "--json").document))


def test_given_a_corrected_number_in_a_cumulative_list_when_it_is_imported_then_the_old_row_has_not_disappeared(
    ledger: Ledger, listed: Listed
) -> None:
    ledger.run("import", listed(TWINS))
    corrected = listed(changed(TWINS, number="Shanghai-AIMinSu-20240729S0020"), name="b.csv")
    document = ledger.run("import", corrected, "--cumulative", "--json").document
    assert (statuses(document), document["disappeared"]) == (["differs"], [])
    assert [event["type"] for proposal in document["proposals"] for event in proposal["events"]] == [
        "approval.granted.v1",
        "event.superseded.v1",
    ]


def test_given_a_dry_run_when_a_list_is_imported_then_it_says_what_would_happen_and_nothing_does(
    ledger: Ledger, listed: Listed
) -> None:
    ran = ledger.run("import", listed(ERNIE, GLM), "--dry-run")
    assert ran.out.splitlines()[-1] == "2 to append, 0 already there, 0 differ, 0 disappeared, 0 refused"
    assert ledger.keys() == []
    ran = ledger.run("import", listed(ERNIE, ERNIE), "--dry-run")
    assert ran.out.splitlines()[-1].startswith(
        "1 to append, 0 already there, 1 repeated in the run, 0 differ"
    )
    document = ledger.run("import", listed(ERNIE), "--dry-run", "--json").document
    assert (document["dry_run"], document["appended"], statuses(document)) == (True, 0, ["new"])


def test_given_a_file_that_is_not_utf_8_when_it_is_imported_or_refused_then_it_says_in_which_encoding_it_was_read(
    ledger: Ledger, tmp_path: Path
) -> None:
    good, bad = tmp_path / "good.csv", tmp_path / "bad.csv"
    good.write_bytes(as_csv([FILED, ERNIE], "gb18030"))
    bad.write_bytes(as_csv([FILED, (*GLM[:5], "?")], "gb18030"))
    said = f"read as: GB18030: {good}, which is not UTF-8"
    assert said in ledger.run("import", good).out.splitlines()
    refused = ledger.run("import", bad, code=1)
    assert refused.err.splitlines()[0] == said.replace("good", "bad")


def test_given_a_directory_that_is_not_there_when_a_run_is_dry_then_all_is_new_and_none_is_made(
    tmp_path: Path, listed: Listed
) -> None:
    nowhere, file, target = tmp_path / "nowhere", listed(ERNIE, GLM, GLM), tmp_path / "proposals"
    where = ("--dry-run", "--data", nowhere)
    ran = approvals("import", file, *where, "--proposals", target, "--actor", "me")
    assert ran.err == (
        f"there is no ledger in {nowhere}: the directory does not exist. An import would make it, and find nothing there\n"
    )
    assert ran.out.splitlines()[-2:] == [
        "2 to append, 0 already there, 1 repeated in the run, 0 differ, 0 disappeared, 0 refused",
        f"no corrections to propose: {target} was not written",
    ]
    document = approvals("import", file, *where, "--json").document
    assert (document["ledger"], statuses(document)) == ("cac", ["new", "new", "repeats"])
    assert "cannot name a ledger" in approvals("import", file, *where, "--ledger", "A", code=1).err
    assert list(tmp_path.iterdir()) == [file]
    made = approvals("import", file, "--data", nowhere, "--json").document
    assert statuses(made) == ["appended", "appended", "repeats"]


def test_given_an_empty_directory_when_a_run_is_dry_then_all_is_new_and_it_stays_empty(
    tmp_path: Path, listed: Listed
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    ran = approvals("import", listed(ERNIE), "--dry-run", "--data", empty)
    assert ran.err == (
        f"there is no ledger in {empty}: the directory is empty. An import would make it, and find nothing there\n"
    )
    assert ran.out.splitlines()[-1].startswith("1 to append, 0 already there")
    assert list(empty.iterdir()) == []


def test_given_an_edition_without_a_column_or_with_it_under_another_title_when_it_is_imported_then_nothing_differs(
    ledger: Ledger, listed: Listed
) -> None:
    without = tuple(title for title in FILED if title != "属地")
    rows = [tuple(cell for at, cell in enumerate(row) if at != 1) for row in (ERNIE, GLM)]
    renamed = tuple("所属省份" if title == "属地" else title for title in FILED)
    first = ledger.run("import", listed(ERNIE), "--json").document
    second = ledger.run("import", listed(*rows, name="b.csv", header=without), "--json").document
    third = ledger.run("import", listed(ERNIE, GLM, name="c.csv", header=renamed), "--json").document
    assert [statuses(document) for document in (first, second, third)] == [
        ["appended"],
        ["already", "appended"],
        ["already", "already"],
    ]
    emptied = (ERNIE[0], "", *ERNIE[2:])
    document = ledger.run("import", listed(emptied, name="d.csv"), "--json").document
    assert document["events"][0]["differences"] == [{"field": "region", "held": "北京市", "listed": None}]


@only_long
@pytest.mark.parametrize("dash", ["\u2010", "\u2013", "－"])
def test_given_a_remark_in_an_edition_with_other_dashes_when_it_is_imported_then_it_ends_the_same_approval(
    ledger: Ledger, listed: Listed, dash: str
) -> None:
    header = (*FILED, "备注")
    ledger.run("import", listed(ERNIE))
    ended = (*changed(ERNIE, number=ERNIE[4].replace("-", dash)), "2024年8月5日已注销")
    later = listed(ended, name="b.csv", header=header)
    assert statuses(ledger.run("import", later, "--json").document) == ["already", "appended"]
    assert set(statuses(ledger.run("import", later, "--json").document)) == {"already"}
    (total,) = ledger.run("totals", "--json").document["answers"]
    assert total["in_force"]["low"] == 0
    gone = ledger.run("import", listed(GLM, name="c.csv"), "--cumulative", "--json").document
    assert gone["disappeared"] == []


def test_given_rows_of_one_number_that_differ_among_themselves_when_they_are_imported_then_nothing_is_proposed(
    ledger: Ledger, listed: Listed
) -> None:
    rows = [ERNIE, changed(ERNIE, date="2023/9/1"), changed(ERNIE, date="2023/10/1", company="乙公司")]
    for _ in range(2):  # also where the ledger has the earliest already
        document = ledger.run("import", listed(*rows), "--json").document
        assert statuses(document)[1:] == ["differs", "differs"]
        assert document["proposals"] == []


def test_given_several_rows_of_one_number_that_differ_from_the_ledger_when_they_are_imported_then_one_is_proposed(
    ledger: Ledger, listed: Listed, tmp_path: Path
) -> None:
    ledger.run("import", listed(ERNIE))
    days = ("2023/10/1", "2023/8/1", "2023/9/1")
    later = listed(*(changed(ERNIE, date=day) for day in days), name="b.csv")
    target = tmp_path / "proposals.ndjson"
    document = ledger.run("import", later, "--proposals", target, "--actor", "me", "--json").document
    assert len(document["proposals"]) == 1
    ledger.run("publish", target)
    again = ledger.run("import", later, "--json").document
    assert statuses(again) == ["differs", "already", "differs"]
    assert again["proposals"] == []


@only_long
@pytest.mark.parametrize(
    ("company", "proposed"),
    [("甲公司", []), ("乙公司", ["approval.amended.v1"])],
    ids=["month", "month and name"],
)
def test_given_an_approval_in_a_later_list_when_its_heading_alone_dates_it_then_that_month_is_not_proposed(
    ledger: Ledger, tmp_path: Path, company: str, proposed: list[str]
) -> None:
    earlier, later = tmp_path / "earlier.docx", tmp_path / "later.docx"
    for path, month, holder in ((earlier, "2022年10月", "甲公司"), (later, "2023年6月", company)):
        path.write_bytes(
            as_docx([ALGORITHMS, algorithm(company=holder)], captions=[f"算法备案清单（{month}）"])
        )
    ledger.run("import", earlier)
    document = ledger.run("import", later, "--json").document
    assert statuses(document) == ["differs"]
    assert proposed_types(document) == proposed
    # An earlier month is of a list that the ledger lacked.
    another = Ledger(ledger.server)
    another.run("import", later)
    document = another.run("import", earlier, "--json").document
    assert proposed_types(document) == ["approval.granted.v1", "event.superseded.v1"]


def proposed_types(document: Any) -> list[str]:
    return [event["type"] for one in document["proposals"] for event in one["events"]]


def test_given_a_note_that_may_be_what_is_left_of_a_row_when_a_whole_list_is_imported_then_nothing_has_disappeared(
    ledger: Ledger, listed: Listed
) -> None:
    ledger.run("import", listed(ERNIE, GLM))
    for note, gone in ((("", "", "说明书助手"), 0), (("说明：x",), 1)):
        document = ledger.run("import", listed(ERNIE, note, name="b.csv"), "--cumulative", "--json").document
        assert document["tables"][0]["notes"] != []
        assert len(document["disappeared"]) == gone


def test_given_proposals_that_cannot_be_written_when_a_list_is_imported_then_nothing_is_stored(
    ledger: Ledger, listed: Listed, tmp_path: Path
) -> None:
    ledger.run("import", listed(ERNIE))
    later = listed(changed(ERNIE, date="2023/9/1"), GLM, name="b.csv")
    ran = ledger.run("import", later, "--proposals", tmp_path / "none" / "p", "--actor", "me", code=1)
    assert "name a new file for --proposals, in a folder that exists" in ran.err
    assert ledger.log.head() == 1
    same = tmp_path / "same"
    ran = ledger.run("import", listed(ERNIE), "--proposals", same, "--actor", "me")
    assert f"no corrections to propose: {same} was not written" in ran.out
    assert not same.exists()


def test_given_a_server_that_is_lost_before_the_first_append_when_proposals_are_written_then_their_file_goes_too(
    server: Server, ledger: Ledger, listed: Listed, tmp_path: Path
) -> None:
    ledger.run("import", listed(ERNIE))
    later = listed(changed(ERNIE, date="2023/9/1"), GLM, name="b.csv")
    target = tmp_path / "p"
    with Proxy(server) as proxy:
        proxy.lose_requests_with(b"beijing-chatglm", 1)
        away = Ledger(server, proxy.url, name=ledger.name)
        away.run("import", later, "--proposals", target, "--actor", "me", code=1)
    assert not target.exists()
    assert ledger.log.head() == 1


def test_given_events_that_another_import_stores_meanwhile_when_a_list_is_imported_then_they_are_not_counted_as_its_own(
    ledger: Ledger, listed: Listed, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = import_.Run(lists.read(listed(ERNIE, GLM), mapping.shipped(), Options())[0], [])
    import_._compare(run, ledger.log, cumulative=False, actor=None)
    ledger.run("import", listed(ERNIE))
    assert import_._append(run, ledger.log) is None
    assert run.appended == 1
    assert [import_._outcome(verdict, run)["status"] for verdict in run.verdicts] == ["already", "appended"]


# What is refused


def test_given_a_header_without_rows_when_it_is_imported_then_it_says_so_and_is_no_whole_list(
    ledger: Ledger, listed: Listed
) -> None:
    assert "a header, and no row of the list below it" in ledger.run("import", listed()).out
    assert "no row below it" in ledger.run("import", listed(), "--cumulative", code=1).err


def test_given_options_that_no_event_can_hold_when_a_list_is_imported_then_that_is_said_once_and_as_usage(
    ledger: Ledger, listed: Listed
) -> None:
    for option, value in [
        ("--publisher", ""),
        ("--publisher", "x" * 201),
        ("--source-url", "www.cac.gov.cn"),
        ("--title", "a\u202eb"),
        ("--published-on", "9999-01-01"),
    ]:
        assert option in ledger.run("import", listed(ERNIE, GLM), option, value, code=2).complaint
    assert ledger.keys() == []


def test_given_one_bad_row_when_files_are_imported_then_nothing_is_unless_the_bad_are_skipped(
    ledger: Ledger, listed: Listed
) -> None:
    bad = changed(YI, date="2023-02-30")
    files = listed(ERNIE), listed(GLM, bad, name="b.csv")
    ran = ledger.run("import", *files, code=1)
    assert ran.err.splitlines() == [
        f"{files[1]}, table 1, row 3: 备案时间: '2023-02-30' has no such day: the last is 2023-02-28",
        "refused, nothing was stored: correct the file, or import the others with --skip-bad",
    ]
    assert ledger.keys() == []
    document = ledger.run("import", *files, "--skip-bad", "--json", code=1).document
    assert document["appended"] == 2
    assert document["refused"] == [
        {"file": str(files[1]), "table": 1, "row": 3, "column": "备案时间",
         "reason": "'2023-02-30' has no such day: the last is 2023-02-28"}
    ]  # fmt: skip
    ledger.run("import", listed(YI, name="c.csv"))
    assert (
        ledger.run("import", *files, "--skip-bad", "--cumulative", "--json", code=1).document["disappeared"]
        == []
    )
    for table in document["tables"]:
        assert table["rows"] == sum(
            table[part] for part in ("header", "empty", "notes", "imported", "refused")
        )
        assert table["imported"] == sum(table[part] for part in ("new", "already", "repeats", "differs"))


def test_given_a_bad_row_in_a_workbook_when_it_is_imported_then_its_sheet_is_named(
    ledger: Ledger, tmp_path: Path
) -> None:
    file = tmp_path / "list.xlsx"
    file.write_bytes(as_xlsx([FILED, ERNIE], [FILED, changed(GLM, date="八月")], [("a", "b")]))
    ran = ledger.run("import", file, code=1)
    assert [line.partition(": ")[0] for line in ran.err.splitlines()[:-1]] == [
        f"{file}, table 2 'Sheet2', row 2",
        f"{file}, table 3 'Sheet3'",
    ]
    refused = ledger.run("import", file, "--json", code=1).document["refused"]
    assert [(one["table"], one["name"]) for one in refused] == [(2, "Sheet2"), (3, "Sheet3")]


def test_given_cells_that_a_terminal_would_obey_when_they_are_refused_then_they_are_written_out(
    ledger: Ledger, tmp_path: Path
) -> None:
    file = tmp_path / "[bold]\x1b[31m.csv"
    file.write_bytes(
        as_csv([FILED, changed(ERNIE, date="\x1b]0;x\x07 [red]"), (*GLM[:3], "a\u202eb", *GLM[4:])])
    )
    assert "\\x1b" in ledger.run("import", file, code=1).err
    assert "\\x1b" in ledger.run("import", file, "--explain", code=1).out
    assert ledger.run("import", file, "--skip-bad", "--json", code=1).document["appended"] == 0


def test_given_wrong_usage_when_import_is_called_then_it_says_what_is_wrong(
    ledger: Ledger, listed: Listed, tmp_path: Path
) -> None:
    file = listed(ERNIE)
    assert "--actor" in ledger.run("import", file, "--proposals", tmp_path / "p", code=2).complaint
    assert "no such month" in ledger.run("import", file, "--published-on", "2024-13", code=2).complaint
    there = ledger.run("import", file, "--proposals", file, "--actor", "me", code=1)
    assert "exists already" in there.err
    assert "No such file" in ledger.run("import", tmp_path / "none.csv", code=1).err
    ledger.run("import", code=2)
    assert ledger.keys() == []


def test_given_a_server_that_is_lost_midway_when_the_command_is_run_again_then_it_continues(
    start_server: Callable[..., Server], listed: Listed
) -> None:
    server = start_server()
    rows = [changed(ERNIE, number=f"Beijing-X-{number:04d}-", item=f"甲{number}") for number in range(1_500)]
    file = listed(*rows)
    with Proxy(server) as proxy:
        proxy.lose_requests_with(b"beijing-x-1200-", 1)
        ledger = Ledger(server, proxy.url)
        ran = ledger.run("import", file, code=1)
        assert (
            "1,000 of 1,500 new events were stored before that: run the same command again for the rest"
            in ran.err
        )
    ledger = Ledger(server, name=ledger.name)
    ran = ledger.run("import", file)
    assert ran.out.splitlines()[-1].startswith("500 appended, 1,000 already there")
    assert ledger.log.head() == 1_500


def test_given_ctrl_c_midway_when_a_list_is_imported_then_it_says_what_was_stored_and_to_repeat(
    server: Server, listed: Listed
) -> None:
    rows = [changed(ERNIE, number=f"Beijing-X-{number:04d}-", item=f"甲{number}") for number in range(1_100)]
    file = listed(*rows)
    Ledger(server).run(
        "import", listed(GLM, name="b.csv")
    )  # so that the server knows the function of an append
    with Proxy(server) as proxy:
        ledger = Ledger(server, proxy.url)
        proxy.stall_replies_to(b"beijing-x-1050-", 1)
        with Running("import", file, *ledger.where) as importing:
            until(lambda: ledger.log.head() == 1_100)
            importing.interrupt()
            ran = importing.end()
    assert ran.code == 130
    assert ran.out.splitlines()[-1].startswith("1,000 appended")
    assert ran.err == (
        "interrupted: 1,000 of 1,100 new events are known to be stored, and more may be: run the same command again for the rest\n"
    )
    again = Ledger(server, name=ledger.name).run("import", file)
    assert again.out.splitlines()[-1].startswith("0 appended, 1,100 already there")


@only_long
def test_given_proposals_and_a_server_that_is_lost_midway_when_the_rest_is_imported_then_it_says_what_to_change(
    server: Server, ledger: Ledger, listed: Listed, tmp_path: Path
) -> None:
    ledger.run("import", listed(ERNIE))
    rows = [changed(GLM, number=f"Beijing-X-{number:04d}-", item=f"甲{number}") for number in range(1_001)]
    later = listed(changed(ERNIE, date="2023/9/1"), *rows, name="b.csv")
    first, second = tmp_path / "first", tmp_path / "second"
    with Proxy(server) as proxy:
        proxy.lose_requests_with(b"beijing-x-1000-", 1)
        away = Ledger(server, proxy.url, name=ledger.name)
        ran = away.run("import", later, "--proposals", first, "--actor", "me", code=1)
    assert ran.err.splitlines()[-1] == (
        "1,000 of 1,001 new events were stored before that: run the same command again for the rest, "
        f"with another file for --proposals than {first}"
    )
    again = ledger.run("import", later, "--proposals", second, "--actor", "me")
    assert again.out.splitlines()[-2].startswith("1 appended, 1,000 already there, 1 differ")
    assert second.read_bytes() == first.read_bytes()


# What is explained


def test_given_a_list_when_it_is_explained_then_every_column_and_row_is_accounted_for_and_no_server_is_asked(
    listed: Listed,
) -> None:
    file = listed(ERNIE, (), FILED, (*GLM, "另见附件"), ("注：x",), header=(*FILED, "备注"))
    out = approvals("import", file, "--explain", code=1).out
    assert "CSV, UTF-8, comma" in out
    for title, field in zip(FILED, ("ordinal", "region", "item", "company", "number", "date"), strict=True):
        assert any(title in line and field in line for line in out.splitlines()), title
    assert "row 1 is a header of cac-genai-filings (CAC/filing/service)" in out
    assert "6 rows = 2 header, 1 empty, 1 notes, 1 imported, 1 refused" in out
    assert "row 6 is a note: 注：x" in out
    document = json.loads(approvals("import", file, "--explain", "--json", code=1).out)
    assert [len(header["columns"]) for header in document["tables"][0]["headers"]] == [7, 6]


# For all lists

ROWS = st.lists(
    st.builds(
        lambda item, company, number, day: ("1", "北京市", item, company, number, day),
        st.sampled_from(["甲", "乙"]),
        st.sampled_from(["A公司", "B公司"]),
        st.sampled_from(["X-1", "x-1", "X-2", "Y-2", "X-3"]),
        st.sampled_from(["2023/8/31", "2023年9月", "2023-11-03（补登）"]),
    ),
    min_size=1,
    max_size=5,
)


def imported(log: Log, paths: Sequence[Path]) -> list[compare.Verdict]:
    facts = [
        fact
        for path in paths
        for table in lists.read(path, mapping.shipped(), Options())[0]
        for fact in table.facts
    ]
    verdicts = compare.verdicts(facts, compare.holding(log, {fact.event.source for fact in facts}))
    new = [verdict.fact.event for verdict in verdicts if verdict.status == "new"]
    if new:
        log.append(new)
    return verdicts


@settings(max_examples=20)
@given(editions=st.lists(ROWS, min_size=1, max_size=3), data=st.data())
def test_given_any_lists_when_they_are_imported_in_any_order_and_twice_then_the_ledger_holds_the_same_facts(
    server: Server, tmp_path_factory: pytest.TempPathFactory, editions: list[list[Row]], data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("editions")
    paths = []
    for number, rows in enumerate(editions):
        paths.append(folder / f"{number}.csv")
        paths[-1].write_bytes(as_csv([FILED, *rows]))
    held = []
    for order in (paths, data.draw(st.permutations(paths))):
        log = Log(server.client(), new_ledger())
        verdicts = imported(log, order)
        assert len(verdicts) == sum(map(len, editions))
        held.append({recorded.payload for recorded in log.read()})
        again = imported(log, order)
        assert "new" not in {verdict.status for verdict in again}
        assert [v.status == "differs" for v in again] == [v.status == "differs" for v in verdicts]
        assert log.head() == len(held[-1])
    assert held[0] == held[1]
