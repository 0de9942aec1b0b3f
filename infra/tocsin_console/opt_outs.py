"""`tocsin people opt-outs`: who wants no messages; note what somebody said elsewhere, or take it back.

Who wrote STOP is noted by itself. What is said on the phone or in a letter is noted here, and holds as much.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from tocsin.dynamo.writes import Item, Key
from tocsin.notify.store.texts import TextWithheld
from tocsin.people.consent import Way
from tocsin.tables.names import is_lid, recipient_of
from tocsin.tables.notifications import person_key
from tocsin.timestamps import from_seconds, iso
from tocsin_console import masking
from tocsin_console.audit import note
from tocsin_console.confirm import confirm
from tocsin_console.errors import NotFound
from tocsin_console.output import Output, moment
from tocsin_console.people import Found, People, needs_texts
from tocsin_console.progress import Progress

BY_OPERATOR: Final = "operator"
"""The word that is noted where an operator did it."""


class OptOut(NamedTuple):
    """`name`: a bare JID. `at`, `confirmed_at`: ms. `word`: what they wrote, or `operator`."""

    name: str
    at: int
    word: str
    confirmed_at: int | None


def list_opt_outs(people: People, output: Output) -> None:
    """Print who opted out, the last one first. Reads the whole table."""
    with output.progress("looked at") as progress:
        found = sorted(_opted_out(people, progress), key=lambda one: one.at, reverse=True)
    for one in found:
        output.record(
            {
                "person": _shown(one.name),
                "opted_out_at": iso(one.at),
                "word": one.word,
                "confirmed_at": iso(one.confirmed_at) if one.confirmed_at else None,
            }
        )
    if found:
        output.table(
            ["PERSON", "SINCE", "BY", "CONFIRMED"],
            [(_shown(one.name), moment(one.at), one.word, moment(one.confirmed_at)) for one in found],
        )
    else:
        output.say("nobody opted out")
    output.say(
        "who was erased isn't listed: their opt-out is kept as a hash, and holds ('tocsin people show')"
    )


def add(people: People, wanted: str, *, output: Output, clock: Callable[[], float] = time.time) -> bool:
    """Note that somebody wants no messages; whether that is news. Raises Usage."""
    found = people.find(wanted)
    whom = found.shown(found.asked[0])
    at = from_seconds(clock())
    news = people.opt_out_kept(found) is None and people.deployment.stores.people.opt_out(
        people.account, found.person.id, BY_OPERATOR, at, way=Way.OPERATOR
    )
    if news:
        what = f"noted that {_shown(found.asked[0])} opted out of the account {people.account}"
        note(people.deployment, what, clock=clock)
    output.record({"person": whom, "opted_out": True, "news": news})
    output.say(f"{whom} gets no more messages" if news else f"{whom} had opted out before")
    return news


def remove(
    people: People, wanted: str, *, output: Output, yes: bool, clock: Callable[[], float] = time.time
) -> None:
    """Write to somebody again who had opted out. Raises NotFound if they hadn't, Usage."""
    found = people.find(wanted)
    whom = found.shown(found.asked[0])
    sentence = _back(people, found, whom)
    confirm(lambda: sentence, yes=yes, output=output)
    try:
        people.deployment.stores.people.opt_in(
            people.account, found.person.id, from_seconds(clock()), way=Way.OPERATOR
        )
    except TextWithheld as refusal:
        raise needs_texts(refusal) from None
    note(
        people.deployment,
        f"took the opt-out of {_shown(found.asked[0])} from the account {people.account} back",
        clock=clock,
    )
    output.record({"person": whom, "opted_out": False})
    output.say(f"{whom} gets messages again")


def _back(people: People, found: Found, whom: str) -> str:
    person = found.person
    kept = people.opt_out_kept(found)
    at, word = person.opted_out_at, person.opt_out_word
    if at is None and kept is not None:
        at, word = kept.at, kept.word
    if at is None:
        raise NotFound(f"{whom} didn't opt out of the account '{people.account}'")
    return (
        f"{whom} opted out {moment(at)} by '{word}' and will be written to again; do so only if they "
        "asked for it"
    )


def _opted_out(people: People, progress: Progress) -> Iterator[OptOut]:
    prefix, sk = person_key(people.account, "")
    after: Key | None = None
    while True:
        page = people.deployment.outside_table.scan(after, prefix=prefix, sk=sk)
        progress.step(len(page.items))
        for item in page.items:
            if (one := _read(item, prefix)) is not None:
                yield one
        after = page.following
        if after is None:
            return


def _read(item: Item, prefix: str) -> OptOut | None:
    """None for who didn't opt out."""
    at, confirmed = item.get("opted_out_at"), item.get("confirmed_at")
    if not isinstance(at, int):
        return None
    name = str(item["pk"]).removeprefix(prefix)
    word = str(item.get("opt_out_word") or "-")
    return OptOut(name, at, word, confirmed if isinstance(confirmed, int) else None)


def _shown(name: str) -> str:
    """A name for people: LIDs whole, because commands take them; numbers masked."""
    return name if is_lid(name) else masking.phone(recipient_of(name))
