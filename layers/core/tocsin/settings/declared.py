"""Which settings there are. Pure; read at every cold start, so it is made of light things."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, Generic, NamedTuple, TypeVar

from tocsin.settings.kinds import Choice, Kind, Number, Sign, Subset, Switch
from tocsin.settings.lists import Addressees, Hours, Moment, TimeZone, Words

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

# How an account writes (`tocsin.pace`, PACE.md). The defaults hold up no ordinary provider of internet.
SENDING: Final = Setting(
    "sending",
    Choice("on", "paused"),
    "on",
    "Whether anything is sent: 'tocsin pause' and 'tocsin resume'. What is paused waits in its order.",
    BY_BOTH,
)
SANDBOX: Final = Setting(
    "sandbox",
    Switch(),
    False,
    "Whether only those of sandbox-allows are written to; what is for others is recorded, not sent.",
    BY_ACCOUNT,
)
SANDBOX_ALLOWS: Final[Setting[tuple[str, ...]]] = Setting(
    "sandbox-allows",
    Addressees(),
    (),
    "The numbers and groups that are written to while the sandbox is on.",
    BY_ACCOUNT,
)
MESSAGES_PER_MINUTE: Final = Setting(
    "messages-per-minute",
    Number(1, 6000),
    1200,
    "How many messages an account sends within a minute at most; the rest waits.",
    BY_ACCOUNT,
)
MESSAGES_PER_HOUR: Final = Setting(
    "messages-per-hour",
    Number(1, 360_000),
    12_000,
    "How many messages an account sends within an hour at most; the rest waits.",
    BY_ACCOUNT,
)
MESSAGES_PER_DAY: Final = Setting(
    "messages-per-day",
    Number(1, 8_640_000),
    60_000,
    "How many messages an account sends within 24 hours at most; the rest waits.",
    BY_ACCOUNT,
)
FIRST_CONTACTS_PER_HOUR: Final = Setting(
    "first-contacts-per-hour",
    Number(1, 100_000),
    500,
    "How many people an account writes to within an hour who have nothing of it yet.",
    BY_ACCOUNT,
)
FIRST_CONTACTS_PER_DAY: Final = Setting(
    "first-contacts-per-day",
    Number(1, 1_000_000),
    2000,
    "How many people an account writes to within 24 hours who have nothing of it yet.",
    BY_ACCOUNT,
)
WARM_UP_DAYS: Final = Setting(
    "warm-up-days",
    Number(0, 365, "days"),
    14,
    "How long a newly linked account takes to grow into its budgets; half as long if people answer. 0: none.",
    BY_ACCOUNT,
)
WARM_UP_FROM_PERCENT: Final = Setting(
    "warm-up-from-percent",
    Number(1, 100, "percent"),
    50,
    "Which part of its budgets a newly linked account begins with.",
    BY_ACCOUNT,
)
URGENT_ONLY: Final = "urgent"
LAST_NEW_CHATS: Final = Setting(
    "last-new-chats",
    Choice(URGENT_ONLY, "any"),
    URGENT_ONLY,
    "What the last new chats of a month are for, once WhatsApp warned twice: urgent only, or any.",
    BY_ACCOUNT,
)
RECIPIENT_SPACING_SECONDS: Final = Setting(
    "recipient-spacing-seconds",
    Number(0, 3600, "seconds"),
    0,
    "How long after a message to somebody the next one to them goes, at the earliest.",
    BY_BOTH,
)
TYPING_JITTER_MILLISECONDS: Final = Setting(
    "typing-jitter-milliseconds",
    Number(0, 5000, "milliseconds"),
    300,
    "Up to how long, by chance, the next of several messages to one person is delayed.",
    BY_BOTH,
)
QUIET_HOURS: Final = Setting(
    "quiet-hours",
    Hours(),
    "",
    "When nobody is written to, by the clock where they are; what is urgent goes all the same.",
    BY_BOTH,
)
TIME_ZONE: Final = Setting(
    "time-zone",
    TimeZone(),
    "UTC",
    "The time zone of groups, and of numbers whose country has several; of others the number tells it.",
    BY_BOTH,
)
URGENT_PRIORITIES: Final[Setting[tuple[str, ...]]] = Setting(
    "urgent-priorities",
    Words(),
    ("urgent", "critical"),
    "The priorities of tickets whose messages wait for no quiet hours, digest or spacing.",
    BY_ACCOUNT,
)
DIGEST_SIZE: Final = Setting(
    "digest-size",
    Number(0, 100),
    0,
    "From how many messages to one person within the window the rest is said in one digest. Below 2: never.",
    BY_BOTH,
)
DIGEST_WINDOW_SECONDS: Final = Setting(
    "digest-window-seconds",
    Number(30, 3600, "seconds"),
    300,
    "Within how long messages to one person count for a digest, and how long one is collected.",
    BY_BOTH,
)

NEW_NUMBER_SINCE: Final = Setting(
    "new-number-since",
    Moment(),
    0,
    "Since when the account writes from another number; open tickets are told once. 'tocsin pair' sets it.",
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
        SENDING,
        SANDBOX,
        SANDBOX_ALLOWS,
        MESSAGES_PER_MINUTE,
        MESSAGES_PER_HOUR,
        MESSAGES_PER_DAY,
        FIRST_CONTACTS_PER_HOUR,
        FIRST_CONTACTS_PER_DAY,
        WARM_UP_DAYS,
        WARM_UP_FROM_PERCENT,
        LAST_NEW_CHATS,
        RECIPIENT_SPACING_SECONDS,
        TYPING_JITTER_MILLISECONDS,
        QUIET_HOURS,
        TIME_ZONE,
        URGENT_PRIORITIES,
        DIGEST_SIZE,
        DIGEST_WINDOW_SECONDS,
        NEW_NUMBER_SINCE,
    )
}
"""As `tocsin settings` lists them."""
