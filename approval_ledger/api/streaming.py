"""Server-sent events: one thread follows a ledger's log, and any number of readers wait for what it finds.

A reader has a position and no queue: what came while it was busy it takes from the last events, which are kept, or from
the log. So a slow one costs no memory and misses nothing; one that takes nothing at all for SEND_SECONDS is let go, and
comes back with Last-Event-ID. Where the log is rolled back or replaced, positions mean something else from then on: all
readers are told so, and to forget theirs.
"""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, suppress
from functools import partial
from itertools import islice
from typing import Annotated

import structlog
from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.types import Receive, Scope, Send

from events import (
    Lagging,
    LedgerError,
    Log,
    LogForked,
    RecordedEvent,
    StorageUnavailable,
    alongside,
    as_json_line,
    canonical,
)

from . import documents, parameters
from .access import READING, may_still_read
from .ledgers import LogOf
from .problems import RequestRefused, wrong_in

router = APIRouter(prefix="/ledgers/{ledger}", tags=["log"], dependencies=[READING])
logger = structlog.get_logger("http")

MEDIA_TYPE = "text/event-stream"
HEARTBEAT = 15.0  # seconds without an event, after which a comment keeps the connection alive
SEND_SECONDS = 30.0
ASK_AGAIN = 3.0  # seconds: a token that was revoked so long ago gets no further event
RECENT = 1_000  # events kept for readers that are not far behind
PAGE = 200  # events read from the log at once by a reader that is further behind
PIECE = 64 * 1024  # bytes sent at once, as far as whole events are no longer
# Ledgers at once, each in a thread and over a connection; any name is followed, also that of a ledger that is not there. So many
# in which nothing happens take 3 % of a core, and 14 MB.
FOLLOWED = 64
_WAIT = 0.5  # seconds: so long after its end a follower may go on to wait
_AGAIN = 1.0  # seconds between two tries of a follower to reach the server


def frame(event: RecordedEvent) -> bytes:
    """The event as one of a stream; its id is its position."""
    data = b"".join(b"data: %b\n" % line for line in re.split(rb"\r\n|\r|\n", as_json_line(event)))
    return b"id: %d\n%b\n" % (event.position, data)


def farewell(error: LogForked) -> bytes:
    """The end of a stream whose log is another one now. The empty id takes a client's position from it, which is of the log that
    was: it comes back as it came first."""
    says = canonical({"code": error.code, "detail": str(error)})
    return b"event: %b\nid:\ndata: %b\n\n" % (error.code.encode(), says)


