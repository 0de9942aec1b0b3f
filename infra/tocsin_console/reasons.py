"""Why a notification was given up, for people: what it means, and what mends it. Codes:
infra/DIAGNOSTICS.md."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple


class Reason(NamedTuple):
    """`again`: whether sending it again is what mends it."""

    means: str
    mend: str
    again: bool = True


_NUMBER = "Correct it in the ticketing system, let that send the event again, and drop this one."
_REPAIRED = Reason(
    "Keys or devices of the recipient had changed, and the repair was refused too.", "Send it again."
)
_REFUSED = Reason(
    "WhatsApp refuses it: the recipient blocks the account, or the number can't be written to.",
    "Ask the recipient; if nothing changes, drop it.",
    again=False,
)
_PASSING = Reason("WhatsApp or the network failed for longer than it was tried.", "Send it again.")
_ADDRESS = Reason("The ticket event names no usable number or group.", _NUMBER, again=False)
_NOT_THERE = Reason(
    "This number isn't on WhatsApp.", "Correct it, or send it again once it has WhatsApp.", again=False
)
_UNREADABLE = Reason(
    "A device of the recipient could not read it, though it was sent several times.",
    "Let the recipient open WhatsApp, then send it again.",
)

REASONS: Final[Mapping[str, Reason]] = {
    "not-on-whatsapp": _NOT_THERE,
    "unknown-recipient": _NOT_THERE,
    "invalid-phone": _ADDRESS,
    "invalid-group": _ADDRESS,
    "no-phone": _ADDRESS,
    **dict.fromkeys(
        ("forbidden", "not-authorized", "not-allowed", "not-acceptable", "gone", "refused"), _REFUSED
    ),
    **dict.fromkeys(("server-error", "server-timeout", "malformed-answer", "contended"), _PASSING),
    **dict.fromkeys(
        ("stale-devices", "stale-addressing", "malformed", "no-session", "incarnation", "key-used"), _REPAIRED
    ),
    "recovery-exhausted": _UNREADABLE,
    "recovery-budget": _UNREADABLE,
    "expired": Reason(
        "It waited for so long that it was too late to be sent, such as while the account was not linked.",
        "Link the account; send it again if it is still worth reading.",
    ),
    "not-in-group": Reason(
        "The account isn't a member of this group.", "Add the account to the group, then send it again."
    ),
    "admins-only": Reason(
        "Only admins may write to this group.", "Make the account an admin, then send it again."
    ),
    "unknown-account": Reason(
        "The event names an account that isn't served.", "Add the account, then send it again."
    ),
    "damaged-account": Reason(
        "The account's own record can't be opened.", "See the doctor; then link the account anew."
    ),
    "number-moved": Reason(
        "The number belongs to somebody else by now.",
        "Confirm whose it is under People, or correct the ticket.",
    ),
    "text-damaged": Reason(
        "Its words were altered, or sealed with a key that isn't at hand. Nothing was sent.",
        "See the doctor. If the secret of the texts was changed, put the earlier one back.",
        again=False,
    ),
    "text-erased": Reason(
        "Its words were erased.", "Let the ticketing system send the event again.", again=False
    ),
    "attachment-type": Reason("The file isn't what its name says.", "Correct the file, then send it again."),
    "attachment-too-large": Reason("The file is larger than 15 MB.", "Make it smaller, then send it again."),
    "unreadable": Reason("Tocsin didn't write this letter.", "Drop it.", again=False),
    "crashed": Reason(
        "Tocsin failed on it again and again: a fault of the program.",
        "Report it. After an update, send it again.",
    ),
}

REASONS_OF_EVENTS: Final[Mapping[str, Reason]] = {
    "invalid-event": Reason(
        "The event breaks its schema; each violation is named.", "Correct the sender, let it send again."
    ),
    "webhook-refused": Reason(
        "A help desk's webhook could not be told from its mapping.",
        "Correct the mapping, then plan it again.",
    ),
    "not-translated": Reason(
        "No ticket event could be made of an event of the bus.", "Correct the mapping, then plan it again."
    ),
    "not-handed-over": Reason(
        "EventBridge could not put it into the planner's queue.", "See the doctor, then plan it again."
    ),
    "crashed": Reason(
        "Tocsin failed on it again and again: a fault of the program.",
        "Report it. After an update, plan it again.",
    ),
}
"""Of ticket events that told nobody."""

_MAPPING: Final = "It is refused again until the mapping of its source is changed: tocsin sources change."
REFUSED_AGAIN: Final[Mapping[str, str]] = {
    "invalid-event": "It is refused again while it says the same: let its sender send a corrected one.",
    "webhook-refused": _MAPPING,
    "not-translated": _MAPPING,
}
"""What planning an event again comes to before its reason is mended."""

UNKNOWN: Final = Reason("Its reason has no page of its own.", "Open one: its history says what happened.")


def reason(code: str) -> Reason:
    return REASONS.get(code, UNKNOWN)
