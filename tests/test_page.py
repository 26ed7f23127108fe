"""The page, in a real browser: what is seen, followed, moved and heard, and that nothing in it is more than text."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import date
from functools import partial
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, Request, Route, expect

from approval_ledger.web import page as page_files
from events import Event, Log
from projections import PROJECTIONS, Store
from workers import run_here

from .api import Api, running
from .browser import CHROMIUM, MISSING, Visitor, chromium, visitor
from .conftest import new_ledger
from .given import (
    HISTORY,
    SERVICES,
    amended,
    batch,
    called,
    estimate,
    granted,
    identified,
    merged,
    revoked,
    total,
    used,
)
from .long import LONG, only_long, some
from .servers import Server

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=MISSING)

VIEWS = ["totals", "batches", "companies", "shares", "sources", "log", "projections"]
DRAWN = ["totals", "batches", "companies", "shares", "sources"]

Visit = Callable[..., AbstractContextManager[Visitor]]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def api(server: Server) -> Iterator[Api]:
    page_files.prepare()  # so that no test waits for it
    with running(server) as started:
        yield started


@pytest.fixture(scope="module")
def history(server: Server) -> Log:
    return projected(server, HISTORY)


def projected(server: Server, events: list[Event]) -> Log:
    """A ledger of these events, with its projections."""
    log = Log(server.client(), new_ledger())
    log.append(events)
    run_here(log.client, log.ledger)
    return log


@pytest.fixture
def visit(browser: Browser, api: Api) -> Visit:
    return partial(visitor, browser, api.url)


def at(log: Log, **state: str) -> str:
    """The address of a state of the page."""
    return "/?" + "&".join(
        f"{part}={quote(value)}" for part, value in {"ledger": log.ledger, **state}.items()
    )


def state_of(page: Page) -> dict[str, str]:
    return {part: values[0] for part, values in parse_qs(urlsplit(page.url).query).items()}


def headline(page: Page, counted: str) -> Locator:
    """The figure of what is counted, as it is set large."""
    of_it = page.locator(".counted", has_text=re.compile(f"^{re.escape(counted)}"))
    return page.locator(".headlines li").filter(has=of_it).locator(".figure")


# What is seen


def test_the_figures_of_the_real_history_are_there_before_the_charts_are_asked_for(
    visit: Visit, history: Log
) -> None:
    with visit() as someone:
        page = someone.opens(at(history))
        expect(headline(page, "CAC, filing (service)")).to_have_text("988")
        expect(headline(page, "CAC, registration (application)")).to_have_text("≥ 731")
        page.wait_for_selector("[data-drawn]")
        order = page.evaluate(
            """() => [performance.getEntriesByName("figures")[0].startTime,
                      ...performance.getEntriesByType("resource").filter((each) => each.name.includes("/charts/"))
                        .map((each) => each.startTime)]"""
        )
        assert len(order) == 2
        assert order[0] < order[1]


@only_long
@pytest.mark.parametrize(("language", "width"), [("en", 375), ("en", 1280), ("zh", 375), ("zh", 1280)])
def test_until_a_chart_is_drawn_its_room_is_kept_and_says_so_and_then_nothing_moves(
    visit: Visit, history: Log, width: int, language: str
) -> None:
    says = {"en": "The chart is being drawn", "zh": "正在绘制图表"}[language]
    states = [
        {"view": "companies", "name": "Baidu"},
        {"view": "totals", "authority": "CAC", "instrument": "approval", "unit": "model"},
        *([{"view": view} for view in DRAWN] if LONG else []),
    ]
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    for state in states:
        with visit(viewport={"width": width, "height": 900}) as someone:
            someone.page.route("**/charts/*", hold)
            with someone.page.expect_request("**/charts/*"):
                page = someone.opens(at(history, language=language, **state))
            expect(page.locator(".drawn")).to_contain_text(says)
            below = page.locator(".chart details")
            before = below.bounding_box()
            expect(page.locator("main table tbody tr").first).to_be_visible()
            held.pop().continue_()
            page.wait_for_selector("[data-drawn] svg")
            assert (state, below.bounding_box()) == (state, before)
            expect(page.locator(".drawn")).not_to_contain_text(says)


@only_long
def test_given_who_repeats_a_repeater_when_the_chart_of_sources_is_drawn_then_it_has_the_room_that_was_kept(
    visit: Visit, server: Server
) -> None:
    reports = [
        total("=8", "2023-08-31", source=("Blog", "OODAloop")),
        total("=8", "2023-08-31", source=("OODAloop", "Reuters")),
        total("=8", "2023-08-31", source="Reuters"),
        total("=9", "2023-09-30", source=("Blog", "OODAloop")),
    ]
    log = projected(server, [called(f"t{n}", report) for n, report in enumerate(reports)])
    nothing_moves_when_the_chart_comes(visit, at(log, view="sources"))


@only_long
def test_given_what_became_of_approvals_when_a_timeline_is_drawn_then_it_has_the_room_that_was_kept(
    visit: Visit, server: Server
) -> None:
    grants = [granted("A", f"Bot {n}", "2023-08-31", number=str(n)) for n in range(4)]
    changes = [
        amended("0", item="Bot 9", on="2024-01"),
        revoked("1", on="2024-02-01"),
        amended("2", company="B"),
    ]
    reports = [*grants, *changes, identified("a", "A"), merged("b", "a")]
    log = projected(server, [called(f"e{n}", report) for n, report in enumerate(reports)])
    nothing_moves_when_the_chart_comes(visit, at(log, view="companies", name="A"))


def nothing_moves_when_the_chart_comes(visit: Visit, address: str) -> None:
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    with visit() as someone:
        someone.page.route("**/charts/*", hold)
        with someone.page.expect_request("**/charts/*"):
            page = someone.opens(address)
        below = page.locator(".chart details")
        before = below.bounding_box()
        held.pop().continue_()
        page.wait_for_selector("[data-drawn] svg")
        assert below.bounding_box() == before


@only_long
@pytest.mark.parametrize("width", [375, 1280])
@pytest.mark.parametrize("view", ["totals", "companies", "projections"])
def test_nothing_that_is_seen_moves_while_the_page_opens(
    visit: Visit, history: Log, view: str, width: int
) -> None:
    with visit(viewport={"width": width, "height": 900}) as someone:
        someone.context.add_init_script(SHIFTS)
        page = someone.opens(at(history, view=view))
        expect(page.locator("main table tbody tr").first).to_be_visible()
        expect(page.locator("#standing .live")).to_be_visible()
        page.evaluate(
            "() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))"
        )
        moved = page.evaluate("window.moved")
        assert sum(share for share, _ in moved) < 0.05, moved


SHIFTS = """
  window.moved = [];
  new PerformanceObserver((list) => list.getEntries().forEach((entry) => window.moved.push(
    [entry.value, entry.sources.map(({ node, previousRect, currentRect }) => [node?.id, previousRect.y, currentRect.y])])))
    .observe({ type: "layout-shift", buffered: true });
