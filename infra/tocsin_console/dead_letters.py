"""`tocsin dead-letters`: print which notifications could not be delivered and why; redrive or drop them."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Generator, Iterable, Mapping
from contextlib import closing
from types import MappingProxyType
from typing import Any, Final, TypedDict

from tocsin.notify.content import LOCKED, WITHHELD, Withheld
from tocsin.notify.letters import UNREADABLE, Letter, superfluous
from tocsin.notify.malformed import UnreadableRecord, read_record
from tocsin.notify.notification import Notification, State
from tocsin.notify.redrive import UNREADABLE_RECORD, Done, Redriver, Selection
from tocsin.notify.store.audit import LETTERS_DROPPED
from tocsin_console import masking
from tocsin_console.audit import note
from tocsin_console.confirm import confirm
from tocsin_console.deployment import Deployment
from tocsin_console.errors import ConsoleError, NotFound, Usage
from tocsin_console.output import Output, counted, iso_moment, json_iso_moment, moment, with_json_moments
from tocsin_console.reasons import REASONS
from tocsin_console.redriven import tell_what_became

ASKS_ABOVE: Final = 20
"""So many are sent again without a question."""


def shown_recipient(recipient: str) -> str:
    """The recipient, masked."""
    return masking.phone(recipient) if recipient else "without a usable address"


def shown_refused(record: Notification) -> str | None:
    """What stands in an event in place of the recipient's number, masked; None if nothing does."""
    return masking.refused(record.refused_address) if record.refused_address else None


def withheld(why: str) -> str:
    """Why the words of a notification can't be shown, and what to do."""
    if why == LOCKED:
        return (
            "sealed: you have no right to the key. Ask for secretsmanager:GetSecretValue on the stack's "
            "output TextsSecretArn"
        )
    return WITHHELD[why]


def shown_text(notification: Notification) -> list[str]:
    """What the recipient was to read, line by line; or why that can't be shown."""
    if isinstance(notification.content, Withheld):
        return [f"  | ({withheld(notification.content.why)})"]
    return [f"  | {line}" for line in notification.text.split("\n")]


def text_json(notification: Notification) -> dict[str, Any]:
    """The same for programs."""
    if isinstance(notification.content, Withheld):
        return {"text": None, "text_withheld": notification.content.why}
    return {"text": notification.text}


# -- commands ----------------------------------------------------------------------------------------------


def list_letters(deployment: Deployment, output: Output) -> None:
    """Print the letters that ask for somebody and can be read now. Those that ask for nobody go."""
    with output.progress("reading dead letters") as progress:
        box = deployment.redriver(seen=progress.step).box(tidy=True)
    found, hidden, known = box.open, box.hidden, box.records
    for letter in found:
        named = deployment.names.of(letter.account).about()
        output.record(_listed_json(letter, known.get(letter.notification)) | named)
    if found:
        rows = [_row(letter, known.get(letter.notification)) for letter in found]
        output.table(["NOTIFICATION", "TICKET", "TO", "REASON", "FAILED AT"], rows)
    else:
        output.say("no dead letters" if not hidden else "no dead letter can be read now; see below")
    if box.passed:
        output.say(f"and {box.passed} more that ask for nothing: sent again, or at its end since")
    if hidden:
        output.say(
            f"and about {hidden} more that can't be read now: SQS returns at most ten of each recipient, and "
            "none that somebody else is reading. Redrive or drop the first ones to see the next"
        )
    if found:
        output.say()
        for code in dict.fromkeys(letter.reason for letter in found):
            if code in REASONS:
                output.say(f"{code}: {REASONS[code].means} {REASONS[code].mend}")
        output.say()
        output.say("why:         tocsin dead-letters show ID")
        output.say("send again:  tocsin dead-letters redrive ID | --reason CODE | --all")
        output.say("give up:     tocsin dead-letters drop ID | --reason CODE | --all")


