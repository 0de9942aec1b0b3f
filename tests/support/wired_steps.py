"""What tests do with the wired functions, and what they look at afterwards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from tests.support.fake_whatsapp import wrapped
from tests.support.memory_aws import everything_in
from tests.support.sealed_texts import TEXTS
from tests.support.wired_functions import WiredFunctions
from tocsin.notify.store.replies import open_reply
from tocsin.signal.session import Ciphertext
from tocsin.signal.x3dh import PreKeyBundle
from tocsin.whatsapp.node import Node
from tocsin.whatsapp.outgoing import text_message


def replies(wired: WiredFunctions) -> list[dict]:
    """The replies that were told to the world."""
    items = everything_in(wired.aws.notifications_table)
    return [
        open_reply(item, TEXTS) for item in items if item["pk"].startswith("reply#") and "outcome" in item
    ]


def our_bundle(wired: WiredFunctions) -> PreKeyBundle:
    """What the server hands out for the account: uploaded by the connector before."""
    credentials = wired.paired.keys.account.credentials()
    [prekey] = wired.paired.keys.account.new_prekeys(1)
    signed = credentials.signed_prekey
    return PreKeyBundle(
        credentials.registration_id,
        credentials.identity.public,
        signed.id,
        signed.pair.public,
        signed.signature,
        prekey.id,
        prekey.pair.public,
    )


def garbled(wired: WiredFunctions, stanza_id: str = "B1", count: int = 0) -> Node:
    """A message whose MAC is wrong, though its form is right."""
    device = wired.siti.devices[0]
    good = device.encrypt(text_message("rusak"))
    body = good.body[:-1] + bytes((good.body[-1] ^ 1,))
    return wrapped(device, wired.siti, stanza_id, Ciphertext(good.type, body), count=count)


def retry_of(wired: WiredFunctions) -> Node:
    return wired.network.written[-1].require_child("retry")


def sessions(wired: WiredFunctions) -> list:
    return [item for item in everything_in(wired.aws.keys_table) if item["pk"].startswith("session#")]


def orders(wired: WiredFunctions) -> list[dict]:
    return wired.aws.messages("notifications")


def facts(wired: WiredFunctions, device: int = 0):
    return wired.paired.keys.sending.session_facts(wired.paired.profile, "1234@lid", device)


def reply_of_everybody(wired: WiredFunctions) -> None:
    """Each device answers, so that our next messages are no longer first ones."""
    for device in wired.siti.devices.values():
        wired.reply("ok", f"ok{device.jid.device}", device)


def deaf(wired: WiredFunctions, number: int = 2) -> tuple:
    """Siti's phone refuses everything, whatever session it is offered."""
    phone = wired.siti.devices[0]
    phone.receive = lambda message_id, enc: "BadMac"  # type: ignore[method-assign]
    return wired.tell(number), phone


def changed(node: Node, **attrs: object) -> Node:
    return Node(node.tag, {**node.attrs, **attrs}, node.content)


def with_count(node: Node, count: int) -> Node:
    children = tuple(
        Node("retry", {**child.attrs, "count": str(count)}) if child.tag == "retry" else child
        for child in node.children()
    )
    return Node(node.tag, node.attrs, children)


def requests_of(wired: WiredFunctions, action: Callable[[], Any]) -> Counter[str]:
    """The DynamoDB requests that `action` makes."""
    counted: Counter[str] = Counter()

    def count(model: Any, **_: Any) -> None:
        counted[model.name] += 1

    events = wired.aws.dynamodb.meta.events
    events.register("before-call.dynamodb", count)
    try:
        action()
    finally:
        events.unregister("before-call.dynamodb", count)
    return counted
