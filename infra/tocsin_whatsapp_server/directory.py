"""Who exists: accounts, their devices, and the keys each device published. Nothing here knows sockets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tocsin.signal.x3dh import PreKeyBundle
from tocsin.whatsapp.jid import JID, LID, PN
from tocsin_whatsapp_server.account_health import Health
from tocsin_whatsapp_server.mailbox import Mailbox

FIRST_LID = 100_000_000_000_001
PHONE = 0
"""The device number of the phone itself; companions are 1, 2, 3 …"""


@dataclass(frozen=True)
class SignedPreKey:
    """`public` has 32 bytes; `signature` is the identity key's, over 05 and the public key."""

    id: int
    public: bytes
    signature: bytes


@dataclass(eq=False)
class Device:
    """A phone (number 0) or a linked companion, with what it published for others to start sessions with.

    `noise_key` is what a companion proves itself with at login; the phone lives in this process and has none.
    `prekeys`: one-time keys still to be handed out, oldest first.
    """

    account: Account
    number: int
    identity: bytes
    registration_id: int
    signed_prekey: SignedPreKey
    noise_key: bytes | None = None
    device_identity: bytes | None = None
    key_index: int = 0
    platform: str = ""
    linked_at: int = 0
    prekeys: dict[int, bytes] = field(default_factory=dict)
    mailbox: Mailbox = field(default_factory=Mailbox)

    @property
    def pn(self) -> JID:
        return self.account.pn.with_device(self.number)

    @property
    def lid(self) -> JID:
        return self.account.lid.with_device(self.number)

    def address(self, server: str) -> JID:
        """The device's JID in the family of `server`: phone number or LID."""
        return self.lid if server == LID else self.pn

    def take_bundle(self) -> PreKeyBundle:
        """Hand out the keys for one new session. A one-time prekey is handed out once; without any, none."""
        prekey_id = next(iter(self.prekeys), None)
        prekey = None if prekey_id is None else self.prekeys.pop(prekey_id)
        return PreKeyBundle(
            registration_id=self.registration_id,
            identity=self.identity,
            signed_prekey_id=self.signed_prekey.id,
            signed_prekey=self.signed_prekey.public,
            signed_prekey_signature=self.signed_prekey.signature,
            prekey_id=prekey_id,
            prekey=prekey,
        )

    def __str__(self) -> str:
        return f"{self.account.number}:{self.number}"


@dataclass(eq=False)
class Account:
    """One WhatsApp account: a number, its LID, a phone and its companions.

    `gated`: companions are linked with the account's passkey only.
    `business`: of WhatsApp Business, whose name is told to its companions as it is.
    `contacts`: numbers of the accounts it exchanged messages with; they are told when its devices change.
    `key_indexes`: the phone's signed word, as of now, on which companions count.
    `health`: whom it may write to.
    `tokens`: the privacy tokens that others issued to it, by their numbers. `trusts`: whom it issued one to.
    """

    number: str
    lid_user: str
    name: str
    devices: dict[int, Device] = field(default_factory=dict)
    contacts: set[str] = field(default_factory=set)
    tokens: dict[str, bytes] = field(default_factory=dict)
    trusts: set[str] = field(default_factory=set)
    business: bool = False
    gated: bool = False
    health: Health = field(default_factory=Health)
    key_indexes: Callable[[], bytes] | None = field(repr=False, default=None)
    last_device: int = 0
    last_key_index: int = 0

    @property
    def pn(self) -> JID:
        return JID(self.number, PN)

    @property
    def lid(self) -> JID:
        return JID(self.lid_user, LID)

    def bare(self, server: str) -> JID:
        return self.lid if server == LID else self.pn

    def next_device(self) -> tuple[int, int]:
        """(device number, key index) for a new companion; neither is ever given twice."""
        self.last_device += 1
        self.last_key_index += 1
        return self.last_device, self.last_key_index


class UnknownNumber(KeyError):
    """No account has this number. Register a phone with it first."""

    def __str__(self) -> str:
        return f"no phone with the number {self.args[0]}; make it with POST /phones"


class Directory:
    """All accounts, found by number or by LID."""

    def __init__(self) -> None:
        self._by_number: dict[str, Account] = {}
        self._by_lid: dict[str, Account] = {}

    def register(self, number: str, name: str) -> Account:
        """Make an account with the next LID. The number is digits in international form, without the plus."""
        account = Account(number, str(FIRST_LID + len(self._by_number)), name)
        self._by_number[number] = account
        self._by_lid[account.lid_user] = account
        return account

    def __iter__(self) -> Iterator[Account]:
        return iter(self._by_number.values())

    def __len__(self) -> int:
        return len(self._by_number)

    def by_number(self, number: str) -> Account:
        """Raises UnknownNumber."""
        try:
            return self._by_number[number]
        except KeyError:
            raise UnknownNumber(number) from None

    def account(self, jid: JID) -> Account | None:
        """Whose JID this is, device or not, in either family."""
        user = jid.chat  # hosted devices have servers of their own
        if user.server == LID:
            return self._by_lid.get(user.user)
        return self._by_number.get(user.user) if user.server == PN else None

    def device(self, jid: JID) -> Device | None:
        account = self.account(jid)
        return account.devices.get(jid.device) if account else None
