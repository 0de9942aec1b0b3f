"""The records of people in the notifications table: each name leads to its person, each change to the record.

    name ──▶ record                     the name is the person's id
         └─▶ pointer ──▶ record         another name of theirs

A pointer takes the place of a name's own record in the transaction that joins the two, so whoever still
writes to the name is refused and follows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from tocsin.dynamo.table import ConditionFailed, Conflict, Contention
from tocsin.dynamo.writes import (
    ITEM_EXISTS,
    Absent,
    AnyOf,
    AtMost,
    Condition,
    Exists,
    Item,
    Key,
    Put,
    Update,
    Write,
    as_read,
)
from tocsin.people.consent import (
    CONSENTS,
    CONSENTS_BEFORE,
    GIVEN,
    MAX_CONSENTS,
    WITHDRAWN,
    ConsentChange,
    Way,
    last_consents,
)
from tocsin.people.forgotten import Forgotten, OptOut
from tocsin.people.person import (
    FORMERLY,
    LANE,
    MUST_WRITE_FIRST_AT,
    NAMES,
    POINTER,
    REACHED,
    REFUSED,
    REVISION,
    Addressee,
    Name,
    Person,
    addressee_of_item,
    joined,
    known_names,
    lane_of,
    person_of_item,
    pointer_of,
    with_names,
)
from tocsin.tables.names import is_group
from tocsin.tables.notifications import count_in_hour_key, person_key

if TYPE_CHECKING:
    from tocsin.dynamo.patient_table import PatientTable

_MS_PER_HOUR = 3_600_000
_MAX_HOPS = 4
_MAX_TRIES = 8

IS_RECORD = Absent(POINTER)
# A second opt-out, or a second confirmation, changes nothing.
NOT_OPTED_OUT = (Absent("opted_out_at"),)
OPTED_OUT = (Exists("opted_out_at"),)
OPTED_OUT_UNCONFIRMED = (Exists("opted_out_at"), Absent("confirmed_at"))


class TooManyHops(RuntimeError):
    """Pointers lead in a circle, or along a chain that no join makes. `tocsin people show` names them."""


class People:
    """The people of all accounts. `name` is a bare JID everywhere, `at` is in milliseconds."""

    def __init__(self, table: PatientTable, forgotten: Forgotten) -> None:
        self._table = table
        self.forgotten = forgotten

    # -- who is it? ----------------------------------------------------------------------------------------

    def find(self, account: str, name: str) -> Person:
        """The person of a name; an unknown one if nothing is stored."""
        return self.follow(account, name, self._table.get(person_key(account, name)))

    def is_known(self, account: str, name: str) -> bool:
        """Whether anything is stored of a name."""
        return self._table.get(person_key(account, name)) is not None

    def follow(self, account: str, name: str, item: Item | None) -> Person:
        """The person of a name whose item was read already."""
        for _ in range(_MAX_HOPS):
            whose = pointer_of(item)
            if whose is None:
                return person_of_item(name, item)
            name, item = whose, self._table.get(person_key(account, whose))
        raise TooManyHops(account)

    def address(self, account: str, spellings: Iterable[Sequence[str]]) -> list[Addressee]:
        """For each recipient the person of the first of its spellings that is known; of the last one if none
        is. One read, however many they are; one more for those of whom nothing is stored, if anybody was
        ever forgotten who had opted out. Consistent, for nobody decides again that their opt-out holds."""
        wanted = [tuple(names) for names in spellings]
        keys = {name: person_key(account, name) for names in wanted for name in names}
        found = self._table.get_many([*keys.values(), *self.forgotten.place(account)]) if keys else {}
        chosen = [next((name for name in names if keys[name] in found), names[-1]) for names in wanted]
        strangers = [name for name in chosen if keys[name] not in found and not is_group(name)]
        self._recall(account, strangers, found)
        return [addressee_of_item(name, found.get(keys[name])) for name in chosen]

    def names_on_the_way(self, account: str, name: str) -> Iterator[str]:
        """A name, and while it turns out to be a pointer, where that leads. Ask for the next one only once
        the last was refused as a pointer. Raises TooManyHops."""
        for _ in range(_MAX_HOPS):
            yield name
            name = self.find(account, name).id
        raise TooManyHops(account)

    # -- two names of one person -----------------------------------------------------------------------------

    def join(self, account: str, name: str, into: str, names: Sequence[Name]) -> Person:
        """`name` turned out to be a name of the person `into`. Return that person as it is then.

        What was said, planned or parked under the name holds for the person. Repeating it changes nothing.
        A name that leads to another person already goes over, without anything of that person's.
        """
        if name == into:
            return self.find(account, into)
        return self._settled(lambda: self._join(account, name, into, names))

    def _join(self, account: str, name: str, into: str, names: Sequence[Name]) -> Person | None:
        key, target = person_key(account, name), person_key(account, into)
        found = self._table.get_many([key, target, *self.forgotten.place(account)])
        records = [
            one for one, place in ((name, key), (into, target)) if pointer_of(found.get(place)) is None
        ]
        if self._recall(account, records, found):
            return None
        whose = pointer_of(found.get(key))
        if whose == into:
            return self.follow(account, into, found.get(target))
        person = person_of_item(into, found.get(target))
        writes: list[Write] = []
        if whose is None:
            person = joined(person, person_of_item(name, found.get(key)), names)
        else:
            at = max((one.at for one in names), default=0)
            writes += self._lose_name(account, whose, name, at)
            person = with_names(person, names, lane=lane_of(name))
        as_it_was = (as_read(POINTER, found.get(key)), _unchanged(found.get(key)))
        writes.append(Put(key, {POINTER: into, LANE: person.lane}, when=as_it_was))
        writes.append(_stored(target, person, found.get(target)))
        return replace(person, revision=person.revision + 1) if self._transacted(writes) else None

    def _lose_name(self, account: str, whose: str, name: str, at: int) -> list[Write]:
        """The person who had a name keeps it as one of the past."""
        key = person_key(account, whose)
        item = self._table.get(key)
        known = person_of_item(whose, item).names
        if item is None or name not in known:
            return []
        lost = Name(name, known[name].source, known[name].at, until=at)
        names = {jid: one.to_value() for jid, one in {**known, name: lost}.items()}
        return [
            Update(key, set={NAMES: names}, add={REVISION: 1}, when=(_unchanged(item), IS_RECORD)),
        ]

    def note_name(self, account: str, person: Person, name: Name) -> Person:
        """Keep that a person is known by this name too. Return the person as it is then; losing it to
        somebody else's change is fine."""
        key = person_key(account, person.id)
        known = with_names(person, [name])
        update = Update(
            key,
            set={NAMES: {jid: one.to_value() for jid, one in known.names.items()}},
            add={REVISION: 1},
            when=(as_read(REVISION, {REVISION: person.revision} if person.revision else {}), IS_RECORD),
        )
        with suppress(ConditionFailed):
            self._table.update(update)
        return known

    def _settled(self, attempt: Callable[[], Person | None]) -> Person:
        """Try again while somebody else changes the same people. Raises Contention."""
        for _ in range(_MAX_TRIES):
            person = attempt()
            if person is not None:
                return person
        raise Contention("a person's record changes all the time")

    def _transacted(self, writes: Sequence[Write]) -> bool:
        try:
            self._table.transact(writes, self._table.new_token())
        except Conflict:
            return False
        return True

    # -- consent -------------------------------------------------------------------------------------------

    def opt_out(
        self, account: str, name: str, word: str, at: int, *, way: Way = Way.MESSAGE, message: str = ""
    ) -> bool:
        """Remember the opt-out; whether it is news. `message`: the id of the one that said so."""
        said: Item = {"opted_out_at": at, "opt_out_word": word}
        out = Update(("", ""), set=said, remove=("confirmed_at",), when=NOT_OPTED_OUT)
        return self._changes_consent(account, name, out, ConsentChange(at, WITHDRAWN, way, message))

    def confirm_opt_out(self, account: str, name: str, at: int) -> bool:
        """Claim the one confirmation of an opt-out; whether it is still to be said."""
        return self._said(
            account, name, Update(("", ""), set={"confirmed_at": at}, when=OPTED_OUT_UNCONFIRMED)
        )

    def opt_in(self, account: str, name: str, at: int, *, way: Way = Way.MESSAGE, message: str = "") -> bool:
        """Take an opt-out back, also one from before they were erased; whether there was one. `message`: as
        for `opt_out`."""
        person = self.find(account, name)
        recalled = self.forgotten.drop(account, {name, person.id, *person.names})
        gone = ("opted_out_at", "opt_out_word", "confirmed_at")
        back, given = Update(("", ""), remove=gone), ConsentChange(at, GIVEN, way, message)
        if self._changes_consent(account, name, back._replace(when=OPTED_OUT), given):
            return True
        return recalled and self._changes_consent(account, name, back, given)

    def _changes_consent(self, account: str, name: str, update: Update, change: ConsentChange) -> bool:
        """Make a change of consent, and note it in the same write; whether it is one."""
        try:
            item = self.change(account, name, update._replace(append={CONSENTS: change.to_value()}))
        except ConditionFailed:
            return False
        self._shorten_consents(item)
        return True

    def _shorten_consents(self, item: Item) -> None:
        """Keep the last ones. Who changes the record at this moment leaves it to the next change."""
        person = person_of_item("", item)
        if len(person.consents) <= MAX_CONSENTS:
            return
        kept, before = last_consents(person.consents, person.consents_before)
        values: Item = {CONSENTS: [one.to_value() for one in kept], CONSENTS_BEFORE: before}
        place = (str(item["pk"]), str(item["sk"]))
        with suppress(ConditionFailed):
            self._table.update(Update(place, set=values, add={REVISION: 1}, when=(_unchanged(item),)))

    def recalled(self, account: str, name: str) -> Person:
        """The person of a name of which nothing is stored: opted out, if they were before they were
        erased."""
        place = self.forgotten.place(account)
        self._recall(account, [name], self._table.get_many(place) if place else {})
        return self.find(account, name)

    def _recall(self, account: str, names: Sequence[str], found: Mapping[Key, Item]) -> bool:
        """Somebody who was erased is written to again: the opt-out that was kept of them holds. Return
        whether that was news. `found`: what was read with `Forgotten.place`."""
        kept = self.forgotten.of(account, names, found) if names else {}
        return sum(self._said(account, name, _opting_out(opt_out)) for name, opt_out in kept.items()) > 0

    def _said(self, account: str, name: str, update: Update) -> bool:
        try:
            self.change(account, name, update)
        except ConditionFailed:
            return False
        return True

    # -- what reached them, and what they wrote --------------------------------------------------------------

    def note_delivery(self, account: str, name: str, notification_id: str, reached: str) -> None:
        """A device of theirs confirmed a notification: a reply without a quote is taken to be about it, and
        the count of recoveries starts again. `reached`: text that sorts by when it reached them. Receipts
        come in any order: what reached them earlier is not the last."""
        last: Item = {"last_notification": notification_id, REACHED: reached}
        not_later = AnyOf((Absent(REACHED), AtMost(REACHED, reached)))
        news = Update(("", ""), set=last, remove=("recoveries",), when=(not_later,))
        if not self._said(account, name, news):
            self._said(account, name, Update(("", ""), remove=("recoveries",), when=(Exists("recoveries"),)))

    def note_heard(self, account: str, name: str, at: int) -> None:
        """They wrote to us before any notification of our present number reached them: they know it from now
        on."""
        self.change(account, name, Update(("", ""), set={"heard_at": at}))

    def note_must_write_first(
        self, account: str, name: str, notification_id: str, at: int, *, is_anew: bool = False
    ) -> None:
        """WhatsApp refused a notification because they must write first; it goes out once they do. `is_anew`:
        what was noted before was said of another number of ours."""
        noted: Item = {MUST_WRITE_FIRST_AT: at}
        refused = {REFUSED: frozenset({notification_id})}
        first, again = ({}, noted) if is_anew else (noted, {})
        self.change(account, name, Update(("", ""), set=again, set_first=first, add=refused))

    def forget_must_write_first(self, account: str, name: str, refused: frozenset[str]) -> None:
        """They may be written to; `refused`: what was let go. What is noted meanwhile was refused since."""
        gone = Update(
            ("", ""),
            remove=(MUST_WRITE_FIRST_AT,),
            discard={REFUSED: refused} if refused else {},
            when=(ITEM_EXISTS,),
        )
        with suppress(ConditionFailed):
            self.change(account, name, gone)

    def enter_line(self, account: str, name: str, turn: str) -> None:
        """A notification to them is about to lie in the queue behind later ones: these wait for it."""
        self.change(account, name, Update(("", ""), add={"parked": frozenset({turn})}))

    def leave_line(self, account: str, name: str, turn: str) -> None:
        """A notification in their line came to its end: it holds up nobody any more."""
        update = Update(("", ""), discard={"parked": frozenset({turn})}, when=(ITEM_EXISTS,))
        with suppress(ConditionFailed):
            self.change(account, name, update)

    # -- counts --------------------------------------------------------------------------------------------

    def count_recovery(self, account: str, name: str) -> int:
        """One more recovery since the last success; how many."""
        counted = self.change(account, name, Update(("", ""), add={"recoveries": 1}))["recoveries"]
        assert isinstance(counted, int)  # noqa: S101  it was just added to
        return counted

    def count_recovery_in_hour(self, account: str, name: str, at: int) -> int:
        """One more recovery in the hour of `at`; how many."""
        return self._count_in_hour("recoveries", account, name, at)

    def count_list_question_in_hour(self, account: str, name: str, at: int) -> int:
        """One more question in the hour of `at` whether a device is one of theirs; how many."""
        return self._count_in_hour("questions", account, name, at)

    def count_unreadable_in_hour(self, account: str, name: str, at: int) -> int:
        """One more question in the hour of `at` for a message of theirs that we can't read; how many."""
        return self._count_in_hour("unreadable", account, name, at)

    def count_number_question_in_hour(self, account: str, at: int) -> int:
        """One more question in the hour of `at` whose a number is that a stanza names; how many."""
        return self._count_in_hour("numbers", account, "", at)

    def count_phone_question_in_hour(self, account: str, name: str, at: int) -> int:
        """One more question in the hour of `at` whether they have another phone by now; how many."""
        return self._count_in_hour("phones", account, name, at)

    def count_guess_in_hour(self, account: str, name: str, at: int) -> int:
        """One more thing in the hour of `at` that they asked for and weren't sent; how many."""
        return self._count_in_hour("guesses", account, name, at)

    def guesses_in_hour(self, account: str, name: str, at: int) -> int:
        """How many there were in the hour of `at`."""
        return self._counted_in_hour("guesses", account, name, at)

    def recoveries_in_hour(self, account: str, name: str, at: int) -> int:
        """How many recoveries there were in the hour of `at`."""
        return self._counted_in_hour("recoveries", account, name, at)

    def _counted_in_hour(self, what: str, account: str, name: str, at: int) -> int:
        item = self._table.get(count_in_hour_key(account, name, what, at // _MS_PER_HOUR)) or {}
        counted = item.get(what, 0)
        return counted if isinstance(counted, int) else 0

    def _count_in_hour(self, what: str, account: str, name: str, at: int) -> int:
        """Each hour has an item of its own, which expires two days later."""
        hour = at // _MS_PER_HOUR
        expiry: Item = {"expire_at": (hour + 48) * 3600}
        update = Update(count_in_hour_key(account, name, what, hour), set=expiry, add={what: 1})
        counted = self._table.update(update)[what]
        assert isinstance(counted, int)  # noqa: S101  it was just added to
        return counted

    # -- one write to whom a name belongs --------------------------------------------------------------------

    def change(self, account: str, name: str, update: Update) -> Item:
        """Apply `update` (its key is filled in) to the record of the person of a name. Return the record
        after it. Raises ConditionFailed if a condition of the update's own doesn't hold."""
        for _ in range(_MAX_HOPS):
            try:
                return self._table.update(turned_to(account, name, update))
            except ConditionFailed as refused:
                whose = pointer_of(refused.item)
                if whose is None:
                    raise
                name = whose
        raise TooManyHops(account)


def _opting_out(opt_out: OptOut) -> Update:
    return Update(("", ""), set=opt_out.to_item(), when=NOT_OPTED_OUT)


def turned_to(account: str, name: str, update: Update) -> Update:
    """Return an update of the record under a name; it is refused if that is a pointer."""
    return update._replace(
        key=person_key(account, name),
        add={**update.add, REVISION: 1},
        when=(*update.when, IS_RECORD),
    )


def _unchanged(item: Item | None) -> Condition:
    return Absent("pk") if item is None else as_read(REVISION, item)


def _stored(key: Key, person: Person, item: Item | None) -> Update:
    """The write that makes a record what `person` is. It stands as it was read."""
    values: dict[str, object] = {
        LANE: person.lane,
        NAMES: {jid: one.to_value() for jid, one in known_names(person.names.values()).items()},
        FORMERLY: person.formerly or None,
        "opted_out_at": person.opted_out_at,
        "opt_out_word": person.opt_out_word,
        "confirmed_at": person.confirmed_at,
        "recoveries": person.recoveries or None,
        "last_notification": person.last_notification,
        REACHED: person.reached,
        "parked": person.parked or None,
        "heard_at": person.heard_at,
        MUST_WRITE_FIRST_AT: person.must_write_first_at,
        REFUSED: person.refused or None,
        CONSENTS: [one.to_value() for one in person.consents] or None,
        CONSENTS_BEFORE: person.consents_before or None,
    }
    present = {name: value for name, value in values.items() if value is not None}
    return Update(
        key,
        set=present,  # type: ignore[arg-type]
        add={REVISION: 1},
        when=(_unchanged(item), IS_RECORD),
    )
