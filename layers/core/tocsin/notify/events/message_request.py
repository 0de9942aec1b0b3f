"""A message without a ticket, as somebody asks for it on the bus: `MessageRequested`.

The schema lies beside this file (`message-requested.schema.json`); it describes the `detail` of the
EventBridge event. Where a ticket event names a ticket, notifications of these name the request: its source
and its key (`request_name`).

The text of a sensitive request lies sealed wherever the request is kept (`sealed_request`). Whoever puts such
an event on the bus and has the key of the texts may seal it as well: then the bus never sees it.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from typing import Any

from tocsin.dynamo.writes import Key
from tocsin.notify.attachments import TYPES, media_type_of
from tocsin.notify.events.addresses import Normalise, group_of, phone_of
from tocsin.notify.events.audience import Recipient
from tocsin.notify.events.checks import (
    MAX_ID_CHARACTERS,
    MAX_VIOLATIONS,
    Fitted,
    InvalidEvent,
    Schema,
    listed,
)
from tocsin.notify.events.envelope import (
    account_of,
    account_violations,
    event_id_of,
    id_violations,
    load_envelope,
    moment_of,
)
from tocsin.notify.events.file_names import fitted_file_name
from tocsin.notify.malformed import read_json
from tocsin.notify.notification import MESSAGE_REQUESTED, Audience, request_name
from tocsin.notify.store.texts import Texts
from tocsin.people.numbers import normalise_phone

SCHEMA = Schema("message-requested.schema.json")

_SEALED_AT = "message-requested"


@dataclass(frozen=True)
class RequestedFile:
    """A file that goes along: one of `bucket_key`, `url` and `content` says where its bytes are."""

    file_name: str
    media_type: str
    caption: str = ""
    bucket_key: str = ""
    url: str = ""
    content: bytes = b""


@dataclass(frozen=True)
class MessageRequest:
    """A request, checked. `key`: the event's id where the request names none. `recipients`: those who can't
    be told included. `sealed_text`: in place of the text and the captions. `ignored`, `cut`, `left_out`: as
    in `TicketEvent`."""

    event_id: str
    account: str
    key: str
    source: str
    recipients: tuple[Recipient, ...]
    text: str
    language: str = ""
    sensitive: bool = False
    urgent: bool = False
    files: tuple[RequestedFile, ...] = ()
    event_at: int | None = None
    sealed_text: str = ""
    bound_to: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    cut: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What stands in the place of a ticket's id."""
        return request_name(self.source, self.key)


def parse_request(
    body: str,
    *,
    default_region: str,
    default_area: str = "",
    accounts: Collection[str],
    attachments: bool = False,
) -> MessageRequest | None:
    """Read an EventBridge event; None if it is another one. Raises InvalidEvent with every violation. The
    arguments are those of `schema.parse_event`."""
    if MESSAGE_REQUESTED not in body:
        return None
    envelope = load_envelope(body)
    if envelope.get("detail-type") != MESSAGE_REQUESTED:
        return None
    told = envelope.get("detail")
    if not isinstance(told, dict):
        raise InvalidEvent(["detail: is not an object"])
    fitted = Fitted(SCHEMA)
    detail: dict[str, Any] = fitted.fit(told, SCHEMA.json, "detail")
    violations = [*SCHEMA.violations(detail), *_violations(envelope, detail, accounts, attachments)]
    if violations:
        raise InvalidEvent(listed([*violations, *fitted.left_out[:MAX_VIOLATIONS]]))
    normalise = partial(normalise_phone, default_region=default_region, default_area=default_area)
    request = _request(envelope, detail, normalise)
    return replace(
        request,
        bound_to=_bound_to(told),
        cut=tuple(fitted.cut),
        left_out=tuple(fitted.left_out),
    )


# -- what is sensitive -------------------------------------------------------------------------------------


def is_sensitive(event: Mapping[str, Any]) -> bool:
    """Whether an event as it came is a request that asks to be kept from eyes. Whatever isn't plainly no, is
    yes."""
    detail = event.get("detail")
    if event.get("detail-type") != MESSAGE_REQUESTED or not isinstance(detail, dict):
        return False
    return detail.get("sensitive") not in (None, False)


def sealed_request(event: Mapping[str, Any], texts: Texts) -> dict[str, Any]:
    """An event as it came, the words in it sealed for its recipients alone; opened when it is planned."""
    detail = dict(event["detail"])
    captions = _captions(detail)
    words = {"text": detail.pop("text", None), "captions": captions}
    if words["text"] is None and not any(captions):
        return dict(event)
    sealed = texts.seal(words, _place(_key_of(event, detail)), *_bound_to(detail))
    detail["sealed_text"] = base64.b64encode(sealed).decode()
    if isinstance(detail.get("files"), list):
        detail["files"] = [_without_caption(one) for one in detail["files"]]
    return {**event, "detail": detail}


def kept_body(body: str, texts: Texts) -> str:
    """The event in `body` as it may be kept: sealed, if it is sensitive."""
    # JSON may write any letter of a name as \u0073.
    if "\\u" not in body and (MESSAGE_REQUESTED not in body or "sensitive" not in body):
        return body
    try:
        event = read_json(body)
    except ValueError:
        return '"an event with sensitive words, which is no JSON"'
    if not isinstance(event, dict) or not is_sensitive(event):
        return body
    return json.dumps(sealed_request(event, texts), ensure_ascii=False)


