"""Rebuilds that are asked for over HTTP or on the page, and done by a worker: a fact until they have ended, whoever dies meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from approval_ledger import tokens
from events import BadQuestion, Log, Unreadable, keys
from projections import PROJECTIONS, Generation, Store, replay
from projections.store import Digests, Progress
from workers import ask_for_rebuild, last_rebuild, rebuild_here, run_here
from workers import rebuild as rebuilding
from workers.queues import REBUILD, doorbell

from .api import Api, problem, running
from .browser import CHROMIUM, MISSING, Visitor, chromium, visitor
from .command import Ledger
from .given import append, url_of
from .long import only_long, some
from .servers import Server
from .test_page import at
from .worker_main import Supervised, eventually


@pytest.fixture
def built(log: Log) -> Log:
    append(log, 40, 41, 42)
    run_here(log.client, log.ledger)
    return log


def state(log: Log, name: str = "totals") -> str | None:
    found = last_rebuild(log, name)
    return None if found is None else found.state


def generation(log: Log, name: str = "totals") -> int:
    return Store(log, PROJECTIONS[name]).live()


# A worker does it


def test_a_rebuild_that_is_asked_for_is_done_by_a_process_of_its_own_and_readers_switch(log: Log) -> None:
    with Supervised(url_of(log), log.ledger) as supervised:
        supervised.when_alive()
        append(log, 40, 41, 42)
        eventually(lambda: Store(log, PROJECTIONS["totals"]).open_live().checkpoint().position == 3)
        asked, is_new = ask_for_rebuild(log, "totals")
        assert (asked.state, is_new) == ("waiting", True)
        eventually(lambda: state(log) == "done")
        names = {str(each["name"]).rsplit("-", 2)[0] for each in log.client.client_list(_type="normal")}
        assert {f"approvals-worker-{log.ledger}", f"approvals-rebuilder-{log.ledger}"} <= names
        assert len(supervised.said("rebuilt")) == 1
        assert supervised.said("job_refused") == []
    found = last_rebuild(log, "totals")
    assert found is not None
    assert (found.generation, found.position, found.differs) == (2, 3, False)
    assert found.digest == found.live_digest == Store(log, PROJECTIONS["totals"]).open_live().digest()[1]
    assert (generation(log), generation(log, "batches")) == (2, 1)


def test_one_whose_worker_was_killed_is_begun_anew_by_the_next(built: Log) -> None:
    ask_for_rebuild(built, "totals")
    built.client.delete(doorbell(built.client, built.ledger, REBUILD).key)  # the worker took the job,
    built.client.hset(keys.rebuild(built.ledger, "totals"), "state", "running")  # began, and left this:
    left = Store(built, PROJECTIONS["totals"]).open_new()
    left.advance(2)
    with Supervised(url_of(built), built.ledger):
        eventually(lambda: state(built) == "done")
    assert generation(built) == left.number + 1
    assert not built.client.exists(left.state_key)


def test_while_one_waits_or_runs_it_is_the_one_and_then_another_may_be_asked_for(built: Log) -> None:
    first, _ = ask_for_rebuild(built, "totals")
    assert ask_for_rebuild(built, "totals") == (first, False)
    assert len(doorbell(built.client, built.ledger, REBUILD)) == 1
    rebuild_here(built.client, built.ledger)
    assert (state(built), generation(built)) == ("done", 2)
    assert ask_for_rebuild(built, "totals")[1] is True
    assert state(built) == "waiting"


def test_nothing_is_rebuilt_that_nobody_asked_for(built: Log) -> None:
    assert rebuilding.rebuild(built.client, built.ledger, "totals") is None
    rebuild_here(built.client, built.ledger)
    assert (state(built), generation(built)) == (None, 1)


def test_a_worker_leaves_a_rebuild_alone_that_another_is_at(built: Log) -> None:
    ask_for_rebuild(built, "totals")
    lease = keys.rebuild_lease(built.ledger, "totals")
    built.client.set(lease, "another", px=30_000)
    assert rebuilding.rebuild(built.client, built.ledger, "totals") is None
    assert (state(built), generation(built)) == ("waiting", 1)
    assert built.client.get(lease) == b"another"


@only_long
@pytest.mark.parametrize("left", some([None, 86_400_000], every=2))
def test_given_the_servers_clock_was_put_back_when_a_lease_and_a_bell_stay_for_a_day_then_the_rebuild_is_done(
    built: Log, left: int | None
) -> None:
    built.client.set(keys.rebuild_lease(built.ledger, "totals"), "gone", px=left)
    built.client.set(keys.rebuild_bell(built.ledger, "totals"), "rung", px=left)
    built.client.set(keys.webhooks(built.ledger), "x")  # which is told, and keeps nobody from it
    ask_for_rebuild(built, "totals")
    with Supervised(url_of(built), built.ledger) as supervised:
        eventually(lambda: state(built) == "done")
        (said,) = eventually(lambda: supervised.said("reconciler"))
    assert (said["code"], keys.webhooks(built.ledger) in said["says"]) == ("unreadable", True)


def test_one_that_is_to_stop_leaves_nothing_half_built_and_it_is_begun_anew(built: Log) -> None:
    ask_for_rebuild(built, "totals")
    assert rebuilding.rebuild(built.client, built.ledger, "totals", stopping=lambda: True) is None
    found = last_rebuild(built, "totals")
    assert found is not None
    assert found.is_open
    assert not list(built.client.scan_iter(f"{keys.projection(built.ledger, 'totals')}:2:*"))
    rebuild_here(built.client, built.ledger)
    assert (state(built), generation(built)) == ("done", 3)


def test_one_whose_lease_went_to_another_leaves_the_rebuild_to_it(
    built: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuilding, "KEEP", -1.0)
    ask_for_rebuild(built, "totals")
    lease = keys.rebuild_lease(built.ledger, "totals")

    def taken() -> bool:
        built.client.set(lease, "another")
        return False

    assert rebuilding.rebuild(built.client, built.ledger, "totals", stopping=taken) is None
    assert (state(built), generation(built)) == ("running", 1)
    assert built.client.get(lease) == b"another"


@pytest.mark.parametrize("ends", ["stopping", "lease"])
def test_one_that_ends_while_it_compares_leaves_nothing_and_no_note(
    built: Log, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    monkeypatch.setattr(rebuilding, "KEEP", -1.0)
    ask_for_rebuild(built, "totals")
    looked: list[int] = []
    original = Generation.digests

    def look(self: Generation, progress: Progress) -> Digests:
        looked.append(self.number)
        if ends == "lease":
            built.client.set(keys.rebuild_lease(built.ledger, "totals"), "another")
        return original(self, progress)

    monkeypatch.setattr(Generation, "digests", look)
    stopping = (lambda: bool(looked)) if ends == "stopping" else (lambda: False)
    assert rebuilding.rebuild(built.client, built.ledger, "totals", stopping=stopping) is None
    assert looked == [1, 2]
    assert (state(built), generation(built)) == ("running", 1)
    assert not list(built.client.scan_iter(f"{keys.projection(built.ledger, 'totals')}:2:*"))


def test_one_that_ends_when_another_is_at_it_leaves_the_note_to_that(
    built: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was held up in the switch for longer than a lease."""
    ask_for_rebuild(built, "totals")
    place, adopt = keys.rebuild(built.ledger, "totals"), replay.adopt

    def held_up(*arguments: Any) -> None:
        adopt(*arguments)
        built.client.set(keys.rebuild_lease(built.ledger, "totals"), "another")
        built.client.hset(place, "began_ms", 1)

    monkeypatch.setattr(replay, "adopt", held_up)
    assert rebuilding.rebuild(built.client, built.ledger, "totals") is None
    found = last_rebuild(built, "totals")
    assert found is not None
    assert (found.state, found.began_ms, generation(built)) == ("running", 1, 2)


