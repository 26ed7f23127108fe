"""The page of a ledger that is read with a token alone, in a real browser: the token is pasted, kept by the tab and nowhere else."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, Request, expect

from approval_ledger import tokens
from approval_ledger.web import page as page_files
from events import Log

from .api import Api, running
from .browser import CHROMIUM, MISSING, PATIENCE, Visitor, chromium
from .given import HISTORY, called, total
from .long import only_long
from .servers import Server
from .test_page import VIEWS, at, encoded, headline, projected

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=MISSING)

FIELD = "Token for reading"
Open = Callable[..., Visitor]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def private(server: Server) -> Iterator[Api]:
    page_files.prepare()
    with running(server, public_reads=False) as started:
        yield started


@pytest.fixture(scope="module")
def history(server: Server) -> Log:
    return projected(server, HISTORY)


@pytest.fixture
def visiting(browser: Browser, private: Api) -> Iterator[Open]:
    """Opens visitors, whose browser may complain: of answers with 401, there are some."""
    contexts: list[BrowserContext] = []

    def opened(**how: Any) -> Visitor:
        contexts.append(browser.new_context(**{"locale": "en-US", **how}))
        return Visitor(contexts[-1], private.url)

    yield opened
    for context in contexts:
        context.close()


def reading(log: Log) -> tuple[str, str]:
    """The id and the text of a token for reading."""
    token, text = tokens.create(log, ["read"])
    return token.id, text


def signs_in(page: Page, text: str) -> None:
    page.get_by_label(FIELD).fill(text)
    page.get_by_role("button", name="Read with this token").click()


def is_shut(page: Page) -> None:
    """Waits until the field is there, and sees that nothing else of the ledger is."""
    expect(page.get_by_label(FIELD)).to_be_visible()
    for part in (".headlines", "main table", "#time .axis", "#evidence .events", "#foot p", "#standing span"):
        expect(page.locator(part)).to_have_count(0)
    expect(page.locator("#said")).to_have_text("")


@only_long
def test_a_token_that_is_pasted_opens_every_view_its_charts_and_its_evidence(
    visiting: Open, history: Log
) -> None:
    _, text = reading(history)
    page = visiting().opens(at(history))
    is_shut(page)
    signs_in(page, f"  Bearer {text}\n")
    expect(headline(page, "CAC, filing (service)")).to_have_text("988")
    page.wait_for_selector("[data-drawn] svg")
    expect(page.locator("#standing .live")).to_be_visible()
    for view in VIEWS:
        page.goto(page.url.partition("?")[0] + at(history, view=view, evidence="3")[1:])
        expect(page.locator("main table").first).to_be_visible()
        expect(page.locator("#evidence .events > li")).to_have_count(1)


def test_the_token_is_in_the_tab_alone_and_goes_into_a_header_alone(
    visiting: Open, history: Log, capfd: pytest.CaptureFixture[str]
) -> None:
    name, text = reading(history)
    someone = visiting()
    asked: list[str] = []
    sent: set[str | None] = set()
    someone.context.on("request", lambda request: asked.append(request.url))
    page = someone.opens(at(history))
    is_shut(page)

    def remember(request: Request) -> None:
        if "/ledgers/" in request.url:
            sent.add(request.headers.get("authorization"))

    signs_in(page, text)
    page.wait_for_selector("[data-drawn] svg")
    page.on("request", remember)  # not before: without a token the stream is asked for again and again
    page.reload()
    expect(headline(page, "CAC, filing (service)")).to_have_text("988")
    page.get_by_role("link", name="Batches", exact=True).click()
    expect(page.get_by_role("table", name="Every batch")).to_be_visible()
    assert sent == {f"Bearer {text}"}
    secret = text.rpartition(".")[2]
    everywhere = [*asked, page.url, page.content(), *someone.complaints, *capfd.readouterr()]
    assert not [each for each in everywhere if secret in each]
    assert secret in page.evaluate("JSON.stringify(sessionStorage)")
    assert secret not in page.evaluate("JSON.stringify(localStorage) + document.cookie")
    assert not any(secret in str(cookie) for cookie in someone.context.cookies())
    assert name in text
    assert someone.strangers == []
    is_shut(Visitor(someone.context, someone.url).opens(at(history)))  # another tab


@pytest.mark.parametrize(
    "wrong",
    ["hello", *(pytest.param(text, marks=only_long) for text in ("", "alt.0123456789ab.short", "令牌"))],
)
def test_what_is_no_token_is_not_sent(visiting: Open, history: Log, wrong: str) -> None:
    page = visiting().opens(at(history))
    is_shut(page)
    sent: list[str] = []
    page.on("request", lambda request: sent.extend(request.headers.get("authorization", "")))
    signs_in(page, wrong)
    expect(page.get_by_role("alert")).to_contain_text("That is not a token")
    expect(page.get_by_label(FIELD)).to_be_focused()
    assert sent == []


@only_long
def test_a_token_that_is_unknown_another_ledgers_or_not_for_reading_is_told_and_forgotten(
    visiting: Open, history: Log, log: Log
) -> None:
    unknown = f"alt.0123456789ab.{'A' * 43}"
    _, of_another = reading(log)
    _, for_appending = tokens.create(history, ["append"])
    page = visiting().opens(at(history))
    for text, says in (
        (unknown, "does not know that token"),
        (of_another, "does not know that token"),
        (for_appending, "That token does not allow reading"),
    ):
        signs_in(page, text)
        expect(page.get_by_role("alert")).to_contain_text(says)
        is_shut(page)
        expect(page.get_by_label(FIELD)).to_be_focused()
        expect(page.get_by_label(FIELD)).to_have_value("")
        assert page.evaluate("sessionStorage.length") == 0
    _, right = reading(history)
    signs_in(page, right)
    expect(headline(page, "CAC, filing (service)")).to_have_text("988")
    expect(page.get_by_role("alert")).to_have_count(0)


@only_long
def test_a_token_that_is_revoked_brings_the_field_back_and_takes_the_figures_away(
    visiting: Open, history: Log
) -> None:
    name, text = reading(history)
    page = visiting().opens(at(history, evidence="3"))
    signs_in(page, text)
    expect(page.locator("#evidence .events > li")).to_have_count(1)
    expect(page.locator("#standing .live")).to_be_visible()
    tokens.revoke(history, name)
    page.get_by_role("link", name="Batches", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("it was revoked")
    is_shut(page)
    assert page.evaluate("sessionStorage.length") == 0


@only_long
def test_a_token_that_is_revoked_ends_the_stream_and_what_it_showed_without_a_click(
    visiting: Open, server: Server, private: Api
) -> None:
    log = projected(server, [called("t1", total("=8", "2023-08-31"))])
    name, text = reading(log)
    _, appending = tokens.create(log, ["append"])
    page = visiting().opens(at(log))
    signs_in(page, text)
    expect(headline(page, "CAC, approval")).to_have_text("8")
    expect(page.locator("#standing .live")).to_be_visible()
    sends = {"Authorization": f"Bearer {appending}"}
    private.post(log, encoded(called("t2", total("=9", "2023-09-30"))), **sends).raise_for_status()
    expect(headline(page, "CAC, approval")).to_have_text("9")
    tokens.revoke(log, name)
    private.post(log, encoded(called("t3", total("=10", "2023-10-31"))), **sends).raise_for_status()
    is_shut(page)
    expect(page.get_by_role("alert")).to_contain_text("it was revoked")


@only_long
def test_the_stream_goes_on_after_the_last_event_where_the_server_was_away(
    browser: Browser, server: Server
) -> None:
    log = projected(server, [called("t1", total("=8", "2023-08-31"))])
    _, text = reading(log)
    context = browser.new_context(locale="en-US")
    try:
        came_back: list[str | None] = []
        with running(server, public_reads=False) as first:
            page = Visitor(context, first.url).opens(at(log, view="log"))
            signs_in(page, text)
            expect(page.locator("#standing .live")).to_be_visible()
        expect(page.locator("#standing .away")).to_be_visible()

        def remember(request: Request) -> None:
            if request.url.endswith("/stream"):
                came_back.append(request.headers.get("last-event-id"))

        page.on("request", remember)
        log.append([called("t2", total("=9", "2023-09-30"))])
        with running(server, public_reads=False, port=first.port):
            expect(page.locator("main tbody tr")).to_have_count(2)
        assert set(came_back) == {"1"}
    finally:
        context.close()


@only_long
def test_the_token_is_forgotten_at_a_click_and_nothing_that_it_opened_is_left(
    visiting: Open, history: Log
) -> None:
    _, text = reading(history)
    page = visiting().opens(at(history, evidence="3"))
    signs_in(page, text)
    expect(page.locator("#evidence .events > li")).to_have_count(1)
    page.get_by_role("button", name="Forget the token").click()
    is_shut(page)
    expect(page.get_by_role("alert")).to_have_text("Reading this ledger needs a token.")
    expect(page.get_by_role("button", name="Forget the token")).to_have_count(0)
    assert page.evaluate("sessionStorage.length") == 0
    # Nor in the browser's cache, where an event may be kept for a year.
    address = f"/ledgers/{history.ledger}/events/3"
    assert page.evaluate("async (address) => (await fetch(address)).status", address) == 401
    page.go_back()
    page.go_forward()
    is_shut(page)


@pytest.mark.parametrize(
    ("link", "name", "begins"),
    [
        ("CSV", "{}-totals.csv", "\ufeffauthority"),
        pytest.param("JSON", "{}-totals.json", "{", marks=only_long),
        pytest.param("contradictions", "{}-contradictions.atom", "<?xml", marks=only_long),
    ],
)
def test_files_are_fetched_with_the_token_and_saved(
    visiting: Open, history: Log, tmp_path: Path, link: str, name: str, begins: str
) -> None:
    _, text = reading(history)
    page = visiting().opens(at(history))
    signs_in(page, text)
    expect(page.locator("#foot")).to_contain_text("fetches these files with the token and saves them")
    page.wait_for_selector("[data-drawn] svg")  # until then everything below it moves
    with page.expect_download(timeout=PATIENCE) as download:
        page.locator("#foot").get_by_role("link", name=link, exact=True).click()
    assert download.value.suggested_filename == name.format(history.ledger)
    download.value.save_as(tmp_path / "saved")
    saved = (tmp_path / "saved").read_text("utf-8")
    assert saved.startswith(begins)
    if link == "JSON":
        assert json.loads(saved)["ledger"] == history.ledger


@only_long
def test_the_keyboard_alone_signs_in_and_forgets(visiting: Open, history: Log) -> None:
    _, text = reading(history)
    page = visiting().opens(at(history))
    is_shut(page)
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "token":
            break
    page.keyboard.insert_text(text)
    page.keyboard.press("Enter")
    expect(headline(page, "CAC, filing (service)")).to_have_text("988")
    page.get_by_role("button", name="Forget the token").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_label(FIELD)).to_be_focused()


@only_long
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("language", "label"), [("en", FIELD), ("zh", "读取令牌")])
def test_the_field_is_labelled_in_both_languages_and_fits_a_narrow_screen(
    visiting: Open, history: Log, scheme: str, language: str, label: str
) -> None:
    someone = visiting(color_scheme=scheme, viewport={"width": 375, "height": 800})
    page = someone.opens(at(history, language=language))
    expect(page.get_by_label(label)).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 375
    assert Axe().run(page).response["violations"] == []


@only_long
def test_where_everybody_may_read_a_token_that_is_revoked_is_told_and_the_figures_stay(
    browser: Browser, server: Server
) -> None:
    history = projected(server, HISTORY)
    name, text = reading(history)
    context = browser.new_context(locale="en-US")
    try:
        with running(server, public_reads=True) as public:
            page = Visitor(context, public.url).opens(at(history))
            key = f"approval-ledger token {history.ledger}"
            page.evaluate("([key, text]) => sessionStorage.setItem(key, text)", [key, text])
            page.reload()
            expect(page.get_by_role("button", name="Forget the token")).to_be_visible()
            tokens.revoke(history, name)
            expect(page.get_by_role("alert")).to_contain_text("it was revoked")
            expect(headline(page, "CAC, filing")).to_have_text("988")
            # It stays when the page is drawn anew for other reasons, until the reader goes on.
            history.append([called("news", total("=989", "2026-09-30", terms=("CAC", "filing", "service")))])
            expect(headline(page, "CAC, filing")).not_to_have_text("988")
            expect(page.get_by_role("alert")).to_contain_text("it was revoked")
            page.get_by_role("link", name="Batches", exact=True).click()
            expect(page.get_by_role("table", name="Every batch")).to_be_visible()
            expect(page.get_by_role("alert")).to_have_count(0)
    finally:
        context.close()
