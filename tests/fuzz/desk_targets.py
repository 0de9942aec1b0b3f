"""What strangers post to the door as help desks: bodies, HTML, signatures, and mappings of operators."""

from __future__ import annotations

import json

from tests.fuzz.engine import Target
from tests.support.desks import NOW, Recorded, recorded
from tocsin.door.answer import Answer
from tocsin.door.desks import html
from tocsin.door.desks.kept import kept, restored
from tocsin.door.desks.kind import file_of, names
from tocsin.door.desks.lint import checked, lint
from tocsin.door.desks.translate import Refusal, translate
from tocsin.door.signatures import verify
from tocsin.notify.events.schema import parse_event

_BESIDE = ("authorization", "x-glpi-timestamp", "webhook-timestamp", "webhook-id")
_RECORDED = [one for one in recorded().values() if one.change in ("created", "replied")]


def posted(data: bytes) -> str:
    """The first byte chooses the help desk, the rest is its body. What comes of it, the planner takes."""
    if not data:
        return "nothing"
    one: Recorded = _RECORDED[data[0] % len(_RECORDED)]
    body = data[1:]
    result = translate(one.kind, one.headers, body, one.query, NOW)
    if isinstance(result, Refusal):
        letter = json.loads(kept("desk", one.kind, one.headers, body, one.query, result.ticket))
        back = restored(letter["detail"])
        assert back is not None
        assert back[2] == body
        return f"refused: {result.violations[0].partition(':')[0]}"
    if isinstance(result, Answer):
        return f"answer {result.status}"
    if result.entry is None:
        return f"ignored: {result.ignored}"
    envelope = json.dumps({"detail-type": result.entry.detail_type, "detail": result.entry.detail})
    event = parse_event(envelope, default_region="ID", accounts=["default"])
    assert not event.cut
    return f"{event.event_type}, {len(result.repairs)} repairs"


def written(data: bytes) -> str:
    text = html.text_of(data.decode(errors="replace"))
    assert len(text) <= html.MAX_OUTPUT
    return f"{min(text.count(chr(10)), 9)} lines"


def signed(data: bytes) -> str:
    """Whatever stands in the headers of a signature, no secret of ours is in it."""
    value = data.decode("latin-1")
    verdicts = set()
    for one in _RECORDED:
        headers = dict.fromkeys((getattr(scheme, "header", "") for scheme in one.kind.schemes), value)
        headers |= dict.fromkeys(_BESIDE, value)
        verdicts.add(verify(one.kind.schemes, ("s3cret-of-ours",), headers, data, value, NOW).value)
    assert "right" not in verdicts
    return ", ".join(sorted(verdicts))


def mapped(data: bytes) -> str:
    """A mapping is linted or used; nothing else comes of it."""
    text = data.decode(errors="replace")
    findings = lint(text, {})
    if findings:
        return findings[0].partition(":")[0][:20]
    one = recorded()["generic-created"]
    result = translate(checked(text, {}), one.headers, one.body, "", NOW)
    return type(result).__name__


def targets() -> list[Target]:
    bodies = tuple(bytes((number,)) + one.body for number, one in enumerate(_RECORDED))
    pages = (
        b"<p>a<br>b</p><ul><li>c</li></ul>",
        b"<a href='https://x.example/'>y</a>",
        b"<blockquote type=cite>",
    )
    values = (b"sha1=00", b"sha256=ff", b"v1,AAAA", b"Bearer x", b"Basic eDp5", b"1796094000", b"token=x")
    return [
        Target("webhooks", posted, (b"", *bodies)),
        Target("webhook-html", written, pages),
        Target("webhook-signatures", signed, (b"", *values)),
        Target("mappings", mapped, (b"", b"{}", *(file_of(name).encode() for name in names()))),
    ]