def test_one_that_fails_says_why_and_the_live_documents_stay(
    built: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    for error, says in (
        (BadQuestion("another replay was adopted"), "bad-question: another replay was adopted"),
        (ZeroDivisionError("a mistake of ours"), "internal: a mistake of ours"),
    ):

        def broken(*_: object, error: Exception = error) -> None:
            raise error

        ask_for_rebuild(built, "totals")
        with monkeypatch.context() as patched:
            patched.setattr(replay, "rebuild", broken)
            rebuild_here(built.client, built.ledger)
        found = last_rebuild(built, "totals")
        assert found is not None
        assert (found.state, found.says) == ("failed", says)
    assert generation(built) == 1


def test_documents_that_somebody_changed_are_told_as_different(built: Log) -> None:
    live = Store(built, PROJECTIONS["totals"]).open_live()
    (name, *_) = cast(dict[Any, bytes], built.client.hgetall(live.documents_key))
    built.client.hset(live.documents_key, name, '{"changed": 1}')
    ask_for_rebuild(built, "totals")
    rebuild_here(built.client, built.ledger)
    found = last_rebuild(built, "totals")
    assert found is not None
    assert (found.state, found.differs) == ("done", True)


@pytest.mark.parametrize("wrote", ["a field", "a string"])
def test_what_something_else_wrote_gives_way_to_the_next_one(built: Log, wrote: str) -> None:
    place = keys.rebuild(built.ledger, "totals")
    if wrote == "a field":
        built.client.hset(place, "state", "nonsense")
    else:
        built.client.set(place, "nonsense")
    why = "KeyError" if wrote == "a field" else r"writes \(not a hash\): something"
    with pytest.raises(Unreadable, match=why):
        last_rebuild(built, "totals")
    assert ask_for_rebuild(built, "shares")[1] is True
    assert rebuilding.wanted(built) == ["shares"]
    assert ask_for_rebuild(built, "totals")[1] is True
    assert state(built) == "waiting"


@only_long
def test_a_burst_does_what_was_asked_for(server: Server) -> None:
    ledger = Ledger(server)
    append(ledger.log, 40)
    ask_for_rebuild(ledger.log, "batches")
    ledger.run("work", "--burst")
    assert (state(ledger.log, "batches"), generation(ledger.log, "batches")) == ("done", 2)


# Over HTTP


def rebuild_of(api: Api, log: Log, name: str = "totals") -> Any:
    return api.get(log, f"projections/{name}/rebuild").json()["rebuild"]


def asks(api: Api, log: Log, name: str = "totals", **headers: str) -> Any:
    return api.client.post(f"/ledgers/{log.ledger}/projections/{name}/rebuild", headers=headers)


def test_over_http_it_is_asked_for_once_looked_at_and_part_of_the_status(api: Api, built: Log) -> None:
    assert rebuild_of(api, built) is None
    first = asks(api, built)
    assert first.status_code == 202
    assert first.headers["location"] == f"/ledgers/{built.ledger}/projections/totals/rebuild"
    again = asks(api, built)
    assert (again.status_code, again.json()) == (200, first.json())
    assert first.json()["rebuild"]["state"] == rebuild_of(api, built)["state"] == "waiting"
    assert generation(built) == 1  # this process does none of it
    rebuild_here(built.client, built.ledger)
    found = rebuild_of(api, built)
    assert (found["state"], found["generation"], found["position"]) == ("done", 2, 3)
    assert found["equal"] is True
    (of_status,) = [
        each["rebuild"]
        for each in api.get(built, "status").json()["projections"]
        if each["projection"] == "totals"
    ]
    assert of_status == found


def test_it_is_for_who_may_administer_once_the_ledger_has_a_token(api: Api, built: Log) -> None:
    texts = {scope: tokens.create(built, [scope])[1] for scope in tokens.SCOPES}
    problem(asks(api, built), 401, "unauthenticated")
    for scope in ("read", "append"):
        refused = asks(api, built, Authorization=f"Bearer {texts[scope]}")
        assert "this token is not for admin" in problem(refused, 403, "insufficient-scope")["detail"]
    assert rebuild_of(api, built) is None
    assert asks(api, built, Authorization=f"Bearer {texts['admin']}").status_code == 202


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}],
)
def test_a_page_of_another_site_asks_for_none(api: Api, built: Log, headers: dict[str, str]) -> None:
    problem(asks(api, built, **headers), 403, "cross-site")
    assert rebuild_of(api, built) is None