class Follower:
    """Follows one ledger in a thread of its own, for the readers in one event loop. It waits over a connection of its own: those
    of the pool are for who asks."""

    def __init__(self, log: Log, head: int) -> None:
        self.log = log
        self.head = head
        self.readers = 0
        self.error: LedgerError | None = None
        self._loop = asyncio.get_running_loop()
        self._recent: deque[tuple[int, bytes]] = deque(maxlen=RECENT)
        self._news = asyncio.Event()
        self._found: list[RecordedEvent] = []
        self._lock = (
            threading.Lock()
        )  # of what is found: the thread may be between its look at it and what it adds
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"follow-{log.ledger}", daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._ended.set()

    @property
    def runs(self) -> bool:
        """Whether its thread is still running: even when told to end, it first waits for the store's answer."""
        return self._thread.is_alive()

    def after(self, position: int) -> list[bytes] | None:
        """The frames after `position`, or None if they are no longer kept."""
        if position >= self.head:
            return []
        if not self._recent or self._recent[0][0] > position + 1:
            return None
        newest_first = islice(reversed(self._recent), self.head - position)
        return [frame for _, frame in newest_first][::-1]

    async def news(self, seconds: float) -> None:
        """Returns when the log has grown since, or the follower failed, or the time is over."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), seconds)

    def _run(self) -> None:
        with closing(alongside(self.log.client)) as client:
            self._follow(Log(client, self.log.ledger))

    def _follow(self, log: Log) -> None:
        after, last = self.head, None
        while not self._ended.is_set():
            try:
                # Remembered here, too: whoever comes back to the server may find another log there.
                last = last or log.at(after)
                entry = last.digest if last else ""
                for event in log.follow(after, wait=_WAIT, entry=entry):
                    if self._ended.is_set():
                        return
                    if event is not None:
                        after, last = event.position, event
                        self._hand_over(event)
            except StorageUnavailable as error:
                if self._ended.is_set():
                    return
                logger.warning("stream_waits", ledger=log.ledger, code=error.code, says=str(error))
                self._ended.wait(_AGAIN)
            except LedgerError as error:
                self.fail(error)
                return

    def _hand_over(self, event: RecordedEvent) -> None:
        # A page of events is one wake-up of the readers, not one each.
        with self._lock:
            first = not self._found
            self._found.append(event)
        if first:
            with suppress(RuntimeError):  # the loop is closed: the process ends
                self._loop.call_soon_threadsafe(self._take)

    def fail(self, error: LedgerError) -> None:
        """Ends the streams of all readers. The first error is the one that they hear of."""
        if self._ended.is_set():
            return
        self.end()
        _say_failed(self.log, error)
        self.error = error
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._wake)

    def _take(self) -> None:
        with self._lock:
            found, self._found = self._found, []
        for event in found:
            self._recent.append((event.position, frame(event)))
            self.head = event.position
        self._wake()

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()


def _say_failed(log: Log, error: LedgerError) -> None:
    logger.error("stream_failed", ledger=log.ledger, code=error.code, says=str(error))


class Streams:
    """The followers and readers of a server. `close` ends all of them, from any thread."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._followers: dict[str, Follower] = {}
        self._running: list[Follower] = []  # with those that were told to end
        self._closed = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.open = 0

    def close(self) -> None:
        if self._loop is None:
            self._closed.set()  # nobody waits for it yet; the first reader, who may be on its way, is refused
        else:
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._close)

    def _close(self) -> None:
        self._closed.set()
        for follower in self._followers.values():
            follower.end()

    @property
    def closed(self) -> bool:
        return self._closed.is_set()

    async def wait_closed(self) -> None:
        await self._closed.wait()

    def require_room(self, log: Log) -> None:
        """Raises RequestRefused where no further reader is taken, or none of this ledger."""
        if self.closed:
            raise RequestRefused(503, "busy", "the server was told to stop: ask again", {"Retry-After": "1"})
        if self.open >= self._most:
            raise RequestRefused(
                503,
                "too-many-streams",
                f"{self.open:,} streams are open, and no more may be: try later, or read pages of events",
                {"Retry-After": "5"},
            )
        self._running = [each for each in self._running if each.runs]
        if self._follower_of(log) is None and len(self._running) >= FOLLOWED:
            raise RequestRefused(
                503,
                "busy",
                f"streams of {FOLLOWED} ledgers are open, and none of another is opened: try later, or read pages of events",
                {"Retry-After": "5"},
            )

    def _follower_of(self, log: Log) -> Follower | None:
        follower = self._followers.get(log.ledger)
        return None if follower is None or follower.error is not None else follower

    def enter(self, log: Log, head: int) -> Follower:
        """The follower of this log, with one more reader. Raises RequestRefused where no further reader is taken."""
        self.require_room(log)  # again: others came while this one asked for the head
        self._loop = asyncio.get_running_loop()
        follower = self._follower_of(log)
        if follower is None:
            follower = self._followers[log.ledger] = Follower(log, head)
            self._running.append(follower)
        follower.readers += 1
        self.open += 1
        return follower

    def leave(self, follower: Follower) -> None:
        follower.readers -= 1
        self.open -= 1
        if follower.readers == 0:
            follower.end()
            if self._followers.get(follower.log.ledger) is follower:
                del self._followers[follower.log.ledger]


@router.get("/events/stream", responses=documents.stream())
async def stream(request: Request, log: LogOf, query: Annotated[parameters.Following, Query()]) -> Response:
    """The events as they come, as server-sent events: `id` is the position, `data` the event as it is stored.

    Goes on after `Last-Event-ID`, or else after `after`, or else after the head.
    """
    streams: Streams = request.app.state.streams
    streams.require_room(log)
    head = await run_in_threadpool(log.head)
    asked = _last_seen(request)
    after = asked if asked is not None else query.after if query.after is not None else head
    if after > head:
        raise Lagging(f"ledger {log.ledger} ends at position {head}: it has no position {after} yet")
    return EventStream(streams, log, head, after, partial(may_still_read, request, log))


