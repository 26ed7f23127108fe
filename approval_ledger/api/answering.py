"""An answer over HTTP: as of the ledger's current state, in the requested form, and not computed twice."""

from __future__ import annotations

import re
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from threading import Condition
from typing import Any
from weakref import WeakKeyDictionary

from fastapi import Request, Response
from redis import Redis

from events import Lagging, Log, RecordedEvent, Unreadable, canonical, storage
from projections import (
    FIRST,
    PROJECTIONS,
    Answer,
    Asked,
    Generation,
    Projection,
    Store,
    has_moved,
    live_generations,
    live_of,
    queries,
)

from .. import exporting
from .access import reads_are_public
from .conditional import has, has_any
from .problems import Behind, RequestRefused

NEAR = 500  # events: so many the answer folds in memory itself, so that whoever publishes sees it at once
PATIENCE = 5.0  # seconds to wait for projections that are further behind, or for a turn to build
LOOK = 0.05  # seconds between two looks at them
# Whoever builds an answer, or waits to, or for projections, takes one of the server's 40 threads: half of them are for all else.
BUILT_AT_ONCE = 4
WAITING = 16
WAITING_FOR_ONE = 8
TRY_AGAIN = 5  # seconds, for whoever cannot wait
KEPT_BYTES = 32 * 1024 * 1024
KEPT_PART = 4  # no answer takes more than this part of it: one might leave no other, nor itself
PINNED_SECONDS = 3_600
VERSION = version("approval-ledger")

JSON, CSV, PARQUET = "application/json", "text/csv; charset=utf-8", "application/vnd.apache.parquet"
MEDIA_TYPES = {"json": JSON, "csv": CSV, "parquet": PARQUET}
_WEIGHT = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?")


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a ledger and its projections are: at equal standings, equal questions have equal answers."""

    ledger: str
    head: int
    recorded_ms: int
    generations: tuple[int, ...]
    parked: tuple[int, ...]
    reached: int

    @classmethod
    def of(
        cls, log: Log, needed: Sequence[Projection], *, live: bool = False, position: int | None = None
    ) -> Standing:
        """As it is now, with how many events each of the `needed` projections could not apply, and, for what is `live`, how far
        they are; or, for a question about a `position` of the past, the same however long the log is. Raises what the log and
        the stores raise. Writes nothing: a reader makes no generation."""
        last = _LIVE.setdefault(log.client, {})
        generations = [
            Store(log, each).generation(last.get((log.ledger, each.name), FIRST)) for each in needed
        ]
        while (found := _look(log, generations, live=live, position=position)) is None:
            generations = live_generations(log, needed)
            last |= {(log.ledger, each.name): each.number for each in generations}
        parked, reached, (head, recorded_ms), event = found
        if position is not None:
            head, recorded_ms = position, 0 if event is None else event.recorded_ms
        numbers = tuple(generation.number for generation in generations)
        return cls(log.ledger, head, recorded_ms, numbers, tuple(parked), min(reached, default=0))

    @property
    def behind(self) -> int:
        return self.head - self.reached

    def is_near(self, at_least: int) -> bool:
        """Whether it can be answered from, of position `at_least` or a later one."""
        return self.behind <= NEAR or self.reached >= max(at_least, 1)


_LIVE: WeakKeyDictionary[Redis, dict[tuple[str, str], int]] = WeakKeyDictionary()
"""The generations that were live at the last look, for each client, by ledger and projection. They mostly still are, and asking first
would cost each answer a round trip."""


def _look(
    log: Log, generations: Sequence[Generation], *, live: bool, position: int | None
) -> tuple[list[int], list[int], tuple[int, int], RecordedEvent | None] | None:
    """How many events each of these has parked, how far each is, the end of the log, and the event at a position of it; None if
    one of them is not live any more, or has moved meanwhile."""
    with storage():
        pipeline = log.client.pipeline(transaction=False)
        for generation in generations:
            pipeline.hget(generation.store.pointer, "live")
            pipeline.hlen(generation.parked_key)
            if live:
                generation.ask_state(pipeline)
                generation.ask_position(pipeline)
        log.ask_end(pipeline)  # after the checkpoints: read before, it could be behind them
        if position:
            log.ask_at(pipeline, position)
        replies = iter(pipeline.execute(raise_on_error=False))
    there = [[_sound(next(replies)) for _ in range(5 if live else 2)] for _ in generations]
    if not all(map(_is_live, generations, (number for number, *_ in there))):
        return None
    states = [of for _, _, *of in there] if live else []
    if any(has_moved(state, position) for state, _, position in states):
        return None
    reached = [
        generation.read_state(state, held).position
        for generation, (state, held, _) in zip(generations, states, strict=False)
    ]
    end = log.read_end([next(replies) for _ in range(3)])
    event = log.read_at(position, _sound(next(replies))) if position else None
    return [parked for _, parked, *_ in there], reached, end, event


def _is_live(generation: Generation, number: bytes | None) -> bool:
    try:
        return live_of(number) == generation.number
    except Unreadable:  # whoever asks for it says what it is
        return False


def _sound(reply: Any) -> Any:
    """A reply of the server. Raises StorageUnavailable where it is an error."""
    if isinstance(reply, Exception):
        with storage():
            raise reply
    return reply


class Answers:
    """The last answers, as they were sent, up to a total size in bytes; a tag always stands for the same bytes. A few are built at
    once, but only one for each tag: whoever asks for the same one meanwhile waits, and then finds it here."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._size = 0
        self._building: set[str] = set()
        self._waiting: list[str] = []
        self._changed = Condition()

    def get_or_build(self, tag: str, build: Callable[[], tuple[bytes, bool]]) -> tuple[bytes, bool]:
        """What is kept for a tag, or else what `build` returns, which is kept if `build` says so. Raises RequestRefused if for too long
        as many answers are being built as may be at once."""
        with self._changed:
            self._wait_for_a_turn(tag)
            if (kept := self._kept.get(tag)) is not None:
                self._kept.move_to_end(tag)
                return kept, True
            self._building.add(tag)
        try:
            content, settled = build()
            if settled:
                self.keep(tag, content)
        finally:
            with self._changed:
                self._building.remove(tag)
                self._changed.notify_all()
        return content, settled

    def _wait_for_a_turn(self, tag: str) -> None:
        def has_come() -> bool:
            free = tag not in self._building and len(self._building) < BUILT_AT_ONCE
            return free or tag in self._kept

        if has_come():
            return
        with self.waiting(tag, _MUCH_TO_BUILD):
            if not self._changed.wait_for(has_come, PATIENCE):
                raise _busy(_MUCH_TO_BUILD)

    @contextmanager
    def waiting(self, what: str, says: str) -> Iterator[None]:
        """A place to wait in, for `what`. Raises RequestRefused, which `says` why, where as many wait as may be, or for that."""
        with self._changed:
            if len(self._waiting) >= WAITING or self._waiting.count(what) >= WAITING_FOR_ONE:
                raise _busy(says)
            self._waiting.append(what)
        try:
            yield
        finally:
            with self._changed:
                self._waiting.remove(what)

    def keep(self, tag: str, content: bytes) -> None:
        if len(content) > KEPT_BYTES // KEPT_PART:
            return
        with self._changed:
            self._size += len(content) - len(self._kept.pop(tag, b""))
            self._kept[tag] = content
            while self._size > KEPT_BYTES:
                _, gone = self._kept.popitem(last=False)
                self._size -= len(gone)


