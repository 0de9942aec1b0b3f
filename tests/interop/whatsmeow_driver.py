"""whatsmeow as a companion that a test drives. It needs the environment of requirements/whatsmeow.txt.

    python whatsmeow_driver.py '{"url": "ws://…", "root_public_key": "hex", "folder": "for its keys"}'

whatsmeow is compiled into neonize, whose Python has no word for another server. So before the client is made,
two values of the loaded library are replaced in this process's memory: the server's address, and the public
key of the root that signs its certificates. The package stays as it was installed.

Commands on stdin and events on stdout, a JSON object a line, are those of `node/baileys-client.mjs`. To leave
and to come back, end it and start it anew.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import sys
import threading
import types
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

ADDRESS = b"wss://web.whatsapp.com/ws/chat"
ROOT = bytes.fromhex("142375574d0a587166aae71ebe516437c4a28b73e3695c6ce1f7f9545da8ee6b")
"""WhatsApp's own. Public: every client holds it."""

READ, WRITE = 1, 2
Json = dict[str, Any]


def replace_in_memory(before: bytes, after: bytes) -> None:
    """Overwrite the one place of the library where `before` stands; both are of one length."""
    if len(before) != len(after):
        raise SystemExit(f"{after!r} doesn't fit in place of {before!r}")
    found = [place for start, end in mapped() for place in places(before, start, end)]
    if len(found) != 1:
        raise SystemExit(f"{before!r} is in the library {len(found)} times; another neonize than 0.5.2?")
    make_writable(found[0], len(after))
    ctypes.memmove(found[0], after, len(after))


def mapped() -> list[tuple[int, int]]:
    """Where the library lies in this process, from and to."""
    lines = [line.split() for line in Path("/proc/self/maps").read_text().splitlines()]
    ranges = [line[0].split("-") for line in lines if "neonize" in line[-1] and line[1].startswith("r")]
    return [(int(start, 16), int(end, 16)) for start, end in ranges]


def places(wanted: bytes, start: int, end: int) -> list[int]:
    data = ctypes.string_at(start, end - start)
    return [start + match.start() for match in re.finditer(re.escape(wanted), data)]


def make_writable(place: int, length: int) -> None:
    """The pages are this process's own copy from then on."""
    page = place - place % os.sysconf("SC_PAGE_SIZE")
    mprotect = ctypes.CDLL(None, use_errno=True).mprotect
    if mprotect(ctypes.c_void_p(page), ctypes.c_size_t(place + length - page), READ | WRITE):
        raise OSError(ctypes.get_errno(), "mprotect")


options: Json = json.loads(sys.argv[1])

# The library prints to file descriptor 1; ours is a copy of what that was.
events = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)

# It is only wanted to guess the types of files, and fails to load where libmagic isn't installed.
try:
    import magic  # noqa: F401
except ImportError:
    sys.modules["magic"] = types.ModuleType("magic")

from neonize import events as happens  # noqa: E402
from neonize.client import NewClient  # noqa: E402
from neonize.proto import Neonize_pb2 as neonize  # noqa: E402
from neonize.utils.enum import ReceiptType  # noqa: E402
from neonize.utils.jid import Jid2String as text_of  # noqa: E402

replace_in_memory(ADDRESS, options["url"].encode().ljust(len(ADDRESS), b"/"))
replace_in_memory(ROOT, bytes.fromhex(options["root_public_key"]))

client = NewClient(str(Path(options["folder"]) / "whatsmeow.db"), uuid="driven")
STATUS = {"DELIVERED": "delivered", "READ": "read", "PLAYED": "played"}
lock = threading.Lock()
received: dict[str, Any] = {}


def emit(event: str, **facts: Any) -> None:
    with lock:
        events.write(json.dumps({"event": event, **facts}) + "\n")


def jid_of(to: str) -> Any:
    user, _, server = to.partition("@")
    digits = re.sub("[^0-9]", "", user) if not server else user
    return neonize.JID(User=digits, Server=server or "s.whatsapp.net", Device=0, RawAgent=0, Integrator=0)


@client.event(happens.ConnectedEv)
def connected(_: Any, event: Any) -> None:
    me = client.get_me()
    emit("open", jid=text_of(me.JID), lid=text_of(me.LID))


def file_facts(content: Any) -> Json:
    """What a message tells of its file, and what it does to an earlier message."""
    if content.HasField("documentWithCaptionMessage"):
        content = content.documentWithCaptionMessage.message
    for kind in ("imageMessage", "documentMessage"):
        if content.HasField(kind):
            told = getattr(content, kind)
            return {"kind": kind, "caption": told.caption or None, "mimetype": told.mimetype}
    if content.HasField("reactionMessage"):
        return {"reaction": content.reactionMessage.text, "about": content.reactionMessage.key.ID}
    edited = content.protocolMessage
    if edited.HasField("editedMessage"):
        return {"edit": edited.editedMessage.conversation, "about": edited.key.ID}
    return {}


