"""Exports: what a table holds, that it is read back as it was, and that a file is whole or not there."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Callable
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any, TypedDict

import arro3.io
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from approval_ledger.exporting import (
    TABLES,
    Column,
    Table,
    describing,
    neutralised,
    restored,
    save,
    saved_beside,
    sources_of,
    tabulated,
    to_csv,
    to_json,
    to_parquet,
)
from approval_ledger.exporting.tables import Kind
from events import BadQuestion, EventData, Log, canonical
from projections import PROJECTIONS, Asked, queries

from .command import ROOT, Ledger, Ran, together
from .given import (
    HISTORY,
    amended,
    ask,
    batch,
    called,
    counted_round_trips,
    equated,
    estimate,
    granted,
    identified,
    merged,
    retracted,
    revoked,
    total,
    used,
)
from .given import log as recorded
from .long import examples, only_long
from .servers import Server
from .strategies import corrects_another, event_data


class Hashing(TypedDict, total=False):
    """What a process is told of the order of what it hashes."""

    PYTHONHASHSEED: str


CELLS: dict[Kind, st.SearchStrategy[Any]] = {
    "text": st.none() | st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=9),
    "integer": st.none() | st.integers(-(2**53), 2**53),
    "number": st.none() | st.floats(allow_nan=False, allow_infinity=False),
    "boolean": st.booleans(),
    "list of texts": st.lists(st.none() | st.text(st.characters(exclude_categories=["Cs"])), max_size=3),
    "list of integers": st.lists(st.integers(0, 2**53), max_size=3),
    "list of numbers": st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=3),
}
READ: dict[str, Callable[[str], Any]] = {
    "text": restored,
    "integer": int,
    "number": float,
    "boolean": {"true": True, "false": False}.__getitem__,
    "list of texts": json.loads,
    "list of integers": json.loads,
    "list of numbers": json.loads,
}
ANY_TABLE = st.lists(
    st.fixed_dictionaries({str(kind): cells for kind, cells in CELLS.items()}), max_size=4
).map(lambda rows: Table([Column(kind, kind, "any") for kind in CELLS], rows))


def read_csv(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def read_parquet(content: bytes) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    """The file's own metadata, and its columns."""
    read = arro3.io.read_parquet(io.BytesIO(content)).read_all()
    held = json.loads(read.schema.metadata[b"approval-ledger"])
    return held, {name: read.column(name).to_pylist() for name in read.column_names}


def rows(reports: Any, projection: str, **asked: Any) -> list[dict[str, Any]]:
    answer = {"projection": projection, "answers": ask(reports, projection, **asked)}
    return list(tabulated(answer).rows)


def picked(row: dict[str, Any], *names: str) -> list[Any]:
    return [row[name] for name in names]


# What the tables hold


def test_a_total_is_a_row_with_a_pair_of_columns_for_each_interval() -> None:
    reports = recorded(
        total(">40", "2024-01-28"),
        granted("Baidu", "Ernie", "2023-08-31", terms=("CAC", "filing", "service")),
        revoked(item="Ernie", company="Baidu", on="2024-01-31", terms=("CAC", "filing", "service")),
    )
    approvals, filings = rows(reports, "totals")
    assert picked(approvals, "authority", "instrument", "unit") == ["CAC", "approval", "model"]
    assert picked(approvals, "total_low", "total_high", "named") == [41, None, 0]
    assert picked(approvals, "evidence_low", "evidence_high", "evidence_more") == [[1], [], 0]
    assert picked(approvals, "in_force_low", "in_force_high") == [None, None]
    assert filings["in_force_low"] == 0


def test_with_steps_a_total_is_a_row_a_day() -> None:
    reports = recorded(total("=8", "2023-08-31"), total("=36", "2023-11-30"))
    found = rows(reports, "totals", steps=True)
    assert [picked(row, "as_of_first", "as_of_last", "total_low", "total_high") for row in found] == [
        ["2023-08-31", "2023-08-31", 8, 8],
        ["2023-11-30", "2023-11-30", 36, 36],
    ]


