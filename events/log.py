"""The log: append, read, head. One ledger is one stream, in one total order, with no gap."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, cast

import redis
from redis.client import Pipeline

from . import durability, keys
from .append_call import Subject, append_call, damage, require_position
from .codec import canonical
from .connection import OF_EVENTS, conversation, storage
from .envelope import Event, Receipt, RecordedEvent
from .errors import BadQuestion, LogDamaged, LogForked, NotDurable
from .functions import load

PAGE = 500  # entries a read fetches at once: measured best between 500 and 1,000
DURABILITY_PERIOD = 10.0  # seconds for which a check of the server's settings holds
REWRITE_PATIENCE = 2.0  # seconds that an append waits for a rewrite to end; one of 64 MiB took 0.2 to 0.4
_LOOK_AGAIN = 0.05
_LAST = 2**64  # every position lies before it
_LATEST = 253_402_300_799_999  # the last millisecond of the year 9999: no date of Python's lies beyond it


class Log:
    """One ledger's log on a server. Safe to share between threads; its only state is when the last durability check was."""

    def __init__(self, client: redis.Redis, ledger: str) -> None:
        """Raises BadQuestion if `ledger` cannot name a ledger, or `client` decodes the server's answers to text, or gives none."""
        given: object = client  # whatever its annotation promises
        if not isinstance(given, redis.Redis) or isinstance(given, Pipeline):
            raise BadQuestion(
                f"a log cannot be read over {type(client).__module__}.{type(client).__name__}: pass a `redis.Redis`, such as `connect` makes"
            )
        if client.get_encoder().decode_responses:
            # Found out here: otherwise an append would be stored, and its answer not understood.
            raise BadQuestion(
                "this client decodes the server's answers to text (decode_responses), but a log is bytes: make the client with `connect`, or "
                "without decode_responses"
            )
        self.client = client
        self.ledger = keys.checked_ledger(ledger)
        self._key = keys.log(self.ledger)
        self._append = client.register_script(load("append"))
        self._durable_until = float("-inf")

    def append(
        self,
        events: Iterable[Event],
        *,
        expected_position: int | None = None,
        expected_subject: tuple[str, Subject] | None = None,
    ) -> list[Receipt]:
        """Appends all of `events`, or none, and returns where each is.

        On return every event is written and synced to the server's disk. An event whose source and id are known, with
        the same content, is not stored again: its receipt has the old position. `expected_position` is the head that
        the caller has seen; `expected_subject` is a subject with "none", "exists", or the position of its last event.
        If all events are there already, nothing is written, and the expectations are not checked.

        Raises Refused (InvalidEvent, TooLarge, IdConflict, StaleExpectation, NotDurable) or StorageUnavailable:
        nothing was stored. Raises OutcomeUnknown: no reply came; append the same events again. Raises LogDamaged.
        """
        made = append_call(self.ledger, events, expected_position, expected_subject)
        self._require_durable()
        with storage(writing=True, words=OF_EVENTS):
            reply = cast(list[bytes], self._append(keys=made.keys, args=made.arguments))
        return made.receipts(reply)

    def append_each(self, batches: Iterable[Iterable[Event]]) -> Iterator[list[Receipt]]:
        """Appends one batch after the other, each as `append` does, and yields the receipts of each.

        While the server writes one batch, the next is taken from `batches`, checked and encoded; so it is best if both
        `batches` and what is in them are generators. An error ends the iteration; it concerns the batch after those whose
        receipts were yielded, all of which are stored. The next batch is sent only when the next receipts are asked for, so
        whoever stops asking leaves none under way.

        Raises as `append` does, and what `batches` raises.
        """
        ready = (append_call(self.ledger, events) for events in batches)
        current = next(ready, None)
        while current is not None:
            following, failure = None, None
            self._require_durable()
            with conversation(self.client, words=OF_EVENTS) as server:
                server.send(
                    ("EVALSHA", self._append.sha, len(current.keys), *current.keys, *current.arguments)
                )
                try:
                    following = next(ready, None)
                except Exception as error:  # noqa: BLE001  # raised below, after what was sent has been answered
                    failure = error
                (reply,) = server.answers()
            with storage(writing=True, words=OF_EVENTS):
                if isinstance(reply, redis.exceptions.NoScriptError):
                    reply = self._append(keys=current.keys, args=current.arguments)
                if isinstance(reply, Exception):
                    raise reply
            yield current.receipts(reply)
            if failure is not None:
                raise failure
            current = following

    def head(self) -> int:
        """The last position; 0 for an empty ledger. Raises LogDamaged, StorageUnavailable.

        Takes the same time for any length: a stream that was only appended to has as many entries as its last position.
        """
        return self.end()[0]

    def end(self) -> tuple[int, int]:
        """The last position, and when it was recorded, in milliseconds since 1970; (0, 0) for an empty ledger. Raises what
        `head` raises."""
        with storage():
            # Not in a transaction, because a full server refuses even MULTI (Redis 7.0), so an append may come in between. The
            # ids are therefore counted before and after; in a sound log the last position lies between the two counts.
            pipeline = self.client.pipeline(transaction=False)
            self.ask_end(pipeline)
            return self.read_end(pipeline.execute(raise_on_error=False))

    def ask_end(self, pipeline: Pipeline) -> None:
        """Adds to a pipeline the three commands whose replies `read_end` takes. One reply may be an error, which is right for a
        ledger without a log."""
        pipeline.hlen(keys.ids(self.ledger))
        pipeline.xinfo_stream(self._key)
        pipeline.hlen(keys.ids(self.ledger))

    def read_end(self, replies: Sequence[Any]) -> tuple[int, int]:
        """The end of the log, from the replies to `ask_end`: see `end`."""
        with storage():
            before, about, known = replies
            if isinstance(about, redis.exceptions.ResponseError) and "no such key" in str(about):
                about = {"length": 0, "entries-added": 0, "last-generated-id": b"0-0"}
            for answer in (before, about, known):
                if isinstance(answer, Exception):
                    raise answer
        given = bytes(about["last-generated-id"])
        newest = bytes((about.get("last-entry") or [b"0-0"])[0])
        last, recorded_ms = map(int, given.split(b"-"))
        sound = about["length"] == about["entries-added"] == last and before <= last <= known
        if newest != given or not sound:
            raise LogDamaged(
                damage(self.ledger, about["length"], about["entries-added"], known, newest, given)
            )
        return last, recorded_ms

    def read(self, after: int = 0, limit: int | None = None) -> Iterator[RecordedEvent]:
        """The events from position `after` + 1 on, in order, until the log's end or `limit` events.

        Raises LogDamaged if a position is missing, including the last ones; LogForked if the log was replaced between two pages;
        BadQuestion for a negative `after`.
        """
        require_position(after)
        entry = ""
        while limit is None or limit > 0:
            page = self.page(after, PAGE if limit is None else min(PAGE, limit), entry=entry)
            yield from page
            if not page:
                self.head()  # only the head reveals that a log has lost its last entries
                return
            after, entry = page[-1].position, page[-1].digest
            limit = None if limit is None else limit - len(page)

    def page(self, after: int, count: int, *, entry: str = "") -> list[RecordedEvent]:
        """At most `count` events from position `after` + 1 on, in one round trip.

        Raises LogForked if `entry` is given and is not the digest of the event at `after`; LogDamaged if a position is
        missing.
        """
        require_position(after)
        if count <= 0:
            return []
        return self._without_gap(self._next_to(after, entry, count, 1), after, 1)

    def _next_to(self, position: int, entry: str, count: int, step: int) -> list[Any]:
        """At most `count` entries after `position` (`step` 1) or before it (-1). Raises LogForked if `entry` is given and is not the
        digest of the event there."""
        with storage():
            pipeline = self.client.pipeline(transaction=False)
            if step > 0:
                pipeline.xrange(self._key, min=str(position + 1), count=count)
            else:
                pipeline.xrevrange(self._key, max=str(position - 1), count=count)
            if entry:
                self.ask_at(pipeline, position)
            entries, *there = pipeline.execute()
        if entry:
            self._require_same_log(position, entry, self.read_at(position, there[0]))
        return cast(list[Any], entries)

    def _without_gap(self, entries: list[Any], last: int, step: int) -> list[RecordedEvent]:
        events = [_recorded(entry) for entry in entries]
        for event in events:
            if event.position != last + step:
                raise LogDamaged(
                    f"ledger {self.ledger}: position {last + step} is missing; the next is {event.position}. "
                    "Something other than this software wrote to the log: stop the writers and restore a backup."
                )
            last += step
        return events

    def read_backwards(self, before: int | None = None, limit: int | None = None) -> Iterator[RecordedEvent]:
        """At most `limit` events before position `before` (default: all up to the head), newest first. Raises LogDamaged if a
        position is missing; LogForked if the log was replaced between two pages."""
        if before is not None:
            require_position(before)
        head, entry = self.head(), ""
        before = head + 1 if before is None else min(before, head + 1)
        while before > 1 and (limit is None or limit > 0):
            count = PAGE if limit is None else min(PAGE, limit)
            page = self._without_gap(self._next_to(before, entry, count, -1), before, -1)
            yield from page
            if not page:
                raise LogDamaged(f"ledger {self.ledger}: position {before - 1} is missing. Restore a backup.")
            before, entry = page[-1].position, page[-1].digest
            limit = None if limit is None else limit - len(page)

    def read_subject(
        self,
        subject: str,
        after: int = 0,
        limit: int | None = None,
        *,
        before: int | None = None,
        backwards: bool = False,
    ) -> Iterator[RecordedEvent]:
        """At most `limit` events of one subject after position `after`, and before `before` if that is given, in order, or newest
        first.

        Raises LogDamaged if the list of the subject names an event that is not in the log, or that has another subject.
        """
        require_position(after)
        if before is not None:
            require_position(before)
        for page in self._listed(subject, after, _LAST if before is None else before, backwards=backwards):
            wanted = page if limit is None else page[: max(0, limit)]
            for event in self.at_each(wanted):
                # As the log writes it. Inside a string the quotation marks would be escaped.
                written = b'"subject":' + canonical(subject)
                if written not in event.payload:
                    raise LogDamaged(
                        f"ledger {self.ledger}: position {event.position} is listed for subject {subject!r}, but has another: "
                        "something else wrote to the ledger. Restore a backup."
                    )
                yield event
            if limit is not None and (limit := limit - len(wanted)) <= 0:
                return

    def _listed(self, subject: str, after: int, before: int, *, backwards: bool) -> Iterator[list[int]]:
        """The positions between `after` and `before` that are listed for a subject, a page at a time, in order or backwards. The list
        is sorted, so the first page is found by bisection: reading all of 300,000 positions takes longer."""
        key = keys.subject(self.ledger, subject)

        def listed(first: int, last: int) -> list[int]:
            with storage():
                found = cast(list[bytes], self.client.lrange(key, first, last))
            return [self._position(each) for each in found]

        def begins_with(page: int) -> int:
            return next(iter(listed(page * PAGE, page * PAGE)), _LAST)

        def beginning_before(position: int) -> int:
            """How many pages begin before `position`."""
            beyond = 1
            while begins_with(beyond) < position:
                beyond *= 2
            return bisect_left(range(beyond), position, lo=beyond // 2, key=begins_with)

        page = (
            beginning_before(before) - 1
            if backwards
            else max(0, beginning_before(after + 1) - 1)
            if after
            else 0
        )
        while page >= 0:
            positions = listed(page * PAGE, (page + 1) * PAGE - 1)
            wanted = [position for position in positions if after < position < before]
            yield wanted[::-1] if backwards else wanted
            if backwards:
                page -= 1
                ended = not positions or positions[0] <= after
            else:
                page += 1
                ended = len(positions) < PAGE or positions[-1] >= before
            if ended:
                return

    def at_each(self, positions: Sequence[int]) -> list[RecordedEvent]:
        """The events at these positions, in one round trip. Raises LogDamaged where one is missing."""
        if not positions:
            return []
        with storage():
            pipeline = self.client.pipeline(transaction=False)
            for position in positions:
                pipeline.xrange(self._key, min=str(position), max=str(position))
            found = cast(list[list[Any]], pipeline.execute())
        for position, entries in zip(positions, found, strict=True):
            if not entries:
                raise LogDamaged(f"ledger {self.ledger}: position {position} is missing. Restore a backup.")
        return [_recorded(entries[0]) for entries in found]

    def follow(self, after: int, *, wait: float = 5.0, entry: str = "") -> Iterator[RecordedEvent | None]:
        """The events after `after`, for ever: waits for new ones, and yields None each time `wait` seconds bring none.

        A wait takes at most half of the client's time-out. `entry` is the digest of the event at `after`, for a caller that
        has read that event before; without it, whatever is there when the first event is asked for counts.
        After each wait, and before each page, raises LogForked if there is another event, or none, at the last position that
        was read. Raises LogDamaged if a position is missing.
        """
        require_position(after)
        longest = (self.client.connection_pool.connection_kwargs.get("socket_timeout") or 2 * wait) / 2
        block = max(1, int(min(wait, longest) * 1000))  # 0 would be "for ever"
        while True:
            with storage():
                pipeline = self.client.pipeline(transaction=False)
                if not entry:
                    self.ask_at(pipeline, after)
                pipeline.xread({self._key: f"{after}-{2**64 - 1}"}, count=PAGE, block=block)
                # Answered after the wait, so that it shows whether the new events are of the log that was read.
                self.ask_at(pipeline, after)
                *before, found, there = pipeline.execute()
            if before and before[0]:
                entry = _recorded(before[0][0]).digest
            if entry:
                self._require_same_log(after, entry, self.read_at(after, there))
            if not found:
                yield None
                continue
            entries = next(iter(found.values()))[0] if isinstance(found, dict) else found[0][1]
            page = self._without_gap(entries, after, 1)
            yield from page
            after, entry = page[-1].position, page[-1].digest

    def _require_same_log(self, position: int, entry: str, found: RecordedEvent | None) -> None:
        if found is not None and found.digest == entry:
            return
        what = "the log ends before it" if found is None else "another event is there now"
        raise LogForked(
            f"ledger {self.ledger}: its log was read up to position {position}, and {what}. The log was rolled back or replaced "
            "(an old backup, a promoted replica). Nothing further was read. Restore the log; or, if this log is the right "
            "one, forget what was read of the other and begin with its first event."
        )

    def at(self, position: int) -> RecordedEvent | None:
        """The event at `position`, or None if the log is not that long. Raises LogDamaged if it was lost."""
        require_position(position)
        with storage():
            found = cast(list[Any], self.client.xrange(self._key, min=str(position), max=str(position)))
        return self.read_at(position, found)

    def still_at(self, position: int) -> RecordedEvent:
        """The event at `position`, which the log had a moment ago. Raises LogForked if the log now ends before it."""
        if (event := self.at(position)) is None:
            raise self.is_shorter_than(position)
        return event

    def is_shorter_than(self, position: int) -> LogForked:
        """The error to raise if the log ends before `position`, which it had a moment ago."""
        return LogForked(
            f"ledger {self.ledger}: the log had position {position} a moment ago, and ends before it now: it was rolled back or "
            "replaced while it was read (an old backup, a promoted replica). Restore the log; or, if this log is the right one, ask again"
        )

    def ask_at(self, pipeline: Pipeline, position: int) -> None:
        """Adds to a pipeline the command whose reply `read_at` takes."""
        pipeline.xrange(self._key, min=str(position), max=str(position))

    def read_at(self, position: int, found: list[Any]) -> RecordedEvent | None:
        """The event at `position`, from the reply to `ask_at`: see `at`."""
        if not found and position > 0:
            self.head()  # raises if the log is long enough and has lost this position
        return _recorded(found[0]) if found else None

    def position_of(self, source: str, id: str) -> int | None:
        """The position of the event with this source and id, or None."""
        with storage():
            found = cast(
                bytes | None, self.client.hget(keys.ids(self.ledger), cast(str, keys.identity(source, id)))
            )
        return None if found is None else self._position(found)

    def positions_of(self, references: Iterable[tuple[str, str]]) -> dict[tuple[str, str], int]:
        """The positions of the events with these sources and ids, by source and id, without those that the log does not hold; in
        one round trip."""
        wanted = list(dict.fromkeys(references))
        if not wanted:
            return {}
        with storage():
            fields = [keys.identity(*each) for each in wanted]
            found = cast(
                list[bytes | None], self.client.hmget(keys.ids(self.ledger), cast(list[str], fields))
            )
        return {each: self._position(at) for each, at in zip(wanted, found, strict=True) if at is not None}

    def _position(self, indexed: bytes) -> int:
        """A position as the index of ids or of a subject names it. Raises LogDamaged if it is not a number."""
        if not indexed.isdigit():
            raise LogDamaged(
                f"ledger {self.ledger}: an index of the log names {indexed!r:.80} as a position: something else wrote to it. "
                "Restore a backup."
            )
        return int(indexed)

    def _require_durable(self) -> None:
        if time.monotonic() < self._durable_until:
            return
        deadline = time.monotonic() + REWRITE_PATIENCE
        while findings := durability.check(self.client, words=OF_EVENTS):
            if findings != (durability.REWRITING,) or time.monotonic() >= deadline:
                raise NotDurable(findings)
            time.sleep(_LOOK_AGAIN)
        self._durable_until = time.monotonic() + DURABILITY_PERIOD


def _recorded(entry: Any) -> RecordedEvent:
    entry_id, fields = entry
    position, _, recorded_ms = bytes(entry_id).partition(b"-")
    try:
        event = RecordedEvent(int(position), int(recorded_ms), fields[b"e"])
    except (KeyError, TypeError):
        raise LogDamaged(
            f"entry {bytes(entry_id).decode()} of the log has no event in it: something else wrote to it. Restore a backup."
        ) from None
    if event.recorded_ms > _LATEST:
        raise LogDamaged(
            f"entry {bytes(entry_id).decode()} of the log was recorded after the year 9999: something else wrote to it. Restore a backup."
        )
    return event