def test_what_is_no_projection_is_refused(api: Api, built: Log) -> None:
    refused = problem(asks(api, built, "nonsense"), 422, "validation")
    assert refused["faults"][0]["parameter"] == "projection"
    problem(api.get(built, "projections/totals/rebuild?x=1"), 422, "unknown-parameter")
    problem(
        api.client.delete(f"/ledgers/{built.ledger}/projections/totals/rebuild"), 405, "method-not-allowed"
    )


# On the page

in_a_browser = pytest.mark.skipif(CHROMIUM is None, reason=MISSING)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


def row(page: Page, name: str = "Totals") -> Any:
    return page.locator("main tbody tr", has_text=name)


@only_long
@in_a_browser
def test_a_click_asks_for_it_and_the_page_follows_it_to_its_end(
    browser: Browser, api: Api, built: Log
) -> None:
    with visitor(browser, api.url) as someone:
        page = someone.opens(at(built, view="projections"))
        button = page.get_by_role("button", name="Rebuild Totals")
        button.focus()
        page.keyboard.press("Enter")
        expect(row(page)).to_contain_text("waiting for a worker")
        expect(button).to_have_attribute("aria-disabled", "true")
        expect(button).to_be_focused()
        new = Store(built, PROJECTIONS["totals"]).open_new()  # as a worker does it
        new.advance(2)
        expect(row(page).get_by_role("progressbar")).to_have_attribute("value", "2")
        rebuild_here(built.client, built.ledger)
        expect(row(page)).to_contain_text("generation 3, the same digest")
        expect(button).not_to_have_attribute("aria-disabled", "true")
        expect(row(page, "Batches")).not_to_contain_text("digest")