def test_a_month_has_its_first_day_and_its_last_and_what_is_equated_and_in_conflict_is_told() -> None:
    reports = recorded(
        total("=8", "2023-08-31"),
        total("=9", "2023-08-31", source="Xinhua"),
        total("=8", "2023-08-31", terms=("CAC", "filing", "service")),
        equated(),
    )
    (row, _) = rows(reports, "totals")
    assert picked(row, "contradictions", "equated") == [2, ["CAC/filing/service"]]
    assert row["contradicting"] == [1, 2, 3, 4]


def test_a_batch_has_its_companies_and_their_items_side_by_side() -> None:
    reports = recorded(
        batch(4, "=14", on="2024-01-26", named=["Xiaomi", ("01.AI", "Yi")], source="CGTN"),
        batch(5, "=3", on="2024-02", label="fifth"),
    )
    fourth, fifth = rows(reports, "batches")
    assert picked(fourth, "ordinal", "label", "size_low", "size_high") == [4, None, 14, 14]
    assert picked(fourth, "companies", "items") == [["Xiaomi", "01.AI"], [None, "Yi"]]
    assert picked(fourth, "positions", "publishers") == [[1], ["CGTN"]]
    assert picked(fifth, "label", "announced_on", "before_low") == ["fifth", ["2024-02"], 17]


def test_a_company_is_a_row_for_each_of_what_it_has_approvals_in_or_one_without() -> None:
    reports = recorded(
        granted("Baidu", "Ernie", "2023-08-31"),
        granted("Baidu", "Ernie Bot", "2023-08-31", terms=("CAC", "filing", "service")),
        total("=2", "2023-08-31"),
        identified("acme", "Acme"),
        identified("roadrunner", "Roadrunner"),
        merged("roadrunner", "acme"),
    )
    found = {(row["company"], row["terms"]): row for row in rows(reports, "companies")}
    assert found.keys() == {
        ("acme", None),
        ("Baidu", "CAC/approval/model"),
        ("Baidu", "CAC/filing/service"),
    }
    assert picked(found["acme", None], "named", "approvals_low", "merged") == [None, None, ["roadrunner"]]
    baidu = found["Baidu", "CAC/approval/model"]
    assert picked(baidu, "approvals_low", "approvals_high", "share_low", "share_high") == [1, 2, 50.0, 100.0]


def test_an_estimate_is_a_row_a_region_with_shares_as_numbers() -> None:
    reports = recorded(estimate("CN", "=130", share=40), estimate("US", share=50))
    found = {row["region"]: row for row in rows(reports, "shares")}
    assert picked(found["world"], "count_low", "count_high") == [321, 329]
    assert picked(found["CN"], "share_low", "share_high", "rounding") == [39.51, 40.5, [1.0]]


def test_a_claim_is_a_row_for_each_report_of_it() -> None:
    reports = recorded(
        total(">40", "2024-01-28", source="Securities Times"),
        total(">40", "2024-01-28", source=("Reuters", "Securities Times")),
    )
    first, second = rows(reports, "sources")
    assert picked(second, "claim", "position", "publisher", "derived_from", "origins") == [
        1,
        2,
        "Reuters",
        "Securities Times",
        1,
    ]
    assert first["says"] == second["says"]
    assert json.loads(first["says"])["count"] == {"relation": ">", "value": 40}


@settings(max_examples=examples(60))
@given(st.lists(event_data(), max_size=8))
def test_every_row_of_every_table_has_every_column_and_values_of_its_kind(data: list[EventData]) -> None:
    reports = recorded(*filter(corrects_another, (called(f"e{n}", each) for n, each in enumerate(data))))
    kinds = {"text": str, "integer": int, "number": float, "boolean": bool}
    for name in PROJECTIONS:
        answer = {"projection": name, "answers": ask(reports, name)}
        table = tabulated(answer)
        for row in table.rows:
            assert list(row) == [column.name for column in table.columns]
            for column in table.columns:
                kind, value = column.kind, row[column.name]
                values = value if kind.startswith("list") else [value]
                of = kinds[re.sub(r"list of (\w+)s", r"\1", kind)]
                assert all(v is None or type(v) is of for v in values), (name, column.name, value)
        # What is written is what is there.
        assert read_csv(to_csv(table)) or not table.rows
        assert to_parquet(table, {})