def _listed_json(letter: Letter, record: Notification | UnreadableRecord | None) -> dict[str, Any]:
    more: dict[str, str | None] = dict.fromkeys(("ticket", "ticket_event", "state", "refused_address"))
    if isinstance(record, UnreadableRecord):
        more["state"] = UNREADABLE
    elif record is not None:
        more = {
            "ticket": record.ticket_id,
            "ticket_event": record.event_type,
            "state": str(record.state),
            "refused_address": shown_refused(record),
        }
    return letter_json(letter) | more


def _row(letter: Letter, record: Notification | UnreadableRecord | None) -> tuple[str, ...]:
    whom = shown_recipient(letter.recipient)
    ticket, trouble = "-", ""
    if isinstance(record, UnreadableRecord):
        trouble = UNREADABLE_RECORD
    else:
        ticket = f"{record.ticket_id} {record.event_type}" if record else "-"
        if record is not None and record.refused_address:
            whom = repr(shown_refused(record))
    return (
        letter.notification,
        ticket,
        f"{letter.audience} {whom}",
        f"{letter.reason} ({trouble})" if trouble else letter.reason,
        iso_moment(letter.failed_at),
    )


def show_letter(deployment: Deployment, notification_id: str, *, text: bool, output: Output) -> None:
    """Print one letter with its history; with `text`, also the message's text. Raises NotFound."""
    letter = deployment.redriver().find(notification_id)
    odd, record = "", None
    try:
        record = read_record(deployment.stores.notifications, notification_id)
    except UnreadableRecord:
        odd = UNREADABLE_RECORD
    if letter is None and record is not None and record.state is State.FAILED:
        letter = Letter.of(record)
    if letter is None:
        raise NotFound(_no_such_letter(notification_id, record))
    named = deployment.names.of(letter.account)
    output.record(_shown(letter, record, text=text) | named.about())
    ticket = f"{record.ticket_id}, {record.event_type}, revision {record.revision}" if record else "-"
    output.say(
        f"notification  {letter.notification}  ({letter.audience}, {shown_recipient(letter.recipient)})"
    )
    output.say(f"ticket        {ticket}")
    output.say(f"account       {named.label}")
    output.say(f"failed        {iso_moment(letter.failed_at)}")
    output.say(f"reason        {letter.reason} ({letter.class_})")
    output.say(f"detail        {letter.detail or '-'}")
    if letter.reason in REASONS:
        output.say(f"means         {REASONS[letter.reason].means}")
        output.say(f"remedy        {REASONS[letter.reason].mend}")
    if record is not None and record.refused_address:
        output.say(f"refused       {shown_refused(record)!r}")
    if record is not None and isinstance(record.content, Withheld):
        output.say(f"words         {withheld(record.content.why)}")
    if meanwhile := odd or superfluous(record):
        output.say(f"meanwhile     {meanwhile}")
    output.say(f"attempts      {len(letter.attempts)}")
    for attempt in letter.attempts:
        output.say(f"  {_attempt_line(attempt)}")
    if text and record is not None:
        output.say()
        for line in shown_text(record):
            output.say(line)


def redrive_letters(
    deployment: Deployment,
    selection: Selection,
    *,
    dry_run: bool,
    output: Output,
    yes: bool = False,
    wait_seconds: float = 0,
) -> None:
    """Redrive what is selected, and for `wait_seconds` tell what becomes of each. Before more than twenty it
    says what it will do and asks, unless `yes`. Raises NotFound if one letter was named and isn't there,
    Usage for a reason that is none, NeedsAttention if one failed again meanwhile."""
    redriver = deployment.redriver()
    _demand_reason(redriver, selection)
    if not selection.notification and not dry_run and not yes:
        with output.progress("reading dead letters") as progress:
            plan = _plan(deployment, deployment.redriver(seen=progress.step), selection)
        if plan:
            confirm(lambda: plan, yes=False, output=output)
    done = redriver.redrive(selection, dry_run=dry_run)
    redriven = _report(done, deployment, redriver, selection, dry_run=dry_run, output=output)
    tell_what_became(deployment.stores.notifications, redriven, output, wait_seconds=wait_seconds)