@client.event(happens.MessageEv)
def message(_: Any, event: Any) -> None:
    info, source = event.Info, event.Info.MessageSource
    received[info.ID] = event
    content = event.Message
    emit(
        "message",
        **file_facts(content),
        id=info.ID,
        chat=text_of(source.Chat),
        sender=text_of(source.Sender),
        other=text_of(source.SenderAlt),
        from_me=source.IsFromMe,
        text=content.conversation or content.extendedTextMessage.text or None,
        quoted_id=content.extendedTextMessage.contextInfo.stanzaID or None,
        time=info.Timestamp,
        key=info.ID,
    )


@client.event(happens.UndecryptableMessageEv)
def unreadable(_: Any, event: Any) -> None:
    emit("message", id=event.Info.ID, text=None, undecryptable=True)


@client.event(happens.ReceiptEv)
def receipt(_: Any, event: Any) -> None:
    kind = neonize.Receipt.ReceiptType.Name(event.Type)
    if kind in STATUS:
        for name in event.MessageIDs:
            emit("status", id=name, status=STATUS[kind], by=text_of(event.MessageSource.Sender))


@client.event(happens.LoggedOutEv)
def logged_out(_: Any, event: Any) -> None:
    emit("closed", code=401)


@client.event(happens.StreamReplacedEv)
def replaced(_: Any, event: Any) -> None:
    emit("closed", code=440)


@client.event(happens.StreamErrorEv)
def stream_error(_: Any, event: Any) -> None:
    emit("closed", code=int(event.Code))


@client.event(happens.DisconnectedEv)
def disconnected(_: Any, event: Any) -> None:
    emit("closed", code=428)


@client.event(happens.ConnectFailureEv)
def refused(_: Any, event: Any) -> None:
    emit("closed", code=int(event.Reason))


@client.event(happens.ClientOutdatedEv)
def outdated(_: Any, event: Any) -> None:
    emit("closed", code=405)


@client.event(happens.TemporaryBanEv)
def banned(_: Any, event: Any) -> None:
    emit("closed", code=402)


def send(to: str, text: str, quoted: Json | None = None) -> Json:
    if quoted is None:
        answer = client.send_message(jid_of(to), text)
    else:
        answer = client.reply_message(text, received[quoted["id"]], to=jid_of(to))
    return {"id": answer.ID}


def read(messages: list[str]) -> Json:
    for name in messages:
        source = received[name].Info.MessageSource
        client.mark_read(name, chat=source.Chat, sender=source.Sender, receipt=ReceiptType.READ)
    return {}


def exists(numbers: list[str]) -> Json:
    found = client.is_on_whatsapp(*numbers)
    return {"found": [{"number": one.Query, "exists": one.IsIn, "jid": text_of(one.JID)} for one in found]}


def pairing_code(number: str) -> Json:
    return {"code": client.PairPhone(number, True)}


def send_file(
    to: str, path: str, caption: str, file_name: str, mimetype: str, kind: str = "document"
) -> Json:
    if kind == "image":
        answer = client.send_image(jid_of(to), path, caption=caption)
    else:
        answer = client.send_document(
            jid_of(to), path, caption=caption, filename=file_name, mimetype=mimetype
        )
    return {"id": answer.ID}


def download(id: str) -> Json:
    """whatsmeow checks hashes, length and MAC: a file that comes is the one that was described."""
    file = client.download_any(received[id].Message)
    return {"sha256": sha256(file).hexdigest(), "length": len(file), "base64": b64encode(file).decode()}


COMMANDS: dict[str, Callable[..., Json]] = {
    "send": send,
    "read": read,
    "exists": exists,
    "pairing-code": pairing_code,
    "send-file": send_file,
    "download": download,
}


def obey() -> None:
    """Carry out commands until stdin ends, and with it this process."""
    for line in sys.stdin:
        order = json.loads(line)
        request, name = order.pop("request"), order.pop("command")
        try:
            emit("done", request=request, **COMMANDS[name](**order))
        except Exception as error:  # noqa: BLE001  whatever it is, the test wants to know
            emit("failed", request=request, reason=f"{type(error).__name__}: {error}")
    os._exit(0)


client.qr(lambda _, code: emit("qr", qr=code.decode()))
threading.Thread(target=obey, daemon=True).start()
client.connect()