# CSV


@given(ANY_TABLE)
def test_a_table_is_read_back_from_csv_as_it_was(table: Table) -> None:
    content = to_csv(table)
    assert content == to_csv(table)
    found = read_csv(content)
    for cells, row in zip(found, table.rows, strict=True):
        for column in table.columns:
            value = row[column.name]
            read = None if cells[column.name] == "" else READ[column.kind](cells[column.name])
            assert read == value, (column, cells)


def test_csv_begins_with_a_byte_order_mark_and_ends_its_lines_as_rfc_4180_has_it() -> None:
    table = Table([Column("名", "text", ""), Column("n", "integer", "")], [{"名": 'a,"b"', "n": -1}])
    assert to_csv(table) == b'\xef\xbb\xbf\xe5\x90\x8d,n\r\n"a,""b""",-1\r\n'


DANGEROUS = [
    "=HYPERLINK(1)",
    "+1",
    "-1+1",
    "@SUM",
    "\t=1",
    "\t1",
    "\r1",
    "\n1",
    "＝1",
    "＋1",
    "－1",
    "＠SUM",
    "﹦1",
    "  =1",
    "\u3000=1",
    "\u200b=1",
    '"=1',
    "'=1",
    "''=1",
    "“=1",
    "' =1",
]


@pytest.mark.parametrize("text", DANGEROUS)
def test_what_a_spreadsheet_might_take_for_a_formula_begins_with_an_apostrophe(text: str) -> None:
    assert neutralised(text) == f"'{text}"
    assert restored(neutralised(text)) == text


@pytest.mark.parametrize("text", ["Baidu", "01.AI", "百度", "a=1", "a - b", "3-5", "(=1)", "$x", "×1"])
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert neutralised(text) == text


@given(st.text(max_size=8), st.text("=+-@＝＋－＠\t\r '\"", max_size=4))
def test_no_text_is_lost_and_none_is_left_that_begins_like_a_formula(text: str, front: str) -> None:
    cell = neutralised(front + text)
    assert restored(cell) == front + text
    assert not re.match(r"[\s\"]*[=+\-@＝＋－＠]|[\t\r]", cell)


def test_names_are_neutralised_in_csv_and_nowhere_else_and_numbers_stay_numbers() -> None:
    name = "=HYPERLINK(1)"
    reports = recorded(granted(name, "-1+1", "2023-08-31"), total("=1", "2023-08-31", source="@SUM"))
    answer = {"projection": "companies", "answers": ask(reports, "companies")}
    table = tabulated(answer)
    (cells,) = read_csv(to_csv(table))
    assert picked(cells, "company", "names", "approvals_low") == [f"'{name}", f'["{name}"]', "1"]
    assert f'"company":"{name}"'.encode() in to_json(answer)
    _, columns = read_parquet(to_parquet(table, {}))
    assert columns["company"] == [name]
    # The control: written as it is, the cell would begin like a formula.
    assert not neutralised("x" + name).startswith("'")


# JSON and Parquet


def test_json_is_the_answer_as_it_is(log: Log) -> None:
    log.append(HISTORY)
    answer = queries.totals(log, at_least=104)
    assert answer["answers"]
    assert to_json(answer) == canonical(answer) + b"\n"


@settings(max_examples=examples(60))
@given(ANY_TABLE)
def test_a_table_is_read_back_from_parquet_as_it_was(table: Table) -> None:
    held, columns = read_parquet(to_parquet(table, {"ledger": "百度"}))
    assert held == {"ledger": "百度"}
    assert columns == {c.name: [row[c.name] for row in table.rows] for c in table.columns}


