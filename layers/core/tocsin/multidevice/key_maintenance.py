"""Upkeep of keys and sessions: each hour the account's own keys, once a day a round through all sessions.

Each hour, per account (one read, two writes, one or two questions to WhatsApp):

    mark      how far the keys are is noted outside their table; keys that were set back are left alone
    rotation  a signed prekey in use for 30 days is replaced; adopted only once the server has the new one
    prekeys   few at the server, or few of them ours: 50 more (812 where there are none)

A round walks through the keys table (`ROUND_SECONDS` after the last one began), a page of 1 MB at a time:

    sessions  renewed, pruned and rested as `keys.maintenance` says: a query each, two writes where due
    lists     devices of those written to in the last week, 100 users a question, so that a send needn't ask
    orphans   sessions of earlier pairings are deleted, and what was received under them and never handled;
              other stanza records end by their time to live

It stops in time and goes on an hour later where it stopped. Nothing of it is on the way of a message. A walk
costs half a read unit per 4 KB: 100,000 users in 250 MB are some 32,000 units and 25 s. Everything is done
under conditions, so two runs at once, or one cut off anywhere, do no harm.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tocsin.accounts.state import CAN_SEND
from tocsin.connector_client.errors import ConnectorError
from tocsin.dynamo.writes import Delete, Item, Key, Put, Value
from tocsin.keys.chain import chain_devices
from tocsin.keys.context import log_damage
from tocsin.keys.errors import Contended, KeysBehind, NoAccount, NotPaired
from tocsin.keys.maintenance import Limits
from tocsin.keys.prekeys import prekeys_to_add
from tocsin.multidevice.account import Account, Connector
from tocsin.notify.parking import Connectors
from tocsin.settings.declared import SESSION_IDLE_DAYS
from tocsin.settings.reader import CurrentSettings, unchanged_settings
from tocsin.tables.keys import OUTBOUND, Owner, owner_of
from tocsin.whatsapp import iq
from tocsin.whatsapp.errors import WireError
from tocsin.whatsapp.jid import JID
from tocsin.whatsapp.usync import MAX_PER_REQUEST, parse_devices, usync_devices

if TYPE_CHECKING:
    from tocsin.dynamo.table import Table
    from tocsin.keys.account import Credentials
    from tocsin.keys.store import KeyStore
    from tocsin.multidevice.numbers import NumberOwners
    from tocsin.sealing import DamagedRecord
    from tocsin.whatsapp.node import Node
    from tocsin.whatsapp.usync import UserDevices

log = logging.getLogger(__name__)

DAY: Final = 86400

ROUND_SECONDS: Final = 23 * 3600
"""From the beginning of one round to that of the next, at least; with an hourly schedule that is a day."""

ROTATION_SECONDS: Final = 30 * DAY

LIST_SECONDS: Final = 20 * 3600
"""A device list so old is compared in the daily round; a send would do so after 24 hours."""

LATELY_SECONDS: Final = 7 * DAY
MAX_LISTS: Final = 500
"""Users asked after in one run: the volume of such questions is watched."""

MIN_SECONDS: Final = 60.0
"""With less time than this left no further page is begun."""

TROUBLES: Final = (ConnectorError, WireError, Contended)

ROUND: Final[Key] = ("upkeep", "round")


@dataclass
class Report:
    """What was done for one account.

    `users`: with sessions, seen by this run. `renewed`: cause → sessions archived for it. `pruned`: archived
    states dropped. `rested`: checkpoints moved. `emptied`: devices without anything left. `lists`: compared
    with WhatsApp; `lists_changed`: those out of date. `orphans`: deleted items of earlier pairings.
    `damaged`: records that can't be read. `rotated`: id of the new signed prekey, or 0. `offered`: one-time
    prekeys that the server had, None if it wasn't asked. `set_back`: the keys table is older than it was.
    `troubles`: what couldn't be done, to be tried an hour later.
    """

    account: str
    users: int = 0
    renewed: dict[str, int] = field(default_factory=dict)
    pruned: int = 0
    rested: int = 0
    emptied: int = 0
    lists: int = 0
    lists_changed: int = 0
    orphans: int = 0
    damaged: int = 0
    rotated: int = 0
    offered: int | None = None
    uploaded: int = 0
    set_back: bool = False
    troubles: list[str] = field(default_factory=list)


@dataclass
class Run:
    """What one run did. `pages`, `read_units`: of the walk. `complete`: the round is through."""

    accounts: list[Report] = field(default_factory=list)
    pages: int = 0
    read_units: float = 0.0
    complete: bool = True
    failures: list[Exception] = field(default_factory=list)


@dataclass
class _AccountRound:
    """One account in our care, in this run."""

    keys: KeyStore
    incarnation: int
    account: Account | None
    askable: bool
    report: Report
    # User → devices with a chain, as the walk found them.
    outdated: dict[str, frozenset[int]] = field(default_factory=dict)
    tended: set[str] = field(default_factory=set)
    lists_asked: int = 0


@dataclass
class _Round:
    """How far the walk is. `after`: the key behind which it goes on; None at its beginning and its end."""

    started: int = 0
    after: Key | None = None
    done: bool = True


class KeyMaintenance:
    """Looks after the keys of some accounts.

    `table`: of the keys; `outside`: of the notifications. `open_keys(account, on_damage)`: a key store.
    """

    def __init__(
        self,
        table: Table,
        outside: Table,
        open_keys: Callable[[str, Callable[[DamagedRecord], None]], KeyStore],
        connector: Connector,
        connectors: Connectors,
        numbers: NumberOwners,
        *,
        settings: CurrentSettings = unchanged_settings,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._table = table
        self._outside = outside
        self._open_keys = open_keys
        self._connector = connector
        self._connectors = connectors
        self._numbers = numbers
        self._settings = settings
        self._clock = clock

    def run(self, accounts: Sequence[str], time_left: Callable[[], float], *, force: bool = False) -> Run:
        """The hourly work of `accounts`, and the round as far as time allows. `force`: begin one now."""
        run = Run()
        self._limits = Limits(idle=self._settings().value(SESSION_IDLE_DAYS) * DAY)
        rounds: dict[str, _AccountRound] = {}
        for account in accounts:
            report = Report(account)
            run.accounts.append(report)
            try:
                current = self._begin(report)
                if current is not None:
                    rounds[account] = current
                    self._hourly(current)
            except Exception as exc:  # the other accounts have their turn; the caller raises it
                log.exception("upkeep failed", extra={"account": account})
                run.failures.append(exc)
                rounds.pop(account, None)
        self._go_round(rounds, run, time_left, force=force)
        return run

    # -- the account's own keys --------------------------------------------------------------------------

    def _begin(self, report: Report) -> _AccountRound | None:
        """The account, if there is something to be looked after."""

        def damaged(record: DamagedRecord) -> None:
            report.damaged += 1
            log_damage(record)

        keys = self._open_keys(report.account, damaged)
        try:
            keys.account.record_high_water_mark(self._outside)
            credentials = keys.account.credentials()
        except NoAccount:
            return None
        except KeysBehind as behind:
            report.set_back = True
            log.error("%s", behind, extra={"account": report.account})
            return None
        try:
            account = Account(keys, credentials.profile, self._connector, self._numbers)
        except NotPaired:
            account = None
        askable = account is not None and self._connectors.state(report.account) in CAN_SEND
        return _AccountRound(keys, credentials.incarnation, account, askable, report)

    def _hourly(self, current: _AccountRound) -> None:
        if current.account is None or not current.askable:
            return
        for chore in (self._rotate, self._top_up):
            try:
                chore(current.account, current.report)
            except TROUBLES as trouble:
                _note(current.report, chore.__name__.strip("_"), trouble)

    def _rotate(self, account: Account, report: Report) -> None:
        """Give the server a new signed prekey in time. One that was made and not adopted is given again."""
        credentials = account.keys.account.credentials()
        if self._clock() - credentials.signed_prekey.created < ROTATION_SECONDS:
            return
        newest = credentials.signed_prekeys[max(credentials.signed_prekeys)]
        waiting = newest.id != credentials.current_signed_prekey_id
        made = newest if waiting else account.keys.account.new_signed_prekey()
        account.connector.request(account.profile, iq.rotate_signed_prekey(made))
        account.keys.account.adopt_signed_prekey(made.id)
        report.rotated = made.id
        log.info("signed prekey rotated", extra={"account": report.account, "prekey": made.id})

    def _top_up(self, account: Account, report: Report) -> None:
        """Offer more one-time prekeys where few are left, or few that we can open."""
        answer = account.connector.request(account.profile, iq.prekey_count())
        report.offered = offered = iq.parse_prekey_count(answer)
        held = account.keys.account.prekey_count()
        wanted = prekeys_to_add(min(offered, held))
        if not wanted:
            return
        offer = account.keys.account.prekeys_to_offer(wanted)
        credentials = account.keys.account.credentials()
        upload = _upload(credentials, {key.id: key.pair.public for key in offer.prekeys})
        account.connector.request(account.profile, upload)
        account.keys.account.note_offered(offer, credentials.incarnation)
        report.uploaded = len(offer.prekeys)
        log.info("prekeys uploaded", extra={"account": report.account, "count": len(offer.prekeys)})

    # -- the round ---------------------------------------------------------------------------------------

    def _go_round(
        self, rounds: dict[str, _AccountRound], run: Run, time_left: Callable[[], float], *, force: bool
    ) -> None:
        now = int(self._clock())
        state = self._read_round()
        if force or (state.done and now - state.started >= ROUND_SECONDS):
            state = _Round(now, None, done=False)
        while not state.done and time_left() >= MIN_SECONDS:
            page = self._table.scan(state.after)
            run.pages += 1
            run.read_units += page.read_units
            for item in page.items:
                self._look_at(rounds, item, run)
            for current in rounds.values():
                self._compare_lists(current)
            state.after, state.done = page.following, page.following is None
            self._table.put(Put(ROUND, _stored(state)))
        run.complete = state.done

    def _look_at(self, rounds: dict[str, _AccountRound], item: Item, run: Run) -> None:
        owner = owner_of(str(item["pk"]))
        current = rounds.get(owner.account) if owner is not None else None
        if owner is None or current is None:
            return
        try:
            if owner.incarnation < current.incarnation:
                self._remove_orphan(current, owner, item)
            elif owner.incarnation == current.incarnation and owner.kind == "session" and current.account:
                self._care(current, current.account, owner.user, item)
            elif owner.incarnation == current.incarnation and owner.kind == "group":
                current.report.rested += current.keys.upkeep.tend_group(item, self._limits)
        except TROUBLES as trouble:
            _note(current.report, "session", trouble)
        except Exception as exc:  # one bad item must not end every round at the same place
            log.exception("a session can't be tended", extra={"account": owner.account})
            run.failures.append(exc)

    def _remove_orphan(self, current: _AccountRound, owner: Owner, item: Item) -> None:
        """Nothing reaches an earlier pairing any more."""
        if owner.kind in ("session", "group") or "text" in item:
            self._table.delete(Delete((str(item["pk"]), str(item["sk"]))))
            current.report.orphans += 1

    def _care(self, current: _AccountRound, account: Account, user: str, item: Item) -> None:
        if item["sk"] == OUTBOUND and "next" in item:
            current.report.users += 1
            if self._list_is_due(item):
                current.outdated[user] = frozenset(chain_devices(item))
        if user in current.tended or not current.keys.upkeep.needs_care(item, self._limits):
            return
        current.tended.add(user)
        tended = current.keys.upkeep.tend(account.profile, user, self._limits)
        report = current.report
        report.pruned += tended.pruned
        report.rested += tended.rested
        report.emptied += tended.emptied
        for cause in tended.renewed.values():
            report.renewed[cause] = report.renewed.get(cause, 0) + 1
            current.outdated.pop(user, None)

    # -- device lists ------------------------------------------------------------------------------------

    def _list_is_due(self, item: Item) -> bool:
        """Written to lately, and the list is about to expire. A list marked as out of date (0) is left to the
        next send, which makes the sessions that are missing as well."""
        used_at, checked_at, now = item.get("used_at", 0), item.get("checked_at", 0), self._clock()
        return (
            isinstance(used_at, int)
            and isinstance(checked_at, int)
            and now - used_at < LATELY_SECONDS
            and 0 < checked_at < now - LIST_SECONDS
            and bool(chain_devices(item))
        )

    def _compare_lists(self, current: _AccountRound) -> None:
        """Ask for the lists that are due. After a refusal nobody is asked after any more in this run."""
        due, current.outdated = current.outdated, {}
        if current.account is None or not current.askable:
            return
        due = dict(list(due.items())[: max(MAX_LISTS - current.lists_asked, 0)])
        current.lists_asked += len(due)
        try:
            for users in _questions(due):
                query = usync_devices([JID.parse(user) for user in users])
                for found in parse_devices(current.account.connector.request(current.account.profile, query)):
                    self._note_list(current, current.account, found, due.get(str(found.user)))
        except TROUBLES as trouble:
            current.lists_asked = MAX_LISTS
            _note(current.report, "lists", trouble)

    def _note_list(
        self, current: _AccountRound, account: Account, found: UserDevices, known: frozenset[int] | None
    ) -> None:
        """Note that a list holds, without the devices that are gone. A new one is left to the next send."""
        devices = {device.device for device in found.devices}
        if known is None or found.error is not None or not devices:
            return
        user = str(found.user)
        if account.is_own(user):
            devices.discard(account.own_device.device)
        if devices - known:
            account.keys.sending.expire_device_list(account.profile, user)
        else:
            account.keys.sending.touch_device_list(account.profile, user, devices)
        current.report.lists += 1
        current.report.lists_changed += devices != known

    # -- how far the round is ----------------------------------------------------------------------------

    def _read_round(self) -> _Round:
        item = self._table.get(ROUND)
        if item is None:
            return _Round()
        after = (str(item["after_pk"]), str(item["after_sk"])) if "after_pk" in item else None
        started = item.get("started", 0)
        return _Round(started if isinstance(started, int) else 0, after, bool(item.get("done")))


def _stored(state: _Round) -> dict[str, Value]:
    stored: dict[str, Value] = {"started": state.started, "done": state.done}
    if state.after is not None:
        stored["after_pk"], stored["after_sk"] = state.after
    return stored


def _questions(users: Iterable[str]) -> Iterable[list[str]]:
    """At most 100 users a question, all of one address form."""
    by_form: dict[str, list[str]] = {}
    for user in users:
        by_form.setdefault(user.partition("@")[2], []).append(user)
    for same in by_form.values():
        for start in range(0, len(same), MAX_PER_REQUEST):
            yield same[start : start + MAX_PER_REQUEST]


def _note(report: Report, what: str, trouble: Exception) -> None:
    text = f"{what}: {getattr(trouble, 'code', type(trouble).__name__)}"
    if text not in report.troubles:
        report.troubles.append(text)
    log.warning("upkeep has to wait", extra={"account": report.account, "what": what, "cause": str(trouble)})


def _upload(credentials: Credentials, prekeys: dict[int, bytes]) -> Node:
    return iq.upload_prekeys(
        credentials.registration_id,
        credentials.identity.public,
        prekeys,
        credentials.signed_prekey,
    )
