"""The example files: each is valid, and lines that two of them hold are the same."""

from __future__ import annotations

import json

from events import catalog, valid_events

from .given import EXAMPLES


def lines(name: str) -> list[bytes]:
    return (EXAMPLES / name).read_bytes().splitlines()


def test_every_example_is_valid_and_an_event_is_the_same_in_each_file() -> None:
    by_identity: dict[tuple[str, str], bytes] = {}
    files = sorted(path.name for path in EXAMPLES.glob("*.ndjson"))
    assert files == ["2024-01-news.ndjson", "2024-04-list.ndjson", "history.ndjson", "names.ndjson"]
    for name in files:
        for line, event in zip(lines(name), valid_events((EXAMPLES / name).read_bytes()), strict=True):
            assert by_identity.setdefault((event.source, event.id), line) == line


def test_the_names_are_those_of_the_history() -> None:
    identified = [
        line for line in lines("history.ndjson") if json.loads(line)["type"] == catalog.CompanyIdentified.TYPE
    ]
    assert lines("names.ndjson") == identified


def test_the_readme_of_the_examples_counts_the_events_of_each_file() -> None:
    readme = (EXAMPLES / "README.md").read_text("utf-8")
    for path in EXAMPLES.glob("*.ndjson"):
        assert f"| `{path.name}` | {len(lines(path.name))} |" in readme