def test_a_number_that_parquet_does_not_have_is_refused_and_csv_has_it() -> None:
    most = 2**53 - 1
    reports = recorded(*(batch(n, f">={most}", "2024-01-20") for n in range(1, 1_026)))
    table = tabulated({"projection": "totals", "answers": ask(reports, "totals")})
    with pytest.raises(BadQuestion, match=r"total_low has a number above 2\^63 - 1.*csv or json"):
        to_parquet(table, {})
    assert str(1_025 * most).encode() in to_csv(table)


def test_parquet_has_the_types_and_the_meanings_of_its_columns() -> None:
    answer = {"projection": "totals", "answers": ask(recorded(total(">40", "2024-01-28")), "totals")}
    content = to_parquet(tabulated(answer), {})
    schema = arro3.io.read_parquet(io.BytesIO(content)).schema
    types = {name: str(schema.field(name).type) for name in ("total_high", "authority", "evidence_low")}
    assert [re.findall(r"DataType<(\w+)", text)[0] for text in types.values()] == ["Int64", "Utf8", "List"]
    assert schema.field("total_high").nullable
    assert b"null is no bound" in schema.field("total_high").metadata[b"meaning"]


# On whose word


def test_the_sources_are_those_of_the_evidence_with_their_positions(log: Log) -> None:
    log.append(
        [
            called("a", total("=8", "2023-08-31", source="Reuters")),
            called("b", total(">7", "2023-08-31", source="Nobody")),
            called("c", total("=36", "2023-11-30", source="Reuters")),
            called("d", granted("Baidu", "Ernie", "2023-08-31", source="CAC")),
            called("e", retracted("b")),
        ]
    )
    assert sources_of(log, queries.totals(log, at_least=5, valid_at="2023-08-31")) == [
        {"publisher": "Reuters", "positions": [1]}
    ]
    # Companies rest on all that counts or names one; not on what was retracted.
    assert sources_of(log, queries.companies(log, at_least=5)) == [
        {"publisher": "Reuters", "positions": [1, 3]},
        {"publisher": "CAC", "positions": [4]},
    ]
    listed = sources_of(log, queries.sources(log, at_least=5))
    assert [source["publisher"] for source in listed] == ["Reuters", "CAC", "editor"]


