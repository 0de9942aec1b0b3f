"""Whose a phone number is: WhatsApp's answer to a question of ours decides, and nothing else.

    answer ─┬─ what is known ──────────▶ known anew
            ├─ nothing was known ──────▶ learnt, the sessions move to the LID
            └─ another LID than known ─▶ told (`IdentityChanged`, number-moved), then held or learnt

What a stanza says in passing is a reason to ask, so often in an hour at most.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from tocsin.notify.failure import Wait
from tocsin.notify.hold import NUMBER_MOVED
from tocsin.timestamps import from_seconds, is_recent
from tocsin.whatsapp.errors import WireError
from tocsin.whatsapp.jid import JID, mask

if TYPE_CHECKING:
    from tocsin.keys.addresses import KnownAddress
    from tocsin.multidevice.account import Account

log = logging.getLogger(__name__)

HOLD: Final = "hold"
SEND: Final = "send"

NUMBER_DOUBTED: Final = "number-doubted"
"""Code of the failure: WhatsApp must be asked once more who has the number."""

RECHECK_HELD_MS: Final = 3_600_000

QUESTIONS_PER_HOUR: Final = 60
"""Of an account, about numbers that stanzas name. WhatsApp watches the volume of such questions."""

ASKED_SECONDS: Final = 30 * 24 * 3600
"""For so long an answer is believed. A number that was given up goes to another person after weeks."""


def held_back(now: int) -> Wait:
    """Return the failure of what is for a number that went to somebody else. `now`: ms."""
    detail = "WhatsApp names another person for the number: tocsin people confirm"
    return Wait(NUMBER_MOVED, detail, due_at=now + RECHECK_HELD_MS)


class NumberOwners:
    """Whose the numbers are that the accounts of this container write to or hear of."""

    def __init__(
        self,
        tell: Callable[[str, KnownAddress, str | None], None],
        count_question: Callable[[str, int], int],
        *,
        on_moved: str = HOLD,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`tell(account, known, to)`: the number of `known` went to the LID `to`, or is no longer on WhatsApp
        (`None`); it is called before anything else is done about it. `count_question(account, at)`: how many
        questions it makes in this hour. `on_moved`: `hold` what is for the number until an operator confirms,
        or `send` it to the new LID.
        """
        self._tell = tell
        self._count_question = count_question
        self._on_moved = on_moved
        self._clock = clock

    def is_due(self, known: KnownAddress) -> bool:
        """Whether WhatsApp must be asked again before a send."""
        is_old = not is_recent(known.at, self._clock(), ASKED_SECONDS)
        return known.doubted or known.moved_to is not None or is_old

    def is_held(self, known: KnownAddress) -> bool:
        """Whether nothing may be sent to the number until an operator confirmed who has it now."""
        return known.moved_to is not None and self._on_moved == HOLD

    def ask(self, account: Account, pn: JID) -> str | None:
        """Ask whose a number (bare) is that a stanza named. Return the LID, `None` if there is no answer.

        Raises `ConnectorError`: the stanza comes again.
        """
        from tocsin.whatsapp.usync import parse_contacts, usync_contacts

        name = account.profile.account
        if self._count_question(name, from_seconds(self._clock())) > QUESTIONS_PER_HOUR:
            log.warning("too many questions about numbers in this hour", extra={"number": mask(str(pn))})
            return None
        try:
            answer = account.connector.request(account.profile, usync_contacts([pn.user]))
            contact = parse_contacts(answer).get(pn.user)
        except WireError as error:
            log.warning("WhatsApp doesn't say whose a number is", extra={"cause": type(error).__name__})
            return None
        if contact is None or contact.lid is None:
            return None
        self.heed(account, pn, contact.pn, str(contact.lid))
        return str(contact.lid)

    def heed(self, account: Account, asked: JID, answered: JID | None, lid: str) -> bool:
        """Put WhatsApp's answer into effect: the number `asked` (bare) is `lid`, and `answered` are its
        digits at WhatsApp, which may be others after a national renumbering. Both lead there. Return whether
        it may be written to now."""
        numbers = dict.fromkeys((str(answered or asked), str(asked)))
        agreed = [self._heed(account, number, lid) for number in numbers]
        return all(agreed)

    def _heed(self, account: Account, pn: str, lid: str) -> bool:
        known = account.keys.contacts.known(pn)
        if known is None or known.lid == lid:
            self._doubt_other_number(account, pn, lid)
            account.keys.contacts.learn(pn, lid)
            return True
        if known.moved_to != lid:
            log.warning("a number belongs to somebody else now", extra={"number": mask(pn)})
            self._tell(account.profile.account, known, lid)
            account.keys.contacts.note_moved(pn, lid)
        if self._on_moved == HOLD:
            return False
        account.keys.contacts.learn(pn, lid)
        return True

    def _doubt_other_number(self, account: Account, pn: str, lid: str) -> None:
        """A person with another number may have given the old one up: the next send there asks first."""
        other = account.keys.contacts.known(lid)
        if other is not None and other.pn != pn:
            account.keys.contacts.doubt(other.pn)

    def lost(self, account: Account, pn: str) -> None:
        """WhatsApp doesn't know a number (bare JID) that it knew before: who had it changed it, or left."""
        known = account.keys.contacts.known(pn)
        if known is not None and known.moved_to is None:
            self._tell(account.profile.account, known, None)
