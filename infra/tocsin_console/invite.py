"""`tocsin people invite`: the link by which somebody writes to the account first, and a QR of it.

For the ticket's mail or page. Whoever opens it sends a text that is written there already; then WhatsApp lets
the account write to them, and what waited for them goes out by itself.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from tocsin.keys.errors import NoAccount, NotPaired
from tocsin.notify.cold import MUST_WRITE_FIRST, locked_row
from tocsin.notify.notification import State
from tocsin.whatsapp.jid import JID
from tocsin_console.errors import ConsoleError, Usage
from tocsin_console.output import Output

if TYPE_CHECKING:
    from tocsin_console.people import People

MAX_TEXT = 200
"""Characters. A longer one makes a QR that small cameras don't read."""

SUFFIXES = (".svg", ".png", ".txt")
PNG_SCALE = 8
"""Pixels of a module: some 300 in all, readable on a phone's screen and on paper."""

BORDER = 4
"""Light modules around it, as the standard asks for: on paper they count."""


def invite(people: People, wanted: str | None, *, text: str, file: str | None, output: Output) -> None:
    """Print the link and its QR, and write that into `file`, by its ending as SVG, PNG or text. `wanted`: for
    whom it is, which says what goes out once they write. Raises Usage, ConsoleError."""
    text = text.strip()
    if not text or len(text) > MAX_TEXT or not text.isprintable():
        raise Usage(f"the text they send is one line of 1 to {MAX_TEXT} characters")
    target = _target(file)
    link = chat_link(_own_number(people), text)
    waiting = _refused(people, wanted) if wanted is not None else None
    if target is not None:
        _write(link, target)
    output.record({"link": link, "text": text, "file": str(target) if target else None, "waiting": waiting})
    output.say(link)
    output.say()
    if target is not None:
        output.say(f"its QR is in {target}")
    elif not output.as_json:
        from tocsin_console import qr

        if output.in_terminal and output.size()[0] < len(qr.matrix(link)):
            output.say("this window is too narrow for its QR: --file invite.png writes it")
        else:
            for line in qr.lines(link, colours=output.has_colours):
                output.draw(line)
    output.say(
        "put it into the ticket's mail: whoever opens it sends the text and can be written to from then on"
    )
    if waiting is not None:
        output.say(_waiting(waiting))


def chat_link(number: str, text: str) -> str:
    """The link that opens the chat with `number` (digits) and a text in it."""
    return f"https://wa.me/{number}?text={quote(text, safe='')}"


def _own_number(people: People) -> str:
    """Raises ConsoleError if the account isn't linked."""
    try:
        return JID.parse(people.keys.account.profile().jid).user
    except (NoAccount, NotPaired) as error:
        raise ConsoleError(
            f"the account '{people.account}' isn't linked, so it has no number: tocsin pair --account "
            f"{people.account}"
        ) from error


def _refused(people: People, wanted: str) -> int:
    """How many notifications WhatsApp refused because this person must write first, and how many a lock of
    the account holds for them."""
    person = people.find(wanted).person
    stores = people.deployment.stores
    found = (stores.notifications.get(one) for one in sorted(person.refused))
    errors = [one.last_error for one in found if one is not None]
    refused = sum(1 for error in errors if error is not None and error.code == MUST_WRITE_FIRST)
    if locked_row(stores, person) is None:
        return refused
    parked = stores.notifications.get_many([turn.partition("#")[2] for turn in person.parked]).values()
    return refused + sum(1 for one in parked if one.state is State.WAITING)


def _waiting(waiting: int) -> str:
    if not waiting:
        return "no notification waits until they write"
    if waiting == 1:
        return "1 notification goes out by itself once they write"
    return f"{waiting} notifications go out by themselves once they write"


def _target(file: str | None) -> Path | None:
    """Raises Usage for a name that isn't one of those that can be written."""
    if file is None:
        return None
    target = Path(file)
    if target.suffix.lower() not in SUFFIXES:
        raise Usage(f"the file's name ends in {', '.join(SUFFIXES)}")
    if target.exists():
        raise Usage("the file is there already: choose another name, or remove it")
    return target


def _write(link: str, target: Path) -> None:
    """Raises ConsoleError."""
    import segno

    code = segno.make(link, error="m", micro=False)
    try:
        if target.suffix.lower() == ".txt":
            from tocsin_console import qr

            text = os.linesep.join((*qr.lines(link, colours=False), link, ""))
            target.write_text(text, encoding="utf-8")
        else:
            code.save(str(target), scale=PNG_SCALE, border=BORDER)
    except OSError as error:
        raise ConsoleError(f"the file can't be written: {error.strerror or type(error).__name__}") from error