def test_the_sources_of_companies_are_of_all_that_their_figures_and_names_rest_on(log: Log) -> None:
    """An amendment says whose a number is, what was revoked counts beside what is in force, and a service has a company."""
    log.append(
        [
            called("a", granted("Alpha", "X", "2024-01-01", number="1", source="List")),
            called("b", granted("Beta", "X", "2024-01-01", number="1", source="Press")),
            called("c", amended("1", company="Beta")),
            called("d", total("=1", "2024-03-01", in_force=True, source="Reuters")),
            called("e", revoked("1", on="2024-02-01", source="Gazette")),
            called("f", used("Gamma", "Y", ">100", "2024")),
            called("g", estimate("CN", "=130")),
        ]
    )
    listed = sources_of(log, queries.companies(log, at_least=7))
    assert sorted(position for source in listed for position in source["positions"]) == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    "asked",
    [{"at_least": len(HISTORY)}, {"known_at": 40}, {"known_at": "2024-04", "known_as": "published"}],
    ids=str,
)
def test_given_more_claims_than_are_read_at_once_when_companies_are_described_then_all_of_their_sources_are(
    log: Log, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.append(HISTORY)
    answer = queries.companies(log, **asked)
    whole = sources_of(log, answer)
    monkeypatch.setattr(describing, "READ_AT_ONCE", 3)
    assert sources_of(log, answer) == whole
    assert len(whole) > 1


def test_the_reports_behind_an_answer_are_read_in_one_round_trip(log: Log) -> None:
    log.append(HISTORY)
    answer = queries.totals(log, steps=True, at_least=len(HISTORY))
    with counted_round_trips() as sent:
        assert len(sources_of(log, answer)) > 1
    assert len(sent) == 1


# A file is whole or not there


class Died(BaseException):
    """The process is gone: nothing that it would have done after this happens."""


class Mortal:
    """Lets a process take so many steps that change a disk, and no more; notes what it opens."""

    def __init__(self, steps: int) -> None:
        self.left = steps
        self.opened: list[Path] = []

    def step(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **options: Any) -> Any:
            if self.left <= 0:
                raise Died
            self.left -= 1
            return call(*args, **options)

        return run

    def opening(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def run(path: Path, *how: Any) -> Any:
            self.opened.append(path)
            return call(path, *how)

        return run

    def replaces(self, patched: pytest.MonkeyPatch, *arguments: Any) -> bool:
        """Whether it lived to save what is there anew."""
        patched.setattr(Path, "open", self.opening(Path.open))
        patched.setattr(os, "fsync", self.step(os.fsync))
        patched.setattr(Path, "replace", self.step(Path.replace))
        patched.setattr(Path, "unlink", self.step(Path.unlink))
        try:
            save(*arguments, force=True)
        except Died:
            return False
        return True


def beside(content: bytes) -> bytes:
    """What could stand beside a file, and tells whether it does."""
    return sha256(content).hexdigest().encode()


def test_wherever_the_process_dies_no_file_is_half_and_what_stands_beside_one_describes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = b"old " * 9, b"new " * 5
    for steps in count():
        file = tmp_path / str(steps) / "t.csv"
        file.parent.mkdir()
        save(file, old, beside(old))
        mortal = Mortal(steps)
        with monkeypatch.context() as patched:
            lived = mortal.replaces(patched, file, new, beside(new))
        # Nothing is written where it will stand: there, half of it would be seen.
        assert {path.suffix for path in mortal.opened} <= {".part"}
        assert file.read_bytes() in (old, new)
        if saved_beside(file).exists():
            assert saved_beside(file).read_bytes() == beside(file.read_bytes())
        if lived:
            break
    assert steps > 8
    assert (file.read_bytes(), saved_beside(file).read_bytes()) == (new, beside(new))
    assert sorted(path.name for path in file.parent.iterdir()) == ["t.csv", "t.csv.meta.json"]


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("fails", range(7))
@pytest.mark.parametrize("old", [True, False])
def test_whichever_step_fails_while_the_process_lives_no_part_of_a_file_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException, fails: int, old: bool
) -> None:
    file = tmp_path / "t.csv"
    if old:
        save(file, b"old", beside(b"old"))
    taken = count()

    def failing(call: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any) -> Any:
            if next(taken) == fails:
                raise failure
            return call(*args)

        return run

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", failing(os.fsync))
        patched.setattr(Path, "replace", failing(Path.replace))
        with pytest.raises(type(failure)):
            save(file, b"new", beside(b"new"), force=True)
    left = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert left.keys() <= {"t.csv", "t.csv.meta.json"}
    if fails < 2:  # the two files are not written yet
        assert left == ({"t.csv": b"old", "t.csv.meta.json": beside(b"old")} if old else {})
    if "t.csv.meta.json" in left:
        assert left["t.csv.meta.json"] == beside(left["t.csv"])


def test_what_is_there_already_is_refused_and_replaced_only_by_force(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    save(file, b"1", b"a")
    with pytest.raises(BadQuestion, match="exists already"):
        save(file, b"2", b"b")
    assert file.read_bytes() == b"1"
    save(file, b"2", b"b", force=True)
    assert (file.read_bytes(), saved_beside(file).read_bytes()) == (b"2", b"b")
    link = tmp_path / "link"
    link.symlink_to(file)
    for path in (link, tmp_path):
        with pytest.raises(BadQuestion, match="is a link, a directory or a device"):
            save(path, b"3", b"c", force=True)


@pytest.mark.parametrize("name", ["", ".", "..", "/", "x/..", "a\udcff.csv", "a" * 246, "百" * 82])
def test_what_can_be_no_name_of_a_file_and_its_description_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadQuestion, match=r"give the name of a file|is not UTF-8|is too long"):
        save(tmp_path / name if name == ".." or len(name) > 2 else Path(name), b"x", b"y")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a" * 245, "a" + "百" * 81])
def test_the_longest_name_that_a_description_can_stand_beside_can_be_written(
    tmp_path: Path, name: str
) -> None:
    save(tmp_path / name, b"x", b"y")
    assert {path.name for path in tmp_path.iterdir()} == {name, f"{name}.meta.json"}


# The command


@pytest.fixture(scope="module")
def history(server: Server) -> Ledger:
    ledger = Ledger(server)
    ledger.log.append(HISTORY)
    return ledger


def described(file: Path) -> dict[str, Any]:
    about: dict[str, Any] = json.loads(saved_beside(file).read_bytes())
    return about


def test_a_file_is_described_beside_it(history: Ledger, tmp_path: Path) -> None:
    file = tmp_path / "totals.csv"
    axes = ("--valid-at", "2024-01-31", "--known-at", "100")
    ran = history.run("export", "totals", "--steps", *axes, "-o", file)
    assert ran.out.startswith(f"{file}: ")
    about, content = described(file), file.read_bytes()
    assert about["file"]["sha256"] == sha256(content).hexdigest()
    assert about["file"] | {"sha256": ""} == {
        "name": "totals.csv",
        "bytes": len(content),
        "sha256": "",
        "rows": len(read_csv(content)),
    }
    answer = queries.totals(history.log, steps=True, valid_at="2024-01-31", known_at=100)
    assert about["answer_digest"] == answer["digest"]
    assert picked(about, "ledger", "projection", "version") == [
        history.name,
        "totals",
        PROJECTIONS["totals"].version,
    ]
    assert picked(about, "position", "valid_at", "known_at") == [100, "2024-01-31", 100]
    assert about["question"] == {"steps": True}
    assert [column["name"] for column in about["columns"]] == list(read_csv(content)[0])
    assert {"publisher", "url", "positions"} <= about["sources"][0].keys()


@only_long
def test_the_same_log_and_axes_give_the_same_bytes_and_equal_tables(history: Ledger, tmp_path: Path) -> None:
    written: dict[str, list[bytes]] = {}
    order: dict[str, Hashing] = {"first": {}, "second": {"PYTHONHASHSEED": "1"}}  # of what is hashed
    for time, of_hashed in order.items():
        (tmp_path / time).mkdir()
        names = [f"{name}.{form}" for name in ("totals", "companies") for form in ("csv", "json", "parquet")]
        exports = [("export", n.partition(".")[0], "-o", tmp_path / time / n) for n in names]
        history.together(*exports, **of_hashed)
        for path in (tmp_path / time).iterdir():
            written.setdefault(path.name, []).append(path.read_bytes())
    assert len(written) == 12
    for name, (first, second) in written.items():
        if name.endswith(".parquet"):
            assert read_parquet(first) == read_parquet(second)
        elif ".parquet." not in name:
            assert first == second, name


def test_standard_output_has_what_the_file_would_have(history: Ledger, tmp_path: Path) -> None:
    file = tmp_path / "shares"
    in_csv, in_json, plain, _ = history.together(
        ("export", "shares"),
        ("export", "shares", "--format", "json", "-o", "-"),
        ("shares", "--json"),
        ("export", "shares", "-o", file),
    )
    assert in_csv.out.encode() == file.read_bytes()
    assert in_json.out == plain.out


def test_what_is_there_is_refused_before_anything_is_asked(history: Ledger, tmp_path: Path) -> None:
    file = tmp_path / "t.json"
    assert history.run("export", "totals", "-o", file, "--json").document["rows"] == 5
    before = file.read_bytes()
    ran = history.run("export", "batches", "-o", file, code=1)
    assert ran.err == f"bad-question: {file} exists already: give another name, or --force to replace it\n"
    assert file.read_bytes() == before
    history.run("export", "batches", "-o", file, "--force")
    assert described(file)["projection"] == "batches"
    missing = history.run("export", "batches", "-o", tmp_path / "none" / "t.csv", code=1)
    assert missing.err == f"error: cannot write {tmp_path}/none/t.csv: No such file or directory\n"


@only_long
def test_where_the_library_for_parquet_is_missing_the_words_say_what_to_install(
    history: Ledger, tmp_path: Path
) -> None:
    (tmp_path / "arro3").mkdir()
    (tmp_path / "arro3" / "__init__.py").touch()

    def run(form: str, code: int) -> Ran:
        file = tmp_path / f"t.{form}"
        return history.run("export", "totals", "-o", file, code=code, PYTHONPATH=str(tmp_path))

    assert run("parquet", 1).err == (
        "bad-question: Parquet needs a library that is not installed here: install approval-ledger[parquet], "
        "or export csv or json\n"
    )
    run("csv", 0)


def test_wrong_usage_of_export_is_told(history: Ledger) -> None:
    wrong = {
        ("export",): "Missing argument 'PROJECTION'",
        ("export", "prices"): "Invalid value for 'PROJECTION'",
        ("export", "totals", "--format", "xlsx"): "Invalid value for '--format'",
        ("export", "totals", "--format", "parquet"): "parquet goes into a file",
        ("export", "totals", "--json"): "--json says what was written",
        ("export", "shares", "--steps"): "--steps is for totals",
        ("export", "shares", "--whole-evidence"): "--whole-evidence is for totals and batches",
    }
    for ran, says in zip(history.together(*wrong, code=2), wrong.values(), strict=True):
        assert says in ran.complaint
        assert ran.out == ""


def test_what_cannot_be_the_name_of_an_export_is_told_in_a_line_and_nothing_is_written(
    history: Ledger, tmp_path: Path
) -> None:
    wrong = {
        "": (2, "-o takes the name of a file, or -, not ''"),
        "/": (2, "-o takes the name of a file, or -, not '/'"),
        "x/": (2, "-o takes the name of a file, or -, not 'x/'"),
        "\udcff.csv": (2, r"'\udcff.csv' is not UTF-8"),
        "\udcff/t.csv": (2, r"'\udcff/t.csv' is not UTF-8"),
        "t.xlsx": (2, ".xlsx is not a format"),
        ".": (1, ". is a directory: give the name of a file"),
        "..": (1, ".. is a directory: give the name of a file"),
        "a" * 250: (1, "is too long: with .meta.json it has 260 bytes, and a name has at most 255"),
        "a" * 300 + "/t.csv": (1, "File name too long"),
    }
    ran = together(
        *(("export", "totals", "-o", name, "--json", *history.where) for name in wrong),
        code=[code for code, _ in wrong.values()],
        cwd=tmp_path,
    )
    for told, (code, says) in zip(ran, wrong.values(), strict=True):
        assert says in told.complaint
        assert code == 2 or told.err.count("\n") == 1
        assert ".part" not in told.err
    assert list(tmp_path.iterdir()) == []


def test_names_that_begin_like_formulas_go_through_the_command_neutralised(server: Server) -> None:
    ledger = Ledger(server)
    ledger.log.append([called("a", granted("=1+1", "＝2", "2023-08-31"))])
    (ran,) = ledger.together(("export", "companies"))
    assert ran.out.splitlines()[1].startswith("'=1+1,")


# What is documented


def test_the_columns_of_every_table_are_documented_with_type_and_meaning_and_no_others_are() -> None:
    page = (ROOT / "docs" / "exporting.md").read_text("utf-8")
    for name, (columns, _) in TABLES.items():
        section = page.partition(f"### {name}\n")[2].partition("\n### ")[0]
        listed = re.findall(r"^\| `(\w+)` \| ([\w ]+) \| (.+) \|$", section, re.MULTILINE)
        assert listed == [(column.name, column.kind, column.meaning) for column in columns], name