@only_long
@in_a_browser
@pytest.mark.parametrize("public", [True, False])
def test_where_it_needs_a_token_one_for_administering_is_asked_for_and_kept(
    browser: Browser, server: Server, built: Log, public: bool
) -> None:
    _, reads = tokens.create(built, ["read"])
    _, administers = tokens.create(built, ["admin"])
    context = browser.new_context(locale="en-US", viewport={"width": 375, "height": 800})
    try:
        with running(server, public_reads=public) as api:
            page = Visitor(context, api.url).opens(at(built, view="projections"))
            if not public:
                page.get_by_label("Token for reading").fill(reads)
                page.keyboard.press("Enter")
            page.get_by_role("button", name="Rebuild Totals").click()
            field = page.get_by_label("Token with the scope admin")
            expect(field).to_be_focused()
            expect(page.get_by_role("alert")).to_have_text(
                "Rebuilding Totals needs a token with the scope admin."
            )
            assert page.evaluate("document.documentElement.scrollWidth") == 375
            assert Axe().run(page).response["violations"] == []
            field.fill(reads)
            page.keyboard.press("Enter")
            expect(page.get_by_role("alert")).to_have_text("That token does not have the scope admin.")
            expect(row(page)).to_be_visible()  # the token that opens the page is not lost
            expect(field).to_be_focused()
            field.fill(administers)
            page.keyboard.press("Enter")
            expect(row(page)).to_contain_text("waiting for a worker")
            expect(field).to_have_count(0)
            expect(page.get_by_role("button", name="Forget the token")).to_be_visible()
            page.get_by_role("button", name="Rebuild Batches").click()
            expect(row(page, "Batches")).to_contain_text("waiting for a worker")
    finally:
        context.close()


@only_long
@in_a_browser
def test_what_is_typed_into_the_field_stays_while_the_view_is_asked_anew(
    browser: Browser, api: Api, built: Log
) -> None:
    tokens.create(built, ["admin"])
    context = browser.new_context(locale="en-US")
    try:
        page = Visitor(context, api.url).opens(at(built, view="projections"))
        page.get_by_role("button", name="Rebuild Totals").click()
        field = page.get_by_label("Token with the scope admin")
        field.fill("alt.half")
        append(built, 43)
        run_here(built.client, built.ledger)
        expect(row(page).locator("td").nth(1)).to_have_text("4")
        expect(field).to_have_value("alt.half")
        expect(field).to_be_focused()
    finally:
        context.close()