"""


@only_long
def test_a_word_without_an_end_stays_on_the_page(visit: Visit, api: Api, log: Log) -> None:
    long = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft"
    api.post(
        log, encoded(called("t1", total("=9", "2023-09-30", terms=(long, "approval", "model"))))
    ).raise_for_status()
    with visit(viewport={"width": 375, "height": 900}) as someone:
        page = someone.opens(at(log))
        page.wait_for_selector("[data-drawn] svg")
        assert page.evaluate("document.documentElement.scrollWidth") == 375


@only_long
@pytest.mark.parametrize("language", ["en", "zh"])
def test_nothing_moves_when_the_page_becomes_live(visit: Visit, history: Log, language: str) -> None:
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    with visit(viewport={"width": 375, "height": 900}) as someone:
        someone.page.route("**/events/stream*", hold)
        with someone.page.expect_request("**/events/stream*"):
            page = someone.opens(at(history, language=language))
        below, live = page.locator("main table tbody tr").first, page.locator("#standing .live")
        expect(below).to_be_visible()
        page.wait_for_selector("[data-drawn] svg")
        before = below.bounding_box()
        expect(live).to_have_count(0)
        held.pop().continue_()
        expect(live).to_be_visible()
        assert below.bounding_box() == before


@only_long
def test_the_scripts_of_charts_are_asked_for_ahead_and_once(visit: Visit, history: Log) -> None:
    with visit() as someone:
        asked: list[str] = []

        def remember(request: Request) -> None:
            if "/page/vega-" in request.url:
                asked.append(request.url)

        someone.context.on("request", remember)
        for view in ("totals", "batches"):
            page = someone.opens(at(history, view=view))
            page.wait_for_selector("[data-drawn] svg")
        kept = page.evaluate(
            """performance.getEntriesByType("resource").filter((each) => each.name.includes("/page/vega-"))
                 .map((each) => each.transferSize)"""
        )
        assert len(asked) == 2
        assert kept == [0]  # the second time out of the browser's cache


@only_long
def test_each_view_has_a_chart_the_same_in_words_and_a_table(visit: Visit, history: Log, api: Api) -> None:
    with visit() as someone:
        for view in DRAWN:
            page = someone.opens(at(history, view=view))
            page.wait_for_selector("[data-drawn] svg")
            words = page.locator(".chart details")
            words.locator("summary").click()
            expect(words.locator("p")).to_have_text(api.get(history, f"charts/{view}").json()["description"])
            assert page.locator("main table tbody tr").count() > 3
            assert page.locator("nav [aria-current=page]").inner_text() == view.capitalize()


def test_a_contradiction_is_marked_on_the_chart_and_its_reports_stand_side_by_side(
    visit: Visit, history: Log
) -> None:
    with visit() as someone:
        page = someone.opens(at(history, view="batches"))
        first = page.locator(".contradiction").first
        expect(first).to_contain_text("The reports at positions 3, 6 cannot all be true")
        expect(first.locator(".side-by-side li")).to_have_count(2)
        page.wait_for_selector("[data-drawn]")
        left, right = first.locator(".side-by-side li").evaluate_all(
            "(all) => all.map((each) => each.getBoundingClientRect().toJSON())"
        )
        assert left["top"] == right["top"]
        assert left["right"] <= right["left"]
        assert first.get_by_role("link", name="gqsoso.com").get_attribute("href") == (
            "http://zhuzhou.gqsoso.com/zhuzhou/20230831/1355941.html"
        )
        expect(first).to_contain_text(
            "on the word of Beijing Daily alone: 8; on the word of Republic World alone: 11"
        )
        mark = page.locator(".drawn .mark-symbol.role-mark path").last
        mark.hover()
        expect(page.locator("#tip")).to_contain_text("in contradiction: on the word of")


@only_long
def test_given_a_contradiction_of_several_batches_then_the_page_says_what_each_would_be(
    visit: Visit, server: Server
) -> None:
    log = projected(
        server,
        [
            called("b1", batch(1, "=8", "2023-08-31", source="Paper A")),
            called("b2", batch(2, "=10", "2023-11-10", source="Paper B")),
            called("t", total("=15", "2023-11-12", source="Paper C")),
        ],
    )
    others = "on the word of Paper C alone: ≥ 0"
    with visit() as someone:
        page = someone.opens(at(log, view="batches"))
        expect(page.locator(".contradiction .note")).to_have_text(
            [
                f"Batch 1, CAC, approval (model): on the word of Paper A alone: 8; on the word of Paper B alone: ≥ 0; {others}",
                f"Batch 2, CAC, approval (model): on the word of Paper A alone: ≥ 0; on the word of Paper B alone: 10; {others}",
            ]
        )
        page = someone.opens(at(log))
        expect(page.locator(".contradiction .note")).to_have_count(1)


@only_long
def test_given_a_number_of_two_companies_then_their_list_says_why_they_have_less_and_so_do_chinese_words(
    visit: Visit, server: Server
) -> None:
    log = projected(
        server,
        [
            called("g1", granted("Foo", "Model", "2023-08-31", number="N1")),
            called("g2", granted("Bar", "Model", "2023-08-31", number="N1")),
            called("g3", granted("Baz", "Model", "2023-08-31", number="N2")),
        ],
    )
    with visit() as someone:
        page = someone.opens(at(log, view="companies"))
        expect(page.locator("main tbody tr", has_text="contradict one another")).to_have_count(2)
        page = someone.opens(at(log, view="companies", name="Foo", language="zh"))
        expect(page.locator(".contradiction > p").first).to_have_text(
            "编号 'n1' 被归于多家公司：'bar', 'foo'"
        )


@only_long
def test_where_more_are_known_by_name_than_there_surely_are_the_page_says_why(
    visit: Visit, server: Server
) -> None:
    names = [f"Company {n}" for n in range(1, 11)]
    log = projected(
        server,
        [
            called("b1", batch(1, "=10", "2023-08-31", named=names)),
            called("b2", batch(1, "=3", "2023-08-31", source="Xinhua")),
        ],
    )
    with visit() as someone:
        page = someone.opens(at(log, view="batches"))
        expect(page.locator("main tbody tr")).to_contain_text("because reports contradict one another")
        page = someone.opens(at(log))
        expect(page.locator(".headlines .parts")).to_contain_text("because reports contradict one another")
        expect(page.locator("main tbody tr")).to_contain_text("because reports contradict one another")


@only_long
def test_what_is_in_force_stands_with_the_total_where_anything_is_known_to_have_ended(
    visit: Visit, server: Server
) -> None:
    log = projected(
        server,
        [
            called("g1", granted("Baidu", "Ernie", "2023-08-31", number="1")),
            called("r1", revoked("1", on="2024-03-01")),
            called("t1", total("=3", "2024-03-01")),
        ],
    )
    with visit() as someone:
        page = someone.opens(at(log))
        expect(page.locator(".headlines .parts")).to_contain_text("in force: 0–2")


def test_a_company_is_found_by_any_of_its_names_and_has_one_timeline_under_all_of_them(
    visit: Visit, history: Log
) -> None:
    with visit() as someone:
        page = someone.opens(at(history, view="companies"))
        expect(page.locator("main tbody tr").first).to_be_visible()
        cells = page.locator("main tbody td[data-column=Evidence]").all_inner_texts()
        assert cells
        assert all(cell.endswith("its reports") for cell in cells)
        page.get_by_label("Search by any name").fill("nobody")
        expect(page.get_by_role("table", name="Companies")).to_contain_text(
            "No company has a name like that."
        )
        page.get_by_label("Search by any name").fill("百度")
        expect(page.locator("main tbody tr")).to_have_count(1)
        expect(page).to_have_url(re.compile(r"search=%E7%99%BE%E5%BA%A6"))
        someone.follows(page.locator("main tbody th a"))
        someone.sees("Also named: 百度, 北京百度网讯科技有限公司")
        assert (
            page.get_by_role("heading", name="Baidu", exact=True).evaluate("(each) => each.clientHeight") > 20
        )
        expect(headline(page, "CAC, approval (model)")).to_have_text("≥ 1")
        expect(page.locator(".headlines")).to_contain_text("Share of all: ")
        page.wait_for_selector("[data-drawn] svg")
        table = page.get_by_role("table", name="Reports about Baidu")
        expect(table.locator("tbody tr")).to_have_count(6)
        expect(table).to_contain_text("Ernie Bot: more than 100,000,000 users")
        assert table.locator("tbody th").all_inner_texts() == [
            "Aug 2023",
            "31 Aug 2023",
            "31 Aug 2023",
            "31 Aug 2023",
            "28 Dec 2023",
            "16 Apr 2024",
        ]
        page.go_back()
        expect(page.get_by_label("Search by any name")).to_have_value("百度")
        expect(page.locator("main tbody tr")).to_have_count(1)


@only_long
def test_where_companies_have_one_name_each_of_them_says_which_it_is(visit: Visit, server: Server) -> None:
    log = projected(
        server,
        [
            called("i1", identified("moon", "Moon", "MS")),
            called("i2", identified("microsoft", "Microsoft", "MS")),
        ],
    )
    with visit() as someone:
        page = someone.opens(at(log, view="companies", name="MS"))
        expect(page.locator("main .names")).to_have_text(
            ["Microsoft: Also named: MS", "Moon: Also named: MS"]
        )
        expect(page.locator(".contradiction")).to_contain_text("Two companies claim the name")


@only_long
def test_shares_are_ranges(visit: Visit, history: Log) -> None:
    with visit() as someone:
        page = someone.opens(at(history, view="shares"))
        row = page.locator("main tbody tr", has_text="CLSA").filter(has_text="CN")
        expect(row).to_contain_text("39.51–40.5 %")


@only_long
def test_a_claim_is_told_once_with_its_origins_as_they_are_written(visit: Visit, history: Log) -> None:
    with visit() as someone:
        page = someone.opens(at(history, view="sources"))
        table = page.locator("main table")
        expect(table).to_contain_text("CLSA")
        expect(table).not_to_contain_text("clsa")
        expect(table).not_to_contain_text("Batch: Batch")
        expect(table).to_contain_text("rounded to 1 percentage point")
        expect(table.locator("tbody th", has_text="Batch 1: 11")).not_to_have_count(0)


def test_given_more_claims_than_are_listed_when_sources_are_shown_then_it_says_so_and_the_digest_is_of_these(
    visit: Visit, server: Server, api: Api
) -> None:
    grants = [granted(f"Company {n}", f"Item {n}", "2023-08-31") for n in range(301)]
    log = projected(server, [called(f"g{n}", grant) for n, grant in enumerate(grants)])
    with visit() as someone:
        page = someone.opens(at(log, view="sources", language="en"))
        note = page.get_by_text("Only the first 300 claims are listed here")
        whole = note.get_by_role("link", name="JSON").get_attribute("href")
        assert len(api.client.get(f"/{whole}").json()["answers"]) == 301
        expect(page.locator("tbody tr")).to_have_count(300)
        digest = page.locator("#foot code").first.get_attribute("title")
        question = page.locator("#foot code").nth(1).inner_text()
        assert api.client.get(f"/{question}").json()["digest"] == digest


@only_long
def test_where_no_company_has_a_name_like_that_none_is_drawn(visit: Visit, history: Log) -> None:
    with visit() as someone:
        page = someone.opens(at(history, view="companies", search="nobody"))
        page.wait_for_selector("[data-drawn] svg", state="attached")
        expect(page.locator(".chart")).to_have_css("visibility", "hidden")
        page.get_by_label("Search by any name").fill("Baidu")
        expect(page.locator(".chart")).to_have_css("visibility", "visible")
        box, main = page.locator(".drawn svg").bounding_box(), page.locator("main").bounding_box()
        assert box is not None
        assert main is not None
        assert box["width"] > 0.9 * main["width"]


@only_long
def test_no_line_of_a_header_ends_within_a_chinese_word(visit: Visit, history: Log) -> None:
    with visit() as someone:
        page = someone.opens(at(history, view="batches", language="zh"))
        for word in ("规模", "未披露", "已知名称"):
            header = page.locator("thead th", has_text=word)
            lines = header.evaluate(
                "(cell) => { const all = new Range(); all.selectNodeContents(cell); return all.getClientRects().length }"
            )
            assert (word, lines) == (word, 1)


@only_long
def test_projections_tell_how_far_they_are_and_what_is_parked(visit: Visit, server: Server) -> None:
    log = projected(server, [called("t1", total("=8", "2023-08-31"))])
    with visit() as someone:
        page = someone.opens(at(log, view="projections"))
        row = page.locator("main tbody tr", has_text="Totals")
        expect(row.locator("td").nth(1)).to_have_text("1")
        expect(row.locator("td").nth(2)).to_have_text("0")
        expect(row.locator("code")).to_have_attribute("title", re.compile("[0-9a-f]{64}"))
        someone.sees("Appends are durable")


@only_long
def test_a_rebuild_is_seen_beside_the_live_generation_with_its_progress(visit: Visit, server: Server) -> None:
    log = projected(server, [called(f"t{n}", total(f"={n}", f"2023-08-{n:02}")) for n in range(1, 11)])
    store = Store(log, PROJECTIONS["totals"])
    with visit() as someone:
        page = someone.opens(at(log, view="projections"))
        row = page.locator("main tbody tr", has_text="Totals")
        expect(row.locator("progress")).to_have_count(0)
        new = store.open_new()
        new.advance(upto=4)
        expect(row).to_contain_text("building generation 2: 4 of 10")
        expect(row.locator("progress")).to_have_attribute("value", "4")
        store.drop(new.number)
        expect(row.locator("progress")).to_have_count(0)


# What is asked: filters, both axes, and the address that carries all of it


@only_long
def test_a_filter_is_in_the_address_and_back_takes_it_away(visit: Visit, history: Log) -> None:
    with visit() as someone:
        page = someone.opens(at(history))
        expect(page.locator(".headlines li")).to_have_count(5)
        page.get_by_label("What is counted").select_option(label="CAC, filing (service)")
        expect(page.locator(".headlines li")).to_have_count(1)
        assert state_of(page) | {"ledger": ""} == {
            "ledger": "",
            "authority": "CAC",
            "instrument": "filing",
            "unit": "service",
        }
        expect(page.locator("[data-drawn] svg")).to_contain_text("CAC, filing (service)")
        page.go_back()
        expect(page.locator(".headlines li")).to_have_count(5)
        page.go_forward()
        expect(page.locator(".headlines li")).to_have_count(1)


@only_long
def test_the_slider_of_days_moves_the_figures_and_the_address_shows_them_again(
    visit: Visit, history: Log
) -> None:
    with visit() as someone:
        page = someone.opens(at(history))
        slider = page.get_by_role("slider", name="Valid at")
        slider.focus()
        slider.press("Home")
        page.wait_for_url(re.compile("valid_at=2023-08-31"))
        expect(headline(page, "CAC, filing")).to_have_text("11–64")
        assert slider.get_attribute("aria-valuetext") == "31 Aug 2023"
        slider.press("ArrowRight")
        page.wait_for_url(re.compile("valid_at=2023-09-01"))
        assert page.evaluate("document.activeElement.id") == "valid-at"
        cited = page.url
    with visit() as another:
        page = another.opens(cited.removeprefix(another.url))
        expect(page.locator("#valid-at-shown")).to_have_text("1 Sep 2023")
        expect(headline(page, "CAC, filing (service)")).to_have_text("11–64")
        page.get_by_role("link", name="latest").click()
        expect(headline(page, "CAC, filing")).to_have_text("988")


@only_long
def test_a_day_is_typed_part_by_part_and_asked_about_once(visit: Visit, history: Log) -> None:
    with visit() as someone:
        page = someone.opens(at(history, valid_at="2024-06-15"))
        entries = page.evaluate("history.length")
        field = page.locator("#valid-at-day")
        field.focus()
        page.keyboard.type("01312024")
        expect(field).to_have_value("2024-01-31")
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile("valid_at=2024-01-31"))
        expect(page.locator("#valid-at-shown")).to_have_text("31 Jan 2024")
        expect(field).to_be_focused()
        assert page.evaluate("history.length") == entries + 1
        field.press("ArrowLeft")
        field.press("ArrowLeft")  # to the month
        field.press("ArrowLeft")
        page.keyboard.type("0202")
        page.get_by_role("slider", name="Valid at").focus()
        expect(page).to_have_url(re.compile("valid_at=2024-02-02"))
        page.go_back()
        page.wait_for_url(re.compile("valid_at=2024-01-31"))
        expect(field).to_have_value("2024-01-31")


@only_long
def test_the_axes_say_what_the_figures_are_of_whatever_has_the_focus(
    visit: Visit, server: Server, api: Api
) -> None:
    log = projected(
        server, [called("t1", total("=8", "2023-08-31")), called("t2", total("=11", "2023-09-30"))]
    )
    with visit() as someone:
        page = someone.opens(at(log))
        field, shown = page.locator("#valid-at-day"), page.locator("#valid-at-shown")
        latest = page.get_by_role("link", name="latest")
        expect(latest).to_have_count(0)
        field.fill("2023-09-20")
        page.wait_for_url(re.compile("valid_at=2023-09-20"))
        expect(shown).to_have_text("20 Sep 2023")
        slider = page.get_by_role("slider", name="Valid at")
        slider.focus()
        slider.press("ArrowLeft")
        page.wait_for_url(re.compile("valid_at=2023-09-19"))
        expect(shown).to_have_text("19 Sep 2023")
        expect(field).to_have_value("2023-09-19")
        expect(latest).to_be_visible()
        page.go_back()
        expect(field).to_have_value("2023-09-20")
        page.go_back()
        expect(headline(page, "CAC, approval")).to_have_text("11")
        expect(shown).to_have_text("latest")
        expect(field).to_have_value("2023-09-30")
        expect(slider).to_be_focused()
        assert slider.input_value() == slider.get_attribute("max")
        known = page.get_by_role("slider", name="Known at")
        known.focus()
        expect(page.locator("#standing .live")).to_be_visible()
        api.post(log, encoded(called("t3", total("=12", "2023-10-31")))).raise_for_status()
        expect(known).to_have_attribute("max", "3")
        expect(known).to_be_focused()
        assert known.input_value() == "3"
        expect(field).to_have_value("2023-10-31")


@only_long
def test_the_slider_of_what_was_known_moves_by_positions_and_by_days_of_publication(
    visit: Visit, history: Log
) -> None:
    with visit() as someone:
        page = someone.opens(at(history))
        slider = page.get_by_role("slider", name="Known at")
        slider.focus()
        slider.press("ArrowLeft")
        page.wait_for_url(re.compile("known_at=103"))
        expect(page.locator("#known-at-shown")).to_have_text("position 103 of 104")
        slider.press("Home")
        page.wait_for_url(re.compile("known_at=0"))
        someone.sees("The ledger has nothing on this yet.")
        page.goto(someone.url + at(history, known_at="13"))
        expect(page.locator(".headlines .figure")).to_have_text("≥ 19")
        page.get_by_label("as sources published it").check()
        page.wait_for_url(re.compile("known_as=published"))
        page.locator("#known-at-day").fill("2024-01-31")
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile("known_at=2024-01-31"))
        expect(page.locator("#known-at-shown")).to_have_text("by 31 Jan 2024")
        expect(page.locator("footer")).to_contain_text("cannot be pinned")
        expect(page.get_by_role("link", name="Pin this view")).to_have_count(0)
        # An instant before all that the ledger recorded.
        page = someone.opens(at(history, known_at="2020-01-01T00:00:00Z"))
        assert slider.input_value() == "0"
        someone.follows(page.get_by_role("link", name="Pin this view"))
        assert state_of(page)["known_at"] == "0"


@only_long
def test_by_publication_the_slider_reaches_from_the_first_day_to_all_that_was_published(
    visit: Visit, history: Log
) -> None:
    with visit() as someone:
        page = someone.opens(at(history))
        expect(headline(page, "CAC, registration (application)")).to_have_text("≥ 731")
        page.get_by_label("as sources published it").check()
        page.wait_for_url(re.compile("known_as=published"))
        slider = page.get_by_role("slider", name="Known at")
        expect(slider).to_have_attribute("min", days_since_1970("2023-05-30"))
        assert slider.input_value() == slider.get_attribute("max")
        expect(headline(page, "CAC, registration (application)")).to_have_text("≥ 731")
        slider.press("Home")
        page.wait_for_url(re.compile("known_at=2023-05-30"))
        someone.sees("The ledger has nothing on this yet.")
        slider.press("End")
        expect(headline(page, "CAC, registration (application)")).to_have_text("≥ 731")


@only_long
def test_the_slider_of_days_reaches_over_the_days_that_the_view_speaks_of(visit: Visit, history: Log) -> None:
    with visit() as someone:
        page = someone.opens(at(history))
        slider = page.get_by_role("slider", name="Valid at")
        expect(slider).to_have_attribute("min", days_since_1970("2023-08-31"))
        # Of something that is about a year, each day of it may be the day.
        for view in ("Shares", "Sources"):
            someone.follows(page.get_by_role("link", name=view, exact=True))
            expect(slider).to_have_attribute("min", days_since_1970("2023-01-01"))
        someone.follows(page.get_by_role("link", name="Batches", exact=True))
        expect(slider).to_have_attribute("min", days_since_1970("2023-08-31"))


def days_since_1970(written: str) -> str:
    return str((date.fromisoformat(written) - date(1970, 1, 1)).days)


@only_long
def test_pinned_an_address_shows_the_same_when_the_ledger_has_grown(
    visit: Visit, server: Server, api: Api
) -> None:
    log = projected(server, [called("t1", total("=8", "2023-08-31"))])
    with visit() as someone:
        page = someone.opens(at(log))
        someone.follows(page.get_by_role("link", name="Pin this view"))
        digest = page.locator("footer code").first.get_attribute("title")
        link = page.locator("footer a", has=page.locator("code"))
        question = urlsplit(str(link.evaluate("link => link.href")))._replace(scheme="", netloc="").geturl()
        assert question == f"/ledgers/{log.ledger}/totals?known_at=1&steps=true"
        assert api.client.get(question).json()["digest"] == digest
        log.append([called("t2", total("=11", "2023-09-30"))])
        page.reload()
        page.wait_for_selector("html[data-shown]")
        assert state_of(page)["known_at"] == "1"
        expect(headline(page, "CAC, approval")).to_have_text("8")
        assert page.locator("footer code").first.get_attribute("title") == digest


@only_long
def test_the_language_is_in_the_address_and_whatever_a_source_wrote_stays_as_it_is(
    visit: Visit, history: Log
) -> None:
    with visit() as someone:
        page = someone.opens(at(history, view="batches"))
        someone.follows(page.get_by_role("link", name="中文"))
        assert page.locator("html").get_attribute("lang") == "zh-Hans"
        assert page.get_by_role("navigation").locator("[aria-current=page]").inner_text() == "批次"
        expect(page.locator("[data-drawn] svg")).to_contain_text("每一批的规模")
        expect(page.locator(".contradiction").first).to_contain_text("Republic World")
        expect(page.locator(".contradiction > p").first).to_have_text("位置 3、6 的报道不可能同时为真")
        expect(page.locator(".chart details p")).to_contain_text("位置 3，6 的报道相互矛盾。")
    with visit(locale="zh-CN") as someone:
        page = someone.opens(at(history))
        assert page.title() == "总数 – 批准账本"
        page = someone.opens(at(history, known_at="2024-02-01", known_as="published"))
        expect(page.locator("#known-at-shown")).to_have_text("截至2024年2月1日")


@only_long
def test_a_view_and_the_axes_that_go_with_it_are_in_the_address(visit: Visit, history: Log) -> None:
    with visit() as someone:
        page = someone.opens(at(history, valid_at="2024-01-31"))
        someone.follows(page.get_by_role("link", name="Shares", exact=True))
        assert state_of(page) == {"ledger": history.ledger, "view": "shares", "valid_at": "2024-01-31"}
        page.go_back()
        expect(page.locator(".headlines li")).not_to_have_count(0)
        assert state_of(page) == {"ledger": history.ledger, "valid_at": "2024-01-31"}


# The evidence


def test_evidence_is_one_click_away_with_its_sources_and_the_event_as_it_is_stored(
    visit: Visit, history: Log
) -> None:
    with visit() as someone:
        page = someone.opens(at(history))
        link = page.locator(".headlines li", has_text="CAC, approval").get_by_role("link")
        someone.follows(link)
        panel = page.get_by_role("complementary", name="Evidence")
        expect(panel.locator("h2")).to_be_focused()
        expect(panel.locator(".events > li")).to_have_count(1)
        source = panel.locator(".whose a").first
        assert source.get_attribute("rel") == "noopener noreferrer"
        assert re.match("https?://", source.get_attribute("href") or "")
        panel.get_by_text("As it is stored").click()
        stored = json.loads(panel.locator("pre").inner_text())
        assert int(stored["sequence"]) == int(state_of(page)["evidence"])
        page.keyboard.press("Escape")
        expect(panel).to_be_hidden()
        expect(link).to_be_focused()
        page.go_forward()
        expect(panel).to_be_visible()


@only_long
def test_back_does_not_open_evidence_again_that_was_closed(visit: Visit, history: Log) -> None:
    with visit() as someone:
        page = someone.opens(at(history, view="log"))
        someone.follows(page.get_by_role("link", name="Totals", exact=True))
        before = page.url
        links = page.locator(".headlines").get_by_role("link")
        someone.follows(links.first)
        someone.follows(links.last)  # other evidence in its place
        page.get_by_role("link", name="Close", exact=True).evaluate(
            "close => { close.click(); close.click(); }"
        )
        page.wait_for_url(before)
        expect(page.get_by_role("complementary", name="Evidence")).to_be_hidden()
        page.go_back()
        expect(page.get_by_role("table", name="Events")).to_be_visible()
        # Opened with the page, or with an axis that was moved meanwhile, there is nothing to go back to.
        page = someone.opens(at(history, evidence="3"))
        entries = page.evaluate("history.length")
        page.keyboard.press("Escape")
        expect(page.get_by_role("complementary", name="Evidence")).to_be_hidden()
        assert page.evaluate("history.length") == entries + 1
        someone.follows(links.first)
        page.locator("#valid-at-day").fill("2024-01-31")
        page.wait_for_url(re.compile("valid_at=2024-01-31"))
        page.keyboard.press("Escape")
        expect(page.get_by_role("complementary", name="Evidence")).to_be_hidden()
        assert state_of(page) == {"ledger": history.ledger, "valid_at": "2024-01-31"}


@only_long
def test_back_takes_back_a_move_of_a_slider_as_a_whole(visit: Visit, history: Log) -> None:
    with visit() as someone:
        page = someone.opens(at(history))
        start, entries = page.url, page.evaluate("history.length")
        slider = page.get_by_role("slider", name="Valid at")
        box = slider.bounding_box()
        assert box is not None
        height = box["y"] + box["height"] / 2
        page.mouse.move(box["x"] + box["width"] - 9, height)
        page.mouse.down()
        seen = {page.url}
        for part in (0.8, 0.6, 0.4):
            page.mouse.move(box["x"] + box["width"] * part, height)
            page.wait_for_function("seen => !seen.includes(location.href)", arg=[*seen])
            seen.add(page.url)
        page.mouse.up()
        moved = page.url
        assert page.evaluate("history.length") == entries + 1
        known = page.get_by_role("slider", name="Known at")
        known.focus()
        for position in (103, 102):
            known.press("ArrowLeft")
            page.wait_for_url(re.compile(f"known_at={position}"))
        assert page.evaluate("history.length") == entries + 2
        page.go_back()
        page.wait_for_url(moved)
        expect(page.locator("#known-at-shown")).to_have_text("everything so far")
        page.go_back()
        page.wait_for_url(start)
        expect(page.locator("#valid-at-shown")).to_have_text("latest")
        expect(headline(page, "CAC, filing (service)")).to_have_text("988")


@only_long
def test_evidence_that_is_more_than_an_answer_lists_is_counted_and_can_be_had_whole(
    visit: Visit, server: Server
) -> None:
    grants = [called(f"g{n}", granted("Baidu", f"Model {n}", "2023-08-31")) for n in range(1, 251)]
    log = projected(server, grants)
    with visit() as someone:
        page = someone.opens(at(log))
        link = page.locator(".headlines").get_by_role("link")
        expect(link).to_have_text("1, 2, 3 and 247 more")
        someone.follows(link)
        panel = page.get_by_role("complementary", name="Evidence")
        expect(panel.locator(".note").first).to_have_text(
            re.compile(r"^\d+ of 250 events\. List all of them")
        )
        someone.follows(panel.get_by_role("link", name="List all of them"))
        expect(panel.locator(".note").first).to_have_text("250 events")
        expect(panel.locator(".events > li")).to_have_count(200)
        panel.get_by_role("button", name="and 50 more").click()
        expect(panel.locator(".events > li")).to_have_count(250)
        page.go_back()
        page.wait_for_selector("[data-drawn]")
        page.locator(".drawn .mark-symbol.role-mark path, .drawn .mark-rect.role-mark path").last.click()
        expect(panel.locator(".note").first).to_have_text(re.compile(r"^\d+ of 250 events\."))
        someone.follows(panel.get_by_role("link", name="List all of them"))
        expect(panel.locator(".note").first).to_have_text("250 events")


@only_long
def test_each_step_on_the_chart_opens_its_evidence(visit: Visit, history: Log) -> None:
    with visit() as someone:
        page = someone.opens(at(history, authority="CAC", instrument="filing", unit="service"))
        page.wait_for_selector("[data-drawn] svg")
        dot = page.locator(".drawn .mark-symbol.role-mark path").last
        dot.hover()
        expect(page.locator("#tip")).to_have_text("30 Jun 2026: 988")
        dot.click()
        page.wait_for_url(re.compile("evidence="))
        expect(page.get_by_role("complementary", name="Evidence").locator(".events > li")).not_to_have_count(
            0
        )


# What comes while the page is open


def test_a_published_event_arrives_without_reloading(visit: Visit, server: Server, api: Api) -> None:
    log = projected(server, [called("t1", total("=8", "2023-08-31"))])
    with visit() as someone:
        page = someone.opens(at(log))
        expect(page.locator("#standing .live")).to_be_visible()
        page.evaluate("window.stays = true")
        expect(headline(page, "CAC, approval")).to_have_text("8")
        api.post(log, encoded(called("t2", total("=11", "2023-09-30")))).raise_for_status()
        expect(page.locator(".headlines .figure")).to_have_text("11")
        expect(page.locator("#standing")).to_contain_text("2 events")
        someone.follows(page.get_by_role("link", name="Log", exact=True))
        api.post(log, encoded(called("t3", total("=12", "2023-10-31")))).raise_for_status()
        expect(page.locator("main tbody tr").first).to_contain_text("12, by 31 Oct 2023")
        assert page.evaluate("window.stays")


@only_long
def test_news_takes_nothing_away_that_a_reader_moved_typed_or_opened(
    visit: Visit, history: Log, server: Server, api: Api
) -> None:
    log = projected(server, HISTORY)
    with visit() as someone:
        page = someone.opens(at(log, evidence="3"))
        expect(page.locator("#standing .live")).to_be_visible()
        page.locator("#evidence").get_by_text("As it is stored").click()
        page.wait_for_selector("[data-drawn]")
        page.get_by_text("The chart in words").click()
        slider = page.get_by_role("slider", name="Valid at")
        slider.focus()
        slider.press("PageDown")
        # The event comes after the move, and before it is asked about.
        page.evaluate("moved => { window.moved = moved }", slider.input_value())
        api.post(log, encoded(called("n1", total("=990", "2026-09-01")))).raise_for_status()
        slider.press("PageDown")
        expect(page.locator("#standing")).to_contain_text(f"{log.head()} events")
        page.wait_for_url(re.compile("valid_at="))
        assert slider.input_value() != slider.get_attribute("max")
        expect(page.locator("#evidence pre")).to_be_visible()
        expect(page.locator(".chart details p")).to_be_visible()
        page = someone.opens(at(log, view="companies"))
        expect(page.locator("#standing .live")).to_be_visible()
        search = page.get_by_label("Search by any name")
        search.press_sequentially("Bai")
        api.post(log, encoded(called("n2", total("=991", "2026-09-02")))).raise_for_status()
        search.press_sequentially("du")
        expect(page.locator("#standing")).to_contain_text(f"{log.head()} events")
        search.press_sequentially("x")
        expect(search).to_have_value("Baidux")
        expect(search).to_be_focused()


@only_long
@pytest.mark.parametrize(
    ("view", "what"),
    some(
        [
            ("totals", "#counted"),
            ("totals", "main summary"),
            ("totals", "main .contradiction a >> nth=-1"),
            ("companies", "main tr:has-text('Xiaomi') a >> nth=-1"),
            ("totals", "main table a >> nth=-1"),
            ("totals", "#foot a >> nth=0"),
            ("shares", "main [role=region]"),
        ],
        every=3,
    ),
)
def test_given_the_focus_on_anything_when_news_comes_then_it_stays_there_and_nothing_moves(
    visit: Visit, server: Server, api: Api, view: str, what: str
) -> None:
    log = projected(server, HISTORY)
    with visit() as someone:
        page = someone.opens(at(log, view=view))
        expect(page.locator("#standing .live")).to_be_visible()
        page.wait_for_selector("[data-drawn] svg")
        api.post(
            log, encoded(called("n1", used("Baidu", "Ernie Bot", ">=1", "2024-01-31")))
        ).raise_for_status()
        expect(page.locator("#foot")).to_contain_text(f"position {log.head()}")
        page.wait_for_selector("[data-drawn] svg")  # now it is known how high it is
        page.locator(what).focus()
        focused = """() => {
            const { tagName, textContent } = document.activeElement;
            const { top } = document.activeElement.getBoundingClientRect();
            return [tagName, textContent, document.activeElement.closest("tr")?.textContent, Math.round(top)];
        }"""
        before = page.evaluate(focused)
        api.post(
            log, encoded(called("n2", used("Baidu", "Ernie Bot", ">=1", "2024-01-31")))
        ).raise_for_status()
        expect(page.locator("#foot")).to_contain_text(f"position {log.head()}")
        assert page.evaluate(focused) == before


@only_long
def test_given_a_choice_a_place_and_a_selection_when_news_comes_then_they_stay(
    visit: Visit, server: Server, api: Api
) -> None:
    log = projected(server, HISTORY)
    with visit(viewport={"width": 760, "height": 700}) as someone:
        page = someone.opens(at(log))
        expect(page.locator("#standing .live")).to_be_visible()
        page.evaluate("window.list = document.getElementById('counted')")
        page.locator("#counted").focus()
        row = page.locator("main table tr", has_text="30 Apr 2026").first
        row.evaluate(
            "row => getSelection().setBaseAndExtent(row.firstChild.firstChild, 3, row.lastChild.firstChild.firstChild, 2)"
        )
        selected = page.evaluate("String(getSelection())")
        assert selected.startswith("Apr 2026")
        api.post(log, encoded(called("n1", total("=991", "2026-09-02", terms=SERVICES)))).raise_for_status()
        expect(headline(page, "CAC, filing (service)")).to_have_text("991")
        assert page.evaluate("String(getSelection())") == selected
        assert row.evaluate("row => row.contains(getSelection().focusNode)")
        assert page.evaluate("window.list.isConnected")
        page = someone.opens(at(log, view="shares"))
        expect(page.locator("#standing .live")).to_be_visible()
        table = page.locator("main .scrolls")
        table.evaluate("each => { each.scrollLeft = 40 }")
        api.post(log, encoded(called("n2", estimate("CN", "=991", on="2026-09-02")))).raise_for_status()
        expect(table).to_contain_text("2 Sep 2026")
        assert table.evaluate("each => each.scrollLeft") == 40


@only_long
def test_given_several_links_to_the_same_evidence_when_it_is_closed_then_the_focus_is_on_the_one_that_opened_it(
    visit: Visit, history: Log
) -> None:
    with visit() as someone:
        page = someone.opens(at(history, view="companies"))
        link = page.locator("tr:has-text('4Paradigm') .evidence")
        assert link.text_content() == page.locator("tr:has-text('01.AI') .evidence").text_content()
        someone.follows(link)
        page.keyboard.press("Escape")
        expect(page.locator("#evidence")).to_be_hidden()
        expect(link).to_be_focused()


@only_long
def test_what_was_typed_while_an_answer_was_on_its_way_stays_when_it_comes(
    visit: Visit, server: Server, api: Api
) -> None:
    log = projected(server, HISTORY)
    with visit() as someone:
        page = someone.opens(at(log, view="companies"))
        expect(page.locator("#standing .live")).to_be_visible()
        held: list[Route] = []
        answer = re.compile(r"/ledgers/[^/]+/companies(\?|$)")
        page.route(answer, lambda route: held.append(route))  # noqa: PLW0108  # Playwright takes no built-in
        with page.expect_request(answer):
            api.post(log, encoded(called("n2", total("=991", "2026-09-02")))).raise_for_status()
        search = page.get_by_label("Search by any name")
        search.press_sequentially("Baidu")
        page.wait_for_url(re.compile("search=Baidu"))
        for route in held:
            route.continue_()
        page.unroute(answer)
        expect(page.locator("#standing")).to_contain_text(f"{log.head()} events")
        search.press_sequentially("x")
        expect(search).to_have_value("Baidux")


@only_long
def test_while_events_come_without_a_pause_figures_and_charts_come_too(
    visit: Visit, server: Server, api: Api
) -> None:
    log = projected(server, [called("t0", total("=8", "2023-08-31"))])
    with visit() as someone:
        # Answers take longer than the time between two events.
        someone.context.add_init_script(
            """const real = fetch;
               window.fetch = async (address, ...how) => {
                 if (String(address).includes("/totals")) await new Promise((go) => setTimeout(go, 400));
                 return real(address, ...how);
               };"""
        )
        page = someone.opens(at(log))
        expect(page.locator("#standing .live")).to_be_visible()
        page.evaluate(
            """([ledger, bodies]) => { bodies.forEach((body, index) => setTimeout(() => fetch(`/ledgers/${ledger}/events`, {
                 method: "POST", body, headers: { "Content-Type": "application/cloudevents+json" } }), index * 200)) }""",
            [
                log.ledger,
                [encoded(called(f"t{n}", total(f"={n + 8}", "2023-09-30"))).decode() for n in range(1, 60)],
            ],
        )
        page.wait_for_function(
            "() => Number(document.querySelector('footer p').textContent.match(/position (\\d+)/)?.[1]) > 4"
        )
        assert log.head() < 55
        page.wait_for_selector("[data-drawn]")
        slider = page.get_by_role("slider", name="Valid at")
        slider.focus()
        slider.press("Home")
        page.wait_for_url(re.compile("valid_at=2023-08-31"))
        expect(headline(page, "CAC, approval")).to_have_text("8")
        assert log.head() < 60


def encoded(event: Event) -> bytes:
    data = event.data.model_dump(mode="json", exclude_none=True, by_alias=True)
    return json.dumps(
        {"specversion": "1.0", "id": event.id, "source": event.source, "type": event.data.TYPE, "data": data}
    ).encode()


@only_long
def test_the_log_is_read_page_by_page(visit: Visit, history: Log) -> None:
    with visit() as someone:
        page = someone.opens(at(history, view="log"))
        expect(page.locator("main tbody th").first).to_have_text("104")
        someone.follows(page.get_by_role("link", name="Older events"))
        expect(page.locator("main tbody th").first).to_have_text("54")
        someone.follows(page.get_by_role("link", name="Older events"))
        expect(page.locator("main tbody tr")).to_have_count(4)
        expect(page.get_by_role("link", name="Older events")).to_have_count(0)


@only_long
def test_where_the_server_goes_away_the_page_says_so_and_comes_back(
    browser: Browser, history: Log, server: Server
) -> None:
    context = browser.new_context()
    try:
        with running(server) as first:
            someone = Visitor(context, first.url)
            page = someone.opens(at(history))
            expect(page.locator("#standing .live")).to_be_visible()
        expect(page.locator("#standing .away")).to_be_visible()
        page.get_by_role("link", name="Batches", exact=True).click()
        expect(page.get_by_role("alert")).to_contain_text("The server cannot be reached")
        with running(server, port=first.port):
            expect(page.locator("main table")).to_be_visible()
            expect(page.locator("#standing .live")).to_be_visible()
    finally:
        context.close()


def test_given_files_newer_than_the_page_when_a_view_is_opened_then_the_page_says_so_and_loads_again(
    visit: Visit, history: Log
) -> None:
    """As after an upgrade of the server: the page had said for ever that the server cannot be reached, while it was live."""
    with visit() as someone:
        page = someone.opens(at(history, language="en"))
        page.route(
            "**/view-batches.js",
            lambda route: route.fulfill(
                content_type="text/javascript", body='import { newer } from "./parts.js";'
            ),
        )
        page.get_by_role("link", name="Batches", exact=True).click()
        expect(page.get_by_role("alert")).to_contain_text("newer files than this page")
        page.unroute("**/view-batches.js")
        page.get_by_role("button", name="Load the page again").click()
        expect(page.locator("caption", has_text="Every batch")).to_be_visible()


@only_long
def test_given_a_server_that_comes_back_with_nothing_new_then_a_click_on_a_link_to_the_data_is_not_lost(
    browser: Browser, history: Log, server: Server
) -> None:
    context = browser.new_context()
    try:
        with running(server) as first:
            page = Visitor(context, first.url).opens(at(history))
            expect(page.locator("#standing .live")).to_be_visible()
            page.wait_for_selector("[data-drawn] svg")
            link = page.locator("#foot").get_by_role("link", name="CSV", exact=True).element_handle()
        expect(page.locator("#standing .away")).to_be_visible()
        with running(server, port=first.port):
            with page.expect_response("**/charts/totals**"):
                pass  # it asks anew once it is connected, and for the chart when the figures are there
            assert link.evaluate("link => link.isConnected")
    finally:
        context.close()


@only_long
def test_a_refused_stream_is_asked_for_again_and_then_the_figures_are_those_of_the_ledger_that_is_there(
    browser: Browser, server: Server, start_server: Callable[..., Server]
) -> None:
    log = projected(server, [called("t1", total("=8", "2023-08-31"))])
    context = browser.new_context()
    try:
        with running(server) as first:
            page = Visitor(context, first.url).opens(at(log))
            expect(page.locator("#standing .live")).to_be_visible()
            first.post(log, encoded(called("t2", total("=9", "2023-09-30")))).raise_for_status()
            expect(headline(page, "CAC, approval")).to_have_text("9")
        # The stream goes on after position 2, which a ledger without events refuses.
        with running(start_server(), port=first.port) as second:
            expect(page.locator("main")).to_contain_text("The ledger has nothing on this yet")
            expect(page.locator("#standing .live")).to_be_visible()
            second.post(log, encoded(called("t3", total("=12", "2023-09-30")))).raise_for_status()
            expect(headline(page, "CAC, approval")).to_have_text("12")
        with running(server, port=first.port, public_reads=False):
            expect(page.get_by_role("alert")).to_have_text("Reading this ledger needs a token.")
            expect(page.locator(".headlines")).to_have_count(0)
            expect(page.get_by_role("complementary", name="Evidence")).to_be_hidden()
        with running(server, port=first.port):
            expect(headline(page, "CAC, approval")).to_have_text("9")
    finally:
        context.close()


@only_long
def test_where_the_log_is_replaced_the_page_shows_the_one_that_is_there(
    visit: Visit, server: Server, api: Api
) -> None:
    log = projected(server, [called("t1", total("=8", "2023-08-31"))])
    with visit() as someone:
        page = someone.opens(at(log))
        expect(page.locator("#standing .live")).to_be_visible()
        api.post(log, encoded(called("t2", total("=9", "2023-09-30")))).raise_for_status()
        expect(headline(page, "CAC, approval")).to_have_text("9")
        page.evaluate(
            """window.said = []; const told = document.getElementById("said");
               new MutationObserver(() => window.said.push(told.textContent)).observe(told, { childList: true })"""
        )
        log.client.delete(*log.client.keys(f"{{{log.ledger}}}:*"))
        for number in (1, 2, 3):
            log.append([called(f"other-{number}", total(f"={number}", f"2024-0{number}-28"))])
        expect(headline(page, "CAC, approval")).to_have_text("3")
        api.post(log, encoded(called("t3", total("=12", "2024-09-30")))).raise_for_status()
        expect(headline(page, "CAC, approval")).to_have_text("12")
        assert not [words for words in page.evaluate("window.said") if "NaN" in words]


MORE_MADE_UP = [
    {"view": "nope"},
    {"evidence": "abc"},
    {"evidence": "9007199254740993"},
    {"view": "log", "before": "x"},
    {"more": "5"},
    {"evidence": "all", "of": "foo"},
]


@only_long
def test_a_wrong_address_leaves_what_is_right_in_it_and_a_way_on(
    browser: Browser, api: Api, history: Log, server: Server
) -> None:
    short = projected(server, [called("t1", total("=8", "2023-08-31"))])  # which is shown sooner
    context = browser.new_context(locale="en-US")
    try:
        someone = Visitor(context, api.url)
        for wrong in ({"known_at": "500"}, {"valid_at": "hello"}, {"known_at": "x", "known_as": "published"}):
            page = someone.opens(at(history, **wrong))
            expect(page.get_by_role("alert")).to_contain_text("The ledger says: ")
            expect(page.get_by_role("slider", name="Valid at")).to_be_enabled()
            someone.follows(page.get_by_role("link", name="Show everything, as it is now"))
            expect(headline(page, "CAC, filing")).to_have_text("988")
            expect(page.get_by_role("alert")).to_have_count(0)
        for made_up in (
            {"ledger": "BAD!"},
            {"view": "log", "before": "9007199254740993"},
            {"valid-at": "2024"},
            {"evidence": "all", "of": '["shares"]'},
            *(MORE_MADE_UP if LONG else []),
        ):
            page = someone.opens(at(short, **made_up))
            parts = ", ".join(f"{part}={value}" for part, value in made_up.items() if value != "log")
            told = f"The page does not understand this in the address, and ignores it: {parts}"
            expect(page.get_by_role("alert")).to_have_text(told)
            expect(page.get_by_role("complementary", name="Evidence")).to_have_count(0)
        page = someone.opens(at(history, language="en") + "&language=zh")
        expect(page.get_by_role("alert")).to_contain_text("language=zh")
        page = someone.opens(at(history, known_at="9", known_as="recorded", view="totals", language="en"))
        expect(page.locator("main table tbody tr").first).to_be_visible()
        expect(page.get_by_role("alert")).to_have_count(0)
        page = someone.opens(at(history, evidence="3,9999"))
        expect(headline(page, "CAC, filing")).to_have_text("988")
        panel = page.get_by_role("complementary", name="Evidence")
        expect(panel.locator(".events > li")).to_have_count(1)
        expect(panel).to_contain_text("position 9999: ")
        page = someone.opens(at(history, authority="XX", instrument="filing"))
        expect(page.get_by_label("What is counted").locator("option:checked")).to_have_text("XX, filing")
        page.get_by_label("What is counted").select_option(label="all")
        expect(headline(page, "CAC, filing")).to_have_text("988")
    finally:
        context.close()


@only_long
def test_given_an_approval_that_was_amended_then_its_history_says_what_it_is_now(
    visit: Visit, server: Server
) -> None:
    log = projected(
        server,
        [
            called("g1", granted("Acme", "Bot", "2024-01-10", number="N-1")),
            called("a1", amended("N-1", company="Beta", on="2024-02-01")),
        ],
    )
    with visit() as someone:
        history = someone.opens(at(log, view="companies", name="Acme")).locator("main table tbody tr")
        expect(history).to_contain_text(["amended 1 Feb 2024: now Beta"])
        history = someone.opens(at(log, view="companies", name="Beta")).locator("main table tbody tr")
        expect(history).to_contain_text(["amended: number N-1, now Beta"])


@only_long
def test_a_company_of_which_no_name_is_known_has_that_of_its_record(visit: Visit, server: Server) -> None:
    merger = projected(server, [called("m1", merged("moon", "sun"))])
    with visit() as someone:
        page = someone.opens(at(merger, view="companies", name="moon"))
        expect(page.locator("h1")).to_have_text("sun")
        assert "undefined" not in page.content()


@only_long
def test_given_more_names_than_there_surely_are_then_that_is_said_of_the_names_and_of_nothing_else(
    visit: Visit, server: Server
) -> None:
    names = [called(f"n{n}", granted(f"C{n}", "Bot", "2024-01-10")) for n in range(2)]
    log = projected(server, [*names, called("t1", total("=1", "2024-01-10"))])
    with visit() as someone:
        parts = someone.opens(at(log)).locator(".headlines .parts")
        why = "more known by name than there are for certain, because reports contradict one another"
        expect(parts).to_have_text(f"Known by name: 2 ({why}); undisclosed: ≥ 0")


# Nothing is more than text

HOSTILE = [
    "<script>window.broken = 1</script>",
    '"><img src=x onerror="window.broken = 2">',
    "javascript:window.broken=3",
    "{{7*7}} ${7*7} %(x)s",
    "'+(window.broken=4)+'",
    "<b onmouseover=window.broken=5>bold</b>",
]


@pytest.fixture(scope="module")
def hostile(server: Server) -> Log:
    events = []
    for number, text in enumerate(HOSTILE):
        terms = (text, text, text)
        events += [
            called(f"i{number}", identified(f"it-{number}", text, f"It {number}")),
            called(f"g{number}", granted(text, text, "2023-08-31", terms=terms, source=text)),
            called(
                f"b{number}",
                batch(None, "=8", "2023-08-31", label=text, named=[(text, text)], terms=terms, source=text),
            ),
            called(
                f"c{number}", batch(None, "=9", "2023-08-31", label=text, terms=terms, source=(text, "other"))
            ),
            called(f"t{number}", total("=8", "2023-12-31", terms=terms, source=text)),
            called(f"m{number}", estimate("CN", "=130", estimator=text, unit=text, source=text)),
            called(f"u{number}", used(text, text, ">5", "2023-12-31")),
        ]
    return projected(server, events)


def test_what_a_source_wrote_is_shown_as_text(visit: Visit, hostile: Log) -> None:
    everything = ",".join(str(position) for position in range(1, hostile.head() + 1))
    with visit() as someone:
        for state in (*({"view": view} for view in VIEWS), {"view": "companies", "name": "It 0"}):
            page = someone.opens(at(hostile, evidence=everything, **state))
            if state["view"] in DRAWN:
                page.wait_for_selector("[data-drawn] svg")
            assert page.evaluate("window.broken") is None
            assert page.locator(":is(main, aside) :is(script, img, b, [onmouseover], [onerror])").count() == 0
            assert page.locator("a[href^='javascript:']").count() == 0
            shown = page.locator("body").inner_text()
            assert [text for text in HOSTILE if text not in shown] == []


def test_given_a_cell_with_controls_of_direction_when_its_event_is_shown_then_they_are_written_out(
    visit: Visit, server: Server
) -> None:
    """A name may not hold them, but a cell is kept as it was published: one could be shown as another text."""
    cell = "valid until 2\u202e4202\u2066"
    grant = granted("Baidu", "Ernie", "2023-08-31").model_copy(update={"published": {"Remark": cell}})
    log = projected(server, [called("g1", grant)])
    with visit() as someone:
        page = someone.opens(at(log, evidence="1"))
        panel = page.get_by_role("complementary", name="Evidence")
        for words in ("The row, as published", "As it is stored"):
            panel.get_by_text(words).click()
        expect(panel.locator("dd")).to_have_text(r"valid until 2\u202e4202\u2066")
        written = panel.locator("pre").inner_text()
        assert r"valid until 2\u202e4202\u2066" in written
        assert json.loads(written)["data"]["published"] == {"Remark": cell}


EDGES = """([selector, parts]) => {
    const within = document.querySelector(selector);
    const walker = document.createTreeWalker(within, NodeFilter.SHOW_TEXT);
    const nodes = [];
    while (walker.nextNode()) nodes.push(walker.currentNode);
    return parts.map((part) => {
        const node = nodes.find((each) => each.data.includes(part));
        const range = document.createRange();
        range.setStart(node, node.data.indexOf(part));
        range.setEnd(node, node.data.indexOf(part) + part.length);
        const { left, right } = range.getBoundingClientRect();
        return [left, right];
    });
}"""


def test_given_names_from_right_to_left_when_they_are_shown_then_each_figure_stays_where_it_is_written(
    visit: Visit, server: Server
) -> None:
    company, item = "شركة النماذج 2", "دليل"
    log = projected(server, [called("u1", used(company, item, "=1234", "2023-12-31"))])
    with visit() as someone:
        page = someone.opens(at(log, view="log", language="en"))
        expect(page.locator("tbody tr")).to_have_count(1)
        assert company in page.locator("tbody tr").inner_text()
        edges = page.evaluate(EDGES, ["tbody td", ["Users: ", company, item, "1,234 users"]])
        assert edges == sorted(edges)


@only_long
def test_a_term_that_is_called_like_a_part_of_the_language_is_shown_as_it_is(
    visit: Visit, server: Server
) -> None:
    log = projected(
        server, [called("t1", total("=8", "2023-08-31", terms=("CAC", "constructor", "__proto__")))]
    )
    with visit() as someone:
        page = someone.opens(at(log, language="zh"))
        expect(page.locator(".counted")).to_contain_text("constructor（__proto__）")


@only_long
@pytest.mark.parametrize(
    "address",
    [
        "/?view=<script>window.broken=1</script>&evidence=<b>,1,x,-1,999999999999999999&language=xx&known_as=never",
        "/?valid_at=<img src=x>&name=%22%3E%3Cimg%3E&view=companies",
        "/?ledger=../../etc&known_at=%00",
    ],
)
def test_an_address_that_somebody_made_up_does_no_more_than_be_refused(
    browser: Browser, api: Api, history: Log, address: str
) -> None:
    context = browser.new_context()
    try:
        someone = Visitor(context, api.url)
        page = someone.opens(address)
        assert page.evaluate("window.broken") is None
        assert page.locator("main img, main script").count() == 0
        assert someone.strangers == []
        assert all("status of 4" in complaint for complaint in someone.complaints), someone.complaints
    finally:
        context.close()


def test_only_addresses_of_the_web_become_links(visit: Visit, history: Log) -> None:
    with visit() as someone:
        page = someone.opens(at(history))
        made = page.evaluate(
            """async (addresses) => {
                 const { outside } = await import("/page/elements.js");
                 return addresses.map((address) => outside(address, "it")).map((made) => made.href ?? made);
               }""",
            [
                "https://example.org/a",
                "javascript:alert(1)",
                "data:text/html,x",
                "file:///etc/passwd",
                "//x",
                "",
            ],
        )
        assert made == ["https://example.org/a", "it", "it", "it", "it", "it"]


def test_what_the_ledger_refuses_is_told_in_its_own_words(browser: Browser, api: Api, history: Log) -> None:
    context = browser.new_context()
    try:
        page = Visitor(context, api.url).opens(at(history, view="companies", name="Nobody"))
        expect(page.get_by_role("alert")).to_contain_text(
            "The ledger says: no company is named 'Nobody' here"
        )
    finally:
        context.close()


# For everyone


@only_long
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault_in_any_view(visit: Visit, history: Log, scheme: str) -> None:
    with visit(color_scheme=scheme) as someone:
        for view in VIEWS:
            page = someone.opens(at(history, view=view, evidence="3,6"))
            if view in DRAWN:
                page.wait_for_selector(f"[data-drawn={scheme}] svg")
            # WCAG 2.2, which it does not ask for by itself.
            options = {"rules": {"target-size": {"enabled": True}}}
            found = Axe().run(page, options=options).response["violations"]
            serious = [fault for fault in found if fault["impact"] in ("serious", "critical")]
            assert [
                (view, fault["id"], fault["help"], [node["html"][:120] for node in fault["nodes"][:3]])
                for fault in serious
            ] == []


@only_long
@pytest.mark.parametrize("language", ["en", *(["zh"] if LONG else [])])
def test_at_375_pixels_everything_is_within_the_screen(visit: Visit, history: Log, language: str) -> None:
    with visit(viewport={"width": 375, "height": 800}) as someone:
        for view in VIEWS:
            page = someone.opens(at(history, view=view, language=language, evidence="3"))
            if view in DRAWN:
                page.wait_for_selector("[data-drawn] svg")
            assert (view, page.evaluate("document.documentElement.scrollWidth")) == (view, 375)
            assert (view, page.evaluate(OUT_OF_SIGHT)) == (view, [])


OUT_OF_SIGHT = """() => [
  ...[...document.querySelectorAll("main .scrolls")].filter((each) => each.scrollWidth > each.clientWidth),
  ...[...document.querySelectorAll("button, main td:not(:empty), main tbody th")]
    .filter((each) => each.checkVisibility())
    .filter((each) => each.getBoundingClientRect().left < 0 || each.getBoundingClientRect().right > innerWidth
                      || each.scrollWidth > Math.max(each.clientWidth, 1)),
].map((each) => each.outerHTML.slice(0, 200))"""


@only_long
def test_the_focus_goes_to_what_was_opened_and_the_title_tells_it(visit: Visit, history: Log) -> None:
    with visit(viewport={"width": 375, "height": 800}) as someone:
        page = someone.opens(at(history))
        title = page.locator("#evidence-title")
        for link in (page.locator("main a.evidence").first, page.locator("main table a.evidence").last):
            someone.follows(link)
            expect(title).to_be_focused()
            expect(title).to_be_in_viewport()
        page = someone.opens(at(history, view="companies"))
        someone.follows(page.locator("main tbody th a", has_text="Baidu"))
        expect(page.locator("main")).to_be_focused()
        expect(page).to_have_title("Baidu – Approval ledger")
        page.emulate_media(media="print")
        expect(page.get_by_role("slider")).to_have_count(0)
        expect(page.locator("nav")).to_be_hidden()
        expect(page.locator("main table")).to_be_visible()


@only_long
def test_given_a_dark_screen_when_it_is_printed_then_charts_bring_their_dark_ground_along(
    visit: Visit, history: Log
) -> None:
    with visit(color_scheme="dark") as someone:
        page = someone.opens(at(history))
        page.wait_for_selector("[data-drawn=dark] svg")
        page.emulate_media(media="print")
        drawn = page.locator("[data-drawn]")
        expect(drawn).to_have_css("background-color", "rgb(22, 24, 27)")
        expect(drawn).to_have_css("print-color-adjust", "exact")


def test_the_keyboard_reaches_everything_and_skips_to_the_figures(visit: Visit, history: Log) -> None:
    with visit() as someone:
        page = someone.opens(at(history))
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to the figures")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator("main")).to_be_focused()
        reached = set()
        for _ in range(12):
            page.keyboard.press("Tab")
            reached.add(page.evaluate("document.activeElement.dataset.key ?? document.activeElement.tagName"))
        assert "counted" in reached
        assert any(key.startswith("evidence-") for key in reached)


@only_long
def test_what_changed_is_said_to_whoever_listens(visit: Visit, history: Log) -> None:
    with visit() as someone:
        page = someone.opens(at(history))
        said = page.locator("#said")
        expect(said).to_contain_text("Totals: CAC, filing (service) 988")
        someone.follows(page.get_by_role("link", name="Batches", exact=True))
        expect(said).to_contain_text("Batches: Batch 1")


@only_long
def test_given_events_that_come_one_after_another_then_whoever_listens_is_told_how_many_and_not_of_each(
    visit: Visit, server: Server, api: Api
) -> None:
    log = projected(server, [called("t1", total("=8", "2023-08-31"))])
    with visit() as someone:
        # The pause between two words ends when the test says so.
        someone.context.add_init_script(
            """const real = setTimeout;
               window.setTimeout = (act, wait) => (wait === 10_000 ? (window.ends = act) : real(act, wait));"""
        )
        page = someone.opens(at(log))
        expect(page.locator("#standing .live")).to_be_visible()
        said = page.locator("#said")
        expect(said).to_have_text("Totals: CAC, approval (model) 8")
        for n in range(2, 6):
            api.post(
                log, encoded(called(f"t{n}", total(f"={n + 7}", f"2023-{n + 7:02}-30")))
            ).raise_for_status()
            expect(page.locator("#standing")).to_contain_text(f"{n} events")
            expect(headline(page, "CAC, approval")).to_have_text(str(n + 7))
            expect(said).to_contain_text("New event at position 2: ")
        page.evaluate("window.ends()")
        expect(said).to_contain_text("3 new events, the last at position 5: ")
        expect(said).to_contain_text("Totals: CAC, approval (model) 12")


@only_long
def test_given_forced_colours_then_only_the_view_that_is_shown_is_underlined(
    visit: Visit, history: Log
) -> None:
    with visit() as someone:
        page = someone.opens(at(history, view="batches"))
        page.emulate_media(forced_colors="active")
        ground = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        lines = page.eval_on_selector_all(
            "nav a", "all => all.map((a) => getComputedStyle(a).borderBottomColor)"
        )
        assert [line != ground for line in lines] == [view == "batches" for view in VIEWS]


@only_long
def test_given_an_address_before_no_position_then_that_is_told_and_the_log_goes_on(
    visit: Visit, server: Server, api: Api
) -> None:
    log = projected(server, [called("t1", total("=8", "2023-08-31"))])
    with visit() as someone:
        page = someone.opens(at(log, view="log", before="0"))
        expect(page.get_by_role("alert")).to_contain_text("before=0")
        expect(page.locator("main tbody tr")).to_have_count(1)
        api.post(log, encoded(called("t2", total("=9", "2023-09-30")))).raise_for_status()
        expect(page.locator("main tbody tr")).to_have_count(2)


@only_long
def test_given_an_address_before_the_first_event_then_the_log_does_not_call_the_ledger_empty(
    visit: Visit, history: Log
) -> None:
    with visit() as someone:
        page = someone.opens(at(history, view="log", before="1"))
        expect(page.locator("main tbody")).to_have_text("No event comes before position 1.")
        expect(page.get_by_text("new events come in by themselves")).to_have_count(0)


@only_long
def test_without_the_library_the_tables_stand_alone_and_the_page_says_why(
    visit: Visit, history: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_files, "_can_draw", lambda: False)
    with visit() as someone:
        page = someone.opens(at(history))
        someone.sees("Charts need approval-ledger[charts] on the server")
        assert page.locator("main table").count() == 5


@only_long
def test_where_reading_needs_a_token_the_page_says_what_lets_everyone_read(
    browser: Browser, history: Log, server: Server
) -> None:
    context = browser.new_context()
    try:
        with running(server, public_reads=False) as private:
            page = Visitor(context, private.url).opens(at(history))
            expect(page.get_by_label("Token for reading")).to_have_accessible_description(
                re.compile("“approvals up --public-reads” lets everyone read")
            )
    finally:
        context.close()


def test_without_javascript_the_page_says_where_the_answers_are(browser: Browser, api: Api) -> None:
    context = browser.new_context(java_script_enabled=False)
    try:
        page = context.new_page()
        page.goto(api.url)
        assert (
            page.get_by_role("link", name="companies").evaluate("link => link.href")
            == f"{api.url}/ledgers/cac/companies?format=csv"
        )
    finally:
        context.close()