def drop_letters(
    deployment: Deployment, selection: Selection, *, dry_run: bool, output: Output, yes: bool
) -> None:
    """Delete what is selected. Raises NotFound if one letter was named and isn't there, Usage for a reason
    that is none. `yes`: do not ask before deleting more than one."""
    redriver = deployment.redriver()
    _demand_reason(redriver, selection)
    if not selection.notification and not dry_run:
        confirm(lambda: _loss(deployment, redriver, selection), yes=yes, output=output)
    done = redriver.drop(selection, dry_run=dry_run)
    _report(done, deployment, redriver, selection, dry_run=dry_run, output=output)


def _demand_reason(redriver: Redriver, selection: Selection) -> None:
    """Raises Usage for a reason that Tocsin doesn't know and no letter has: a slip of the pen would else look
    like nothing to do."""
    if selection.reason is not None and selection.reason not in REASONS:
        demand_known(selection.reason, REASONS, (letter.reason for letter in redriver.read()))


def demand_known(reason: str, known: Iterable[str], there: Iterable[str]) -> None:
    """Raises Usage, which names the reasons that are `there` and all that are `known`."""
    now = sorted(set(there))
    if reason in now:
        return
    near = difflib.get_close_matches(reason, {*known, *now}, n=1)
    hint = f"did you mean '{near[0]}'? " if near else ""
    raise Usage(
        f"'{reason}' is no reason. {hint}Letters have now: {', '.join(now) or 'none'}. "
        f"Known: {', '.join(sorted(known))}"
    )


def _plan(deployment: Deployment, redriver: Redriver, selection: Selection) -> str:
    """What a redrive would do with what can be read now, where that is to be asked about; else empty."""
    box = redriver.box()
    chosen = sum(selection.matches(letter) for letter in box.open)
    # Behind ten of a recipient others are hidden: they come to light once those are gone.
    hidden = box.hidden if chosen else 0
    if chosen + hidden <= ASKS_ABOVE:
        return ""
    done = list(redriver.redrive(selection, dry_run=True))
    again = [one for one in done if one.would == "redriven"]
    accounts = deployment.names.labels(sorted({one.letter.account for one in again}))
    people = len({one.letter.recipient for one in again})
    rest = Counter(one.would for one in done if one.would != "redriven")
    others = "".join(f"; {count} {what}" for what, count in rest.items())
    more = f"; about {hidden} more can't be read yet: those that match are sent too" if hidden else ""
    return (
        f"{counted(len(again), 'dead letters')} will be sent again to {counted(people, 'recipients')} "
        f"(account {accounts})"
        f"{others}{more}"
    )


def _loss(deployment: Deployment, redriver: Redriver, selection: Selection) -> str:
    box = redriver.box()
    chosen = [letter for letter in box.open if selection.matches(letter)]
    if not chosen:
        return ""
    accounts = deployment.names.labels(sorted({letter.account for letter in chosen}))
    behind = box.hidden
    more = f"; about {behind} more can't be read yet; those that match are deleted too" if behind else ""
    which = f" with the reason {selection.reason}" if selection.reason else ""
    named = any(
        one is not None for one in (selection.among, selection.recipients, selection.since, selection.until)
    )
    return (
        f"all {'these ' if named else ''}dead letters{which} will be deleted for good: {len(chosen)} that "
        f"can be read now (account {accounts}){more}"
    )


