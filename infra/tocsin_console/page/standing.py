"""How things stand: one sentence for whoever opens the page, and what needs a person. Pure.

What needs nobody isn't said: a page that always warns is read by nobody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tocsin.accounts.state import AccountState
from tocsin_console.account_health import LIMITS
from tocsin_console.connection import UNREACHABLE
from tocsin_console.page.shown import plural
from tocsin_console.status import AccountStatus

GOOD: Final = "good"
WARN: Final = "warn"
BAD: Final = "bad"

_SENTENCES: Final[Mapping[str, str]] = {
    AccountState.UNPAIRED: "is not linked to a phone, so nothing can be sent",
    AccountState.PAIRING: "is being linked right now",
    AccountState.CONNECTING: "is connecting",
    AccountState.LOGGED_OUT: "was unlinked on the phone, so nothing can be sent",
    AccountState.REPLACED: "was taken over by another program with the same keys",
    AccountState.STOPPED: "has no connector, so nothing can be sent",
    AccountState.RESTRICTED: "is restricted by WhatsApp",
    UNREACHABLE: "can't be reached: its connector has fallen silent",
}
_LINK: Final = frozenset({AccountState.UNPAIRED, AccountState.LOGGED_OUT})
_PASSING: Final = frozenset({AccountState.PAIRING, AccountState.CONNECTING, AccountState.RESUMING})


@dataclass(frozen=True)
class Need:
    """What needs a person. `do`: the words on the way to it, `to`: that way."""

    tone: str
    text: str
    do: str = ""
    to: str = ""


@dataclass(frozen=True)
class Standing:
    tone: str
    sentence: str
    needs: tuple[Need, ...] = ()

    @property
    def lead(self) -> str:
        """Its first sentence, which says the most."""
        first, stop, rest = self.sentence.partition(". ")
        return first + "." if stop and rest else self.sentence

    @property
    def rest(self) -> str:
        return self.sentence.removeprefix(self.lead).strip()


def standing(
    accounts: Sequence[AccountStatus] | None,
    queues: Mapping[str, int] | None,
    arrived: int | None,
    stuck: int = 0,
) -> Standing:
    """`queues`: what lies in queues that should be empty, by name; `arrived`: messages of the last 24
    hours; None: that can't be had. `stuck`: how many of the dead letters can't be sent again."""
    needs = [
        need for account in accounts or () for need in _of_account(account, alone=len(accounts or ()) == 1)
    ]
    needs += _of_queues(queues or {}, stuck)
    if accounts is None:
        return Standing(BAD, "The state of the accounts can't be read.", tuple(needs))
    if not accounts:
        return Standing(WARN, "No account is served yet.", tuple(needs))
    tone = BAD if any(one.tone == BAD for one in needs) else WARN if needs else GOOD
    well = sum(account.well for account in accounts)
    if tone == GOOD:
        how = (
            "The account is connected"
            if len(accounts) == 1
            else f"All {len(accounts)} accounts are connected"
        )
        news = "" if arrived is None else f" {plural(arrived, 'message')} arrived in the last 24 hours."
        return Standing(GOOD, f"Everything is running. {how}, and nothing needs you.{news}")
    if well == len(accounts):
        lead = "Messages go out."
    elif len(accounts) == 1:
        lead = f"The account {_sentence(accounts[0])}."
    else:
        lead = f"{well} of {len(accounts)} accounts are connected."
    return Standing(tone, f"{lead} {plural(len(needs), 'thing needs', 'things need')} you.", tuple(needs))


def _sentence(account: AccountStatus) -> str:
    return _SENTENCES.get(account.state, f"is {account.state}")


def _of_account(account: AccountStatus, *, alone: bool) -> list[Need]:
    """`alone`: there is no other, so the sentence above says how it stands."""
    needs = []
    if not account.well and account.state not in _PASSING and account.state != AccountState.RESTRICTED:
        waiting = sum(account.waiting.values())
        held = f"; {plural(waiting, 'message waits', 'messages wait')} for it" if waiting else ""
        link = account.state in _LINK
        what = f"The account {account.account} {_sentence(account)}{held}."
        if alone and link:
            what = f"New messages wait until it is linked{held}."
        needs.append(
            Need(
                BAD,
                what,
                "Link it" if link else "See the doctor",
                f"/link?account={account.account}" if link else "/doctor",
            )
        )
    for limit in account.limits:
        needs.append(Need(WARN, f"{account.account}: {LIMITS[limit.kind]}.", "See when it ends", "/link"))
    test = account.self_test
    if test is not None and test.failing:
        needs.append(
            Need(BAD, f"{account.account}: the last self-test failed ({test.cause}).", "See it", "/doctor")
        )
    return needs


def _of_queues(queues: Mapping[str, int], stuck: int) -> list[Need]:
    needs = []
    if letters := queues.get("dead letters", 0):
        text = f"{plural(letters, 'message was', 'messages were')} given up{_ways_out(letters, stuck)}."
        needs.append(Need(WARN, text, "Look at the dead letters", "/letters"))
    if events := queues.get("dead ticket events", 0):
        text = f"{plural(events, 'ticket event', 'ticket events')} could not be understood and told nobody."
        needs.append(Need(WARN, text, "See which", "/letters/events"))
    others = {
        name: count for name, count in queues.items() if name not in ("dead letters", "dead ticket events")
    }
    for name, count in others.items():
        if count:
            needs.append(
                Need(
                    WARN,
                    f"{plural(count, 'message')} lie in the queue of {name}.",
                    "See the doctor",
                    "/doctor",
                )
            )
    return needs


def _ways_out(letters: int, stuck: int) -> str:
    if not stuck:
        return " and can be sent again or dropped"
    if stuck >= letters:
        them = "it" if letters == 1 else "them"
        return f" and can't be sent again: see what mends {them}, then drop {them}"
    return f": {letters - stuck} can be sent again, {stuck} can't"
