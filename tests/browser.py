"""A real browser for the tests: Debian's Chromium, driven by Playwright, with everything that it complains about."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
MISSING = (
    "there is no Chromium here (Debian: apt-get install chromium), so the page is not tried in a browser"
)

PATIENCE = 30_000  # milliseconds until something that does not come is a failure

expect.set_options(timeout=PATIENCE)

# So that it runs as root in a container, and sends its maker's servers nothing when it starts.
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser, as long as the block runs."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_FLAGS)
        try:
            yield browser
        finally:
            browser.close()


class Visitor:
    """Someone who looks at the page. Whatever the browser complains about, or requests from another host, is remembered."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.url = url
        self.context = context
        context.set_default_timeout(PATIENCE)
        self.complaints: list[str] = []
        self.strangers: list[str] = []
        context.on("request", lambda request: self._asked(request.url))
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))
        context.on("console", lambda said: self._said(said.type, said.text))
        self.page = context.new_page()

    def _asked(self, address: str) -> None:
        if urlsplit(address)[:2] != urlsplit(self.url)[:2]:
            self.strangers.append(address)

    def _said(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.complaints.append(text)

    def opens(self, address: str = "/") -> Page:
        """Opens an address of the page, and waits until its figures are there."""
        self.page.goto(self.url + address)
        self.page.wait_for_selector("html[data-shown]")
        return self.page

    def sees(self, text: str) -> None:
        """Waits until this text is on the screen."""
        self.page.get_by_text(text, exact=False).first.wait_for()

    def follows(self, link: Any) -> None:
        """Follows a link of the page, and waits until what it leads to is there."""
        address = link.get_attribute("href")
        link.click()
        self.is_at(address)

    def is_at(self, address: str) -> None:
        """Waits until the page shows the state of this address."""
        self.page.wait_for_function(
            "address => document.documentElement.dataset.shown === address", arg=address
        )


@contextmanager
def visitor(browser: Browser, url: str, **how: Any) -> Iterator[Visitor]:
    """A visitor with a profile of their own, who must find nothing to complain about."""
    context = browser.new_context(**{"locale": "en-US", "viewport": {"width": 1280, "height": 900}, **how})
    try:
        someone = Visitor(context, url)
        yield someone
        assert someone.strangers == [], someone.strangers
        assert someone.complaints == [], someone.complaints
    finally:
        context.close()