def opened(request: MessageRequest, texts: Texts) -> MessageRequest:
    """The request with its words, if they are sealed. Raises TextWithheld, if they are so for others."""
    if not request.sealed_text:
        return request
    sealed = base64.b64decode(request.sealed_text)
    words = texts.open(sealed, _place(request.key), *request.bound_to)
    captions = [*words.get("captions", ()), *([""] * len(request.files))]
    files = tuple(
        replace(one, caption=caption or "")
        for one, caption in zip(request.files, captions[: len(request.files)], strict=True)
    )
    return replace(request, text=words.get("text") or "", files=files)


def _captions(detail: Mapping[str, Any]) -> list[Any]:
    files = detail.get("files")
    if not isinstance(files, list):
        return []
    return [one.get("caption") if isinstance(one, dict) else None for one in files]


def _without_caption(file: Any) -> Any:
    return {**file, "caption": None} if isinstance(file, dict) else file


def _key_of(event: Mapping[str, Any], detail: Mapping[str, Any]) -> str:
    return str(detail.get("key") or event.get("id") or "")[:MAX_ID_CHARACTERS]


def _bound_to(detail: Mapping[str, Any]) -> tuple[str, ...]:
    """For whom the words of a request are sealed: nobody gets them by naming other recipients."""
    return (_digest([account_of(detail), detail.get("recipients")]),)


def _place(key: str) -> Key:
    return _SEALED_AT, _digest(key)


def _digest(value: Any) -> str:
    """Of any JSON, however long and whatever stands in it."""
    return sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


# -- reading -----------------------------------------------------------------------------------------------


def _request(envelope: Mapping[str, Any], detail: Mapping[str, Any], normalise: Normalise) -> MessageRequest:
    language = detail.get("language") or ""
    audience: Audience = detail.get("audience") or "customer"
    found = [
        _recipient(one, f"detail.recipients[{n}]", audience, language, normalise)
        for n, one in enumerate(detail["recipients"])
    ]
    each = {(one.audience, *one.identity): one for one in reversed(found)}
    return MessageRequest(
        event_id=event_id_of(envelope),
        event_at=moment_of(envelope.get("time")),
        account=account_of(detail),
        key=_key_of(envelope, detail),
        source=detail.get("source") or "",
        recipients=tuple(reversed(each.values())),
        text=detail.get("text") or "",
        sealed_text=detail.get("sealed_text") or "",
        language=language,
        sensitive=bool(detail.get("sensitive")),
        urgent=detail.get("priority") == "urgent",
        files=tuple(_file(one) for one in detail.get("files") or ()),
        ignored=SCHEMA.unknown_fields(detail),
    )


def _recipient(
    told: Mapping[str, Any], path: str, audience: Audience, language: str, normalise: Normalise
) -> Recipient:
    is_group = "group" in told
    found = group_of(told["group"], f"{path}.group") if is_group else phone_of(told, path, normalise)
    lost = None if isinstance(found, str) else found
    return Recipient(
        "group" if is_group else audience,
        found if isinstance(found, str) else "",
        told.get("name") or "",
        language,
        lost,
    )


def _file(told: Mapping[str, Any]) -> RequestedFile:
    file_name = file_name_of(told)
    return RequestedFile(
        file_name,
        media_type_of(file_name) or "",
        told.get("caption") or "",
        told.get("bucket_key", ""),
        told.get("url", ""),
        _bytes(told.get("content", "")) or b"",
    )


def file_name_of(told: Mapping[str, Any]) -> str:
    """As told. Where it has no ending that tells what it is, it gets that of its media type."""
    file_name = fitted_file_name(told["name"])
    if media_type_of(file_name) is None:
        mime = (told.get("mime") or "").partition(";")[0].strip().lower()
        ending = next((ending for ending, kind in TYPES.items() if kind == mime), None)
        file_name = fitted_file_name(f"{file_name}.{ending}") if ending else file_name
    return file_name


def _bytes(content: str) -> bytes | None:
    try:
        return base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError):
        return None


# -- checking ----------------------------------------------------------------------------------------------


def _violations(
    envelope: Mapping[str, Any],
    detail: Mapping[str, Any],
    accounts: Collection[str],
    has_bucket: bool,
) -> Iterator[str]:
    """What a schema can't say."""
    yield from account_violations(detail, accounts)
    yield from id_violations(envelope)
    if not detail.get("key") and not envelope.get("id"):
        yield "detail.key: is missing, and the event has no id"
    files = detail.get("files")
    text = detail.get("text")
    if not (isinstance(text, str) and text.strip()) and not detail.get("sealed_text") and not files:
        yield "detail.text: is missing, and there are no files"
    if isinstance(files, list) and files:
        yield from _file_violations(files[:MAX_VIOLATIONS], has_bucket)


def _file_violations(files: list[Any], has_bucket: bool) -> Iterator[str]:
    if not has_bucket:
        yield "detail.files: none are sent here; name a bucket in the parameter AttachmentsBucket"
    for number, one in enumerate(files):
        if not isinstance(one, dict) or not isinstance(one.get("name"), str):
            continue
        path = f"detail.files[{number}]"
        if not isinstance(one.get("mime") or "", str) or media_type_of(file_name_of(one)) is None:
            yield f"{path}: its name must end in one of {', '.join(TYPES)}"
        content = one.get("content")
        if isinstance(content, str) and not _bytes(content):
            yield f"{path}.content: is not base64"
