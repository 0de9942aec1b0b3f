"""Which settings there are. Pure; read at every cold start, so it is made of light things."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, Generic, NamedTuple, TypeVar

from tocsin.settings.kinds import Choice, Kind, Number, Sign, Subset, Switch

T = TypeVar("T")

AUDIENCES: Final = ("customer", "technician", "group")

ACCOUNT: Final = "account"
AUDIENCE: Final = "audience"
STACK_ONLY: Final[tuple[str, ...]] = ()
BY_ACCOUNT: Final = (ACCOUNT,)
BY_BOTH: Final = (ACCOUNT, AUDIENCE)

_SAME: Mapping[str, Any] = MappingProxyType({})


class Setting(NamedTuple, Generic[T]):
    """One setting. `per`: what it may be set for apart from the whole stack. `defaults`: of the audiences
    whose default is another one. `says`: one sentence for the operator. `parameter`: of the template that
    it was until 0.1.0, for an audience if it has one."""

    name: str
    kind: Kind[T]
    default: T
    says: str
    per: tuple[str, ...] = STACK_ONLY
    defaults: Mapping[str, T] = _SAME
    parameter: Mapping[str, str] = _SAME

    def default_of(self, audience: str | None) -> T:
        return self.default if audience is None else self.defaults.get(audience, self.default)


UPDATES_AS: Final = Setting(
    "updates-as",
    Choice("message", "edit"),
    "message",
    "Whether an update of a ticket is a message of its own, or within 20 minutes an edit of the last one.",
    BY_BOTH,
    parameter={"UpdatesAs": ""},
)
QUOTE_FIRST_MESSAGE: Final = Setting(
    "quote-first-message",
    Switch(),
    False,
    "Whether later messages about a ticket quote the first one to the same recipient.",
    BY_BOTH,
    parameter={"QuoteFirstMessage": ""},
)
ACKNOWLEDGE_REPLIES: Final = Setting(
    "acknowledge-replies",
    Sign(),
    "",
    "The emoji that the answer of a recipient gets as a reaction.",
    BY_BOTH,
    parameter={"AcknowledgeReplies": ""},
)
LINK_PREVIEWS: Final = Setting(
    "link-previews",
    Switch(),
    False,
    "Whether a link to the ticket's page shows its subject below the text.",
    BY_BOTH,
    parameter={"LinkPreviews": ""},
)
RETRIES: Final = Setting(
    "retries",
    Number(0, 8),
    2,
    "How often a notification is tried again before it becomes a dead letter.",
    BY_BOTH,
    defaults={"customer": 3},
    parameter={"CustomerRetries": "customer", "TechnicianRetries": "technician"},
)
RETRY_DELAY_SECONDS: Final = Setting(
    "retry-delay-seconds",
    Number(0, 900, "seconds"),
    2,
    "How long to wait, with jitter, before a notification is tried again.",
    BY_BOTH,
    defaults={"customer": 3},
    parameter={"CustomerRetryDelaySeconds": "customer", "TechnicianRetryDelaySeconds": "technician"},
)
RECOVERIES_PER_HOUR: Final = Setting(
    "recoveries-per-hour",
    Number(1, 1000),
    30,
    "How many broken sessions with one recipient's devices are replaced in an hour.",
    BY_ACCOUNT,
    parameter={"RecoveriesPerHour": ""},
)
NOTIFICATION_EXPIRY_SECONDS: Final = Setting(
    "notification-expiry-seconds",
    Number(60, 604_800, "seconds"),
    86_400,
    "How long a notification may wait before it becomes a dead letter; what WhatsApp holds isn't counted.",
    BY_BOTH,
    parameter={"NotificationExpirySeconds": ""},
)
DELIVERY_DEADLINE_SECONDS: Final = Setting(
    "delivery-deadline-seconds",
    Number(60, 604_800, "seconds"),
    3600,
    "After how long a sent notification without a delivery receipt is reported and counted.",
    BY_BOTH,
    parameter={"DeliveryDeadlineSeconds": ""},
)
DECLINE_CALLS: Final = Setting(
    "decline-calls",
    Switch(),
    False,
    "Whether whoever calls the account is declined; the ringing ends on the owner's phone too.",
    BY_ACCOUNT,
    parameter={"DeclineCalls": ""},
)
READ_RECEIPTS: Final = Setting(
    "read-receipts",
    Switch(),
    False,
    "Whether replies are marked as read once they are on the bus; heeds the owner's privacy settings.",
    BY_ACCOUNT,
    parameter={"ReadReceipts": ""},
)
SESSION_IDLE_DAYS: Final = Setting(
    "session-idle-days",
    Number(7, 365, "days"),
    90,
    "After how many days without use a session is made anew at the next send.",
    parameter={"SessionIdleDays": ""},
)

OUTCOME_EVENTS: Final = Setting(
    "outcome-events",
    Subset("sent", "delivered", "read"),
    ("delivered", "read"),
    "Which progress is put on the bus, where each event costs; failures, replies and the rest always are.",
    BY_ACCOUNT,
)

DECLARED: Final[Mapping[str, Setting[Any]]] = {
    setting.name: setting
    for setting in (
        UPDATES_AS,
        QUOTE_FIRST_MESSAGE,
        LINK_PREVIEWS,
        ACKNOWLEDGE_REPLIES,
        READ_RECEIPTS,
        DECLINE_CALLS,
        RETRIES,
        RETRY_DELAY_SECONDS,
        RECOVERIES_PER_HOUR,
        NOTIFICATION_EXPIRY_SECONDS,
        DELIVERY_DEADLINE_SECONDS,
        OUTCOME_EVENTS,
        SESSION_IDLE_DAYS,
    )
}
"""As `tocsin settings` lists them."""
