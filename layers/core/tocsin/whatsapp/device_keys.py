"""Who a linked device is: its keys, and the account it is linked to."""

from __future__ import annotations

from dataclasses import dataclass, field

from tocsin.signal.curve import KeyPair
from tocsin.signal.x3dh import SignedPreKey
from tocsin.whatsapp.errors import InvalidStanza
from tocsin.whatsapp.jid import JID, LID
from tocsin.whatsapp.node import Node


@dataclass(frozen=True, slots=True)
class Login:
    """A paired device. `login_counter`: successful logins so far. `push_name`: what recipients see."""

    jid: JID
    lid: JID | None = None
    login_counter: int = 0
    push_name: str | None = None


@dataclass(frozen=True, slots=True)
class DeviceKeys:
    """Who we are. `login` None: not paired yet. `routing_info`: from an earlier connection."""

    noise: KeyPair
    identity: KeyPair
    registration_id: int
    signed_prekey: SignedPreKey
    adv_secret: bytes = field(repr=False)
    login: Login | None = None
    routing_info: bytes | None = field(default=None, repr=False)


def is_for(login: Login | None, node: Node) -> bool:
    """True unless the stanza names an addressee other than us. Most name none."""
    try:
        to = node.optional_jid("to")
    except InvalidStanza:
        return False
    if login is None or to is None or not to.user:
        return True
    for own in (login.jid, login.lid):
        if own is not None and own.bare == to.bare:
            return to.device in (0, own.device)
    return login.lid is None and to.server == LID


def own_lid(node: Node) -> JID | None:
    """Our device by its LID. It is stored and read back at each login, so nothing else may pass for it."""
    lid = node.optional_jid("lid")
    return lid if lid is not None and lid.server == LID and lid.user.isdecimal() and not lid.agent else None
