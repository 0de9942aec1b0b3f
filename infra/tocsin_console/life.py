"""The life of a notification: how it stands in one sentence, and what happened to it moment by moment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tocsin.notify.cold import MUST_WRITE_FIRST
from tocsin.notify.notification import Attempt, Notification, State
from tocsin.notify.redrive import UNREACHABLE
from tocsin.notify.replies import CHANGES, DELETED, EDIT, TEXT, UNREAD
from tocsin.notify.store.recoveries import RecoveryRecord
from tocsin.notify.waiting import CANCELLED
from tocsin.pace.causes import DIGESTED, RELEASED_BY_BUDGET, SANDBOX
from tocsin.tables.names import user_of
from tocsin.whatsapp.jid import JID
from tocsin_console import masking
from tocsin_console.account_names import Named
from tocsin_console.dead_letters import shown_recipient
from tocsin_console.output import counted, how_long, json_moment, moment

# What a device's request to send again means.
COMPLAINTS = {
    "bad-mac": "its keys and ours differ",
    "no-session": "it has no session with us",
    "no-prekey": "it no longer has the prekey that we used",
    "invalid-key": "it could not read a key",
    "invalid-message": "it could not parse the message",
    "bad-signature": "it refused a signature",
    "future-message": "our counter is too far ahead of its own",
    "unknown-companion": "it did not know our device",
    "device-identity": "it could not verify our device's identity",
}

# How long a phone that is online may take to confirm what reached it.
_CONFIRMED_SECONDS = 30

# What a change did to an answer.
DONE = {EDIT: "edited", DELETED: "deleted"}

# Why such a request was not answered.
REFUSALS = {
    "exhausted": "its retries are used up",
    "over-budget": "too many of the recipient's sessions broke in this hour",
    "bad-signature": "the keys it sent were not signed by it",
    "no-bundle": "WhatsApp had no fresh keys of it",
    "no-session": "no session could be created with it",
    "unknown-device": "WhatsApp does not list this device",
    "unproven-device": "the recipient's phone does not vouch for this device",
    "too-many-devices": "more devices asked for this message than a person has",
    "guessing": "this person's devices asked too often for what they were never sent",
    "forged-identity": "it pretends to be our own phone",
}


@dataclass(frozen=True)
class Moment:
    """One thing that happened. `at`: ms; `what`: one word; `more`: lines that go with it, such as devices."""

    at: int
    what: str
    text: str
    more: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {"at": json_moment(self.at), "what": self.what, "text": self.text, **self.facts}


NOBODY: Final = Named("")


@dataclass(frozen=True)
class Life:
    """A notification and what else is known of it. `account`: the state of its account now. `buried`: whether
    its dead letter lies in the queue; `dropped`: what is known of who dropped it. `user`: the recipient as
    sessions call them (a LID, once known).
    `in_front`: of one that waits, the one at the head of its recipient's line, if that is another.
    `named`: the account with its number and name."""

    notification: Notification
    user: str
    account: str
    buried: bool = False
    dropped: str = ""
    opted_out: bool = False
    episodes: tuple[RecoveryRecord, ...] = ()
    replies: tuple[Mapping[str, Any], ...] = ()
    identities: tuple[Mapping[str, Any], ...] = ()
    in_front: Notification | None = None
    named: Named = NOBODY


def conclusion(life: Life, now: int) -> str:
    """One sentence: how it stands, and what to do where something can be done. `now`: ms."""
    one = life.notification
    match one.state:
        case State.READ:
            return f"read {_after(one.read_at, one)}"
        case State.DELIVERED:
            return f"arrived {_after(one.delivered_at, one)}"
        case State.SENT:
            return _without_receipt(life, now)
        case State.WAITING:
            return _waiting(life, now)
        case State.FAILED:
            return _failed(life)
        case State.SUPPRESSED:
            return _suppressed(life)
        case _:
            return _planned(life, now)


# Why a message was not sent → what it means, and in short.
_UNSAID = {
    "edit-too-late": (
        "too late to be sent as an edit; sent as a message of its own",
        "another message says it",
    ),
    "superseded": ("not sent: a newer edit of the same message replaced it", "another message says it"),
    "no-phone": ("not sent: the event names no phone number of the recipient", "no phone number"),
    SANDBOX: (
        "would have been sent: the sandbox is on and doesn't name the recipient (sandbox-allows)",
        "would have been sent",
    ),
    DIGESTED: ("not sent by itself: a digest says it", "a digest says it"),
    CANCELLED: ("not sent: an operator cancelled it while it waited", "an operator cancelled it"),
}


def _suppressed(life: Life) -> str:
    problem = life.notification.last_error
    if problem is not None and problem.code == DIGESTED:
        return f"not sent by itself: {problem.detail}"
    if problem is not None and problem.code in _UNSAID:
        return _UNSAID[problem.code][0]
    return "not sent: the recipient opted out" + ("" if life.opted_out else ", and opted in again since")


def _after(at: int | None, one: Notification) -> str:
    if not at:
        return "in time"
    seconds = max(at - one.created_at, 0) / 1000
    return f"{f'{seconds:.1f} s' if seconds < 10 else how_long(seconds)} after it was planned"


def _without_receipt(life: Life, now: int) -> str:
    one = life.notification
    seconds = (now - (one.sent_at or one.created_at)) / 1000
    since = how_long(seconds)
    asking = [episode for episode in life.episodes if not episode.healed]
    if not asking and seconds < _CONFIRMED_SECONDS:
        return f"WhatsApp accepted it {since} ago; no device confirmed it yet"
    if not asking:
        return f"WhatsApp accepted it {since} ago, but no device confirmed it: is the phone on and online?"
    last = max(asking, key=lambda episode: episode.last_at)
    answer = REFUSALS.get(last.failure, last.failure) if last.failed else "it was sent there again"
    return (
        f"WhatsApp accepted it {since} ago; {masking.key(last.device)} can't read it ({last.cause}): {answer}"
    )


def _waiting(life: Life, now: int) -> str:
    one = life.notification
    if life.in_front is not None:
        return _behind(one, life.in_front)
    cause = _problem(one) or "its turn"
    due = f"tried again at {moment(one.due_at)}" if one.due_at else "sent by itself when that ends"
    is_budget = one.last_error is not None and one.last_error.code in RELEASED_BY_BUDGET
    if is_budget and (one.due_at is None or one.due_at <= now):
        due = "sent in its turn as the budget has room"
    return (
        f"waits for {cause}; {due}, given up at {moment(one.given_up_at)} "
        f"(account {one.account}: {life.account})"
    )


def _behind(one: Notification, front: Notification) -> str:
    """Who holds it up, why, until when, and what an operator can do."""
    why = _problem(front) or "its turn"
    until = f", tried again at {moment(front.due_at)}" if front.due_at else ""
    return (
        f"waits behind {front.id}, which waits for {why}{until}; given up at {moment(one.given_up_at)}. "
        f"Let that one go or end it: tocsin waiting release {front.id}, tocsin waiting cancel {front.id}"
    )


def _failed(life: Life) -> str:
    if not life.notification.recipient:
        return f"given up: {_problem(life.notification)}; {UNREACHABLE}"
    problem = life.notification.last_error
    if problem is not None and problem.code == MUST_WRITE_FIRST:
        return f"given up: {_problem(life.notification)}. Once they write it is sent by itself"
    way = (
        f"send it again: tocsin dead-letters redrive {life.notification.id}"
        if life.buried
        else life.dropped or "its dead letter can't be seen: others hide it, or it is gone from the queue"
    )
    return f"given up: {_problem(life.notification) or 'for no known reason'}; {way}"


def _planned(life: Life, now: int) -> str:
    one = life.notification
    since = how_long((now - (one.requeued_at or one.created_at)) / 1000)
    last = f"; last: {_problem(one)}" if one.last_error else ""
    return f"in the queue for {since}, not sent yet{last} (account {one.account}: {life.account})"


def _problem(one: Notification) -> str:
    if one.last_error is None:
        return ""
    return one.last_error.code + (f" ({one.last_error.detail})" if one.last_error.detail else "")


def timeline(life: Life) -> list[Moment]:
    """Everything that happened to a notification, in order of time."""
    # What happens within one millisecond stays in the order of the list.
    return sorted(_moments(life), key=lambda one: one.at)


def _moments(life: Life) -> Iterator[Moment]:
    one = life.notification
    if one.event_at:
        yield Moment(one.event_at, "event", f"{one.event_type} {one.event_id}", facts={"event": one.event_id})
    whom = f"{one.audience} {shown_recipient(one.recipient)}"
    yield Moment(one.created_at, "planned", f"for {whom}, in {one.language}")
    for attempt in one.attempts:
        yield _attempt(attempt, life)
    if one.attempts_dropped:
        last = max((attempt.at for attempt in one.attempts), default=one.created_at)
        yield Moment(last, "…", f"{counted(one.attempts_dropped, 'more tries')}, of which no more is known")
    yield from _ends(one)
    yield from _healings(life)
    for reply in life.replies:
        yield Moment(reply["received_at"], "reply", _answer(reply))
    until = max(one.read_at or 0, one.delivered_at or 0, one.failed_at or 0) or one.expires_at
    for change in life.identities:
        if one.created_at <= change["changed_at"] <= until:
            device = masking.key(str(change["device_jid"]))
            yield Moment(
                change["changed_at"], "identity", f"{device} has new keys, as a {change['by']} proved"
            )


def _answer(reply: Mapping[str, Any]) -> str:
    """What is said of a reply: never its text."""
    kind = reply.get("kind", TEXT)
    consent = f"; consent {reply['consent']}" if "consent" in reply else ""
    if kind in CHANGES:
        return f"the recipient {DONE[kind]} an answer ({reply.get('about_message_id', 'unnamed')}){consent}"
    if kind in UNREAD:
        return f"the recipient wrote what Tocsin can't read ({kind})"
    what = f"{kind}, {reply['type']}" if "type" in reply else kind
    return f"the recipient answered ({what}){consent}"


def _attempt(attempt: Attempt, life: Life) -> Moment:
    """An entry of the history: a try, a park, a recovery."""
    facts = {name: value for name, value in attempt.to_json().items() if name not in ("at", "detail")}
    facts = {
        **facts,
        **{name: _masked_keys(facts.get(name, {})) for name in ("numbers", "copies", "left_out")},
    }
    facts["device"] = masking.key(attempt.device)
    known = {name: value for name, value in facts.items() if value not in ("", {}, 0)}
    if attempt.device:
        return Moment(attempt.at, *_complaint(attempt, life), facts=known)
    what = {"ok": "sent", "wait": "waits", "operator": "redriven", "bug": "crashed"}
    text = "WhatsApp accepted it for " if attempt.class_ == "ok" else ""
    text += attempt.detail or ("" if attempt.class_ == "operator" else attempt.cause)
    if attempt.detail and attempt.class_ not in ("ok", "operator"):
        text = f"{attempt.cause}: {attempt.detail}"
    return Moment(
        attempt.at, what.get(attempt.class_, "failed"), text, tuple(_copies(attempt, life)), facts=known
    )


def _complaint(attempt: Attempt, life: Life) -> tuple[str, str, tuple[str, ...]]:
    """What a device's request to send again led to."""
    cause = attempt.cause.partition("-")[2]
    asked = (
        f"{masking.key(attempt.device)} could not read it ({cause}{_meaning(cause)}), count {attempt.count}"
    )
    if attempt.class_ == "refused":
        return "refused", f"{asked}: {REFUSALS.get(attempt.detail, attempt.detail)}", ()
    how = attempt.detail.partition(": ")[2]
    return "recovered", f"{asked}: sent again, {how}", tuple(_copies(attempt, life))