_MUCH_TO_BUILD = (
    "this server is already computing as many answers as it can, perhaps this one among them: ask again"
)


def _busy(says: str) -> RequestRefused:
    return RequestRefused(503, "busy", says, {"Retry-After": str(TRY_AGAIN)})


def answered(
    request: Request,
    log: Log,
    ask: Callable[..., Answer],
    asked: Asked,
    *,
    projection: str,
    question: Mapping[str, Any],
    form: str = "json",
    written: Callable[[Answer], bytes] | None = None,
    look: Mapping[str, Any] | None = None,
    fresh_for: int | None = None,
) -> Response:
    """The answer to a question; 304 where the client has it already. `question` is all that was asked beside the axes.

    It is `written` so (as JSON), where the answer itself is not what is wanted, in this `look`.
    `fresh_for` is for how many seconds nobody need ask again; None where the next event may change the answer.
    """
    # A pinned position is before `at_least` or not, whatever the head is: who is asked says so.
    pinned = isinstance(asked["known_at"], int)
    if not pinned and asked["at_least"] and asked["at_least"] > (head := log.head()):
        raise Lagging(
            f"ledger {log.ledger} ends at position {head}: it has no position {asked['at_least']} yet"
        )
    now = standing(request, log, needed_by(projection, question), asked)
    near = asked["known_at"] is None and now.behind <= NEAR
    asking: Asked = {**asked, "at_least": now.head} if near else asked

    def build() -> tuple[bytes, bool]:
        answer = ask(log, **asking)
        settled = isinstance(asked["known_at"], int) or _is_of(now, log, answer)
        content = _content(log, answer, form, question) if written is None else written(answer)
        return content, settled

    name = f"{log.ledger}-{projection}.{form}"
    return sent(
        request,
        now,
        [dict(question), dict(asked), form, *([] if look is None else [dict(look)])],
        build,
        media_type=MEDIA_TYPES[form],
        headers={} if form == "json" else {"Content-Disposition": f'attachment; filename="{name}"'},
        fresh_for=fresh_for,
    )


