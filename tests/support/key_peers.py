"""What the key store's tests share: two ends of a conversation, and a table that misbehaves on demand."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tocsin.dynamo.memory import MemoryTable
from tocsin.dynamo.table import ScanPage, Table
from tocsin.dynamo.writes import Delete, Item, Key, Put, Update, Write
from tocsin.keys.account import Credentials
from tocsin.keys.observe import IdentityChange
from tocsin.keys.reserve import Reservation
from tocsin.keys.store import KeyStore
from tocsin.sealing import DamagedRecord, Sealer
from tocsin.signal.session import Ciphertext
from tocsin.signal.x3dh import PreKeyBundle
from tocsin.tables.keys import inbound_key, outbound_key

SECRET = '{"id": "k1", "key": "an-entirely-random-text-of-40-characters"}'
SEALER = Sealer.from_secret(SECRET)
NOW = 1_795_000_000


class Entropy:
    """Random bytes that are the same in each run (of one thread), and never the same twice in a run."""

    def __init__(self, seed: str) -> None:
        self._state = hashlib.sha256(seed.encode()).digest()
        self._lock = threading.Lock()

    def __call__(self, count: int) -> bytes:
        with self._lock:
            self._state = hashlib.sha256(self._state).digest()
            return hashlib.shake_256(self._state).digest(count)


class Clock:
    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Interposed:
    """A table whose requests can be watched and disturbed.

    `before`, `after`: called with the name of each request and its argument; what they raise is raised in its
    place, and after the request it was done all the same (a lost answer).
    """

    def __init__(self, table: Table) -> None:
        self.table = table
        self.before: Callable[[str, Any], None] = lambda name, argument: None
        self.after: Callable[[str, Any], None] = lambda name, argument: None
        self.requests: list[str] = []

    def _call(self, name: str, argument: Any, *more: Any) -> Any:
        self.requests.append(name)
        self.before(name, argument)
        result = getattr(self.table, name)(argument, *more)
        self.after(name, argument)
        return result

    def get(self, key: Key) -> Item | None:
        return self._call("get", key)

    def get_many(self, keys: Sequence[Key]) -> dict[Key, Item]:
        return self._call("get_many", keys)

    def query(self, pk: str, prefix: str = "") -> list[Item]:
        return self._call("query", pk, prefix)

    def keys(self, pk: str, prefix: str = "") -> list[Key]:
        return self._call("keys", pk, prefix)

    def count(self, pk: str, without: str) -> int:
        return self._call("count", pk, without)

    def scan(self, after: Key | None = None, *, prefix: str = "", sk: str = "") -> ScanPage:
        self.requests.append("scan")
        self.before("scan", after)
        return self.table.scan(after, prefix=prefix, sk=sk)

    def put(self, put: Put) -> None:
        self._call("put", put)

    def update(self, update: Update) -> Item:
        return self._call("update", update)

    def delete(self, delete: Delete) -> None:
        self._call("delete", delete)

    def transact(self, writes: Sequence[Write], token: str) -> None:
        self._call("transact", writes, token)


def once(name: str, action: Callable[[], None]) -> Callable[[str, Any], None]:
    """A hook that acts at the first request of this name, and is quiet from then on, also while it acts."""
    pending = [action]

    def hook(request: str, argument: Any) -> None:
        if request == name and pending:
            pending.pop()()

    return hook


def raising(error: Exception) -> Callable[[], None]:
    """An action that fails."""

    def action() -> None:
        raise error

    return action


@dataclass(frozen=True)
class Vouches:
    """A voucher that speaks for one identity, in the name of one phone. Signatures are `whatsapp.adv`'s."""

    identity: bytes
    account: bytes

    def vouches(self, identity: bytes, account: bytes) -> bool:
        return (identity, account) == (self.identity, self.account)