def _meaning(cause: str) -> str:
    return f": {COMPLAINTS[cause]}" if cause in COMPLAINTS else ""


def _copies(attempt: Attempt, life: Life) -> Iterator[str]:
    """Which device got which ciphertext under which reserved number, and who got none."""
    for device, copy in attempt.copies.items():
        user = str(JID.parse(device).chat)
        kind, _, index = copy.partition(" ")
        told = (life.user, user_of(life.notification.recipient))
        own = "" if user in told or life.notification.group else "  (own device)"
        yield f"{masking.key(device)}  {kind}, number {attempt.numbers.get(user, '?')}, index {index}{own}"
    for device, why in attempt.left_out.items():
        yield f"{masking.key(device)}  none: {why}"


def _ends(one: Notification) -> Iterator[Moment]:
    """Receipts, deadlines, and the end."""
    told = {"delivered": one.delivered_at, "read": one.read_at}
    for entry, at in one.receipts.items():
        device, _, what = entry.rpartition(" ")
        yield Moment(at, what, f"says {masking.key(device)}", facts={"device": masking.key(device)})
    seen = {entry.rpartition(" ")[2] for entry in one.receipts}
    for what, first in told.items():
        if first and what not in seen and not (what == "delivered" and "read" in seen):
            yield Moment(first, what, "says a receipt")
    if one.overdue_at:
        yield Moment(one.overdue_at, "overdue", "no receipt within the deadline")
    if one.requeued_at:
        yield Moment(
            one.requeued_at,
            "resumed",
            f"back in the queue after waiting {counted(one.parkings or 1, 'times')}",
        )
    if one.suppressed_at:
        code = one.last_error.code if one.last_error is not None else ""
        why = _UNSAID[code][1] if code in _UNSAID else "the recipient opted out"
        yield Moment(one.suppressed_at, "suppressed", why)
    if one.failed_at:
        yield Moment(one.failed_at, "dead", f"dead letter: {_problem(one) or '-'}")


def _healings(life: Life) -> Iterator[Moment]:
    for episode in life.episodes:
        device = masking.key(episode.device)
        if episode.healed_at is not None and episode.seconds_to_heal is not None:
            yield Moment(
                episode.healed_at,
                "healed",
                f"{device} could read it after {episode.seconds_to_heal:.1f} s ({episode.cause})",
                facts={"device": device, "seconds": episode.seconds_to_heal, "cause": episode.cause},
            )


def _masked_keys(values: Mapping[str, Any]) -> dict[str, Any]:
    return {masking.key(name): value for name, value in values.items()}