def sent(
    request: Request,
    now: Standing,
    words: Sequence[Any],
    build: Callable[[], tuple[bytes, bool]],
    *,
    media_type: str,
    headers: Mapping[str, str],
    fresh_for: int | None = None,
) -> Response:
    """What `build` gives for a standing and the words of a question, from what was kept, or 304; `build` also says whether
    what it gives is of that standing, and not of one that came meanwhile: only then it has a tag, and is kept."""
    tag = _tag(now, canonical([request.url.path, *words, VERSION]))
    always = {"Cache-Control": _cache_control(request, fresh_for), "Vary": "Accept"}
    if has(request, tag):
        return Response(status_code=304, headers=always | {"ETag": tag})
    kept: Answers = request.app.state.answers
    content, settled = kept.get_or_build(tag, build)
    tagged = always | ({"ETag": tag} if settled else {})
    if has_any(request):  # not before: there may be nothing to answer with
        return Response(status_code=304, headers=tagged)
    return Response(content, media_type=media_type, headers={**tagged, **headers})


def needed_by(projection: str, question: Mapping[str, Any] | None = None) -> Sequence[Projection]:
    """The projections that an answer is made from. A question to `shares` with all of its parameters is about a share of a stock."""
    if projection == "shares" and question:
        return [*queries.COUNTING, PROJECTIONS[projection]]
    return [PROJECTIONS[projection]] if projection in ("shares", "sources") else queries.COUNTING


def standing(request: Request, log: Log, needed: Sequence[Projection], asked: Asked) -> Standing:
    """Where the ledger is, once the projections that are `needed` are near enough to what is asked. Raises Behind where they
    do not come, and RequestRefused where as many requests wait for them as may."""
    if asked["known_at"] is not None:
        position = asked["known_at"] if isinstance(asked["known_at"], int) else None
        return Standing.of(log, needed, position=position)
    now = Standing.of(log, needed, live=True)
    if now.is_near(asked["at_least"]):
        return now
    kept: Answers = request.app.state.answers
    with kept.waiting(log.ledger, f"{_behind(now)}, and no more requests may wait for that: ask again"):
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            time.sleep(LOOK)
            now = Standing.of(log, needed, live=True)
            if now.is_near(asked["at_least"]):
                return now
    raise Behind(
        f"{_behind(now)}: ask again when workers have moved them on (`approvals work --ledger {log.ledger}` runs some)"
    )


def _behind(now: Standing) -> str:
    return f"the projections of ledger {now.ledger} are {now.behind:,} events behind its head, {now.head:,}"


def _is_of(now: Standing, log: Log, answer: Answer) -> bool:
    """Whether an answer is of this standing: not of one that came meanwhile, or of projections that are far behind."""
    return (log.head() if "known_at" in answer else answer["position"]) == now.head


def _tag(now: Standing, words: bytes) -> str:
    standing = [now.ledger, now.head, now.recorded_ms, list(now.generations), list(now.parked)]
    return f'"{sha256(canonical(standing) + words).hexdigest()[:32]}"'


def _content(log: Log, answer: Answer, form: str, question: Mapping[str, Any]) -> bytes:
    if form == "json":
        return exporting.to_json(answer)
    table = exporting.tabulated(answer)
    if form == "csv":
        return exporting.to_csv(table)
    return exporting.to_parquet(table, exporting.described(log, answer, form, question))


def _cache_control(request: Request, seconds: int | None) -> str:
    who = cache_scope(request)
    return f"{who}, no-cache" if seconds is None else f"{who}, max-age={seconds}"


def cache_scope(request: Request) -> str:
    """Who may cache an answer: anyone on the way, or if reading needs a token, only the reader."""
    return "public" if reads_are_public(request) else "private"


def form_of(request: Request, asked_for: str | None, forms: Mapping[str, str]) -> str:
    """Which of `forms` (by name, the media type of each) is wanted: by `format`, or else by the Accept header.

    Raises RequestRefused (406) where none of them is.
    """
    if asked_for is not None and asked_for in forms:
        return asked_for
    if asked_for is None:
        accepted = weights(request, "accept") or [("*/*", 1.0)]
        wanted = {name: _wanted(media_type, accepted) for name, media_type in forms.items()}
        best = max(wanted, key=lambda name: wanted[name])
        if wanted[best][0] > 0:
            return best
    raise RequestRefused(406, "not-acceptable", f"this can be had as {', '.join(forms.values())}")


def _wanted(media_type: str, accepted: Sequence[tuple[str, float]]) -> tuple[float, int, int]:
    """The weight of the most specific range that a media type is in (RFC 9110, 12.5.1); and, for what weighs the same, how
    specific that is, and how far in front it stands."""
    kind = media_type.partition(";")[0]
    ranges = {kind: 2, f"{kind.partition('/')[0]}/*": 1, "*/*": 0}
    found = [(ranges[each], weight, -at) for at, (each, weight) in enumerate(accepted) if each in ranges]
    specific, weight, at = max(found, default=(0, 0.0, 0))
    return weight, specific, at


def weights(request: Request, header: str) -> list[tuple[str, float]]:
    """What a header lists, each with its weight, and without its other parameters. All lines of the header are one list; what
    is weighed in no number counts as not there."""
    found = []
    for part in ",".join(request.headers.getlist(header)).split(","):
        kind, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weight = next((each[2:] for each in parameters if each.startswith("q=")), "1")
        if kind and _WEIGHT.fullmatch(weight):
            found.append((kind, float(weight)))
    return found