def _report(
    all_done: Generator[Done, None, None],
    deployment: Deployment,
    redriver: Redriver,
    selection: Selection,
    *,
    dry_run: bool,
    output: Output,
) -> list[str]:
    """Print what is done with each. Returns which were redriven."""
    counts = {"redriven": 0, "dropped": 0, "kept": 0}
    results: list[Done] = []
    try:
        with closing(all_done), output.progress("dead letters") as progress:
            for done in progress.over(all_done):
                counts[done.would or done.result] += 1
                results.append(done)
                _tell(done, output)
        if selection.notification and not any(counts.values()):
            record = read_record(deployment.stores.notifications, selection.notification)
            raise NotFound(_no_such_letter(selection.notification, record))
    except UnreadableRecord as error:
        raise ConsoleError(str(error)) from error
    finally:
        # What was done is written down, however it ended.
        did = counts["redriven"] + counts["dropped"]
        if did and not dry_run:
            which = f" ({selection.notification})" if selection.notification else ""
            what = f"dead letters: {summed(counts)}{which}"
            note(deployment, what, count=did, **concerns(results))
    output.say(f"{'would be: ' if dry_run else ''}{summed(counts)}")
    if dry_run and not selection.notification:
        hidden = redriver.box().hidden
        if hidden:
            output.say(f"about {hidden} more can't be read yet: those that match follow in the real run")
    return [done.letter.notification for done in results if done.result == "redriven"]


def summed(counts: Mapping[str, int], words: Mapping[str, str] = MappingProxyType({})) -> str:
    """How many of each result. `words`: what a result is called instead."""
    return ", ".join(f"{number} {words.get(result, result)}" for result, number in counts.items())


class Concerns(TypedDict):
    """What a line of the audit tells programs."""

    kind: str
    ids: list[str]


def concerns(results: Iterable[Done]) -> Concerns:
    """Of a line about dead letters: which were dropped."""
    dropped = [done.letter.notification for done in results if done.result == "dropped"]
    return {"kind": LETTERS_DROPPED if dropped else "", "ids": dropped}


def _tell(done: Done, output: Output) -> None:
    name = done.letter.notification
    would = {"would": done.would} if done.would else {}
    output.record({"notification": name, "result": done.result, "why": done.why or None} | would)
    told = done.why if done.would == "redriven" else f"{done.result}{done.why and ': ' + done.why}"
    output.say(f"{name}  {done.letter.reason}  {told}")


def _no_such_letter(notification_id: str, record: Notification | None) -> str:
    state = f" (it is {record.state})" if record is not None else ""
    return f"no dead letter for notification {notification_id}{state}: see 'tocsin dead-letters list'"


def letter_json(letter: Letter) -> dict[str, Any]:
    """A letter for programs, its phone numbers masked."""
    return {
        "notification": letter.notification,
        "account": letter.account,
        "recipient": masking.phone(letter.recipient) if letter.recipient else None,
        "audience": letter.audience,
        "reason": letter.reason,
        "class": letter.class_,
        "detail": letter.detail,
        "failed_at": json_iso_moment(letter.failed_at),
        "attempts": [_masked(attempt) for attempt in letter.attempts],
    }


def _shown(letter: Letter, record: Notification | None, *, text: bool) -> dict[str, Any]:
    shown = letter_json(letter)
    if record is not None:
        shown |= {
            "ticket": record.ticket_id,
            "ticket_event": record.event_type,
            "revision": record.revision,
            "state": str(record.state),
            "refused_address": shown_refused(record),
        }
        if text or isinstance(record.content, Withheld):
            shown |= text_json(record)
    return shown


def _attempt_line(attempt: Mapping[str, Any]) -> str:
    """Time, cause, detail, and the number reserved for each user."""
    numbers = (f"{masking.phone(user)} #{number}" for user, number in attempt.get("numbers", {}).items())
    cause = f"{attempt.get('cause', '?')} ({attempt.get('class', '')})"
    return "  ".join(
        filter(None, (moment(attempt.get("at")), cause, str(attempt.get("detail", "")), ", ".join(numbers)))
    )


def _masked(attempt: Mapping[str, Any]) -> dict[str, Any]:
    """An attempt as shown: the users it was encrypted for are phone numbers, too."""
    numbers = {masking.phone(user): number for user, number in attempt.get("numbers", {}).items()}
    return {**with_json_moments(attempt, "at"), "numbers": numbers}
