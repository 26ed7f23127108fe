"""Whoever looks again and again outlasts whatever is found, and tells of it once as long as it lasts."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

import pytest
from structlog.testing import capture_logs

from events import Log, StorageUnavailable
from workers import deliver, rebuild
from workers.watching import watching


class Over(BaseException):
    """Ends what goes on for ever."""


def test_what_is_wrong_is_told_once_as_long_as_it_lasts_and_again_when_it_comes_back() -> None:
    away, mistake = StorageUnavailable("away"), ZeroDivisionError("a mistake of ours")
    found: Iterator[Exception | list[Exception] | Over] = iter(
        [[], [away, mistake], [mistake, away], mistake, [], away, Over()]
    )

    def look() -> list[Exception]:
        each = next(found)
        if isinstance(each, BaseException):
            raise each
        return each

    with capture_logs() as said, pytest.raises(Over):
        watching("webhooks", look, 0.0)
    assert [(line["event"], line["code"], line["says"]) for line in said] == [
        ("webhooks", "storage-unavailable", "away"),
        ("webhooks", "ZeroDivisionError", "a mistake of ours"),
        ("webhooks", "storage-unavailable", "away"),
    ]
    assert [line.get("exc_info") for line in said] == [None, mistake, None]


@pytest.mark.parametrize(("module", "asks"), [(deliver, "due"), (rebuild, "wanted")])
def test_who_rings_for_webhooks_and_for_rebuilds_goes_on_after_any_error(
    log: Log, monkeypatch: pytest.MonkeyPatch, module: ModuleType, asks: str
) -> None:
    monkeypatch.setattr(module, "PERIOD", 0.001)
    looks: Iterator[Exception | list[str] | Over] = iter([ValueError("unexpected"), [], Over()])

    def found(*_: object) -> list[str]:
        each = next(looks)
        if isinstance(each, BaseException):
            raise each
        return each

    monkeypatch.setattr(module, asks, found)
    with capture_logs() as said, pytest.raises(Over):
        module.watch(log)
    assert [(line["code"], line["says"]) for line in said] == [("ValueError", "unexpected")]
