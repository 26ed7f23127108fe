"""The HTTP API and the page behind a proxy that puts them under a path of its own, as nginx does with `location /approvals/ {
proxy_pass http://127.0.0.1:8765/; }`: the addresses of the page lead on from there, and those in answers after the
prefix."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import httpx
import pytest
from playwright.sync_api import Browser, Request, expect

from approval_ledger import tokens
from approval_ledger.web import page as page_files
from events import Log

from .api import STRUCTURED, Api, running
from .browser import CHROMIUM, MISSING, chromium, visitor
from .given import HISTORY, called, total
from .long import only_long
from .servers import Server
from .test_page import DRAWN, VIEWS, at, encoded, headline, projected

PREFIX = b"/approvals/"
ATOM = "{http://www.w3.org/2005/Atom}"


class PassedOn(socketserver.StreamRequestHandler):
    """One request, without the prefix, and all that comes back; no second one on the same connection."""

    server: Proxy

    def handle(self) -> None:
        method, _, target = self.rfile.readline().partition(b" ")
        if not target.startswith(PREFIX):
            return
        headers = iter(self.rfile.readline, b"\r\n")
        kept = [each for each in headers if not each.lower().startswith(b"connection:")]
        head = [method, b" /", target.removeprefix(PREFIX), b"Connection: close\r\n", *kept, b"\r\n"]
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.server.of.port)) as upstream:
            upstream.sendall(b"".join(head))
            sending = threading.Thread(target=self.send_the_rest, args=(upstream,))
            sending.start()
            try:
                while data := upstream.recv(65_536):
                    self.connection.sendall(data)
            finally:
                self.connection.shutdown(socket.SHUT_RDWR)
                sending.join()

    def send_the_rest(self, upstream: socket.socket) -> None:
        with suppress(OSError):
            while data := self.rfile.read1(65_536):
                upstream.sendall(data)
            upstream.shutdown(socket.SHUT_RDWR)  # whoever asked is gone


class Proxy(socketserver.ThreadingTCPServer):
    """Such a proxy of an API."""

    def __init__(self, of: Api) -> None:
        self.of = of
        super().__init__(("127.0.0.1", 0), PassedOn)


@contextmanager
def under_a_path(api: Api) -> Iterator[str]:
    """The address of the API behind such a proxy, for the time of a block."""
    with Proxy(api) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{proxy.server_address[1]}{PREFIX.decode()}"
        finally:
            proxy.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def history(server: Server) -> Log:
    return projected(server, HISTORY)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


def test_given_a_proxy_with_a_path_when_an_answer_names_an_address_then_it_is_there_after_that_path(
    api: Api, log: Log
) -> None:
    with under_a_path(api) as url, httpx.Client(base_url=url) as client:
        for number in (1, 2):
            content = encoded(called(f"t{number}", total(f"={number}", f"2024-0{number}-28")))
            sent = client.post(
                f"ledgers/{log.ledger}/events", content=content, headers={"Content-Type": STRUCTURED}
            )
            assert client.get(sent.headers["location"]).json()["id"] == f"t{number}"
        first = client.get(f"ledgers/{log.ledger}/events?limit=1&backwards=true").json()
        second = client.get(first["next"]).json()
        assert ([int(each["sequence"]) for each in second["events"]], second["next"]) == ([1], None)


@pytest.mark.parametrize("name", ["X-Forwarded-Prefix", "X-Script-Name", "X-Forwarded-Host"])
def test_given_a_client_that_names_a_path_itself_when_it_asks_then_no_answer_repeats_it(
    api: Api, history: Log, name: str
) -> None:
    for path in ("/", "/openapi.json", f"/ledgers/{history.ledger}/events?limit=1"):
        answer = api.client.get(path, headers={name: "/evil.example"})
        assert "evil" not in answer.text
        assert answer.content == api.client.get(path).content


@only_long
@pytest.mark.skipif(CHROMIUM is None, reason=MISSING)
def test_given_a_proxy_with_a_path_when_the_page_is_opened_then_each_view_and_its_charts_are_there_and_it_follows(
    browser: Browser, api: Api, server: Server
) -> None:
    page_files.prepare()
    log = projected(server, [called("t1", total("=8", "2023-08-31"))])
    with under_a_path(api) as url, visitor(browser, url.rstrip("/")) as someone:
        outside: list[str] = []

        def note(request: Request) -> None:
            if not request.url.startswith((url, "blob:", "data:")):
                outside.append(request.url)

        someone.page.on("request", note)
        for view in VIEWS:
            page = someone.opens(at(log, view=view))
            if view in DRAWN:
                page.wait_for_selector("[data-drawn]")
        page = someone.opens(at(log))
        api.post(log, encoded(called("t2", total("=9", "2023-09-30")))).raise_for_status()
        expect(headline(page, "CAC, approval")).to_have_text("9")
        feed = page.locator("footer a", has_text="contradictions")
        assert feed.evaluate("link => link.href") == f"{url}ledgers/{log.ledger}/feeds/contradictions"
        assert outside == []


@only_long
@pytest.mark.skipif(CHROMIUM is None, reason=MISSING)
def test_given_a_token_and_a_proxy_with_a_path_when_a_link_to_data_is_followed_then_the_file_is_saved(
    browser: Browser, server: Server
) -> None:
    log = projected(server, [called("t1", total("=8", "2023-08-31"))])
    _, token = tokens.create(log, ["read"])
    with (
        running(server, public_reads=False) as private,
        under_a_path(private) as url,
        browser.new_context(locale="en-US") as context,
    ):
        page = context.new_page()
        page.goto(url + at(log).removeprefix("/"))
        page.get_by_label("Token for reading").fill(token)
        page.keyboard.press("Enter")
        expect(headline(page, "CAC, approval")).to_have_text("8")
        with page.expect_download() as saved:
            page.locator("footer a", has_text="contradictions").click()
        assert saved.value.suggested_filename == f"{log.ledger}-contradictions.atom"