class End:
    """One end of conversations: an account with its key store, named by its bare JID `user`."""

    def __init__(
        self,
        user: str,
        device: int = 0,
        table: Table | None = None,
        clock: Clock | None = None,
        entropy: Callable[[int], bytes] | None = None,
        phone: End | None = None,
    ) -> None:
        """`phone`: which vouches for this companion; a made-up one, where it plays no part."""
        self.user = user
        self.device = device
        self.clock = clock or Clock()
        self.entropy = entropy or Entropy(user)
        self.table = Interposed(table if table is not None else MemoryTable())
        self.damages: list[DamagedRecord] = []
        self.pauses: list[float] = []
        self.keys = self.opened()
        self.keys.account.create()
        lid = f"{user.partition('@')[0]}:{device}@lid"
        self.credentials: Credentials = self.keys.account.save_pairing(
            jid=lid.replace("lid", "s.whatsapp.net"), lid=lid, device_identity=b"identity"
        )
        self._stanzas = 0
        self.phone = phone

    def opened(
        self,
        table: Table | None = None,
        *,
        on_identity_change: Callable[[IdentityChange], None] | None = None,
    ) -> KeyStore:
        """Another key store over the same table, as another Lambda has."""
        return KeyStore(
            table or self.table,
            Sealer.from_secret(SECRET),
            "main",
            clock=self.clock,
            random=self.entropy,
            sleep=self.pauses.append,
            on_damage=self.damages.append,
            on_identity_change=on_identity_change,
        )

    @property
    def profile(self):
        return self.credentials.profile

    @property
    def account_key(self) -> bytes | None:
        """The identity of the phone that vouches for this end; None for a phone."""
        if self.device == 0:
            return None
        return self.phone.profile.identity_public if self.phone else hashlib.sha256(b"phone").digest()

    @property
    def voucher(self) -> Vouches | None:
        account = self.account_key
        return Vouches(self.credentials.identity.public, account) if account else None

    def bundle(self, *, prekey: bool = True) -> PreKeyBundle:
        """What this end's server would hand out."""
        signed, made = self.credentials.signed_prekey, self.keys.account.new_prekeys(1)[0] if prekey else None
        return PreKeyBundle(
            self.credentials.registration_id,
            self.credentials.identity.public,
            signed.id,
            signed.pair.public,
            signed.signature,
            made.id if made else None,
            made.pair.public if made else None,
            voucher=self.voucher,
        )

    def meet(self, peer: End, **options: Any) -> None:
        """Make a session with `peer` from a bundle."""
        refused = self.keys.sending.make_sessions(
            self.profile,
            self.credentials,
            peer.user,
            {peer.device: peer.bundle()},
            devices=[peer.device],
            **({"account_key": peer.account_key} | options),
        )
        assert not refused

    def reserve(self, peer: End) -> Reservation:
        return self.keys.sending.reserve(self.profile, peer.user)

    def say(self, peer: End, text: bytes) -> Ciphertext:
        """Reserve and encrypt."""
        return self.reserve(peer).encrypt(peer.device, self.profile, text)

    def hear(self, peer: End, message: Ciphertext, stanza_id: str | None = None):
        """Receive from `peer`."""
        self._stanzas += 1
        return self.keys.receiving.receive(
            self.profile,
            self.credentials,
            peer.user,
            peer.device,
            stanza_id or f"S{self._stanzas}",
            message.type,
            message.body,
            voucher=peer.voucher,
            account_key=peer.account_key,
        )

    def read(self, peer: End, message: Ciphertext) -> bytes | None:
        return self.hear(peer, message).plaintext

    def outbound(self, peer: End) -> dict[str, Any]:
        """The item as it lies in the table."""
        key = (f"session#main.{self.profile.incarnation}#{peer.user}", "outbound")
        return dict(self.table.table.get(key) or {})


def converse(one: End, other: End) -> None:
    """One message each way, so that both have answered."""
    assert other.read(one, one.say(other, b"hello")) == b"hello"
    assert one.read(other, other.say(one, b"hello yourself")) == b"hello yourself"


def index_of(message: Ciphertext) -> int:
    from tocsin.signal.session import parse

    parsed = parse(message.type, message.body)
    return getattr(parsed, "message", parsed).counter


def previous_counter_of(message: Ciphertext) -> int:
    from tocsin.signal.session import parse

    parsed = parse(message.type, message.body)
    return getattr(parsed, "message", parsed).previous_counter


def family(count: int = 3) -> tuple[End, list[End]]:
    """One who wrote to so many devices of one user."""
    ann = End("100@lid", device=3)
    phone = End("200@lid")
    devices = [phone, *(End("200@lid", device, phone=phone) for device in range(1, count))]
    bundles = {device.device: device.bundle() for device in devices}
    ann.keys.sending.make_sessions(ann.profile, ann.credentials, "200@lid", bundles, devices=range(count))
    return ann, devices


def spoil(end: End, peer: End, half: str) -> None:
    """Damage one half of what is stored of the first device of `peer`."""
    incarnation = end.profile.incarnation
    key, name = {
        "inbound": (inbound_key("main", incarnation, peer.user, peer.device), "states"),
        "chain": (outbound_key("main", incarnation, peer.user), f"chain#{peer.device}"),
    }[half]
    end.table.table.update(Update(key, set={name: bytes(100)}))
