"""Every Redis key of a ledger, as a legend. All carry the ledger's hash tag.

pattern                             type    writer       lost if it goes
{name}:log                          stream  append.lua   everything: the one source of truth
{name}:ids                          hash    append.lua   the log counts as damaged: nothing is appended; restore a backup
{name}:subjects                     hash    append.lua   expectations on subjects, and nothing notices it; restore a backup
{name}:subject:<sha256/16>          list    append.lua   reading one subject, and nothing notices it; restore a backup
{name}:projection:<p>               hash    store.py     which generation of p is live (switch.lua), the one before it, and the lowest that is left
{name}:projection:<p>:<g>:documents hash    commit.lua   generation g of p; can be rebuilt by a replay
{name}:projection:<p>:<g>:state     hash    commit.lua   its checkpoint (store.py makes it); can be rebuilt by a replay
{name}:projection:<p>:<g>:parked    hash    commit.lua   its parked events; can be rebuilt by a replay
{name}:projection:<p>:<g>:past      hash    commit.lua   its snapshots: answers about the past fold the whole log, until a replay
{name}:bell:<p>                     string  doorbell     nothing: it expires, and the reconciler rings
{name}:rebuild:<p>                  hash    rebuild.py   which rebuild of p was asked for last, and how it ended: ask again
{name}:rebuild:<p>:bell             string  rebuild.py   nothing: it expires, and whoever looks next rings
{name}:rebuild:<p>:lease            string  rebuild.py   nothing: it expires; until then two workers may rebuild
{name}:deliveries                   hash    outcomes.py  how many tries of all webhooks ended how
{name}:webhooks                     set     webhooks     who is subscribed: add the subscriptions again
{name}:webhook:<id>                 hash    settle.lua   one subscription with its secret and its cursor (subscriptions.py makes it)
{name}:webhook:<id>:dead            hash    settle.lua   its dead letters: which events it never took
{name}:webhook:<id>:bell            string  deliver.py   nothing: it expires, and whoever looks next rings
{name}:webhook:<id>:lease           string  deliver.py   nothing: it expires; until then two workers may send the same
{name}:tokens                       hash    tokens.py    access over HTTP with a token: make new ones
"""

from __future__ import annotations

import re
from hashlib import sha256

from .errors import BadQuestion

_LEDGER = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?", re.ASCII)


def checked_ledger(name: str) -> str:
    """`name` as plain text. Raises BadQuestion if it cannot name a ledger."""
    if _LEDGER.fullmatch(name) is None:
        raise BadQuestion(
            f"{name[:80]!r} cannot name a ledger: use 1 to 64 of a-z, 0-9, - and _, with a letter or digit at both ends"
        )
    return str.__str__(name)  # in an f-string a member of a str enum would be its name


def log(ledger: str) -> str:
    return f"{{{ledger}}}:log"


def ids(ledger: str) -> str:
    return f"{{{ledger}}}:ids"


def subjects(ledger: str) -> str:
    return f"{{{ledger}}}:subjects"


def subject(ledger: str, name: str) -> str:
    return f"{{{ledger}}}:subject:{sha256(_bytes(name)).hexdigest()[:32]}"


def projection(ledger: str, name: str) -> str:
    return f"{{{ledger}}}:projection:{name}"


def documents(ledger: str, name: str, generation: int) -> str:
    return f"{projection(ledger, name)}:{generation}:documents"


def state(ledger: str, name: str, generation: int) -> str:
    return f"{projection(ledger, name)}:{generation}:state"


def parked(ledger: str, name: str, generation: int) -> str:
    return f"{projection(ledger, name)}:{generation}:parked"


def past(ledger: str, name: str, generation: int) -> str:
    return f"{projection(ledger, name)}:{generation}:past"


def bell(ledger: str, name: str) -> str:
    return f"{{{ledger}}}:bell:{name}"


def rebuild(ledger: str, name: str) -> str:
    return f"{{{ledger}}}:rebuild:{name}"


def rebuild_bell(ledger: str, name: str) -> str:
    return f"{rebuild(ledger, name)}:bell"


def rebuild_lease(ledger: str, name: str) -> str:
    return f"{rebuild(ledger, name)}:lease"


def deliveries(ledger: str) -> str:
    return f"{{{ledger}}}:deliveries"


def webhooks(ledger: str) -> str:
    return f"{{{ledger}}}:webhooks"


def webhook(ledger: str, id: str) -> str:
    return f"{{{ledger}}}:webhook:{id}"


def dead_letters(ledger: str, id: str) -> str:
    return f"{webhook(ledger, id)}:dead"


def webhook_bell(ledger: str, id: str) -> str:
    return f"{webhook(ledger, id)}:bell"


def webhook_lease(ledger: str, id: str) -> str:
    return f"{webhook(ledger, id)}:lease"


def tokens(ledger: str) -> str:
    return f"{{{ledger}}}:tokens"


def identity(source: str, id: str) -> bytes:
    """The field of `ids` for one event: 16 bytes, whatever the length of its source and id."""
    # Not an f-string, which would use the name of a member of a str enum.
    return sha256(_bytes(source + "\n" + id)).digest()[:16]


def _bytes(text: str) -> bytes:
    # A reader may ask for anything, even half of a surrogate pair, which no event holds: that finds nothing.
    return text.encode("utf-8", "surrogatepass")
