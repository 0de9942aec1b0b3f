"""How to behave towards a recipient: consent withdrawn and given again, and a limit to recoveries.

A reply withdraws consent only if it is one of the words below and nothing else: "stop" does, "please stop
by at noon" is an ordinary reply. Words that may mean the ticket ("cancel", "batal") are not among them.
"""

from __future__ import annotations

import unicodedata
from enum import StrEnum

CONSENT_WITHDRAWN = "ConsentWithdrawn"
CONSENT_GIVEN = "ConsentGiven"
CONFIRMATIONS = frozenset({CONSENT_WITHDRAWN, CONSENT_GIVEN})
"""Event types of the confirmations. They are told to somebody who opted out, once."""

CONDUCT_TICKET = "conduct"
"""The ticket id of confirmations: they belong to no ticket."""


class Wish(StrEnum):
    """What a reply asks of us."""

    STOP = "stop"
    START = "start"


# Word or phrase, as `normalised` leaves it → (wish, language of the confirmation).
WISHES: dict[str, tuple[Wish, str]] = {
    **dict.fromkeys(("stop", "stop all", "stopall", "unsubscribe", "opt out", "optout"), (Wish.STOP, "en")),
    **dict.fromkeys(
        ("berhenti", "berhenti langganan", "berhenti berlangganan", "hentikan"), (Wish.STOP, "id")
    ),
    **dict.fromkeys(("alto", "baja", "dar de baja", "darme de baja", "darse de baja"), (Wish.STOP, "es")),
    **dict.fromkeys(("start", "unstop", "subscribe", "opt in", "optin"), (Wish.START, "en")),
    **dict.fromkeys(("mulai", "mulai lagi", "langganan", "berlangganan"), (Wish.START, "id")),
    **dict.fromkeys(("alta", "darme de alta", "iniciar", "comenzar"), (Wish.START, "es")),
}

CONFIRMATION_TEXTS: dict[tuple[Wish, str], str] = {
    (Wish.STOP, "en"): "You won't get any more notifications here. Send START if you change your mind.",
    (
        Wish.STOP,
        "id",
    ): "Anda tidak akan menerima pemberitahuan lagi di sini. Kirim MULAI bila berubah pikiran.",
    (Wish.STOP, "es"): "No recibirá más avisos por aquí. Envíe ALTA si cambia de opinión.",
    (Wish.START, "en"): "You will get notifications here again. Send STOP at any time to end them.",
    (
        Wish.START,
        "id",
    ): "Anda akan menerima pemberitahuan lagi di sini. Kirim BERHENTI kapan saja untuk mengakhirinya.",
    (
        Wish.START,
        "es",
    ): "Volverá a recibir avisos por aquí. Envíe ALTO en cualquier momento para dejar de recibirlos.",
}


def normalised(text: str) -> str:
    """Return `text` without case, accents of width, outer punctuation and doubled blanks."""
    words = unicodedata.normalize("NFKC", text).casefold().split()
    joined = " ".join(words)
    start, end = 0, len(joined)
    while start < end and not joined[start].isalnum():
        start += 1
    while end > start and not joined[end - 1].isalnum():
        end -= 1
    return joined[start:end]


def wish_of(text: str) -> tuple[Wish, str] | None:
    """Return what a reply asks of us and in which language, or `None` for an ordinary reply."""
    if len(text) > 64:
        return None
    return WISHES.get(normalised(text))


def confirmation_text(wish: Wish, language: str) -> str:
    """Return the words that confirm `wish`. A language without words of its own is answered in English."""
    return CONFIRMATION_TEXTS.get((wish, language)) or CONFIRMATION_TEXTS[wish, "en"]
