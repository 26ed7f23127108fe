"""A whole older copy of the server: the log, the checkpoints and the cursors roll back together, so only what was kept outside tells."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from events import Event, LogForked, StaleExpectation
from projections import queries
from projections.citations import check, cite
from workers import run_here

from .command import Ledger
from .given import called, total
from .servers import Server

EARLIER = [called("e1", total("=8", "2023-08-31")), called("e2", total("=11", "2023-09-30"))]
LOST = [called("e3", total("=22", "2023-10-31")), called("e4", total("=36", "2023-11-30"))]
OTHERS = [called("x3", total("=23", "2023-10-31")), called("x4", total("=37", "2023-11-30"))]


@dataclass
class Restored:
    """A ledger whose server was put back to where it had the earlier events, and what was kept outside it."""

    ledger: Ledger
    earlier: str
    reference: str
    position: int
    digest: str

    def append(self, events: list[Event]) -> None:
        self.ledger.log.append(events)
        run_here(self.ledger.log.client, self.ledger.name)


@pytest.fixture
def restored(start_server: Callable[..., Server]) -> Restored:
    server = start_server()
    ledger = Ledger(server)
    log = ledger.log
    log.append(EARLIER)
    run_here(log.client, ledger.name)
    earlier = str(cite(log, "totals"))
    files, copy = server.directory / "appendonlydir", server.directory / "copy"
    server.stop()
    shutil.copytree(files, copy)
    server.start()
    receipts = log.append(LOST)
    run_here(log.client, ledger.name)
    last = log.at(receipts[-1].position)
    assert last is not None
    kept = Restored(ledger, earlier, str(cite(log, "totals")), last.position, last.digest)
    assert check(log, kept.reference).same
    server.stop()
    shutil.rmtree(files)
    copy.rename(files)
    server.start()
    return kept


def test_the_ledger_itself_goes_on_as_if_nothing_had_been_there(restored: Restored) -> None:
    for events in ([], OTHERS):
        if events:
            restored.append(events)
        status = restored.ledger.run("status", "--json").document
        assert status["head"] == 2 + len(events)
        assert {each["position"] for each in status["projections"]} == {2 + len(events)}
    assert [each.id for each in restored.ledger.log.append(OTHERS)] == ["x3", "x4"]
    assert queries.totals(restored.ledger.log)["position"] == 4


def test_a_reference_tells_that_the_log_ends_before_it_or_that_it_is_another(restored: Restored) -> None:
    log = restored.ledger.log
    assert check(log, restored.reference).reason == "ledger-shorter"
    restored.append(OTHERS)
    assert check(log, restored.reference).reason == "digest-differs"
    assert check(log, restored.earlier).same  # what it pins is there
    ran = restored.ledger.run("cite", "--check", restored.reference, code=1)
    assert "the log gives digest" in ran.out + ran.err


def test_a_position_and_an_id_that_a_producer_kept_tell(restored: Restored) -> None:
    log = restored.ledger.log
    assert log.position_of(LOST[-1].source, LOST[-1].id) is None
    with pytest.raises(StaleExpectation, match="is at position 2, and position 4 was expected"):
        log.append([called("e5", total("=40", "2023-12-31"))], expected_position=restored.position)
    with pytest.raises(LogForked, match="the log ends before it"):
        next(log.follow(restored.position, wait=0.01, entry=restored.digest))
    restored.append(OTHERS)
    with pytest.raises(LogForked, match="another event is there now"):
        next(log.follow(restored.position, wait=0.01, entry=restored.digest))
    assert [each.duplicate for each in log.append(LOST)] == [False, False]  # acknowledged before, and new now