def _last_seen(request: Request) -> int | None:
    given = request.headers.get("last-event-id")
    if given is None or given == "":
        return None
    if re.fullmatch(r"\d{1,16}", given, re.ASCII) is None or int(given) >= 2**53:
        says = "Last-Event-ID is the position of the last event that was received"
        raise wrong_in("header", "Last-Event-ID", "validation", says)
    return int(given)


class EventStream(Response):
    """The response that does not end by itself."""

    media_type = MEDIA_TYPE

    def __init__(
        self, streams: Streams, log: Log, head: int, after: int, allowed: Callable[[], bool]
    ) -> None:
        """`allowed` says whether its reader may still read, whenever it is asked."""
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._streams, self._log, self._head, self._after = streams, log, head, after
        self._allowed, self._ask_at = allowed, time.monotonic() + ASK_AGAIN
        self._read: RecordedEvent | None = None  # what was read last from the log itself

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("head"):
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            return
        follower = self._streams.enter(self._log, self._head)
        over = [
            asyncio.create_task(_gone(receive)),
            asyncio.create_task(self._streams.wait_closed()),
            sending := asyncio.create_task(self._send(follower, send)),
        ]
        try:
            await asyncio.wait(over, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in over:
                task.cancel()
            await asyncio.gather(*over, return_exceptions=True)
            self._streams.leave(follower)
        if not sending.cancelled() and (error := sending.exception()) is not None:
            raise error
        if self._streams.closed:
            with suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send(self, follower: Follower, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        try:
            async for content in self._frames(follower):
                async with asyncio.timeout(SEND_SECONDS):
                    await send({"type": "http.response.body", "body": content, "more_body": True})
        except TimeoutError:
            return  # it takes nothing: let it come back
        except LedgerError as error:
            _say_failed(self._log, error)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _frames(self, follower: Follower) -> AsyncIterator[bytes]:
        position = self._after
        # An id without data is no event, but remembered: whoever comes back before the first event misses none.
        yield b"retry: 2000\nid: %d\n\n" % position
        while follower.error is None:
            frames = follower.after(position)
            if frames is None:
                frames = await self._from_the_log(position, follower)
            if frames:
                position += len(frames)
                for piece in _pieces(frames):
                    if not await self._is_allowed():
                        return
                    yield piece
                continue
            await follower.news(HEARTBEAT if position >= follower.head else _AGAIN)
            if position >= follower.head and follower.error is None:
                if not await self._is_allowed():
                    return
                yield b": nothing new\n\n"
        if isinstance(follower.error, LogForked):
            yield farewell(follower.error)

    async def _is_allowed(self) -> bool:
        """What was found at most ASK_AGAIN seconds ago, or is found now. Waits where the server cannot say."""
        if time.monotonic() < self._ask_at:
            return True
        while True:
            try:
                allowed = await run_in_threadpool(self._allowed)
            except StorageUnavailable:
                await asyncio.sleep(_AGAIN)
            else:
                self._ask_at = time.monotonic() + ASK_AGAIN
                return allowed

    async def _from_the_log(self, position: int, follower: Follower) -> list[bytes]:
        entry = self._read.digest if self._read and self._read.position == position else ""
        try:
            page = await run_in_threadpool(partial(self._log.page, position, PAGE, entry=entry))
        except StorageUnavailable:
            return []  # its follower says so, and tries again
        except LogForked as error:
            # The follower has waited for longer than this reader, so that it follows what is there no more, too.
            follower.fail(error)
            return []
        self._read = page[-1] if page else None
        return [frame(event) for event in page]


def _pieces(frames: list[bytes]) -> Iterator[bytes]:
    """The frames together, in few pieces: what is in one waits in memory for a slow reader."""
    piece = bytearray()
    for each in frames:
        if piece and len(piece) + len(each) > PIECE:
            yield bytes(piece)
            piece.clear()
        piece += each
    yield bytes(piece)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
